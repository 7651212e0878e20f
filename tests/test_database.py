"""Keys of every kind in a real LiteLLM with a real PostgreSQL: the models, the words and the status that each gets."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from world.database import Database
from world.home import stand_in
from world.launches import launch, settle
from world.litellm import LiteLLM
from world.opencode import run
from world.recordings import CATALOGUE
from world.virtual_keys import make_keys

if TYPE_CHECKING:
    from collections.abc import Iterator

    from world.upstream import Upstream

pytestmark = pytest.mark.real


@dataclass(frozen=True)
class Outcome:
    """What a key gets: its models, or the exit status and the line; the same by every command and launch.

    With both, commands fail and launches have the models.
    """

    models: set[str] = field(default_factory=set)
    status: int = 0
    line: str = ""


REFUSED = "{url} refused the key (HTTP 401, token_not_found_in_db): check LITELLM_API_KEY"
SPENT = "is used up: wait until it resets, or ask whoever runs the proxy for more"
NOTHING = (
    "{url} lists 0 models, none of which opencode can use: check which models the key may use, and the options"
    " includeModels and excludeModels of provider litellm"
)
NO_LIST = (
    "{url} does not let this key list its models: list them under provider.litellm.models in your opencode.json, or"
    " ask whoever runs the proxy to allow /v1/models for this key"
)
OUTCOMES = {
    "three models": Outcome({"gpt-4o", "claude-sonnet-4-5", "gpt-5"}),
    "team": Outcome({"gpt-4o", "gpt-4.1-mini"}),
    "all-team-models": Outcome({"gpt-4o", "gpt-4.1-mini"}),
    "access group": Outcome({"gemini/gemini-2.5-pro", "deepseek/deepseek-chat"}),
    "aliases": Outcome({"gpt-4o", "house-mind"}),
    "without info routes": Outcome({"gpt-4o", "gpt-5"}),
    "made anew": Outcome({"gpt-4o"}),
    "no-default-models": Outcome(status=5, line=NOTHING),
    "chat only": Outcome(status=4, line=NO_LIST),
    "expired": Outcome(status=4, line="the key for {url} has expired: get a new one and put it in LITELLM_API_KEY"),
    "blocked": Outcome(status=4, line="the key is blocked at {url}: ask whoever runs the proxy to unblock the key"),
    "spent key": Outcome(status=4, line=f"the key's budget at {{url}} {SPENT}"),
    # LiteLLM 1.90 and newer list the models of these, and refuse to chat.
    "spent team": Outcome({"gpt-4o"}, status=4, line=f"the team's budget at {{url}} {SPENT}"),
    "spent user": Outcome({"gpt-4o"}, status=4, line=f"the user's budget at {{url}} {SPENT}"),
    "deleted": Outcome(status=4, line=REFUSED),
    "wrong": Outcome(status=4, line=REFUSED),
}


@dataclass(frozen=True)
class Company:
    """A LiteLLM at ``url`` that knows these keys, by their kind."""

    url: str
    keys: dict[str, str]


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory, upstream: Upstream) -> Iterator[Company]:
    with (
        Database() as database,
        LiteLLM(
            tmp_path_factory.mktemp("company"), upstream.root, catalogue=CATALOGUE, environment=database.environment
        ) as litellm,
    ):
        yield Company(litellm.url, make_keys(litellm, database))


@pytest.fixture
def employee(home: dict[str, str], company: Company) -> dict[str, str]:
    """Return the environment of a user of this LiteLLM, without a key."""
    stand_in(home)
    # Nothing here is about time.
    return home | {"OPENCODE_LITELLM_URL": company.url, "OPENCODE_LITELLM_TIMEOUT": "60"}


@pytest.mark.drawn(4)
@pytest.mark.parametrize("kind", OUTCOMES)
def test_every_kind_of_key_gets_what_its_user_would_want(kind: str, employee: dict[str, str], company: Company) -> None:
    assert by_every_way(employee | {"LITELLM_API_KEY": company.keys[kind]}) == wanted(OUTCOMES[kind], company.url)


def test_a_wildcard_is_spelt_out_to_some_of_what_it_means_and_nothing_that_does_not_chat(
    employee: dict[str, str], company: Company
) -> None:
    config = run(["opencode-litellm", "config"], employee | {"LITELLM_API_KEY": company.keys["openai/*"]})
    spelt_out = payload_models(json.loads(config.stdout))
    assert len(spelt_out) > 30
    assert all(model.startswith("openai/") for model in spelt_out)
    assert {"openai/gpt-4o", "openai/gpt-5"} <= spelt_out
    assert not {"openai/container", "openai/whisper-1", "openai/gpt-realtime"} & spelt_out


def test_no_kind_of_key_is_forgotten(company: Company) -> None:
    assert set(company.keys) == {*OUTCOMES, "openai/*", "master"}


def by_every_way(home: dict[str, str]) -> dict[str, Any]:
    """Return status, models and words of every command, and models and words of two launches."""
    config = run(["opencode-litellm", "config"], home)
    models = run(["opencode-litellm", "models", "--json"], home)
    refresh = run(["opencode-litellm", "refresh"], home)
    doctor = run(["opencode-litellm", "doctor", "--json"], home)
    first = launch(home)
    settle(home, 60)
    second = launch(home)
    failed = [check["check"] for check in json.loads(doctor.stdout)["checks"] if check["status"] == "failed"]
    return {
        "config": (config.status, payload_models(json.loads(config.stdout or "{}")), config.stderr),
        "models": (models.status, listed(models.stdout), models.stderr),
        "refresh": (refresh.status, refresh.stderr if refresh.status else ""),
        "doctor": (doctor.status, failed),
        "launches": [(payload_models(each.payload or {}), each.stderr) for each in (first, second)],
    }


def listed(text: str) -> set[str]:
    """Return the ids of ``models --json``."""
    return {model["id"] for model in json.loads(text)["models"]} if text else set()


def payload_models(payload: dict[str, Any]) -> set[str]:
    """Return the ids of all providers in a payload."""
    return {model for provider in payload.get("provider", {}).values() for model in provider["models"]}


def wanted(outcome: Outcome, url: str) -> dict[str, Any]:
    """Return what every way shows of an outcome."""
    said = f"opencode-litellm: {outcome.line.format(url=url)}\n" if outcome.line else ""
    started = f"{said[:-1]}. opencode starts without LiteLLM's models\n" if said and not outcome.models else said
    printed = set() if outcome.status else outcome.models
    return {
        "config": (outcome.status, printed, said),
        "models": (outcome.status, printed, said),
        "refresh": (outcome.status, said),
        "doctor": (outcome.status, {0: [], 4: ["key litellm"], 5: ["proxy litellm"]}[outcome.status]),
        "launches": [(outcome.models, started)] * 2,
    }
