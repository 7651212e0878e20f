"""Which of the models that are there the user would like to start with."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from opencode_litellm.models.routing import matches

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from opencode_litellm.proxies import Wish


class Name(NamedTuple):
    """How opencode calls a model: ``provider`` is where it stands, ``section`` the provider whose options count."""

    section: str
    provider: str
    model: str

    def __str__(self) -> str:
        return f"{self.provider}/{self.model}"


def granted(wishes: Iterable[Wish], names: Sequence[Name]) -> Name | None:
    """Return the first of ``names`` that the first wish means which can be granted, None for none."""
    for wish in wishes:
        meant = [name for name in names if wish.provider in ("", name.section)]
        # An id may have a slash of its own, so it comes before PROVIDER/ID.
        for spelling in (lambda name: name.model, str):
            for name in meant:
                if matches(spelling(name), [wish.pattern]):
                    return name
    return None


def ungranted(wishes: Sequence[Wish], names: Sequence[str]) -> str:
    """Return a sentence on wishes of which none can be granted, with the nearest of ``names`` (PROVIDER/ID)."""
    import difflib  # 10 ms, where somebody mistyped

    patterns = [wish.pattern for wish in wishes]
    ids = {name.partition("/")[2]: name for name in reversed(names)}
    near = [
        model
        for pattern in patterns
        for model in difflib.get_close_matches(pattern.strip("*").rpartition("/")[2], ids, n=3, cutoff=0.3)
    ]
    nearest = ", ".join(list(dict.fromkeys(near))[:3])
    hint = f"the nearest ids are {nearest}" if nearest else "opencode-litellm models lists the ids"
    return f"{wishes[0].source} names no model that is there ({', '.join(patterns)}): {hint}"
