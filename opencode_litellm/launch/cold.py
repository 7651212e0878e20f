"""A full discovery on behalf of a launch or ``env``: what is handed to opencode, and what is kept for next time."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from opencode_litellm import cache, discovery
from opencode_litellm.discovery import Patience
from opencode_litellm.errors import KeyRefused
from opencode_litellm.launch import record
from opencode_litellm.launch.handover import Handover, carried, hand_over
from opencode_litellm.launch.record import Record, Source
from opencode_litellm.litellm import answers, trust
from opencode_litellm.opencode import configuration, layers
from opencode_litellm.settings import sections

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opencode_litellm.discovery import Discovery
    from opencode_litellm.litellm.client import Answers
    from opencode_litellm.opencode.configuration import Configuration
    from opencode_litellm.proxies import Proxy, ProxyURL
    from opencode_litellm.settings.sections import Settings

DETACHED_PATIENCE = 60.0  # seconds that a detached refresh may take; nobody waits for it

_ROOM = 1.2  # seconds of a launch's time that are left for what comes after the details, also on a busy machine


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


