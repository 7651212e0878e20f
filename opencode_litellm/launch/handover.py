"""How a payload gets to opencode: which variables, which files, and what to do where one of them cannot hold it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from opencode_litellm import cache, rendering, variables
from opencode_litellm.launch.record import FILE, HEAD, INLINE
from opencode_litellm.opencode import delivery

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opencode_litellm.discovery import Discovery
    from opencode_litellm.opencode.delivery import Changes
    from opencode_litellm.opencode.payload import Payload
    from opencode_litellm.settings.sections import Settings


@dataclass(frozen=True)
class Handover:
    """The changes to opencode's environment (None: the payload cannot be delivered), how, and what to say of it.

    ``payload`` and ``head`` name the files in the cache that hold it, as in
    :class:`opencode_litellm.launch.record.Record`.
    """

    changes: Changes | None
    mode: str
    payload: str
    head: str = ""
    notes: tuple[str, ...] = ()


def hand_over(payload: Payload, chosen: Settings, environment: Mapping[str, str], *, launch: bool) -> Handover:
    """Return how a payload gets to opencode: for a ``launch`` from this folder, or for any folder that comes later.

    A file stands below the project's configuration, so it is enough only where that was read.
    """
    above = not launch or any(proxy.beats_project for proxy in chosen.proxies)
    users_file = delivery.users_file(environment) is not None
    in_file = chosen.delivery == "file" or (chosen.delivery != "inline" and not above)
    below = in_file and not above and not users_file
    text = rendering.payload(payload.below_project if below else payload)
    # The same payload has the same file, and another one another: what was handed out stays as it was.
    name = f"payload-{cache.digest([text])}.json"
    file = _kept(environment, name, text) if in_file and not users_file else None
    notes: tuple[str, ...] = ()
    if file is None:
        try:
            changes = delivery.inline(text, environment, launch=launch)
        except delivery.Unfit as unfit:
            why = f"{variables.CONFIG_CONTENT} cannot hold {payload.model_count} models: {unfit}"
            remedy = unfit.remedy or "unset it, or choose fewer with includeModels"
        else:
            if launch:
                _kept(environment, name, text)
            return Handover(changes, INLINE, name)
        if users_file:
            return _undelivered(f"{why}, and {variables.CONFIG} is yours: {remedy}")
        file = _kept(environment, name, text) or _temporary(name, text)
        if file is None:
            return _undelivered(f"{why}, and no file can be written: set XDG_CACHE_HOME to a folder that is yours")
        notes = (f"{why}; they are delivered by the file {file}",)
    changes = delivery.by_file(file, environment)
    if not above:
        return Handover(changes, FILE, name, notes=notes)
    # What must beat a project's configuration, an address and its key, goes above it all the same.
    head = rendering.payload(payload.head)
    head_name = f"head-{cache.digest([head])}.json"
    try:
        above_all = delivery.inline(head, environment, launch=launch)
    except delivery.Unfit as unfit:
        remedy = f": {unfit.remedy}" if unfit.remedy else ""
        return _undelivered(f"{variables.CONFIG_CONTENT} cannot hold what belongs there: {unfit}{remedy}")
    changes = {**changes, **above_all, variables.CONFIG: file, variables.NO_KEY: "none"}
    _kept(environment, head_name, head)
    return Handover(changes, HEAD, name, head_name, notes=notes)


def _undelivered(why: str) -> Handover:
    return Handover(None, INLINE, "", notes=(why,))


def carried(found: Discovery) -> dict[str, str]:
    """Return the variables for literal secret headers: they reach opencode in its environment and nowhere else."""
    headers = [header for served in found.served for header in served.proxy.headers]
    return {header.variable: delivery.in_text(header.value) for header in headers if header.variable}


def _kept(environment: Mapping[str, str], name: str, text: str) -> str | None:
    """Return the path of a file in the cache that holds ``text``, None when none can be kept."""
    if cache.read(environment, name) == text.encode():
        cache.use(environment, name)
        return cache.path(environment, name)
    return cache.write(environment, name, text.encode())


def _temporary(name: str, text: str) -> str | None:
    """Write a file where no cache is: mode 0600, in the system's folder for such files, the same one every time.

    None when that cannot be written either.
    """
    import tempfile  # 10 ms, where there is no cache

    try:
        path = os.path.join(tempfile.gettempdir(), f"{delivery.TEMPORARY}{name}")
        descriptor, written = tempfile.mkstemp(prefix=delivery.TEMPORARY, suffix=".json")
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError:
        return None
    try:
        os.replace(written, path)
    except OSError:
        return written  # somebody else's is there
    return path
