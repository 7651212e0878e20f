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
INLINE = "OPENCODE_CONFIG_CONTENT"
USER_CONTENT = "OPENCODE_LITELLM_USER_CONTENT"
MARKER = "https://opencode.ai/config.json#opencode-litellm"

# How our template begins, and the same where shells and dotenv readers must find nothing to act upon.
_HEAD = f'{{"$schema":"{MARKER}",'
_INLINE_HEAD = _HEAD.replace("$", "\\u0024").replace("#", "\\u0023")


def by_file(file: str, environment: Mapping[str, str]) -> Changes:
    """Return the changes that hand over a payload's file, and take back what an earlier ``env`` left inline."""
    return {**undo(environment), FILE: file}


def inline(payload: str, environment: Mapping[str, str]) -> Changes | None:
    """Return the changes that hand over a payload's text, under the user's own inline content.

    None when that content is not what opencode could read, or together they are too long for the system.
    """
    content = users_content(environment)
    text = payload
    if content is not None:
        from . import jsonc  # a launch without inline content needs no JSON
        from .configuration import merged

        try:
            ours, users = jsonc.parse_live(payload), jsonc.parse_live(content)
        except jsonc.JsoncError:
            return None
        if not isinstance(ours, dict) or not isinstance(users, dict):
            return None
        text = jsonc.dump({**merged(ours, users), "$schema": MARKER})
    else:
        text = text.replace("\n", "").replace(_HEAD, _INLINE_HEAD, 1)
    changes: Changes = {**undo(environment), INLINE: text}
    if content is not None:
        changes[USER_CONTENT] = content
    return changes if fits(changes, environment) else None


def undo(environment: Mapping[str, str]) -> Changes:
    """Return the changes that take back what was delivered: the variables are again as the user had them."""
    changes: Changes = {}
    content = environment.get(INLINE)
    users = users_content(environment)
    if content and users != content:
        changes[INLINE] = users
    if USER_CONTENT in environment:
        changes[USER_CONTENT] = None
    if environment.get(FILE) and users_file(environment) is None:
        changes[FILE] = None
    return changes


def users_content(environment: Mapping[str, str]) -> str | None:
    """Return the inline content that is the user's, None when there is none."""
    content = environment.get(INLINE)
    if content and is_ours(content):
        content = environment.get(USER_CONTENT)
    return content or None


def users_file(environment: Mapping[str, str]) -> str | None:
    """Return the path in ``OPENCODE_CONFIG`` when the user put it there, None when we did or nobody."""
    file = environment.get(FILE)
    if not file:
        return None
    try:
        with open(file, encoding="utf-8", errors="replace") as opened:
            text = opened.read()
    except OSError:
        # opencode 1.18 ignores a file that is not there; it is the user's all the same, unless it was ours.
        return None if os.path.dirname(file) == layers.cache_folder(environment) else file
    return None if is_ours(text) else file


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

    Linux: 131,072 bytes for one ``NAME=value`` and its final zero; macOS: 1 MiB for arguments and environment
    together, of which a quarter is left to the arguments; Windows: 32,767 characters for one variable.
    """
    sizes = [len(os.fsencode(f"{name}={value}")) + 1 for name, value in changes.items() if value is not None]
    if sys.platform == "win32":
        return max(sizes, default=0) <= 32_767
    if sys.platform == "darwin":
        kept = sum(len(name) + len(value) + 2 for name, value in environment.items() if name not in changes)
        return kept + sum(sizes) <= 768 * 2**10
    return max(sizes, default=0) <= 131_072
