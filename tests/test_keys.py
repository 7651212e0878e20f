"""The right key arrives, wherever it comes from, and no key is ever sent to another's host.

OPENAI_API_KEY is set in every test: it is what @ai-sdk/openai falls back to.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from world.config_endpoint import ConfigEndpoint
from world.handover import ENV, EXEC, asked, handed_over
from world.home import write
from world.launches import cache
from world.opencode import run
from world.stub import StubProxy

if TYPE_CHECKING:
    from world.opencode import Finished

pytestmark = pytest.mark.usefixtures("opencode")

OPENAI = "sk-of-openai"
NOWHERE = None


@pytest.fixture
def environment(home: dict[str, str]) -> dict[str, str]:
    return {**home, "OPENAI_API_KEY": OPENAI}


def configuration(providers: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return a configuration; without `$schema`, opencode would rewrite it."""
    return {"$schema": "https://opencode.ai/config.json", "provider": providers}


def section(url: str | None = None, key: str | None = None) -> dict[str, Any]:
    options = {"baseURL": url and f"{url}/v1", "apiKey": key}
    return {"options": {name: value for name, value in options.items() if value is not None}}


def store(environment: dict[str, str], stored: dict[str, str]) -> str:
    text = json.dumps({provider: {"type": "api", "key": key} for provider, key in stored.items()})
    write(Path(environment["XDG_DATA_HOME"], "opencode", "auth.json"), text)
    return text


def arrivals(proxies: dict[str, StubProxy]) -> set[tuple[str, str, str | None]]:
    """Return (proxy, path, key) of every request that arrived."""
    return {(name, request.path, request.key) for name, proxy in proxies.items() for request in proxy.requests}


def inferences(proxies: dict[str, StubProxy]) -> set[tuple[str, str, str | None]]:
    """Return the same for opencode's requests to models."""
    return {(name, request.path, request.key) for name, proxy in proxies.items() for request in proxy.inferences()}


def provider_of(model: str, payload: dict[str, Any], fallback: str) -> str:
    return next((name for name, section in payload["provider"].items() if model in section["models"]), fallback)


@pytest.mark.drawn(1)
@pytest.mark.parametrize("how", [EXEC, ENV])
def test_every_source_of_a_key_serves_its_own_proxy_alone(
    how: str, environment: dict[str, str], proxies: dict[str, StubProxy]
) -> None:
    folder = Path(environment["HOME"], "work")
    keys = {
        "literal": "sk-literal",
        "variable": "sk-variable",
        "absolute": "sk-absolute",
        "relative": "sk-relative",
        "tilde": "sk-tilde",
        "mixed": "sk-mixed-part",
        "half": "sk-literal-half-and-rest",
        "section-env": "sk-section-env",
        "stored": "sk-stored",
        "forced": "sk-forced",
        "project": "sk-project",
        "none": "none",
    }
    environment |= {"VARIABLE": keys["variable"], "MIXED": "mixed-part", "REST": "and-rest"}
    environment["CORP"] = keys["section-env"]
    for name in ("absolute", "relative", "tilde"):
        write(Path(environment["HOME"], ".config", "opencode", f"{name}.key"), f"{keys[name]}\n")
    stored = {f"litellm-{name}": keys[name] for name in ("stored", "forced")}
    if how == EXEC:
        store(environment, stored)
    else:
        environment["OPENCODE_AUTH_CONTENT"] = store(environment, stored)
        store(environment, dict.fromkeys(stored, "sk-of-the-file-that-has-no-say"))
    written: dict[str, Any] = {
        "literal": keys["literal"],
        "variable": "{env:VARIABLE}",
        "absolute": f"{{file:{environment['HOME']}/.config/opencode/absolute.key}}",
        "relative": "{file:./relative.key}",
        "tilde": "{file:~/.config/opencode/tilde.key}",
        "mixed": "sk-{env:MIXED}",
        "half": "sk-literal-half-{env:REST}",
    }
    sections = {f"litellm-{name}": section(proxies[name].url, written.get(name)) for name in keys}
    sections["litellm-section-env"]["env"] = ["CORP"]
    sections["litellm-forced"]["options"]["responsesProvider"] = "sibling"
    sections["litellm-variable"]["options"]["responsesProvider"] = "inline"
    of_project = {"litellm-project": sections.pop("litellm-project")}
    of_project["litellm-project"]["options"]["apiKey"] = keys["project"]
    write(Path(environment["HOME"], ".config", "opencode", "opencode.json"), configuration(sections))
    write(folder / "opencode.json", configuration(of_project))

    after = handed_over(how, environment, folder)
    payload = json.loads(after.get("OPENCODE_CONFIG_CONTENT") or Path(after["OPENCODE_CONFIG"]).read_text())
    with ConfigEndpoint(after) as endpoint:
        for name in keys:
            for model in (f"chat-{name}", f"o3-{name}"):
                endpoint.prompt(folder, f"{provider_of(model, payload, '')}/{model}", "hi")

    assert {(name, key) for name, _, key in arrivals(proxies)} == {
        *((name, key) for name, key in keys.items() if name != "none"),
        ("none", None),  # our own questions
        ("none", "none"),  # opencode's
    }
    assert inferences(proxies) == {
        (name, path, key) for name, key in keys.items() for path in ("/v1/chat/completions", "/v1/responses")
    }
    siblings = {name for name in payload["provider"] if name.endswith("-responses")}
    assert siblings == {
        f"litellm-{name}-responses" for name in ("absolute", "relative", "tilde", "mixed", "section-env", "none")
    }


