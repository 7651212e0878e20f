"""How many random cases tests draw: in CI as many as we promise, by hand enough to notice most faults."""

from __future__ import annotations

import os


def draws(variable: str, *, in_ci: int, by_hand: int) -> int:
    """Return how many cases a test draws: the value of ``variable``, if it is set."""
    return int(os.environ.get(variable) or (in_ci if os.environ.get("CI") == "true" else by_hand))
