"""What a proxy's answers say about a model, and what a person sees of that in opencode's picker."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from world import tools
from world.recordings import RECORDINGS, Recording
from world.stub import MODEL_GROUP_INFO, MODEL_INFO, MODELS, StubProxy

from opencode_litellm.litellm import client, facts
from opencode_litellm.litellm.facts import Facts
from opencode_litellm.litellm.prices import Price
from opencode_litellm.models import catalog, visibility
from opencode_litellm.models.catalog import Limit, Model
from opencode_litellm.proxies import NO_KEY, ModelOptions, Proxy, ProxyURL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

# In LiteLLM's own price table these have a mode that chats, and are no partners for an agent by what they do.
CHAT_IN_NAME_ONLY = (
    "-image", "-preview-tts", "embed", "-ocr", "flux-1", "realtime", "lyria-",
)  # fmt: skip


class Row(NamedTuple):
    """A deployment in /v1/model/info."""

    model: str
    info: Mapping[str, Any]
    params: Mapping[str, Any] = {}


@pytest.fixture(scope="module")
def stub() -> Iterator[StubProxy]:
    with StubProxy() as server:
        yield server


@pytest.fixture
def price_table() -> dict[str, Any]:
    library = tools.installed(tools.LITELLM).parent.parent / "lib"
    (path,) = library.glob("python*/site-packages/litellm/model_prices_and_context_window_backup.json")
    table: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return table


@pytest.fixture
def build(stub: StubProxy) -> Callable[..., dict[str, Model]]:
    """Return a function from the answers of three endpoints to models: ``build(["gpt-4o"], [Row(...)], {...})``."""

    def built(
        listed: Iterable[str | Mapping[str, Any]],
        deployments: Iterable[Row] = (),
        groups: Mapping[str, Mapping[str, Any]] | None = None,
        **options: Any,
    ) -> dict[str, Model]:
        stub.answer(MODELS, {"data": [{"id": row} if isinstance(row, str) else row for row in listed]})
        rows = [{"model_name": row.model, "model_info": row.info, "litellm_params": row.params} for row in deployments]
        stub.answer(MODEL_INFO, {"data": rows})
        stub.answer(MODEL_GROUP_INFO, {"data": [{"model_group": name, **row} for name, row in (groups or {}).items()]})
        asked = Proxy("litellm", ProxyURL.parse(stub.url), "test", NO_KEY)
        patience = time.monotonic() + 10
        answers = client.ask(asked, {}, patience, patience, None)
        models = catalog.build(answers.listed, answers.info, ModelOptions(**options)).models
        return {model.id: model for model in models}

    return built


@pytest.fixture
def one(build: Callable[..., dict[str, Model]]) -> Callable[..., Model]:
    """Return a function from one deployment's ``model_info`` to its model."""

    def built(model: str = "house", group: Mapping[str, Any] | None = None, /, **info: Any) -> Model:
        return build([model], [Row(model, info)], {model: group} if group else {})[model]

    return built


