"""Which model answers in the real opencode, behind an HTTP proxy that lets nobody through to another provider."""

from __future__ import annotations

import json
import os
import subprocess
import time
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from world import opencodes, tools
from world.blocking_proxy import BlockingProxy
from world.home import configure, configure_whole
from world.opencode import run
from world.processes import process_group
from world.server import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from world.stub import StubProxy
    from world.terminal import Terminal

MODELS = ["claude-sonnet-4-5", "gpt-4o", "gpt-4o-mini", "gpt-5"]
START = 120  # seconds, on a busy machine

pytestmark = [
    pytest.mark.usefixtures("opencode"),
    pytest.mark.serves(*MODELS, key="sk-right"),
    pytest.mark.drawn(3, of=__name__),  # each takes as long as a hundred others
]


@pytest.fixture
def world() -> Iterator[BlockingProxy]:
    with BlockingProxy() as server:
        yield server


@pytest.fixture
def user(user: dict[str, str], world: BlockingProxy) -> dict[str, str]:
    return world.environment(user)


def asked(proxy: StubProxy) -> set[tuple[str, str]]:
    """Return path and model of each inference."""
    return {(request.path, request.json["model"]) for request in proxy.inferences()}


ONLY = {"OPENCODE_LITELLM_ONLY": "1"}
NOBODY = {"OPENCODE_LITELLM_URL": "http://127.0.0.1:1", **ONLY}


class TestWithoutModelsAndOnlyOurs:
    def test_run_ends_with_an_error(self, user: dict[str, str], world: BlockingProxy) -> None:
        shown = run(["opencode-with-litellm", "run", "secret company code"], user | NOBODY, timeout=START)
        assert shown.status != 0
        assert "opencode-litellm: no other provider is used, because the option 'only' is on" in shown.stderr
        assert world.asked() == set()

    def test_the_interface_says_that_there_is_none(
        self, user: dict[str, str], proxy: StubProxy, world: BlockingProxy, terminal: Callable[..., Terminal]
    ) -> None:
        configure(user, only=True)
        screen = terminal(["opencode-with-litellm"], user | {"LITELLM_API_KEY": "sk-wrong"})
        screen.wait_for("Connect a provider", seconds=START)
        screen.type("secret company code")
        screen.press("Enter")
        time.sleep(3)
        assert (world.asked(), proxy.inferences()) == (set(), [])

    def test_an_editor_gets_none(self, user: dict[str, str], world: BlockingProxy) -> None:
        # opencode takes this number, and we cannot.
        configure_whole(user, username="x", provider={"litellm": {"options": {"only": True}}})
        project = Path(user["HOME"], "project")
        (project / ".git").mkdir(parents=True)
        (project / "opencode.json").write_text('{"$schema": "x", "provider": {"litellm": {"options": {"n": 1e999}}}}')
        requests = [
            ("initialize", {"protocolVersion": 1, "clientCapabilities": {}}),
            ("session/new", {"cwd": str(project), "mcpServers": []}),
        ]
        answers = acp(user, project, requests)
        assert "result" in answers[0]
        assert "opencode/" not in json.dumps(answers[1])
        assert "anthropic/" not in json.dumps(answers[1])
        assert world.asked() == set()

    def test_a_server_has_none(self, user: dict[str, str], world: BlockingProxy) -> None:
        port = free_port()
        command = ["/usr/bin/env", "opencode-with-litellm", "serve", "--port", str(port)]
        null = subprocess.DEVNULL
        with process_group(command, user | NOBODY, user["HOME"], stdout=null, stderr=null):
            providers = fetched(f"http://127.0.0.1:{port}/provider")
        assert (providers["all"], providers["connected"]) == ([], [])
        assert world.asked() == set()


def acp(environment: Mapping[str, str], folder: Path, requests: list[tuple[str, Any]]) -> list[dict[str, Any]]:
    """Return the answers of ``opencode acp`` to requests that are sent one after the other."""
    command = ["/usr/bin/env", "opencode-with-litellm", "acp"]
    answers = []
    given, stdin = os.pipe()
    with (
        ExitStack() as stack,
        os.fdopen(given, "rb") as reader,
        os.fdopen(stdin, "w") as writer,
        process_group(
            command, environment, folder, stdin=reader, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as process,
    ):
        assert process.stdout is not None
        stack.enter_context(process.stdout)
        for number, (method, parameters) in enumerate(requests):
            message = {"jsonrpc": "2.0", "id": number, "method": method, "params": parameters}
            writer.write(json.dumps(message) + "\n")
            writer.flush()
            while (answer := json.loads(process.stdout.readline())).get("id") != number:
                pass
            answers.append(answer)
    return answers


def fetched(url: str) -> Any:
    """Return the JSON of a server that is about to start."""
    deadline = time.monotonic() + START
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while True:
        try:
            with direct.open(url, timeout=10) as answer:
                return json.load(answer)
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.2)


