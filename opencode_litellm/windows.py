r"""What is different on Windows: names of variables, how programs are found and started, and whether one still runs.

It is imported only on Windows. Two things are dangerous there. Windows looks for a program in the working folder first,
which may be anybody's project, so programs are looked up here, in the absolute folders of PATH. And a batch file is run
by cmd.exe, which takes parts of arguments for commands despite their quotes (CVE-2024-1874 and similar ones).
"""

from __future__ import annotations

import errno
import ntpath
import os
import sys
from collections.abc import Mapping, MutableMapping

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_BATCH = (".bat", ".cmd")
_STARTABLE = (".com", ".exe", *_BATCH)  # PATHEXT has others too, which only a shell can start
_LARGEST_BATCH = 65536  # bytes that are read of a batch file
_LARGEST_LAUNCHER = 2 * 2**20  # bytes; opencode.exe is a hundred times as large
_LONGEST_LINE = 8191  # characters that cmd.exe takes

# What our console scripts, which pip, pipx and uv append uncompressed to their launcher, and our shim contain.
_OUR_ENTRY = b"opencode_litellm.__main__"
SHIM = b"# >>> opencode-litellm: the shim"
_OUR_COMMANDS = (b"opencode-with-litellm", b"opencode-litellm exec", b"opencode-litellm.exe", b"opencode_litellm exec")

# The lines of npm's shim and of pnpm's beside those that start the program.
_IDLE = frozenset(
    [
        "", "echo off", "goto start", ":find_dp0", "set dp0=%~dp0", "exit /b", ":start", "setlocal", "call :find_dp0",
        'if exist "%dp0%\\node.exe" (', 'set "_prog=%dp0%\\node.exe"', 'if exist "%~dp0\\node.exe" (', ") else (",
        'set "_prog=node"', "set pathext=%pathext:;.js;=;%", ")",
    ]
)  # fmt: skip
_HERE = ('"%dp0%\\', '"%~dp0\\', '"%~dp0')
_ALL_ARGUMENTS = "%*"
_NODE = "node"
_BEFORE_NODE = "endlocal & goto #_undefined_# 2>nul || title %comspec% & "  # so that cmd.exe asks nothing after Ctrl-C
_BY_NODE = ('"%_prog%" ', '"%~dp0\\node.exe" ', "node ")

# Beside letters and digits: the characters that cmd.exe leaves alone between double quotes, even if a batch file passes
# them on without quotes, and that no program takes for quoting.
_HARMLESS = frozenset(" _-./\\:@+~#")


