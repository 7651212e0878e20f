"""``make demo``: what a newcomer sees first, and that it cleans up after itself."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.error import URLError
from urllib.request import urlopen

import pytest
from demo import SHOWN
from world import tools

from opencode_litellm.shells.formats import SHELLS

if TYPE_CHECKING:
    from collections.abc import Iterator

DEMO = Path(__file__).with_name("demo.py")


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Return the demo, running; its temporary home is the only folder in ``tmp_path``."""
    tools.installed(tools.LITELLM)
    tools.installed(tools.OPENCODE)
    with subprocess.Popen(
        [sys.executable, DEMO], env={**os.environ, "TMPDIR": str(tmp_path)}, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process
        process.kill()


def printed_until(process: subprocess.Popen[str], text: str) -> str:
    """Return the line that has ``text``, as soon as it is printed."""
    assert process.stdout
    return next(line for line in process.stdout if text in line)


def test_it_lists_the_models_and_every_shell_that_is_here_gets_an_answer(
    demo: subprocess.Popen[str], tmp_path: Path
) -> None:
    here = []
    for shell in SHOWN:
        try:
            tools.program(shell.name)
        except tools.ToolMissing:
            continue
        here.append(shell.name)
    output, _ = demo.communicate(timeout=300)
    lines = output.splitlines()
    assert demo.returncode == 0, output
    assert [line.removeprefix("$ ") for line in lines if line.removeprefix("$ ") in SHELLS] == here
    page = (tools.PROJECT / "docs/demo.md").read_text().splitlines()
    promised = [line.strip() for line in page if line.startswith("    litellm/")]
    assert [line for line in lines if line.startswith("litellm/")] == promised
    assert lines.count("hello") == len(here)
    assert lines[-1] == f"It works in {', '.join(here)}. Everything that was started is stopped."
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_demo_leaves_nothing_behind(demo: subprocess.Popen[str], tmp_path: Path) -> None:
    proxy = printed_until(demo, "LiteLLM serves").split()[-1]
    printed_until(demo, "$ opencode models")
    demo.send_signal(signal.SIGINT)
    demo.send_signal(signal.SIGINT)
    demo.communicate(timeout=60)
    assert demo.returncode == 128 + signal.SIGINT
    with pytest.raises(URLError, match="refused"):
        urlopen(proxy, timeout=5)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_demo_that_is_ended_while_it_starts_leaves_nothing_behind(
    demo: subprocess.Popen[str], tmp_path: Path, number: signal.Signals
) -> None:
    printed_until(demo, "Starting LiteLLM")
    demo.send_signal(number)
    demo.communicate(timeout=60)
    assert demo.returncode == 128 + number
    assert list(tmp_path.iterdir()) == []
