"""A LiteLLM proxy: who it is, what it serves, and what its answers mean when it serves nothing.

Three endpoints are asked at once. ``/v1/models`` decides what exists; ``/v1/model/info`` (a row for each
deployment) and ``/model_group/info`` (a row for each public name) only enrich. Whatever comes back is parsed
here, once, into :class:`Facts`; a field that is missing or makes no sense is None.
"""

from __future__ import annotations

import errno
import json
import math
import queue
import re
import socket
import threading
import time
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from . import __version__, question, trust
from .errors import Failure, KeyRefused, NotLiteLLM, ProxyUnreachable
from .keys import NO_KEY
from .question import LARGEST_LIST, LIVELINESS, MODELS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import requests

    from .settings import Proxy, ProxyURL

PORTS = (4000, 8000, 8080)  # litellm's own default, and the two that its documentation uses beside it

_MODEL_INFO = "/v1/model/info"
_MODEL_GROUP_INFO = "/model_group/info"
_LARGEST_IDENTITY = 1024  # bytes
_DETECTION_PATIENCE = 1.0  # seconds for all ports together; a refused one answers at once
_LARGEST_INFO = 256 * 2**20  # bytes; 10,000 deployments are 70 MB of /v1/model/info
_MOST_MODELS = 50_000
_LONGEST_ID = 500  # characters
_LARGEST_LIMIT = 2**40  # tokens
_DEAREST = 1.0  # USD per token; anything above is a mistake in somebody's price table
_MOST_REDIRECTS = 3
_ERROR_TYPE = re.compile(r"\w{1,40}", re.ASCII)
_EFFORT = re.compile(r"[a-z]{1,20}")
_EFFORT_FLAG = re.compile(r"supports_([a-z]{1,20})_reasoning_effort")


@dataclass(frozen=True)
class Facts:
    """What one row of one endpoint says of a model; None where it says nothing.

    Limits are tokens, prices USD per token. ``efforts`` are all the reasoning efforts that it takes,
    ``flagged_efforts`` some that it takes for certain, ``refused_efforts`` some that it does not.
    """

    model: str
    mode: str | None = None
    litellm_provider: str | None = None
    max_input_tokens: int | None = None
    max_output_tokens: int | None = None
    input_cost: float | None = None
    output_cost: float | None = None
    cache_read_cost: float | None = None
    cache_write_cost: float | None = None
    input_cost_over_200k: float | None = None
    output_cost_over_200k: float | None = None
    cache_read_cost_over_200k: float | None = None
    cache_write_cost_over_200k: float | None = None
    vision: bool | None = None
    pdf_input: bool | None = None
    audio_input: bool | None = None
    video_input: bool | None = None
    audio_output: bool | None = None
    function_calling: bool | None = None
    reasoning: bool | None = None
    temperature: bool | None = None
    efforts: tuple[str, ...] | None = None
    flagged_efforts: tuple[str, ...] = ()
    refused_efforts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Answers:
    """What a proxy said: ``listed`` by ``/v1/models``, the rest None where an endpoint did not answer.

    ``body`` is the answer of ``/v1/models`` as it came, ``took`` the seconds that it took, and ``late`` tells
    that an info endpoint was not heard at all, which is no more than a reason to ask it again.
    """

    url: ProxyURL
    listed: tuple[Facts, ...]
    deployments: tuple[Facts, ...] | None
    groups: tuple[Facts, ...] | None
    body: bytes
    took: float
    late: bool = False


@dataclass(frozen=True)
class _Request:
    """``deadline`` is a reading of ``time.monotonic``, ``limit`` how many bytes an answer may have."""

    url: ProxyURL
    path: str
    headers: Mapping[str, str] = field(repr=False)
    environment: Mapping[str, str] = field(repr=False)
    deadline: float
    limit: int


@dataclass(frozen=True)
class _Reply:
    status: int
    body: bytes | bytearray
    took: float


