"""opencode 2 from outside: a stand-in for it, the real opencode 1 beside it, and what happens to files."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from world.home import replaced
from world.launches import cache
from world.opencode import run
from world.stub import MODEL_GROUP_INFO, MODELS

from opencode_litellm import jsonc
from opencode_litellm.opencode import commandline, server, versions
from opencode_litellm.opencode.delivery import SLOT_MARKER

if TYPE_CHECKING:
    from collections.abc import Callable

    from world.opencode import Finished, Opencode
    from world.stub import StubProxy

# What stands in for opencode 2: it says its version, and otherwise its variables and arguments.
SECOND = """#!/bin/sh
if [ "$1" = --version ]; then echo "opencode v2.0.30"; exit; fi
env | grep -E '^(OPENCODE_CONFIG|OPENCODE_CONFIG_CONTENT|OPENCODE_LITELLM_.*)=' | grep -Ev '_(URL|DISABLE|ONLY)='
echo "started $*"
exit 7
"""
KEY, FOREIGN = "sk-of-the-proxy", "sk-of-somebody-else"
pytestmark = pytest.mark.serves("gpt-4o", "gpt-5", key=KEY)

USERS = {
    "opencode.json": '{\n  "$schema": "https://opencode.ai/config.json", // mine\n  "theme": "one",\n}\n',
    "opencode.jsonc": '{"theme": "two", "mcp": {}}',
}
# Somebody puts a file into the slot, or a link, at the moment when our program has begun to write there.
MEANWHILE = """
import os, sys

def put(event, arguments):
    if event == "open" and str(arguments[0]).endswith(".tmp") and os.path.dirname(arguments[0]) == folder:
        if not os.path.lexists(slot):
            (os.link if what == "a file" else os.symlink)(theirs, slot)

_, what, folder, theirs = sys.argv
slot = os.path.join(folder, "opencode.jsonc")
sys.addaudithook(put)
sys.argv = ["opencode-litellm", "exec", "--", "opencode"]
from opencode_litellm.__main__ import main
sys.exit(main())
"""
REASONING = {
    "data": [
        {"model_group": name, "mode": "chat", "supports_reasoning": True, "supported_reasoning_efforts": ["low"]}
        for name in ("gpt-4o", "gpt-5")
    ]
}


@pytest.fixture
def user(user: dict[str, str]) -> dict[str, str]:
    """Return the environment of a user whose opencode is version 2, the real version 1 being opencode1."""
    folder = Path(user["HOME"], "bin")
    real = folder / "opencode"
    if real.is_symlink():
        (folder / "opencode1").mkdir()
        (folder / "opencode1/opencode").symlink_to(os.readlink(real))
        real.unlink()
    real.write_text(SECOND)
    real.chmod(0o755)
    return user


def first(user: dict[str, str]) -> dict[str, str]:
    """Return the environment of the same person with opencode 1 first on PATH."""
    folder = Path(user["HOME"], "bin/opencode1")
    return {**user, "PATH": f"{folder}{os.pathsep}{user['PATH']}"}


def launch(user: dict[str, str], *arguments: str, name: str = "opencode") -> Finished:
    finished = run(["opencode-litellm", "exec", "--", name, *arguments], user)
    assert finished.status == 7, finished
    return finished


def folder_of(user: dict[str, str]) -> Path:
    return Path(user.get("OPENCODE_CONFIG_DIR") or f"{user['XDG_CONFIG_HOME']}/opencode")


def written(user: dict[str, str], *names: str) -> dict[str, bytes]:
    """Write files of the user's own."""
    folder_of(user).mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder_of(user) / name).write_text(USERS[name])
    return {name: USERS[name].encode() for name in names}


def files(user: dict[str, str]) -> dict[str, bytes]:
    # opencode 1 itself puts these there.
    names = {path.name for path in folder_of(user).glob("*")} - {".gitignore", "node_modules", "package-lock.json"}
    return {name: (folder_of(user) / name).read_bytes() for name in names}


