"""A full discovery on behalf of a launch or ``env``: what is handed to opencode, and what is kept for next time.

Launches at once share one discovery: the first asks, the others wait for its record, none longer than alone.
"""

from __future__ import annotations

import os
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from . import cache, configuration, delivery, discovery, layers, record, rendering, settings
from .discovery import Patience
from .errors import KeyRefused
from .record import FILE, HEAD, INLINE, Record, Source

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from .configuration import Configuration
    from .delivery import Changes
    from .discovery import Discovery, Served
    from .payload import Payload
    from .settings import Settings

DETACHED_PATIENCE = 60.0  # seconds that a detached refresh may take; nobody waits for it


@dataclass(frozen=True)
class Handover:
    """The changes to opencode's environment (None: the payload cannot be delivered), how, and what to say of it."""

    changes: Changes | None
    mode: str
    notes: tuple[str, ...] = ()


def prepare(environment: Mapping[str, str], folder: str, key: str) -> Handover | None:
    """Discover for a launch and keep what came of it under ``key``.

    None when another launch was faster: its record is there. Raises Failure when no proxy serves anything.
    """
    seconds = settings.timeout(environment)
    began = time.time()
    whole = Patience.of(seconds)
    patience = Patience(whole.deadline, whole.info_deadline, economical=True)
    with _alone(environment, f"{key}.lock", seconds):
        kept = record.load(environment, key)
        if kept is not None and kept.confirmed >= began:
            return None
        return _discovered(environment, folder, key, patience)[1]


def refresh(environment: Mapping[str, str], folder: str, key: str) -> None:
    """Do, detached, what a launch did not wait for; at once nothing when another process is at it."""
    with _alone(environment, f"{key}.refresh.lock", 0) as alone:
        if alone:
            deadline = time.monotonic() + DETACHED_PATIENCE
            _discovered(environment, folder, key, Patience(deadline, deadline))
    cache.sweep(environment)


def renew(environment: Mapping[str, str], folder: str) -> Discovery:
    """Discover now, while somebody waits, and keep what came of it for the launches from ``folder``."""
    key = record.fingerprint(environment, folder)
    found, _ = _discovered(environment, folder, key, Patience.of(settings.timeout(environment)))
    cache.sweep(environment)
    return found


def hand_over(wanted: str, payload: Payload, name: str, environment: Mapping[str, str]) -> Handover:
    """Return how a payload gets to opencode, ``wanted`` (FILE or INLINE) if that is possible.

    Its file, where one is needed, gets ``name`` in the cache.
    """
    text = rendering.payload(payload)
    if wanted == FILE:
        written = cache.write(environment, name, text.encode())
        if written is not None:
            return Handover(delivery.by_file(written, environment), FILE)
    changes = delivery.inline(text, environment)
    if changes is not None:
        return Handover(changes, INLINE)
    why = f"{payload.model_count} models do not fit into {delivery.INLINE} here"
    if delivery.users_file(environment) is not None:
        note = f"{why}, and {delivery.FILE} is yours: unset it, or choose fewer models with includeModels"
        return Handover(None, INLINE, notes=(note,))
    written = cache.write(environment, name, text.encode()) or _temporary(text)
    changes = delivery.by_file(written, environment)
    # What must beat a project's configuration, an address and its key, still goes above it.
    head = rendering.payload(payload.head)
    above = delivery.inline(head, environment)
    note = f"{why}: they are delivered by the file {written}"
    if above is None:
        return Handover(changes, FILE, notes=(note,))
    cache.write(environment, record.head_name_of(name), head.encode())
    return Handover({**changes, **above, delivery.FILE: written}, HEAD, notes=(note,))


def lasting_name(payload: Payload) -> str:
    """Return a file name for what ``env`` hands out: the same payload has the same, another payload another."""
    return f"payload-{cache.digest([rendering.payload(payload)])}.json"


