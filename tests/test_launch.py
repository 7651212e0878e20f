"""A launch is not noticed, shows the current models, and starts its program whatever happens."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from world import tools
from world.draws import draws
from world.launches import SHOW, Launch, cache, launch, settle, with_clock
from world.network import own_loopback
from world.opencode import run
from world.server import Server, free_port, send_json
from world.stub import IDENTITY, KEY_INFO, MODEL_GROUP_INFO, MODEL_INFO, MODELS, RESPONSES, StubProxy

from opencode_litellm.launch import record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from http.server import BaseHTTPRequestHandler

    from world.litellm import LiteLLM
    from world.server import Request

MINUTE, HOUR, DAY = 60, 3600, 24 * 3600
KEY = "sk-right"


pytestmark = pytest.mark.serves("alpha", "beta", key=KEY)


@pytest.fixture
def proxy(proxy: StubProxy) -> StubProxy:
    """Return a proxy that knows the context size of its models, which an answer without details does not have."""
    inform(proxy, "alpha", "beta")
    return proxy


def inform(proxy: StubProxy, *models: str, size: int = 4000) -> None:
    rows = [
        {"model_name": model, "model_info": {"max_input_tokens": size, "max_output_tokens": 100, "mode": "chat"}}
        for model in models
    ]
    proxy.answer(MODEL_INFO, {"data": rows})
    proxy.answer(MODEL_GROUP_INFO, {"data": []})


def contexts(shown: Launch) -> dict[str, int | None]:
    """Return the context size of each model, None for one that a thin answer knows nothing of."""
    assert shown.payload is not None
    models = shown.payload["provider"]["litellm"]["models"]
    return {model: entry.get("limit", {}).get("context") for model, entry in models.items()}


COLD = 5  # questions of a cold launch


def asked_since(proxy: StubProxy, start: int) -> list[str]:
    return sorted(proxy.paths()[start:])


# The launch path: what it loads, what it asks.

GUARD = """
import sys

ALLOWED = set(sys.argv[2].split())

LOADED_BY_PYTHON = "__future__ os stat _stat _collections_abc posixpath genericpath ntpath"
ALLOWED |= set(LOADED_BY_PYTHON.split())

class Guard:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name not in ALLOWED:
            sys.stderr.write("imported: " + name + chr(10))
        return None

