"""The slot, which opencode 2 reads: our settings in it change, every other one stays as it was written."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opencode_litellm import jsonc
from opencode_litellm.opencode import slot_text
from opencode_litellm.opencode.delivery import MARKER

if TYPE_CHECKING:
    from collections.abc import Mapping


def ours(**models: Any) -> str:
    """Return a text as we write it, with these models."""
    section = {"npm": "@ai-sdk/openai-compatible", "env": ["LITELLM_API_KEY"], "models": models}
    return jsonc.dump({"$schema": MARKER, "provider": {"litellm": section}})


OLD, NEW = ours(alpha={"name": "Alpha"}, beta={"name": "Beta"}), ours(alpha={"name": "Alpha"}, gamma={"name": "Gamma"})


@pytest.mark.parametrize("text", ["", " \n", OLD])
def test_a_file_with_nothing_but_ours_is_rewritten(text: str) -> None:
    assert slot_text.merged(text, OLD, NEW) == NEW


def test_the_same_keys_change_nothing() -> None:
    text = f"// mine\n{OLD}\n"
    assert slot_text.merged(text, OLD, OLD) == text


def test_additions_of_opencode_stay_as_they_are() -> None:
    text = """{
  // where it came from
  "$schema": "https://opencode.ai/config.json#opencode-litellm",
  "plugins": ["one", /* two */ "two"],
  "provider": {
    "litellm": {
      "npm": "@ai-sdk/openai-compatible", "env": ["LITELLM_API_KEY"],
      "models": {
        "alpha": {"name": "Alpha"},
        "beta": {"name": "Beta"}, // gone soon
      },
    },
  },
  "mcp": {"servers": {"x": {"type": "local"}}},
}
"""
    assert slot_text.merged(text, OLD, NEW) == text.replace(
        """        "alpha": {"name": "Alpha"},
        "beta": {"name": "Beta"}, // gone soon
""",
        """        "alpha": {"name": "Alpha"},
"gamma":{"name":"Gamma"} // gone soon
""",
    )
    assert slot_text.users_members(text, OLD) == ["plugins", "mcp"]
    assert slot_text.stripped(text, OLD) == """{
  // where it came from
  "$schema": "https://opencode.ai/config.json",
  "plugins": ["one", /* two */ "two"],
  "mcp": {"servers": {"x": {"type": "local"}}},
}
"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"a": 1, "b": 2}', '{"a": 1,\n"c":3}'),
        ('{"a": 1, "b": 2,}', '{"a": 1,\n"c":3}'),
        ('{"b": 2, "a": 1}', '{ "a": 1,\n"c":3}'),
        ('{"b": 2, "a": 1, // end\n}', '{ "a": 1,\n"c":3 // end\n}'),
        ('{"b": 2 /* x */, "a": 1}', '{ /* x */ "a": 1,\n"c":3}'),
        ('{"b": 2 }', '{"c":3 }'),
        ('{"b": 2, // why\n}', '{"c":3 // why\n}'),
        ('{"b": 2, "b": 4}', '{"b": 2, "b": 4,\n"c":3}'),
        ("{}", '{"c":3}'),
        ("{ // nothing\n}", '{"c":3 // nothing\n}'),
    ],
)
def test_commas_and_comments_come_out_right(text: str, expected: str) -> None:
    merged = slot_text.merged(text, '{"b": 2}', '{"c": 3}')
    assert merged == expected
    jsonc.parse(merged)


def test_changed_values_belong_to_the_user_from_then_on() -> None:
    text = OLD.replace('"Alpha"', '"My own"').replace('"beta":{', '"beta":{"limit":{"context":1,"output":1},')
    merged = slot_text.merged(text, OLD, NEW)
    assert jsonc.parse(merged)["provider"]["litellm"]["models"] == {  # type: ignore[index,call-overload]
        "alpha": {"name": "My own"},
        "beta": {"limit": {"context": 1, "output": 1}},
        "gamma": {"name": "Gamma"},
    }
    assert slot_text.users_members(text, OLD) == [
        "provider.litellm.models.alpha.name", "provider.litellm.models.beta.limit",
    ]  # fmt: skip


def test_without_memory_all_under_our_names_is_ours() -> None:
    text = OLD.replace('"provider":{', '"theme":"x","provider":{"other":{"name":"O"},')
    merged = jsonc.parse(slot_text.merged(text, None, NEW))
    sections = {"other": {"name": "O"}, **json.loads(NEW)["provider"]}
    assert merged == {**json.loads(NEW), "theme": "x", "provider": sections}
    assert jsonc.parse(slot_text.stripped(text, None) or "") == {
        "$schema": slot_text.SCHEMA, "theme": "x", "provider": {"other": {"name": "O"}},
    }  # fmt: skip


@pytest.mark.parametrize("text", [OLD, f" {OLD}\n", OLD.replace(":{", ": {")])
def test_a_file_that_holds_nothing_else_goes(text: str) -> None:
    assert slot_text.stripped(text, OLD) is None


