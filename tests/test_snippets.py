"""The snippets of ``init``, in the shells that they are for."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from world import tools
from world.real_shells import BASH, DASH, FISH, POSIX, PWSH, WITH_SNIPPET, XONSH, ZSH, Call, Programs, SnippetShell

from opencode_litellm.errors import UsageFailure
from opencode_litellm.shells import emission
from opencode_litellm.shells.formats import SHELLS

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

TOOL = "opencode-with-litellm"

ARGUMENTS = [
    "run",
    "two words",
    "",
    "--",
    "-v",
    "--model=litellm/gpt-4o",
    "-foo:bar",
    "line\nbreak",
    "\ttab and trailing space ",
    'it\'s "quoted"',
    "back\\slash\\",
    "*",
    "[a-z]?",
    "~",
    "=ls",
    "$HOME",
    "$(id)",
    "`id`",
    "!!",
    "#no comment",
    "%PATH%",
    "{a,b}",
    "a;b&c|d<e>f",
    "@args",
    "été 模型 🙂",
    "\u2019curly\u2018",
    "--",
]

def rows(shells: Iterable[SnippetShell]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("shell", [pytest.param(shell, id=shell.program or shell.name) for shell in shells])


every_shell = rows([*WITH_SNIPPET, *POSIX])
every_command = pytest.mark.parametrize("command", ["opencode", "oc"])
every_function = rows(shell for shell in (*WITH_SNIPPET, *POSIX) if shell.falls_back)


@pytest.fixture
def programs(tmp_path: Path) -> Programs:
    """A PATH with nothing on it but an opencode that records its calls."""
    programs = Programs(tmp_path)
    programs.add("opencode")
    return programs


def init(shell: SnippetShell, folder: Path, command: str = "opencode") -> str:
    """Return the content of the user's rc file."""
    return shell.has(emission.snippet(shell.name, command, {"HOME": str(folder)}), folder, command)


def lines(*parts: str) -> str:
    """Return lines as a script."""
    return "".join(part if part.endswith("\n") else f"{part}\n" for part in parts)


def outcome(process: subprocess.CompletedProcess[bytes]) -> tuple[int, bytes, bytes]:
    return process.returncode, process.stdout, process.stderr


def test_no_shell_is_forgotten() -> None:
    assert {shell.name for shell in WITH_SNIPPET} == set(SHELLS)


@every_shell
def test_evaluating_it_twice_is_silent_and_starts_nothing(
    shell: SnippetShell, tmp_path: Path, programs: Programs
) -> None:
    programs.add(TOOL)
    script = 2 * init(shell, tmp_path) + 2 * init(shell, tmp_path, "oc")
    assert outcome(shell.run(script, tmp_path, programs.environment)) == (0, b"", b"")
    assert outcome(shell.run(script, tmp_path, {"PATH": "/nonexistent"})) == (0, b"", b"")
    assert programs.calls() == []


@every_shell
def test_arguments_and_bytes_arrive_as_they_were_given(
    shell: SnippetShell, tmp_path: Path, programs: Programs
) -> None:
    programs.add(TOOL)
    programs.add("opencode-litellm")  # some ask it first whether it works
    everything = bytes(range(256)) * 300
    (tmp_path / "bytes").write_bytes(everything)
    script = lines(
        2 * init(shell, tmp_path),
        2 * init(shell, tmp_path, "oc"),
        shell.line("opencode", *ARGUMENTS),
        shell.line("oc", *ARGUMENTS),
        "oc -foo:bar -v -- --",
        "opencode",
        "/bin/cat bytes | opencode piped",
    )
    assert outcome(shell.run(script, tmp_path, programs.environment, stdin=b"\xff\r\n\x00")) == (0, b"", b"")
    assert [call for call in programs.calls() if call.program != "opencode-litellm"] == [
        Call(TOOL, ARGUMENTS, b"\xff\r\n\x00"),
        Call(TOOL, ARGUMENTS),
        Call(TOOL, ["-foo:bar", "-v", "--", "--"]),
        Call(TOOL),
        Call(TOOL, ["piped"], everything),
    ]


