"""Our commands without the start of Python: a process that has loaded everything is forked for each command.

Each command then costs 10 ms of processor time instead of 160. A test of the start itself, such as of what is imported
when, needs a real one: ``sh -c`` in front is enough.
"""

from __future__ import annotations

import atexit
import functools
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

from . import tools
from .processes import ended

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

# Variables that Python and the C library read only when they start.
_READ_AT_START = ("PYTHON", "LC_", "LD_", "TZ")
_LANG = "C.UTF-8"
# Linux: the network of the calling thread, which may have a loopback of its own; the command is moved there.
_NETWORK = "/proc/thread-self/ns/net"

# The server forks for each connection, and that process forks for the command, so that many can run at once. A command
# that only has its memory left to free exits at once, because it shares most of that with the server. Any other one
# ends as the console script does, by SystemExit at the very end of the script.
_SERVER = """
import atexit, ctypes, gc, json, os, select, signal, socket, sys, threading
import opencode_litellm.cli, opencode_litellm.doctor, opencode_litellm.listing
import opencode_litellm.launch.warm, opencode_litellm.launch.cold, opencode_litellm.launch.credentials
import opencode_litellm.launch.restriction, opencode_litellm.litellm.question, opencode_litellm.shells.emission
import difflib, jinja2, requests
from opencode_litellm import __main__, rendering
from opencode_litellm.opencode.payload import Payload

rendering.payload(Payload(()))  # compiles the template

def received(connection):
    message, files, _, _ = socket.recv_fds(connection, 1 << 20, 4)
    while not message.endswith(b"\\n"):
        message += connection.recv(1 << 20)
    return json.loads(message), files

def order():
    listening = socket.socket(fileno=int(sys.argv[1]))
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        ready, _, _ = select.select([listening, 0], [], [])
        if 0 in ready:
            os._exit(0)
        connection, _ = listening.accept()
        if os.fork():
            connection.close()
            continue
        listening.close()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        ordered, files = received(connection)
        child = os.fork()
        if not child:
            connection.close()
            os.setsid()
            for number, file in enumerate(files[:3]):
                os.dup2(file, number)
            for file in files[3:]:
                ctypes.CDLL(None).setns(file, 0)
            for file in files:
                os.close(file)
            return ordered
        for file in files:
            os.close(file)
        connection.sendall(b"%d\\n" % child)
        connection.sendall(b"%d\\n" % os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        os._exit(0)

gc.freeze()
ordered = order()
os.environ.clear()
os.environ.update(ordered["environment"])
os.chdir(ordered["folder"])
sys.argv = ordered["command"]
sys.path[0] = os.path.dirname(os.path.realpath(sys.argv[0]))
status = __main__.main() if os.path.basename(sys.argv[0]) == "opencode-litellm" else __main__.opencode()
if threading.active_count() == 1:
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except (AttributeError, OSError, ValueError):
        sys.exit(status)
    atexit._run_exitfuncs()
    os._exit(status)
sys.exit(status)
"""


class Copy:
    """A running command, with ``pid``, ``wait`` and ``poll`` as in ``subprocess.Popen``."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._lines = connection.makefile("r")
        self.pid = int(self._lines.readline())
        self._status: int | None = None

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit status, or raise ``subprocess.TimeoutExpired``."""
        if self._status is None:
            self._connection.settimeout(timeout)
            try:
                self._status = int(self._lines.readline())
            except TimeoutError as error:
                raise subprocess.TimeoutExpired("a command of ours", timeout or 0) from error
        return self._status

    def poll(self) -> int | None:
        """Do nothing: the caller waits for the command."""
        return self._status

    def close(self) -> None:
        """Close the connection to the server."""
        self._lines.close()
        self._connection.close()


def path_of(command: Sequence[str], environment: Mapping[str, str]) -> str | None:
    """Return the path of ``command``, if it is one of our console scripts and its copy would behave like it."""
    name = command[0]
    if name not in tools.CONSOLE_SCRIPTS or environment.get("LANG") != _LANG:
        return None
    if any(variable.startswith(_READ_AT_START) for variable in environment):
        return None
    path = shutil.which(name, path=environment.get("PATH"))
    return path if path and os.path.realpath(path) == str(tools.SCRIPTS / name) else None


@contextmanager
def copied(
    command: Sequence[str],
    environment: Mapping[str, str],
    folder: Path | str,
    *,
    stdin: IO[bytes],
    stdout: IO[bytes],
    stderr: IO[bytes],
) -> Iterator[Copy]:
    """Run a command of ours in a group of its own, as ``process_group`` does for any program."""
    order = {"environment": dict(environment), "folder": str(folder), "command": list(command)}
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(_server())
        message = json.dumps(order).encode() + b"\n"
        with open(_NETWORK if os.path.exists(_NETWORK) else os.devnull) as network:
            files = [file.fileno() for file in (stdin, stdout, stderr, network)]
            sent = socket.send_fds(connection, [message], files)
        if rest := message[sent:]:  # even nothing cannot be sent to a command that has already ended
            connection.sendall(rest)
        copy = Copy(connection)
        try:
            yield copy
        finally:
            ended(copy)
            copy.close()


@functools.cache
def _server() -> str:
    """Start the process that is forked, which ends with this one; return the path of its socket."""
    folder = tempfile.TemporaryDirectory(prefix="commands-")
    path = str(Path(folder.name, "socket"))
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen(64)
        environment = {"LANG": _LANG, "HOME": folder.name, "PATH": os.environ["PATH"]}
        process = subprocess.Popen(
            [sys.executable, "-c", _SERVER, str(listening.fileno())],
            env=environment,
            cwd="/",
            stdin=subprocess.PIPE,
            pass_fds=[listening.fileno()],
        )
    atexit.register(folder.cleanup)
    atexit.register(process.communicate)
    return path
