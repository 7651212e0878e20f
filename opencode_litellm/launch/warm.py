"""A launch: from the console script to opencode in our place.

When the proxy's answer is unchanged, only a few modules of the standard library are imported: every start takes the
time that this takes. Whatever goes wrong, opencode starts.
"""

from __future__ import annotations

import os
import time

from opencode_litellm import cache, program, terminal, variables
from opencode_litellm.errors import ConfigurationUnreadable, Failure
from opencode_litellm.launch import record
from opencode_litellm.launch.credentials import Credentials
from opencode_litellm.opencode import commandline, layers, versions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from opencode_litellm.launch.record import Record, RecordedProxy
    from opencode_litellm.litellm.question import Question
    from opencode_litellm.opencode.delivery import Changes
    from opencode_litellm.opencode.versions import Version

    Result = tuple[int, bytes] | Exception

LOOPBACK_PATIENCE = 0.3  # seconds
LEAST_PATIENCE, MOST_PATIENCE = 0.1, 1.0  # seconds, off this machine; nobody notices less

INTERRUPTED = 130  # exit status, as shells use it


def run(command: Sequence[str], environment: Mapping[str, str]) -> int:
    """Replace this process with ``command``, its environment holding fresh providers.

    Returns an exit status only when there is no program to start (126, 127), when Ctrl-C came before it started
    (130), or on Windows, where it is the program's own.
    """
    try:
        changes, version = _changes(command, environment)
    except KeyboardInterrupt:
        return INTERRUPTED
    # A server of opencode 2 would keep whatever guards a wrapper.
    return program.start(command, environment, changes, guarded=version.major == 1 or version.may_start_us)


def _changes(command: Sequence[str], environment: Mapping[str, str]) -> tuple[Changes, Version]:
    """Return what to change in the environment, for which opencode. The one place that guarantees that it starts."""
    version = versions.UNKNOWN
    try:
        path = program.find_opencode(command[0], environment) if commandline.is_opencode(command[0]) else command[0]
        if path is None:
            return {}, version  # which is all there is to say about it
        if commandline.is_opencode(command[0]):
            version = _version(path, command[1:], environment)
        if variables.switched_on(environment, variables.DISABLE):
            return {}, version
        trimmed = variables.trimmed_keys(environment)
        changes = _changes_for(command, variables.changed(environment, trimmed) if trimmed else environment, version)
        if trimmed and changes:
            names = " and ".join(trimmed)
            terminal.note(f"{names} {variables.SPACE_AROUND}: opencode gets it without", environment)
            changes = {**changes, **trimmed}
    except Exception as error:  # noqa: BLE001 - a fault of ours must not keep anybody from working
        from opencode_litellm import log  # only after a fault

        terminal.note(f"{log.fault(environment, error)}; opencode starts without LiteLLM's models", environment)
        return _limited_after_fault(command, environment, version), version
    names = ", ".join(name for name, value in changes.items() if value is not None)
    terminal.detail(f"the models are handed over in {names or 'nothing'}", environment)
    return changes, version


def _version(path: str, arguments: Sequence[str], environment: Mapping[str, str]) -> Version:
    """Return which opencode is launched; to be told may take a second, which no ``--help`` is worth."""
    ask = not commandline.prints_and_exits(arguments) and not environment.get(variables.ASKED)
    return versions.of(path, environment, ask=ask)


def _limited_after_fault(command: Sequence[str], environment: Mapping[str, str], version: Version) -> Changes:
    """Return what leaves no provider but ours where the user wants that; what is broken here is up to our caller."""
    if commandline.is_opencode(command[0]) and not commandline.uses_models(command[1:], commandline.of(version)):
        return {}
    from opencode_litellm.launch import restriction  # only after a fault
    from opencode_litellm.opencode import delivery

    folder = commandline.folder(command[1:], environment.get("PWD", ""), commandline.of(version))
    folder = _folder(folder if commandline.is_opencode(command[0]) else "")
    if version.major == 1 or _has_own_server(command[1:], environment):
        return restriction.limited({}, environment, folder)
    restriction.limit_server(delivery.shared(environment), folder)
    return delivery.undo(environment)


def _has_own_server(arguments: Sequence[str], environment: Mapping[str, str]) -> bool:
    """Tell whether a launch of opencode 2 is its own server, so that it reads variables as opencode 1 does."""
    return commandline.uses_own_server(arguments) or layers.is_service_disabled(environment)


