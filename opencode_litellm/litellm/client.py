"""Finding a LiteLLM proxy, and asking it what it serves.

All endpoints are asked at once. ``/v1/models`` decides which models exist; those of ``facts.INFO`` only add to it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from opencode_litellm.errors import Failure, NotLiteLLM, ProxyUnreachable
from opencode_litellm.litellm import budget, connection, facts, listeners, question, refusals
from opencode_litellm.litellm.connection import Channel, Reply, Request
from opencode_litellm.litellm.facts import Facts
from opencode_litellm.litellm.question import LARGEST_LIST, LIVELINESS, MODELS
from opencode_litellm.proxies import ProxyURL

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from opencode_litellm.proxies import Proxy

PORTS = (4000, 8000, 8080)  # LiteLLM's default, and two others that its documentation uses

_RESPONSES = "/v1/responses"
# FastAPI's answer for a path that does not exist, unlike any gateway's. A path that exists for POST alone gives 405.
_NO_SUCH_PATH = {"detail": "Not Found"}
_LARGEST_IDENTITY = 1024  # bytes
_LARGEST_INFO = 128 * 2**20  # bytes; 10,000 deployments are 70 MB of /v1/model/info
_DETECTION_PATIENCE = 1.0  # seconds for all ports together; a closed one refuses at once


@dataclass(frozen=True)
class Answers:
    """The answers of a proxy: ``listed`` from ``/v1/models``, ``info`` from each of ``facts.INFO`` (None: no answer).

    ``body`` is the answer of ``/v1/models`` as received, ``took`` the seconds that it took. ``late`` tells that an info
    endpoint did not answer, which is only a reason to ask again. ``has_responses`` tells whether ``/v1/responses``
    exists, None if that is unknown. ``spent`` is whose budget is spent, such as ``key``, ``team`` or ``user``; it is
    empty if nobody's is, or if that is unknown.
    """

    url: ProxyURL
    listed: tuple[Facts, ...]
    info: Mapping[str, tuple[Facts, ...] | None]
    body: bytes
    took: float
    late: bool = False
    has_responses: bool | None = None
    spent: str = ""


def detect(environment: Mapping[str, str], deadline: float) -> ProxyURL:
    """Return the URL of the first of ``PORTS`` on loopback where LiteLLM identifies itself; no key is sent.

    ``deadline`` is a reading of ``time.monotonic``. Raises ProxyUnreachable if there is none.
    """
    deadline = min(deadline, time.monotonic() + _DETECTION_PATIENCE)
    urls = [ProxyURL(f"http://127.0.0.1:{port}", "127.0.0.1") for port in PORTS]

    def is_decided(answers: Mapping[int, Any]) -> bool:
        # A port has to wait for the ports before it, but not for those after it.
        return next((answer for port in range(len(urls)) if (answer := answers.get(port)) is not False), None) is True

    calls = [partial(is_there, url, environment, deadline) for url in urls]
    answers = connection.in_parallel(calls, deadline, ProxyUnreachable("no answer in time"), enough=is_decided)
    for url, identified in zip(urls, answers, strict=True):
        if identified is True:
            return url
    ports = ", ".join(str(port) for port in PORTS)
    raise ProxyUnreachable(
        f"no LiteLLM proxy found on 127.0.0.1, ports {ports}",
        "start one, or set its URL with --url, OPENCODE_LITELLM_URL or provider.litellm.options.baseURL in"
        " opencode.json",
    )


def identifies(url: ProxyURL, environment: Mapping[str, str], deadline: float) -> bool:
    """Return whether LiteLLM identifies itself at ``url``; no key is sent."""
    try:
        reply = connection.get(_identity(url, environment, deadline))
    except Failure:
        return False
    return question.is_identity(reply.status, reply.body)


def is_there(url: ProxyURL, environment: Mapping[str, str], deadline: float) -> bool:
    """Return the same for a loopback URL: only over a bare socket, and only if this user or root listens there."""
    if not listeners.are_trusted(urlsplit(url.root).port or 80):
        return False
    try:
        answered = connection.get_plainly(_identity(url, environment, deadline))
    except ConnectionRefusedError:
        return False
    return answered is not None and question.is_identity(*answered)


def _identity(url: ProxyURL, environment: Mapping[str, str], deadline: float) -> Request:
    return Request(Channel(url, {}, environment), LIVELINESS, deadline, _LARGEST_IDENTITY)


def is_vacant(url: ProxyURL) -> bool:
    """Return whether nothing listens at a loopback URL."""
    return question.is_refused(url.host, urlsplit(url.root).port or 80, time.monotonic() + _DETECTION_PATIENCE)


def ask(
    proxy: Proxy,
    environment: Mapping[str, str],
    deadline: float,
    info_deadline: float | None,
    budget_deadline: float | None,
) -> Answers:
    """Ask a proxy for everything that it knows about its models.

    ``/v1/models`` has until ``deadline``, the info endpoints and ``/v1/responses`` until ``info_deadline``, and the
    endpoints of ``budget`` until ``budget_deadline`` (readings of ``time.monotonic``; None: they are not asked). An
    info endpoint that fails or is late is None in the answers.
    For ``/v1/models``, raises ProxyUnreachable, NotLiteLLM, or the failure that ``refusals.failure`` returns.
    """
    url = proxy.url or detect(environment, deadline)
    channel = Channel(url, request_headers(proxy), environment)
    first, has_responses, spent, *rest = connection.in_parallel(
        [
            partial(_listing, channel, proxy, deadline),
            partial(_has_responses, channel, info_deadline),
            partial(_owner_of_spent_budget, channel, budget_deadline),
            *(partial(_info, channel, path, parse, info_deadline) for path, parse in facts.INFO.values()),
        ],
        max(deadline, info_deadline or deadline),
        connection.timed_out(url),
        enough=lambda results: isinstance(results.get(0), Failure),
    )
    if isinstance(first, Failure):
        raise first
    reply, listed = first
    return Answers(
        url=url,
        listed=listed,
        info={name: None if isinstance(rows, Failure) else rows for name, rows in zip(facts.INFO, rest, strict=True)},
        body=bytes(reply.body),
        took=reply.took,
        late=any(isinstance(rows, Failure) for rows in rest),
        has_responses=None if isinstance(has_responses, Failure) else has_responses,
        spent="" if isinstance(spent, Failure) else spent,
    )


def _listing(channel: Channel, proxy: Proxy, deadline: float) -> tuple[Reply, tuple[Facts, ...]]:
    url = channel.url
    reply = connection.get(Request(channel, MODELS, deadline, LARGEST_LIST))
    if reply.status != 200:
        raise refusals.failure(reply, proxy, url, partial(identifies, url, channel.environment, deadline))
    listed = facts.listed(reply.json)
    if listed is None:
        problem = f"{url.root}{MODELS} did not answer with a list of models the way LiteLLM does"
        raise NotLiteLLM(problem, "check the URL")
    return reply, listed


def _info(
    channel: Channel, path: str, parse: Callable[[object], tuple[Facts, ...] | None], deadline: float | None
) -> tuple[Facts, ...] | None:
    if deadline is None:
        return None
    reply = connection.get(Request(channel, path, deadline, _LARGEST_INFO))
    return parse(reply.json) if reply.status == 200 else None


def _has_responses(channel: Channel, deadline: float | None) -> bool | None:
    # LiteLLM 1.60 does not have this path. A GET costs nothing, because the path is for POST alone.
    if deadline is None:
        return None
    reply = connection.get(Request(channel, _RESPONSES, deadline, LARGEST_LIST))
    return reply.status == 405 or (False if reply.status == 404 and reply.json == _NO_SUCH_PATH else None)


def _owner_of_spent_budget(channel: Channel, deadline: float | None) -> str:
    if deadline is None or not channel.headers:
        return ""
    return budget.owner_of_spent(lambda path: connection.get(Request(channel, path, deadline, budget.LARGEST)))


def request_headers(proxy: Proxy) -> dict[str, str]:
    """Return the headers of every request to a proxy: its key, and those of its section, which may replace the key."""
    headers = {"Authorization": f"Bearer {proxy.key.secret}"} if proxy.key.secret else {}
    for header in proxy.headers:
        for name in [name for name in headers if name.lower() == header.name.lower()]:
            del headers[name]
        headers[header.name] = header.value
    return headers
