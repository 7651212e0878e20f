"""How a payload gets to opencode: by which variables and files, and what to do when one of them cannot hold it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from opencode_litellm import cache, rendering, variables
from opencode_litellm.launch.record import FILE, HEAD, INLINE
from opencode_litellm.opencode import delivery
from opencode_litellm.opencode.delivery import Undeliverable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opencode_litellm.discovery import Discovery
    from opencode_litellm.opencode.delivery import Changes
    from opencode_litellm.opencode.payload import Payload
    from opencode_litellm.settings.sections import Settings


@dataclass(frozen=True)
class Handover:
    """The changes to opencode's environment, the mode of delivery, and what to say about it.

    ``payload_file`` and ``head_file`` name the files in the cache that hold the payload, as in
    :class:`opencode_litellm.launch.record.Record`.
    """

    changes: Changes
    mode: str
    payload_file: str
    head_file: str = ""
    notes: tuple[str, ...] = ()


def hand_over(payload: Payload, settings: Settings, environment: Mapping[str, str], *, launch: bool) -> Handover:
    """Return how a payload gets to opencode: for a ``launch`` from this folder, or for any folder that comes later.

    Raises Undeliverable when neither a variable nor a file can hold it.
    """
    # A file stands below the project's configuration, so it is enough only where that was read.
    above = not launch or any(proxy.beats_project for proxy in settings.proxies)
    users_file = delivery.users_file(environment) is not None
    by_file = not users_file and (settings.delivery == "file" or (settings.delivery != "inline" and not above))
    text = rendering.payload(payload.below_project if by_file and not above else payload)
    # The name follows from the payload, so a file that was handed out never changes.
    name = cache.PAYLOAD.name(cache.digest([text]))
    file = _cached(environment, name, text) if by_file else None
    notes: tuple[str, ...] = ()
    if file is None:
        try:
            changes = delivery.inline(text, environment, launch=launch)
        except Undeliverable as failure:
            problem = f"{variables.CONFIG_CONTENT} cannot hold {payload.model_count} models ({failure.problem})"
            if users_file:
                remedy = f"unset {variables.CONFIG}, or {failure.remedy}"
                raise Undeliverable(f"{problem}, and {variables.CONFIG} names a file of your own", remedy) from failure
            file = (None if by_file else _cached(environment, name, text)) or _temporary(name, text)
            if file is None:
                remedy = "set XDG_CACHE_HOME to a folder that you can write to"
                raise Undeliverable(f"{problem}, and no file can be written", remedy) from failure
            notes = (f"{problem}, so they are handed over in {file}",)
        else:
            if launch and not by_file:
                _cached(environment, name, text)
            return Handover(changes, INLINE, name)
    changes = delivery.by_file(file, environment)
    if not above:
        return Handover(changes, FILE, name, notes=notes)
    # Addresses and keys have to beat a project's configuration, so they go above it, alone.
    head = rendering.payload(payload.head)
    head_name = cache.HEAD.name(cache.digest([head]))
    try:
        changes |= delivery.inline(head, environment, launch=launch)
    except Undeliverable as failure:
        problem = f"{variables.CONFIG_CONTENT} cannot hold the addresses of the proxies ({failure.problem})"
        raise Undeliverable(problem, failure.remedy) from failure
    changes |= {variables.CONFIG: file, variables.NO_KEY: "none"}
    _cached(environment, head_name, head)
    return Handover(changes, HEAD, name, head_name, notes=notes)


def carried(discovery: Discovery) -> dict[str, str]:
    """Return the variables for literal secret headers: they reach opencode in its environment and nowhere else."""
    headers = [header for served in discovery.served for header in served.proxy.headers]
    return {header.variable: delivery.in_text(header.value) for header in headers if header.variable}


def _cached(environment: Mapping[str, str], name: str, text: str) -> str | None:
    """Return the path of a file in the cache that holds ``text``, None when none can be written."""
    if cache.read(environment, name) == text.encode():
        cache.use(environment, name)
        return cache.path(environment, name)
    return cache.write(environment, name, text.encode())


def _temporary(name: str, text: str) -> str | None:
    """Write a file to the system's folder for temporary files, the same one every time; None when that fails too."""
    import tempfile  # 10 ms, only without a cache

    try:
        path = os.path.join(tempfile.gettempdir(), f"{delivery.TEMPORARY}{name}")
    except OSError:
        return None
    # Where that name is somebody else's, another one will do.
    return cache.put(path, text.encode()) or cache.put(f"{path[:-5]}-{os.getpid()}.json", text.encode())
