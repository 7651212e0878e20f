"""A launch: from the console script to opencode in our place.

With an unchanged answer nothing outside the standard library is imported, and little of that: every millisecond
here is felt at every start. Whatever goes wrong, opencode starts.
"""

from __future__ import annotations

import errno
import os
import sys
import time

from . import cache, commandline, record, terminal
from .errors import Failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .delivery import Changes
    from .question import Question
    from .record import Record, Source

LOOPBACK_PATIENCE = 0.3  # seconds
LEAST_PATIENCE, MOST_PATIENCE = 0.1, 1.0  # seconds, off this machine; less than the least is felt by nobody

NOT_EXECUTABLE, NOT_FOUND, INTERRUPTED = 126, 127, 130  # exit statuses, as shells use them

_DETACHED_LIFE = 120  # seconds after which a detached process ends itself, whatever it hangs in

_OUR_NAMES = (b"opencode-with-litellm", b"opencode-litellm exec")

# The working folder, where -c would look for modules first, may be anybody's project.
_DETACHED = """
import sys
sys.path[:] = [path for path in sys.path if path] + [sys.argv[1]]
from opencode_litellm import launch
launch.refresh(*sys.argv[2:])
"""


def run(command: Sequence[str], environment: Mapping[str, str]) -> int:
    """Replace this process with ``command``, its environment holding fresh providers.

    Returns an exit status only when there is no program to start (126, 127), when Ctrl-C came before it started
    (130), or on Windows, where it is the program's own.
    """
    try:
        changes = _changes(command, environment)
    except KeyboardInterrupt:
        return INTERRUPTED
    return _start(command, environment, changes)


def _changes(command: Sequence[str], environment: Mapping[str, str]) -> Changes:
    """Return what to change in the environment. The one place that guarantees that opencode starts."""
    if terminal.switched_on(environment, "DISABLE"):
        return {}
    if commandline.is_opencode(command[0]) and not commandline.uses_models(command[1:]):
        return {}
    try:
        changes = _delivered(environment, _folder(command))
        names = ", ".join(name for name, value in changes.items() if value is not None)
        terminal.detail(f"the models are handed over in {names or 'nothing'}", environment)
        return changes
    except Failure as failure:
        terminal.note(f"{failure}. opencode starts without its models", environment)
    except Exception as error:  # noqa: BLE001 - a fault of ours must not keep anybody from working
        from . import log  # only after a fault

        terminal.note(f"{log.fault(environment, error)}; opencode starts without models of LiteLLM", environment)
    return {}


def _folder(command: Sequence[str]) -> str:
    """Return the folder whose configuration counts: where opencode will work, if it is told to work elsewhere."""
    named = commandline.folder(command[1:]) if commandline.is_opencode(command[0]) else ""
    try:
        here = os.getcwd()
        there = os.path.join(here, named)
        return os.path.realpath(there) if named and os.path.isdir(there) else here
    except FileNotFoundError:
        return os.sep  # removed under our feet, which is the program's to complain of


def _delivered(environment: Mapping[str, str], folder: str) -> Changes:
    key = record.fingerprint(environment, folder)
    kept = record.load(environment, key)
    if kept is not None and _still_holds(kept, key, environment, folder):
        changes = _recorded(kept, environment, folder)
        if changes is not None:
            return changes
    return _prepared(key, environment, folder, kept)


def _prepared(key: str, environment: Mapping[str, str], folder: str, old: Record | None) -> Changes:
    """Take what another launch has just prepared, or go the long way: read the configuration, ask all, render."""
    began = time.monotonic()
    cache.make_folder(environment)
    turn = cache.take_turn(environment, record.turn_name(key), _longest_turn(environment))
    try:
        kept = record.load(environment, key)
        if kept is not None and (old is None or kept.stamp != old.stamp):
            changes = _recorded(kept, environment, folder)
            if changes is not None:
                return changes
        from . import preparation  # what neither a warm launch nor one that waits must import

        handover = preparation.prepare(environment, folder, key, began)
    finally:
        if turn is not None:
            os.close(turn)
    kept = record.load(environment, key)
    if kept is not None and not kept.refreshed:
        _detach(key, environment, folder)
    for note in handover.notes:
        terminal.note(note, environment)
    return handover.changes or {}


def _longest_turn(environment: Mapping[str, str]) -> float:
    """Return how many seconds another launch may take that asks at the moment."""
    try:
        return float(environment.get("OPENCODE_LITELLM_TIMEOUT") or 5) + 1
    except ValueError:
        return 0.0  # which the long way complains of


