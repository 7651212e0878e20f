"""Where the proxy is, to whom a key is sent, and what a LiteLLM can look like."""

from __future__ import annotations

import json
import ssl
import subprocess
import urllib.error
import urllib.request
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

import pytest
from world.home import global_configuration, write
from world.litellm import CATALOGUE, LiteLLM
from world.network import own_loopback
from world.opencode import Finished, run
from world.server import Request, Server, free_port, send
from world.stub import IDENTITY, MODEL_GROUP_INFO, MODEL_INFO, MODELS, RESPONSES, StubProxy

from opencode_litellm import discovery
from opencode_litellm.discovery import Patience
from opencode_litellm.litellm.client import PORTS
from opencode_litellm.opencode import configuration
from opencode_litellm.settings import sections

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from http.server import BaseHTTPRequestHandler

    from opencode_litellm.discovery import Discovery

KEY = "sk-secret-of-the-user"
WITH_KEY = {"LITELLM_API_KEY": KEY}


@pytest.fixture
def project(home: dict[str, str]) -> Path:
    folder = Path(home["HOME"], "project")
    folder.mkdir()
    return folder


def section(url: str, **options: object) -> dict[str, object]:
    return {"options": {"baseURL": url, **options}}


def globally(home: Mapping[str, str], **providers: object) -> None:
    """Write the user's global configuration."""
    names = {name.replace("_", "-"): provider for name, provider in providers.items()}
    write(global_configuration(home), {"provider": names})


def discover(environment: Mapping[str, str], folder: Path | str | None = None) -> Discovery:
    """Discover as a command does."""
    user = configuration.read(environment, str(folder or environment["HOME"]))
    return discovery.discover(sections.parse(environment, user), environment, Patience.of(5))


def base_urls(found: Discovery) -> dict[str, str]:
    return {served.proxy.provider: served.remembered.answers.url.base_url for served in found.served}


def config(environment: Mapping[str, str], *options: str, folder: Path | None = None) -> Finished:
    return run(["opencode-litellm", "config", *options], environment, folder)


def providers(finished: Finished) -> dict[str, Any]:
    assert finished.status == 0, finished
    found: dict[str, Any] = json.loads(finished.stdout)["provider"]
    return found


def shown(environment: Mapping[str, str]) -> set[str]:
    return {model.id for served in discover(environment).served for model in served.catalogue.models}


# Where.


@pytest.mark.parametrize("ending", ["", "/", "/v1", "/v1/", "//"])
@pytest.mark.parametrize("prefix", ["", "/team", "/team/llm"])
def test_a_url_is_taken_with_and_without_v1_a_slash_and_a_path(
    ending: str, prefix: str, stub_proxy: Callable[..., StubProxy], home: dict[str, str]
) -> None:
    stub = stub_proxy(["gpt-4o"], prefix=prefix)
    globally(home, litellm=section(stub.url + ending))
    assert base_urls(discover(home)) == {"litellm": f"{stub.url}/v1"}
    assert set(stub.paths()) == {prefix + path for path in (MODELS, MODEL_INFO, MODEL_GROUP_INFO, RESPONSES)}


def test_a_loopback_address_needs_no_scheme(stub_proxy: Callable[..., StubProxy], home: dict[str, str]) -> None:
    stub = stub_proxy(["gpt-4o"])
    for text in (f"127.0.0.1:{stub.port}", f"localhost:{stub.port}/v1"):
        assert shown(home | {"OPENCODE_LITELLM_URL": text}) == {"gpt-4o"}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("ftp://127.0.0.1", "must begin with http:// or https://"),
        ("proxy.example", "must begin with http:// or https://"),
        ("http://", "it has no host"),
        ("http://127.0.0.1:99999", "its port is not a number below 65536"),
        ("http://user:hunter2@127.0.0.1", "must not hold a user name or password"),
        ("http://127.0.0.1/a b", "characters that a URL cannot contain"),
        ("http://127.0.0.1/\x1b[31m", "characters that a URL cannot contain"),
    ],
)
def test_an_invalid_url_is_a_usage_error_that_names_its_source(text: str, why: str, home: dict[str, str]) -> None:
    done = config(home, "--url", text)
    assert (done.status, done.stdout) == (2, "")
    for part in ("OPENCODE_LITELLM_URL (--url) is ", "is not a valid proxy URL", why):
        assert part in done.stderr
    assert "hunter2" not in done.stderr


