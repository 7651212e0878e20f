"""Try every version of LiteLLM with the real opencode, and print the table of docs/litellm.md: ``make matrix-litellm``.

Each version is installed into `.tools/versions`, serves `recordings/catalogue.yaml` without a database, and is asked by
the commands, by a wrong key, by two launches and by two chats. There is no time limit.
"""

from __future__ import annotations

import json
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from world import versions
from world.home import end_processes, make_home
from world.launches import launch, settle
from world.litellm import LiteLLM
from world.opencode import Opencode, run
from world.recordings import CATALOGUE
from world.upstream import Upstream

if TYPE_CHECKING:
    from collections.abc import Mapping

HEAD = ("LiteLLM", "models", "wrong key", "/v1/responses", "chat", "reasoning model", "second launch")


def main(arguments: list[str]) -> int:
    """Try the versions that are named, or all of them, and return 1 when one of them does not do what it should."""
    unknown = [version for version in arguments if version not in versions.VERSIONS]
    if unknown:
        print(f"matrix: {', '.join(unknown)} is none of {', '.join(versions.VERSIONS)}", file=sys.stderr)
        return 2
    print(f"| {' | '.join(HEAD)} |")
    print(f"| {' | '.join('---' for _ in HEAD)} |", flush=True)
    faults = 0
    for version in arguments or versions.VERSIONS:
        cells = tried(version)
        print(f"| {' | '.join((version, *cells))} |", flush=True)
        faults += sum(cell.startswith("FAILED") for cell in cells)
    return 1 if faults else 0


def tried(version: str) -> list[str]:
    """Return a row of the table."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        upstream = stack.enter_context(Upstream())
        program = versions.installed(version)
        litellm = stack.enter_context(LiteLLM(folder, upstream.root, program=program, catalogue=CATALOGUE))
        home = make_home(folder / "home")
        stack.callback(end_processes, home)
        home |= {"OPENCODE_LITELLM_URL": litellm.url, "LITELLM_API_KEY": litellm.key, "OPENCODE_LITELLM_TIMEOUT": "60"}
        return [*asked(home), *chats(home), again(home)]


def asked(home: Mapping[str, str]) -> list[str]:
    """Return how many models there are, what a wrong key gets, and where a reasoning model goes."""
    config = run(["opencode-litellm", "config"], home, timeout=120)
    if config.status:
        return [f"FAILED: {config.stderr.strip()}", "", ""]
    providers = json.loads(config.stdout)["provider"]
    count = sum(len(provider["models"]) for provider in providers.values())
    wrong = run(["opencode-litellm", "config"], {**home, "LITELLM_API_KEY": "sk-wrong"}, timeout=120)
    refused = f"status {wrong.status}" if wrong.status == 4 else f"FAILED: status {wrong.status}"
    return [str(count), refused, "there" if "litellm-responses" in providers else "missing: chat completions"]


def chats(home: Mapping[str, str]) -> list[str]:
    """Return how a chat with a model and with a reasoning model by its alias end, in the real opencode."""
    providers = (launch(home).payload or {}).get("provider", {})
    provider = next((name for name, section in providers.items() if "smart" in section["models"]), "litellm")
    return [chat(home, "litellm/gpt-4o", "hello"), chat(home, f"{provider}/smart", "hello from upstream")]


def chat(home: Mapping[str, str], model: str, answer: str) -> str:
    """Put a question to a model through a launch."""
    finished = Opencode().run(home, model, "hi", home["HOME"], program="opencode-with-litellm")
    last = (finished.stderr.strip() or finished.stdout.strip()).splitlines()[-1:]
    return "answers" if answer in finished.stdout else f"FAILED: {' '.join(last)}"


def again(home: Mapping[str, str]) -> str:
    """Return whether a second launch is a warm one."""
    launch(home)
    settle(home, 60)
    shown = launch(home, PYTHONPROFILEIMPORTTIME="1")
    return "warm" if shown.models and "opencode_litellm.launch.cold" not in shown.stderr else "FAILED: not warm"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
