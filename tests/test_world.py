"""tests/world itself: what the other tests rely on."""

from __future__ import annotations

import json
import socket
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from world.home import global_configuration, provided, write

if TYPE_CHECKING:
    from collections.abc import Callable

    from world.litellm import LiteLLM
    from world.opencode import Opencode
    from world.stub import StubProxy
    from world.terminal import Terminal
    from world.upstream import Upstream


def offer(home: dict[str, str], base_url: str, key: str, model: str, npm: str = "@ai-sdk/openai-compatible") -> None:
    content = provided(baseURL=base_url, apiKey=key)
    content["provider"]["litellm"] |= {"npm": npm, "models": {model: {}}}
    write(global_configuration(home), content)


def test_litellm_serves_every_mode_of_the_catalogue(litellm: LiteLLM) -> None:
    ids = {row["id"] for row in litellm.get("/v1/models")["data"]}
    modes = {row["mode"] for row in litellm.get("/model_group/info")["data"]}
    deployments = [row["model_name"] for row in litellm.get("/v1/model/info")["data"]]
    assert len(ids) >= 40
    assert modes == {
        None, "chat", "responses", "completion", "embedding", "image_generation", "audio_transcription",
        "audio_speech", "rerank", "moderation", "ocr", "video_generation", "realtime", "search",
    }  # fmt: skip
    assert deployments.count("balanced") == 3
    assert "house/*" in deployments


@pytest.mark.parametrize(("key", "status"), [(None, 401), ("sk-wrong", 400)])
def test_litellm_without_a_database_refuses_a_key_in_its_own_way(
    litellm: LiteLLM, key: str | None, status: int
) -> None:
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    asked = urllib.request.Request(f"{litellm.url}/v1/models", headers=headers)
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(asked)
    refused.value.close()
    assert refused.value.code == status


def test_opencode_knows_nothing_in_an_empty_home(opencode: Opencode, home: dict[str, str]) -> None:
    assert opencode.models(home) == {}
    assert "provider" not in opencode.debug_config(home)


def test_a_mocked_model_answers_opencode_through_litellm(
    litellm: LiteLLM, opencode: Opencode, home: dict[str, str]
) -> None:
    offer(home, f"{litellm.url}/v1", litellm.key, "gpt-4o")
    finished = opencode.run(home, "litellm/gpt-4o", "hi")
    assert (finished.status, finished.stdout.strip()) == (0, "hello")


@pytest.mark.drawn(1)
@pytest.mark.parametrize(
    ("model", "npm", "path"),
    [
        ("gpt-4.1-mini", "@ai-sdk/openai-compatible", "/v1/chat/completions"),
        ("gpt-5", "@ai-sdk/openai", "/v1/responses"),
    ],
)
def test_a_tool_call_of_the_stand_in_is_carried_out_and_answered(
    litellm: LiteLLM,
    upstream: Upstream,
    opencode: Opencode,
    home: dict[str, str],
    model: str,
    npm: str,
    path: str,
) -> None:
    offer(home, f"{litellm.url}/v1", litellm.key, model, npm=npm)
    note = Path(home["HOME"], "note.txt")
    note.write_text("the-content-of-the-note\n")
    before = len(upstream.requests)
    finished = opencode.run(home, f"litellm/{model}", f"call read filePath={note}")
    asked = [request for request in upstream.requests[before:] if request.path == path]
    assert (finished.status, finished.stdout.strip()) == (0, "hello from upstream"), finished
    assert any(b"the-content-of-the-note" in request.body for request in asked)
    assert {request.key for request in asked} == {"upstream-key"}


def test_a_stub_wants_its_key_and_remembers_what_it_was_asked(stub_proxy: Callable[..., StubProxy]) -> None:
    stub = stub_proxy(["a"], key="sk-right", prefix="/team")
    asked = urllib.request.Request(f"{stub.url}/v1/models?x=1", headers={"Authorization": "Bearer sk-right"})
    with urllib.request.urlopen(asked) as answer:
        assert [row["id"] for row in json.load(answer)["data"]] == ["a"]
    for url in (f"{stub.url}/v1/models", f"{stub.root}/v1/models"):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(url)
        refused.value.close()
    assert [(request.path, request.query, request.key) for request in stub.requests] == [
        ("/team/v1/models", "x=1", "sk-right"),
        ("/team/v1/models", "", None),
        ("/v1/models", "", None),
    ]


def test_a_stub_misbehaves_as_scripted(stub_proxy: Callable[..., StubProxy]) -> None:
    stub = stub_proxy()
    stub.answer("/mute", mute=True)
    stub.answer("/dribble", b"abc", dribble=0.1)
    stub.answer("/endless", b"x" * 1000, endless=True)
    stub.answer("/raw", b"no HTTP at all", raw=True)
    begun = time.monotonic()
    with urllib.request.urlopen(f"{stub.url}/dribble") as answer:
        assert answer.read() == b"abc"
    assert time.monotonic() - begun > 0.2
    with urllib.request.urlopen(f"{stub.url}/endless") as answer:
        assert answer.read(1_000_000) == b"x" * 1_000_000
    with socket.create_connection(("127.0.0.1", stub.port)) as client:
        client.sendall(b"GET /raw HTTP/1.1\r\n\r\n")
        assert client.recv(100) == b"no HTTP at all"
    with pytest.raises(TimeoutError):
        urllib.request.urlopen(f"{stub.url}/mute", timeout=0.2)


def test_a_terminal_shows_what_a_person_would_see(
    terminal: Callable[..., Terminal], home: dict[str, str]
) -> None:
    screen = terminal(["sh", "-c", "read line; echo got $line; sleep 60"], home)
    screen.type("a 'b' ; c")
    screen.press("Enter")
    assert screen.wait_for("got").splitlines()[-1] == "got a 'b' ; c"