class TestWhatIsShown:
    @pytest.mark.parametrize("mode", ["chat", "responses", "completion"])
    def test_modes_that_chat_are_shown_whatever_the_id(self, build: Any, mode: str) -> None:
        assert list(build(["text-embedding-3"], [Row("text-embedding-3", {"mode": mode})])) == ["text-embedding-3"]

    @pytest.mark.parametrize(
        "mode",
        [
            "embedding", "image_generation", "image_edit", "audio_transcription", "audio_speech", "rerank", "search",
            "ocr", "moderation", "video_generation", "realtime", "vector_store", "evaluation", "extraction",
            "guardrail",
        ],
    )  # fmt: skip
    def test_modes_that_do_not_chat_are_hidden_whatever_the_id(self, build: Any, mode: str) -> None:
        assert build(["gpt-4o"], [Row("gpt-4o", {"mode": mode})]) == {}

    @pytest.mark.parametrize(
        ("model", "shown"),
        [
            ("claude-3-5-sonnet", True),
            ("mystery", True),
            ("openai/gpt-4o-transcriber-of-the-house", False),
            ("dall-e-3", False),
            ("text-embedding-ada-002", False),
            ("BAAI/bge-m3", False),
            ("whisper-large-v3", False),
            ("gpt-4o-mini-tts", False),
            ("cohere/rerank-v3.5", False),
            ("omni-moderation-latest", False),
            ("mistral-ocr-latest", False),
            ("sora-2", False),
            ("veo-3.0", False),
            ("flux-pro", False),
            ("gpt-image-1", False),
            ("gemini-2.5-flash-image", False),
            ("qwen-image-2.0-pro", False),
            ("wan2.7-t2v", False),
            ("deepgram/nova-3", False),
            ("gpt-realtime", False),
            ("amazon.nova-canvas-v1:0", False),
            ("amazon.nova-pro-v1:0", True),
            ("qwen3-vl-32b", True),
            ("llama-3.2-90b-vision", True),
            ("deepseek-r1", True),
            ("video-llama-chat", True),
            ("image-aware-chat", True),
            ("DAMO/video-llama-chat", True),
            ("gemini-3-pro-image-preview", False),
            ("voyage/voyage-3-large", False),
            ("semantic-ranker-512", False),
            ("Salesforce/Llama-Rank-V1", False),
            ("gemini-2.5-flash-native-audio", False),
            ("gpt-live-1", False),
            ("grok-voice-agent", False),
            ("thenlper/gte-large", False),
            ("intfloat/e5-mistral-7b-instruct", False),
            ("stability.stable-image-core-v1:0", False),
            ("fireworks-asr-large", False),
            ("vertex_ai/chirp_3", False),
            ("lyria-002", False),
            ("runwayml/gen4_turbo", False),
            ("xai/grok-imagine", False),
            ("perplexity/search", False),
            ("franks-live-model", True),
            ("perplexity/sonar-deep-research", True),
        ],
    )
    def test_without_a_mode_the_id_decides(self, build: Any, model: str, shown: bool) -> None:
        assert list(build([model])) == ([model] if shown else [])

    def test_the_id_alone_hides_no_chat_model_of_litellms_own_table(self, price_table: dict[str, Any]) -> None:
        chatting = [
            name for name, row in price_table.items() if row.get("mode") in visibility.CHAT_MODES and "*" not in name
        ]
        shown = {model.id for model in catalog.build([Facts(name) for name in chatting], {}, ModelOptions()).models}
        # Containers run code and have mode chat in LiteLLM 1.106's table.
        hidden = [name for name in chatting if name not in shown and not name.endswith("/container")]
        assert len(shown) > 3000
        assert [name for name in hidden if not any(part in name for part in CHAT_IN_NAME_ONLY)] == []

    def test_every_mode_of_litellms_own_table_was_thought_of(self, price_table: dict[str, Any]) -> None:
        del price_table["sample_spec"]
        modes = {row["mode"] for row in price_table.values() if row.get("mode")}
        assert modes - visibility.CHAT_MODES - visibility.OTHER_MODES == set()

    def test_wildcards_and_placeholders_are_hidden_and_an_alias_with_a_star_is_not(self, build: Any) -> None:
        listed = ["*", "openai/*", "bedrock/us/*", "all-team-models", "all-proxy-models", "no-default-models", "new*"]
        assert list(build(listed)) == ["new*"]

    @pytest.mark.parametrize("name", ["constructor", "toString", "__proto__", "hasOwnProperty", "valueOf"])
    def test_an_id_that_ends_opencodes_start_is_never_shown(self, build: Any, name: str) -> None:
        assert list(build([name, "gpt-4o"], include=(name, "gpt-4o"))) == ["gpt-4o"]

    @pytest.mark.parametrize(
        ("include", "exclude", "shown"),
        [
            ((), (), ["a/one", "a/two", "b/one"]),
            (("a/*",), (), ["a/one", "a/two"]),
            (("*one",), (), ["a/one", "b/one"]),
            (("a/*",), ("*/two",), ["a/one"]),
            ((), ("*",), []),
            (("a/one",), (), ["a/one"]),
            (("A/one",), (), []),
            (("a.one", "a/on?", "[ab]/one"), (), []),
            (("b/one", "b/*"), ("b/one",), []),
            # A literal id shows what would be hidden, a pattern does not.
            (("a/embed",), (), ["a/embed"]),
            (("a/*", "a/embed"), (), ["a/embed", "a/one", "a/two"]),
            (("a/*", "a/embed"), ("a/embed",), ["a/one", "a/two"]),
            (("all-team-models",), (), ["all-team-models"]),
            # The id of a wildcard is a pattern too.
            (("b/*",), (), ["b/one"]),
            (("*",), (), ["a/one", "a/two", "b/one"]),
        ],
    )
    def test_includes_and_excludes_choose(
        self, build: Any, include: tuple[str, ...], exclude: tuple[str, ...], shown: list[str]
    ) -> None:
        listed = ["a/one", "a/two", "a/embed", "b/one", "b/*", "*", "all-team-models"]
        assert list(build(listed, include=include, exclude=exclude)) == shown

    def test_many_stars_cost_no_time(self, build: Any) -> None:
        began = time.monotonic()
        assert build(["a" * 400], include=("*a" * 60 + "*b",)) == {}
        assert time.monotonic() - began < 5

    def test_only_what_v1_models_lists_exists(self, build: Any) -> None:
        assert list(build(["a"], [Row("a", {}), Row("b", {"mode": "chat"})], {"c": {"mode": "chat"}})) == ["a"]

    def test_a_teams_own_deployment_counts_under_its_public_name(self, build: Any) -> None:
        deployment = Row("model_name_1_2", {"team_public_model_name": "ours", "supports_vision": True})
        assert build(["ours"], [deployment])["ours"].inputs == ("text", "image")

    def test_models_are_sorted_and_the_same_in_any_order(self, build: Any) -> None:
        rows = [Row("b", {"max_input_tokens": 5, "max_output_tokens": 2}), Row("a", {}), Row("B", {})]
        first = build(["b", "a", "B"], rows)
        assert list(first) == ["B", "a", "b"]
        assert build(["B", "b", "a"], rows[::-1]) == first


