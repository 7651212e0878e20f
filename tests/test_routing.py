"""Which of OpenAI's two interfaces a model is used through, and that the real opencode uses that one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from world.config_endpoint import ConfigEndpoint
from world.home import LASTING_OPENCODE, make_home
from world.opencode import run
from world.stub import MODEL_INFO, StubProxy

from opencode_litellm.litellm.facts import Facts
from opencode_litellm.models import routing
from opencode_litellm.proxies import ModelOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from world.litellm import LiteLLM
    from world.opencode import Opencode
    from world.server import Request
    from world.upstream import Upstream

CHAT = "/v1/chat/completions"
RESPONSES = "/v1/responses"


class TestTheRules:
    @pytest.mark.parametrize(
        "model",
        [
            "gpt-5", "GPT-5", "gpt-5.2-codex", "gpt-5-mini", "openai/gpt-5", "azure/eu/gpt-5.1", "us.openai.gpt-5.4",
            "ft:gpt-5:acme::1", "databricks-gpt-5-1", "o1", "o3-mini", "o4-mini-deep-research", "team/o4-mini",
            "openrouter/openai/o3", "azure-o3", "my_o1", "ft:o4-mini-2025-04-16",
        ],
    )  # fmt: skip
    def test_openais_reasoning_models_use_responses_behind_any_prefix(self, model: str) -> None:
        assert routing.route(Facts(model, mode="chat"), ModelOptions()) == "responses"

    @pytest.mark.parametrize(
        "model",
        [
            "gpt-4o", "gpt-4.1", "gpt-50", "chatgpt-5", "gpt5", "o2", "o10", "foo1", "claude-opus-4-1", "glm-5",
            "llama-4-scout", "pro3", "yo1", "",
        ],
    )  # fmt: skip
    def test_others_use_chat_completions(self, model: str) -> None:
        assert routing.route(Facts(model, mode="chat"), ModelOptions()) == "chat"

    @pytest.mark.parametrize(
        ("provider", "expected"),
        [
            ("docker_model_runner", "chat"), ("hosted_vllm", "chat"), ("lemonade", "chat"), ("llamafile", "chat"),
            ("lm_studio", "chat"), ("ollama", "chat"), ("ollama_chat", "chat"), ("vllm", "chat"),
            ("xinference", "chat"), ("openai", "responses"), ("azure", "responses"), ("somebody", "responses"),
            (None, "responses"),
        ],
    )  # fmt: skip
    def test_an_id_like_openais_means_nothing_where_open_weights_run(self, provider: str | None, expected: str) -> None:
        assert routing.route(Facts("marco-o1:7b", litellm_provider=provider), ModelOptions()) == expected
        assert routing.route(Facts("marco-o1:7b", "responses", provider), ModelOptions()) == "responses"

    @pytest.mark.parametrize(
        ("model", "mode", "options", "expected"),
        [
            ("house", "responses", {}, "responses"),
            ("house", None, {}, "chat"),
            ("house", "completion", {}, "chat"),
            ("gpt-5", "responses", {"transport": "chat"}, "chat"),
            ("gpt-4o", "chat", {"transport": "responses"}, "responses"),
            ("gpt-4o", "chat", {"responses_models": ("gpt-4*",)}, "responses"),
            ("gpt-4o", "chat", {"transport": "chat", "responses_models": ("gpt-4o",)}, "responses"),
            ("gpt-5", "chat", {"chat_models": ("*-5",)}, "chat"),
            ("gpt-5", "chat", {"transport": "responses", "chat_models": ("gpt-5",)}, "chat"),
            ("gpt-5", "chat", {"chat_models": ("gpt-5",), "responses_models": ("gpt-5",)}, "chat"),
        ],
    )
    def test_the_users_lists_come_first_then_transport_then_the_mode(
        self, model: str, mode: str | None, options: dict[str, Any], expected: str
    ) -> None:
        assert routing.route(Facts(model, mode=mode), ModelOptions(**options)) == expected

    @pytest.mark.parametrize(
        ("pattern", "model", "matches"),
        [
            ("a*", "a", True), ("*", "", True), ("**", "x", True), ("a*b*c", "abc", True), ("a*b*c", "axxbxxc", True),
            ("a*a", "a", False), ("ab*ba", "aba", False), ("*b*", "abc", True), ("*b*", "ac", False), ("a", "A", False),
            ("*x*y*", "yx", False), ("a.c", "abc", False), ("*\n", "a\n", True), ("", "", True), ("", "a", False),
        ],
    )  # fmt: skip
    def test_a_star_stands_for_any_run_of_characters(self, pattern: str, model: str, matches: bool) -> None:
        assert routing.matches(model, [pattern]) is matches


# Each provider is one case, all in one configuration: which options it has, beside its baseURL, and which of its
# models is spoken to under which id, where.
CASES: dict[str, tuple[dict[str, Any], dict[str, tuple[str, str]]]] = {
    "litellm": (
        {"apiKey": "{env:HOUSE_KEY}"},
        {"gpt-4o": ("litellm", CHAT), "gpt-5": ("litellm-responses", RESPONSES)},
    ),
    "litellm-inline": (
        {"apiKey": "{env:HOUSE_KEY}", "responsesProvider": "inline"},
        {"gpt-4o": ("litellm-inline", CHAT), "gpt-5": ("litellm-inline", RESPONSES)},
    ),
    "litellm-literal": ({"apiKey": "sk-literal"}, {"gpt-5": ("litellm-literal", RESPONSES)}),
    # A sibling would be without the key: a literal one is never written.
    "litellm-keyless": (
        {"apiKey": "sk-literal", "responsesProvider": "sibling"},
        {"gpt-5": ("litellm-keyless", RESPONSES)},
    ),
    "litellm-stored": ({}, {"gpt-4o": ("litellm-stored", CHAT), "gpt-5": ("litellm-stored", RESPONSES)}),
    "litellm-open": ({}, {"gpt-4o": ("litellm-open", CHAT), "gpt-5": ("litellm-open-responses", RESPONSES)}),
    "litellm-open-inline": ({"responsesProvider": "inline"}, {"gpt-5": ("litellm-open-inline", RESPONSES)}),
    "litellm-chat": ({"apiKey": "{env:HOUSE_KEY}", "transport": "chat"}, {"gpt-5": ("litellm-chat", CHAT)}),
    "litellm_all": (
        {"apiKey": "{env:HOUSE_KEY}", "transport": "responses"},
        {"gpt-4o": ("litellm_all-responses", RESPONSES)},
    ),
    "house": (
        {
            "apiKey": "{env:HOUSE_KEY}",
            "litellmCompatible": True,
            "responsesApiModels": ["gpt-4*"],
            "chatApiModels": ["gpt-5"],
        },
        {"gpt-4o": ("house-responses", RESPONSES), "gpt-5": ("house", CHAT)},
    ),
    "litellm-mode": ({"apiKey": "{env:HOUSE_KEY}"}, {"by-mode": ("litellm-mode-responses", RESPONSES)}),
    "litellm-named": ({"apiKey": "{env:HOUSE_KEY}"}, {"gpt-5": ("litellm-named", RESPONSES)}),
}
KEYS = {"litellm-literal": "sk-literal", "litellm-keyless": "sk-literal", "litellm-stored": "sk-stored"}
OPEN = ("litellm-open", "litellm-open-inline")


class Running:
    """opencode, launched through the product with all of ``CASES``, and the proxy of each."""

    def __init__(self, endpoint: ConfigEndpoint, proxies: dict[str, StubProxy]) -> None:
        self.endpoint = endpoint
        self.proxies = proxies


@pytest.fixture(scope="module")
def running(opencode: Opencode, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:  # noqa: ARG001 - it has to be installed
    home = make_home(tmp_path_factory.mktemp("routing") / "home")
    proxies = {}
    for name in CASES:
        key = None if name in OPEN else KEYS.get(name, "sk-house")
        proxies[name] = StubProxy(["gpt-4o", "gpt-5", "by-mode"], key=key).__enter__()
        row = {"model_name": "by-mode", "model_info": {"mode": "responses"}}
        proxies[name].answer(MODEL_INFO, {"data": [row]})
    try:
        configuration = {
            "$schema": "x",
            "provider": {
                name: {"options": {"baseURL": f"{proxies[name].url}/v1", **options}}
                for name, (options, _) in CASES.items()
            },
            "agent": {"thinker": {"model": "litellm-named/gpt-5"}},
            "permission": {"*": "allow"},
        }
        folder = Path(home["XDG_CONFIG_HOME"]) / "opencode"
        folder.mkdir(parents=True)
        (folder / "opencode.json").write_text(json.dumps(configuration))
        stored = Path(home["XDG_DATA_HOME"]) / "opencode/auth.json"
        stored.parent.mkdir(parents=True)
        stored.write_text(json.dumps({"litellm-stored": {"type": "api", "key": "sk-stored"}}))
        (Path(home["HOME"]) / "note.txt").write_text("a note")
        environment = {**home, "HOUSE_KEY": "sk-house", "OPENAI_API_KEY": "sk-of-openai"}
        with ConfigEndpoint(environment, "opencode-with-litellm") as endpoint:
            yield Running(endpoint, proxies)
    finally:
        for proxy in proxies.values():
            proxy.close()


@pytest.mark.parametrize(("case", "model"), [(case, model) for case, (_, models) in CASES.items() for model in models])
def test_opencode_speaks_to_each_model_where_it_should_with_tools_and_an_effort(
    running: Running, case: str, model: str
) -> None:
    provider, path = CASES[case][1][model]
    proxy = running.proxies[case]
    before = len(proxy.requests)
    note = running.endpoint.home / "note.txt"
    thinks = path == RESPONSES or model == "gpt-5"
    answer = running.endpoint.prompt(
        running.endpoint.home,
        f"{provider}/{model}",
        f"call read filePath={note}",
        "high" if thinks and model == "gpt-5" else None,
    )
    assert answer["parts"][-2]["text"] == "hello from upstream"
    asked = [request for request in proxy.requests[before:] if request.method == "POST"]
    assert {request.path for request in asked} == {path}
    assert {request.json["model"] for request in asked} == {model}
    assert {request.key for request in asked} == {proxy.key or "none"}
    with_tools = [request for request in asked if request.json.get("tools")]
    assert len(with_tools) == 2, "the call and its result"
    if model == "gpt-5":
        assert {effort(request) for request in with_tools} == {"high"}
    assert "a note" in with_tools[-1].body.decode()


def effort(request: Request) -> Any:
    return request.json["reasoning"]["effort"] if request.path == RESPONSES else request.json["reasoning_effort"]


def test_a_key_of_openais_never_reaches_a_proxy(running: Running) -> None:
    sent = [request for proxy in running.proxies.values() for request in proxy.requests]
    assert sent
    assert not [request for request in sent if "sk-of-openai" in str(request.headers)]


INLINE = {"litellm": {"gpt-4o openai-compatible", "gpt-5 openai", "o3 openai"}}
SIBLING = {"litellm": {"gpt-4o openai-compatible"}, "litellm-responses": {"gpt-5 openai", "o3 openai"}}


@pytest.fixture(scope="module")
def plain(opencode: Opencode, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConfigEndpoint]:  # noqa: ARG001 - it has to be installed
    with ConfigEndpoint(make_home(tmp_path_factory.mktemp("plain") / "home") | LASTING_OPENCODE) as endpoint:
        yield endpoint


class TestWhoIsShown:
    """What opencode offers under each id, with a project's configuration that has a say in it."""

    @pytest.fixture
    def offered(
        self, plain: ConfigEndpoint, home: dict[str, str], stub_proxy: Callable[..., StubProxy], tmp_path: Path
    ) -> Callable[..., dict[str, set[str]]]:
        def ask(configuration: dict[str, Any], options: Any = None, **section: Any) -> dict[str, set[str]]:
            proxy = stub_proxy(["gpt-4o", "gpt-5", "o3"])
            section["options"] = {"baseURL": proxy.url, **(options or {})}
            users = {"$schema": "x", **configuration}
            users["provider"] = {**users.get("provider", {}), "litellm": section}
            folder = tmp_path / "project"
            folder.mkdir()
            (folder / "opencode.json").write_text(json.dumps(users))
            show = ["printenv", "OPENCODE_CONFIG_CONTENT"]
            made = run(["opencode-litellm", "exec", "--delivery", "inline", "--", *show], home, folder)
            assert made.status == 0, made
            # Over the project's own, as inline delivery has it.
            (folder / "opencode.jsonc").write_text(made.stdout)
            providers = plain.providers(folder)
            assert isinstance(providers, dict), providers
            return {
                name: {
                    f"{model} {described['api']['npm'].removeprefix('@ai-sdk/')}"
                    for model, described in providers[name]["models"].items()
                }
                for name in ("litellm", "litellm-responses")
                if name in providers
            }

        return ask

    @pytest.mark.parametrize(
        ("configuration", "section", "expected"),
        [
            ({}, {}, SIBLING),
            ({"enabled_providers": ["litellm", "litellm-responses"]}, {}, SIBLING),
            ({"enabled_providers": ["litellm"]}, {}, INLINE),
            ({"disabled_providers": ["litellm-responses"]}, {}, INLINE),
            (
                {"enabled_providers": ["litellm", "litellm-responses"], "disabled_providers": ["litellm-responses"]},
                {},
                INLINE,
            ),
            ({}, {"whitelist": ["gpt-5"]}, {"litellm-responses": {"gpt-5 openai"}}),
            ({}, {"blacklist": ["gpt-5"]}, {"litellm": SIBLING["litellm"], "litellm-responses": {"o3 openai"}}),
            ({"enabled_providers": ["litellm"]}, {"whitelist": ["gpt-5"]}, {"litellm": {"gpt-5 openai"}}),
            (
                {"model": "litellm/gpt-5"},
                {},
                {"litellm": {"gpt-4o openai-compatible", "gpt-5 openai"}, "litellm-responses": {"o3 openai"}},
            ),
            (
                {"small_model": "litellm/o3", "agent": {"plan": {"model": "litellm/gpt-5"}}},
                {},
                INLINE,
            ),
            # What the user lists stays as it is.
            (
                {},
                {"models": {"gpt-5": {}}},
                {
                    "litellm": {"gpt-4o openai-compatible", "gpt-5 openai-compatible"},
                    "litellm-responses": {"o3 openai"},
                },
            ),
            # A package that the user chose for all is no reason to speak to chat models elsewhere.
            ({}, {"npm": "@ai-sdk/openai"}, SIBLING),
        ],
    )
    def test_the_routed_ones_are_found(
        self, offered: Any, configuration: dict[str, Any], section: dict[str, Any], expected: dict[str, set[str]]
    ) -> None:
        assert offered(configuration, **section) == expected

    def test_no_sibling_is_made_when_no_model_needs_one(self, offered: Any) -> None:
        on_chat = {f"{model} openai-compatible" for model in ("gpt-4o", "gpt-5", "o3")}
        assert offered({}, {"transport": "chat"}) == {"litellm": on_chat}

    def test_an_option_that_means_nothing_is_as_if_it_were_not_there(self, offered: Any) -> None:
        assert offered({}, {"transport": "pigeon", "responsesProvider": 7, "responsesApiModels": {}}) == SIBLING


