"""doctor: every step of a launch in order, each failure with its remedy and its exit status."""

from __future__ import annotations

import json
import os
import platform
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from world import tools
from world.home import configure, global_configuration, stand_in, write
from world.launches import launch, settle
from world.opencode import Opencode, run
from world.server import free_port
from world.stub import MODEL_INFO, MODELS, StubProxy

from opencode_litellm import __version__
from opencode_litellm.shells import emission

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from world.litellm import LiteLLM

KEY = "sk-secret-of-mine"
STEPS = [
    "version", "startup", "templates", "command", "on PATH", "disabled", "cache", "launches", "configuration",
    "plugin", "settings", "proxy litellm", "key litellm", "models litellm", "default model",
    "delivery", "opencode",
]  # fmt: skip
WITHOUT_CONFIGURATION = [*STEPS[:9], "settings", "proxy", "default model", "delivery", "opencode"]
REPAIR = "correct or delete this template: until then, the built-in one is used"
HIDDEN = " (hidden by rule: 1 wildcard; opencode-litellm models --all shows why)"
SKIPPED = ("skipped", "skipped because of the failure above", None)

pytestmark = pytest.mark.serves("gpt-4o", "gpt-5", "openai/*", key=KEY)


@pytest.fixture
def proxy(proxy: StubProxy) -> StubProxy:
    proxy.answer(MODEL_INFO, {"data": [{"model_name": "gpt-4o", "model_info": {"max_input_tokens": 128000}}]})
    return proxy


@pytest.fixture
def user(home: dict[str, str], proxy: StubProxy) -> dict[str, str]:
    """Return the environment of a user for whom all is well, with a program that says it is opencode 1."""
    evaluate(home)
    stand_in(home)
    configure(home, baseURL=proxy.url)
    return home | {"LITELLM_API_KEY": KEY, "OPENCODE_LITELLM_DEFAULT_MODEL": "gpt-*"}


def evaluate(home: Mapping[str, str]) -> Path:
    """Put our line into a startup file."""
    path = Path(home["HOME"], ".zshrc")
    path.write_text('eval "$(opencode-litellm init zsh)"\n')
    return path


def add(home: Mapping[str, str], **sections: object) -> Path:
    """Add to the configuration, or replace what is there under these names."""
    path = global_configuration(home)
    return write(path, {**json.loads(path.read_text()), **sections})


def doctor(environment: Mapping[str, str], *arguments: str) -> tuple[int, dict[str, tuple[str, str, str | None]]]:
    """Return the exit status, and the status, finding and remedy of each check, in the order of the output."""
    done = run(["opencode-litellm", "doctor", "--json", *arguments], environment)
    assert done.stderr == ""
    checks = json.loads(done.stdout)["checks"]
    found = {check["check"]: (check["status"], check["finding"], check["remedy"]) for check in checks}
    assert len(found) == len(checks)
    return done.status, found


def details(environment: Mapping[str, str]) -> list[str]:
    """Return what the last launches did, the newest first, without their times."""
    checks = json.loads(run(["opencode-litellm", "doctor", "--json"], environment).stdout)["checks"]
    lines = next(check["details"] for check in checks if check["check"] == "launches")
    assert all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d ", line) for line in lines)
    return [line[len("2026-11-23 19:01 ") :] for line in lines]


def others(found: Mapping[str, tuple[str, str, str | None]], *names: str) -> set[str]:
    """Return how all checks but these are."""
    return {status for name, (status, _, _) in found.items() if name not in names}


