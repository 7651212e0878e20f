"""The models that a proxy serves, as a person would want them in opencode's picker.

Pure: rows of LiteLLM's answers in, :class:`Model` out. Where rows disagree, the safe side wins: the smallest
limit, the highest price, an ability only if every deployment has it.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from opencode_litellm.litellm import prices
from opencode_litellm.litellm.facts import ABILITIES, DEPLOYMENTS, GROUPS, Facts, row_of
from opencode_litellm.models import naming
from opencode_litellm.models.routing import Route, is_openai_reasoning, named_like, route
from opencode_litellm.models.visibility import CHAT_MODES, LISTED, Reason, reason_hidden

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Sequence

    from opencode_litellm.litellm.prices import Price
    from opencode_litellm.proxies import ModelOptions

_SEES_IMAGES = re.compile(
    r"gpt-4o(?!.*audio)|gpt-4\.[15]|gpt-4-turbo|gpt-[5-9](?!\d)|(^|[/.])o[134]($|-(?!mini|preview))|o4-mini"
    r"|claude-(?!v?[12](\D|$)|instant)|gemini|pixtral|llava|[-_]vl([-_:]|$)|vision|llama-?4|gemma-?3|grok-4|multimodal"
    r"|nova-(2-)?(lite|pro|premier)|kimi-k(2\.[5-9]|[3-9])|mistral-(small|medium|large)-(3|2[5-9])",
    re.IGNORECASE,
)
_CLAUDE_THINKS = re.compile(r"claude-(3[-.]7|(opus|sonnet|haiku)-[4-9]|[4-9])", re.IGNORECASE)
# Reasoning efforts, the weakest first: opencode's picker shows them in this order, and its titles take the first.
_STRENGTHS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")

# opencode 1.18 compacts a session at context - min(output, 32,000), and so at every turn where nothing is left.
_RESERVED = 32_000  # tokens

# Families whose thinking has to be sent back to them, in the field in which LiteLLM gives it.
_INTERLEAVES = re.compile(r"deepseek|kimi|glm-|minimax|mimo", re.IGNORECASE)

_NO_ABILITIES: Mapping[str, Any] = dict.fromkeys(ABILITIES)


@dataclass(frozen=True)
class Limit:
    """The limits of a model, in tokens."""

    context: int
    output: int


@dataclass(frozen=True)
class Hidden:
    """A model that opencode does not get from us, and why."""

    id: str
    reason: Reason


@dataclass(frozen=True)
class Model:
    """A model for the picker; the efforts are those of :class:`~opencode_litellm.litellm.facts.Facts`."""

    id: str
    name: str
    owner: str | None
    route: Route
    limit: Limit | None
    price: Price | None
    price_over_200k: Price | None
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    tool_call: bool
    reasoning: bool
    temperature: bool | None
    efforts: tuple[str, ...] | None
    flagged_efforts: tuple[str, ...]
    refused_efforts: tuple[str, ...]
    interleaved: bool

    @property
    def sure_efforts(self) -> tuple[str, ...]:
        """The reasoning efforts that the model takes for certain, the weakest first."""
        return by_strength({*(self.efforts or ()), *self.flagged_efforts} - {*self.refused_efforts})


@dataclass(frozen=True)
class Catalogue:
    """The models of a proxy: those that opencode can use, and those that it does not get from us, sorted by id.

    One that the user's configuration lists is in both if opencode can use it.
    """

    models: tuple[Model, ...]
    hidden: tuple[Hidden, ...]


def by_strength(efforts: Iterable[str]) -> tuple[str, ...]:
    """Return reasoning efforts in order, the weakest first; unknown ones come last."""
    return tuple(sorted(efforts, key=_strength))


def is_range(efforts: Sequence[str]) -> bool:
    """Return whether ``efforts`` are in order and leave none out between the first and the last."""
    return any(tuple(efforts) == _STRENGTHS[at : at + len(efforts)] for at in range(len(_STRENGTHS)))


def _strength(effort: str) -> tuple[int, str]:
    return (_STRENGTHS.index(effort) if effort in _STRENGTHS else len(_STRENGTHS), effort)


def build(
    listed: Iterable[Facts],
    info: Mapping[str, Sequence[Facts] | None],
    options: ModelOptions,
    users_own: Container[str] = (),
    *,
    has_responses: bool = True,
) -> Catalogue:
    """Return the models of ``listed``, usable or hidden, with the details of ``info`` (by the names of facts.INFO).

    ``users_own`` are the ids that the user's configuration lists. ``has_responses`` tells whether the proxy has
    ``/v1/responses``.
    """
    merged = sorted(_merged(listed, info, options), key=attrgetter("model"))
    reasons = {row.model: reason_hidden(row, options) for row in merged}
    facts = {row.model: row for row in merged if not reasons[row.model]}
    names = naming.display_names(facts)
    return Catalogue(
        tuple(_model(row, names[model], options, has_responses) for model, row in facts.items()),
        tuple(_hidden(reasons, users_own)),
    )


def _hidden(reasons: Mapping[str, Reason | None], users_own: Container[str]) -> Iterator[Hidden]:
    for model, reason in reasons.items():
        if model in users_own:
            yield Hidden(model, LISTED)
        elif reason:
            yield Hidden(model, reason)


def _merged(
    listed: Iterable[Facts], info: Mapping[str, Sequence[Facts] | None], options: ModelOptions
) -> Iterator[Facts]:
    """Yield one row for each model of ``listed``: what is known about it, with the user's corrections."""
    by_deployment = _by_model(info.get(DEPLOYMENTS) or ())
    by_group = _by_model(info.get(GROUPS) or ())
    for model, rows in _by_model(listed).items():
        deployed, group = _safest(by_deployment.get(model, ())), _safest(by_group.get(model, ()))
        # LiteLLM 1.106: one deployment behind a wildcard has a row for every key that its table has for the model.
        if deployed and group and len(set(by_deployment[model])) > 1:
            deployed, group = _agreed(deployed, group)
        merged = _first_known(model, [row for row in (deployed, group, _safest(rows)) if row])
        yield _corrected(merged, options.capabilities.get(model, {}))


