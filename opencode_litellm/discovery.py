"""From settings to a payload: every proxy is asked at once, and one that fails costs only itself."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from . import answers, catalog, payload, proxy
from .answers import Remembered
from .errors import Failure, KeyRefused, NotLiteLLM, ProxyUnreachable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .catalog import Model
    from .payload import Payload
    from .settings import Proxy, Settings


@dataclass(frozen=True)
class Served:
    """What one proxy serves; ``stale`` says why its answers are not of today, if they are not."""

    proxy: Proxy
    remembered: Remembered
    models: tuple[Model, ...]
    stale: Failure | None = None


@dataclass(frozen=True)
class Discovery:
    """The proxies that serve something, why others do not, and the payload of it all."""

    served: tuple[Served, ...]
    failures: tuple[Failure, ...]
    payload: Payload


@dataclass(frozen=True)
class Patience:
    """How long to wait, as readings of ``time.monotonic``, and what to do without an answer.

    ``economical`` (launches): a proxy that is away keeps the models that it listed within a week, and one that
    lists no new ones is not asked for details again. Otherwise everything is asked and nothing is made up.
    """

    deadline: float
    info_deadline: float
    economical: bool = False

    @classmethod
    def of(cls, seconds: float) -> Patience:
        """Return the patience of a command that a person waits for."""
        deadline = time.monotonic() + seconds
        return cls(deadline, deadline)


def discover(settings: Settings, environment: Mapping[str, str], patience: Patience) -> Discovery:
    """Ask all proxies of ``settings`` and return what came of it.

    Raises the first one's failure when all of them fail.
    """
    if not settings.proxies:
        raise ProxyUnreachable(
            "every LiteLLM provider is left out by enabled_providers or disabled_providers in opencode's configuration"
        )
    results = proxy.at_once(
        [partial(_consult, asked, environment, patience) for asked in settings.proxies],
        max(patience.deadline, patience.info_deadline) + 1.0,
    )
    served = tuple(result for result in results if isinstance(result, Served))
    failures = tuple(result for result in results if isinstance(result, Failure))
    if not served:
        raise failures[0]
    return Discovery(served, failures, _payload(served))


def _payload(served: Sequence[Served]) -> Payload:
    return payload.build([(each.proxy, each.remembered.answers.url, each.models) for each in served])


def _consult(asked: Proxy, environment: Mapping[str, str], patience: Patience) -> Served:
    old = answers.recall(environment, asked)
    try:
        remembered = _ask(asked, environment, patience, old)
    except KeyRefused:
        answers.forget(environment, asked)
        raise
    except (ProxyUnreachable, NotLiteLLM) as failure:
        if not (patience.economical and old and old.usable):
            raise
        return _served(asked, old, failure)
    answers.keep(environment, asked, remembered)
    return _served(asked, remembered, None)


def _ask(
    asked: Proxy, environment: Mapping[str, str], patience: Patience, old: Remembered | None
) -> Remembered:
    if patience.economical and old and old.informed:
        new = proxy.ask(asked, environment, patience.deadline, None)
        if {row.model for row in new.listed} <= {row.model for row in old.answers.listed}:
            return answers.combined(new, old, time.time(), asked=False)
    new = proxy.ask(asked, environment, patience.deadline, patience.info_deadline)
    return answers.combined(new, old, time.time(), asked=True)


def _served(asked: Proxy, remembered: Remembered, stale: Failure | None) -> Served:
    known = remembered.answers
    models = catalog.build(known.listed, known.deployments or (), known.groups or (), asked.options)
    if not models:
        raise NotLiteLLM(
            f"{known.url.root} lists {len(known.listed)} models and none that opencode can use: check what the key"
            f" may use, and includeModels and excludeModels of provider {asked.provider}"
        )
    return Served(asked, remembered, models, stale)
