"""The findings of doctor, for a person or a program to read."""

from __future__ import annotations

import json
import textwrap
from typing import TYPE_CHECKING

from opencode_litellm import terminal
from opencode_litellm.doctor import FAILED, OK, SKIPPED, WARNING
from opencode_litellm.terminal import painted, plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from opencode_litellm.doctor import Check

JSON_VERSION = 1  # of the format in docs/json.md

_SYMBOLS = {OK: "✓", WARNING: "!", FAILED: "✗", SKIPPED: "-"}
_WORDS = {OK: "ok", WARNING: "!", FAILED: "x", SKIPPED: "-"}  # for an encoding without the symbols
_COLOURS = {OK: "32", WARNING: "33", FAILED: "31", SKIPPED: "2"}
_NARROWEST = 40  # columns; a narrower terminal has to break lines itself


def as_json(checks: Iterable[Check]) -> str:
    """Return what docs/json.md describes, a check a line."""
    rows = ",\n".join(json.dumps(_row(check)) for check in checks)
    return f'{{"version": {JSON_VERSION}, "checks": [\n{rows}\n]}}\n'


def as_lines(checks: Sequence[Check], width: int | None, *, coloured: bool) -> str:
    """Return each check as its status, name and finding, with the remedy below, and a summary at the end.

    They fit into ``width`` columns; None leaves each finding and each remedy on one line.
    """
    symbols, arrow = (_SYMBOLS, "→") if terminal.can_print("✓✗→") else (_WORDS, "->")
    names = max(len(plain(check.name)) for check in checks)
    marks = max(map(len, symbols.values()))
    indent = " " * (marks + 1 + names + 2)
    lines = []
    for check in checks:
        mark = f"{symbols[check.status]:{marks}}"
        first, *more = _wrapped(plain(check.finding), indent, width)
        remedy = _wrapped(f"{arrow} {plain(check.remedy)}", indent, width) if check.remedy else []
        begin = painted(mark, _COLOURS[check.status]) if coloured else mark
        lines.append(f"{begin} {plain(check.name):{names}}  {first}")
        lines += [f"{indent}{line}" for line in more]
        for detail in check.details:
            begun, *rest = _wrapped(plain(detail), f"{indent}  ", width)
            lines += [f"{indent}{begun}", *(f"{indent}  {line}" for line in rest)]
        lines += [f"{indent}{painted(line, '1') if coloured else line}" for line in remedy]
    return "".join(f"{line}\n" for line in [*lines, "", _sum(checks)])


def _wrapped(text: str, indent: str, width: int | None) -> list[str]:
    if width is None:
        return [text]
    room = max(width, _NARROWEST) - len(indent)
    # A path or an address that is broken could not be copied.
    return textwrap.wrap(text, room, break_long_words=False, break_on_hyphens=False) or [""]


def _sum(checks: Iterable[Check]) -> str:
    statuses = [check.status for check in checks]
    counts = [(statuses.count(FAILED), "problem"), (statuses.count(WARNING), "warning")]
    parts = [f"{count} {what}{'' if count == 1 else 's'}" for count, what in counts if count]
    return " and ".join(parts) or "no problems: opencode gets its models"


def _row(check: Check) -> dict[str, object]:
    return {
        "check": check.name,
        "status": check.status,
        "finding": check.finding,
        "details": check.details,
        "remedy": check.remedy or None,
    }