@every_shell
def test_another_command_leaves_opencode_plain(shell: SnippetShell, tmp_path: Path, programs: Programs) -> None:
    programs.add(TOOL)
    shell.run(lines(init(shell, tmp_path, "oc"), "opencode a", "oc b"), tmp_path, programs.environment)
    assert programs.calls() == [Call("opencode", ["a"]), Call(TOOL, ["b"])]


@every_shell
def test_the_exit_status_is_the_program_s(shell: SnippetShell, tmp_path: Path, programs: Programs) -> None:
    programs.add(TOOL, then='exit "$1"')
    statuses = ["0", "1", "3", "130", "255"]
    script = lines(
        init(shell, tmp_path),
        *(shell.reports.format(line=shell.line("opencode", status)) for status in statuses),
        *(shell.asks.format(line=shell.line("opencode", status)) for status in "03"),
        shell.ends.format(line=shell.line("opencode", "3")),
    )
    process = shell.run(script, tmp_path, programs.environment)
    assert (process.returncode, process.stdout.decode().split()) == (3, [*statuses, "worked", "failed"])


@pytest.mark.parametrize("shell", [pytest.param(shell, id=shell.name) for shell in (BASH, ZSH, DASH)])
def test_a_failure_ends_a_strict_script_with_that_status(
    shell: SnippetShell, tmp_path: Path, programs: Programs
) -> None:
    programs.add(TOOL, then="exit 3")
    script = init(shell, tmp_path) + "opencode || echo caught $?\nopencode\necho never"
    assert outcome(shell.run(script, tmp_path, programs.environment)) == (3, b"caught 3\n", b"")


# Of xonsh's own commands, one that a signal ends has status 0 now and then.
@rows(shell for shell in (*WITH_SNIPPET, *POSIX) if shell.falls_back and shell is not XONSH)
def test_death_by_a_signal_shows_as_it_would_without_us(
    shell: SnippetShell, tmp_path: Path, programs: Programs
) -> None:
    for name in ("opencode", TOOL):
        programs.add(name, then="kill -TERM $$")
    end = shell.ends.format(line="opencode")
    plain = shell.run(end, tmp_path, programs.environment)
    wrapped = shell.run(lines(init(shell, tmp_path), end), tmp_path, programs.environment)
    assert wrapped.returncode == plain.returncode != 0
    assert [call.program for call in programs.calls()] == ["opencode", TOOL]


@every_shell
def test_without_the_tool_it_is_plain_opencode(shell: SnippetShell, tmp_path: Path, programs: Programs) -> None:
    commands = ("opencode", "oc")
    script = lines(
        *(init(shell, tmp_path, command) for command in commands),
        *(shell.line(command, *ARGUMENTS) for command in commands),
    )
    assert outcome(shell.run(script, tmp_path, programs.environment, stdin=b"\xff")) == (0, b"", b"")
    assert programs.calls() == [Call("opencode", ARGUMENTS, b"\xff"), Call("opencode", ARGUMENTS)]


@every_function
def test_the_tool_may_go_and_come_while_the_shell_runs(shell: SnippetShell, tmp_path: Path, programs: Programs) -> None:
    programs.add(TOOL)
    script = lines(
        init(shell, tmp_path),
        "opencode a",
        f"/bin/mv bin/{TOOL} away",
        "opencode b",
        f"/bin/mv away bin/{TOOL}",
        "opencode c",
    )
    assert outcome(shell.run(script, tmp_path, programs.environment)) == (0, b"", b"")
    assert programs.calls() == [Call(TOOL, ["a"]), Call("opencode", ["b"]), Call(TOOL, ["c"])]


