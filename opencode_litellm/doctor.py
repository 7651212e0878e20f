"""Why opencode does not show the models: every step of a launch, checked in order."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from opencode_litellm import cache, discovery, program, variables
from opencode_litellm.errors import ConfigurationUnreadable, Failure, KeyRefused, UsageFailure
from opencode_litellm.launch import record
from opencode_litellm.launch.handover import hand_over
from opencode_litellm.opencode.configuration import read as read_configuration
from opencode_litellm.proxies import SIBLING_SUFFIX
from opencode_litellm.settings import sections
from opencode_litellm.shells import emission, installation
from opencode_litellm.shells.formats import FORMATS, SHELLS
from opencode_litellm.variables import switched_on

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from opencode_litellm.discovery import Served
    from opencode_litellm.opencode.configuration import Configuration
    from opencode_litellm.opencode.payload import Payload
    from opencode_litellm.proxies import Proxy
    from opencode_litellm.settings.sections import Settings

OK, WARNING, FAILED, SKIPPED = "ok", "warning", "failed", "skipped"

_PLUGIN = "opencode-plugin-litellm"
_VERSION_PATIENCE = 30.0  # seconds; a first start of opencode on a busy machine
_ROOM = 2**20  # bytes; a launch keeps that much of about 2,000 models


@dataclass(frozen=True)
class Check:
    """The result of one check: its ``status`` (``ok``, ``warning``, ``failed`` or ``skipped``), and what it found.

    ``remedy`` is empty when there is nothing to do; ``exit_status`` is 0 unless the check failed.
    """

    name: str
    status: str
    finding: str
    remedy: str = ""
    exit_status: int = 0


def examine(environment: Mapping[str, str], folder: str) -> list[Check]:
    """Check what a launch from ``folder`` would do, in the order in which it does it. This asks the proxies."""
    checks = [_startup(environment), _templates(environment), _command(environment), _disabled(environment)]
    checks += [_cache(environment), _last_launch(environment, folder)]
    try:
        configuration = read_configuration(environment, folder)
    except ConfigurationUnreadable as failure:
        checks += [_failed("configuration", failure), *_skipped("settings", "proxy", "delivery")]
    else:
        checks += [_configuration(configuration), _plugin(configuration), *_with_settings(environment, configuration)]
    return [*checks, _opencode(environment)]


def _with_settings(environment: Mapping[str, str], configuration: Configuration) -> Iterator[Check]:
    try:
        settings = sections.parse(environment, configuration)
    except UsageFailure as failure:
        yield from [_failed("settings", failure), *_skipped("proxy", "delivery")]
        return
    yield from _settings(settings)
    results = discovery.consult(settings, environment, discovery.Patience.of(settings.timeout))
    for asked, result in zip(settings.proxies, results, strict=True):
        yield from _proxy(asked, result)
        if switched_on(environment, "VERBOSE") and not isinstance(result, Failure):
            yield from _hidden(result)
    served = [result for result in results if not isinstance(result, Failure)]
    if not served:
        yield from _skipped("delivery")
        return
    payload = discovery.payload_of(served)
    yield from _models_named(configuration, served, payload)
    yield _delivery(payload, settings, environment)


def _startup(environment: Mapping[str, str]) -> Check:
    name = "startup"
    try:
        paths = installation.startup_files(environment)
    except UsageFailure as failure:
        return _failed(name, failure)
    if paths:
        return Check(name, OK, ", ".join(paths))
    remedy = "run opencode-litellm install, unless you start opencode-with-litellm in another way"
    return Check(name, WARNING, "no shell starts opencode through opencode-litellm", remedy)


def _templates(environment: Mapping[str, str]) -> Check:
    """Render the user's own templates: a broken snippet leaves a shell without its function."""
    folder = Path(variables.override_folder(environment))
    # Path.exists raises an error for a folder that nobody may look into.
    replaced = [name for name in FORMATS if os.path.exists(folder / f"{name}.j2")]
    try:
        for name in replaced:
            if name in SHELLS:
                emission.snippet(name, "opencode", environment)
            emission.assignments(name, {"SET": "value", "REMOVED": None}, environment)
    except UsageFailure as failure:
        return _failed("templates", failure)
    if not replaced:
        return Check("templates", OK, "built-in")
    return Check("templates", OK, f"built-in, except {', '.join(f'{name}.j2' for name in replaced)} in {folder}")


def _command(environment: Mapping[str, str]) -> Check:
    name = "opencode-with-litellm"
    path = shutil.which(name, path=environment.get("PATH"))
    if path:
        return Check("command", OK, path)
    remedy = f"put {Path(sys.argv[0]).absolute().parent} on PATH"
    return Check("command", WARNING, f"{name} is not on PATH, so snippets start opencode without models", remedy)


def _disabled(environment: Mapping[str, str]) -> Check:
    variable = "OPENCODE_LITELLM_DISABLE"
    if switched_on(environment, "DISABLE"):
        return Check("disabled", WARNING, f"{variable} is set, so opencode starts without models", "unset it")
    return Check("disabled", OK, f"{variable} is not set")


def _cache(environment: Mapping[str, str]) -> Check:
    folder = variables.cache_folder(environment)
    if not cache.is_writable(environment, 0):
        finding = f"{folder} is not writable, or not only for you, so every launch asks for everything"
        return Check("cache", WARNING, finding, "own it and give it mode 0700, or set XDG_CACHE_HOME to another folder")
    if not cache.is_writable(environment, _ROOM):
        finding = f"there is no room left for {folder}, so every launch asks for everything"
        return Check("cache", WARNING, finding, "make room on that disk, or set XDG_CACHE_HOME to a folder on another")
    return Check("cache", OK, folder)


