"""Why a model is hidden from opencode: every reason, in order of precedence.

Pure. The catalogue leaves out every model with a reason; ``models --all`` and ``doctor --verbose`` show them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from opencode_litellm.models.routing import matching

if TYPE_CHECKING:
    from opencode_litellm.litellm.facts import Facts
    from opencode_litellm.proxies import ModelOptions

CHAT_MODES = frozenset({"chat", "responses", "completion"})

# LiteLLM's modes that no coding agent can talk to. A mode that is in neither set is judged by the id.
OTHER_MODES = frozenset(
    {
        "audio_speech", "audio_transcription", "embedding", "evaluation", "extraction", "guardrail", "image_edit",
        "image_generation", "image_variation", "moderation", "moderations", "ocr", "realtime", "rerank", "search",
        "vector_store", "video", "video_generation",
    }
)  # fmt: skip

# LiteLLM's stand-ins for "whatever this key may use" (proxy/_types.py: SpecialModelNames).
PLACEHOLDERS = frozenset({"all-team-models", "all-proxy-models", "no-default-models"})

# opencode 1.18 looks ids up in a plain object: an id that is a property of every JavaScript object keeps it from
# starting (`toString`: "undefined is not an object (evaluating '_?.api.id')") or is lost (`__proto__`).
_UNUSABLE = frozenset(
    {
        "__defineGetter__", "__defineSetter__", "__lookupGetter__", "__lookupSetter__", "__proto__", "constructor",
        "hasOwnProperty", "isPrototypeOf", "propertyIsEnumerable", "toLocaleString", "toString", "valueOf",
    }
)  # fmt: skip

_NOT_FOR_CHAT = re.compile(
    r"embed|bge-|whisper|(^|[-_/.])tts|dall-?e|gpt-image|stable-?diffusion|sdxl|(^|[-_/.])flux|imagen|midjourney"
    r"|rerank|moderation|transcri|(^|[-_/.])(sora|veo|kling|seedance|seedream)|(^|[-_/.])ocr|realtime|text-to-|speech"
    r"|recraft|ideogram|nano-banana|nova-[\d-]*(canvas|reel|sonic)|-to-video|[-_][tir]2[vi]($|[-_])|guardrail"
    r"|[-_/](image|video)s?($|[-_]\d|-(edit|gen|pro|flash|preview|prime))"
    r"|(^|[/.])(assemblyai|aws_polly|deepgram|elevenlabs|reducto|runwayml|stability|voyage)[/.]"
    r"|(gpt|gemini).*[-_]live($|[-_])|native-audio|grok-(voice|imagine)|/(deep_)?search($|-)"
    r"|(^|[-_/])(rank(er)?|gte|e5|stt|asr|chirp|lyria|orpheus)($|[-_])",
    re.IGNORECASE,
)
# In LiteLLM's price table these have the mode chat: every realtime model until 1.90, and 1.80's price of a container.
_CHAT_IN_MODE_ONLY = re.compile(r"(^|[-_/.])realtime($|[-_/.:@])|(^|/)container$", re.IGNORECASE)
_SEPARATORS = "-_/."


class Rule(Enum):
    """The rules that hide a model, under their names in ``models --all --json``."""

    LISTED = "listed"
    UNUSABLE = "unusable"
    EXCLUDED = "excluded"
    NOT_INCLUDED = "not included"
    WILDCARD = "wildcard"
    PLACEHOLDER = "placeholder"
    MODE = "mode"
    NAME = "name"


@dataclass(frozen=True)
class Reason:
    """Why a model is hidden: by which ``rule``, and ``detail``, the pattern, mode or word that decided."""

    rule: Rule
    detail: str = ""

    def __str__(self) -> str:
        return _SENTENCES[self.rule].format(self.detail)


_SENTENCES = {
    Rule.LISTED: "your own configuration lists it",
    Rule.UNUSABLE: "opencode cannot use this id",
    Rule.EXCLUDED: "matches {!r} in excludeModels",
    Rule.NOT_INCLUDED: "matches no pattern in includeModels",
    Rule.WILDCARD: "a wildcard, not a model",
    Rule.PLACEHOLDER: "a LiteLLM placeholder for other models",
    Rule.MODE: "its mode is {}",
    Rule.NAME: "its name contains {!r}",
}

LISTED = Reason(Rule.LISTED)  # beats all other reasons: the entry is the user's own


def reason_hidden(facts: Facts, options: ModelOptions) -> Reason | None:
    """Return why opencode does not get a model from us, apart from LISTED; None if it does."""
    model = facts.model
    if model in _UNUSABLE:
        return Reason(Rule.UNUSABLE)
    pattern = matching(model, options.exclude)
    if pattern is not None:
        return Reason(Rule.EXCLUDED, pattern)
    if "*" not in model and model in options.include:
        return None
    if options.include and matching(model, options.include) is None:
        return Reason(Rule.NOT_INCLUDED)
    return _not_for_chat(facts)


def is_wildcard(model: str) -> bool:
    """Return whether an id stands for all models of a vendor, or for all models."""
    return model == "*" or model.endswith("/*")


def _not_for_chat(facts: Facts) -> Reason | None:
    if is_wildcard(facts.model):
        return Reason(Rule.WILDCARD)
    if facts.model in PLACEHOLDERS:
        return Reason(Rule.PLACEHOLDER)
    if facts.mode in OTHER_MODES:
        return Reason(Rule.MODE, facts.mode or "")
    telling = _CHAT_IN_MODE_ONLY.search(facts.model)
    if not telling and facts.mode not in CHAT_MODES:
        telling = _NOT_FOR_CHAT.search(facts.model)
    return Reason(Rule.NAME, telling[0].strip(_SEPARATORS)) if telling else None