def test_a_variable_serves_every_section_without_a_key_and_the_first_one_wins(
    environment: dict[str, str], proxies: dict[str, StubProxy]
) -> None:
    folder = Path(environment["HOME"])
    url = f"{proxies['a'].url}/v1"
    write(folder / ".config/opencode/opencode.json", configuration({"litellm": {"options": {"baseURL": url}}}))
    store(environment, {"litellm": "sk-stored"})
    names = ("LITELLM_API_KEY", "LITELLM_MASTER_KEY", "LITELLM_PROXY_API_KEY")
    for first in range(3):
        values = {name: f"sk-{name}" for name in names[first:]} | dict.fromkeys(names[:first], " ")
        finished = run(["opencode-litellm", "config"], {**environment, **values})
        options = json.loads(finished.stdout)["provider"]["litellm"]["options"]
        assert options == {"baseURL": url, "apiKey": f"{{env:{names[first]}}}"}
        assert {key for _, _, key in arrivals(proxies)} == {f"sk-{names[first]}"}
        proxies["a"].requests.clear()

    with ConfigEndpoint(handed_over(EXEC, {**environment, "LITELLM_MASTER_KEY": "sk-master"}, folder)) as endpoint:
        endpoint.prompt(folder, "litellm/chat-a", "hi")
        endpoint.prompt(folder, "litellm-responses/o3-a", "hi")
    assert inferences(proxies) == {
        ("a", "/v1/chat/completions", "sk-master"),
        ("a", "/v1/responses", "sk-master"),
    }


# What a provider's section is, in the global configuration or in that of the folder where `env` was run.
MET_AFTER_ENV: dict[str, dict[str, tuple[str, str] | None]] = {
    # What stands in the global configuration merges with another folder's as it would without us.
    "global-literal": {
        "nothing": ("own", "own"),
        "both": ("other", "other"),
        "key": ("own", "other"),
        "url": ("other", "own"),
    },
    "global-stored": {
        "nothing": ("own", "own"),
        "both": ("other", "other"),
        "key": ("own", "other"),
        "url": ("other", "own"),
    },
    "global-keyless": dict.fromkeys(("nothing", "both", "key", "url"), ("own", "none")),
    # Address and key travel together, above what the folder says.
    "project-variable": dict.fromkeys(("nothing", "both", "key", "url"), ("own", "own")),
    "project-keyless": dict.fromkeys(("nothing", "both", "key", "url"), ("own", "none")),
    # The key stays behind, so the address does as well: nothing is sent, or what the folder itself has.
    "project-literal": {"nothing": NOWHERE, "both": ("other", "other"), "key": NOWHERE, "url": ("other", "none")},
    "project-stored": {"nothing": NOWHERE, "both": ("other", "other"), "key": NOWHERE, "url": ("other", "own")},
    # A section without an address is asked at LITELLM_PROXY_URL, here and there.
    "addressless-stored": {
        "nothing": ("own", "own"),
        "both": ("other", "other"),
        "key": ("own", "other"),
        "url": ("other", "own"),
    },
}


