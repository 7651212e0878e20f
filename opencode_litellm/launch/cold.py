"""A full discovery, for a launch or a refresh: hand the models to opencode, and record them for the next launch."""

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
from opencode_litellm.launch.handover import carried_variables, hand_over
from opencode_litellm.launch.record import Circumstances, Record, RecordedProxy
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

DETACHED_PATIENCE = 60.0  # seconds; nobody waits for a detached refresh

_RESERVE = 1.2  # seconds of a launch's timeout kept for the work after the info endpoints, enough on a busy machine


@dataclass(frozen=True)
class Preparation:
    """The result of a discovery for a launch: the changes to opencode's environment, and the messages to print.

    ``summary`` is for the log. ``complete`` is False if prices and limits did not come in time.
    """

    changes: Changes
    notes: tuple[str, ...]
    summary: str
    complete: bool


def prepare(circumstances: Circumstances, began: float) -> Preparation:
    """Discover for a launch, and save a record of it.

    ``began`` is when the launch began (``time.monotonic``). Raises Failure if the settings or the configuration cannot
    be read, no proxy serves a usable model, or the payload cannot be delivered.
    """
    environment = circumstances.environment
    seconds = sections.timeout(environment)
    deadline = began + seconds
    started = time.time() - max(time.monotonic() - began, _age_of_process())
    patience = Patience(deadline, deadline - min(_RESERVE, seconds / 2), economical=True, began=started)
    preparation = _prepare(circumstances, patience)
    took = time.monotonic() - began
    text = f"asked for everything in {took:.2f} s: {preparation.summary}"
    log.tell(environment, log.LAUNCH, circumstances.folder, text)
    return preparation


def _age_of_process() -> float:
    """Return the seconds since this process began; 0 if the system does not tell.

    Our code may run long after that if many processes begin at once. Linux gives the start to a clock tick (10 ms). We
    count from the end of the tick, so that nothing older than the process looks newer.
    """
    try:
        with open("/proc/self/stat", encoding="ascii", errors="replace") as file:
            ticks = int(file.read().rpartition(")")[2].split()[19])
        began = (ticks + 1) / os.sysconf("SC_CLK_TCK")
        return max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - began)
    except (OSError, AttributeError, ValueError, IndexError):
        return 0.0


def refresh_in_background(circumstances: Circumstances) -> None:
    """Discover in the background what a launch did not wait for, and sweep the cache. Raises Failure as ``prepare``."""
    environment = circumstances.environment
    deadline = time.monotonic() + DETACHED_PATIENCE
    try:
        preparation = _prepare(circumstances, Patience(deadline, deadline))
        log.tell(environment, log.REFRESH, circumstances.folder, preparation.summary)
    finally:
        cache.sweep(environment)


def refresh(
    environment: Mapping[str, str], folder: str, configuration: Configuration, settings: Settings, *, server: bool
) -> Discovery:
    """Discover for a command that the user waits for, and save a record for launches of opencode 1 from ``folder``.

    ``configuration`` is that of ``folder``, and ``settings`` are read from it. With ``server``, the file of opencode
    2's server is created if it does not exist; an existing one is always updated. Raises Failure as ``prepare``.
    """
    circumstances = Circumstances.of(environment, folder)
    patience = Patience.of(settings.timeout)
    discovery, _ = _discover_and_record(circumstances, configuration, settings, patience)
    if server and not slot.present(environment):
        _keep_slot(circumstances, discovery, settings, patience)
    cache.sweep(environment)
    return discovery


def _prepare(circumstances: Circumstances, patience: Patience) -> Preparation:
    configuration, settings = _read(circumstances.environment, circumstances.folder, circumstances.recipient)
    try:
        return _discover_and_record(circumstances, configuration, settings, patience)[1]
    except Failure:
        for warning in settings.warnings:  # they may explain the failure
            terminal.note(warning, circumstances.environment)
        raise


def _read(environment: Mapping[str, str], folder: str, recipient: str) -> tuple[Configuration, Settings]:
    """Return the configuration of the folder, and the settings in it."""
    configuration = configurations.read(environment, folder, project=recipient != versions.SERVER)
    return configuration, sections.parse(environment, configuration)