def slot(user: dict[str, str], name: str = "opencode.jsonc") -> Any:
    return jsonc.parse((folder_of(user) / name).read_text())


def models(user: dict[str, str], name: str = "opencode.jsonc") -> dict[str, list[str]]:
    sections = slot(user, name)["provider"].items()
    return {provider: list(section["models"]) for provider, section in sections if provider.startswith("litellm")}


BOTH = {"litellm": ["gpt-4o"], "litellm-responses": ["gpt-5"]}


@pytest.mark.parametrize("folder", ["", "elsewhere"])
@pytest.mark.parametrize(
    ("own", "name"),
    [((), "opencode.jsonc"), (("opencode.json",), "opencode.jsonc"), (("opencode.jsonc",), "opencode.json")],
)
def test_the_models_go_into_the_file_that_the_user_does_not_have(
    user: dict[str, str], own: tuple[str, ...], name: str, folder: str
) -> None:
    if folder:
        user["OPENCODE_CONFIG_DIR"] = f"{user['HOME']}/{folder}"
    before = written(user, *own)
    finished = launch(user, "run", "hi")
    assert (finished.stdout, finished.stderr) == ("started run hi\n", "")
    assert slot(user, name)["$schema"] == SLOT_MARKER
    assert models(user, name) == BOTH
    after = files(user)
    assert {file: after[file] for file in own} == before
    assert set(after) == {*own, name}
    assert (folder_of(user) / name).stat().st_mode & 0o777 == 0o600


def test_with_both_taken_there_is_one_line_with_the_remedy_and_no_change(user: dict[str, str]) -> None:
    before = written(user, *USERS)
    finished = launch(user)
    copy = cache(user) / "opencode2.json"
    assert f"opencode service set env OPENCODE_CONFIG {copy}" in finished.stderr
    assert len(finished.stderr.splitlines()) == 1
    assert files(user) == before
    assert set(json.loads(copy.read_text())["provider"]) == set(BOTH)
    (folder_of(user) / "service.json").write_text(json.dumps({"env": {"OPENCODE_CONFIG": str(copy)}}))
    copy.unlink()
    assert launch(user).stderr == ""
    assert copy.exists()


@pytest.mark.parametrize("case", ["a linked folder", "a read-only folder", "a link in the slot"])
def test_files_of_a_dotfile_manager_are_left_alone(user: dict[str, str], case: str, tmp_path: Path) -> None:
    folder = folder_of(user)
    if case == "a linked folder":
        (tmp_path / "dotfiles").mkdir()
        folder.symlink_to(tmp_path / "dotfiles")
    elif case == "a link in the slot":
        written(user, "opencode.json")
        (folder / "opencode.jsonc").symlink_to(tmp_path / "nowhere")
    else:
        folder.mkdir()
        folder.chmod(0o500)
    before = sorted(os.listdir(folder))
    finished = launch(user)
    assert "opencode service set env OPENCODE_CONFIG" in finished.stderr
    assert sorted(os.listdir(folder)) == before
    folder.chmod(0o700)


@pytest.mark.parametrize("what", ["a file", "a link"])
def test_a_file_that_appears_in_the_slot_while_we_write_stays_the_user_s(
    user: dict[str, str], what: str, tmp_path: Path
) -> None:
    theirs = tmp_path / "opencode.jsonc"
    theirs.write_text(USERS["opencode.jsonc"])
    folder = folder_of(user)
    folder.mkdir(parents=True)
    finished = run([sys.executable, "-c", MEANWHILE, what, str(folder), str(theirs)], user)
    assert (finished.status, finished.stderr) == (7, "")
    assert (folder / "opencode.jsonc").is_symlink() is (what == "a link")
    assert theirs.read_text() == (folder / "opencode.jsonc").read_text() == USERS["opencode.jsonc"]
    assert models(user, "opencode.json") == BOTH
    assert set(files(user)) == {"opencode.json", "opencode.jsonc"}


