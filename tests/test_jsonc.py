"""JSONC is read as opencode reads it, and written so that nothing on the way changes it."""

from __future__ import annotations

import json
import random
import re
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from world.config_endpoint import ConfigEndpoint, Refused
from world.draws import draws
from world.home import LASTING_OPENCODE, make_home

from opencode_litellm import jsonc

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from world.opencode import Opencode

    from opencode_litellm.jsonc import JSON

VARIABLES = {"WORD": "word", "QUOTED": r"a\"b", "NUMBER": "5000", "EMPTY": ""}


@pytest.fixture(scope="module")
def endpoint(opencode: Opencode, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConfigEndpoint]:
    assert opencode
    home = make_home(tmp_path_factory.mktemp("jsonc") / "home")
    with ConfigEndpoint({**home, **LASTING_OPENCODE, **VARIABLES}) as running:
        yield running


# Texts that opencode accepts, each with its value.
ACCEPTED: list[tuple[str, JSON]] = [
    ("1", 1),
    (' \t\r\n"a"', "a"),
    ('{"a": 1,}', {"a": 1}),
    ("[1, 2 , ]", [1, 2]),
    ("[1, // comma, then comment\n]", [1]),
    ("[1 /* comment */ , /* and */ /* more */ ]", [1]),
    ("// first line\r\n[true]// last line", [True]),
    ("/**/null/***/", None),
    ('["// no comment", "/* none */", ",]", "\\"//"]', ["// no comment", "/* none */", ",]", '"//']),
    ('["it\'s \\u00e9 \\ud83d\\ude00"]', ["it's é 😀"]),
    ('{"a": 1, "a": 2}', {"a": 2}),
    ("[-0.5e-3, 1E2]", [-0.0005, 100.0]),
    ('"\\u2028\u2028"', "\u2028\u2028"),
]


@pytest.mark.parametrize(("text", "value"), ACCEPTED)
def test_comments_and_one_trailing_comma_are_accepted(text: str, value: JSON) -> None:
    assert jsonc.parse(text) == value


REFUSED = [
    ("", 1, 1),
    ("// only a comment", 1, 18),
    ("[,]", 1, 2),
    ("{,}", 1, 2),
    ("[1,,]", 1, 3 if sys.version_info >= (3, 13) else 5),
    ("[1 2]", 1, 4),
    ('{"a": 1\n "b": 2}', 2, 2),
    ("{a: 1}", 1, 2),
    ("{'a': 1}", 1, 2),
    ("[01]", 1, 3),
    ("[1.]", 1, 3),
    ("[+1]", 1, 2),
    ("[\n  NaN]", 2, 3),
    ("[-Infinity]", 1, 2),
    ("1 /* open", 1, 3),
    ("/*/", 1, 1),
    ('["line\nbreak"]', 1, 7),
    ('["\\x41"]', 1, 3),
    ("[1]\u00a0", 1, 4),
    ("\ufeff1", 1, 1),
    ('"open', 1, 1),
    ("[1] [2]", 1, 5),
]


@pytest.mark.parametrize(("text", "line", "column"), REFUSED)
def test_a_syntax_error_has_its_line_and_column(text: str, line: int, column: int) -> None:
    with pytest.raises(jsonc.JsoncError) as caught:
        jsonc.parse(text)
    assert (caught.value.line, caught.value.column) == (line, column)
    assert caught.value.reason


@pytest.mark.parametrize("text", ["[" * 100_000, "[1e999]", "[" + "9" * 5000 + "]"])
def test_values_beyond_python_differ_from_syntax_errors(text: str) -> None:
    with pytest.raises(jsonc.BeyondPython):
        jsonc.parse(text)


@pytest.mark.parametrize("text", ["/*" * 50_000, "[NaN]", "[-Infinity]"])
def test_invalid_json_is_refused(text: str) -> None:
    with pytest.raises(jsonc.JsoncError) as caught:
        jsonc.parse(text)
    assert type(caught.value) is jsonc.JsoncError


def test_one_byte_order_mark_is_removed_from_a_file_and_bad_bytes_are_replaced() -> None:
    assert jsonc.decode(b"\xef\xbb\xbf\xef\xbb\xbf{\xff}") == "\ufeff{\ufffd}"


