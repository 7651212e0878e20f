"""How many of their cases tests try: in CI all that we promise, by hand enough to notice most faults."""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

IN_CI = os.environ.get("CI") == "true"


def draws(variable: str, *, in_ci: int, by_hand: int) -> int:
    """Return how many cases a test draws: the value of ``variable``, if it is set."""
    return int(os.environ.get(variable) or (in_ci if IN_CI else by_hand))


def cases(config: pytest.Config) -> str:
    """Return a number to draw a run's cases by, or ``all``: whoever names files or a word gets all that is named."""
    everything = config.args_source is config.ArgsSource.TESTPATHS and not config.option.keyword
    return str(random.randrange(10_000)) if everything and not IN_CI else "all"  # noqa: S311 - not for secrets


def left_out(items: list[pytest.Item]) -> list[pytest.Item]:
    """Return what a run leaves out of the cases, or tests, that are marked ``drawn``; the same in every worker.

    ``CASES`` is set: see `cases`.
    """
    if os.environ["CASES"] == "all":
        return []
    groups: dict[str, list[pytest.Item]] = {}
    numbers: dict[str, int] = {}
    for item in items:
        for mark in item.iter_markers("drawn"):
            group = mark.kwargs.get("of", item.nodeid.partition("[")[0])
            groups.setdefault(group, []).append(item)
            (numbers[group],) = mark.args
    left = []
    for group, members in groups.items():
        draw = random.Random(f"{os.environ['CASES']} {group}")  # noqa: S311 - not for secrets
        left += draw.sample(members, max(len(members) - numbers[group], 0))
    return left