def _by_model(rows: Iterable[Facts]) -> dict[str, list[Facts]]:
    grouped: dict[str, list[Facts]] = defaultdict(list)
    for row in rows:
        grouped[row.model].append(row)
    return grouped


def _safest(rows: Sequence[Facts]) -> Facts | None:
    """Merge the deployments behind one name into what holds for any of them."""
    if len(rows) < 2:
        return rows[0] if rows else None
    efforts = [set(row.efforts) for row in rows if row.efforts is not None]
    modes = sorted({row.mode for row in rows if row.mode})
    providers = {row.litellm_provider for row in rows}
    abilities: dict[str, Any] = {
        name: _every([getattr(row, name) for row in rows]) for name in (*ABILITIES, "temperature", "reasoning_effort")
    }
    return replace(
        rows[0],
        deployed=tuple(sorted({name for row in rows for name in row.deployed})),
        mode=next((mode for mode in modes if mode in CHAT_MODES), modes[0] if modes else None),
        litellm_provider=rows[0].litellm_provider if len(providers) == 1 else None,
        max_input_tokens=_smallest(row.max_input_tokens for row in rows),
        max_output_tokens=_smallest(row.max_output_tokens for row in rows),
        prices=prices.highest([row.prices for row in rows]),
        **abilities,
        efforts=tuple(sorted(set.intersection(*efforts))) if len(efforts) == len(rows) else None,
        flagged_efforts=tuple(sorted(set.intersection(*(set(row.flagged_efforts) for row in rows)))),
        refused_efforts=tuple(sorted({effort for row in rows for effort in row.refused_efforts})),
    )


def _agreed(deployed: Facts, group: Facts) -> tuple[Facts, Facts]:
    """Return both rows of a name with several deployments, each without what it may be wrong about.

    LiteLLM 1.106: a group has an ability as soon as one of them has it, but only the efforts that all of them take.
    """
    if group.efforts is not None:
        deployed = replace(deployed, efforts=group.efforts, flagged_efforts=())
    return deployed, replace(group, **_NO_ABILITIES)


def _smallest(limits: Iterable[int | None]) -> int | None:
    return min((limit for limit in limits if limit is not None), default=None)


def _every(values: Sequence[bool | None]) -> bool | None:
    if False in values:
        return False
    return True if values and all(values) else None


