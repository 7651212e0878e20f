"""A payload reaches opencode beside what the user has in the same two variables, and leaves without a trace."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from world.handover import ENV, EXEC, applied, asked, handed_over
from world.opencode import run
from world.server import free_port

from opencode_litellm import jsonc, variables
from opencode_litellm.opencode import delivery

if TYPE_CHECKING:
    from collections.abc import Callable

    from world.opencode import Opencode
    from world.stub import StubProxy

FILE, INLINE = variables.CONFIG, variables.CONFIG_CONTENT
LONGEST = 131_072  # bytes of one NAME=value and its final zero, on Linux

# The second name is a hostile one.
pytestmark = pytest.mark.serves("gpt-4o", "{env:HOME}-{file:~/.bashrc}")


@pytest.fixture
def environment(user: dict[str, str]) -> dict[str, str]:
    return user


def folder(environment: dict[str, str]) -> Path:
    return Path(environment["HOME"])


def delivered(environment: dict[str, str]) -> dict[str, str]:
    """Return the variables of an environment that can be ours or the user's."""
    ours = ("OPENCODE_CONFIG", "OPENCODE_LITELLM_NO_KEY", "OPENCODE_LITELLM_USER", "OPENCODE_LITELLM_HEADER")
    return {name: value for name, value in environment.items() if name.startswith(ours)}


def content(environment: dict[str, str], **options: Any) -> dict[str, str]:
    """Return the environment with inline content of the user's."""
    mine = {"provider": {"mine": {"options": options}}}
    return {**environment, INLINE: json.dumps(mine)}


def providers(text: str) -> dict[str, Any]:
    value = jsonc.parse(text)
    assert isinstance(value, dict)
    found: dict[str, Any] = value["provider"]  # type: ignore[assignment]
    return found


def test_a_launch_gets_a_private_file_and_env_the_text(environment: dict[str, str]) -> None:
    launched = delivered(handed_over(EXEC, environment, folder(environment)))
    file = Path(launched.pop(FILE))
    assert launched == {"OPENCODE_LITELLM_NO_KEY": "none"}
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)

    exported = delivered(handed_over(ENV, environment, folder(environment)))
    above, below = providers(exported.pop(INLINE)), providers(file.read_text())
    assert {name: section["models"] for name, section in above.items()} == {
        name: section["models"] for name, section in below.items()
    }
    # Below a project, an address must not be in a place where it beats the project's own.
    assert "baseURL" in above["litellm"]["options"]
    assert "options" not in below["litellm"]
    assert "api" in below["litellm"]
    assert set(exported) <= {"OPENCODE_LITELLM_NO_KEY"}


def test_users_own_file_keeps_its_variable(environment: dict[str, str]) -> None:
    own = folder(environment) / "own.json"
    own.write_text('{"$schema": "x", "provider": {"mine": {}}}')
    for there in (str(own), "own.json", str(folder(environment) / "missing.json")):
        for how in (EXEC, ENV):
            after = delivered(handed_over(how, {**environment, FILE: there}, folder(environment)))
            assert after.pop(FILE) == there
            assert list(providers(after.pop(INLINE))) == ["litellm"]
            assert after == {}


def test_users_content_stays_on_top_its_references_alive_and_the_proxys_strings_dead(
    environment: dict[str, str], opencode: Opencode
) -> None:
    home = folder(environment)
    (home / "secret").write_text("from the file\n")
    mine = {
        "provider": {
            "litellm": {"name": "{env:MY_NAME}", "options": {"timeout": 1}},
            "mine": {"name": "{file:./secret}", "options": {"dead": "\\u007benv:MY_NAME}"}},
        },
        "model": "litellm/gpt-4o",
    }
    text = "// mine\n" + json.dumps(mine).replace("\\\\u", "\\u").replace('"gpt-4o"}', '"gpt-4o",}')
    own = {**environment, "MY_NAME": 'quoted \\"name\\"', INLINE: text}
    for how in (EXEC, ENV):
        after = handed_over(how, own, home)
        merged = opencode.debug_config(after, home)
        assert merged["model"] == "litellm/gpt-4o"
        assert merged["provider"]["mine"] == {"name": "from the file", "options": {"dead": "{env:MY_NAME}"}}
        assert merged["provider"]["litellm"]["name"] == 'quoted "name"'
        assert merged["provider"]["litellm"]["options"]["timeout"] == 1
        assert set(merged["provider"]["litellm"]["models"]) == {"gpt-4o", "{env:HOME}-{file:~/.bashrc}"}
        if how == ENV:
            assert after[variables.USER_CONTENT] == text


