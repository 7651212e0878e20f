"""What stands between somebody and their models: every step of a launch, looked at in its order."""

from __future__ import annotations

import json
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
from opencode_litellm.opencode import configuration
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


@dataclass(frozen=True)
class Check:
    """One thing that was looked at: how it is (``ok``, ``warning``, ``failed`` or ``skipped``), and what was found.

    ``remedy`` is empty where there is nothing to do; ``exit_status`` is 0 unless it failed.
    """

    name: str
    status: str
    finding: str
    remedy: str = ""
    exit_status: int = 0


def examine(environment: Mapping[str, str], folder: str) -> list[Check]:
    """Return the checks of a launch from ``folder``, in the order that it goes; the proxies are asked for them."""
    checks = [_startup(environment), _templates(environment), _command(environment), _switch(environment)]
    checks += [_cache(environment), _record(environment, folder)]
    try:
        user = configuration.read(environment, folder)
    except ConfigurationUnreadable as failure:
        checks += [_failed("configuration", failure), *_skipped("settings", "proxy", "delivery")]
    else:
        checks += [_configuration(user), _plugin(user), *_with_settings(environment, user)]
    return [*checks, _opencode(environment)]


def _with_settings(environment: Mapping[str, str], user: Configuration) -> Iterator[Check]:
    try:
        chosen = sections.parse(environment, user)
    except UsageFailure as failure:
        yield from [_failed("settings", failure), *_skipped("proxy", "delivery")]
        return
    yield from _settings(chosen)
    results = discovery.consult(chosen, environment, discovery.Patience.of(chosen.timeout))
    for asked, result in zip(chosen.proxies, results, strict=True):
        yield from _proxy(asked, result)
        if switched_on(environment, "VERBOSE") and not isinstance(result, Failure):
            yield from _hidden(result)
    served = [result for result in results if not isinstance(result, Failure)]
    if not served:
        yield from _skipped("delivery")
        return
    payload = discovery.payload_of(served)
    yield from _models_named(user, served, payload)
    yield _delivery(payload, chosen, environment)


def _startup(environment: Mapping[str, str]) -> Check:
    name = "startup"
    try:
        paths = installation.startup_files(environment)
    except UsageFailure as failure:
        return _failed(name, failure)
    if paths:
        return Check(name, OK, ", ".join(paths))
    remedy = "opencode-litellm install, unless you start opencode-with-litellm by another way"
    return Check(name, WARNING, "no shell's startup file lets opencode go through us", remedy)


def _templates(environment: Mapping[str, str]) -> Check:
    """Render what replaces our templates: a broken snippet leaves a shell without its function."""
    folder = Path(variables.override_folder(environment))
    replaced = [name for name in FORMATS if (folder / f"{name}.j2").exists()]
    try:
        for name in replaced:
            if name in SHELLS:
                emission.snippet(name, "opencode", environment)
            emission.assignments(name, {"SET": "value", "REMOVED": None}, environment)
    except UsageFailure as failure:
        return _failed("templates", failure)
    if not replaced:
        return Check("templates", OK, "ours")
    return Check("templates", OK, f"{', '.join(f'{name}.j2' for name in replaced)} of {folder} in place of ours")


def _command(environment: Mapping[str, str]) -> Check:
    name = "opencode-with-litellm"
    found = shutil.which(name, path=environment.get("PATH"))
    if found:
        return Check("command", OK, found)
    remedy = f"put {Path(sys.argv[0]).absolute().parent} on PATH"
    return Check("command", WARNING, f"{name} is not on PATH: snippets start opencode without models", remedy)


def _switch(environment: Mapping[str, str]) -> Check:
    variable = "OPENCODE_LITELLM_DISABLE"
    if switched_on(environment, "DISABLE"):
        return Check("switch", WARNING, f"{variable} is set: opencode starts without models", "unset it")
    return Check("switch", OK, f"{variable} is not set")


def _cache(environment: Mapping[str, str]) -> Check:
    folder = variables.cache_folder(environment)
    name = "doctor"
    if cache.write(environment, name, b"") is None:
        finding = f"{folder} cannot be written, or others may write it: every launch asks for everything"
        return Check("cache", WARNING, finding, "make it yours, mode 0700, or set XDG_CACHE_HOME to a folder that is")
    cache.remove(environment, name)
    return Check("cache", OK, folder)


def _record(environment: Mapping[str, str], folder: str) -> Check:
    kept = record.load(environment, record.fingerprint(environment, folder))
    if kept is None:
        return Check("record", OK, "nothing that fits: the next launch from this folder asks for everything")
    minutes = max(0.0, time.time() - kept.confirmed) / 60
    return Check("record", OK, f"true {minutes:.0f} minutes ago: the next launch from this folder asks one question")


