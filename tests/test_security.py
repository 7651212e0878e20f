"""Keys and headers that once went elsewhere: each test is a way in which a secret got out.

docs/security.md says what is promised, and which of these tests checks it.
"""

from __future__ import annotations

import ctypes
import json
import os
import socket
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hunt.driver import Company
from test_keys import configuration, section, store, write
from world.config_endpoint import ConfigEndpoint
from world.handover import ENV, EXEC, applied, asked, handed_over
from world.home import stand_in
from world.network import own_loopback
from world.opencode import run
from world.stub import IDENTITY, MODELS, StubProxy

from opencode_litellm.litellm import listeners
from opencode_litellm.shells.formats import FORMATS

if TYPE_CHECKING:
    from collections.abc import Iterator

OPENAI = "sk-of-openai"
KEY = "sk-right"
PORTS = (4000, 8000, 8080)
OTHER = 12345  # another user


@pytest.fixture
def environment(home: dict[str, str]) -> dict[str, str]:
    return {**home, "OPENAI_API_KEY": OPENAI}


@pytest.fixture
def company() -> Iterator[Company]:
    """Return an HTTP proxy that records what goes through it."""
    with Company() as server:
        yield server


def globally(environment: dict[str, str], sections: dict[str, dict[str, Any]]) -> None:
    write(Path(environment["HOME"], ".config/opencode/opencode.json"), configuration(sections))


def in_folder(environment: dict[str, str], name: str, sections: dict[str, dict[str, Any]]) -> Path:
    folder = Path(environment["HOME"], name)
    write(folder / "opencode.json", configuration(sections))
    return folder


def with_headers(said: dict[str, Any], **headers: str) -> dict[str, Any]:
    return {**said, "options": {**said["options"], "customHeaders": headers}}


def everything(proxy: StubProxy | Company) -> str:
    """Return all that arrived at a server, as one text to look for secrets in."""
    return json.dumps([[request.path, dict(request.headers), request.body.decode()] for request in proxy.requests])


def posted(proxy: StubProxy) -> list[tuple[str, str | None, str | None]]:
    """Return path, key and the header of every question to a model, and forget them."""
    questions = [request for request in proxy.requests if request.method == "POST"]
    proxy.requests.clear()
    return [(request.path, request.key, request.headers.get("x-gateway")) for request in questions]


CHAT, RESPONSES = "/v1/chat/completions", "/v1/responses"


@pytest.mark.drawn(1)
@pytest.mark.usefixtures("opencode")
@pytest.mark.parametrize(
    ("how", "spared"),
    [(EXEC, {"NO_PROXY": "corp.example", "no_proxy": "another.example"}), (ENV, {"NO_PROXY": "localhost"})],
    ids=[EXEC, ENV],
)
def test_a_loopback_proxy_is_not_asked_through_an_http_proxy(
    how: str, spared: dict[str, str], environment: dict[str, str], proxies: dict[str, StubProxy], company: Company
) -> None:
    folder = Path(environment["HOME"])
    globally(environment, {"litellm": section(proxies["own"].url, KEY)})
    with ConfigEndpoint(handed_over(how, {**environment, "HTTP_PROXY": company.root, **spared}, folder)) as endpoint:
        endpoint.prompt(folder, "litellm/chat-own", "hi")
    assert company.requests == []
    assert posted(proxies["own"]) == [(CHAT, KEY, None)]


SPARED = {
    "nothing": {},
    "another spelling": {"NO_PROXY": "localhost"},
    "small letters": {"no_proxy": "corp.example"},
    "both": {"NO_PROXY": "corp.example", "no_proxy": "another.example"},
}