@pytest.fixture
def crossroads(environment: dict[str, str], proxies: dict[str, StubProxy]) -> dict[str, str]:
    """Return the environment of a user with all kinds of providers and four more folders that say other things."""
    home = Path(environment["HOME"])
    of_layer: dict[str, dict[str, dict[str, Any]]] = {"global": {}, "project": {}}
    for name in MET_AFTER_ENV:
        layer, _, kind = name.partition("-")
        key = {"literal": f"sk-{name}", "variable": "{env:VARIABLE}"}.get(kind)
        url = None if layer == "addressless" else proxies[name].url
        of_layer["project" if layer == "project" else "global"][f"litellm-{name}"] = section(url, key)
    write(home / ".config/opencode/opencode.json", configuration(of_layer["global"]))
    write(home / "one/opencode.json", configuration(of_layer["project"]))
    store(environment, {f"litellm-{name}": f"sk-{name}" for name in MET_AFTER_ENV if name.endswith("-stored")})
    others = {
        "both": section(proxies["other"].url, "sk-other"),
        "key": section(None, "sk-other"),
        "url": section(proxies["other"].url),
    }
    for folder, said in others.items():
        write(home / folder / "opencode.json", configuration({f"litellm-{name}": said for name in MET_AFTER_ENV}))
    (home / "nothing").mkdir()
    return {
        **environment,
        "VARIABLE": "sk-project-variable",
        "LITELLM_PROXY_URL": proxies["addressless-stored"].url,
    }


def met(proxies: dict[str, StubProxy], provider: str) -> tuple[str, str | None] | None:
    """Return the owners of the host and of the key of the last prompt, None if it was not sent; and forget it."""
    found = {(name, key) for name, _, key in inferences(proxies)}
    for proxy in proxies.values():
        proxy.requests.clear()
    assert len(found) < 2, found
    for host, key in found:
        whose = {f"sk-{provider}": "own", "sk-other": "other"}.get(str(key), key)
        return "own" if host == provider else host, whose
    return None


@pytest.mark.drawn(1)
@pytest.mark.parametrize("kind", ["chat", "o3"])
def test_after_env_no_key_meets_the_host_of_another_folder(
    kind: str, crossroads: dict[str, str], proxies: dict[str, StubProxy]
) -> None:
    home = Path(crossroads["HOME"])
    after = handed_over(ENV, crossroads, home / "one")
    payload = json.loads(after["OPENCODE_CONFIG_CONTENT"])
    for proxy in proxies.values():
        proxy.requests.clear()

    with ConfigEndpoint(after) as endpoint:
        for name, expected in MET_AFTER_ENV.items():
            model = f"{kind}-{name}"
            provider = provider_of(model, payload, "")
            # The folder where it was run comes last: what opencode read of the others must not depend on it.
            for folder, pair in {**expected, "one": ("own", "none" if name.endswith("keyless") else "own")}.items():
                endpoint.prompt(home / folder, f"{provider}/{model}", "hi")
                assert met(proxies, name) == pair, (name, folder)


LAUNCHED = ("global-literal", "global-stored", "addressless-stored")
MET_BY_A_LAUNCH: dict[str, dict[str, tuple[str, str | None]]] = {
    "nothing": dict.fromkeys(LAUNCHED, ("own", "own")),
    "both": dict.fromkeys(LAUNCHED, ("other", "other")),
    # A section's key goes to its own address only, not to LITELLM_PROXY_URL.
    "key": {
        "global-literal": ("own", "other"),
        "global-stored": ("own", "other"),
        "addressless-stored": ("own", "none"),
    },
    "url": dict.fromkeys(LAUNCHED, ("other", "own")),
}


@pytest.mark.drawn(1)
@pytest.mark.parametrize("folder", MET_BY_A_LAUNCH)
def test_a_launch_sends_every_key_where_its_folder_says(
    folder: str, crossroads: dict[str, str], proxies: dict[str, StubProxy]
) -> None:
    here = Path(crossroads["HOME"], folder)
    after = handed_over(EXEC, crossroads, here)
    asked = {(name, key) for name, _, key in arrivals(proxies)}
    assert {key for _, key in asked} <= {None, "sk-other", *(f"sk-{name}" for name in MET_AFTER_ENV)}
    for proxy in proxies.values():
        proxy.requests.clear()
    with ConfigEndpoint(after) as endpoint:
        known = endpoint.providers(here)
        assert isinstance(known, dict)
        for name, pair in MET_BY_A_LAUNCH[folder].items():
            listed = "other" if pair[0] == "other" else name
            for model in (f"chat-{listed}", f"o3-{listed}"):
                providers = [f"litellm-{name}", f"litellm-{name}-responses"]
                provider = next(each for each in providers if model in known.get(each, {"models": {}})["models"])
                endpoint.prompt(here, f"{provider}/{model}", "hi")
                assert met(proxies, name) == pair, (name, model)


