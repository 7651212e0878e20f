"""Replacing a file of the user's: completely or not at all, with the owner and mode that it had."""

from __future__ import annotations

import errno
import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class OwnerLost(OSError):
    """The new file could not be given the owner or group of the old one."""


def replace(path: str, content: bytes, mode: int, *, still: Callable[[], bool] | None = None) -> bool:
    """Replace the file at ``path``, or the one that it links to, by a new one with the same owner and mode.

    ``mode`` is for a file that does not exist yet, and subject to the umask. ``still`` is asked at the last moment
    whether the file is still as the caller has seen it; if not, return False. Raises OSError, or OwnerLost if only the
    owner or the group prevents it. In all these cases the old file is unchanged.
    """
    target = os.path.realpath(path)
    if os.path.islink(target):
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
    exists = os.path.exists(target)
    folder, name = os.path.split(target)
    temporary = os.path.join(folder, f".{name}.{os.getpid()}-{time.monotonic_ns()}.tmp")
    try:
        private = 0o600 if exists else mode
        with open(temporary, "xb", opener=lambda file, flags: os.open(file, flags, private)) as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if exists:
            _resemble(temporary, target)
        if still is not None and not still():
            return False
        os.replace(temporary, target)
        return True
    finally:
        with suppress(OSError):
            os.unlink(temporary)


def _resemble(copy: str, original: str) -> None:
    import shutil  # 4 ms, for a file that is there already

    status, made = os.stat(original), os.stat(copy)
    if hasattr(os, "chown") and (status.st_uid, status.st_gid) != (made.st_uid, made.st_gid):
        try:
            os.chown(copy, status.st_uid, status.st_gid)
        except OSError as error:
            whose = "another user" if status.st_uid != made.st_uid else f"a group that you are not in, {status.st_gid}"
            raise OwnerLost(error.errno, f"it belongs to {whose}", original) from error
    shutil.copystat(original, copy)
    os.utime(copy)
