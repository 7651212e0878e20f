"""What we put into the user's files and folders, and how it is removed: snippets, shims, caches and logs."""

from __future__ import annotations

import os
import re
import stat
import sys
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING

from opencode_litellm import cache, program, replacement, terminal, variables
from opencode_litellm.errors import UsageFailure
from opencode_litellm.jsonc import JsoncError
from opencode_litellm.opencode import slot
from opencode_litellm.shells import emission, replay, startup
from opencode_litellm.shells.formats import SHELLS, STARTUPS, command_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    Environment = Mapping[str, str]

WROTE, CLEANED, REMOVED, UNCHANGED = "wrote", "cleaned", "removed", "unchanged"
_WOULD = {WROTE: "would write", CLEANED: "would clean", REMOVED: "would remove"}

_FILE, _PROGRAM = 0o666, 0o777  # the mode of a new file, before the umask

_SHIM = "opencode.exe" if os.name == "nt" else "opencode"
_LARGEST_SHIM = 2**20  # bytes; opencode.exe is a hundred times as large
_END_IT = "exit every opencode that it runs, or " if os.name == "nt" else ""  # Windows cannot replace a running program

_STATE = ("log", "log.1", slot.MEMORY)


@dataclass(frozen=True)
class Outcome:
    """What was ``done`` to a file or folder, and a ``note`` about it; without ``done`` there is only the note."""

    done: str = ""
    path: str = ""
    note: str = ""

    def line(self, *, dry_run: bool) -> str:
        """Return the line for standard output, empty if nothing was done."""
        done = _WOULD.get(self.done, self.done) if dry_run else self.done
        return f"{done} {terminal.plain(self.path)}\n" if done else ""


def install(
    names: Iterable[str], command: str, environment: Environment, *, shim: bool, dry_run: bool
) -> Iterator[Outcome | UsageFailure]:
    """Make the startup files of each of these shells define ``command``, and with ``shim`` put the shim on PATH.

    Yields what was done to each file, or why it failed; a failure does not stop the others.
    """
    for name in names:
        yield from _attempt(_install_snippet, name, command, environment, dry_run)
    if shim:
        yield from _attempt(_install_shim, environment, dry_run)


def uninstall(environment: Environment, *, dry_run: bool) -> Iterator[Outcome | UsageFailure]:
    """Remove all that is ours: from the startup files of all shells, from PATH and opencode's folder, and our cache."""
    outcomes = []
    for outcome in _remove_all(environment, dry_run):
        outcomes.append(outcome)
        yield outcome
    if any(isinstance(outcome, Outcome) and outcome.done for outcome in outcomes):
        yield Outcome(note="shells that are already running keep the snippet until they exit")
    elif not outcomes:
        yield Outcome(note="nothing is installed here")
    templates = variables.override_folder(environment)
    if os.path.isdir(templates):
        yield Outcome(note=f"your own templates in {templates} were kept")


def startup_files(environment: Environment) -> list[str]:
    """Return the startup files that make opencode go through us, with our snippet or a line of the user's own."""
    paths = []
    for path in _all_files(environment):
        with suppress(OSError):
            content = _read(path)
            if content is not None and (startup.is_marked(content) or startup.evaluates_init(content)):
                paths.append(path)
    return paths


def outdated(environment: Environment) -> dict[str, str]:
    """Return, by shell, a startup file or kept snippet that is not what ``install`` would write now."""
    old = {}
    snippets = _outdated_snippets(environment)
    for name in STARTUPS:
        for path in _files(name, environment):
            with suppress(OSError, UsageFailure):  # other checks report these
                there = startup.installed(_read(path) or b"")
                if there is None:
                    continue
                language, (command, lines) = _language(name, path), there
                if lines != _lines(language, command, environment):
                    old[language] = path
                elif (language, command) in snippets:
                    old[language] = replay.path(language, command, environment)
    return old


def renew_snippets(environment: Environment) -> None:
    """Render again the kept snippets, which startup files read, if they are from another version or template."""
    for shell, command in _outdated_snippets(environment):
        with suppress(UsageFailure):  # `init` and `doctor` report it
            replay.keep(shell, command, environment, emission.snippet(shell, command, environment))