def test_a_launch_gives_the_program_none_of_our_variables_and_takes_back_what_env_left(user: dict[str, str]) -> None:
    left = run(["opencode-litellm", "env", "json", "--delivery", "inline"], user)
    assignments = json.loads(left.stdout)
    assert "OPENCODE_CONFIG_CONTENT" in assignments
    after = {**user, **assignments}
    assert launch(after).stdout == "started \n"
    assert launch(after, "session", "list").stdout == "started session list\n"
    assert launch(after, "--server", "http://localhost:1", "run", "hi").stdout.startswith("started")
    assert "OPENCODE_CONFIG=" in launch({**user, "OPENCODE_CONFIG": "/mine.json"}).stdout


@pytest.mark.parametrize("how", ["--standalone", "service.json"])
def test_a_server_of_ones_own_gets_variables(user: dict[str, str], how: str) -> None:
    arguments = ["--standalone"] if how == "--standalone" else []
    if not arguments:
        folder_of(user).mkdir(parents=True)
        (folder_of(user) / "service.json").write_text('{\n  "disabled": true\n}\n')
    finished = launch(user, *arguments)
    (variable,) = [line for line in finished.stdout.splitlines() if line.startswith("OPENCODE_CONFIG=")]
    payload = json.loads(Path(variable.partition("=")[2]).read_text())
    assert payload["provider"]["litellm"]["env"] == ["LITELLM_API_KEY"]
    assert payload["provider"]["litellm"]["options"] == {"baseURL": f"{user['OPENCODE_LITELLM_URL']}/v1"}
    assert "opencode.jsonc" not in files(user)


def test_doctor_tells_of_variables_where_there_is_no_background_server(user: dict[str, str]) -> None:
    folder_of(user).mkdir(parents=True)
    (folder_of(user) / "service.json").write_text('{"disabled": true}')
    assert "OPENCODE_CONFIG=" in launch(user).stdout
    shown = run(["opencode-litellm", "doctor", "--json"], user)
    found = {check["check"]: check["finding"] for check in json.loads(shown.stdout)["checks"]}
    assert found["launches"].startswith("the next launch from this folder only asks whether the list has changed")
    assert re.fullmatch(r"2 models, \d+ bytes, in OPENCODE_CONFIG", found["delivery"])


def test_a_server_of_ones_own_gets_no_variables_where_the_user_wants_the_file(user: dict[str, str]) -> None:
    finished = launch({**user, "OPENCODE_LITELLM_DELIVERY": "managed"}, "--standalone")
    assert "OPENCODE_CONFIG=" not in finished.stdout
    assert models(user) == BOTH


@pytest.mark.parametrize(
    ("arguments", "in_both"),
    [
        ("serve", ["gpt-5"]),
        ("--directory . serve", ["gpt-5"]),  # a client may name any model
        ("run hi", []),
        ("--directory serve run hi", []),
        ("--title api run hi", []),
    ],
)
def test_a_model_is_found_under_each_name_that_its_own_command_line_or_a_client_may_use(
    user: dict[str, str], arguments: str, in_both: list[str]
) -> None:
    finished = launch(user, "--standalone", *arguments.split())
    (variable,) = [line for line in finished.stdout.splitlines() if line.startswith("OPENCODE_CONFIG=")]
    sections = json.loads(Path(variable.partition("=")[2]).read_text())["provider"]
    assert {name: list(section["models"]) for name, section in sections.items()} == {
        "litellm": ["gpt-4o", *in_both], "litellm-responses": ["gpt-5"]
    }  # fmt: skip