sys.path.append(sys.argv[1])
sys.meta_path.insert(0, Guard)
sys.argv = ["opencode-litellm", "exec", "--", "sh", "-c", sys.argv[3]]
from opencode_litellm.__main__ import main
sys.exit(main())
"""
# All that a warm launch may load on top of what Python loads for `python -c pass`.
LOADED = """
opencode_litellm opencode_litellm.__main__ opencode_litellm.cache opencode_litellm.errors opencode_litellm.fields
opencode_litellm.launch opencode_litellm.origin
opencode_litellm.launch.credentials opencode_litellm.launch.record opencode_litellm.launch.warm opencode_litellm.litellm
opencode_litellm.litellm.question opencode_litellm.opencode opencode_litellm.opencode.commandline
opencode_litellm.opencode.delivery opencode_litellm.opencode.layers opencode_litellm.opencode.versions
opencode_litellm.private opencode_litellm.program opencode_litellm.terminal opencode_litellm.variables
errno gc time _blake2 _socket _thread _signal
"""


def test_a_warm_launch_loads_nothing_but_a_handful_of_small_modules(user: dict[str, str]) -> None:
    cold = launch(user)
    command = [sys.executable, "-I", "-S", "-c", GUARD, str(tools.PROJECT), LOADED, SHOW]
    warm = run(command, user)
    assert (warm.status, warm.stderr) == (7, "")
    assert cold.models == ["alpha", "beta"]
    assert '"alpha"' in warm.stdout


def test_a_first_launch_asks_all_endpoints_and_the_next_one_only_for_the_list(
    user: dict[str, str], proxy: StubProxy
) -> None:
    first = launch(user)
    assert asked_since(proxy, 0) == [KEY_INFO, MODEL_GROUP_INFO, MODEL_INFO, MODELS, RESPONSES]
    second = launch(user)
    assert asked_since(proxy, COLD) == [MODELS]
    assert contexts(first) == contexts(second) == {"alpha": 4000, "beta": 4000}
    assert first.stderr == second.stderr == ""


def test_the_real_litellm_is_asked_one_question_by_a_warm_launch(home: dict[str, str], litellm: LiteLLM) -> None:
    user = {**home, "OPENCODE_LITELLM_URL": litellm.url, "LITELLM_API_KEY": litellm.key}
    cold = launch(user)
    before = litellm.log.read_text().count("GET /")
    warm = launch(user)
    asked = litellm.log.read_text().count("GET /") - before
    assert (warm.payload, warm.stderr, asked) == (cold.payload, "", 1)


def test_the_same_models_in_another_order_are_no_news(user: dict[str, str], proxy: StubProxy) -> None:
    first = launch(user)
    proxy.serve(["beta", "alpha"])
    second = launch(user)
    assert second.payload == first.payload
    assert asked_since(proxy, COLD) == [MODELS]


@pytest.mark.parametrize(
    "models",
    [["alpha", "beta", "gamma"], ["alpha"], ["alpha", "brand-new"], ["alpha", "betb"]],
    ids=["added", "removed", "renamed", "renamed, as many bytes"],
)
def test_news_show_in_the_very_next_launch(user: dict[str, str], proxy: StubProxy, models: list[str]) -> None:
    launch(user)
    proxy.serve(models)
    inform(proxy, *models)
    assert contexts(launch(user)) == dict.fromkeys(models, 4000)
    assert launch(user).models == models


def test_models_that_are_gone_are_no_reason_to_ask_for_details(user: dict[str, str], proxy: StubProxy) -> None:
    launch(user)
    proxy.serve(["alpha"])
    assert launch(user).models == ["alpha"]
    assert asked_since(proxy, COLD) == [MODELS, MODELS]


def test_disabled_it_asks_nobody_and_changes_nothing(user: dict[str, str], proxy: StubProxy) -> None:
    assert launch(user, OPENCODE_LITELLM_DISABLE="1").payload is None
    assert proxy.requests == []
    assert not cache(user).exists()


# Patience: a late answer does not keep a launch waiting, neither now nor next time.


@pytest.mark.parametrize(
    "slow", [{"mute": True}, {"delay": 60}, {"dribble": 1}, {"dribble": 1, "status": 401}], ids=repr
)
def test_a_proxy_that_hangs_costs_a_launch_its_patience_and_no_word(
    user: dict[str, str], proxy: StubProxy, slow: dict[str, Any]
) -> None:
    expected = launch(user).payload
    proxy.answer("*", {"data": []}, **slow)
    hanging = launch(user)
    assert (hanging.payload, hanging.stderr) == (expected, "")
    assert hanging.seconds < 3  # of the 5 that a full discovery would take
    proxy.close()  # ends the detached process too
    settle(user)


def test_late_news_show_in_the_launch_after_the_next(user: dict[str, str], proxy: StubProxy) -> None:
    launch(user)
    proxy.serve(["alpha", "beta", "gamma"])
    late = proxy.answers[MODELS]
    proxy.answer(MODELS, late.body, delay=0.8)
    assert launch(user).models == ["alpha", "beta"]
    settle(user)
    assert launch(user).models == ["alpha", "beta", "gamma"]


@pytest.mark.long
def test_a_slow_proxy_is_asked_by_one_detached_process_at_a_time(user: dict[str, str], proxy: StubProxy) -> None:
    launch(user)
    proxy.answer(MODELS, proxy.answers[MODELS].body, delay=3)
    for _ in range(4):
        launch(user)
    # One cheap question each, and one refresh.
    settle(user)
    assert asked_since(proxy, COLD) == [KEY_INFO, MODEL_GROUP_INFO, MODEL_INFO, *[MODELS] * 5, RESPONSES]


@pytest.mark.long
def test_slow_details_give_a_thin_first_launch_in_time_and_a_rich_one_later(
    user: dict[str, str], proxy: StubProxy
) -> None:
    for path in (MODEL_INFO, MODEL_GROUP_INFO):
        proxy.answer(path, proxy.answers[path].body, delay=8)
    thin = launch(user)
    assert contexts(thin) == {"alpha": None, "beta": None}
    assert thin.seconds < 5
    settle(user)
    assert contexts(launch(user)) == {"alpha": 4000, "beta": 4000}


@pytest.mark.parametrize(
    "failure", [{"status": 500}, {"mute": True}, {"body": b"<html>"}, {"body": {"data": []}}], ids=repr
)
def test_details_that_fail_keep_what_they_said_last_for_models_that_still_exist(
    user: dict[str, str], proxy: StubProxy, failure: dict[str, Any]
) -> None:
    launch(user)
    proxy.serve(["alpha", "gamma"])
    for path in (MODEL_INFO, MODEL_GROUP_INFO):
        proxy.answer(path, **failure)
    assert contexts(launch(user, OPENCODE_LITELLM_TIMEOUT="2")) == {"alpha": 4000, "gamma": None}
    proxy.close()
    settle(user)


# Time.


def test_details_older_than_ten_minutes_are_refreshed_behind_the_scenes(user: dict[str, str], proxy: StubProxy) -> None:
    launch(user)
    inform(proxy, "alpha", "beta", size=8000)
    nine, eleven = with_clock(user, 9 * MINUTE), with_clock(user, 11 * MINUTE)
    assert contexts(launch(nine)) == {"alpha": 4000, "beta": 4000}
    settle(user)
    assert asked_since(proxy, COLD) == [MODELS]
    assert contexts(launch(eleven)) == {"alpha": 4000, "beta": 4000}
    settle(user)
    assert contexts(launch(eleven)) == {"alpha": 8000, "beta": 8000}
    assert asked_since(proxy, COLD + 1) == [KEY_INFO, MODEL_GROUP_INFO, MODEL_INFO, MODELS, MODELS, MODELS, RESPONSES]


@pytest.mark.parametrize("offset", [-400 * DAY, -DAY, -HOUR, DAY, 400 * DAY])
def test_a_clock_that_jumps_breaks_nothing(user: dict[str, str], proxy: StubProxy, offset: int) -> None:
    launch(user)
    proxy.serve(["alpha", "beta", "gamma"])
    jumped = with_clock(user, offset)
    assert launch(jumped).models == ["alpha", "beta", "gamma"]
    proxy.serve(["alpha"])
    assert launch(user).models == ["alpha"]
    settle(user)
    # And it comes to rest: no launch has anything left to refresh.
    launch(user)
    settle(user)
    before = len(proxy.requests)
    assert [launch(user).stderr for _ in range(2)] == ["", ""]
    settle(user)
    assert asked_since(proxy, before) == [MODELS, MODELS]


@pytest.mark.parametrize(
    ("age", "said"),
    [
        (MINUTE, "from less than 2 minutes ago"),
        (5 * HOUR + 60, "from 5 hours ago"),
        (3 * DAY + 60, "from 3 days ago"),
        (6 * DAY, "from 6 days ago"),
    ],
    ids=str,
)
def test_a_proxy_that_is_down_shows_its_last_list_with_one_line(
    user: dict[str, str], proxy: StubProxy, age: int, said: str
) -> None:
    expected = launch(user).payload
    proxy.close()
    down = launch(with_clock(user, age))
    assert down.payload == expected
    assert down.lines == [
        f"opencode-litellm: the proxy at 127.0.0.1:{proxy.port} cannot be reached (Connection refused):"
        f" using its models {said}"
    ]
    assert launch(user, OPENCODE_LITELLM_QUIET="1").stderr == ""


def test_a_list_older_than_a_week_is_not_shown_any_more(user: dict[str, str], proxy: StubProxy) -> None:
    launch(user)
    proxy.close()
    down = launch(with_clock(user, 7 * DAY + HOUR))
    assert down.payload is None
    (line,) = down.lines
    assert "cannot be reached" in line
    assert line.endswith("check the URL and whether the proxy is running. opencode starts without LiteLLM's models")


def test_a_proxy_that_hangs_for_more_than_a_week_is_down(user: dict[str, str], proxy: StubProxy) -> None:
    launch(user)
    proxy.answer("*", mute=True)
    hanging = launch(with_clock(user, 7 * DAY + HOUR), OPENCODE_LITELLM_TIMEOUT="1")
    assert hanging.payload is None
    assert len(hanging.lines) == 1
    assert "did not answer in time" in hanging.stderr


def test_launches_from_another_folder_do_not_make_old_answers_young(user: dict[str, str], proxy: StubProxy) -> None:
    expected = launch(user).payload
    proxy.close()
    other = Path(user["HOME"], "other")
    other.mkdir()
    six = with_clock(user, 6 * DAY)
    assert launch(six, other).payload == expected
    assert launch(six, other).lines[0].endswith("using its models from 6 days ago")
    assert launch(with_clock(user, 8 * DAY), other).payload is None


# Refusals and nonsense.


def test_a_refused_key_withdraws_the_models_and_says_how_to_mend_it(user: dict[str, str], proxy: StubProxy) -> None:
    launch(user)
    proxy.key = "sk-another"
    for _ in range(2):
        refused = launch(user)
        assert refused.payload is None
        assert len(refused.lines) == 1
        assert "refused the key" in refused.stderr
        assert "check LITELLM_API_KEY" in refused.stderr
    proxy.close()
    assert launch(user).payload is None
    assert KEY not in refused.stderr


def test_the_real_litellm_refuses_a_key_with_a_line_of_ours(home: dict[str, str], litellm: LiteLLM) -> None:
    user = {**home, "OPENCODE_LITELLM_URL": litellm.url, "LITELLM_API_KEY": litellm.key}
    assert launch(user).models
    refused = launch(user, LITELLM_API_KEY="sk-wrong")
    assert refused.payload is None
    assert len(refused.lines) == 1
    assert "check LITELLM_API_KEY" in refused.stderr


NONSENSE: list[dict[str, Any]] = [
    {"body": b"<html><body>Sign in</body></html>", "content_type": "text/html"},
    {"body": b'{"data": [{"id": "al'},
    {"body": None},
    {"body": []},
    {"body": {"data": None}},
    {"body": {"data": {"id": "alpha"}}},
    {"body": {"data": []}},
    {"body": {"data": [None, 1, "alpha", {"id": 7}, {"id": ""}, {}]}},
    {"body": b"[" * 200_000},
    {"body": b"\xff\xfe\x00"},
    {"body": b"", "status": 204},
    {"body": b"oops", "status": 500},
    {"body": b"", "status": 302, "headers": {"Location": "http://192.0.2.1/v1/models"}},
    {"body": b"\x00\x01\x02 nothing like HTTP\r\n\r\n", "raw": True},
    {"body": b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20_000, "raw": True},
    {"body": b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999\r\n\r\n", "raw": True},
    {"body": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "raw": True},
    {"body": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\nabc\r\n", "raw": True},
    {"body": b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc", "raw": True},
    {"body": b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n{}", "raw": True},
    {"body": b"", "raw": True},
]


@pytest.mark.long
@pytest.mark.parametrize("nonsense", NONSENSE, ids=lambda nonsense: str(nonsense)[:60])
def test_an_answer_that_is_no_list_of_models_costs_a_line(
    user: dict[str, str], proxy: StubProxy, nonsense: dict[str, Any]
) -> None:
    good = proxy.answers[MODELS]
    proxy.answer(MODELS, **nonsense)
    cold = launch(user)
    assert (cold.payload, len(cold.lines)) == (None, 1)
    proxy.answers[MODELS] = good
    assert launch(user).models == ["alpha", "beta"]
    proxy.answer(MODELS, **nonsense)
    warm = launch(user)
    assert warm.models in (None, ["alpha", "beta"])
    assert len(warm.lines) == 1
    proxy.answers[MODELS] = good
    assert (launch(user).models, launch(user).stderr) == (["alpha", "beta"], "")


def test_with_nothing_known_a_launch_is_plain_opencode_and_one_line(home: dict[str, str]) -> None:
    port = free_port()
    down = launch(home, OPENCODE_LITELLM_URL=f"http://127.0.0.1:{port}")
    assert (down.payload, len(down.lines)) == (None, 1)
    assert f"127.0.0.1:{port}" in down.stderr


@pytest.fixture
def second(home: dict[str, str], stub_proxy: Callable[..., StubProxy], proxy: StubProxy) -> StubProxy:
    """Return another proxy, which the user's configuration names beside ``proxy``."""
    second = stub_proxy(["gamma"], key=KEY)
    sections = {
        name: {"options": {"baseURL": f"{each.url}/v1", "apiKey": KEY}}
        for name, each in {"litellm": proxy, "litellm-two": second}.items()
    }
    folder = Path(home["XDG_CONFIG_HOME"], "opencode")
    folder.mkdir()
    (folder / "opencode.json").write_text(json.dumps({"$schema": "x", "provider": sections}))
    return second