BARE_VARIABLE = '{"provider": {"mine": {"options": {"timeout": {env:SECONDS}, "name": "{env:SECONDS}"}}}}'
BARE_FILE = '{"provider": {"mine": {"options": {"timeout": {file:./seconds}}}}}'
QUOTES = "put quotes around {env:…} and {file:…} in it, or move it into a configuration file"


@pytest.mark.drawn(1)
@pytest.mark.parametrize("own_file", [{}, {FILE: "own.json"}], ids=["", "beside a file of their own"])
def test_a_launch_merges_content_with_a_variable_outside_of_a_string(
    own_file: dict[str, str], environment: dict[str, str], opencode: Opencode
) -> None:
    (folder(environment) / "own.json").write_text('{"$schema": "x"}')
    own = {**environment, **own_file, INLINE: BARE_VARIABLE, "OPENCODE_LITELLM_DELIVERY": "inline"}
    for seconds in ("1", "2"):  # cold and warm
        launched = asked(EXEC, {**own, "SECONDS": seconds}, folder(environment))
        assert launched.stderr == ""
        after = dict(line.split("=", 1) for line in launched.stdout.split("\0") if line)
        merged = opencode.debug_config(after, folder(environment))["provider"]
        assert merged["mine"]["options"] == {"timeout": int(seconds), "name": seconds}
        assert "gpt-4o" in merged["litellm"]["models"]


@pytest.mark.parametrize("theirs", [BARE_VARIABLE, BARE_FILE], ids=["variable", "file"])
def test_env_repeats_no_value_that_stands_outside_of_a_string(theirs: str, environment: dict[str, str]) -> None:
    (folder(environment) / "seconds").write_text("1")
    exported = asked(ENV, {**environment, INLINE: theirs, "SECONDS": "1"}, folder(environment))
    assert (exported.status, exported.stdout) == (2, "")
    assert "its current value cannot be merged with them: line 1, column" in exported.stderr
    assert exported.stderr.endswith(f": {QUOTES}\n")


def test_content_that_cannot_be_merged_is_left_alone_with_a_line(environment: dict[str, str]) -> None:
    (folder(environment) / "seconds").write_text("1")
    own = {**environment, INLINE: BARE_FILE, "OPENCODE_LITELLM_DELIVERY": "inline"}
    launched = asked(EXEC, own, folder(environment))
    assert f"{INLINE}={BARE_FILE}\0" in launched.stdout
    assert launched.stderr.count("\n") == 1
    assert "its current value cannot be merged with them: line 1, column" in launched.stderr
    assert "so they are delivered in" in launched.stderr

    launched = asked(EXEC, {**own, FILE: "own.json"}, folder(environment))
    assert f"{INLINE}={BARE_FILE}\0" in launched.stdout
    assert launched.stderr.endswith(
        f", and {FILE} names a file of your own: unset {FILE}, or {QUOTES}. opencode starts without LiteLLM's models\n"
    )


def test_content_that_opencode_cannot_read_is_left_to_opencode(environment: dict[str, str]) -> None:
    own = {**environment, INLINE: '{"provider": }'}
    launched = asked(EXEC, own, folder(environment))
    assert launched.status == 0
    assert f'{INLINE}={{"provider": }}\0' in launched.stdout
    assert FILE not in delivered(dict(line.split("=", 1) for line in launched.stdout.split("\0") if line))
    exported = asked(ENV, own, folder(environment))
    assert (exported.status, exported.stdout) == (6, "")
    assert f"{INLINE}:1:14: " in exported.stderr


@pytest.mark.long
@pytest.mark.parametrize(
    "users",
    [
        {},
        {INLINE: ""},
        {INLINE: '{ "provider": {} } // mine'},
        {FILE: "own.json"},
        {FILE: "own.json", INLINE: '{"instructions": ["a"]}'},
        {FILE: "output.json"},
        {FILE: "output.json", INLINE: '{"instructions": ["a"]}'},
    ],
    ids=lambda users: " and ".join(f"{name}={value}" for name, value in users.items()) or "nothing",
)
def test_never_stacked_and_undone_byte_for_byte(users: dict[str, str], environment: dict[str, str]) -> None:
    home = folder(environment)
    (home / "own.json").write_text('{"$schema": "x"}')
    assert run(["opencode-litellm", "config", "--output", "output.json"], environment).status == 0
    before = {**environment, **users}
    once = handed_over(ENV, before, home)
    launched = handed_over(EXEC, before, home)

    assert handed_over(ENV, once, home) == once
    assert delivered(handed_over(EXEC, once, home)) == delivered(launched)
    assert delivered(handed_over(ENV, launched, home)) == delivered(once)
    assert delivered(handed_over(EXEC, launched, home)) == delivered(launched)
    for after in (once, launched):
        assert applied(after, run(["opencode-litellm", "env", "json", "--unset"], after).stdout) == before


