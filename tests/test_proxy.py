"""What a server can answer, and what follows: opencode starts, and commands say what to do about it."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING

import pytest
from world.opencode import Finished, Opencode, run
from world.server import free_port
from world.stub import IDENTITY, MODEL_GROUP_INFO, MODEL_INFO, MODELS, StubProxy

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from world.litellm import LiteLLM

UNREACHABLE, REFUSED, NOT_LITELLM = 3, 4, 5
KEY = "sk-secret-of-the-user"
PROGRAM = ["sh", "-c", "echo ran; exit 7"]

HTML = b"<!doctype html><title>Welcome</title><h1>It works</h1>"
LITELLM_404 = {"detail": "Not Found"}


@dataclass(frozen=True)
class Case:
    """A server without usable models: its script, the exit status, and what the message has to contain."""

    id: str
    status: int
    says: tuple[str, ...]
    script: Callable[[StubProxy], None]
    options: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=lambda: {"LITELLM_API_KEY": KEY})


def models(body: object, **how: object) -> Callable[[StubProxy], None]:
    """Script the answer of ``/v1/models``."""
    return lambda stub: stub.answer(MODELS, body, **how)  # type: ignore[arg-type]


def everywhere(body: object, **how: object) -> Callable[[StubProxy], None]:
    """Script one answer to everything, as from a server that is not LiteLLM."""
    return lambda stub: stub.answer("*", body, **how)  # type: ignore[arg-type]


def error(kind: str) -> dict[str, object]:
    """Return an error in the shape of LiteLLM's."""
    return {"error": {"message": "\x1b[31mGo away\x07", "type": kind, "param": "None", "code": "400"}}


DRIBBLED = b"HTTP/1.1 200 OK\r\nX-Filler: " + b"x" * 1000
A_LIST = {"object": "list", "data": [{"id": "gpt-4o"}]}
IN_TIME = ("did not answer in time", "--timeout SECONDS")
NO_LIST = ("did not answer with a list of models", "check the URL")
QUICK = ("--timeout", "1")
NO_KEY: dict[str, str] = {}

