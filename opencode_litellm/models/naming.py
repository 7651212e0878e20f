"""Names for the picker, spelled as the makers of the models spell them.

``us.anthropic.claude-3-5-sonnet-20241022-v2:0`` becomes ``Claude 3.5 Sonnet``: the path to a model (providers, regions,
accounts, ARNs) and its release date are dropped; everything that distinguishes it from another model (versions, sizes,
quantisations, variants) stays. Dates of three or four digits stay too, because DeepSeek, Mistral and Qwen name their
releases by them (``DeepSeek R1 0528``). Ids are foreign data: any text gives one printable line.
"""

from __future__ import annotations

import re
from collections import Counter
from functools import lru_cache

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

# Characters. A name, its id in brackets and a number stay under 200 together.
_LONGEST_NAME = 68
_LONGEST_ID = 120
_LONGEST_OWNER = 68
# Characters that Python calls printable and that show nothing: Hangul's fillers, Braille's blank, Khmer's inherent
# vowels, joiners and variation selectors.
_BLANK = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U00016fe4\U0001d159"
    "\U000e0100-\U000e01ef]"
)
# Characters of an id that are read; no real id is longer.
_READ = 500

# Words in lower case unless they come first.
_LINKS = {"an", "and", "at", "by", "for", "from", "in", "of", "the", "to", "with"}
# Words whose spelling is more than a capital first letter; their digits follow at once (``Qwen3``).
_SPELLINGS = {
    word.lower(): word
    for line in (
        "AFM AI AI21 AirX ALIA ALLaM API ASR AssemblyAI ATC AutoGLM AWQ BakLLaVA BGE BitNet C4AI ChatDolphin",
        "ChatGPT CLI CoBuddy CodeGeeX CodeQwen ConversationalAI DALL DeepCoder DeepHermes DeepResearch DeepSeek",
        "DPO DuckDuckGo ERNIE EuroLLM EXAONE EXL2 FIM FireFunction FireLLaVA FireSearch FlashX FLUX GGUF GigaChat",
        "GTE HyperCLOVAX ICL InternLM InternVL KAT LearnLM LION LlamaGuard LLaVA LongCat LoRA MAI MedLM MiMo",
        "MiniCPM MiniMax MoE mT0 MythoMax NVIDIA OCR olmOCR OpenAI OpenChat OpenHermes OpenOrca OpenRouter",
        "OpenThinker OSS PaddleOCR PairRM PaLM PSE QAT QwQ RAG Rnj SAM SEA SearXNG SenseNova SmolLM SmolVLM",
        "SQLCoder StableCode StableLM StarCoder SWE T5Gemma TARS TEE UAE WizardCoder WizardLM xAI XHigh xLAM",
        "Am As Be Do Go Hi Hy If Is Me My No Ok On Or Pi So Up We Yi",
    )
    for word in line.split()
} | {word: word for word in _LINKS} | {"ft": "Fine-tuned", "moonshotai": "Moonshot AI", "zai": "Z.ai"}

# Families with a space before their number, even if the id has none (``llama3``: ``Llama 3``).
_SPACED = {
    "claude", "dolphin", "ernie", "exaone", "falcon", "gemini", "gemma", "glm", "gpt", "granite", "grok", "guard",
    "haiku", "hermes", "imagen", "jamba", "large", "llama", "medium", "mistral", "nova", "olmo", "openhermes", "opus",
    "orca", "phi", "small", "solar", "sonnet", "stablelm", "tulu", "veo", "wizardlm",
}

# First words that mean little without the maker or product before them (``deepseek.r1``, ``tavily/search``).
_DEPENDENT = re.compile(
    r"(?i:[rkmh]?\d[\d.]*|v\d+(?:\.\d+)*|auto|base|best|chat|community|default|dev|edit|embed|fast|flare|kontext"
    r"|large|latest|medium|mini|parse|preset|preview|pro|rerank|routers|schnell|search|small|speech|sunburst"
    r"|(?:text|image|reference)-to-\w+|free$|(?:bf|fp|int)-?\d+$|turbo|ultra)(?![^\W_]|\.\d)"
)

