"""The program to launch: finding it, and starting it as if we had never been there."""

from __future__ import annotations

import errno
import os
import sys

from opencode_litellm import terminal, variables
from opencode_litellm.opencode import commandline, versions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from opencode_litellm.opencode.delivery import Changes

NOT_EXECUTABLE, NOT_FOUND = 126, 127  # exit statuses, as shells use them

_OUR_COMMANDS = (b"opencode-with-litellm", b"opencode-litellm exec")
# What to say if the environment would be too large.
_NO_MODELS = "the models do not fit into the environment, so opencode starts without them"
_NOTHING = (
    "the environment has no room for anything of ours, so opencode may use all its providers, whatever the option"
    " 'only' says: make the environment or the arguments shorter"
)
_OPENCODE_PID = "OPENCODE_PID"
_MOST_ROUNDS = 8  # nested launches of one program, if no other is found


def start(
    command: Sequence[str],
    environment: Mapping[str, str],
    changes: Changes,
    smaller: Callable[[], Changes] | None = None,
    *,
    guarded: bool = True,
) -> int:
    """Replace this process with ``command``, in ``environment`` with ``changes`` applied.

    If they are too large for the system, those of ``smaller`` take their place, and at last none. Unless ``guarded``,
    the program gets no variable that stops a loop of wrappers: it is opencode itself, not a wrapper. Returns an exit
    status only if the program cannot be found (127) or started (126), and on Windows, where it is the program's own.
    """
    is_opencode = commandline.is_opencode(command[0])
    wrappers = _wrappers_before_us(environment) if is_opencode else []
    program = find(command[0], environment, wrappers)
    if program is None:
        names = ", ".join(dict.fromkeys(wrappers))
        which = f" (except for {names}, which would start opencode-litellm again)" if wrappers else ""
        terminal.failure(f"{command[0]} is not on PATH{which}: install it, or add its folder to PATH", environment)
        return NOT_FOUND
    if environment.get(variables.ASKED):
        terminal.emit(versions.ANSWER)
    merged = variables.changed(environment, changes)
    if is_opencode:
        guard = os.pathsep.join([environment.get(_OPENCODE_PID, ""), *wrappers, program]) if guarded else None
        merged = variables.changed(merged, {variables.LAUNCHED: guard})
    if _is_python_s_locale(environment):
        merged = variables.changed(merged, {"LC_CTYPE": None})
    try:
        return _replace(program, command, merged)
    except OSError as error:
        if error.errno == errno.E2BIG and changes:
            if smaller is not None:
                if any(value is not None for value in changes.values()):
                    terminal.note(_NO_MODELS, environment)
                return start(command, environment, smaller(), guarded=guarded)
            if changes.get(variables.CONFIG_CONTENT) is not None:
                terminal.note(_NOTHING, environment)
            return start(command, environment, {}, guarded=guarded)
        terminal.failure(f"{program} cannot be started: {why_not(program, error)}", environment)
        return NOT_FOUND if error.errno == errno.ENOENT else NOT_EXECUTABLE


def _wrappers_before_us(environment: Mapping[str, str]) -> list[str]:
    """Return the programs that earlier launches started as opencode and that led here: wrappers that call us.

    opencode 1.18 sets OPENCODE_PID for what it starts. If that has changed, opencode itself has started us, so the last
    launch did not start a wrapper.
    """
    inside, *programs = environment.get(variables.LAUNCHED, "").split(os.pathsep)
    return programs if inside == environment.get(_OPENCODE_PID, "") else []


def why_not(program: str, error: OSError) -> str:
    """Return why a program cannot be started, in more detail than the system's own message."""
    begin = versions.beginning(program)
    if error.errno == errno.ENOENT and begin.startswith(b"#!"):
        interpreter = os.fsdecode(begin[2:].split(b"\n")[0].strip().split(b" ")[0])
        return f"its first line names {interpreter}, which does not exist. Install that, or reinstall opencode"
    if error.errno == errno.ENOENT and os.path.exists(program):
        return "this system has no loader for it: it may be built for musl or glibc only. Install another build"
    if error.errno == errno.ENOEXEC:
        what = "it is empty" if not begin else "it is neither a script nor a program for this machine"
        return f"{what}. Reinstall it"
    return error.strerror or str(error)


def is_script(program: str) -> bool:
    """Return whether a shell would run ``program`` itself, as on Unix with a text that has no ``#!``."""
    if os.name == "nt":
        return False
    begin = versions.beginning(program)
    return bool(begin) and b"\0" not in begin.partition(b"\n")[0] and not begin.startswith((b"#!", b"\x7fELF"))


