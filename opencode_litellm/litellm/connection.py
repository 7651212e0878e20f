"""One request to a proxy: over a bare socket as a launch asks, and by requests for all that is not plain."""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from opencode_litellm import __version__
from opencode_litellm.errors import NotLiteLLM, ProxyUnreachable
from opencode_litellm.litellm import question, trust

if TYPE_CHECKING:
    from collections.abc import Mapping

    import requests

    from opencode_litellm.proxies import ProxyURL

_MOST_REDIRECTS = 3


@dataclass(frozen=True)
class Request:
    """``deadline`` is a reading of ``time.monotonic``, ``limit`` how many bytes an answer may have."""

    url: ProxyURL
    path: str
    headers: Mapping[str, str] = field(repr=False)
    environment: Mapping[str, str] = field(repr=False)
    deadline: float
    limit: int


@dataclass(frozen=True)
class Reply:
    """``took`` is in seconds."""

    status: int
    body: bytes | bytearray
    took: float

    @property
    def json(self) -> object:
        """What the body holds, or None for anything that is not JSON: broken, nested too deep, not UTF-8."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None


def get(request: Request) -> Reply:
    """Send a request and return what came back, whatever its status.

    Raises ProxyUnreachable or NotLiteLLM when nothing came that could be read, in time and within the limit.
    """
    started = time.monotonic()
    status, body = get_plainly(request) or _get_by_requests(request)
    return Reply(status, body, time.monotonic() - started)


def get_plainly(request: Request) -> tuple[int, bytes | bytearray] | None:
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


def _get_by_requests(request: Request) -> tuple[int, bytes | bytearray]:
    from http.client import HTTPException

    import requests  # 80 ms that only what is not plain pays

    url, headers = request.url, request.headers
    target = f"{url.root}{request.path}"
    try:
        with _session(url, request.environment) as session:
            for _ in range(_MOST_REDIRECTS):
                patience = request.deadline - time.monotonic()
                if patience <= 0:
                    raise late(url)
                with session.get(
                    target, headers=dict(headers), timeout=patience, stream=True, allow_redirects=False
                ) as response:
                    onward = response.headers.get("Location") if response.is_redirect else None
                    if onward is None:
                        return response.status_code, _body(response, request)
                    target = _followed(target, onward)
    except requests.exceptions.SSLError as error:
        raise ProxyUnreachable(
            f"{url.root} has a certificate that is not trusted ({_text_of(_cause(error), headers)})",
            "name its authority in SSL_CERT_FILE, REQUESTS_CA_BUNDLE or NODE_EXTRA_CA_CERTS",
        ) from error
    except requests.exceptions.Timeout as error:
        raise late(url) from error
    except (requests.exceptions.RequestException, OSError, ValueError) as error:
        cause = _cause(error)
        if isinstance(cause, HTTPException) and not isinstance(cause, OSError):
            raise NotLiteLLM(f"{url.root} does not speak HTTP as LiteLLM does", "check the URL") from error
        raise ProxyUnreachable(
            f"{url.root} cannot be reached ({_text_of(cause, headers)})", "check that the proxy is running, and the URL"
        ) from error
    raise NotLiteLLM(f"{url.root} redirects in a circle", "give the URL of the proxy itself")


def late(url: ProxyURL) -> ProxyUnreachable:
    """Return the failure of a proxy that took too long."""
    return ProxyUnreachable(
        f"{url.root} did not answer in time", "is it busy? try again, or allow it longer with --timeout SECONDS"
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
            " the key is not for others",
            "give the URL of the proxy itself",
        )
    return there


def _body(response: requests.Response, request: Request) -> bytes:
    """Read a body piece by piece, so that neither a slow nor an endless one is read for ever."""
    pieces = bytearray()
    for piece in response.iter_content(2**16):
        pieces += piece
        if len(pieces) > request.limit:
            raise NotLiteLLM(
                f"{request.url.root} answered with more than {request.limit} bytes, which LiteLLM does not",
                "check the URL",
            )
        if time.monotonic() > request.deadline:
            raise late(request.url)
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
