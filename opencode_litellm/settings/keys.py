"""Which key belongs to a proxy, where it comes from, and how a payload may refer to it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

from opencode_litellm import origin, proxies
from opencode_litellm.jsonc import ENV, Live
from opencode_litellm.opencode import layers
from opencode_litellm.opencode.delivery import can_be_referred_to
from opencode_litellm.proxies import Key
from opencode_litellm.variables import KEY_VARIABLES, QUOTES_AROUND, SPACE_AROUND, is_quoted

if TYPE_CHECKING:
    from collections.abc import Mapping


_LONGEST_SCHEME = len("Bearer ")  # plain text beside a reference that cannot be part of a secret


def of_section(written: object, resolved: object, provider: str) -> Key | None:
    """Return the key that ``options.apiKey`` of a section gives, or None for an absent or empty one."""
    if not isinstance(resolved, str) or not resolved.strip():
        return None
    source = f"options.apiKey of provider {provider}"
    if not isinstance(written, Live) or not is_reference(written):
        return _usable(Key(resolved.strip(), source, None, origin.SECTION))
    variable = ENV.fullmatch(written)
    key_origin = origin.of_variable(variable[1]) if variable and can_be_referred_to(resolved) else origin.SECTION
    return _usable(Key(resolved.strip(), f"{source} ({written})", written, key_origin))


def empty(written: object, provider: str) -> Key:
    """Return the Key for an ``options.apiKey`` that is empty, such as a reference to a variable that is not set."""
    source = f"options.apiKey of provider {provider}"
    if isinstance(written, Live) and is_reference(written):
        return Key("", f"{source} ({written}), which is empty", written, origin.NOWHERE)
    return Key("", f"{source}, which is empty", Live("") if written == "" else proxies.PLACEHOLDER, origin.NOWHERE)


def of_variable(names: object, environment: Mapping[str, str], provider: str) -> Key | None:
    """Return the key in the variable that ``env`` of a section names; opencode 1.18 reads none if it names two."""
    if not isinstance(names, list) or len(names) != 1 or not is_variable(names[0]):
        return None
    name = names[0]
    value = environment.get(name, "")
    if not value.strip():
        return None
    # If a reference would change the value, opencode still finds the variable by itself, through `env`.
    reference = Live(f"{{env:{name}}}") if can_be_referred_to(value) else None
    return _usable(Key(value.strip(), f"{name} (env of provider {provider})", reference, origin.of_variable(name)))


def is_variable(name: object) -> TypeGuard[str]:
    """Return whether ``name`` can be the name of an environment variable in a reference."""
    return isinstance(name, str) and re.fullmatch(r"\w+", name) is not None


def of_environment(environment: Mapping[str, str]) -> Key | None:
    """Return the key of the first of ``KEY_VARIABLES`` that is set to something."""
    for name in KEY_VARIABLES:
        value = environment.get(name, "")
        if can_be_referred_to(value) and value:
            return _usable(Key(value, name, Live(f"{{env:{name}}}"), origin.of_variable(name)))
        if value.strip():
            # opencode would not start with a reference to it, and would print it.
            return Key("", f"{name}, which {_trouble(value)}", proxies.PLACEHOLDER, origin.NOWHERE)
    return None


def _trouble(value: str) -> str:
    """Return why the value of a variable cannot be a key, for a message that tells the user what to remove."""
    key = value.strip()
    if is_quoted(key):
        return QUOTES_AROUND
    if can_be_referred_to(key):
        return SPACE_AROUND
    return "has quotes, backslashes, braces or line breaks in it"


def stored(environment: Mapping[str, str], provider: str) -> Key | None:
    """Return the key that opencode stores for a provider id (``opencode auth login``), if there is one.

    opencode 1.18: ``OPENCODE_AUTH_CONTENT`` replaces the file when it is JSON; only entries of type ``api`` hold a key.
    """
    source = "OPENCODE_AUTH_CONTENT"
    entries = _json(environment.get(source, ""))
    if entries is None:
        source = layers.auth_file(environment)
        try:
            entries = _json(Path(source).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
    entry = entries.get(provider) if isinstance(entries, dict) else None
    secret = entry.get("key") if isinstance(entry, dict) and entry.get("type") == "api" else None
    if not isinstance(secret, str) or not secret.strip():
        return None
    return _usable(Key(secret.strip(), f"{source} (provider {provider})", None, origin.STORED))


def is_reference(text: Live) -> bool:
    """Return whether ``text`` can be repeated: nothing but references, and at most a short prefix such as ``Bearer``.

    A path with a brace in it cannot be written as a reference that opencode would read.
    """
    plain, tokens = text.parts[::2], text.parts[1::2]
    whole = all("}" not in ENV.sub("", token[:-1]) for token in tokens)
    return whole and sum(len(part) for part in plain) <= _LONGEST_SCHEME


def _usable(key: Key) -> Key:
    """Return the key, without its secret if no header can hold that, so that it never shows up in an error message."""
    if key.secret.isprintable() and max(key.secret) <= "\xff":
        return key
    source = f"{key.source}, which has characters that an HTTP header cannot contain"
    return Key("", source, key.reference, origin.NOWHERE)


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
