"""Where an API key comes from, in words that a record can hold: a later launch reads the key there again.

An origin is ``environment NAME`` (a variable), ``section`` (``options.apiKey`` of the provider), ``stored`` (what
opencode keeps after ``opencode auth login``) or ``nowhere`` (there is no key).
"""

from __future__ import annotations

SECTION, STORED, NOWHERE = "section", "stored", "nowhere"

_ENVIRONMENT = "environment "


def of_variable(name: str) -> str:
    """Return the origin of a key that is in the environment variable ``name``."""
    return f"{_ENVIRONMENT}{name}"


def variable(origin: str) -> str:
    """Return the name of the environment variable that holds the key; empty for any other origin."""
    return origin[len(_ENVIRONMENT) :] if origin.startswith(_ENVIRONMENT) else ""
