"""The plugin `opencode-plugin-litellm` and we, against one LiteLLM: what opencode shows, model by model."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from world import tools
from world.home import make_home

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from world.litellm import LiteLLM
    from world.opencode import Opencode

# Modes that no agent can talk to, shown by the plugin.
HIDDEN = {"gpt-realtime", "house-search", "mistral-ocr-latest", "omni-moderation-latest", "rerank-v3.5", "sora-2"}


class Difference(NamedTuple):
    """What may differ, where (a field of `models --verbose`, ``*`` for all below it), and why ours is better."""

    field: str
    reason: str
    better: Callable[[str, Any, Any], bool]
    """Of the model's id, the plugin's value and ours."""


def letters(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def is_responses(model: str) -> bool:
    return model in {"gpt-5", "gpt-5-codex", "gpt-5-mini", "house-responses", "o3", "team/o4-mini"}


DIFFERENCES = [
    Difference(
        "name",
        "the same letters and digits in brand spelling, without date and prefix; the plugin says GPT 4o, Kimi K2 5",
        lambda _, theirs, ours: letters(re.sub(r"^.*/| \d{8}$", "", theirs)) == letters(ours),
    ),
    Difference(
        "capabilities.temperature",
        "an agent's temperature counts where LiteLLM takes one; opencode drops it for all models of the plugin",
        lambda model, theirs, ours: (theirs, ours) == (False, True)
        and not (is_responses(model) and model != "house-responses"),
    ),
    Difference(
        "capabilities.toolcall",
        "LiteLLM says that it takes no tools",
        lambda model, theirs, ours: (model, theirs, ours) == ("deepseek/deepseek-reasoner", True, False),
    ),
    Difference(
        "capabilities.input.video",
        "the plugin does not read supports_video_input",
        lambda _, theirs, ours: (theirs, ours) == (False, True),
    ),
    Difference(
        "capabilities.*",
        "two of the three deployments see images, one does not; the plugin looks at the first",
        lambda model, theirs, ours: (model, theirs, ours) == ("balanced", True, False),
    ),
    Difference(
        "capabilities.*",
        "LiteLLM has forgotten it, and its family sees images",
        lambda model, theirs, ours: (model, theirs, ours) == ("claude-3-5-sonnet-20241022", False, True),
    ),
    Difference(
        "capabilities.interleaved",
        "its thinking has to go back to it in the field that it came in",
        lambda model, theirs, ours: "kimi" in model and (theirs, ours) == (False, {"field": "reasoning_content"}),
    ),
    Difference(
        "cost.*",
        "no noise of floating point: the plugin says 0.39999999999999997",
        lambda _, theirs, ours: len(str(ours)) < len(str(theirs)) and abs(theirs - ours) < 1e-9,
    ),
    Difference(
        "cost.*",
        "the dearest of its deployments, so that nothing costs more than what is shown",
        lambda model, theirs, ours: model == "balanced" and ours > theirs,
    ),
    Difference(
        "limit.*",
        "the smallest of its deployments, so that no request is refused by one of them",
        lambda model, theirs, ours: model == "balanced" and ours < theirs,
    ),
    Difference(
        "limit.output",
        "with an output as large as the context opencode compacts at every turn, for ever",
        lambda model, theirs, ours: "moonshot-v1" in model and ours * 2 == theirs,
    ),
    Difference(
        "api.npm",
        "OpenAI takes a reasoning effort beside tools on /v1/responses alone",
        lambda model, _, ours: is_responses(model) and ours == "@ai-sdk/openai",
    ),
    Difference(
        "api.url",
        "the sibling's address gives way to that of a folder, whose key it then meets",
        lambda model, theirs, ours: is_responses(model) and theirs == "" and ours.endswith("/v1"),
    ),
    Difference(
        "providerID",
        "the sibling is the provider that speaks it",
        lambda model, _, ours: is_responses(model) and ours == "litellm-responses",
    ),
    Difference(
        "variants.*",
        "there opencode asks for summaries of the thinking, and to keep it over turns",
        lambda model, theirs, ours: is_responses(model)
        and theirs is None and ours in ("auto", ["reasoning.encrypted_content"]),
    ),
    Difference(
        "variants.*",
        "LiteLLM lists these efforts, in a form that the plugin does not read",
        lambda model, _, ours: model == "moonshot/kimi-k3" and ours in ("low", "high", "max"),
    ),
]  # fmt: skip


@pytest.fixture(scope="module")
def both(
    litellm: LiteLLM, opencode: Opencode, tmp_path_factory: pytest.TempPathFactory
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the models that the plugin and we give to opencode, from the same configuration."""
    plugin = tools.installed(tools.PLUGIN)

    def shown(name: str, provider: str, program: str, **more: Any) -> dict[str, Any]:
        home = make_home(tmp_path_factory.mktemp(name) / "home")
        options = {"baseURL": f"{litellm.url}/v1", "apiKey": "{env:HOUSE_KEY}"}
        section = {"npm": "@ai-sdk/openai-compatible", "options": options}
        folder = Path(home["XDG_CONFIG_HOME"]) / "opencode"
        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"$schema": "x", "provider": {"litellm": section}, **more})
        (folder / "opencode.json").write_text(text)
        return opencode.models({**home, "HOUSE_KEY": litellm.key}, provider=provider, program=program)

    theirs = shown("plugin", "litellm", "opencode", plugin=[f"file://{plugin}/src/index.ts"])
    ours = shown("ours", "litellm", "opencode-with-litellm")
    return theirs, {**ours, **shown("ours", "litellm-responses", "opencode-with-litellm")}


def test_nothing_that_the_plugin_shows_is_missing_but_what_cannot_chat(both: Any) -> None:
    theirs, ours = both
    assert set(theirs) - set(ours) == HIDDEN
    assert set(ours) - set(theirs) == set()


def test_each_difference_has_its_reason_and_each_reason_a_difference(both: Any) -> None:
    theirs, ours = both
    unexplained, used = [], set()
    for model in sorted(set(theirs) & set(ours)):
        for field, (their_value, our_value) in differing(theirs[model], ours[model]):
            reasons = [
                difference
                for difference in DIFFERENCES
                if covers(difference.field, field) and difference.better(model, their_value, our_value)
            ]
            used.update(reason.reason for reason in reasons)
            if not reasons:
                unexplained.append((model, field, their_value, our_value))
    assert unexplained == []
    assert [difference.reason for difference in DIFFERENCES if difference.reason not in used] == []


def covers(pattern: str, field: str) -> bool:
    return field == pattern or (pattern.endswith(".*") and field.startswith(pattern[:-1]))


def differing(theirs: Any, ours: Any, path: str = "") -> Iterator[tuple[str, tuple[Any, Any]]]:
    """Walk through two values side by side; a part that only one of them has is None in the other."""
    if theirs == ours:
        return
    nested = [value for value in (theirs, ours) if value is not None]
    if path == "capabilities.interleaved" or not all(isinstance(value, dict) for value in nested):
        yield path, (theirs, ours)
        return
    for key in sorted({*(theirs or {}), *(ours or {})}):
        yield from differing((theirs or {}).get(key), (ours or {}).get(key), f"{path}.{key}".lstrip("."))
