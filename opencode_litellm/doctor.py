"""Why opencode does not show the models: every step of a launch, checked in order."""

from __future__ import annotations

import calendar
import json
import os
import platform
import subprocess
import sys
import time
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opencode_litellm import __version__, cache, discovery, log, program, rendering, variables
from opencode_litellm.discovery import Discovery
from opencode_litellm.errors import ConfigurationUnreadable, Failure, KeyRefused, UsageFailure, Withheld
from opencode_litellm.jsonc import JsoncError, mapping
from opencode_litellm.launch import record
from opencode_litellm.launch.handover import hand_over
from opencode_litellm.litellm import facts
from opencode_litellm.models.visibility import LISTED
from opencode_litellm.opencode import defaults, delivery, layers, server, slot, versions
from opencode_litellm.opencode.configuration import read as read_configuration
from opencode_litellm.proxies import PLUGIN, SIBLING_SUFFIX
from opencode_litellm.settings import sections
from opencode_litellm.shells import emission, installation
from opencode_litellm.shells.formats import FORMATS, SHELLS
from opencode_litellm.variables import switched_on

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from opencode_litellm.discovery import Served
    from opencode_litellm.opencode.configuration import Configuration
    from opencode_litellm.opencode.defaults import FreshSessions
    from opencode_litellm.opencode.payload import Payload
    from opencode_litellm.opencode.versions import Version
    from opencode_litellm.proxies import Proxy
    from opencode_litellm.settings.sections import Settings

OK, WARNING, FAILED, SKIPPED = "ok", "warning", "failed", "skipped"

# The checks that need the configuration, in their order: each of them needs those before it.
_STEPS = ("settings", "proxy", "default model", "delivery")

_VERSION_PATIENCE = 30.0  # seconds; a first start of opencode on a busy machine
_ROOM = 2**20  # bytes; what a launch keeps of about 2,000 models
_LONGEST = 300  # characters of a program's output
_LAUNCHES = 5  # how many of the last entries of the log are shown
_TOLD = {log.LAUNCH: "", log.REFRESH: "in the background, for ", log.FAULT: "internal error: "}


@dataclass(frozen=True)
class Check:
    """The result of one check: its ``status`` (``ok``, ``warning``, ``failed`` or ``skipped``), and what it found.

    ``remedy`` is empty when there is nothing to do; ``exit_status`` is 0 unless the check failed. ``details`` are more
    of what was found, a line each.
    """

    name: str
    status: str
    finding: str
    remedy: str = ""
    exit_status: int = 0
    details: tuple[str, ...] = ()


def examine(environment: Mapping[str, str], folder: str) -> list[Check]:
    """Check what a launch from ``folder`` would do, in the order in which it does it. This asks the proxies."""
    trimmed = variables.trimmed_keys(environment)
    environment = variables.changed(environment, trimmed)
    checks = [_own_version(), _startup(environment), _templates(environment), _command(environment)]
    checks += [_shim(environment), _disabled(environment)]
    opencode, version = _opencode(environment)
    checks += [_cache(environment), _launches(environment, folder, version)]
    checks += [_untrimmed(name) for name in trimmed]
    try:
        configuration = read_configuration(environment, folder)
    except ConfigurationUnreadable as failure:
        checks += [_failed("configuration", failure), *_skipped(*_STEPS)]
    else:
        checks += [_configuration(configuration), _plugin(configuration)]
        checks += _with_settings(environment, configuration, version)
    return [*checks, opencode, *_opencode2(environment, folder, version)]


def _with_settings(
    environment: Mapping[str, str], configuration: Configuration, version: Version | None
) -> Iterator[Check]:
    try:
        settings = sections.parse(environment, configuration)
    except UsageFailure as failure:
        yield from [_failed("settings", failure), *_skipped(*_STEPS[1:])]
        return
    yield from _settings(settings)
    results = discovery.consult(settings, environment, discovery.Patience.of(settings.timeout))
    for asked, result in zip(settings.proxies, results, strict=True):
        yield from _proxy(asked, result)
        if switched_on(environment, variables.VERBOSE) and not isinstance(result, Failure):
            yield from _hidden(result)
    served = [result for result in results if not isinstance(result, Failure)]
    if not served:
        yield from _skipped(*_STEPS[2:])
        return
    discovered = Discovery(tuple(served), (), discovery.payload_of(served, settings))
    yield from _models_named(configuration, served, discovered.payload)
    fresh = defaults.of_fresh_sessions(configuration, settings.defaults, discovered.payload)
    yield _default_model(fresh, settings, discovered.payload)
    yield _delivery(discovered, settings, environment, version)


