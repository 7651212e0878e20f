"""A launch: from the console script to opencode in our place.

With an unchanged answer nothing outside the standard library is imported, and little of that: every millisecond
here is felt at every start. Whatever goes wrong, opencode starts.
"""

from __future__ import annotations

import os
import time

from opencode_litellm import cache, program, terminal, variables
from opencode_litellm.errors import Failure, NotLiteLLM, ProxyUnreachable
from opencode_litellm.launch import record
from opencode_litellm.launch.credentials import Credentials
from opencode_litellm.opencode import commandline

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from opencode_litellm.launch.record import Record, Source
    from opencode_litellm.litellm.question import Question
    from opencode_litellm.opencode.delivery import Changes

    Result = tuple[int, bytes] | Exception

LOOPBACK_PATIENCE = 0.3  # seconds
LEAST_PATIENCE, MOST_PATIENCE = 0.1, 1.0  # seconds, off this machine; less than the least is felt by nobody

INTERRUPTED = 130  # exit status, as shells use it


def run(command: Sequence[str], environment: Mapping[str, str]) -> int:
    """Replace this process with ``command``, its environment holding fresh providers.

    Returns an exit status only when there is no program to start (126, 127), when Ctrl-C came before it started
    (130), or on Windows, where it is the program's own.
    """
    try:
        changes = _changes(command, environment)
    except KeyboardInterrupt:
        return INTERRUPTED
    return program.start(command, environment, changes)


def _changes(command: Sequence[str], environment: Mapping[str, str]) -> Changes:
    """Return what to change in the environment. The one place that guarantees that opencode starts."""
    if variables.switched_on(environment, "DISABLE"):
        return {}
    if commandline.is_opencode(command[0]) and not commandline.uses_models(command[1:]):
        return {}
    try:
        changes = _fresh(_with_model(command, environment), _folder(command, environment))
    except Exception as error:  # noqa: BLE001 - a fault of ours must not keep anybody from working
        from opencode_litellm import log  # only after a fault

        terminal.note(f"{log.fault(environment, error)}; opencode starts without models of LiteLLM", environment)
        return {}
    names = ", ".join(name for name, value in changes.items() if value is not None)
    terminal.detail(f"the models are handed over in {names or 'nothing'}", environment)
    return changes


def _fresh(environment: Mapping[str, str], folder: str) -> Changes:
    """Return what hands over the models; after a failure, what withdraws an earlier delivery, or leaves it there."""
    try:
        return _delivered(environment, folder)
    except Failure as failure:
        from opencode_litellm.opencode import delivery  # there already, for the record

        # While a proxy is away, the models of an earlier `env` are better than none, although it may have run in
        # another folder. A refused key and a configuration that nobody can read speak against them.
        left = isinstance(failure, (ProxyUnreachable, NotLiteLLM)) and delivery.is_sound(environment)
        what = "with the models that env handed over" if left else "without its models"
        terminal.note(f"{failure}. opencode starts {what}", environment)
        return {} if left else delivery.undo(environment)


def _with_model(command: Sequence[str], environment: Mapping[str, str]) -> Mapping[str, str]:
    """Return the environment with the model that opencode's command line names, which has to be found there."""
    named = commandline.model(command[1:]) if commandline.is_opencode(command[0]) else ""
    provider = named.partition("/")[0]
    if not provider.startswith("litellm") or provider.endswith("-responses"):
        return environment
    return {**environment, variables.NAMED_MODEL: named}


def _folder(command: Sequence[str], environment: Mapping[str, str]) -> str:
    """Return the folder whose configuration counts: where opencode will work, if that is not where we are."""
    pwd = environment.get("PWD", "")
    named = commandline.folder(command[1:], pwd) if commandline.is_opencode(command[0]) else ""
    try:
        here = os.getcwd()
    except FileNotFoundError:
        return os.sep  # removed under our feet, which is the program's to complain of
    # A `..` undoes what is written before it, as in opencode, also where that is a link.
    return os.path.realpath(os.path.normpath(os.path.join(here, named))) if named else here


def _delivered(environment: Mapping[str, str], folder: str) -> Changes:
    key = record.fingerprint(environment, folder)
    kept = record.load(environment, key)
    if kept is not None:
        credentials = Credentials(environment, folder)
        if _still_holds(kept, key, environment, credentials):
            changes = _recorded(kept, environment, credentials)
            if changes is not None:
                return changes
    return _prepared(key, environment, folder, kept)


def _prepared(key: str, environment: Mapping[str, str], folder: str, old: Record | None) -> Changes:
    """Take what another launch has just prepared, or go the long way: read the configuration, ask all, render."""
    began = time.monotonic()
    turn = cache.take_turn(environment, record.turn_name(key), _longest_turn(environment))
    try:
        kept = record.load(environment, key)
        if kept is not None and (old is None or kept.stamp != old.stamp):
            changes = _recorded(kept, environment, Credentials(environment, folder))
            if changes is not None:
                return changes
        from opencode_litellm.launch import cold  # what neither a warm launch nor one that waits must import

        handover = cold.prepare(environment, folder, key, began)
    finally:
        if turn is not None:
            os.close(turn)
    kept = record.load(environment, key)
    if kept is not None and not kept.refreshed:
        _refresh_detached(key, environment, folder)
    for note in handover.notes:
        terminal.note(note, environment)
    if handover.changes is None:
        from opencode_litellm.opencode import delivery

        return delivery.undo(environment)
    return handover.changes