PIECES = [
    *"{}[],:\"\\/#'",
    *('"a"', '"b"', '""', "1", "-1", "0", "01", "1.5", "1.", "-", "+1", "1e5", "1e", "NaN", "Infinity"),
    *("true", "false", "null", "tru", "True", "//c\n", "//", "/*c*/", "/*", "*/", "/**/", "/*/"),
    *("\n", "\r", "\r\n", "\t", " ", "\u00a0", "\ufeff", "\v", "\f", "\u2028", "\x7f", "\x01", "é", "😀"),
    *('"\\u00e9"', '"\\ud800"', '"\\x"', '"\\u12"', '"\\u+123"', '"\n"', '"//"', '"/*"', '",]"', '"\\""'),
    *('"a":', '"a":1,', ",]", ",}", "\u0661", "0x10", "1_0"),
]


def _drawn_text(draw: random.Random) -> str:
    """Draw a JSONC document, sometimes damaged, sometimes nothing but pieces."""
    if draw.random() < 0.2:
        return "".join(draw.choices(PIECES, k=draw.randrange(1, 7)))
    text = _drawn_value(draw, 0)
    for _ in range(draw.choice([0, 0, 1, 1, 2])):
        at = draw.randrange(len(text) + 1)
        damage = draw.randrange(3)
        if damage == 0:
            text = text[:at] + draw.choice(PIECES) + text[at:]
        elif damage == 1:
            text = text[:at] + text[at + 1 :]
        else:
            text = text[:at] + text[draw.randrange(len(text) + 1) :]
    return text


def _drawn_value(draw: random.Random, depth: int) -> str:
    def gap() -> str:
        return draw.choice([*[""] * 6, " ", "\n", "//c\n", "/* , */", "\t", '/*"*/', '// "\r\n'])

    kind = draw.random() if depth < 4 else 0
    if kind < 0.4:
        return draw.choice(["1", "-2.5", '"s"', "true", "null", '"a,]//"', '"/*x*/"', '"\\u007b"', "{}", "[]"])
    items = [gap() + _drawn_value(draw, depth + 1) + gap() for _ in range(draw.randrange(4))]
    end = draw.choice(["", ",", ", //x\n", ",/**/"]) if items else gap()
    if kind < 0.7:
        return "[" + ",".join(items) + end + "]"
    return "{" + ",".join(f'{gap()}"{draw.choice("abc")}"{gap()}:{item}' for item in items) + end + "}"


def _document(text: str) -> str:
    return '{"$schema":"x","provider":{"p":{"options":{"drawn":' + text + "}}}}"


def test_it_accepts_and_refuses_what_opencode_does(endpoint: ConfigEndpoint, tmp_path: Path) -> None:
    draw = random.Random(20)  # noqa: S311 - not for secrets
    texts = [*(text for text, _ in ACCEPTED), *(text for text, _, _ in REFUSED)]
    texts += [_drawn_text(draw) for _ in range(draws("JSONC_TEXTS", in_ci=150, by_hand=50))]
    ours, theirs = {}, {}
    for number, text in enumerate(texts):
        folder = tmp_path / str(number)
        folder.mkdir()
        document = _document(text)
        (folder / "opencode.json").write_bytes(document.encode())
        theirs[document] = _theirs(endpoint.read(folder))
        ours[document] = _ours(document)
    assert ours == theirs
    accepted = sum(value != "refused" for value in ours.values())
    assert len(ours) // 4 < accepted < len(ours) * 3 // 4


def _ours(document: str) -> object:
    try:
        value = jsonc.parse(document)
    except jsonc.JsoncError:
        return "refused"
    try:
        return {"drawn": value["provider"]["p"]["options"]["drawn"]}  # type: ignore[call-overload,index]
    except (KeyError, TypeError):
        return "of another shape"


def _theirs(answer: object) -> object:
    if isinstance(answer, Refused):
        return "refused" if answer.kind == "ConfigJsonError" else "of another shape"
    try:
        return {"drawn": answer["provider"]["p"]["options"]["drawn"]}  # type: ignore[index]
    except (KeyError, TypeError):
        return "of another shape"


# Strings with what JSON, shells and opencode treat specially, more often than chance would have it.
TEXT = st.lists(
    st.one_of(
        st.text(max_size=5),
        st.sampled_from(["{env:HOME}", "{file:~/.ssh/id_rsa}", "{", "}", "\\", '"', "'", "`", "$(", "\n", "\ud800"]),
    ),
    max_size=6,
).map("".join)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda children: st.lists(children, max_size=4) | st.dictionaries(TEXT, children, max_size=4),
    max_leaves=20,
)


