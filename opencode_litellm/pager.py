"""A pager for output that is longer than the terminal, chosen and started as git does."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

from opencode_litellm import terminal

if TYPE_CHECKING:
    from collections.abc import Mapping

# git 2.47: LESS=FRX and LV=-c, unless they are set. R lets colours through.
_DEFAULTS = {"LESS": "FRX", "LV": "-c"}
# Keeps cmd.exe from taking the pager from the working folder.
_ELSEWHERE = {"NoDefaultCurrentDirectoryInExePath": "1"} if sys.platform == "win32" else {}
_NOT_STARTED = (126, 127)  # exit statuses of a shell that cannot start a program


def show(text: str, environment: Mapping[str, str]) -> None:
    """Print ``text``, through ``PAGER`` (default: less) if standard output is a terminal with too few lines for it.

    As in git, an empty ``PAGER`` or ``cat`` means none; without the program, the text is printed.
    """
    command = environment.get("PAGER", _default()).strip()
    if command in ("", "cat") or not _is_too_long(text, environment) or not _paged(text, command, environment):
        terminal.emit(text)


def _default() -> str:
    """Return the default pager: less if it is there, but none on Windows, where `which` finds the working folder's."""
    return "less" if sys.platform != "win32" and shutil.which("less") else ""


def _is_too_long(text: str, environment: Mapping[str, str]) -> bool:
    if sys.stdout is None or not sys.stdout.isatty() or environment.get("TERM") == "dumb":
        return False
    return text.count("\n") >= terminal.size().lines


def _paged(text: str, command: str, environment: Mapping[str, str]) -> bool:
    """Return whether the pager could be started."""
    try:
        # Through the shell, as git does: it may have options, or be a pipeline.
        process = subprocess.Popen(  # noqa: S602 - the user's own command
            command, shell=True, env={**_DEFAULTS, **environment, **_ELSEWHERE}, stdin=subprocess.PIPE
        )
    except OSError:
        return False
    # Ctrl-C is for the pager, in which it ends a search.
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        process.communicate(text.encode(sys.stdout.encoding or "utf-8", "backslashreplace"))
    finally:
        signal.signal(signal.SIGINT, handler)
    return process.returncode not in _NOT_STARTED