def _own_version() -> Check:
    python = f"Python {platform.python_version()} ({sys.executable})"
    return Check("version", OK, f"opencode-litellm {__version__}, {python}")


def _shim(environment: Mapping[str, str]) -> Check:
    """Say which ``opencode`` comes first on PATH for programs that do not use a shell's functions."""
    name = "on PATH"
    paths = program.files_on_path("opencode", environment)
    shims = [path for path in paths if installation.is_shim(path)]
    if not paths or not shims:
        return Check(name, OK, f"no shim: editors and scripts start {paths[0]}" if paths else "no opencode, no shim")
    if paths[0] == shims[0]:
        try:
            current = installation.is_current_shim(shims[0])
        except UsageFailure as failure:  # on Windows, the installation may be incomplete
            return _failed(name, failure)
        if not current:
            remedy = "run opencode-litellm install --shim"
            return Check(name, WARNING, f"{shims[0]} comes first, but is a shim from another version", remedy)
        return Check(name, OK, f"the shim comes first: {shims[0]}")
    remedy = f"put {os.path.dirname(shims[0])} first on PATH"
    return Check(name, WARNING, f"{paths[0]} comes before the shim {shims[0]}, so the shim has no effect", remedy)


def _startup(environment: Mapping[str, str]) -> Check:
    name = "startup"
    try:
        paths = installation.startup_files(environment)
        old = installation.outdated(environment)
    except UsageFailure as failure:
        return _failed(name, failure)
    if old:
        remedy = f"run opencode-litellm install {' '.join(old)}, and start a new shell"
        return Check(name, WARNING, f"{', '.join(old.values())} has a snippet from another version", remedy)
    if paths:
        return Check(name, OK, ", ".join(paths))
    remedy = "run opencode-litellm install, unless you start opencode-with-litellm some other way"
    return Check(name, WARNING, "no shell starts opencode through opencode-litellm", remedy)


def _templates(environment: Mapping[str, str]) -> Check:
    """Render the user's own templates: one that is broken has no effect."""
    folder = Path(variables.override_folder(environment))
    # Path.exists raises an error for a folder that we may not look into.
    replaced = [name for name in FORMATS if os.path.exists(folder / f"{name}.j2")]
    try:
        for name in replaced:
            if name in SHELLS:
                emission.snippet(name, "opencode", environment)
            emission.assignments(name, {"SET": "value", "REMOVED": None}, environment)
    except UsageFailure as failure:
        return Check("templates", WARNING, failure.problem, failure.remedy)
    if not replaced:
        return Check("templates", OK, "built-in")
    return Check("templates", OK, f"built-in, except {', '.join(f'{name}.j2' for name in replaced)} in {folder}")


def _command(environment: Mapping[str, str]) -> Check:
    name = "opencode-with-litellm"
    paths = program.files_on_path(name, environment)
    if paths:
        return Check("command", OK, paths[0])
    remedy = f"put {Path(sys.argv[0]).absolute().parent} on PATH"
    return Check("command", WARNING, f"{name} is not on PATH, so snippets start opencode without models", remedy)


def _disabled(environment: Mapping[str, str]) -> Check:
    if switched_on(environment, variables.DISABLE):
        return Check("disabled", WARNING, f"{variables.DISABLE} is set, so opencode starts without models", "unset it")
    return Check("disabled", OK, f"{variables.DISABLE} is not set")


def _cache(environment: Mapping[str, str]) -> Check:
    folder = variables.cache_folder(environment)
    if not cache.is_writable(environment, 0):
        finding = f"{folder} is not writable, or not private to you, so every launch asks for everything"
        remedy = "take ownership of it and set its mode to 0700, or set XDG_CACHE_HOME to another folder"
        return Check("cache", WARNING, finding, remedy)
    if not cache.is_writable(environment, _ROOM):
        finding = f"there is no disk space left for {folder}, so every launch asks for everything"
        return Check("cache", WARNING, finding, "free some space, or set XDG_CACHE_HOME to a folder on another disk")
    return Check("cache", OK, folder)


