"""The payload is one that opencode can read, whatever a proxy says, and means what it should."""

from __future__ import annotations

import json
import os
import random
import re
import sys
import time
import tracemalloc
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from world.config_endpoint import ConfigEndpoint, Refused
from world.draws import draws
from world.home import LASTING_OPENCODE, make_home
from world.hostile import Hostile
from world.opencode import models_shown, run
from world.stub import MODEL_GROUP_INFO, MODEL_INFO, MODELS, StubProxy

from opencode_litellm import rendering
from opencode_litellm.errors import NotLiteLLM
from opencode_litellm.litellm import client, facts
from opencode_litellm.litellm.connection import Reply
from opencode_litellm.models import catalog
from opencode_litellm.opencode import payload
from opencode_litellm.opencode.payload import Payload, Provider
from opencode_litellm.proxies import NO_KEY, ModelOptions, Proxy, ProxyURL

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from world.litellm import LiteLLM
    from world.opencode import Opencode

# --------------------------------------------------------------------------------------------------------------------
# opencode 1.18's rules for a configuration, as far as a payload goes. A rule takes a value and says what is wrong.

MODALITIES = {"text", "audio", "image", "video", "pdf"}
OF_EVERY_OBJECT = {
    "__defineGetter__", "__defineSetter__", "__lookupGetter__", "__lookupSetter__", "__proto__", "constructor",
    "hasOwnProperty", "isPrototypeOf", "propertyIsEnumerable", "toLocaleString", "toString", "valueOf",
}  # fmt: skip
COST = {"input": float, "output": float, "cache_read?": float, "cache_write?": float}
MODEL = {
    "name?": str,
    "family?": str,
    "attachment?": bool,
    "reasoning?": bool,
    "temperature?": bool,
    "tool_call?": bool,
    "interleaved?": {"field": str},
    "cost?": {**COST, "context_over_200k?": COST},
    "limit?": {"context": float, "output": float, "input?": float},
    "modalities?": {"input?": [MODALITIES], "output?": [MODALITIES]},
    "provider?": {"npm?": str, "api?": str},
    "variants?": {"*": {"disabled?": bool, "reasoningEffort?": str}},
    "organizationOwner?": str,
}
PROVIDER = {
    "npm?": str,
    "name?": str,
    "api?": str,
    "env?": [str],
    "whitelist?": [str],
    "blacklist?": [str],
    "options?": {"apiKey?": str, "baseURL?": str, "headers?": {"*": str}, "timeout?": float},
    "models?": {"*": MODEL},
}
CONFIGURATION = {"$schema": str, "provider": {"*": PROVIDER}}


def broken_rules(value: Any, rule: Any = CONFIGURATION, path: str = "") -> Iterator[str]:
    """Say what opencode would refuse. A rule is a type, a set of choices, a list of one rule, or fields by name."""
    if isinstance(rule, dict) and isinstance(value, dict):
        yield from broken_fields(value, rule, path)
    elif isinstance(rule, list) and isinstance(value, list):
        for item in value:
            yield from broken_rules(item, rule[0], f"{path}[]")
    elif isinstance(rule, set) and value not in rule:
        yield f"{path} is none of {sorted(rule)}"
    elif rule is float and (isinstance(value, bool) or not isinstance(value, int | float)):
        yield f"{path} is no number"
    elif isinstance(rule, dict | list) or (rule in (str, bool) and not isinstance(value, rule)):
        yield f"{path} is {value!r}"


def broken_fields(value: dict[str, Any], rule: dict[str, Any], path: str) -> Iterator[str]:
    known = {name.rstrip("?"): inner for name, inner in rule.items()}
    for name, item in value.items():
        if name in known or "*" in known:
            yield from broken_rules(item, known.get(name, known.get("*")), f"{path}.{name}")
        else:
            yield f"{path}.{name} is unknown"
    yield from (f"{path}.{name} is missing" for name in rule if name[-1] not in "?*" and name not in value)


