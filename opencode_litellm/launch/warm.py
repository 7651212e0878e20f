"""A launch, from the console script until opencode replaces our process.

If the proxy's answer is unchanged, only a few modules of the standard library are imported, because every start of
opencode has to wait for them. Whatever goes wrong, opencode starts.
"""

from __future__ import annotations

import os
import time

from opencode_litellm import cache, program, terminal, variables
from opencode_litellm.errors import ConfigurationUnreadable, Failure
from opencode_litellm.fields import Fields
from opencode_litellm.launch import record
from opencode_litellm.launch.credentials import Credentials
from opencode_litellm.launch.record import Circumstances
from opencode_litellm.opencode import commandline, layers, versions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from opencode_litellm.launch.record import Record, RecordedProxy
    from opencode_litellm.litellm.question import Question
    from opencode_litellm.opencode.commandline import Grammar
    from opencode_litellm.opencode.delivery import Changes
    from opencode_litellm.opencode.versions import Version

LOOPBACK_PATIENCE = 0.3  # seconds
LEAST_PATIENCE, MOST_PATIENCE = 0.1, 1.0  # seconds, for a proxy on another machine; nobody notices less

INTERRUPTED = 130  # exit status, as shells use it

_WITHOUT = "opencode starts without its models"


def run(command: Sequence[str], environment: Mapping[str, str]) -> int:
    """Replace this process with ``command``, with current models in its environment.

    Returns an exit status only if the program is not found (127) or cannot be started (126), if Ctrl-C came before it
    started (130), or on Windows, where it is the program's own.
    """
    try:
        changes, version = _changes(command, environment)
    except KeyboardInterrupt:
        return INTERRUPTED
    # opencode 2's server would keep the variable that guards against a loop of wrappers.
    guarded = version.major == 1 or version.may_start_us

    def smaller() -> Changes:
        return _restrict(command, environment, version)

    return program.start(command, environment, changes, smaller, guarded=guarded)


def _changes(command: Sequence[str], environment: Mapping[str, str]) -> tuple[Changes, Version]:
    """Return the changes to the environment, and the version of opencode, which starts even after a fault of ours."""
    version = versions.UNKNOWN
    try:
        path = program.find_opencode(command[0], environment) if commandline.is_opencode(command[0]) else command[0]
        if path is None:
            return {}, version  # program.start() reports it
        if commandline.is_opencode(command[0]):
            version = _version(path, command[1:], environment)
        if variables.switched_on(environment, variables.DISABLE):
            return {}, version
        trimmed = variables.trimmed_keys(environment)
        changes = _changes_for(command, variables.changed(environment, trimmed) if trimmed else environment, version)
        if trimmed and changes:
            for name in trimmed:
                terminal.note(f"{name} {variables.SPACE_AROUND}: opencode gets the key without them", environment)
            changes = {**changes, **trimmed}
    except Exception as error:  # noqa: BLE001 - a fault of ours must not keep anybody from working
        from opencode_litellm import log  # only after a fault

        terminal.note(f"{log.fault(environment, error)}; opencode starts without LiteLLM's models", environment)
        return _restrict(command, environment, version), version
    names = ", ".join(name for name, value in changes.items() if value is not None)
    terminal.detail(f"variables set for opencode: {names or 'none'}", environment)
    return changes, version


def _version(path: str, arguments: Sequence[str], environment: Mapping[str, str]) -> Version:
    """Return the version of opencode. Asking it may take a second, so we do not ask if it only prints its help."""
    ask = not commandline.prints_and_exits(arguments) and not environment.get(variables.ASKED)
    return versions.of(path, environment, ask=ask)


def _restrict(command: Sequence[str], environment: Mapping[str, str], version: Version) -> Changes:
    """Return the changes that leave no provider but ours, if the user wants that, and hand over no models.

    For a fault of ours, and for models that do not fit; ``__main__`` handles an exception.
    """
    if commandline.is_opencode(command[0]) and not commandline.uses_models(command[1:], commandline.of(version)):
        return {}
    from opencode_litellm.launch import restriction  # only where no models are handed over
    from opencode_litellm.opencode import delivery

    folder = commandline.folder(command[1:], environment.get("PWD", ""), commandline.of(version))
    folder = _folder(folder if commandline.is_opencode(command[0]) else "")
    if _reads_variables(version, command[1:], environment):
        return restriction.restrict({}, environment, folder)
    restriction.restrict_server(delivery.shared(environment), folder)
    return delivery.undo(environment)