def _discover_and_record(
    circumstances: Circumstances, configuration: Configuration, settings: Settings, patience: Patience
) -> tuple[Discovery, Preparation]:
    environment, folder, recipient = circumstances.environment, circumstances.folder, circumstances.recipient
    try:
        discovery = discover(settings, environment, patience)
    except KeyRefused:
        record.withdraw(circumstances)
        raise
    handover = hand_over(discovery, settings, environment, launch=True, recipient=recipient)
    shared = circumstances.is_server
    if not shared and slot.present(environment):
        _keep_slot(circumstances, discovery, settings, patience)
    refreshed = min(served.remembered.informed for served in discovery.served)
    new = Record(
        refreshed=refreshed,
        confirmed=min(served.remembered.heard for served in discovery.served),
        mode=handover.mode,
        payload_file=handover.payload_file,
        head_file=handover.head_file,
        proxies=_recorded_proxies(discovery, settings, environment),
        variables={} if shared else _variables(discovery),
        watched_files=_watched_files(configuration, environment, folder, project=not shared),
        watched_variables=sorted(configuration.environment_names | settings.variables),
        stamp="",
    )
    # Computed again, because the slot that we have just written is one of the files that the fingerprint covers.
    circumstances = Circumstances.of(environment, folder, recipient)
    budgets = [str(served.budget_failure) for served in discovery.served if served.budget_failure]
    if budgets:  # the list of models does not show it, so the next launch has to ask everything again
        record.withdraw(circumstances)
    else:
        record.save(circumstances, new)
    stale = [f"{served.stale}; using its last known models" for served in discovery.served if served.stale]
    failures = [str(failure) for failure in discovery.failures]
    trouble = (*failures, *budgets, *stale)
    notes = (*settings.warnings, *trouble, *discovery.notes, *handover.notes)
    late = [] if refreshed > 0 else ["prices and limits did not arrive in time"]
    models = discovery.payload.model_count
    summary = "; ".join([f"{models} {'model' if models == 1 else 'models'} in {handover.where}", *late, *trouble])
    changes = {} if shared else {**handover.changes, **carried_variables(discovery)}
    return discovery, Preparation(changes, notes, summary, complete=refreshed > 0)


def _keep_slot(circumstances: Circumstances, discovery: Discovery, settings: Settings, patience: Patience) -> None:
    """Write the file of opencode 2's server, which opencode 1 reads as well."""
    environment = delivery.shared(circumstances.environment)
    try:
        _, without_project = _read(environment, circumstances.folder, versions.SERVER)
        if without_project.proxies != settings.proxies:
            discovery = discover(without_project, environment, patience)
        hand_over(discovery, without_project, environment, launch=True, recipient=versions.SERVER)
    except Failure as failure:
        log.write(environment, f"opencode 2: {failure}")


def _variables(discovery: Discovery) -> dict[str, tuple[str, str, str]]:
    """Map each variable that carries a secret to where a later launch finds it: provider, origin or option, header."""
    sources: dict[str, tuple[str, str, str]] = {}
    for proxy in (served.proxy for served in discovery.served):
        sources |= {
            header.variable: (proxy.provider, header.option, header.name) for header in proxy.headers if header.variable
        }
        if proxy.key_variable:
            sources[proxy.key_variable] = (proxy.provider, proxy.key.origin, "")
    return sources


def _watched_files(
    configuration: Configuration, environment: Mapping[str, str], folder: str, *, project: bool
) -> list[str]:
    """Return the files beside the configuration's own that name models or hold keys, and the folders for more."""
    parents = [os.path.dirname(path) for path in configuration.markdown_files]
    folders = [
        os.path.join(folder, base, name)
        for base in layers.folders(environment, folder, project=project)
        for name in configurations.MARKDOWN_FOLDERS
    ]
    files = configuration.referenced_files | configuration.markdown_files | configuration.mentioning_files
    return sorted({*files, *parents, *folders})


def _recorded_proxies(
    discovery: Discovery, settings: Settings, environment: Mapping[str, str]
) -> list[RecordedProxy]:
    """Return the proxies for the next launch to ask, including those that failed now: they may be back."""
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
            answers = useless.get(proxy.provider)
            proxies.append(_recorded_proxy(proxy, proxy.url, answers, environment, served=False))
    return proxies


def _recorded_proxy(
    proxy: Proxy, url: ProxyURL, answers: Answers | None, environment: Mapping[str, str], *, served: bool = True
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
        took=answers.took if answers else 0.0,
        via="" if url.is_loopback else trust.http_proxy_variable(url.root, environment),
        key_origin=proxy.key.origin,
        headers={header.name: header.option for header in proxy.headers},
        served=served,
        body=answers.body if answers else b"",
    )
