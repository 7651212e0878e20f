"""A file put in the place of another: whole or not at all."""

from __future__ import annotations

import errno
import os
import shutil
import time
from contextlib import suppress


def replace(path: str, content: bytes, mode: int) -> None:
    """Write a file beside ``path`` and put it in its place: through symbolic links, with the owner and mode it had.

    ``mode`` is that of a new file, as far as the umask lets it. Raises OSError, and then all is as it was.
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
    status = os.stat(original)
    if hasattr(os, "chown"):
        os.chown(copy, status.st_uid, status.st_gid)
    shutil.copystat(original, copy)
    os.utime(copy)