_REGIONS = {"ap", "apac", "au", "ca", "eu", "global", "il", "in", "jp", "me", "mx", "sa", "us", "us-gov"}
# What comes before a point in the ids of Bedrock and its imitators.
_PREFIXES = _REGIONS | {
    "ai", "ai21", "amazon", "anthropic", "cohere", "deepseek", "google", "luma", "meta", "minimax",
    "mistral", "moonshot", "moonshotai", "nvidia", "openai", "qwen", "stability", "system", "twelvelabs",
    "writer", "xai", "zai",
}
# A maker or host before a family whose name is enough; FW is Azure's prefix for Fireworks.
_REDUNDANT = re.compile(
    r"(?i)(?:(?:alibaba|amazon|anthropic|cohere|databricks|deepseek-ai|fw|google|ibm|meta|microsoft|mistralai|moonshotai"
    r"|nvidia|openai|qwen(?=_)|xai|xiaomi|zai(?:-org)?)[-_]{1,2})+(?=claude|chatgpt|codellama|command|deepseek|devstral"
    r"|gemini|gemma|glm|gpt|granite|grok|imagen|inkling|kimi|llama|magistral|mai|mimo|minimax|ministral|mistral"
    r"|nemotron|nova|o\d|phi|qwen|titan)"
)
# Parts of the path to a model that are not its owner.
_PLACES = {"accounts", "hf.co", "huggingface.co", "library", "models"}
_ARN = re.compile(r"arn:[^/]*:(?=[\w-]+/)")
_OPAQUE = re.compile(r"(?=.*\d)[0-9a-z]{8,}")

_DATE = re.compile(
    r"[-_@ ](?:20[12]\d([-_.]?)(?:0[1-9]|1[0-2])(?:\1(?:0[1-9]|[12]\d|3[01]))?"  # 20241022, 2024-10-22
    r"|(?:0[1-9]|1[0-2])-20[12]\d"  # 08-2024
    r"|2\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])"  # 251201
    r"|(?:(?<=preview-)|(?<=exp-))(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])"  # preview-05-06
    r")(?![\da-zA-Z])"
)
# Bedrock's own count of revisions, after the maker's version: -v1:0, -v1, -1:0, :0.
_REVISION = re.compile(r"(-20\d{6})?(?:-v(\d+)(?::(\d+))?|(?:-1)?:0)(?=$|:\d+k$|\[)")
# Versions: 2p5 (Fireworks); 4-5, 3_1 and llama3-2, but neither 3-8b nor 07-25 nor Q8_0 nor q4f16_1; 0-6b.
_POINT = re.compile(
    r"(?<![\d.qQfF])(?:0|[1-9]\d?)(?:-?p(?=\d)|[-_](?=\d\d?(?<!0\d)(?![\da-zA-Z.])|(?<=[-_]0.)\d[bB]))"
)
# gpt35, gemini-25, sonnet-45, qwen25, llama33, kimi-k25; llama-v3.
_SQUEEZED = re.compile(r"[2-9](?=[1-9](?![\da-zA-Z.]))")
_TWO_FIGURES = re.compile(
    r"(?i)(?:(?:(?:gpt|gemini|claude|haiku|glm|opus|sonnet)-?|qwen|deepseek-v|kimi-k|minimax-m)[2-9]|llama-?3)$"
)
_LONE_V = re.compile(r"(?i)(llama-|claude-|qwen-)v(?=\d)")

