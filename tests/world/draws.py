"""How much the tests that draw at random draw: in CI all that is promised, by hand enough to notice most faults."""

from __future__ import annotations

import os


def draws(variable: str, *, in_ci: int, by_hand: int) -> int:
    """Return how many cases a test draws: what ``variable`` says, if it is set."""
    return int(os.environ.get(variable) or (in_ci if os.environ.get("CI") == "true" else by_hand))
