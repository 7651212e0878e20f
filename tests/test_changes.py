"""How a payload reaches opencode's environment, and how that is undone, each rule by itself.

All in this process. test_delivery.py shows that the real opencode reads it.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from world.home import configure, write

from opencode_litellm import variables
from opencode_litellm.discovery import Patience, discover
from opencode_litellm.launch import handover
from opencode_litellm.launch.record import FILE as BY_FILE
from opencode_litellm.launch.record import HEAD
from opencode_litellm.opencode import configuration, delivery, versions
from opencode_litellm.opencode.delivery import Undeliverable
from opencode_litellm.settings import sections

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from world.stub import StubProxy

    from opencode_litellm.launch.handover import Handover

URL_FLAG = "OPENCODE_LITELLM_URL"
MINE = json.dumps({"$schema": delivery.MARKER, "provider": {"litellm": {"options": {"baseURL": "u", "apiKey": "k"}}}})
CONTENT, USERS = variables.CONFIG_CONTENT, variables.USER_CONTENT
FILE, USERS_FILE = variables.CONFIG, variables.USER_FILE


def test_only_objects_are_merged() -> None:
    for ours, users in ((MINE, "[]"), (MINE, '"x"'), ("[]", "{}")):
        with pytest.raises(Undeliverable, match="not a JSON object"):
            delivery.inline(ours, {CONTENT: users}, launch=True)
    assert delivery.with_restrictions({}, {"enabled_providers": []}, {CONTENT: "[]"})[CONTENT] == (
        f'{{"$schema":"{delivery.MARKER}","enabled_providers":[]}}'.replace("$", "\\u0024").replace("#", "\\u0023")
    )


def test_a_literal_payload_holds_what_its_references_stand_for(tmp_path: Path, home: dict[str, str]) -> None:
    absolute, of_home = write(tmp_path / "key", " absolute\n"), write(Path(home["HOME"], "key"), "of home")
    text = json.dumps({"$schema": delivery.MARKER, "a": f"x{{file:{absolute}}}", "b": "{file:~/key}", "c": "{env:K}!"})
    said = delivery.inline(text, {**home, "K": "k"}, launch=True, literal=True)[CONTENT]
    assert said is not None
    assert {**json.loads(said), "$schema": ""} == {"$schema": "", "a": "xabsolute", "b": "of home", "c": "k!"}
    of_home.unlink()
    with pytest.raises(Undeliverable, match="cannot be read"):
        delivery.inline(text, home, launch=True, literal=True)


SECRETS = {
    '{"provider": {"p": {"options": {"apiKey": "sk"}}}}': True,
    '{"provider": {"p": {"options": {"apiKey": "{env:K}"}}}}': False,
    '{"provider": {"p": {"options": {"headers": {"Authorization": "Bearer {env:K}"}}}}}': False,
    '{"provider": {"p": {"options": {"headers": {"X": ["a"]}}}}}': True,
    '{"provider": {"p": {"options": {"headers": {"X": 5, "Y": true, "Z": null}}}}}': False,
    '{"mcp": {"m": {"environment": {"T": "t"}}}}': True,
    '{"username": "me"}': False,
    "{": False,
}


@pytest.mark.parametrize("text", SECRETS)
def test_content_with_a_literal_secret_is_told(text: str) -> None:
    assert delivery.holds_secrets(text) is SECRETS[text]


REFERABLE = {"sk-1": True, "": True, " sk": False, "sk\n": False, 'a"b': False, "a{b": False, "a\\b": False, "é": True}


@pytest.mark.parametrize("value", REFERABLE)
def test_a_value_can_be_referred_to_where_json_does_not_change_it(value: str) -> None:
    assert delivery.can_be_referred_to(value) is REFERABLE[value]


NO_PROXY = {
    "nothing": ({}, {"NO_PROXY": "127.0.0.1,[::1]", "no_proxy": "127.0.0.1,[::1]"}),
    "both": ({"NO_PROXY": "a", "no_proxy": "b"}, {"NO_PROXY": "b,127.0.0.1,[::1]", "no_proxy": "b,127.0.0.1,[::1]"}),
    "one is there": ({"no_proxy": "[::1]"}, {"NO_PROXY": "[::1],127.0.0.1", "no_proxy": "[::1],127.0.0.1"}),
    "all are there": ({"no_proxy": "127.0.0.1, [::1]"}, {"no_proxy": "127.0.0.1, [::1]"}),
    "everything": ({"NO_PROXY": "a, *"}, {"NO_PROXY": "a, *"}),
    "empty": ({"NO_PROXY": ""}, {"NO_PROXY": "127.0.0.1,[::1]", "no_proxy": "127.0.0.1,[::1]"}),
}


@pytest.mark.parametrize("what", NO_PROXY)
def test_hosts_of_this_machine_are_spared_and_given_back(what: str) -> None:
    before, expected = NO_PROXY[what]
    after = variables.changed(before, delivery.directly(["::1", "127.0.0.1"], before, launch=False))
    assert {name: value for name, value in after.items() if name.lower() == "no_proxy"} == expected
    assert delivery.undone(after) == before
    # Twice is as once, and what somebody changed since is theirs.
    assert variables.changed(after, delivery.directly(["::1", "127.0.0.1"], after, launch=False)) == after
    assert delivery.undone({**after, "NO_PROXY": "mine"}) == {**before, "NO_PROXY": "mine"}


def test_a_launch_spares_nobody_where_there_is_no_http_proxy() -> None:
    assert delivery.directly(["::1"], {}, launch=True) == {}
    assert delivery.directly(["::1"], {"HTTPS_PROXY": ""}, launch=True) == {}
    assert delivery.directly(["::1"], {"all_proxy": "x"}, launch=True)["no_proxy"] == "[::1]"


def test_only_a_delivery_inline_whose_files_are_there_is_sound(tmp_path: Path, home: dict[str, str]) -> None:
    ours = {**home, CONTENT: MINE}
    assert delivery.is_sound(ours)
    assert not delivery.is_sound(home)
    assert not delivery.is_sound({**home, CONTENT: "{}"})
    for where, path in ((f"{{file:{tmp_path}/key}}", tmp_path / "key"), ("{file:~/key}", Path(home["HOME"], "key"))):
        refers = {**home, CONTENT: MINE.replace('"k"', f'"{where}"')}
        assert not delivery.is_sound(refers)
        write(path, "k")
        assert delivery.is_sound(refers)
    cached = Path(variables.cache_folder(home), "payload.json")
    assert delivery.is_sound({**ours, FILE: str(cached)})  # opencode passes over one that is not there
    write(cached, "{file:/nowhere}")
    assert not delivery.is_sound({**ours, FILE: str(cached)})
    cached.write_bytes(b"\xff")
    assert not delivery.is_sound({**ours, FILE: str(cached)})
    other = write(tmp_path / "own.json", "{file:/nowhere}")
    assert delivery.is_sound({**ours, FILE: str(other)})


@pytest.mark.skipif(sys.platform != "linux", reason="a file that even root cannot read is in /proc")
def test_a_delivery_whose_file_cannot_be_read_is_not_sound(tmp_path: Path, home: dict[str, str]) -> None:
    file = tmp_path / f"{delivery.TEMPORARY}payload.json"
    file.symlink_to("/proc/self/mem")
    assert not delivery.is_sound({**home, CONTENT: MINE, FILE: str(file)})


FILES: dict[str, tuple[str | None, bool]] = {
    '{"username": "me"}': ("theirs", True),
    MINE: (None, False),
    '{"a": 1, "$schema": "https://opencode.ai/config.json#opencode-litellm"}': (None, False),
    '["https://opencode.ai/config.json#opencode-litellm"]': ("theirs", True),
    '{"opencode-litellm": ': ("theirs", True),
}


@pytest.mark.parametrize("text", FILES)
def test_a_file_is_the_user_s_unless_its_schema_is_ours(text: str, tmp_path: Path, home: dict[str, str]) -> None:
    file = str(write(tmp_path / "theirs", text))
    whose, theirs = FILES[text]
    assert delivery.users_file({**home, FILE: file}) == (whose and file)
    changes = delivery.by_file("/payload", {**home, FILE: file})
    assert (changes[FILE], changes.get(USERS_FILE)) == ("/payload", None if theirs else file)


def test_a_pipe_is_the_user_s_and_is_not_read(tmp_path: Path, home: dict[str, str]) -> None:
    os.mkfifo(tmp_path / "pipe")
    with subprocess.Popen(["sh", "-c", "echo text >pipe"], cwd=tmp_path) as writer:
        assert delivery.users_file({**home, FILE: str(tmp_path / "pipe")}) == str(tmp_path / "pipe")
        with pytest.raises(subprocess.TimeoutExpired):
            writer.wait(0.2)
        writer.kill()


@pytest.mark.parametrize("folder", ["cache", "temporary"])
def test_a_file_of_an_earlier_delivery_gives_way_to_what_it_replaced(folder: str, home: dict[str, str]) -> None:
    path = Path(variables.cache_folder(home), "p.json")
    if folder == "temporary":
        path = Path(home["TMPDIR"], f"{delivery.TEMPORARY}p.json")
    after = {**home, FILE: str(path)}
    assert (delivery.users_file(after), delivery.undone(after)) == (None, home)
    after |= {USERS_FILE: "/mine"}
    assert delivery.undone(after) == {**home, FILE: "/mine"}
    assert delivery.undone({**home, FILE: "/later", USERS_FILE: "/mine"}) == {**home, FILE: "/later"}


def test_a_server_shares_no_content_and_not_that_any_model_may_be_named(home: dict[str, str]) -> None:
    any_model = {**home, variables.NAMED_MODEL: variables.ANY_MODEL, CONTENT: "{}"}
    assert delivery.shared(any_model) == home
    named = {**home, variables.NAMED_MODEL: "litellm/a"}
    assert delivery.shared(named) == named


LONGEST: dict[str, tuple[int, int]] = {"win32": (32_767, 32_768), "linux": (131_072, 131_073), "darwin": (131_073, 0)}


@pytest.mark.parametrize("platform", LONGEST)
def test_one_variable_may_be_as_long_as_the_system_allows(platform: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    fits, fails = (length - len("N") - 2 for length in LONGEST[platform])
    assert delivery.fits({"N": "x" * fits}, {})
    assert fails < 0 or not delivery.fits({"N": "x" * fails}, {})


@pytest.mark.skipif(sys.platform != "linux", reason="Linux takes it from the stack")
def test_all_variables_may_be_three_quarters_of_what_the_system_has_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    stack = resource.getrlimit(resource.RLIMIT_STACK)
    room = 6 * 2**20 if stack[0] == resource.RLIM_INFINITY else max(min(stack[0] // 4, 6 * 2**20), 128 * 2**10)
    each = {"x" * 10: "y" * (1000 - 10 - 2 - 8)}

    def environment(size: int) -> Mapping[str, str]:
        return {f"{number:010}": "".join(each.values()) for number in range(size // 1000)}

    assert delivery.fits({}, environment(room * 3 // 4 - 1000))
    assert not delivery.fits({}, environment(room * 3 // 4 + 2000))
    monkeypatch.setattr(sys, "platform", "darwin")
    largest = os.sysconf("SC_ARG_MAX") * 3 // 4
    assert delivery.fits({}, environment(min(largest, 10**7) - 1000))
    assert not delivery.fits({}, environment(largest + 2000))


@pytest.fixture
def discovery(home: dict[str, str], stub_proxy: Callable[..., StubProxy]) -> Callable[..., Handover]:
    """Return a function from a configuration to the Handover, by ``hand_over`` if ``launch`` is given."""

    def handed(
        beside: Mapping[str, str], options: Mapping[str, Any], recipient: str = versions.ONE, **how: bool
    ) -> Handover:
        configure(home, baseURL=f"{stub_proxy(['gpt-4o']).url}/v1", apiKey="{env:K}", **options)
        environment = {**home, "K": "sk", **beside}
        settings = sections.parse(environment, configuration.read(environment, home["HOME"]))
        found = discover(settings, environment, Patience.of(5))
        if how:
            return handover.hand_over(found, settings, environment, recipient=recipient, **how)
        return handover.hand_over_to_shell(found, settings, environment, recipient=recipient, travels=False)

    return handed


PRIVATE = {CONTENT: '{"provider": {"other": {"options": {"apiKey": "sk-literal"}}}}'}
NO_CACHE = {"XDG_CACHE_HOME": "/proc/none"}
NO_ROOM = {CONTENT: json.dumps({"instructions": ["x" * 131_000]})}


def test_content_that_env_would_print_makes_it_a_file_or_a_failure(
    discovery: Callable[..., Handover], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cached = discovery(PRIVATE, {}, launch=False)
    assert (cached.mode, os.path.basename(str(cached.changes[FILE]))) == (BY_FILE, cached.payload_file)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    temporary = discovery({**PRIVATE, **NO_CACHE}, {}, launch=False)
    assert os.path.dirname(str(temporary.changes[FILE])) == str(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", "/proc/none")
    with pytest.raises(Undeliverable, match="no file can be written"):
        discovery({**PRIVATE, **NO_CACHE}, {}, launch=False)


def test_a_payload_too_large_for_inline_goes_by_file_or_not_at_all(
    discovery: Callable[..., Handover], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inline = {**NO_ROOM, "OPENCODE_LITELLM_DELIVERY": "inline"}
    assert os.path.basename(str(discovery(inline, {}, launch=True).changes[FILE])).startswith("payload-")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    temporary = discovery({**inline, **NO_CACHE}, {}, launch=True)
    assert os.path.dirname(str(temporary.changes[FILE])) == str(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", "/proc/none")
    with pytest.raises(Undeliverable, match="no file can be written"):
        discovery({**inline, **NO_CACHE}, {}, launch=True)


def test_limits_stand_above_but_for_an_opencode_that_reads_no_content(discovery: Callable[..., Handover]) -> None:
    only = {"only": True}
    assert discovery({}, only, launch=True).mode == HEAD
    old = discovery({}, only, versions.ONE_BY_FILE, launch=True)
    assert (old.mode, CONTENT in old.changes) == (BY_FILE, False)


def test_for_any_folder_what_a_project_may_replace_goes_below_it(
    discovery: Callable[..., Handover], home: dict[str, str]
) -> None:
    wish = {"model": "gpt-4o"}
    both = discovery({}, wish)
    assert {CONTENT, FILE} <= set(both.changes)
    assert "gpt-4o" not in json.loads(Path(str(both.changes[FILE])).read_text()).get("provider", {})
    assert json.loads(Path(str(both.changes[FILE])).read_text())["model"] == "litellm/gpt-4o"
    own = str(write(Path(home["HOME"], "own.json"), "{}"))
    for beside, options in (({}, {}), (NO_CACHE, wish), ({FILE: own}, wish)):
        assert FILE not in discovery(beside, options).changes, beside
    by_file = discovery({"OPENCODE_LITELLM_DELIVERY": "file"}, wish)
    assert "models" in Path(str(by_file.changes[FILE])).read_text()


@pytest.mark.parametrize(("flag", "address"), [({}, "http://theirs/v1"), ({URL_FLAG: "http://ours"}, "http://ours/v1")])
def test_an_address_of_the_user_s_content_stays_unless_a_flag_names_another(
    flag: dict[str, str], address: str, home: dict[str, str]
) -> None:
    payload = {"$schema": delivery.MARKER, "provider": {"litellm": {"options": {"baseURL": "http://ours/v1"}}}}
    content = {"provider": {"litellm": {"options": {"baseURL": "http://theirs/v1"}}}}
    environment = {**home, **flag, CONTENT: json.dumps(content)}
    merged = delivery.inline(json.dumps(payload), environment, launch=True)[CONTENT]
    assert json.loads(merged or "")["provider"]["litellm"]["options"]["baseURL"] == address


@pytest.mark.parametrize("launch", [True, False])
def test_env_names_detected_proxies_and_a_launch_does_not(
    launch: bool, home: dict[str, str], stub_proxy: Callable[..., StubProxy]
) -> None:
    configure(home, baseURL=f"{stub_proxy(['gpt-4o']).url}/v1")
    settings = sections.parse(home, configuration.read(home, home["HOME"]))
    discovery = discover(settings, home, Patience.of(5))
    detected = replace(discovery, payload=replace(discovery.payload, detected=("http://127.0.0.1:4000",)))
    changes = handover.hand_over(detected, settings, home, launch=launch, recipient=versions.ONE).changes
    assert changes.get(variables.DETECTED) == (None if launch else "http://127.0.0.1:4000")