def test_the_nearest_source_of_a_url_wins(
    stub_proxy: Callable[..., StubProxy], home: dict[str, str], project: Path
) -> None:
    flag, variable, nearby, everywhere, litellms_own = (stub_proxy([name]) for name in "abcde")
    with own_loopback(PORTS):
        nobody = config(home, folder=project)
    assert (nobody.status, nobody.stdout) == (3, "")
    assert "ports 4000, 8000, 8080" in nobody.stderr

    environment = home | {"LITELLM_PROXY_URL": litellms_own.url}
    assert base_urls(discover(environment, project)) == {"litellm": f"{litellms_own.url}/v1"}
    globally(home, litellm=section(everywhere.url))
    assert base_urls(discover(environment, project)) == {"litellm": f"{everywhere.url}/v1"}
    write(project / "opencode.json", {"provider": {"litellm": section(nearby.url)}})
    assert base_urls(discover(environment, project)) == {"litellm": f"{nearby.url}/v1"}
    environment |= {"OPENCODE_LITELLM_URL": variable.url}
    assert base_urls(discover(environment, project)) == {"litellm": f"{variable.url}/v1"}
    asked = providers(config(environment, "--url", flag.url, folder=project))
    assert asked["litellm"]["options"]["baseURL"] == f"{flag.url}/v1"
    assert list(asked["litellm"]["models"]) == ["a"]


# Detection.


def test_detection_sends_a_key_only_to_whom_says_to_be_litellm(
    stub_proxy: Callable[..., StubProxy], home: dict[str, str]
) -> None:
    with own_loopback(PORTS):
        stranger, proxy, mute = stub_proxy(port=4000), stub_proxy(["gpt-4o"], port=8000, key=KEY), stub_proxy(port=8080)
        stranger.answer("*", b"<h1>It works</h1>", content_type="text/html")
        mute.answer("*", mute=True)
        began = monotonic()
        found = providers(config(home | WITH_KEY))
        assert monotonic() - began < 3
    assert found["litellm"]["options"] == {"baseURL": "http://127.0.0.1:8000/v1", "apiKey": "{env:LITELLM_API_KEY}"}
    assert [(request.path, request.key) for request in stranger.requests] == [(IDENTITY, None)]
    # Nobody waits for the last port once an earlier one has answered, so whether it is asked at all is chance.
    assert [(request.path, request.key) for request in mute.requests] in ([], [(IDENTITY, None)])
    assert [request.key for request in proxy.requests if request.path == IDENTITY] == [None]
    assert {request.key for request in proxy.requests if request.path != IDENTITY} == {KEY}


@pytest.mark.parametrize(
    "imitation",
    [
        {"body": "I'm alive!", "status": 503},
        {"body": "I'm alive"},
        {"body": b"I'm alive!"},
        {"body": {"status": "I'm alive!"}},
        {"body": b'"I\'m alive!"' * 1000},
        {"status": 302, "headers": {"Location": "http://127.0.0.1:8080/health/liveliness"}},
    ],
    ids=["another status", "another text", "no JSON", "an object", "more of it", "a redirect to LiteLLM"],
)
def test_detection_believes_no_imitation(
    imitation: dict[str, Any], stub_proxy: Callable[..., StubProxy], home: dict[str, str]
) -> None:
    with own_loopback(PORTS):
        stranger, proxy = stub_proxy(["wrong"], port=4000), stub_proxy(["right"], port=8080)
        stranger.answer(IDENTITY, **imitation)
        assert shown(home | WITH_KEY) == {"right"}
    assert {request.key for request in stranger.requests} == {None}
    assert proxy.requests