_WORD = re.compile(r"[iItT]?[qQ]\d(?:[fF]\d+)?(?:_[a-zA-Z0-9]{1,3})+(?![a-zA-Z0-9])|(?:[^\s\-_@:.[\]]|\.(?=\d))+")
# 70b, a22b, e4b, 128k, 4.5v; fp8, int4, nvfp4, w4a16, q4_k_m; r1, k2.5, r1t2; vl; gptq, having no vowel.
_CAPITALS = re.compile(
    r"\d+(?:\.\d+)?[bekmtv]|(?:[it]?q|fp|int|bf|nvfp|mxfp|w)\d+\w*|[a-np-uw-z]\d+(?:\.\d+)?(?:[bv]|t\d?)?"
    r"|[a-z]{2}|[b-df-hj-np-tv-xz]{3,4}"
)
_SMALL = re.compile(r"[ov]\d[\d.]*|\do")
# 8x7b; 1.58bit.
_SIZE = re.compile(r"(?P<experts>\d+x\d+(?:\.\d+)?)b|(?P<bits>\d+(?:\.\d+)?)bit")
# TinyLlama, MedGemma.
_COMPOUND = re.compile(r"(?<=[a-z])(?:gemma|llama)$")
_NUMBERED = re.compile(r"([a-z]{2,})([\d.]+.*)")
# GPT-4o, GPT-OSS, Non-Reasoning, DALL-E, SEA-LION, UI-TARS.
_HYPHENATED = re.compile(
    r" (?:(?<=(?:GPT|Non|ALL|SEA) )(?=\d|OSS|Reasoning|Thinking|E\b|LION)|(?<=\bUI )(?=TARS))"
)


def display_names(ids: Iterable[str]) -> dict[str, str]:
    """Give every id a name of its own for the picker.

    Takes the ids of one catalogue in any order; returns id -> name, sorted by id, each name printable, on one
    line, of at most 200 characters. Names that are equal except for case all get their id in brackets, so that
    none depends on the order in which a proxy lists its models. Never raises.
    """
    names = {model_id: _name(model_id) for model_id in sorted(set(ids))}
    shared = Counter(name.casefold() for name in names.values())
    taken: set[str] = set()
    repeated: Counter[str] = Counter()
    for model_id, name in names.items():
        full = shown = f"{name} [{_legible(model_id)}]" if shared[name.casefold()] > 1 else name
        # Ids that differ only in the part that was cut, or an id that is spelled like the name of another.
        while shown.casefold() in taken:
            repeated[full] += 1
            shown = f"{full} ({repeated[full] + 1})"
        taken.add(shown.casefold())
        names[model_id] = shown
    return names


def owner(model_id: str, litellm_provider: str | None) -> str | None:
    """Return the owner of a model, for ``organizationOwner``: a lower-case word such as ``anthropic``.

    LiteLLM's provider comes first, then the id's own prefix (``anthropic/…``, Bedrock's ``us.anthropic.…``).
    None if neither names one (an ARN does not); printable, on one line, of at most 68 characters.
    """
    source = litellm_provider or ""
    if not source.strip():
        *way, _ = _segments(_printable(model_id[:_READ]))
        owners = [step for step in way if step.lower() not in _PLACES]
        source = owners[0] if owners and not model_id.startswith("arn:") else ""
    name = _printable(source[:_READ]).strip().lower()
    return _shortened("cloudflare" if name in {"@cf", "@hf"} else name, _LONGEST_OWNER) or None


def _name(model_id: str) -> str:
    """Name an id without regard to the others of its catalogue."""
    text = _own_part(_printable(model_id[:_READ]))
    words = [_spelled(word) for word in _WORD.findall(_tidied(text))]
    if words and words[0] in _LINKS:
        words[0] = words[0].capitalize()
    name = _HYPHENATED.sub("-", " ".join(words))
    if "DeepSeek" in name or "MiMo" in name:
        name = name.replace(" v", " V")
    return _shortened(name or text.strip() or "Unnamed", _LONGEST_NAME)


def _segments(text: str) -> list[str]:
    """Split an id into the parts of its path; of ``us.anthropic.``, as in Bedrock's ids, the region is dropped."""
    if "arn:" in text:
        text = _ARN.sub("/", text)
    # Fireworks names a deployment as MODEL#DEPLOYMENT.
    *before, last = [part for part in (text.partition("#")[0] or text).split("/") if part.strip()] or [""]
    while "." in last:
        head, _, tail = last.partition(".")
        if not tail or head.lower() not in _PREFIXES:
            break
        if head.lower() not in _REGIONS:
            before.append(head)
        last = tail
    return [*before, last]


