"""Real shells in their strict modes, with what the tests have to know of each, and programs for their PATH.

A shell that has a snippet is one row here, a ``SnippetShell``; every test of all shells reads it.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from . import tools

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class RealShell:
    """A shell as a program: how it starts without anybody's rc files, in its strictest mode."""

    name: str
    options: tuple[str, ...]
    # What it is called on PATH, where that is not its name.
    program: str = ""
    command: str = "-c"
    prologue: str = ""
    evaluate: str = 'eval "$(/bin/cat {path})"\n'
    status: str = "$?"

    def path(self) -> str:
        """Return the path of its program."""
        return str(tools.program(self.program or self.name))

    def run(
        self, script: str, folder: Path, environment: dict[str, str], stdin: bytes = b""
    ) -> subprocess.CompletedProcess[bytes]:
        """Run ``script`` in this shell; ``folder`` is its working directory and its HOME."""
        return subprocess.run(
            [self.path(), *self.options, self.command, self.prologue + script],
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


@dataclass(frozen=True)
class SnippetShell(RealShell):
    """A shell that ``init`` has a snippet for, and what tests expect of it or need to write in its language."""

    # Where the startup file is for somebody with nothing but HOME, seen from there; and with the folders of MOVED.
    startup_file: str = field(kw_only=True)
    moved_startup_file: str = field(kw_only=True)
    # How a user starts it to run one line. Where it reads no startup file then, the line begins with ``read``.
    interactive: tuple[str, ...] = field(kw_only=True)
    read: str = ""
    # The whole text of `env` for CHANGES.
    assignments: str = field(kw_only=True)
    # A script that prints how ``opencode-litellm {words} `` can go on. ``./script`` has the completion script.
    completes: str = ""
    # The snippet is a function, which can fall back to plain opencode; PowerShell has an alias.
    has_function: bool = True
    # A script that prints "failed" after opencode failed, and "worked" else.
    asks: str = "if opencode; then echo worked; else echo failed; fi\n"
    # What keeps a script going after a failure.
    tolerate: str = "set +e\n"
    source: str = "."
    # What goes before a program's path in quotes.
    call: str = ""
    linters: tuple[tuple[str, ...], ...] = ()

    def ends(self) -> str:
        """Return the line that ends a script with the last status."""
        return f"exit {self.status}\n"


# What `assignments` are for, and where startup files are looked for in the test of moved ones.
CHANGES = {"OPENCODE_CONFIG_CONTENT": '{"it\'s":"a é"}', "OPENCODE_CONFIG": "/h/a b.json", "GONE": None, "EMPTY": ""}
MOVED = {"ZDOTDIR": "/zsh", "XDG_CONFIG_HOME": "/config"}

EXPORTS = """\
export OPENCODE_CONFIG_CONTENT='{"it'\\''s":"a é"}'
export OPENCODE_CONFIG='/h/a b.json'
unset -v GONE
export EMPTY=''
"""
SHFMT = ("shfmt", "--diff", "--indent=2", "--case-indent", "--language-dialect=bash")

BASH = SnippetShell(
    "bash",
    ("--noprofile", "--norc", "-euo", "pipefail"),
    startup_file=".bashrc",
    moved_startup_file="{home}/.bashrc",
    interactive=("-i", "-c"),
    assignments=EXPORTS,
    completes='source ./script; COMP_WORDS=(opencode-litellm {words} ""); COMP_CWORD={place};'
    ' _opencode_litellm_completion opencode-litellm; printf "%s\\n" "${{COMPREPLY[@]}}"',
    linters=(("bash", "-n"), ("shellcheck", "--norc", "--enable=all", "--shell=bash"), SHFMT),
)
ZSH = SnippetShell(
    "zsh",
    ("--no-rcs", "-eu", "-o", "pipefail"),
    startup_file=".zshrc",
    moved_startup_file="/zsh/.zshrc",
    interactive=("-i", "-c"),
    assignments=EXPORTS,
    # Zsh completes nothing without its line editor; what its function asks is asked here, and that it is in place.
    completes="autoload -Uz compinit; compinit -u -d ./dump; source ./script;"
    " [[ ${{_comps[opencode-litellm]}} = _opencode_litellm_completion ]] || exit 1;"
    ' COMP_WORDS="opencode-litellm {words} " COMP_CWORD={place} _OPENCODE_LITELLM_COMPLETE=zsh_complete'
    " opencode-litellm | awk 'NR % 3 == 2'",
    # Neither of the last two knows zsh, of which the snippet uses nothing that bash lacks but "whence".
    linters=(("zsh", "-n"), ("shellcheck", "--norc", "--shell=bash"), SHFMT),
)
FISH = SnippetShell(
    "fish",
    ("--no-config",),
    evaluate="/bin/cat {path} | source\n",
    status="$status",
    startup_file=".config/fish/conf.d/opencode-litellm.fish",
    moved_startup_file="/config/fish/conf.d/opencode-litellm.fish",
    interactive=("-c",),
    assignments="""\
set --global --export OPENCODE_CONFIG_CONTENT '{"it\\'s":"a é"}'
set --global --export OPENCODE_CONFIG '/h/a b.json'
if set --query --global GONE
    set --erase --global GONE
end
set --global --export EMPTY ''
""",
    completes="source ./script; complete -C 'opencode-litellm {words} ' | cut -f1",
    asks="if opencode; echo worked; else; echo failed; end\n",
    tolerate="",
    source="source",
    linters=(("fish", "--no-execute"), ("fish_indent", "--check")),
)
PWSH = SnippetShell(
    "pwsh",
    ("-NoProfile", "-NonInteractive"),
    command="-Command",
    prologue="Set-StrictMode -Version latest\n$ErrorActionPreference = 'Stop'\n",
    evaluate="Invoke-Expression (& /bin/cat {path} | Out-String)\n",
    status="$LASTEXITCODE",
    startup_file=".config/powershell/profile.ps1",
    moved_startup_file="/config/powershell/profile.ps1",
    interactive=("-NoProfile", "-NonInteractive", "-Command"),
    # The engine that hosts PowerShell here reads no profile, and lacks Test-Path.
    read="if ([IO.File]::Exists('{file}')) {{ . '{file}' }}\n",
    assignments="""\
$env:OPENCODE_CONFIG_CONTENT = (-join ('{"it\'\'s":"a ', [char]233, '"}'))
$env:OPENCODE_CONFIG = '/h/a b.json'
$env:GONE = $null
$env:EMPTY = ''
""",
    completes="Invoke-Expression (& cat ./script | Out-String);"
    " $line = 'opencode-litellm {words} '.Replace('  ', ' ');"
    " foreach ($match in [System.Management.Automation.CommandCompletion]::CompleteInput($line, $line.Length, $null)"
    ".CompletionMatches) {{ $match.CompletionText }}",
    has_function=False,
    asks="opencode\nif ($?) { 'worked' } else { 'failed' }\n",
    tolerate="",
    call="& ",
)
POSIX = (RealShell("dash", ("-eu",)), RealShell("ksh", ("-eu",)), RealShell("mksh", ("-eu",)))

WITH_SNIPPET = (BASH, ZSH, FISH, PWSH)


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