def _longest_turn(environment: Mapping[str, str]) -> float:
    """Return how many seconds another launch may take that asks at the moment."""
    try:
        seconds = float(environment.get("OPENCODE_LITELLM_TIMEOUT") or 5) + 1
    except ValueError:
        return 0.0  # which the long way complains of
    return seconds if 0 < seconds <= 3601 else 0.0


def _refresh_detached(key: str, environment: Mapping[str, str], folder: str) -> None:
    from opencode_litellm.launch import detached  # every ten minutes at most

    detached.start(key, environment, folder)


def _still_holds(kept: Record, key: str, environment: Mapping[str, str], credentials: Credentials) -> bool:
    """Ask the cheap question, and tell whether what is there can be delivered."""
    from opencode_litellm.litellm import question  # not for a launch without a record

    questions = [_question(source, credentials, environment) for source in kept.sources]
    if any(asked is None for asked in questions):
        return False
    results = question.ask_all([asked for asked in questions if asked is not None], environment)
    heard = list(zip(kept.sources, results))  # noqa: B905 - one result for each
    if any(_is_news(source, result) for source, result in heard):
        return False
    late = any(_is_unsettled(source, result) for source, result in heard)
    away = any(source.served and isinstance(result, OSError) for source, result in heard)
    if (late or away) and time.time() - kept.confirmed > cache.WEEK:
        return False
    for source, result in heard:
        if line := _trouble(source, kept, result):
            terminal.note(line, environment)
    if not late and not away:
        record.confirm(environment, key, kept)
    if late or (not away and not 0 <= time.time() - kept.refreshed < record.FRESH):
        _refresh_detached(key, environment, credentials.folder)
    return True


def _question(source: Source, credentials: Credentials, environment: Mapping[str, str]) -> Question | None:
    from opencode_litellm.litellm.question import Question

    headers = credentials.headers(source)
    if headers is None:
        return None
    patience = LOOPBACK_PATIENCE if source.loopback else min(max(2 * source.took, LEAST_PATIENCE), MOST_PATIENCE)
    return Question(
        tls=source.tls,
        host=source.host,
        port=source.port,
        prefix=source.prefix,
        via=environment.get(source.via, ""),
        headers=headers,
        identify=source.identify,
        patience=patience,
    )


def _is_news(source: Source, result: Result) -> bool:
    """Tell whether what a proxy says calls for the long way, or what only that can tell."""
    if isinstance(result, Exception):
        from opencode_litellm.litellm.question import Unusual

        return source.served and isinstance(result, Unusual)
    if source.served:
        return not _is_same(source.body, *result)
    # One that fails costs only itself, so another failure of it is no news.
    return not _is_same(source.body, *result) and _lists_models(*result)


def _is_unsettled(source: Source, result: Result) -> bool:
    """Tell whether there may be news that nobody waits for."""
    if isinstance(result, OSError):
        return source.identify
    return isinstance(result, Exception) or 300 <= result[0] < 400


def _is_same(old: bytes, status: int, new: bytes) -> bool:
    """Tell whether an answer has the same bytes, or the same entries in another order."""
    if status != 200:
        return False
    if new == old:
        return True
    if len(new) != len(old):
        return False
    import json  # older LiteLLM lists models in another order in each worker

    try:
        entries = [sorted(json.dumps(row, sort_keys=True) for row in json.loads(body)["data"]) for body in (old, new)]
    except (ValueError, TypeError, KeyError, RecursionError):
        return False
    return entries[0] == entries[1]


def _lists_models(status: int, body: bytes) -> bool:
    if status != 200:
        return False
    import json  # as rare as a proxy that failed last time and answers now

    from opencode_litellm.litellm import facts

    try:
        return bool(facts.listed(json.loads(body)))
    except (ValueError, RecursionError):
        return False


def _trouble(source: Source, kept: Record, result: Result) -> str:
    """Return what to say of a proxy that has no models of today; empty for nothing."""
    where = f"the proxy at {source.host}:{source.port}"
    if isinstance(result, OSError):
        where = f"{where} cannot be reached ({result.strerror or result})"
        return f"{where}: {_age(kept)}" if source.served else f"{where}: it has no models here"
    if source.served or isinstance(result, Exception) or _is_unsettled(source, result):
        return ""
    said = "lists no model that opencode can use" if result[0] == 200 else f"answers with status {result[0]}"
    return f"{where} {said}: it has no models here"


def _age(kept: Record) -> str:
    hours = max(0.0, time.time() - kept.confirmed) / 3600
    age = "the last hours" if hours < 2 else f"{hours:.0f} hours ago" if hours < 48 else f"{hours / 24:.0f} days ago"
    return f"the models shown are from {age}"


def _recorded(kept: Record, environment: Mapping[str, str], credentials: Credentials) -> Changes | None:
    """Return the changes that hand over a kept payload, None when its file is gone or no longer fits."""
    from opencode_litellm import variables  # not for a launch without a record
    from opencode_litellm.opencode import delivery

    file = cache.path(environment, kept.payload)
    if kept.mode == record.FILE:
        changes = delivery.by_file(file, environment)
    else:
        text = cache.read(environment, kept.payload if kept.mode == record.INLINE else kept.head)
        if not text:
            return None
        try:
            changes = delivery.inline(text.decode(), environment, launch=True)
        except delivery.Unfit:
            return None
        if kept.mode == record.HEAD:
            changes.update({variables.CONFIG: file, variables.NO_KEY: "none"})
    for name, place in kept.variables.items():
        value = credentials.option(*place)
        changes[name] = value and delivery.in_text(value)
    return changes