def test_all_is_well_with_the_real_programs(
    litellm: LiteLLM, opencode: Opencode, home: dict[str, str]
) -> None:
    environment = home | {"OPENCODE_LITELLM_URL": litellm.url, "LITELLM_API_KEY": litellm.key}
    environment |= {"OPENCODE_LITELLM_DEFAULT_MODEL": "gpt-4o", "OPENCODE_LITELLM_SMALL_MODEL": "gpt-4.1-mini"}
    file = evaluate(home)
    done = run(["opencode-litellm", "doctor"], environment)
    assert (done.status, done.stderr) == (0, "")
    *lines, blank, total = done.stdout.splitlines()
    assert ([line[0] for line in lines], blank) == (["✓"] * len(STEPS), "")
    assert total == "no problems: opencode gets its models"
    status, found = doctor(environment)
    programs = Path(home["HOME"], "bin")
    package = tools.OPENCODE.resolve().parents[1] / "package.json"
    took = found["proxy litellm"][1].rpartition(" answered in ")[2]
    assert status == 0
    assert found["models litellm"][1].startswith("opencode can use 40 of 52 models (")
    assert re.fullmatch(r"40 models, \d+ kB, in OPENCODE_CONFIG", found["delivery"][1])
    assert found == {
        "version": ("ok", found["version"][1], None),
        "on PATH": ("ok", f"no shim: editors and scripts start {programs}/opencode", None),
        "startup": ("ok", str(file), None),
        "templates": ("ok", "built-in", None),
        "command": ("ok", f"{programs}/opencode-with-litellm", None),
        "disabled": ("ok", "OPENCODE_LITELLM_DISABLE is not set", None),
        "cache": ("ok", f"{home['XDG_CACHE_HOME']}/opencode-litellm", None),
        "launches": (
            "ok",
            "the next launch from this folder asks for everything: no models are cached for these settings",
            None,
        ),
        "configuration": ("ok", "no files", None),
        "plugin": ("ok", "opencode-plugin-litellm is not loaded", None),
        "settings": ("ok", "timeout 5 s, delivery auto", None),
        "proxy litellm": ("ok", f"{litellm.url} (OPENCODE_LITELLM_URL) answered in {took}", None),
        "key litellm": ("ok", "LITELLM_API_KEY", None),
        "models litellm": ("ok", found["models litellm"][1], None),
        "default model": (
            "ok",
            "litellm/gpt-4o (OPENCODE_LITELLM_DEFAULT_MODEL); titles: litellm/gpt-4.1-mini"
            " (OPENCODE_LITELLM_SMALL_MODEL)",
            None,
        ),
        "delivery": ("ok", found["delivery"][1], None),
        "opencode": ("ok", f"1.18.33, {programs}/opencode (according to {package})", None),
    }
    assert opencode.models(environment, program="opencode-with-litellm")


ASKS_ONE_QUESTION = (
    "the next launch from this folder only asks whether the list has changed: the models were up to date 0 min ago"
)


@pytest.mark.long
def test_doctor_lists_what_the_last_launches_did(user: dict[str, str], proxy: StubProxy) -> None:
    assert details(user) == []
    log = Path(user["XDG_STATE_HOME"], "opencode-litellm/log")
    assert launch(user).models == ["gpt-4o"]
    asked = log.read_bytes()
    assert doctor(user)[1]["launches"] == ("ok", ASKS_ONE_QUESTION, None)
    assert launch(user).models == ["gpt-4o"]
    assert log.read_bytes() == asked, "a launch with nothing new writes nothing"
    where = user["HOME"]
    proxy.answers[MODELS] = replace(proxy.answers[MODELS], delay=0.8)
    launch(user)
    settle(user)
    launch(user, OPENCODE_LITELLM_URL=f"http://127.0.0.1:{free_port()}")
    launch(user, LITELLM_API_KEY="sk-wrong")
    place = f"the proxy at {proxy.url.removeprefix('http://')}"
    told = [re.sub(r"\d\.\d\d s", "N s", re.sub(r"127\.0\.0\.1:\d+ can", "HOST can", line)) for line in details(user)]
    assert told == [
        f"{where}: {proxy.url} refused the key (HTTP 401, auth_error): check LITELLM_API_KEY. opencode started without"
        " LiteLLM's models",
        f"{where}: http://HOST cannot be reached (Connection refused): check the URL and whether the proxy is running."
        " opencode started without LiteLLM's models",
        f"in the background, for {where}: 2 models in OPENCODE_CONFIG",
        f"{where}: {place} did not answer in time: using its models from less than a minute ago",
        f"{where}: asked for everything in N s: 2 models in OPENCODE_CONFIG",
    ]
    assert KEY not in log.read_text()
    shown = run(["opencode-litellm", "doctor"], user).stdout.splitlines()
    assert [line[:2] for line in shown].count("  ") == 5