def test_a_launch_inside_of_a_launch_asks_for_nothing_new(environment: dict[str, str], proxy: StubProxy) -> None:
    first = handed_over(EXEC, environment, folder(environment))
    proxy.requests.clear()
    second = handed_over(EXEC, first, folder(environment))
    handed_over(EXEC, handed_over(ENV, second, folder(environment), "--quiet"), folder(environment))
    assert handed_over(EXEC, second, folder(environment)) == first
    assert [path for path in proxy.paths() if path == "/v1/models"] == ["/v1/models"] * 4


def test_a_file_that_env_delivered_is_undone_too(environment: dict[str, str]) -> None:
    once = handed_over(ENV, environment, folder(environment), "--delivery", "file")
    assert set(delivered(once)) == {FILE, INLINE, variables.NO_KEY}
    # The address and its key rank above other folders' configuration; the models need not.
    assert {name: section["models"] for name, section in providers(once[INLINE]).items()} == {"litellm": {}}
    assert len(providers(Path(once[FILE]).read_text())["litellm"]["models"]) == 2
    assert handed_over(ENV, once, folder(environment), "--delivery", "file") == once
    assert applied(once, run(["opencode-litellm", "env", "json", "--unset"], once).stdout) == environment


def test_secrets_of_an_outer_launch_do_not_stay(environment: dict[str, str]) -> None:
    outer = {**environment, "OPENCODE_LITELLM_HEADER_0123": "of another project", variables.NO_KEY: "none"}
    for how in (EXEC, ENV):
        after = handed_over(how, outer, folder(environment))
        assert "OPENCODE_LITELLM_HEADER_0123" not in after


def test_our_own_output_in_the_global_folder_is_not_the_users(environment: dict[str, str]) -> None:
    output = folder(environment) / ".config/opencode/opencode.json"
    output.parent.mkdir(parents=True)
    command = ["opencode-litellm", "config", "--output", str(output)]
    assert run(command, environment).status == 0
    first = output.read_bytes()
    assert run([*command, "--check"], environment).status == 0
    assert run(command, environment).status == 0
    assert output.read_bytes() == first
    assert list(providers(handed_over(ENV, environment, folder(environment))[INLINE])["litellm"]["models"])


@pytest.mark.drawn(1)
@pytest.mark.parametrize("how", [EXEC, ENV])
def test_an_output_of_ours_that_the_user_chose_is_replaced_as_long_as_a_delivery_lasts(
    how: str, environment: dict[str, str], proxy: StubProxy, opencode: Opencode
) -> None:
    output = folder(environment) / "models.json"
    assert run(["opencode-litellm", "config", "--output", str(output)], environment).status == 0
    before = {**environment, FILE: str(output)}
    proxy.serve(["claude"])
    after = handed_over(how, before, folder(environment))
    assert set(opencode.debug_config(after, folder(environment))["provider"]["litellm"]["models"]) == {"claude"}
    assert applied(after, run(["opencode-litellm", "env", "json", "--unset"], after).stdout) == before
    assert run(["opencode-litellm", "env", "json", "--unset"], before).stdout.strip() == "{}"


