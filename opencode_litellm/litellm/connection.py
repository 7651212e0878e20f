"""One request to a proxy: over a bare socket, as in a launch, or with ``requests`` for anything unusual."""

from __future__ import annotations

import json
import queue
import re
import socket
import threading
import time
import zlib
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from opencode_litellm import __version__
from opencode_litellm.errors import Failure, NotLiteLLM, ProxyUnreachable
from opencode_litellm.litellm import question, trust

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping, Sequence

    import requests

    from opencode_litellm.proxies import ProxyURL

_UNINTERRUPTED = 0.2  # seconds; a Ctrl-C that comes just before a wait, or on Windows during it, is noticed after it
_MOST_REDIRECTS = 3
_TLS_PATIENCE = 1.0  # seconds
# The names that versions of OpenSSL have for an answer that is not TLS.
_NOT_TLS = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG")
# How nginx, Apache and Go answer plain HTTP on an HTTPS port.
_TLS_WANTED = re.compile(
    rb"plain HTTP request was sent to HTTPS port|speaking plain HTTP to an SSL|HTTP request to an HTTPS server"
)
# A few bytes of JSON can take a hundred in memory. 10,000 deployments have 2.2 million of these marks.
_MOST_VALUES = 4_000_000
_BEFORE_VALUES = (b",", b"[", b"{")


class Channel:
    """How a proxy is asked: where it is, with which headers, and in which environment."""

    def __init__(self, url: ProxyURL, headers: Mapping[str, str], environment: Mapping[str, str]) -> None:
        self.url = url
        self.headers = headers
        self.environment = environment
        self._context: ssl.SSLContext | None = None
        self._making = threading.Lock()

    @property
    def ssl_context(self) -> ssl.SSLContext:
        """The context for all requests to the proxy, made only once: loading the certificates takes 25 ms."""
        with self._making:
            self._context = self._context or trust.ssl_context(self.environment)
            return self._context


@dataclass(frozen=True)
class Request:
    """A GET; ``deadline`` is a reading of ``time.monotonic``, ``limit`` the most bytes that an answer may have."""

    channel: Channel
    path: str
    deadline: float
    limit: int


@dataclass(frozen=True)
class Reply:
    """An answer; ``took`` is in seconds."""

    status: int
    body: bytes | bytearray
    took: float

    @property
    def json(self) -> object:
        """The body as JSON; None if it is invalid, not UTF-8, nested too deeply, or has too many values."""
        if sum(self.body.count(mark) for mark in _BEFORE_VALUES) > _MOST_VALUES:
            return None
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None


def get(request: Request) -> Reply:
    """Send a request and return the answer, whatever its status.

    Raises ProxyUnreachable or NotLiteLLM if there is no readable answer in time and within the limit.
    """
    url = request.channel.url
    started = time.monotonic()
    try:
        answered = get_plainly(request)
    except ConnectionRefusedError as error:
        raise _unreachable(url, error) from error
    if answered is None:
        # The timeout of requests starts again with each piece received, and does not cover the lookup of the name.
        (answered,) = in_parallel([partial(_get_by_requests, request)], request.deadline, timed_out(url))
    if isinstance(answered, Failure):
        raise answered
    status, body = answered
    if status == 400 and _TLS_WANTED.search(body):
        raise _wants_https(url)
    return Reply(status, body, time.monotonic() - started)


def get_plainly(request: Request) -> tuple[int, bytes | bytearray] | None:
    """Ask over a bare socket, which saves the 80 ms of importing requests; None for anything unusual or a failure.

    Raises ConnectionRefusedError, because requests would be refused as well.
    """
    channel = request.channel
    url = channel.url
    parts = urlsplit(url.root)
    if not url.is_loopback and trust.may_use_http_proxy(channel.environment):
        return None
    tls = parts.scheme == "https"
    asked = question.Question(
        tls=tls,
        host=url.host,
        port=parts.port or (443 if tls else 80),
        prefix=parts.path,
        via="",
        headers=channel.headers,
        identify=False,
        patience=0.0,
    )
    try:
        context = channel.ssl_context if tls else None
        status, body = question.get(asked, request.path, context, request.deadline, request.limit)
    except ConnectionRefusedError:
        raise
    except (OSError, question.Late, question.Unusual):
        return None
    return None if 300 <= status < 400 else (status, body)