@every_function
def test_without_its_interpreter_it_is_plain_opencode(shell: SnippetShell, tmp_path: Path, programs: Programs) -> None:
    programs.add_broken(TOOL)
    programs.add_broken("opencode-litellm")
    script = lines(init(shell, tmp_path), shell.line("opencode", *ARGUMENTS))
    process = shell.run(script, tmp_path, programs.environment, stdin=b"\xff")
    # What the shell says of the broken script is worth knowing; there is nothing else.
    assert (process.returncode, process.stdout) == (0, b"")
    assert process.stderr.count(TOOL.encode()) <= 1
    assert programs.calls() == [Call("opencode", ARGUMENTS, b"\xff")]


@every_function
def test_without_our_package_it_is_plain_opencode(shell: SnippetShell, tmp_path: Path, programs: Programs) -> None:
    """What another kind of Python upgrade leaves behind: the interpreter is there, and does not find the package."""
    for name in (TOOL, "opencode-litellm"):
        programs.add_without_package(name)
    script = lines(init(shell, tmp_path), shell.line("opencode", *ARGUMENTS))
    process = shell.run(script, tmp_path, programs.environment, stdin=b"\xff")
    assert (process.returncode, process.stdout) == (0, b"")
    assert process.stderr.count(b"No module named") <= 1
    assert programs.calls() == [Call("opencode", ARGUMENTS, b"\xff")]


@every_function
@pytest.mark.parametrize("works", [True, False], ids=["beside one that works", "alone on PATH"])
def test_a_program_that_ends_like_a_broken_one_is_not_started_twice(
    works: bool, shell: SnippetShell, tmp_path: Path, programs: Programs
) -> None:
    statuses = ["1", "126", "127"] if works else ["1"]
    programs.add(TOOL, then='exit "$1"')
    if works:
        programs.add("opencode-litellm", then="echo opencode-litellm, version 1")
    script = lines(
        init(shell, tmp_path), *(shell.reports.format(line=shell.line("opencode", status)) for status in statuses)
    )
    process = shell.run(script, tmp_path, programs.environment, stdin=b"rest")
    assert process.stdout.decode().split() == statuses
    started = [call for call in programs.calls() if call.program != "opencode-litellm"]
    assert started == [Call(TOOL, ["1"], b"rest"), *(Call(TOOL, [status]) for status in statuses[1:])]


@every_shell
def test_output_of_opencode_can_be_piped(shell: SnippetShell, tmp_path: Path, programs: Programs) -> None:
    everything = bytes(range(256)) * 300
    (tmp_path / "bytes").write_bytes(everything)
    programs.add(TOOL, then=f"/bin/cat {tmp_path}/bytes")
    programs.add("opencode-litellm")
    process = shell.run(lines(init(shell, tmp_path), "opencode | /bin/cat"), tmp_path, programs.environment)
    assert (process.returncode, process.stderr) == (0, b"")
    assert process.stdout == everything


@every_function
def test_with_neither_program_the_shell_says_so(shell: SnippetShell, tmp_path: Path, programs: Programs) -> None:
    (programs.path / "opencode").unlink()
    end = shell.ends.format(line="opencode")
    plain = shell.run(end, tmp_path, programs.environment)
    process = shell.run(lines(init(shell, tmp_path), end), tmp_path, programs.environment)
    assert (process.returncode, process.stdout) == (plain.returncode, b"")
    assert process.returncode != 0
    assert b"opencode" in process.stderr


@rows([BASH, ZSH, DASH, *POSIX])
def test_an_alias_of_that_name_goes_on_working(shell: SnippetShell, tmp_path: Path, programs: Programs) -> None:
    programs.add(TOOL)
    aliases = "shopt -s expand_aliases\n" if shell is BASH else ""
    alias = "alias opencode='opencode --print-logs' command=false builtin=false\n"
    script = aliases + alias + 2 * init(shell, tmp_path) + "eval 'opencode a'\n"
    assert outcome(shell.run(script, tmp_path, programs.environment)) == (0, b"", b"")
    assert programs.calls() == [Call(TOOL, ["--print-logs", "a"])]