def _still_holds(kept: Record, key: str, environment: Mapping[str, str], folder: str) -> bool:
    """Ask the cheap question, and tell whether what is there can be delivered."""
    from . import question  # not for a launch without a record

    credentials = _Credentials(environment, folder)
    questions = [_question(source, credentials, environment) for source in kept.sources]
    if any(asked is None for asked in questions):
        return False
    results = question.ask_all([asked for asked in questions if asked is not None], environment)
    late = False
    away = []
    for source, result in zip(kept.sources, results):  # noqa: B905 - one result for each
        if isinstance(result, question.Late):
            late = True
        elif isinstance(result, OSError):
            away.append(_away(source, kept, result))
            late = late or source.identify
        elif isinstance(result, Exception) or not _is_no_news(source.body, *result):
            return False
    if (late or away) and time.time() - kept.confirmed > record.WEEK:
        return False
    for line in away:
        terminal.note(line, environment)
    if not late and not away:
        record.confirm(environment, key, kept)
    if late or (not away and not 0 <= time.time() - kept.refreshed < record.FRESH):
        _detach(key, environment, folder)
    return True


def _question(source: Source, credentials: _Credentials, environment: Mapping[str, str]) -> Question | None:
    from .question import Question

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
        body=source.body,
    )


def _is_no_news(old: bytes, status: int, new: bytes) -> bool:
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


def _away(source: Source, kept: Record, error: OSError) -> str:
    where = f"the proxy at {source.host}:{source.port} cannot be reached ({error.strerror or error})"
    if not source.body:
        return f"{where}: it has no models here"
    hours = max(0.0, time.time() - kept.confirmed) / 3600
    age = "the last hours" if hours < 2 else f"{hours:.0f} hours ago" if hours < 48 else f"{hours / 24:.0f} days ago"
    return f"{where}: the models shown are from {age}"


def _recorded(kept: Record, environment: Mapping[str, str], folder: str) -> Changes | None:
    """Return the changes that hand over a kept payload, None when its file is gone or no longer fits."""
    from . import delivery  # not for a launch without a record

    file = cache.path(environment, kept.payload)
    if kept.mode == record.FILE:
        changes = delivery.by_file(file, environment)
    else:
        text = cache.read(environment, kept.payload if kept.mode == record.INLINE else kept.head)
        if not text:
            return None
        try:
            changes = delivery.inline(text.decode("ascii"), environment)
        except delivery.Unfit:
            return None
        if kept.mode == record.HEAD:
            changes.update({delivery.FILE: file, delivery.NO_KEY: "none"})
    credentials = _Credentials(environment, folder)
    for name, place in kept.variables.items():
        changes[name] = credentials.option(*place)
    return changes


class _Credentials:
    """Finds keys and headers where a record says that they are; the configuration is read when one is there."""

    def __init__(self, environment: Mapping[str, str], folder: str) -> None:
        self._environment = environment
        self._folder = folder
        self._providers: Mapping[str, object] | None = None

    def headers(self, source: Source) -> dict[str, str] | None:
        """Return the headers for a request to ``source``; None when its key is not where it was."""
        headers = {}
        kind, _, name = source.found_in.partition(" ")
        if kind != "nowhere":
            secret = self._key(kind, name, source.provider)
            if not secret:
                return None
            headers["Authorization"] = f"Bearer {secret}"
        for header, option in source.headers.items():
            value = self.option(source.provider, option, header)
            if value is None:
                return None
            if header.lower() == "authorization":
                headers.pop("Authorization", None)
            headers[header] = value
        return headers

    def _key(self, kind: str, name: str, provider: str) -> str | None:
        if kind == "environment":
            return self._environment.get(name, "").strip()
        if kind == "section":
            return (self.option(provider, "apiKey", "") or "").strip()
        from . import keys  # only for a key that opencode stores

        stored = keys.stored(self._environment, provider)
        return stored.secret if stored else None

    def option(self, provider: str, option: str, name: str) -> str | None:
        """Return the text of an option of a section, or of the field ``name`` in it."""
        if self._providers is None:
            from . import configuration  # JSON costs 6 ms

            section = configuration.read(self._environment, self._folder).resolved.get("provider")
            self._providers = section if isinstance(section, dict) else {}
        value: object = self._providers
        for part in (provider, "options", option):
            value = value.get(part) if isinstance(value, dict) else None
        if isinstance(value, dict):
            value = value.get(name)
        if isinstance(value, list):
            value = ",".join(item for item in value if isinstance(item, str))
        return value if isinstance(value, str) else None


def _detach(key: str, environment: Mapping[str, str], folder: str) -> None:
    """Leave what takes time to a process of its own, which no terminal, pipe or parent waits for."""
    if not sys.executable or not cache.claim(environment, record.claim_name(key), _DETACHED_LIFE):
        return
    home = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    command = [sys.executable, "-c", _DETACHED, home, key, folder]
    try:
        if hasattr(os, "fork"):
            _fork(command, environment)
        else:
            _spawn_on_windows(command, environment)
    except OSError:
        cache.remove(environment, record.claim_name(key))  # no process to be had: the next launch tries again


def _fork(command: list[str], environment: Mapping[str, str]) -> None:
    child = os.fork()
    if child:
        try:
            os.waitpid(child, 0)
        except ChildProcessError:
            return  # somebody above us ignores SIGCHLD, and the system has waited
        return
    # The first child ends at once, so that the second one belongs to init and never becomes opencode's zombie.
    try:
        os.setsid()
        if os.fork() == 0:
            null = os.open(os.devnull, os.O_RDWR)
            for descriptor in (0, 1, 2):
                os.dup2(null, descriptor)
            os.closerange(3, min(os.sysconf("SC_OPEN_MAX"), 2**16))
            os.execve(command[0], command, environment)  # noqa: S606 - our own interpreter
    finally:
        os._exit(0)


