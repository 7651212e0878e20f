"""Which of OpenAI's two interfaces a model is spoken to through: chat completions or responses."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from opencode_litellm.litellm.facts import Facts
    from opencode_litellm.proxies import ModelOptions

Route = Literal["chat", "responses"]

# OpenAI refuses a reasoning effort beside function tools on /v1/chat/completions for these.
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

    A proxy without ``/v1/responses`` (LiteLLM 1.60) has one interface alone, unless the user knows better.
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
    """Tell whether a model is one of ``gpt-5*``, ``o1*``, ``o3*``, ``o4*``, behind any prefix, and may be OpenAI's."""
    return facts.litellm_provider not in _OPEN_WEIGHTS and named_like(facts, _OPENAI_REASONING)


def named_like(facts: Facts, pattern: re.Pattern[str]) -> bool:
    """Tell whether an id, or else what stands behind it in every deployment, is named like that."""
    if pattern.search(facts.model):
        return True
    return bool(facts.deployed) and all(
        pattern.search(name) and name.partition("/")[0] not in _OPEN_WEIGHTS for name in facts.deployed
    )


def matches(model: str, patterns: Iterable[str]) -> bool:
    """Tell whether an id matches one of ``patterns``, in which ``*`` stands for any run of characters."""
    return matching(model, patterns) is not None


def matching(model: str, patterns: Iterable[str]) -> str | None:
    """Return the first of ``patterns`` that an id matches, None for none."""
    return next((pattern for pattern in patterns if _matches(model, pattern)), None)


def _matches(model: str, pattern: str) -> bool:
    # No regular expression: its time would grow with the power of the number of stars.
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