def test_a_fault_of_ours_is_a_warning_until_the_next_launch(user: dict[str, str]) -> None:
    """The newest entry counts; a broken line in the log is passed over."""
    log = Path(user["XDG_STATE_HOME"], "opencode-litellm/log")
    lines = ["2026-01-01T00:00:00Z 0.1.0 launch: /a: one", "\xff", "2026-01-01T00:00:01Z 0.1.0 fault: KeyError"]
    write(log, "\n".join([*lines, '2026-01-01T00:00:01Z 0.1.0   File "x.py", line 1, in y', ""]))
    assert details(user) == ["internal error: KeyError", "/a: one"]
    status, finding, remedy = doctor(user)[1]["launches"]
    assert (status, remedy) == ("warning", f"report it, with the details in {log}")
    assert finding.endswith("; the last one hit an internal error")
    launch(user)
    assert doctor(user)[1]["launches"][0] == "ok"


def test_the_log_is_small_and_the_one_before_it_is_kept(user: dict[str, str]) -> None:
    log, before = (Path(user["XDG_STATE_HOME"], "opencode-litellm", name) for name in ("log", "log.1"))
    line = "2026-01-01T00:00:00Z 0.1.0 launch: /a: one\n"
    write(before, "older\n")
    away = user | {"OPENCODE_LITELLM_URL": f"http://127.0.0.1:{free_port()}"}
    small, large = line * (60 * 2**10 // len(line)), line * (65 * 2**10 // len(line))
    write(log, small)
    launch(away)
    assert (log.read_text().startswith(small), before.read_text()) == (True, "older\n")
    write(log, large)
    launch(away)
    assert (len(log.read_text().splitlines()), before.read_text()) == (1, large)
    assert details(user)[0].startswith(f"{user['HOME']}: http://127.0.0.1:")


# What fails, in the order of a launch.


def test_a_broken_template_of_the_user_s_is_named_with_its_line(user: dict[str, str]) -> None:
    template = Path(user["XDG_CONFIG_HOME"], "opencode-litellm", "templates", "zsh.j2")
    template.parent.mkdir(parents=True)
    template.write_text("# mine\n{{ comand }}\n")
    status, found = doctor(user)
    finding = f"{template}, line 2: 'comand' is undefined"
    assert (status, found["templates"]) == (0, ("warning", finding, REPAIR))
    assert others(found, "templates") == {"ok"}
    template.write_text("# mine\n")
    assert doctor(user)[1]["templates"] == ("ok", f"built-in, except zsh.j2 in {template.parent}", None)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('{\n  "model": litellm\n}', ":2:12: Expecting value"),
        ('{"provider": {,}}', ":1:15: Expecting property name enclosed in double quotes"),
        ('{"model": "{file:gone}"}', ":1:12: {file:gone}: {folder}/gone: No such file or directory"),
        ("[]", ":1:1: not a JSON object"),
    ],
)
def test_a_configuration_that_cannot_be_read_is_named_with_line_and_column(
    text: str, place: str, user: dict[str, str], proxy: StubProxy
) -> None:
    file = write(global_configuration(user), text)
    status, found = doctor(user)
    finding = f"{file}{place.replace('{folder}', str(file.parent))}"
    assert (status, list(found)) == (6, WITHOUT_CONFIGURATION)
    assert found["configuration"] == ("failed", finding, "correct it; opencode itself does not start until you do")
    assert [found[name] for name in ("settings", "proxy", "delivery")] == [SKIPPED] * 3
    assert found["opencode"][0] == "ok"
    assert proxy.requests == []
    lines = run(["opencode-litellm", "doctor"], user).stdout.splitlines()
    at = lines.index(f"✗ configuration  {finding}")
    assert lines[at + 1].strip() == "→ correct it; opencode itself does not start until you do"