def _get_by_requests(request: Request) -> tuple[int, bytes | bytearray]:
    from http.client import HTTPException

    with trust.IMPORTING_REQUESTS:
        import urllib3  # 80 ms, only for unusual connections
        from requests import exceptions  # as an attribute it is missing after an import that failed once

    url, headers, environment = request.channel.url, request.channel.headers, request.channel.environment
    target = f"{url.root}{request.path}"
    try:
        with _session(url, environment) as session:
            for _ in range(_MOST_REDIRECTS):
                patience = request.deadline - time.monotonic()
                if patience <= 0:
                    raise timed_out(url)
                with session.get(
                    target, headers=dict(headers), timeout=patience, stream=True, allow_redirects=False
                ) as response:
                    if response.status_code < 200:  # http.client takes 103 Early Hints for an answer
                        raise NotLiteLLM(f"{url.root} does not speak HTTP the way LiteLLM does", "check the URL")
                    onward = response.headers.get("Location") if response.is_redirect else None
                    if onward is None:
                        return response.status_code, _body(response, request)
                    target = _redirect_target(target, onward, headers)
    except exceptions.SSLError as error:
        raise _untrusted(url, _cause(error)) from error
    except (exceptions.Timeout, urllib3.exceptions.TimeoutError) as error:
        raise timed_out(url) from error
    except (exceptions.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
        cause = _cause(error)
        if not isinstance(cause, ConnectionRefusedError) and _speaks_tls(request):
            raise _wants_https(url) from error
        if isinstance(cause, HTTPException) and not isinstance(cause, OSError):
            raise NotLiteLLM(f"{url.root} does not speak HTTP the way LiteLLM does", "check the URL") from error
        raise _unreachable(url, cause) from error
    raise NotLiteLLM(f"{url.root} redirects too many times", "use the URL of the proxy itself")


def in_parallel(
    calls: Sequence[Callable[[], Any]],
    deadline: float | None,
    late: Failure,
    *,
    enough: Callable[[Mapping[int, Any]], bool] = lambda _: False,
) -> list[Any]:
    """Run ``calls`` in parallel and return their results or Failures in order, at ``deadline`` at the latest.

    ``deadline`` is a reading of ``time.monotonic``. The result of a call that is not done by then is ``late``; its
    thread is left behind and ends with the process. ``enough`` can end the wait earlier: it gets the results so far, by
    their index in ``calls``. Any other exception is raised.
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
            index, result = _next(done, deadline)
        except queue.Empty:
            break
        if isinstance(result, BaseException) and not isinstance(result, Failure):
            raise result
        results[index] = result
    return [results.get(index, late) for index in range(len(calls))]


def _next(done: queue.SimpleQueue[tuple[int, object]], deadline: float | None) -> tuple[int, object]:
    """Return the next result; raises queue.Empty at ``deadline``."""
    while True:
        left = None if deadline is None else max(0.0, deadline - time.monotonic())
        try:
            return done.get(timeout=_UNINTERRUPTED if left is None else min(left, _UNINTERRUPTED))
        except queue.Empty:
            if left == 0:
                raise


def timed_out(url: ProxyURL) -> ProxyUnreachable:
    """Return the failure of a proxy that took too long."""
    return ProxyUnreachable(
        f"{url.root} did not answer in time", "it may be busy, so try again or allow more time with --timeout SECONDS"
    )


def _unreachable(url: ProxyURL, cause: BaseException) -> ProxyUnreachable:
    return ProxyUnreachable(
        f"{url.root} cannot be reached ({_text_of(cause)})", "check the URL and whether the proxy is running"
    )


def _untrusted(url: ProxyURL, cause: BaseException) -> ProxyUnreachable:
    """Return the failure for an error of TLS: not every one is about a certificate."""
    import ssl

    if getattr(cause, "reason", None) in _NOT_TLS:
        return ProxyUnreachable(f"{url.root} speaks http, not https", "write http:// in the URL of the proxy")
    if isinstance(cause, ssl.SSLCertVerificationError):
        return ProxyUnreachable(
            f"{url.root} has a certificate that is not trusted ({_text_of(cause)})",
            "name the file of its certificate authority in SSL_CERT_FILE, REQUESTS_CA_BUNDLE or NODE_EXTRA_CA_CERTS",
        )
    problem = f"the TLS connection to {url.root} failed ({_text_of(cause)})"
    return ProxyUnreachable(problem, "check that it speaks https")


def _wants_https(url: ProxyURL) -> ProxyUnreachable:
    return ProxyUnreachable(f"{url.root} speaks https, not http", "write https:// in the URL of the proxy")


def _speaks_tls(request: Request) -> bool:
    """Return whether a server that does not answer HTTP speaks TLS; nothing but the handshake is sent."""
    import ssl

    url = request.channel.url
    parts = urlsplit(url.root)
    patience = min(request.deadline - time.monotonic(), _TLS_PATIENCE)
    direct = url.is_loopback or not trust.may_use_http_proxy(request.channel.environment)
    if parts.scheme != "http" or not direct or patience <= 0:
        return False
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with (
            socket.create_connection((url.host, parts.port or 80), patience) as plain,
            context.wrap_socket(plain, server_hostname=url.host),
        ):
            return True
    except (OSError, ValueError):
        return False


def _session(url: ProxyURL, environment: Mapping[str, str]) -> requests.Session:
    """Return a session that ignores ``.netrc`` and, on loopback, the variables for HTTP proxies."""
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
            # requests would add certifi's authorities here; the context alone decides who is trusted.
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


def _redirect_target(target: str, onward: str, headers: Mapping[str, str]) -> str:
    """Return the target of a redirect; raises ProxyUnreachable for another server or another scheme.

    Even from http to https, opencode's POST would arrive as a GET and without its key. A server with a secret of
    ``headers`` in its name is not named, because messages are logged and shown to others.
    """
    from urllib.parse import urljoin  # rare

    there = urljoin(target, onward)
    old, new = urlsplit(target), urlsplit(there)
    if (old.scheme, old.netloc) != (new.scheme, new.netloc):
        secrets = [word for value in headers.values() for word in value.casefold().split()]
        named = not any(secret in new.netloc.casefold() for secret in secrets)
        raise ProxyUnreachable(
            f"{old.scheme}://{old.netloc} redirects to {f'{new.scheme}://{new.netloc}' if named else 'another server'},"
            " which is not followed because the key must not go there",
            "use the URL of the proxy itself",
        )
    return there


def _body(response: requests.Response, request: Request) -> bytes:
    """Read a body piece by piece, to stop at one that is endless, late, or unpacks to more than the limit.

    Raises NotLiteLLM or ProxyUnreachable for these.
    """
    url = request.channel.url
    packed = response.headers.get("Content-Encoding", "identity").lower()
    unpacker = zlib.decompressobj(zlib.MAX_WBITS | 32) if packed in ("gzip", "x-gzip", "deflate") else None
    if unpacker is None and packed != "identity":
        raise NotLiteLLM(f"{url.root} compresses its answers in a way that was not asked for", "check the URL")
    body = bytearray()
    for piece in response.raw.stream(2**16, decode_content=False):
        try:
            body += unpacker.decompress(piece, request.limit + 1 - len(body)) if unpacker else piece
        except zlib.error as error:
            raise NotLiteLLM(f"{url.root} sent an answer that cannot be decompressed", "check the URL") from error
        if len(body) > request.limit:
            raise NotLiteLLM(
                f"{url.root} answered with more than {request.limit} bytes, unlike LiteLLM", "check the URL"
            )
        if time.monotonic() > request.deadline:
            raise timed_out(url)
        if unpacker and unpacker.eof:
            break  # zlib would keep everything after it
    return bytes(body)


def _cause(error: BaseException) -> BaseException:
    """Return the innermost exception of a chain: requests wraps urllib3's, which wrap the system's."""
    while True:
        held = [argument for argument in error.args if isinstance(argument, BaseException)]
        inner = getattr(error, "reason", None) or (held[-1] if held else None) or error.__cause__ or error.__context__
        if not isinstance(inner, BaseException):
            return error
        error = inner


def _text_of(error: BaseException) -> str:
    """Return why a connection failed, in the system's words: an exception's own may hold URLs, logins and headers."""
    if words := getattr(error, "verify_message", None):
        return str(words)
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return type(error).__name__
