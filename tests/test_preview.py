"""The file that we keep for opencode 2, read by the real preview of its server."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from world import opencodes
from world.home import configure_whole, global_configuration, stand_in, write
from world.opencode import run
from world.preview import Preview
from world.stub import MODEL_GROUP_INFO

if TYPE_CHECKING:

    from world.server import Request
    from world.stub import StubProxy

KEY, FOREIGN = "sk-of-the-proxy", "sk-of-somebody-else"
pytestmark = [pytest.mark.real, pytest.mark.serves("gpt-4o", "gpt-5", key=KEY)]

GROUPS = {
    "data": [
        {
            "model_group": name, "mode": "chat", "max_input_tokens": 100_000, "max_output_tokens": 8_000,
            "supports_reasoning": True, "supported_reasoning_efforts": ["low", "high"],
        }
        for name in ("gpt-4o", "gpt-5")
    ]
}  # fmt: skip
BOTH = ("litellm/gpt-4o", "litellm-responses/gpt-5")


@pytest.fixture
def proxy(proxy: StubProxy) -> StubProxy:
    proxy.answer(MODEL_GROUP_INFO, GROUPS)
    return proxy


@pytest.fixture
def user(user: dict[str, str]) -> dict[str, str]:
    """Return the environment of a user whose opencode is version 2, and who has another vendor's key as well."""
    stand_in(user, 'if [ "$1" = --version ]; then echo "opencode v2.0.30"; fi')
    return user | {"OPENAI_API_KEY": FOREIGN}


def launch(user: dict[str, str]) -> None:
    finished = run(["opencode-with-litellm", "run", "hi"], user)
    assert (finished.status, finished.stderr) == (0, "")


def folder(user: dict[str, str], name: str) -> Path:
    path = Path(user["HOME"], name)
    path.mkdir()
    return path


def inference(proxy: StubProxy, model: str, since: int) -> Request:
    """Return the first inference request for a model, as soon as it is there."""
    deadline = time.monotonic() + 60
    while not (found := [request for request in proxy.requests[since:] if request.method == "POST"]):
        assert time.monotonic() < deadline, "no request"
        time.sleep(0.1)
    assert found[0].json["model"] == model
    return found[0]


def test_both_kinds_of_models_chat_with_the_right_key_and_no_variant_is_disabled(
    user: dict[str, str], proxy: StubProxy
) -> None:
    configure_whole(user, provider={"litellm": {"models": {"mine": {"name": "My own"}}}})
    launch(user)
    here = folder(user, "here")
    with Preview(user, here) as server:
        models = server.models(here, *BOTH, "litellm/mine")
        assert server.providers(here) >= {"litellm", "litellm-responses"}
        for name in BOTH:
            model = models[name]
            assert model["capabilities"] == {"tools": True, "input": ["text", "image"], "output": ["text"]}
            assert model["limit"] == {"context": 100_000, "output": 8_000}
            assert [variant["id"] for variant in model["variants"]] == ["low", "high"]
        for name, path, variant, effort in (
            (BOTH[0], "/v1/chat/completions", None, {}),
            (BOTH[0], "/v1/chat/completions", "high", {"reasoning_effort": "high"}),
            (BOTH[1], "/v1/responses", None, {}),
            (BOTH[1], "/v1/responses", "low", {"reasoning": {"effort": "low"}}),
        ):
            since = len(proxy.requests)
            server.chat(here, name, "hi", variant)
            request = inference(proxy, name.partition("/")[2], since)
            assert (request.path, request.key) == (path, KEY)
            assert "disabled" not in request.json
            asked = {key: value for key, value in request.json.items() if key.startswith("reasoning")}
            assert asked == effort
    assert not any(FOREIGN in str(dict(request.headers)) for request in proxy.requests)