CASES = [
    # Time.
    Case("mute", UNREACHABLE, IN_TIME, everywhere(b"", mute=True), QUICK),
    Case("a header a byte at a time", UNREACHABLE, IN_TIME, everywhere(DRIBBLED, raw=True, dribble=0.3), QUICK),
    Case("a body a byte at a time", UNREACHABLE, IN_TIME, models(A_LIST, dribble=0.3), QUICK),
    Case("endless, slowly", UNREACHABLE, IN_TIME, models(b"[", dribble=0.3, endless=True), QUICK),
    # Size.
    Case("endless", NOT_LITELLM, ("more than 8388608 bytes",), models(b" " * 2**16, endless=True)),
    # Not HTTP, not JSON, not a list.
    Case("not HTTP", NOT_LITELLM, ("does not speak HTTP",), everywhere(b"SSH-2.0-OpenSSH_9.2\r\n", raw=True)),
    Case("hangs up", UNREACHABLE, ("cannot be reached", "whether the proxy is running"), everywhere(b"", raw=True)),
    Case("HTML", NOT_LITELLM, NO_LIST, everywhere(HTML, content_type="text/html")),
    Case("nothing", NOT_LITELLM, NO_LIST, models(b"")),
    Case("half of it", NOT_LITELLM, NO_LIST, models(b'{"data":[{"id":"gpt-')),
    Case("null", NOT_LITELLM, NO_LIST, models(None)),
    Case("a list", NOT_LITELLM, NO_LIST, models([{"id": "gpt-4o"}])),
    Case("a string", NOT_LITELLM, NO_LIST, models("gpt-4o")),
    Case("a number", NOT_LITELLM, NO_LIST, models(b"1" * 10_000)),
    Case("an object for the list", NOT_LITELLM, NO_LIST, models({"data": {"gpt-4o": {}}})),
    Case("nested deeply", NOT_LITELLM, NO_LIST, models(b'{"data":' + b"[" * 100_000)),
    Case("not UTF-8", NOT_LITELLM, NO_LIST, models(b'{"data":[{"id":"gpt-4o\xff"}]}')),
    # A list, of nothing.
    Case("an empty list", NOT_LITELLM, ("lists 0 models", "which models the key may use"), models({"data": []})),
    Case("no ids", NOT_LITELLM, ("lists 0 models",), models({"data": [1, None, "x", {}, {"id": 5}, {"id": ""}]})),
    Case("nothing that chats", NOT_LITELLM, ("lists 1 models",), models({"data": [{"id": "text-embedding-3-large"}]})),
    # Statuses.
    Case("401", REFUSED, ("refused the key (HTTP 401, auth_error)", "LITELLM_API_KEY"),
         models(error("auth_error"), status=401)),
    Case("401 without a key", REFUSED, ("no key was sent", "set LITELLM_API_KEY"),
         models(error("auth_error"), status=401), variables=NO_KEY),
    Case("403 of a gateway", REFUSED, ("in front of LiteLLM at", "request (HTTP 403)", "options.customHeaders"),
         everywhere(HTML, status=403)),
    Case("401 of a gateway that speaks JSON", REFUSED, ("refused the request (HTTP 401)", "options.customHeaders"),
         everywhere({"message": "Unauthorized"}, status=401)),
    Case("400 without a database", REFUSED, ("refused the key (HTTP 400, no_db_connection)",),
         models(error("no_db_connection"), status=400)),
    Case("400 of LiteLLM", REFUSED, ("the way LiteLLM answers a wrong key (HTTP 400, bad_request)",),
         models(error("bad_request"), status=400)),
    Case("400 of somebody else", NOT_LITELLM, ("did not answer like LiteLLM (HTTP 400)", "check the URL"),
         everywhere(HTML, status=400)),
    Case("500 without prisma", REFUSED, ("failed without a reason (HTTP 500)", "check LITELLM_API_KEY, and"),
         models(b"Internal Server Error", status=500, content_type="text/plain")),
    Case("500 with a reason", UNREACHABLE, ("is not working at the moment (HTTP 500, internal_error)", "log"),
         models(error("internal_error"), status=500)),
    Case("500 of somebody else", UNREACHABLE, ("at the moment (HTTP 500)",), everywhere(HTML, status=500)),
    Case("429", UNREACHABLE, ("at the moment (HTTP 429)", "try again"), models(HTML, status=429)),
    Case("502", UNREACHABLE, ("at the moment (HTTP 502)",), models(HTML, status=502)),
    Case("503", UNREACHABLE, ("at the moment (HTTP 503)",), models(HTML, status=503)),
    Case("404", NOT_LITELLM, ("like LiteLLM (HTTP 404)", "check the URL"), everywhere(LITELLM_404, status=404)),
    Case("204", NOT_LITELLM, ("did not answer like LiteLLM (HTTP 204)",), models(b"", status=204)),
    Case("a hostile error type", REFUSED, ("refused the key (HTTP 401)",), models(error("\x1b[2J" + KEY), status=401)),
    # Redirects.
    Case("elsewhere", UNREACHABLE, ("redirects to http://localhost:1, which is not followed",),
         lambda stub: stub.redirect(MODELS, "http://localhost:1/v1/models")),
    Case("to TLS", UNREACHABLE, ("redirects to https://127.0.0.1", "use the URL of the proxy itself"),
         lambda stub: stub.redirect(MODELS, "https://127.0.0.1/v1/models")),
    Case("to a file", UNREACHABLE, ("redirects to file://",), lambda stub: stub.redirect(MODELS, "file:///etc/passwd")),
    Case("to nonsense", UNREACHABLE, ("cannot be reached",), lambda stub: stub.redirect(MODELS, "http://[")),
    Case("in a circle", NOT_LITELLM, ("redirects too many times",), lambda stub: stub.redirect(MODELS, MODELS)),
    # Keys that are none.
    Case("a key of two lines", REFUSED, ("correct LITELLM_API_KEY, which has quotes, backslashes, braces",),
         models(error("auth_error"), status=401), variables={"LITELLM_API_KEY": f"{KEY}\nsecond line"}),
    Case("a key in another script", REFUSED, ("no key was sent: correct LITELLM_API_KEY, which has characters",),
         models(error("auth_error"), status=401), variables={"LITELLM_API_KEY": f"{KEY}模"}),
]  # fmt: skip


