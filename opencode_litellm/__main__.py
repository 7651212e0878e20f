"""The two console scripts: launches and snippets take shortcuts, everything else goes to ``cli``.

Only modules that Python has already loaded, or that are built in, are imported here, so that opencode starts even if
the rest of this package, the machine or a folder on PYTHONPATH is broken.
"""

import gc
import os
import sys

_LAUNCHED = "OPENCODE_LITELLM_LAUNCHED"  # as in ``variables``, which may be broken
_TAKE_A_VALUE = ("--url", "--timeout", "--delivery")


def main() -> int:
    """Run ``opencode-litellm``, and return its exit status."""
    _keep_garbage()
    arguments = sys.argv[1:]
    command = _command(arguments)
    if command and arguments[1:] in (command, ["--", *command]):
        return _exit(_launch(command))
    put_the_standard_library_first()
    _write_utf8()
    try:
        status = _run(arguments)
    except KeyboardInterrupt:
        status = 130
    except BaseException as error:  # noqa: BLE001 - reported, or opencode is started anyway
        if command:
            status = _start_plainly(command, error)
        elif isinstance(error, SystemExit) and isinstance(error.code, int):
            status = error.code
        else:
            status = _report_fault(error)
    return _exit(status)


def opencode() -> int:
    """Run ``opencode-with-litellm``, short for ``opencode-litellm exec -- opencode``, and return its exit status."""
    _keep_garbage()
    return _exit(_launch(["opencode", *sys.argv[1:]]))


def _command(arguments: list[str]) -> list[str]:
    """Return the program that ``exec`` is to start, and its arguments; empty if there is none."""
    if arguments[:1] != ["exec"]:
        return []
    rest = arguments[1:]
    while rest and rest[0].startswith("-"):
        option = rest.pop(0)
        if option == "--":
            break
        if option in _TAKE_A_VALUE:
            del rest[:1]
    return rest


def _launch(command: list[str]) -> int:
    put_the_standard_library_first()
    _write_utf8()
    try:
        from opencode_litellm.launch import warm  # only for launches

        return warm.run(command, os.environ)
    except KeyboardInterrupt:
        return 130
    except BaseException as error:  # noqa: BLE001 - opencode is started anyway
        return _start_plainly(command, error)


def _run(arguments: list[str]) -> int:
    from opencode_litellm import terminal  # launches import it themselves
    from opencode_litellm.errors import Failure

    try:
        if arguments == ["--version"]:  # snippets use this to find out whether we work
            from opencode_litellm import __version__

            terminal.emit(f"opencode-litellm, version {__version__}\n")
            return 0
        if arguments[:1] == ["init"]:
            from opencode_litellm.shells import replay

            snippet = replay.snippet(arguments[1:], os.environ)
            if snippet is not None:
                terminal.emit(snippet)
                return 0
        from opencode_litellm import cli  # it is slow, so the shortcuts above do without it

        return cli.run(arguments)
    except Failure as failure:
        terminal.failure(str(failure), os.environ)
        return failure.exit_status


def _exit(status: int) -> int:
    """Return ``status``, or end the process with it at once if a thread still has a request under way.

    At a normal exit OpenSSL frees its memory, and a thread that is using it crashes (SIGSEGV, seen with OpenSSL 3.0 and
    Python 3.11).
    """
    threading = sys.modules.get("threading")
    if threading is None or threading.active_count() == 1:
        return status
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (AttributeError, OSError, ValueError):
            continue  # it is closed or gone
    os._exit(status)


def _keep_garbage() -> None:
    """Switch the garbage collector off: with many models it takes a sixth of the time of our short process."""
    gc.disable()


def put_the_standard_library_first() -> None:
    """Keep a ``token.py`` in a folder on PYTHONPATH, often somebody's project, from replacing Python's own."""
    library = os.path.dirname(os.__file__)
    own = (library, os.path.join(library, "lib-dynload"), os.path.join(os.path.dirname(library), "DLLs"))
    sys.path.sort(key=lambda folder: folder not in own)


def _write_utf8() -> None:
    """Write UTF-8 on Windows, where pipes and files get the system's code page, which lacks most characters."""
    if os.name == "nt":
        for stream in (sys.stdout, sys.stderr):
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(encoding="utf-8")


def _start_plainly(command: list[str], error: BaseException) -> int:
    """Start the program with as little code as possible; return a status only if that fails."""
    if isinstance(error, (ImportError, SyntaxError)):
        _say(f"the installation is damaged ({type(error).__name__}): reinstall opencode-litellm")
    else:
        _say(f"internal error ({type(error).__name__}): {command[0]} starts without LiteLLM's models")
    if os.name == "nt":
        return _start_plainly_on_windows(command)
    import _signal  # type: ignore[import-not-found]  # part of the interpreter, so it cannot be missing

    for name in ("SIGPIPE", "SIGXFSZ"):
        if hasattr(_signal, name):
            _signal.signal(getattr(_signal, name), _signal.SIG_DFL)
    folder, name = os.path.split(command[0])
    folders = [folder] if folder else os.environ.get("PATH", os.defpath).split(os.pathsep)
    launched = _pop_launched()
    for program in (os.path.join(folder or os.curdir, name) for folder in folders):
        if program in launched[1:] or not os.path.isfile(program):
            continue
        try:
            environment = _environment(program, [*launched, program])
            os.execve(program, command, environment)  # noqa: S606 - what a launcher is for
        except OSError:
            continue
    _say(f"{command[0]} cannot be started: install it, or add its folder to PATH")
    return 127