@pytest.mark.parametrize(
    ("option", "value", "finding", "remedy"),
    [
        ("--timeout", "soon", "OPENCODE_LITELLM_TIMEOUT (--timeout) is 'soon'", "choose a number of seconds"),
        ("--delivery", "pigeon", "OPENCODE_LITELLM_DELIVERY (--delivery) is 'pigeon'", "choose auto, "),
        ("--url", "ftp://x", 'OPENCODE_LITELLM_URL (--url) is not a valid', "use one such as"),
    ],
)
def test_a_setting_that_cannot_be_meant_is_named(
    option: str, value: str, finding: str, remedy: str, user: dict[str, str]
) -> None:
    status, found = doctor(user, option, value)
    assert (status, found["settings"][0]) == (2, "failed")
    assert found["settings"][1].startswith(finding)
    assert (found["settings"][2] or "").startswith(remedy)
    assert [found[name] for name in ("proxy", "default model", "delivery")] == [SKIPPED] * 3
    assert others(found, "settings", "proxy", "default model", "delivery") == {"ok"}


def test_a_provider_that_the_configuration_hides_is_named(user: dict[str, str], proxy: StubProxy) -> None:
    add(user, disabled_providers=["litellm"])
    status, found = doctor(user)
    finding = "opencode's configuration disables provider litellm"
    remedy = "add it to enabled_providers, or remove it from disabled_providers"
    assert (status, found["settings"]) == (3, ("failed", finding, remedy))
    assert proxy.requests == []


def test_a_proxy_that_is_away_is_named(user: dict[str, str]) -> None:
    nobody = f"http://127.0.0.1:{free_port()}"
    status, found = doctor(user, "--url", nobody)
    finding = f"{nobody} cannot be reached (Connection refused)"
    remedy = "check the URL and whether the proxy is running"
    assert (status, found["proxy litellm"]) == (3, ("failed", finding, remedy))
    names = ("key litellm", "models litellm", "default model", "delivery")
    assert [found[name] for name in names] == [SKIPPED] * 4
    assert others(found, "proxy litellm", *names) == {"ok"}


def test_a_key_that_is_refused_is_named_by_its_source(user: dict[str, str], proxy: StubProxy) -> None:
    status, found = doctor(user | {"LITELLM_API_KEY": "sk-wrong"})
    finding = f"{proxy.url} refused the key (HTTP 401, auth_error)"
    assert (status, found["key litellm"]) == (4, ("failed", finding, "check LITELLM_API_KEY"))
    assert found["proxy litellm"] == ("ok", f"{proxy.url} (options.baseURL of provider litellm)", None)
    assert [found[name] for name in ("models litellm", "delivery")] == [SKIPPED] * 2


@pytest.mark.parametrize(
    ("answer", "finding", "remedy"),
    [
        (b"<html>", "{url}/v1/models did not answer with a list of models the way LiteLLM does", "check the URL"),
        (
            {"data": [{"id": "openai/*"}]},
            "{url} serves openai/* but names no models",
            "list the models under provider.litellm.models in your opencode.json",
        ),
    ],
)
def test_a_proxy_without_anything_for_opencode_is_named(
    answer: Any, finding: str, remedy: str, user: dict[str, str], proxy: StubProxy
) -> None:
    proxy.answer(MODELS, answer)
    status, found = doctor(user)
    assert (status, found["proxy litellm"]) == (5, ("failed", finding.format(url=proxy.url), remedy))


@pytest.mark.parametrize(
    ("script", "status", "finding"),
    [
        (None, 127, "not found on PATH"),
        ("exit 3", 126, "--version exits with status 3: no output"),
        ("echo run its postinstall script >&2; exit 1", 126, "exits with status 1: run its postinstall script"),
        ("kill -9 $$", 126, "--version is killed by signal 9: no output"),
    ],
)
def test_an_opencode_that_cannot_start_is_named(
    script: str | None, status: int, finding: str, user: dict[str, str]
) -> None:
    path = stand_in(user, script or "")
    if script is None:
        path.unlink()
    ended, found = doctor(user)
    assert (ended, found["opencode"][0]) == (status, "failed")
    assert found["opencode"][1].endswith(finding)
    assert "npm install -g opencode-ai" in (found["opencode"][2] or "")
    assert others(found, "opencode") == {"ok"}