@pytest.mark.parametrize("spared", SPARED)
@pytest.mark.parametrize("how", [EXEC, ENV])
def test_exceptions_from_an_http_proxy_are_taken_back(
    how: str, spared: str, environment: dict[str, str], proxies: dict[str, StubProxy]
) -> None:
    folder = Path(environment["HOME"])
    globally(environment, {"litellm": section(proxies["own"].url, KEY)})
    environment |= {"HTTP_PROXY": "http://127.0.0.1:1", **SPARED[spared]}
    after = handed_over(how, environment, folder)
    users = SPARED[spared].get("no_proxy") or SPARED[spared].get("NO_PROXY")
    direct = f"{users},127.0.0.1" if users else "127.0.0.1"
    assert (after["NO_PROXY"], after["no_proxy"]) == (direct, direct)
    unset = run(["opencode-litellm", "env", "json", "--unset"], after, folder)
    assert applied(after, unset.stdout) == environment


GATEWAY = "the-gateway-s-word"
SECRET_WAYS = [(key, header) for key in ("literal", "reference") for header in ("literal", "reference")]


def with_header(said: dict[str, Any], value: str) -> dict[str, Any]:
    return {**said, "options": {**said["options"], "customHeaders": {"X-Gateway": value}}}


@pytest.mark.drawn(1)
@pytest.mark.usefixtures("opencode")
@pytest.mark.parametrize("how", [EXEC, ENV])
@pytest.mark.parametrize("start", ["project", "elsewhere"])
def test_a_header_goes_only_to_the_address_that_it_was_written_for(
    how: str, start: str, environment: dict[str, str], proxies: dict[str, StubProxy]
) -> None:
    """A project has another address: wherever opencode was started, and in whichever folder its server works then."""
    environment |= {"GATEWAY": GATEWAY, "USUAL": "sk-usual"}
    usual, own = {}, {}
    for key, header in SECRET_WAYS:
        name = f"litellm-{key}-{header}"
        said = section(proxies[f"usual-{name}"].url, "sk-usual" if key == "literal" else "{env:USUAL}")
        usual[name] = with_header(said, GATEWAY if header == "literal" else "{env:GATEWAY}")
        own[name] = section(proxies[f"own-{name}"].url, "sk-own")
    globally(environment, usual)
    project = in_folder(environment, "project", own)
    elsewhere = Path(environment["HOME"], "elsewhere")
    elsewhere.mkdir()
    if how == ENV:  # it hands over no header whose key, or which itself, would have to be printed
        usual = {"litellm-reference-reference": usual["litellm-reference-reference"]}
        globally(environment, usual)
    after = handed_over(how, environment, project if start == "project" else elsewhere)
    for proxy in proxies.values():
        proxy.requests.clear()
    with ConfigEndpoint(after) as endpoint:
        for name in usual:
            if start == "project":
                endpoint.prompt(project, f"{name}/chat-own-{name}", "hi")
                assert posted(proxies[f"own-{name}"]) == [(CHAT, "sk-own", None)], name
            else:
                endpoint.prompt(elsewhere, f"{name}/chat-usual-{name}", "hi")
                assert posted(proxies[f"usual-{name}"]) == [(CHAT, "sk-usual", GATEWAY)], name
                endpoint.prompt(project, f"{name}/chat-usual-{name}", "hi")
                # Address, key and header stay together, above the project.
                assert posted(proxies[f"usual-{name}"]) == [(CHAT, "sk-usual", GATEWAY)], name
    assert all(proxy.requests == [] for proxy in proxies.values())


@pytest.mark.usefixtures("opencode")
def test_an_output_of_config_in_a_project_does_not_draw_another_proxy_s_headers(
    environment: dict[str, str], proxies: dict[str, StubProxy]
) -> None:
    folder = Path(environment["HOME"], "project")
    folder.mkdir()
    environment |= {"GATEWAY": GATEWAY, "USUAL": "sk-usual"}
    output = ["opencode-litellm", "config", "--output", "opencode.json", "--url", proxies["older"].url]
    assert run(output, environment, folder).status == 0
    proxies["older"].requests.clear()
    globally(environment, {"litellm": with_header(section(proxies["usual"].url, "{env:USUAL}"), "{env:GATEWAY}")})
    with ConfigEndpoint(handed_over(EXEC, environment, folder)) as endpoint:
        endpoint.prompt(folder, "litellm/chat-usual", "hi")
    assert proxies["older"].requests == []
    assert posted(proxies["usual"]) == [(CHAT, "sk-usual", GATEWAY)]