def test_detection_takes_the_first_port_and_waits_for_none_after_it(
    stub_proxy: Callable[..., StubProxy], home: dict[str, str]
) -> None:
    with own_loopback(PORTS):
        first, mute = stub_proxy(["first"], port=4000), stub_proxy(port=8000)
        stub_proxy(["last"], port=8080)
        mute.answer("*", mute=True)
        began = monotonic()
        assert shown(home) == {"first"}
        assert monotonic() - began < 0.95
        first.close()
        assert shown(home) == {"last"}
        assert monotonic() - began < 2.5


def test_a_stranger_who_took_the_port_over_gets_no_key(
    stub_proxy: Callable[..., StubProxy], home: dict[str, str]
) -> None:
    launch = ["opencode-litellm", "exec", "--", "true"]
    with own_loopback(PORTS):
        with StubProxy(["gpt-4o"], port=4000, key=KEY):
            assert run(launch, home | WITH_KEY) == Finished(0, "", "")
        stranger = stub_proxy(["gpt-4o"], port=4000)
        stranger.answer(IDENTITY, "hello")
        assert run(launch, home | WITH_KEY).status == 0
        assert config(home | WITH_KEY).status == 3
    assert {request.key for request in stranger.requests} == {None}


# Several proxies.


def test_one_proxy_that_fails_costs_only_itself(stub_proxy: Callable[..., StubProxy], home: dict[str, str]) -> None:
    one, refusing = stub_proxy(["gpt-4o"]), stub_proxy(["gpt-4o"], key="sk-other")
    nobody = f"http://127.0.0.1:{free_port()}"
    globally(home, litellm=section(one.url), litellm_b=section(nobody), mine=section(refusing.url, litellm=True))
    done = config(home | WITH_KEY)
    assert list(providers(done)) == ["litellm"]
    away, refused = done.stderr.splitlines()
    assert f"{nobody} cannot be reached" in away
    assert f"{refusing.url} refused the key (HTTP 401, auth_error): check LITELLM_API_KEY" in refused
    launched = run(["opencode-litellm", "exec", "--", "sh", "-c", "exit 7"], home | WITH_KEY)
    assert launched.status == 7
    assert len(launched.stderr.splitlines()) == 2


def test_when_all_fail_the_first_gives_the_status_and_all_are_named(
    stub_proxy: Callable[..., StubProxy], home: dict[str, str]
) -> None:
    nobody, refusing = f"http://127.0.0.1:{free_port()}", stub_proxy(["gpt-4o"], key="sk-other")
    globally(home, litellm=section(refusing.url), litellm_b=section(nobody))
    done = config(home | WITH_KEY)
    assert (done.status, done.stdout, len(done.stderr.splitlines())) == (4, "", 1)
    assert refusing.url in done.stderr
    assert nobody in done.stderr
    globally(home, litellm=section(nobody), litellm_b=section(refusing.url))
    assert config(home | WITH_KEY).status == 3


def test_all_proxies_are_asked_at_once(stub_proxy: Callable[..., StubProxy], home: dict[str, str]) -> None:
    slow = [stub_proxy([f"gpt-4o-{place}"]) for place in range(4)]
    for stub in slow:
        rows = stub.answers[MODELS].body
        stub.answer(MODELS, rows, delay=1)
    globally(home, **{f"litellm_{place}": section(stub.url) for place, stub in enumerate(slow)})
    began = monotonic()
    assert shown(home) == {f"gpt-4o-{place}" for place in range(4)}
    assert monotonic() - began < 2.5


# To whom a key is sent.


def test_keys_and_headers_stay_with_the_host_that_they_are_for(
    stub_proxy: Callable[..., StubProxy], home: dict[str, str]
) -> None:
    proxy, other = stub_proxy(["gpt-4o"]), stub_proxy(["gpt-4o"])
    for path in (MODELS, MODEL_INFO, MODEL_GROUP_INFO):
        proxy.redirect(path, f"{other.url}{path}")
    globally(home, litellm=section(proxy.url, apiKey=KEY, customHeaders={"X-Gateway": "secret"}))
    done = config(home)
    assert (done.status, done.stdout) == (3, "")
    assert f"redirects to {other.url}, which is not followed" in done.stderr
    assert other.requests == []