def test_env_with_a_delivery_by_variable_leaves_no_file_with_default_models(user: dict[str, str]) -> None:
    wanted = {**user, "OPENCODE_LITELLM_DEFAULT_MODEL": "gpt-4o"}
    printed = run(["opencode-litellm", "env", "json", "--delivery", "inline"], wanted)
    assignments = json.loads(printed.stdout)
    assert "gpt-4o" in assignments["OPENCODE_CONFIG_CONTENT"]
    assert not assignments.get("OPENCODE_CONFIG")


def test_env_says_that_version_2_reads_no_variables(user: dict[str, str]) -> None:
    finished = run(["opencode-litellm", "env", "json"], user)
    assert (finished.status, json.loads(finished.stdout)) == (0, {})
    assert "opencode 2.0.30" in finished.stderr
    assert models(user) == BOTH


def test_the_second_launch_asks_one_question_and_writes_nothing(user: dict[str, str], proxy: StubProxy) -> None:
    launch(user)
    before = (folder_of(user) / "opencode.jsonc").stat()
    asked = len(proxy.requests)
    launch(user)
    launch(user, "run", "hi")
    assert proxy.paths()[asked:] == [MODELS, MODELS]
    after = (folder_of(user) / "opencode.jsonc").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_news_come_with_the_next_launch_and_folders_do_not_flip_it(
    user: dict[str, str], proxy: StubProxy, tmp_path: Path
) -> None:
    launch(user)
    text = files(user)
    project = tmp_path / "project"
    project.mkdir()
    (project / "opencode.json").write_text('{"provider": {"litellm": {"models": {"gpt-4o": {"name": "Mine"}}}}}')
    finished = run(["opencode-litellm", "exec", "--", "opencode"], user, project)
    assert (finished.status, files(user)) == (7, text)
    proxy.serve(["gpt-4o", "gpt-4.1"])
    launch(user)
    assert models(user) == {"litellm": ["gpt-4.1", "gpt-4o"]}


def test_an_output_of_config_in_that_folder_is_the_users(
    user: dict[str, str], proxy: StubProxy, opencode: Opencode
) -> None:
    folder_of(user).mkdir(parents=True)
    output = folder_of(user) / "opencode.jsonc"
    assert run(["opencode-litellm", "config", "--output", str(output)], user).status == 0
    before = files(user)
    proxy.serve(["gpt-4.1"])
    launch(user)
    assert models(user, "opencode.json") == {"litellm": ["gpt-4.1"]}
    assert set(opencode.models(first(user), program="opencode-with-litellm")) >= {"gpt-4.1"}
    refused = run(["opencode-litellm", "config", "--output", str(output.with_suffix(".json"))], user)
    assert refused.status == 2
    assert "is the file that opencode-litellm keeps for opencode 2, which also writes to it" in refused.stderr
    assert models(user, "opencode.json") == {"litellm": ["gpt-4.1"]}
    assert run(["opencode-litellm", "uninstall"], user).status == 0
    assert files(user) == before


def test_additions_of_opencode_and_of_people_survive(user: dict[str, str], proxy: StubProxy) -> None:
    launch(user)
    path = folder_of(user) / "opencode.jsonc"
    more = '"plugins": ["some-plugin"], /* mine */ "mcp": {"servers": {"x": {"type": "local"}}}'
    path.write_text(path.read_text().replace('"provider":{', f'{more},\n"provider":{{"other":{{"name":"O"}},', 1))
    proxy.serve(["gpt-4o", "gpt-4.1"])
    launch(user)
    assert more in path.read_text()
    assert models(user)["litellm"] == ["gpt-4o", "gpt-4.1"]
    assert slot(user)["provider"]["other"] == {"name": "O"}
    doctor = run(["opencode-litellm", "doctor"], user).stdout
    assert "not written by opencode-litellm: plugins, mcp, provider.other" in doctor
    assert run(["opencode-litellm", "uninstall"], user).status == 0
    left = path.read_text()
    assert more in left
    assert jsonc.parse(left) == {
        "$schema": "https://opencode.ai/config.json",
        "plugins": ["some-plugin"],
        "mcp": {"servers": {"x": {"type": "local"}}},
        "provider": {"other": {"name": "O"}},
    }