def _changes_for(command: Sequence[str], environment: Mapping[str, str], version: Version) -> Changes:
    managed = environment.get("OPENCODE_LITELLM_DELIVERY") == "managed"
    if not commandline.is_opencode(command[0]):
        recipient = versions.SERVER if managed else versions.ONE
        return _handed_over(recipient, environment, _folder(""))
    arguments = command[1:]
    grammar = commandline.of(version)
    needed = commandline.uses_models(arguments, grammar)
    if version.major == 1:
        if not needed:
            return {}
        recipient = versions.SERVER if managed else version.recipient
    elif not needed or commandline.uses_named_server(arguments):
        return _withdrawn(environment)
    else:
        recipient = versions.TWO if _has_own_server(arguments, environment) else versions.SERVER
    folder = _folder(commandline.folder(arguments, environment.get("PWD", ""), grammar))
    return _handed_over(recipient, _with_model(arguments, environment), folder)


def _withdrawn(environment: Mapping[str, str]) -> Changes:
    """Return the changes that take back an earlier delivery: a server of opencode 2 would keep it for its life."""
    from opencode_litellm.opencode import delivery  # opencode 1 needs nothing of it here

    return delivery.undo(environment)


def _handed_over(recipient: str, environment: Mapping[str, str], folder: str) -> Changes:
    """Return what hands over the models; after a failure, what withdraws an earlier delivery, or leaves it there."""
    from opencode_litellm.opencode import delivery  # there already, for the record

    server = recipient == versions.SERVER
    try:
        changes = _delivered(delivery.shared(environment) if server else environment, folder, recipient)
    except Failure as failure:
        from opencode_litellm.launch import restriction  # only after a failure

        if server:
            terminal.note(f"{failure}. opencode's server keeps the models that it has", environment)
            _tell(environment, folder, f"{failure}. opencode's server kept its models")
            restriction.limit_server(delivery.shared(environment), folder)
            return delivery.undo(environment)
        if isinstance(failure, ConfigurationUnreadable) and failure.stops_opencode:
            terminal.note(str(failure), environment)
            return restriction.limited(delivery.undo(environment), environment, folder)
        # While a proxy is away or a budget spent, the models of an earlier `env` are better than none, although it may
        # have run in another folder. A refused key and a configuration that nobody can read speak against them.
        left = failure.keeps_models and delivery.is_sound(environment) and _is_still_there(environment)
        what = "with the models that env handed over" if left else "without LiteLLM's models"
        terminal.note(f"{failure}. opencode starts {what}", environment)
        _tell(environment, folder, f"{failure}. opencode started {what}")
        return restriction.limited({} if left else delivery.undo(environment), environment, folder)
    return delivery.undo(environment) if server else changes


def _is_still_there(environment: Mapping[str, str]) -> bool:
    """Tell whether LiteLLM is where an earlier ``env`` detected it: what nobody named may be a stranger's by now."""
    from opencode_litellm.litellm import client  # only after a failure
    from opencode_litellm.proxies import ProxyURL

    deadline = time.monotonic() + LOOPBACK_PATIENCE
    try:
        urls = [ProxyURL.parse(root) for root in environment.get(variables.DETECTED, "").split()]
    except ValueError:
        return False
    return all(client.is_there(url, environment, deadline) for url in urls)


def _with_model(arguments: Sequence[str], environment: Mapping[str, str]) -> Mapping[str, str]:
    """Return the environment with the model that opencode's command line names, which has to be found there."""
    if commandline.takes_names_from_elsewhere(arguments):
        return variables.changed(environment, {variables.NAMED_MODEL: variables.ANY_MODEL})
    named = commandline.model(arguments)
    return variables.changed(environment, {variables.NAMED_MODEL: named}) if named else environment


def _folder(named: str) -> str:
    """Return the folder whose configuration counts: where opencode will work, if that is not where we are."""
    try:
        here = os.getcwd()
    except FileNotFoundError:
        return os.sep  # the folder is gone, which is for the program to complain about
    # A `..` undoes what is written before it, as in opencode, also where that is a link.
    return os.path.realpath(os.path.normpath(os.path.join(here, named))) if named else here