def test_a_launch_reads_the_folder_that_opencode_is_told_to_work_in(
    environment: dict[str, str], proxies: dict[str, StubProxy]
) -> None:
    home = Path(environment["HOME"])
    for name in ("here", "there"):
        write(home / name / "opencode.json", configuration({"litellm": section(proxies[name].url, f"{{env:{name}}}")}))
    environment |= {"here": "sk-here", "there": "sk-there"}
    command = ["opencode-with-litellm", "run", "--dir", "../there", "-m", "litellm/chat-there", "hi"]
    finished = run(command, environment, home / "here")
    assert finished.status == 0, finished
    assert {(name, key) for name, _, key in arrivals(proxies)} == {("there", "sk-there")}
    assert "/v1/chat/completions" in proxies["there"].paths()


@pytest.mark.drawn(1)
@pytest.mark.parametrize("key", ["sk-variable", ""])
@pytest.mark.parametrize("flags", [(), ("--delivery", "file"), ("--delivery", "inline")], ids=" ".join)
def test_an_address_from_a_flag_gets_nothing_that_stands_in_a_section(
    flags: tuple[str, ...], key: str, environment: dict[str, str], proxies: dict[str, StubProxy]
) -> None:
    folder = Path(environment["HOME"], "work")
    users = section(proxies["own"].url, "sk-own")
    users["options"] |= {"customHeaders": {"X-Custom": "secret"}, "headers": {"X-Users": "secret"}}
    sibling = section(None, "sk-of-the-sibling")
    write(
        Path(environment["HOME"], ".config/opencode/opencode.json"),
        configuration({"litellm": users, "litellm-responses": sibling}),
    )
    write(folder / "opencode.json", configuration({"litellm": section(None, "sk-project")}))
    flagged = proxies["flagged"]
    after = handed_over(EXEC, {**environment, "LITELLM_API_KEY": key}, folder, "--url", flagged.url, *flags)
    with ConfigEndpoint(after) as endpoint:
        endpoint.prompt(folder, "litellm/chat-flagged", "hi")
        endpoint.prompt(folder, "litellm-responses/o3-flagged", "hi")
    assert inferences(proxies) == {
        ("flagged", "/v1/chat/completions", key or "none"),
        ("flagged", "/v1/responses", key or "none"),
    }
    for request in flagged.requests:
        assert request.key in (key or None, key or "none")
        assert "secret" not in request.headers.values()
    assert proxies["own"].requests == []


IN_IT = "quotes, backslashes, braces or line breaks in it"


@pytest.mark.drawn(2)
@pytest.mark.parametrize(
    ("odd", "has"),
    [
        ('sk-odd"mine', IN_IT), ("sk-odd\\mine", IN_IT), ("sk-odd{mine", IN_IT), ('"sk-odd"', "quotes around it"),
        ("sk-odd\rmine", IN_IT),
    ],
)  # fmt: skip
def test_a_key_that_opencode_could_not_read_back_is_never_referred_to(
    odd: str, has: str, environment: dict[str, str], proxies: dict[str, StubProxy]
) -> None:
    """opencode puts a variable's value into the text that it parses, and shows that text when it cannot."""
    proxies["main"].key = "sk-good"
    folder = Path(environment["HOME"])
    write(folder / ".config/opencode/opencode.json", configuration({"litellm": section(proxies["main"].url)}))
    handed_over(EXEC, {**environment, "LITELLM_API_KEY": "sk-good"}, folder)
    # Now there is a record of that one.
    finished = run(["opencode-with-litellm", "models"], {**environment, "LITELLM_API_KEY": odd}, folder)
    assert finished.status == 0, finished
    assert "sk-odd" not in finished.stdout + finished.stderr
    assert f"no key was sent: correct LITELLM_API_KEY, which has {has}. opencode" in finished.stderr
    exported = run(["opencode-litellm", "env", "json"], {**environment, "LITELLM_API_KEY": odd}, folder)
    assert (exported.status, exported.stdout) == (4, "")
    assert {request.key for request in proxies["main"].requests} == {"sk-good", None}


AROUND_IT = "LITELLM_API_KEY has spaces or line breaks around it"


