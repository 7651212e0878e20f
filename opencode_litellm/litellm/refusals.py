"""Why a proxy gives no list of models, and what to do about it.

LiteLLM words the same refusal differently from version to version, and a gateway in front of it has its own words.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from opencode_litellm.errors import (
    BudgetSpent,
    GatewayRefused,
    KeyDoubted,
    KeyRefused,
    ListNotAllowed,
    NotLiteLLM,
    ProxyUnreachable,
)
from opencode_litellm.litellm.question import MODELS
from opencode_litellm.proxies import NO_KEY
from opencode_litellm.variables import QUOTES_AROUND, is_quoted

if TYPE_CHECKING:
    from collections.abc import Callable

    from opencode_litellm.errors import Failure
    from opencode_litellm.litellm.connection import Reply
    from opencode_litellm.proxies import Proxy, ProxyURL

_ERROR_TYPE = re.compile(r"\w{1,40}", re.ASCII)
# LiteLLM 1.65 to 1.109: "Budget has been exceeded! Team=… Current cost: …", "ExceededBudget: User=… over budget."
_BUDGET = re.compile(r"budget has been exceeded|exceededbudget", re.IGNORECASE)
_OWNER = re.compile(r"\b(team|user|organization|project|customer|tag)=", re.IGNORECASE)
_BLOCKED = re.compile(r"\b(key|team|user) is blocked", re.IGNORECASE)
# LiteLLM 1.80: "Virtual key is not allowed to call this route. Only allowed to call routes: …"
_ROUTE = re.compile(r"not allowed to (call|access) this route|only allowed to call routes", re.IGNORECASE)


class _LiteLLMError(NamedTuple):
    """The type and the message of an error of LiteLLM's; each is empty if the error has none."""

    kind: str = ""
    message: str = ""


def failure(reply: Reply, proxy: Proxy, url: ProxyURL, identifies: Callable[[], bool]) -> Failure:
    """Return the failure for a status other than 200 of ``/v1/models``; ``identifies`` tells if LiteLLM is there."""
    error = _error_of(reply)
    known = error and (_withheld(error, proxy, url) or _refused(error, proxy, url))
    return known or _by_status(reply, error, proxy, url, identifies)


def owner_of_spent_budget(reply: Reply) -> str:
    """Return whose budget is spent according to an answer, ``key`` if it does not say whose; empty if none is."""
    error = None if reply.status == 200 else _error_of(reply)
    return _owner_of_spent_budget(error) if error else ""


def budget_spent(whose: str, url: ProxyURL) -> BudgetSpent:
    """Return the failure of a budget that is spent."""
    remedy = "wait until it resets, or ask whoever runs the proxy for more"
    return BudgetSpent(f"the {whose}'s budget at {url.root} is used up", remedy)


def _by_status(
    reply: Reply, error: _LiteLLMError | None, proxy: Proxy, url: ProxyURL, identifies: Callable[[], bool]
) -> Failure:
    about_key = _about_key(reply, error, proxy, url, identifies)
    if about_key is not None:
        return about_key
    status = _status(reply, error)
    where = f"{url.root}{MODELS}"
    if reply.status == 429 or reply.status >= 500:
        problem = f"{where} is not working at the moment ({status})"
        return ProxyUnreachable(problem, "try again, or check the proxy's log")
    return NotLiteLLM(f"{where} did not answer like LiteLLM ({status})", "check the URL")


def _about_key(
    reply: Reply, error: _LiteLLMError | None, proxy: Proxy, url: ProxyURL, identifies: Callable[[], bool]
) -> Failure | None:
    """Return the failure if the status is about the key, from LiteLLM or a gateway in front of it; else None."""
    status = _status(reply, error)
    if reply.status in (401, 403) and error is None:
        return _gateway(proxy, url, status)
    # LiteLLM 1.106: a wrong key is 400 no_db_connection without a database.
    wrong_key = error is not None and error.kind in ("no_db_connection", "auth_error")
    if reply.status in (401, 403) or (reply.status == 400 and wrong_key):
        return KeyRefused(f"{url.root} refused the key ({status})", _key_advice(proxy))
    if reply.status == 400 and identifies():
        return KeyRefused(f"{url.root} answered the way LiteLLM answers a wrong key ({status})", _key_advice(proxy))
    if reply.status == 500 and reply.json is None and identifies():
        return _plain_500(proxy, url, status)
    return None


