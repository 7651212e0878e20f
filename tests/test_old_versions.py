"""Versions before 1.2.11 do not replace references in inline content: launches put the key itself there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from world import opencodes
from world.home import configure
from world.opencode import run
from world.stub import MODELS

from opencode_litellm.opencode import commandline, versions

if TYPE_CHECKING:
    from collections.abc import Callable

    from world.opencode import Finished, Opencode
    from world.stub import StubProxy

KEY, FOREIGN = "sk-of-the-proxy", "sk-of-somebody-else"
pytestmark = pytest.mark.serves("gpt-4o", "gpt-5", "{env:LITELLM_API_KEY}", key=KEY)

# A stand-in for opencode: its package says which version it is, and it prints what it was given.
SHOW = '#!/bin/sh\nprintf "%s\\n%s" "$OPENCODE_CONFIG" "$OPENCODE_CONFIG_CONTENT"\nexit 7\n'


@pytest.fixture
def user(user: dict[str, str]) -> dict[str, str]:
    return user | {"OPENAI_API_KEY": FOREIGN}


def use(user: dict[str, str], version: str) -> None:
    """Replace opencode by a stand-in for a version."""
    package = Path(user["HOME"], "node_modules/opencode-ai")
    (package / "bin").mkdir(parents=True)
    (package / "bin/opencode").write_text(SHOW)
    (package / "bin/opencode").chmod(0o755)
    (package / "package.json").write_text(json.dumps({"name": "opencode-ai", "version": version}))
    link = Path(user["HOME"], "bin/opencode")
    link.unlink(missing_ok=True)
    link.symlink_to(package / "bin/opencode")


def launch(user: dict[str, str]) -> tuple[str, str, str]:
    """Return the file and the content that a launch gives to opencode, and what it says."""
    finished = run(["opencode-with-litellm"], user)
    assert finished.status == 7, finished
    file, _, content = finished.stdout.partition("\n")
    return file, content, finished.stderr


def own_file(user: dict[str, str]) -> dict[str, str]:
    """Return the environment with a file of the user's own in OPENCODE_CONFIG, so that launches go inline."""
    path = Path(user["HOME"], "mine.json")
    path.write_text('{"username": "me"}')
    return {**user, "OPENCODE_CONFIG": str(path)}


@pytest.mark.parametrize(("version", "written"), [("1.2.10", KEY), ("1.2.11", "{env:LITELLM_API_KEY}")])
def test_inline_content_holds_the_key_itself_where_a_reference_would_stay_one(
    user: dict[str, str], proxy: StubProxy, version: str, written: str
) -> None:
    use(user, version)
    for _ in range(2):  # cold, then warm
        file, content, said = launch(own_file(user))
        assert (file, said) == (own_file(user)["OPENCODE_CONFIG"], "")
        provider = json.loads(content)["provider"]
        assert provider["litellm"]["options"] == {"baseURL": f"{proxy.url}/v1", "apiKey": written}
        assert "{env:LITELLM_API_KEY}" in provider["litellm"]["models"]
        assert "\\u007benv:LITELLM_API_KEY}" in content
    assert proxy.paths()[-1] == MODELS
    kept = "".join(path.read_text() for path in Path(user["XDG_CACHE_HOME"]).rglob("*.json"))
    assert KEY not in kept


def test_inline_content_holds_a_literal_header_itself_too(user: dict[str, str], proxy: StubProxy) -> None:
    use(user, "1.2.10")
    configure(user, baseURL=f"{proxy.url}/v1", customHeaders={"X-Team": "team-1"})
    for _ in range(2):  # cold, then warm
        _, content, said = launch(own_file(user))
        assert said == ""
        assert json.loads(content)["provider"]["litellm"]["options"]["headers"] == {"X-Team": "team-1"}


def test_a_file_names_the_key_whatever_the_version(user: dict[str, str]) -> None:
    use(user, "1.2.10")
    file, content, _ = launch(user)
    assert content == ""
    text = Path(file).read_text()
    assert '"env":["LITELLM_API_KEY"]' in text
    assert KEY not in text


def test_users_inline_content_stays_as_it_is(user: dict[str, str]) -> None:
    use(user, "1.2.10")
    content = '{"provider": {"other": {"options": {"apiKey": "{env:OTHER}"}}}}'
    _, merged, _ = launch({**own_file(user), "OPENCODE_CONFIG_CONTENT": content})
    provider = json.loads(merged)["provider"]
    assert provider["other"] == {"options": {"apiKey": "{env:OTHER}"}}
    assert provider["litellm"]["options"]["apiKey"] == KEY