def test_a_key_that_env_delivered_for_a_detected_proxy_goes_to_no_stranger(environment: dict[str, str]) -> None:
    folder = Path(environment["HOME"])
    environment["LITELLM_API_KEY"] = KEY
    with own_loopback(PORTS):
        with StubProxy(["chat"], port=PORTS[0]) as proxy:
            after = handed_over(ENV, environment, folder)
            assert KEY in everything(proxy)
        with StubProxy(["chat"], port=PORTS[0]) as stranger:
            del stranger.answers[IDENTITY]
            finished = asked(EXEC, after, folder)
            assert KEY not in everything(stranger)
    assert "OPENCODE_CONFIG_CONTENT=" not in finished.stdout
    assert "opencode starts without LiteLLM's models" in finished.stderr


def test_models_that_env_delivered_for_a_detected_proxy_stay_while_it_is_there(environment: dict[str, str]) -> None:
    folder = Path(environment["HOME"])
    environment["LITELLM_API_KEY"] = KEY
    with own_loopback(PORTS), StubProxy(["chat"], port=PORTS[0]) as proxy:
        after = handed_over(ENV, environment, folder)
        proxy.answer("/v1/models", b"busy", status=503)
        finished = asked(EXEC, {**after, "XDG_CACHE_HOME": str(folder / "none")}, folder)
    assert "with the models that an earlier env delivered" in finished.stderr
    assert "OPENCODE_CONFIG_CONTENT=" in finished.stdout


@pytest.mark.usefixtures("opencode")
def test_a_server_sends_the_second_project_s_key_to_its_own_address(
    environment: dict[str, str], proxies: dict[str, StubProxy]
) -> None:
    environment["LITELLM_API_KEY"] = KEY
    first, second = {}, {}
    for name in ("litellm", "litellm-api"):
        first[name] = section(proxies[f"one-{name}"].url)
        second[name] = section(proxies[f"two-{name}"].url, "sk-two")
    second["litellm-api"]["api"] = second["litellm-api"]["options"].pop("baseURL")
    one, two = in_folder(environment, "one", first), in_folder(environment, "two", second)
    with ConfigEndpoint(handed_over(EXEC, environment, one)) as endpoint:
        for name in first:
            proxies[f"one-{name}"].requests.clear()
            endpoint.prompt(one, f"{name}/chat-one-{name}", "hi")
            endpoint.prompt(two, f"{name}/chat-one-{name}", "hi")
            assert posted(proxies[f"one-{name}"]) == [(CHAT, KEY, None)], name
            assert posted(proxies[f"two-{name}"]) == [(CHAT, "sk-two", None)], name


@pytest.mark.usefixtures("opencode")
def test_a_server_sends_a_folder_s_own_key_wherever_it_stands(
    environment: dict[str, str], proxies: dict[str, StubProxy]
) -> None:
    """opencode takes any `apiKey`, of whichever layer, before a key of `env` or of auth.json."""
    environment |= {"LITELLM_API_KEY": KEY, "THEIRS": "sk-theirs"}
    store(environment, {"litellm-stored-responses": "sk-theirs"})
    names = ("litellm-env", "litellm-stored", "litellm-main")
    first = {name: section(proxies[name].url) for name in names}
    theirs = {"npm": "@ai-sdk/openai", "models": {"o3-theirs": {}}, **section(proxies["elsewhere"].url)}
    second = {
        "litellm-env-responses": {**theirs, "env": ["THEIRS"]},
        "litellm-stored-responses": theirs,
        "litellm-main": {**theirs, "env": ["THEIRS"]},
    }
    one, two = in_folder(environment, "one", first), in_folder(environment, "two", second)
    # A model of provider litellm-stored is not in its sibling, for which another key is stored.
    models = ("litellm-env-responses/o3", "litellm-stored/o3", "litellm-main/chat")
    with ConfigEndpoint(handed_over(EXEC, environment, one)) as endpoint:
        for name, model, provider in zip(names, models, second, strict=True):
            proxies[name].requests.clear()
            endpoint.prompt(one, f"{model}-{name}", "hi")
            endpoint.prompt(two, f"{provider}/o3-theirs", "hi")
            assert [key for _, key, _ in posted(proxies[name])] == [KEY], name
            assert [key for _, key, _ in posted(proxies["elsewhere"])] == ["sk-theirs"], name