def together(home: Mapping[str, str], *commands: list[str]) -> list[Finished]:
    """Run our commands in parallel."""
    with ThreadPoolExecutor(len(commands)) as pool:
        return list(pool.map(lambda command: run(["opencode-litellm", *command], home), commands))


def is_one_plain_line(text: str) -> bool:
    """Return whether ``text`` is a single line of ours, printable, and without the key."""
    lines = text.splitlines()
    return len(lines) == 1 and lines[0].startswith("opencode-litellm: ") and lines[0].isprintable() and KEY not in text


def check(case: Case, url: str, home: Mapping[str, str]) -> None:
    environment = {**home, **case.variables}
    launched, env, config = together(
        environment,
        ["exec", "--url", url, *case.options, "--", *PROGRAM],
        ["env", "--url", url, *case.options, "posix"],
        ["config", "--url", url, *case.options],
    )
    assert (launched.status, launched.stdout) == (7, "ran\n"), launched
    assert (env.status, env.stdout) == (case.status, ""), env
    assert (config.status, config.stdout) == (case.status, ""), config
    for finished in (launched, env, config):
        assert is_one_plain_line(finished.stderr), finished
        for text in case.says:
            assert text in finished.stderr


@pytest.mark.parametrize("case", [pytest.param(case, id=case.id) for case in CASES])
def test_a_server_that_is_no_use_costs_a_line_and_a_status_and_never_opencode(
    case: Case, stub_proxy: Callable[..., StubProxy], home: dict[str, str]
) -> None:
    stub = stub_proxy(["gpt-4o"])
    case.script(stub)
    began = monotonic()
    check(case, stub.url, home)
    assert monotonic() - began < 9  # three starts, and a second of patience or a scripted answer


def test_a_port_that_nobody_listens_on_is_named_with_the_reason(home: dict[str, str]) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    says = (f"{url} cannot be reached", "whether the proxy is running", "Connection refused")
    check(Case("refused", UNREACHABLE, says, lambda _: None), url, home)


@pytest.mark.long
def test_a_host_that_does_not_exist_is_named_with_the_reason(home: dict[str, str]) -> None:
    url = "http://litellm.invalid:4000"
    # Where many ask at once, a resolver may need its second try, after 5 s.
    patient = ("--timeout", "30")
    check(Case("no host", UNREACHABLE, (f"{url} cannot be reached",), lambda _: None, options=patient), url, home)


def test_the_real_one_refuses_a_wrong_key_and_no_key(litellm: LiteLLM, home: dict[str, str]) -> None:
    wrong = ("refused the key (HTTP 400, no_db_connection)", "check LITELLM_API_KEY")
    check(Case("wrong", REFUSED, wrong, lambda _: None), litellm.url, home)
    missing = ("refused the key (HTTP 401", "no key was sent")
    check(Case("none", REFUSED, missing, lambda _: None, variables=NO_KEY), litellm.url, home)


@pytest.mark.long
def test_five_seconds_are_the_default_and_are_kept(stub_proxy: Callable[..., StubProxy], home: dict[str, str]) -> None:
    stub = stub_proxy(["gpt-4o"])
    stub.answer("*", DRIBBLED, raw=True, dribble=1)
    began = monotonic()
    assert run(["opencode-litellm", "config", "--url", stub.url], home).status == UNREACHABLE
    assert 5 <= monotonic() - began < 7.5


@pytest.mark.parametrize(
    "how",
    [
        {"body": HTML},
        {"body": None},
        {"body": {"data": [None, 5, {"model_name": 5}, {"model_info": []}]}},
        {"status": 403, "body": error("auth_error")},
        {"status": 404, "body": LITELLM_404},
        {"status": 500, "body": b"Internal Server Error"},
        {"body": b"", "mute": True},
        {"body": A_LIST, "dribble": 0.3},
    ],
    ids=["HTML", "null", "wrong types", "403", "404", "500", "mute", "a byte at a time"],
)
def test_the_list_alone_is_enough(
    how: dict[str, object], stub_proxy: Callable[..., StubProxy], home: dict[str, str]
) -> None:
    stub = stub_proxy(["gpt-4o"], key=KEY)
    for path in (MODEL_INFO, MODEL_GROUP_INFO):
        stub.answer(path, **how)  # type: ignore[arg-type]
    command = ["opencode-litellm", "models", "--json", "--url", stub.url, "--timeout", "1"]
    done = run(command, home | {"LITELLM_API_KEY": KEY})
    assert (done.status, done.stderr) == (0, "")
    (model,) = json.loads(done.stdout)["models"]
    assert (model["id"], model["limit"], model["cost"]) == ("gpt-4o", None, None)


