"""What each proxy said last, so that an endpoint that fails costs nothing that was known already."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

from opencode_litellm import __version__, cache
from opencode_litellm.cache import WEEK
from opencode_litellm.litellm import facts
from opencode_litellm.litellm.client import Answers
from opencode_litellm.litellm.facts import Facts
from opencode_litellm.litellm.prices import Prices
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
        "body": answers.body.decode("utf-8", "surrogateescape"),
        "listed": _rows(answers.listed),
        "info": {name: None if rows is None else _rows(rows) for name, rows in answers.info.items()},
    }
    cache.write(environment, _name(proxy), json.dumps(content).encode())


def forget(environment: Mapping[str, str], proxy: Proxy) -> None:
    """Withdraw what a proxy said: it refuses the key now."""
    cache.remove(environment, _name(proxy))


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
    )
    return Remembered(merged, now, old.informed if new.late or not asked else now)


def _name(proxy: Proxy) -> str:
    url = proxy.url.root if proxy.url else "detected"
    headers = ",".join(header.name.lower() for header in proxy.headers)
    return cache.ANSWERS.name(cache.digest([proxy.provider, url, proxy.key.source, headers]))


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
        return Prices(*value)
    return tuple(value) if isinstance(value, list) else value
