"""A warm launch asks in the same way as a cold one: the same certificates, the same HTTP proxies, the same limits."""

from __future__ import annotations

import gzip
import json
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from world import tools
from world.certificates import certified
from world.launches import Launch, cache, launch, settle, with_clock
from world.network import own_loopback
from world.relay import Relay
from world.stub import MODELS, StubProxy

from opencode_litellm.litellm.connection import Channel
from opencode_litellm.proxies import ProxyURL

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator

KEY = "sk-right"
FAR = "192.0.2.10"  # an address of nobody's, given to this machine for a test

# Python tells of every module that it loads.
WARM = {"PYTHONPROFILEIMPORTTIME": "1"}


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ssl.SSLContext]:
    """Return the certificate of an authority, and a server's context with a certificate of that authority."""
    folder = tmp_path_factory.mktemp("authority")
    context = certified(folder, "IP:127.0.0.1", f"IP:{FAR}", "DNS:litellm.invalid")
    return folder / "ca.pem", context


@pytest.fixture
def secure(authority: tuple[Path, ssl.SSLContext]) -> Iterator[StubProxy]:
    with StubProxy(["alpha"], key=KEY, tls=authority[1]) as proxy:
        yield proxy


def warm(home: dict[str, str], **environment: str) -> tuple[Launch, bool]:
    """Launch, and return whether the launch was warm."""
    shown = launch(home, **environment, **WARM)
    said = [line for line in shown.lines if not line.startswith("import time:")]
    return Launch(shown.payload, "\n".join(said), shown.seconds), "opencode_litellm.launch.cold" not in shown.stderr


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"])
def test_https_with_an_authority_that_a_variable_names_is_warm_too(
    variable: str, home: dict[str, str], secure: StubProxy, authority: tuple[Path, ssl.SSLContext]
) -> None:
    user = {**home, "OPENCODE_LITELLM_URL": secure.url, "LITELLM_API_KEY": KEY}
    trusting = {variable: str(authority[0])}
    assert launch(user, **trusting).models == ["alpha"]
    before = len(secure.requests)
    shown, short = warm(user, **trusting)
    assert (shown.models, shown.stderr, short) == (["alpha"], "", True)
    assert secure.paths()[before:] == [MODELS]


def test_requests_at_once_load_the_certificates_once(authority: tuple[Path, ssl.SSLContext]) -> None:
    channel = Channel(ProxyURL.parse("https://litellm.invalid"), {}, {"SSL_CERT_FILE": str(authority[0])})
    with ThreadPoolExecutor(5) as pool:
        contexts = list(pool.map(lambda _: channel.ssl_context, range(5)))
    assert contexts == [channel.ssl_context] * 5


def test_a_certificate_that_is_not_trusted_any_more_gets_no_key_and_a_line(
    home: dict[str, str], secure: StubProxy, authority: tuple[Path, ssl.SSLContext]
) -> None:
    user = {**home, "OPENCODE_LITELLM_URL": secure.url, "LITELLM_API_KEY": KEY}
    assert launch(user, SSL_CERT_FILE=str(authority[0])).models == ["alpha"]
    before = len(secure.requests)
    shown = launch(user)
    assert (shown.models, len(shown.lines)) == (["alpha"], 1)
    assert "name the file of its certificate authority in SSL_CERT_FILE" in shown.stderr
    assert len(secure.requests) == before


@pytest.mark.parametrize("name", ["host", "HOST", "accept", "User-Agent"])
def test_a_header_of_the_user_s_takes_the_place_of_ours(home: dict[str, str], name: str) -> None:
    options = {"baseURL": "http://litellm.invalid", "customHeaders": {name: "mine"}}
    file = Path(home["XDG_CONFIG_HOME"], "opencode", "opencode.json")
    file.parent.mkdir()
    file.write_text(json.dumps({"$schema": "x", "provider": {"litellm": {"options": options}}}))
    with StubProxy(["alpha"]) as proxy, Relay(proxy.port, http_proxy=True) as middleman:
        user = {**home, "http_proxy": f"http://127.0.0.1:{middleman.port}"}
        for _ in range(2):
            assert launch(user).models == ["alpha"]
    for head in (middleman.heads[0], middleman.heads[-1]):  # of the cold launch and of the warm one
        lines = [line for line in head.splitlines() if line.lower().startswith(f"{name.lower()}:")]
        assert lines == [f"{name}: mine"]