def _delivered(environment: Mapping[str, str], folder: str, recipient: str) -> Changes:
    fingerprint = record.fingerprint(environment, folder, recipient)
    last = record.load(environment, fingerprint)
    if last is not None:
        credentials = Credentials(environment, folder)
        if _still_holds(last, fingerprint, environment, credentials, recipient):
            changes = _recorded(last, environment, credentials, recipient)
            if changes is not None:
                return changes
    return _prepared(fingerprint, environment, folder, recipient, last)


def _prepared(
    fingerprint: str, environment: Mapping[str, str], folder: str, recipient: str, last: Record | None
) -> Changes:
    """Take what another launch has just prepared, or go the long way: read the configuration, ask all, render."""
    began = time.monotonic()
    turn = cache.take_turn(environment, cache.TURN.name(fingerprint), _longest_turn(environment))
    try:
        new = record.load(environment, fingerprint)
        if new is not None and (last is None or new.stamp != last.stamp):
            changes = _recorded(new, environment, Credentials(environment, folder), recipient)
            if changes is not None:
                return changes
        from opencode_litellm.launch import cold  # what neither a warm launch nor one that waits must import

        preparation = cold.prepare(environment, folder, fingerprint, recipient, began)
    finally:
        if turn is not None:
            os.close(turn)
    if not preparation.complete:
        _refresh_detached(fingerprint, environment, folder, recipient)
    for note in preparation.notes:
        terminal.note(note, environment)
    return preparation.changes


def _longest_turn(environment: Mapping[str, str]) -> float:
    """Return how many seconds another launch may take that asks at the moment."""
    try:
        seconds = float(environment.get("OPENCODE_LITELLM_TIMEOUT") or 5) + 1
    except ValueError:
        return 0.0  # the long way complains about it
    return seconds if 0 < seconds <= 3601 else 0.0


def _refresh_detached(fingerprint: str, environment: Mapping[str, str], folder: str, recipient: str) -> None:
    from opencode_litellm.launch import detached  # every ten minutes at most

    detached.start(fingerprint, environment, folder, recipient)


def _still_holds(
    last: Record, fingerprint: str, environment: Mapping[str, str], credentials: Credentials, recipient: str
) -> bool:
    """Ask the cheap question, and tell whether the models of the record can be delivered."""
    from opencode_litellm.litellm import question  # not for a launch without a record

    questions = [_question(proxy, credentials, environment) for proxy in last.proxies]
    if any(asked is None for asked in questions):
        return False
    results = question.ask_all([asked for asked in questions if asked is not None], environment)
    answers = [(proxy, result, _verdict(proxy, result)) for proxy, result in zip(last.proxies, results)]  # noqa: B905 - one result for each
    if any(verdict == NEWS for _, _, verdict in answers):
        return False
    away = any(verdict == AWAY and proxy.served for proxy, _, verdict in answers)
    # Where a detected proxy was, another port may have one.
    late = any(verdict == LATE or (verdict == AWAY and proxy.identify) for proxy, _, verdict in answers)
    if (late or away) and time.time() - last.confirmed > cache.WEEK:
        return False
    for proxy, result, verdict in answers:
        if verdict in (AWAY, FAILING):
            trouble = _trouble(proxy, result, last)
            terminal.note(trouble, environment)
            _tell(environment, credentials.folder, trouble)
        elif verdict == LATE:
            _tell(environment, credentials.folder, f"{_where(proxy)} was late: using its models from {_age(last)}")
    if not late and not away:
        record.confirm(environment, fingerprint, last)
    if late or (not away and not 0 <= time.time() - last.refreshed < record.FRESH):
        _refresh_detached(fingerprint, environment, credentials.folder, recipient)
    return True


def _question(proxy: RecordedProxy, credentials: Credentials, environment: Mapping[str, str]) -> Question | None:
    from opencode_litellm.litellm.question import Question

    headers = credentials.headers(proxy)
    if headers is None:
        return None
    patience = LOOPBACK_PATIENCE if proxy.loopback else min(max(2 * proxy.took, LEAST_PATIENCE), MOST_PATIENCE)
    return Question(
        tls=proxy.tls,
        host=proxy.host,
        port=proxy.port,
        prefix=proxy.prefix,
        via=environment.get(proxy.via, ""),
        headers=headers,
        identify=proxy.identify,
        patience=patience,
    )


