"""What was discovered and examined, as a person or a program wants to read it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from opencode_litellm.proxies import SIBLING_SUFFIX
from opencode_litellm.terminal import painted, plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from opencode_litellm.discovery import Discovery
    from opencode_litellm.doctor import Check
    from opencode_litellm.litellm.prices import Price
    from opencode_litellm.models.catalog import Limit, Model

_COLUMNS = ("ID", "NAME", "ROUTE", "CONTEXT", "OUTPUT", "USD/M IN", "USD/M OUT", "MODALITIES", "REASONING")
_COLOURS = {"ok": "32", "warning": "33", "failed": "31", "skipped": "2"}
_NUMBERS = frozenset({"CONTEXT", "OUTPUT", "USD/M IN", "USD/M OUT"})


def as_json(found: Discovery) -> str:
    """Return a JSON array, a model a line: limits in tokens, prices in USD per million tokens."""
    return "[\n" + ",\n".join(json.dumps(_row(provider, model)) for provider, model in _models(found)) + "\n]\n"


def as_table(found: Discovery) -> str:
    """Return a table without borders, a model a line, ids as opencode wants them after ``-m``."""
    from rich.cells import cell_len  # how wide a terminal shows a text; rich's own tables take seconds for 10,000 rows

    rows = [_COLUMNS, *([plain(cell) for cell in _cells(provider, model)] for provider, model in _models(found))]
    widths = [[cell_len(cell) for cell in row] for row in rows]
    columns = list(zip(_COLUMNS, map(max, zip(*widths, strict=True)), strict=True))
    return "".join(_line(row, cells, columns) for row, cells in zip(rows, widths, strict=True))


def _line(row: Sequence[str], widths: Sequence[int], columns: Sequence[tuple[str, int]]) -> str:
    cells = []
    for cell, width, (column, widest) in zip(row, widths, columns, strict=True):
        blanks = " " * (widest - width)
        cells.append(f"{blanks}{cell}" if column in _NUMBERS else f"{cell}{blanks}")
    return f"{'  '.join(cells).rstrip()}\n"


def as_changes(before: Iterable[tuple[str, str]], found: Discovery) -> str:
    """Return a line for each model that was added to or removed from ``before`` (provider and id), and a sum."""
    old = set(before)
    new = {(served.proxy.provider, model.id) for served in found.served for model in served.models}
    asked = {served.proxy.provider for served in found.served}
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


def _models(found: Discovery) -> Iterator[tuple[str, Model]]:
    """Yield models, each with the provider under which opencode has it."""
    delivered = {(provider.id, model) for provider in found.payload.providers for model in provider.models}
    for served in found.served:
        sibling = f"{served.proxy.provider}{SIBLING_SUFFIX}"
        for model in served.models:
            yield sibling if (sibling, model.id) in delivered else served.proxy.provider, model


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


def _limit(limit: Limit | None) -> dict[str, int] | None:
    return None if limit is None else {"context": limit.context, "output": limit.output}


def _price(price: Price | None) -> dict[str, float] | None:
    return None if price is None else price.amounts