def _launches(environment: Mapping[str, str], folder: str, version: Version | None) -> Check:
    """Say how much the next launch has to ask, and what the last ones did."""
    finding = _next_launch(environment, folder, version)
    entries = log.last(environment, _LAUNCHES)
    details = tuple(f"{_local(stamp)} {_TOLD[kind]}{text}" for stamp, kind, text in entries)
    if entries and entries[0][1] == log.FAULT:
        path = Path(variables.state_folder(environment), "log")
        remedy = f"report it, with the details in {path}"
        return Check("launches", WARNING, f"{finding}; the last one hit an internal error", remedy, details=details)
    return Check("launches", OK, finding, details=details)


def _local(stamp: str) -> str:
    """Return a time of the log in local time, to the minute."""
    try:
        seconds = calendar.timegm(time.strptime(stamp, "%Y-%m-%dT%H:%M:%SZ"))
    except ValueError:
        return stamp
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))


def _next_launch(environment: Mapping[str, str], folder: str, version: Version | None) -> str:
    last = record.load(record.Circumstances.of(environment, folder, _recipient(version, environment)))
    if last is None:
        finding = "the next launch from this folder asks for everything: no models are cached for these settings"
        return f"{finding}{_others(environment, 0)}"
    minutes = max(0.0, time.time() - last.confirmed) / 60
    finding = (
        "the next launch from this folder only asks whether the list has changed: the models were up to date"
        f" {minutes:.0f} min ago"
    )
    return f"{finding}{_others(environment, 1)}"


def _others(environment: Mapping[str, str], known: int) -> str:
    """Return a note on the records of other folders or settings, not counting the ``known`` one."""
    others = cache.count(environment, cache.RECORD) - known
    return f"; {others} more cached for other folders or settings" if others > 0 else ""


def _untrimmed(name: str) -> Check:
    finding = f"{name} {variables.SPACE_AROUND}: launches remove them, but env and config cannot"
    return Check("environment", WARNING, finding, "set it to the key alone")


def _configuration(configuration: Configuration) -> Check:
    return Check("configuration", OK, ", ".join(path for _, path, _ in configuration.layers) or "no files")


def _plugin(configuration: Configuration) -> Check:
    path = configuration.loads(PLUGIN)
    if path is None:
        return Check("plugin", OK, f"{PLUGIN} is not loaded")
    finding = (
        f"{PLUGIN} is loaded too: it adds models that opencode-litellm hides, and would add every model again to a"
        " separate provider for /v1/responses, so there is no such provider"
    )
    return Check("plugin", WARNING, finding, f"remove it from plugin in {path}")


def _settings(settings: Settings) -> Iterator[Check]:
    for warning in settings.warnings:
        yield Check("settings", WARNING, warning)
    for failure in settings.failures:
        yield _failed("settings", failure)
    if not settings.warnings and not settings.failures:
        yield Check("settings", OK, f"timeout {settings.timeout:g} s, delivery {settings.delivery}")


def _proxy(asked: Proxy, result: Served | Failure) -> Iterator[Check]:
    proxy, key, models = (f"{what} {asked.provider}" for what in ("proxy", "key", "models"))
    if isinstance(result, (KeyRefused, Withheld)):
        where = asked.url.root if asked.url else "LiteLLM on this machine"
        yield from [Check(proxy, OK, f"{where} ({asked.url_source})"), _failed(key, result), *_skipped(models)]
        return
    if isinstance(result, Failure):
        yield from [_failed(proxy, result), *_skipped(key, models)]
        return
    known = result.remembered.answers
    yield Check(proxy, OK, f"{known.url.root} ({asked.url_source}) answered in {known.took * 1000:.0f} ms")
    yield Check(key, OK, asked.key.source)
    usable = f"opencode can use {len(result.catalogue.models)} of {len(known.listed)} models{_hidden_by_rule(result)}"
    if all(rows is None for rows in known.info.values()):
        paths = " nor ".join(path for path, _ in facts.INFO.values())
        finding = f"{usable}, but neither {paths} gave their limits and prices"
        remedy = "allow the key to use these paths, or allow more time with --timeout SECONDS"
        yield Check(models, WARNING, finding, remedy)
    else:
        yield Check(models, OK, usable)


def _hidden_by_rule(served: Served) -> str:
    """Return how many models are hidden by which rule; those that the configuration lists are not hidden."""
    rules = Counter(model.reason.rule for model in served.catalogue.hidden if model.reason != LISTED)
    counts = ", ".join(f"{count} {rule.value}" for rule, count in rules.most_common())
    return f" (hidden by rule: {counts}; opencode-litellm models --all shows why)" if counts else ""


