"""Keys and headers that went elsewhere once: each test is a way that some secret had.

docs/security.md says what is promised, and which of these tests holds it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hunt.driver import Company
from test_keys import configuration, section, write
from world.config_endpoint import ConfigEndpoint
from world.handover import ENV, EXEC, applied, asked, handed_over
from world.network import own_loopback
from world.opencode import run
from world.stub import IDENTITY, StubProxy

if TYPE_CHECKING:
    from collections.abc import Iterator

OPENAI = "sk-of-openai"
KEY = "sk-right"
PORTS = (4000, 8000, 8080)


@pytest.fixture
def environment(home: dict[str, str]) -> dict[str, str]:
    return {**home, "OPENAI_API_KEY": OPENAI}


@pytest.fixture
def company() -> Iterator[Company]:
    """Return an HTTP proxy that knows what goes through it."""
    with Company() as server:
        yield server


def globally(environment: dict[str, str], **sections: dict[str, Any]) -> None:
    named = {name.replace("_", "-"): said for name, said in sections.items()}
    write(Path(environment["HOME"], ".config/opencode/opencode.json"), configuration(named))


def everything(proxy: StubProxy | Company) -> str:
    """Return all that arrived at a server, as one text to look for secrets in."""
    return json.dumps([[request.path, dict(request.headers), request.body.decode()] for request in proxy.requests])


SPARED = {
    "nothing": {},
    "another spelling": {"NO_PROXY": "localhost"},
    "small letters": {"no_proxy": "corp.example"},
    "both": {"NO_PROXY": "corp.example", "no_proxy": "another.example"},
}


@pytest.mark.usefixtures("opencode")
@pytest.mark.parametrize("spared", SPARED)
@pytest.mark.parametrize("how", [EXEC, ENV])
def test_a_loopback_proxy_is_not_asked_through_an_http_proxy(
    how: str, spared: str, environment: dict[str, str], proxies: dict[str, StubProxy], company: Company
) -> None:
    folder = Path(environment["HOME"])
    globally(environment, litellm=section(proxies["own"].url, KEY))
    environment |= {"HTTP_PROXY": company.root, **SPARED[spared]}
    after = handed_over(how, environment, folder)
    with ConfigEndpoint(after) as endpoint:
        endpoint.prompt(folder, "litellm/chat-own", "hi")
    assert company.requests == []
    assert [request.key for request in proxies["own"].requests if request.method == "POST"] == [KEY]
    unset = run(["opencode-litellm", "env", "json", "--unset"], after, folder)
    assert applied(after, unset.stdout) == environment


GATEWAY = "the-gateway-s-word"


def test_what_env_left_of_a_detected_proxy_goes_to_no_stranger(environment: dict[str, str]) -> None:
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
        globally(environment, litellm={"options": {"baseURL": text if origin == "section" else "{env:SPOKEN}"}})
    for command in COMMANDS:
        name, *rest = command.split()
        finished = run(["opencode-litellm", name, "--timeout", "0.5", "--verbose", *flags, *rest], environment)
        assert SPOKEN not in finished.stdout + finished.stderr, (command, finished)


@pytest.mark.parametrize("name", ["bash", "zsh", "fish", "pwsh", "posix", "json", "dotenv", "github"])
def test_only_names_of_our_own_are_taken_back(name: str, environment: dict[str, str]) -> None:
    planted = {
        f"OPENCODE_LITELLM_HEADER_{ending}": "x" for ending in ("x;touch /tmp/planted", "$(id)", "x\ny", "", "é", "0G")
    }
    finished = run(["opencode-litellm", "env", name, "--unset"], {**environment, **planted})
    assert finished.status == 0
    assert "HEADER" not in finished.stdout
