"""What each proxy said last, so that an endpoint that fails costs nothing that was known already."""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

from opencode_litellm import __version__, cache
from opencode_litellm.cache import WEEK
from opencode_litellm.errors import KeyRefused
from opencode_litellm.litellm import facts, prices
from opencode_litellm.litellm.client import Answers
from opencode_litellm.litellm.facts import Facts
from opencode_litellm.proxies import ProxyURL

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from opencode_litellm.proxies import Proxy


@dataclass(frozen=True)
class Remembered:
    """The last answers of a proxy; ``heard`` is when it listed its models, ``informed`` when it last told all.

    Both are readings of ``time.time``; ``informed`` is 0 as long as an info endpoint has not been heard.
    """

    answers: Answers
    heard: float
    informed: float

    @property
    def usable(self) -> bool:
        """Tell whether the models may still be shown when the proxy is away."""
        return time.time() - self.heard < WEEK


def recall(environment: Mapping[str, str], proxy: Proxy) -> Remembered | None:
    """Return what a proxy said last under these settings; None when the cache has nothing usable."""
    text = cache.read(environment, _name(proxy))
    if text is None:
        return None
    try:
        content = json.loads(text)
        if content["version"] != __version__ or content["provider"] != proxy.provider:
            return None
        answers = Answers(
            url=ProxyURL(**content["url"]),
            listed=_facts(content["listed"]),
            info={name: _facts(rows) if (rows := content["info"][name]) is not None else None for name in facts.INFO},
            body=content["body"].encode("utf-8", "surrogateescape"),
            took=float(content["took"]),
            has_responses=content["has_responses"],
            spent=str(content["spent"]),
        )
        return Remembered(answers, float(content["heard"]), float(content["informed"]))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def keep(environment: Mapping[str, str], proxy: Proxy, remembered: Remembered) -> None:
    """Keep what a proxy said; no key and no header is among it."""
    answers = remembered.answers
    content = {
        "version": __version__,
        "provider": proxy.provider,
        "url": asdict(answers.url),
        "heard": remembered.heard,
        "informed": remembered.informed,
        "took": answers.took,
        "has_responses": answers.has_responses,
        "spent": answers.spent,
        "body": answers.body.decode("utf-8", "surrogateescape"),
        "listed": _rows(answers.listed),
        "info": {name: None if rows is None else _rows(rows) for name, rows in answers.info.items()},
    }
    cache.write(environment, _name(proxy), json.dumps(content).encode())


def forget(environment: Mapping[str, str], proxy: Proxy) -> None:
    """Withdraw what a proxy said: it refuses the key now."""
    cache.remove(environment, _name(proxy))


def take_turn(environment: Mapping[str, str], proxy: Proxy, seconds: float) -> int | None:
    """Be the one of the launches at once that asks a proxy, as ``cache.take_turn`` says."""
    return cache.take_turn(environment, cache.TURN.name(_fingerprint(proxy)), seconds)


def refuse(environment: Mapping[str, str], proxy: Proxy, failure: KeyRefused) -> None:
    """Let the launches that wait for the same answer know that a proxy refuses the key."""
    salt = os.urandom(16).hex()
    content = json.dumps([salt, _mark(proxy, salt), failure.problem, failure.remedy])
    name = cache.REFUSAL.name(_fingerprint(proxy))
    cache.write(environment, name, content.encode())
    cache.date(environment, name, time.time())


def refused(environment: Mapping[str, str], proxy: Proxy, began: float) -> KeyRefused | None:
    """Return how a proxy refused this key since ``began`` (``time.time``), None if it did not."""
    name = cache.REFUSAL.name(_fingerprint(proxy))
    content = cache.read(environment, name)
    if content is None or proxy.url is None:
        return None
    try:
        heard = os.stat(cache.path(environment, name)).st_mtime
        salt, mark, problem, remedy = json.loads(content)
    except (OSError, ValueError, TypeError):
        return None
    if not began <= heard <= time.time() or mark != _mark(proxy, str(salt)):
        return None
    return KeyRefused(str(problem), str(remedy))


def _mark(proxy: Proxy, salt: str) -> str:
    """Return 16 bits that tell one key from another, and far too few to tell anybody the key."""
    return cache.digest([salt, proxy.key.secret, *(header.value for header in proxy.headers)])[:4]


def combined(new: Answers, old: Remembered | None, now: float, *, asked: bool) -> Remembered:
    """Return new answers, with what an endpoint said last in place of what it does not say now.

    ``asked`` tells whether the info endpoints were asked at all.
    """
    if old is None:
        return Remembered(new, now, 0.0 if new.late else now)
    merged = Answers(
        url=new.url,
        listed=new.listed,
        # Rows for none of the models that are listed are no information either.
        info={name: rows or old.answers.info[name] for name, rows in new.info.items()},
        body=new.body,
        took=new.took,
        has_responses=old.answers.has_responses if new.has_responses is None else new.has_responses,
        spent=new.spent,
    )
    return Remembered(merged, now, old.informed if new.late or not asked else now)


def _name(proxy: Proxy) -> str:
    return cache.ANSWERS.name(_fingerprint(proxy))


def _fingerprint(proxy: Proxy) -> str:
    url = proxy.url.root if proxy.url else "detected"
    headers = ",".join(header.name.lower() for header in proxy.headers)
    return cache.digest([proxy.provider, url, proxy.key.source, headers])


_DEFAULTS = {field.name: field.default for field in fields(Facts)}


def _rows(rows: Sequence[Facts]) -> list[dict[str, object]]:
    # No efforts at all, (), are another thing than efforts that nobody knows, None.
    return [
        {name: value for name, default in _DEFAULTS.items() if (value := getattr(row, name)) != default} for row in rows
    ]


def _facts(rows: Sequence[dict[str, Any]]) -> tuple[Facts, ...]:
    return tuple(Facts(**{name: _value(name, value) for name, value in row.items()}) for row in rows)


def _value(name: str, value: Any) -> Any:
    if name == "prices":
        return prices.recalled(value)
    return tuple(value) if isinstance(value, list) else value