def _hidden(served: Served) -> Iterator[Check]:
    """Say which models opencode does not get from us, by reason."""
    by_reason: dict[str, list[str]] = defaultdict(list)
    for model in served.catalogue.hidden:
        by_reason[str(model.reason)].append(model.id)
    if by_reason:
        finding = "; ".join(f"{', '.join(models)}: {reason}" for reason, models in by_reason.items())
        yield Check(f"hidden {served.proxy.provider}", OK, finding)


def _models_named(configuration: Configuration, served: Sequence[Served], payload: Payload) -> Iterator[Check]:
    """Warn about models that the configuration names and that opencode would not have."""
    delivered = {f"{provider.id}/{model}" for provider in payload.providers for model in provider.models}
    own = {each.proxy.provider: each.proxy.written_models for each in served}
    for name in sorted(configuration.models_named - delivered):
        provider, _, model = name.partition("/")
        listed = own.get(provider.removesuffix(SIBLING_SUFFIX))
        if listed is not None and model not in listed:
            remedy = "choose one from opencode-litellm models"
            yield Check("model", WARNING, f"the configuration names {name}, which is not available", remedy)


def _default_model(fresh: FreshSessions, settings: Settings, payload: Payload) -> Check:
    """Say which models a fresh session gets, and warn if one of them is not LiteLLM's."""
    name = "default model"
    unmet = "; ".join(discovery.unmet(settings, payload))
    titles = f"titles: {fresh.title}" if fresh.title else "titles: the same model"
    finding = f"{fresh.model}; {titles}"
    if fresh.are_ours and not unmet:
        return Check(name, OK, finding)
    remedy = "set the options model and smallModel of a provider, or OPENCODE_LITELLM_DEFAULT_MODEL"
    if not fresh.are_ours:
        finding = f"{finding}; some prompts go to another provider"
        remedy += '; the option "only": true turns off all other providers'
    return Check(name, WARNING, f"{finding}; {unmet}" if unmet else finding, remedy)


def _delivery(
    discovered: Discovery, settings: Settings, environment: Mapping[str, str], version: Version | None
) -> Check:
    recipient = _recipient(version, environment)
    if recipient == versions.SERVER:
        return Check("delivery", OK, "in the file that opencode 2's server reads")
    try:
        handover = hand_over(discovered, settings, environment, launch=True, recipient=recipient)
    except UsageFailure as failure:
        return _failed("delivery", failure)
    notes = "; ".join(handover.notes)
    size = len(rendering.payload(discovered.payload))
    finding = f"{discovered.payload.model_count} models, {_size(size)}, in {handover.where}"
    return Check("delivery", WARNING, f"{finding}; {notes}") if notes else Check("delivery", OK, finding)


def _size(count: int) -> str:
    return f"{count} bytes" if count < 1000 else f"{count / 1000:.0f} kB"


def _recipient(version: Version | None, environment: Mapping[str, str]) -> str:
    """Return what a launch without arguments makes a payload for."""
    version = version or versions.UNKNOWN
    reads_variables = version.major == 1 or layers.is_service_disabled(environment)
    how = environment.get(variables.DELIVERY, "")
    return versions.recipient(version, how, reads_variables=reads_variables)


def _opencode(environment: Mapping[str, str]) -> tuple[Check, Version | None]:
    """Check whether opencode starts, and return its version too: None if it does not start."""
    name = "opencode"
    remedy = "install it (npm install -g opencode-ai), and put its folder on PATH"
    path = program.find(name, environment)
    if path is None:
        return Check(name, FAILED, "not found on PATH", remedy, program.NOT_FOUND), None
    trouble, status = _trouble(path, environment)
    if trouble:
        return Check(name, FAILED, f"{path} {trouble}", remedy, status), None
    version = versions.of(path, environment)
    if not version.known_by:
        finding = f"{path} does not report its version, so it is treated as the latest opencode 1"
        remedy = "check what this program is: it should print its version with --version"
        return Check(name, WARNING, finding, remedy), version
    finding = f"{version.text}, {path} (according to {version.known_by})"
    lacks = [change.before for change in versions.CHANGES if not version.has(change)]
    if lacks:
        newest = ".".join(str(number) for number in max(change.since for change in versions.CHANGES))
        return Check(name, WARNING, f"{finding}: {'; '.join(lacks)}", f"update it to {newest} or newer"), version
    return Check(name, OK, finding), version