def _first_known(model: str, rows: Sequence[Facts]) -> Facts:
    """Return each field from the first of ``rows`` that knows it."""
    known: dict[str, Any] = {}
    for row in reversed(rows):
        known.update({name: value for name, value in vars(row).items() if value is not None and value != ()})
    efforts = next((row.efforts for row in rows if row.efforts is not None), None)
    amounts = prices.first_known([row.prices for row in rows])
    return Facts(**{**known, "model": model, "efforts": efforts, "prices": amounts})


def _corrected(facts: Facts, overrides: Mapping[str, object]) -> Facts:
    """Apply the user's ``modelCapabilities``, which have LiteLLM's field names and overrule the proxy."""
    users = row_of(facts.model, overrides) if overrides else None
    if users is None:
        return facts
    changes = {name: value for name in Facts.__dataclass_fields__ if (value := getattr(users, name)) not in (None, ())}
    changes["prices"] = prices.first_known([users.prices, facts.prices])
    efforts = facts.efforts if users.efforts is None else users.efforts
    taken, refused = set(users.flagged_efforts), set(users.refused_efforts)
    changes["efforts"] = None if efforts is None else tuple(sorted({*efforts} - refused))
    changes["flagged_efforts"] = tuple(sorted({*facts.flagged_efforts, *taken} - refused))
    changes["refused_efforts"] = tuple(sorted({*facts.refused_efforts, *refused} - taken - {*(users.efforts or ())}))
    return replace(facts, **changes)


def _model(facts: Facts, name: str, options: ModelOptions, has_responses: bool) -> Model:
    inputs = _inputs(facts)
    openai_reasoning = is_openai_reasoning(facts)
    # An id that looks like OpenAI's counts unless LiteLLM knows that it takes no effort. One that looks like
    # Claude's counts only if LiteLLM passes an effort on: 1.65 and 1.70 do, and do not know Claude 4.5.
    by_name = openai_reasoning or (facts.reasoning_effort is True and named_like(facts, _CLAUDE_THINKS))
    thinks = bool(facts.efforts or facts.flagged_efforts) or (by_name and facts.efforts is None)
    reasoning = thinks if facts.reasoning is None else facts.reasoning
    interface = route(facts, options, has_responses=has_responses)
    return Model(
        id=facts.model,
        name=name,
        owner=naming.owner(facts.model, facts.litellm_provider),
        route=interface,
        limit=_limit(facts),
        price=facts.prices.price,
        price_over_200k=facts.prices.price_over_200k,
        inputs=inputs,
        outputs=("text", "audio") if facts.audio_output else ("text",),
        # LiteLLM: null means unknown, and a model without tools is of no use to an agent, so only false counts.
        tool_call=facts.function_calling is not False,
        reasoning=reasoning,
        # OpenAI's reasoning models take no temperature but 1, whatever supported_openai_params says, even if their row
        # in LiteLLM's table does not mention reasoning (databricks-gpt-5).
        temperature=False if openai_reasoning and facts.reasoning is not False else facts.temperature,
        efforts=facts.efforts,
        flagged_efforts=facts.flagged_efforts,
        refused_efforts=facts.refused_efforts,
        interleaved=reasoning and interface == "chat" and named_like(facts, _INTERLEAVES),
    )


def _inputs(facts: Facts) -> tuple[str, ...]:
    # An old proxy has no flags at all; then the family in the id decides, or in the names behind an alias.
    vision = named_like(facts, _SEES_IMAGES) if facts.vision is None else facts.vision
    flags = {"image": vision, "audio": facts.audio_input, "video": facts.video_input, "pdf": facts.pdf_input}
    return ("text", *(modality for modality, taken in flags.items() if taken))


def _limit(facts: Facts) -> Limit | None:
    # opencode 1.18: a context of 0 switches compaction off, so an output without a context is worse than none.
    if facts.max_input_tokens is None:
        return None
    # 251 rows of LiteLLM's table have only the context. opencode 1.18 asks for 32,000 tokens if it knows no limit.
    context, output = facts.max_input_tokens, facts.max_output_tokens or _RESERVED
    if min(output, _RESERVED) > context // 2:
        output = max(1, context // 2)
    return Limit(context, output)