def test_the_interface_begins_with_the_default_model_and_titles_come_from_the_small_one(
    user: dict[str, str], proxy: StubProxy, world: BlockingProxy, terminal: Callable[..., Terminal]
) -> None:
    configure(user, model=["absent", "gpt-4o"], smallModel="*-mini")
    screen = terminal(["opencode-with-litellm"], user | ONLY)
    screen.wait_for("GPT-4o LiteLLM", seconds=START)
    screen.type("say something")
    screen.press("Enter")
    screen.wait_for("hello from upstream", seconds=START)
    deadline = time.monotonic() + START
    while len(asked(proxy)) < 2 and time.monotonic() < deadline:
        time.sleep(0.2)
    assert asked(proxy) == {("/v1/chat/completions", "gpt-4o"), ("/v1/chat/completions", "gpt-4o-mini")}
    assert world.asked() == set()


def test_a_model_that_the_interface_remembers_is_used_under_its_old_name(
    user: dict[str, str], proxy: StubProxy, terminal: Callable[..., Terminal]
) -> None:
    configure(user, responsesProvider="inline")
    screen = terminal(["opencode-with-litellm"], user | ONLY)
    screen.wait_for("Ask anything", seconds=START)
    screen.type("/models")
    screen.wait_for("Switch model", seconds=START)
    screen.press("Enter")
    screen.wait_for("Select model", seconds=START)
    screen.type("GPT-5")
    screen.wait_until(lambda shown: "GPT-5" in shown and "GPT-4o" not in shown, seconds=START)
    screen.press("Enter")
    screen.wait_for("GPT-5 LiteLLM", seconds=START)
    state = Path(user["XDG_STATE_HOME"], "opencode/model.json")
    deadline = time.monotonic() + START
    while '"modelID":"gpt-5"' not in (state.read_text() if state.exists() else "") and time.monotonic() < deadline:
        time.sleep(0.2)
    configure_whole(user)
    shown = run(["opencode-with-litellm", "run", "hi"], user, timeout=START)
    assert (shown.status, shown.stdout) == (0, "hello from upstream\n"), shown
    assert asked(proxy) == {("/v1/responses", "gpt-5")}


def test_the_agents_of_oh_my_opencode_keep_the_models_that_its_own_file_names(
    user: dict[str, str], proxy: StubProxy, world: BlockingProxy
) -> None:
    configure_whole(user, plugin=[opencodes.oh_my_opencode()])
    agents = {name: {"model": "litellm/gpt-5"} for name in ("sisyphus", "atlas", "oracle", "explore")}
    file = Path(user["XDG_CONFIG_HOME"], "opencode/oh-my-opencode.json")
    file.write_text(json.dumps({"agents": agents}))
    shown = run(["opencode-with-litellm", "run", "hi"], user | ONLY, timeout=START)
    assert (shown.status, shown.stdout) == (0, "hello from upstream\n"), shown
    assert "Sisyphus" in shown.stderr
    assert asked(proxy) == {("/v1/responses", "gpt-5")}
    # The plugin's own servers and statistics; no provider of models.
    assert world.asked() <= {"us.i.posthog.com", "github.com", "mcp.exa.ai", "mcp.context7.com", "mcp.grep.app"}


def test_a_session_of_the_plugin_goes_on_and_beside_us_nothing_is_double(
    user: dict[str, str], proxy: StubProxy
) -> None:
    source = f"file://{tools.installed(tools.PLUGIN)}/src/index.ts"
    section = {"npm": "@ai-sdk/openai-compatible", "options": {"baseURL": f"{proxy.url}/v1"}}
    configure_whole(user, plugin=[source], provider={"litellm": section})
    user.pop("OPENCODE_LITELLM_URL")
    made = run(["opencode", "run", "-m", "litellm/gpt-5", "hi"], user, timeout=START)
    assert (made.status, made.stdout) == (0, "hello from upstream\n"), made

    beside = run(["opencode-with-litellm", "models"], user, timeout=START)
    assert sorted(name for name in beside.stdout.split() if name.startswith("litellm")) == [
        f"litellm/{model}" for model in MODELS
    ]

    configure_whole(user, provider={"litellm": section})
    before = len(proxy.inferences())
    gone_on = run(["opencode-with-litellm", "run", "-c", "and then?"], user, timeout=START)
    assert (gone_on.status, gone_on.stdout) == (0, "hello from upstream\n"), gone_on
    after = proxy.inferences()[before:]
    assert {(request.path, request.json["model"]) for request in after} == {("/v1/responses", "gpt-5")}
