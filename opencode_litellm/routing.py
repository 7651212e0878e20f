"""Which of OpenAI's two interfaces a model is spoken to through: chat completions or responses."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .settings import ModelOptions

Route = Literal["chat", "responses"]

# OpenAI refuses a reasoning effort beside function tools on /v1/chat/completions for these.
_OPENAI_REASONING = re.compile(r"(?<![a-z0-9])(?:o[134]|gpt-5)(?![0-9])", re.IGNORECASE)


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
    return any(_matches(model, pattern) for pattern in patterns)


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
        found = model.find(part, position, end)
        if found < 0:
            return False
        position = found + len(part)
    return True
