"""The time and memory that a proxy's answers cost is bounded, whatever is in them and however they arrive."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import time
import zlib

import pytest
from world import tools
from world.opencode import run
from world.stub import IDENTITY, MODEL_GROUP_INFO, MODEL_INFO, MODELS, StubProxy

from opencode_litellm.errors import NotLiteLLM, ProxyUnreachable
from opencode_litellm.litellm import client, connection, facts
from opencode_litellm.litellm.connection import Channel, Reply, Request
from opencode_litellm.litellm.facts import DEPLOYMENTS, GROUPS
from opencode_litellm.models import catalog
from opencode_litellm.proxies import ModelOptions, ProxyURL

LIST = json.dumps({"object": "list", "data": [{"id": "alpha"}]}).encode()
EARLY = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n"

pytestmark = pytest.mark.serves("alpha")


def answered(proxy: StubProxy, path: str = MODELS, *, seconds: float = 5, limit: int = 2**20) -> Reply:
    url = ProxyURL(proxy.url, "127.0.0.1")
    return connection.get(Request(Channel(url, {}, {}), path, time.monotonic() + seconds, limit))


# How they arrive.


def test_early_hints_are_skipped(proxy: StubProxy, home: dict[str, str]) -> None:
    whole = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%b" % (len(LIST), LIST)
    proxy.answer(MODELS, EARLY + whole, raw=True)
    environment = home | {"OPENCODE_LITELLM_URL": proxy.url}
    for _ in range(2):  # cold and warm
        launched = run(["opencode-litellm", "exec", "--", "sh", "-c", 'cat "$OPENCODE_CONFIG"'], environment)
        assert (launched.status, launched.stderr) == (0, "")
        assert list(json.loads(launched.stdout)["provider"]["litellm"]["models"]) == ["alpha"]
    assert proxy.paths().count(MODELS) == 2


def test_a_server_that_never_gets_to_its_answer_is_late(proxy: StubProxy) -> None:
    proxy.answer(MODELS, EARLY, raw=True, endless=True)
    with pytest.raises((ProxyUnreachable, NotLiteLLM)):
        answered(proxy, seconds=1)


@pytest.mark.parametrize("path", [MODELS, IDENTITY])
def test_compressed_bytes_that_trickle_in_end_at_the_deadline(proxy: StubProxy, path: str) -> None:
    packed = gzip.compress(os.urandom(4096))
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed)
    proxy.answer(path, head + packed, raw=True, dribble=0.05)
    began = time.monotonic()
    with pytest.raises(ProxyUnreachable, match="did not answer in time"):
        answered(proxy, path, seconds=1)
    if path == IDENTITY:
        assert not client.identifies(ProxyURL(proxy.url, "127.0.0.1"), {}, time.monotonic() + 0.3)
    assert time.monotonic() - began < 20  # all of it drips for minutes


@pytest.mark.parametrize("kind", ["gzip", "deflate"])
def test_a_compressed_answer_is_understood(proxy: StubProxy, kind: str) -> None:
    packed = gzip.compress(LIST) if kind == "gzip" else zlib.compress(LIST)
    proxy.answer(MODELS, packed, headers={"Content-Encoding": kind})
    assert answered(proxy).body == LIST


def test_bytes_after_a_compressed_answer_are_not_waited_for(proxy: StubProxy) -> None:
    packed = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + gzip.compress(LIST)
    proxy.answer(MODELS, packed, raw=True, endless=True)
    began = time.monotonic()
    assert answered(proxy).body == LIST
    assert time.monotonic() - began < 4


@pytest.mark.parametrize("kind", ["gzip", "br", "zstd"])
def test_decompression_bombs_and_unknown_encodings_are_refused(proxy: StubProxy, kind: str) -> None:
    bomb = gzip.compress(bytes(2**26))  # 64 MiB in 64 kB
    proxy.answer(MODELS, bomb, headers={"Content-Encoding": kind})
    with pytest.raises(NotLiteLLM, match="more than 1048576 bytes" if kind == "gzip" else "not asked for"):
        answered(proxy)


def test_an_answer_that_is_not_compressed_as_announced_is_refused(proxy: StubProxy) -> None:
    proxy.answer(MODELS, LIST, headers={"Content-Encoding": "gzip"})
    with pytest.raises(NotLiteLLM, match="cannot be decompressed"):
        answered(proxy)


# What is in them. Figures are CPU seconds and MiB of a separate process, next to those of an ordinary answer.

MEASURED = """
import json, resource, sys, time
from opencode_litellm.litellm import facts
from opencode_litellm.litellm.connection import Reply
from opencode_litellm.models import catalog
from opencode_litellm.proxies import ModelOptions
unit, size, shape = sys.argv[1].encode(), int(sys.argv[2]), sys.argv[3].encode()
body = shape % ((unit * (size // len(unit)))[:-1])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
began = time.process_time()
for parse in (facts.listed, facts.deployments, facts.groups):
    rows = parse(Reply(200, body, 0.0).json) or ()
    catalog.build(rows, {}, ModelOptions())
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(time.process_time() - began, (after - before) / 1024)
"""
SHAPES = {
    "[],": b'{"data":[%b]}',
    "{},": b'{"data":[%b]}',
    "1,": b'{"data":[%b]}',
    '{"a":{}},': b'{"data":[%b]}',
    "[[[[[[[[]]]]]]]],": b'{"data":[%b]}',
    '{"id":"a"},': b'{"data":[%b]}',
    '"supports_a_reasoning_effort":true,': b'{"data":[{"id":"a","model_name":"a",%b}]}',
    '"a",': b'{"data":[{"id":"a","model_group":"a","supported_reasoning_efforts":[%b]}]}',
}


@pytest.mark.drawn(5)
@pytest.mark.unix  # it asks the system how much memory it has
@pytest.mark.long
@pytest.mark.parametrize("size", [127 * 2**20, 8 * 2**20], ids=["127 MiB", "8 MiB"])
@pytest.mark.parametrize("unit", SHAPES)
def test_no_answer_of_the_largest_size_takes_long_or_much(unit: str, size: int) -> None:
    if size > 2**24 and not (os.environ.get("EVERY_SIZE") or unit == "[],"):
        pytest.skip("more than what the values may be is refused by counting: one is enough, EVERY_SIZE=1 tries all")
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, unit, str(size), SHAPES[unit].decode()],
        capture_output=True, text=True, check=True, cwd=tools.PROJECT,
    )  # fmt: skip
    seconds, mebibytes = map(float, done.stdout.split())
    sys.stderr.write(f"{unit} {size >> 20} MiB: {seconds:.2f} s, {mebibytes:.0f} MiB\n")
    assert seconds < 5
    assert mebibytes < 600


# Nothing interrupts the parser, so a launch may be late by the time of its slowest answer.
SLOWEST = {
    "keys that are all different": lambda: b"{%b}" % b",".join(b'"%020d":0' % number for number in range(1_990_000)),
    "numbers with as many digits as Python reads": lambda: b"[%b0]" % (b"%b," % (b"9" * 4_299) * (2**27 // 4_300 - 1)),
}


@pytest.mark.drawn(1)
@pytest.mark.long
@pytest.mark.parametrize("what", SLOWEST)
def test_the_slowest_answers_to_parse_take_seconds_at_most(what: str) -> None:
    reply = Reply(200, SLOWEST[what](), 0.0)
    began = time.process_time()
    assert reply.json is not None
    assert time.process_time() - began < 10


def test_more_values_than_any_list_of_models_has_are_not_parsed() -> None:
    assert Reply(200, b"[" + b"0," * 3_999_998 + b"0]", 0.0).json is not None
    assert Reply(200, b"[" + b"0," * 4_000_000 + b"0]", 0.0).json is None


def test_ids_have_bounds_in_number_and_in_letters() -> None:
    many = facts.listed({"data": [{"id": f"model-{number}"} for number in range(50_000)]})
    assert many is not None
    assert len(many) == 20_000
    long = facts.listed({"data": [{"id": f"{number:0500}"} for number in range(50_000)]})
    assert long is not None
    assert len(long) == 2**20 // 500
    assert facts.listed({"data": [{"id": "a" * 501}]}) == ()


@pytest.mark.drawn(1)
@pytest.mark.long
@pytest.mark.parametrize("unit", ["arn:", "1-"])  # the slowest of twenty
def test_building_from_the_most_and_longest_ids_takes_seconds_at_most(unit: str) -> None:
    rows = [{"id": f"{(unit * 500)[:490]}{number:010}"} for number in range(50_000)]
    began = time.process_time()
    listed = facts.listed({"data": rows})
    assert listed is not None
    built = catalog.build(listed, {DEPLOYMENTS: listed, GROUPS: listed}, ModelOptions()).models
    assert len(built) == len(listed)
    assert time.process_time() - began < 10


def test_hostile_answers_of_all_endpoints_keep_no_launch_waiting(proxy: StubProxy, home: dict[str, str]) -> None:
    bulk = b'{"data":[' + b"[]," * (10 * 2**20) + b"[]]}"  # 30 MiB of three endpoints
    for path in (MODEL_INFO, MODEL_GROUP_INFO):
        proxy.answer(path, bulk)
    proxy.answer(MODELS, bulk[: 7 * 2**20])
    began = time.monotonic()
    launched = run(["opencode-litellm", "exec", "--url", proxy.url, "--", "echo", "started"], home)
    assert (launched.status, launched.stdout) == (0, "started\n")
    assert time.monotonic() - began < 15  # 5 on a machine that does nothing else
