"""What was discovered, as a person or a program wants to read it: a table, tab-separated lines, or JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, NamedTuple

from opencode_litellm.models.catalog import by_strength, is_range
from opencode_litellm.proxies import SIBLING_SUFFIX
from opencode_litellm.terminal import painted, plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from opencode_litellm.discovery import Discovery
    from opencode_litellm.jsonc import JSON
    from opencode_litellm.litellm.prices import Price
    from opencode_litellm.models.catalog import Limit, Model
    from opencode_litellm.models.visibility import Reason

JSON_VERSION = 1  # of the format in docs/json.md; it changes if programs that read the old one would be misled

_UNKNOWN = "-"
_GAP = "  "
_NARROWEST_NAME = 16  # columns that a name is cut to before a column is dropped
_FITTING_IDS = 0.9  # the share of the ids that the column is wide enough for; a few long ones must not widen it
_FIRST_EFFORTS = 2  # up to so many are named one by one, more in a row as a range
_MOST_DIFFERENCES = 20  # lines of one comparison
_BOLD, _DIM, _RED, _GREEN, _YELLOW, _CYAN = "1", "2", "31", "32", "33", "36"


class Entry(NamedTuple):
    """A model of the proxy behind the provider ``section``, under ``provider/id`` as opencode has it.

    ``model`` is None for one that opencode does not have; ``reason`` says why it does not get it from us.
    """

    section: str
    provider: str
    id: str
    model: Model | None
    reason: Reason | None

    @property
    def full_id(self) -> str:
        """What opencode wants after ``-m``."""
        return f"{self.provider}/{self.id}"


def entries(discovery: Discovery, *, everything: bool = False) -> list[Entry]:
    """Return the models that opencode has; with ``everything``, after those of each proxy the hidden ones."""
    return list(_entries(discovery, everything=everything))


def _entries(discovery: Discovery, *, everything: bool) -> Iterator[Entry]:
    delivered = {(provider.id, model) for provider in discovery.payload.providers for model in provider.models}
    for served in discovery.served:
        section = served.proxy.provider
        sibling = f"{section}{SIBLING_SUFFIX}"
        reasons = {model.id: model.reason for model in served.catalogue.hidden} if everything else {}
        for model in served.catalogue.models:
            name = sibling if (sibling, model.id) in delivered else section
            yield Entry(section, name, model.id, model, reasons.pop(model.id, None))
        for model_id, reason in reasons.items():
            yield Entry(section, section, model_id, None, reason)


def matching(listed: Iterable[Entry], patterns: Sequence[str]) -> list[Entry]:
    """Return the models that match one of ``patterns``, with or without the provider and ignoring case.

    Without patterns, return all.

    The patterns are globs: ``*`` matches anything, slashes too.
    """
    globs = [pattern.lower() for pattern in patterns]
    if not globs:
        return list(listed)
    return [entry for entry in listed if any(_matches(entry, glob) for glob in globs)]


def no_match(patterns: Sequence[str], *, everything: bool) -> str:
    """Return why there is nothing to list, and what to do about it."""
    problem = f"no model matches {' or '.join(patterns)}" if patterns else "opencode gets no model from the proxy"
    remedies = ["put * around part of a name"] if patterns else []
    if not everything:
        remedies.append("include hidden models with --all")
    return f"{problem}: {', or '.join(remedies)}" if remedies else problem


def _matches(entry: Entry, glob: str) -> bool:
    return any(name == glob or fnmatchcase(name, glob) for name in (entry.id.lower(), entry.full_id.lower()))


def _by_price(model: Model) -> tuple[float, ...]:
    return (0, model.price.input, model.price.output) if model.price else (1,)


def _by_context(model: Model) -> tuple[float, ...]:
    return (0, -model.limit.context, -model.limit.output) if model.limit else (1,)


def _by_name(model: Model) -> tuple[str, ...]:
    return (model.name.lower(),)


# The cheapest, the largest, and the first in the alphabet come first; unknown values come last.
ORDERS: dict[str, Callable[[Model], tuple[float, ...] | tuple[str, ...]]] = {
    "price": _by_price,
    "context": _by_context,
    "name": _by_name,
}


def in_order_of(listed: Iterable[Entry], order: str | None) -> list[Entry]:
    """Return the models in an order of ``ORDERS`` (None: as they are); those that opencode does not have come last."""
    if order is None:
        return list(listed)
    rank = ORDERS[order]
    return sorted(listed, key=lambda entry: (0, rank(entry.model)) if entry.model else (1, ()))


def as_json(listed: Iterable[Entry], *, everything: bool = False) -> str:
    """Return what docs/json.md describes, a model a line: limits in tokens, prices in USD per million tokens.

    With ``everything`` each has ``hidden``: null, or the rule by which opencode does not get it from us, with the
    detail that decided. A model that opencode does not have at all has only provider and id.
    """
    lines = []
    for entry in listed:
        row = _row(entry.provider, entry.model) if entry.model else {"provider": entry.provider, "id": entry.id}
        lines.append(json.dumps({**row, "hidden": _reason(entry.reason)} if everything else row))
    return f'{{"version": {JSON_VERSION}, "models": [\n' + ",\n".join(lines) + "\n]}\n"


def as_lines(listed: Iterable[Entry], *, everything: bool = False) -> str:
    """Return a line for each model, its fields separated by tabs, without a heading; ``-`` for unknown values.

    Id, name, route, context and output in tokens, input and output price in USD per million tokens, modalities,
    reasoning efforts; with ``everything`` also why opencode does not get it from us.
    """
    lines = []
    for entry in listed:
        fields = [entry.full_id, *(field(entry.model) if entry.model else _UNKNOWN for field in _FIELDS)]
        if everything:
            fields.append(str(entry.reason or _UNKNOWN))
        lines.append("\t".join(map(plain, fields)) + "\n")
    return "".join(lines)


def _context(model: Model) -> str:
    return tokens(model.limit.context) if model.limit else _UNKNOWN


def _output(model: Model) -> str:
    return tokens(model.limit.output) if model.limit else _UNKNOWN


def _price(model: Model) -> str:
    return price(model.price)


def _name(model: Model) -> str:
    return plain(model.name)


def _route(model: Model) -> str:
    return model.route


class _Column(NamedTuple):
    """A column beside the id: what it shows of a model, and how.

    If there is no room for all, the column with the lowest ``rank`` is dropped first; the id always stays.
    """

    title: str
    rank: int
    cell: Callable[[Model], str]
    colour: str = ""
    number: bool = False


def _modalities(model: Model) -> str:
    inputs, outputs = ("+".join(modalities) for modalities in (model.inputs, model.outputs))
    return inputs if outputs == "text" else f"{inputs}>{outputs}"


def _reasoning(model: Model) -> str:
    """Return the efforts that a model takes, the weakest first; many in a row as a range, such as ``low-high``."""
    if not model.reasoning:
        return _UNKNOWN
    efforts = model.sure_efforts
    if len(efforts) > _FIRST_EFFORTS and is_range(efforts):
        return f"{efforts[0]}-{efforts[-1]}"
    return plain(",".join(efforts)) or "yes"


# The fields of a model in a pipe, beside its id.
_FIELDS: tuple[Callable[[Model], str], ...] = (
    lambda model: model.name,
    _route,
    lambda model: str(model.limit.context) if model.limit else _UNKNOWN,
    lambda model: str(model.limit.output) if model.limit else _UNKNOWN,
    lambda model: _amount(model.price.input) if model.price else _UNKNOWN,
    lambda model: _amount(model.price.output) if model.price else _UNKNOWN,
    _modalities,
    lambda model: (",".join(model.sure_efforts) or "yes") if model.reasoning else _UNKNOWN,
)
_NAME = _Column("NAME", 4, _name, _CYAN)
_COLUMNS = (
    _NAME,
    _Column("CONTEXT", 7, _context, number=True),
    _Column("OUTPUT", 2, _output, number=True),
    _Column("PRICE/M", 6, _price, _GREEN),
    _Column("MODALITIES", 3, _modalities),
    _Column("REASONING", 5, _reasoning),
    _Column("ROUTE", 1, _route, _DIM),
)


def as_table(listed: Sequence[Entry], width: int, *, coloured: bool) -> str:
    """Return a table that fits into ``width`` columns of a terminal, ids as opencode wants them after ``-m``.

    An id is never cut: one that is too long has a line to itself. A hidden model is followed by the reason.
    """
    rows = [(plain(entry.full_id), _cells(entry), entry.reason) for entry in listed]
    shown = [cells for _, cells, _ in rows if cells]
    widths = {column: max(map(_wide, [column.title, *(cells[column] for cells in shown)])) for column in _COLUMNS}
    widest = _id_width([name for name, _, _ in rows], width)
    columns = _fitting(widths, width - widest)
    others = sum(len(_GAP) + widths[column] for column in columns if column is not _NAME)
    widths[_NAME] = min(widths[_NAME], max(width - widest - len(_GAP) - others, _NARROWEST_NAME))
    paint = painted if coloured else _unpainted

    def line(first: str, cells: Mapping[_Column, str]) -> str:
        texts = [(_placed(cells[column], column, widths[column]), _colour(column, cells)) for column in columns]
        if not texts:
            return first
        last, colour = texts.pop()
        return _GAP.join([_padded(first, widest), *(paint(*text) for text in texts), paint(last.rstrip(), colour)])

    lines = [paint(line("ID", {column: column.title for column in columns}), _BOLD)]
    for name, cells, reason in rows:
        if cells is None:
            lines.append(_hidden_line(name, str(reason), widest, width, paint))
        elif _wide(name) > widest:
            lines += [name, line("", cells)] if columns else [name]
        else:
            lines.append(line(name, cells))
    return "".join(f"{each}\n" for each in lines)


def _id_width(ids: Sequence[str], width: int) -> int:
    """Return a width that nearly all ids fit into, at most two thirds of the terminal."""
    by_width = sorted(map(_wide, ["ID", *ids]))
    return min(by_width[math.ceil((len(by_width) - 1) * _FITTING_IDS)], width * 2 // 3)


def _cells(entry: Entry) -> Mapping[_Column, str] | None:
    """Return the cells of a model by column, None for one that opencode does not get from us."""
    if entry.model is None or entry.reason is not None:
        return None
    return {column: column.cell(entry.model) for column in _COLUMNS}


def _fitting(widths: dict[_Column, int], room: int) -> list[_Column]:
    """Return the columns that fit into ``room`` beside the id."""
    columns = list(_COLUMNS)
    least = {**widths, _NAME: min(widths[_NAME], _NARROWEST_NAME)}
    for column in sorted(_COLUMNS, key=lambda column: column.rank):
        if sum(len(_GAP) + least[each] for each in columns) <= room:
            break
        columns.remove(column)
    return columns


def _hidden_line(model_id: str, reason: str, widest: int, width: int, paint: Callable[[str, str], str]) -> str:
    line = f"{_padded(model_id, widest)}{_GAP}{plain(reason)}"
    if _wide(line) > width:
        line = f"{model_id}\n{_GAP}{plain(reason)}"
    return "\n".join(paint(part, _DIM) for part in line.split("\n"))


def _placed(text: str, column: _Column, width: int) -> str:
    if _wide(text) > width:
        from rich.cells import set_cell_size  # it knows how wide a text is on a terminal

        text = f"{set_cell_size(text, width - 1).rstrip()}…"
    return f"{' ' * (width - _wide(text))}{text}" if column.number else _padded(text, width)


def _colour(column: _Column, cells: Mapping[_Column, str]) -> str:
    return _DIM if cells[column] == _UNKNOWN else column.colour


def _padded(text: str, width: int) -> str:
    return f"{text}{' ' * (width - _wide(text))}"


def _wide(text: str) -> int:
    """Return how many columns of a terminal a text takes."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len  # for 10,000 rows rich's own table takes 4.9 s of CPU, ours 0.13

    return cell_len(text)


