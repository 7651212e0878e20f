"""Output: results on standard output, messages on standard error, one line each.

No message can steer a terminal, whatever text it quotes.
"""

from __future__ import annotations

import sys

from opencode_litellm import variables
from opencode_litellm.errors import UsageFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from collections.abc import Collection, Mapping
    from typing import TextIO

_INVALID = 22  # EINVAL: Windows' error for a pipe that nobody reads any more
_IN_ASCII = {ord("→"): "->", ord("…"): "..."}  # our own symbols, for an encoding without them
LONGEST_LINE = 1000  # characters; a proxy's error message must not flood the terminal


def plain(text: str) -> str:
    """Return ``text`` as one line of at most 1,000 characters, with control characters as escapes."""
    line = "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
        for character in " ".join(text[: 2 * LONGEST_LINE].split())
    )
    return line if len(line) <= LONGEST_LINE else line[:LONGEST_LINE] + "..."


def either(names: Collection[str]) -> str:
    """Return names as a list that a sentence can end with: ``bash, zsh or fish``."""
    *others, last = names
    return f"{', '.join(others)} or {last}" if others else last


def note(text: str, environment: Mapping[str, str]) -> None:
    """Print a message, unless ``OPENCODE_LITELLM_QUIET`` is set."""
    if not variables.switched_on(environment, variables.QUIET):
        _write(text, environment, colour="33")


def detail(text: str, environment: Mapping[str, str]) -> None:
    """Print a message, but only if ``OPENCODE_LITELLM_VERBOSE`` is set."""
    if variables.switched_on(environment, variables.VERBOSE):
        _write(text, environment, colour="2")


def failure(text: str, environment: Mapping[str, str]) -> None:
    """Print why a command failed, even with ``--quiet``."""
    _write(text, environment, colour="31")


def emit(text: str) -> None:
    """Print a result. Bytes of a variable that are not valid text are printed unchanged.

    If the reader is gone, ends the process as SIGPIPE would; raises UsageFailure if the output cannot be written.
    """
    if sys.stdout is None:
        raise UsageFailure("standard output is closed", "redirect it to a file or a pipe")
    try:
        _send(sys.stdout, _encoded(text, sys.stdout.encoding or "utf-8", "surrogateescape"))
    except BrokenPipeError:
        sys.exit(141)
    except OSError as error:
        if sys.platform == "win32" and error.errno == _INVALID:
            sys.exit(141)
        raise UsageFailure(f"standard output cannot be written: {error.strerror}") from error


def is_coloured(stream: TextIO | None, environment: Mapping[str, str]) -> bool:
    """Return whether to use colours on a stream: on a terminal that has them, unless ``NO_COLOR`` is set."""
    return (
        is_terminal(stream)
        and not environment.get("NO_COLOR")
        and environment.get("TERM") != "dumb"
    )


def is_terminal(stream: TextIO | None) -> bool:
    """Return whether a stream is a terminal."""
    return stream is not None and stream.isatty()


def size() -> os.terminal_size:
    """Return how many columns and lines the terminal of standard output has: 80 and 24 if that is unknown."""
    import shutil  # not for launches

    return shutil.get_terminal_size()


def can_print(text: str) -> bool:
    """Return whether the encoding of standard output has these characters."""
    try:
        text.encode((sys.stdout and sys.stdout.encoding) or "utf-8")
    except UnicodeEncodeError:
        return False
    return True


def painted(text: str, colour: str) -> str:
    """Return ``text`` in a colour, given as a number of ECMA-48's SGR such as ``31``."""
    return f"\x1b[{colour}m{text}\x1b[0m"


def _write(text: str, environment: Mapping[str, str], *, colour: str) -> None:
    name = "opencode-litellm:"
    try:
        if is_coloured(sys.stderr, environment):
            name = painted(name, colour)
        _send(sys.stderr, _encoded(f"{name} {plain(text)}\n", sys.stderr.encoding or "ascii", "strict"))
    except (AttributeError, OSError, ValueError):
        pass  # standard error is closed or gone: there is nobody to tell


def _encoded(text: str, encoding: str, errors: str) -> bytes:
    try:
        return text.encode(encoding, errors)
    except UnicodeEncodeError:
        return text.translate(_IN_ASCII).encode(encoding, "backslashreplace")


def _send(stream: TextIO, content: bytes) -> None:
    """Bypass Python's buffers: if they could not be flushed at exit, that would change the exit status."""
    raw = getattr(stream.buffer, "raw", stream.buffer)
    rest = memoryview(content)
    while rest:
        rest = rest[raw.write(rest) or 0 :]