@pytest.mark.usefixtures("opencode")
def test_the_key_of_openai_reaches_no_proxy_through_a_sibling_of_another_folder(
    environment: dict[str, str], proxies: dict[str, StubProxy]
) -> None:
    environment["ONE"] = "sk-one"
    keys = {"litellm-literal": "sk-one", "litellm-reference": "{env:ONE}"}
    first = {name: section(proxies[f"one-{name}"].url, key) for name, key in keys.items()}
    first |= {f"{name}-responses": section(None, "sk-sibling") for name in keys}
    one = in_folder(environment, "one", first)
    two = in_folder(environment, "two", {f"{name}-responses": section(proxies[f"two-{name}"].url) for name in keys})
    with ConfigEndpoint(handed_over(ENV, environment, one)) as endpoint:
        for name in keys:
            endpoint.prompt(two, f"{name}-responses/o3-one-{name}", "hi")
    assert all(OPENAI not in everything(proxy) for proxy in proxies.values())


@pytest.mark.drawn(1)
@pytest.mark.usefixtures("opencode")
@pytest.mark.parametrize("how", [EXEC, ENV])
def test_a_provider_of_the_user_s_with_the_name_of_a_sibling_stays_as_it_is(
    how: str, environment: dict[str, str], proxies: dict[str, StubProxy]
) -> None:
    """It has its address, its key, and no model of the proxy whose sibling it would be."""
    folder = Path(environment["HOME"])
    environment |= {"KEY": KEY, "GATEWAY": GATEWAY, "THEIRS": "sk-theirs"}
    sections: dict[str, dict[str, Any]] = {}
    for name in ("litellm-env", "litellm-stored"):
        sections[name] = with_header(section(proxies[name].url, "{env:KEY}"), "{env:GATEWAY}")
        theirs = {**section(proxies["elsewhere"].url), "npm": "@ai-sdk/openai", "models": {"o3-theirs": {}}}
        sections[f"{name}-responses"] = theirs
    sections["litellm-env-responses"]["env"] = ["THEIRS"]
    store(environment, {"litellm-stored-responses": "sk-theirs"})
    globally(environment, sections)
    with ConfigEndpoint(handed_over(how, environment, folder)) as endpoint:
        known = endpoint.providers(folder)
        assert isinstance(known, dict)
        for name in ("litellm-env", "litellm-stored"):
            assert set(known[f"{name}-responses"]["models"]) == {"o3-theirs"}
            assert set(known[name]["models"]) == {f"chat-{name}", f"o3-{name}"}
            endpoint.prompt(folder, f"{name}-responses/o3-theirs", "hi")
            endpoint.prompt(folder, f"{name}/o3-{name}", "hi")
            assert posted(proxies["elsewhere"]) == [(RESPONSES, "sk-theirs", None)], name
            assert posted(proxies[name]) == [(RESPONSES, KEY, GATEWAY)], name