@pytest.mark.parametrize("odd", ["sk-good\r", "sk-good\n", "\t sk-good "])
def test_a_launch_takes_away_what_is_around_a_key(
    odd: str, environment: dict[str, str], proxies: dict[str, StubProxy]
) -> None:
    proxies["main"].key = "sk-good"
    folder = Path(environment["HOME"])
    # With a line break, opencode by itself would not even start with this.
    write(folder / "opencode.json", configuration({"litellm": section(proxies["main"].url, "{env:LITELLM_API_KEY}")}))
    environment = {**environment, "LITELLM_API_KEY": odd, "LITELLM_MASTER_KEY": ""}
    for _ in ("cold", "warm"):
        launched = asked(EXEC, environment, folder)
        assert launched.stderr == f"opencode-litellm: {AROUND_IT}: opencode gets the key without them\n"
        after = dict(line.split("=", 1) for line in launched.stdout.split("\0") if line)
        assert (after["LITELLM_API_KEY"], after["LITELLM_MASTER_KEY"]) == ("sk-good", "")
        assert "chat-main" in Path(after["OPENCODE_CONFIG"]).read_text()
    listed = run(["opencode-litellm", "models"], environment, folder)
    assert (listed.status, listed.stderr) == (0, "")
    checks = json.loads(run(["opencode-litellm", "doctor", "--json"], environment, folder).stdout)["checks"]
    (told,) = (check for check in checks if check["check"] == "environment")
    assert told["finding"] == f"{AROUND_IT}: launches remove them, but env and config cannot"
    disabled = asked(EXEC, {**environment, "OPENCODE_LITELLM_DISABLE": "1"}, folder)
    assert f"LITELLM_API_KEY={odd}\0" in disabled.stdout
    # What is printed refers to the variable as it will be then.
    write(folder / "opencode.json", configuration({"litellm": section(proxies["main"].url)}))
    exported = run(["opencode-litellm", "env", "json"], environment, folder)
    assert (exported.status, exported.stdout) == (4, "")
    assert f"no key was sent: correct {AROUND_IT.replace(' ', ', which ', 1)}" in exported.stderr
    assert {request.key for request in proxies["main"].requests} == {"sk-good", None}


def test_space_around_a_key_that_opencode_reads_for_itself_is_told(
    environment: dict[str, str], proxies: dict[str, StubProxy]
) -> None:
    folder = Path(environment["HOME"])
    file = write(folder / "opencode.json", configuration({"litellm": section(proxies["main"].url, "{env:MINE} ")}))
    done = run(["opencode-litellm", "config"], {**environment, "MINE": "sk-mine"}, folder)
    where = f"options.apiKey of provider litellm in {file}"
    assert done.stderr == (
        f"opencode-litellm: {where} has spaces or line breaks around it, and opencode sends them too:"
        " remove them there\n"
    )
    assert {request.key for request in proxies["main"].requests} == {"sk-mine"}


def test_quotes_around_a_key_are_told_when_it_is_refused(
    environment: dict[str, str], proxies: dict[str, StubProxy]
) -> None:
    proxies["main"].key = "sk-good"
    environment["LITELLM_API_KEY"] = "'sk-good'"
    done = asked(ENV, environment, Path(environment["HOME"]), "--url", proxies["main"].url)
    assert done.stderr.endswith("(HTTP 401, auth_error): check LITELLM_API_KEY, which has quotes around it\n")


@pytest.mark.drawn(1)
@pytest.mark.parametrize("how", [EXEC, ENV])
def test_a_key_that_opencode_reads_itself_may_have_any_letters(
    how: str, environment: dict[str, str], proxies: dict[str, StubProxy]
) -> None:
    odd = 'sk-"odd\\one'
    proxies["main"].key = odd
    folder = Path(environment["HOME"])
    providers = {"litellm": {**section(proxies["main"].url), "env": ["CORP"]}}
    write(folder / ".config/opencode/opencode.json", configuration(providers))
    with ConfigEndpoint(handed_over(how, {**environment, "CORP": odd}, folder)) as endpoint:
        for model in ("chat-main", "o3-main"):
            endpoint.prompt(folder, f"litellm/{model}", "hi")
    assert inferences(proxies) == {("main", "/v1/chat/completions", odd), ("main", "/v1/responses", odd)}