def _is_python_s_locale(environment: Mapping[str, str]) -> bool:
    """Return whether Python set ``LC_CTYPE``, not the caller: it does so in the C locale (PEP 538)."""
    language = environment.get("LANG") or "C"
    if "LC_CTYPE" not in environment or environment.get("LC_ALL") or language not in ("C", "POSIX"):
        return False
    try:
        with open("/proc/self/environ", "rb") as file:  # what the process was started with
            return not any(entry.startswith(b"LC_CTYPE=") for entry in file.read().split(b"\0"))
    except OSError:
        return False


def _replace(program: str, command: Sequence[str], environment: Mapping[str, str]) -> int:
    if os.name == "nt":
        from opencode_litellm import windows  # only on Windows

        return windows.run(program, command[1:], environment)
    import _signal  # type: ignore[import-not-found]  # the public module costs 5 ms, for enumerations

    # Python ignores these signals, and an ignored signal stays ignored in the program that replaces us.
    for name in ("SIGPIPE", "SIGXFSZ"):
        if hasattr(_signal, name):
            _signal.signal(getattr(_signal, name), _signal.SIG_DFL)
    try:
        os.execve(program, list(command), environment)  # noqa: S606 - what a launcher is for
    except OSError as error:
        if error.errno != errno.ENOEXEC or not is_script(program):
            raise
        os.execve("/bin/sh", ["/bin/sh", program, *command[1:]], environment)  # noqa: S606
    return NOT_EXECUTABLE  # not reached


def find(name: str, environment: Mapping[str, str], wrappers: Sequence[str] = ()) -> str | None:
    """Return the path of the program that a shell would start for ``name``, without our shims; None if there is none.

    ``wrappers`` are skipped too, unless there is nothing else: an opencode from before OPENCODE_PID looks like one of
    them if it is started inside itself. The same wrapper is returned only a few times, then None.
    """
    if os.name == "nt":
        from opencode_litellm import windows  # only on Windows

        program = windows.find(name, environment, wrappers)
    elif os.path.dirname(name) and name not in wrappers:
        return name
    else:
        program = _on_path(os.path.basename(name), environment, wrappers)
    if program is None and wrappers and wrappers.count(wrappers[-1]) < _MOST_ROUNDS:
        return wrappers[-1]
    return program


def files_on_path(name: str, environment: Mapping[str, str]) -> list[str]:
    """Return all files on PATH that a shell could start for ``name``, in the order of PATH, including ours."""
    if os.name == "nt":
        from opencode_litellm import windows  # only on Windows

        return windows.files_on_path(name, environment)
    folders = dict.fromkeys(environment.get("PATH", os.defpath).split(os.pathsep))
    paths = [os.path.join(folder or os.curdir, name) for folder in folders]
    return [path for path in paths if os.path.isfile(path) and os.access(path, os.X_OK)]


def file_on_path(name: str, environment: Mapping[str, str]) -> str | None:
    """Return the file on PATH that is not ours and that a shell could start for ``name``; None if there is none."""
    if os.name == "nt":
        from opencode_litellm import windows  # only on Windows

        return windows.file_on_path(name, environment)
    return _on_path(name, environment, [])


def find_opencode(name: str, environment: Mapping[str, str]) -> str | None:
    """Return the path of the opencode that `start` would start for ``name``; None if there is none."""
    return find(name, environment, _wrappers_before_us(environment))


def _on_path(name: str, environment: Mapping[str, str], wrappers: Sequence[str]) -> str | None:
    not_executable = None
    for folder in environment.get("PATH", os.defpath).split(os.pathsep):
        candidate = os.path.join(folder or os.curdir, name)
        if candidate in wrappers or not os.path.isfile(candidate) or _is_ourselves(candidate):
            continue
        if os.access(candidate, os.X_OK):
            return candidate
        not_executable = not_executable or candidate
    return not_executable


def _is_ourselves(candidate: str) -> bool:
    """Return whether ``candidate`` is this program under another name, or a script that calls it."""
    if _is_running(candidate):
        return True
    begin = versions.beginning(candidate)
    text = begin[2:] if begin.startswith(b"#!") else b""
    named = [name for name in _OUR_COMMANDS if name in text]  # mostly none; the lines of a long script take 7 ms
    # What a comment says starts nobody.
    return any(name in line for name in named for line in text.split(b"\n") if not line.lstrip().startswith(b"#"))


def _is_running(candidate: str) -> bool:
    try:
        return os.path.samefile(candidate, sys.argv[0])
    except OSError:  # what runs may be no file: ``python -c``
        return False