def test_a_section_s_key_and_headers_do_not_follow_another_url(
    stub_proxy: Callable[..., StubProxy], home: dict[str, str]
) -> None:
    own, other = stub_proxy(["gpt-4o"]), stub_proxy(["gpt-4o"])
    globally(home, litellm=section(own.url, apiKey=KEY, customHeaders={"X-Gateway": "secret"}))
    assert shown(home | {"OPENCODE_LITELLM_URL": other.url}) == {"gpt-4o"}
    assert {(request.key, request.headers.get("x-gateway")) for request in other.requests} == {(None, None)}
    assert shown(home) == {"gpt-4o"}
    assert {(request.key, request.headers.get("x-gateway")) for request in own.requests} == {(KEY, "secret")}


def test_netrc_and_proxy_variables_have_no_say_on_loopback(
    stub_proxy: Callable[..., StubProxy], home: dict[str, str]
) -> None:
    proxy, middleman = stub_proxy(["gpt-4o"], key=KEY), stub_proxy(["wrong"])
    Path(home["HOME"], ".netrc").write_text("default login user password from-netrc\n")
    variables = dict.fromkeys(("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"), middleman.url)
    assert list(providers(config(home | WITH_KEY | variables, "--url", proxy.url))["litellm"]["models"]) == ["gpt-4o"]
    assert {request.key for request in proxy.requests} == {KEY}
    assert middleman.requests == []


def test_elsewhere_a_proxy_variable_is_the_way_and_netrc_still_has_no_say(
    stub_proxy: Callable[..., StubProxy], home: dict[str, str]
) -> None:
    # A forward proxy is asked for whole URLs; this path of the stub's begins like one.
    middleman = stub_proxy(prefix="http:/")
    middleman.answer("/litellm.invalid:4000/v1/models", {"data": [{"id": "gpt-4o"}]})
    Path(home["HOME"], ".netrc").write_text("default login user password from-netrc\n")
    environment = home | WITH_KEY | {"http_proxy": middleman.root}
    url = ("--url", "http://litellm.invalid:4000")
    assert list(providers(config(environment, *url))["litellm"]["models"]) == ["gpt-4o"]
    assert {request.key for request in middleman.requests} == {KEY}
    assert config(environment | {"no_proxy": "litellm.invalid"}, *url).status == 3


