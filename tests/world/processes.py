"""Processes that end together, however their starter ends."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

_GRACE = 5  # seconds between asking a group to end and ending it


@contextmanager
def process_group(
    command: Sequence[str],
    environment: Mapping[str, str],
    folder: Path | str,
    *,
    stdin: IO[bytes] | int = subprocess.DEVNULL,
    stdout: IO[bytes] | int,
    stderr: IO[bytes] | int,
) -> Iterator[subprocess.Popen[bytes]]:
    """Start a program in a process group of its own, which ends at the end of the block.

    Ctrl-C at the terminal does not reach the group, so that it ends only once, in our order.
    """
    process = subprocess.Popen(
        command,
        env=environment,
        cwd=folder,
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        ended(process)


class Group(Protocol):
    """The first process of a group, whose id is that of the group."""

    pid: int

    def wait(self, timeout: float | None = None) -> int: ...

    def poll(self) -> int | None: ...


def ended(process: Group) -> None:
    """End what is left of a group, and wait for its first process."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if not _tell(process, number):
            break
        deadline = time.monotonic() + _GRACE
        while _tell(process, 0) and time.monotonic() < deadline:
            process.poll()
            time.sleep(0.02)
    process.wait()


def _tell(process: Group, number: int) -> bool:
    """Send a signal to what is left of the group; 0 only asks whether anything is."""
    try:
        os.killpg(process.pid, number)
    except (ProcessLookupError, PermissionError):  # macOS says the second of a group of zombies
        return False
    return True