def _last_launch(environment: Mapping[str, str], folder: str) -> Check:
    name = "last launch"
    last = record.load(environment, record.fingerprint(environment, folder))
    if last is None:
        return Check(name, OK, "none with these settings, so the next one from this folder asks for everything")
    minutes = max(0.0, time.time() - last.confirmed) / 60
    finding = f"its models were current {minutes:.0f} minutes ago, so the next one from this folder asks one question"
    return Check(name, OK, finding)


def _configuration(configuration: Configuration) -> Check:
    return Check("configuration", OK, ", ".join(path for _, path in configuration.sources) or "no files")


def _plugin(configuration: Configuration) -> Check:
    for path, listed in configuration.stated("plugin"):
        if _PLUGIN in json.dumps(listed):  # as a name, with a version, as a path, with options
            remedy = f"remove it from plugin in {path}"
            return Check("plugin", WARNING, f"{_PLUGIN} is loaded too, and asks the proxy again at every start", remedy)
    return Check("plugin", OK, f"{_PLUGIN} is not loaded")


def _settings(settings: Settings) -> Iterator[Check]:
    for warning in settings.warnings:
        yield Check("settings", WARNING, warning)
    for failure in settings.failures:
        yield _failed("settings", failure)
    if not settings.warnings and not settings.failures:
        yield Check("settings", OK, f"timeout {settings.timeout:g} s, delivery {settings.delivery}")


def _proxy(asked: Proxy, result: Served | Failure) -> Iterator[Check]:
    proxy, key, models = (f"{what} {asked.provider}" for what in ("proxy", "key", "models"))
    if isinstance(result, KeyRefused):
        where = asked.url.root if asked.url else "LiteLLM on this machine"
        yield from [Check(proxy, OK, f"{where} ({asked.url_source})"), _failed(key, result), *_skipped(models)]
        return
    if isinstance(result, Failure):
        yield from [_failed(proxy, result), *_skipped(key, models)]
        return
    known = result.remembered.answers
    yield Check(proxy, OK, f"{known.url.root} ({asked.url_source}) answered in {known.took * 1000:.0f} ms")
    yield Check(key, OK, asked.key.source)
    usable = f"opencode can use {len(result.models)} of {len(known.listed)}"
    if all(rows is None for rows in known.info.values()):
        finding = f"{usable}, but neither /v1/model/info nor /model_group/info gave their limits and prices"
        remedy = "allow the key to use these routes, or wait longer with --timeout SECONDS"
        yield Check(models, WARNING, finding, remedy)
    else:
        yield Check(models, OK, usable)


def _hidden(served: Served) -> Iterator[Check]:
    """Say which models opencode does not get from us, by reason."""
    by_reason: dict[str, list[str]] = defaultdict(list)
    for model in discovery.not_served(served):
        by_reason[str(model.reason)].append(model.id)
    if by_reason:
        finding = "; ".join(f"{', '.join(models)}: {reason}" for reason, models in by_reason.items())
        yield Check(f"hidden {served.proxy.provider}", OK, finding)


def _models_named(configuration: Configuration, served: Sequence[Served], payload: Payload) -> Iterator[Check]:
    """Find models that the configuration names and that opencode would not have."""
    delivered = {f"{provider.id}/{model}" for provider in payload.providers for model in provider.models}
    own = {each.proxy.provider: each.proxy.section.listed_models for each in served}
    for name in sorted(configuration.models_named - delivered):
        provider, _, model = name.partition("/")
        listed = own.get(provider.removesuffix(SIBLING_SUFFIX))
        if listed is not None and model not in listed:
            remedy = "choose one that opencode-litellm models lists"
            yield Check("model", WARNING, f"the configuration names {name}, which is not among the models", remedy)


def _delivery(payload: Payload, settings: Settings, environment: Mapping[str, str]) -> Check:
    try:
        handover = hand_over(payload, settings, environment, launch=True)
    except UsageFailure as failure:
        return _failed("delivery", failure)
    notes = "; ".join(handover.notes)
    used = [name for name in (variables.CONFIG, variables.CONFIG_CONTENT) if handover.changes.get(name) is not None]
    finding = f"{payload.model_count} models in {' and '.join(used)}"
    return Check("delivery", WARNING, f"{finding}; {notes}") if notes else Check("delivery", OK, finding)


def _opencode(environment: Mapping[str, str]) -> Check:
    name = "opencode"
    remedy = "install it (npm install -g opencode-ai), and put its folder on PATH"
    path = program.find(name, environment)
    if path is None:
        return Check(name, FAILED, "not found on PATH", remedy, program.NOT_FOUND)
    try:
        done = subprocess.run(  # noqa: S603 - what a launch would start
            [path, "--version"],
            env=dict(environment), stdin=subprocess.DEVNULL, capture_output=True, timeout=_VERSION_PATIENCE, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError) as error:
        return Check(name, FAILED, f"{path} does not start: {error}", remedy, program.NOT_EXECUTABLE)
    version = done.stdout.decode(errors="replace").strip()
    if re.match(r"1\.\d", version):
        return Check(name, OK, f"{version}, {path}")
    remedy = "use opencode 1: opencode 2 reads its configuration in a background server, out of a launch's reach"
    return Check(name, WARNING, f"{version}, {path}: only opencode 1 uses what a launch hands over", remedy)


def _failed(name: str, failure: Failure) -> Check:
    return Check(name, FAILED, failure.problem, failure.remedy, failure.exit_status)


def _skipped(*names: str) -> Iterator[Check]:
    for name in names:
        yield Check(name, SKIPPED, "skipped because of the failure above")
