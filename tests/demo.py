"""Show the whole product with real programs: a LiteLLM, a shell with one line in it, and opencode with all its models.

Run by ``make demo``. Everything happens in a temporary home; whatever is started is stopped again, also after
Ctrl-C or a failure.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import NoReturn

from world import tools
from world.home import end_processes, make_home
from world.litellm import LiteLLM
from world.opencode import run
from world.real_shells import BASH, FISH, PWSH, ZSH, RealShell
from world.upstream import Upstream

from opencode_litellm.shells.formats import STARTUPS

INTERRUPTIONS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
FEWEST_MODELS = 30
MODELS = "opencode models litellm"
CHAT = 'opencode run -m litellm/gpt-4o "hi"'
RESPONSES = 'opencode run -m litellm-responses/gpt-5 "hi"'


class DemoFailed(Exception):
    """A result was not as promised; ``str()`` of this exception says which."""


def main() -> int:
    """Run the demo and return its exit status."""
    for number in INTERRUPTIONS:
        signal.signal(number, leave)
    try:
        shown = demonstrate()
    except SystemExit:
        say("\nInterrupted. Everything that was started is stopped.")
        raise
    except (DemoFailed, tools.ToolMissing, RuntimeError, subprocess.TimeoutExpired) as failure:
        say(f"\nThe demo failed: {failure}")
        return 1
    say(f"\nIt works in {shown}. Everything that was started is stopped.")
    return 0


def leave(number: int, _frame: object) -> NoReturn:
    """Leave by an exception, so that everything is stopped on the way out, undisturbed by a second signal."""
    for each in INTERRUPTIONS:
        signal.signal(each, signal.SIG_IGN)
    sys.exit(128 + number)


def demonstrate() -> str:
    """Show it in every shell that is here, and return their names."""
    with ExitStack() as stack:
        # Where there is no /proc to say who lives in the home, a launch's refresh may outlive it.
        folder = Path(
            stack.enter_context(
                tempfile.TemporaryDirectory(prefix="opencode-litellm-", ignore_cleanup_errors=True)
            )
        )
        say("Starting LiteLLM ...")
        upstream = stack.enter_context(Upstream())
        proxy = stack.enter_context(LiteLLM(folder, upstream.root, key="sk-demo"))
        say(f"LiteLLM serves {len(proxy.get('/v1/models')['data'])} models of every mode at {proxy.url}")

        here, missing = present_shells()
        if missing:
            say(f"Not installed here, so not shown: {', '.join(missing)}")
        home = make_home(folder / "home", shells=here.values())
        stack.callback(end_processes, home)
        home |= {"OPENCODE_LITELLM_URL": proxy.url, "LITELLM_API_KEY": proxy.key}
        say(f"\n$ export OPENCODE_LITELLM_URL={proxy.url} LITELLM_API_KEY={proxy.key}")
        for shell in here:
            show(shell, home, whole=shell is next(iter(here)))
        return ", ".join(shell.name for shell in here)


# The others have the same snippets; each shell costs a few starts of opencode.
SHOWN = (BASH, ZSH, FISH, PWSH)


def present_shells() -> tuple[dict[RealShell, Path], list[str]]:
    """Return the shells that are here with their paths, and the names of the others."""
    here, missing = {}, []
    for shell in SHOWN:
        try:
            here[shell] = tools.program(shell.program or shell.name)
        except tools.ToolMissing:
            missing.append(shell.name)
    return here, missing


def show(shell: RealShell, home: dict[str, str], *, whole: bool) -> None:
    """Show a chat in one shell; with ``whole``, the list of models before and a reasoning model after it."""
    say(f"\n$ {shell.name}\n$ {STARTUPS[shell.name].line}")
    if whole:
        models = perform(shell, MODELS, home)
        say(models)
        if len(models.splitlines()) < FEWEST_MODELS:
            raise DemoFailed(f"{shell.name} lists fewer models than it should")
    for command, answer in [(CHAT, "hello"), *([(RESPONSES, "hello from upstream")] if whole else [])]:
        said = perform(shell, command, home)
        if said != answer:
            raise DemoFailed(f"{command!r} answered {said!r} in {shell.name}, not {answer!r}")
        say(said)


def perform(shell: RealShell, command: str, home: dict[str, str]) -> str:
    """Run a command in a new shell that has the line of its rc file, and return what it printed."""
    say(f"$ {command}")
    script = f"{shell.prologue}{STARTUPS[shell.name].line}\n{command}"
    finished = run([shell.program or shell.name, *shell.options, shell.command, script], home)
    if finished.status:
        raise DemoFailed(
            f"{command!r} ended with status {finished.status} in {shell.name}:\n{finished.stderr}"
        )
    return finished.stdout.strip()


def say(text: str) -> None:
    """Print at once, also into a pipe."""
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
