"""The table of shells and file formats: everything that the program knows about a shell is in its row.

A new shell is a row in ``FORMATS``, a template of its name, and a row of the tests' ``world/real_shells.py``.
"""

from __future__ import annotations

import keyword
import os
import re
import sys
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, Final

from opencode_litellm import jsonc, variables
from opencode_litellm.errors import UsageFailure

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


class Completion(Enum):
    """Who writes a shell's completion script: click, or the shell's own template."""

    CLICK = auto()
    TEMPLATE = auto()


@dataclass(frozen=True)
class Startup:
    """How a shell gets its snippet: the ``line`` that evaluates it, and the ``files`` that may hold the line.

    ``files`` returns groups of paths for an environment: each kind of shell, such as login shells, reads one group, and
    of that the first path that exists. A shell that is already running gets the snippet by the command ``renewal``, or
    by ``line`` if that is empty. If ``reads_file``, the startup file only reads the snippet from a file of ours, so
    that a new version takes effect; otherwise it holds the snippet itself.
    """

    line: str
    files: Callable[[Mapping[str, str]], Sequence[Sequence[str]]]
    renewal: str = ""
    reads_file: bool = True

    def line_for(self, command: str) -> str:
        """Return ``line``, which is for ``opencode``, for another ``command``."""
        option = "" if command == "opencode" else f" --cmd {command}"
        return re.sub(r"(?<=-litellm init )\w+", rf"\g<0>{option}", self.line)


@dataclass(frozen=True)
class Shell:
    """A shell, or a file format that can carry assignments as a shell does.

    Its output is written in ``templates/<name>.j2``. ``word`` quotes a value so that exactly this value is read
    back, and raises UsageFailure for a value that it cannot write. ``programs`` are the names that the shell's
    processes run under; one that shellingham does not know is not detected. A shell with a ``startup`` has a snippet
    for ``init`` in its template too. No command can have one of the ``reserved`` names there, because they are keywords
    or because the snippet calls them. The regular expression ``command`` matches all valid names. What
    ``travels`` may be read on another machine, which has none of our files.
    """

    name: str
    word: Callable[[str], str]
    programs: frozenset[str] = frozenset()
    startup: Startup | None = None
    completion: Completion | None = None
    reserved: frozenset[str] = frozenset()
    command: str = r"[A-Za-z_][A-Za-z0-9_.-]*"
    travels: bool = False


def _posix_word(value: str) -> str:
    # Not shlex.quote, which leaves "=ls" bare: zsh expands that to /bin/ls.
    return "'" + value.replace("'", "'\\''") + "'"


