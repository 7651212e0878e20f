"""What a section of the configuration means, each rule by itself: whose key, which headers, what is invalid.

All in this process. test_keys.py, test_settings.py and test_security.py show what the real opencode makes of it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from world.home import configure, write

from opencode_litellm import origin
from opencode_litellm.jsonc import Live
from opencode_litellm.launch.credentials import Credentials
from opencode_litellm.launch.record import RecordedProxy
from opencode_litellm.opencode import configuration
from opencode_litellm.proxies import Key, ModelOptions, ProxyURL
from opencode_litellm.settings import keys, sections

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opencode_litellm.settings.sections import Settings

URL = "http://proxy.example/v1"
SECRET = "sk-secret"  # noqa: S105 - an example
NOBODY = Live("none")
SECTION = "options.apiKey of provider litellm"


def parsed(home: Mapping[str, str], options: object, section: Mapping[str, Any], **variables: str) -> Settings:
    """Return the settings of a user whose only configuration is a section ``litellm``."""
    said = {"options": options, **section}
    write(Path(home["HOME"], ".config/opencode/opencode.json"), {"provider": {"litellm": said}})
    environment = {**home, **variables}
    return sections.parse(environment, configuration.read(environment, home["HOME"]))


def key_of(home: Mapping[str, str], options: object, section: Mapping[str, Any], **variables: str) -> Key:
    (proxy,) = parsed(home, options, section, **variables).proxies
    return proxy.key


IN_VARIABLE = Key("sk-env", "LITELLM_API_KEY", Live("{env:LITELLM_API_KEY}"), "environment LITELLM_API_KEY")
UNSENDABLE = Key("", f"{SECTION}, which has characters that an HTTP header cannot contain", None, "nowhere")
THEIRS = Key("sk-env", "THEIRS (env of provider litellm)", Live("{env:THEIRS}"), "environment THEIRS")
KEYS: dict[str, tuple[Mapping[str, Any], Mapping[str, Any], Mapping[str, str], Key]] = {
    "a literal one": ({"apiKey": SECRET}, {}, {}, Key(SECRET, SECTION, None, "section")),
    "space around it": ({"apiKey": f" {SECRET}\n"}, {}, {}, Key(SECRET, SECTION, None, "section")),
    "a reference": (
        {"apiKey": "{env:K}"}, {}, {"K": SECRET},
        Key(SECRET, f"{SECTION} ({{env:K}})", Live("{env:K}"), "environment K"),
    ),
    "a reference to what opencode would read in another way": (
        {"apiKey": "{env:K}"}, {}, {"K": f" {SECRET}"},
        Key(SECRET, f"{SECTION} ({{env:K}})", Live("{env:K}"), "section"),
    ),
    "a scheme before it": (
        {"apiKey": "Bearer {env:K}"}, {}, {"K": SECRET},
        Key(f"Bearer {SECRET}", f"{SECTION} (Bearer {{env:K}})", Live("Bearer {env:K}"), "section"),
    ),
    "half a key before a reference": (
        {"apiKey": "sk-1234567{env:K}"}, {}, {"K": SECRET}, Key(f"sk-1234567{SECRET}", SECTION, None, "section"),
    ),
    "no text": ({"apiKey": 5}, {}, {"LITELLM_API_KEY": "sk-env"}, IN_VARIABLE),
    "an empty one, which somebody wants": (
        {"apiKey": ""}, {}, {"LITELLM_API_KEY": "sk-env"}, Key("", f"{SECTION}, which is empty", Live(""), "nowhere"),
    ),
    "space alone": ({"apiKey": " "}, {}, {}, Key("", f"{SECTION}, which is empty", NOBODY, "nowhere")),
    "space before a variable that is not set": (
        {"apiKey": "        {env:K}"}, {}, {}, Key("", f"{SECTION}, which is empty", NOBODY, "nowhere"),
    ),
    "a variable that is not set": (
        {"apiKey": "{env:K}"}, {}, {}, Key("", f"{SECTION} ({{env:K}}), which is empty", Live("{env:K}"), "nowhere"),
    ),
    "half a key before a variable that is not set": (
        {"apiKey": "{env:K}{env:K}"}, {}, {"LITELLM_API_KEY": "sk-env"}, IN_VARIABLE,
    ),
    "what no header can hold": (
        {"apiKey": "sk-\x85x"}, {}, {}, UNSENDABLE,
    ),
    "beyond Latin": (
        {"apiKey": "sk-\u0142"}, {}, {}, UNSENDABLE,
    ),
    "env": ({}, {"env": ["THEIRS"]}, {"THEIRS": "sk-env", "LITELLM_API_KEY": "x"}, THEIRS),
    "env of a variable that opencode reads itself": (
        {}, {"env": ["THEIRS"]}, {"THEIRS": 'a"b'},
        Key('a"b', "THEIRS (env of provider litellm)", None, "environment THEIRS"),
    ),
    "env of a variable that is empty": ({}, {"env": ["K"]}, {"K": " ", "LITELLM_API_KEY": "sk-env"}, IN_VARIABLE),
    "env of two": ({}, {"env": ["K", "L"]}, {"K": "k", "L": "l", "LITELLM_API_KEY": "sk-env"}, IN_VARIABLE),
    "env of none": ({}, {"env": []}, {"LITELLM_API_KEY": "sk-env"}, IN_VARIABLE),
    "env of no name": ({}, {"env": ["K}{"]}, {"K}{": "k", "LITELLM_API_KEY": "sk-env"}, IN_VARIABLE),
    "env of no text": ({}, {"env": [5]}, {"LITELLM_API_KEY": "sk-env"}, IN_VARIABLE),
    "env that is no list": ({}, {"env": "K"}, {"K": "k", "LITELLM_API_KEY": "sk-env"}, IN_VARIABLE),
    "the first variable": ({}, {}, {"LITELLM_API_KEY": "", "LITELLM_MASTER_KEY": SECRET},
                           Key(SECRET, "LITELLM_MASTER_KEY", Live("{env:LITELLM_MASTER_KEY}"),
                               "environment LITELLM_MASTER_KEY")),
    "quotes around it": ({}, {}, {"LITELLM_API_KEY": '"sk"'},
                         Key("", "LITELLM_API_KEY, which has quotes around it", NOBODY, "nowhere")),
    "a quote alone": ({}, {}, {"LITELLM_API_KEY": '"'},
                      Key("", "LITELLM_API_KEY, which has quotes, backslashes, braces or line breaks in it", NOBODY,
                          "nowhere")),
    "a quote before it": ({}, {}, {"LITELLM_API_KEY": '"k'},
                          Key("", "LITELLM_API_KEY, which has quotes, backslashes, braces or line breaks in it", NOBODY,
                              "nowhere")),
    "the same letter at both ends": ({}, {}, {"LITELLM_API_KEY": "k\\k"},
                      Key("", "LITELLM_API_KEY, which has quotes, backslashes, braces or line breaks in it", NOBODY,
                          "nowhere")),
    "a line break behind it": ({}, {}, {"LITELLM_API_KEY": "sk\n"},
                      Key("", "LITELLM_API_KEY, which has spaces or line breaks around it", NOBODY, "nowhere")),
}  # fmt: skip


@pytest.mark.parametrize("what", KEYS)
def test_a_section_s_key_is(what: str, home: dict[str, str]) -> None:
    options, section, variables, expected = KEYS[what]
    assert key_of(home, {"baseURL": URL, **options}, section, **variables) == expected


STORED = Key(SECRET, "OPENCODE_AUTH_CONTENT (provider litellm)", None, origin.STORED)
NO_KEY = Key("", "no key", NOBODY, origin.NOWHERE)
AUTH = {
    "a key": ({"litellm": {"type": "api", "key": f" {SECRET} "}}, STORED),
    "another way to log in": ({"litellm": {"type": "oauth", "key": SECRET}}, NO_KEY),
    "space": ({"litellm": {"type": "api", "key": " "}}, NO_KEY),
    "no text": ({"litellm": {"type": "api", "key": 5}}, NO_KEY),
    "no entry": ({"litellm": SECRET}, NO_KEY),
    "another provider's": ({"openai": {"type": "api", "key": SECRET}}, NO_KEY),
    "no object": ([SECRET], NO_KEY),
}


@pytest.mark.parametrize("what", AUTH)
def test_a_stored_key_is(what: str, home: dict[str, str]) -> None:
    content, expected = AUTH[what]
    assert key_of(home, {"baseURL": URL}, {}, OPENCODE_AUTH_CONTENT=json.dumps(content)) == expected


@pytest.mark.parametrize(("options", "stored"), [({}, True), ({"apiKey": "k"}, False), ({"baseURL": URL}, False)])
def test_an_address_from_a_flag_gets_a_stored_key_where_the_section_says_nothing(
    options: Mapping[str, Any], stored: bool, home: dict[str, str]
) -> None:
    auth = json.dumps({"litellm": {"type": "api", "key": SECRET}})
    key = key_of(home, options, {}, OPENCODE_AUTH_CONTENT=auth, OPENCODE_LITELLM_URL="http://other.example")
    assert key == (STORED if stored else NO_KEY)


def test_a_stored_key_would_be_used_unless_the_section_has_one(home: dict[str, str]) -> None:
    auth = json.dumps({"litellm": {"type": "api", "key": SECRET}, "litellm-responses": {"type": "api", "key": SECRET}})
    sides = [
        parsed(home, {"baseURL": URL, **options}, {}, OPENCODE_AUTH_CONTENT=auth).proxies[0].section
        for options in ({}, {"apiKey": "k"}, {"apiKey": ""})
    ]
    assert [(each.stored, each.sibling_stored) for each in sides] == [(True, True), (False, True), (False, True)]


def test_the_file_of_stored_keys_counts_where_the_variable_is_no_json(home: dict[str, str]) -> None:
    file = write(Path(home["XDG_DATA_HOME"], "opencode/auth.json"), {"litellm": {"type": "api", "key": SECRET}})
    key = key_of(home, {"baseURL": URL}, {}, OPENCODE_AUTH_CONTENT="{")
    assert key == Key(SECRET, f"{file} (provider litellm)", None, origin.STORED)


def test_a_launch_finds_each_key_and_header_again(home: dict[str, str]) -> None:
    options = {"baseURL": URL, "apiKey": f" {SECRET} ", "tags": ["a", 5, "b"], "customHeaders": {"X": 5, "Y": "y"}}
    parsed(home, options, {})
    write(Path(home["XDG_DATA_HOME"], "opencode/auth.json"), {"litellm": {"type": "api", "key": "sk-stored"}})
    credentials = Credentials({**home, "ODD": "{", "EVEN": " sk "}, home["HOME"])
    assert [
        credentials.carried_secret("litellm", place, name)
        for place, name in (
            (origin.SECTION, ""), (origin.STORED, ""), (origin.of_variable("EVEN"), ""), (origin.of_variable("NO"), ""),
            ("customHeaders", "X"), ("customHeaders", "Y"), ("customHeaders", "Z"), ("tags", "x"), ("nothing", "x"),
        )
    ] == [SECRET, "sk-stored", "sk", "", None, "y", None, "a,b", None]  # fmt: skip
    assert Credentials(home, home["HOME"]).carried_secret("another", origin.STORED, "") is None
    assert Credentials(home, home["HOME"]).carried_secret("another", origin.SECTION, "") == ""


def recorded(key_origin: str, **headers: str) -> RecordedProxy:
    return RecordedProxy(
        provider="litellm", tls=False, host="proxy.example", port=80, prefix="", loopback=False, identify=False,
        took=0.0, via="", key_origin=key_origin, headers=headers, served=True, body=b"",
    )  # fmt: skip


def test_a_request_has_the_recorded_headers_or_is_not_made(home: dict[str, str]) -> None:
    parsed(home, {"baseURL": URL, "headers": {"X": "x", "authorization": "Basic me"}}, {})
    auth = json.dumps({"litellm": {"type": "api", "key": SECRET}})
    environment = {**home, "K": "sk", "Q": 'a"b', "W": ' a"b', "OPENCODE_AUTH_CONTENT": auth}
    credentials = Credentials(environment, home["HOME"], ["W"])
    made = {
        "key": recorded("environment K"),
        "no key": recorded(origin.NOWHERE, X="headers"),
        "both": recorded("environment K", X="headers"),
        "a header in its place": recorded("environment K", authorization="headers"),
        "a key that is gone": recorded("environment L"),
        "a key that no reference can hold": recorded("environment Q"),
        "one that never had another value": recorded("environment W"),
        "a key from nobody knows where": recorded("elsewhere"),
        "a header that is gone": recorded("environment K", Y="headers"),
    }
    assert {what: credentials.headers(proxy) for what, proxy in made.items()} == {
        "key": {"Authorization": "Bearer sk"},
        "no key": {"X": "x"},
        "both": {"Authorization": "Bearer sk", "X": "x"},
        "a header in its place": {"authorization": "Basic me"},
        "a key that is gone": None,
        "a key that no reference can hold": None,
        "one that never had another value": {"Authorization": 'Bearer a"b'},
        "a key from nobody knows where": None,
        "a header that is gone": None,
    }


@pytest.mark.parametrize("text", ["[]", '{"provider": []}', '{"provider": {"litellm": 5}}', "5"])
def test_a_launch_finds_no_key_where_there_is_no_section(text: str, home: dict[str, str]) -> None:
    write(Path(home["HOME"], ".config/opencode/opencode.json"), text)
    try:
        found = Credentials(home, home["HOME"]).carried_secret("litellm", origin.SECTION, "")
    except configuration.ConfigurationUnreadable:
        found = ""
    assert found == ""


HEADERS: dict[str, tuple[Mapping[str, Any], list[tuple[str, str, bool]], list[str]]] = {
    "references and literals": (
        {"customHeaders": {"X-A": "{env:A}", "X-B": "literal"}, "headers": {"x-b": "b", "X-C": "half-a-key-{env:A}"}},
        [("X-A", "value", False), ("x-b", "b", True), ("X-C", "half-a-key-value", True)],
        [],
    ),
    "no object": ({"customHeaders": "x"}, [], ["options.customHeaders"]),
    "no header": (
        {"customHeaders": {"X A": "a", "": "b", "X-B": 5, "X-C": "a\nb", "X-D": "\u00e4", "X-E": "it is e"}},
        [("X-E", "it is e", True)],
        [f"options.customHeaders.{name}" for name in ("X A", "", "X-B", "X-C", "X-D")],
    ),
    "tags": ({"tags": ["a", "b"]}, [("x-litellm-tags", "a,b", False)], []),
    "one tag": ({"tags": "a"}, [("x-litellm-tags", "a", False)], []),
    "a reference as a tag": ({"tags": "{env:A}"}, [("x-litellm-tags", "value", False)], []),
    "the header of tags": (
        {"tags": ["a"], "headers": {"X-LiteLLM-Tags": "{env:A}"}}, [("X-LiteLLM-Tags", "value", False)], [],
    ),
    "no tags": ({"tags": []}, [], []),
    "tags that are none": ({"tags": 5}, [], ["options.tags"]),
    "a tag that is none": ({"tags": ["a", 5]}, [], ["options.tags"]),
    "a tag of two lines": ({"tags": ["a", "b\nc"]}, [], ["options.tags"]),
    "an object of tags": ({"tags": {"a": "b"}}, [], ["options.tags"]),
}  # fmt: skip


@pytest.mark.parametrize("what", HEADERS)
def test_a_section_s_headers_are(what: str, home: dict[str, str]) -> None:
    options, expected, warned = HEADERS[what]
    settings = parsed(home, {"baseURL": URL, **options}, {}, A="value")
    headers = settings.proxies[0].headers
    assert [(header.name, header.value, header.variable is not None) for header in headers] == expected
    assert [warning.partition(" of provider")[0] for warning in settings.warnings] == warned
    assert all(header.value not in header.written for header in headers if header.variable)


def test_tags_are_repeated_as_they_stand_unless_nobody_could_read_them_elsewhere(home: dict[str, str]) -> None:
    folder = Path(home["HOME"], "a}b")
    write(folder / "tag", "blue")
    said = {"provider": {"litellm": {"options": {"baseURL": URL, "tags": ["department-{env:A}"]}}}}
    found = {}
    for name in ("{env:A}", "{file:./tag}"):
        said["provider"]["litellm"]["options"]["tags"] = ["department", name]
        file = write(folder / "mine.json", said)
        environment = {**home, "OPENCODE_CONFIG": str(file), "A": "green"}
        (proxy,) = sections.parse(environment, configuration.read(environment, home["HOME"])).proxies
        (header,) = proxy.headers
        found[header.value] = (type(header.written), header.written, header.variable)
    carried = found["department,blue"][2]
    assert found == {
        "department,green": (Live, "department,{env:A}", None),
        "department,blue": (Live, f"{{env:{carried}}}", carried),
    }
    assert carried


def test_a_path_with_a_brace_is_no_reference() -> None:
    tokens = {"{file:/a}": True, "{file:/a}b}": False, "{file:{env:HOME}/a}": True}
    assert {token: keys.is_reference(Live(token, ("", token, ""))) for token in tokens} == tokens


def test_headers_below_the_layer_of_the_address_are_not_sent_and_who_sends_them_is_said(home: dict[str, str]) -> None:
    below = {"customHeaders": {"X-Below": "below"}, "tags": ["below"], "headers": {"X-Own": "own"}}
    above = {"baseURL": URL, "customHeaders": {"X-Above": "above"}}
    upper = write(Path(home["HOME"], "upper.json"), {"provider": {"litellm": {"options": above}}})
    settings = parsed(home, below, {}, OPENCODE_CONFIG=str(upper))
    assert [header.name for header in settings.proxies[0].headers] == ["X-Above"]
    place = f" of provider litellm in {home['HOME']}/.config/opencode/opencode.json"
    why = f"is not sent by opencode-litellm, because a higher-priority configuration in {upper} sets the URL"
    repeat = "repeat it there if it is meant for that URL"
    assert settings.warnings == (
        f"options.customHeaders.X-Below{place} {why}: {repeat}",
        f"options.headers.X-Own{place} {why}. opencode itself sends it there anyway:"
        f" {repeat}; otherwise move it to customHeaders, which opencode does not send",
        f"options.tags{place} {why}: {repeat}",
    )


SWITCHED_OFF = {
    "left out": ({"enabled_providers": ["openai"]}, False),
    "named": ({"enabled_providers": ["litellm"]}, True),
    "disabled": ({"enabled_providers": ["litellm"], "disabled_providers": ["litellm"]}, False),
    "another one disabled": ({"disabled_providers": ["openai"]}, True),
    "no lists": ({"enabled_providers": "openai", "disabled_providers": "litellm"}, True),
}


@pytest.mark.parametrize("what", SWITCHED_OFF)
def test_a_provider_that_opencode_leaves_out_is_a_failure(what: str, home: dict[str, str]) -> None:
    inline, enabled = SWITCHED_OFF[what]
    settings = parsed(home, {"baseURL": URL}, {}, OPENCODE_CONFIG_CONTENT=json.dumps(inline))
    assert (len(settings.proxies), len(settings.failures)) == ((1, 0) if enabled else (0, 1))


def test_a_flag_takes_the_section_at_its_address_or_the_usual_one_with_no_key_of_its_own(home: dict[str, str]) -> None:
    configure(home, "litellm-corp", baseURL=URL, apiKey=SECRET)
    found = {}
    for flag in ("http://proxy.example:80/v1/", "http://other.example"):
        environment = {**home, "OPENCODE_LITELLM_URL": flag}
        (proxy,) = sections.parse(environment, configuration.read(environment, home["HOME"])).proxies
        found[flag] = (proxy.provider, proxy.overrides, proxy.key.secret)
    assert found == {
        "http://proxy.example:80/v1/": ("litellm-corp", False, SECRET),
        "http://other.example": ("litellm", True, ""),
    }


def test_options_that_a_flag_overrides_cause_no_warning(home: dict[str, str]) -> None:
    unset = {"baseURL": "{env:UNSET}", "apiKey": "{env:UNSET}"}
    elsewhere = parsed(home, unset, {}, LITELLM_API_KEY="sk", OPENCODE_LITELLM_URL="http://other.example")
    assert elsewhere.warnings == ()


def test_the_address_of_another_vendor_s_section_is_nothing_to_us(home: dict[str, str]) -> None:
    configure(home, "openai", baseURL=URL, apiKey=SECRET)
    (proxy,) = sections.parse(home, configuration.read(home, home["HOME"])).proxies
    assert (proxy.provider, proxy.url, proxy.key.secret) == ("litellm", None, "")


def test_every_source_of_an_address_has_a_name(home: dict[str, str]) -> None:
    asked = [
        parsed(home, options, section, **variables).proxies[0].url_source
        for options, section, variables in (
            ({"baseURL": URL}, {"api": "http://other.example"}, {}),
            ({}, {"api": URL}, {}),
            ({}, {}, {"LITELLM_PROXY_URL": URL}),
            ({}, {}, {}),
        )
    ]
    assert asked == [
        "options.baseURL of provider litellm", "api of provider litellm", "LITELLM_PROXY_URL", "detection",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("variables", "instead"), [({}, "a LiteLLM on this machine"), ({"LITELLM_PROXY_URL": URL}, "LITELLM_PROXY_URL")]
)
def test_the_fallback_for_an_address_of_unset_variables_is_named(
    variables: dict[str, str], instead: str, home: dict[str, str]
) -> None:
    (warning,) = parsed(home, {"baseURL": "{env:UNSET}"}, {}, **variables).warnings
    assert f"so {instead} is used instead: set UNSET" in warning


def test_variables_of_an_address_are_replaced_and_known(home: dict[str, str]) -> None:
    named = {"env": ["K"]}
    settings = parsed(home, {"baseURL": "http://${HOST}/${UNSET}"}, named, HOST="a.example")
    assert settings.failures == ()
    assert settings.proxies[0].url == ProxyURL.parse("http://a.example/${UNSET}")
    assert settings.variables == {"HOST", "UNSET", "K"}
    assert parsed(home, {"baseURL": URL, "apiKey": "k"}, named).variables == frozenset()
    assert parsed(home, {"baseURL": 5}, named).variables == {"K"}


def test_variables_of_the_sibling_s_address_are_known_also_beside_an_address_from_a_flag(home: dict[str, str]) -> None:
    sections_of_user = {"litellm-team": {}, "litellm-responses": {"options": {"baseURL": "${ELSEWHERE}/v1"}}}
    write(Path(home["HOME"], ".config/opencode/opencode.json"), {"provider": sections_of_user})
    environment = home | {"OPENCODE_LITELLM_URL": URL}
    assert sections.parse(environment, configuration.read(environment, home["HOME"])).variables == {"ELSEWHERE"}


def test_a_flag_has_to_beat_an_address_or_what_a_folder_says(home: dict[str, str]) -> None:
    folder = Path(home["HOME"], "folder")
    beaten = {}
    for what, everywhere, here in (
        ("an address", {"baseURL": URL}, {}), ("a key", {"apiKey": "k"}, {}), ("a folder's key", {}, {"apiKey": "k"}),
    ):  # fmt: skip
        configure(home, **everywhere)
        write(folder / "opencode.json", {"provider": {"litellm": {"options": here}}})
        environment = {**home, "OPENCODE_LITELLM_URL": "http://other.example"}
        (proxy,) = sections.parse(environment, configuration.read(environment, str(folder))).proxies
        beaten[what] = proxy.beats_project
    assert beaten == {"an address": True, "a key": False, "a folder's key": True}


def test_a_name_of_another_provider_s_model_is_none_of_ours(home: dict[str, str]) -> None:
    named = json.dumps({"model": "openrouter/gpt-4o", "small_model": "litellm/o3", "agent": {"a": {"model": "x"}}})
    section = parsed(home, {"baseURL": URL}, {}, OPENCODE_CONFIG_CONTENT=named).proxies[0].section
    assert (section.named_models, section.named_in_sibling) == (frozenset({"o3"}), frozenset())


@pytest.mark.parametrize(("key", "above"), [("{env:UNSET}", True), ("{env:SET}", False), ("literal", False)])
def test_only_an_emptied_key_of_a_folder_has_to_be_beaten(key: str, above: bool, home: dict[str, str]) -> None:
    folder = Path(home["HOME"], "folder")
    write(folder / "opencode.json", {"provider": {"litellm": {"options": {"apiKey": key}}}})
    configure(home, baseURL=URL)
    environment = {**home, "LITELLM_API_KEY": "sk", "SET": "sk-set"}
    (proxy,) = sections.parse(environment, configuration.read(environment, str(folder))).proxies
    assert proxy.beats_project is above


def test_an_address_in_api_is_named_where_a_header_stands_below_it(home: dict[str, str]) -> None:
    upper = write(Path(home["HOME"], "upper.json"), {"provider": {"litellm": {"api": URL}}})
    (warning,) = parsed(home, {"customHeaders": {"X": "x"}}, {}, OPENCODE_CONFIG=str(upper)).warnings
    assert f"because a higher-priority configuration in {upper} sets the URL" in warning


def test_a_section_that_says_nothing_more_has_the_usual_options(home: dict[str, str]) -> None:
    assert parsed(home, {"baseURL": URL}, {}).proxies[0].options == ModelOptions()


LONG = "x" * 300
OPTIONS: dict[str, tuple[Mapping[str, Any], str]] = {
    "a choice": ({"transport": LONG}, f'transport IN is "{LONG[:199]}..., so \'auto\' is used: choose'),
    "a list": ({"includeModels": ["a", 5]}, 'includeModels IN is ["a", 5], and only the strings in it are used:'),
    "no list": ({"includeModels": 5}, "includeModels IN is 5, and only the strings in it are used: write"),
    "no object": ({"modelCapabilities": ["a"]}, 'modelCapabilities IN is ["a"], and only the objects in it are used:'),
    "no objects": (
        {"modelCapabilities": {"a": 5}}, 'modelCapabilities IN is {"a": 5}, and only the objects in it are used: map',
    ),
    "no capability": (
        {"modelCapabilities": {"a": {"supports_vison": True, "supports_vision": True}}},
        "modelCapabilities IN has values that are ignored (a.supports_vison is true): check",
    ),
    "a variable of two": (
        {"baseURL": URL, "apiKey": "{env:SPACE}{env:M}"},
        "apiKey IN is {env:SPACE}{env:M}, and M is not set, so LITELLM_API_KEY is used instead: set M",
    ),
    "two variables": (
        {"baseURL": URL, "apiKey": "{env:L}{env:M}"},
        "apiKey IN is {env:L}{env:M}, and L and M are not set, so LITELLM_API_KEY is used instead: set L",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", OPTIONS)
def test_an_option_that_cannot_be_meant_is_a_warning(what: str, home: dict[str, str]) -> None:
    options, expected = OPTIONS[what]
    settings = parsed(home, options, {}, LITELLM_API_KEY="sk", SPACE=" ")
    (warning,) = settings.warnings
    place = f" of provider litellm in {home['HOME']}/.config/opencode/opencode.json"
    assert warning.startswith(f"options.{expected}".replace(" IN", place))


def test_a_warning_shows_what_is_written_not_what_a_variable_holds(home: dict[str, str]) -> None:
    options = {
        "only": "{env:S}", "litellm": "{env:S}", "transport": "{env:S}", "includeModels": {"a": "{env:S}"},
        "modelCapabilities": {"a": {"supports_vison": "{env:S}"}}, "tags": {"a": "{env:S}"}, "customHeaders": "{env:S}",
        "exclude_Models": "{env:S}",
    }  # fmt: skip
    warnings = parsed(home, {"baseURL": URL, **options}, {}, S=SECRET).warnings
    assert len(warnings) == len(options)
    assert SECRET not in str(warnings)
    with pytest.raises(configuration.ConfigurationUnreadable) as failure:
        parsed(home, {"baseURL": URL, "apiKey": "{file:{env:S}}"}, {}, S=SECRET)
    assert SECRET not in str(failure.value)
    assert "{file:{env:S}}: No such file or directory" in str(failure.value)


def test_a_problem_that_two_readers_see_is_reported_once(home: dict[str, str]) -> None:
    (warning,) = parsed(home, {"baseURL": URL, "litellm": "yes"}, {}).warnings
    assert "options.litellm of provider litellm" in warning


def test_warnings_about_a_provider_are_given_even_if_it_cannot_be_asked(home: dict[str, str]) -> None:
    options = {"baseURL": "{env:UNSET}", "exclude_Models": []}
    settings = parsed(home, options, {}, LITELLM_PROXY_URL="no URL")
    assert (settings.proxies, len(settings.failures)) == ((), 1)
    assert [warning.partition(" of provider")[0] for warning in settings.warnings] == [
        "options.exclude_Models", "options.baseURL",
    ]  # fmt: skip


def test_an_address_that_is_no_text_is_a_failure_with_its_place(home: dict[str, str]) -> None:
    (failure,) = parsed(home, {"baseURL": [URL]}, {}).failures
    file = f"{home['HOME']}/.config/opencode/opencode.json"
    assert str(failure.problem) == (
        f"options.baseURL of provider litellm in {file} is not a valid proxy URL (it must be a string)"
    )


def test_models_to_start_with_are_a_list_with_or_without_space(home: dict[str, str]) -> None:
    wanted = parsed(home, {"baseURL": URL}, {}, OPENCODE_LITELLM_DEFAULT_MODEL=" a , ,b,").defaults.model
    assert [wish.pattern for wish in wanted] == ["a", "b"]


def test_providers_that_are_no_text_do_not_count(home: dict[str, str]) -> None:
    inline = {"enabled_providers": ["litellm", 5, {}, "openai"], "disabled_providers": [None]}
    settings = parsed(home, {"baseURL": URL, "only": True}, {}, OPENCODE_CONFIG_CONTENT=json.dumps(inline))
    assert (settings.defaults.only, settings.defaults.others) == (("litellm",), ("openai",))


def test_only_has_to_give_nothing_back_where_nobody_asked_for_others(home: dict[str, str]) -> None:
    inline = json.dumps({"disabled_providers": ["openai"]})
    settings = parsed(home, {"baseURL": URL, "only": True}, {}, OPENCODE_CONFIG_CONTENT=inline)
    assert settings.defaults.others == ()


def test_only_counts_where_a_text_that_nobody_can_read_says_so(home: dict[str, str]) -> None:
    write(Path(home["HOME"], ".config/opencode/opencode.json"), '{"provider": {"litellm": {"options": {only: true}')
    read = configuration.read(home, home["HOME"], tolerant=True)
    assert sections.restrictions(home, read) == {"enabled_providers": ["litellm", "litellm-responses"]}


ADDRESSES = {
    "http://a.localhost:4000/v1": ("http://a.localhost:4000", True),
    "http://[::1]:4000": ("http://[::1]:4000", True),
    "https://[2001:db8::1]/team/v1/": ("https://[2001:db8::1]/team", False),
    "localhost:4000": ("http://localhost:4000", True),
    "127.0.0.1:1": ("http://127.0.0.1:1", True),
    "http://localhost.example": ("http://localhost.example", False),
}


@pytest.mark.parametrize("text", ADDRESSES)
def test_an_address_is(text: str) -> None:
    url = ProxyURL.parse(text)
    assert (url.root, url.is_loopback) == ADDRESSES[text]


@pytest.mark.parametrize("text", ["http://\u00e4.example", "http://a.example/\u2028x", "http://a b", "http://a\x7fb"])
def test_characters_that_no_url_can_hold_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="characters that a URL cannot contain"):
        ProxyURL.parse(text)


def test_a_scheme_that_is_called_like_this_machine_is_no_address() -> None:
    with pytest.raises(ValueError, match="must begin with http"):
        ProxyURL.parse("localhost://4000")


def test_the_administrator_s_address_is_taken_and_no_other_beside_it(home: dict[str, str], tmp_path: Path) -> None:
    write(tmp_path / "managed/opencode.json", {"provider": {"litellm": {"options": {"baseURL": URL}}}})
    managed = {"OPENCODE_TEST_MANAGED_CONFIG_DIR": str(tmp_path / "managed")}
    (proxy,) = parsed(home, {}, {}, **managed).proxies
    assert proxy.url == ProxyURL.parse(URL)
    elsewhere = parsed(home, {}, {}, **managed, OPENCODE_LITELLM_URL="http://other.example")
    assert elsewhere.proxies == ()
    (failure,) = elsewhere.failures
    assert "the administrator's configuration sets the URL of provider litellm" in str(failure)