def test_the_other_slot_is_read_as_well_and_a_folder_that_is_opened_later_shows_what_is_new(
    user: dict[str, str], proxy: StubProxy
) -> None:
    other = {"provider": {"other": {"name": "Other", "options": {"baseURL": "http://x/v1"}}}}
    write(global_configuration(user).with_suffix(".jsonc"), other)
    launch(user)
    assert global_configuration(user).exists()
    here, later = folder(user, "here"), folder(user, "later")
    with Preview(user, here) as server:
        server.models(here, *BOTH)
        proxy.serve(["gpt-4o", "gpt-4.1"])
        launch(user)
        assert set(server.models(later, "litellm/gpt-4.1")) == {"litellm/gpt-4o", "litellm/gpt-4.1"}


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="only Linux shows a process's environment")
@pytest.mark.parametrize("how", ["as npm installs it", "behind a script"])
def test_a_server_that_a_launch_starts_keeps_no_variable_of_ours(user: dict[str, str], how: str) -> None:
    program = Path(user["HOME"], "bin/opencode")
    if how == "as npm installs it":
        program.unlink()
        program.symlink_to(opencodes.preview())
    else:
        program.write_text(
            f'#!/bin/sh\nif [ "$1" = --version ]; then echo "opencode v2.0.30"; else {opencodes.preview()} "$@"; fi\n'
        )
    left = json.loads(run(["opencode-litellm", "env", "json", "--delivery", "inline"], user).stdout)
    assert "OPENCODE_CONFIG_CONTENT" in left
    try:
        started = run(["opencode-with-litellm", "service", "start"], {**user, **left}, timeout=60)
        assert (started.status, started.stderr) == (0, "")
        registration = json.loads(Path(user["XDG_STATE_HOME"], "opencode/server.json").read_text())
        entries = Path(f"/proc/{registration['pid']}/environ").read_bytes().split(b"\0")
        kept = {entry.decode().partition("=")[0] for entry in entries}
        assert {name for name in kept if name.startswith(("OPENCODE_LITELLM", "OPENCODE_CONFIG"))} == {
            "OPENCODE_LITELLM_URL"
        }
    finally:
        run([str(opencodes.preview()), "service", "stop"], user, timeout=60)


def test_a_bad_entry_of_the_users_does_not_cost_ours(user: dict[str, str]) -> None:
    configure_whole(user, provider={"other": {"models": {"x": {"limit": {"context": "many"}, "cost": "dear"}}}})
    launch(user)
    here = folder(user, "here")
    with Preview(user, here) as server:
        server.models(here, *BOTH)


def test_doctor_asks_the_running_server_for_our_providers_and_their_key(user: dict[str, str]) -> None:
    program = Path(user["HOME"], "bin/opencode")
    # The preview's own program answers what only version 2's command line is asked.
    program.write_text(
        f'#!/bin/sh\ncase "$1" in --version) echo "opencode v2.0.30";; api) exec {opencodes.preview()} "$@";; esac\n'
    )
    launch(user)
    here = folder(user, "here")
    state = Path(user["XDG_STATE_HOME"], "opencode")
    state.mkdir(parents=True)
    (state / "service.json").symlink_to("server.json")  # as version 2 calls it

    def said() -> tuple[str, str]:
        finished = run(["opencode-litellm", "doctor", "--json"], user, here)
        assert KEY not in finished.stdout
        (check,) = [check for check in json.loads(finished.stdout)["checks"] if check["check"] == "server"]
        return check["status"], f"{check['finding']}: {check['remedy']}"

    assert said()[1].startswith("not running")
    with Preview(user, here) as server:
        server.models(here, *BOTH)
        status, text = said()
        assert (status, text.endswith(" has litellm, litellm-responses: None")) == ("ok", True)
    without = {name: value for name, value in user.items() if name != "LITELLM_API_KEY"}
    with Preview(without, here) as server:
        server.ask("/api/provider", here)
        began = time.monotonic()
        status, text = said()
        assert time.monotonic() - began < 12  # it waits 15 s for what may still come
        assert status == "warning"
        assert "opencode auth login litellm" in text