def both(shown: Launch) -> dict[str, list[str]]:
    """Return the models of each provider."""
    assert shown.payload is not None
    return {name: list(section["models"]) for name, section in shown.payload["provider"].items()}


ONE, TWO = {"litellm": ["alpha", "beta"]}, {"litellm": ["alpha", "beta"], "litellm-two": ["gamma"]}

USELESS = "lists no model that opencode can use: opencode starts without its models"
FAILING: dict[str, tuple[dict[str, Any], str]] = {
    "refusing": ({"status": 401}, "answers with status 401: opencode starts without its models"),
    "broken": ({"status": 500}, "answers with status 500: opencode starts without its models"),
    "no list": ({"body": b"<html>Sign in"}, USELESS),
    "an empty list": ({"body": {"data": []}}, USELESS),
    "a useless list": (
        {"body": {"data": [{"id": "everything/*"}]}},
        USELESS,
    ),
}


@pytest.mark.parametrize("failing", FAILING)
def test_a_second_proxy_that_fails_costs_only_itself(
    home: dict[str, str], proxy: StubProxy, second: StubProxy, failing: str
) -> None:
    answer, said = FAILING[failing]
    second.answer("*", **answer)
    cold = launch(home)
    assert (both(cold), len(cold.lines)) == (ONE, 1)
    launch(home)  # by its end, what the cold one no longer waited for has arrived
    before = len(proxy.requests), len(second.requests)
    for _ in range(2):
        warm = launch(home)
        assert both(warm) == ONE
        assert warm.lines == [f"opencode-litellm: the proxy at 127.0.0.1:{second.port} {said}"]
    assert asked_since(proxy, before[0]) == asked_since(second, before[1]) == [MODELS, MODELS]
    proxy.answer("*", mute=True)  # nor does the other one's hanging
    hanging = launch(home)
    assert (both(hanging), hanging.lines, hanging.seconds < 3) == (ONE, warm.lines, True)
    proxy.everywhere = second.everywhere = None
    settle(home)
    back = launch(home)
    assert (both(back), back.stderr) == (TWO, "")