def broken_promises(value: dict[str, Any], text: str) -> Iterator[str]:
    """Say what opencode would accept and we do not want: switched off compaction, lost models, half a statement."""
    for provider, section in value["provider"].items():
        for name, model in section.get("models", {}).items():
            where = f"{provider}.{name}"
            if name in OF_EVERY_OBJECT:
                yield f"{where} ends opencode's start"
            limit = model.get("limit", {"context": 2, "output": 1})
            if not (
                limit["context"] >= 1 and limit["output"] >= 1 and limit == {key: int(limit[key]) for key in limit}
            ):
                yield f"{where}.limit is {limit}"
            if not {"name", "tool_call", "modalities", "attachment", "reasoning"} <= set(model):
                yield f"{where} leaves to opencode 2 what it must say"
            if any(number < 0 for number in numbers(model.get("cost", {}))):
                yield f"{where}.cost is negative"
            if not model["name"].isprintable() or not model["name"].strip() or len(model["name"]) > 1000:
                yield f"{where}.name cannot be shown"
    for pattern in (r"\{env:(?!LITELLM_API_KEY\})", r"\{file:"):
        if re.search(pattern, text):
            yield f"{pattern} would be replaced"


def numbers(cost: dict[str, Any]) -> Iterator[float]:
    for value in cost.values():
        yield from numbers(value) if isinstance(value, dict) else [value]


