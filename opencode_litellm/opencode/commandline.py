"""opencode's own command line, as far as a launch has to understand it.

Which subcommands look at providers: seen with strace on opencode 1.18.33, and read in the source of 2.0.26.
"""

from __future__ import annotations

import os

from opencode_litellm.fields import Fields
from opencode_litellm.opencode import versions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from opencode_litellm.opencode.versions import Version


# The same in all versions.
_SERVERS = frozenset({"acp", "api", "github", "serve", "service", "web"})
_PRINTS = frozenset({"--completions", "--get-yargs-completions", "--help", "--version", "-v"})
_SESSIONS = frozenset({"--continue", "--fork", "--session", "-c", "-s"})


class Grammar(Fields):
    """The command line of some versions of opencode.

    ``without_models`` holds the subcommands that need no models, ``with_models`` those that do. An entry of one word
    covers all forms of a subcommand, except those that the other set lists. A first word that is in neither set is a
    folder for the TUI. ``print_and_exit`` holds the options with which opencode only prints something.
    ``takes_a_value`` holds the options whose value is the next argument.
    """

    without_models: frozenset[tuple[str, ...]]
    with_models: frozenset[tuple[str, ...]]
    print_and_exit: frozenset[str]
    takes_a_value: frozenset[str]


FIRST = Grammar(
    # `debug config` needs no models. It gets a payload anyway, to show what opencode makes of it.
    without_models=frozenset(
        {
            ("agent", "list"), ("attach",), ("auth",), ("completion",), ("console",), ("db",), ("debug", "file"),
            ("debug", "info"), ("debug", "lsp"), ("debug", "paths"), ("debug", "rg"), ("debug", "scrap"),
            ("debug", "skill"), ("debug", "snapshot"), ("debug", "startup"), ("export",), ("generate",), ("help",),
            ("import",), ("mcp",), ("plug",), ("plugin",), ("providers",), ("session",), ("stats",), ("uninstall",),
            ("upgrade",),
        }
    ),
    with_models=frozenset(
        {("acp",), ("agent",), ("debug",), ("github",), ("models",), ("pr",), ("run",), ("serve",), ("web",)}
    ),
    print_and_exit=frozenset({"-h", "--help", "-v", "--version", "--get-yargs-completions"}),
    takes_a_value=frozenset(
        {
            "--agent", "--attach", "--cors", "--cwd", "--dir", "--hostname", "--log-level", "--mdns-domain", "--model",
            "--port", "--prompt", "--replay-limit", "--session", "-m", "-s",
        }
    ),
)  # fmt: skip

# Seen on 1.0.0, where -h is --hostname.
WITH_HOSTNAME = Grammar(
    without_models=FIRST.without_models,
    with_models=FIRST.with_models,
    print_and_exit=FIRST.print_and_exit - {"-h"},
    takes_a_value=FIRST.takes_a_value | {"-h"},
)

SECOND = Grammar(
    without_models=frozenset(
        {
            ("auth",), ("debug",), ("mcp",), ("pair",), ("plugin",), ("reload",), ("service",), ("session",),
            ("stats",), ("uninstall",), ("update",), ("upgrade",),
        }
    ),
    with_models=frozenset(
        {
            ("acp",), ("api",), ("auth", "list"), ("auth", "login"), ("mini",), ("models",), ("run",), ("serve",),
            ("service", "restart"), ("service", "start"),
        }
    ),
    print_and_exit=frozenset({"-h", "--help", "-v", "--version", "--completions"}),
    takes_a_value=frozenset(
        {
            "--agent", "--answer", "--completions", "--cors", "--data", "--days", "--directory", "--env", "--file",
            "--format", "--header", "--hostname", "--limit", "--log-level", "--max-count", "--method", "--model",
            "--param", "--port", "--project", "--prompt", "--replay-limit", "--server", "--session", "--title", "--url",
            "--year", "-H", "-d", "-f", "-m", "-n", "-s",
        }
    ),
)  # fmt: skip


