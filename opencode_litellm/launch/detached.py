"""A refresh in the background: a process of its own, without a terminal, pipe or parent, that no launch waits for."""

from __future__ import annotations

import os
import sys

from opencode_litellm import cache
from opencode_litellm.errors import Failure
from opencode_litellm.launch.record import Circumstances
from opencode_litellm.litellm import trust

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

# Variables whose paths may be relative to the working folder. Those of opencode's configuration are resolved against
# the folder of the launch.
_PATHS = ("XDG_DATA_HOME", "XDG_STATE_HOME", *trust.CERTIFICATE_VARIABLES)

LIFE = 120  # seconds after which the process ends itself, even if something hangs

# With -c, Python looks for modules in the working folder first, which may be anybody's project.
_PROGRAM = """
import sys
sys.path[:] = [path for path in sys.path if path] + [sys.argv[1]]
from opencode_litellm.__main__ import put_the_standard_library_first
put_the_standard_library_first()
from opencode_litellm.launch import detached
detached.refresh(*sys.argv[2:])
"""


def start(circumstances: Circumstances) -> None:
    """Refresh the record of such launches in the background, one process at a time."""
    environment, claim = circumstances.environment, cache.CLAIM.name(circumstances.fingerprint)
    if not sys.executable or not cache.claim(environment, claim, LIFE):
        return
    home = os.path.abspath(os.path.join(__file__, *[os.pardir] * 3))
    command = [sys.executable, "-c", _PROGRAM, home, circumstances.folder, circumstances.recipient]
    command.append(circumstances.fingerprint)
    try:
        if hasattr(os, "fork"):
            _fork(command, environment)
        else:
            _spawn_on_windows(command, environment)
    except OSError:
        cache.remove(environment, claim)  # the next launch tries again


def _fork(command: list[str], environment: Mapping[str, str]) -> None:
    child = os.fork()
    if child:
        try:
            os.waitpid(child, 0)
        except ChildProcessError:
            return  # SIGCHLD is ignored, so the system has waited already
        return
    # The first child ends at once, so that the second one belongs to init and never becomes opencode's zombie.
    try:
        os.setsid()
        if os.fork() == 0:
            null = os.open(os.devnull, os.O_RDWR)
            for descriptor in (0, 1, 2):
                os.dup2(null, descriptor)
            most = os.sysconf("SC_OPEN_MAX")
            os.closerange(3, min(most, 2**16) if most > 0 else 2**16)
            os.execve(command[0], command, environment)  # noqa: S606 - our own interpreter
    finally:
        os._exit(0)


def _spawn_on_windows(command: list[str], environment: Mapping[str, str]) -> None:
    import subprocess

    # Windows does not let anybody remove a working folder, so the process keeps it only for paths relative to it.
    named = [environment.get(name) or "" for name in _PATHS]
    stays = any(path and not os.path.isabs(path) for path in named)
    subprocess.Popen(  # noqa: S603 - our own interpreter
        command,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=None if stays else os.path.dirname(command[0]),
        # CREATE_NO_WINDOW, CREATE_NEW_PROCESS_GROUP. Without any console, as with DETACHED_PROCESS, the Python that a
        # virtual environment's python.exe starts would open a window of its own.
        creationflags=0x08000000 | 0x00000200,
    )


def refresh(folder: str, recipient: str, fingerprint: str) -> None:
    """Refresh, in the background process, the record of launches with these circumstances. Never raises."""
    from opencode_litellm import log

    environment = os.environ
    try:
        _limit_resources()
        from opencode_litellm.launch import cold
        from opencode_litellm.shells import installation

        # After an upgrade, startup files still read the old version's snippets.
        installation.renew_snippets(environment)
        cold.refresh_in_background(
            Circumstances(environment=environment, folder=folder, recipient=recipient, fingerprint=fingerprint)
        )
    except Failure as failure:
        log.tell(environment, log.REFRESH, folder, str(failure))
    except BaseException as error:  # noqa: BLE001 - there is no caller to raise to, only the log
        log.fault(environment, error)
    finally:
        cache.remove(environment, cache.CLAIM.name(fingerprint))


def _limit_resources() -> None:
    """End after ``LIFE`` even if something hangs, and leave the processor to the program that is starting."""
    if os.name == "nt":
        import threading

        last = threading.Timer(LIFE, os._exit, [1])
        last.daemon = True
        last.start()
        return
    import signal  # a millisecond that no launch waits for

    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(LIFE)
    os.nice(5)
