"""A small log for what nobody would see: our own faults, and problems of a detached refresh."""

from __future__ import annotations

import os
import stat
import time

from opencode_litellm import __version__, terminal, variables

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

LARGEST = 64 * 2**10  # bytes; the file before it is kept as log.1


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
        # Without waiting for whoever might read from a pipe that stands there.
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_NONBLOCK", 0)
        with open(os.open(path, flags, 0o600), "a", encoding="utf-8") as file:
            if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                file.write(lines)
    except OSError:
        return


def fault(environment: Mapping[str, str], error: BaseException) -> str:
    """Log a fault of our own with its traceback, and return a message of one line about it."""
    import traceback  # 15 ms that only a fault pays

    # Only where it happened: the message of an exception may hold a key.
    frames = "".join(traceback.format_tb(error.__traceback__))
    write(environment, f"{type(error).__name__}\n{frames}")
    place = os.path.join(variables.state_folder(environment), "log")
    return f"internal error ({type(error).__name__}): please report it with the details in {place}"