def of(version: Version) -> Grammar:
    """Return the command line of a version."""
    if version.major > 1:
        return SECOND
    return FIRST if version.has(versions.SHORT_HELP) else WITH_HOSTNAME


def is_opencode(program: str) -> bool:
    """Return whether ``program``, a name or a path, is opencode. ``opencode2`` is another name of version 2."""
    return versions.name_of(program) in versions.NAMES


def uses_models(arguments: Sequence[str], grammar: Grammar) -> bool:
    """Return whether ``opencode ARGUMENTS`` may need a model; when in doubt, yes."""
    before = _before_dashes(arguments)
    if not grammar.print_and_exit.isdisjoint(before):
        return False
    words = tuple(_words(before, grammar))
    if words[:1] == ("run",) and _is_given(before, "--attach"):
        return False  # the server that it attaches to has the models
    if words[:2] in grammar.with_models:
        return True
    return words[:1] not in grammar.without_models and words[:2] not in grammar.without_models


def prints_and_exits(arguments: Sequence[str]) -> bool:
    """Return whether ``opencode ARGUMENTS``, of any version, only prints its help, its version or completions."""
    return not _PRINTS.isdisjoint(_before_dashes(arguments))


def uses_own_server(arguments: Sequence[str]) -> bool:
    """Return whether ``opencode ARGUMENTS``, of version 2, starts a server of its own, which gets its environment."""
    return _is_given(_before_dashes(arguments), "--standalone")


def uses_named_server(arguments: Sequence[str]) -> bool:
    """Return whether ``opencode ARGUMENTS``, of version 2, connects to a server that somebody else runs."""
    return _is_given(_before_dashes(arguments), "--server")


def folder(arguments: Sequence[str], pwd: str, grammar: Grammar) -> str:
    """Return the folder that ``opencode ARGUMENTS`` works in, relative to the working directory, or empty for that one.

    ``pwd`` is the variable PWD, empty when it is not set. opencode 1.18 resolves the folder of ``run`` and of the TUI
    against PWD, even a stale one. It does so with no other folder.
    """
    before = _before_dashes(arguments)
    word = next(_words(before, grammar), "")
    if word == "run":
        return os.path.join(pwd, _value(before, "--dir"))
    if word == "acp":
        # opencode 1.18 ignores this option. The client names the folder of each session, which most likely is this one.
        return _value(before, "--cwd")
    if not word or any(word == subcommand[0] for subcommand in grammar.with_models | grammar.without_models):
        return ""
    return os.path.join(pwd, word)


def model(arguments: Sequence[str]) -> str:
    """Return the PROVIDER/MODEL that ``opencode ARGUMENTS`` names, empty if it names none."""
    return _value(arguments, "--model", "-m")


def takes_names_from_elsewhere(arguments: Sequence[str], grammar: Grammar) -> bool:
    """Return whether ``opencode ARGUMENTS`` may use models whose names we cannot find out.

    The model of an earlier session is named in opencode's database; the clients of a server name theirs later.
    """
    before = _before_dashes(arguments)
    if any(argument.partition("=")[0] in _SESSIONS for argument in before):
        return True
    return next(_words(before, grammar), "") in _SERVERS


def _value(arguments: Sequence[str], *options: str) -> str:
    """Return the last value that is given for an option, under any of its names; empty if there is none."""
    before = _before_dashes(arguments)
    last = ""
    for argument, value in zip(before, [*before[1:], ""]):  # noqa: B905 - the last one has no value
        name, equals, own_value = argument.partition("=")
        if name in options:
            last = own_value if equals else value
    return last


def _before_dashes(arguments: Sequence[str]) -> Sequence[str]:
    return arguments[: arguments.index("--")] if "--" in arguments else arguments


def _is_given(before: Sequence[str], option: str) -> bool:
    return any(argument == option or argument.startswith(f"{option}=") for argument in before)


def _words(arguments: Sequence[str], grammar: Grammar) -> Iterator[str]:
    """Yield the arguments that are neither options nor values of options."""
    rest = iter(arguments)
    for argument in rest:
        if argument in grammar.takes_a_value:
            next(rest, None)
        elif not argument.startswith("-"):
            yield argument
