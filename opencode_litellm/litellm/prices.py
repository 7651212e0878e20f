"""What a model costs: every rule about prices, from LiteLLM's fields to USD per million tokens.

Pure. A new price is a field of :class:`Price`, two of :class:`Prices` and LiteLLM's name in ``_FIELDS``, each in the
same place.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# LiteLLM 1.106: each also with _above_200k_tokens, for prompts beyond that.
_FIELDS = (
    "input_cost_per_token", "output_cost_per_token", "cache_read_input_token_cost", "cache_creation_input_token_cost",
)  # fmt: skip
_TIERED_FIELDS = tuple(f"{name}_above_200k_tokens" for name in _FIELDS)
_DEAREST = 1.0  # USD per token; anything above is a mistake in somebody's price table


@dataclass(frozen=True)
class Price:
    """USD per million tokens."""

    input: float
    output: float
    cache_read: float | None = None
    cache_write: float | None = None

    @property
    def amounts(self) -> dict[str, float]:
        """The prices that are known, by the names that opencode gives them."""
        return {name: amount for name, amount in vars(self).items() if amount is not None}


class Prices(NamedTuple):
    """All that a row says of prices, in USD per million tokens; None where it says nothing."""

    input: float | None = None
    output: float | None = None
    cache_read: float | None = None
    cache_write: float | None = None
    input_over_200k: float | None = None
    output_over_200k: float | None = None
    cache_read_over_200k: float | None = None
    cache_write_over_200k: float | None = None

    @property
    def price(self) -> Price | None:
        """The price of prompts up to 200,000 tokens; None unless both input and output have one."""
        return _whole(self[: len(_FIELDS)])

    @property
    def price_over_200k(self) -> Price | None:
        """The price of longer prompts, never below the other: that may be the user's, or of another deployment."""
        pairs = zip(self[: len(_FIELDS)], self[len(_FIELDS) :], strict=True)
        return _whole([None if tier is None else max(tier, amount or 0) for amount, tier in pairs])


UNKNOWN = Prices()


def parse(row: Mapping[str, Any]) -> Prices:
    """Return the prices in a row of LiteLLM's; one that is missing or makes no sense is None."""
    amounts = [_per_million(row.get(name)) for name in (*_FIELDS, *_TIERED_FIELDS)]
    return UNKNOWN if amounts.count(None) == len(amounts) else Prices(*amounts)


def highest(rows: Sequence[Prices]) -> Prices:
    """Return the highest of each price: what somebody pays at most, whichever deployment answers."""
    return Prices(*(max((amount for amount in column if amount is not None), default=None) for column in zip(*rows)))  # noqa: B905


def first_known(rows: Sequence[Prices]) -> Prices:
    """Return each price from the first of ``rows`` that knows it."""
    known = [row for row in rows if row is not UNKNOWN]
    if len(known) < 2:
        return known[0] if known else UNKNOWN
    return Prices(*(next((amount for amount in column if amount is not None), None) for column in zip(*known)))  # noqa: B905


def number(value: object) -> float | None:
    """Return a finite number, also from a string, as people write them into LiteLLM's YAML."""
    if value is None or isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        amount = float(value)
    except (ValueError, OverflowError):
        return None
    return amount if math.isfinite(amount) else None


def _per_million(per_token: object) -> float | None:
    amount = number(per_token)
    return round(amount * 1e6, 8) if amount is not None and 0 <= amount <= _DEAREST else None


def _whole(amounts: Sequence[float | None]) -> Price | None:
    taken, given, *others = amounts
    return None if taken is None or given is None else Price(taken, given, *others)