def _outdated_snippets(environment: Environment) -> list[tuple[str, str]]:
    """Return the shell and the command of each kept snippet that is not current."""
    return [(shell, command) for shell, command in replay.outdated(environment) if shell in STARTUPS]


def _files(name: str, environment: Environment) -> list[str]:
    return [path for group in STARTUPS[name].files(environment) for path in group]


def _all_files(environment: Environment) -> list[str]:
    return list(dict.fromkeys(path for name in STARTUPS for path in _files(name, environment)))


def _language(name: str, path: str) -> str:
    """Return the shell that a startup file of the shell ``name`` is written for: many shells read ``.profile``."""
    return "posix" if os.path.basename(path) == ".profile" else name


def _lines(name: str, command: str, environment: Environment, complain: emission.Complaint | None = None) -> bytes:
    text = emission.startup(name, command, environment, complain)
    return text.encode("utf-8", "surrogateescape").rstrip(b"\n")


def _remove_all(environment: Environment, dry_run: bool) -> Iterator[Outcome | UsageFailure]:
    for path in _all_files(environment):
        yield from _attempt(_remove_snippet, path, dry_run)
    yield from _attempt(_remove_shims, environment, dry_run)
    # Before the state folder, which has our memory of what is ours in the slot.
    yield from _attempt(_clean_slot, environment, dry_run)
    yield from _attempt(_remove_folder, variables.cache_folder(environment), cache.is_name, dry_run)
    yield from _attempt(_remove_folder, variables.data_folder(environment), _is_snippet, dry_run)
    yield from _attempt(_remove_folder, variables.state_folder(environment), _STATE.__contains__, dry_run)


def _attempt(
    task: Callable[..., Iterator[Outcome | UsageFailure]], *arguments: object
) -> Iterator[Outcome | UsageFailure]:
    try:
        yield from task(*arguments)
    except UsageFailure as failure:
        yield failure


def _install_snippet(
    name: str, command: str, environment: Environment, dry_run: bool
) -> Iterator[Outcome | UsageFailure]:
    command_name(command, SHELLS[name])  # may fail, so before any file is changed
    paths = list(_files_to_change(name, environment))
    if not paths:  # PowerShell's, on Windows
        raise UsageFailure(f"{name} does not say where its profile is", "check that it is on PATH")
    news: list[Outcome | UsageFailure] = []
    for path in paths:
        news += _attempt(_add_snippet, path, _language(name, path), command, environment, dry_run)
    yield from news
    if not dry_run and any(isinstance(each, Outcome) and each.done == WROTE for each in news):
        renewal = STARTUPS[name].renewal or STARTUPS[name].line_for(command)
        yield Outcome(note=f"new {name} shells are ready; in one that is already running, run: {renewal}")


def _files_to_change(name: str, environment: Environment) -> Iterator[str]:
    """Yield the startup files that have to be changed, without those that read another one of them."""
    paths: list[str] = []
    for group in STARTUPS[name].files(environment):
        path = next((file for file in group if os.path.exists(file)), group[0])
        if not any(_leads_to(path, other, group) for other in paths):
            paths.append(path)
    yield from paths


def _leads_to(path: str, other: str, group: Sequence[str]) -> bool:
    """Return whether a startup file reads ``other``, itself or by way of another one of its ``group``."""
    try:
        content = _read(path) or b""
    except OSError:
        return False
    if startup.reads(content, os.path.basename(other)):
        return True
    further = group[group.index(path) + 1 :]
    return any(startup.reads(content, os.path.basename(each)) and _leads_to(each, other, group) for each in further)