class TestDeploymentsOfOneName:
    def test_the_safe_side_wins(self, build: Any) -> None:
        first = {
            "mode": "chat", "litellm_provider": "openai", "max_input_tokens": 128000, "max_output_tokens": 16384,
            "input_cost_per_token": 2.5e-06, "output_cost_per_token": 1e-05, "cache_read_input_token_cost": 1.25e-06,
            "supports_vision": True, "supports_pdf_input": True, "supports_function_calling": True,
            "supports_reasoning": True, "supports_low_reasoning_effort": True, "supports_xhigh_reasoning_effort": True,
        }  # fmt: skip
        second = {
            "mode": "chat", "litellm_provider": "azure", "max_input_tokens": 64000, "max_output_tokens": 4096,
            "input_cost_per_token": 2.75e-06, "output_cost_per_token": 9e-06, "supports_vision": True,
            "supports_pdf_input": False, "supports_function_calling": False, "supports_reasoning": True,
            "supports_low_reasoning_effort": True, "supports_xhigh_reasoning_effort": False,
        }  # fmt: skip
        assert build(["balanced"], [Row("balanced", first), Row("balanced", second)])["balanced"] == Model(
            id="balanced",
            name="Balanced",
            owner=None,
            route="chat",
            limit=Limit(64000, 4096),
            price=Price(2.75, 10.0, 1.25),
            price_over_200k=None,
            inputs=("text", "image"),
            outputs=("text",),
            tool_call=False,
            reasoning=True,
            temperature=None,
            efforts=None,
            flagged_efforts=("low",),
            refused_efforts=("xhigh",),
            interleaved=False,
        )

    def test_an_ability_that_one_deployment_may_lack_is_not_claimed_because_the_group_has_it(self, build: Any) -> None:
        rows = [Row("house", {"supports_vision": True}), Row("house", {"supports_vision": None})]
        assert build(["house"], rows, {"house": {"supports_vision": True}})["house"].inputs == ("text",)

    @pytest.mark.parametrize("rows", [1, 2])
    def test_an_ability_of_the_group_is_that_of_its_only_deployment(self, build: Any, rows: int) -> None:
        """LiteLLM 1.106: behind a wildcard, /v1/model/info is an empty shell, even twice; the group knows the model."""
        group = {"supports_vision": True, "supports_reasoning": True, "supported_reasoning_efforts": ["high"]}
        model = build(["corp/reasoner"], [Row("corp/reasoner", {"mode": "chat"})] * rows, {"corp/reasoner": group})
        assert model["corp/reasoner"].inputs == ("text", "image")
        assert (model["corp/reasoner"].reasoning, model["corp/reasoner"].sure_efforts) == (True, ("high",))

    @pytest.mark.parametrize(
        ("rows", "group", "expected"),
        [
            # what all of them take, as LiteLLM says it or as their rows do
            ([{"reasoning_effort_levels": ["low", "max"], "supports_reasoning": True}, {}], [], (False, ())),
            (
                [
                    {"reasoning_effort_levels": ["low"], "supports_reasoning": True},
                    {"reasoning_effort_levels": ["max"], "supports_reasoning": True},
                ],
                [],
                (True, ()),
            ),
            ([{"reasoning_effort_levels": ["low"]}] * 2, None, (True, ("low",))),
            ([{"reasoning_effort_levels": ["low", "max"]}, {}], None, (False, ())),
            ([{"reasoning_effort_levels": ["low"]}, {}], ["low"], (True, ("low",))),
            (
                [{"reasoning_effort_levels": ["low", "xhigh"]}, {"supports_xhigh_reasoning_effort": False}],
                ["low", "xhigh"],
                (True, ("low",)),
            ),
            (
                [
                    {"supports_none_reasoning_effort": True},
                    {"supports_none_reasoning_effort": True, "reasoning_effort_levels": ["low"]},
                ],
                ["low"],
                (True, ("low",)),
            ),
        ],
    )
    def test_an_effort_is_claimed_only_when_all_take_it(
        self, build: Any, rows: list[dict[str, Any]], group: list[str] | None, expected: Any
    ) -> None:
        groups = {"house": {"supports_reasoning": True, "supported_reasoning_efforts": group}}
        model = build(["house"], [Row("house", {"mode": "chat", **row}) for row in rows], groups)["house"]
        assert (model.reasoning, model.sure_efforts) == expected

    def test_a_price_beyond_200k_tokens_is_never_below_the_other(self, build: Any) -> None:
        dear = {"input_cost_per_token": 2e-05, "output_cost_per_token": 8e-05}
        tiered = {
            "input_cost_per_token": 3e-06, "output_cost_per_token": 1.5e-05,
            "input_cost_per_token_above_200k_tokens": 6e-06, "output_cost_per_token_above_200k_tokens": 2.25e-05,
        }  # fmt: skip
        merged = build(["house"], [Row("house", dear), Row("house", tiered)])["house"]
        assert (merged.price, merged.price_over_200k) == (Price(20.0, 80.0), Price(20.0, 80.0))
        corrected = build(["house"], [Row("house", tiered)], capabilities={"house": {"input_cost_per_token": 2e-05}})
        assert (corrected["house"].price, corrected["house"].price_over_200k) == (Price(20.0, 15.0), Price(20.0, 22.5))

    def test_a_group_says_what_an_unheard_deployment_cannot(self, build: Any) -> None:
        group = {"mode": "chat", "supports_vision": True, "max_input_tokens": 9000, "max_output_tokens": 900}
        model = build(["house"], (), {"house": group})["house"]
        assert (model.inputs, model.limit) == (("text", "image"), Limit(9000, 900))

    def test_a_mode_that_one_deployment_knows_counts(self, build: Any) -> None:
        assert build(["house"], [Row("house", {}), Row("house", {"mode": "embedding"})]) == {}
        assert list(build(["embedder"], [Row("embedder", {"mode": "embedding"}), Row("embedder", {"mode": "chat"})]))

    def test_a_false_of_the_group_proves_nothing(self, one: Any) -> None:
        group = {"supports_function_calling": False, "supports_vision": False, "supports_reasoning": False}
        model = one("gpt-4o", group)
        assert (model.tool_call, model.inputs) == (True, ("text", "image"))


