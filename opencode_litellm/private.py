"""Files of our own: private, written completely or not at all, and never read if anybody else could have written them.

Nothing here raises for a folder that is missing, full, read-only or somebody else's.
"""

from __future__ import annotations

import os
import stat
import time

TEMPORARY = ".tmp"  # ends the names of files that are being written

_GROUP_OR_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
_LARGEST = 512 * 2**20  # bytes


def is_ours(status: os.stat_result) -> bool:
    """Return whether only we could have written a file or folder."""
    if not hasattr(os, "getuid"):
        return True
    return status.st_uid == os.getuid() and not status.st_mode & _GROUP_OR_OTHERS_WRITE


def read(path: str, *, shared: bool = False) -> bytes | None:
    """Return the content of a file in our folders; None if it is absent, unreadable or could be somebody else's.

    A ``shared`` file may be somebody else's.
    """
    try:
        if not shared and not is_ours(os.stat(os.path.dirname(path))):
            return None
        # Do not follow a link that somebody put there, nor wait for a pipe.
        flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
        descriptor = os.open(path, flags)
        with open(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode) or status.st_size > _LARGEST or not (shared or is_ours(status)):
                return None
            return file.read()
    except OSError:
        return None


def write(path: str, content: bytes) -> str | None:
    """Write a file of mode 0600 under a temporary name, rename it, and return ``path``; None when that fails.

    Whatever is at ``path`` is replaced; a link is not followed.
    """
    temporary = f"{path}.{os.getpid()}-{time.monotonic_ns()}{TEMPORARY}"
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with open(descriptor, "wb") as file:
                file.write(content)
            os.replace(temporary, path)
        except OSError:
            os.unlink(temporary)
            raise
    except OSError:
        return None
    return path


def make_folder(folder: str) -> bool:
    """Create a folder, private, and return whether it exists and only we can write to it."""
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        return is_ours(os.stat(folder))
    except OSError:
        return False