@pytest.mark.drawn(1)
@pytest.mark.usefixtures("opencode")
@pytest.mark.parametrize(("how", "key"), [(EXEC, "sk-b"), (ENV, "")], ids=["exec with a key", "env without"])
def test_an_address_from_a_flag_beats_that_of_inline_content(
    how: str, key: str, environment: dict[str, str], proxies: dict[str, StubProxy]
) -> None:
    folder = Path(environment["HOME"])
    users = section(proxies["a"].url, "{env:A}")
    users["options"]["headers"] = {"X-Gateway": GATEWAY if how == EXEC else "{env:GATEWAY}"}
    content = json.dumps({**configuration({"litellm": users}), "username": "somebody"})
    environment |= {"A": "sk-a", "GATEWAY": GATEWAY, "OPENCODE_CONFIG_CONTENT": content, "LITELLM_API_KEY": key}
    after = handed_over(how, environment, folder, "--url", proxies["b"].url)
    with ConfigEndpoint(after) as endpoint:
        endpoint.prompt(folder, "litellm/chat-b", "hi")
        endpoint.prompt(folder, "litellm-responses/o3-b", "hi")
        read = endpoint.read(folder)
        assert isinstance(read, dict)
        assert read["username"] == "somebody"
    assert proxies["a"].requests == []
    assert "sk-a" not in everything(proxies["b"])
    assert GATEWAY not in everything(proxies["b"])
    assert [asked[:2] for asked in posted(proxies["b"])] == [(CHAT, key or "none"), (RESPONSES, key or "none")]
    unset = run(["opencode-litellm", "env", "json", "--unset"], after, folder)
    assert applied(after, unset.stdout)["OPENCODE_CONFIG_CONTENT"] == content


@contextmanager
def as_somebody_else() -> Iterator[None]:
    """Make the sockets that this thread creates belong to another user of the machine, as Linux sees it."""
    system = ctypes.CDLL(None)
    system.setfsuid(OTHER)
    try:
        yield
    finally:
        system.setfsuid(os.geteuid())


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="only root can be somebody else, on Linux")
def test_another_user_s_litellm_is_not_asked_and_gets_no_key(environment: dict[str, str]) -> None:
    folder = Path(environment["HOME"])
    environment["LITELLM_API_KEY"] = KEY
    with own_loopback(PORTS), ExitStack() as stack:
        with StubProxy(["first"], port=PORTS[0]) as own:
            launched = handed_over(EXEC, environment, folder)
            assert KEY in everything(own)
        assert '"first"' in Path(launched["OPENCODE_CONFIG"]).read_text()
        with as_somebody_else():
            others = [stack.enter_context(StubProxy(["others"], port=port)) for port in PORTS[:2]]
        # There is a record of the port by now.
        assert "opencode starts without LiteLLM's models" in asked(EXEC, environment, folder).stderr
        asked_for = run(["opencode-litellm", "models"], environment, folder)
        assert (asked_for.status, asked_for.stdout) == (3, "")
        own = stack.enter_context(StubProxy(["second"], port=PORTS[2]))
        assert '"second"' in Path(handed_over(EXEC, environment, folder)["OPENCODE_CONFIG"]).read_text()
        assert [other.requests for other in others] == [[], []]


LISTENERS = {"127.0.0.1": False, "0.0.0.0": False, "::": False, "127.0.0.2": True, "::1": True}  # noqa: S104


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="only root can be somebody else, on Linux")
@pytest.mark.parametrize("address", LISTENERS)
def test_every_listener_at_the_loopback_address_has_to_be_trusted(address: str) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with own_loopback(PORTS), socket.socket() as ours:
        with as_somebody_else():
            others, caller = socket.socket(family), socket.socket()
        with others, caller:
            # A port that somebody only calls from is not listened to.
            ours.bind(("127.0.0.1", PORTS[1]))
            ours.listen()
            caller.bind(("127.0.0.1", PORTS[2]))
            caller.connect(("127.0.0.1", PORTS[1]))
            assert listeners.are_trusted(PORTS[2])
            others.bind((address, PORTS[0]))
            assert listeners.are_trusted(PORTS[0])
            others.listen()
            assert listeners.are_trusted(PORTS[0]) is LISTENERS[address]


