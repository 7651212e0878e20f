"""From settings to a payload: all proxies are asked at the same time, and one that fails does not affect the others."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from functools import partial
from math import inf
from typing import TYPE_CHECKING

from opencode_litellm.errors import (
    BudgetSpent,
    Failure,
    KeyRefused,
    ListNotAllowed,
    NotLiteLLM,
    ProxyUnreachable,
)
from opencode_litellm.litellm import answers, client, connection, refusals
from opencode_litellm.litellm.answers import Remembered
from opencode_litellm.litellm.client import Answers
from opencode_litellm.models import catalog, preference
from opencode_litellm.models.visibility import is_wildcard
from opencode_litellm.opencode import payload
from opencode_litellm.proxies import PLUGIN

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from opencode_litellm.models.catalog import Catalogue
    from opencode_litellm.opencode.payload import Payload
    from opencode_litellm.proxies import Proxy
    from opencode_litellm.settings.sections import Settings


_IDENTITY_PATIENCE = 0.3  # seconds, on loopback
_BUDGET_PATIENCE = 1.5  # seconds of a launch; a database answers within a tenth of one
_TURN = 1.0  # seconds that a launch waits for another one to hear whether the key is refused


@dataclass(frozen=True)
class Served:
    """What one proxy serves; ``stale`` is the failure because of which its last answers are used, None for new ones."""

    proxy: Proxy
    remembered: Remembered
    catalogue: Catalogue
    stale: Failure | None = None

    @property
    def budget_failure(self) -> BudgetSpent | None:
        """The spent budget that keeps its models from answering; None if no budget is known to be spent."""
        known = self.remembered.answers
        return refusals.budget_spent(known.spent, known.url) if known.spent else None


class NothingUsable(NotLiteLLM):
    """A proxy lists no model that opencode can use; ``answered`` is its answer, None for several proxies."""

    def __init__(self, problem: str, remedy: str = "", answered: Served | None = None) -> None:
        super().__init__(problem, remedy)
        self.answered = answered


@dataclass(frozen=True)
class Discovery:
    """The proxies that serve something, the failures of the others, the payload, and notes for the user."""

    served: tuple[Served, ...]
    failures: tuple[Failure, ...]
    payload: Payload
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Patience:
    """How long to wait, as readings of ``time.monotonic``, and what to do without an answer.

    ``economical`` (launches): a proxy that is away keeps the models that it listed within a week, and one that lists no
    new models is not asked for details again. Otherwise everything is asked, and a proxy that is away is a failure.
    ``began`` (launches, ``time.time``): a refusal that another launch has heard since then counts for this one too.
    ``strict`` (commands): a proxy whose budget is spent is a failure, even if it lists models.
    """

    deadline: float
    info_deadline: float
    economical: bool = False
    began: float = inf
    strict: bool = False

    @classmethod
    def of(cls, seconds: float) -> Patience:
        """Return the patience of a command that a person waits for."""
        deadline = time.monotonic() + seconds
        return cls(deadline, deadline, strict=True)

    @property
    def budget_deadline(self) -> float:
        """The deadline for the endpoints that know of a spent budget; a launch does not wait long for them."""
        return min(self.deadline, time.monotonic() + _BUDGET_PATIENCE) if self.economical else self.deadline


def discover(settings: Settings, environment: Mapping[str, str], patience: Patience) -> Discovery:
    """Ask all proxies of ``settings`` and return the result.

    If none serves anything, raises a Failure that names all of their failures, of the class of the first.
    """
    results = consult(settings, environment, patience)
    served = [result for result in results if isinstance(result, Served)]
    failures = [*settings.failures, *(result for result in results if isinstance(result, Failure))]
    if not served:
        raise type(failures[0])("; ".join(dict.fromkeys(map(str, failures))))
    whole = payload_of(served, settings)
    notes = (*_plugin_conflict(served), *unmet(settings, whole))
    return Discovery(tuple(served), tuple(failures), whole, notes)


def consult(settings: Settings, environment: Mapping[str, str], patience: Patience) -> list[Served | Failure]:
    """Ask all proxies of ``settings`` and return what each one serves, or why it does not, in their order."""
    results = connection.in_parallel(
        [partial(_consult, proxy, environment, patience) for proxy in settings.proxies],
        None,  # each call keeps to its own deadlines
        ProxyUnreachable("no answer in time"),
    )
    return [_served(proxy, result) for proxy, result in zip(settings.proxies, results, strict=True)]


def recall(settings: Settings, environment: Mapping[str, str]) -> Discovery:
    """Return the result of the last discovery of the proxies of ``settings``, without asking them."""
    served = []
    for proxy in settings.proxies:
        last = answers.recall(environment, proxy)
        if last is not None:
            served.append(Served(proxy, last, catalogue(proxy, last)))
    return Discovery(tuple(served), (), payload_of(served, settings))


def catalogue(proxy: Proxy, remembered: Remembered) -> Catalogue:
    """Return the models that opencode gets and those that are hidden, from the answers of a proxy."""
    known = remembered.answers
    has_responses = known.has_responses is not False
    return catalog.build(known.listed, known.info, proxy.options, proxy.written_models, has_responses=has_responses)


def payload_of(served: Sequence[Served], settings: Settings) -> Payload:
    """Return the payload for everything that is served."""
    proxies = [(each.proxy, each.remembered.answers.url, each.catalogue.models) for each in served]
    return payload.build(proxies, settings.defaults)


def _plugin_conflict(served: Sequence[Served]) -> Iterator[str]:
    """Yield a sentence if the plugin is loaded too, which adds models as well."""
    if file := served[0].proxy.section.plugin_file:
        yield (
            f"{PLUGIN} is loaded too, and would add every model again to a separate provider for /v1/responses, so"
            f" there is no such provider: remove it from plugin in {file}"
        )


def unmet(settings: Settings, whole: Payload) -> Iterator[str]:
    """Yield a sentence for each default model that the user wants and that is not among those of a payload."""
    names = [f"{provider.id}/{model}" for provider in whole.providers for model in provider.models]
    for setting, wishes in (("model", settings.defaults.model), ("small_model", settings.defaults.small_model)):
        if wishes and setting not in whole.settings:
            yield preference.no_match(wishes, names)


def _consult(proxy: Proxy, environment: Mapping[str, str], patience: Patience) -> tuple[Remembered, Failure | None]:
    """Return a proxy's answers, or its last ones and the failure because of which; raises Failure without either."""
    old = answers.recall(environment, proxy)
    turn = answers.take_turn(environment, proxy, _TURN) if patience.began < inf else None
    try:
        refusal = answers.refusal(environment, proxy, patience.began)
        if refusal is not None:
            raise refusal
        remembered = _ask(proxy, environment, patience, old)
    except KeyRefused as failure:
        answers.forget(environment, proxy)
        if failure is not refusal:
            answers.refuse(environment, proxy, failure)
        raise
    except Failure as failure:
        if isinstance(failure, ListNotAllowed) and failure.url and proxy.written_models:
            # The user has named the models, so nothing is wrong.
            now = time.time()
            return Remembered(Answers(failure.url, (), {}, b"", 0.0), now, now), None
        usable = failure.keeps_models and patience.economical and old and old.usable
        if not old or not usable or not _may_use_last_answers(proxy, old, environment):
            raise
        return old, failure
    finally:
        if turn is not None:
            os.close(turn)
    answers.keep(environment, proxy, remembered)
    if patience.strict and remembered.answers.spent:
        raise refusals.budget_spent(remembered.answers.spent, remembered.answers.url)
    return remembered, None