class TestLimits:
    @pytest.mark.parametrize(
        ("known", "limit"),
        [
            ({"max_input_tokens": 200000, "max_output_tokens": 64000}, Limit(200000, 64000)),
            ({"max_input_tokens": 200000.0, "max_output_tokens": "64000"}, Limit(200000, 64000)),
            # LiteLLM: an older name of max_output_tokens.
            ({"max_input_tokens": 200000, "max_tokens": 4096}, Limit(200000, 4096)),
            ({"max_input_tokens": 200000, "max_tokens": 4096, "max_output_tokens": 64000}, Limit(200000, 64000)),
            # opencode 1.18 asks for 32,000 tokens where it knows no limit.
            ({"max_input_tokens": 200000}, Limit(200000, 32000)),
            ({"max_input_tokens": 8192}, Limit(8192, 4096)),
            ({"max_output_tokens": 4096}, None),
            ({"max_tokens": 4096}, None),
            ({"max_input_tokens": 0, "max_output_tokens": 4096}, None),
            ({"max_input_tokens": 200000, "max_output_tokens": 0}, Limit(200000, 32000)),
            ({"max_input_tokens": -1, "max_output_tokens": 4096}, None),
            ({"max_input_tokens": True, "max_output_tokens": 4096}, None),
            ({"max_input_tokens": "many", "max_output_tokens": 4096}, None),
            ({"max_input_tokens": 1e300, "max_output_tokens": 4096}, None),
            ({"max_input_tokens": 10**400, "max_output_tokens": 4096}, None),
            ({"max_input_tokens": [200000], "max_output_tokens": {"tokens": 1}}, None),
            # Room for a conversation, or opencode 1.18 compacts at every turn.
            ({"max_input_tokens": 32768, "max_output_tokens": 32768}, Limit(32768, 16384)),
            ({"max_input_tokens": 8192, "max_output_tokens": 4096}, Limit(8192, 4096)),
            ({"max_input_tokens": 4097, "max_output_tokens": 4096}, Limit(4097, 2048)),
            ({"max_input_tokens": 262144, "max_output_tokens": 262144}, Limit(262144, 262144)),
            ({"max_input_tokens": 1, "max_output_tokens": 1}, Limit(1, 1)),
        ],
    )
    def test_a_limit_is_whole_or_absent(self, one: Any, known: dict[str, Any], limit: Limit | None) -> None:
        assert one(**known).limit == limit

    def test_v1_models_alone_may_know_them(self, build: Any) -> None:
        row = {"id": "house", "max_input_tokens": 1000, "max_output_tokens": 100}
        assert build([row])["house"].limit == Limit(1000, 100)


