"""A full discovery for a launch or for ``refresh``: what is handed to opencode, and what is kept for next time."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from opencode_litellm import cache, log, terminal
from opencode_litellm.discovery import NothingUsable, Patience, discover
from opencode_litellm.errors import Failure, KeyRefused
from opencode_litellm.launch import record
from opencode_litellm.launch.handover import carried, hand_over
from opencode_litellm.launch.record import Record, RecordedProxy
from opencode_litellm.litellm import trust
from opencode_litellm.opencode import configuration as configurations
from opencode_litellm.opencode import delivery, layers, slot, versions
from opencode_litellm.settings import sections

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opencode_litellm.discovery import Discovery
    from opencode_litellm.litellm.client import Answers
    from opencode_litellm.opencode.configuration import Configuration
    from opencode_litellm.opencode.delivery import Changes
    from opencode_litellm.proxies import Proxy, ProxyURL
    from opencode_litellm.settings.sections import Settings

DETACHED_PATIENCE = 60.0  # seconds that a detached refresh may take; nobody waits for it

_RESERVE = 1.2  # seconds of a launch's time that are left for what comes after the details, also on a busy machine


@dataclass(frozen=True)
class Preparation:
    """What came of a discovery for a launch: the changes to opencode's environment, and what to say about it.

    ``summary`` is what the log keeps. ``complete`` is False when prices and limits did not come in time.
    """

    changes: Changes
    notes: tuple[str, ...]
    summary: str
    complete: bool


def prepare(
    environment: Mapping[str, str], folder: str, fingerprint: str, recipient: str, began: float
) -> Preparation:
    """Discover for a launch of ``recipient``, and keep a record of it under ``fingerprint``.

    ``began`` is when the launch did (``time.monotonic``). Raises Failure when no proxy serves anything, and when what
    they serve cannot be delivered.
    """
    seconds = sections.timeout(environment)
    deadline = began + seconds
    started = time.time() - max(time.monotonic() - began, _age_of_process())
    patience = Patience(deadline, deadline - min(_RESERVE, seconds / 2), economical=True, began=started)
    preparation = _prepared(environment, folder, fingerprint, recipient, patience)
    took = time.monotonic() - began
    log.tell(environment, log.LAUNCH, folder, f"asked for everything in {took:.2f} s: {preparation.summary}")
    return preparation


def _age_of_process() -> float:
    """Return the seconds since this process began, which is long ago where many begin at once; 0 where nobody says.

    Linux tells the tick of 10 ms in which it began. Its end counts: nothing from before the process may be younger.
    """
    try:
        with open("/proc/self/stat", encoding="ascii", errors="replace") as file:
            ticks = int(file.read().rpartition(")")[2].split()[19])
        began = (ticks + 1) / os.sysconf("SC_CLK_TCK")
        return max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - began)
    except (OSError, AttributeError, ValueError, IndexError):
        return 0.0


def refresh(environment: Mapping[str, str], folder: str, fingerprint: str, recipient: str) -> None:
    """Do, detached, what a launch did not wait for."""
    deadline = time.monotonic() + DETACHED_PATIENCE
    try:
        preparation = _prepared(environment, folder, fingerprint, recipient, Patience(deadline, deadline))
        log.tell(environment, log.REFRESH, folder, preparation.summary)
    finally:
        cache.sweep(environment)


def renew(
    environment: Mapping[str, str], folder: str, configuration: Configuration, settings: Settings, *, server: bool
) -> Discovery:
    """Discover now, while somebody waits, and keep a record for the launches of opencode 1 from ``folder``.

    ``configuration`` is that of ``folder``, and ``settings`` are read from it. With ``server``, opencode 2's server
    gets the models as well.
    """
    place = _Place(environment, folder, versions.ONE)
    patience = Patience.of(settings.timeout)
    discovery, _ = _recorded(place, record.fingerprint(environment, folder), configuration, settings, patience)
    if server and not slot.present(environment):
        _keep_slot(place, discovery, settings, patience)
    cache.sweep(environment)
    return discovery


@dataclass(frozen=True)
class _Place:
    """Where a launch happens, and of which opencode."""

    environment: Mapping[str, str]
    folder: str
    recipient: str

    def read(self) -> tuple[Configuration, Settings]:
        """Return the configuration that counts, and what it says."""
        project = self.recipient != versions.SERVER
        configuration = configurations.read(self.environment, self.folder, project=project)
        return configuration, sections.parse(self.environment, configuration)


def _prepared(
    environment: Mapping[str, str], folder: str, fingerprint: str, recipient: str, patience: Patience
) -> Preparation:
    place = _Place(environment, folder, recipient)
    configuration, settings = place.read()
    try:
        return _recorded(place, fingerprint, configuration, settings, patience)[1]
    except Failure:
        for warning in settings.warnings:  # which may say why
            terminal.note(warning, environment)
        raise


def _recorded(
    place: _Place, fingerprint: str, configuration: Configuration, settings: Settings, patience: Patience
) -> tuple[Discovery, Preparation]:
    environment, folder, recipient = place.environment, place.folder, place.recipient
    try:
        discovery = discover(settings, environment, patience)
    except KeyRefused:
        record.withdraw(environment, fingerprint)
        raise
    handover = hand_over(discovery, settings, environment, launch=True, recipient=recipient)
    shared = recipient == versions.SERVER
    if not shared and slot.present(environment):
        _keep_slot(place, discovery, settings, patience)
    refreshed = min(served.remembered.informed for served in discovery.served)
    new = Record(
        refreshed=refreshed,
        confirmed=min(served.remembered.heard for served in discovery.served),
        mode=handover.mode,
        payload_file=handover.payload_file,
        head_file=handover.head_file,
        proxies=_recorded_proxies(discovery, settings, environment),
        variables={} if shared else _variables(discovery),
        watched_files=_watched(configuration, environment, folder, project=not shared),
        watched_variables=sorted(configuration.environment_names | settings.variables),
        stamp="",
    )
    # Anew, because a file that was written on the way is one of those that count.
    fingerprint = record.fingerprint(environment, folder, recipient)
    spent = [str(served.spent) for served in discovery.served if served.spent]
    if spent:  # which the list does not tell, so the next launch asks all again
        record.withdraw(environment, fingerprint)
    else:
        record.save(environment, fingerprint, new)
    stale = [f"{served.stale}; its last known models are shown" for served in discovery.served if served.stale]
    failures = [str(failure) for failure in discovery.failures]
    trouble = (*failures, *spent, *stale)
    notes = (*settings.warnings, *trouble, *discovery.notes, *handover.notes)
    late = [] if refreshed > 0 else ["prices and limits were late"]
    models = discovery.payload.model_count
    summary = "; ".join([f"{models} {'model' if models == 1 else 'models'} in {handover.place}", *late, *trouble])
    changes = {} if shared else {**handover.changes, **carried(discovery)}
    return discovery, Preparation(changes, notes, summary, complete=refreshed > 0)


def _keep_slot(place: _Place, discovery: Discovery, settings: Settings, patience: Patience) -> None:
    """Keep the file of opencode 2's server current, which this opencode reads as well."""
    environment = delivery.shared(place.environment)
    try:
        _, without_project = _Place(environment, place.folder, versions.SERVER).read()
        if without_project.proxies != settings.proxies:
            discovery = discover(without_project, environment, patience)
        hand_over(discovery, without_project, environment, launch=True, recipient=versions.SERVER)
    except Failure as failure:
        log.write(environment, f"opencode 2: {failure}")