def _add_snippet(path: str, name: str, command: str, environment: Environment, dry_run: bool) -> Iterator[Outcome]:
    line = STARTUPS[name].line_for(command)
    complaints: list[UsageFailure] = []
    lines = _lines(name, command, environment, complaints.append)
    snippet = emission.snippet(name, command, environment, complaints.append)
    yield from (Outcome(note=text) for text in dict.fromkeys(map(str, complaints)))
    with _as_usage_failure(path, f"make it writable, or add this line where the file is managed: {line}"):
        content = _read(path)
        if content is not None and startup.evaluates_init(content):
            yield Outcome(UNCHANGED, path, f"{path} already runs opencode-litellm init, in a line of your own")
            return
        if STARTUPS[name].reads_file and not dry_run:
            replay.keep(name, command, environment, snippet)
        wanted = startup.with_snippet(content, lines, command)
        if wanted == content:
            yield Outcome(UNCHANGED, path)
            return
        _write(path, wanted, _FILE, dry_run)
    yield Outcome(WROTE, path)
    if os.name == "nt" and "WindowsPowerShell" in path:
        remedy = "run in it: Set-ExecutionPolicy -Scope CurrentUser RemoteSigned"
        yield Outcome(note=f"Windows PowerShell does not run profiles by default; to allow them, {remedy}")


def _remove_snippet(path: str, dry_run: bool) -> Iterator[Outcome]:
    with _as_usage_failure(path, "make it writable, or remove the lines of opencode-litellm where the file is managed"):
        content = _read(path)
        if content is None:
            return
        left = startup.without_snippet(content)
        if left is None:
            _remove(_writable(path), dry_run)
        elif left != content:
            _write(path, left, _FILE, dry_run)
    if left != content:
        yield Outcome(REMOVED if left is None else CLEANED, path)
    if startup.evaluates_init(content):
        yield Outcome(note=f"{path} still runs opencode-litellm init, in a line of your own: remove that line")


def _is_snippet(name: str) -> bool:
    """Return whether a file in our folder of snippets is one of ours, or was one while it was being written."""
    return re.fullmatch(rf"[\w.-]+\.({'|'.join(STARTUPS)})(\.[0-9]+-[0-9]+\.tmp)?", name) is not None


def _install_shim(environment: Environment, dry_run: bool) -> Iterator[Outcome]:
    real = program.file_on_path("opencode", environment)
    folder, note = _shim_folder(environment, os.path.dirname(real) if real else None)
    path = os.path.join(folder, _SHIM)
    with _as_usage_failure(path, f"{_END_IT}put a folder that you can write to ahead of opencode's folder on PATH"):
        if os.path.lexists(path) and not is_shim(path):
            remedy = "remove it, or put another folder in your home ahead of opencode's folder on PATH"
            raise UsageFailure(f"{path} already exists and is not the shim of opencode-litellm", remedy)
        wanted = emission.shim()
        if _read(path) == wanted:
            yield Outcome(UNCHANGED, path, note)
            return
        _write(path, wanted, _PROGRAM, dry_run)
    yield Outcome(WROTE, path, note)


def _shim_folder(environment: Environment, real: str | None) -> tuple[str, str]:
    """Return a folder for the shim, and a note if it does not precede ``real``, opencode's own folder, on PATH."""
    before = _path(environment)
    if real is not None:
        before = list(takewhile(lambda folder: _same(folder) != _same(real), before))
    home = os.path.join(_same(variables.home(environment)), "")
    for folder in map(os.path.realpath, before):
        # Virtual environments are deactivated and deleted.
        temporary = os.path.exists(os.path.join(os.path.dirname(folder), "pyvenv.cfg"))
        if _same(folder).startswith(home) and os.access(folder, os.W_OK | os.X_OK) and not temporary:
            return folder, ""
    folder = _usual_folder(environment)
    placed = _same(folder) in map(_same, before)
    return folder, "" if placed else f"the shim has no effect yet: put {folder} ahead of {real or 'opencode'} on PATH"


def _same(path: str) -> str:
    """Return the canonical path of a folder, for comparisons."""
    return os.path.normcase(os.path.realpath(path))


def _remove_shims(environment: Environment, dry_run: bool) -> Iterator[Outcome]:
    folders = {_same(folder): folder for folder in (_usual_folder(environment), *_path(environment))}
    for path in (os.path.join(folder, _SHIM) for folder in folders.values()):
        if not os.path.islink(path) and is_shim(path):
            with _as_usage_failure(path, f"{_END_IT}remove it yourself"):
                _remove(path, dry_run)
            yield Outcome(REMOVED, path)


