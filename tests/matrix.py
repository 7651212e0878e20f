"""Try every version of opencode that is pinned, through real launches, and print the table of docs/compatibility.md.

``make matrix-opencode``. A version that is named on the command line is tried alone.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from world import opencodes
from world.home import end_processes, make_home
from world.opencode import Finished, run
from world.stub import StubProxy

if TYPE_CHECKING:
    from collections.abc import Callable

KEY, FOREIGN = "sk-of-the-proxy", "sk-of-somebody-else"
TOKEN = "{env:HOUSE_SECRET}"  # noqa: S105 - a model of a hostile proxy
SECRET = "what-the-variable-holds"  # noqa: S105 - an example
CHAT, RESPONSES = "/v1/chat/completions", "/v1/responses"


class World:
    """One version in a home of its own, and a proxy that records what it gets."""

    def __init__(self, version: str, stack: ExitStack) -> None:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)))
        self.proxy = stack.enter_context(StubProxy(["gpt-4o", "gpt-5", "mine", TOKEN], key=KEY))
        self.other = stack.enter_context(StubProxy())
        self.home = {
            **make_home(folder / "home"),
            "OPENCODE_LITELLM_URL": self.proxy.url,
            "LITELLM_API_KEY": KEY,
            "OPENAI_API_KEY": FOREIGN,
            "HOUSE_SECRET": SECRET,
            "OPENCODE_DISABLE_DEFAULT_PLUGINS": "1",  # which old versions install
        }
        stack.callback(end_processes, self.home)
        link = folder / "home/bin/opencode"
        link.unlink(missing_ok=True)
        link.symlink_to(opencodes.install(version))
        self.project = folder / "project"
        self.project.mkdir()
        users = {"model": "litellm/gpt-4o", "provider": {"litellm": {"models": {"mine": {"name": "My own"}}}}}
        self.write("opencode.json", users)
        # A file of the user's own in OPENCODE_CONFIG makes launches go inline.
        custom = self.write("custom.json", {"username": "custom"})
        self.inline = {**self.home, "OPENCODE_CONFIG": custom}

    def write(self, name: str, value: object) -> str:
        """Write a file of the user's configuration folder."""
        path = Path(self.home["XDG_CONFIG_HOME"], "opencode", name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"$schema": "https://opencode.ai/config.json", **dict(value)}))  # type: ignore[call-overload]
        return str(path)

    def launch(self, environment: dict[str, str], *arguments: str) -> Finished:
        """Launch opencode in the project."""
        try:
            return run(["opencode-with-litellm", *arguments], environment, self.project, timeout=120)
        except subprocess.TimeoutExpired:
            return Finished(-1, "", "it hangs")


@dataclass(frozen=True)
class Column:
    """One thing that is tried: what the table calls it, and what it says."""

    title: str
    check: Callable[[World], bool | str]


def lists(environment: Callable[[World], dict[str, str]]) -> Callable[[World], bool | str]:
    """Return a check that both providers are listed, the user's own entry too, and that the token stays text."""

    def check(world: World) -> bool | str:
        listed = world.launch(environment(world), "models").stdout.split()
        if "litellm/gpt-4o" not in listed:
            return False
        missing = {"litellm/mine", f"litellm/{TOKEN}"} - set(listed)
        if missing or SECRET in " ".join(listed):
            return f"without {missing or 'a secret kept'}"
        return True if "litellm-responses/gpt-5" in listed else "chat alone"

    return check


def chats(environment: Callable[[World], dict[str, str]], model: str, path: str) -> Callable[[World], bool | str]:
    """Return a check that a chat reaches the proxy at its path, with the right key and no other one."""

    def check(world: World) -> bool | str:
        before = len(world.proxy.requests)
        world.launch(environment(world), "run", "-m", model, "hi")
        asked = [request for request in world.proxy.requests[before:] if request.method == "POST"]
        if not asked:
            return False
        reached = {(request.path, request.key) for request in asked}
        return True if reached == {(path, KEY)} else ", ".join(sorted(f"{path} {key}" for path, key in reached))

    return check


def project_wins(world: World) -> bool | str:
    """Return whether the project's configuration ranks above the file of OPENCODE_CONFIG, in opencode itself."""
    (world.project / "opencode.json").write_text(
        json.dumps({"$schema": "https://opencode.ai/config.json", "username": "project"})
    )
    try:
        merged = run(["opencode", "debug", "config"], world.inline, world.project, timeout=120)
    except subprocess.TimeoutExpired:
        return False
    finally:
        (world.project / "opencode.json").unlink()
    if merged.status:
        return "cannot be seen"
    return json.loads(merged.stdout)["username"] == "project"


def env_works(world: World) -> bool | str:
    """Return the result of ``env``: a chat in a plain opencode, or a refusal."""
    said = run(["opencode-litellm", "env", "json"], world.home, world.project)
    if said.status:
        return "refused"
    after = {**world.home, **{name: value for name, value in json.loads(said.stdout).items() if value is not None}}
    before = len(world.proxy.requests)
    try:
        run(["opencode", "run", "-m", "litellm/gpt-4o", "hi"], after, world.project, timeout=120)
    except subprocess.TimeoutExpired:
        return False
    asked = {(request.path, request.key) for request in world.proxy.requests[before:] if request.method == "POST"}
    how = "inline" if after.get("OPENCODE_CONFIG_CONTENT") else "by file"
    return how if asked == {(CHAT, KEY)} else f"{how}, cannot chat"


def no_foreign_key(world: World) -> bool:
    """Return whether no other key reached the proxy in all of this."""
    return not any(FOREIGN in str(dict(request.headers)) for request in world.proxy.requests)


COLUMNS = (
    Column("lists, by file", lists(lambda world: world.home)),
    Column("lists, inline", lists(lambda world: world.inline)),
    Column("chat, by file", chats(lambda world: world.home, "litellm/gpt-4o", CHAT)),
    Column("chat, inline", chats(lambda world: world.inline, "litellm/gpt-4o", CHAT)),
    Column("responses, by file", chats(lambda world: world.home, "litellm-responses/gpt-5", RESPONSES)),
    Column("responses, inline", chats(lambda world: world.inline, "litellm-responses/gpt-5", RESPONSES)),
    Column("project above file", project_wins),
    Column("env", env_works),
    Column("no foreign key", no_foreign_key),
)


def main() -> int:
    """Print the table row by row."""
    say(f"| opencode | {' | '.join(column.title for column in COLUMNS)} |")
    say(f"| --- |{' --- |' * len(COLUMNS)}")
    for version in sys.argv[1:] or opencodes.pinned():
        with ExitStack() as stack:
            world = World(version, stack)
            cells = [column.check(world) for column in COLUMNS]
            say(f"| {version} | {' | '.join({True: 'yes', False: '**no**'}.get(cell, cell) for cell in cells)} |")  # type: ignore[call-overload]
    return 0


def say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