def _variables(discovery: Discovery) -> dict[str, tuple[str, str, str]]:
    """Return for each variable that carries a secret where a later launch reads that again."""
    places: dict[str, tuple[str, str, str]] = {}
    for proxy in (served.proxy for served in discovery.served):
        places |= {
            header.variable: (proxy.provider, header.option, header.name) for header in proxy.headers if header.variable
        }
        if proxy.key_variable:
            places[proxy.key_variable] = (proxy.provider, proxy.key.origin, "")
    return places


def _watched(
    configuration: Configuration, environment: Mapping[str, str], folder: str, *, project: bool
) -> list[str]:
    """Return what names models or holds keys beside the configuration's own files, and where more may appear."""
    parents = [os.path.dirname(path) for path in configuration.markdown_files]
    places = [
        os.path.join(folder, base, name)
        for base in layers.folders(environment, folder, project=project)
        for name in configurations.MARKDOWN_FOLDERS
    ]
    files = configuration.referenced_files | configuration.markdown_files | configuration.mentioning_files
    return sorted({*files, *parents, *places})


def _recorded_proxies(
    discovery: Discovery, settings: Settings, environment: Mapping[str, str]
) -> list[RecordedProxy]:
    """Return the proxies that the next launch asks, also those that failed this time: they may be back."""
    served = {each.proxy.provider: each.remembered.answers for each in discovery.served}
    useless = {
        failure.answered.proxy.provider: failure.answered.remembered.answers
        for failure in discovery.failures
        if isinstance(failure, NothingUsable) and failure.answered
    }
    proxies = []
    for proxy in settings.proxies:
        answers = served.get(proxy.provider)
        if answers is not None:
            proxies.append(_recorded_proxy(proxy, answers.url, answers, environment))
        elif proxy.url is not None:
            said = useless.get(proxy.provider)
            proxies.append(_recorded_proxy(proxy, proxy.url, said, environment, served=False))
    return proxies


def _recorded_proxy(
    proxy: Proxy, url: ProxyURL, said: Answers | None, environment: Mapping[str, str], *, served: bool = True
) -> RecordedProxy:
    parts = urlsplit(url.root)
    tls = parts.scheme == "https"
    return RecordedProxy(
        provider=proxy.provider,
        tls=tls,
        host=url.host,
        port=parts.port or (443 if tls else 80),
        prefix=parts.path,
        loopback=url.is_loopback,
        identify=proxy.detected,
        took=said.took if said else 0.0,
        via="" if url.is_loopback else trust.http_proxy_variable(url.root, environment),
        key_origin=proxy.key.origin,
        headers={header.name: header.option for header in proxy.headers},
        served=served,
        body=said.body if said else b"",
    )