@given(VALUES)
def test_dumped_json_is_safe_in_single_quotes_and_reads_back(value: JSON) -> None:
    text = jsonc.dump(value)
    assert json.loads(text) == value
    assert text.isascii()
    assert not set(text) & set("'`$!#%&<>|^;\n\r\t\x7f\x00")
    assert not re.search(r"\\[^u]", text)
    assert "{env:" not in text
    assert "{file:" not in text


def test_tokens_of_the_users_stay_alive_and_everything_else_stays_dead() -> None:
    text = r'{"key": "{env:KEY}", "dead": "\u007benv:KEY}", "both": "a {file:~/k'
    text += r'} \u007benv:KEY}", "nested": "{file:{env:HOME}/k}", "{env:NAME}": 1}'
    value = jsonc.parse_live(text)
    assert value == {
        "key": "{env:KEY}",
        "dead": "{env:KEY}",
        "both": "a {file:~/k} {env:KEY}",
        "nested": "{file:{env:HOME}/k}",
        "{env:NAME}": 1,
    }
    assert jsonc.dump([value, "{env:KEY}", jsonc.Live("<{env:KEY}>")]) == (
        r'[{"key":"{env:KEY}","dead":"\u007benv:KEY}","both":"a {file:~/k} \u007benv:KEY}",'
        r'"nested":"{file:{env:HOME}/k}","{env:NAME}":1},"\u007benv:KEY}","\u003c{env:KEY}\u003e"]'
    )


def test_only_strings_with_a_live_token_are_live() -> None:
    value = jsonc.parse_live(r'["{env:A}", "\u007benv:A}", "plain"]')
    assert isinstance(value, list)
    assert [type(item) for item in value] == [jsonc.Live, str, str]


def test_a_token_outside_of_a_string_is_settled_or_refused() -> None:
    text = '{"timeout": {env:T}, /* {env:T} */ "key": "{env:T}"}'
    with pytest.raises(jsonc.JsoncError):
        jsonc.parse_live(text)
    assert jsonc.parse_live(text, lambda token: (token.lower(), "300")) == {"timeout": 300, "key": "{env:t}"}


LIVE_PIECES = [
    *(
        "{env:WORD}",
        "{env:QUOTED}",
        "{env:EMPTY}",
        "{env:UNSET}",
        "{file:~/secret}",
        "{file:{env:HOME}/secret}",
    ),
    *(
        r"\u007benv:WORD}",
        r"\u007bfile:~/secret}",
        "{",
        "}",
        "{{",
        "{env:}",
        "{ENV:WORD}",
        "{file:}",
    ),
    *("é", r"\n", r"\"", r"\\", "'", "$", "//", "plain"),
]


def test_live_text_means_the_same_to_opencode_after_parse_and_dump(endpoint: ConfigEndpoint, tmp_path: Path) -> None:
    (endpoint.home / "secret").write_text('top "secret"\n')
    draw = random.Random(4)  # noqa: S311 - not for secrets
    for number in range(draws("LIVE_TEXTS", in_ci=40, by_hand=10)):
        strings = ["".join(draw.choices(LIVE_PIECES, k=draw.randrange(1, 6))) for _ in range(8)]
        text = '// {file:~/absent}\n{"$schema":"x","provider":{"p":{"options":{"timeout":{env:NUMBER},'
        text += ",".join(f'"{key}{{env:WORD}}": "{string}"' for key, string in enumerate(strings)) + ",}}}}"
        again = jsonc.dump(jsonc.parse_live(text, lambda token: (token, VARIABLES.get(token[5:-1], ""))))
        readings = []
        for name, document in (("as-written", text), ("as-dumped", again)):
            folder = tmp_path / f"{number}-{name}"
            folder.mkdir()
            (folder / "opencode.json").write_text(document)
            readings.append(endpoint.read(folder))
        assert not isinstance(readings[0], Refused), text
        assert readings[0] == readings[1], text


def test_strings_from_a_proxy_stay_text_in_opencode(endpoint: ConfigEndpoint, tmp_path: Path) -> None:
    (endpoint.home / "secret").write_text("top secret")
    hostile = {"a": "{env:WORD}", "b": "{file:~/secret}", "c": "{{env:WORD}", "{env:WORD}": "\\{env:WORD}\\"}
    document = jsonc.dump({"$schema": "x", "provider": {"p": {"options": dict(hostile)}}})
    (tmp_path / "opencode.json").write_text(document)
    reading = endpoint.read(tmp_path)
    assert not isinstance(reading, Refused)
    assert reading["provider"]["p"]["options"] == hostile
