"""The *slot*: a file in opencode's global folder that we write, and that the server of opencode 2 watches.

The slot is the one of ``opencode.json`` and ``opencode.jsonc`` that the user does not have, never a file of theirs.
opencode 2 reads both (read in the source of 2.0.26, seen on its preview), as does opencode 1.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from typing import TYPE_CHECKING

from opencode_litellm import cache, jsonc, private, replacement, variables
from opencode_litellm.opencode import delivery, layers, slot_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opencode_litellm.jsonc import JSON

_NAMES = ("opencode.jsonc", "opencode.json")  # the first free one is taken
MEMORY = "managed"  # a file in our state folder: the path of the slot, and what we wrote there last
_ATTEMPTS = 5  # tries to write, if another program keeps writing too
_TURN = 2.0  # seconds that another launch may take to write


class Unusable(Exception):
    """There is no file that we may write; ``str()`` of this exception says why."""


def find(environment: Mapping[str, str]) -> str:
    """Return the path of the slot, which need not exist yet; raises Unusable if there can be none."""
    folder = layers.server_folder(environment)
    if os.path.islink(folder):
        raise Unusable(f"{folder} is a symbolic link, such as dotfile managers make")
    paths = [os.path.join(folder, name) for name in _NAMES]
    for path in paths:
        if _is_ours(path):
            return _writable(path, folder)
    free = [path for path in paths if not os.path.lexists(path)]
    if not free:
        raise Unusable(f"{' and '.join(reversed(paths))} are both yours")
    return _writable(free[0], folder)


def present(environment: Mapping[str, str]) -> str:
    """Return the path of the slot if it has a file of ours, else an empty string."""
    folder = layers.server_folder(environment)
    return next((path for name in _NAMES if _is_ours(path := os.path.join(folder, name))), "")


def keep(text: str, environment: Mapping[str, str]) -> str:
    """Write the payload ``text`` into the slot, beside what others wrote there. Return a message, empty if all is well.

    The copy in our cache is always written, for a server that reads it instead of the slot.
    """
    shared = cache.write(environment, cache.SHARED, text.encode())
    folder = layers.server_folder(environment)
    turn = cache.take_turn(environment, cache.TURN.name(cache.digest([folder])), _TURN)
    try:
        for _ in range(_ATTEMPTS):
            path = find(environment)
            if _put(path, text, environment):
                return ""
        raise OSError(0, "another program keeps writing to it", path)
    except (Unusable, OSError) as error:
        problem = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) else str(error)
        return "" if shared and names_copy(environment) else f"{problem}. {_remedy(environment)}"
    except jsonc.JsoncError as error:
        return f"{path} cannot be read ({error}), so it is left unchanged: correct it"
    finally:
        if turn is not None:
            os.close(turn)


def restrict(restrictions: Mapping[str, JSON], environment: Mapping[str, str]) -> str:
    """Replace the restrictions on opencode's providers in the slot by ``restrictions``. The models in it stay.

    Return a message as ``keep`` does. Without ``restrictions``, a slot that does not exist is not created.
    """
    _, last = _memory(environment)
    last = last or (cache.read(environment, cache.SHARED) or b"").decode("utf-8", "replace")
    try:
        before = jsonc.mapping(jsonc.parse_live(last)) if last else {}
    except jsonc.JsoncError:
        before = {}
    untouched = {name: value for name, value in before.items() if name not in delivery.RESTRICTIONS}
    wanted = {"$schema": delivery.SLOT_MARKER, **untouched, **restrictions}
    return "" if wanted == before or not (before or restrictions) else keep(jsonc.dump(wanted), environment)


def strip(environment: Mapping[str, str], path: str) -> str | None:
    """Return the text of the file at ``path`` without what is ours, or None if there is nothing else in it.

    Raises OSError and JsoncError.
    """
    return slot_text.stripped(_text(path), _last(path, environment))


def paths(environment: Mapping[str, str]) -> list[str]:
    """Return the files of ours that exist: the slot, and the file that was the slot when we last wrote one."""
    remembered, _ = _memory(environment)
    owned = [path for path in (present(environment), remembered) if path and _is_ours(path)]
    return list(dict.fromkeys(owned))


def users_part(path: str, text: str, environment: Mapping[str, str]) -> str:
    """Return the user's part of ``text``, a file of ours, as a configuration; empty if there is none."""
    if os.path.basename(path) not in _NAMES:
        return ""
    try:
        last = _last(path, environment)
        return slot_text.users(text, last) if slot_text.users_members(text, last) else ""
    except jsonc.JsoncError:
        return ""


