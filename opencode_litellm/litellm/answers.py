"""The last answers of each proxy, kept so that a failing endpoint loses nothing that was already known."""

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
    """The last answers of a proxy: ``heard`` is when it listed its models, ``informed`` when every endpoint answered.

    Both are readings of ``time.time``; ``informed`` is 0 if they have not all answered yet.
    """

    answers: Answers
    heard: float
    informed: float

    @property
    def usable(self) -> bool:
        """Whether the models may still be shown when the proxy is away."""
        return time.time() - self.heard < WEEK


def recall(environment: Mapping[str, str], proxy: Proxy) -> Remembered | None:
    """Return the last answers of a proxy under the same settings; None if the cache has none that can be used."""
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
    """Save the answers of a proxy; no key and no header is in them."""
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
    """Remove the answers of a proxy that refuses the key now."""
    cache.remove(environment, _name(proxy))


def take_turn(environment: Mapping[str, str], proxy: Proxy, seconds: float) -> int | None:
    """Take the lock with which only one of several launches asks a proxy, as in ``cache.take_turn``."""
    return cache.take_turn(environment, cache.TURN.name(_digest(proxy)), seconds)


def refuse(environment: Mapping[str, str], proxy: Proxy, failure: KeyRefused) -> None:
    """Tell the launches that wait for the same answer that the proxy refuses the key."""
    salt = os.urandom(16).hex()
    content = json.dumps([salt, _mark(proxy, salt), failure.problem, failure.remedy])
    name = cache.REFUSAL.name(_digest(proxy))
    cache.write(environment, name, content.encode())
    cache.set_time(environment, name, time.time())


def refusal(environment: Mapping[str, str], proxy: Proxy, began: float) -> KeyRefused | None:
    """Return the refusal of this key that a launch has heard since ``began`` (``time.time``), None without one."""
    name = cache.REFUSAL.name(_digest(proxy))
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
    """Return 16 bits of a salted digest: enough to tell one key from another, far too few to reveal it."""
    return cache.digest([salt, proxy.key.secret, *(header.value for header in proxy.headers)])[:4]


def combined(new: Answers, old: Remembered | None, now: float, *, asked: bool) -> Remembered:
    """Return the new answers, completed with the old ones of every endpoint that gave none.

    ``now`` is ``time.time``. ``asked`` tells whether the info endpoints were asked at all.
    """
    if old is None:
        return Remembered(new, now, 0.0 if new.late else now)
    merged = Answers(
        url=new.url,
        listed=new.listed,
        # An empty list is no information either.
        info={name: rows or old.answers.info[name] for name, rows in new.info.items()},
        body=new.body,
        took=new.took,
        has_responses=old.answers.has_responses if new.has_responses is None else new.has_responses,
        spent=new.spent,
    )
    return Remembered(merged, now, old.informed if new.late or not asked else now)


def _name(proxy: Proxy) -> str:
    return cache.ANSWERS.name(_digest(proxy))


def _digest(proxy: Proxy) -> str:
    url = proxy.url.root if proxy.url else "detected"
    headers = ",".join(header.name.lower() for header in proxy.headers)
    return cache.digest([proxy.provider, url, proxy.key.source, headers])


_DEFAULTS = {field.name: field.default for field in fields(Facts)}


def _rows(rows: Sequence[Facts]) -> list[dict[str, object]]:
    # Only defaults are left out: no efforts, (), is something else than unknown efforts, None.
    return [
        {name: value for name, default in _DEFAULTS.items() if (value := getattr(row, name)) != default} for row in rows
    ]


def _facts(rows: Sequence[dict[str, Any]]) -> tuple[Facts, ...]:
    return tuple(Facts(**{name: _value(name, value) for name, value in row.items()}) for row in rows)


def _value(name: str, value: Any) -> Any:
    if name == "prices":
        return prices.from_list(value)
    return tuple(value) if isinstance(value, list) else value
