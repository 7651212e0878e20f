"""A small log of our own faults, and of launches that were not just like the last one.

A launch that finds nothing new writes nothing: it would have to wait for the disk.
"""

from __future__ import annotations

import os
import stat
import time

from opencode_litellm import __version__, terminal, variables

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

LARGEST = 64 * 2**10  # bytes; a larger file becomes log.1

# What an entry is about, its first word. A fault is followed by lines of its traceback.
LAUNCH, REFRESH, FAULT = "launch", "refresh", "fault"


def write(environment: Mapping[str, str], text: str) -> None:
    """Add lines to the log if possible, without control characters: a proxy's text could steer a terminal."""
    folder = variables.state_folder(environment)
    path = os.path.join(folder, "log")
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    lines = "".join(f"{stamp} {__version__} {terminal.plain(line)}\n" for line in text.splitlines())
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        if os.path.exists(path) and os.path.getsize(path) > LARGEST:
            os.replace(path, f"{path}.1")
        # Do not wait for a reader, if somebody put a pipe there.
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_NONBLOCK", 0)
        with open(os.open(path, flags, 0o600), "a", encoding="utf-8") as file:
            if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                file.write(lines)
    except OSError:
        return


def tell(environment: Mapping[str, str], kind: str, folder: str, text: str) -> None:
    """Add an entry of one line: the result of a launch from ``folder``, or of a refresh for such launches."""
    write(environment, f"{kind}: {terminal.plain(f'{folder}: {text}')}")


def last(environment: Mapping[str, str], count: int) -> list[tuple[str, str, str]]:
    """Return the last entries, the newest first: the time in UTC (``2026-11-23T19:01:00Z``), the kind and the text."""
    entries = []
    for line in f"{_content(environment, 'log.1')}{_content(environment, 'log')}".splitlines():
        stamp, _, rest = line.partition(" ")
        kind, colon, text = rest.partition(" ")[2].partition(": ")
        if colon and kind in (LAUNCH, REFRESH, FAULT):
            entries.append((stamp, kind, text))
    return entries[: -count - 1 : -1]


def _content(environment: Mapping[str, str], name: str) -> str:
    """Return the end of a file of the log; empty if it does not exist or is not a regular file."""
    path = os.path.join(variables.state_folder(environment), name)
    try:
        with open(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)), "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                return ""
            file.seek(max(0, status.st_size - 2 * LARGEST))
            return file.read(2 * LARGEST).decode("utf-8", "replace")
    except OSError:
        return ""


def fault(environment: Mapping[str, str], error: BaseException) -> str:
    """Log a fault of our own with its traceback, and return a message of one line about it."""
    import traceback  # 15 ms, only after a fault

    # Only where it happened: the message of an exception may hold a key.
    frames = "".join(traceback.format_tb(error.__traceback__))
    write(environment, f"{FAULT}: {type(error).__name__}\n{frames}")
    path = os.path.join(variables.state_folder(environment), "log")
    return f"internal error ({type(error).__name__}): please report it with the details in {path}"