class TestPrices:
    @pytest.mark.parametrize(
        ("known", "price"),
        [
            ({"input_cost_per_token": 2.5e-06, "output_cost_per_token": 1e-05}, Price(2.5, 10.0)),
            # 3e-07 * 1e6 is 0.29999999999999999, 1.1e-06 * 1e6 is 1.0999999999999999.
            ({"input_cost_per_token": 3e-07, "output_cost_per_token": 1.1e-06}, Price(0.3, 1.1)),
            ({"mode": "chat", "input_cost_per_token": 0, "output_cost_per_token": 0.0}, Price(0.0, 0.0)),
            # What LiteLLM fills in for a model that it does not know.
            ({"input_cost_per_token": 0, "output_cost_per_token": 0.0}, None),
            ({"input_cost_per_token": "0.0000005", "output_cost_per_token": 1.5e-06}, Price(0.5, 1.5)),
            ({"input_cost_per_token": 2.5e-06}, None),
            ({"output_cost_per_token": 2.5e-06}, None),
            ({"input_cost_per_token": -1e-06, "output_cost_per_token": 1e-06}, None),
            ({"input_cost_per_token": None, "output_cost_per_token": 1e-06}, None),
            ({"input_cost_per_token": 2.5, "output_cost_per_token": 1e-06}, None),
            ({"input_cost_per_token": "free", "output_cost_per_token": 1e-06}, None),
            (
                {
                    "input_cost_per_token": 3e-06, "output_cost_per_token": 1.5e-05,
                    "cache_read_input_token_cost": 3e-07, "cache_creation_input_token_cost": 3.75e-06,
                },
                Price(3.0, 15.0, 0.3, 3.75),
            ),
        ],
    )  # fmt: skip
    def test_a_price_is_whole_or_absent_per_million_and_without_noise(
        self, one: Any, known: dict[str, Any], price: Price | None
    ) -> None:
        assert one(**known).price == price

    def test_beyond_200k_tokens_it_may_be_another(self, one: Any) -> None:
        base = {"input_cost_per_token": 1.25e-06, "output_cost_per_token": 1e-05}
        tier = {
            "input_cost_per_token_above_200k_tokens": 2.5e-06,
            "output_cost_per_token_above_200k_tokens": 1.5e-05,
            "cache_read_input_token_cost_above_200k_tokens": 2.5e-07,
            "cache_creation_input_token_cost_above_200k_tokens": 3.1e-07,
        }
        assert one(**base, **tier).price_over_200k == Price(2.5, 15.0, 0.25, 0.31)
        del tier["output_cost_per_token_above_200k_tokens"]
        assert one(**base, **tier).price_over_200k is None