@pytest.mark.parametrize(
    "failing", [{"status": 302, "headers": {"Location": "/elsewhere"}}, {"raw": True, "body": b"SSH-2.0-OpenSSH"}]
)
def test_a_second_proxy_that_needs_a_real_client_is_not_waited_for(
    home: dict[str, str], second: StubProxy, failing: dict[str, Any]
) -> None:
    second.answer("*", **failing)
    assert both(launch(home)) == ONE
    warm = launch(home)
    assert (both(warm), warm.stderr) == (ONE, "")
    settle(home)
    second.everywhere = None
    back = launch(home)
    assert (both(back), back.stderr) == (TWO, "")


def test_a_second_proxy_that_is_back_shows_in_the_very_next_launch(
    home: dict[str, str], second: StubProxy
) -> None:
    second.close()
    for _ in range(2):
        down = launch(home)
        assert both(down) == ONE
        assert [line for line in down.lines if f":{second.port} cannot be reached" in line] == down.lines != []
    with StubProxy(["gamma"], port=second.port):
        back = launch(home)
    assert (both(back), back.stderr) == (TWO, "")


def test_details_are_refreshed_also_while_a_second_proxy_is_down(
    home: dict[str, str], proxy: StubProxy, second: StubProxy
) -> None:
    second.close()
    launch(home)
    inform(proxy, "alpha", "beta", size=8000)
    launch(with_clock(home, 11 * MINUTE))
    settle(home)
    assert contexts(launch(home)) == {"alpha": 8000, "beta": 8000}


# A proxy that was detected identifies itself at every launch before it gets a key.


class Stranger(Server):
    """Another program's server on a port that LiteLLM uses by default."""

    def answer_to(self, _: Any, connection: Any) -> None:
        """Answer everything, as a friendly server does."""
        send_json(connection, {"data": [{"id": "stolen"}]})


class Slammer(Server):
    """Closes every connection without an answer."""

    def answer_to(self, _: Any, connection: Any) -> None:
        """Answer nothing."""
        connection.close_connection = True


@pytest.fixture
def own_ports() -> Iterator[None]:
    with own_loopback((4000, 8000, 8080)):
        yield


@pytest.mark.usefixtures("own_ports")
def test_detection_works_in_launches_and_asks_who_it_is_each_time(home: dict[str, str]) -> None:
    with StubProxy(["alpha"], key=KEY, port=4000) as proxy:
        user = {**home, "LITELLM_API_KEY": KEY}
        assert launch(user).models == launch(user).models == ["alpha"]
        keys = {(request.path, request.key) for request in proxy.requests}
    assert (IDENTITY, None) in keys
    assert (MODELS, None) not in keys
    assert [path for path, key in keys if path == IDENTITY and key is not None] == []
    warm = [request.path for request in proxy.requests][-2:]
    assert warm == [IDENTITY, MODELS]


@pytest.mark.usefixtures("own_ports")
@pytest.mark.parametrize("successor", [Stranger, Slammer])
def test_a_stranger_on_the_port_gets_no_key_and_lists_no_models(
    home: dict[str, str], successor: type[Server]
) -> None:
    user = {**home, "LITELLM_API_KEY": KEY}
    with StubProxy(["alpha"], key=KEY, port=4000):
        assert launch(user).models == ["alpha"]
    with successor(4000) as stranger:
        shown = launch(user)
        assert {request.key for request in stranger.requests} == {None}
    assert (shown.payload, len(shown.lines)) == (None, 1)