# What a proxy's answer means to a launch.
SAME = "same"  # as last time
NEWS = "news"  # something else, or what only the long way can understand
LATE = "late"  # there may be news, but nobody waits for them
AWAY = "away"  # there is no connection
FAILING = "failing"  # it served nothing last time, and serves nothing now: that is a line, and no news


def _verdict(proxy: RecordedProxy, result: Result) -> str:
    if isinstance(result, OSError):
        return AWAY
    if isinstance(result, Exception):
        from opencode_litellm.litellm.question import Unusual

        return NEWS if proxy.served and isinstance(result, Unusual) else LATE
    same = _is_same(proxy.body, *result)
    if proxy.served and proxy.body:
        return SAME if same else NEWS
    if 300 <= result[0] < 400:
        return LATE
    if not same and _lists_models(*result):
        return NEWS
    # One that lists nothing is no failure where the user has named its models.
    return SAME if proxy.served else FAILING


def _is_same(old: bytes, status: int, new: bytes) -> bool:
    """Tell whether an answer has the same bytes, or the same entries in another order."""
    if status != 200:
        return False
    if new == old:
        return True
    if len(new) != len(old):
        return False
    # In another order there are as many of each byte; whatever else it is, parsing it might take long.
    if any(new.count(mark) != old.count(mark) for mark in (b",", b"[", b"{", b'"')):
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
    # As rare as a proxy that failed last time and answers now.
    from opencode_litellm.litellm import facts
    from opencode_litellm.litellm.connection import Reply

    return bool(facts.listed(Reply(status, body, 0.0).json))


def _trouble(proxy: RecordedProxy, result: Result, last: Record) -> str:
    """Return what to say of a proxy that is away or failing."""
    where = _where(proxy)
    if isinstance(result, OSError):
        models = f"using its models from {_age(last)}" if proxy.served else "opencode starts without its models"
        return f"{where} cannot be reached ({result.strerror or result}): {models}"
    if isinstance(result, Exception) or result[0] == 200:
        return f"{where} lists no model that opencode can use: opencode starts without its models"
    return f"{where} answers with status {result[0]}: opencode starts without its models"


def _where(proxy: RecordedProxy) -> str:
    return f"the proxy at {proxy.host}:{proxy.port}"


def _tell(environment: Mapping[str, str], folder: str, text: str) -> None:
    """Keep for doctor what was not as usual."""
    from opencode_litellm import log  # a launch with nothing to tell needs none

    log.tell(environment, log.LAUNCH, folder, text)


def _age(last: Record) -> str:
    # A record is confirmed once an hour at most, so its models may be newer.
    hours = max(0.0, time.time() - last.confirmed) / 3600
    if hours < 2:
        minutes = int(hours * 60) + 1
        return f"less than {minutes} minutes ago" if minutes > 1 else "less than a minute ago"
    return f"{hours:.0f} hours ago" if hours < 48 else f"{hours / 24:.0f} days ago"


def _recorded(
    last: Record, environment: Mapping[str, str], credentials: Credentials, recipient: str
) -> Changes | None:
    """Return the changes that hand over the payload of a record, None when its file is gone or too long by now."""
    from opencode_litellm.opencode import delivery  # there already, for the record

    if last.mode == record.SLOT:
        return {}  # its file is where it was, or the record would not be valid
    carried = {name: credentials.carried(*place) for name, place in last.variables.items()}
    literal = recipient == versions.ONE_LITERALLY
    set_again = {name: value for name, value in carried.items() if value}
    known = variables.changed(environment, set_again) if literal else environment
    file = cache.path(environment, last.payload_file)
    if last.mode == record.FILE:
        changes = delivery.by_file(file, environment)
    else:
        text = cache.read(environment, last.payload_file if last.mode == record.INLINE else last.head_file)
        if not text:
            return None
        try:
            changes = delivery.inline(text.decode(), known, launch=True, literal=literal)
        except delivery.Undeliverable:
            return None
        if last.mode == record.HEAD:
            changes.update({variables.CONFIG: file, variables.NO_KEY: "none"})
    changes.update({name: value and delivery.in_text(value) for name, value in carried.items()})
    hosts = [proxy.host for proxy in last.proxies if proxy.loopback and proxy.served]
    changes |= delivery.directly(hosts, environment, launch=True)
    return changes