class TestAbilities:
    @pytest.mark.parametrize(
        ("model", "flags", "inputs"),
        [
            ("house", {}, ("text",)),
            ("house", {"supports_vision": True}, ("text", "image")),
            ("house", {"supports_pdf_input": True}, ("text", "pdf")),
            (
                "house",
                {"supports_vision": True, "supports_audio_input": True, "supports_video_input": True},
                ("text", "image", "audio", "video"),
            ),
            ("house", {"supports_vision": "yes", "supports_audio_input": 1}, ("text",)),
            # Nothing is known: the family has a say.
            ("gpt-4o", {}, ("text", "image")),
            ("gpt-4o", {"supports_vision": False}, ("text",)),
            ("team/claude-sonnet-4-5", {}, ("text", "image")),
            ("claude-2.1", {}, ("text",)),
            ("claude-instant-1.2", {}, ("text",)),
            ("o3-mini", {}, ("text",)),
            ("gpt-3.5-turbo", {}, ("text",)),
            ("gpt-4", {}, ("text",)),
        ],
    )
    def test_inputs_come_from_flags_else_from_the_family(
        self, one: Any, model: str, flags: dict[str, Any], inputs: tuple[str, ...]
    ) -> None:
        assert one(model, mode="chat", **flags).inputs == inputs

    def test_a_flag_beside_the_parameters_counts_where_the_information_has_none(self, build: Any) -> None:
        row = Row("house", {"supports_vision": None}, {"supports_vision": True, "supports_low_reasoning_effort": True})
        model = build(["house"], [row])["house"]
        assert (model.inputs, model.flagged_efforts, model.reasoning) == (("text", "image"), ("low",), True)

    def test_audio_comes_out_where_litellm_says_so(self, one: Any) -> None:
        assert one(supports_audio_output=True).outputs == ("text", "audio")

    @pytest.mark.parametrize(("said", "tools"), [(True, True), (None, True), ("no", True), (False, False)])
    def test_tools_are_there_unless_litellm_denies_them(self, one: Any, said: Any, tools: bool) -> None:
        assert one(supports_function_calling=said).tool_call is tools

    @pytest.mark.parametrize(
        ("model", "group", "temperature"),
        [
            ("house", {"supported_openai_params": ["temperature", "tools"]}, True),
            ("house", {"supported_openai_params": ["tools"]}, False),
            ("house", {"supported_openai_params": []}, None),
            ("house", {"supported_openai_params": None}, None),
            # LiteLLM lists the parameter for them, and OpenAI refuses any value but 1.
            ("gpt-5", {"supported_openai_params": ["temperature"]}, False),
            ("azure/o3", {"supported_openai_params": ["temperature"]}, False),
            ("gpt-5", {"supported_openai_params": None}, False),
            # LiteLLM 1.106: its table forgets that this one thinks.
            (
                "databricks-gpt-5",
                {"supported_openai_params": ["temperature"], "supported_reasoning_efforts": []},
                False,
            ),
        ],
    )
    def test_the_temperature_comes_from_the_parameters(
        self, one: Any, model: str, group: dict[str, Any], temperature: bool | None
    ) -> None:
        assert one(model, group).temperature is temperature

    def test_a_model_of_openais_that_is_known_not_to_think_takes_a_temperature(self, one: Any) -> None:
        group = {"supported_openai_params": ["temperature"]}
        assert one("gpt-5-chat", group, supports_reasoning=False).temperature is True

    def test_thinking_is_sent_back_to_the_families_that_want_it(self, build: Any) -> None:
        names = ("deepseek-r1", "moonshot/kimi-k2", "claude-opus-4")
        rows = [Row(name, {"supports_reasoning": True}) for name in names]
        assert {name: model.interleaved for name, model in build(names, rows).items()} == {
            "deepseek-r1": True,
            "moonshot/kimi-k2": True,
            "claude-opus-4": False,
        }
        assert not build(["deepseek-v3"])["deepseek-v3"].interleaved
        assert not build(["deepseek-r1"], rows[:1], transport="responses")["deepseek-r1"].interleaved

    @pytest.mark.parametrize(
        ("model", "provider", "owner"),
        [("anthropic/claude-3", None, "anthropic"), ("house", "openai", "openai"), ("house", None, None)],
    )
    def test_the_owner_comes_from_the_provider_or_the_prefix(
        self, one: Any, model: str, provider: str | None, owner: str | None
    ) -> None:
        assert one(model, litellm_provider=provider).owner == owner


class TestReasoning:
    @pytest.mark.parametrize(
        ("model", "info", "group", "expected"),
        [
            # reasoning, efforts for certain (the weakest first), those refused
            ("house", {}, {}, (False, (), ())),
            ("house", {"supports_reasoning": True}, {}, (True, (), ())),
            ("gpt-5", {}, {}, (True, (), ())),
            ("gpt-5-chat", {"supports_reasoning": False}, {}, (False, (), ())),
            ("house", {}, {"supported_reasoning_efforts": ["high", "max", "low"]}, (True, ("low", "high", "max"), ())),
            ("house", {}, {"supported_reasoning_efforts": []}, (False, (), ())),
            ("house", {"reasoning_effort_levels": ["max", "low"]}, {}, (True, ("low", "max"), ())),
            (
                "house",
                {"supports_xhigh_reasoning_effort": True, "supports_minimal_reasoning_effort": False},
                {},
                (True, ("xhigh",), ("minimal",)),
            ),
            ("house", {"supports_reasoning_efforts": ["xhigh"]}, {}, (True, ("xhigh",), ())),
            ("marco-o1:7b", {}, {"supported_reasoning_efforts": []}, (False, (), ())),
            ("marco-o1:7b", {"litellm_provider": "lm_studio"}, {}, (False, (), ())),
            ("marco-o1:7b", {"litellm_provider": "openai"}, {}, (True, (), ())),
            ("house", {"supports_reasoning": False}, {"supported_reasoning_efforts": ["low"]}, (False, ("low",), ())),
            ("house", {}, {"supported_reasoning_efforts": ["LOW", "a b", 3, None, "x" * 99]}, (False, (), ())),
            ("house", {}, {"supported_reasoning_efforts": "low"}, (False, (), ())),
        ],
    )
    def test_efforts_come_from_lists_and_flags(
        self, one: Any, model: str, info: dict[str, Any], group: dict[str, Any], expected: Any
    ) -> None:
        built = one(model, {"mode": "chat", **group}, **info)
        assert (built.reasoning, built.sure_efforts, built.refused_efforts) == expected