def _reads_variables(version: Version, arguments: Sequence[str], environment: Mapping[str, str]) -> bool:
    """Return whether what is launched reads its own environment: opencode 1, and opencode 2 if it is its own server."""
    return version.major == 1 or commandline.uses_own_server(arguments) or layers.is_service_disabled(environment)


def _changes_for(command: Sequence[str], environment: Mapping[str, str], version: Version) -> Changes:
    how = environment.get(variables.DELIVERY, "")
    if not commandline.is_opencode(command[0]):
        return _hand_over(versions.recipient(version, how, reads_variables=True), environment, _folder(""))
    arguments = command[1:]
    grammar = commandline.of(version)
    needed = commandline.uses_models(arguments, grammar)
    if version.major == 1 and not needed:
        return {}
    if version.major > 1 and (not needed or commandline.uses_named_server(arguments)):
        return _withdrawal(environment)
    reads_variables = _reads_variables(version, arguments, environment)
    recipient = versions.recipient(version, how, reads_variables=reads_variables)
    folder = _folder(commandline.folder(arguments, environment.get("PWD", ""), grammar))
    return _hand_over(recipient, _with_model(arguments, environment, grammar), folder)


def _withdrawal(environment: Mapping[str, str]) -> Changes:
    """Return the changes that undo an earlier delivery: opencode 2's server would keep it as long as it runs."""
    from opencode_litellm.opencode import delivery  # not needed for opencode 1

    return delivery.undo(environment)


def _hand_over(recipient: str, environment: Mapping[str, str], folder: str) -> Changes:
    """Return the changes that hand over the models; after a failure, those that undo an earlier delivery or keep it."""
    from opencode_litellm.opencode import delivery  # already imported by record

    server = recipient == versions.SERVER
    try:
        changes = _deliver(Circumstances.of(environment, folder, recipient))
    except Failure as failure:
        from opencode_litellm.launch import restriction  # only after a failure

        if server:
            terminal.note(f"{failure}. opencode's server keeps its current models", environment)
            _tell(environment, folder, f"{failure}. opencode's server kept its current models")
            restriction.restrict_server(delivery.shared(environment), folder)
            return delivery.undo(environment)
        if isinstance(failure, ConfigurationUnreadable) and failure.stops_opencode:
            terminal.note(str(failure), environment)
            return restriction.restrict(delivery.undo(environment), environment, folder)
        # While a proxy is unreachable or a budget is spent, the models of an earlier `env` are better than none, even
        # if it ran in another folder. They are not to be used after a refused key or an unreadable configuration.
        left = failure.keeps_models and delivery.is_sound(environment) and _is_still_there(environment)
        what = "with the models that an earlier env delivered" if left else "without LiteLLM's models"
        terminal.note(f"{failure}. opencode starts {what}", environment)
        _tell(environment, folder, f"{failure}. opencode started {what}")
        return restriction.restrict({} if left else delivery.undo(environment), environment, folder)
    return delivery.undo(environment) if server else changes


def _is_still_there(environment: Mapping[str, str]) -> bool:
    """Return whether LiteLLM still is where an earlier ``env`` detected it: another user may have the port by now."""
    from opencode_litellm.litellm import client  # only after a failure
    from opencode_litellm.proxies import ProxyURL

    deadline = time.monotonic() + LOOPBACK_PATIENCE
    try:
        urls = [ProxyURL.parse(root) for root in environment.get(variables.DETECTED, "").split()]
    except ValueError:
        return False
    return all(client.is_there(url, environment, deadline) for url in urls)


def _with_model(arguments: Sequence[str], environment: Mapping[str, str], grammar: Grammar) -> Mapping[str, str]:
    """Return the environment, with the model that opencode's command line names in ``variables.NAMED_MODEL``."""
    if commandline.takes_names_from_elsewhere(arguments, grammar):
        return variables.changed(environment, {variables.NAMED_MODEL: variables.ANY_MODEL})
    named = commandline.model(arguments)
    return variables.changed(environment, {variables.NAMED_MODEL: named}) if named else environment


