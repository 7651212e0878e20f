"""The bytes of a shell's startup file, with our snippet in them and without."""

from __future__ import annotations

import re

from opencode_litellm.errors import UsageFailure

BEGIN = b'# >>> opencode-litellm: opencode with the models of LiteLLM; "opencode-litellm uninstall" removes this >>>'
END = b"# <<< opencode-litellm <<<"

# An editor may have put a byte-order mark before the first of them, and a carriage return after each.
_MARK = re.compile(rb"^(?:\xef\xbb\xbf)?(?P<mark># (?P<kind>>>>|<<<) opencode-litellm(?![\w-]).*\n?)", re.MULTILINE)
_OWN_LINE = re.compile(rb"""^[^#\n]*\bopencode-litellm(?:\.exe)?["']?[ \t]+init\b""", re.MULTILINE)


class Unfit(UsageFailure):
    """A startup file cannot be changed without the risk of harm; ``problem`` goes on from the file's name."""


def with_snippet(content: bytes | None, snippet: bytes) -> bytes:
    """Return a startup file's bytes, None for an absent one, with ``snippet`` between our two marks.

    All else stays as it is, and an older snippet of ours gives way in its place. Unfit when that is not possible.
    """
    block = b"%b\n%b\n%b\n" % (BEGIN, snippet.rstrip(b"\n"), END)
    if content is None:
        return block
    if b"\0" in content:
        raise Unfit("is no text of single bytes (UTF-16?)", "save it as UTF-8")
    found = _found(content)
    if found is None:
        # The line break ends a last line that has no end, and stands us off from one that has.
        return content + b"\n" + block
    begin, end = found
    return content[:begin] + block.replace(b"\n", _line_end(content[begin:end])) + content[end:]


def without_snippet(content: bytes) -> bytes | None:
    """Return the bytes from before ``with_snippet``, None for a file that it made; Unfit when a mark is missing."""
    found = _found(content)
    if found is None:
        return content
    begin, end = found
    before, after = content[:begin], content[end:]
    if not before and not after:
        return None
    shorter = before.removesuffix(_line_end(content[begin:end]))
    # What somebody added below must not end up in the line above.
    joins_lines = after and shorter and not shorter.endswith(b"\n")
    return (before if joins_lines else shorter) + after


def evaluates_init(content: bytes) -> bool:
    """Tell whether a line of the user's own, outside of our marks, has ``opencode-litellm init`` evaluated."""
    begin, end = _found(content) or (0, 0)
    return any(_OWN_LINE.search(part) for part in (content[:begin], content[end:]))


def is_marked(content: bytes) -> bool:
    """Tell whether a line of ``content`` is a mark of ours."""
    return _MARK.search(content) is not None


def _found(content: bytes) -> tuple[int, int] | None:
    """Return where our lines begin and end, None when there are none."""
    marks = list(_MARK.finditer(content))
    if not marks:
        return None
    if [mark["kind"] for mark in marks] != [b">>>", b"<<<"]:
        problem = "has not one pair of our marks (# >>> opencode-litellm, # <<< opencode-litellm)"
        raise Unfit(problem, "mend or remove these lines")
    return marks[0].start("mark"), marks[1].end("mark")


def _line_end(block: bytes) -> bytes:
    """Return how the lines of our block end: a tool may have converted the whole file."""
    return b"\r\n" if block.partition(b"\n")[0].endswith(b"\r") else b"\n"
