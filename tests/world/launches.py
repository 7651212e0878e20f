"""Launches of a program that prints what opencode would be given, and what they leave in a home."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .opencode import run

if TYPE_CHECKING:
    from collections.abc import Mapping

# Runs instead of opencode: it prints the payload, from wherever it was delivered.
SHOW = (
    'case "$OPENCODE_CONFIG_CONTENT" in *opencode-litellm*) printf %s "$OPENCODE_CONFIG_CONTENT";;'
    ' *) if [ -f "$OPENCODE_CONFIG" ]; then cat "$OPENCODE_CONFIG"; fi;; esac; exit 7'
)

# Makes the interpreter's clock wrong by so many seconds: loaded from PYTHONPATH before anything of ours.
_CLOCK = """
import os, time
_time, _time_ns, _offset = time.time, time.time_ns, int(os.environ["CLOCK_OFFSET"])
time.time = lambda: _time() + _offset
time.time_ns = lambda: _time_ns() + _offset * 10**9
"""


@dataclass(frozen=True)
class Launch:
    """What a launch gave its program: ``payload`` is None for plain opencode."""

    payload: dict[str, Any] | None
    stderr: str
    seconds: float

    @property
    def models(self) -> list[str] | None:
        """The ids of provider litellm, None for plain opencode."""
        return None if self.payload is None else list(self.payload["provider"]["litellm"]["models"])

    @property
    def lines(self) -> list[str]:
        """The lines on standard error."""
        return self.stderr.splitlines()


def launch(home: Mapping[str, str], folder: Path | str | None = None, **environment: str) -> Launch:
    """Launch once, and check that the program started and that its exit status was passed on."""
    began = time.monotonic()
    finished = run(["opencode-litellm", "exec", "--", "sh", "-c", SHOW], {**home, **environment}, folder)
    seconds = time.monotonic() - began
    assert finished.status == 7, finished
    assert "Traceback" not in finished.stderr
    assert "internal error" not in finished.stderr
    return Launch(json.loads(finished.stdout) if finished.stdout else None, finished.stderr, seconds)


def cache(home: Mapping[str, str]) -> Path:
    """Return our folder in the home's cache."""
    return Path(home["XDG_CACHE_HOME"], "opencode-litellm")


def settle(home: Mapping[str, str], seconds: float = 20) -> None:
    """Wait until no detached process works for this home."""
    deadline = time.monotonic() + seconds
    while list(cache(home).glob("refresh-*")):
        assert time.monotonic() < deadline, "a detached process is still at work"
        time.sleep(0.05)


def with_clock(home: Mapping[str, str], offset: float) -> dict[str, str]:
    """Return the environment of a home in which the clock is ``offset`` seconds off."""
    folder = Path(home["HOME"], "clock")
    folder.mkdir(exist_ok=True)
    (folder / "sitecustomize.py").write_text(_CLOCK)
    return {**home, "PYTHONPATH": str(folder), "CLOCK_OFFSET": str(int(offset))}
