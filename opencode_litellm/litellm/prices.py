"""What a model costs: every rule about prices, from LiteLLM's fields to USD per million tokens.

Pure. A new price is a field of :class:`Price` and a row of ``_FIELDS``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# opencode's name of each price, and LiteLLM's. LiteLLM 1.106: each also with _above_200k_tokens, for prompts beyond
# that.
_FIELDS: Mapping[str, str] = {
    "input": "input_cost_per_token",
    "output": "output_cost_per_token",
    "cache_read": "cache_read_input_token_cost",
    "cache_write": "cache_creation_input_token_cost",
}
_COLUMNS = (*_FIELDS.values(), *(f"{name}_above_200k_tokens" for name in _FIELDS.values()))
_HIGHEST = 1.0  # USD per token; anything above is a mistake in somebody's price table


@dataclass(frozen=True)
class Price:
    """Prices in USD per million tokens."""

    input: float
    output: float
    cache_read: float | None = None
    cache_write: float | None = None

    @property
    def amounts(self) -> dict[str, float]:
        """The prices that are known, by the names that opencode gives them."""
        return {name: amount for name, amount in vars(self).items() if amount is not None}


class Prices(tuple[float | None, ...]):
    """All that a row says about prices, in the order of ``_COLUMNS``: USD per million tokens, or None."""

    __slots__ = ()

    @property
    def price(self) -> Price | None:
        """The price of prompts up to 200,000 tokens; None unless both input and output have one."""
        return _whole(self[: len(_FIELDS)])

    @property
    def price_over_200k(self) -> Price | None:
        """The price of longer prompts, never below ``price``, which may be the user's or another deployment's."""
        pairs = zip(self[: len(_FIELDS)], self[len(_FIELDS) :], strict=True)
        return _whole([None if tier is None else max(tier, amount or 0) for amount, tier in pairs])


UNKNOWN = Prices([None] * len(_COLUMNS))


def parse(row: Mapping[str, Any]) -> Prices:
    """Return the prices in a row of LiteLLM's; a price that is missing or makes no sense is None."""
    amounts = Prices(_per_million(row.get(name)) for name in _COLUMNS)
    return UNKNOWN if amounts == UNKNOWN else amounts


def from_list(amounts: Sequence[float | None]) -> Prices:
    """Return prices from a list in the cache; ValueError for a list of another length."""
    if len(amounts) != len(UNKNOWN):
        raise ValueError(len(amounts))
    return Prices(amounts)


def highest(rows: Sequence[Prices]) -> Prices:
    """Return the highest of each price: the most that anybody pays, whichever deployment answers."""
    return Prices(max((amount for amount in column if amount is not None), default=None) for column in zip(*rows))  # noqa: B905


def first_known(rows: Sequence[Prices]) -> Prices:
    """Return each price from the first of ``rows`` that knows it."""
    known = [row for row in rows if row is not UNKNOWN]
    if len(known) < 2:
        return known[0] if known else UNKNOWN
    return Prices(next((amount for amount in column if amount is not None), None) for column in zip(*known))  # noqa: B905


def number(value: object) -> float | None:
    """Return a finite number, None for anything else. Strings count, because people write them in LiteLLM's YAML."""
    if value is None or isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        amount = float(value)
    except (ValueError, OverflowError):
        return None
    return amount if math.isfinite(amount) else None


def _per_million(per_token: object) -> float | None:
    amount = number(per_token)
    return round(amount * 1e6, 8) if amount is not None and 0 <= amount <= _HIGHEST else None


def _whole(amounts: Sequence[float | None]) -> Price | None:
    known = {name: amount for name, amount in zip(_FIELDS, amounts, strict=True) if amount is not None}
    return Price(**known) if {"input", "output"} <= known.keys() else None
