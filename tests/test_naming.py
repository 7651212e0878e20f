"""What the picker calls a model.

``snapshots/names.tsv`` holds every id of LiteLLM 1.106.2's price table with the name that it gets in a
catalogue of its own. It is meant to be read: after a change of the rules, generate it again and read
what is different.

    cut -f1 tests/snapshots/names.tsv >/tmp/ids
    python tests/test_naming.py </tmp/ids >tests/snapshots/names.tsv
"""

from __future__ import annotations

import json
import re
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from world import tools

from opencode_litellm.models.naming import display_names, owner

if TYPE_CHECKING:
    from collections.abc import Callable

SNAPSHOT = Path(__file__).parent / "snapshots" / "names.tsv"
PRICES = "lib/python*/site-packages/litellm/model_prices_and_context_window_backup.json"

ANY_TEXT = st.text(st.characters())  # lone surrogates and control characters included
LIKE_IDS = st.text(st.sampled_from("aAvVqQpbBkx0123459-_.:/@# \x1b\u202e\ud800"), max_size=40)


def name(model_id: str) -> str:
    return display_names([model_id])[model_id]


def snapshot() -> dict[str, str]:
    lines = SNAPSHOT.read_text(encoding="utf-8").splitlines()
    return dict(line.split("\t") for line in lines)


