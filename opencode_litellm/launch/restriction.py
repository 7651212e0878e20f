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

_NOT_RESTRICTED = "the option 'only' has no effect"
_ONLY_OURS = "no other provider is used, because the option 'only' is on"


def restrict(changes: Changes, environment: Mapping[str, str], folder: str) -> Changes:
    """Return the ``changes`` of a launch without models, with the restrictions that the user wants in ``folder``."""
    restrictions = wanted(environment, folder)
    if not restrictions:
        return changes
    terminal.note(_ONLY_OURS, environment)
    return delivery.with_restrictions(changes, restrictions, environment)


def restrict_server(environment: Mapping[str, str], folder: str) -> None:
    """Write the restrictions that the user wants into the file of opencode 2's server, when there are no models for it.

    ``environment`` is that of ``delivery.shared``.
    """
    readable = configuration.read(environment, folder, project=False, tolerant=True)
    restrictions = sections.restrictions(environment, readable)
    if problem := slot.restrict(restrictions, environment):
        terminal.note(problem, environment)
    if restrictions:
        terminal.note(_ONLY_OURS, environment)


def printable(environment: Mapping[str, str], folder: str) -> Changes:
    """Return the changes for `env` without models: the restrictions that the user wants; empty if there are none.

    Also empty, with a note, if the user's inline content, which they are merged with, must not be printed.
    """
    restrictions = wanted(environment, folder)
    if not restrictions:
        return {}
    if delivery.holds_secrets(delivery.users_content(environment) or ""):
        terminal.note(f"{delivery.PRINTED}, so {_NOT_RESTRICTED}: start opencode-with-litellm instead", environment)
        return {}
    return delivery.with_restrictions(delivery.undo(environment), restrictions, environment)


def wanted(environment: Mapping[str, str], folder: str) -> dict[str, JSON]:
    """Return the settings of opencode that leave no provider but ours; empty if the user does not want that.

    In a file that cannot be parsed, the text ``"only": true`` counts.
    """
    return sections.restrictions(environment, configuration.read(environment, folder, tolerant=True))
