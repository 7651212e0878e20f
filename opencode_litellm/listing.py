"""What was discovered and examined, as a person or a program wants to read it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from opencode_litellm.discovery import not_served
from opencode_litellm.proxies import SIBLING_SUFFIX
from opencode_litellm.terminal import painted, plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from opencode_litellm.discovery import Discovery
    from opencode_litellm.doctor import Check
    from opencode_litellm.litellm.prices import Price
    from opencode_litellm.models.catalog import Limit, Model
    from opencode_litellm.models.visibility import Reason

_COLUMNS = ("ID", "NAME", "ROUTE", "CONTEXT", "OUTPUT", "USD/M IN", "USD/M OUT", "MODALITIES", "REASONING")
_HIDDEN = "HIDDEN BECAUSE"
_COLOURS = {"ok": "32", "warning": "33", "failed": "31", "skipped": "2"}
_NUMBERS = frozenset({"CONTEXT", "OUTPUT", "USD/M IN", "USD/M OUT"})


def as_json(discovery: Discovery, *, everything: bool = False) -> str:
    """Return a JSON array, a model a line: limits in tokens, prices in USD per million tokens.

    With ``everything`` each has ``hidden``: null, or the rule by which opencode does not get it from us, and what
    decided. Of those that opencode does not get at all, nothing but provider and id is given.
    """
    lines = []
    for entry in _entries(discovery, everything=everything):
        row = _row(entry.provider, entry.model) if entry.model else {"provider": entry.provider, "id": entry.id}
        lines.append(json.dumps({**row, "hidden": _reason(entry.reason)} if everything else row))
    return "[\n" + ",\n".join(lines) + "\n]\n"


def as_table(discovery: Discovery, *, everything: bool = False) -> str:
    """Return a table without borders, a model a line, ids as opencode wants them after ``-m``.

    With ``everything`` the models that opencode does not get from us are among them, and why.
    """
    rows = []
    for entry in _entries(discovery, everything=everything):
        blank = [f"{entry.provider}/{entry.id}", *("-" for _ in _COLUMNS[1:])]
        cells = _cells(entry.provider, entry.model) if entry.model else blank
        rows.append([*cells, str(entry.reason or "-")] if everything else cells)
    return _table((*_COLUMNS, _HIDDEN) if everything else _COLUMNS, rows)


def _table(names: Sequence[str], cells: Iterable[Sequence[str]]) -> str:
    from rich.cells import cell_len  # how wide a terminal shows a text; rich's own tables take seconds for 10,000 rows

    rows = [names, *([plain(cell) for cell in row] for row in cells)]
    widths = [[cell_len(cell) for cell in row] for row in rows]
    columns = list(zip(names, map(max, zip(*widths, strict=True)), strict=True))
    return "".join(_line(row, cells, columns) for row, cells in zip(rows, widths, strict=True))


def _line(row: Sequence[str], widths: Sequence[int], columns: Sequence[tuple[str, int]]) -> str:
    cells = []
    for cell, width, (column, widest) in zip(row, widths, columns, strict=True):
        blanks = " " * (widest - width)
        cells.append(f"{blanks}{cell}" if column in _NUMBERS else f"{cell}{blanks}")
    return f"{'  '.join(cells).rstrip()}\n"


def as_changes(before: Iterable[tuple[str, str]], discovery: Discovery) -> str:
    """Return a line for each model that was added to or removed from ``before`` (provider and id), and a sum."""
    old = set(before)
    new = {(served.proxy.provider, model.id) for served in discovery.served for model in served.models}
    asked = {served.proxy.provider for served in discovery.served}
    lines = [f"+ {plain(f'{provider}/{model}')}\n" for provider, model in sorted(new - old)]
    lines += [f"- {plain(f'{provider}/{model}')}\n" for provider, model in sorted(old - new) if provider in asked]
    return "".join([*lines, f"{len(new)} models for opencode\n"])


def checks_as_json(checks: Iterable[Check]) -> str:
    """Return a JSON array of checks, one a line."""
    return "[\n" + ",\n".join(json.dumps(_check(check)) for check in checks) + "\n]\n"


def checks_as_lines(checks: Sequence[Check], *, coloured: bool) -> str:
    """Return a line for each check: how it is, its name, what was found and what to do."""
    widest = max(len(plain(check.name)) for check in checks)
    lines = []
    for check in checks:
        status = f"{check.status:7}"
        text = f"{check.finding}: {check.remedy}" if check.remedy else check.finding
        mark = painted(status, _COLOURS[check.status]) if coloured else status
        lines.append(f"{mark}  {plain(check.name):{widest}}  {plain(text)}\n")
    return "".join(lines)


def _check(check: Check) -> dict[str, object]:
    return {"check": check.name, "status": check.status, "finding": check.finding, "remedy": check.remedy or None}


class _Entry(NamedTuple):
    """A model under ``provider/id`` as opencode has it; ``model`` is None for one that opencode does not have."""

    provider: str
    id: str
    model: Model | None
    reason: Reason | None


def _entries(discovery: Discovery, *, everything: bool) -> Iterator[_Entry]:
    """Yield the models that opencode has; with ``everything``, after those of each proxy the hidden ones."""
    delivered = {(provider.id, model) for provider in discovery.payload.providers for model in provider.models}
    for served in discovery.served:
        provider = served.proxy.provider
        sibling = f"{provider}{SIBLING_SUFFIX}"
        reasons = {model.id: model.reason for model in not_served(served)} if everything else {}
        for model in served.models:
            name = sibling if (sibling, model.id) in delivered else provider
            yield _Entry(name, model.id, model, reasons.pop(model.id, None))
        for model_id, reason in reasons.items():
            yield _Entry(provider, model_id, None, reason)


def _cells(provider: str, model: Model) -> list[str]:
    reasoning = (",".join(model.sure_efforts) or "yes") if model.reasoning else "-"
    modalities = ",".join(model.inputs)
    if model.outputs != ("text",):
        modalities += f" > {','.join(model.outputs)}"
    return [
        f"{provider}/{model.id}",
        model.name,
        model.route,
        str(model.limit.context) if model.limit else "-",
        str(model.limit.output) if model.limit else "-",
        f"{model.price.input:g}" if model.price else "-",
        f"{model.price.output:g}" if model.price else "-",
        modalities,
        reasoning,
    ]


def _row(provider: str, model: Model) -> dict[str, object]:
    return {
        "provider": provider,
        "id": model.id,
        "name": model.name,
        "owner": model.owner,
        "route": model.route,
        "limit": _limit(model.limit),
        "cost": _price(model.price),
        "cost_over_200k": _price(model.price_over_200k),
        "modalities": {"input": model.inputs, "output": model.outputs},
        "tool_call": model.tool_call,
        "reasoning": model.reasoning,
        "reasoning_efforts": model.efforts,
    }


def _reason(reason: Reason | None) -> dict[str, str] | None:
    return None if reason is None else {"rule": reason.rule, "detail": reason.detail}


def _limit(limit: Limit | None) -> dict[str, int] | None:
    return None if limit is None else {"context": limit.context, "output": limit.output}


def _price(price: Price | None) -> dict[str, float] | None:
    return None if price is None else price.amounts
