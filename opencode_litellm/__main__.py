"""The two console scripts: launches and snippets take short ways of their own, all else is up to ``cli``."""

from __future__ import annotations

import os
import sys

from opencode_litellm.errors import Failure


def main() -> int:
    """Run ``opencode-litellm``, and return its exit status."""
    arguments = sys.argv[1:]
    if arguments[:1] == ["exec"]:
        command = arguments[2:] if arguments[1:2] == ["--"] else arguments[1:]
        if command and (arguments[1] == "--" or not command[0].startswith("-")):
            return _launch(command)
    from opencode_litellm import terminal  # what a launch loads by itself

    try:
        return _run(arguments)
    except KeyboardInterrupt:
        return 130
    except Failure as failure:
        terminal.failure(str(failure), os.environ)
        return failure.exit_status
    except Exception as error:  # noqa: BLE001 - nobody is helped by a traceback on the terminal
        from opencode_litellm import log  # only after a fault

        terminal.failure(log.fault(os.environ, error), os.environ)
        return Failure.exit_status


def _run(arguments: list[str]) -> int:
    if arguments[:1] == ["init"]:
        from opencode_litellm import terminal  # only for init
        from opencode_litellm.shells import replay

        snippet = replay.replayed(arguments[1:], os.environ)
        if snippet is not None:
            terminal.emit(snippet)
            return 0
    from opencode_litellm import cli  # what the short ways do not pay for

    return cli.run(arguments)


def opencode() -> int:
    """Run ``opencode-with-litellm``, which stands for ``opencode-litellm exec -- opencode``."""
    return _launch(["opencode", *sys.argv[1:]])


def _launch(command: list[str]) -> int:
    try:
        try:
            from opencode_litellm.launch import warm  # only for launches
        except (ImportError, SyntaxError) as error:
            return _start_plainly(command, error)
        return warm.run(command, os.environ)
    except KeyboardInterrupt:
        return 130


def _start_plainly(command: list[str], error: Exception) -> int:
    """Start the program although our own modules cannot be imported; return a status only when that fails."""
    if sys.stderr is not None:
        sys.stderr.write(f"opencode-litellm: the installation is damaged ({type(error).__name__}): install it again\n")
    try:
        os.execvp(command[0], command)  # noqa: S606 - what a launcher is for
    except OSError:
        return 127


if __name__ == "__main__":
    sys.exit(main())
