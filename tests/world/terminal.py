"""A separate terminal, in tmux, for programs that a person looks at."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import time
import uuid
from typing import TYPE_CHECKING

from . import tools

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path


class Terminal:
    """A program in a terminal, for the time of a ``with`` block."""

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        folder: Path | str | None = None,
        *,
        columns: int = 120,
        rows: int = 40,
    ) -> None:
        # A separate tmux server: nobody else gets its environment, and it ends with its only session.
        self._tmux = [
            str(tools.program("tmux")),
            "-L",
            f"opencode-litellm-{uuid.uuid4().hex}",
            "-f",
            "/dev/null",
        ]
        settings = [f"{name}={value}" for name, value in environment.items()]
        inner = shlex.join(["env", "-i", *settings, *command])
        self._start = ["new-session", "-d", "-x", str(columns), "-y", str(rows), inner]
        self._folder = folder or environment["HOME"]

    def __enter__(self) -> Terminal:
        self._do("set-option", "-g", "remain-on-exit", "on", ";", *self._start, start=True)
        self._server = int(self._do("display-message", "-p", "#{pid}"))
        return self

    def __exit__(self, *_: object) -> None:
        self._do("kill-server", check=False)

    def type(self, text: str) -> None:
        """Type characters as they are."""
        self._do("send-keys", "-l", "--", text)

    def press(self, *keys: str) -> None:
        """Press keys by tmux's names: ``Enter``, ``Escape``, ``Down``, ``C-x``, ``C-c``."""
        self._do("send-keys", *keys)

    def screen(self) -> str:
        """Return the text on the screen, without trailing spaces."""
        return "\n".join(line.rstrip() for line in self._do("capture-pane", "-p").splitlines()).rstrip()

    def coloured(self) -> str:
        """Return the text on the screen with escape sequences for its colours."""
        return self._do("capture-pane", "-p", "-e")

    def wait_for(self, text: str, *, seconds: float = 30) -> str:
        """Return the screen once it shows ``text``; fail with the screen if it does not in time."""
        return self.wait_until(lambda screen: text in screen, seconds=seconds)

    def wait_until(self, condition: Callable[[str], bool], *, seconds: float = 30) -> str:
        """Return the screen once it is as it should be; fail with the screen if it is not in time."""
        deadline = time.monotonic() + seconds
        while not condition(screen := self.screen()):
            assert time.monotonic() < deadline, f"after {seconds} s the screen still is:\n{screen}"
            time.sleep(0.1)
            # tmux 3.3 misses the end of one program in twenty on a busy machine, and never says that the pane is dead.
            os.kill(self._server, signal.SIGCHLD)
        return screen

    def _do(self, *command: str, check: bool = True, start: bool = False) -> str:
        done = subprocess.run(
            [*self._tmux, *(["start-server", ";"] if start else []), *command],
            cwd=self._folder,
            capture_output=True,
            text=True,
            check=check,
        )
        return done.stdout
