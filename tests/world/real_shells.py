"""Real shells in their strict modes, with what the tests have to know about each, and programs for their PATH.

A shell that has a snippet is one row here, a ``SnippetShell``; every test of all shells reads it.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from opencode_litellm.shells.formats import SHELLS

from . import tools

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class RealShell:
    """A shell as a program: how it starts without anybody's rc files, in its strictest mode."""

    name: str
    options: tuple[str, ...]
    # Its name on PATH, if that differs.
    program: str = ""
    command: str = "-c"
    prologue: str = ""
    # How it evaluates the output of a command.
    evaluate: str = 'eval "$({command})"'

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
        """Return the line that evaluates ``text`` as the output of a command."""
        path = folder / name
        path.write_bytes(text.encode())
        return self.evaluate.format(command=f"/bin/cat {path}") + "\n"


@dataclass(frozen=True)
class SnippetShell(RealShell):
    """A shell that ``init`` has a snippet for, and what tests expect of it or need to write in its language."""

    # The startup file for a user with nothing but HOME, relative to that; and with the folders of MOVED.
    startup_file: str = field(kw_only=True)
    moved_startup_file: str = field(kw_only=True)
    # How a user starts it to run one line; without options the line is typed at its prompt. If it reads no startup file
    # then, the line begins with ``read``.
    interactive: tuple[str, ...] = field(kw_only=True)
    read: str = ""
    # The whole text of `env` for CHANGES.
    assignments: str = field(kw_only=True)
    # A script that prints how ``opencode-litellm {words} `` can go on. ``./script`` has the completion script.
    completes: str = ""
    # The snippet can fall back to plain opencode; PowerShell has an alias, which cannot.
    falls_back: bool = True
    # A script that has what ``init`` prints, in the file ``path``.
    snippet: str = ""
    # A line that calls a command; ``separator`` stands between its words.
    calls: str = "{name} {words}"
    separator: str = " "
    # Scripts that print the status of a line, and "failed" or "worked"; one that ends with it.
    reports: str = "{line} && echo 0 || echo $?"
    asks: str = "if {line}; then echo worked; else echo failed; fi"
    ends: str = "{line} || exit $?"
    # A script that has what a startup file has: ``text``, in the file ``path``.
    sources: str = ". '{path}'"
    # A line that starts a program by its path, with an argument.
    starts: str = "'{program}' '{argument}'"
    linters: tuple[tuple[str, ...], ...] = ()

    def line(self, name: str, *words: str) -> str:
        """Return a line that calls a command with these words."""
        quoted = self.separator.join(map(SHELLS[self.name].word, words))
        return self.calls.format(name=name, words=quoted).strip()

    def has(self, snippet: str, folder: Path, name: str = "snippet") -> str:
        """Return the line of a script that evaluates the snippet of ``init``."""
        line = self.evaluates(snippet, folder, name)
        return self.snippet.format(path=folder / name, text=snippet) + "\n" if self.snippet else line


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
    # Zsh completes nothing without its line editor, so we ask what its function would ask, and whether it is installed.
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
    evaluate="{command} | source",
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
    reports="{line}; echo $status",
    asks="if {line}; echo worked; else; echo failed; end",
    ends="{line}; exit $status",
    sources="source '{path}'",
    linters=(("fish", "--no-execute"), ("fish_indent", "--check")),
)
PWSH = SnippetShell(
    "pwsh",
    ("-NoProfile", "-NonInteractive"),
    command="-Command",
    prologue="Set-StrictMode -Version latest\n$ErrorActionPreference = 'Stop'\n",
    evaluate="Invoke-Expression (& {command} | Out-String)",
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
    falls_back=False,
    reports="{line}; $LASTEXITCODE",
    asks="{line}\nif ($?) {{ 'worked' }} else {{ 'failed' }}",
    ends="{line}; exit $LASTEXITCODE",
    starts="& '{program}' '{argument}'",
)
DASH = SnippetShell(
    "posix",
    ("-eu",),
    program="dash",
    startup_file=".profile",
    moved_startup_file="{home}/.profile",
    interactive=("-i", "-c"),
    assignments=EXPORTS,
    linters=(
        ("dash", "-n"),
        ("shellcheck", "--norc", "--enable=all", "--shell=sh"),
        ("shfmt", "--diff", "--indent=2", "--case-indent", "--language-dialect=posix"),
    ),
)
KSH, MKSH = (replace(DASH, program=name, linters=()) for name in ("ksh", "mksh"))
BUSYBOX = replace(DASH, program="busybox", options=("ash", "-eu"), interactive=("ash", "-i", "-c"), linters=())
NUSHELL = SnippetShell(
    "nushell",
    ("--no-config-file",),
    program="nu",
    evaluate="{command} | from json | load-env",
    startup_file=".config/nushell/autoload/opencode-litellm.nu",
    moved_startup_file="/config/nushell/autoload/opencode-litellm.nu",
    # It reads that folder only for its prompt.
    interactive=(),
    assignments='{"OPENCODE_CONFIG_CONTENT":"\\u007b\\u0022it\\u0027s\\u0022:\\u0022a \\u00e9\\u0022}",'
    '"OPENCODE_CONFIG":"/h/a b.json","GONE":null,"EMPTY":""}\n',
    completes="$'source script(char nl)opencode-litellm {words} ' | str replace '  ' ' ' | save --force line.nu;"
    " ^$nu.current-exe --ide-complete (open --raw line.nu | str length) line.nu"
    " | from json | get completions | to text",
    snippet="source {path}",
    reports="try {{ {line} }} catch {{}}; print ($env.LAST_EXIT_CODE? | default 0)",
    asks="try {{ {line}; print worked }} catch {{ print failed }}",
    ends="{line}",
    sources="source '{path}'",
    starts="^'{program}' '{argument}'",
)
ELVISH = SnippetShell(
    "elvish",
    ("-norc",),
    evaluate="eval ({command} | slurp)",
    startup_file=".config/elvish/rc.elv",
    moved_startup_file="/config/elvish/rc.elv",
    interactive=(),
    assignments="""\
set-env OPENCODE_CONFIG_CONTENT '{"it''s":"a é"}'
set-env OPENCODE_CONFIG '/h/a b.json'
unset-env GONE
set-env EMPTY ''
""",
    # A script has no "edit:", so it gets one that stores what the completion script sets.
    completes="var kept: = (ns [&arg-completer=[&]]);"
    " eval (slurp < script) &ns=(ns [&edit:=(ns [&completion:=$kept:])]);"
    " $kept:arg-completer[opencode-litellm] opencode-litellm {words} '' | each {{|word| echo $word }}",
    # An evaluated snippet defines a command only for the prompt, which a script does not have.
    snippet="{text}",
    reports="try {{ {line}; echo 0 }} catch error {{ echo $error[reason][exit-status] }}",
    asks="try {{ {line}; echo worked }} catch {{ echo failed }}",
    ends="try {{ {line} }} catch error {{ exit $error[reason][exit-status] }}",
    sources="{text}",
)
XONSH = SnippetShell(
    "xonsh",
    ("--no-rc",),
    evaluate="execx(__import__('subprocess').check_output(__import__('shlex').split({command!r}),"
    " env=${{...}}.detype(), text=True))",
    startup_file=".config/xonsh/rc.d/opencode-litellm.xsh",
    moved_startup_file="/config/xonsh/rc.d/opencode-litellm.xsh",
    interactive=("-i", "-c"),
    assignments="""\
__xonsh__.env["OPENCODE_CONFIG_CONTENT"] = '{"it\\'s":"a \\xe9"}'
__xonsh__.env["OPENCODE_CONFIG"] = '/h/a b.json'
__xonsh__.env.pop("GONE", None)
__xonsh__.env["EMPTY"] = ''
""",
    completes="execx(open('script').read())\nfrom xonsh.completer import Completer\n"
    "print(*Completer().complete_line('opencode-litellm {words} '.replace('  ', ' '))[0])",
    calls="{name} @([{words}])",
    separator=", ",
    reports="print(![{line}].rtn)",
    asks="print('worked' if ![{line}] else 'failed')",
    ends="exit(![{line}].rtn)",
    starts="![@(['{program}', '{argument}'])]",
    sources="source '{path}'",
)

WITH_SNIPPET = (BASH, ZSH, FISH, PWSH, DASH, NUSHELL, ELVISH, XONSH)
# The other shells that read dash's snippet.
POSIX = (KSH, MKSH, BUSYBOX)


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
        """Add what an upgrade of Python leaves behind: a script whose interpreter is gone."""
        self._write(name, "#!/nonexistent/python3\n")

    def add_without_package(self, name: str) -> None:
        """Add what an upgrade of Python in place leaves behind: a script whose interpreter lacks its package."""
        self._write(name, "#!/bin/sh\necho \"ModuleNotFoundError: No module named 'opencode_litellm'\" >&2\nexit 1\n")

    def _write(self, name: str, text: str) -> None:
        (self.path / name).write_text(text)
        (self.path / name).chmod(0o755)

    def calls(self) -> list[Call]:
        """Return all calls so far, in order."""
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