def test_a_refused_key_is_known_at_once_whatever_the_other_endpoints_do(
    stub_proxy: Callable[..., StubProxy], home: dict[str, str]
) -> None:
    stub = stub_proxy(["gpt-4o"])
    stub.answer(MODELS, error("auth_error"), status=401)
    for path in (MODEL_INFO, MODEL_GROUP_INFO):
        stub.answer(path, mute=True)
    began = monotonic()
    assert run(["opencode-litellm", "config", "--url", stub.url, "--timeout", "30"], home).status == REFUSED
    assert monotonic() - began < 5


def test_a_redirect_on_the_same_host_is_followed_with_the_key(
    stub_proxy: Callable[..., StubProxy], home: dict[str, str]
) -> None:
    stub = stub_proxy(["gpt-4o"], key=KEY)
    stub.answers["/v1/models/"] = stub.answers[MODELS]
    stub.redirect(MODELS, "/v1/models/", status=307)
    done = run(["opencode-litellm", "config", "--url", stub.url], home | {"LITELLM_API_KEY": KEY})
    assert (done.status, done.stderr) == (0, "")
    assert [request.key for request in stub.requests if request.path == "/v1/models/"] == [KEY]


ESCAPES = ["\x1b]0;owned\x07", "\x1b[2Jcleared", "two\nlines", "nul\x00", "half \ud800 a pair", "left\u202eright"]
HOSTILE_NUMBERS = [
    "NaN", "Infinity", "-Infinity", "1e999", "-1", "0", "1" * 400, "true", '"many"', "[]", "{}", "null", '"1e400"',
]  # fmt: skip


def test_hostile_rows_do_no_harm_to_opencode(
    stub_proxy: Callable[..., StubProxy], home: dict[str, str], opencode: Opencode
) -> None:
    ids = [f"model-{place}" for place in range(len(HOSTILE_NUMBERS))]
    stub = stub_proxy([*ids, *ESCAPES, "x" * 501, "{env:HOME}", "{file:/etc/passwd}", "__proto__", "a/b c", "plain"])
    fields = ["max_input_tokens", "max_output_tokens", "max_tokens", "input_cost_per_token", "output_cost_per_token",
              "cache_read_input_token_cost", "supports_vision", "supports_reasoning", "mode", "litellm_provider",
              "supported_openai_params", "supported_reasoning_efforts"]  # fmt: skip
    rows = []
    for model, number in zip(ids, HOSTILE_NUMBERS, strict=True):
        info = ",".join(f'"{name}":{number}' for name in fields)
        rows.append(f'{{"model_name":"{model}","model_info":{{{info}}},"litellm_params":{number}}}')
        rows.append(f'{{"model_group":"{model}",{info},"providers":{number}}}')
    body = f'{{"data":[{",".join(rows)}]}}'.encode()
    stub.answer(MODEL_INFO, body)
    stub.answer(MODEL_GROUP_INFO, body)
    environment = home | {"OPENCODE_LITELLM_URL": stub.url}

    seen = opencode.models(environment, program="opencode-with-litellm")
    assert sorted(seen) == sorted([*ids, "{env:HOME}", "{file:/etc/passwd}", "a/b c", "plain"])
    table = run(["opencode-litellm", "models"], environment)
    assert (table.status, table.stderr) == (0, "")
    assert all(line.replace("\t", "").isprintable() for line in table.stdout.splitlines())


def test_an_unauthenticated_identity_is_what_the_real_one_says(litellm: LiteLLM) -> None:
    with StubProxy() as stub:
        assert litellm.get(IDENTITY) == json.loads(stub.answers[IDENTITY].body)
