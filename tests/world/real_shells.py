"""Real shells in their strict modes, and programs for their PATH that record how they were called."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from . import tools

if TYPE_CHECKING:
    from pathlib import Path


def tool(name: str) -> str:
    """Return the path of a program that a test needs; without it the test is skipped, or fails when CI=true."""
    try:
        return str(tools.program(name))
    except tools.ToolMissing as missing:
        if os.environ.get("CI") == "true":
            pytest.fail(f"{missing} (CI has to have it)", pytrace=False)
        pytest.skip(str(missing))


@dataclass(frozen=True)
class RealShell:
    """A shell as a program: how it starts without anybody's rc files, in its strictest mode."""

    name: str
    options: tuple[str, ...]
    command: str = "-c"
    prologue: str = ""
    evaluate: str = 'eval "$(/bin/cat {path})"\n'
    status: str = "$?"

    def run(
        self, script: str, folder: Path, environment: dict[str, str], stdin: bytes = b""
    ) -> subprocess.CompletedProcess[bytes]:
        """Run ``script`` in this shell; ``folder`` is its working directory and its HOME."""
        return subprocess.run(
            [tool(self.name), *self.options, self.command, self.prologue + script],
            env={"HOME": str(folder), "LC_ALL": "C.UTF-8", **environment},
            cwd=folder,
            input=stdin,
            capture_output=True,
            check=False,
            timeout=60,
        )

    def evaluates(self, text: str, folder: Path, name: str = "emitted") -> str:
        """Return the line of an rc file that evaluates ``text`` as our output."""
        path = folder / name
        path.write_bytes(text.encode())
        return self.evaluate.format(path=path)


BASH = RealShell("bash", ("--noprofile", "--norc", "-euo", "pipefail"))
ZSH = RealShell("zsh", ("--no-rcs", "-eu", "-o", "pipefail"))
FISH = RealShell("fish", ("--no-config",), evaluate="/bin/cat {path} | source\n", status="$status")
PWSH = RealShell(
    "pwsh",
    ("-NoProfile", "-NonInteractive"),
    command="-Command",
    prologue="Set-StrictMode -Version latest\n$ErrorActionPreference = 'Stop'\n",
    evaluate="Invoke-Expression (& /bin/cat {path} | Out-String)\n",
    status="$LASTEXITCODE",
)
POSIX = (RealShell("dash", ("-eu",)), RealShell("ksh", ("-eu",)), RealShell("mksh", ("-eu",)))

WITH_SNIPPET = {shell.name: shell for shell in (BASH, ZSH, FISH, PWSH)}


@dataclass(frozen=True)
class Call:
    """One start of a recording program: its name, its arguments and the bytes on its standard input."""

    program: str
    arguments: list[str] = field(default_factory=list)
    stdin: bytes = b""


_RECORDER = """#!/bin/sh
{ printf '%s\\0' "$#" "${0##*/}" "$@"; } >>"$RECORD"
/bin/cat >"$RECORD.stdin"
/usr/bin/wc -c <"$RECORD.stdin" >>"$RECORD.sizes"
/bin/cat "$RECORD.stdin" >>"$RECORD.bytes"
"""


class Programs:
    """A folder that is the whole PATH, with programs that record their calls."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "bin"
        self.path.mkdir()
        self._record = folder / "record"
        self.environment = {"PATH": str(self.path), "RECORD": str(self._record)}

    def add(self, name: str, then: str = "exit 0") -> None:
        """Add a program that records its call and ends as the shell line ``then`` says."""
        self._write(name, f"{_RECORDER}{then}\n")

    def add_broken(self, name: str) -> None:
        """Add what a Python upgrade leaves behind: a script whose interpreter is gone."""
        self._write(name, "#!/nonexistent/python3\n")

    def _write(self, name: str, text: str) -> None:
        (self.path / name).write_text(text)
        (self.path / name).chmod(0o755)

    def calls(self) -> list[Call]:
        """Return all calls so far, the first first."""
        if not self._record.exists():
            return []
        words = iter(self._record.read_bytes().decode().split("\0")[:-1])
        stdin = self._record.with_suffix(".bytes").read_bytes()
        calls = []
        for size in map(int, self._record.with_suffix(".sizes").read_text().split()):
            count = int(next(words))
            calls.append(Call(next(words), [next(words) for _ in range(count)], stdin[:size]))
            stdin = stdin[size:]
        return calls
