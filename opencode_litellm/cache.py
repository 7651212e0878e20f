"""Our files between launches: their names, how long they are kept, and whose turn it is to write one.

Nothing here raises for a folder that is missing, full, read-only or somebody else's: without a cache everything
still works, only slower.
"""

from __future__ import annotations

import os
import sys
import time

from opencode_litellm import private, variables

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

WEEK = 7 * 24 * 3600.0  # seconds that models may be used while the proxy is away
MONTH = 30 * 24 * 3600.0  # seconds that an unused file is kept

_DIGEST = "[0-9a-f]{32}"


class Kind:
    """A kind of file: how its names ``begin`` and ``end``, and a regular expression for what is in the middle."""

    __slots__ = ("begin", "end", "middle")

    def __init__(self, begin: str, end: str = "", middle: str = _DIGEST) -> None:
        self.begin, self.end, self.middle = begin, end, middle

    def name(self, middle: str) -> str:
        """Return the name of one file of this kind."""
        return f"{self.begin}-{middle}{self.end}"


# Every kind of file that there is: `uninstall` and `sweep` remove these, and nothing else.
KINDS = (
    RECORD := Kind("launch"),
    TURN := Kind("turn"),  # the lock of a launch that replaces a record, asks a proxy or writes the slot
    CLAIM := Kind("refresh"),  # the claim of a detached process that refreshes a record
    PAYLOAD := Kind("payload", ".json"),
    HEAD := Kind("head", ".json"),
    ANSWERS := Kind("answers", ".json"),
    REFUSAL := Kind("refused"),  # that a proxy has just refused a key
    PROBE := Kind("probe"),
    VERSION := Kind("version"),  # a program's answer to --version
)
SHARED = "opencode2.json"  # the payload for opencode 2's server, under a name that its settings may hold


def digest(parts: Iterable[str]) -> str:
    """Return a name of 32 hexadecimal digits for ``parts``, which does not reveal them."""
    try:
        from _blake2 import blake2b  # hashlib loads OpenSSL first, 2.5 ms
    except ImportError:
        from hashlib import blake2b
    text = "\0".join(parts)
    return blake2b(text.encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()


def is_name(name: str) -> bool:
    """Return whether a file of one of the kinds has this name, or had it while it was being written."""
    import re  # never needed by a launch

    kinds = "|".join(f"{kind.begin}-{kind.middle}{re.escape(kind.end)}" for kind in KINDS)
    temporary = rf"\.[0-9]+-[0-9]+{re.escape(private.TEMPORARY)}"
    return re.fullmatch(rf"({kinds}|{re.escape(SHARED)})({temporary})?", name) is not None


def path(environment: Mapping[str, str], name: str) -> str:
    """Return where the file ``name`` is or would be."""
    return os.path.join(variables.cache_folder(environment), name)


def read(environment: Mapping[str, str], name: str) -> bytes | None:
    """Return the content of a file in the cache, as ``private.read`` does."""
    return private.read(path(environment, name))


def write(environment: Mapping[str, str], name: str, content: bytes) -> str | None:
    """Write a file in the cache and return its path, as ``private.write`` does."""
    return private.write(path(environment, name), content) if make_folder(environment) else None


def is_writable(environment: Mapping[str, str], size: int) -> bool:
    """Return whether a file of ``size`` bytes can be kept here, by trying it."""
    name = PROBE.name(digest([]))
    written = write(environment, name, bytes(size)) is not None
    remove(environment, name)
    return written


def make_folder(environment: Mapping[str, str]) -> bool:
    """Create the cache folder, as ``private.make_folder`` does."""
    return private.make_folder(variables.cache_folder(environment))


def remove(environment: Mapping[str, str], name: str) -> None:
    """Remove a file, if it is there and can be."""
    try:
        os.unlink(path(environment, name))
    except OSError:
        return


def mark_used(environment: Mapping[str, str], name: str) -> None:
    """Set a file's time of access, which ``sweep`` looks at, to now, if possible; its modification time stays."""
    file = path(environment, name)
    try:
        os.utime(file, ns=(time.time_ns(), os.stat(file).st_mtime_ns))
    except OSError:
        return


def set_time(environment: Mapping[str, str], name: str, seconds: float) -> None:
    """Set the times of a file to ``seconds`` (``time.time``), if possible."""
    try:
        os.utime(path(environment, name), (seconds, seconds))
    except OSError:
        return


def claim(environment: Mapping[str, str], name: str, seconds: float) -> bool:
    """Claim a task for this process; False if another process has it, or if no claim can be written.

    A claim ends when its file is removed, and by itself after ``seconds``, so that a killed process blocks nobody.
    """
    file = path(environment, name)
    try:
        if 0 <= time.time() - os.stat(file).st_mtime < seconds:
            return False
        os.unlink(file)
    except FileNotFoundError:
        pass  # the usual case
    except OSError:
        return False
    try:
        os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except OSError:
        return False
    set_time(environment, name, time.time())  # by our clock, which may differ from a file server's
    return True


def take_turn(environment: Mapping[str, str], name: str, seconds: float) -> int | None:
    """Take a lock that ends with the process, and return its descriptor, to be closed.

    If another process has it, wait until that is done, at most ``seconds``, and return None without the lock: if that
    process failed, the ones that waited must not queue up as well. Also None if files cannot be locked here.
    """
    if not make_folder(environment):
        return None
    try:
        descriptor = os.open(path(environment, name), os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600)
    except OSError:
        return None
    deadline = time.monotonic() + seconds
    waited = False
    while not (locked := _lock(descriptor)):
        waited = True
        if locked is None or time.monotonic() > deadline:
            break
        time.sleep(0.02)
    if not waited:
        return descriptor
    os.close(descriptor)
    return None


def _lock(descriptor: int) -> bool | None:
    """Lock a file and return True; False when another process has it, None when that is not possible at all."""
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError:
        return None
    return True


def count(environment: Mapping[str, str], kind: Kind) -> int:
    """Return how many files of a kind there are."""
    try:
        names = os.listdir(variables.cache_folder(environment))
    except OSError:
        return 0
    return sum(is_name(name) and name.startswith(f"{kind.begin}-") for name in names)


def sweep(environment: Mapping[str, str]) -> None:
    """Remove files of ours that were not used for 30 days, and temporary ones that a killed process left an hour ago.

    Other files that somebody put there stay.
    """
    folder = variables.cache_folder(environment)
    now = time.time()
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return
    for entry in entries:
        if not is_name(entry.name):
            continue
        try:
            status = entry.stat(follow_symlinks=False)
        except OSError:
            continue
        age = now - max(status.st_mtime, status.st_atime)
        longest = 3600 if entry.name.endswith(private.TEMPORARY) else MONTH
        if age > longest and not entry.is_dir(follow_symlinks=False):
            remove(environment, entry.name)