@pytest.mark.parametrize(
    ("model_id", "shown"),
    [
        # brands
        ("gpt-4o-mini", "GPT-4o Mini"),
        ("chatgpt-4o-latest", "ChatGPT-4o Latest"),
        ("o3-mini", "o3 Mini"),
        ("openai/gpt-oss-120b", "GPT-OSS 120B"),
        ("grok-4-fast-non-reasoning", "Grok 4 Fast Non-Reasoning"),
        ("qwen3-coder-480b-a35b", "Qwen3 Coder 480B A35B"),
        ("minimax-m2.1", "MiniMax M2.1"),
        ("xiaomi_mimo/mimo-v2.6-pro", "MiMo V2.6 Pro"),
        ("tngtech/deepseek-r1t2-chimera", "DeepSeek R1T2 Chimera"),
        ("bytedance/ui-tars-1.5-7b", "UI-TARS 1.5 7B"),
        ("inflection/inflection-3-pi", "Inflection 3 Pi"),
        ("arcee-ai/afm-4.5b", "AFM 4.5B"),
        ("sesame/csm-1b", "CSM 1B"),
        ("medgemma-27b-text-it", "MedGemma 27B Text IT"),
        # capitals throughout
        ("GEMINI-2.5-FLASH", "Gemini 2.5 Flash"),
        ("openrouter/CLAUDE-SONNET-4-5", "Claude Sonnet 4.5"),
        ("META-LLAMA-3-70B-INSTRUCT", "Llama 3 70B Instruct"),
        ("US.ANTHROPIC.CLAUDE-SONNET-4-20250514-V1:0", "Claude Sonnet 4"),
        ("通义千问-MAX", "通义千问 Max"),
        ("ATLAS", "ATLAS"),
        # versions, however they are written
        ("claude-opus-4-5", "Claude Opus 4.5"),
        ("ollama/llama3.1", "Llama 3.1"),
        ("meta.llama3-3-70b-instruct-v1:0", "Llama 3.3 70B Instruct"),
        ("ovhcloud/Meta-Llama-3_1-70B-Instruct", "Llama 3.1 70B Instruct"),
        ("fireworks_ai/accounts/fireworks/models/llama-v3p1-405b-instruct", "Llama 3.1 405B Instruct"),
        ("fireworks_ai/accounts/fireworks/models/qwen2p5-coder-1p5b", "Qwen2.5 Coder 1.5B"),
        ("azure/gpt-35-turbo-16k", "GPT-3.5 Turbo 16K"),
        ("azure/gpt35-turbo", "GPT-3.5 Turbo"),
        ("gpt41-mini", "GPT-4.1 Mini"),
        ("claude-sonnet-45", "Claude Sonnet 4.5"),
        ("deepseek-v32", "DeepSeek V3.2"),
        ("llama33-70b", "Llama 3.3 70B"),
        ("granite3.3:8b", "Granite 3.3 8B"),
        ("dolphin-2-9-2-qwen2-72b", "Dolphin 2.9.2 Qwen2 72B"),
        ("gemini-1.5-pro-002", "Gemini 1.5 Pro 002"),
        ("deepinfra/mistralai/Mixtral-8x7B-Instruct-v0.1", "Mixtral 8x7B Instruct v0.1"),
        ("deepseek-ai/DeepSeek-R1-0528", "DeepSeek R1 0528"),
        ("mistral-large-2411", "Mistral Large 2411"),
        # dates
        ("claude-3-5-sonnet-20241022", "Claude 3.5 Sonnet"),
        ("gpt-4.1-mini-2025-04-14", "GPT-4.1 Mini"),
        ("command-r-plus-08-2024", "Command R Plus"),
        ("gemini-2.5-pro-preview-05-06", "Gemini 2.5 Pro Preview"),
        ("volcengine/doubao-seed-2-0-pro-260215", "Doubao Seed 2.0 Pro"),
        ("qwen/qwen3-235b-a22b-07-25", "Qwen3 235B A22B 07 25"),
        # sizes and quantisations
        ("google/gemma-3n-e4b-it", "Gemma 3n E4B IT"),
        ("hf.co/unsloth/Qwen3-30B-A3B-GGUF:Q4_K_M", "Qwen3 30B A3B GGUF Q4_K_M"),
        ("ollama/llama3.2:3b-instruct-q8_0", "Llama 3.2 3B Instruct Q8_0"),
        ("RedHatAI/Llama-3.3-70B-Instruct-quantized.w4a16", "Llama 3.3 70B Instruct Quantized W4A16"),
        ("sail/nvidia/Gemma-4-31B-IT-NVFP4", "Gemma 4 31B IT NVFP4"),
        ("gemma3:27b-it-qat", "Gemma 3 27B IT QAT"),
        ("mlx-community/Llama-3.2-3B-Instruct-4bit", "Llama 3.2 3B Instruct 4-bit"),
        ("bartowski/Qwen_Qwen3-30B-A3B-GGUF", "Qwen3 30B A3B GGUF"),
        ("meta-llama/llama-3.1-8b-instruct/fp-8", "Llama 3.1 8B Instruct FP 8"),
        ("qwen3-8b-q4f16_1-mlc", "Qwen3 8B Q4F16_1 MLC"),
        ("deepseek-v3.2-tq1_0", "DeepSeek V3.2 TQ1_0"),
        # variants
        ("claude-sonnet-4-5-20250929[1m]", "Claude Sonnet 4.5 1M"),
        ("jp.anthropic.claude-sonnet-4-5-20250929-v1:0[1m]", "Claude Sonnet 4.5 1M"),
        ("openrouter/deepseek/deepseek-r1:free", "DeepSeek R1 Free"),
        ("openrouter/anthropic/claude-3.7-sonnet:thinking", "Claude 3.7 Sonnet Thinking"),
        ("novita/deepseek/deepseek-r1/community", "DeepSeek R1 Community"),
        ("openrouter/auto", "OpenRouter Auto"),
        ("ft:gpt-4o-mini-2024-07-18:acme::9abc", "Fine-tuned GPT-4o Mini Acme 9abc"),
        # Bedrock
        ("us.anthropic.claude-3-5-sonnet-20241022-v2:0", "Claude 3.5 Sonnet"),
        ("apac.anthropic.claude-sonnet-4-20250514-v1:0", "Claude Sonnet 4"),
        ("global.anthropic.claude-opus-4-6-v1", "Claude Opus 4.6"),
        ("bedrock/eu-central-1/anthropic.claude-v2:1", "Claude 2.1"),
        ("bedrock/converse/us.amazon.nova-pro-v1:0:300k", "Nova Pro v1 300K"),
        ("deepseek.r1-v1:0", "DeepSeek R1"),
        ("cohere.rerank-v3-5:0", "Cohere Rerank v3.5"),
        ("mistral.mistral-7b-instruct-v0:2", "Mistral 7B Instruct v0.2"),
        ("openai.gpt-oss-20b-1:0", "GPT-OSS 20B"),
        (
            "bedrock/arn:aws:bedrock:us-east-1:123456789012:inference-profile/"
            "us.anthropic.claude-3-5-sonnet-20241022-v2:0",
            "Claude 3.5 Sonnet",
        ),
        (
            "arn:aws:bedrock:eu-west-1:123456789012:application-inference-profile/2ddfxyz123ab",
            "Application Inference Profile 2ddfxyz123ab",
        ),
        # Vertex and Fireworks
        ("vertex_ai/claude-sonnet-4@20250514", "Claude Sonnet 4"),
        ("vertex_ai/claude-opus-4-6@default", "Claude Opus 4.6"),
        ("vertex_ai/jamba-1.5-large@001", "Jamba 1.5 Large 001"),
        ("vertex_ai/meta/llama-3.3-70b-instruct-maas", "Llama 3.3 70B Instruct"),
        ("fireworks_ai/accounts/acme/models/glm-4p6#accounts/acme/deployments/abc123", "GLM 4.6"),
        # a proxy's own names
        ("azure-gpt-4o", "Azure GPT-4o"),
        ("my-team/fast", "My Team Fast"),
        ("myopenai-gpt-4o", "Myopenai GPT-4o"),
        ("Claude Sonnet 4.5", "Claude Sonnet 4.5"),
        ("talk-to-me", "Talk to Me"),
        ("in-house-llm", "In House LLM"),
        ("通义千问-max", "通义千问 Max"),
        ("", "Unnamed"),
        ("/", "Unnamed"),
        ("...", "..."),
    ],
)
def test_a_model_is_called_what_its_maker_calls_it(model_id: str, shown: str) -> None:
    assert name(model_id) == shown


