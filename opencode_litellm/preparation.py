"""A full discovery on behalf of a launch or ``env``: what is handed to opencode, and what is kept for next time."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from opencode_litellm import cache, discovery, record, rendering, variables
from opencode_litellm.discovery import Patience
from opencode_litellm.errors import KeyRefused
from opencode_litellm.litellm import answers, trust
from opencode_litellm.opencode import configuration, delivery, layers
from opencode_litellm.record import FILE, HEAD, INLINE, Record, Source
from opencode_litellm.settings import sections

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opencode_litellm.discovery import Discovery
    from opencode_litellm.litellm.client import Answers
    from opencode_litellm.opencode.configuration import Configuration
    from opencode_litellm.opencode.delivery import Changes
    from opencode_litellm.opencode.payload import Payload
    from opencode_litellm.proxies import Proxy, ProxyURL
    from opencode_litellm.settings.sections import Settings

DETACHED_PATIENCE = 60.0  # seconds that a detached refresh may take; nobody waits for it

_ROOM = 1.2  # seconds of a launch's time that are left for what comes after the details, also on a busy machine


@dataclass(frozen=True)
class Handover:
    """The changes to opencode's environment (None: the payload cannot be delivered), how, and what to say of it.

    ``payload`` and ``head`` name the files in the cache that hold it, as in :class:`opencode_litellm.record.Record`.
    """

    changes: Changes | None
    mode: str
    payload: str
    head: str = ""
    notes: tuple[str, ...] = ()


def prepare(environment: Mapping[str, str], folder: str, key: str, began: float) -> Handover:
    """Discover for a launch and keep what came of it under ``key``.

    ``began`` is when the launch did (``time.monotonic``). Raises Failure when no proxy serves anything.
    """
    seconds = sections.timeout(environment)
    deadline = began + seconds
    patience = Patience(deadline, deadline - min(_ROOM, seconds / 2), economical=True)
    return _discovered(environment, folder, key, patience)[1]


def refresh(environment: Mapping[str, str], folder: str, key: str) -> None:
    """Do, detached, what a launch did not wait for."""
    deadline = time.monotonic() + DETACHED_PATIENCE
    try:
        _discovered(environment, folder, key, Patience(deadline, deadline))
    finally:
        cache.sweep(environment)


def renew(environment: Mapping[str, str], folder: str) -> Discovery:
    """Discover now, while somebody waits, and keep what came of it for the launches from ``folder``."""
    key = record.fingerprint(environment, folder)
    found, _ = _discovered(environment, folder, key, Patience.of(sections.timeout(environment)))
    cache.sweep(environment)
    return found


def hand_over(payload: Payload, chosen: Settings, environment: Mapping[str, str], *, launch: bool) -> Handover:
    """Return how a payload gets to opencode: for a ``launch`` from this folder, or for any folder that comes later.

    A file stands below the project's configuration, so it is enough only where that was read.
    """
    above = not launch or any(proxy.beats_project for proxy in chosen.proxies)
    users_file = delivery.users_file(environment) is not None
    in_file = chosen.delivery == "file" or (chosen.delivery != "inline" and not above)
    below = in_file and not above and not users_file
    text = rendering.payload(payload.below_project if below else payload)
    # The same payload has the same file, and another one another: what was handed out stays as it was.
    name = f"payload-{cache.digest([text])}.json"
    file = _kept(environment, name, text) if in_file and not users_file else None
    notes: tuple[str, ...] = ()
    if file is None:
        try:
            changes = delivery.inline(text, environment, launch=launch)
        except delivery.Unfit as unfit:
            why = f"{variables.CONFIG_CONTENT} cannot hold {payload.model_count} models: {unfit}"
            remedy = unfit.remedy or "unset it, or choose fewer with includeModels"
        else:
            if launch:
                _kept(environment, name, text)
            return Handover(changes, INLINE, name)
        if users_file:
            return _undelivered(f"{why}, and {variables.CONFIG} is yours: {remedy}")
        file = _kept(environment, name, text) or _temporary(name, text)
        if file is None:
            return _undelivered(f"{why}, and no file can be written: set XDG_CACHE_HOME to a folder that is yours")
        notes = (f"{why}; they are delivered by the file {file}",)
    changes = delivery.by_file(file, environment)
    if not above:
        return Handover(changes, FILE, name, notes=notes)
    # What must beat a project's configuration, an address and its key, goes above it all the same.
    head = rendering.payload(payload.head)
    head_name = f"head-{cache.digest([head])}.json"
    try:
        above_all = delivery.inline(head, environment, launch=launch)
    except delivery.Unfit as unfit:
        remedy = f": {unfit.remedy}" if unfit.remedy else ""
        return _undelivered(f"{variables.CONFIG_CONTENT} cannot hold what belongs there: {unfit}{remedy}")
    changes = {**changes, **above_all, variables.CONFIG: file, variables.NO_KEY: "none"}
    _kept(environment, head_name, head)
    return Handover(changes, HEAD, name, head_name, notes=notes)


def _undelivered(why: str) -> Handover:
    return Handover(None, INLINE, "", notes=(why,))


def carried(found: Discovery) -> dict[str, str]:
    """Return the variables for literal secret headers: they reach opencode in its environment and nowhere else."""
    headers = [header for served in found.served for header in served.proxy.headers]
    return {header.variable: delivery.in_text(header.value) for header in headers if header.variable}


def _discovered(
    environment: Mapping[str, str], folder: str, key: str, patience: Patience
) -> tuple[Discovery, Handover]:
    user = configuration.read(environment, folder)
    chosen = sections.parse(environment, user)
    try:
        found = discovery.discover(chosen, environment, patience)
    except KeyRefused:
        record.withdraw(environment, key)
        raise
    handover = hand_over(found.payload, chosen, environment, launch=True)
    if handover.changes is not None:
        new = Record(
            refreshed=min(served.remembered.informed for served in found.served),
            confirmed=min(served.remembered.heard for served in found.served),
            mode=handover.mode,
            payload=handover.payload,
            head=handover.head,
            sources=_sources(found, chosen, environment),
            variables=_variables(found),
            watched_files=_watched(user, environment, folder),
            watched_variables=sorted(user.environment_names | chosen.variables),
        )
        record.save(environment, key, new)
        handover.changes.update(carried(found))
    stale = tuple(f"{served.stale}; its models of the last answer are shown" for served in found.served if served.stale)
    notes = (*chosen.warnings, *(str(failure) for failure in found.failures), *stale, *handover.notes)
    return found, replace(handover, notes=notes)


def _kept(environment: Mapping[str, str], name: str, text: str) -> str | None:
    """Return the path of a file in the cache that holds ``text``, None when none can be kept."""
    if cache.read(environment, name) == text.encode():
        cache.use(environment, name)
        return cache.path(environment, name)
    return cache.write(environment, name, text.encode())


def _variables(found: Discovery) -> dict[str, tuple[str, str, str]]:
    return {
        header.variable: (served.proxy.provider, header.option, header.name)
        for served in found.served
        for header in served.proxy.headers
        if header.variable
    }


def _watched(user: Configuration, environment: Mapping[str, str], folder: str) -> list[str]:
    """Return what names models or holds keys beside the configuration's own files, and where more may appear."""
    parents = [os.path.dirname(path) for path in user.markdown_files]
    places = [
        os.path.join(folder, base, name)
        for base in layers.folders(environment, folder)
        for name in configuration.MARKDOWN_FOLDERS
    ]
    return sorted({*user.referenced_files, *user.markdown_files, *parents, *places})