def checked(text: str) -> dict[str, Any]:
    """Return a rendered payload, parsed strictly, after all checks of its text."""
    assert text.isascii()

    def refused(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    def distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        assert len(pairs) == len({name for name, _ in pairs}), "a name twice"
        return dict(pairs)

    value: dict[str, Any] = json.loads(text, parse_constant=refused, object_pairs_hook=distinct)
    assert [*broken_rules(value), *broken_promises(value, text)] == []
    return value


# --------------------------------------------------------------------------------------------------------------------
# The rules are opencode's: it refuses a configuration that breaks one, and accepts one that breaks none.

GOOD = {
    "name": "House", "attachment": True, "reasoning": True, "temperature": False, "tool_call": True,
    "interleaved": {"field": "reasoning_content"},
    "cost": {
        "input": 0, "output": 1.5, "cache_read": 1e-08, "cache_write": 1e22,
        "context_over_200k": {"input": 1, "output": 2},
    },
    "limit": {"context": 1, "output": 1},
    "modalities": {"input": ["text", "image", "audio", "video", "pdf"], "output": ["text", "audio"]},
    "provider": {"npm": "@ai-sdk/openai"},
    "variants": {"low": {"disabled": True}, "max": {"reasoningEffort": "max"}},
    "organizationOwner": "acme",
}  # fmt: skip
SETTINGS = {
    "npm": "@ai-sdk/openai-compatible", "name": "LiteLLM", "api": "http://127.0.0.1:1", "env": ["X"],
    "whitelist": ["a"], "blacklist": [],
    "options": {"apiKey": "none", "baseURL": "http://127.0.0.1:1/v1", "headers": {"x-a": "b"}},
}  # fmt: skip

BREAKING: list[tuple[str, Any]] = [
    *[(f"models.house.{flag}", "yes") for flag in ("attachment", "reasoning", "temperature", "tool_call")],
    ("models.house.name", 3),
    ("models.house.name", None),
    ("models.house.family", ["a"]),
    ("models.house.interleaved", {"field": 3}),
    ("models.house.cost", {"input": 1}),
    ("models.house.cost", {"output": 1}),
    ("models.house.cost", {"input": "1", "output": 1}),
    ("models.house.cost", {"input": None, "output": 1}),
    ("models.house.cost", {"input": 1, "output": 1, "cache_read": None}),
    ("models.house.cost", {"input": 1, "output": 1, "cache_write": "1"}),
    ("models.house.cost", {"input": 1, "output": 1, "context_over_200k": {"input": 1}}),
    ("models.house.cost", 3),
    ("models.house.limit", {"context": 1}),
    ("models.house.limit", {"output": 1}),
    ("models.house.limit", {"context": True, "output": 1}),
    ("models.house.limit", {"context": None, "output": 1}),
    ("models.house.limit", []),
    ("models.house.modalities", {"input": ["embedding"]}),
    ("models.house.modalities", {"output": ["embedding"]}),
    ("models.house.modalities", {"input": "text"}),
    ("models.house.provider", {"npm": 1}),
    ("models.house.variants", {"low": True}),
    ("models.house.variants", {"low": {"disabled": 1}}),
    ("models.house", "house"),
    ("models", ["house"]),
    ("npm", 1),
    ("name", 1),
    ("api", 1),
    ("env", "X"),
    ("whitelist", "a"),
    ("blacklist", [1]),
    ("options.apiKey", 1),
    ("options.baseURL", None),
]


@pytest.fixture(scope="module")
def endpoint(opencode: Opencode, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConfigEndpoint]:  # noqa: ARG001 - it has to be installed
    with ConfigEndpoint(make_home(tmp_path_factory.mktemp("payload") / "home") | LASTING_OPENCODE) as running:
        yield running


def test_these_are_opencodes_rules(endpoint: ConfigEndpoint, tmp_path: Path) -> None:
    def asked(name: str, section: dict[str, Any]) -> tuple[bool, bool]:
        value = {"$schema": "x", "provider": {"litellm": section}}
        folder = tmp_path / name
        folder.mkdir()
        (folder / "opencode.json").write_text(json.dumps(value))
        return not isinstance(endpoint.read(folder), Refused), not list(broken_rules(value))

    found = {"good": asked("good", {**SETTINGS, "models": {"house": GOOD}})}
    expected = {"good": (True, True)}
    for number, (path, value) in enumerate(BREAKING):
        section = json.loads(json.dumps({**SETTINGS, "models": {"house": GOOD}}))
        *parents, last = path.split(".")
        place = section
        for parent in parents:
            place = place[parent]
        place[last] = value
        found[f"{path} {value}"] = asked(str(number), section)
        expected[f"{path} {value}"] = (False, False)
    assert found == expected


@pytest.mark.parametrize("name", ["toString", "constructor"])
def test_an_id_that_every_object_has_ends_opencodes_start(endpoint: ConfigEndpoint, tmp_path: Path, name: str) -> None:
    value = {"$schema": "x", "provider": {"litellm": {**SETTINGS, "whitelist": [name], "models": {name: GOOD}}}}
    (tmp_path / "opencode.json").write_text(json.dumps(value))
    assert isinstance(endpoint.providers(tmp_path), Refused), "if opencode has mended that, so can we"


# --------------------------------------------------------------------------------------------------------------------
# Whatever a proxy says.

HOSTILE = [
    "{file:/etc/passwd}", "{env:HOME}", "{{env:HOME}}", "\\u007benv:HOME}", "{file:~/.ssh/id_rsa}", "{env:", "}", "{",
    "'; touch /tmp/x; '", '"', "\\", "`id`", "$(id)", "${HOME}", "%PATH%", "!!", "\x00", "\x1b[31m", "\r\n", "\u2028",
    "\ud800", "a\udfffb", "\U0001f600", "__proto__", "constructor", "toString", "a/b/c", "/", "//", ".", "..", " ", "",
    "*", "a/*", "gpt-5", "o3", "openai/gpt-5\n", "x" * 500, "x" * 501, "ﷺ" * 100, "{% raw %}", "{{ 7 * 7 }}", "<!--",
    "//comment", "/*", "#", "$schema", "provider", "none", "null", "true", "0", "-0", "NaN",
]  # fmt: skip
texts = st.sampled_from(HOSTILE) | st.text(st.characters(), max_size=12)
numbers_drawn = (
    st.sampled_from([0, -1, 1, 0.0, -0.0, 1e-07, 3e-07, 5e-324, 1e308, 2**31, 2**53, 2**63, 10**400, 128000, 128000.0])
    | st.integers()
    | st.floats(allow_nan=True, allow_infinity=True)
)
anything = st.recursive(
    st.none() | st.booleans() | numbers_drawn | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)
FIELDS = [
    "mode", "litellm_provider", "max_tokens", "max_input_tokens", "max_output_tokens", "input_cost_per_token",
    "output_cost_per_token", "cache_read_input_token_cost", "cache_creation_input_token_cost",
    "input_cost_per_token_above_200k_tokens", "output_cost_per_token_above_200k_tokens", "supports_vision",
    "supports_pdf_input", "supports_audio_input", "supports_audio_output", "supports_function_calling",
    "supports_reasoning", "supports_low_reasoning_effort", "supports_constructor_reasoning_effort",
    "supports_minimal_reasoning_effort", "supported_openai_params", "supported_reasoning_efforts", "providers",
    "team_public_model_name",
]  # fmt: skip
likely = st.sampled_from(
    ["chat", "responses", True, False, None, 8192, 1e-06, "1e-6", ["low", "xhigh", "constructor"], [], ["temperature"]]
)
info = st.dictionaries(st.sampled_from(FIELDS), likely | anything, max_size=len(FIELDS))
ids = st.shared(st.lists(texts, min_size=1, max_size=8), key="ids")
named = ids.flatmap(st.sampled_from) | texts
listed = ids.flatmap(lambda names: st.permutations([{"id": name} for name in names]))
listings = st.tuples(listed, st.lists(st.builds(lambda row, name: {**row, "id": name}, info, named) | anything)).map(
    lambda parts: parts[0] + parts[1]
)
deployments = st.lists(
    st.fixed_dictionaries(
        {"model_name": named | anything, "model_info": info | anything}, optional={"litellm_params": info | anything}
    )
    | anything,
    max_size=8,
)
groups = st.lists(st.builds(lambda row, name: {**row, "model_group": name}, info, named) | anything, max_size=8)
options = st.builds(
    ModelOptions,
    transport=st.sampled_from(["auto", "chat", "responses"]),
    responses_provider=st.sampled_from(["auto", "sibling", "inline"]),
    include=st.just(()) | st.lists(texts, max_size=2).map(tuple),
    capabilities=st.dictionaries(texts, info, max_size=2),
)


@pytest.fixture(scope="module")
def stub() -> Iterator[StubProxy]:
    with StubProxy() as server:
        yield server


def built(stub: StubProxy, rows: Any, info_rows: Any, group_rows: Any, chosen: ModelOptions) -> Payload:
    for path, answer in ((MODELS, rows), (MODEL_INFO, info_rows), (MODEL_GROUP_INFO, group_rows)):
        stub.answer(path, json.dumps({"data": answer}).encode())
    asked = Proxy("litellm", ProxyURL.parse(stub.url), "test", NO_KEY, options=chosen)
    patience = time.monotonic() + 20
    heard = client.ask(asked, {}, patience, patience, None)
    models = catalog.build(heard.listed, heard.info, chosen).models
    return payload.build([(asked, heard.url, models)])


def test_opencode_can_read_the_payload_of_any_proxy(stub: StubProxy, endpoint: ConfigEndpoint, tmp_path: Path) -> None:
    entries: dict[str, dict[str, Any]] = {"litellm": {}, "litellm-responses": {}}

    @settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
    @given(listings, deployments, groups, options)
    @example([{"id": name} for name in HOSTILE], [], [], ModelOptions())
    @example([{"id": name, "mode": "chat"} for name in HOSTILE], [], [], ModelOptions(transport="responses"))
    def drawn(rows: Any, info_rows: Any, group_rows: Any, chosen: ModelOptions) -> None:
        made = built(stub, rows, info_rows, group_rows, chosen)
        text = rendering.payload(made)
        checked(text)
        for provider in made.providers:
            entries[provider.id].update(provider.models)
        assert rendering.payload(built(stub, rows[::-1], info_rows, group_rows, chosen)) == text

    drawn()
    accepted(entries, endpoint, tmp_path)


def accepted(entries: dict[str, dict[str, Any]], endpoint: ConfigEndpoint, folder: Path) -> None:
    """Show entries of providers to the real opencode, and check that it has each of them."""
    entries = {name: models for name, models in entries.items() if models}  # one without models is none to opencode
    whole = Payload(
        tuple(Provider(name, SETTINGS | {"whitelist": list(models)}, models) for name, models in entries.items())
    )
    (folder / "opencode.json").write_text(rendering.payload(whole))
    shown = endpoint.providers(folder)
    assert isinstance(shown, dict), shown
    assert {name: set(shown[name]["models"]) for name in entries} == {
        name: set(models) for name, models in entries.items()
    }


ENTRIES = draws("FUZZ_ENTRIES", in_ci=10_000, by_hand=1_000)
PART = min(5_000, 2 * ENTRIES)  # models to a proxy; some are no ids, or not for chat
LONGEST, LARGEST = 2e-3, 20_000  # seconds of CPU and bytes of memory for an entry: some times what was measured


def from_answers(bodies: Sequence[bytes], chosen: ModelOptions) -> Payload:
    """Return the payload that a discovery makes from the bodies of all endpoints."""
    parsers = (facts.listed, facts.deployments, facts.groups)
    listed, deployed, grouped = (
        parse(Reply(200, body, 0.0).json) for parse, body in zip(parsers, bodies, strict=True)
    )
    models = catalog.build(listed or (), {facts.DEPLOYMENTS: deployed, facts.GROUPS: grouped}, chosen).models
    url = ProxyURL.parse("http://127.0.0.1:4000")
    return payload.build([(Proxy("litellm", url, "test", NO_KEY, options=chosen), url, models)])


def test_thousands_of_hostile_entries_cost_little_and_opencode_takes_them_all(
    endpoint: ConfigEndpoint, tmp_path: Path
) -> None:
    """FUZZ_ENTRIES makes more of them, and FUZZ_SEED the same ones again."""
    seed = int(os.environ.get("FUZZ_SEED", time.time_ns() % 10**9))
    sys.stderr.write(f"FUZZ_SEED={seed}\n")
    chance = random.Random(seed)  # noqa: S311 - nothing here is secret
    made, seconds = 0, 0.0
    while made < ENTRIES:
        bodies = Hostile(chance, PART).answers()
        chosen = ModelOptions(transport=chance.choice(("auto", "chat", "responses")))
        began = time.process_time()
        value = from_answers(bodies, chosen)
        text = rendering.payload(value)
        seconds += time.process_time() - began
        checked(text)
        assert value.model_count > PART / 3, "too few of the rows become entries"
        folder = tmp_path / str(made)
        folder.mkdir()
        accepted({provider.id: dict(provider.models) for provider in value.providers}, endpoint, folder)
        made += value.model_count
    tracemalloc.start()
    count = from_answers(bodies, chosen).model_count
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    sys.stderr.write(f"{made} entries, each {seconds / made * 1e3:.2f} ms of CPU and {most / count / 2**10:.1f} KiB\n")
    assert seconds / made < LONGEST
    assert most / count < LARGEST



@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(body=anything | st.fixed_dictionaries({"data": anything}))
def test_an_answer_of_another_shape_is_no_litellm_or_has_no_models(stub: StubProxy, body: Any) -> None:
    stub.answer(MODELS, json.dumps(body).encode())
    asked = Proxy("litellm", ProxyURL.parse(stub.url), "test", NO_KEY)
    patience = time.monotonic() + 20
    try:
        heard = client.ask(asked, {}, patience, None, None)
    except NotLiteLLM:
        return
    models = catalog.build(heard.listed, {}, ModelOptions()).models
    checked(rendering.payload(payload.build([(asked, heard.url, models)])))


# --------------------------------------------------------------------------------------------------------------------
# What the entries mean.


@pytest.mark.parametrize(
    ("model", "rows", "chosen", "entry"),
    [
        (
            "mystery",
            [{}],
            {},
            {
                "name": "Mystery", "tool_call": True, "modalities": {"input": ["text"], "output": ["text"]},
                "attachment": False, "reasoning": False,
            },
        ),
        (
            "anthropic/claude-sonnet-4-5",
            [
                {
                    "mode": "chat", "litellm_provider": "anthropic", "max_input_tokens": 200000,
                    "max_output_tokens": 64000, "input_cost_per_token": 3e-06, "output_cost_per_token": 1.5e-05,
                    "cache_read_input_token_cost": 3e-07, "cache_creation_input_token_cost": 3.75e-06,
                    "input_cost_per_token_above_200k_tokens": 6e-06,
                    "output_cost_per_token_above_200k_tokens": 2.25e-05, "supports_vision": True,
                    "supports_pdf_input": True, "supports_reasoning": True,
                    "supported_openai_params": ["temperature"], "supports_low_reasoning_effort": True,
                    "supports_max_reasoning_effort": False,
                }
            ],
            {},
            {
                "name": "Claude Sonnet 4.5", "tool_call": True, "attachment": True, "reasoning": True,
                "modalities": {"input": ["text", "image", "pdf"], "output": ["text"]},
                "organizationOwner": "anthropic", "limit": {"context": 200000, "output": 64000},
                "cost": {
                    "input": 3, "output": 15, "cache_read": 0.3, "cache_write": 3.75,
                    "context_over_200k": {"input": 6, "output": 22.5},
                },
                "temperature": True, "variants": {"low": {"reasoningEffort": "low"}, "max": {"disabled": True}},
            },
        ),
        (
            "gpt-5",
            [{"supported_reasoning_efforts": ["high", "minimal"], "supports_vision": False}],
            {"responses_provider": "inline"},
            {
                "name": "GPT-5", "tool_call": True, "attachment": False, "reasoning": True,
                "modalities": {"input": ["text"], "output": ["text"]}, "temperature": False,
                "variants": {
                    "minimal": {"reasoningEffort": "minimal"}, "high": {"reasoningEffort": "high"},
                    "none": {"disabled": True}, "low": {"disabled": True}, "medium": {"disabled": True},
                    "xhigh": {"disabled": True},
                },
                "provider": {"npm": "@ai-sdk/openai"},
            },
        ),
    ],
)  # fmt: skip
def test_an_entry_says_what_is_known_and_nothing_else(
    stub: StubProxy, model: str, rows: list[dict[str, Any]], chosen: dict[str, Any], entry: dict[str, Any]
) -> None:
    deployed = [{"model_name": model, "model_info": row} for row in rows]
    made = built(stub, [{"id": model}], deployed, [], ModelOptions(**chosen))
    value = checked(rendering.payload(made))
    assert value["provider"]["litellm"]["models"][model] == entry


@pytest.mark.drawn(4)
@pytest.mark.parametrize(
    ("known", "transport", "expected"),
    [
        # The efforts that opencode offers for an id, by what LiteLLM says of it: the weakest first.
        ({"house": None}, "chat", ["low", "medium", "high"]),
        ({"house": ["high", "low", "none"]}, "chat", ["low", "high", "none"]),
        ({"house": []}, "chat", []),
        ({"qwen3-max": ["max", "minimal", "high"]}, "chat", ["minimal", "high", "max"]),
        ({"qwen3-max": None}, "chat", []),
        ({"grok-3-mini": ["low", "medium"]}, "chat", ["low", "medium"]),
        ({"deepseek-v4-pro": ["low", "high"]}, "chat", ["low", "high"]),
        ({"gpt-5": None}, "responses", ["minimal", "low", "medium", "high"]),
        ({"gpt-5": ["low", "medium", "high"]}, "responses", ["low", "medium", "high"]),
        ({"gpt-5.2": ["none", "low", "high"]}, "responses", ["none", "low", "high"]),
        ({"gpt-5.2": ["low"]}, "responses", ["low"]),
        ({"gpt-5-pro": ["medium"]}, "responses", ["medium"]),
        ({"o3": []}, "responses", []),
    ],
)
def test_opencode_offers_the_efforts_that_litellm_takes(
    stub: StubProxy,
    endpoint: ConfigEndpoint,
    tmp_path: Path,
    known: dict[str, Any],
    transport: str,
    expected: list[str],
) -> None:
    rows = [
        {"model_group": name, "supports_reasoning": True, "supported_reasoning_efforts": efforts}
        for name, efforts in known.items()
    ]
    chosen = ModelOptions(transport=transport, responses_provider="inline")
    (tmp_path / "opencode.json").write_text(
        rendering.payload(built(stub, [{"id": name} for name in known], [], rows, chosen))
    )
    shown = endpoint.providers(tmp_path)
    assert isinstance(shown, dict), shown
    models = shown["litellm"]["models"]
    assert {name: list(model["variants"]) for name, model in models.items()} == dict.fromkeys(known, expected)
    for model in models.values():
        assert [variant["reasoningEffort"] for variant in model["variants"].values()] == expected


def test_the_catalogue_of_a_real_litellm_is_understood_as_it_was_meant(
    litellm: LiteLLM, opencode: Opencode, home: dict[str, str]
) -> None:
    environment = {**home, "OPENCODE_LITELLM_URL": litellm.url, "LITELLM_API_KEY": litellm.key}
    del environment["OPENCODE_MODELS_PATH"]  # with it opencode 1.18 logs nothing here
    made = run(["opencode-litellm", "config"], environment)
    assert (made.status, made.stderr) == (0, "")
    value = checked(made.stdout)
    for provider in ("litellm", "litellm-responses"):
        entries = value["provider"][provider]["models"]
        # opencode 1.18 may end before its log file has all of its lines; what it prints is complete.
        arguments = ["models", provider, "--verbose", "--print-logs"]
        finished = opencode(environment, *arguments, program="opencode-with-litellm")
        shown = models_shown(finished.stdout, provider)
        assert {name: understood(model) for name, model in shown.items()} == {
            name: meant(name, entry, provider)
            for name, entry in entries.items()
            # What config writes has them under both names; a launch knows which one is wanted.
            if provider == "litellm-responses" or name not in value["provider"]["litellm-responses"]["models"]
        }
        assert "level=INFO" in finished.stderr
        assert [line for line in finished.stderr.splitlines() if line and "level=INFO" not in line] == []


def understood(model: dict[str, Any]) -> dict[str, Any]:
    abilities = model["capabilities"]
    return {
        "name": model["name"],
        "package": model["api"]["npm"],
        "cost": model["cost"],
        "limit": model["limit"],
        "abilities": [abilities[name] for name in ("temperature", "reasoning", "attachment", "toolcall")],
        "input": {name for name, there in abilities["input"].items() if there},
        "output": {name for name, there in abilities["output"].items() if there},
        "interleaved": abilities["interleaved"],
        "variants": {name: variant["reasoningEffort"] for name, variant in model["variants"].items()},
    }


def meant(name: str, entry: dict[str, Any], provider: str) -> dict[str, Any]:
    cost = entry.get("cost", {})
    variants = entry.get("variants", {})
    # opencode 1.18 adds these by itself, and has no variants for these families.
    by_itself = [] if re.search("kimi|deepseek|qwen|glm|minimax", name) else ["low", "medium", "high"]
    if provider == "litellm-responses" and re.fullmatch("gpt-5(-mini)?", name):
        by_itself = ["minimal", *by_itself]
    taken = {effort: effort for effort in [*(by_itself if entry["reasoning"] else []), *variants]}
    return {
        "name": entry["name"],
        "package": "@ai-sdk/openai" if provider == "litellm-responses" else "@ai-sdk/openai-compatible",
        "cost": {
            "input": cost.get("input", 0),
            "output": cost.get("output", 0),
            "cache": {"read": cost.get("cache_read", 0), "write": cost.get("cache_write", 0)},
        },
        "limit": entry.get("limit", {"context": 0, "output": 0}),
        "abilities": [entry.get("temperature", False), entry["reasoning"], entry["attachment"], entry["tool_call"]],
        "input": set(entry["modalities"]["input"]),
        "output": set(entry["modalities"]["output"]),
        "interleaved": entry.get("interleaved", {"field": "reasoning_content"} if "deepseek" in name else False),
        "variants": {name: effort for name, effort in taken.items() if "disabled" not in variants.get(name, {})},
    }
