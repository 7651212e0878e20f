"""What opencode 2's background server knows, if it runs: it is asked read-only, and never started for that."""

from __future__ import annotations

import json
import os
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from opencode_litellm.jsonc import mapping
from opencode_litellm.opencode import layers, versions

if TYPE_CHECKING:
    from collections.abc import Mapping, Set

_PATIENCE = 20.0  # seconds for one answer; a folder's first question loads its configuration
_LOADING = 15.0  # seconds to wait for a folder's providers: the preview answers before it has loaded them
_PAUSE = 0.5  # seconds


@dataclass(frozen=True)
class Running:
    """A running server: its address and version, as it registered them."""

    url: str
    version: str


@dataclass(frozen=True)
class Known:
    """The ids of a folder's providers: those that the server lists, and those that it has read but has no key for."""

    providers: frozenset[str]
    keyless: frozenset[str]


def running(environment: Mapping[str, str]) -> Running | None:
    """Return the server that runs for this user, None if there is none."""
    with suppress(OSError, ValueError):
        with open(layers.registration_file(environment), encoding="utf-8") as file:
            registration = mapping(json.load(file))
        pid = registration.get("pid")
        if isinstance(pid, int) and pid > 0 and _lives(pid):
            return Running(str(registration.get("url", "")), str(registration.get("version", "")))
    return None


def known(
    program: str, environment: Mapping[str, str], folder: str, expected: Set[str], by_variable: frozenset[str]
) -> Known | None:
    """Return what the running server knows in ``folder``, after waiting for the ``expected`` providers to appear.

    One of those whose key is in a variable of the server's, ``by_variable``, never appears without that key: none of
    the others is waited for then. None if its answer cannot be used. Neither the server's answers nor the result hold
    a secret.
    """
    deadline = time.monotonic() + _LOADING
    before: frozenset[str] = frozenset()
    while True:
        providers = _ask(program, "/api/provider", environment, folder)
        if providers is None:
            return None
        integrations = _ask(program, "/api/integration", environment, folder) or []
        connected = [each for each in integrations if each.get("connections")]
        keyless = by_variable.intersection(_ids(integrations)).difference(_ids(connected))
        now = Known(frozenset(_ids(providers)), keyless)
        # Twice, because a server that still loads may know of the provider before it knows of the key.
        if expected <= now.providers or before & keyless or time.monotonic() > deadline:
            return now
        before = keyless
        time.sleep(_PAUSE)


def _ids(entries: list[Mapping[str, object]]) -> list[str]:
    return [str(each.get("id")) for each in entries]


def _ask(
    program: str, path: str, environment: Mapping[str, str], folder: str
) -> list[Mapping[str, object]] | None:
    try:
        done = subprocess.run(  # noqa: S603 - opencode itself
            versions.command_line(program, ["api", "get", path], environment),
            env=dict(environment), cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, timeout=_PATIENCE, check=True,
        )  # fmt: skip
        answer = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    entries = answer.get("data") if isinstance(answer, dict) else answer
    return [mapping(each) for each in entries] if isinstance(entries, list) else None


def _lives(pid: int) -> bool:
    if os.name == "nt":
        from opencode_litellm import windows  # there alone

        return windows.lives(pid)
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True  # another user's process
    return True