def _folder(named: str) -> str:
    """Return the folder that opencode will work in: ``named``, or the working folder if that is empty."""
    try:
        here = os.getcwd()
    except OSError:
        return os.sep  # the folder is gone or closed, and the program will complain
    # As in opencode, `..` removes the name before it, even if that is a link.
    return os.path.realpath(os.path.normpath(os.path.join(here, named))) if named else here


def _deliver(circumstances: Circumstances) -> Changes:
    last = record.load(circumstances)
    if last is not None:
        credentials = _credentials(circumstances, last)
        judgements = _ask_and_judge(last, circumstances, credentials)
        verdict = _verdict(judgements, last)
        if verdict != NEWS:
            _act_on(verdict, judgements, last, circumstances)
            changes = _replay(last, circumstances, credentials)
            if changes is not None:
                return changes
    return _reuse_or_prepare(circumstances, last)


def _credentials(circumstances: Circumstances, last: Record) -> Credentials:
    return Credentials(circumstances.environment, circumstances.folder, last.watched_variables)


def _reuse_or_prepare(circumstances: Circumstances, last: Record | None) -> Changes:
    """Use what another launch has just prepared, or launch cold: read the configuration, ask the proxies, render."""
    began = time.monotonic()
    environment = circumstances.environment
    turn = cache.take_turn(environment, cache.TURN.name(circumstances.fingerprint), _longest_turn(environment))
    try:
        new = record.load(circumstances)
        if new is not None and (last is None or new.stamp != last.stamp):
            changes = _replay(new, circumstances, _credentials(circumstances, new))
            if changes is not None:
                return changes
        from opencode_litellm.launch import cold  # neither a warm launch nor one that waited needs it

        preparation = cold.prepare(circumstances, began)
    finally:
        if turn is not None:
            os.close(turn)
    if not preparation.complete:
        _refresh_in_background(circumstances)
    for note in preparation.notes:
        terminal.note(note, environment)
    return preparation.changes


def _longest_turn(environment: Mapping[str, str]) -> float:
    """Return how many seconds to wait for another launch that is asking the proxies."""
    try:
        return variables.seconds(environment) + 1
    except ValueError:
        return 0.0  # a cold launch complains about it


def _refresh_in_background(circumstances: Circumstances) -> None:
    from opencode_litellm.launch import detached  # every ten minutes at most

    detached.start(circumstances)


# What a proxy's answer means to a launch, and what all answers do.
SAME = "same"  # as last time
NEWS = "news"  # different from last time, or only a cold launch can understand it
LATE = "late"  # there may be news, but the launch does not wait for them
AWAY = "away"  # no connection
FAILING = "failing"  # it served nothing last time, and serves nothing now: worth a message, but not news


class _Judgement(Fields):
    """What a proxy's answer means, the verdict, and the message about it; ``trouble`` is empty if there is none."""

    proxy: RecordedProxy
    verdict: str
    trouble: str


def _ask_and_judge(last: Record, circumstances: Circumstances, credentials: Credentials) -> list[_Judgement]:
    """Ask each proxy for its list of models; return an empty list if a key is not where it was."""
    from opencode_litellm.litellm import question  # a launch without a record does not need it

    environment = circumstances.environment
    wanted = [_question(proxy, credentials, environment) for proxy in last.proxies]
    questions = [each for each in wanted if each is not None]
    if len(questions) < len(wanted):
        return []
    judgements = []
    for proxy, result in zip(last.proxies, question.ask_all(questions, environment)):  # noqa: B905 - one for each
        if isinstance(result, Exception):
            verdict, trouble = _judge_silence(proxy, result, last)
        else:
            verdict, trouble = _judge_answer(proxy, *result, last)
        judgements.append(_Judgement(proxy=proxy, verdict=verdict, trouble=trouble))
    return judgements


def _verdict(judgements: Sequence[_Judgement], last: Record) -> str:
    """Return what all answers together mean; unless it is NEWS, the models of the record can be delivered."""
    if not judgements or any(each.verdict == NEWS for each in judgements):
        return NEWS
    away = any(each.verdict == AWAY and each.proxy.served for each in judgements)
    # A detected proxy that is gone may be on another port by now.
    late = any(each.verdict == LATE or (each.verdict == AWAY and each.proxy.identify) for each in judgements)
    if (late or away) and time.time() - last.confirmed > cache.WEEK:
        return NEWS
    return LATE if late else AWAY if away else SAME