def test_every_model_of_the_price_table_is_called_as_in_the_snapshot() -> None:
    assert {model_id: name(model_id) for model_id in snapshot()} == snapshot()


def test_no_model_of_the_snapshot_loses_a_version_or_a_size() -> None:
    # 3.5 and 70b as they stand; 4-5 and 2p5 with a point.
    number = re.compile(r"(?<![\d.])\d{1,3}(?:\.\d+)?b\b|(?<![\d.])\d{1,2}\.\d+")
    written = re.compile(r"(?<=\d)p(?=\d)|(?<=-0)-(?=\db)|(?<=[a-z]-\d)-(?=\d(?:-|$))")
    lost = {
        model_id: missing
        for model_id, shown in snapshot().items()
        if (own := written.sub(".", model_id.rpartition("/")[2].lower()))
        and (missing := set(number.findall(own)) - set(number.findall(shown.lower())))
    }
    assert lost == {}


def test_the_whole_price_table_in_one_catalogue_shares_no_name() -> None:
    names = display_names(snapshot())
    assert len({shown.casefold() for shown in names.values()}) == len(snapshot())
    assert all(names[i] in (plain, f"{plain} [{i}]") for i, plain in snapshot().items())


def test_the_price_table_of_the_litellm_here_follows_the_rules() -> None:
    (table,) = tools.installed(tools.LITELLM).parents[1].glob(PRICES)
    ids = json.loads(table.read_text(encoding="utf-8"))
    names = display_names(ids)
    assert len(ids) > 2_000
    assert sorted(names) == sorted(ids)
    assert len({shown.casefold() for shown in names.values()}) == len(ids)
    assert [shown for shown in names.values() if not re.fullmatch(r"[\w.]\S*( \S+)*", shown)] == []
    dated = re.compile(r"20\d\d-?[01]\d-?[0-3]\d")
    assert [shown for shown in names.values() if dated.search(shown.partition(" [")[0])] == []


def test_models_of_one_name_all_show_their_ids() -> None:
    ids = ["gpt-4o-2024-05-13", "gpt-4o", "gpt-4o-mini", "azure/GPT-4o"]
    assert display_names(ids) == {
        "azure/GPT-4o": "GPT-4o [azure/GPT-4o]",
        "gpt-4o": "GPT-4o [gpt-4o]",
        "gpt-4o-2024-05-13": "GPT-4o [gpt-4o-2024-05-13]",
        "gpt-4o-mini": "GPT-4o Mini",
    }


def test_names_do_not_depend_on_the_order_of_the_ids() -> None:
    ids = sorted(snapshot())
    assert list(display_names(reversed(ids)).items()) == list(display_names(ids).items())


def test_invisible_characters_of_an_id_show_in_brackets() -> None:
    assert display_names(["gpt-4o", "gpt-4o\u202e", "gpt-4o\n"]) == {
        "gpt-4o": "GPT-4o [gpt-4o]",
        "gpt-4o\n": "GPT-4o [gpt-4o\\n]",
        "gpt-4o\u202e": "GPT-4o [gpt-4o\\u202e]",
    }


def test_ids_that_differ_only_where_they_are_shortened_are_counted() -> None:
    long = "x" * 1_000_000
    names = display_names([f"{long}{middle}{long}" for middle in "abc"])
    assert sorted(shown[-5:] for shown in names.values()) == ["] (2)", "] (3)", "xxxx]"]
    assert max(map(len, names.values())) <= 200