@pytest.mark.usefixtures("own_ports")
def test_a_mute_server_on_the_port_gets_no_key_and_no_models(home: dict[str, str]) -> None:
    user = {**home, "LITELLM_API_KEY": KEY}
    with StubProxy(["alpha"], key=KEY, port=4000) as proxy:
        assert launch(user).models == ["alpha"]
        proxy.answer("*", mute=True)
        before = len(proxy.requests)
        shown = launch(user)
        assert {request.key for request in proxy.requests[before:]} == {None}
    assert (shown.payload, len(shown.lines)) == (None, 1)


@pytest.mark.usefixtures("own_ports")
def test_a_detected_proxy_that_is_down_keeps_its_models_and_may_come_back_on_another_port(
    home: dict[str, str],
) -> None:
    user = {**home, "LITELLM_API_KEY": KEY}
    with StubProxy(["alpha"], key=KEY, port=4000):
        assert launch(user).models == ["alpha"]
    down = launch(user)
    assert (down.models, len(down.lines)) == (["alpha"], 1)
    settle(user)
    with StubProxy(["beta"], key=KEY, port=8080):
        launch(user)
        settle(user)
        back = launch(user)
    assert (back.models, back.stderr) == (["beta"], "")


# The detached process.


@pytest.fixture
def busy(user: dict[str, str], proxy: StubProxy) -> dict[str, str]:
    """Return the environment of a user whose next launch leaves a detached process behind, for seconds."""
    launch(user)
    proxy.answer(MODELS, proxy.answers[MODELS].body, delay=4)
    return user


def detached(home: dict[str, str]) -> list[Path]:
    """Return the processes that refresh for a home, as soon as there are any."""
    mark = f"XDG_CACHE_HOME={home['XDG_CACHE_HOME']}".encode()
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        found = [
            process
            for process in Path("/proc").glob("[0-9]*")
            if mark in read(process / "environ") and b"detached.refresh" in read(process / "cmdline")
        ]
        if found:
            return found
    pytest.fail("no process refreshes for this home")


def read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError:  # a process that has ended since
        return b""


linux = pytest.mark.skipif(sys.platform != "linux", reason="what a process holds is read from /proc")


@pytest.mark.long
@linux
def test_a_detached_process_holds_no_terminal_no_pipe_and_no_parent(busy: dict[str, str]) -> None:
    reading, writing = os.pipe()
    extra = os.dup2(writing, 300)  # beyond what anybody would think of closing one by one
    subprocess.run(
        ["env", "opencode-litellm", "exec", "--", "true"], env=busy, cwd=busy["HOME"], check=True,
        pass_fds=(writing, extra),
    )  # fmt: skip
    (process,) = detached(busy)
    os.close(writing)
    os.close(extra)
    holds = {os.readlink(link) for link in (process / "fd").iterdir()}
    status = (process / "stat").read_text().rsplit(")", 1)[1].split()
    parent, session, terminal = int(status[1]), int(status[3]), int(status[4])
    assert not [held for held in holds if held.startswith("pipe:")]
    assert os.read(reading, 1) == b""  # nobody has the other end any more
    os.close(reading)
    assert (session != os.getsid(0), terminal) == (True, 0)
    assert parent != os.getpid()
    assert Path(f"/proc/{parent}/environ").exists()
    settle(busy)


@pytest.mark.long
def test_a_pipeline_ends_with_its_program(busy: dict[str, str]) -> None:
    began = time.monotonic()
    shown = run(["sh", "-c", "opencode-litellm exec -- echo out 2>&1 | cat"], busy)
    assert shown.stdout == "out\n"
    assert time.monotonic() - began < 3
    settle(busy)


@pytest.mark.long
@linux
def test_a_detached_process_is_no_child_of_the_program(busy: dict[str, str]) -> None:
    shown = run(["opencode-litellm", "exec", "--", "sh", "-c", "sleep 0.3; cat /proc/$$/task/$$/children"], busy)
    # The one child is cat itself.
    assert len(shown.stdout.split()) == 1
    settle(busy)


@pytest.mark.long
def test_a_launch_whose_parent_ignores_its_children_delivers_anyway(busy: dict[str, str]) -> None:
    ignoring = "import os, signal, sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN); os.execvp('env', sys.argv)"
    shown = run([sys.executable, "-c", ignoring, "opencode-litellm", "exec", "--", "sh", "-c", SHOW], busy)
    assert '"alpha"' in shown.stdout
    assert shown.stderr == ""
    settle(busy)


@pytest.mark.long
def test_a_project_cannot_slip_its_own_modules_into_a_detached_process(busy: dict[str, str]) -> None:
    project = Path(busy["HOME"], "project")
    project.mkdir()
    for name in ("opencode_litellm", "requests", "json", "socket"):
        (project / f"{name}.py").write_text(f"open({str(project / 'slipped')!r}, 'w')")
    launch(busy, project)
    launch(busy, project)
    settle(busy)
    assert not (project / "slipped").exists()


@pytest.mark.parametrize("name", ["json", "token"])
def test_a_module_on_pythonpath_keeps_no_detached_process_from_refreshing(
    user: dict[str, str], proxy: StubProxy, name: str
) -> None:
    launch(user)
    inform(proxy, "alpha", "beta", size=9000)
    later = with_clock(user, 11 * MINUTE)
    Path(later["PYTHONPATH"], f"{name}.py").write_text("raise SystemExit('not the module that you want')\n")
    assert contexts(launch(later)) == {"alpha": 4000, "beta": 4000}
    settle(user)
    assert contexts(launch(user)) == {"alpha": 9000, "beta": 9000}


def test_a_library_on_pythonpath_that_stops_a_detached_process_is_in_the_log(user: dict[str, str]) -> None:
    launch(user)
    later = with_clock(user, 11 * MINUTE)
    Path(later["PYTHONPATH"], "jinja2.py").write_text("raise SystemExit('not the module that you want')\n")
    launch(later)
    settle(user)
    log = Path(user["XDG_STATE_HOME"], "opencode-litellm/log").read_text()
    assert " fault: SystemExit\n" in log


