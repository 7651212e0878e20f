"""A LiteLLM proxy: who it is, what it serves, and what its answers mean when it serves nothing.

All endpoints are asked at once. ``/v1/models`` decides what exists; those of ``facts.INFO`` only add to it.
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

PORTS = (4000, 8000, 8080)  # litellm's own default, and the two that its documentation uses beside it

_RESPONSES = "/v1/responses"
# FastAPI's words for a path that it does not have, and no gateway's; for one that is only asked in another way: 405.
_NO_SUCH_PATH = {"detail": "Not Found"}
_LARGEST_IDENTITY = 1024  # bytes
_LARGEST_INFO = 128 * 2**20  # bytes; 10,000 deployments are 70 MB of /v1/model/info
_DETECTION_PATIENCE = 1.0  # seconds for all ports together; a refused one answers at once


@dataclass(frozen=True)
class Answers:
    """What a proxy said: ``listed`` by ``/v1/models``; ``info`` by each of ``facts.INFO``, None if it did not answer.

    ``body`` is the answer of ``/v1/models`` as it came, ``took`` the seconds that it took, and ``late`` tells
    that an info endpoint was not heard at all, which is no more than a reason to ask it again. ``has_responses`` tells
    whether there is a ``/v1/responses``, None when that was not asked or not answered. ``spent`` is whose budget is
    spent: ``key``, ``team`` or ``user``; it is empty for nobody's, and when that was not asked or not answered.
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
    """Return the first loopback port of ``PORTS`` behind which a LiteLLM identifies itself, asked without a key.

    ``deadline`` is a reading of ``time.monotonic``. Raises ProxyUnreachable when there is none.
    """
    deadline = min(deadline, time.monotonic() + _DETECTION_PATIENCE)
    urls = [ProxyURL(f"http://127.0.0.1:{port}", "127.0.0.1") for port in PORTS]

    def decided(answers: Mapping[int, Any]) -> bool:
        # A port waits for those before it and for none after it.
        return next((answer for port in range(len(urls)) if (answer := answers.get(port)) is not False), None) is True

    calls = [partial(is_there, url, environment, deadline) for url in urls]
    answers = connection.at_once(calls, deadline, ProxyUnreachable("no answer in time"), enough=decided)
    for url, identified in zip(urls, answers, strict=True):
        if identified is True:
            return url
    ports = ", ".join(str(port) for port in PORTS)
    raise ProxyUnreachable(
        f"no LiteLLM proxy on 127.0.0.1, ports {ports}",
        "start one, or say where it is with --url, OPENCODE_LITELLM_URL or provider.litellm.options.baseURL in"
        " opencode.json",
    )


def identifies(url: ProxyURL, environment: Mapping[str, str], deadline: float) -> bool:
    """Tell whether LiteLLM answers there, asked without a key."""
    try:
        reply = connection.get(_identity(url, environment, deadline))
    except Failure:
        return False
    return question.is_identity(reply.status, reply.body)


def is_there(url: ProxyURL, environment: Mapping[str, str], deadline: float) -> bool:
    """Tell the same of a loopback port, where whatever is not plain is not LiteLLM."""
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
    """Tell whether nobody listens at a loopback URL."""
    return question.is_refused(url.host, urlsplit(url.root).port or 80, time.monotonic() + _DETECTION_PATIENCE)


def ask(
    proxy: Proxy,
    environment: Mapping[str, str],
    deadline: float,
    info_deadline: float | None,
    budget_deadline: float | None,
) -> Answers:
    """Ask a proxy for all that it knows of its models.

    ``/v1/models`` has until ``deadline``, the info endpoints until ``info_deadline``, and who knows of a budget that is
    spent until ``budget_deadline`` (readings of ``time.monotonic``; None: they are not asked); an info endpoint that
    fails or is late is None in the answers.
    Raises what ``refusals.failure`` returns, ProxyUnreachable or NotLiteLLM for ``/v1/models``.
    """
    url = proxy.url or detect(environment, deadline)
    channel = Channel(url, request_headers(proxy), environment)
    first, has_responses, spent, *rest = connection.at_once(
        [
            partial(_listing, channel, proxy, deadline),
            partial(_has_responses, channel, info_deadline),
            partial(_owner_of_spent_budget, channel, budget_deadline),
            *(partial(_informed, channel, path, parse, info_deadline) for path, parse in facts.INFO.values()),
        ],
        max(deadline, info_deadline or deadline),
        connection.late(url),
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
        raise NotLiteLLM(f"{url.root}{MODELS} does not answer with a list of models as LiteLLM does", "check the URL")
    return reply, listed


def _informed(
    channel: Channel, path: str, parse: Callable[[object], tuple[Facts, ...] | None], deadline: float | None
) -> tuple[Facts, ...] | None:
    if deadline is None:
        return None
    reply = connection.get(Request(channel, path, deadline, _LARGEST_INFO))
    return parse(reply.json) if reply.status == 200 else None


def _has_responses(channel: Channel, deadline: float | None) -> bool | None:
    # LiteLLM 1.60 has no such path. A GET of it costs nothing: it is for POST alone.
    if deadline is None:
        return None
    reply = connection.get(Request(channel, _RESPONSES, deadline, LARGEST_LIST))
    return reply.status == 405 or (False if reply.status == 404 and reply.json == _NO_SUCH_PATH else None)


def _owner_of_spent_budget(channel: Channel, deadline: float | None) -> str:
    if deadline is None or not channel.headers:
        return ""
    return budget.spent(lambda path: connection.get(Request(channel, path, deadline, budget.LARGEST)))


def request_headers(proxy: Proxy) -> dict[str, str]:
    """Return the headers of every request to a proxy: its key and what the section adds."""
    headers = {"Authorization": f"Bearer {proxy.key.secret}"} if proxy.key.secret else {}
    for header in proxy.headers:
        for name in [name for name in headers if name.lower() == header.name.lower()]:
            del headers[name]
        headers[header.name] = header.value
    return headers
