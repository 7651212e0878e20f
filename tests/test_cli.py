"""The commands: what they print, write and return, with every option and its variable."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from world.home import configure, replaced, write
from world.opencode import Finished, Opencode, run
from world.real_shells import WITH_SNIPPET, SnippetShell
from world.server import free_port
from world.stub import MODEL_INFO, MODELS, StubProxy

import opencode_litellm
from opencode_litellm import cli
from opencode_litellm.opencode.delivery import MARKER
from opencode_litellm.settings.sections import DELIVERIES
from opencode_litellm.shells.formats import COMPLETIONS, FORMATS, SHELLS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from world.litellm import LiteLLM

pytestmark = pytest.mark.serves("gpt-4o", "gpt-5")

USAGE = 2
COMMANDS = [
    "completion", "config", "doctor", "env", "exec", "init", "install", "models", "refresh", "uninstall"
]  # fmt: skip
DISCOVERING = ["config", "doctor", "env", "exec", "models", "refresh"]
OPTIONS = ["--url", "--timeout", "--delivery", "--quiet", "--verbose"]
NOT_A_FORMAT = f"'tcsh' is not one of {', '.join(map(repr, FORMATS))}"
NOT_COMPLETED = f"'tcsh' is not one of {', '.join(map(repr, COMPLETIONS))}"
NOT_A_SHELL = f"'tcsh' is not one of {', '.join(map(repr, SHELLS))}"

SHELL_COMMANDS = {
    ("init",): SHELLS, ("install", "--dry-run"): SHELLS, ("env", "--unset"): FORMATS, ("completion",): COMPLETIONS,
}  # fmt: skip
PROGRAMS = [(program, name) for name, shell in FORMATS.items() for program in sorted(shell.programs)]


def tool(environment: Mapping[str, str], *arguments: str, folder: Path | None = None) -> Finished:
    return run(["opencode-litellm", *arguments], environment, folder)


def one_line(finished: Finished) -> str:
    """Return the only line of a failure, after our name."""
    (line,) = finished.stderr.splitlines()
    assert finished.stdout == ""
    return line.removeprefix("opencode-litellm: ")


def models(payload: str) -> list[str]:
    value = json.loads(payload)
    assert value["$schema"] == MARKER
    return sorted(model for provider in value["provider"].values() for model in provider["models"])


def launched(finished: Finished) -> dict[str, str]:
    """Return the environment that `env -0` printed."""
    assert finished.status == 0, finished
    return dict(entry.split("=", 1) for entry in finished.stdout.rstrip("\0").split("\0"))


# Help and usage.


def test_help_names_every_command_and_what_it_is_for(home: dict[str, str]) -> None:
    done = tool(home, "--help")
    assert (done.status, done.stderr) == (0, "")
    commands, _, examples = done.stdout.partition("Commands:\n")[2].partition("\n\n  Examples:\n")
    assert [line.split()[0] for line in commands.splitlines()] == COMMANDS
    assert "..." not in commands
    assert sorted(re.findall(r"opencode-litellm (\w+)", examples)) == COMMANDS
    assert tool(home, "-h") == done
    assert tool(home) == Finished(USAGE, "", done.stdout)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_fits_a_terminal_and_has_its_options(command: str, home: dict[str, str]) -> None:
    done = tool(home, command, "--help")
    assert (done.status, done.stderr) == (0, "")
    assert max(map(len, done.stdout.splitlines())) <= 80
    *_, title, example = done.stdout.splitlines()
    assert title == "  Example:"
    assert f"opencode-litellm {command}" in example
    if command in DISCOVERING:
        assert all(f"  {option} " in done.stdout for option in OPTIONS)


def test_the_version_is_that_of_the_package(home: dict[str, str]) -> None:
    done = tool(home, "--version")
    assert done == Finished(0, f"opencode-litellm, version {opencode_litellm.__version__}\n", "")


@pytest.mark.parametrize(("program", "name"), PROGRAMS)
def test_a_shell_may_be_named_by_its_program(
    program: str, name: str, home: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for variable, value in home.items():
        monkeypatch.setenv(variable, value)
    for command, names in SHELL_COMMANDS.items():
        if name in names:
            assert cli.run([command[0], name, *command[1:]]) == 0
            expected = capsys.readouterr()
            assert cli.run([command[0], program, *command[1:]]) == 0
            assert capsys.readouterr() == expected


def test_a_snippet_for_a_program_s_name_is_kept_under_the_shell_s(home: dict[str, str]) -> None:
    first, again = (tool(home, "init", "powershell") for _ in range(2))
    assert first == again
    assert first.status == 0
    assert os.listdir(Path(home["XDG_DATA_HOME"], "opencode-litellm")) == ["opencode.pwsh"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nonsense"], "No such command 'nonsense'; see opencode-litellm --help"),
        (["modls"], " opencode-litellm --help"),
        (["--nonsense"], "No such option"),
        (["env", "tcsh"], NOT_A_FORMAT),
        (["env", "bash", "zsh"], "unexpected extra argument"),
        (["init", "tcsh"], NOT_A_SHELL),
        (["init", "bash", "--cmd", "two words"], "two words"),
        (["install", "bash", "tcsh"], NOT_A_SHELL),
        (["uninstall", "bash"], "unexpected extra argument"),
        (["completion"], "Missing argument"),
        (["completion", "tcsh"], NOT_COMPLETED),
        (["exec"], "Missing argument 'PROGRAM [ARG]...'"),
        (["exec", "--"], "Missing argument 'PROGRAM [ARG]...'"),
        (["config", "--check"], "--check needs --output FILE"),
        (["config", "--output", "/"], "is a directory"),
        (["config", "--timeout"], "'--timeout' requires an argument"),
        (["config", "--timeout", "soon"], "(--timeout)"),
        (["config", "--timeout", "0"], "(--timeout)"),
        (["config", "--timeout", "nan"], "(--timeout)"),
        (["config", "--delivery", "pigeon"], "(--delivery)"),
        (["models", "--url", "nowhere"], "(--url)"),
    ],
)
def test_a_usage_error_is_one_line_with_status_two(arguments: list[str], says: str, user: dict[str, str]) -> None:
    done = tool(user, *arguments)
    assert done.status == USAGE
    assert says in one_line(done)
    assert "?;" not in done.stderr


def test_a_folder_that_is_gone_is_named(user: dict[str, str]) -> None:
    script = "mkdir gone; cd gone; rmdir ../gone; opencode-litellm config"
    done = run(["sh", "-c", script], user)
    assert done.status == USAGE
    assert "the working directory is gone" in done.stderr
    assert "Traceback" not in done.stderr


_LEFT_BEHIND = """
import os, ssl, sys, threading, time
from opencode_litellm import __main__, cli

