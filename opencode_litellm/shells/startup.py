"""The bytes of a shell's startup file, with our snippet and without it."""

from __future__ import annotations

import re

from opencode_litellm import __version__
from opencode_litellm.errors import UsageFailure

_BEGIN = '# >>> opencode-litellm {}: {} with the models of LiteLLM; "opencode-litellm uninstall" removes this >>>'
_COMMAND = re.compile(rb"# >>> opencode-litellm \S+: (?P<command>\S+) with ")
END = b"# <<< opencode-litellm <<<"

# An editor may have put a byte-order mark before the first mark, and a carriage return after each one.
_MARK = re.compile(rb"^(?:\xef\xbb\xbf)?(?P<mark># (?P<kind>>>>|<<<) opencode-litellm(?![\w-]).*\n?)", re.MULTILINE)
_OWN_LINE = re.compile(rb"""^[^#\n]*\bopencode-litellm(?:\.exe)?["']?,?[ \t]+["']?init\b""", re.MULTILINE)


class UnsafeToChange(UsageFailure):
    """A startup file cannot be changed without the risk of harm; ``problem`` continues after the file's name."""


def begin(command: str) -> bytes:
    """Return the mark above our lines: which version wrote them, and for which ``command``."""
    return _BEGIN.format(__version__, command).encode()


def with_snippet(content: bytes | None, snippet: bytes, command: str) -> bytes:
    """Return the bytes of a startup file, None if it does not exist, with ``snippet`` between our two marks.

    It replaces an older snippet of ours, and everything else stays as it is. UnsafeToChange if that is not possible.
    """
    block = b"%b\n%b\n%b\n" % (begin(command), snippet.rstrip(b"\n"), END)
    if content is None:
        return block
    if b"\0" in content:
        raise UnsafeToChange("is in an encoding that opencode-litellm cannot edit, perhaps UTF-16", "save it as UTF-8")
    span = _span(content)
    if span is None:
        # The line break completes an unfinished last line, or leaves an empty line above our block.
        return content + b"\n" + block
    start, end = span
    return content[:start] + block.replace(b"\n", _line_end(content[start:end])) + content[end:]


def without_snippet(content: bytes) -> bytes | None:
    """Return the bytes before ``with_snippet``, None if it created the file; UnsafeToChange if a mark is missing."""
    span = _span(content)
    if span is None:
        return content
    start, end = span
    before, after = content[:start], content[end:]
    if not before and not after:
        return None
    shorter = before.removesuffix(_line_end(content[start:end]))
    # A line that was added below our block must not be joined to the line above it.
    joins_lines = after and shorter and not shorter.endswith(b"\n")
    return (before if joins_lines else shorter) + after


def evaluates_init(content: bytes) -> bool:
    """Return whether a line of the user's own, outside our marks, evaluates ``opencode-litellm init``."""
    start, end = _span(content) or (0, 0)
    return any(_OWN_LINE.search(part) for part in (content[:start], content[end:]))


def installed(content: bytes) -> tuple[str, bytes] | None:
    """Return the command that our lines are for, and the lines between our marks; None if there are none."""
    span = _span(content)
    if span is None:
        return None
    mark, *lines, _ = content[slice(*span)].replace(b"\r\n", b"\n").rstrip(b"\n").split(b"\n")
    named = _COMMAND.match(mark)
    return named["command"].decode() if named else "opencode", b"\n".join(lines)


def reads(content: bytes, name: str) -> bool:
    """Return whether a startup file seems to read another one: its name is in a line that is not a comment."""
    return re.search(rb"^[^#\n]*" + re.escape(name.encode()) + rb"\b", content, re.MULTILINE) is not None


def is_marked(content: bytes) -> bool:
    """Return whether ``content`` has a line that is one of our marks."""
    return _MARK.search(content) is not None


def _span(content: bytes) -> tuple[int, int] | None:
    """Return where our block begins and ends, None if there is none."""
    marks = list(_MARK.finditer(content))
    if not marks:
        return None
    if [mark["kind"] for mark in marks] != [b">>>", b"<<<"]:
        problem = "does not have exactly one pair of marks (# >>> opencode-litellm, # <<< opencode-litellm)"
        raise UnsafeToChange(problem, "correct or remove these lines")
    return marks[0].start("mark"), marks[1].end("mark")


def _line_end(block: bytes) -> bytes:
    """Return the line ending of our block: a tool may have converted the whole file."""
    return b"\r\n" if block.partition(b"\n")[0].endswith(b"\r") else b"\n"