def env(user: dict[str, str], *flags: str) -> Finished:
    return run(["opencode-litellm", "env", "json", *flags], user)


@pytest.mark.parametrize("flags", [[], ["--delivery", "file"], ["--delivery", "inline"]])
def test_env_refuses_what_would_list_models_that_cannot_be_called(user: dict[str, str], flags: list[str]) -> None:
    use(user, "1.2.10")
    finished = env(user, *flags)
    assert (finished.status, finished.stdout) == (2, "")
    assert "1.2.11 or newer" in finished.stderr


@pytest.fixture
def open_to_all(user: dict[str, str], stub_proxy: Callable[..., StubProxy]) -> dict[str, str]:
    """Return the environment of a user with no key, whose opencode is an old one and whose proxy wants none."""
    use(user, "1.2.10")
    del user["LITELLM_API_KEY"]
    return {**user, "OPENCODE_LITELLM_URL": stub_proxy(["gpt-4o"]).url}


def test_env_goes_by_file_where_no_key_could_meet_another_address(open_to_all: dict[str, str]) -> None:
    finished = env(open_to_all)
    assignments = json.loads(finished.stdout)
    assert assignments["OPENCODE_CONFIG"]
    assert not assignments.get("OPENCODE_CONFIG_CONTENT")
    assert env(own_file(open_to_all)).status == 2


def test_env_refuses_likewise_where_a_header_could_meet_another_address(user: dict[str, str], proxy: StubProxy) -> None:
    use(user, "1.2.10")
    del user["LITELLM_API_KEY"]
    configure(user, baseURL=f"{proxy.url}/v1", apiKey="", customHeaders={"Authorization": f"Bearer {KEY}"})
    finished = env(user)
    assert (finished.status, finished.stdout) == (2, "")
    assert "1.2.11 or newer" in finished.stderr


def test_env_says_where_it_needs_a_file_and_can_have_none(open_to_all: dict[str, str]) -> None:
    nowhere = run(["sh", "-c", "(ulimit -f 0; exec opencode-litellm env json) 2>&1 | cat"], open_to_all)
    assert nowhere.stdout.endswith("no file can be written: set XDG_CACHE_HOME to a folder that you can write to\n")


def test_before_1_0_all_goes_by_file_and_a_file_of_the_users_is_not_pushed_aside(user: dict[str, str]) -> None:
    use(user, "0.5.29")
    file, content, said = launch(user)
    assert (bool(file), content, said) == (True, "", "")
    file, content, said = launch(own_file(user))
    assert (file, content) == (own_file(user)["OPENCODE_CONFIG"], "")
    assert "1.2.11 or newer" in said


def test_doctor_says_what_an_old_version_cannot_do(user: dict[str, str]) -> None:
    use(user, "1.0.0")
    (Path(user["HOME"]) / "node_modules/opencode-ai/bin/opencode").write_text("#!/bin/sh\necho 1.0.0\n")
    said = run(["opencode-litellm", "doctor", "--json"], user).stdout
    (check,) = [check for check in json.loads(said)["checks"] if check["check"] == "opencode"]
    assert check["status"] == "warning"
    for change in (versions.FILE_BELOW_PROJECT, versions.CHATS, versions.SHORT_HELP, versions.LIVE_INLINE):
        assert change.before in check["finding"]
    assert versions.INLINE.before not in check["finding"]
    assert check["remedy"] == "update it to 1.2.11 or newer"


@pytest.mark.parametrize(("version", "needed"), [("1.0.0", True), ("1.0.61", False), ("1.18.33", False)])
def test_h_was_an_option_for_an_address(version: str, needed: bool) -> None:
    grammar = commandline.of(versions.Version(version, 1))
    assert commandline.uses_models(["serve", "-h", "0.0.0.0"], grammar) is needed  # noqa: S104 - on no socket


def test_the_first_real_version_that_replaces_references_chats_both_ways(
    user: dict[str, str], proxy: StubProxy, opencode: Opencode
) -> None:
    link = Path(user["HOME"], "bin/opencode")
    link.unlink()
    link.symlink_to(opencodes.program(opencodes.OLD))
    for environment, model, path in (
        (user, "litellm/gpt-4o", "/v1/chat/completions"),
        (own_file(user), "litellm-responses/gpt-5", "/v1/responses"),
    ):
        opencode.run(environment, model, "hi", program="opencode-with-litellm")
        asked = {(request.path, request.key) for request in proxy.inferences(model.partition("/")[2])}
        assert asked == {(path, KEY)}
    assert not any(FOREIGN in str(dict(request.headers)) for request in proxy.requests)