def test_the_file_is_replaced_and_keeps_its_mode(user: dict[str, str], proxy: StubProxy) -> None:
    launch(user)
    path = folder_of(user) / "opencode.jsonc"
    path.chmod(0o640)
    proxy.serve(["gpt-4.1"])
    with replaced(path):
        launch(user)
    assert (models(user), path.stat().st_mode & 0o777) == ({"litellm": ["gpt-4.1"]}, 0o640)
    assert set(files(user)) == {"opencode.jsonc"}


def test_our_last_text_is_remembered_in_a_private_file_and_no_pipe_is_read(
    user: dict[str, str], proxy: StubProxy
) -> None:
    launch(user)
    memory = Path(user["XDG_STATE_HOME"], "opencode-litellm/managed")
    assert memory.stat().st_mode & 0o777 == 0o600
    memory.unlink()
    os.mkfifo(memory)
    proxy.serve(["gpt-4.1"])
    started = run(["opencode-litellm", "exec", "--", "opencode"], user, timeout=20)
    assert (started.status, models(user)) == (7, {"litellm": ["gpt-4.1"]})


def test_a_user_s_model_survives_on_a_file_system_where_every_file_is_everybody_s(
    user: dict[str, str], proxy: StubProxy
) -> None:
    launch(user)
    state = Path(user["XDG_STATE_HOME"], "opencode-litellm")
    for path in (state, state / "managed"):
        path.chmod(0o777)
    path = folder_of(user) / "opencode.jsonc"
    path.write_text(path.read_text().replace('"models":{', '"models":{"my-own":{"name":"Mine"},', 1))
    proxy.serve(["gpt-4.1"])
    launch(user)
    assert models(user)["litellm"] == ["my-own", "gpt-4.1"]


def test_a_folder_whose_name_is_no_text_gets_the_models(user: dict[str, str]) -> None:
    user["XDG_CONFIG_HOME"] = os.fsdecode(os.fsencode(user["HOME"]) + b"/not-utf8-\xff")
    finished = launch(user)
    assert (finished.stderr, models(user)) == ("", BOTH)


def test_a_file_that_cannot_be_read_is_left_alone(user: dict[str, str], proxy: StubProxy) -> None:
    launch(user)
    path = folder_of(user) / "opencode.jsonc"
    broken = path.read_text()[:-3]
    path.write_text(broken)
    proxy.serve(["gpt-4.1"])
    assert f"{path} cannot be read" in launch(user).stderr
    assert path.read_text() == broken


def test_launches_at_once_leave_one_whole_file(user: dict[str, str]) -> None:
    command = ["/usr/bin/env", "opencode-litellm", "exec", "--", "opencode"]
    several = [subprocess.Popen(command, env=user, stdout=subprocess.DEVNULL) for _ in range(6)]
    assert [process.wait(60) for process in several] == [7] * 6
    assert models(user) == BOTH
    assert set(files(user)) == {"opencode.jsonc"}


def test_the_file_stays_when_the_proxy_is_away_or_refuses_the_key(
    user: dict[str, str], stub_proxy: Callable[..., StubProxy]
) -> None:
    launch(user)
    before = files(user)
    refused = launch({**user, "LITELLM_API_KEY": "sk-wrong"})
    assert "opencode's server keeps its current models" in refused.stderr
    away = stub_proxy([])
    away.close()
    assert launch({**user, "OPENCODE_LITELLM_URL": away.url}).stderr != ""
    assert launch({**user, "OPENCODE_LITELLM_DISABLE": "1"}).stderr == ""
    assert files(user) == before