def _unpainted(text: str, _: str) -> str:
    return text


def summary(listed: Sequence[Entry], discovery: Discovery, *, everything: bool, coloured: bool) -> str:
    """Return a last line for a terminal: how many models there are, and how to see the hidden ones."""
    models = sum(len(served.catalogue.models) for served in discovery.served)
    every = sum(len({row.model for row in served.remembered.answers.listed}) for served in discovery.served)
    line = f"{len(listed)} of {every} models"
    if models < every and not everything:
        hidden = every - models
        line += f"; {hidden} {'is' if hidden == 1 else 'are'} hidden from opencode: --all shows why"
    return f"{painted(line, _DIM) if coloured else line}\n"


def as_changes(before: Iterable[Entry], after: Sequence[Entry], providers: Iterable[str], *, coloured: bool) -> str:
    """Return a line for each model that is new, changed or gone, and their number at the end.

    ``providers`` are those of proxies that answered: what another one served before is not gone.
    """
    old = {entry.full_id: entry for entry in before if entry.section in set(providers)}
    new = {entry.full_id: entry for entry in after}
    paint = painted if coloured else _unpainted
    lines = [paint(f"+ {plain(name)}", _GREEN) for name in sorted(new.keys() - old.keys())]
    lines += [paint(f"- {plain(name)}", _RED) for name in sorted(old.keys() - new.keys())]
    for name in sorted(new.keys() & old.keys()):
        changes = _changes(old[name].model, new[name].model)
        if changes:
            lines.append(paint(f"~ {plain(name)}: {plain('; '.join(changes))}", _YELLOW))
    total = f"{len(new)} {'model' if len(new) == 1 else 'models'} for opencode"
    lines.append(total if lines else f"no changes: {total}")
    return "".join(f"{line}\n" for line in lines)