def _sources(found: Discovery, chosen: Settings, environment: Mapping[str, str]) -> list[Source]:
    """Return what the next launch asks: also who failed this time, because it may be back."""
    served = {each.proxy.provider: each.remembered.answers for each in found.served}
    sources = []
    for asked in chosen.proxies:
        known = served.get(asked.provider)
        if known is not None:
            sources.append(_source(asked, known.url, known, environment))
        elif asked.url is not None:
            old = answers.recall(environment, asked)
            useless = old.answers if old and not discovery.shown(asked, old) else None
            sources.append(_source(asked, asked.url, useless, environment, served=False))
    return sources


def _source(
    asked: Proxy, url: ProxyURL, known: Answers | None, environment: Mapping[str, str], *, served: bool = True
) -> Source:
    parts = urlsplit(url.root)
    tls = parts.scheme == "https"
    return Source(
        provider=asked.provider,
        tls=tls,
        host=url.host,
        port=parts.port or (443 if tls else 80),
        prefix=parts.path,
        loopback=url.is_loopback,
        identify=asked.detected,
        took=known.took if known else 0.0,
        via="" if url.is_loopback else trust.http_proxy_variable(url.root, environment),
        found_in=asked.key.found_in,
        headers={header.name: header.option for header in asked.headers},
        served=served,
        body=known.body if known else b"",
    )


def _temporary(name: str, text: str) -> str | None:
    """Write a file where no cache is: mode 0600, in the system's folder for such files, the same one every time.

    None when that cannot be written either.
    """
    import tempfile  # 10 ms, where there is no cache

    try:
        path = os.path.join(tempfile.gettempdir(), f"{delivery.TEMPORARY}{name}")
        descriptor, written = tempfile.mkstemp(prefix=delivery.TEMPORARY, suffix=".json")
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError:
        return None
    try:
        os.replace(written, path)
    except OSError:
        return written  # somebody else's is there
    return path