@pytest.mark.parametrize("by", ["option", "variable"])
@pytest.mark.parametrize("models_there", [True, False], ids=["with models", "from the start"])
def test_only_reaches_the_file_also_while_the_proxy_is_away_and_is_undone_there(
    user: dict[str, str], proxy: StubProxy, by: str, models_there: bool
) -> None:
    written(user, "opencode.json")
    if models_there:
        launch(user)
    proxy.close()
    only = dict(user)
    if by == "option":
        section = {"provider": {"litellm": {"options": {"only": True}}}}
        (folder_of(user) / "opencode.json").write_text(json.dumps(section))
    else:
        only["OPENCODE_LITELLM_ONLY"] = "1"
    for _ in range(2):
        said = launch(only).stderr
        assert models_there or "no other provider is used, because the option 'only' is on" in said
        assert slot(user)["enabled_providers"] == ["litellm", "litellm-responses"]
        assert not models_there or models(user) == BOTH
    assert "enabled_providers" not in (folder_of(user) / "opencode.json").read_text()
    (folder_of(user) / "opencode.json").write_text("{}")
    launch(user)
    assert "enabled_providers" not in slot(user)
    assert not models_there or models(user) == BOTH
    assert run(["opencode-litellm", "env", "json"], only).status == 3
    assert ("enabled_providers" in slot(user)) is (by == "variable")


def test_only_is_in_the_file_with_the_models_and_goes_when_nobody_wants_it(user: dict[str, str]) -> None:
    launch({**user, "OPENCODE_LITELLM_ONLY": "1"})
    assert (slot(user)["enabled_providers"], models(user)) == (["litellm", "litellm-responses"], BOTH)
    launch(user)
    assert "enabled_providers" not in slot(user)


