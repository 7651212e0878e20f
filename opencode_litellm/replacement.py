"""A file put in the place of another: whole or not at all."""

from __future__ import annotations

import errno
import os
import shutil
import time
from contextlib import suppress


class OwnerLost(OSError):
    """A new file in the place of the old one could not have its owner or group."""


def replace(path: str, content: bytes, mode: int) -> None:
    """Write a file beside ``path`` and put it in its place: through symbolic links, with the owner and mode it had.

    ``mode`` is that of a new file, as far as the umask lets it. Raises OSError, or OwnerLost where only the owner or
    the group stands in the way; then all is as it was.
    """
    target = os.path.realpath(path)
    if os.path.islink(target):
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
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
        os.replace(temporary, target)
    finally:
        with suppress(OSError):
            os.unlink(temporary)


def _resemble(copy: str, original: str) -> None:
    status, made = os.stat(original), os.stat(copy)
    if hasattr(os, "chown") and (status.st_uid, status.st_gid) != (made.st_uid, made.st_gid):
        try:
            os.chown(copy, status.st_uid, status.st_gid)
        except OSError as error:
            whose = "another user" if status.st_uid != made.st_uid else f"a group that you are not in, {status.st_gid}"
            raise OwnerLost(error.errno, f"it belongs to {whose}") from error
    shutil.copystat(original, copy)
    os.utime(copy)