def _trouble(path: str, environment: Mapping[str, str]) -> tuple[str, int]:
    """Return why opencode does not start, with its own output, and a launch's exit status; empty if it starts."""
    try:
        line = versions.command_line(path, ["--version"], environment)
        done = subprocess.run(  # noqa: S603 - what a launch would start
            ["/bin/sh", *line] if program.is_script(path) else line,
            env=dict(environment), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            timeout=_VERSION_PATIENCE, check=False,
        )  # fmt: skip
    except OSError as error:
        status = program.NOT_FOUND if isinstance(error, FileNotFoundError) else program.NOT_EXECUTABLE
        return f"does not start: {program.why_not(path, error)}", status
    except subprocess.SubprocessError as error:
        return f"does not start: {error}", program.NOT_EXECUTABLE
    if not done.returncode:
        return "", 0
    output = " ".join(done.stdout.decode(errors="replace").split())[:_LONGEST] or "no output"
    how = f"exits with status {done.returncode}" if done.returncode > 0 else f"is killed by signal {-done.returncode}"
    return f"--version {how}: {output}", program.NOT_EXECUTABLE


def _opencode2(environment: Mapping[str, str], folder: str, version: Version | None) -> Iterator[Check]:
    """Check what opencode 2 needs in addition: the file that its server reads, the server, and its key."""
    written = slot.paths(environment)
    if version is None or version.major == 1:
        if written:
            finding = f"{', '.join(written)}: launches of opencode 1 keep it up to date for opencode 2"
            yield Check("slot", OK, finding)
        return
    copy = cache.path(environment, cache.SHARED)
    try:
        path = slot.find(environment)
        members = slot.users_members(path, environment) if path in written else []
    except slot.Unusable as error:
        advice = f"opencode service set env {variables.CONFIG} {copy}"
        named = slot.names_copy(environment)
        finding = f"{error}; the server reads {copy}" if named else f"{error}: opencode 2 gets no models"
        yield Check("slot", OK if named else WARNING, finding, "" if named else f"run {advice}")
    except (OSError, JsoncError) as error:
        yield Check("slot", WARNING, f"{path} cannot be read: {error}", "correct it")
    else:
        others = f"; not written by opencode-litellm: {', '.join(members)}" if members else ""
        addresses = ", ".join(_addresses(environment))
        finding = f"{path}, for {addresses}{others}" if path in written else f"{path}, from the next launch on"
        yield Check("slot", OK, finding)
    yield _server(environment, folder)


def _server(environment: Mapping[str, str], folder: str) -> Check:
    name = "server"
    there = server.running(environment)
    if there is None:
        return Check(name, OK, "not running: the next launch of opencode 2 starts it")
    finding = f"opencode {there.version} at {there.url}"
    path = program.find("opencode", environment)
    handed = _handed_to_server(environment)
    expected = handed.keys()
    by_variable = frozenset(each for each, section in handed.items() if "env" in section)
    known = server.known(path, delivery.undone(environment), folder, expected, by_variable) if path else None
    if known is None:
        return Check(name, WARNING, f"{finding} does not say which providers it has", "run opencode service restart")
    remedy = "run opencode auth login litellm, or opencode service restart in a shell that has the key"
    if known.keyless:
        keyless = ", ".join(sorted(known.keyless))
        return Check(name, WARNING, f"{finding} has read the file, but has no key for {keyless}", remedy)
    missing = sorted(expected - known.providers)
    if missing:
        finding = f"{finding} has no {', '.join(missing)}: it has not read the file, or has no key"
        return Check(name, WARNING, finding, remedy)
    return Check(name, OK, f"{finding} has {', '.join(sorted(expected))}")


def _handed_to_server(environment: Mapping[str, str]) -> Mapping[str, Mapping[str, Any]]:
    """Return the providers that opencode 2's server was given last."""
    text = (cache.read(environment, cache.SHARED) or b"{}").decode()
    return {name: mapping(section) for name, section in mapping(json.loads(text).get("provider")).items()}


def _addresses(environment: Mapping[str, str]) -> list[str]:
    sections = _handed_to_server(environment).values()
    addresses = [mapping(section.get("options")).get("baseURL") or "a URL of your own" for section in sections]
    return list(dict.fromkeys(map(str, addresses)))


def _failed(name: str, failure: Failure) -> Check:
    return Check(name, FAILED, failure.problem, failure.remedy, failure.exit_status)


def _skipped(*names: str) -> Iterator[Check]:
    for name in names:
        yield Check(name, SKIPPED, "skipped because of the failure above")
