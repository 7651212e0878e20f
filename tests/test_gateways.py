"""What a real nginx in front of a proxy does to a launch: mostly nothing; otherwise there is a message for it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from world.certificates import certified
from world.launches import launch, settle
from world.nginx import LOGIN, Nginx
from world.opencode import run
from world.stub import MODELS, StubProxy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

KEY = "sk-right"

pytestmark = pytest.mark.needs("nginx", "openssl")


@pytest.fixture(scope="module")
def behind() -> Iterator[StubProxy]:
    with StubProxy(["gpt-4o"], key=KEY) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def nginx(tmp_path_factory: pytest.TempPathFactory, behind: StubProxy) -> Iterator[Nginx]:
    certificates = tmp_path_factory.mktemp("certificates")
    certified(certificates, "IP:127.0.0.1")
    with Nginx(tmp_path_factory.mktemp("nginx"), behind.root, certificates) as server:
        yield server


@pytest.mark.parametrize("way", ["/team", "/gzip", "tls"])
def test_a_transparent_gateway_makes_no_difference(way: str, nginx: Nginx, home: dict[str, str]) -> None:
    named = home | {"OPENCODE_LITELLM_URL": nginx.url + way, "LITELLM_API_KEY": KEY}
    if way == "tls":
        named |= {"OPENCODE_LITELLM_URL": nginx.tls_url, "SSL_CERT_FILE": str(nginx.authority)}
    assert launch(named).models == ["gpt-4o"]
    settle(home)
    again = launch(named, PYTHONPROFILEIMPORTTIME="1")
    assert again.models == ["gpt-4o"]
    # A warm launch is enough: no module of a discovery is loaded.
    assert "opencode_litellm.launch.cold" not in again.stderr
    wrong = run(["opencode-litellm", "config"], named | {"LITELLM_API_KEY": "sk-wrong"})
    assert (wrong.status, wrong.stdout) == (4, "")
    assert "refused the key (HTTP 401, auth_error): check LITELLM_API_KEY" in wrong.stderr


FRONT = "something in front of LiteLLM at {url} refused the request"
ADVICE = "add the header that it asks for to options.customHeaders of provider litellm, or ask whoever runs it"
BAD = "{url}/v1/models is not working at the moment"


@pytest.mark.parametrize(
    ("way", "status", "line"),
    [
        ("/basic", 4, f"{FRONT} (HTTP 401): {ADVICE}"),
        ("/forbidden", 4, f"{FRONT} (HTTP 403): {ADVICE}"),
        ("/down", 3, f"{BAD} (HTTP 502): try again, or check the proxy's log"),
        ("/busy", 3, f"{BAD} (HTTP 503): try again, or check the proxy's log"),
        (
            "/sso", 3,
            "{root} redirects to https://login.invalid, which is not followed because the key must not go there:"
            " use the URL of the proxy itself",
        ),
    ],
)  # fmt: skip
def test_a_gateway_in_the_way_is_named_and_opencode_starts(
    way: str, status: int, line: str, nginx: Nginx, home: dict[str, str]
) -> None:
    named = home | {"OPENCODE_LITELLM_URL": nginx.url + way, "LITELLM_API_KEY": KEY}
    said = line.format(url=nginx.url + way, root=nginx.url)
    finished = run(["opencode-litellm", "config"], named)
    assert (finished.status, finished.stdout, finished.stderr) == (status, "", f"opencode-litellm: {said}\n")
    started = launch(named)
    assert (started.payload, len(started.lines)) == (None, 1)
    assert started.stderr.startswith(f"opencode-litellm: {said}. opencode starts")


def test_basic_authentication_takes_a_header_of_the_users(nginx: Nginx, home: dict[str, str]) -> None:
    settings = Path(home["XDG_CONFIG_HOME"], "opencode/opencode.json")
    settings.parent.mkdir(parents=True)
    headers = {"Authorization": LOGIN, "x-litellm-api-key": f"Bearer {KEY}"}
    options = {"baseURL": f"{nginx.url}/basic/v1", "customHeaders": headers}
    settings.write_text(json.dumps({"provider": {"litellm": {"options": options}}}))
    for _ in range(2):
        shown = launch(home)
        assert (shown.models, shown.stderr) == (["gpt-4o"], "")
        settle(home)


def test_a_gateway_of_http_1_0_is_understood(stub_proxy: Callable[..., StubProxy], home: dict[str, str]) -> None:
    stub = stub_proxy(["gpt-4o"])
    body = b'{"data":[{"id":"gpt-4o"}]}'
    stub.answer(MODELS, b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n" + body, raw=True)
    for _ in range(2):
        shown = launch(home | {"OPENCODE_LITELLM_URL": stub.url})
        assert (shown.models, shown.stderr) == (["gpt-4o"], "")
        settle(home)