def busy():
    while True:
        ssl.create_default_context()

sys.argv = ["opencode-litellm", "--version"]
statuses = []
for _ in range(12):
    child = os.fork()
    if not child:
        for _ in range(3):
            threading.Thread(target=busy, daemon=True).start()
        time.sleep(0.02)
        sys.exit(__main__.main())
    statuses.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
print(*set(statuses), file=sys.stderr)
"""


def test_a_command_ends_well_while_a_request_is_still_under_way(home: dict[str, str]) -> None:
    done = run([sys.executable, "-c", _LEFT_BEHIND], home)
    version = f"opencode-litellm, version {opencode_litellm.__version__}\n"
    assert (done.stdout, done.stderr) == (version * 12, "0\n")


# Options and their variables.


def test_each_option_is_a_variable_and_beats_it(proxy: StubProxy, home: dict[str, str]) -> None:
    nobody = f"http://127.0.0.1:{free_port()}"
    assert tool(home | {"OPENCODE_LITELLM_URL": nobody}, "config").status == 3
    assert tool(home | {"OPENCODE_LITELLM_URL": nobody}, "config", "--url", proxy.url).status == 0
    known = home | {"OPENCODE_LITELLM_URL": proxy.url}
    assert tool(known | {"OPENCODE_LITELLM_TIMEOUT": "soon"}, "config").status == USAGE
    assert tool(known | {"OPENCODE_LITELLM_TIMEOUT": "soon"}, "config", "--timeout", "5").status == 0
    assert tool(known | {"OPENCODE_LITELLM_DELIVERY": "pigeon"}, "config").status == USAGE
    assert tool(known | {"OPENCODE_LITELLM_DELIVERY": "pigeon"}, "config", "--delivery", "auto").status == 0
    assert tool(known | {"OPENCODE_LITELLM_VERBOSE": "1"}, "config").stderr != ""
    away = home | {"OPENCODE_LITELLM_URL": nobody, "OPENCODE_LITELLM_QUIET": "1"}
    assert tool(away, "exec", "--", "true") == Finished(0, "", "")


def test_disabled_is_the_plain_program_and_asks_nobody(proxy: StubProxy, user: dict[str, str]) -> None:
    environment = user | {"OPENCODE_LITELLM_DISABLE": "1"}
    plain = launched(run(["env", "-0"], environment))
    assert launched(tool(environment, "exec", "--", "env", "-0")) == plain
    assert proxy.requests == []


@pytest.mark.parametrize(
    ("delivery", "variable"), [("auto", None), ("inline", "OPENCODE_CONFIG_CONTENT"), ("file", "OPENCODE_CONFIG")]
)
def test_a_launch_delivers_as_it_is_told(delivery: str, variable: str | None, user: dict[str, str]) -> None:
    seen = launched(tool(user, "exec", "--delivery", delivery, "--", "env", "-0"))
    delivered = {name for name in ("OPENCODE_CONFIG", "OPENCODE_CONFIG_CONTENT") if name in seen}
    assert delivered == {variable} if variable else len(delivered) == 1
    text = seen.get("OPENCODE_CONFIG_CONTENT") or Path(seen["OPENCODE_CONFIG"]).read_text()
    assert models(text) == ["gpt-4o", "gpt-5"]


def test_a_proxy_without_a_key_is_delivered_with_the_variable_that_stands_for_none(home: dict[str, str]) -> None:
    with StubProxy(["gpt-4o", "gpt-5"]) as open_to_all:
        known = home | {"OPENCODE_LITELLM_URL": open_to_all.url}
        delivered = [json.loads(tool(known, "env", "json", "--delivery", "inline").stdout)]
        assert list(Path(home["XDG_CACHE_HOME"]).rglob("payload-*")) == []
        for how in ("inline", "file"):
            delivered.append(launched(tool(known, "exec", "--delivery", how, "--", "env", "-0")))
    assert [each["OPENCODE_LITELLM_NO_KEY"] for each in delivered] == ["none"] * 3


def test_a_literal_key_beside_a_header_travels_in_a_variable_with_a_launch_and_never_in_what_env_prints(
    proxy: StubProxy, home: dict[str, str]
) -> None:
    literal = {"baseURL": f"{proxy.url}/v1", "apiKey": "sk-right", "customHeaders": {"X-Team": "{env:TEAM}"}}
    configure(home, **literal)
    known = home | {"TEAM": "team-1"}
    launch = launched(tool(known, "exec", "--delivery", "inline", "--", "env", "-0"))
    options = json.loads(launch["OPENCODE_CONFIG_CONTENT"])["provider"]["litellm"]["options"]
    (carried,) = [name for name, value in launch.items() if value == "sk-right"]
    assert (options["apiKey"], options["headers"]) == (f"{{env:{carried}}}", {"X-Team": "{env:TEAM}"})
    printed = tool(known, "env", "json", "--delivery", "inline").stdout
    assert carried not in printed
    assert "sk-right" not in printed
    assert "OPENCODE_LITELLM_DETECTED" not in json.loads(printed)  # somebody has named the proxy


def test_env_prints_no_key_of_the_user_s_content_but_hands_the_models_over_in_a_file(user: dict[str, str]) -> None:
    literal = user | {"OPENCODE_CONFIG_CONTENT": '{"provider": {"other": {"options": {"apiKey": "sk-theirs-1"}}}}'}
    done = tool(literal, "env", "json")
    assert "OPENCODE_CONFIG_CONTENT contains a literal key or header, which env would print" in done.stderr
    assert Path(json.loads(done.stdout)["OPENCODE_CONFIG"]).is_file()
    own = write(Path(user["HOME"], "own.json"), {"username": "me"})
    refused = tool(literal | {"OPENCODE_CONFIG": str(own)}, "env", "json")
    assert (refused.status, refused.stdout) == (2, "")
    assert "OPENCODE_CONFIG names a file of your own" in refused.stderr


@pytest.mark.parametrize("away", [False, True], ids=["up", "away"])
def test_env_prints_no_key_of_the_user_s_content_with_its_restrictions_either(
    user: dict[str, str], away: bool
) -> None:
    literal = user | {"OPENCODE_CONFIG_CONTENT": '{"provider": {"other": {"options": {"apiKey": "sk-theirs-1"}}}}'}
    options = ["--url", f"http://127.0.0.1:{free_port()}"] if away else []
    done = tool(literal | {"OPENCODE_LITELLM_ONLY": "1"}, "env", "json", *options)
    assert "sk-theirs-1" not in done.stdout
    assert "OPENCODE_CONFIG_CONTENT contains a literal key or header, which env would print" in done.stderr
    if away:
        assert (done.status, done.stdout) == (3, "")
        assert "so the option 'only' has no effect: start opencode-with-litellm instead" in done.stderr
    else:
        delivered = json.loads(Path(json.loads(done.stdout)["OPENCODE_CONFIG"]).read_text())
        assert delivered["enabled_providers"] == ["litellm", "litellm-responses"]


def test_a_launch_puts_values_where_the_user_s_content_has_references_outside_of_strings(user: dict[str, str]) -> None:
    bare = user | {"OPENCODE_CONFIG_CONTENT": '{"share": {env:SHARE}}', "SHARE": '"disabled"'}
    seen = launched(tool(bare, "exec", "--delivery", "inline", "--", "env", "-0"))
    assert json.loads(seen["OPENCODE_CONFIG_CONTENT"])["share"] == "disabled"


def test_managed_delivery_writes_the_file_of_opencode_2_and_sets_no_variable(user: dict[str, str]) -> None:
    slot = Path(user["XDG_CONFIG_HOME"], "opencode/opencode.jsonc")
    done = tool(user, "exec", "--delivery", "managed", "--", "env", "-0")
    assert not {"OPENCODE_CONFIG", "OPENCODE_CONFIG_CONTENT"} & launched(done).keys()
    assert "gpt-4o" in slot.read_text()
    slot.unlink()
    assert json.loads(tool(user, "env", "json", "--delivery", "managed").stdout) == {}
    assert "gpt-4o" in slot.read_text()


# exec.


def test_exec_gives_the_program_its_arguments_and_input_and_returns_its_status(user: dict[str, str]) -> None:
    arguments = ["a b", "", "--", "--url", "-x", "*", "é"]
    script = 'printf "%s\\n" "$@"; cat; exit 5'
    for separator in (["--"], []):
        done = run(
            ["opencode-litellm", "exec", *separator, "sh", "-c", script, "sh", *arguments], user, given=b"\x00\xff"
        )
        assert done == Finished(5, "".join(f"{argument}\n" for argument in arguments) + "\x00\ufffd", "")
    done = tool(user, "exec", "--timeout", "5", "--", "sh", "-c", script, "sh", *arguments)
    assert (done.status, done.stdout.splitlines()) == (5, arguments)


def test_exec_says_when_there_is_no_program_to_start(user: dict[str, str]) -> None:
    Path(user["HOME"], "text").write_text("no program")
    assert tool(user, "exec", "--", "nonexistent").status == 127
    assert tool(user, "exec", "--", "./text").status == 126
    assert "nonexistent is not on PATH: install it" in tool(user, "exec", "--", "nonexistent").stderr


# env.


@pytest.mark.parametrize("name", FORMATS)
def test_env_prints_every_format_and_takes_it_back(name: str, user: dict[str, str]) -> None:
    done = tool(user, "env", name)
    assert (done.status, done.stderr) == (0, "")
    assert "OPENCODE_CONFIG_CONTENT" in done.stdout
    assert "gpt-4o" in done.stdout
    payload = '{"$schema":"https://opencode.ai/config.json#opencode-litellm","provider":{}}'
    undone = tool(user | {"OPENCODE_CONFIG_CONTENT": payload}, "env", name, "--unset")
    assert (undone.status, undone.stderr) == (0, "")
    assert "OPENCODE_CONFIG_CONTENT" in undone.stdout
    assert "provider" not in undone.stdout
    nothing = tool(user, "env", name, "--unset")
    assert nothing.status == 0
    assert "OPENCODE_CONFIG" not in nothing.stdout


@pytest.mark.parametrize("shell", [pytest.param(shell, id=shell.name) for shell in WITH_SNIPPET])
def test_env_in_a_shell_hands_over_and_unset_restores(shell: SnippetShell, user: dict[str, str]) -> None:
    own = '{"username":"me & you"}'
    steps = ["opencode-litellm env", "opencode-litellm env", "opencode-litellm env --unset"]
    lines = [shell.evaluate.format(command=step) + "\nprintenv OPENCODE_CONFIG_CONTENT\n" for step in steps]
    script = shell.prologue + "".join(lines)
    done = run([shell.path(), *shell.options, shell.command, script], user | {"OPENCODE_CONFIG_CONTENT": own})
    assert (done.status, done.stderr) == (0, "")
    first, second, restored = done.stdout.splitlines()
    assert (json.loads(first)["username"], models(first), second) == ("me & you", ["gpt-4o", "gpt-5", "gpt-5"], first)
    assert restored == own


def test_a_broken_template_is_named_and_the_built_in_one_takes_its_place(user: dict[str, str]) -> None:
    built_in = [tool(user, "init", "bash").stdout, tool(user, "env", "bash").stdout]
    path = write(Path(user["XDG_CONFIG_HOME"], "opencode-litellm/templates/bash.j2"), "{% broken %}")
    for _ in range(2):
        broken = [tool(user, "init", "bash"), tool(user, "env", "bash")]
        assert ([done.status for done in broken], [done.stdout for done in broken]) == ([0, 0], built_in)
        assert all(f"{path}, line 1: " in done.stderr for done in broken)


def test_env_always_asks_and_uses_nothing_old(proxy: StubProxy, user: dict[str, str]) -> None:
    assert tool(user, "exec", "--", "true").status == 0
    proxy.serve(["new"])
    assert "gpt-4o" not in tool(user, "env", "json").stdout
    proxy.answer(MODELS, b"", status=503)
    for command in (["env", "json"], ["config"], ["models"], ["refresh"]):
        assert tool(user, *command).status == 3


def test_env_says_what_it_cannot_hand_over(proxy: StubProxy, user: dict[str, str]) -> None:
    write(Path(user["XDG_CONFIG_HOME"], "opencode/opencode.json"), {"provider": {"litellm": {
        "options": {"baseURL": proxy.url, "customHeaders": {"X-Secret-Token": "hush-hush"}}}}})  # fmt: skip
    for command in (["env", "posix"], ["config"]):
        done = tool(user, *command)
        assert done.status == 0
        assert "hush-hush" not in done.stdout + done.stderr
        assert "X-Secret-Token of provider litellm is a literal value" in done.stderr


def test_env_with_no_room_anywhere_is_an_error(proxy: StubProxy, user: dict[str, str]) -> None:
    proxy.serve(f"model-{number:04}-{'x' * 100}" for number in range(1500))
    own = write(Path(user["HOME"], "own.json"), {"username": "me"})
    done = tool(user | {"OPENCODE_CONFIG": str(own)}, "env", "posix", "--quiet")
    assert done.status == USAGE
    assert "OPENCODE_CONFIG names a file of your own" in one_line(done)


# config.


def test_config_writes_what_it_prints_and_only_when_it_changes(proxy: StubProxy, user: dict[str, str]) -> None:
    file = Path(user["HOME"], "out.json")
    printed = tool(user, "config").stdout
    assert tool(user, "config", "--output", str(file)) == Finished(0, "", "")
    assert (file.read_text(), stat.S_IMODE(file.stat().st_mode)) == (printed, 0o600)
    os.utime(file, (1, 1))
    inode = file.stat().st_ino
    assert tool(user, "config", "--output", str(file)) == Finished(0, "", "")
    assert (file.stat().st_mtime, file.stat().st_ino) == (1, inode)
    assert tool(user, "config", "--output", str(file), "--check") == Finished(0, "", "")
    proxy.serve(["new"])
    check = tool(user, "config", "--output", str(file), "--check")
    assert (check.status, f"{file} differs from what the proxies serve now:" in check.stderr) == (1, True)
    assert tool(user, "config", "--output", str(file), "--check", "--quiet") == Finished(1, "", "")
    assert file.read_text() == printed
    with replaced(file):
        assert tool(user, "config", "--output", str(file)) == Finished(0, "", "")
    assert models(file.read_text()) == ["new"]
    assert sorted(path.name for path in file.parent.glob("*out.json*")) == ["out.json"]


def test_config_replaces_a_file_through_its_link_and_keeps_its_mode(user: dict[str, str]) -> None:
    target = Path(user["HOME"], "dotfiles/opencode.json")
    target.parent.mkdir()
    target.write_text("")
    target.chmod(0o664)
    link = Path(user["HOME"], "link.json")
    link.symlink_to("dotfiles/opencode.json")
    assert tool(user, "config", "--output", str(link)) == Finished(0, "", "")
    assert (link.is_symlink(), models(target.read_text())) == (True, ["gpt-4o", "gpt-5", "gpt-5"])
    assert stat.S_IMODE(target.stat().st_mode) == 0o664
    target.unlink()
    assert tool(user, "config", "--output", str(link)) == Finished(0, "", "")
    assert (link.is_symlink(), target.exists()) == (True, True)


def test_config_checks_a_file_that_is_not_there(user: dict[str, str]) -> None:
    file = Path(user["HOME"], "absent.json")
    assert tool(user, "config", "--output", str(file), "--check").status == 1
    assert not file.exists()


@pytest.mark.parametrize("place", ["absent/out.json", "/proc/out.json", "circle.json"])
def test_config_names_a_file_that_it_cannot_write(place: str, user: dict[str, str]) -> None:
    Path(user["HOME"], "circle.json").symlink_to("circle.json")
    done = tool(user, "config", "--output", place)
    assert done.status == USAGE
    assert f"{place} cannot be written (" in one_line(done)


def test_a_failing_config_leaves_the_file_alone(user: dict[str, str]) -> None:
    file = Path(user["HOME"], "out.json")
    assert tool(user, "config", "--output", str(file)).status == 0
    before = file.read_bytes()
    away = user | {"OPENCODE_LITELLM_URL": f"http://127.0.0.1:{free_port()}"}
    for more in ([], ["--check"]):
        assert tool(away, "config", "--output", str(file), *more).status == 3
    assert file.read_bytes() == before


@pytest.mark.parametrize("name", ["opencode.json", "opencode.jsonc"])
def test_config_never_takes_its_own_output_for_the_user_s(name: str, user: dict[str, str]) -> None:
    file = Path(user["XDG_CONFIG_HOME"], "opencode", name)
    file.parent.mkdir(parents=True)
    assert tool(user, "config", "--output", str(file)) == Finished(0, "", "")
    first = file.read_text()
    assert models(first) == ["gpt-4o", "gpt-5", "gpt-5"]
    assert tool(user, "config").stdout == first
    os.utime(file, (1, 1))
    assert tool(user, "config", "--output", str(file)) == Finished(0, "", "")
    assert file.stat().st_mtime == 1


@pytest.mark.parametrize("content", ['{"provider": {"litellm": {"options": {"timeout": 1000}}}}', "// mine\n{}"])
def test_config_does_not_overwrite_what_the_user_wrote_wherever_it_is(user: dict[str, str], content: str) -> None:
    project, elsewhere = Path(user["HOME"], "project"), Path(user["HOME"], "elsewhere")
    everywhere = Path(user["XDG_CONFIG_HOME"], "opencode")
    for folder in (project, everywhere, elsewhere):
        folder.mkdir(parents=True)
        file = folder / "opencode.json"
        file.write_text(content)
        done = tool(user, "config", "--output", str(file), folder=project)
        assert done.status == USAGE
        assert one_line(done) == f"{file} is your own configuration: name another file"
        assert tool(user, "config", "--output", str(file), "--check").status == 1
        assert file.read_text() == content


@pytest.mark.parametrize("content", [b"# Notes", b"[1, 2]", b'{"provider": ', b"\xff\xfe\x00"])
def test_config_overwrites_nothing_else_of_the_user_s(user: dict[str, str], content: bytes) -> None:
    file = Path(user["HOME"], "notes")
    file.write_bytes(content)
    done = tool(user, "config", "--output", str(file))
    assert (done.status, one_line(done)) == (USAGE, f"{file} was not written by opencode-litellm: name another file")
    assert tool(user, "config", "--output", str(file), "--check").status == 1
    assert file.read_bytes() == content


@pytest.mark.parametrize("before", ["nothing", "an output"])
@pytest.mark.parametrize(("answer", "status"), [(200, USAGE), (401, 4)])
def test_config_loses_nothing_that_was_written_while_the_proxy_was_asked(
    user: dict[str, str], proxy: StubProxy, before: str, answer: int, status: int
) -> None:
    file = Path(user["HOME"], "out.json")
    if before == "an output":
        assert tool(user, "config", "--output", str(file)).status == 0
    proxy.answer(MODELS, {"data": [{"id": "new"}]}, status=answer, delay=1)
    only = {**user, "OPENCODE_LITELLM_ONLY": "1"}
    asked = len(proxy.requests)
    command = ["/usr/bin/env", "opencode-litellm", "config", "--output", str(file)]
    with subprocess.Popen(command, env=only, stderr=subprocess.PIPE, text=True) as process:
        while len(proxy.requests) == asked:
            time.sleep(0.01)
        file.write_text('{"theme": "mine"}')
        _, said = process.communicate()
    problem = f"{file} was changed by another program meanwhile, so it is not overwritten: try again"
    assert (process.returncode, said.splitlines()[0]) == (status, f"opencode-litellm: {problem}")
    assert file.read_text() == '{"theme": "mine"}'
    assert sorted(path.name for path in file.parent.glob("*out.json*")) == ["out.json"]


def test_config_puts_no_file_in_the_place_of_a_pipe_and_reads_none(user: dict[str, str]) -> None:
    pipe = Path(user["HOME"], "pipe")
    os.mkfifo(pipe)
    done = tool(user, "config", "--output", str(pipe))
    said = f"{pipe} is a pipe or a device: name a regular file, or leave out --output"
    assert (done.status, one_line(done), pipe.is_fifo()) == (USAGE, said, True)
    check = run(["opencode-litellm", "config", "--output", str(pipe), "--check"], user, timeout=20)
    assert (check.status, one_line(check)) == (1, f"{pipe} does not exist or cannot be read")


def test_config_output_is_the_same_from_every_folder_unless_told(user: dict[str, str], proxy: StubProxy) -> None:
    project = Path(user["HOME"], "project")
    section = {"options": {"baseURL": proxy.url, "excludeModels": ["gpt-5"]}}
    write(project / "opencode.json", {"provider": {"litellm": section}})
    home = {name: value for name, value in user.items() if name != "OPENCODE_LITELLM_URL"}
    home["LITELLM_PROXY_URL"] = proxy.url
    file = Path(user["HOME"], "out.json")
    outcomes = [
        (["--output", str(file)], ["gpt-4o", "gpt-5", "gpt-5"]),
        (["--output", str(file), "--project"], ["gpt-4o"]),
    ]
    for options, expected in outcomes:
        assert tool(home, "config", *options, folder=project).status == 0
        assert models(file.read_text()) == expected
    assert models(tool(home, "config", folder=project).stdout) == ["gpt-4o"]


def test_a_configuration_that_cannot_be_read_is_named_with_line_and_column(user: dict[str, str]) -> None:
    file = Path(user["XDG_CONFIG_HOME"], "opencode/opencode.json")
    file.parent.mkdir(parents=True)
    file.write_text('{\n  "provider": {,}\n}')
    for command in (["config"], ["env", "json"], ["models"], ["refresh"]):
        done = tool(user, *command)
        assert done.status == 6
        assert one_line(done).startswith(f"{file}:2:16: ")
    done = tool(user, "exec", "--", "sh", "-c", "exit 7")
    assert (done.status, len(done.stderr.splitlines())) == (7, 1)


# models, refresh, completion.


def test_models_names_each_as_opencode_does(
    litellm: LiteLLM, home: dict[str, str], opencode: Opencode
) -> None:
    environment = home | {"OPENCODE_LITELLM_URL": litellm.url, "LITELLM_API_KEY": litellm.key}
    done = tool(environment, "models")
    assert (done.status, done.stderr) == (0, "")
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    ids = [row[0] for row in rows]
    known = opencode(environment, "models", program="opencode-with-litellm").stdout.split()
    assert sorted(ids) == sorted(name for name in known if name.startswith("litellm"))
    as_json = json.loads(tool(environment, "models", "--json").stdout)["models"]
    assert [f"{model['provider']}/{model['id']}" for model in as_json] == ids
    (gpt,) = [model for model in as_json if model["id"] == "gpt-4o"]
    assert gpt == {
        "provider": "litellm", "id": "gpt-4o", "name": "GPT-4o", "owner": gpt["owner"], "route": "chat",
        "limit": {"context": 128000, "output": 16384},
        "cost": {"input": 2.5, "output": 10, "cache_read": 1.25}, "cost_over_200k": None,
        "modalities": {"input": gpt["modalities"]["input"], "output": ["text"]},
        "tool_call": True, "reasoning": False, "reasoning_efforts": gpt["reasoning_efforts"],
    }  # fmt: skip
    assert next(row for row in rows if row[0] == "litellm/gpt-4o")[1:7] == [
        "GPT-4o", "chat", "128000", "16384", "2.5", "10"
    ]  # fmt: skip


def test_models_all_and_doctor_say_why_a_model_is_hidden(
    home: dict[str, str], stub_proxy: Callable[..., StubProxy]
) -> None:
    reasons = {
        "all-team-models": ("placeholder", "", "a LiteLLM placeholder for other models"),
        "dall-e-3": ("name", "dall-e", "its name contains 'dall-e'"),
        "constructor": ("unusable", "", "opencode cannot use this id"),
        "openai/*": ("wildcard", "", "a wildcard, not a model"),
        "mine": ("listed", "", "your own configuration lists it"),
        "old/gpt": ("excluded", "old/*", "matches 'old/*' in excludeModels"),
        "vectors": ("mode", "embedding", "its mode is embedding"),
    }
    proxy = stub_proxy([*reasons, "gpt-4o"])
    proxy.answer(MODEL_INFO, {"data": [{"model_name": "vectors", "model_info": {"mode": "embedding"}}]})
    file = Path(home["XDG_CONFIG_HOME"], "opencode", "opencode.json")
    file.parent.mkdir(parents=True, exist_ok=True)
    section = {"options": {"baseURL": proxy.url, "excludeModels": ["old/*"]}, "models": {"mine": {}}}
    file.write_text(json.dumps({"provider": {"litellm": section}}))

    as_json = json.loads(tool(home, "models", "--all", "--json").stdout)["models"]
    hidden = {model["id"]: model["hidden"] for model in as_json}
    assert hidden == {
        "gpt-4o": None, **{name: {"rule": rule, "detail": detail} for name, (rule, detail, _) in reasons.items()}
    }  # fmt: skip
    rows = [line.split("\t") for line in tool(home, "models", "--all").stdout.splitlines()]
    assert {row[0]: row[-1] for row in rows} == {
        "litellm/gpt-4o": "-", **{f"litellm/{name}": text for name, (_, _, text) in reasons.items()}
    }  # fmt: skip
    assert [row["id"] for row in json.loads(tool(home, "models", "--json").stdout)["models"]] == ["gpt-4o", "mine"]

    (line,) = [line for line in tool(home, "doctor", "--verbose").stdout.splitlines() if "hidden litellm" in line]
    assert all(f"{name}: {text}" in line for name, (_, _, text) in reasons.items())
    assert "hidden litellm" not in tool(home, "doctor").stdout


def test_refresh_is_what_the_next_launch_delivers(proxy: StubProxy, user: dict[str, str]) -> None:
    assert tool(user, "refresh").status == 0
    asked = proxy.paths().count(MODEL_INFO)
    seen = launched(tool(user, "exec", "--", "env", "-0"))
    assert "OPENCODE_CONFIG" in seen or "OPENCODE_CONFIG_CONTENT" in seen
    assert proxy.paths().count(MODEL_INFO) == asked


@pytest.mark.real
@pytest.mark.parametrize("name", COMPLETIONS)
def test_completion_completes_in_its_shell(name: str, home: dict[str, str]) -> None:
    shell = next(shell for shell in WITH_SNIPPET if shell.name == name)
    script = tool(home, "completion", name)
    assert (script.status, script.stderr) == (0, "")
    Path(home["HOME"], "script").write_text(script.stdout)
    for words, expected in (("", COMMANDS), ("env", FORMATS), ("config --delivery", DELIVERIES)):
        done = run([shell.path(), "-c", shell.completes.format(words=words, place=len(words.split()) + 1)], home)
        assert (done.status, sorted(done.stdout.split()), done.stderr) == (0, sorted(expected), "")