def wanted_by_launch(chosen: Settings, environment: Mapping[str, str]) -> str:
    """Return FILE or INLINE, as ``--delivery`` says or as the user's own configuration leaves room."""
    if chosen.delivery == "inline" or delivery.users_file(environment) is not None:
        return INLINE
    if chosen.delivery == "file":
        return FILE
    return INLINE if any(proxy.beats_project for proxy in chosen.proxies) else FILE


def carried(found: Discovery) -> dict[str, str]:
    """Return the variables for literal secret headers: they reach opencode in its environment and nowhere else."""
    headers = [header for served in found.served for header in served.proxy.headers]
    return {header.variable: header.value for header in headers if header.variable}


def _discovered(
    environment: Mapping[str, str], folder: str, key: str, patience: Patience
) -> tuple[Discovery, Handover]:
    user = configuration.read(environment, folder)
    chosen = settings.parse(environment, user)
    try:
        found = discovery.discover(chosen, environment, patience)
    except KeyRefused:
        record.withdraw(environment, key)
        raise
    handover = hand_over(wanted_by_launch(chosen, environment), found.payload, record.payload_name(key), environment)
    if handover.mode == INLINE:
        cache.write(environment, record.payload_name(key), rendering.payload(found.payload).encode())
    if handover.changes is not None:
        record.save(environment, key, _record(found, user, handover.mode, environment, folder))
        handover.changes.update(carried(found))
    stale = tuple(f"{served.stale}; its models of the last answer are shown" for served in found.served if served.stale)
    notes = (*chosen.warnings, *(str(failure) for failure in found.failures), *stale, *handover.notes)
    return found, replace(handover, notes=notes)


def _record(
    found: Discovery, user: Configuration, mode: str, environment: Mapping[str, str], folder: str
) -> Record:
    return Record(
        refreshed=min(served.remembered.informed for served in found.served),
        mode=mode,
        sources=[_source(served) for served in found.served],
        variables={
            header.variable: (served.proxy.provider, header.option, header.name)
            for served in found.served
            for header in served.proxy.headers
            if header.variable
        },
        watched_files=_watched(user, environment, folder),
        watched_variables=sorted(user.environment_names),
    )


def _watched(user: Configuration, environment: Mapping[str, str], folder: str) -> list[str]:
    """Return what names models or holds keys beside the configuration's own files, and where more may appear."""
    parents = [os.path.dirname(path) for path in user.markdown_files]
    places = [
        os.path.join(folder, base, name)
        for base in layers.folders(environment, folder)
        for name in configuration.MARKDOWN_FOLDERS
    ]
    return sorted({*user.referenced_files, *user.markdown_files, *parents, *places})


def _source(served: Served) -> Source:
    proxy, known = served.proxy, served.remembered.answers
    parts = urlsplit(known.url.root)
    tls = parts.scheme == "https"
    return Source(
        provider=proxy.provider,
        tls=tls,
        host=known.url.host,
        port=parts.port or (443 if tls else 80),
        prefix=parts.path,
        loopback=known.url.is_loopback,
        identify=proxy.detected,
        took=known.took,
        found_in=proxy.key.found_in,
        headers={header.name: header.option for header in proxy.headers},
        body=known.body,
    )


def _temporary(text: str) -> str:
    """Write a file where no cache is, for this one launch: mode 0600, in the system's folder for such files."""
    descriptor, path = tempfile.mkstemp(prefix="opencode-litellm-", suffix=".json")
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(text)
    return path


@contextmanager
def _alone(environment: Mapping[str, str], name: str, seconds: float) -> Iterator[bool]:
    """Hold a lock that ends with the process, and tell whether we have it: after ``seconds`` we go on without."""
    from filelock import FileLock, Timeout  # 35 ms that only a discovery pays

    lock = FileLock(cache.path(environment, name), mode=0o600)
    alone = False
    try:
        if cache.make_folder(environment):
            lock.acquire(timeout=seconds)
            alone = True
    except (Timeout, OSError):
        alone = False
    try:
        yield alone
    finally:
        if alone:
            lock.release()