def test_one_proxy_that_fails_leaves_the_other_s_models(user: dict[str, str], proxy: StubProxy) -> None:
    nobody = f"http://127.0.0.1:{free_port()}"
    providers = {"litellm": {"options": {"baseURL": nobody}}, "litellm-b": {"options": {"baseURL": proxy.url}}}
    add(user, provider=providers)
    status, found = doctor(user)
    failing = ("proxy litellm", "key litellm", "models litellm")
    assert (status, [found[name][0] for name in failing]) == (3, ["failed", "skipped", "skipped"])
    assert found["models litellm-b"] == ("ok", f"opencode can use 2 of 3 models{HIDDEN}", None)
    assert others(found, *failing) == {"ok"}


# What works, but not as a user would want it.


def test_launches_that_go_past_us_are_told(user: dict[str, str]) -> None:
    status, found = doctor(user | {"OPENCODE_LITELLM_DISABLE": "1"})
    finding = "OPENCODE_LITELLM_DISABLE is set, so opencode starts without models"
    assert (status, found["disabled"]) == (0, ("warning", finding, "unset it"))
    assert others(found, "disabled") == {"ok"}


@pytest.mark.parametrize("line", ["", "# eval opencode-litellm init zsh\n", "alias o=opencode-litellm\n"])
def test_startup_files_without_us_are_told(line: str, user: dict[str, str]) -> None:
    Path(user["HOME"], ".zshrc").write_text(line)
    status, found = doctor(user)
    finding = "no shell starts opencode through opencode-litellm"
    remedy = "run opencode-litellm install, unless you start opencode-with-litellm some other way"
    assert (status, found["startup"]) == (0, ("warning", finding, remedy))
    installed = run(["opencode-litellm", "install", "fish", "bash"], user)
    assert installed.status == 0
    bash = f"{user['HOME']}/.bashrc, {user['HOME']}/.bash_profile"
    files = f"{bash}, {user['XDG_CONFIG_HOME']}/fish/conf.d/opencode-litellm.fish"
    assert doctor(user)[1]["startup"] == ("ok", files, None)


def test_a_command_that_snippets_would_not_find_is_told(user: dict[str, str]) -> None:
    programs = Path(user["HOME"], "bin")
    (programs / "opencode-with-litellm").unlink()
    status, found = doctor(user)
    finding = "opencode-with-litellm is not on PATH, so snippets start opencode without models"
    assert (status, found["command"]) == (0, ("warning", finding, f"put {programs} on PATH"))
    assert others(found, "command") == {"ok"}


def test_a_cache_that_cannot_be_used_is_told(user: dict[str, str]) -> None:
    folder = Path(user["XDG_CACHE_HOME"], "opencode-litellm")
    folder.mkdir()
    folder.chmod(0o777)
    status, found = doctor(user)
    finding = f"{folder} is not writable, or not private to you, so every launch asks for everything"
    remedy = "take ownership of it and set its mode to 0700, or set XDG_CACHE_HOME to another folder"
    assert (status, found["cache"]) == (0, ("warning", finding, remedy))
    assert others(found, "cache") == {"ok"}


@pytest.mark.parametrize(
    "entry",
    [
        "opencode-plugin-litellm",
        "opencode-plugin-litellm@1.2.0",
        ["opencode-plugin-litellm", {"timeout": 1}],
        "file:///src/opencode-plugin-litellm/index.ts",
    ],
)
def test_the_plugin_beside_us_is_told(entry: object, user: dict[str, str]) -> None:
    file = add(user, plugin=["other", entry])
    status, found = doctor(user)
    finding = (
        "opencode-plugin-litellm is loaded too: it adds models that opencode-litellm hides, and would add every model"
        " again to a separate provider for /v1/responses, so there is no such provider"
    )
    assert (status, found["plugin"]) == (0, ("warning", finding, f"remove it from plugin in {file}"))
    assert others(found, "plugin") == {"ok"}


def test_an_option_with_an_unknown_value_is_told_with_its_file(user: dict[str, str], proxy: StubProxy) -> None:
    file = add(user, provider={"litellm": {"options": {"baseURL": proxy.url, "transport": "pigeon"}}})
    status, found = doctor(user)
    finding = (
        f'options.transport of provider litellm in {file} is "pigeon", so \'auto\' is used:'
        " choose auto, chat, responses"
    )
    assert (status, found["settings"]) == (0, ("warning", finding, None))
    assert others(found, "settings") == {"ok"}


