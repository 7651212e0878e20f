"""The option ``only`` for a launch without models: opencode starts without any provider."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opencode_litellm import terminal
from opencode_litellm.opencode import configuration, delivery, slot
from opencode_litellm.settings import sections

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opencode_litellm.jsonc import JSON
    from opencode_litellm.opencode.delivery import Changes

_ONLY_OURS = "no other provider is used, because the option 'only' is on"


def limited(changes: Changes, environment: Mapping[str, str], folder: str) -> Changes:
    """Return the ``changes`` of a launch without models, with the limits that the user wants in ``folder``."""
    limits = wanted(environment, folder)
    if not limits:
        return changes
    terminal.note(_ONLY_OURS, environment)
    return delivery.limited(changes, limits, environment)


def limit_server(environment: Mapping[str, str], folder: str) -> None:
    """Write the limits that the user wants into the file of opencode 2's server, when there are no models for it.

    ``environment`` is that of ``delivery.shared``.
    """
    limits = sections.limits(environment, configuration.read(environment, folder, project=False, tolerant=True))
    if said := slot.limit(limits, environment):
        terminal.note(said, environment)
    if limits:
        terminal.note(_ONLY_OURS, environment)


def wanted(environment: Mapping[str, str], folder: str) -> dict[str, JSON]:
    """Return the settings of opencode that leave no provider but ours; empty if the user does not want that.

    In a file that cannot be parsed, the text ``"only": true`` counts.
    """
    return sections.limits(environment, configuration.read(environment, folder, tolerant=True))