@pytest.mark.parametrize("name", ["CORP", "LITELLM_API_KEY"])
@pytest.mark.parametrize("odd", ['sk-"odd\\one', " sk-odd", "sk-odd{one"])
def test_a_key_that_opencode_reads_itself_is_asked_with_by_warm_launches_and_stands_in_no_payload(
    odd: str, name: str, environment: dict[str, str], proxies: dict[str, StubProxy]
) -> None:
    proxies["main"].key = odd.strip()
    folder = Path(environment["HOME"])
    providers = {"litellm": {**section(proxies["main"].url), "env": [name]}}
    write(folder / ".config/opencode/opencode.json", configuration(providers))
    cold, *warm = [asked(EXEC, {**environment, name: odd}, folder) for _ in range(3)]
    assert "chat-main" in payload_of(cold)
    assert [payload_of(each) for each in warm] == [payload_of(cold)] * 2
    assert Path(environment["XDG_STATE_HOME"], "opencode-litellm/log").read_text().count("asked for everything") == 1
    assert {request.key for request in proxies["main"].requests} == {odd.strip()}
    kept = [file.read_text() for file in cache(environment).iterdir()]
    assert [text for text in (payload_of(cold), *kept) if "odd" in text] == []
    # The record is for this value alone.
    other = asked(EXEC, {**environment, name: '"odd"'}, folder)
    assert payload_of(other) == ""


def payload_of(launched: Finished) -> str:
    """Return the payload that ``exec -- env -0`` shows; empty without one."""
    after = dict(line.split("=", 1) for line in launched.stdout.split("\0") if line)
    file = after.get("OPENCODE_CONFIG")
    return after.get("OPENCODE_CONFIG_CONTENT", "") + (Path(file).read_text() if file else "")


@pytest.mark.drawn(1)
@pytest.mark.parametrize("start", ["one", "keyed"])
@pytest.mark.parametrize("how", [EXEC, ENV])
def test_a_server_that_was_started_in_one_project_takes_no_key_of_it_to_another(
    how: str, start: str, environment: dict[str, str], proxies: dict[str, StubProxy]
) -> None:
    home = Path(environment["HOME"])
    environment["KEY"] = "sk-one"
    write(home / ".config/opencode/opencode.json", configuration({"litellm": section(proxies["usual"].url)}))
    for name, said in {
        "one": section(proxies["one"].url, "{env:KEY}"),
        "keyed": section(None, "{env:KEY}"),
        "url": section(proxies["other"].url),
        "both": section(proxies["other"].url, "sk-other"),
    }.items():
        write(home / name / "opencode.json", configuration({"litellm": said}))
    (home / "nothing").mkdir()
    expected = {
        "one": {
            "one": {("one", "sk-one")},
            "both": {("other", "sk-other")},
            "url": {("other", "none")},
            "nothing": {("usual", "none")},
        },
        "keyed": {
            "keyed": {("usual", "sk-one")},
            "both": {("other", "sk-other")},
            "url": {("other", "none")},
            "nothing": {("usual", "none")},
        },
    }
    host = "one" if start == "one" else "usual"
    # After env, address and key stand together above every folder.
    pair = {(host, "sk-one")}
    with ConfigEndpoint(handed_over(how, environment, home / start)) as endpoint:
        for folder, whose in expected[start].items():
            for proxy in proxies.values():
                proxy.requests.clear()
            endpoint.prompt(home / folder, f"litellm/chat-{host}", "hi")
            found = {(name, key) for name, _, key in inferences(proxies)}
            assert found == (whose if how == EXEC else pair), folder


@pytest.mark.drawn(1)
@pytest.mark.parametrize("steps", [(EXEC,), (EXEC, EXEC), (ENV,)], ids=["cold", "warm", "env"])
def test_a_reference_may_have_letters_beyond_ascii(
    steps: tuple[str, ...], environment: dict[str, str], proxies: dict[str, StubProxy]
) -> None:
    folder = Path(environment["HOME"], "josé")
    proxies["main"].key = "sk-main"
    write(folder / "key", "sk-main\n")
    write(folder / "opencode.json", configuration({"litellm": section(proxies["main"].url, "{file:./key}")}))
    (folder / "own.json").write_text("{}")
    environment["OPENCODE_CONFIG"] = str(folder / "own.json")
    *_, after = (handed_over(how, environment, folder) for how in steps)
    with ConfigEndpoint(after) as endpoint:
        endpoint.prompt(folder, "litellm/o3-main", "hi")
    assert inferences(proxies) == {("main", "/v1/responses", "sk-main")}
    output = ["--output", "models.json"]
    assert run(["opencode-litellm", "config", "--project", *output], environment, folder).status == 0
    assert run(["opencode-litellm", "config", "--project", *output, "--check"], environment, folder).status == 0
    assert f"{{file:{folder}/key}}" in (folder / "models.json").read_text()