def _start_plainly_on_windows(command: list[str]) -> int:
    """Start an ``.exe`` from the absolute folders of PATH, or where npm puts it there, but never a batch file."""
    import subprocess

    folder, name = os.path.split(command[0])
    folders = [os.path.abspath(folder)] if folder else os.environ.get("PATH", "").replace('"', "").split(os.pathsep)
    launched = _pop_launched()
    stem = name[:-4] if name.lower().endswith((".exe", ".cmd")) else name
    package = os.path.join("node_modules", "opencode-ai")
    beside_script = os.path.join(package, "node_modules", "opencode-windows-x64")  # where bin has a script for node
    places = [os.path.join(place, "bin", f"{stem}.exe") for place in (package, beside_script)]
    places.insert(0, f"{stem}.exe")
    for program in (os.path.join(folder, place) for folder in folders for place in places):
        # The working folder may be anybody's project.
        if not os.path.isabs(program) or program in launched[1:] or not os.path.isfile(program):
            continue
        whole = [program, *command[1:]]
        try:
            environment = _environment(program, [*launched, program])
            status = subprocess.call(whole, executable=program, env=environment)  # noqa: S603 - what a launcher is for
        except OSError:
            continue
        return status - 2**32 if status >= 2**31 else status
    _say(f"{command[0]} cannot be started: install it, or add the folder of its .exe to PATH")
    return 127


def _pop_launched() -> list[str]:
    """Return OPENCODE_PID, then the programs that launches started and that led back here: wrappers that call us.

    The variable that lists them is removed from the environment.
    """
    inside, *programs = os.environ.pop(_LAUNCHED, "").split(os.pathsep)
    here = os.environ.get("OPENCODE_PID", "")
    return [here, *(programs if inside == here else [])]


def _environment(program: str, launched: list[str]) -> dict[str, str]:
    """Return the environment for a program: unchanged for opencode 2, whose server keeps it as long as it runs."""
    environment = dict(os.environ)
    package = _package(program)
    if package.startswith("@opencode"):
        return environment
    if _only_is_wanted():
        environment["OPENCODE_CONFIG_CONTENT"] = _restricted(environment.get("OPENCODE_CONFIG_CONTENT", ""))
    if not package.startswith("opencode-"):
        environment[_LAUNCHED] = os.pathsep.join(launched)  # it may be a wrapper
    return environment


def _restricted(content: str) -> str:
    """Return the user's inline content with no provider enabled, or that alone if the content cannot be kept safely."""
    restriction = '"enabled_providers":[]'
    brace, inside = content.lstrip()[:1], content.lstrip()[1:]
    # Of two settings with the same name the last one counts, so the user's own would beat ours.
    if brace == "{" and inside.lstrip()[:1] in ('"', "/", "}") and "enabled_providers" not in inside:
        return f"{{{restriction},{inside}"
    return f"{{{restriction}}}"


def _only_is_wanted() -> bool:
    """Return whether the user wants no provider but LiteLLM's, as far as that shows without parsing any file."""
    variable = os.environ.get("OPENCODE_LITELLM_ONLY", "").lower()
    if variable:
        return variable not in ("0", "false", "no", "off")
    home = os.path.expanduser("~")
    folders = [os.path.join(os.environ.get("XDG_CONFIG_HOME") or os.path.join(home, ".config"), "opencode")]
    folders += [os.environ.get("OPENCODE_CONFIG_DIR", ""), os.path.join(home, ".opencode")]
    try:
        parts = os.getcwd().split(os.sep)
    except OSError:  # the folder is gone
        parts = []
    parents = [os.sep.join(parts[:count]) + os.sep for count in range(1, len(parts) + 1)]
    folders += [folder for parent in parents for folder in (parent, os.path.join(parent, ".opencode"))]
    names = ("config.json", "opencode.json", "opencode.jsonc")
    files = [os.path.join(folder, name) for folder in folders if folder for name in names]
    texts = [_text(file) for file in (*files, os.environ.get("OPENCODE_CONFIG", "")) if os.path.isfile(file)]
    texts.append(_joined(os.environ.get("OPENCODE_CONFIG_CONTENT", "")))
    return any('"only":true' in text and "litellm" in text for text in texts)


def _package(program: str) -> str:
    """Return the name in the ``package.json`` behind a program, as npm installs opencode; empty if there is none."""
    path = os.path.join(os.path.dirname(os.path.dirname(os.path.realpath(program))), "package.json")
    return _text(path).partition('"name":"')[2].partition('"')[0]


def _text(path: str) -> str:
    """Return the beginning of a file as `_joined` does; empty if it cannot be read."""
    try:
        with open(path, "rb", 0) as file:
            return _joined(file.read(262144).decode("ascii", "replace"))
    except OSError:
        return ""


def _joined(text: str) -> str:
    """Return a text of JSONC without its white space, and without lines that are nothing but a comment."""
    return "".join("".join(line.split()) for line in text.splitlines() if not line.lstrip().startswith("//"))


def _report_fault(error: BaseException) -> int:
    """Report a fault of our own, and return the exit status. The traceback goes to the log, not to the terminal."""
    try:
        from opencode_litellm import log, terminal  # only after a fault

        terminal.failure(log.fault(os.environ, error), os.environ)
    except Exception:  # noqa: BLE001 - these modules may be what is broken
        _say(f"internal error ({type(error).__name__}): reinstall opencode-litellm")
    return 70


def _say(text: str) -> None:
    try:  # noqa: SIM105 - contextlib would be one more module that can be broken
        os.write(sys.stderr.fileno(), f"opencode-litellm: {text}\n".encode("ascii", "backslashreplace"))
    except (AttributeError, OSError, ValueError):
        pass  # standard error is closed or gone: there is nobody to tell


if __name__ == "__main__":
    sys.exit(main())