SPOKEN = "sk-spoken-9f3"
UNSPEAKABLE = {
    "a key as the address": SPOKEN,
    "a key as the host": f"http://{SPOKEN}:x/v1",
    "a login": f"http://somebody:{SPOKEN}@127.0.0.1:1/v1",
    "a login without a scheme": f"somebody:{SPOKEN}@127.0.0.1:1",
    "a login without a name": f"http://:{SPOKEN}@127.0.0.1:1",
    "a login with a slash": f"http://somebody:a/{SPOKEN}@127.0.0.1:1",
    "a login with a backslash": f"http:\\\\somebody:{SPOKEN}@127.0.0.1:1",
    "one slash": f"http:/somebody:{SPOKEN}@127.0.0.1:1",
    "another scheme": f"ftp://somebody:{SPOKEN}@127.0.0.1:1",
    "a query": f"http://127.0.0.1:1/v1?key={SPOKEN}",
    "a fragment": f"http://127.0.0.1:1/v1#{SPOKEN}",
}
COMMANDS = ("config", "env json", "models", "refresh", "doctor", "doctor --json", "exec -- true")


@pytest.mark.parametrize("origin", ["section", "reference", "flag", "LITELLM_PROXY_URL", "HTTP_PROXY"])
@pytest.mark.parametrize("what", UNSPEAKABLE)
def test_no_message_repeats_an_address_that_may_hold_a_secret(
    what: str, origin: str, environment: dict[str, str]
) -> None:
    stand_in(environment)
    text = UNSPEAKABLE[what]
    flags: list[str] = []
    if origin == "flag":
        flags = ["--url", text]
    elif origin == "HTTP_PROXY":
        environment |= {"HTTP_PROXY": text, "HTTPS_PROXY": text, "LITELLM_PROXY_URL": "http://192.0.2.1:1"}
    elif origin == "LITELLM_PROXY_URL":
        environment["LITELLM_PROXY_URL"] = text
    else:
        environment["SPOKEN"] = text
        address = text if origin == "section" else "{env:SPOKEN}"
        globally(environment, {"litellm": {"options": {"baseURL": address}}})
    for command in COMMANDS:
        name, *rest = command.split()
        finished = run(["opencode-litellm", name, "--timeout", "0.5", "--verbose", *flags, *rest], environment, "/")
        assert SPOKEN not in finished.stdout + finished.stderr, (command, finished)


@pytest.mark.parametrize("key", [SPOKEN, "qzj"])
def test_a_redirect_to_a_server_named_after_the_key_is_not_repeated(
    key: str, environment: dict[str, str], proxies: dict[str, StubProxy]
) -> None:
    stand_in(environment)
    proxies["a"].redirect(MODELS, f"http://{key.upper()}.example/v1/models")
    environment |= {"LITELLM_API_KEY": key, "LITELLM_PROXY_URL": proxies["a"].url}
    for command in COMMANDS:
        name, *rest = command.split()
        finished = run(["opencode-litellm", name, "--verbose", *rest], environment, "/")
        assert "redirects to another server" in finished.stdout + finished.stderr, (command, finished)
        assert key not in (finished.stdout + finished.stderr).lower(), (command, finished)
    kept = [path.read_text() for path in Path(environment["XDG_STATE_HOME"]).rglob("*") if path.is_file()]
    assert kept
    assert key not in "".join(kept).lower()


@pytest.mark.parametrize("name", FORMATS)
def test_only_names_of_our_own_are_taken_back(name: str, environment: dict[str, str]) -> None:
    planted = {
        f"OPENCODE_LITELLM_HEADER_{ending}": "x" for ending in ("x;touch /tmp/planted", "$(id)", "x\ny", "", "é", "0G")
    }
    finished = run(["opencode-litellm", "env", name, "--unset"], {**environment, **planted})
    assert finished.status == 0
    assert "HEADER" not in finished.stdout