# Certificates.


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory, program: Callable[[str], Path]) -> Path:
    """Return a folder with an authority (``ca.pem``) and what it certified for loopback (``server.pem``)."""
    folder = tmp_path_factory.mktemp("authority")
    new = [str(program("openssl")), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    ca = [*new, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=Authority of the tests", "-days", "2"]
    subprocess.run(ca, cwd=folder, check=True, capture_output=True)
    server = [
        *new, "-keyout", "server.key", "-out", "server.crt", "-subj", "/CN=loopback", "-days", "2",
        "-CA", "ca.pem", "-CAkey", "ca.key", "-addext", "subjectAltName=IP:127.0.0.1",
        "-addext", "basicConstraints=critical,CA:FALSE",
    ]  # fmt: skip
    subprocess.run(server, cwd=folder, check=True, capture_output=True)
    (folder / "server.pem").write_text((folder / "server.key").read_text() + (folder / "server.crt").read_text())
    (folder / "hashed").mkdir()
    (folder / "hashed/ca.pem").write_bytes((folder / "ca.pem").read_bytes())
    subprocess.run([str(program("openssl")), "rehash", "hashed"], cwd=folder, check=True, capture_output=True)
    return folder


@pytest.fixture
def https_proxy(authority: Path) -> Iterator[StubProxy]:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(authority / "server.pem")
    with StubProxy(["gpt-4o"], tls=tls, key=KEY) as stub:
        yield stub


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"])
def test_each_variable_that_names_an_authority_makes_it_trusted(
    variable: str, https_proxy: StubProxy, authority: Path, home: dict[str, str]
) -> None:
    environment = home | WITH_KEY | {variable: str(authority / "ca.pem")}
    assert list(providers(config(environment, "--url", https_proxy.url))["litellm"]["models"]) == ["gpt-4o"]
    folder = home | WITH_KEY | {"REQUESTS_CA_BUNDLE": str(authority / "hashed")}
    assert config(folder, "--url", https_proxy.url).status == 0


@pytest.mark.parametrize("bundle", [None, "/nonexistent.pem", "/etc/hostname"])
def test_a_certificate_of_nobody_s_is_refused_and_the_remedy_is_named(
    bundle: str | None, https_proxy: StubProxy, home: dict[str, str]
) -> None:
    environment = home | WITH_KEY | ({"REQUESTS_CA_BUNDLE": bundle} if bundle else {})
    done = config(environment, "--url", https_proxy.url)
    assert (done.status, done.stdout) == (3, "")
    assert "a certificate that is not trusted (" in done.stderr
    authorities = "SSL_CERT_FILE, REQUESTS_CA_BUNDLE or NODE_EXTRA_CA_CERTS"
    assert done.stderr.endswith(f": name the file of its certificate authority in {authorities}\n")
    assert https_proxy.requests == []


def test_a_certificate_for_another_host_is_refused(
    https_proxy: StubProxy, authority: Path, home: dict[str, str]
) -> None:
    environment = home | WITH_KEY | {"NODE_EXTRA_CA_CERTS": str(authority / "ca.pem")}
    done = config(environment, "--url", f"https://localhost:{https_proxy.port}")
    assert (done.status, done.stdout) == (3, "")
    assert "localhost" in done.stderr
    assert https_proxy.requests == []


# What LiteLLM can look like: the real one.

TEAMS = """
from litellm.proxy._types import ProxyException, UserAPIKeyAuth

KEYS = {
    "sk-team": {"models": ["gpt-4o", "house-model"], "team_id": "t", "team_models": ["gpt-4o", "house-model"]},
    "sk-routes": {"models": ["gpt-4o"], "allowed_routes": ["/v1/models", "/v1/chat/completions"]},
    "sk-nothing": {"models": ["no-default-models"]},
    "sk-wildcard": {"models": ["corp/*"]},
}


async def authenticate(request, api_key):
    if api_key not in KEYS:
        raise ProxyException(message="Invalid key", type="auth_error", param="api_key", code=401)
    return UserAPIKeyAuth(api_key=api_key, **KEYS[api_key])
"""


WILDCARD = """
model_list:
  - {model_name: "corp/*", litellm_params: {model: "deepseek/*", api_key: none}}
"""


@pytest.fixture(scope="session")
def team_litellm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiteLLM]:
    """Return a real LiteLLM under a path, with keys that may do less than its master."""
    folder = tmp_path_factory.mktemp("team-litellm")
    (folder / "keys_of_teams.py").write_text(TEAMS)
    settings = "general_settings:\n  custom_auth: keys_of_teams.authenticate\n  custom_auth_run_common_checks: true\n"
    catalogue = folder / "catalogue.yaml"
    text = CATALOGUE.read_text().replace("general_settings:\n", settings).replace("\nmodel_list:\n", WILDCARD)
    catalogue.write_text(text)
    with LiteLLM(folder, "http://127.0.0.1:1", catalogue=catalogue, prefix="/team/llm") as proxy:
        yield proxy


def test_a_team_s_key_shows_the_team_s_models_from_below_a_path(team_litellm: LiteLLM, home: dict[str, str]) -> None:
    globally(home, litellm=section(f"{team_litellm.url}/v1", apiKey="{env:TEAM_KEY}"))
    (served,) = discover(home | {"TEAM_KEY": "sk-team"}).served
    models = {model.id: model for model in served.catalogue.models}
    assert set(models) == {"gpt-4o", "house-model"}
    assert (models["house-model"].limit, models["house-model"].price is None) != (None, True)
    assert served.remembered.answers.info["deployments"] is not None


def test_a_key_that_may_not_ask_for_details_still_lists(team_litellm: LiteLLM, home: dict[str, str]) -> None:
    environment = home | {"OPENCODE_LITELLM_URL": team_litellm.url, "LITELLM_API_KEY": "sk-routes"}
    (served,) = discover(environment).served
    known = served.remembered.answers
    assert [model.id for model in served.catalogue.models] == ["gpt-4o"]
    assert known.info == {"deployments": None, "groups": None}
    assert served.catalogue.models[0].limit is not None  # LiteLLM 1.106 has limits in /v1/models


@pytest.mark.parametrize(
    ("key", "status", "says"),
    [
        ("sk-nothing", 5, "lists 0 models, none of which opencode can use: check which models the key may use"),
        ("sk-wrong", 4, "refused the key (HTTP 401, auth_error): check LITELLM_API_KEY"),
        ("", 4, "no key was sent: set LITELLM_API_KEY"),
    ],
)
def test_a_key_without_models_and_a_key_of_nobody_s_are_told_apart(
    key: str, status: int, says: str, team_litellm: LiteLLM, home: dict[str, str]
) -> None:
    done = config(home | {"LITELLM_API_KEY": key}, "--url", team_litellm.url)
    assert (done.status, done.stdout) == (status, "")
    assert says in done.stderr


def test_wildcards_are_spelt_out_or_hidden(litellm: LiteLLM, home: dict[str, str]) -> None:
    # LiteLLM 1.106 lists what it knows of moonshot/*, and of house/* nothing but the wildcard, among the details.
    assert "house/*" in {row["model_name"] for row in litellm.get(MODEL_INFO)["data"]}
    models = shown(home | {"OPENCODE_LITELLM_URL": litellm.url, "LITELLM_API_KEY": litellm.key})
    assert {model for model in models if model.startswith("moonshot/")}
    assert not {model for model in models if "*" in model}


def test_a_wildcard_under_another_name_keeps_what_its_group_knows(team_litellm: LiteLLM, home: dict[str, str]) -> None:
    # LiteLLM 1.106 has empty rows for such a model, as many as its table has keys for it, and knows it in the group.
    globally(home, litellm=section(team_litellm.url, apiKey="sk-wildcard"))
    (served,) = discover(home).served
    models = {model.id: model for model in served.catalogue.models}
    rows = [row for row in served.remembered.answers.info["deployments"] or () if row.model == "corp/deepseek-reasoner"]
    assert (len(rows), {(row.reasoning, row.mode) for row in rows}) == (2, {(None, None)})
    assert (models["corp/deepseek-reasoner"].reasoning, models["corp/deepseek-chat"].reasoning) == (True, False)
    assert models["corp/deepseek-v4-flash-vision-exp"].inputs == ("text", "image")


class Gateway(Server):
    """Lets those through to a real LiteLLM that bring its header, and only below its path."""

    def __init__(self, behind: str) -> None:
        super().__init__()
        self._behind = behind

    def answer_to(self, request: Request, connection: BaseHTTPRequestHandler) -> None:
        if request.headers.get("x-gateway") != "open sesame" or not request.path.startswith("/ai/"):
            send(connection, b"<h1>Forbidden</h1>", status=403, content_type="text/html")
            return
        headers = {name: value for name, value in request.headers.items() if name in ("authorization", "accept")}
        asked = urllib.request.Request(self._behind + request.path.removeprefix("/ai"), headers=headers)
        try:
            with urllib.request.urlopen(asked) as answer:
                send(connection, answer.read(), status=answer.status)
        except urllib.error.HTTPError as error:
            send(connection, error.read(), status=error.code)


def test_a_gateway_gets_its_header_with_every_question(litellm: LiteLLM, home: dict[str, str]) -> None:
    with Gateway(litellm.url) as gateway:
        url = f"{gateway.root}/ai"
        headers = {"X-Gateway": "{env:SESAME}"}
        globally(home, litellm=section(url, apiKey=litellm.key, customHeaders=headers))
        (served,) = discover(home | {"SESAME": "open sesame"}).served
        assert "gpt-4o" in {model.id for model in served.catalogue.models}
        assert served.remembered.answers.info["groups"]
        asked = [request for request in gateway.requests if request.path != f"/ai{IDENTITY}"]
        assert {request.headers["x-gateway"] for request in asked} == {"open sesame"}
        closed = config(home)
    assert (closed.status, closed.stdout) == (4, "")
    assert "something in front of LiteLLM" in closed.stderr
    assert "refused the request (HTTP 403)" in closed.stderr
