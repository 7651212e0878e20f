"""No provider but ours, also when ours has no models: where the user wants that, opencode starts without any."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opencode_litellm import terminal
from opencode_litellm.opencode import configuration, delivery, slot
from opencode_litellm.settings import sections

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opencode_litellm.jsonc import JSON
    from opencode_litellm.opencode.delivery import Changes

_ONLY_OURS = "no other provider is used, because the option 'only' says so"


def limited(changes: Changes, environment: Mapping[str, str], folder: str) -> Changes:
    """Return what a launch without models changes, with the limits that the user wants in ``folder``."""
    limits = wanted(environment, folder)
    if not limits:
        return changes
    terminal.note(_ONLY_OURS, environment)
    return delivery.limited(changes, limits, environment)


def limit_server(environment: Mapping[str, str], folder: str) -> None:
    """Let what opencode 2's server reads have the limits that the user wants now, when there are no models for it.

    ``environment`` is what ``delivery.shared`` returns.
    """
    limits = sections.limits(environment, configuration.read(environment, folder, project=False, tolerant=True))
    if said := slot.limit(limits, environment):
        terminal.note(said, environment)
    if limits:
        terminal.note(_ONLY_OURS, environment)


def wanted(environment: Mapping[str, str], folder: str) -> dict[str, JSON]:
    """Return the settings of opencode that leave no provider but ours; empty where the user does not want that.

    Where a part of the configuration cannot be read, the rest of it counts, and ``"only": true`` as a text.
    """
    return sections.limits(environment, configuration.read(environment, folder, tolerant=True))
