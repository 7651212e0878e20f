"""A separate loopback, in which every port is free: nobody else's server answers, and nobody sees ours."""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from .tools import ToolMissing

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_CLONE_NEWNET = 0x40000000  # Linux: sched.h
_SIOCSIFFLAGS = 0x8914
_IFF_UP = 1


@contextmanager
def own_loopback(ports: Iterable[int]) -> Iterator[None]:
    """Put this thread, and every process and thread that it starts, into a network with nothing but loopback.

    Without permission for that, it stays on the machine's: ``ports`` have to be free there, and only one test at a time
    uses them.
    """
    system = ctypes.CDLL(None, use_errno=True)
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY) if sys.platform == "linux" else -1
    if before < 0 or system.unshare(_CLONE_NEWNET):
        with Path(tempfile.gettempdir(), "opencode-litellm-ports.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            for port in ports:
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        raise ToolMissing(f"port {port} is in use here, and a network of one's own needs root")
            yield
        return
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
            fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", _IFF_UP))
        yield
    finally:
        system.setns(before, _CLONE_NEWNET)
        os.close(before)
