"""Handing a payload to opencode through its environment, above or below what the user has there.

A *change* maps names of variables to their new value, None to remove one. Both variables that can carry a payload
are the user's as well: their ``OPENCODE_CONFIG`` keeps working, and their ``OPENCODE_CONFIG_CONTENT`` stays on top.
"""

from __future__ import annotations

import os
import sys

from . import layers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    Changes = dict[str, str | None]

FILE = "OPENCODE_CONFIG"
INLINE = layers.INLINE_SOURCE
USER_CONTENT = "OPENCODE_LITELLM_USER_CONTENT"
NO_KEY = "OPENCODE_LITELLM_NO_KEY"  # what a provider's `env` names, where its key is not ours to write
CARRIED = "OPENCODE_LITELLM_HEADER_"  # how the variables begin that take a literal secret to opencode
MARKER = "https://opencode.ai/config.json#opencode-litellm"

# How our template begins, and the same where shells and dotenv readers must find nothing to act upon.
_HEAD = f'{{"$schema":"{MARKER}",'
_INLINE_HEAD = _HEAD.replace("$", "\\u0024").replace("#", "\\u0023")


class Unfit(Exception):
    """A payload cannot stand in ``OPENCODE_CONFIG_CONTENT``; ``str()`` says why."""


def by_file(file: str, environment: Mapping[str, str]) -> Changes:
    """Return the changes that hand over a payload's file, and take back what an earlier ``env`` left inline."""
    return {**undo(environment), FILE: file, NO_KEY: "none"}


def inline(payload: str, environment: Mapping[str, str]) -> Changes:
    """Return the changes that hand over a payload's text, under the user's own inline content.

    Raises Unfit when that content is not what can be merged, or both together are too long for the system.
    """
    content = users_content(environment)
    text = _above(payload, content) if content else payload.replace("\n", "").replace(_HEAD, _INLINE_HEAD, 1)
    changes: Changes = {**undo(environment), INLINE: text}
    if content is not None:
        changes[USER_CONTENT] = content
    if NO_KEY in payload:
        changes[NO_KEY] = "none"
    if not fits(changes, environment):
        raise Unfit("that is more than the system allows")
    return changes


def _above(payload: str, content: str) -> str:
    """Return the user's ``content`` merged over a payload: their references stay alive, a proxy's strings dead."""
    from . import jsonc  # a launch without inline content needs no JSON
    from .configuration import merged

    try:
        ours, users = jsonc.parse_live(payload), jsonc.parse_live(content)
    except jsonc.JsoncError as error:
        raise Unfit(f"what you have there cannot be merged with it ({error})") from error
    if not isinstance(ours, dict) or not isinstance(users, dict):
        raise Unfit("what you have there is not an object in braces")
    return jsonc.dump({**merged(ours, users), "$schema": MARKER})


def in_text(value: str) -> str:
    """Return a literal value as a variable has to hold it whose reference stands in JSON.

    opencode 1.18 puts a variable's value into the text of its configuration, which it then searches for
    ``{file:…}`` and parses.
    """
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("{", "\\u007b")


def can_be_referred_to(value: str) -> bool:
    """Tell whether a variable's value, as it is, comes through a reference in JSON unchanged."""
    return value.isprintable() and value == value.strip() == in_text(value)


def undo(environment: Mapping[str, str]) -> Changes:
    """Return the changes that take back what was delivered: the variables are again as the user had them."""
    changes: Changes = {}
    if users_content(environment) != environment.get(INLINE):
        changes[INLINE] = users_content(environment)
    if environment.get(FILE) and users_file(environment) is None:
        changes[FILE] = None
    for name in environment:
        if name in (USER_CONTENT, NO_KEY) or name.startswith(CARRIED):
            changes[name] = None
    return changes


def undone(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment as it was before a delivery."""
    return {name: value for name, value in {**environment, **undo(environment)}.items() if value is not None}


def users_content(environment: Mapping[str, str]) -> str | None:
    """Return the inline content that is the user's, None when there is none."""
    content = environment.get(INLINE)
    return environment.get(USER_CONTENT) if content and is_ours(content) else content


def users_file(environment: Mapping[str, str]) -> str | None:
    """Return the path in ``OPENCODE_CONFIG`` when the user put it there, None when we did or nobody."""
    file = environment.get(FILE)
    if not file:
        return None
    if not os.path.exists(file):
        # opencode 1.18 ignores it; it is the user's all the same, unless it was ours.
        return None if os.path.dirname(file) == layers.cache_folder(environment) else file
    if not os.path.isfile(file):
        return file  # what a pipe holds can be read only once
    try:
        with open(file, encoding="utf-8", errors="replace") as opened:
            return None if is_ours(opened.read()) else file
    except OSError:
        return file


def is_ours(text: str) -> bool:
    """Tell whether a configuration is a delivery of ours, by its ``$schema``."""
    if text.startswith((_HEAD, _INLINE_HEAD)):
        return True
    if "opencode-litellm" not in text:
        return False
    from . import jsonc  # only where the name is

    try:
        value = jsonc.parse(text)
    except jsonc.JsoncError:
        return False
    return isinstance(value, dict) and value.get("$schema") == MARKER


def fits(changes: Changes, environment: Mapping[str, str]) -> bool:
    """Tell whether a program can be started with ``changes`` made to ``environment``.

    Linux: 131,072 bytes for one ``NAME=value`` and its final zero. There and on macOS also a limit for arguments and
    environment together, of which a quarter is left to the arguments. Windows: 32,767 characters for one variable.
    """
    longest = max((_size(name, value) for name, value in changes.items() if value is not None), default=0)
    if sys.platform == "win32":
        return longest <= 32_767
    if sys.platform == "linux" and longest > 131_072:
        return False
    merged = {**environment, **changes}
    # Beside each string stands a pointer to it.
    whole = sum(_size(name, value) + 8 for name, value in merged.items() if value is not None)
    return whole <= 96 * 2**10 or whole <= _room() * 3 // 4


def _size(name: str, value: str) -> int:
    return len(os.fsencode(name)) + len(os.fsencode(value)) + 2


def _room() -> int:
    """Return how many bytes arguments and environment may have together."""
    if sys.platform != "linux":
        return os.sysconf("SC_ARG_MAX")
    import resource  # musl's sysconf tells another story

    stack = resource.getrlimit(resource.RLIMIT_STACK)[0]
    largest = 6 * 2**20
    return largest if stack == resource.RLIM_INFINITY else max(min(stack // 4, largest), 128 * 2**10)
