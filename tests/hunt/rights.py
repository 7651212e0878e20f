"""Who may get which secret: design's 'To whom a key is sent', written down without a look at how it is done."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from .cases import (
    COMPANY,
    DETECTED,
    ENVIRONMENT_KEY,
    FOLDERS,
    INLINE,
    LAYERS,
    OPENAI,
    PROVIDERS,
    SIBLING,
    STORED,
    VENDOR,
    Case,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

Right = tuple[str, str]  # who, and the text of the secret


@dataclass(frozen=True)
class Meaning:
    """A provider as a folder's layers add up: where it is, and which secrets it has.

    ``rank`` is that of the layer that names the address, -1 for none. ``key`` is the text of its own key, which is
    named in ``env`` if it is ``by_env``. ``headers`` are those that opencode sends by itself, ``custom`` those that
    only we know, each with the rank of its layer.
    """

    address: str | None
    rank: int
    key: str | None
    by_env: bool
    headers: tuple[tuple[str, int], ...]
    custom: tuple[tuple[str, int], ...]
    responses: bool


def meaning(case: Case, folder: str, provider: str) -> Meaning | None:
    """Return what a folder's configuration says of a provider; None when it says nothing."""
    said = [
        (LAYERS.index(layer), sections[provider]) for layer, sections in case.layers(folder) if provider in sections
    ]
    if not said:
        return None
    # A baseURL beats an api, wherever either stands.
    named = [(rank, one) for rank, one in said if one.address and not one.api] or [
        (rank, one) for rank, one in said if one.address
    ]
    rank, address = (named[-1][0], named[-1][1].address) if named else (-1, None)
    keyed = [one for _, one in said if one.key in ("literal", "reference")] or [
        one for _, one in said if one.key == "env"
    ]
    return Meaning(
        address=address,
        rank=rank,
        key=keyed[-1].secret("key") if keyed else None,
        by_env=bool(keyed) and keyed[-1].key == "env",
        headers=tuple((one.secret("headers"), at) for at, one in said if one.headers),
        custom=tuple((one.secret("custom"), at) for at, one in said if one.custom),
        responses=any(one.responses for _, one in said),
    )


def of_opencode(case: Case, folder: str, *, alone: bool) -> Iterator[Right]:
    """Yield what plain opencode would send from a folder: that is the user's own doing.

    ``alone``: it has no delivery of ours, so what goes through an HTTP proxy is the user's own doing, too.
    """
    if folder in case.outputs:  # `config --output` was run outside of any project, without inline content
        before = replace(case, files={place: said for place, said in case.files.items() if place[0] != INLINE})
        for where, secret in of_ours(before, FOLDERS[2], case.outputs[folder], identified=False):
            yield where, secret
            if alone:
                yield COMPANY, secret
    for provider in (*PROVIDERS, SIBLING):
        said = meaning(case, folder, provider)
        where = said and (said.address or (VENDOR if said.responses else None))
        if said is None or where is None:
            continue
        # A provider that is none of ours goes the way that the user's variables say.
        ways = {where, COMPANY} if alone or provider == SIBLING else {where}
        for way in ways:
            yield from ((way, secret) for secret in _of_section(case, provider, said))
        # A launch there would send this one: it is for every address that the user names without a key. One in `env`
        # counts for nothing beside a stored one, which opencode would send in its place.
        is_stored = provider in case.stored
        own = (said.key and not (said.by_env and is_stored)) or (provider == SIBLING and is_stored)
        if ENVIRONMENT_KEY in case.variables and where != VENDOR and not own:
            yield where, case.variables[ENVIRONMENT_KEY]


def _of_section(case: Case, provider: str, said: Meaning) -> Iterator[str]:
    if said.key:
        yield said.key
    if provider in case.stored:
        yield stored(provider)
    if said.responses:
        yield case.variables[OPENAI]
    yield from (secret for secret, _ in said.headers)


def of_ours(  # noqa: C901 - the rules, one after the other
    case: Case, folder: str, url: str | None, *, identified: bool
) -> Iterator[Right]:
    """Yield what a command of ours from a folder may send, or have sent; ``identified``: LiteLLM is on port 4000."""
    for provider in PROVIDERS:
        said = meaning(case, folder, provider)
        if said is None and provider != PROVIDERS[0]:
            continue
        own = said.address if said else None
        where = url or own or case.named or (DETECTED if identified else None)
        if where is None:
            continue
        if ENVIRONMENT_KEY in case.variables:
            yield where, case.variables[ENVIRONMENT_KEY]
        if provider in case.stored and not (url and own not in (None, url)):
            yield where, stored(provider)
        if said is None or (own is None and where != DETECTED) or (own is not None and where != own):
            continue  # an address from elsewhere gets nothing that stands in a section
        if said.key:
            yield where, said.key
        for secret, rank in (*said.headers, *said.custom):
            if rank >= said.rank:
                yield where, secret
        if provider == PROVIDERS[0]:
            yield from _of_sibling(case, folder, where, said.rank)


def _of_sibling(case: Case, folder: str, where: str, rank: int) -> Iterator[Right]:
    """Yield the secrets of a sibling, which is where its parent is when it has no address of its own."""
    said = meaning(case, folder, SIBLING)
    if said is None or said.address not in (None, where):
        return
    if said.key:
        yield where, said.key
    if SIBLING in case.stored:
        yield where, stored(SIBLING)
    yield from ((where, secret) for secret, at in said.headers if at >= rank)


def beyond_us(case: Case, left: set[str], folder: str) -> Iterator[Right]:
    """Yield what opencode's merge makes of a folder and of what an ``env`` elsewhere ``left``: the addresses there.

    Headers that opencode sends by itself go wherever the merged address is, and so does the key of a section that has
    no address of its own. docs/security.md says so.
    """
    if folder in case.outputs:  # an output has headers in `headers`, as opencode sends them
        outside = [meaning(case, FOLDERS[2], provider) for provider in PROVIDERS]
        yield from ((where, secret) for said in outside if said for secret, _ in said.custom for where in left)
    for provider in (*PROVIDERS, SIBLING):
        said = meaning(case, folder, provider)
        if said is None:
            continue
        for where in left:
            yield from ((where, secret) for secret, _ in said.headers)
            if said.address is None and said.key:
                yield where, said.key


def stored(provider: str) -> str:
    """Return the key that auth.json has for a provider."""
    return f"sk-{STORED}-{provider}-9f3"


def secrets(case: Case) -> set[str]:
    """Return every secret of a case."""
    found = {text for name, text in case.variables.items() if name in (OPENAI, ENVIRONMENT_KEY)}
    found |= {stored(provider) for provider in case.stored}
    for section in case.sections():
        found |= {section.secret(kind) for kind, _ in section.secrets()}
    return found