def _changes(old: Model | None, new: Model | None) -> list[str]:
    if old is None or new is None or old == new:
        return []
    pairs: list[tuple[str, str, str, object, object]] = []
    for title, shown, exact in _COMPARED:
        pairs.append((title, shown(old), shown(new), exact(old), exact(new)))
    return [
        f"{title} {before} → {after}" if before != after else f"{title} {exact_before} → {exact_after}"
        for title, before, after, exact_before, exact_after in pairs
        if exact_before != exact_after
    ]


# What refresh compares: the title, the value as shown, and the exact value for two that would look the same.
_COMPARED: tuple[tuple[str, Callable[[Model], str], Callable[[Model], object]], ...] = (
    ("name", _name, _name),
    ("context", _context, lambda model: model.limit and model.limit.context),
    ("output", _output, lambda model: model.limit and model.limit.output),
    ("price", _price, _price),
    (
        "price over 200K",
        lambda model: price(model.price_over_200k),
        lambda model: price(model.price_over_200k),
    ),
    ("modalities", _modalities, _modalities),
    ("tools", lambda model: "yes" if model.tool_call else "no", lambda model: model.tool_call),
    ("reasoning", _reasoning, lambda model: (model.reasoning, model.sure_efforts)),
    ("route", _route, _route),
)


