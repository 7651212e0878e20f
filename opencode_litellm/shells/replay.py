"""The rendered snippet of ``init``, kept so that the start of a shell does not wait for the template engine."""

from __future__ import annotations

import os

from opencode_litellm import __version__, cache, variables
from opencode_litellm import templates as _templates  # type: ignore[attr-defined]  # put there by package_dir in setup.cfg

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

SHIPPED: str = _templates.__path__[0]

_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")


def replayed(arguments: list[str], environment: Mapping[str, str]) -> str | None:
    """Return what ``init`` printed before for these arguments, None unless it would print the same now.

    ``arguments`` are those after ``init``; only ``SHELL`` and ``SHELL --cmd NAME`` are understood.
    """
    match arguments:
        case [shell]:
            command = "opencode"
        case [shell, "--cmd", command]:
            pass
        case _:
            return None
    if not shell or not command or not _PLAIN.issuperset(shell + command):
        return None
    content = cache.read(environment, _name(shell, command))
    heading = _heading(shell, command, environment)
    return content[len(heading) :].decode() if content and content.startswith(heading) else None


def keep(shell: str, command: str, environment: Mapping[str, str], text: str) -> None:
    """Keep a rendered snippet for the next ``init``; if that fails, the next one is merely slower."""
    cache.write(environment, _name(shell, command), _heading(shell, command, environment) + text.encode())


def _name(shell: str, command: str) -> str:
    return cache.SNIPPET.name(f"{shell}-{command}")


def _heading(shell: str, command: str, environment: Mapping[str, str]) -> bytes:
    """Return a line that changes whenever the snippet might."""
    folder = variables.override_folder(environment)
    try:
        overrides = [os.path.join(folder, name) for name in sorted(os.listdir(folder))]
    except OSError:
        overrides = []
    shipped = os.path.join(SHIPPED, f"{shell}.j2")
    return ascii((__version__, shell, command, *map(_file_stamp, [shipped, *overrides]))).encode() + b"\n"


def _file_stamp(path: str) -> tuple[str, int, int, int]:
    try:
        status = os.stat(path)
    except OSError:
        return (path, 0, 0, 0)
    return (path, status.st_ino, status.st_size, status.st_mtime_ns)
