"""What LiteLLM's answers say about models, row by row.

Pure: JSON of ``/v1/models`` and of the endpoints of ``INFO`` in, :class:`Facts` out. A field that is missing or makes
no sense is None. A new endpoint of LiteLLM is a row of ``INFO``, its parser here, and its use in ``models.catalog``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from opencode_litellm.jsonc import mapping
from opencode_litellm.litellm import prices
from opencode_litellm.litellm.prices import Prices

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_MOST_ROWS = 20_000
_MOST_CHARACTERS = 2**20  # characters of all ids together; 10,000 real ones have 300,000
_LONGEST_ID = 500  # characters
_MOST_EFFORTS = 16
_LARGEST_LIMIT = 2**40  # tokens
_PRICES_FILLED_IN = ("input_cost_per_token", "output_cost_per_token")
# LiteLLM 1.53 to 1.70: false for every model that it does not know. Nobody sets all three to false by hand.
_FLAGS_FILLED_IN = ("supports_vision", "supports_function_calling", "supports_assistant_prefill")
_EFFORT = re.compile(r"[a-z]{1,20}")
_EFFORT_FLAG = re.compile(r"supports_([a-z]{1,20})_reasoning_effort")


@dataclass(frozen=True)
class Facts:
    """What one row of one endpoint says about a model; None where it says nothing.

    ``deployed`` are the vendors' models behind the name, as ``provider/id``. Limits are in tokens. ``temperature`` and
    ``reasoning_effort`` tell whether LiteLLM takes that parameter. ``efforts`` are all the reasoning efforts that the
    model takes, ``flagged_efforts`` some that it takes for certain, ``refused_efforts`` some that it does not.
    """

    model: str
    deployed: tuple[str, ...] = ()
    mode: str | None = None
    litellm_provider: str | None = None
    max_input_tokens: int | None = None
    max_output_tokens: int | None = None
    prices: Prices = prices.UNKNOWN
    vision: bool | None = None
    pdf_input: bool | None = None
    audio_input: bool | None = None
    video_input: bool | None = None
    audio_output: bool | None = None
    function_calling: bool | None = None
    reasoning: bool | None = None
    temperature: bool | None = None
    reasoning_effort: bool | None = None
    efforts: tuple[str, ...] | None = None
    flagged_efforts: tuple[str, ...] = ()
    refused_efforts: tuple[str, ...] = ()


# The fields of Facts that are abilities, and LiteLLM's names for them. Others are not read.
ABILITIES: Mapping[str, str] = {
    name: f"supports_{name}"
    for name in (
        "vision", "pdf_input", "audio_input", "video_input", "audio_output", "function_calling", "reasoning",
    )
}  # fmt: skip


def listed(answer: object) -> tuple[Facts, ...] | None:
    """Parse the answer of ``/v1/models``; None, here and below, if it does not have LiteLLM's shape."""
    rows = _rows(answer, lambda row: _facts(row.get("id"), row, {}))
    if rows is None:
        return None
    lengths = accumulate(len(row.model) for row in rows)
    return tuple(row for row, length in zip(rows, lengths, strict=True) if length <= _MOST_CHARACTERS)


def deployments(answer: object) -> tuple[Facts, ...] | None:
    """Parse the answer of ``/v1/model/info``."""
    return _rows(answer, _deployment)


def groups(answer: object) -> tuple[Facts, ...] | None:
    """Parse the answer of ``/model_group/info``."""
    return _rows(answer, _group)


# What is asked beside /v1/models: a name for the rows, the path, and the parser of the answer.
DEPLOYMENTS = "deployments"  # a row for each deployment
GROUPS = "groups"  # a row for each public name
INFO: Mapping[str, tuple[str, Callable[[object], tuple[Facts, ...] | None]]] = {
    DEPLOYMENTS: ("/v1/model/info", deployments),
    GROUPS: ("/model_group/info", groups),
}


def row_of(model: str, row: Mapping[str, object]) -> Facts | None:
    """Parse a row with LiteLLM's field names (``supports_vision``, ``max_input_tokens``, …) that a user wrote."""
    return _facts(model, row, {})


def _rows(answer: object, parse: Callable[[Mapping[str, Any]], Facts | None]) -> tuple[Facts, ...] | None:
    rows = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(rows, list):
        return None
    parsed = (parse(row) for row in rows[:_MOST_ROWS] if isinstance(row, dict))
    return tuple(facts for facts in parsed if facts is not None)


