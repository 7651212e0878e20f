"""A spent budget behind a list of models: which endpoints are asked, which answers count, and what follows."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from world.launches import launch
from world.opencode import run
from world.stub import MODEL_GROUP_INFO, MODEL_INFO, MODELS, StubProxy

from opencode_litellm.litellm import budget
from opencode_litellm.litellm.connection import Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

KEY = "sk-of-the-poor"
pytestmark = pytest.mark.serves("gpt-4o", "gpt-5", key=KEY)

POOR, RICH = {"spend": 5.0, "max_budget": 1.0}, {"spend": 5.0, "max_budget": None}
TEAM = f"{budget.TEAM}?team_id=t%2F%261"
EXCEEDED = {"error": {"message": "Budget has been exceeded! Team=1 Current cost: 5", "type": "budget_exceeded"}}

# What LiteLLM answers to each question, and whose budget is spent.
CASES: dict[str, tuple[dict[str, tuple[int, object]], str, list[str]]] = {
    "key": ({budget.KEY: (200, {"info": POOR})}, "key", [budget.KEY]),
    "just spent": ({budget.KEY: (200, {"info": {"spend": 1, "max_budget": 1}})}, "key", [budget.KEY]),
    "not yet": ({budget.KEY: (200, {"info": {"spend": 0.9, "max_budget": 1}})}, "", [budget.KEY]),
    "in common": (
        {budget.KEY: (200, {"info": {"spend": 5, "litellm_budget_table": {"max_budget": 1}}})}, "key", [budget.KEY]
    ),
    "more for a time": (
        {budget.KEY: (200, {"info": {**POOR, "metadata": {"temp_budget_increase": 9}}})}, "", [budget.KEY]
    ),
    "team": (
        {budget.KEY: (200, {"info": {**RICH, "team_id": "t/&1"}}), TEAM: (200, {"team_info": POOR})},
        "team", [budget.KEY, TEAM],
    ),
    "user, but the key is a team's": (
        {
            budget.KEY: (200, {"info": {**RICH, "team_id": "t/&1", "user_id": "me"}}),
            TEAM: (200, {"team_info": RICH}), budget.USER: (200, POOR),
        },
        "", [budget.KEY, TEAM],
    ),
    "user": (
        {budget.KEY: (200, {"info": {**RICH, "user_id": "me"}}), budget.USER: (200, POOR)},
        "user", [budget.KEY, budget.USER],
    ),
    "1.90 refuses to tell": ({budget.KEY: (429, EXCEEDED)}, "team", [budget.KEY]),
    "not allowed": ({budget.KEY: (403, {"detail": "not allowed to call this route"})}, "", [budget.KEY]),
    "no database": ({budget.KEY: (500, {"error": {"message": "Database not connected."}})}, "", [budget.KEY]),
    "nonsense": ({budget.KEY: (200, {"info": [POOR], "spend": 5, "max_budget": 1})}, "", [budget.KEY]),
    "no numbers": ({budget.KEY: (200, {"info": {"spend": "much", "max_budget": True}})}, "", [budget.KEY]),
    "an id that is none": (
        {budget.KEY: (200, {"info": {"team_id": ["x"], "user_id": "u" * 300}})}, "", [budget.KEY]
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_whose_budget_is_spent(case: str) -> None:
    said, owner, wanted = CASES[case]
    asked = []

    def ask(path: str) -> Reply:
        asked.append(path)
        status, content = said[path]
        return Reply(status, json.dumps(content).encode(), 0.0)

    assert (budget.owner_of_spent(ask), asked) == (owner, wanted)


@pytest.fixture
def proxy(proxy: StubProxy) -> StubProxy:
    proxy.answer(budget.KEY, {"info": POOR})
    return proxy


def models(payload: Mapping[str, Any] | None) -> set[str]:
    return {model for section in (payload or {}).get("provider", {}).values() for model in section["models"]}


def test_commands_fail_and_launches_say_so_each_time_until_there_is_money_again(
    user: dict[str, str], proxy: StubProxy
) -> None:
    line = (
        f"opencode-litellm: the key's budget at {proxy.url} is used up: wait until it resets, or ask whoever"
        " runs the proxy for more\n"
    )
    for command in (["config"], ["models"], ["refresh"], ["env", "json"]):
        done = run(["opencode-litellm", *command], user)
        assert (done.status, done.stdout, done.stderr) == (4, "", line), command
    for _ in range(3):
        shown = launch(user)
        assert (models(shown.payload), shown.stderr) == ({"gpt-4o", "gpt-5"}, line)
    proxy.answer(budget.KEY, {"info": RICH})
    before = len(proxy.requests)
    for _ in range(2):
        shown = launch(user)
        assert (models(shown.payload), shown.stderr) == ({"gpt-4o", "gpt-5"}, "")
    assert proxy.paths()[before:].count(budget.KEY) == 1, "a warm launch asks for the list alone"
    assert run(["opencode-litellm", "config"], user).status == 0


def test_a_budget_is_not_waited_for_long_and_not_asked_for_without_a_key(
    user: dict[str, str], proxy: StubProxy, stub_proxy: Callable[..., StubProxy]
) -> None:
    proxy.answer(budget.KEY, mute=True)
    for path in (MODEL_INFO, MODEL_GROUP_INFO):
        proxy.answer(path, {"data": []})
    shown = launch(user, OPENCODE_LITELLM_TIMEOUT="60")
    assert (models(shown.payload), shown.stderr) == ({"gpt-4o", "gpt-5"}, "")
    assert shown.seconds < 30
    del user["LITELLM_API_KEY"]
    keyless = stub_proxy(["gpt-4o"])
    assert models(launch({**user, "OPENCODE_LITELLM_URL": keyless.url}).payload) == {"gpt-4o"}
    assert MODELS in keyless.paths()
    assert budget.KEY not in keyless.paths()