def _status(reply: Reply, error: _LiteLLMError | None) -> str:
    return f"HTTP {reply.status}, {error.kind}" if error and error.kind else f"HTTP {reply.status}"


def _error_of(reply: Reply) -> _LiteLLMError | None:
    """Return LiteLLM's error, None if the answer does not have the shape of one."""
    value = reply.json
    if not isinstance(value, dict):
        return None
    error = value.get("error")
    if isinstance(error, dict):
        kind, message = error.get("type"), error.get("message")
        known = isinstance(kind, str) and _ERROR_TYPE.fullmatch(kind)
        return _LiteLLMError(str(kind) if known else "", message if isinstance(message, str) else "")
    detail = value.get("detail")
    return _LiteLLMError(message=detail) if isinstance(detail, str) else None


def _owner_of_spent_budget(error: _LiteLLMError) -> str:
    if error.kind != "budget_exceeded" and not _BUDGET.search(error.message):
        return ""
    owner = _OWNER.search(error.message)
    return owner[1].lower() if owner else "key"


def _withheld(error: _LiteLLMError, proxy: Proxy, url: ProxyURL) -> Failure | None:
    """Return the failure if a valid key may not see the list, else None."""
    if whose := _owner_of_spent_budget(error):
        return budget_spent(whose, url)
    if _ROUTE.search(error.message):
        return ListNotAllowed(
            f"{url.root} does not let this key list its models",
            f"list them under provider.{proxy.provider}.models in your opencode.json, or ask"
            f" whoever runs the proxy to allow {MODELS} for this key",
            url,
        )
    return None


def _refused(error: _LiteLLMError, proxy: Proxy, url: ProxyURL) -> Failure | None:
    """Return the failure if LiteLLM knows the key, but it has expired or is blocked, else None."""
    if error.kind == "expired_key":
        return KeyRefused(f"the key for {url.root} has expired", f"get a new one and put it in {proxy.key.source}")
    blocked = _BLOCKED.search(error.message)
    if blocked:
        whose = blocked[1].lower()
        return KeyRefused(f"the {whose} is blocked at {url.root}", f"ask whoever runs the proxy to unblock the {whose}")
    return None


def _gateway(proxy: Proxy, url: ProxyURL, status: str) -> Failure:
    """Return the failure for a gateway in front of LiteLLM, which refuses in its own words."""
    return GatewayRefused(
        f"something in front of LiteLLM at {url.root} refused the request ({status})",
        f"add the header that it asks for to options.customHeaders of provider {proxy.provider}, or ask whoever runs"
        " it",
    )


def _plain_500(proxy: Proxy, url: ProxyURL, status: str) -> Failure:
    """Return the failure for a plain 500: a wrong key without prisma, no right to list in LiteLLM 1.77, or a crash."""
    return KeyDoubted(
        f"{url.root} failed without a reason ({status}), as LiteLLM does for a wrong key, for one that may not list"
        " models, and after a crash",
        f"{_key_advice(proxy)}, and look at the proxy's log; if the key is right, list the models under"
        f" provider.{proxy.provider}.models in your opencode.json",
    )


def _key_advice(proxy: Proxy) -> str:
    """Return the remedy for a refused key: where it comes from, or how to give one if none was sent."""
    if proxy.key.secret:
        quoted = is_quoted(proxy.key.secret)
        return f"check {proxy.key.source}, which {QUOTES_AROUND}" if quoted else f"check {proxy.key.source}"
    if proxy.key != NO_KEY:
        return f"no key was sent: correct {proxy.key.source}"
    advice = f"no key was sent: set LITELLM_API_KEY, or options.apiKey of provider {proxy.provider}"
    if proxy.overrides and proxy.section.written:
        advice += f" (the section's own key goes only to its own baseURL, not to that of {proxy.url_source})"
    return advice
