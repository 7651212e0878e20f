"""The shells and file formats that assignments are written for, each with its own way to quote a value."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from opencode_litellm import jsonc, variables
from opencode_litellm.errors import UsageFailure

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


@dataclass(frozen=True)
class Startup:
    """How a shell comes to its snippet: the ``line`` that evaluates it, and the ``files`` that may hold either.

    Of the paths that ``files`` returns for an environment, the shell reads the first that exists.
    """

    line: str
    files: Callable[[Mapping[str, str]], Sequence[str]]


@dataclass(frozen=True)
class Shell:
    """A shell, or a file format that carries assignments as a shell does.

    What it emits stands in ``templates/<name>.j2``. ``word`` writes a value so that exactly that value is
    read back, and raises UsageFailure for one that cannot be written. ``programs`` are the names under which
    the shell's processes run. One with a ``startup`` has a wrapper for ``init`` in its template, too.
    """

    name: str
    word: Callable[[str], str]
    programs: frozenset[str] = frozenset()
    startup: Startup | None = None


def _posix_word(value: str) -> str:
    # Not shlex.quote, which leaves "=ls" bare: zsh expands that to /bin/ls.
    return "'" + value.replace("'", "'\\''") + "'"


def _fish_word(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _pwsh_word(value: str) -> str:
    """Quote printable ASCII, and write the rest as numbers of UTF-16 code units.

    ``Invoke-Expression (& tool | Out-String)`` reads bytes in the console's encoding and joins lines anew, so
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


def _dotenv_word(value: str) -> str:
    """Leave a value bare where python-dotenv, Node and Docker read it alike, else quote it for the first two.

    Docker takes a line as it stands, quotes included. python-dotenv expands ``${X}`` even between quotes.
    """
    if value.isprintable() and not re.search(r"^['\"`\s]|#|\$\{|\s$", value):
        return value
    if re.search(r"'|\r|\$\{|\\\\|\\$", value):
        # Without the value: it may be the user's own configuration, with a key in it.
        raise UsageFailure("dotenv has no way to write these quotes and line breaks", "choose another format")
    return f"'{value}'"


def _github_word(value: str) -> str:
    import secrets  # 4 ms, for GitHub alone

    # The delimiter is drawn after the value is known, so the value cannot hold it.
    delimiter = f"end-{secrets.token_hex(16)}"
    return f"<<{delimiter}\n{value}\n{delimiter}"


def _bash_files(environment: Mapping[str, str]) -> Sequence[str]:
    # On macOS every terminal starts a login shell, which reads the first of these and no .bashrc.
    names = (".bash_profile", ".bash_login", ".profile") if sys.platform == "darwin" else (".bashrc",)
    return [os.path.join(variables.home(environment), name) for name in names]


def _zsh_files(environment: Mapping[str, str]) -> Sequence[str]:
    return [os.path.join(environment.get("ZDOTDIR") or variables.home(environment), ".zshrc")]


def _fish_files(environment: Mapping[str, str]) -> Sequence[str]:
    return [os.path.join(_configuration(environment), "fish", "conf.d", "opencode-litellm.fish")]


def _pwsh_files(environment: Mapping[str, str]) -> Sequence[str]:
    if sys.platform != "win32":
        return [os.path.join(_configuration(environment), "powershell", "profile.ps1")]
    import subprocess

    # The folder of documents can be anywhere there, and each PowerShell has a profile of its own in it.
    asked = ["-NoProfile", "-NonInteractive", "-Command", "$PROFILE.CurrentUserAllHosts"]
    for program in ("pwsh", "powershell"):
        try:
            answer = subprocess.run([program, *asked], capture_output=True, text=True, check=True)  # noqa: S603
        except (OSError, subprocess.CalledProcessError):
            continue
        return [answer.stdout.strip()]
    raise UsageFailure("PowerShell does not say where its profile is", "is it on PATH?")


def _configuration(environment: Mapping[str, str]) -> str:
    return os.path.dirname(variables.own_folder(environment))


FORMATS: Final[Mapping[str, Shell]] = {
    shell.name: shell
    for shell in (
        Shell("bash", _posix_word, frozenset({"bash"}), Startup('eval "$(opencode-litellm init bash)"', _bash_files)),
        Shell("zsh", _posix_word, frozenset({"zsh"}), Startup('eval "$(opencode-litellm init zsh)"', _zsh_files)),
        Shell("fish", _fish_word, frozenset({"fish"}), Startup("opencode-litellm init fish | source", _fish_files)),
        Shell(
            "pwsh",
            _pwsh_word,
            frozenset({"pwsh", "powershell"}),
            Startup("Invoke-Expression (& opencode-litellm init pwsh | Out-String)", _pwsh_files),
        ),
        Shell("posix", _posix_word, frozenset({"sh", "dash", "ash", "ksh"})),
        Shell("json", jsonc.dump),
        Shell("dotenv", _dotenv_word),
        Shell("github", _github_word),
    )
}

SHELLS: Final[Mapping[str, Shell]] = {name: shell for name, shell in FORMATS.items() if shell.startup}
STARTUPS: Final[Mapping[str, Startup]] = {shell.name: shell.startup for shell in FORMATS.values() if shell.startup}

# What some shell keeps for itself, and what the snippets call.
_TAKEN = """
    and begin break builtin case command continue coproc do done elif else end esac eval exec false fi for foreach
    function functions hash if in local nocorrect noglob not or repeat return select set status switch test then
    time true until whence while get-command set-alias opencode-litellm opencode-with-litellm
"""


def command_name(text: str) -> str:
    """Return ``text`` when every shell takes it as the name of a command, else raise UsageFailure."""
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.-]{0,99}", text) or text.lower() in _TAKEN.split():
        problem = f"--cmd {text[:100]!r} cannot be defined in every shell"
        raise UsageFailure(problem, "choose a plain word that is free, such as oc")
    return text


def detect(among: Mapping[str, Shell] = SHELLS) -> str:
    """Return which of ``among`` runs us, by looking at our parent processes; UsageFailure when none does."""
    import shellingham  # type: ignore[import-untyped]  # it ships no types

    names = " | ".join(among)
    try:
        program, _ = shellingham.detect_shell()
    except (OSError, RuntimeError) as error:
        raise UsageFailure("the shell cannot be detected from here", f"name it: {names}") from error
    for shell in among.values():
        if program in shell.programs:
            return shell.name
    raise UsageFailure(f"this shell is {program}, which is not supported", f"name the one you mean: {names}")