def detect(environment: Mapping[str, str], deadline: float) -> ProxyURL:
    """Return the first loopback port of ``PORTS`` behind which a LiteLLM identifies itself, asked without a key.

    ``deadline`` is a reading of ``time.monotonic``. Raises ProxyUnreachable when there is none.
    """
    from .settings import ProxyURL  # settings knows proxies, not the other way round

    deadline = min(deadline, time.monotonic() + _DETECTION_PATIENCE)
    urls = [ProxyURL(f"http://127.0.0.1:{port}", "127.0.0.1") for port in PORTS]

    def decided(found: Mapping[int, Any]) -> bool:
        # A port waits for those before it and for none after it.
        return next((answer for port in range(len(urls)) if (answer := found.get(port)) is not False), None) is True

    calls = [partial(_identifies_plainly, url, environment, deadline) for url in urls]
    found = at_once(calls, deadline, ProxyUnreachable("no answer in time"), enough=decided)
    for url, identified in zip(urls, found, strict=True):
        if identified is True:
            return url
    ports = ", ".join(str(port) for port in PORTS)
    raise ProxyUnreachable(
        f"no LiteLLM proxy on 127.0.0.1, ports {ports}: start one, or say where it is with --url,"
        " OPENCODE_LITELLM_URL or provider.litellm.options.baseURL in opencode.json"
    )


def identifies(url: ProxyURL, environment: Mapping[str, str], deadline: float) -> bool:
    """Tell whether LiteLLM answers there, asked without a key."""
    try:
        reply = _get(_Request(url, LIVELINESS, {}, environment, deadline, _LARGEST_IDENTITY))
    except Failure:
        return False
    return question.is_identity(reply.status, reply.body)


def _identifies_plainly(url: ProxyURL, environment: Mapping[str, str], deadline: float) -> bool:
    """Tell the same of a loopback port, where whatever is not plain is not LiteLLM."""
    answered = _get_plainly(_Request(url, LIVELINESS, {}, environment, deadline, _LARGEST_IDENTITY))
    return answered is not None and question.is_identity(*answered)


def is_vacant(url: ProxyURL) -> bool:
    """Tell whether nobody listens at a loopback URL."""
    with socket.socket() as probe:
        probe.settimeout(_DETECTION_PATIENCE)
        return probe.connect_ex((url.host, urlsplit(url.root).port or 80)) == errno.ECONNREFUSED


def ask(
    proxy: Proxy, environment: Mapping[str, str], deadline: float, info_deadline: float | None
) -> Answers:
    """Ask a proxy for all that it knows of its models.

    ``/v1/models`` has until ``deadline``, the two info endpoints until ``info_deadline`` (readings of
    ``time.monotonic``; None: they are not asked); one of those that fails or is late is None in the answers.
    Raises ProxyUnreachable, KeyRefused or NotLiteLLM for ``/v1/models``.
    """
    url = proxy.url or detect(environment, deadline)
    headers = request_headers(proxy)

    def listing() -> tuple[_Reply, tuple[Facts, ...]]:
        reply = _get(_Request(url, MODELS, headers, environment, deadline, LARGEST_LIST))
        if reply.status != 200:
            raise _refusal(reply, proxy, url, environment, deadline)
        listed = _rows(reply, _listed)
        if listed is None:
            raise NotLiteLLM(f"{url.root}{MODELS} does not answer with a list of models as LiteLLM does: check the URL")
        return reply, listed

    def informed(path: str, parse: Callable[[Mapping[str, Any]], Facts | None]) -> tuple[Facts, ...] | None:
        if info_deadline is None:
            return None
        return _rows(_get(_Request(url, path, headers, environment, info_deadline, _LARGEST_INFO)), parse)

    first, deployments, groups = at_once(
        [listing, partial(informed, _MODEL_INFO, _deployment), partial(informed, _MODEL_GROUP_INFO, _group)],
        max(deadline, info_deadline or deadline),
        _late(url),
        enough=lambda results: isinstance(results.get(0), Failure),
    )
    if isinstance(first, Failure):
        raise first
    reply, listed = first
    return Answers(
        url=url,
        listed=listed,
        deployments=None if isinstance(deployments, Failure) else deployments,
        groups=None if isinstance(groups, Failure) else groups,
        body=bytes(reply.body),
        took=reply.took,
        late=isinstance(deployments, Failure) or isinstance(groups, Failure),
    )