def _clean_slot(environment: Environment, dry_run: bool) -> Iterator[Outcome]:
    remedy = "remove the providers of opencode-litellm from it yourself"
    for path in slot.paths(environment):
        try:
            left = slot.strip(environment, path)
        except JsoncError as error:
            raise UsageFailure(f"{path} cannot be read ({error})", remedy) from error
        with _as_usage_failure(path, remedy):
            if left is None:
                _remove(_writable(path), dry_run)
            else:
                _write(path, left.encode(), _FILE, dry_run)
        yield Outcome(REMOVED if left is None else CLEANED, path)
    if slot.names_copy(environment):
        remedy = "run opencode service unset env OPENCODE_CONFIG"
        yield Outcome(note=f"opencode's service still uses a file of opencode-litellm: {remedy}")


def _remove_folder(folder: str, is_ours: Callable[[str], bool], dry_run: bool) -> Iterator[Outcome]:
    """Remove the files in a folder of ours whose names are ours, and the folder if nothing else is in it."""
    if os.path.islink(folder) or not os.path.isdir(folder):
        return
    with _as_usage_failure(folder, "remove it yourself"):
        entries = list(os.scandir(folder))
        ours = [entry for entry in entries if entry.is_file(follow_symlinks=False) and is_ours(entry.name)]
        for entry in ours:
            _remove(entry.path, dry_run)
        if len(ours) < len(entries):
            yield Outcome(CLEANED if ours else "", folder, f"{folder} was kept: it contains other files")
            return
        if not dry_run:
            os.rmdir(folder)
    yield Outcome(REMOVED, folder)


def _path(environment: Environment) -> list[str]:
    if sys.platform == "win32":
        from opencode_litellm import windows  # only on Windows

        return windows.folders(environment)
    return [folder for folder in environment.get("PATH", "").split(os.pathsep) if os.path.isabs(folder)]


def _usual_folder(environment: Environment) -> str:
    return os.path.join(variables.home(environment), ".local", "bin")


def is_current_shim(path: str) -> bool:
    """Return whether a file is the shim that ``install`` would write now."""
    return _read(path) == emission.shim()


def is_shim(path: str) -> bool:
    """Return whether a file is our shim."""
    if not os.path.isfile(path):
        return False
    try:
        with open(path, "rb") as file:
            begin = file.read(1024)
            if begin.startswith(b"MZ"):  # on Windows, where its text is at the end of the launcher
                return startup.is_marked(file.read(_LARGEST_SHIM))
    except OSError:
        return False
    return begin.startswith(b"#!") and startup.is_marked(begin)


def _read(path: str) -> bytes | None:
    """Return what a file holds, None if it does not exist; OSError if it is not a regular file, or unreadable."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise OSError(0, "it is not a regular file")
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return None


def _write(path: str, content: bytes, mode: int, dry_run: bool) -> None:
    target = _writable(path)
    if not dry_run:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        replacement.replace(target, content, mode)


def _remove(path: str, dry_run: bool) -> None:
    if not dry_run:
        os.unlink(path)


def _writable(path: str) -> str:
    """Return the file that ``path`` links to, if it does; OSError for a read-only file, which is so on purpose."""
    target = os.path.realpath(path)
    # In a writable folder we could still replace or remove the file, and root always could.
    if os.path.exists(target) and not (os.stat(target).st_mode & 0o222 and os.access(target, os.W_OK)):
        raise OSError(0, "it is read-only")
    return target


@contextmanager
def _as_usage_failure(path: str, remedy: str) -> Iterator[None]:
    """Turn an error of the system, or a file that is unsafe to change, into a failure that names ``path``."""
    try:
        yield
    except replacement.OwnerLost as error:
        remedy = "take ownership of it with chown and chgrp, or edit it by hand"
        raise UsageFailure(f"{path} cannot be changed ({error.strerror})", remedy) from error
    except startup.UnsafeToChange as error:
        raise UsageFailure(f"{path} {error.problem}", error.remedy) from error
    except OSError as error:
        raise UsageFailure(f"{path} cannot be changed ({error.strerror})", remedy) from error
