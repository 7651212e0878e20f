"""Which key belongs to a proxy, where it comes from, and how a payload may refer to it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from . import layers
from .jsonc import Live

if TYPE_CHECKING:
    from collections.abc import Mapping

VARIABLES = ("LITELLM_API_KEY", "LITELLM_MASTER_KEY", "LITELLM_PROXY_API_KEY")

# opencode 1.18: a provider without any key lets @ai-sdk/openai fall back to OPENAI_API_KEY, so there is one always.
PLACEHOLDER = Live("none")

_WHOLLY_A_VARIABLE = re.compile(r"\{env:([^}]+)\}")


@dataclass(frozen=True)
class Key:
    """A key and what may be known of it.

    ``source`` names it for people. ``reference`` is what a payload may say for it, None where the secret is
    known to us only as text. ``found_in`` is how a later launch finds it again: ``environment NAME``,
    ``section``, ``stored`` or ``nowhere``.
    """

    secret: str = field(repr=False)
    source: str
    reference: Live | None
    found_in: str

    @property
    def reaches_sibling(self) -> bool:
        """A literal key and one in ``auth.json`` serve only the provider id that they stand under."""
        return self.reference is not None


NO_KEY = Key("", "no key", PLACEHOLDER, "nowhere")


def of_section(written: object, resolved: object, provider: str) -> Key | None:
    """Return the key that ``options.apiKey`` of a section gives, or None for an absent or empty one."""
    if not isinstance(resolved, str) or not resolved.strip():
        return None
    source = f"options.apiKey of provider {provider}"
    if not isinstance(written, Live):
        return Key(resolved.strip(), source, None, "section")
    variable = _WHOLLY_A_VARIABLE.fullmatch(written)
    found_in = f"environment {variable[1]}" if variable else "section"
    return Key(resolved.strip(), f"{source} ({written})", written, found_in)


def of_environment(environment: Mapping[str, str]) -> Key | None:
    """Return the key of the first of ``VARIABLES`` that is set to something."""
    for name in VARIABLES:
        if environment.get(name, "").strip():
            return Key(environment[name].strip(), name, Live(f"{{env:{name}}}"), f"environment {name}")
    return None


def stored(environment: Mapping[str, str], provider: str) -> Key | None:
    """Return the key that opencode itself keeps for a provider id (``opencode auth login``), if there is one.

    opencode 1.18: ``OPENCODE_AUTH_CONTENT`` replaces the file; only entries of type ``api`` hold a key.
    """
    text = environment.get("OPENCODE_AUTH_CONTENT")
    source = "OPENCODE_AUTH_CONTENT"
    if not text:
        source = layers.auth_file(environment)
        try:
            text = Path(source).read_text(encoding="utf-8")
        except (OSError, ValueError):
            return None
    try:
        entry = json.loads(text)[provider]
        secret = entry["key"] if entry["type"] == "api" else ""
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    if not isinstance(secret, str) or not secret.strip():
        return None
    return Key(secret.strip(), f"{source} (provider {provider})", None, "stored")
