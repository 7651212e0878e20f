"""What is said on standard error: a line at a time, without anything that could steer a terminal."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

LONGEST_LINE = 1000  # characters; a proxy's error message has no say in how much scrolls by


def plain(text: str) -> str:
    """Return ``text`` on one line of at most 1,000 characters, control characters written as escapes."""
    line = "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
        for character in " ".join(text.split())
    )
    return line if len(line) <= LONGEST_LINE else line[:LONGEST_LINE] + "..."


def note(text: str, environment: Mapping[str, str]) -> None:
    """Say one line on standard error, unless ``OPENCODE_LITELLM_QUIET`` is set."""
    if not switched_on(environment, "QUIET"):
        _write(text, environment, colour="33")


def detail(text: str, environment: Mapping[str, str]) -> None:
    """Say one line that only ``OPENCODE_LITELLM_VERBOSE`` asks for."""
    if switched_on(environment, "VERBOSE"):
        _write(text, environment, colour="2")


def failure(text: str, environment: Mapping[str, str]) -> None:
    """Say why a command failed; ``--quiet`` does not silence that."""
    _write(text, environment, colour="31")


def switched_on(environment: Mapping[str, str], name: str) -> bool:
    """Tell whether ``OPENCODE_LITELLM_<name>`` is set to anything but an empty string or a word for no."""
    return environment.get(f"OPENCODE_LITELLM_{name}", "").lower() not in ("", "0", "false", "no", "off")


def _write(text: str, environment: Mapping[str, str], *, colour: str) -> None:
    name = "opencode-litellm:"
    try:
        if sys.stderr.isatty() and not environment.get("NO_COLOR"):
            name = f"\x1b[{colour}m{name}\x1b[0m"
        encoding = sys.stderr.encoding or "ascii"
        line = plain(text).encode(encoding, "backslashreplace").decode(encoding)
        sys.stderr.write(f"{name} {line}\n")
        sys.stderr.flush()
    except (AttributeError, OSError, ValueError):
        pass  # standard error is closed or gone: nobody is there to be told