def users_members(path: str, environment: Mapping[str, str]) -> list[str]:
    """Return the settings in the slot that are not ours, as dotted paths; raises OSError and JsoncError."""
    return slot_text.users_members(_text(path), _last(path, environment))


def names_copy(environment: Mapping[str, str]) -> bool:
    """Return whether opencode's service reads the copy in our cache as its ``OPENCODE_CONFIG``, as we advise."""
    with suppress(OSError, ValueError):
        with open(layers.service_file(environment), encoding="utf-8") as file:
            value = json.load(file)
        named = jsonc.mapping(jsonc.mapping(value).get("env")).get(variables.CONFIG)
        return bool(named == cache.path(environment, cache.SHARED))
    return False


def _remedy(environment: Mapping[str, str]) -> str:
    copy = cache.path(environment, cache.SHARED)
    return f"To use the models in opencode 2, run: opencode service set env {variables.CONFIG} {copy}"


def _put(path: str, text: str, environment: Mapping[str, str]) -> bool:
    """Write ``text`` into the slot at ``path``; False if another program has written there since it was found."""
    before = _current(path)
    if before is None:
        return False
    after = slot_text.merged(before, _last(path, environment), text)
    if after != before:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if not replacement.replace(path, after.encode(), 0o600, still=lambda: _current(path) == before):
            return False
    _remember(path, text, environment)
    return True


def _current(path: str) -> str | None:
    """Return the text of the slot, empty if there is no file yet; None for a file or link that is not ours."""
    if not os.path.lexists(path):
        return ""
    if os.path.islink(path) or not os.path.isfile(path):
        return None
    text = _text(path)
    return text if delivery.is_slot(text) else None


def _is_ours(path: str) -> bool:
    with suppress(OSError):
        return bool(_current(path))
    return False


def _writable(path: str, folder: str) -> str:
    # Root can write to a read-only folder, but somebody made it read-only on purpose.
    if os.path.isdir(folder) and not (os.stat(folder).st_mode & 0o222 and os.access(folder, os.W_OK)):
        raise Unusable(f"{folder} is read-only")
    return path


def _text(path: str) -> str:
    with open(path, "rb") as file:
        return jsonc.decode(file.read())


def _last(path: str, environment: Mapping[str, str]) -> str | None:
    """Return what we last wrote to ``path``, or None if that is not known."""
    remembered, text = _memory(environment)
    return text if remembered == path else None


def _memory(environment: Mapping[str, str]) -> tuple[str, str]:
    """Return the path of the slot, and what we last wrote there: without that, the user's settings would count as ours.

    Others may be able to write this file, as on a file system without modes.
    """
    content = private.read(os.path.join(variables.state_folder(environment), MEMORY), shared=True) or b""
    path, _, text = content.decode("utf-8", "surrogateescape").partition("\n")
    return path, text


def _remember(path: str, text: str, environment: Mapping[str, str]) -> None:
    folder = variables.state_folder(environment)
    if _memory(environment) != (path, text):
        private.make_folder(folder)
        content = f"{path}\n{text}"  # a path may hold bytes that are no text
        private.write(os.path.join(folder, MEMORY), content.encode("utf-8", "surrogateescape"))
