"""The rendered snippet of ``init``, kept so that the start of a shell does not wait for the template engine.

It is a file that the shell itself can read, which is what the lines do that ``install`` puts into a startup file.
"""

from __future__ import annotations

import os

from opencode_litellm import __version__, private, variables
from opencode_litellm import templates as _templates  # type: ignore[attr-defined]  # put there by package_dir in setup.cfg

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

SHIPPED: str = _templates.__path__[0]

_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")


def snippet(arguments: list[str], environment: Mapping[str, str]) -> str | None:
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
    content = private.read(path(shell, command, environment))
    heading = _heading(shell, command, environment)
    return content[len(heading) :].decode() if content and content.startswith(heading) else None


def keep(shell: str, command: str, environment: Mapping[str, str], text: str) -> None:
    """Keep a rendered snippet for the next ``init`` and for startup files; if that fails, they are only slower."""
    if private.make_folder(variables.data_folder(environment)):
        heading = _heading(shell, command, environment)
        private.write(path(shell, command, environment), heading + text.encode("utf-8", "surrogateescape"))


def path(shell: str, command: str, environment: Mapping[str, str]) -> str:
    """Return the path of the kept snippet for a ``command`` in a shell, which need not exist."""
    return os.path.join(variables.data_folder(environment), file_name(shell, command))


def file_name(shell: str, command: str) -> str:
    """Return the name of that file, without its folder."""
    return f"{command}.{shell}"


def outdated(environment: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return the shell and the command of each kept snippet that is of another version, or from another template."""
    try:
        names = sorted(os.listdir(variables.data_folder(environment)))
    except OSError:
        return []
    snippets = [(shell, command) for command, dot, shell in (name.rpartition(".") for name in names) if dot]
    return [(shell, command) for shell, command in snippets if not _is_current(shell, command, environment)]


def _is_current(shell: str, command: str, environment: Mapping[str, str]) -> bool:
    content = private.read(path(shell, command, environment)) or b""
    return content.startswith(_heading(shell, command, environment))


def _heading(shell: str, command: str, environment: Mapping[str, str]) -> bytes:
    """Return a line that changes whenever the snippet might, and is a comment in every shell."""
    folder = variables.override_folder(environment)
    try:
        overrides = [os.path.join(folder, name) for name in sorted(os.listdir(folder))]
    except OSError:
        overrides = []
    shipped = os.path.join(SHIPPED, f"{shell}.j2")
    stamps = (__version__, shell, command, *map(_file_stamp, [shipped, *overrides]))
    return f"# {stamps!a}\n".encode()


def _file_stamp(path: str) -> tuple[str, int, int, int]:
    try:
        status = os.stat(path)
    except OSError:
        return (path, 0, 0, 0)
    return (path, status.st_ino, status.st_size, status.st_mtime_ns)
