"""What a payload says about one provider, each rule by itself: for each kind of section, above or below a folder's.

Pure. test_keys.py and test_security.py show that the real opencode then sends each key to its own address.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from opencode_litellm import origin
from opencode_litellm.jsonc import Live
from opencode_litellm.litellm.facts import DEPLOYMENTS, GROUPS, Facts
from opencode_litellm.models import catalog
from opencode_litellm.models.routing import named_like
from opencode_litellm.opencode import payload
from opencode_litellm.opencode.payload import Place
from opencode_litellm.proxies import NO_KEY, Defaults, Header, Key, ModelOptions, Proxy, ProxyURL, Section, Wish

URL = ProxyURL.parse("http://proxy.example")
KEY = Key("sk", "K", Live("{env:K}"), origin.of_variable("K"))
REASONING = Facts("gpt-5", mode="chat", max_input_tokens=1000)


def proxy(key: Key = KEY, options: ModelOptions = ModelOptions(), **section: Any) -> Proxy:  # noqa: B008 - frozen
    return Proxy("litellm", URL, "test", key, section=Section(**section), options=options)


def built(asked: Proxy, *rows: Facts, place: Place = Place.BELOW) -> dict[str, dict[str, Any]]:
    """Return the providers of a payload by their ids, as opencode gets them."""
    models = catalog.build(rows or [REASONING, Facts("gpt-4o")], {}, asked.options).models
    made = payload.build([(asked, URL, models)]).placed(place)
    return {each.id: {**each.settings, "models": dict(each.models)} for each in made.providers}


def connections(asked: Proxy, place: Place) -> dict[str, tuple[Any, Any, Any]]:
    """Return by provider what ``api``, ``env`` and ``options`` say."""
    said = built(asked, place=place).items()
    return {name: (each.get("api"), each.get("env"), each.get("options")) for name, each in said}


BASE = "http://proxy.example/v1"
ABOVE = (None, None, {"baseURL": BASE, "apiKey": "{env:K}"})
UNDER = (BASE, ["K"], None)
NOBODY = ["OPENCODE_LITELLM_NO_KEY"]
CARRIED = "{env:OPENCODE_LITELLM_HEADER_239AE2E9638F}"  # a digest of the provider's name
BESIDE = (None, NOBODY, ABOVE[2])
X, SIBLING = "litellm", "litellm-responses"
CONNECTIONS: dict[str, tuple[Proxy, Place, dict[str, tuple[Any, Any, Any]]]] = {
    "above, address and key together": (proxy(), Place.ABOVE, {X: ABOVE, SIBLING: BESIDE}),
    # NOBODY beside an apiKey does no harm, and nothing else keeps OPENAI_API_KEY away without one.
    "below, both give way": (proxy(), Place.BELOW, {X: UNDER, SIBLING: UNDER}),
    "below, no key": (proxy(NO_KEY), Place.BELOW, {X: (BASE, NOBODY, None), SIBLING: (BASE, NOBODY, None)}),
    "below, a key that no variable is alone": (
        proxy(replace(KEY, reference=Live("Bearer {env:K}"))), Place.BELOW,
        {X: (BASE, None, {"apiKey": "Bearer {env:K}"}), SIBLING: (BASE, NOBODY, {"apiKey": "Bearer {env:K}"})},
    ),
    "below, with a stored key that would win": (
        proxy(stored=True), Place.BELOW, {X: (BASE, None, {"apiKey": "{env:K}"}), SIBLING: UNDER},
    ),
    "below, with a variable of the user's that is not set": (
        proxy(written={"env": ["OTHER"]}), Place.BELOW, {X: (BASE, None, {"apiKey": "{env:K}"}), SIBLING: UNDER},
    ),
    "below, the section names the variable itself": (
        proxy(written={"env": ["K"]}), Place.BELOW, {X: (BASE, None, None), SIBLING: UNDER},
    ),
    "below, a literal key": (
        proxy(replace(KEY, reference=None), written={"options": {"apiKey": "sk"}}), Place.BELOW,
        {X: (BASE, NOBODY, None)},
    ),
    "above, a literal key": (
        proxy(replace(KEY, reference=None), written={"options": {"apiKey": "sk"}}), Place.ABOVE,
        {X: (BASE, NOBODY, None)},
    ),
    "above, a literal key in place of the section's": (
        replace(proxy(replace(KEY, reference=None), sibling={"options": {"apiKey": "sk"}}), overrides=True),
        Place.ABOVE, {X: (BASE, NOBODY, None)},
    ),
    "below, a folder's own variable, for other folders": (
        proxy(written={"env": ["K"]}, local_env=True), Place.BELOW, {X: (BASE, NOBODY, None), SIBLING: UNDER},
    ),
    "below, a folder's own variable that is not set": (
        proxy(written={"env": ["OTHER"]}, local_env=True), Place.BELOW,
        {X: (BASE, None, {"apiKey": "{env:K}"}), SIBLING: UNDER},
    ),
    "above, a folder's own variable": (
        proxy(written={"env": ["K"]}, local_env=True), Place.ABOVE, {X: ABOVE, SIBLING: BESIDE},
    ),
    "above, what the section says already": (
        proxy(written={"options": {"baseURL": BASE, "apiKey": Live("{env:K}")}}, local_env=True), Place.ABOVE,
        {X: (None, None, None), SIBLING: BESIDE},
    ),
    "below, the section has the reference itself": (
        proxy(written={"options": {"apiKey": Live("{env:K}")}}), Place.BELOW, {X: (BASE, NOBODY, None), SIBLING: UNDER},
    ),
    "below, an address that another folder may not have": (
        proxy(written={"options": {"baseURL": BASE}}, local=True), Place.BELOW,
        {X: ("none", ["K"], None), SIBLING: UNDER},
    ),
    "below, an address that every folder has": (
        proxy(written={"options": {"baseURL": BASE}}), Place.BELOW, {X: (None, ["K"], None), SIBLING: UNDER},
    ),
    "above, a literal key that has to go with its address": (
        proxy(replace(KEY, reference=None), written={"options": {"apiKey": "sk"}}, output={"options": {}}), Place.ABOVE,
        {X: (BASE, NOBODY, None)},
    ),
    "a launch, the same": (
        proxy(replace(KEY, reference=None), written={"options": {"apiKey": "sk"}}, output={"options": {}}),
        Place.LAUNCH, {X: (None, None, {"baseURL": BASE, "apiKey": CARRIED})},
    ),
    "below, in place of the section's address": (
        replace(proxy(), overrides=True), Place.BELOW, {X: UNDER, SIBLING: UNDER},
    ),
    "above, what the sibling says already": (
        proxy(sibling={"options": {"baseURL": BASE, "apiKey": Live("{env:K}")}}, sibling_root=URL.root), Place.ABOVE,
        {X: ABOVE, SIBLING: (None, NOBODY, None)},
    ),
    "below, an address of a folder's variable": (
        proxy(written={"options": {"baseURL": "http://{env:HOST}/v1"}}, local=True), Place.BELOW,
        {X: ("none", ["K"], None), SIBLING: UNDER},
    ),
    "above, a header": (
        replace(proxy(), headers=(Header("X-A", "a", "{env:A}", "customHeaders"),)), Place.ABOVE,
        {
            X: (None, None, {"baseURL": BASE, "apiKey": "{env:K}", "headers": {"X-A": "{env:A}"}}),
            SIBLING: (None, NOBODY, {"baseURL": BASE, "apiKey": "{env:K}", "headers": {"X-A": "{env:A}"}}),
        },
    ),
    "above, a literal key beside the sibling's own": (
        proxy(replace(KEY, reference=None), sibling={"options": {"apiKey": "sk"}}), Place.ABOVE,
        {X: (BASE, NOBODY, None), SIBLING: (BASE, NOBODY, None)},
    ),
    "below, no address but an empty one": (proxy(written={"api": ""}), Place.BELOW, {X: UNDER, SIBLING: UNDER}),
    "above, a key that has to have its address": (
        proxy(written={"options": {"apiKey": Live("{env:K}")}}), Place.ABOVE, {X: ABOVE, SIBLING: BESIDE},
    ),
    "above, the sibling's own spelling of the address": (
        proxy(sibling={"options": {"baseURL": "http://{env:HOST}/v1"}}, sibling_root=URL.root, output={"options": {}}),
        Place.ABOVE,
        {X: ABOVE, SIBLING: (None, NOBODY, {"baseURL": "http://{env:HOST}/v1", "apiKey": "{env:K}"})},
    ),
    "above, the sibling's own key": (
        proxy(sibling={"options": {"apiKey": Live("{env:L}")}}, output={"options": {}}), Place.ABOVE,
        {X: ABOVE, SIBLING: (None, NOBODY, {"baseURL": BASE, "apiKey": "{env:L}"})},
    ),
    "above, the sibling's own literal key": (
        proxy(sibling={"options": {"apiKey": "sk"}}), Place.ABOVE, {X: ABOVE, SIBLING: (BASE, NOBODY, None)},
    ),
    "below, the user's own spelling of the address": (
        proxy(written={"options": {"baseURL": "http://{env:HOST}/v1"}}), Place.BELOW,
        {X: (None, ["K"], None), SIBLING: ("http://{env:HOST}/v1", ["K"], None)},
    ),
    "above, no address": (
        proxy(written={"options": {"baseURL": 5}, "api": ""}), Place.ABOVE, {X: ABOVE, SIBLING: BESIDE},
    ),
    "above, no address but an empty one": (
        proxy(written={"api": ""}), Place.ABOVE, {X: ABOVE, SIBLING: BESIDE},
    ),
    "above, options that the sibling has as well, and ours, which it has not": (
        proxy(written={"options": {"timeout": 5, "only": True, "organization": "mine"}}), Place.ABOVE,
        {X: ABOVE, SIBLING: (None, NOBODY, {**ABOVE[2], "timeout": 5})},
    ),
    "below, a folder's own variable alone has the key": (
        proxy(written={"env": ["K"]}, local=True), Place.BELOW, {X: (BASE, None, None)},
    ),
    "above, the user's own address, which has to go with its key": (
        proxy(written={"options": {"baseURL": "http://{env:HOST}/v1"}}, output={"options": {}}), Place.ABOVE,
        {
            X: (None, None, {"baseURL": "http://{env:HOST}/v1", "apiKey": "{env:K}"}),
            SIBLING: (None, NOBODY, {"baseURL": "http://{env:HOST}/v1", "apiKey": "{env:K}"}),
        },
    ),
    "above, the user's own address": (
        proxy(written={"options": {"baseURL": "http://{env:HOST}/v1"}}), Place.ABOVE,
        {
            X: (None, None, {"baseURL": "http://{env:HOST}/v1", "apiKey": "{env:K}"}),
            SIBLING: (None, NOBODY, {"baseURL": "http://{env:HOST}/v1", "apiKey": "{env:K}"}),
        },
    ),
    "above, an address of the sibling's own": (
        proxy(sibling={"options": {"baseURL": "http://proxy.example/v1/"}}, sibling_root=URL.root), Place.ABOVE,
        {X: ABOVE, SIBLING: (None, NOBODY, {"baseURL": "http://proxy.example/v1/", "apiKey": "{env:K}"})},
    ),
    "below, an address of the sibling's own": (
        proxy(sibling={"api": "http://proxy.example/v1/"}, sibling_root=URL.root), Place.BELOW,
        {X: UNDER, SIBLING: (None, ["K"], None)},
    ),
    "options that a sibling inherits are those that it lacks": (
        proxy(written={"options": {"timeout": 5, "a": 1, "b": "x"}}, sibling={"options": {"timeout": 6}}), Place.BELOW,
        {X: UNDER, SIBLING: (BASE, ["K"], {"a": 1})},
    ),
    "a sibling for which another key is stored": (proxy(sibling_stored=True), Place.BELOW, {X: UNDER}),
    "a sibling for which another key is stored, and which is named": (
        proxy(sibling_stored=True, named_models=frozenset({"gpt-5"}), named_in_sibling=frozenset({"gpt-5"})),
        Place.BELOW, {X: UNDER, SIBLING: (BASE, NOBODY, {"apiKey": "{env:K}"})},
    ),
    "headers of an older output are emptied, but for those that are sent": (
        replace(
            proxy(output={"options": {"headers": {"x-a": "old", "X-B": "old"}}}),
            headers=(Header("X-A", "a", "{env:A}", "customHeaders"),),
        ),
        Place.BELOW,
        {X: (BASE, ["K"], {"headers": {"X-B": ""}}), SIBLING: (BASE, ["K"], {"headers": {"X-B": ""}})},
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", CONNECTIONS)
def test_a_provider_is_connected(what: str) -> None:
    asked, place, expected = CONNECTIONS[what]
    assert connections(asked, place) == expected


FORCED = ModelOptions(responses_provider="sibling")
HOMES: dict[str, tuple[Proxy, set[str]]] = {
    "nothing speaks against it": (proxy(), {SIBLING}),
    "inline, by option": (proxy(options=ModelOptions(responses_provider="inline")), {X}),
    "the sibling is disabled": (proxy(sibling_hidden=True), {X}),
    "disabled, and wanted by option": (proxy(options=FORCED, sibling_hidden=True), {SIBLING}),
    "it is named under the main provider": (proxy(named_models=frozenset({"gpt-5"})), {X}),
    "named there, and wanted by option": (proxy(options=FORCED, named_models=frozenset({"gpt-5"})), {SIBLING}),
    "named under both": (
        proxy(named_models=frozenset({"gpt-5"}), named_in_sibling=frozenset({"gpt-5"})), {X, SIBLING},
    ),
    "anything may be named": (proxy(any_name=True), {X, SIBLING}),
    "anything may be named, and wanted by option": (proxy(options=FORCED, any_name=True), {SIBLING}),
    "a stored key beside it": (proxy(sibling_stored=True), {X}),
    "a stored key, and named there": (proxy(sibling_stored=True, named_in_sibling=frozenset({"gpt-5"})), {SIBLING}),
    "a plugin that would add to it": (proxy(options=FORCED, plugin_file="/plugin.ts"), {X}),
}  # fmt: skip


@pytest.mark.parametrize("what", HOMES)
def test_a_model_for_responses_is_listed_under(what: str) -> None:
    asked, expected = HOMES[what]
    listed = {name: provider["models"].get("gpt-5") for name, provider in built(asked).items()}
    packages = {name: model.get("provider") for name, model in listed.items() if model}
    assert packages == {name: None if name == SIBLING else {"npm": "@ai-sdk/openai"} for name in expected}


def test_a_model_has_a_package_of_its_own_where_the_provider_s_speaks_another_way() -> None:
    providers = built(proxy(written={"npm": "@ai-sdk/openai"}))
    packages = {name: {id_: model.get("provider") for id_, model in each["models"].items()}
                for name, each in providers.items()}
    assert packages == {X: {"gpt-4o": {"npm": "@ai-sdk/openai-compatible"}}, SIBLING: {"gpt-5": None}}


def test_a_key_that_no_reference_says_is_carried_where_it_must_go_with_its_address() -> None:
    literal, bound = replace(KEY, reference=None), {"output": {"options": {}}}
    carried = {
        "bound": proxy(literal, **bound), "free": proxy(literal), "a reference": proxy(KEY, **bound),
        "no key": proxy(replace(literal, secret=""), **bound),
    }  # fmt: skip
    assert {what: bool(each.key_variable) for what, each in carried.items()} == {
        "bound": True, "free": False, "a reference": False, "no key": False,
    }  # fmt: skip


def test_a_sibling_of_the_user_s_is_elsewhere_unless_it_has_the_proxy_s_address() -> None:
    asked = {root: proxy(sibling_root=root) for root in ("", URL.root, "http://other.example")}
    assert [each.sibling_is_elsewhere for each in asked.values()] == [False, False, True]
    users = replace(asked[""].section, written={"models": {"a": {}}}, sibling={"models": {"b": {}}})
    listed = [replace(each, section=replace(users, sibling_root=root)).written_models for root, each in asked.items()]
    assert listed == [{"a", "b"}, {"a", "b"}, {"a"}]
    # Where the proxy is detected, nobody knows yet.
    assert [replace(each, url=None).sibling_is_elsewhere for each in asked.values()] == [False, True, True]


def test_the_user_s_name_and_package_stay() -> None:
    said = built(proxy())
    assert [(each["npm"], each["name"]) for each in said.values()] == [
        ("@ai-sdk/openai-compatible", "LiteLLM"), ("@ai-sdk/openai", "LiteLLM (Responses)"),
    ]  # fmt: skip
    said = built(replace(proxy(), provider="litellm-corp"))
    assert [each["name"] for each in said.values()] == ["LiteLLM (corp)", "LiteLLM (corp) (Responses)"]
    said = built(proxy(written={"npm": "theirs", "name": "Ours"}))
    assert [("npm" in each, each.get("name")) for each in said.values()] == [(False, None), (True, "Ours (Responses)")]
    said = built(proxy(sibling={"npm": "theirs", "name": "Ours"}))
    assert [("npm" in each, each.get("name")) for each in said.values()] == [(True, "LiteLLM"), (False, None)]
    assert built(proxy(written={"name": 5}))["litellm-responses"]["name"] == "LiteLLM (Responses)"


def test_a_sibling_is_there_without_a_model_where_the_user_lists_one_in_it() -> None:
    chat = Facts("gpt-4o")
    assert list(built(proxy(), chat)) == ["litellm"]
    assert list(built(proxy(sibling={"models": {"mine": {}}}), chat)) == ["litellm", "litellm-responses"]
    literal = replace(KEY, reference=None)
    assert list(built(proxy(literal, sibling={"models": {"mine": {}}}), chat)) == ["litellm"]


def test_a_model_stays_where_nobody_knows_what_is_named() -> None:
    where = {
        any_name: [name for name, each in built(proxy(any_name=any_name), REASONING).items() if each["models"]]
        for any_name in (False, True)
    }
    assert where == {False: ["litellm-responses"], True: ["litellm", "litellm-responses"]}
    named = proxy(any_name=True, named_models=frozenset({"gpt-5"}))
    assert list(built(named, REASONING)) == ["litellm", "litellm-responses"]
    assert list(built(replace(named, section=replace(named.section, any_name=False)), REASONING)) == ["litellm"]


LISTS: dict[str, tuple[dict[str, Any], dict[str, Any], str | None]] = {
    "none": ({}, {}, "litellm/a"),
    "a whitelist": ({"whitelist": ["b"]}, {}, "litellm/b"),
    "a blacklist": ({"blacklist": ["a"]}, {}, "litellm/b"),
    "a whitelist of nothing": ({"whitelist": []}, {}, None),
    "a whitelist that is none": ({"whitelist": "b"}, {}, "litellm/a"),
}


@pytest.mark.parametrize("what", LISTS)
def test_a_model_to_start_with_is_one_that_opencode_keeps(what: str) -> None:
    written, sibling, expected = LISTS[what]
    asked = proxy(written=written, sibling=sibling)
    models = catalog.build([Facts("a"), Facts("b")], {}, asked.options).models
    made = payload.build([(asked, URL, models)], Defaults(model=(Wish("*", "", "test"),)))
    assert made.settings.get("model") == expected


def test_the_whitelist_of_the_main_provider_holds_for_the_sibling_that_has_none() -> None:
    wish = Defaults(model=(Wish("*", "", "test"),))
    models = catalog.build([Facts("gpt-5"), Facts("o3")], {}, ModelOptions()).models
    for sibling, expected in (({}, "litellm-responses/o3"), ({"whitelist": ["gpt-5"]}, "litellm-responses/gpt-5")):
        asked = proxy(written={"whitelist": ["o3"]}, sibling=sibling)
        assert payload.build([(asked, URL, models)], wish).settings["model"] == expected


def test_thinking_is_sent_back_in_the_field_that_it_came_in() -> None:
    rows = [Facts("deepseek-r1", reasoning=True), Facts("claude-4", reasoning=True)]
    said = built(proxy(), *rows)["litellm"]["models"]
    assert {name: entry.get("interleaved") for name, entry in said.items()} == {
        "deepseek-r1": {"field": "reasoning_content"}, "claude-4": None,
    }  # fmt: skip


def test_facts_that_deployments_disagree_about_are_dropped() -> None:
    def row(**said: Any) -> Facts:
        return Facts("m", **said)

    def merged(*rows: Facts) -> Facts | None:
        return catalog._safest(rows)

    for rows, expected in (
        ((row(mode="audio_speech"), row(mode="chat")), {"mode": "chat"}),
        ((row(mode="ocr"), row(mode="embedding")), {"mode": "embedding"}),
        ((row(), row()), {"mode": None, "vision": None}),
        ((row(litellm_provider="a"), row(litellm_provider="b")), {"litellm_provider": None}),
        ((row(litellm_provider="a"), row(litellm_provider="a")), {"litellm_provider": "a"}),
        ((row(vision=True), row(vision=None)), {"vision": None}),
    ):
        found = merged(*rows)
        assert {name: getattr(found, name) for name in expected} == expected


def test_efforts_come_in_their_order_and_unknown_ones_last() -> None:
    assert catalog.by_strength({"max", "zeal", "low", "ardour", "none"}) == ("none", "low", "max", "ardour", "zeal")


def test_an_alias_of_open_weights_is_none_of_openai_s() -> None:
    pattern = re.compile("gpt-5")
    names = {("openai/gpt-5",): True, ("ollama/gpt-5",): False, ("openai/gpt-5", "openai/gpt-4o"): False, (): False}
    assert {deployed: named_like(Facts("smart", deployed=deployed), pattern) for deployed in names} == names


def test_reasoning_efforts_come_from_the_group_or_else_from_its_deployments() -> None:
    deployed = [Facts("m", efforts=("low",), deployed=("a",)), Facts("m", efforts=("low",), deployed=("b",))]
    for of_group, expected in ((("high",), ("high",)), (None, ("low",)), ((), ())):
        info = {DEPLOYMENTS: deployed, GROUPS: [Facts("m", efforts=of_group)]}
        (model,) = catalog.build([Facts("m")], info, ModelOptions()).models
        assert model.efforts == expected


def test_a_container_is_no_partner_though_its_name_says_nothing_else() -> None:
    catalogue = catalog.build([Facts("azure/container")], {}, ModelOptions())
    assert (catalogue.models, [hidden.id for hidden in catalogue.hidden]) == ((), ["azure/container"])


def test_a_payload_says_which_hosts_are_of_this_machine_what_was_detected_and_what_has_to_beat_a_project() -> None:
    local = ProxyURL.parse("http://127.0.0.1:4000")
    served: list[tuple[Proxy, ProxyURL]] = [
        (proxy(), URL), (replace(proxy(), url=None, detected=True), local), (replace(proxy(), beats_project=True), URL),
        (proxy(output={"options": {}}), URL),
    ]  # fmt: skip
    made = [payload.build([(asked, url, [])]) for asked, url in served]
    assert [(set(each.loopback_hosts), each.detected, each.above_project) for each in made] == [
        (set(), (), False), ({"127.0.0.1"}, (local.root,), False), (set(), (), True), (set(), (), True),
    ]  # fmt: skip


def test_a_model_that_does_not_reason_has_no_variants() -> None:
    providers = built(proxy(), Facts("gpt-4o", reasoning=False, efforts=("low",)))
    assert "variants" not in providers[X]["models"]["gpt-4o"]