@pytest.mark.drawn(1)
@pytest.mark.parametrize("style", ["sibling", "inline"])
def test_through_litellm_a_vendor_hears_it_the_same_way(
    litellm: LiteLLM, upstream: Upstream, opencode: Opencode, home: dict[str, str], style: str
) -> None:
    folder = Path(home["XDG_CONFIG_HOME"]) / "opencode"
    folder.mkdir(parents=True)
    options = {"baseURL": f"{litellm.url}/v1", "responsesProvider": style}
    (folder / "opencode.json").write_text(json.dumps({"$schema": "x", "provider": {"litellm": {"options": options}}}))
    (Path(home["HOME"]) / "note.txt").write_text("a note")
    environment = {**home, "LITELLM_API_KEY": litellm.key}
    provider = "litellm-responses" if style == "sibling" else "litellm"
    for model, vendors, path in (("gpt-5", "gpt-5", RESPONSES), ("gpt-4.1-mini", "gpt-4.1-mini", CHAT)):
        before = len(upstream.inferences(vendors))
        chosen = provider if path == RESPONSES else "litellm"
        effort = ["--variant", "high"] if path == RESPONSES else []
        finished = opencode(
            environment, "run", "-m", f"{chosen}/{model}", *effort, f"call read filePath={home['HOME']}/note.txt",
            program="opencode-with-litellm",
        )  # fmt: skip
        assert (finished.status, finished.stdout.strip()) == (0, "hello from upstream"), finished
        asked = [request for request in upstream.inferences(vendors)[before:] if request.json.get("tools")]
        assert {request.path for request in asked} == {path}
        assert "a note" in asked[-1].body.decode()
        if path == RESPONSES:
            assert {request.json["reasoning"]["effort"] for request in asked} == {"high"}