@pytest.mark.parametrize(
    ("failing", "stays"),
    [("the key is refused", False), ("the proxy is away", True), ("a file is gone", False), ("no JSON", False)],
)
def test_models_that_env_delivered_are_withdrawn_once_they_cannot_be_trusted(
    failing: str, stays: bool, home: dict[str, str], stub_proxy: Callable[..., StubProxy]
) -> None:
    proxy, there, elsewhere = stub_proxy(["gpt-4o"], key="sk-right"), folder(home) / "there", folder(home) / "elsewhere"
    for place in (there, elsewhere):
        place.mkdir()
    (there / "key").write_text("sk-right")
    section = {"options": {"baseURL": f"{proxy.url}/v1", "apiKey": "{file:key}"}}
    (there / "opencode.json").write_text(json.dumps({"$schema": "x", "provider": {"litellm": section}}))
    place = there if failing in {"the key is refused", "no JSON"} else elsewhere
    away = {"OPENCODE_LITELLM_URL": f"http://127.0.0.1:{free_port()}"} if place == elsewhere else {}
    once = {**handed_over(ENV, home, there), **away}
    if failing == "the key is refused":
        proxy.key = "sk-another"
    elif failing == "a file is gone":
        (there / "key").unlink()
    elif failing == "no JSON":
        (there / "opencode.json").write_text("{")
    launched = asked(EXEC, once, place)
    after = dict(line.split("=", 1) for line in launched.stdout.split("\0") if line)
    assert (launched.status, launched.stderr.count("\n")) == (0, 1)
    assert (delivered(after) == delivered(once), delivered(after) == {}) == (stays, not stays)
    what = "with the models that an earlier env delivered" if stays else "without LiteLLM's models"
    # opencode itself does not start with this file, which is all that there is to say.
    said = "; opencode itself does not start until you do" if failing == "no JSON" else f". opencode starts {what}"
    assert launched.stderr.endswith(f"{said}\n")


def test_a_file_that_was_handed_out_lives_for_30_days_after_its_last_use(
    environment: dict[str, str], proxy: StubProxy
) -> None:
    once = handed_over(ENV, environment, folder(environment), "--delivery", "file")
    file, day = Path(once[FILE]), 24 * 3600
    proxy.serve(["another"])
    long_ago = time.time() - 60 * day
    for accessed, stays in ((29, True), (31, False)):
        os.utime(file, (time.time() - accessed * day, long_ago))
        assert run(["opencode-litellm", "refresh"], environment).status == 0
        assert file.exists() == stays


@pytest.mark.skipif(sys.platform != "linux", reason="the limit for one string is Linux's")
def test_inline_up_to_the_last_byte_that_the_system_allows(home: dict[str, str]) -> None:
    def payload(size: int) -> str:
        return '{"provider":{}}'.rjust(size - len(f"{INLINE}=") - 1)

    longest = delivery.inline(payload(LONGEST), home, launch=True)
    assert subprocess.run(["true"], env={**home, **longest}, check=False).returncode == 0
    with pytest.raises(delivery.Undeliverable):
        delivery.inline(payload(LONGEST + 1), home, launch=True)
    with pytest.raises(OSError, match="Argument list too long"):
        subprocess.run(["true"], env={**home, INLINE: payload(LONGEST + 1)}, check=False)


@pytest.mark.parametrize("stack", ["unlimited", "8192", "512"])
def test_never_more_than_arguments_and_environment_may_have_together(
    stack: str, environment: dict[str, str], proxy: StubProxy
) -> None:
    proxy.serve([f"gpt-4o-{number}" for number in range(400)])  # some 100 kB
    large = {**environment, **{f"LARGE_{number}": "x" * 10_000 for number in range(4)}}
    command = f'ulimit -s {stack}; eval "$(opencode-litellm env bash)"; exec env -0'
    finished = run(["bash", "-c", command], large)
    after = dict(line.split("=", 1) for line in finished.stdout.split("\0") if line)
    assert (FILE in after) == (stack == "512")
    assert bool(finished.stderr) == (stack == "512")
    assert INLINE in after


def test_a_payload_too_large_for_inline_goes_by_file_with_its_head_above(
    environment: dict[str, str], proxy: StubProxy, opencode: Opencode
) -> None:
    many = [f"model-{number}" for number in range(2000)]
    proxy.serve(many)
    for how in (EXEC, ENV):
        finished = asked(how, {**environment, "OPENCODE_LITELLM_DELIVERY": "inline"}, folder(environment))
        assert finished.stderr.count("\n") == 1
        assert "cannot hold 2000 models" in finished.stderr
        after = handed_over(how, {**environment, "OPENCODE_LITELLM_DELIVERY": "inline"}, folder(environment))
        merged = opencode.debug_config(after, folder(environment))["provider"]["litellm"]
        assert merged["options"] == {"baseURL": f"{proxy.url}/v1", "apiKey": "***"}
        assert set(merged["models"]) == set(many)

    own = {**environment, FILE: "own.json"}
    launched = asked(EXEC, own, folder(environment))
    assert launched.status == 0
    assert "OPENCODE_CONFIG names a file of your own" in launched.stderr
    assert INLINE not in launched.stdout