def _deployment(row: Mapping[str, Any]) -> Facts | None:
    info = mapping(row.get("model_info"))
    # LiteLLM 1.106: a team's own deployment has a made-up model_name; /v1/models lists it under this one.
    model = info.get("team_public_model_name") or row.get("model_name")
    params = mapping(row.get("litellm_params"))
    # The owner's base_model names the model behind an Azure deployment; `key` is LiteLLM's own guess.
    names = (info.get("base_model"), params.get("base_model"), params.get("model"), info.get("key"))
    behind = next((name for name in names if _text(name)), None)
    return _facts(model, _without_filled_in(info), params, deployed=(behind,) if behind else ())


def _group(row: Mapping[str, Any]) -> Facts | None:
    providers = row.get("providers")
    provider = providers[0] if isinstance(providers, list) and len(providers) == 1 else None
    # LiteLLM 1.106: the booleans of a group default to false when nothing is known, so false proves nothing.
    known = {name: value for name, value in _without_filled_in(row).items() if value is not False}
    return _facts(row.get("model_group"), {**known, "litellm_provider": provider}, {})


def _without_filled_in(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a row without the values that LiteLLM fills in for a model that it does not know.

    These are prices of 0 without a mode, in every version, and in 1.70 and older flags that are all false: one that is
    true proves that somebody has set them.
    """
    if row.get("mode") is not None:
        return row
    unknown: set[str] = set()
    if not any(row.get(name) for name in _PRICES_FILLED_IN):
        unknown.update(_PRICES_FILLED_IN)
    flags = {name for name in row if name.startswith("supports_")}
    if all(row.get(name) is False for name in _FLAGS_FILLED_IN) and not any(row[name] for name in flags):
        unknown.update(flags)
    return {name: value for name, value in row.items() if name not in unknown}


def _facts(
    model: object, info: Mapping[str, Any], params: Mapping[str, Any], deployed: tuple[str, ...] = ()
) -> Facts | None:
    # opencode prints ids as they are, so one with a control character, or with half a surrogate pair, is not used.
    if not isinstance(model, str) or not 0 < len(model) <= _LONGEST_ID or not model.strip() or not model.isprintable():
        return None

    abilities: dict[str, Any] = {}
    for name, told in ABILITIES.items():
        value = info.get(told)
        value = params.get(told) if value is None else value
        if isinstance(value, bool):
            abilities[name] = value
    supported = info.get("supported_openai_params")
    effort_flags = {**_effort_flags(params), **_effort_flags(info)}
    # The plugin's name for a list of some efforts that the model takes.
    effort_flags.update(dict.fromkeys(_efforts(info.get("supports_reasoning_efforts")) or (), True))
    return Facts(
        model=model,
        deployed=deployed,
        mode=_text(info.get("mode")),
        litellm_provider=_text(info.get("litellm_provider")),
        max_input_tokens=_limit(info.get("max_input_tokens")),
        # LiteLLM: max_tokens is the older name of max_output_tokens, not the size of the context.
        max_output_tokens=_limit(info.get("max_output_tokens")) or _limit(info.get("max_tokens")),
        prices=prices.parse(info),
        **abilities,
        temperature=_parameter("temperature", supported),
        reasoning_effort=_parameter("reasoning_effort", supported),
        # Groups have the first; LiteLLM's price table, and so a deployment, has the second (Kimi K3: low, high, max).
        efforts=_efforts(info.get("supported_reasoning_efforts", info.get("reasoning_effort_levels"))),
        flagged_efforts=tuple(sorted(effort for effort, taken in effort_flags.items() if taken)),
        refused_efforts=tuple(sorted(effort for effort, taken in effort_flags.items() if not taken)),
    )


def _parameter(name: str, supported: object) -> bool | None:
    return name in supported if isinstance(supported, list) and supported else None


def _efforts(listed: object) -> tuple[str, ...] | None:
    if not isinstance(listed, list):
        return None
    named = listed[:_MOST_EFFORTS]
    return tuple(sorted({effort for effort in named if isinstance(effort, str) and _EFFORT.fullmatch(effort)}))


def _effort_flags(block: Mapping[str, Any]) -> dict[str, bool]:
    flags = {effort: block[name] for name, effort in _effort_fields(tuple(block))}
    return {effort: value for effort, value in flags.items() if isinstance(value, bool)}


@lru_cache(maxsize=64)
def _effort_fields(names: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Return the fields that are flags of efforts, with the efforts. Cached: 10,000 rows have the same 200 fields."""
    matches = ((name, _EFFORT_FLAG.fullmatch(name)) for name in names)
    return tuple((name, match[1]) for name, match in matches if match)[:_MOST_EFFORTS]


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and 0 < len(value) <= _LONGEST_ID else None


def _limit(value: object) -> int | None:
    number = prices.number(value)
    return int(number) if number is not None and 1 <= number <= _LARGEST_LIMIT else None