# Together.


def at_once(number: int, user: dict[str, str]) -> list[Launch]:
    with ThreadPoolExecutor(number) as pool:
        return list(pool.map(lambda _: launch(user), range(number)))


def details(proxy: StubProxy, start: int = 0) -> list[str]:
    return sorted(path for path in proxy.paths()[start:] if path != MODELS)


def test_fifty_first_launches_at_once_ask_for_the_details_once(user: dict[str, str], proxy: StubProxy) -> None:
    for path in (MODEL_INFO, MODEL_GROUP_INFO):
        proxy.answer(path, proxy.answers[path].body, delay=1)
    shown = at_once(50, user)
    assert [contexts(each) for each in shown] == [{"alpha": 4000, "beta": 4000}] * 50
    assert {each.stderr for each in shown} == {""}
    assert details(proxy) == [KEY_INFO, MODEL_GROUP_INFO, MODEL_INFO, RESPONSES]


def test_fifty_launches_that_hear_news_at_once_ask_for_the_details_once(user: dict[str, str], proxy: StubProxy) -> None:
    launch(user)
    before = len(proxy.requests)
    proxy.serve(["alpha", "beta", "gamma"])
    shown = at_once(50, user)
    assert {each.stderr for each in shown} == {""}
    settle(user)
    log = Path(user["XDG_STATE_HOME"], "opencode-litellm/log").read_text()
    assert log.count("asked for everything") == 2  # by the first launch of all, and by one of the fifty
    # A late answer, as on a busy machine, has everything asked again in the background.
    times = 1 + log.count(" refresh: ")
    assert times == 1 or "did not answer in time" in log
    assert details(proxy, before) == sorted(times * [KEY_INFO, MODEL_GROUP_INFO, MODEL_INFO, RESPONSES])
    assert launch(user).models == ["alpha", "beta", "gamma"]


@pytest.mark.long
def test_fifty_launches_with_old_details_leave_one_detached_process(user: dict[str, str], proxy: StubProxy) -> None:
    launch(user)
    before = len(proxy.requests)
    shown = at_once(50, with_clock(user, HOUR))
    assert {each.stderr for each in shown} == {""}
    settle(user)
    assert details(proxy, before) == [KEY_INFO, MODEL_GROUP_INFO, MODEL_INFO, RESPONSES]


def test_launches_at_once_that_are_refused_all_say_so(user: dict[str, str], proxy: StubProxy) -> None:
    proxy.key = "sk-another"
    shown = at_once(8, user)
    assert [each.payload for each in shown] == [None] * 8
    assert all("check LITELLM_API_KEY" in each.stderr for each in shown)