def _act_on(verdict: str, judgements: Sequence[_Judgement], last: Record, circumstances: Circumstances) -> None:
    """Print and log the messages, and confirm the record or refresh it in the background."""
    for each in judgements:
        if each.trouble:
            if each.verdict != LATE:
                terminal.note(each.trouble, circumstances.environment)
            _tell(circumstances.environment, circumstances.folder, each.trouble)
    if verdict == SAME:
        record.confirm(circumstances, last)
    if verdict == LATE or (verdict == SAME and not 0 <= time.time() - last.refreshed < record.FRESH):
        _refresh_in_background(circumstances)


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


def _judge_silence(proxy: RecordedProxy, error: Exception, last: Record) -> tuple[str, str]:
    """Return the verdict and the trouble of a proxy that gave no answer."""
    if isinstance(error, OSError):
        models = f"using its models from {_age(last)}" if proxy.served else _WITHOUT
        return AWAY, f"{_where(proxy)} cannot be reached ({error.strerror or error}): {models}"
    from opencode_litellm.litellm.question import Unusual

    return (NEWS, "") if proxy.served and isinstance(error, Unusual) else (LATE, _late(proxy, last))


def _judge_answer(proxy: RecordedProxy, status: int, body: bytes, last: Record) -> tuple[str, str]:
    """Return the verdict and the trouble of a proxy that answered."""
    same = _is_same(proxy.body, status, body)
    if proxy.served and proxy.body:
        return SAME if same else NEWS, ""
    if 300 <= status < 400:
        return LATE, _late(proxy, last)
    if not same and _lists_models(status, body):
        return NEWS, ""
    # A proxy that lists nothing is no failure if the user has named its models.
    if proxy.served:
        return SAME, ""
    what = "lists no model that opencode can use" if status == 200 else f"answers with status {status}"
    return FAILING, f"{_where(proxy)} {what}: {_WITHOUT}"


def _is_same(old: bytes, status: int, new: bytes) -> bool:
    """Return whether an answer has the same bytes, or the same entries in another order."""
    if status != 200:
        return False
    if new == old:
        return True
    if len(new) != len(old):
        return False
    # Another order does not change how often each byte occurs. Parsing anything else might take long.
    if any(new.count(mark) != old.count(mark) for mark in (b",", b"[", b"{", b'"')):
        return False
    import json  # only if the order differs: each worker of an older LiteLLM has its own

    try:
        entries = [sorted(json.dumps(row, sort_keys=True) for row in json.loads(body)["data"]) for body in (old, new)]
    except (ValueError, TypeError, KeyError, RecursionError):
        return False
    return entries[0] == entries[1]


def _lists_models(status: int, body: bytes) -> bool:
    if status != 200:
        return False
    # Only for a proxy that failed last time and answers now.
    from opencode_litellm.litellm import facts
    from opencode_litellm.litellm.connection import Reply

    return bool(facts.listed(Reply(status, body, 0.0).json))


def _late(proxy: RecordedProxy, last: Record) -> str:
    models = f"using its models from {_age(last)}" if proxy.served else _WITHOUT
    return f"{_where(proxy)} did not answer in time: {models}"


def _where(proxy: RecordedProxy) -> str:
    return f"the proxy at {proxy.host}:{proxy.port}"


def _tell(environment: Mapping[str, str], folder: str, text: str) -> None:
    """Log what was unusual about a launch, for doctor."""
    from opencode_litellm import log  # most launches log nothing

    log.tell(environment, log.LAUNCH, folder, text)


def _age(last: Record) -> str:
    # A record is confirmed once an hour at most, so its models may be newer.
    hours = max(0.0, time.time() - last.confirmed) / 3600
    if hours < 2:
        minutes = int(hours * 60) + 1
        return f"less than {minutes} minutes ago" if minutes > 1 else "less than a minute ago"
    return f"{hours:.0f} hours ago" if hours < 48 else f"{hours / 24:.0f} days ago"


def _replay(last: Record, circumstances: Circumstances, credentials: Credentials) -> Changes | None:
    """Return the changes that hand over the payload of a record; None if its file is gone or it no longer fits."""
    from opencode_litellm.opencode import delivery  # there already, for the record

    if last.mode == record.SLOT:
        return {}  # the record is valid, so its file is in place
    environment = circumstances.environment
    carried = {name: credentials.carried_secret(*source) for name, source in last.variables.items()}
    literal = circumstances.recipient == versions.ONE_LITERALLY
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
