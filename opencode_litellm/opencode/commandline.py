"""opencode's own command line, as far as a launch has to understand it.

opencode 1.18.33, watched with strace: which subcommands ever look at providers.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# Without a second word, every form of the subcommand. `debug config` shows what opencode makes of the payload, so
# it is launched with one, although it needs no models.
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

_OTHERS = frozenset({"acp", "agent", "debug", "github", "models", "pr", "run", "serve", "web"})

_TELLS_AND_ENDS = frozenset({"-h", "--help", "-v", "--version", "--get-yargs-completions"})

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
    """Tell whether ``opencode ARGUMENTS`` may need a model; in doubt it does."""
    before = _before_dashes(arguments)
    if not _TELLS_AND_ENDS.isdisjoint(before):
        return False
    words = list(_words(before))
    if words[:1] == ["run"]:
        # The server that it attaches to has the models.
        return not any(argument == "--attach" or argument.startswith("--attach=") for argument in before)
    return tuple(words[:1]) not in _WITHOUT_MODELS and tuple(words[:2]) not in _WITHOUT_MODELS


def folder(arguments: Sequence[str], pwd: str) -> str:
    """Return the folder that ``opencode ARGUMENTS`` works in, seen from the working directory; empty: that one.

    ``pwd`` is the variable of that name, empty when it is not set. opencode 1.18 believes it, also where it is stale,
    for ``run`` and for a folder that the TUI is given, and nowhere else.
    """
    before = _before_dashes(arguments)
    word = next(_words(before), "")
    if word == "run":
        return os.path.join(pwd, _value(before, "--dir"))
    if word == "acp":
        # opencode 1.18 has no use for it: each session has the folder that its client names, most likely this one.
        return _value(before, "--cwd")
    if not word or word in _OTHERS or any(word == subcommand[0] for subcommand in _WITHOUT_MODELS):
        return ""
    return os.path.join(pwd, word)


def model(arguments: Sequence[str]) -> str:
    """Return the PROVIDER/MODEL that ``opencode ARGUMENTS`` names, empty when it names none."""
    return _value(arguments, "--model", "-m")


def _value(arguments: Sequence[str], *options: str) -> str:
    """Return the value of an option under any of its names, the last one that is given; empty without one."""
    before = _before_dashes(arguments)
    found = ""
    for argument, value in zip(before, [*before[1:], ""]):  # noqa: B905 - the last one has no value
        name, equals, given = argument.partition("=")
        if name in options:
            found = given if equals else value
    return found


def _before_dashes(arguments: Sequence[str]) -> Sequence[str]:
    return arguments[: arguments.index("--")] if "--" in arguments else arguments


def _words(arguments: Sequence[str]) -> Iterator[str]:
    """Yield what is neither an option nor an option's value."""
    rest = iter(arguments)
    for argument in rest:
        if argument in _TAKES_A_VALUE:
            next(rest, None)
        elif not argument.startswith("-"):
            yield argument