def test_only_holds_after_a_fault_of_ours_without_a_variable_in_the_server(
    user: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys; sys.modules['opencode_litellm.discovery'] = None\n")
    broken = {**user, "OPENCODE_LITELLM_ONLY": "1", "PYTHONPATH": str(tmp_path)}
    finished = launch(broken, "run", "hi")
    assert "internal error" in finished.stderr
    assert finished.stdout == "started run hi\n"
    assert slot(user)["enabled_providers"] == ["litellm", "litellm-responses"]


def test_uninstall_takes_the_file_away_when_nothing_else_is_in_it(user: dict[str, str]) -> None:
    before = written(user, "opencode.json")
    launch(user)
    path = folder_of(user) / "opencode.jsonc"
    would = run(["opencode-litellm", "uninstall", "--dry-run"], user)
    assert f"would remove {path}" in would.stdout
    assert path.exists()
    done = run(["opencode-litellm", "uninstall"], user)
    assert f"removed {path}" in done.stdout
    assert files(user) == before
    assert not Path(user["XDG_STATE_HOME"], "opencode-litellm").exists()


def test_entries_mean_to_version_2_what_they_should(user: dict[str, str], proxy: StubProxy) -> None:
    proxy.answer(MODEL_GROUP_INFO, REASONING)
    written(user, "opencode.json")
    secret = {"X-Api-Key": "s3cret-0123456789abcdef"}
    section = {"options": {"baseURL": f"{proxy.url}/v1", "customHeaders": secret}, "blacklist": ["gone"]}
    (folder_of(user) / "opencode.json").write_text(json.dumps({"provider": {"litellm": section}}))
    proxy.serve(["gpt-4o", "gpt-5", "gone"])
    del user["OPENCODE_LITELLM_URL"]
    finished = launch(user)
    assert "options.customHeaders.X-Api-Key of provider litellm may be a secret" in finished.stderr
    text = (folder_of(user) / "opencode.jsonc").read_text()
    assert "s3cret" not in text + finished.stderr
    provider = slot(user)["provider"]
    assert provider["litellm"] == {
        "npm": "@ai-sdk/openai-compatible",
        "name": "LiteLLM",
        "env": ["LITELLM_API_KEY"],
        "models": {
            "gpt-4o": {
                "name": "GPT-4o",
                "tool_call": True,
                "modalities": {"input": ["text", "image"], "output": ["text"]},
                "variants": {"low": {"reasoningEffort": "low"}},
            }
        },
    }
    assert provider["litellm-responses"]["env"] == ["LITELLM_API_KEY"]
    assert provider["litellm-responses"]["options"]["baseURL"] == f"{proxy.url}/v1"
    assert "disabled" not in text


def test_a_key_that_opencode_stores_is_not_hidden_by_a_variable(user: dict[str, str], proxy: StubProxy) -> None:
    del user["LITELLM_API_KEY"], user["OPENCODE_LITELLM_URL"]
    store = Path(user["XDG_DATA_HOME"], "opencode/auth.json")
    store.parent.mkdir(parents=True)
    store.write_text(json.dumps({"litellm": {"type": "api", "key": KEY}}))
    launch({**user, "LITELLM_PROXY_URL": proxy.url})
    provider = slot(user)["provider"]
    assert set(provider) == {"litellm"}
    assert "env" not in provider["litellm"]
    assert provider["litellm"]["options"] == {"baseURL": f"{proxy.url}/v1"}
    assert provider["litellm"]["models"]["gpt-5"]["provider"] == {"npm": "@ai-sdk/openai"}


def test_a_proxy_without_keys_gets_a_placeholder(
    user: dict[str, str], stub_proxy: Callable[..., StubProxy]
) -> None:
    del user["LITELLM_API_KEY"]
    launch({**user, "OPENCODE_LITELLM_URL": stub_proxy(["gpt-4o"]).url})
    assert slot(user)["provider"]["litellm"]["options"]["apiKey"] == "none"


@pytest.mark.parametrize(
    "options",
    [{"baseURL": "http://127.0.0.1:9/v1"}, {"apiKey": "other"}, {"headers": {"X-Api-Key": "other"}}],
)
def test_no_key_and_no_header_meets_another_address_of_the_same_provider(
    user: dict[str, str], options: dict[str, object]
) -> None:
    folder_of(user).mkdir(parents=True)
    (folder_of(user) / "opencode.jsonc").write_text(json.dumps({"provider": {"litellm": {"options": options}}}))
    finished = launch(user)
    assert "provider litellm has its own URL, key or headers in the configuration" in finished.stderr
    assert slot(user, "opencode.json")["provider"] == {}


def test_strings_from_a_proxy_stay_text(user: dict[str, str], stub_proxy: Callable[..., StubProxy]) -> None:
    hostile = stub_proxy(["{env:HOME}", "{file:/etc/passwd}", "gpt-4o"], key=KEY)
    launch({**user, "OPENCODE_LITELLM_URL": hostile.url})
    text = (folder_of(user) / "opencode.jsonc").read_text()
    assert "{env:HOME}" not in text
    assert "{file:" not in text
    assert set(models(user)["litellm"]) == {"{env:HOME}", "{file:/etc/passwd}", "gpt-4o"}


def test_version_1_beside_it_keeps_the_file_current_and_lists_nothing_that_is_gone(
    user: dict[str, str], proxy: StubProxy, opencode: Opencode
) -> None:
    written(user, "opencode.json")
    launch(user)
    proxy.serve(["gpt-4.1", "gpt-5"])
    beside = first(user)
    assert set(opencode.models(beside, program="opencode-with-litellm")) == {"gpt-4.1"}
    assert models(user) == {"litellm": ["gpt-4.1"], "litellm-responses": ["gpt-5"]}
    asked = len(proxy.requests)
    assert set(opencode.models(beside, program="opencode-with-litellm")) == {"gpt-4.1"}
    assert proxy.paths()[asked:] == [MODELS]
    assert files(user)["opencode.json"] == USERS["opencode.json"].encode()


def test_version_1_without_us_sends_no_other_key_to_the_address_in_the_file(
    user: dict[str, str], proxy: StubProxy, opencode: Opencode
) -> None:
    launch(user)
    alone = {**first(user), "OPENAI_API_KEY": FOREIGN}
    opencode.run(alone, "litellm-responses/gpt-5", "hi")
    asked = {(request.path, request.key) for request in proxy.inferences("gpt-5")}
    assert asked == {("/v1/responses", KEY)}
    del alone["LITELLM_API_KEY"]
    opencode.run(alone, "litellm-responses/gpt-5", "hi")
    opencode.run(alone, "litellm/gpt-4o", "hi")
    assert not any(FOREIGN in str(dict(request.headers)) for request in proxy.requests)


def test_opencode2_is_a_name_of_it(user: dict[str, str]) -> None:
    path = Path(user["HOME"], "bin/opencode")
    path.rename(path.with_name("opencode2"))
    assert launch(user, name="opencode2").stdout == "started \n"
    assert models(user) == BOTH


@pytest.mark.parametrize("pid", [0, -1, 2**22 + 1, 2**80, "1"], ids=str)
def test_an_invalid_process_id_is_no_running_server(tmp_path: Path, pid: object) -> None:
    environment = {"XDG_STATE_HOME": str(tmp_path)}
    (tmp_path / "opencode").mkdir()
    (tmp_path / "opencode/service.json").write_text(json.dumps({"pid": pid, "url": "http://x", "version": "2.0.30"}))
    assert server.running(environment) is None


def test_the_server_that_is_looked_for_lives_on(tmp_path: Path) -> None:
    environment = {"XDG_STATE_HOME": str(tmp_path)}
    (tmp_path / "opencode").mkdir()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        registered = {"pid": process.pid, "url": "http://127.0.0.1:1", "version": "2.0.30"}
        (tmp_path / "opencode/service.json").write_text(json.dumps(registered))
        for _ in range(2):
            assert server.running(environment) == server.Running("http://127.0.0.1:1", "2.0.30")
        process.communicate(b"\n")
        assert process.returncode == 0
    assert server.running(environment) is None


def test_doctor_tells_the_version_the_slot_and_the_server(user: dict[str, str]) -> None:
    launch(user)
    shown = run(["opencode-litellm", "doctor", "--json"], user)
    checks = {check["check"]: check for check in json.loads(shown.stdout)["checks"]}
    assert checks["opencode"]["finding"].endswith("bin/opencode (according to --version)")
    assert checks["slot"]["finding"].startswith(f"{folder_of(user)}/opencode.jsonc, for {user['OPENCODE_LITELLM_URL']}")
    assert checks["server"]["finding"].startswith("not running")
    log = Path(user["XDG_STATE_HOME"], "opencode-litellm/log").read_text()
    assert "2 models in the file that opencode 2's server reads" in log
    assert KEY not in shown.stdout


NEED_MODELS = """

.
run hi
run -m litellm/gpt-4o#high hi
mini
acp
models
serve --port 4096
service start
service restart
api get /api/model
auth login litellm
auth list
--server http://localhost:1
--session ses_1
-s auth
--prompt help
"""
NEED_NONE = """
--version
-v
--help
run --help
--completions bash
auth logout litellm
auth export
auth switch
service status
service stop
service set env A B
service get
mcp list
mcp add x --global -- command
plugin add x
session list
stats --days 3
debug config
reload
pair
upgrade
update 2.0.3
uninstall
"""


@pytest.mark.parametrize("line", NEED_MODELS.split("\n")[1:-1])
def test_models_are_needed_by(line: str) -> None:
    assert commandline.uses_models(line.split(), commandline.of(versions.Version("2.0.30", 2)))


@pytest.mark.parametrize("line", NEED_NONE.split("\n")[1:-1])
def test_no_models_are_needed_by(line: str) -> None:
    assert not commandline.uses_models(line.split(), commandline.of(versions.Version("2.0.30", 2)))