class TestModelCapabilities:
    def test_the_user_knows_better_than_the_proxy(self, build: Any) -> None:
        info = {
            "mode": "embedding", "supports_vision": True, "supports_function_calling": False, "max_input_tokens": 1000,
            "max_output_tokens": 10, "input_cost_per_token": 1e-06, "output_cost_per_token": 1e-06,
            "supports_low_reasoning_effort": True, "supports_high_reasoning_effort": True,
        }  # fmt: skip
        corrected = {
            "mode": "chat", "supports_vision": False, "supports_function_calling": True, "max_input_tokens": 2000,
            "output_cost_per_token": 3e-06, "supports_low_reasoning_effort": False,
            "supports_max_reasoning_effort": True,
        }  # fmt: skip
        model = build(["house"], [Row("house", info)], capabilities={"house": corrected})["house"]
        assert (model.inputs, model.tool_call, model.limit, model.price) == (
            ("text",), True, Limit(2000, 10), Price(1.0, 3.0),
        )  # fmt: skip
        assert (model.sure_efforts, model.refused_efforts) == (("high", "max"), ("low",))

    def test_the_users_word_on_efforts_beats_the_groups_list(self, build: Any) -> None:
        group = {"house": {"supported_reasoning_efforts": ["low", "medium", "high"]}}
        fewer = {"house": {"supports_medium_reasoning_effort": False}}
        assert build(["house"], (), group, capabilities=fewer)["house"].sure_efforts == ("low", "high")
        refused = [Row("house", {"supports_low_reasoning_effort": False})]
        more = {"house": {"supported_reasoning_efforts": ["low"]}}
        assert build(["house"], refused, group, capabilities=more)["house"].sure_efforts == ("low",)
        none = {"house": {"supported_reasoning_efforts": []}}
        assert build(["house"], (), group, capabilities=none)["house"].efforts == ()

    def test_reasoning_can_be_denied_and_claimed(self, build: Any) -> None:
        said = {"gpt-5": {"supports_reasoning": False}, "house": {"supports_reasoning": True}}
        models = build(["gpt-5", "house"], capabilities=said)
        assert {name: model.reasoning for name, model in models.items()} == {"gpt-5": False, "house": True}

    def test_keys_are_ids_and_nonsense_changes_nothing(self, build: Any) -> None:
        plain = build(["gpt-4o"])
        said = {"gpt-*": {"supports_vision": False}, "gpt-4o": {"supports_vision": "no", "max_tokens": {}, "x": [1]}}
        assert build(["gpt-4o"], capabilities=said) == plain


class Answered(NamedTuple):
    """What the three endpoints of a recorded LiteLLM said, and its rows of /v1/model/info as they came."""

    listed: tuple[Facts, ...]
    info: Mapping[str, tuple[Facts, ...] | None]
    deployments: list[dict[str, Any]]

    def models(self, **options: Any) -> dict[str, Model]:
        return {model.id: model for model in catalog.build(self.listed, self.info, ModelOptions(**options)).models}


@pytest.fixture(scope="module", params=RECORDINGS, ids=lambda recording: recording.version)
def answered(request: pytest.FixtureRequest) -> Answered:
    recording: Recording = request.param
    listed = facts.listed({"data": recording.rows(MODELS)})
    assert listed
    info = {name: parse({"data": recording.rows(path)}) for name, (path, parse) in facts.INFO.items()}
    return Answered(listed, info, recording.rows(MODEL_INFO))