def test_an_id_that_spells_out_the_name_of_another_gets_a_name_of_its_own() -> None:
    names = display_names(["gpt-4o", "azure/gpt-4o", "GPT 4o [gpt 4o]", "GPT-4o [gpt-4o]"])
    assert len({shown.casefold() for shown in names.values()}) == len(names)


@given(st.lists(ANY_TEXT | LIKE_IDS | st.sampled_from(["gpt-4o", "a/gpt-4o", "GPT-4o (2)"]), max_size=8))
def test_any_text_gives_names_of_one_printable_line_that_nothing_shares(ids: list[str]) -> None:
    names = display_names(ids)
    assert sorted(names) == sorted(set(ids))
    assert len({shown.casefold() for shown in names.values()}) == len(names)
    assert all(shown.isprintable() and shown.strip() and len(shown) <= 200 for shown in names.values())


@pytest.mark.parametrize("unit", ["a", "1-", "v1:", "arn:", "/", ".", "us.", "-05-06", "\x00", "q4_", "-p1", "41-"])
def test_ten_megabytes_of_an_id_are_named_in_an_instant(unit: str) -> None:
    model_id = unit * (10_000_000 // len(unit))
    started = time.process_time()
    shown = name(model_id)
    assert time.process_time() - started < 0.5
    assert shown.isprintable()
    assert 0 < len(shown) <= 200


def test_ten_thousand_models_are_named_in_a_tenth_of_a_second() -> None:
    """So on the reference machine, where counting to a million takes 0.03 s; this one may be slower, or busy."""
    table = list(snapshot())
    ids = [f"team-{number}/{table[number % len(table)]}" for number in range(10_000)]
    display_names(ids[:100])
    named, counted = [], []
    for _ in range(5):
        named.append(spent(lambda: display_names(ids)))
        counted.append(spent(lambda: [None for number in range(1_000_000) if number + 1 == 0]))
    assert min(named) < 6 * min(counted)


def spent(work: Callable[[], object]) -> float:
    """Return the seconds of this process's own time that it takes."""
    started = time.process_time()
    work()
    return time.process_time() - started


@pytest.mark.parametrize(
    ("model_id", "provider", "expected"),
    [
        ("gpt-4o", "openai", "openai"),
        ("anthropic/claude-sonnet-4-5", None, "anthropic"),
        ("anthropic/claude-sonnet-4-5", "bedrock", "bedrock"),
        ("us.anthropic.claude-sonnet-4-20250514-v1:0", " ", "anthropic"),
        ("Qwen/Qwen3-32B", "", "qwen"),
        ("@cf/meta/llama-3-8b-instruct", None, "cloudflare"),
        ("accounts/acme/models/my-lora", None, "acme"),
        ("hf.co/unsloth/Qwen3-32B-GGUF:Q4_K_M", None, "unsloth"),
        ("models/gemini-2.5-pro", None, None),
        ("gpt-4.1", None, None),
        ("arn:aws:bedrock:eu-west-1:1:application-inference-profile/abc", None, None),
        ("", None, None),
        ("gpt-4o", "open\x1bai" + "i" * 100, "open ai" + "i" * 60 + "…"),
    ],
)
def test_the_owner_is_the_provider_or_else_the_prefix(
    model_id: str, provider: str | None, expected: str | None
) -> None:
    assert owner(model_id, provider) == expected


@given(ANY_TEXT | LIKE_IDS, st.none() | ANY_TEXT)
def test_any_text_gives_an_owner_of_one_printable_line_or_none(model_id: str, provider: str | None) -> None:
    found = owner(model_id, provider)
    assert found is None or (found.isprintable() and found.strip() and len(found) <= 68)


@pytest.mark.parametrize("blank", ["\u3164", "\u2800", "\u115f", "\u1160", "\uffa0", "\ufe0f", "\U000e0100"])
def test_letters_that_show_nothing_hide_no_model_behind_another(blank: str) -> None:
    escaped = ascii(blank)[1:-1]
    assert display_names(["gpt-4o", f"gpt-4o{blank}", blank]) == {
        "gpt-4o": "GPT-4o [gpt-4o]",
        f"gpt-4o{blank}": f"GPT-4o [gpt-4o{escaped}]",
        blank: "Unnamed",
    }
    assert owner("gpt-4o", blank) is None


if __name__ == "__main__":
    for line in sorted(set(sys.stdin.read().splitlines())):
        sys.stdout.write(f"{line}\t{name(line)}\n")