def _configuration(user: Configuration) -> Check:
    return Check("configuration", OK, ", ".join(path for _, path in user.sources) or "there is none")


def _plugin(user: Configuration) -> Check:
    for path, listed in user.stated("plugin"):
        if _PLUGIN in json.dumps(listed):  # as a name, with a version, as a path, with options
            remedy = f"delete it from plugin in {path}"
            return Check("plugin", WARNING, f"{_PLUGIN} asks the proxy as well, at every start", remedy)
    return Check("plugin", OK, f"{_PLUGIN} is not loaded")


def _settings(chosen: Settings) -> Iterator[Check]:
    for warning in chosen.warnings:
        yield Check("settings", WARNING, warning)
    for failure in chosen.failures:
        yield _failed("settings", failure)
    if not chosen.warnings and not chosen.failures:
        yield Check("settings", OK, f"timeout {chosen.timeout:g} s, delivery {chosen.delivery}")


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
    shown = f"{len(result.models)} of {len(known.listed)} are for opencode"
    if all(rows is None for rows in known.info.values()):
        finding = f"{shown}; /v1/model/info and /model_group/info did not tell their limits and prices"
        yield Check(models, WARNING, finding, "let the key use these routes, or allow longer with --timeout SECONDS")
    else:
        yield Check(models, OK, shown)


def _hidden(served: Served) -> Iterator[Check]:
    """Say which models opencode does not get from us, by reason."""
    by_reason: dict[str, list[str]] = defaultdict(list)
    for model in discovery.not_served(served):
        by_reason[str(model.reason)].append(model.id)
    if by_reason:
        finding = "; ".join(f"{', '.join(models)}: {reason}" for reason, models in by_reason.items())
        yield Check(f"hidden {served.proxy.provider}", OK, finding)


def _models_named(user: Configuration, served: Sequence[Served], payload: Payload) -> Iterator[Check]:
    """Look for models that the configuration names and that opencode would not find."""
    there = {f"{provider.id}/{model}" for provider in payload.providers for model in provider.models}
    own = {each.proxy.provider: each.proxy.section.listed_models for each in served}
    for name in sorted(user.models_named - there):
        provider, _, model = name.partition("/")
        listed = own.get(provider.removesuffix(SIBLING_SUFFIX))
        if listed is not None and model not in listed:
            remedy = "choose one that opencode-litellm models lists"
            yield Check("model", WARNING, f"the configuration names {name}, which is not there", remedy)


def _delivery(payload: Payload, chosen: Settings, environment: Mapping[str, str]) -> Check:
    handover = hand_over(payload, chosen, environment, launch=True)
    notes = "; ".join(handover.notes)
    if handover.changes is None:
        return _failed("delivery", UsageFailure(notes))
    used = [name for name in (variables.CONFIG, variables.CONFIG_CONTENT) if handover.changes.get(name) is not None]
    finding = f"{payload.model_count} models in {' and '.join(used)}"
    return Check("delivery", WARNING, f"{finding}; {notes}") if notes else Check("delivery", OK, finding)


def _opencode(environment: Mapping[str, str]) -> Check:
    name = "opencode"
    remedy = "install it (npm install -g opencode-ai), and put its folder on PATH"
    found = program.find(name, environment)
    if found is None:
        return Check(name, FAILED, "not found on PATH", remedy, program.NOT_FOUND)
    try:
        done = subprocess.run(  # noqa: S603 - what a launch would start
            [found, "--version"],
            env=dict(environment), stdin=subprocess.DEVNULL, capture_output=True, timeout=_VERSION_PATIENCE, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError) as error:
        return Check(name, FAILED, f"{found} does not start: {error}", remedy, program.NOT_EXECUTABLE)
    version = done.stdout.decode(errors="replace").strip()
    if re.match(r"1\.\d", version):
        return Check(name, OK, f"{version}, {found}")
    remedy = "use opencode 1; version 2 reads its configuration in a server that a launch does not reach"
    return Check(name, WARNING, f"{version}, {found}: only opencode 1 takes what a launch hands over", remedy)


def _failed(name: str, failure: Failure) -> Check:
    return Check(name, FAILED, failure.problem, failure.remedy, failure.exit_status)


def _skipped(*names: str) -> Iterator[Check]:
    for name in names:
        yield Check(name, SKIPPED, "not looked at, for what failed above")