def _may_use_last_answers(proxy: Proxy, old: Remembered, environment: Mapping[str, str]) -> bool:
    """Return whether a detected proxy is still there, or nothing is: nobody else must be sent its key."""
    url = old.answers.url
    if not proxy.detected or client.is_vacant(url):
        return True
    return client.is_there(url, environment, time.monotonic() + _IDENTITY_PATIENCE)


def _ask(
    proxy: Proxy, environment: Mapping[str, str], patience: Patience, old: Remembered | None
) -> Remembered:
    if patience.economical and old and old.informed:
        again = patience.budget_deadline if old.answers.spent else None
        new = client.ask(proxy, environment, patience.deadline, None, again)
        if {row.model for row in new.listed} <= {row.model for row in old.answers.listed}:
            return answers.combined(new, old, time.time(), asked=False)
    new = client.ask(proxy, environment, patience.deadline, patience.info_deadline, patience.budget_deadline)
    return answers.combined(new, old, time.time(), asked=True)


def _served(proxy: Proxy, result: tuple[Remembered, Failure | None] | Failure) -> Served | Failure:
    if isinstance(result, Failure):
        return result
    remembered, stale = result
    served = Served(proxy, remembered, catalogue(proxy, remembered), stale)
    known = remembered.answers
    unnamed = all(is_wildcard(row.model) for row in known.listed)
    # A proxy that names no model serves those that the user has written down.
    if served.catalogue.models or (unnamed and proxy.written_models):
        return served
    wildcards = _wildcards(known) if unnamed else []
    if wildcards:
        return NothingUsable(
            f"{known.url.root} serves {', '.join(wildcards)} but names no models",
            f"list the models under provider.{proxy.provider}.models in your opencode.json",
            served,
        )
    return NothingUsable(
        f"{known.url.root} lists {len(known.listed)} models, none of which opencode can use",
        "check which models the key may use, and the options includeModels and excludeModels of provider"
        f" {proxy.provider}",
        served,
    )


def _wildcards(known: Answers) -> list[str]:
    """Return the wildcards of a proxy that names no model; LiteLLM 1.106 has them only in its info rows."""
    rows = known.listed or [row for rows in known.info.values() for row in rows or ()]
    return sorted({row.model for row in rows if is_wildcard(row.model)})
