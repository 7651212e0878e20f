"""Which of OpenAI's two interfaces a model is spoken to through: chat completions or responses."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .settings import ModelOptions

Route = Literal["chat", "responses"]

# OpenAI refuses a reasoning effort beside function tools on /v1/chat/completions for these.
_OPENAI_REASONING = re.compile(r"(?:^|[/.:@])o[134](?![0-9])|(?<![a-z0-9])gpt-5(?![0-9])", re.IGNORECASE)


def route(model: str, mode: str | None, options: ModelOptions) -> Route:
    """Return the interface for a model: the user's lists, then ``transport``, then LiteLLM's mode, then the id."""
    if matches(model, options.chat_models):
        return "chat"
    if matches(model, options.responses_models):
        return "responses"
    if options.transport == "chat":
        return "chat"
    if options.transport == "responses" or mode == "responses" or is_openai_reasoning(model):
        return "responses"
    return "chat"


def is_openai_reasoning(model: str) -> bool:
    """Tell whether an id is one of ``gpt-5*``, ``o1*``, ``o3*`` and ``o4*``, behind any prefix."""
    return _OPENAI_REASONING.search(model) is not None


def matches(model: str, patterns: Iterable[str]) -> bool:
    """Tell whether an id matches one of ``patterns``, in which ``*`` stands for any run of characters."""
    return any(_expression(pattern).fullmatch(model) for pattern in patterns)


@lru_cache(maxsize=256)
def _expression(pattern: str) -> re.Pattern[str]:
    # Runs of stars mean one star, and cost exponential time as several.
    parts = re.split(r"\*+", pattern)
    return re.compile(".*".join(re.escape(part) for part in parts), re.DOTALL)
