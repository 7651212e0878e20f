"""Through which of OpenAI's two interfaces a model is used: chat completions or responses."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from opencode_litellm.litellm.facts import Facts
    from opencode_litellm.proxies import ModelOptions

Route = Literal["chat", "responses"]

# For these, OpenAI refuses a reasoning effort together with function tools on /v1/chat/completions.
_OPENAI_REASONING = re.compile(r"(?<![a-z0-9])(?:o[134]|gpt-5)(?![0-9])", re.IGNORECASE)
# LiteLLM's providers that run open weights, Marco o1 among them, and none of OpenAI's models.
_OPEN_WEIGHTS = frozenset(
    {
        "docker_model_runner", "hosted_vllm", "lemonade", "llamafile", "lm_studio", "ollama", "ollama_chat", "vllm",
        "xinference",
    }
)  # fmt: skip


def route(facts: Facts, options: ModelOptions, *, has_responses: bool = True) -> Route:
    """Return the interface for a model: the user's lists, then ``transport``, then LiteLLM's mode, then the id.

    For a proxy without ``/v1/responses`` (LiteLLM 1.60), only the user's options can choose responses.
    """
    if matches(facts.model, options.chat_models):
        return "chat"
    if matches(facts.model, options.responses_models):
        return "responses"
    if options.transport == "chat":
        return "chat"
    if options.transport == "responses":
        return "responses"
    return "responses" if has_responses and (facts.mode == "responses" or is_openai_reasoning(facts)) else "chat"


def is_openai_reasoning(facts: Facts) -> bool:
    """Return whether a model is ``gpt-5*``, ``o1*``, ``o3*`` or ``o4*``, behind any prefix, and may be OpenAI's."""
    return facts.litellm_provider not in _OPEN_WEIGHTS and named_like(facts, _OPENAI_REASONING)


def named_like(facts: Facts, pattern: re.Pattern[str]) -> bool:
    """Return whether ``pattern`` matches the id, or else the name behind it in every deployment."""
    if pattern.search(facts.model):
        return True
    return bool(facts.deployed) and all(
        pattern.search(name) and name.partition("/")[0] not in _OPEN_WEIGHTS for name in facts.deployed
    )


def matches(model: str, patterns: Iterable[str]) -> bool:
    """Return whether an id matches one of ``patterns``, in which ``*`` stands for any run of characters."""
    return matching(model, patterns) is not None


def matching(model: str, patterns: Iterable[str]) -> str | None:
    """Return the first of ``patterns`` that an id matches, None if there is none."""
    return next((pattern for pattern in patterns if _matches(model, pattern)), None)


def _matches(model: str, pattern: str) -> bool:
    # Not a regular expression, whose time would be the length to the power of the number of stars.
    first, *middle = pattern.split("*")
    if not middle:
        return model == pattern
    last = middle.pop()
    position, end = len(first), len(model) - len(last)
    if position > end or not model.startswith(first) or not model.endswith(last):
        return False
    for part in middle:
        start = model.find(part, position, end)
        if start < 0:
            return False
        position = start + len(part)
    return True
