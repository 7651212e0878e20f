"""A proxy that gives no list to a key that may be right: the models stay, and the message says what helps."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from world.launches import launch, settle
from world.opencode import run
from world.stub import MODEL_INFO, MODELS, StubProxy

if TYPE_CHECKING:
    from collections.abc import Callable

WILDCARD = {"data": [{"id": "*"}]}
NOT_ALLOWED = {"detail": "Virtual key is not allowed to call this route. Only allowed to call routes: ['/chat']"}


def over_budget(message: str) -> dict[str, Any]:
    return {"error": {"message": message, "type": "budget_exceeded", "param": None, "code": "429"}}


def refusals() -> list[Any]:
    spent = "Budget has been exceeded! Current cost: 5.0, Max budget: 1.0"
    team = "Budget has been exceeded! Team=8b5f Current cost: 5.0, Max budget: 1.0"
    remedy = "wait until it resets, or ask whoever runs the proxy for more"
    return [
        pytest.param(400, over_budget(spent), f"the key's budget at {{url}} is used up: {remedy}", id="key, 1.65"),
        pytest.param(429, over_budget(spent), f"the key's budget at {{url}} is used up: {remedy}", id="key, 1.90"),
        pytest.param(422, over_budget(team), f"the team's budget at {{url}} is used up: {remedy}", id="team, 1.106"),
        pytest.param(
            403, NOT_ALLOWED,
            "{url} does not let this key list its models: list them under provider.litellm.models in your"
            " opencode.json, or ask whoever runs the proxy to allow /v1/models for this key",
            id="route, 1.80",
        ),
        pytest.param(
            401, b"<html>401 Authorization Required</html>",
            "something in front of LiteLLM at {url} refused the request (HTTP 401): add the header that it asks for to"
            " options.customHeaders of provider litellm, or ask whoever runs it",
            id="basic auth",
        ),
        pytest.param(
            500, b"Internal Server Error",
            "{url} failed without a reason (HTTP 500), as LiteLLM does for a wrong key, for one that may not list"
            " models, and after a crash: check LITELLM_API_KEY, and look at the proxy's log; if the key is right,"
            " list the models under provider.litellm.models in your opencode.json",
            id="500 in plain text",
        ),
    ]  # fmt: skip


@pytest.mark.parametrize(("status", "body", "line"), refusals())
def test_the_models_stay_and_one_line_says_why(
    status: int, body: object, line: str, stub_proxy: Callable[..., StubProxy], home: dict[str, str]
) -> None:
    stub = stub_proxy(["gpt-4o"])
    named = home | {"OPENCODE_LITELLM_URL": stub.url, "LITELLM_API_KEY": "sk-right"}
    assert launch(named).models == ["gpt-4o"]
    settle(home)
    stub.answer(MODELS, body, status=status)
    problem = line.format(url=stub.url)
    for command in (["config"], ["models"], ["refresh"]):
        finished = run(["opencode-litellm", *command], named)
        assert (finished.status, finished.stdout, finished.stderr) == (4, "", f"opencode-litellm: {problem}\n")
    for _ in range(2):
        again = launch(named)
        assert (again.models, again.lines) == (
            ["gpt-4o"],
            [f"opencode-litellm: {problem}; using its last known models"],
        )


@pytest.mark.parametrize(("status", "body"), [(200, WILDCARD), (403, NOT_ALLOWED)], ids=["only *", "no right to list"])
def test_models_that_the_user_has_named_need_no_list_and_no_line(
    status: int, body: object, stub_proxy: Callable[..., StubProxy], home: dict[str, str]
) -> None:
    stub = stub_proxy()
    stub.answer(MODELS, body, status=status)
    settings = Path(home["XDG_CONFIG_HOME"], "opencode/opencode.json")
    settings.parent.mkdir(parents=True)
    settings.write_text(json.dumps({"provider": {"litellm": {"models": {"house": {}}}}}))
    named = home | {"OPENCODE_LITELLM_URL": stub.url, "LITELLM_API_KEY": "sk-right"}
    finished = run(["opencode-litellm", "config"], named)
    assert (finished.status, finished.stderr) == (0, "")
    provider = json.loads(finished.stdout)["provider"]["litellm"]
    assert provider["options"] == {"baseURL": f"{stub.url}/v1", "apiKey": "{env:LITELLM_API_KEY}"}
    for _ in range(2):
        shown = launch(named)
        assert (shown.models, shown.stderr) == ([], "")


@pytest.mark.parametrize("version", ["1.74", "1.106"])
def test_only_a_wildcard_asks_for_names(
    version: str, stub_proxy: Callable[..., StubProxy], home: dict[str, str]
) -> None:
    stub = stub_proxy()
    if version == "1.74":
        stub.answer(MODELS, WILDCARD)
    else:  # which lists nothing then
        stub.answer(MODEL_INFO, {"data": [{"model_name": "*", "model_info": {"id": "x"}}]})
    finished = run(["opencode-litellm", "config", "--url", stub.url], home)
    remedy = "list the models under provider.litellm.models in your opencode.json"
    said = f"opencode-litellm: {stub.url} serves * but names no models: {remedy}\n"
    assert (finished.status, finished.stdout, finished.stderr) == (5, "", said)