def _spawn_on_windows(command: list[str], environment: Mapping[str, str]) -> None:
    import subprocess

    subprocess.Popen(  # noqa: S603 - our own interpreter
        command,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        creationflags=0x00000008 | 0x00000200,  # DETACHED_PROCESS, CREATE_NEW_PROCESS_GROUP
    )


def refresh(key: str, folder: str) -> None:
    """Do, detached, what a launch did not wait for: ``folder`` is where it started."""
    from . import log  # nobody waits here

    environment = os.environ
    try:
        if hasattr(os, "fork"):
            _be_modest()
        from . import preparation

        preparation.refresh(environment, folder, key)
    except Failure as failure:
        log.write(environment, f"refresh: {failure}")
    except Exception as error:  # noqa: BLE001 - there is nobody to raise to, but the log
        log.fault(environment, error)
    finally:
        cache.remove(environment, record.claim_name(key))


def _be_modest() -> None:
    """End some day, whatever hangs, and leave the processor to the program that is starting."""
    import signal  # nobody waits here

    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(_DETACHED_LIFE)
    os.nice(5)


def _start(command: Sequence[str], environment: Mapping[str, str], changes: Changes) -> int:
    program = find(command[0], environment)
    if program is None:
        terminal.failure(f"{command[0]}: not found on PATH, is it installed?", environment)
        return NOT_FOUND
    merged = {name: value for name, value in {**environment, **changes}.items() if value is not None}
    if _is_python_s_locale(environment):
        del merged["LC_CTYPE"]
    try:
        return _replace(program, command, merged)
    except OSError as error:
        if error.errno == errno.E2BIG and changes:
            terminal.note("the models do not fit into the environment: opencode starts without them", environment)
            return _start(command, environment, {})
        terminal.failure(f"{program}: cannot be started: {error.strerror}", environment)
        return NOT_FOUND if error.errno == errno.ENOENT else NOT_EXECUTABLE


def _is_python_s_locale(environment: Mapping[str, str]) -> bool:
    """Tell whether ``LC_CTYPE`` is not the caller's, but Python's (PEP 538), which sets it where it finds locale C."""
    if "LC_CTYPE" not in environment or environment.get("LC_ALL") or environment.get("LANG", "C") not in ("C", "POSIX"):
        return False
    try:
        with open("/proc/self/environ", "rb") as file:  # as the process was started
            return not any(entry.startswith(b"LC_CTYPE=") for entry in file.read().split(b"\0"))
    except OSError:
        return False


def _replace(program: str, command: Sequence[str], environment: dict[str, str]) -> int:
    if os.name == "nt":
        return _run_on_windows(program, command, environment)
    import _signal  # type: ignore[import-not-found]  # the public module costs 5 ms, for enumerations

    # Python ignores these, and what is ignored stays so in the program that takes our place.
    for name in ("SIGPIPE", "SIGXFSZ"):
        if hasattr(_signal, name):
            _signal.signal(getattr(_signal, name), _signal.SIG_DFL)
    try:
        os.execve(program, list(command), environment)  # noqa: S606 - what a launcher is for
    except OSError as error:
        if error.errno != errno.ENOEXEC:
            raise
        # A script without #!: shells run it themselves.
        os.execve("/bin/sh", ["/bin/sh", program, *command[1:]], environment)  # noqa: S606
    return NOT_EXECUTABLE  # not reached


def _run_on_windows(program: str, command: Sequence[str], environment: dict[str, str]) -> int:
    import subprocess

    with subprocess.Popen([program, *command[1:]], env=environment) as process:  # noqa: S603
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:
                continue  # the program got it as well, and decides


def find(name: str, environment: Mapping[str, str]) -> str | None:
    """Return the program that a shell would start for ``name``, past a shim of our own; None when there is none."""
    if os.path.dirname(name):
        return name
    extensions = environment.get("PATHEXT", ".EXE;.CMD;.BAT").split(";") if os.name == "nt" else [""]
    refused = None
    for folder in environment.get("PATH", os.defpath).split(os.pathsep):
        for extension in extensions:
            candidate = os.path.join(folder or os.curdir, name + extension)
            if not os.path.isfile(candidate) or _is_ourselves(candidate):
                continue
            if os.access(candidate, os.X_OK):
                return candidate
            refused = refused or candidate
    return refused


def _is_ourselves(candidate: str) -> bool:
    """Tell whether a program is this one under another name, or a small script that calls it."""
    try:
        if os.path.samefile(candidate, sys.argv[0]):
            return True
        with open(candidate, "rb", 0) as file:
            begin = file.read(1024)
    except OSError:
        return False
    return begin.startswith(b"#!") and any(name in begin for name in _OUR_NAMES)