@pytest.mark.parametrize("login", ["", "user:p:w@"])
def test_an_http_proxy_is_used_for_a_plain_host(home: dict[str, str], login: str) -> None:
    with StubProxy(["alpha"], key=KEY) as proxy, Relay(proxy.port, http_proxy=True) as middleman:
        user = {
            **home, "OPENCODE_LITELLM_URL": "http://litellm.invalid:4000/team", "LITELLM_API_KEY": KEY,
            "http_proxy": f"http://{login}127.0.0.1:{middleman.port}/",
        }  # fmt: skip
        proxy.prefix = "/team"
        assert launch(user).models == ["alpha"]
        before = len(middleman.heads)
        shown, short = warm(user)
        assert (shown.models, shown.stderr, short) == (["alpha"], "", True)
        (head,) = middleman.heads[before:]
    assert head.startswith("GET http://litellm.invalid:4000/team/v1/models HTTP/1.1\r\nHost: litellm.invalid:4000\r\n")
    assert ("Proxy-Authorization: Basic dXNlcjpwOnc=\r\n" in head) is bool(login)


@pytest.mark.parametrize("login", ["", "user:p:w@"])
def test_an_http_proxy_makes_a_tunnel_to_a_host_over_tls(
    home: dict[str, str], secure: StubProxy, authority: tuple[Path, ssl.SSLContext], login: str
) -> None:
    with Relay(secure.port, http_proxy=True) as middleman:
        user = {
            **home, "OPENCODE_LITELLM_URL": "https://litellm.invalid", "LITELLM_API_KEY": KEY,
            "HTTPS_PROXY": f"http://{login}127.0.0.1:{middleman.port}", "NODE_EXTRA_CA_CERTS": str(authority[0]),
        }  # fmt: skip
        assert launch(user).models == ["alpha"]
        before = len(middleman.heads)
        shown, short = warm(user)
        assert (shown.models, shown.stderr, short) == (["alpha"], "", True)
        (head,) = middleman.heads[before:]
    assert head.startswith("CONNECT litellm.invalid:443 HTTP/1.1\r\n")
    assert ("Proxy-Authorization: Basic dXNlcjpwOnc=\r\n" in head) is bool(login)
    assert KEY not in "".join(middleman.heads)


def test_an_http_proxy_that_needs_tls_itself_goes_the_long_way(home: dict[str, str]) -> None:
    user = {
        **home, "OPENCODE_LITELLM_URL": "http://litellm.invalid:4000",
        "http_proxy": "https://127.0.0.1:1", "OPENCODE_LITELLM_TIMEOUT": "2",
    }  # fmt: skip
    shown = launch(user)
    assert (shown.payload, len(shown.lines)) == (None, 1)


def test_loopback_is_never_asked_through_an_http_proxy(
    home: dict[str, str], stub_proxy: Callable[..., StubProxy]
) -> None:
    proxy, middleman = stub_proxy(["alpha"]), stub_proxy()
    user = {**home, "OPENCODE_LITELLM_URL": proxy.url, "http_proxy": middleman.url, "ALL_PROXY": middleman.url}
    assert launch(user).models == launch(user).models == ["alpha"]
    assert middleman.requests == []


def test_no_proxy_leads_straight_to_a_host(home: dict[str, str], stub_proxy: Callable[..., StubProxy]) -> None:
    middleman = stub_proxy()
    user = {
        **home, "OPENCODE_LITELLM_URL": "http://litellm.invalid:4000", "http_proxy": middleman.url,
        "NO_PROXY": "other.invalid, .invalid",
    }  # fmt: skip
    shown = launch(user)
    assert (shown.payload, len(shown.lines)) == (None, 1)
    assert middleman.requests == []


# Answers in every form that HTTP has.

