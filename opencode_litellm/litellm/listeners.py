"""Who listens on a port of this machine: another user's server could claim to be LiteLLM, to be sent a key."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_TABLES = ("/proc/net/tcp", "/proc/net/tcp6")
_LISTENING = b"0A"  # Linux: include/net/tcp_states.h
_ROOT = 0


def are_trusted(port: int) -> bool:
    """Return whether only this user, or root, who can read everything anyway, could answer at 127.0.0.1.

    Docker's published ports are root's. True if the system does not tell: not on Linux, or if no listener is visible.
    """
    if sys.platform != "linux":
        return True
    return set(_users(port)) <= {_ROOT, os.geteuid()}


def _users(port: int) -> Iterator[int]:
    for table in _TABLES:
        try:
            with open(table, "rb") as file:
                lines = file.read().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            address, _, listened = fields[1].partition(b":")
            if fields[3] == _LISTENING and int(listened, 16) == port and _answers(address):
                yield int(fields[7])


def _answers(address: bytes) -> bool:
    """Return whether a socket bound to ``address`` (hexadecimal, in the processor's byte order) gets 127.0.0.1."""
    return not address.strip(b"0") or address.endswith((b"0100007F", b"7F000001"))