def test_limits_and_prices_that_nobody_told_are_told(user: dict[str, str], proxy: StubProxy) -> None:
    proxy.answer(MODEL_INFO, status=403)
    status, found = doctor(user)
    usable = f"opencode can use 2 of 3 models{HIDDEN}"
    finding = f"{usable}, but neither /v1/model/info nor /model_group/info gave their limits and prices"
    remedy = "allow the key to use these paths, or allow more time with --timeout SECONDS"
    assert (status, found["models litellm"]) == (0, ("warning", finding, remedy))
    assert others(found, "models litellm") == {"ok"}


def test_a_model_that_the_configuration_names_in_vain_is_told(user: dict[str, str], proxy: StubProxy) -> None:
    section = {"options": {"baseURL": proxy.url}, "models": {"mine": {"name": "Mine"}}}
    add(user, model="litellm/gone", small_model="litellm/mine", provider={"litellm": section})
    status, found = doctor(user)
    finding = "the configuration names litellm/gone, which is not available"
    assert (status, found["model"]) == (0, ("warning", finding, "choose one from opencode-litellm models"))
    assert others(found, "model") == {"ok"}


@pytest.mark.parametrize(
    ("content", "status", "finding"),
    [
        (b"echo run its postinstall script; exit 1\n", 126,
         "--version exits with status 1: run its postinstall script"),
        (b"", 126, "does not start: it is empty. Reinstall it"),
        (bytes(range(256)), 126, "does not start: it is neither a script nor a program for this machine."
         " Reinstall it"),
        (b"#!/no/where\n", 127, "does not start: its first line names /no/where, which does not exist."
         " Install that, or reinstall opencode"),
        pytest.param(
            re.sub(rb"(/lib[^\0]*/ld-[^\0]*)[^\0]", rb"\1!", Path("/bin/true").read_bytes(), count=1),
            127, "does not start: this system has no loader for it: it may be built for musl or glibc only."
            " Install another build",
            marks=pytest.mark.skipif(sys.platform != "linux", reason="programs are of another kind"),
        ),
    ],
    ids=["without #!", "empty", "binary", "interpreter", "loader"],
)  # fmt: skip
def test_a_program_that_the_system_cannot_start_is_explained(
    content: bytes, status: int, finding: str, user: dict[str, str]
) -> None:
    path = stand_in(user, "")
    path.write_bytes(content)
    ended, found = doctor(user)
    assert (ended, found["opencode"][:2]) == (status, ("failed", f"{path} {finding}"))
    launched = run(["opencode-with-litellm"], user)
    if content.startswith(b"echo"):
        assert (launched.status, launched.stdout) == (1, "run its postinstall script\n")
    else:
        said = finding.removeprefix("does not start: ")
        assert (launched.status, launched.stdout) == (status, "")
        assert f"{path} cannot be started: {said}" in launched.stderr


def test_a_session_that_would_leave_litellm_is_a_warning_with_the_remedy(user: dict[str, str]) -> None:
    remedy = (
        "set the options model and smallModel of a provider, or OPENCODE_LITELLM_DEFAULT_MODEL; the option \"only\":"
        " true turns off all other providers"
    )
    file = add(user, model="anthropic/claude-sonnet-4-5")
    elsewhere = "some prompts go to another provider"
    finding = f"anthropic/claude-sonnet-4-5 (model in {file}); titles: the same model; {elsewhere}"
    assert doctor(user)[1]["default model"] == ("warning", finding, remedy)
    add(user, model="litellm/gpt-4o", small_model="xai/grok")
    finding = f"litellm/gpt-4o (model in {file}); titles: xai/grok (small_model in {file}); {elsewhere}"
    assert doctor(user)[1]["default model"] == ("warning", finding, remedy)
    add(user, model="litellm/gpt-4o", small_model="litellm/gpt-4o")
    assert doctor(user)[1]["default model"][0] == "ok"


def test_a_launch_that_leaves_the_models_to_the_file_of_version_2_is_told_as_such(user: dict[str, str]) -> None:
    managed = {**user, "OPENCODE_LITELLM_DELIVERY": "managed"}
    assert launch(managed).payload is None
    found = doctor(managed)[1]
    assert found["launches"] == ("ok", ASKS_ONE_QUESTION, None)
    assert found["delivery"] == ("ok", "in the file that opencode 2's server reads", None)