def _own_part(text: str) -> str:
    """Drop the path to a model, except for the parts without which its name makes no sense."""
    segments = _segments(text)
    own = segments.pop()
    opaque = "arn:" in text and _OPAQUE.fullmatch(own)
    bedrock = text.endswith("." + own)
    # Several words, all in capitals, say nothing about their spelling.
    if own.isupper() and len(_WORD.findall(own)) > 1:
        own = own.lower()
    own = _without_revision(own, bedrock=bedrock)
    while segments and (opaque or _DEPENDENT.match(own)) and not own.startswith(segments[-1]):
        own, opaque = f"{segments.pop()}-{own}", None
    return own


def _without_revision(text: str, *, bedrock: bool) -> str:
    """Drop Bedrock's revision if there is a version or a date as well; ``claude-v2:1`` is a version."""
    match = _REVISION.search(text) if bedrock or ":" in text else None
    if not match or not (bedrock or match[3]):
        return text
    dated, version, minor = match.groups()
    before = text[: match.start()]
    if dated or not version or (version == "1" and minor in (None, "0") and any(map(str.isdigit, before))):
        revision = ""
    else:
        revision = f"-v{version}" if minor in (None, "0") else f"-v{version}.{minor}"
    return before + revision + text[match.end() :]


def _tidied(text: str) -> str:
    """Remove dates and hosting suffixes, and write versions with a point."""
    text = _DATE.sub("", text).removesuffix("-maas").removesuffix("@default")
    text = _POINT.sub(_pointed, text)
    if "-v" in text:
        text = _LONE_V.sub(r"\1", text)
    if redundant := _REDUNDANT.match(text):
        text = text[redundant.end() :]
    return _SQUEEZED.sub(_unsqueezed, text)


def _pointed(match: re.Match[str]) -> str:
    return match[0].rstrip("-_p") + "."


def _unsqueezed(match: re.Match[str]) -> str:
    # No family's name is longer than deepseek-v3.
    family = match.string[max(match.end() - 11, 0) : match.end()]
    return f"{match[0]}." if _TWO_FIGURES.search(family) else match[0]


@lru_cache(maxsize=4096)
def _spelled(word: str) -> str:
    """Spell one word of an id."""
    lower = word.lower()
    if lower in _SPELLINGS:
        return _SPELLINGS[lower]
    if size := _SIZE.fullmatch(lower):
        return f"{size['experts']}B" if size["experts"] else f"{size['bits']}-bit"
    if _SMALL.fullmatch(lower):
        return lower
    if _CAPITALS.fullmatch(lower):
        return word.upper()
    if numbered := _NUMBERED.fullmatch(lower):
        family, number = numbered.groups()
        return f"{_spelled(word[: len(family)])}{' ' if family in _SPACED else ''}{_spelled(number)}"
    return word[:1].upper() + _COMPOUND.sub(lambda match: match[0].title(), word[1:])


def _printable(text: str) -> str:
    """Replace each control, format or otherwise invisible character with a space."""
    if text.isascii() and text.isprintable():
        return text
    return _BLANK.sub(" ", "".join(char if char.isprintable() else " " for char in text))


def _legible(model_id: str) -> str:
    """Return an id with escapes for its invisible characters, and without the middle if it is too long."""
    text = model_id if len(model_id) <= 2 * _READ else model_id[:_READ] + model_id[-_READ:]
    if not text.isascii() or not text.isprintable():
        text = "".join(char if char.isprintable() and not _BLANK.match(char) else ascii(char)[1:-1] for char in text)
    half = _LONGEST_ID // 2
    return text if len(text) <= _LONGEST_ID else f"{text[:half]}…{text[1 - half:]}"


def _shortened(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"