def test_a_comment_of_somebodys_keeps_the_file() -> None:
    assert jsonc.parse(slot_text.stripped(f"// mine\n{OLD}", OLD) or "") == {"$schema": slot_text.SCHEMA}


@pytest.mark.parametrize("text", ["{", "[]", '{"a": }', "null", '{"a": {env:PORT}}'])
def test_an_unreadable_file_is_refused(text: str) -> None:
    with pytest.raises(jsonc.JsoncError):
        slot_text.merged(text, OLD, NEW)


def test_references_stay_alive_and_the_proxys_strings_dead() -> None:
    last = ours(alpha={"name": "{env:HOME}"})
    new = last.replace('"models"', '"headers":{"X-Team":"{env:TEAM}"},"models"').replace("alpha", "beta")
    assert "\\u007benv:HOME}" in new
    merged = slot_text.merged(f'{last[:-1]},"mcp":{{"k":"{{file:~/k}}"}}}}', last, new)
    assert '"headers":{"X-Team":"{env:TEAM}"}' in merged
    assert "\\u007benv:HOME}" in merged
    assert '"mcp":{"k":"{file:~/k}"}' in merged


KEYS = st.sampled_from(["a", "b", "c", 'd"', "e\\", "{f}", "//g", "ü"])
SCALARS = st.none() | st.booleans() | st.integers(-9, 9) | st.text("ab{}\"\\/*,:é", max_size=4)
VALUES = st.recursive(SCALARS | st.lists(SCALARS, max_size=2), lambda inner: st.dictionaries(KEYS, inner, max_size=4))
OBJECTS = st.dictionaries(KEYS, VALUES, max_size=5)


@st.composite
def written(draw: st.DrawFn, value: Any) -> str:
    """Write a value as people do: white space, comments and trailing commas anywhere."""
    space = st.sampled_from(["", " ", "\n", "/* , } */", "// {\n", "\t"])
    if isinstance(value, dict):
        members = [
            f"{draw(space)}{json.dumps(key)}{draw(space)}:{draw(space)}{draw(written(item))}{draw(space)}"
            for key, item in value.items()
        ]
        trailing = draw(st.sampled_from(["", ","])) if members else ""
        return "{" + ",".join(members) + trailing + draw(space) + "}"
    return json.dumps(value, ensure_ascii=draw(st.booleans()))


@st.composite
def situations(draw: st.DrawFn) -> tuple[str, dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Return a text and what it says, what we wrote last, and what we want to say now."""
    last, new, more = draw(OBJECTS), draw(OBJECTS), draw(OBJECTS)
    current: dict[str, Any] = jsonc.deeply_merged(last, more)
    return draw(written(current)), current, last, new


def without(value: Mapping[str, Any], last: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is not ours: keys that we did not write, or whose value we did not write."""
    rest = {}
    for key, item in value.items():
        if isinstance(item, dict) and isinstance(last.get(key), dict):
            if inner := without(item, last[key]):
                rest[key] = inner
        elif key not in last or json.dumps(item, sort_keys=True) != json.dumps(last[key], sort_keys=True):
            rest[key] = item
    return rest


def over(lower: Mapping[str, Any], upper: Mapping[str, Any]) -> dict[str, Any]:
    return jsonc.deeply_merged(dict(lower), dict(upper))


@pytest.mark.long
@given(situations())
def test_our_keys_are_those_of_now_and_every_other_one_stays(
    situation: tuple[str, dict[str, Any], dict[str, Any], dict[str, Any]],
) -> None:
    text, current, last, new = situation
    merged = slot_text.merged(text, json.dumps(last), json.dumps(new))
    if text == json.dumps(last):
        assert merged == json.dumps(new)
        return
    assert jsonc.parse(merged) == over(new, without(current, last))
    assert slot_text.merged(merged, json.dumps(new), json.dumps(new)) == merged


@pytest.mark.long
@given(situations())
def test_every_word_of_somebody_elses_is_there_as_it_was(
    situation: tuple[str, dict[str, Any], dict[str, Any], dict[str, Any]],
) -> None:
    text, _, _, new = situation
    merged = slot_text.merged(text, "{}", json.dumps(new))
    if text.strip() and text != "{}":
        # Only additions: what is left of the text after taking them out is the text.
        position = 0
        for character in text:
            position = merged.index(character, position) + 1


@pytest.mark.long
@given(situations())
def test_stripping_leaves_what_is_not_ours(
    situation: tuple[str, dict[str, Any], dict[str, Any], dict[str, Any]],
) -> None:
    text, current, last, _ = situation
    stripped = slot_text.stripped(text, json.dumps(last))
    left = without(current, last)
    assert jsonc.parse(stripped or "{}") == ({**left, "$schema": slot_text.SCHEMA} if stripped else left)