class Variables(MutableMapping[str, str]):
    """Environment variables whose names ignore case; they are listed in capitals, as Python does."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._values = {name.upper(): value for name, value in variables.items()}

    def __getitem__(self, name: str) -> str:
        return self._values[name.upper()]

    def __setitem__(self, name: str, value: str) -> None:
        self._values[name.upper()] = value

    def __delitem__(self, name: str) -> None:
        del self._values[name.upper()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


def changed(environment: Mapping[str, str], changes: Mapping[str, str | None]) -> Variables:
    """Return ``environment`` with ``changes``, in which None removes a variable."""
    folded = {name.upper(): value for name, value in changes.items()}
    rest = {name: value for name, value in environment.items() if name.upper() not in folded}
    return Variables(rest | {name: value for name, value in folded.items() if value is not None})


def find(name: str, environment: Mapping[str, str], passed_over: Sequence[str] = ()) -> str | None:
    """Return the absolute path of the program that ``name`` stands for; None if there is none.

    A name with a folder in it is looked up there, any other one in the absolute folders of PATH, never in the working
    folder; programs that are ours or ``passed_over`` are left out. For npm's shim, the program behind it is returned.
    """
    folder, base = ntpath.split(name)
    if folder:
        path = ntpath.abspath(name)
        program = behind(next(filter(os.path.isfile, names(path, environment)), path))
        if program not in passed_over:
            return program
    file = file_on_path(base, environment, passed_over)
    return None if file is None else behind(file)


def file_on_path(name: str, environment: Mapping[str, str], passed_over: Sequence[str] = ()) -> str | None:
    """Return the file on PATH by which `find` gets to the program ``name``; None if there is none."""
    for path in files_on_path(name, environment):
        program = behind(path)
        if program not in passed_over and not _is_ourselves(path) and not _is_ourselves(program):
            return path
    return None


def files_on_path(name: str, environment: Mapping[str, str]) -> list[str]:
    """Return all files in the absolute folders of PATH that ``name`` may stand for, in the order of PATH."""
    paths = [ntpath.join(folder, each) for folder in folders(environment) for each in names(name, environment)]
    return list(filter(os.path.isfile, dict.fromkeys(paths)))


def folders(environment: Mapping[str, str]) -> list[str]:
    """Return the folders of PATH, without quotes, and without those that depend on the working folder."""
    entries = [""]
    quoted = False
    for character in environment.get("PATH", ""):
        if character == '"':
            quoted = not quoted
        elif character == ";" and not quoted:
            entries.append("")
        else:
            entries[-1] += character
    drives = [(entry, *ntpath.splitdrive(entry)) for entry in entries]
    return [entry for entry, drive, rest in drives if drive and rest.startswith(("\\", "/"))]


def names(name: str, environment: Mapping[str, str]) -> list[str]:
    """Return the file names that ``name`` may stand for, in the order of PATHEXT."""
    given = [extension.strip().lower() for extension in environment.get("PATHEXT", "").split(";")]
    extensions = [extension for extension in given if extension in _STARTABLE] or list(_STARTABLE)
    whole = [name] if ntpath.splitext(name)[1].lower() in _STARTABLE else []
    return whole + [name + extension for extension in extensions]


def _is_ourselves(path: str) -> bool:
    """Return whether a program is one of our console scripts under any name, or a batch file that calls one."""
    try:
        with open(path, "rb") as file:
            if is_batch(path):
                return any(name in file.read(_LARGEST_BATCH).lower() for name in _OUR_COMMANDS)
            size = os.fstat(file.fileno()).st_size
            content = file.read() if size <= _LARGEST_LAUNCHER else b""
            return _OUR_ENTRY in content or SHIM in content
    except OSError:
        return False


def is_batch(path: str) -> bool:
    """Return whether Windows has cmd.exe run this program."""
    # Windows ignores spaces and dots at the end of a name.
    return path.rstrip(" .").lower().endswith(_BATCH)


def behind(path: str) -> str:
    """Return the program to which a shim only passes its arguments; ``path`` itself if it is anything else."""
    interpreter, program = _passed_to(path)
    return program if program and not interpreter else path


def _passed_to(path: str) -> tuple[str, str]:
    """Return the result of `named_by_shim` for a file, with an absolute path."""
    if not is_batch(path):
        return "", ""
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            interpreter, named = named_by_shim(file.read(_LARGEST_BATCH))
    except OSError:
        return "", ""
    return interpreter, ntpath.normpath(ntpath.join(ntpath.dirname(path), named)) if named else ""


def named_by_shim(text: str) -> tuple[str, str]:
    """Return what a batch file passes all its arguments to: its interpreter, and the program, relative to the file.

    The interpreter is ``node`` for a script, empty for an ``.exe``. Both are empty if the batch file does more.
    """
    lines = [" ".join(line.split()).removeprefix("@") for line in text.splitlines()]
    named = {_named_by_line(line) for line in lines if line.lower() not in _IDLE}
    return named.pop() if len(named) == 1 else ("", "")


def _named_by_line(line: str) -> tuple[str, str]:
    interpreter = ""
    if line.lower().startswith(_BEFORE_NODE):
        line = line[len(_BEFORE_NODE) :]
    for start in _BY_NODE:
        if line.lower().startswith(start):
            interpreter, line = _NODE, line[len(start) :]
            break
    for start in _HERE:
        if line.startswith(start):
            program, _, rest = line[len(start) :].partition('"')
            plain = not set(program) & set('%!^&|<>*?"') and (interpreter or program.lower().endswith((".exe", ".com")))
            return (interpreter, program) if plain and rest.strip() == _ALL_ARGUMENTS else ("", "")
    return "", ""


def command(program: str, arguments: Sequence[str], environment: Mapping[str, str]) -> tuple[str, list[str] | str]:
    """Return the file that is to be started, and its command line.

    Raises OSError for a batch file with an argument in which cmd.exe could see more than text.
    """
    if not is_batch(program):
        return program, [program, *arguments]
    interpreter, script = _passed_to(program)
    if interpreter and (node := _node(ntpath.dirname(program), environment)):
        return node, [node, script, *arguments]
    line = " ".join(f'"{word}"' for word in (program, *arguments))
    harmless = all(letter.isalnum() or letter in _HARMLESS for word in arguments for letter in word)
    if not harmless or set(program) & set('%"!') or len(line) > _LONGEST_LINE - 100:
        raise OSError(
            errno.EACCES,
            "it is a batch file, and cmd.exe could treat parts of these arguments as commands. Put the folder of an"
            " .exe version of it earlier on PATH (for opencode: npm install -g opencode-ai)",
        )
    system = environment.get("SystemRoot") or r"C:\Windows"
    # /d: no AutoRun, /v:off: no variables by "!", /s: only the outermost quotes are taken off.
    shell = ntpath.join(system, "System32", "cmd.exe")
    return shell, f'"{shell}" /d /e:on /v:off /s /c "{line}"'


def _node(folder: str, environment: Mapping[str, str]) -> str | None:
    """Return the node that a shim in ``folder`` starts: the one beside it, else that of PATH. None for a batch file."""
    beside = ntpath.join(folder, f"{_NODE}.exe")
    node = beside if os.path.isfile(beside) else find(_NODE, environment)
    return None if node is None or is_batch(node) else node


def run(program: str, arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run a program as our child, and return its status as ``sys.exit`` takes it. Raises OSError as `command` does."""
    import subprocess

    file, line = command(program, arguments, environment)
    with subprocess.Popen(line, executable=file, env=dict(environment)) as process:  # noqa: S603
        while True:
            try:
                status = process.wait()
                break
            except KeyboardInterrupt:
                continue  # the program got the interrupt as well, and decides
    # sys.exit takes 32 bits with a sign: STATUS_CONTROL_C_EXIT, 0xC000013A, would become -1.
    return status - 2**32 if status >= 2**31 else status


def lives(pid: int) -> bool:
    """Return whether a process is running, even if it is somebody else's."""
    if sys.platform != "win32":
        raise NotImplementedError
    import _winapi  # ``os.kill`` would end the process, whatever the signal

    try:
        process = _winapi.OpenProcess(_winapi.SYNCHRONIZE, False, pid)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    try:
        return _winapi.WaitForSingleObject(process, 0) == _winapi.WAIT_TIMEOUT
    finally:
        _winapi.CloseHandle(process)