class TestEveryRecordedVersion:
    """The rules above that hold for whatever a proxy serves."""

    def test_models_are_sorted_and_the_same_in_any_order(self, answered: Answered) -> None:
        models = answered.models()
        assert list(models) == sorted(models)
        info = {name: rows and rows[::-1] for name, rows in answered.info.items()}
        assert answered._replace(listed=answered.listed[::-1], info=info).models() == models

    def test_only_what_is_listed_and_chats_exists(self, answered: Answered) -> None:
        models = answered.models()
        listed = {row.model for row in answered.listed}
        assert set(models) <= listed
        modes = {(row["model_name"], row["model_info"].get("mode")) for row in answered.deployments}
        assert {mode for name, mode in modes if name in models} <= {*visibility.CHAT_MODES, None}
        chatting = {name for name, mode in modes if name in listed and mode in visibility.CHAT_MODES}
        assert {name for name in chatting - set(models) if "container" not in name and "realtime" not in name} == set()
        assert [name for name in models if "*" in name or name.startswith(("all-", "no-default"))] == []

    def test_limits_and_prices_are_whole_or_absent(self, answered: Answered) -> None:
        for model in answered.models().values():
            assert model.limit is None or 0 < model.limit.output <= model.limit.context, model
            for price in (model.price, model.price_over_200k):
                assert price is None or {"input", "output"} <= set(price.amounts), model
                assert price is None or all(0 <= amount == round(amount, 8) for amount in price.amounts.values()), model

    def test_of_several_deployments_the_safe_side_wins(self, answered: Answered) -> None:
        rows = [row["model_info"] for row in answered.deployments if row["model_name"] == "mixed"]
        assert len(rows) > 1
        mixed = answered.models()["mixed"]
        if not any("mode" in row for row in rows):  # older than these models
            assert (mixed.limit, mixed.price) == (None, None)
            return
        assert mixed.limit
        assert mixed.price
        assert mixed.limit.context == min(row["max_input_tokens"] for row in rows)
        assert mixed.price.amounts["input"] == max(round(row["input_cost_per_token"] * 1e6, 8) for row in rows)
        assert mixed.price.amounts["output"] == max(round(row["output_cost_per_token"] * 1e6, 8) for row in rows)

    def test_includes_and_excludes_choose(self, answered: Answered) -> None:
        models = set(answered.models())
        some = {name for name in models if name.startswith("gpt-")}
        assert some
        assert set(answered.models(include=("gpt-*",))) == some
        assert set(answered.models(exclude=("gpt-*",))) == models - some
        assert answered.models(exclude=("*",)) == {}

    def test_the_user_knows_better(self, answered: Answered) -> None:
        told = {"supports_vision": False, "supports_pdf_input": False, "max_input_tokens": 1000, "max_tokens": 100}
        model = answered.models(capabilities={"gpt-4o": told})["gpt-4o"]
        assert (model.inputs, model.limit) == (("text",), Limit(1000, 100))

    @pytest.mark.parametrize("heard", [(), (facts.DEPLOYMENTS,), (facts.GROUPS,)], ids=str)
    def test_less_that_is_heard_makes_models_thin_and_never_wrong(
        self, answered: Answered, heard: tuple[str, ...]
    ) -> None:
        whole = answered.models()
        info = {name: rows if name in heard else None for name, rows in answered.info.items()}
        thin = answered._replace(info=info).models()
        assert set(whole) - set(thin) == set()
        assert [thin[name].route for name in ("gpt-5", "o3")] == ["responses", "responses"]
        for name, model in whole.items():
            assert thin[name].name == model.name
            # Only the rows tell what is behind an alias, and of most modes; all models know chat completions.
            assert thin[name].route in ("chat", model.route)
            limit, price = thin[name].limit, thin[name].price
            if heard == (facts.DEPLOYMENTS,) and name != "mixed":
                assert limit in (None, model.limit)
                assert price in (None, model.price)


def test_gaps_in_a_row_are_filled_from_the_next_one() -> None:
    details = {facts.DEPLOYMENTS: [Facts("gpt-5", mode="chat")], facts.GROUPS: None}
    flagged = Facts("gpt-5", flagged_efforts=("low",))
    (model,) = catalog.build([flagged], details, ModelOptions()).models
    assert model.sure_efforts == ("low",)


def test_a_model_is_usable_or_hidden_for_a_reason_and_one_that_the_user_lists_may_be_both() -> None:
    rows = [Facts("gpt-4o"), Facts("mine"), Facts("ada", mode="embedding"), Facts("my-embedding"), Facts("openai/*")]
    catalogue = catalog.build(rows, {}, ModelOptions(), {"mine", "my-embedding"})
    assert [model.id for model in catalogue.models] == ["gpt-4o", "mine"]
    assert [(each.id, str(each.reason)) for each in catalogue.hidden] == [
        ("ada", "its mode is embedding"), ("mine", "your own configuration lists it"),
        ("my-embedding", "your own configuration lists it"), ("openai/*", "a wildcard, not a model"),
    ]  # fmt: skip
