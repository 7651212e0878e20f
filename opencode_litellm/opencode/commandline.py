"""opencode's own command line, as far as a launch has to understand it.

Which subcommands ever look at providers was seen with strace on opencode 1.18.33.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# An entry of one word stands for every form of the subcommand. `debug config` needs no models, but it is launched
# with a payload because it shows what opencode makes of it.
_WITHOUT_MODELS = frozenset(
    {
        ("agent", "list"),
        ("attach",),
        ("auth",),
        ("completion",),
        ("console",),
        ("db",),
        ("debug", "file"),
        ("debug", "info"),
        ("debug", "lsp"),
        ("debug", "paths"),
        ("debug", "rg"),
        ("debug", "scrap"),
        ("debug", "skill"),
        ("debug", "snapshot"),
        ("debug", "startup"),
        ("export",),
        ("generate",),
        ("help",),
        ("import",),
        ("mcp",),
        ("plug",),
        ("plugin",),
        ("providers",),
        ("session",),
        ("stats",),
        ("uninstall",),
        ("upgrade",),
    }
)

# The other subcommands; a first word that is none of them is a folder for the TUI.
_WITH_MODELS = frozenset({"acp", "agent", "debug", "github", "models", "pr", "run", "serve", "web"})

_PRINT_AND_EXIT = frozenset({"-h", "--help", "-v", "--version", "--get-yargs-completions"})

_TAKES_A_VALUE = frozenset(
    {
        "--agent", "--attach", "--cors", "--cwd", "--dir", "--hostname", "--log-level", "--mdns-domain", "--model",
        "--port", "--prompt", "--replay-limit", "--session", "-m", "-s",
    }
)  # fmt: skip


def is_opencode(program: str) -> bool:
    """Tell whether ``program``, a name or a path, is opencode."""
    name = os.path.basename(program).lower()
    return name.removesuffix(".exe").removesuffix(".cmd") == "opencode"


def uses_models(arguments: Sequence[str]) -> bool:
    """Tell whether ``opencode ARGUMENTS`` may need a model; when in doubt, yes."""
    before = _before_dashes(arguments)
    if not _PRINT_AND_EXIT.isdisjoint(before):
        return False
    words = list(_words(before))
    if words[:1] == ["run"]:
        # With --attach, the server has the models.
        return not any(argument == "--attach" or argument.startswith("--attach=") for argument in before)
    return tuple(words[:1]) not in _WITHOUT_MODELS and tuple(words[:2]) not in _WITHOUT_MODELS


def folder(arguments: Sequence[str], pwd: str) -> str:
    """Return the folder that ``opencode ARGUMENTS`` works in, relative to the working directory; empty for itself.

    ``pwd`` is the variable PWD, empty when it is not set. opencode 1.18 resolves the folder of ``run`` and of the TUI
    against it, even when it is stale, and no other folder.
    """
    before = _before_dashes(arguments)
    word = next(_words(before), "")
    if word == "run":
        return os.path.join(pwd, _value(before, "--dir"))
    if word == "acp":
        # opencode 1.18 ignores it: the client names the folder of each session, most likely this one.
        return _value(before, "--cwd")
    if not word or word in _WITH_MODELS or any(word == subcommand[0] for subcommand in _WITHOUT_MODELS):
        return ""
    return os.path.join(pwd, word)


def model(arguments: Sequence[str]) -> str:
    """Return the PROVIDER/MODEL that ``opencode ARGUMENTS`` names, empty if it names none."""
    return _value(arguments, "--model", "-m")


def _value(arguments: Sequence[str], *options: str) -> str:
    """Return the last value given for an option under any of its names, empty without one."""
    before = _before_dashes(arguments)
    last = ""
    for argument, value in zip(before, [*before[1:], ""]):  # noqa: B905 - the last one has no value
        name, equals, own_value = argument.partition("=")
        if name in options:
            last = own_value if equals else value
    return last


def _before_dashes(arguments: Sequence[str]) -> Sequence[str]:
    return arguments[: arguments.index("--")] if "--" in arguments else arguments


def _words(arguments: Sequence[str]) -> Iterator[str]:
    """Yield the arguments that are neither options nor values of options."""
    rest = iter(arguments)
    for argument in rest:
        if argument in _TAKES_A_VALUE:
            next(rest, None)
        elif not argument.startswith("-"):
            yield argument