ROWS = json.dumps({"data": [{"id": "alpha"}]}).encode()
FORMS = {
    "chunks": b"Transfer-Encoding: chunked\r\n\r\n" + b"".join(b"1\r\n%c\r\n" % byte for byte in ROWS) + b"0\r\n\r\n",
    "chunks with extensions and a trailer": b"transfer-encoding:Chunked\r\n\r\n%x;a=b\r\n" % len(ROWS)
    + ROWS + b"\r\n000\r\nX-Sum: 1\r\n\r\n",
    "until the end": b"Connection: close\r\n\r\n" + ROWS,
    "a length": b"content-LENGTH:   %d\r\n\r\n" % len(ROWS) + ROWS,
    "more than its length": b"Content-Length: %d\r\n\r\n" % len(ROWS) + ROWS + b"garbage",
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_an_answer_in_any_form_is_understood_without_the_long_way(
    home: dict[str, str], stub_proxy: Callable[..., StubProxy], form: str
) -> None:
    proxy = stub_proxy()
    proxy.answer(MODELS, b"HTTP/1.1 200 OK\r\n" + FORMS[form], raw=True)
    user = {**home, "OPENCODE_LITELLM_URL": proxy.url}
    assert launch(user).models == ["alpha"]
    shown, short = warm(user)
    assert (shown.models, shown.stderr, short) == (["alpha"], "", True)


def test_a_key_with_letters_that_no_header_holds_is_never_half_sent(
    home: dict[str, str], stub_proxy: Callable[..., StubProxy]
) -> None:
    proxy = stub_proxy(["alpha"], key=KEY)
    user = {**home, "OPENCODE_LITELLM_URL": proxy.url, "LITELLM_API_KEY": KEY}
    for broken in ("sk-a\r\nX-Evil: 1", "sk-ключ"):
        assert launch(user).models == ["alpha"]
        before = len(proxy.requests)
        shown = launch(user, LITELLM_API_KEY=broken)
        assert (shown.payload, len(shown.lines)) == (None, 1)
        assert "LITELLM_API_KEY" in shown.stderr
        assert "sk-" not in shown.stderr
        assert {(request.key, "x-evil" in request.headers) for request in proxy.requests[before:]} == {(None, False)}


# Far away: 200 ms for every way there and back, over TLS.


@pytest.fixture
def far() -> Iterator[None]:
    if sys.platform != "linux":
        pytest.skip("an address for a test is given with ip(8)")
    with own_loopback(()):
        given = subprocess.run(
            [tools.program("ip"), "address", "add", f"{FAR}/32", "dev", "lo"], capture_output=True, check=False
        )
        if given.returncode:
            pytest.skip(f"a distant address needs a network of one's own, and so root: {given.stderr.decode()}")
        yield


# Elsewhere without a distance: behind an HTTP proxy, which is on loopback while the gateway is not.


@pytest.mark.parametrize(
    ("took", "delay", "waited"),
    [(0.001, 0.05, True), (0.001, 0.5, False), (0.45, 0.6, True), (1.5, 2.0, False)],
)
def test_a_launch_waits_twice_as_long_as_the_last_answer_took_from_a_tenth_of_a_second_to_one(
    home: dict[str, str], stub_proxy: Callable[..., StubProxy], took: float, delay: float, waited: bool
) -> None:
    proxy = stub_proxy(["old"])
    with Relay(proxy.port, http_proxy=True) as middleman:
        way = {"http_proxy": f"http://127.0.0.1:{middleman.port}"}
        user = {**home, "OPENCODE_LITELLM_URL": "http://litellm.invalid", **way}

        def sees_news() -> bool:
            proxy.serve(["old"])
            launch(user)
            settle(user)
            (record,) = cache(user).glob("launch-*")
            record.write_bytes(re.sub(rb"took=\S+", b"took=%a" % took, record.read_bytes()))
            proxy.serve(["new"], delay=delay)
            shown = launch(user)
            settle(user)
            assert (shown.models, shown.stderr) in ((["new"], ""), (["old"], ""))
            return shown.models == ["new"]

        # A busy machine may need more than is left of the time.
        assert any(sees_news() for _ in range(5 if waited else 1)) is waited


@pytest.mark.long
@pytest.mark.usefixtures("far")
def test_a_distant_gateway_is_never_shown_as_it_was_for_good_nor_complained_of(
    home: dict[str, str], secure: StubProxy, authority: tuple[Path, ssl.SSLContext]
) -> None:
    with Relay(secure.port, host=FAR, delay=0.1) as distance:
        user = {
            **home, "OPENCODE_LITELLM_URL": f"https://{FAR}:{distance.port}", "LITELLM_API_KEY": KEY,
            "SSL_CERT_FILE": str(authority[0]),
        }  # fmt: skip
        first = launch(user)
        assert (first.models, first.stderr) == (["alpha"], "")
        secure.serve(["alpha", "beta"])
        second = launch(user)
        assert second.stderr == ""
        settle(user)
        third = launch(user)
        assert (third.models, third.stderr) == (["alpha", "beta"], "")
        # The way home, over a slower line: too far for a launch to wait, not for the next one to know.
        distance.delay = 0.35
        secure.serve(["gamma"])
        slow = [launch(user) for _ in range(2)]
        settle(user)
        after = launch(user)
        assert (after.models, {each.stderr for each in (*slow, after)}) == (["gamma"], {""})
        assert max(each.seconds for each in slow) < 3


@pytest.mark.usefixtures("far")
def test_a_distant_gateway_that_falls_silent_costs_a_second_at_most(
    home: dict[str, str], stub_proxy: Callable[..., StubProxy]
) -> None:
    proxy = stub_proxy(["alpha"])
    with Relay(proxy.port, host=FAR, delay=0.02) as distance:
        user = {**home, "OPENCODE_LITELLM_URL": f"http://{FAR}:{distance.port}"}
        expected = launch(user).payload
        distance.delay = 30
        silent = launch(user)
        assert (silent.payload, silent.stderr) == (expected, "")
        assert silent.seconds < 2.5
        proxy.close()


def test_a_name_that_is_not_known_any_more_is_a_proxy_that_is_down(home: dict[str, str]) -> None:
    with StubProxy(["alpha"]) as proxy:
        port = proxy.port
        user = {**home, "OPENCODE_LITELLM_URL": f"http://localhost:{port}"}
        expected = launch(user).payload
    down = launch(with_clock(user, 3600))
    assert (down.payload, len(down.lines)) == (expected, 1)
    assert f"the proxy at localhost:{port} cannot be reached (Connection refused)" in down.stderr


def test_a_gateway_that_compresses_unasked_costs_nothing_more(
    stub_proxy: Callable[..., StubProxy], home: dict[str, str]
) -> None:
    stub = stub_proxy(["alpha"])
    zipped = {"headers": {"Content-Encoding": "gzip"}}
    stub.answer(MODELS, gzip.compress(b'{"data":[{"id":"alpha"}]}'), **zipped)
    named = home | {"OPENCODE_LITELLM_URL": stub.url}
    assert launch(named).models == ["alpha"]
    settle(home)
    shown, short = warm(named)
    assert (shown.models, shown.stderr, short) == (["alpha"], "", True)
    stub.answer(MODELS, gzip.compress(b'{"data":[{"id":"beta"}]}'), **zipped)
    assert launch(named).models == ["beta"]


@pytest.mark.parametrize(
    "body",
    [b"no gzip", gzip.compress(b'{"data":[{"id":"beta"}]}')[:20], gzip.compress(bytes(2**26))],
    ids=["none", "half", "a bomb"],
)
def test_a_list_that_cannot_be_decompressed_is_ignored(
    body: bytes, stub_proxy: Callable[..., StubProxy], home: dict[str, str]
) -> None:
    stub = stub_proxy(["alpha"])
    named = home | {"OPENCODE_LITELLM_URL": stub.url}
    assert launch(named).models == ["alpha"]
    stub.answer(MODELS, body, headers={"Content-Encoding": "gzip"})
    assert launch(named).models == ["alpha"]
