"""Which of the available models the user wants to start with."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from opencode_litellm.models.routing import matches

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from opencode_litellm.proxies import Wish


class Name(NamedTuple):
    """opencode's name for a model: ``provider`` is the one that has it, ``section`` the one whose options count."""

    section: str
    provider: str
    model: str

    def __str__(self) -> str:
        return f"{self.provider}/{self.model}"


def first_match(wishes: Iterable[Wish], names: Sequence[Name]) -> Name | None:
    """Return the first of ``names`` that matches the first wish that can be granted; None if none can."""
    for wish in wishes:
        meant = [name for name in names if wish.provider in ("", name.section)]
        # An id may have a slash itself, so it is compared before PROVIDER/ID.
        for spelling in (lambda name: name.model, str):
            for name in meant:
                if matches(spelling(name), [wish.pattern]):
                    return name
    return None


def no_match(wishes: Sequence[Wish], names: Sequence[str]) -> str:
    """Return a sentence about wishes none of which can be granted, with the nearest of ``names`` (PROVIDER/ID)."""
    import difflib  # 10 ms, only after a typing error

    patterns = [wish.pattern for wish in wishes]
    ids = {name.partition("/")[2]: name for name in reversed(names)}
    near = [
        model
        for pattern in patterns
        for model in difflib.get_close_matches(pattern.strip("*").rpartition("/")[2], ids, n=3, cutoff=0.3)
    ]
    nearest = ", ".join(list(dict.fromkeys(near))[:3])
    hint = f"the closest ids are {nearest}" if nearest else "run opencode-litellm models to see the ids"
    return f"{wishes[0].source} matches no available model ({', '.join(patterns)}): {hint}"
