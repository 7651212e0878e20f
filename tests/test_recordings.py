"""What the answers of every recorded LiteLLM lead to: its models, and the message for a key that gets none."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from world.recordings import RECORDINGS, Recording
from world.stub import StubProxy
from world.versions import parsed

from opencode_litellm import discovery
from opencode_litellm.errors import BudgetSpent, Failure, KeyDoubted, KeyRefused, ListNotAllowed
from opencode_litellm.litellm import client
from opencode_litellm.litellm.answers import Remembered
from opencode_litellm.models.catalog import Limit
from opencode_litellm.proxies import NO_KEY, Proxy, ProxyURL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opencode_litellm.models.catalog import Model

# What `recordings/catalogue.yaml` names and opencode can use; the rest of it does not chat, or is a wildcard.
NAMED = {
    "claude-3-5-sonnet-20241022", "claude-sonnet-4-5", "deepseek/deepseek-chat", "gemini/gemini-2.5-pro",
    "gpt-4.1-mini", "gpt-4o", "gpt-5", "gpt-5.2", "house-model", "local/qwen3-coder", "mixed", "mystery", "o3",
    "smart", "smarter", "writer",
}  # fmt: skip
NO_PARTNERS = (
    "embed", "whisper", "tts", "dall", "gpt-image", "realtime", "transcribe", "moderation", "sora", "container", "*",
)  # fmt: skip
REASONING = ("gpt-5", "gpt-5.2", "o3", "smart", "smarter")
CLAUDE = ("claude-3-5-sonnet-20241022", "claude-sonnet-4-5", "writer")

every_recording = pytest.mark.parametrize("recording", RECORDINGS, ids=lambda recording: recording.version)


@pytest.fixture(scope="module")
def stub() -> Iterator[StubProxy]:
    with StubProxy() as server:
        yield server


def served(stub: StubProxy, recording: Recording, kind: str = "master, no database") -> dict[str, Model]:
    """Return the models that a kind of key gets, by id; raises Failure as a discovery would."""
    recording.serve(stub, kind)
    proxy = Proxy("litellm", ProxyURL.parse(stub.url), "test", NO_KEY)
    deadline = time.monotonic() + 30
    answers = client.ask(proxy, {}, deadline, deadline, None)
    return {model.id: model for model in discovery.catalogue(proxy, Remembered(answers, 0, 0)).models}


@every_recording
class TestModels:
    def test_those_that_chat_are_shown_and_no_others(self, stub: StubProxy, recording: Recording) -> None:
        models = set(served(stub, recording))
        assert models >= NAMED
        assert [model for model in models if any(word in model for word in NO_PARTNERS)] == []

    def test_openais_reasoning_models_and_their_aliases_go_where_there_is_a_way(
        self, stub: StubProxy, recording: Recording
    ) -> None:
        models = served(stub, recording)
        way = "responses" if parsed(recording.version) >= (1, 63) else "chat"
        assert {model: models[model].route for model in (*REASONING, "mixed")} == {
            **dict.fromkeys(REASONING, way),
            "mixed": "chat",
        }
        assert all(models[model].reasoning and models[model].temperature is False for model in REASONING)

    def test_a_model_that_is_older_than_its_proxy_knows_sees_images_by_its_name(
        self, stub: StubProxy, recording: Recording
    ) -> None:
        models = served(stub, recording)
        assert [model for model in (*REASONING, *CLAUDE, "mixed") if "image" not in models[model].inputs] == []
        assert all(models[model].tool_call for model in NAMED)

    def test_claude_thinks_where_litellm_hands_an_effort_on(self, stub: StubProxy, recording: Recording) -> None:
        models = served(stub, recording)
        # 1.74 does not know it, and refuses an effort for what it does not know.
        thinks = parsed(recording.version) >= (1, 65) and parsed(recording.version)[:2] != (1, 74)
        assert [models[model].reasoning for model in CLAUDE] == [False, thinks, thinks]

    def test_of_an_unknown_one_nothing_is_made_up(self, stub: StubProxy, recording: Recording) -> None:
        mystery = served(stub, recording)["mystery"]
        assert (mystery.limit, mystery.price, mystery.inputs, mystery.reasoning) == (None, None, ("text",), False)

    def test_metadata_set_by_the_owner_is_believed(self, stub: StubProxy, recording: Recording) -> None:
        house = served(stub, recording)["house-model"]
        assert house.price
        assert (house.limit, house.price.amounts) == (Limit(65536, 4096), {"input": 0.5, "output": 1.5})
        assert house.inputs == ("text",)

    def test_an_alias_keeps_its_name(self, stub: StubProxy, recording: Recording) -> None:
        assert served(stub, recording)["smart"].name == "Smart"


@dataclass(frozen=True)
class Refusal:
    """The message for a kind of key: the class of the failure and a part of its text."""

    kind: type[Failure]
    text: str


def expected(recording: Recording, kind: str) -> Refusal | None:
    """Return the refusal of a kind of key, None where it gets a list."""
    version = parsed(recording.version)
    if kind == "chat only":
        if version[:2] == (1, 77):
            return Refusal(KeyDoubted, "failed without a reason (HTTP 500)")
        return None if version < (1, 70) else Refusal(ListNotAllowed, "does not let this key list its models")
    if kind.startswith("spent") and version >= LISTS_THOUGH_SPENT[kind]:
        return None  # it lists them, and refuses to chat
    return {
        "expired": Refusal(KeyRefused, "has expired"),
        "blocked": Refusal(KeyRefused, "the key is blocked"),
        "spent key": Refusal(BudgetSpent, "the key's budget"),
        "spent team": Refusal(BudgetSpent, "the team's budget"),
        "spent user": Refusal(BudgetSpent, "the user's budget"),
        "deleted": Refusal(KeyRefused, "refused the key (HTTP 401, token_not_found_in_db)"),
        "wrong": Refusal(KeyRefused, "refused the key (HTTP 401, token_not_found_in_db)"),
        "wrong, no database": Refusal(KeyRefused, "refused the key"),
        "none, no database": Refusal(KeyRefused, "refused the key (HTTP 401, auth_error)"),
    }.get(kind)


LISTS_THOUGH_SPENT = {"spent key": (1, 109), "spent team": (1, 90), "spent user": (1, 90)}
LISTS = {
    "three models": {"gpt-4o", "claude-sonnet-4-5", "gpt-5"},
    "team": {"gpt-4o", "gpt-4.1-mini"},
    "all-team-models": {"gpt-4o", "gpt-4.1-mini"},
    "access group": {"gemini/gemini-2.5-pro", "deepseek/deepseek-chat"},
    "no-default-models": set(),
    "aliases": {"gpt-4o", "house-mind"},
    "without info routes": {"gpt-4o", "gpt-5"},
    "chat only": {"gpt-4o", "gpt-5"},
    "spent key": {"gpt-4o"},
    "spent team": {"gpt-4o"},
    "spent user": {"gpt-4o"},
    "made anew": {"gpt-4o"},
}


@every_recording
def test_every_kind_of_key_gets_its_models_or_the_reason(stub: StubProxy, recording: Recording) -> None:
    for kind in recording.keys:
        refusal = expected(recording, kind)
        if refusal is None:
            models = served(stub, recording, kind)
            assert kind not in LISTS or set(models) == LISTS[kind], kind
            continue
        with pytest.raises(Failure) as raised:
            served(stub, recording, kind)
        assert (raised.type, raised.value.exit_status) == (refusal.kind, 4), (kind, raised.value)
        assert refusal.text in str(raised.value), kind


@pytest.mark.parametrize(
    "recording",
    [recording for recording in RECORDINGS if parsed(recording.version) >= (1, 70)],
    ids=lambda recording: recording.version,
)
def test_a_key_without_info_routes_gets_thin_models_and_right_ones(stub: StubProxy, recording: Recording) -> None:
    models = served(stub, recording, "without info routes")
    assert (models["gpt-5"].route, models["gpt-4o"].route) == ("responses", "chat")
    assert all("image" in model.inputs and model.tool_call for model in models.values())
