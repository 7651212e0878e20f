"""Answers of a hostile proxy: rows that look like LiteLLM's, in which any part can be anything.

A seed gives the same answers again. Hypothesis finds the smallest example of a fault; this makes thousands of rows a
second, and so shows what many of them cost together.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

TEXTS = [
    "{file:/etc/passwd}", "{env:HOME}", "{{env:HOME}}", "\\u007benv:HOME}", "{file:~/.ssh/id_rsa}", "{env:", "}", "{",
    "'; touch /tmp/x; '", '"', "\\", "`id`", "$(id)", "${HOME}", "%PATH%", "!!", "\x00", "\x1b[31m", "\r\n", "\u2028",
    "\ud800", "a\udfffb", "\U0001f600", "__proto__", "constructor", "toString", "a/b/c", "/", "//", ".", "..", " ", "",
    "*", "a/*", "\u3164", "\u2800", "\u115f", "\u202e", "{% raw %}", "{{ 7 * 7 }}", "<!--", "//comment", "/*", "#",
    "$schema", "none", "null", "true", "0", "-0", "NaN", "e\u0301", "\ufdfa",
]  # fmt: skip
NAMES = [
    "gpt-5", "o3", "openai/gpt-5-mini", "claude-sonnet-4-5", "us.anthropic.claude-3-5-sonnet-20241022-v2:0",
    "deepseek-r1", "gemini-2.5-pro", "qwen3-32b:q4_k_m",
    "arn:aws:bedrock:eu:1:inference-profile/abc", "text-embedding-3", "kimi-k2",
]  # fmt: skip
NUMBERS = [0, -1, 1, 0.0, -0.0, 1e-07, 3e-07, 5e-324, 1e308, 2**31, 2**53, 2**63, 10**400, 128000, 1e400, float("nan")]
LIMITS = ["max_tokens", "max_input_tokens", "max_output_tokens"]
PRICES = [
    "input_cost_per_token", "output_cost_per_token", "cache_read_input_token_cost", "cache_creation_input_token_cost",
    "input_cost_per_token_above_200k_tokens", "output_cost_per_token_above_200k_tokens",
]  # fmt: skip
FLAGS = [
    "supports_vision", "supports_pdf_input", "supports_audio_input", "supports_video_input", "supports_audio_output",
    "supports_function_calling", "supports_reasoning", "supports_low_reasoning_effort",
    "supports_constructor_reasoning_effort", "supports_max_reasoning_effort",
]  # fmt: skip
PLAUSIBLE: dict[str, list[Any]] = {
    **{name: [1, 4096, 8192, 32_000, 200_000, "8192"] for name in LIMITS},
    **{name: [0, 1e-06, 2.5e-06, "3e-6"] for name in PRICES},
    **{name: [True, False, None] for name in FLAGS},
    "mode": ["chat", "responses", "completion", "embedding", None],
    "litellm_provider": ["openai", "bedrock", "ollama", None],
    "supported_openai_params": [["temperature"], ["tools"], []],
    "supported_reasoning_efforts": [["low", "high"], ["none", "xhigh", "constructor"], [], None],
    "reasoning_effort_levels": [["low", "max"]],
    "providers": [["openai"], ["openai", "azure"], []],
    "team_public_model_name": [None],
}


class Hostile:
    """Rows for the three endpoints, all about the same ``ids``."""

    def __init__(self, random: Random, number: int) -> None:
        self._random = random
        self.ids: list[str] = list(dict.fromkeys(self._id(index) for index in range(number)))

    def answers(self) -> tuple[bytes, bytes, bytes]:
        """Return the bodies of ``/v1/models``, ``/v1/model/info`` and ``/model_group/info``."""
        chance = self._random
        listed = [{**self._row(), "id": name} for name in self.ids]
        deployed = [
            {"model_name": name, "model_info": self._block(), "litellm_params": self._block()}
            for name in self.ids
            for _ in range(chance.choice((0, 1, 1, 2)))
        ]
        grouped = [{**self._row(), "model_group": name} for name in self.ids if chance.random() < 0.7]
        return self._body(listed), self._body(deployed), self._body(grouped)

    def _id(self, index: int) -> str:
        chance = self._random
        parts = [chance.choice(TEXTS + NAMES * 3) for _ in range(chance.choice((1, 2, 3)))]
        # Most ids are unique, so that there are as many models.
        return chance.choice(("", "-", "/", " ")).join([*parts, f"{index:x}"] if chance.random() < 0.99 else parts)

    def _row(self) -> dict[str, Any]:
        chance = self._random
        fields = chance.sample(list(PLAUSIBLE), chance.randrange(len(PLAUSIBLE)))
        return {
            name: chance.choice(PLAUSIBLE[name]) if chance.random() < 0.75 else self._anything() for name in fields
        }

    def _block(self) -> object:
        return self._row() if self._random.random() < 0.95 else self._anything()

    def _anything(self, depth: int = 0) -> object:
        chance = self._random
        kind = chance.randrange(6 if depth < 3 else 4)
        if kind < 2:
            return chance.choice(TEXTS)
        if kind < 4:
            return chance.choice([*NUMBERS, None, True, False])
        inner = [self._anything(depth + 1) for _ in range(chance.randrange(4))]
        return inner if kind == 4 else {chance.choice([*TEXTS, *PLAUSIBLE]): value for value in inner}

    def _body(self, rows: Sequence[object]) -> bytes:
        chance = self._random
        whole = [row if chance.random() < 0.98 else self._anything() for row in rows]
        chance.shuffle(whole)
        return json.dumps({"data": whole, "object": self._anything()}).encode("utf-8", "surrogatepass")