def request_headers(proxy: Proxy) -> dict[str, str]:
    """Return the headers of every request to a proxy: its key and what the section adds."""
    headers = {"Authorization": f"Bearer {proxy.key.secret}"} if proxy.key.secret else {}
    for header in proxy.headers:
        for name in [name for name in headers if name.lower() == header.name.lower()]:
            del headers[name]
        headers[header.name] = header.value
    return headers


def at_once(
    calls: Sequence[Callable[[], Any]],
    deadline: float | None,
    late: Failure,
    *,
    enough: Callable[[Mapping[int, Any]], bool] = lambda _: False,
) -> list[Any]:
    """Run ``calls`` beside each other and return their results or failures in order, at ``deadline`` at the latest.

    What is not done by then is ``late``; its thread is left behind and ends with the process. ``enough`` can end
    the wait before: it looks at the results so far, by their place in ``calls``. Any other error is raised.
    """
    done: queue.SimpleQueue[tuple[int, object]] = queue.SimpleQueue()

    def run(index: int, call: Callable[[], Any]) -> None:
        try:
            done.put((index, call()))
        except BaseException as error:  # noqa: BLE001 - handed to the caller's thread, which raises it
            done.put((index, error))

    for index, call in enumerate(calls):
        threading.Thread(target=run, args=(index, call), daemon=True).start()
    results: dict[int, object] = {}
    while len(results) < len(calls) and not enough(results):
        try:
            index, result = done.get(timeout=None if deadline is None else max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            break
        if isinstance(result, BaseException) and not isinstance(result, Failure):
            raise result
        results[index] = result
    return [results.get(index, late) for index in range(len(calls))]


def _get(request: _Request) -> _Reply:
    started = time.monotonic()
    status, body = _get_plainly(request) or _get_by_requests(request)
    return _Reply(status, body, time.monotonic() - started)


def _get_plainly(request: _Request) -> tuple[int, bytes | bytearray] | None:
    """Ask as a launch does, 80 ms before requests is loaded; None for all that is not plain, failures too."""
    url = request.url
    parts = urlsplit(url.root)
    if parts.scheme != "http" or not (url.is_loopback or not trust.may_use_http_proxy(request.environment)):
        return None
    asked = question.Question(
        tls=False,
        host=url.host,
        port=parts.port or 80,
        prefix=parts.path,
        via="",
        headers=request.headers,
        identify=False,
        patience=0.0,
    )
    try:
        status, body = question.get(asked, request.path, request.deadline, request.limit)
    except (OSError, question.Late, question.Unusual):
        return None
    return None if 300 <= status < 400 else (status, body)


def _get_by_requests(request: _Request) -> tuple[int, bytes | bytearray]:
    from http.client import HTTPException

    import requests  # 80 ms that only what is not plain pays

    url, headers = request.url, request.headers
    target = f"{url.root}{request.path}"
    try:
        with _session(url, request.environment) as session:
            for _ in range(_MOST_REDIRECTS):
                patience = request.deadline - time.monotonic()
                if patience <= 0:
                    raise _late(url)
                with session.get(
                    target, headers=dict(headers), timeout=patience, stream=True, allow_redirects=False
                ) as response:
                    onward = response.headers.get("Location") if response.is_redirect else None
                    if onward is None:
                        return response.status_code, _body(response, request)
                    target = _followed(target, onward)
    except requests.exceptions.SSLError as error:
        raise ProxyUnreachable(
            f"{url.root} has a certificate that is not trusted: name its authority in SSL_CERT_FILE,"
            f" REQUESTS_CA_BUNDLE or NODE_EXTRA_CA_CERTS ({_text_of(_cause(error), headers)})"
        ) from error
    except requests.exceptions.Timeout as error:
        raise _late(url) from error
    except (requests.exceptions.RequestException, OSError, ValueError) as error:
        cause = _cause(error)
        if isinstance(cause, HTTPException) and not isinstance(cause, OSError):
            raise NotLiteLLM(f"{url.root} does not speak HTTP as LiteLLM does: check the URL") from error
        raise ProxyUnreachable(
            f"{url.root} cannot be reached: is the proxy running, and the URL right? ({_text_of(cause, headers)})"
        ) from error
    raise NotLiteLLM(f"{url.root} redirects in a circle: give the URL of the proxy itself")


def _late(url: ProxyURL) -> ProxyUnreachable:
    return ProxyUnreachable(
        f"{url.root} did not answer in time: is it busy? try again, or allow it longer with --timeout SECONDS"
    )


def _session(url: ProxyURL, environment: Mapping[str, str]) -> requests.Session:
    """Return a session that neither ``.netrc`` nor, on loopback, a proxy variable has a say in."""
    import requests
    from requests.adapters import HTTPAdapter
    from requests.utils import get_environ_proxies

    class Adapter(HTTPAdapter):
        def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
            super().init_poolmanager(*arguments, ssl_context=trust.ssl_context(environment), **options)

        def proxy_manager_for(self, *arguments: Any, **options: Any) -> Any:
            return super().proxy_manager_for(
                *arguments, ssl_context=trust.ssl_context(environment), **options
            )

        def cert_verify(self, conn: Any, *_: Any) -> None:
            # requests would add certifi's authorities here; the context alone says who is trusted.
            conn.cert_reqs = "CERT_REQUIRED"

    session = requests.Session()
    session.trust_env = False
    session.headers.update(
        {
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "User-Agent": f"opencode-litellm/{__version__}",
        }
    )
    if url.root.startswith("https:"):
        session.mount("https://", Adapter())
    if not url.is_loopback and trust.may_use_http_proxy(environment):
        session.proxies.update(get_environ_proxies(url.root))
    return session


def _followed(target: str, onward: str) -> str:
    """Return where a redirect leads, or raise ProxyUnreachable when that is another server, or another scheme.

    Not from http to https either: opencode's POST would arrive there as a GET, and without its key.
    """
    from urllib.parse import urljoin  # rare

    there = urljoin(target, onward)
    old, new = urlsplit(target), urlsplit(there)
    if (old.scheme, old.netloc) != (new.scheme, new.netloc):
        raise ProxyUnreachable(
            f"{old.scheme}://{old.netloc} redirects to {new.scheme}://{new.netloc}, which is not followed because"
            " the key is not for others: give the URL of the proxy itself"
        )
    return there


def _body(response: requests.Response, request: _Request) -> bytes:
    """Read a body piece by piece, so that neither a slow nor an endless one is read for ever."""
    pieces = bytearray()
    for piece in response.iter_content(2**16):
        pieces += piece
        if len(pieces) > request.limit:
            raise NotLiteLLM(
                f"{request.url.root} answered with more than {request.limit} bytes, which LiteLLM does not:"
                " check the URL"
            )
        if time.monotonic() > request.deadline:
            raise _late(request.url)
    return bytes(pieces)


def _cause(error: BaseException) -> BaseException:
    """Return the innermost of a chain of exceptions: requests wraps urllib3's, which wrap the system's."""
    while True:
        held = [argument for argument in error.args if isinstance(argument, BaseException)]
        inner = getattr(error, "reason", None) or (held[-1] if held else None) or error.__cause__ or error.__context__
        if not isinstance(inner, BaseException):
            return error
        error = inner


def _text_of(error: BaseException, headers: Mapping[str, str]) -> str:
    """Return what an exception says, in a few words and without what was sent."""
    text = re.sub(r"<[^>]*>:? ?|HTTPS?Connection(Pool)?\([^)]*\):? ?", "", str(error)) or type(error).__name__
    for value in headers.values():
        for secret in {value, value.strip(), value.removeprefix("Bearer ")} - {""}:
            text = text.replace(secret, "***")
    return text[:200]


def _refusal(
    reply: _Reply, proxy: Proxy, url: ProxyURL, environment: Mapping[str, str], deadline: float
) -> Failure:
    """Translate a status other than 200 of ``/v1/models``."""
    where = f"{url.root}{MODELS}"
    kind = _error_type(reply.body)
    said = f"HTTP {reply.status}, {kind}" if kind else f"HTTP {reply.status}"
    # LiteLLM 1.106: a wrong key is 400 no_db_connection without a database, and 500 in plain text without prisma.
    if reply.status in (401, 403) or (reply.status == 400 and kind in ("no_db_connection", "auth_error")):
        return KeyRefused(key_advice(proxy, f"{url.root} refused the key ({said})"))
    unclear = reply.status == 400 or (reply.status == 500 and _json(reply.body) is None)
    if unclear and identifies(url, environment, deadline):
        return KeyRefused(key_advice(proxy, f"{url.root} answered as LiteLLM does to a wrong key ({said})"))
    if reply.status == 429 or reply.status >= 500:
        return ProxyUnreachable(f"{where} does not work at the moment ({said}): try again, or see the proxy's log")
    return NotLiteLLM(f"{where} answered as LiteLLM does not ({said}): check the URL")


def key_advice(proxy: Proxy, what: str) -> str:
    """Return ``what`` with the key that was sent, by its source, and how to give a right one."""
    if proxy.key.secret:
        return f"{what}: check {proxy.key.source}"
    unsent = "" if proxy.key == NO_KEY else f", not that of {proxy.key.source}"
    advice = f"{what}: no key was sent{unsent}; set LITELLM_API_KEY, or options.apiKey of provider {proxy.provider}"
    if proxy.overrides and proxy.section.written:
        advice += f" (the section's own key goes only to its own baseURL, not to that of {proxy.url_source})"
    return advice


def _error_type(body: bytes | bytearray) -> str | None:
    value = _json(body)
    error = value.get("error") if isinstance(value, dict) else None
    kind = error.get("type") if isinstance(error, dict) else None
    return kind if isinstance(kind, str) and _ERROR_TYPE.fullmatch(kind) else None


def _json(body: bytes | bytearray) -> object:
    """Return what a body holds, or None for anything that is not JSON: broken, nested too deep, not UTF-8."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _rows(reply: _Reply, parse: Callable[[Mapping[str, Any]], Facts | None]) -> tuple[Facts, ...] | None:
    """Parse the rows of an answer; None when it is no answer of LiteLLM's."""
    value = _json(reply.body) if reply.status == 200 else None
    rows = value.get("data") if isinstance(value, dict) else None
    if not isinstance(rows, list):
        return None
    parsed = (parse(row) for row in rows[:_MOST_MODELS] if isinstance(row, dict))
    return tuple(facts for facts in parsed if facts is not None)


def row_of(model: str, row: Mapping[str, object]) -> Facts | None:
    """Parse a row in LiteLLM's terms (``supports_vision``, ``max_input_tokens``, …) that somebody wrote by hand."""
    return _facts(model, row, {})


def _listed(row: Mapping[str, Any]) -> Facts | None:
    return _facts(row.get("id"), row, {})


def _deployment(row: Mapping[str, Any]) -> Facts | None:
    info = _mapping(row.get("model_info"))
    # LiteLLM 1.106: a team's own deployment has a made-up model_name; /v1/models lists it under this one.
    model = info.get("team_public_model_name") or row.get("model_name")
    return _facts(model, info, _mapping(row.get("litellm_params")))


def _group(row: Mapping[str, Any]) -> Facts | None:
    providers = row.get("providers")
    provider = providers[0] if isinstance(providers, list) and len(providers) == 1 else None
    # LiteLLM 1.106: the booleans of a group default to false when nothing is known, so false proves nothing.
    known = {name: value for name, value in row.items() if value is not False}
    return _facts(row.get("model_group"), {**known, "litellm_provider": provider}, {})


def _facts(model: object, info: Mapping[str, Any], params: Mapping[str, Any]) -> Facts | None:
    # opencode prints ids as they are, so one with a control character, or with half a surrogate pair, is no model.
    if not isinstance(model, str) or not 0 < len(model) <= _LONGEST_ID or not model.strip() or not model.isprintable():
        return None

    def flag(name: str) -> bool | None:
        value = info.get(name)
        value = params.get(name) if value is None else value
        return value if isinstance(value, bool) else None

    supported = info.get("supported_openai_params")
    effort_flags = {**_effort_flags(params), **_effort_flags(info)}
    return Facts(
        model=model,
        mode=_text(info.get("mode")),
        litellm_provider=_text(info.get("litellm_provider")),
        max_input_tokens=_limit(info.get("max_input_tokens")),
        # LiteLLM: max_tokens is the older name of max_output_tokens, not the size of the context.
        max_output_tokens=_limit(info.get("max_output_tokens")) or _limit(info.get("max_tokens")),
        input_cost=_price(info.get("input_cost_per_token")),
        output_cost=_price(info.get("output_cost_per_token")),
        cache_read_cost=_price(info.get("cache_read_input_token_cost")),
        cache_write_cost=_price(info.get("cache_creation_input_token_cost")),
        input_cost_over_200k=_price(info.get("input_cost_per_token_above_200k_tokens")),
        output_cost_over_200k=_price(info.get("output_cost_per_token_above_200k_tokens")),
        cache_read_cost_over_200k=_price(info.get("cache_read_input_token_cost_above_200k_tokens")),
        cache_write_cost_over_200k=_price(info.get("cache_creation_input_token_cost_above_200k_tokens")),
        vision=flag("supports_vision"),
        pdf_input=flag("supports_pdf_input"),
        audio_input=flag("supports_audio_input"),
        video_input=flag("supports_video_input"),
        audio_output=flag("supports_audio_output"),
        function_calling=flag("supports_function_calling"),
        reasoning=flag("supports_reasoning"),
        temperature="temperature" in supported if isinstance(supported, list) and supported else None,
        efforts=_listed_efforts(info),
        flagged_efforts=tuple(sorted(effort for effort, taken in effort_flags.items() if taken)),
        refused_efforts=tuple(sorted(effort for effort, taken in effort_flags.items() if not taken)),
    )


def _listed_efforts(info: Mapping[str, Any]) -> tuple[str, ...] | None:
    # Groups have the one; LiteLLM's price table, and with it a deployment, the other (Kimi K3: low, high, max).
    listed = info.get("supported_reasoning_efforts", info.get("reasoning_effort_levels"))
    if not isinstance(listed, list):
        return None
    return tuple(sorted({effort for effort in listed if isinstance(effort, str) and _EFFORT.fullmatch(effort)}))


def _effort_flags(block: Mapping[str, Any]) -> dict[str, bool]:
    flags = {effort: block[name] for name, effort in _effort_fields(tuple(block))}
    return {effort: value for effort, value in flags.items() if isinstance(value, bool)}


@lru_cache(maxsize=64)
def _effort_fields(names: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Return the fields that are flags of efforts, with the effort: 10,000 rows have the same 200 fields."""
    found = ((name, _EFFORT_FLAG.fullmatch(name)) for name in names)
    return tuple((name, match[1]) for name, match in found if match)


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and 0 < len(value) <= _LONGEST_ID else None


def _number(value: object) -> float | None:
    """Return a finite number, also from a string, as people write them into LiteLLM's YAML."""
    if value is None or isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _limit(value: object) -> int | None:
    number = _number(value)
    return int(number) if number is not None and 1 <= number <= _LARGEST_LIMIT else None


def _price(value: object) -> float | None:
    number = _number(value)
    return number if number is not None and 0 <= number <= _DEAREST else None