def test_a_refused_key_is_asked_once_by_launches_at_once_from_many_folders(
    user: dict[str, str], proxy: StubProxy
) -> None:
    """As many launches as CROWD says, 30 without it."""
    number = int(os.environ.get("CROWD", "30"))
    folders = [Path(user["HOME"], f"project-{index}") for index in range(max(1, number // 10))]
    for folder in folders:
        folder.mkdir()
    proxy.answer(MODELS, {"error": {"type": "auth_error"}}, status=401, delay=1)
    with ThreadPoolExecutor(number) as pool:
        shown = list(pool.map(lambda index: launch(user, folders[index % len(folders)]), range(number)))
    assert [each.payload for each in shown] == [None] * number
    assert all("refused the key" in each.stderr and "check LITELLM_API_KEY" in each.stderr for each in shown)
    asked = proxy.paths().count(MODELS)
    sys.stderr.write(f"{number} launches asked {asked} times\n")
    assert asked <= 1 + number // 10  # 1 where all begin before the first one hears
    before = len(proxy.requests)
    proxy.serve(["alpha"])
    assert launch(user, folders[0]).models == ["alpha"]
    assert proxy.paths()[before:].count(MODELS) == 1


class Confirmed(StubProxy):
    """Refuses the key of a launch, while another one finds the models of the record that both have read true."""

    home: dict[str, str]

    def answer_to(self, request: Request, connection: BaseHTTPRequestHandler) -> None:
        """Let the other launch confirm the record, and answer."""
        circumstances = record.Circumstances.of(self.home, self.home["HOME"])
        last = record.load(circumstances)
        assert last is not None
        record.confirm(circumstances, last)
        super().answer_to(request, connection)


def test_a_record_that_another_launch_confirms_is_not_taken_for_a_new_one(home: dict[str, str]) -> None:
    port = free_port()
    user = {**home, "OPENCODE_LITELLM_URL": f"http://127.0.0.1:{port}", "LITELLM_API_KEY": KEY}
    with StubProxy(["alpha"], key=KEY, port=port):
        assert launch(user).models == ["alpha"]
    (file,) = cache(user).glob("launch-*")
    os.utime(file, (time.time() - 2 * HOUR,) * 2)
    with Confirmed(["alpha"], key="sk-another", port=port) as proxy:
        proxy.home = user
        refused = launch(user)
    assert (refused.payload, len(refused.lines)) == (None, 1)
    assert "refused the key" in refused.stderr


def test_a_refusal_of_one_key_is_not_believed_of_another(user: dict[str, str], proxy: StubProxy) -> None:
    proxy.key = "sk-right"
    with ThreadPoolExecutor(8) as pool:
        keys = ["sk-wrong", "sk-right"] * 4
        shown = list(pool.map(lambda key: launch(user, LITELLM_API_KEY=key), keys))
    right = [each for key, each in zip(keys, shown, strict=True) if key == "sk-right"]
    assert [each.models for each in right] == [["alpha", "beta"]] * 4


@pytest.mark.long
def test_launches_at_once_with_slow_details_are_all_served_in_time(user: dict[str, str], proxy: StubProxy) -> None:
    for path in (MODEL_INFO, MODEL_GROUP_INFO):
        proxy.answer(path, proxy.answers[path].body, delay=30)
    shown = at_once(6, user)
    assert [each.models for each in shown] == [["alpha", "beta"]] * 6
    assert max(each.seconds for each in shown) < 20  # 5 alone
    proxy.close()
    settle(user)


KILLED = draws("KILLS", in_ci=40, by_hand=15)


@pytest.mark.long
def test_launches_killed_at_any_point_block_nobody(user: dict[str, str], proxy: StubProxy) -> None:
    for number in range(KILLED):
        proxy.serve(["alpha", f"model-{number}"])
        process = subprocess.Popen(
            ["env", "opencode-litellm", "exec", "--", "true"], env=user, cwd=user["HOME"], start_new_session=True
        )
        time.sleep(0.6 * number / KILLED)
        process.kill()
        process.wait()
    proxy.serve(["alpha", "last"])
    after = launch(user, OPENCODE_LITELLM_TIMEOUT="30")  # as long would it wait for its turn
    assert (after.models, after.stderr) == (["alpha", "last"], "")
    assert after.seconds < 20
    leftover = [file.name for file in cache(user).iterdir() if file.name.endswith(".tmp")]
    assert len(leftover) <= KILLED
    assert launch(with_clock(user, 2 * HOUR)).models == ["alpha", "last"]
    settle(user)
    assert [file.name for file in cache(user).iterdir() if file.name.endswith(".tmp")] == []


def test_a_detached_process_that_was_killed_keeps_nobody_from_refreshing(
    busy: dict[str, str], proxy: StubProxy
) -> None:
    launch(busy)
    for process in detached(busy):
        os.kill(int(process.name), signal.SIGKILL)
    proxy.serve(["alpha", "beta", "gamma"])
    assert launch(busy).models == ["alpha", "beta", "gamma"]
    (claim,) = cache(busy).glob("refresh-*")
    three_minutes_ago = time.time() - 3 * MINUTE
    os.utime(claim, (three_minutes_ago, three_minutes_ago))
    inform(proxy, "alpha", "beta", "gamma", size=9000)
    launch(with_clock(busy, 11 * MINUTE))
    settle(busy)
    assert contexts(launch(busy)) == {"alpha": 9000, "beta": 9000, "gamma": 9000}


# The program.


def fake(home: dict[str, str], name: str, text: str, mode: int = 0o755) -> Path:
    file = Path(home["HOME"], "bin", name)
    file.unlink(missing_ok=True)
    file.write_text(text)
    file.chmod(mode)
    return file


@pytest.mark.parametrize(
    ("command", "status"),
    [
        (["nowhere-to-be-found"], 127),
        (["./nowhere-to-be-found"], 127),
        (["not-executable"], 126),
        (["./bin/not-executable"], 126),
        (["./bin"], 126),
        (["no-interpreter"], 127),
        (["no-shebang"], 5),
        (["sh", "-c", "exit 200"], 200),
        (["sh", "-c", "kill -9 $$"], 128 + 9),
    ],
    ids=str,
)
def test_exit_statuses_are_those_of_a_shell(user: dict[str, str], command: list[str], status: int) -> None:
    fake(user, "not-executable", "#!/bin/sh\n", 0o644)
    fake(user, "no-interpreter", "#!/nowhere/at/all\n")
    fake(user, "no-shebang", "exit 5\n")
    finished = run(["sh", "-c", '"$@"; exit $?', "sh", "opencode-litellm", "exec", "--", *command], user)
    assert finished.status == status
    if status in (126, 127):
        assert len([line for line in finished.stderr.splitlines() if line.startswith("opencode-litellm: ")]) == 1


ODD = [b"", b"a b", b"'\"$`\\", b"\n\t", b"*", b"--", b"--help", b"-h", "ä→🎈".encode(), b"\xff\xfe\x80", b"\x1b[31m"]


@pytest.mark.parametrize("locale", ["C.UTF-8", "C", "POSIX"])
@pytest.mark.parametrize(
    "script", ["opencode-litellm exec -- show", "opencode-litellm exec show", "opencode-with-litellm"]
)
def test_arguments_arrive_byte_for_byte(user: dict[str, str], locale: str, script: str) -> None:
    show = '#!/bin/sh\nfor a in "$@"; do printf "%s\\0" "$a"; done\n'
    fake(user, "show", show)
    fake(user, "opencode", show)
    words = [word.encode() for word in script.split()]
    done = subprocess.run(
        [b"env", *words, *ODD], env={**user, "LANG": locale}, cwd=user["HOME"], capture_output=True, check=True
    )
    assert done.stdout == b"".join(word + b"\0" for word in ODD)


@linux
def test_signals_that_python_ignores_reach_the_program(user: dict[str, str]) -> None:
    shown = run(["opencode-litellm", "exec", "--", "grep", "SigIgn", "/proc/self/status"], user)
    plain = run(["grep", "SigIgn", "/proc/self/status"], user)
    assert shown.stdout == plain.stdout


@linux
def test_the_program_gets_the_descriptors_of_its_caller_and_no_others(user: dict[str, str]) -> None:
    # Not with a pipeline: whether the shell has closed its ends of it by then is chance.
    count = ["sh", "-c", 'for path in /proc/$$/fd/*; do echo "${path##*/}"; done']
    plain = run(count, user).stdout
    assert run(["opencode-litellm", "exec", "--", *count], user).stdout == plain  # cold
    assert run(["opencode-litellm", "exec", "--", *count], user).stdout == plain  # warm
    passed = run(["sh", "-c", "exec 7<$HOME/seven; exec opencode-litellm exec -- cat <&7"], fake_seven(user))
    assert passed.stdout == "seven"


def fake_seven(user: dict[str, str]) -> dict[str, str]:
    Path(user["HOME"], "seven").write_text("seven")
    return user


def test_standard_input_is_the_program_s_alone(user: dict[str, str]) -> None:
    given = bytes(range(256)) * 1000
    finished = run(["opencode-litellm", "exec", "--", "wc", "-c"], user, given=given)
    assert finished.stdout.strip() == str(len(given))


@pytest.mark.parametrize("when", ["cold", "warm"])
def test_ctrl_c_before_the_program_starts_ends_it_all(user: dict[str, str], proxy: StubProxy, when: str) -> None:
    if when == "warm":
        launch(user)
        proxy.serve(["news"])
    started = Path(user["HOME"], "started")
    proxy.answer("*", mute=True) if when == "cold" else proxy.answer(MODELS, {"data": [{"id": "news"}]}, delay=0.2)
    process = subprocess.Popen(
        ["env", "opencode-litellm", "exec", "--", "touch", str(started)],
        env=user, cwd=user["HOME"], stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    before = len(proxy.requests)
    while len(proxy.requests) == before and process.poll() is None:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=10)
    assert (process.returncode, said, started.exists()) == (130, b"", False)
    settle(user)


def test_a_folder_that_was_removed_is_no_obstacle(user: dict[str, str]) -> None:
    gone = Path(user["HOME"], "gone")
    gone.mkdir()
    shown = run(["sh", "-c", 'rmdir "$PWD"; exec opencode-litellm exec -- echo started'], user, gone)
    assert (shown.status, shown.stdout, shown.stderr) == (0, "started\n", "")


@pytest.mark.parametrize("shim", ["link", "script"])
def test_a_shim_of_our_own_first_on_path_is_passed_over(user: dict[str, str], shim: str) -> None:
    folder = Path(user["HOME"], "shims")
    folder.mkdir()
    if shim == "link":
        (folder / "opencode").symlink_to(tools.console_script("opencode-with-litellm"))
    else:
        (folder / "opencode").write_text('#!/bin/sh\nexec opencode-with-litellm "$@"\n')
        (folder / "opencode").chmod(0o755)
    fake(user, "opencode", "#!/bin/sh\necho the real one\n")
    shown = run(["opencode", "-v"], {**user, "PATH": f"{folder}:{user['PATH']}"})
    assert (shown.status, shown.stdout) == (0, "the real one\n")


def test_the_environment_of_the_program_is_otherwise_the_caller_s(user: dict[str, str]) -> None:
    bare = {name: user[name] for name in ("PATH", "HOME", "OPENCODE_LITELLM_URL", "LITELLM_API_KEY")}
    shown = run(["opencode-litellm", "exec", "--", "env", "-0"], bare)
    plain = run(["env", "-0"], bare)
    added = set(shown.stdout.split("\0")) ^ set(plain.stdout.split("\0"))
    assert sorted(entry.partition("=")[0] for entry in added) == ["OPENCODE_CONFIG", "OPENCODE_LITELLM_NO_KEY"]


@pytest.mark.drawn(1)
@pytest.mark.usefixtures("opencode")
@pytest.mark.parametrize("option", [[], ["--dir", "inner"]], ids=["run", "run --dir"])
def test_each_key_goes_to_its_own_project_s_proxy_also_where_opencode_works_in_a_stale_pwd(
    home: dict[str, str], stub_proxy: Callable[..., StubProxy], option: list[str]
) -> None:
    """Whoever starts a program in another folder, without a shell, leaves PWD as it was."""
    proxies = {name: stub_proxy(["gpt-4o"], key=f"sk-{name}") for name in ("here", "stale")}
    for name, proxy in proxies.items():
        folder = Path(home["HOME"], name, "inner")
        folder.mkdir(parents=True)
        section = {"options": {"baseURL": f"{proxy.url}/v1", "apiKey": proxy.key}}
        (folder.parent / "opencode.json").write_text(json.dumps({"$schema": "x", "provider": {"litellm": section}}))
    stale = {**home, "PWD": str(Path(home["HOME"], "stale"))}
    command = ["opencode-with-litellm", "run", *option, "-m", "litellm/gpt-4o", "hi"]
    shown = run(command, stale, Path(home["HOME"], "here"))
    assert (shown.status, shown.stdout) == (0, "hello from upstream\n"), shown
    assert {request.key for request in proxies["stale"].requests} == {"sk-stale"}
    assert proxies["here"].requests == []


NAMED = ["-m litellm/gpt-5", "--model=litellm/gpt-5", "-m litellm-responses/gpt-5", "-m litellm/gpt-4o"]


@pytest.mark.drawn(1)
@pytest.mark.usefixtures("opencode")
@pytest.mark.parametrize("option", NAMED)
def test_a_model_that_the_command_line_names_is_found_where_it_is_named(
    option: str, user: dict[str, str], proxy: StubProxy
) -> None:
    proxy.serve(["gpt-4o", "gpt-5"])
    shown = run(["opencode-with-litellm", "run", *option.split(), "hi"], user)
    assert (shown.status, shown.stdout) == (0, "hello from upstream\n"), shown
    path = "/v1/chat/completions" if "4o" in option else "/v1/responses"
    assert {request.path for request in proxy.inferences()} == {path}


@pytest.mark.usefixtures("opencode")
def test_a_model_is_listed_once_whatever_names_it_has(user: dict[str, str], proxy: StubProxy) -> None:
    proxy.serve(["gpt-4o", "gpt-5"])
    listed = run(["opencode-with-litellm", "models"], user).stdout.split()
    assert [name for name in listed if name.startswith("litellm")] == ["litellm/gpt-4o", "litellm-responses/gpt-5"]