def _fish_word(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _pwsh_word(value: str) -> str:
    """Quote printable ASCII, and write the rest as numbers of UTF-16 code units.

    ``Invoke-Expression (& tool | Out-String)`` reads bytes in the console's encoding and rejoins the lines, so
    neither a line break nor ``é`` is safe there; and U+2018 to U+201B end a string as ``'`` does.
    """
    parts = []
    for match in re.finditer(r"([ -~]+)|[^ -~]+", value):
        if match[1]:
            parts.append("'" + value[match.start() : match.end()].replace("'", "''") + "'")
        else:
            units = match[0].encode("utf-16-be", "surrogatepass")
            parts += [f"[char]{units[at] * 256 + units[at + 1]}" for at in range(0, len(units), 2)]
    if len(parts) == 1 and parts[0].startswith("'"):
        return parts[0]
    return f"(-join ({', '.join(parts)}))" if parts else "''"


def _nushell_word(value: str) -> str:
    escaped = re.sub(r'["\\]', r"\\\g<0>", value)
    return '"' + re.sub(r"[\0-\x1f\x7f]", lambda match: f"\\u{{{ord(match[0]):x}}}", escaped) + '"'


def _elvish_word(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _dotenv_word(value: str) -> str:
    """Leave a value bare where python-dotenv, Node and Docker agree on it, else quote it for the first two.

    Docker takes a line literally, quotes included. python-dotenv expands ``${X}`` even between quotes.
    """
    if value.isprintable() and not re.search(r"^['\"`\s]|#|\$\{|\s$", value):
        return value
    if re.search(r"'|\r|\$\{|\\\\|\\$", value):
        # Without the value: it may be the user's own configuration, with a key in it.
        problem = "dotenv cannot hold a value with these quotes, backslashes, line breaks or ${"
        raise UsageFailure(problem, "choose another format")
    return f"'{value}'"


def _github_word(value: str) -> str:
    import secrets  # 4 ms, for GitHub alone

    # Drawn at random when the value is already known, so the value cannot contain it.
    delimiter = f"end-{secrets.token_hex(16)}"
    return f"<<{delimiter}\n{value}\n{delimiter}"


def _bash_files(environment: Mapping[str, str]) -> Sequence[Sequence[str]]:
    # ssh, tmux and every terminal on macOS start a login shell, which reads only the first of the second group.
    groups = ((".bashrc",), (".bash_profile", ".bash_login", ".profile"))
    return [[os.path.join(variables.home(environment), name) for name in names] for names in groups]


def _zsh_files(environment: Mapping[str, str]) -> Sequence[Sequence[str]]:
    return [[os.path.join(environment.get("ZDOTDIR") or variables.home(environment), ".zshrc")]]


def _fish_files(environment: Mapping[str, str]) -> Sequence[Sequence[str]]:
    return [[os.path.join(_configuration(environment), "fish", "conf.d", "opencode-litellm.fish")]]


def _pwsh_files(environment: Mapping[str, str]) -> Sequence[Sequence[str]]:
    if sys.platform != "win32":
        return [[os.path.join(_configuration(environment), "powershell", "profile.ps1")]]
    import subprocess

    from opencode_litellm import windows  # only on Windows

    # On Windows the documents folder can be anywhere, and each edition of PowerShell has its own profile there. What
    # they print is in the console's code page, which may lack characters of the path.
    asked = "[Console]::OutputEncoding = [Text.Encoding]::UTF8; $PROFILE.CurrentUserAllHosts"
    options = ["-NoProfile", "-NonInteractive", "-Command", asked]
    files = []
    for name in ("pwsh", "powershell"):
        program = windows.find(name, environment)
        if program is None:
            continue
        try:
            answer = subprocess.run(  # noqa: S603
                [program, *options], capture_output=True, check=True, stdin=subprocess.DEVNULL, timeout=30
            )
        except (OSError, subprocess.SubprocessError):
            continue
        files.append(answer.stdout.decode("utf-8-sig", "replace").strip())
    return [[file] for file in dict.fromkeys(files) if file]


def _posix_files(environment: Mapping[str, str]) -> Sequence[Sequence[str]]:
    """Return the file of login shells, that in ``ENV``, and those of ksh and mksh where these are used."""
    home = variables.home(environment)
    login_shell = os.path.basename(environment.get("SHELL", ""))
    groups = [[os.path.join(home, ".profile")]]
    if os.path.isabs(environment.get("ENV", "")):
        groups.append([environment["ENV"]])
    for name, shells in ((".kshrc", ("ksh", "ksh93", "rksh")), (".mkshrc", ("mksh", "lksh"))):
        path = os.path.join(home, name)
        if login_shell in shells or os.path.exists(path):
            groups.append([path])
    return groups


def _nushell_files(environment: Mapping[str, str]) -> Sequence[Sequence[str]]:
    base = _configuration(environment)
    if sys.platform == "darwin" and not environment.get("XDG_CONFIG_HOME"):
        base = os.path.join(variables.home(environment), "Library", "Application Support")
    return [[os.path.join(base, "nushell", "autoload", "opencode-litellm.nu")]]


def _elvish_files(environment: Mapping[str, str]) -> Sequence[Sequence[str]]:
    return [[os.path.join(_configuration(environment), "elvish", "rc.elv")]]


def _xonsh_files(environment: Mapping[str, str]) -> Sequence[Sequence[str]]:
    return [[os.path.join(_configuration(environment), "xonsh", "rc.d", "opencode-litellm.xsh")]]


def _configuration(environment: Mapping[str, str]) -> str:
    return os.path.dirname(variables.own_folder(environment))


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_POSIX_RESERVED = _words("""
    break case command continue do done elif else esac eval exec false fi for hash if in return set test then time
    true until while
""")
# xonsh 0.13: on a busy machine, $(…) loses some or all of what a program prints.
_XONSH_LINE = (
    'execx(__import__("subprocess").run(["opencode-litellm", "init", "xonsh"],'
    " env=${...}.detype(), stdout=-1, text=True).stdout)"
)
_BASH_RESERVED = _POSIX_RESERVED | _words("builtin coproc function local select")

FORMATS: Final[Mapping[str, Shell]] = {
    shell.name: shell
    for shell in (
        Shell(
            "bash",
            _posix_word,
            programs=frozenset({"bash"}),
            startup=Startup('eval "$(opencode-litellm init bash)"', _bash_files),
            completion=Completion.CLICK,
            reserved=_BASH_RESERVED,
        ),
        Shell(
            "zsh",
            _posix_word,
            programs=frozenset({"zsh"}),
            startup=Startup('eval "$(opencode-litellm init zsh)"', _zsh_files),
            completion=Completion.CLICK,
            reserved=_BASH_RESERVED | _words("end foreach nocorrect noglob repeat whence"),
        ),
        Shell(
            "fish",
            _fish_word,
            programs=frozenset({"fish"}),
            startup=Startup("opencode-litellm init fish | source", _fish_files),
            completion=Completion.CLICK,
            reserved=_words("""
                and begin break builtin case command continue else end eval exec false for function functions if in
                not or return set status switch test time true while
            """),
        ),
        Shell(
            "pwsh",
            _pwsh_word,
            programs=frozenset({"pwsh", "powershell"}),
            # Reading a file would take more lines than the snippet has.
            startup=Startup(
                "Invoke-Expression (& opencode-litellm init pwsh | Out-String)", _pwsh_files, reads_file=False
            ),
            completion=Completion.TEMPLATE,
            reserved=_words("""
                begin break continue do else for foreach function get-command if in return set-alias switch until
                while
            """),
        ),
        Shell(
            "posix",
            _posix_word,
            programs=frozenset({"sh", "dash", "ash", "ksh", "mksh"}),
            startup=Startup('eval "$(opencode-litellm init posix)"', _posix_files),
            reserved=_POSIX_RESERVED | _words("alias unalias"),
            command=r"[A-Za-z_][A-Za-z0-9_]*",
        ),
        Shell(
            "nushell",
            _nushell_word,
            programs=frozenset({"nu"}),
            # Nushell evaluates only files that exist before it starts.
            startup=Startup(
                "opencode-litellm init nushell"
                " | save --force ($nu.user-autoload-dirs.0 | path join opencode-litellm.nu)",
                _nushell_files,
                renewal="exec nu",
                reads_file=False,
            ),
            completion=Completion.TEMPLATE,
            reserved=_words("""
                alias and bit-and bit-or bit-shl bit-shr bit-xor break catch const continue def do else ends-with
                error export export-env extern finally for has hide if in ignore is-not-empty let like loop match mod
                module mut not not-has not-in not-like null or overlay print plugin register return source
                source-env starts-with true false try unlet use where which while xor
            """),
        ),
        Shell(
            "elvish",
            _elvish_word,
            programs=frozenset({"elvish"}),
            startup=Startup("eval (opencode-litellm init elvish | slurp)", _elvish_files),
            completion=Completion.TEMPLATE,
            reserved=_words("""
                and break coalesce continue del eval external fail fn for has-external has-key has-value if not or
                pragma return set tmp try use var while with
            """),
        ),
        Shell(
            "xonsh",
            ascii,
            programs=frozenset({"xonsh"}),
            startup=Startup(_XONSH_LINE, _xonsh_files),
            completion=Completion.TEMPLATE,
            reserved=frozenset(map(str.lower, keyword.kwlist)),
        ),
        Shell("json", jsonc.dump),
        Shell("dotenv", _dotenv_word, travels=True),
        Shell("github", _github_word),
    )
}

SHELLS: Final[Mapping[str, Shell]] = {name: shell for name, shell in FORMATS.items() if shell.startup}
STARTUPS: Final[Mapping[str, Startup]] = {shell.name: shell.startup for shell in FORMATS.values() if shell.startup}
COMPLETIONS: Final[Mapping[str, Completion]] = {
    shell.name: shell.completion for shell in FORMATS.values() if shell.completion
}

_LONGEST_NAME = 100
_OUR_COMMANDS = frozenset({"opencode-litellm", "opencode-with-litellm"})


def command_name(text: str, shell: Shell) -> str:
    """Return ``text`` if ``shell`` can have a command of this name and no shell reserves it.

    UsageFailure otherwise.
    """
    reserved = _OUR_COMMANDS.union(*(shell.reserved for shell in FORMATS.values()))
    if not re.fullmatch(shell.command, text) or len(text) > _LONGEST_NAME or text.lower() in reserved:
        problem = f"--cmd {text[:100]!r} is not a valid command name in every shell"
        raise UsageFailure(problem, "choose another simple word, such as oc")
    return text


def preferred(environment: Mapping[str, str]) -> str:
    """Return the shell to install for if the user names none: the one that runs us, but not a bare ``sh``.

    That may be a script's or an installer's, so then ``SHELL`` counts. UsageFailure if the shell cannot be detected.
    """
    name = detect()
    if name != "posix":
        return name
    program = os.path.basename(environment.get("SHELL", ""))
    return shell_of(program, SHELLS) or name


def detect(among: Mapping[str, Shell] = SHELLS) -> str:
    """Return which of ``among`` runs us, judged by our parent processes; UsageFailure if it is none of them."""
    import shellingham  # type: ignore[import-untyped]  # it ships no types

    remedy = f"name one of {', '.join(among)}"
    try:
        program, _ = shellingham.detect_shell()
    except (OSError, RuntimeError) as error:
        raise UsageFailure("cannot tell which shell this is", remedy) from error
    name = shell_of(program, among)
    if name is None:
        raise UsageFailure(f"this shell is {program}, which is not supported", remedy)
    return name


def shell_of(program: str, among: Mapping[str, Shell]) -> str | None:
    """Return the name of the shell in ``among`` whose processes run as ``program``, None without one."""
    return next((shell.name for shell in among.values() if program in shell.programs), None)