def test_version_2_is_told_with_its_file_and_its_server(user: dict[str, str]) -> None:
    path = stand_in(user, "echo opencode v2.0.12")
    status, found = doctor(user)
    assert (status, found["opencode"]) == (0, ("ok", f"2.0.12, {path} (according to --version)", None))
    assert found["delivery"][1] == "in the file that opencode 2's server reads"
    slot = Path(user["XDG_CONFIG_HOME"], "opencode/opencode.jsonc")
    assert found["slot"] == ("ok", f"{slot}, from the next launch on", None)
    assert found["server"][1].startswith("not running")


def test_the_version_and_its_python_are_told(user: dict[str, str]) -> None:
    status, finding, _ = doctor(user)[1]["version"]
    assert status == "ok"
    assert finding.startswith(f"opencode-litellm {__version__}, Python {platform.python_version()} (")


def test_a_snippet_of_another_version_is_told(user: dict[str, str]) -> None:
    Path(user["HOME"], ".zshrc").unlink()
    assert run(["opencode-litellm", "install", "bash"], user).status == 0
    file = Path(user["HOME"], ".bashrc")
    assert doctor(user)[1]["startup"][0] == "ok"
    file.write_text(file.read_text().replace("elif", "else if"))
    remedy = "run opencode-litellm install bash, and start a new shell"
    told = ("warning", f"{file} has a snippet from another version", remedy)
    assert doctor(user)[1]["startup"] == told
    assert run(["opencode-litellm", "install", "bash"], user).status == 0
    assert doctor(user)[1]["startup"][0] == "ok"


def test_a_shim_that_comes_too_late_is_told(user: dict[str, str], tmp_path: Path) -> None:
    shim = tmp_path / "shims" / "opencode"
    write(shim, emission.shim().decode()).chmod(0o755)
    first = user | {"PATH": f"{shim.parent}:{user['PATH']}"}
    assert doctor(first)[1]["on PATH"] == ("ok", f"the shim comes first: {shim}", None)
    write(shim, emission.shim().decode().replace("set -f", "set -o noglob"))
    finding = f"{shim} comes first, but is a shim from another version"
    assert doctor(first)[1]["on PATH"] == ("warning", finding, "run opencode-litellm install --shim")
    late = user | {"PATH": f"{user['PATH']}:{shim.parent}"}
    finding = f"{user['HOME']}/bin/opencode comes before the shim {shim}, so the shim has no effect"
    assert doctor(late)[1]["on PATH"] == ("warning", finding, f"put {shim.parent} first on PATH")


# What it says to whom.


def test_no_key_is_told_and_nothing_steers_a_terminal(user: dict[str, str]) -> None:
    add(user, model="litellm/\x1b[31mred\x07", plugin=["opencode-plugin-litellm\x1b[2J"])
    done = run(["opencode-litellm", "doctor", "--verbose"], user)
    assert (done.status, done.stderr) == (0, "")
    assert "litellm/\\x1b[31mred\\x07" in done.stdout
    assert done.stdout.replace("\n", "").isprintable()
    assert KEY not in done.stdout + str(doctor(user))


def test_doctor_changes_no_file_of_the_user_s(user: dict[str, str]) -> None:
    def files() -> dict[str, bytes]:
        cache = user["XDG_CACHE_HOME"]
        found = (Path(folder, name) for folder, _, names in os.walk(user["HOME"]) for name in names)
        return {str(path): path.read_bytes() for path in found if not str(path).startswith(cache)}

    before = files()
    assert doctor(user)[0] == 0
    assert files() == before


def test_a_terminal_sees_how_each_check_is_in_colour(
    program: Callable[[str], Path], user: dict[str, str]
) -> None:
    on_a_terminal = [str(program("script")), "-qec", "opencode-litellm doctor --url ftp://x", "/dev/null"]
    shown = run(on_a_terminal, user).stdout
    assert "\x1b[32m✓\x1b[0m templates" in shown
    assert "\x1b[31m✗\x1b[0m settings" in shown
    assert "✗ settings" in run(on_a_terminal, user | {"NO_COLOR": "1"}).stdout