@pytest.mark.parametrize(
    ("shell", "definition"),
    [
        pytest.param(FISH, "alias opencode 'opencode --print-logs'\n", id="fish alias"),
        pytest.param(PWSH, "Set-Alias -Name opencode -Value Get-Date -Option ReadOnly\n", id="pwsh alias"),
        pytest.param(PWSH, "function opencode { 'a function' }\n", id="pwsh function"),
        pytest.param(BASH, "function opencode { echo a function; }\n", id="bash function"),
        pytest.param(ZSH, "function opencode { echo a function; }\n", id="zsh function"),
    ],
)
def test_an_earlier_alias_or_function_of_that_name_gives_way(
    shell: SnippetShell, definition: str, tmp_path: Path, programs: Programs
) -> None:
    programs.add(TOOL)
    script = definition + 2 * init(shell, tmp_path) + "opencode a\n"
    assert outcome(shell.run(script, tmp_path, programs.environment)) == (0, b"", b"")
    assert programs.calls() == [Call(TOOL, ["a"])]


@pytest.mark.needs("pwsh")
def test_pwsh_evaluates_it_from_within_a_function(tmp_path: Path, programs: Programs) -> None:
    programs.add(TOOL)
    script = "function start { " + init(PWSH, tmp_path) + " }\nstart\nopencode a\n"
    assert outcome(PWSH.run(script, tmp_path, programs.environment)) == (0, b"", b"")
    assert programs.calls() == [Call(TOOL, ["a"])]


# The first of each pair switches every option of the shell in turn, except for those that end it or make it print.
EVERY_OPTION = {
    "bash": """
for option in $(shopt -p | /bin/cat | while read -r _ _ name; do echo "$name"; done); do
  (shopt -s "$option"; try "$option"); (shopt -u "$option"; try "no$option")
done
for option in $(set -o | while read -r name _; do echo "$name"; done); do
  case $option in noexec | onecmd | verbose | xtrace | interactive-comments) continue ;; esac
  (set -o "$option"; try "$option"); (set +o "$option"; try "no$option")
done
""",
    "zsh": """
for option in ${(k)options}; do
  case $option in
    exec|interactive|login|stdin|shinstdin|singlecommand|onecmd|privileged|restricted|verbose|xtrace|sourcetrace|zle|monitor)
      continue ;;
  esac
  (setopt "$option" && try "$option"); (unsetopt "$option" && try "no$option")
done
""",
}


@pytest.mark.parametrize("shell", [pytest.param(shell, id=shell.name) for shell in (BASH, ZSH)])
def test_no_option_of_the_shell_disturbs_it(shell: SnippetShell, tmp_path: Path, programs: Programs) -> None:
    programs.add(TOOL, then='echo "$1"')
    attempt = f"try () {{\n{init(shell, tmp_path)}opencode \"$1\" 'two words' '*' ''\n}}\n"
    process = shell.run("set +eu\n" + attempt + EVERY_OPTION[shell.name], tmp_path, programs.environment)
    assert process.stderr == b""
    options = process.stdout.decode().split()
    assert len(options) > 80
    assert programs.calls() == [Call(TOOL, [option, "two words", "*", ""]) for option in options]


LINTERS = [
    pytest.param(shell.name, linter, id=linter[0], marks=pytest.mark.needs(linter[0]))
    for shell in WITH_SNIPPET
    for linter in shell.linters
]