def differences(old: JSON, new: JSON) -> list[str]:
    """Return a line for each place where two payloads differ: ``+`` only in the new, ``-`` only in the old, ``~``."""
    lines = list(_differences(old, new, ""))
    rest = len(lines) - _MOST_DIFFERENCES
    return [*lines[:_MOST_DIFFERENCES], f"and {rest} more"] if rest > 0 else lines


def _differences(old: JSON, new: JSON, place: str) -> Iterator[str]:
    if not isinstance(old, dict) or not isinstance(new, dict):
        if old != new:
            # Elsewhere, in a file that is not ours, the value may be a key.
            values = f": {json.dumps(old)} → {json.dumps(new)}" if ".models." in place else ""
            yield f"~ {place}{values}"
        return
    for name in sorted(old.keys() | new.keys()):
        path = f"{place}.{name}" if place else name
        if name not in old or name not in new:
            yield f"{'+' if name in new else '-'} {path}"
        else:
            yield from _differences(old[name], new[name], path)


def tokens(count: int) -> str:
    """Return a number of tokens in short: ``200K``, ``8.2K``, ``1M``."""
    for unit, letter in ((1_000_000, "M"), (1_000, "K")):
        if count >= unit - unit // 2000:  # what would be rounded up to 1000K is 1M
            digits = 1 if count < 10 * unit else 0
            return f"{count / unit:.{digits}f}".removesuffix(".0") + letter
    return str(count)


def price(amounts: Price | None) -> str:
    """Return the prices of input and output, in USD per million tokens: ``$3 / $15``, ``free``, ``-``."""
    if amounts is None:
        return _UNKNOWN
    if not amounts.input and not amounts.output:
        return "free"
    return f"{_dollars(amounts.input)} / {_dollars(amounts.output)}"


def _dollars(amount: float) -> str:
    text = _amount(amount)
    return f"${amount:.2f}" if text[-2:-1] == "." else f"${text}"


def _amount(amount: float) -> str:
    return f"{amount:.8f}".rstrip("0").rstrip(".")


def _row(provider: str, model: Model) -> dict[str, object]:
    return {
        "provider": provider,
        "id": model.id,
        "name": model.name,
        "owner": model.owner,
        "route": model.route,
        "limit": _limit(model.limit),
        "cost": _cost(model.price),
        "cost_over_200k": _cost(model.price_over_200k),
        "modalities": {"input": model.inputs, "output": model.outputs},
        "tool_call": model.tool_call,
        "reasoning": model.reasoning,
        "reasoning_efforts": None if model.efforts is None else by_strength(model.efforts),
    }


def _reason(reason: Reason | None) -> dict[str, str] | None:
    return None if reason is None else {"rule": reason.rule.value, "detail": reason.detail}


def _limit(limit: Limit | None) -> dict[str, int] | None:
    return None if limit is None else {"context": limit.context, "output": limit.output}


def _cost(price: Price | None) -> dict[str, float] | None:
    return None if price is None else price.amounts
