"""The two console scripts. Launches and kept snippets go their own short ways; all else is the command line's."""

from __future__ import annotations

import os
import sys

from .errors import Failure


def main() -> int:
    """Run ``opencode-litellm``, and return its exit status."""
    arguments = sys.argv[1:]
    if arguments[:1] == ["init"]:
        from . import replay  # only for init

        snippet = replay.replayed(arguments[1:], os.environ)
        if snippet is not None:
            return _print(snippet)
    if arguments[:1] == ["exec"]:
        command = arguments[2:] if arguments[1:2] == ["--"] else arguments[1:]
        if command and (arguments[1] == "--" or not command[0].startswith("-")):
            return _launch(command)
    from . import cli, terminal  # what the short ways do not pay for

    try:
        return cli.run(arguments)
    except Failure as failure:
        terminal.failure(str(failure), os.environ)
        return failure.exit_status
    except BrokenPipeError:
        # Whoever read our output has gone; Python would complain again when it flushes at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except Exception as error:  # noqa: BLE001 - nobody is helped by a traceback on the terminal
        from . import log  # only after a fault

        terminal.failure(log.fault(os.environ, error), os.environ)
        return Failure.exit_status


def opencode() -> int:
    """Run ``opencode-with-litellm``, which stands for ``opencode-litellm exec -- opencode``."""
    return _launch(["opencode", *sys.argv[1:]])


def _launch(command: list[str]) -> int:
    try:
        from . import launch  # only for launches

        return launch.run(command, os.environ)
    except KeyboardInterrupt:
        return 130


def _print(text: str) -> int:
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError:
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