# Syntax that bash 3.2, which is macOS' bash and sh, does not know: a pattern, and a text that matches it.
NEWER_THAN_BASH_3_2 = {
    r"\$\{[^}]*@[A-Za-z]\}": "${name@Q}",
    r"\$\{\w+(\^|,)": "${name^^}",
    r"\$\{\w+:[^}]*:\s*-": "${name:1: -1}",
    r"\$\{\w+\[-": "${names[-1]}",
    r"\b(declare|local|typeset)\s+-\w*[Anglu]": "local -n name",
    r"\blocal\s+-(\s|;|$)": "local -",
    r"\b(coproc|mapfile|readarray)\b": "mapfile -t lines",
    r"printf.*%\([^)]*\)T": "printf '%(%s)T'",
    r"&>>|\|&|;;?&": "program &>> file",
    r"\bwait\s+-\w*[np]": "wait -n",
    r"\[\[[^\]]*-[vR]\s": "[[ -v name ]]",
    r"\bBASHPID\b|\bEPOCH|\bSRANDOM\b|\bBASH_ARGV0\b": "$EPOCHSECONDS",
    r"\{\w+\.\.\w+\.\.": "{1..9..2}",
    r"\bread\b[^\n]*\s-\w*[iN]": "read -r -N 1",
    r"\b(autocd|globstar|inherit_errexit|lastpipe|localvar_inherit)\b": "shopt -s globstar",
    r"\{[A-Za-z_]\w*\}[<>]": "exec {file}>name",
    r"\$'[^']*\\[uU]": r"$'\u00e9'",
    # It knows this, but after `set -e` a program that fails behind `command` ends the script all the same.
    r"\bcommand\s+(?!-)[^\n]*(&&|\|\|)": "command opencode && return",
    r"(\b(if|until|while)|!)\s+\\?command\s+(?!-)": "if \\command opencode; then",
}


@pytest.mark.parametrize(("pattern", "example"), NEWER_THAN_BASH_3_2.items(), ids=NEWER_THAN_BASH_3_2.values())
def test_bash_and_sh_are_given_nothing_that_is_newer_than_bash_3_2(pattern: str, example: str) -> None:
    assert re.search(pattern, example)
    emitted = [] if sys.platform == "win32" else [emission.shim().decode()]
    for name in ("bash", "posix"):
        emitted += [emission.snippet(name, "oc", {}), emission.startup(name, "oc", {})]
        emitted.append(emission.assignments(name, {"A": "it's\n\x1b\u00e9", "B": None}, {}))
    assert [text for text in emitted if re.search(pattern, text)] == []


@every_command
@pytest.mark.parametrize(("name", "linter"), LINTERS)
def test_linters_have_nothing_to_say(name: str, linter: tuple[str, ...], command: str, tmp_path: Path) -> None:
    path = tmp_path / f"snippet.{name}"
    path.write_text(emission.snippet(name, command, {"HOME": str(tmp_path)}))
    process = subprocess.run([tools.program(linter[0]), *linter[1:], str(path)], capture_output=True, check=False)
    assert outcome(process) == (0, b"", b"")


@every_command
@every_shell
def test_it_is_the_same_ascii_text_on_every_host(shell: SnippetShell, command: str, tmp_path: Path) -> None:
    text = emission.snippet(shell.name, command, {"HOME": str(tmp_path)})
    assert text == emission.snippet(shell.name, command, {"HOME": "/elsewhere", "PATH": "/x", "SHELL": "/bin/y"})
    assert text.isascii()
    assert text.isprintable() is False
    assert set(text) - {"\n"} == {character for character in text if character.isprintable()}
    assert text.endswith("\n")
    assert "/" not in text.replace("/dev/null", "")


@pytest.mark.parametrize(
    "name",
    [
        "",
        "two words",
        "-x",
        "a;b",
        "$(id)",
        "a'b",
        "9a",
        "é",
        "a\n",
        "a/b",
        "a" * 101,
        "if",
        "end",
        "command",
        "IF",
        TOOL,
    ],
)
def test_a_command_that_no_shell_could_call_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageFailure, match=r"^--cmd .* is not a valid command name in every shell: choose another"):
        emission.snippet("bash", name, {"HOME": str(tmp_path)})


@pytest.mark.parametrize("name", ["json", "dotenv", "tcsh", "", "../bash"])
def test_there_is_none_for_other_shells(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageFailure) as caught:
        emission.snippet(name, "opencode", {"HOME": str(tmp_path)})
    assert str(caught.value) == f"{name!r} is not supported: choose one of {', '.join(SHELLS)}"
