"""The command line: it reads what is asked for, calls the modules that do it, and prints what they return."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click  # noqa: TID253 - this module is what click is for, and only main() imports it, when nothing shorter fits

from opencode_litellm import __version__, terminal, variables
from opencode_litellm.errors import Failure, UsageFailure
from opencode_litellm.shells.formats import COMPLETIONS, FORMATS, SHELLS, detect, preferred, shell_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from contextlib import AbstractContextManager

    from rich.status import Status

    from opencode_litellm.discovery import Discovery
    from opencode_litellm.opencode.configuration import Configuration
    from opencode_litellm.opencode.delivery import Changes
    from opencode_litellm.output import Output
    from opencode_litellm.settings.sections import Settings
    from opencode_litellm.shells.formats import Shell
    from opencode_litellm.shells.installation import Outcome

NAME = "opencode-litellm"
DIFFERENT = 1  # exit status of --check
NO_MATCH = 1  # exit status of models, as grep's

Environment = Mapping[str, str]


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit status; raises Failure."""
    try:
        status = opencode_litellm.main(list(arguments), prog_name=NAME, standalone_mode=False)
    except click.UsageError as error:
        path = error.ctx.command_path if error.ctx else NAME
        message = error.format_message().rstrip(".")
        raise UsageFailure(f"{message}{' See' if message.endswith('?') else '; see'} {path} --help") from error
    except (click.Abort, KeyboardInterrupt):
        return 130
    return status if isinstance(status, int) else 0


class _ShellName(click.Choice):  # type: ignore[type-arg]  # click 8.1 has no parameter here
    """The name of a row of the table of shells, or of one of its programs: ``powershell`` is pwsh, ``nu`` nushell."""

    def __init__(self, rows: Mapping[str, Shell]) -> None:
        super().__init__(list(rows))
        self._rows = rows

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return super().convert(shell_of(value, self._rows) or value, param, ctx)


def _deliveries(_: click.Context, __: click.Parameter, incomplete: str) -> list[str]:
    """Complete the values of --delivery. It is not a click.Choice, so that a wrong one does not stop doctor."""
    from opencode_litellm.settings.sections import DELIVERIES

    return [name for name in DELIVERIES if name.startswith(incomplete)]


def discovering(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that all commands with a discovery have; each is also a variable of that name."""
    options = [
        click.option("--url", metavar="URL", help="The proxy to use, instead of any other."),
        click.option("--timeout", metavar="SECONDS", help="How long to wait for the proxies in total [default: 5]."),
        click.option(
            "--delivery",
            metavar="HOW",
            shell_complete=_deliveries,
            help="How opencode gets the models: auto, inline, file or managed [default: auto].",
        ),
        click.option("--quiet", is_flag=True, help="Print no messages except the reason for a failure."),
        click.option("--verbose", is_flag=True, help="Print more about what happens."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def _environment(**flags: str | bool | None) -> Environment:
    """Return the environment that settings are read from: ours, with the flags of ``discovering`` added."""
    given = {name: value for name, value in flags.items() if value is not None and value is not False}
    texts = {name: "1" if value is True else str(value) for name, value in given.items()}
    return variables.changed(os.environ, {f"OPENCODE_LITELLM_{name.upper()}": text for name, text in texts.items()})


def _trimmed(environment: Environment) -> Environment:
    """Return the environment as launches see it, without white space around a key."""
    return variables.changed(environment, variables.trimmed_keys(environment))


@click.group(context_settings={"help_option_names": ["-h", "--help"]}, invoke_without_command=True)
@click.version_option(__version__, prog_name=NAME)
@click.pass_context
def opencode_litellm(context: click.Context) -> None:
    """Every model of a LiteLLM proxy in opencode, fresh at every start.

    \b
    In an rc file:   eval "$(opencode-litellm init zsh)"
    Once:            eval "$(opencode-litellm env bash)"
    As a program:    opencode-with-litellm, instead of opencode

    The options of commands that ask a proxy are also variables: --url is OPENCODE_LITELLM_URL.
    OPENCODE_LITELLM_DISABLE=1 makes every launch start plain opencode.
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help(), err=True)
        context.exit(UsageFailure.exit_status)


@opencode_litellm.command()
@click.argument("shell", required=False, type=_ShellName(SHELLS))
@click.option("--cmd", "command", default="opencode", metavar="NAME", help="The command to define [default: opencode].")
def init(shell: str | None, command: str) -> None:
    """Print the snippet for an rc file."""
    from opencode_litellm.shells import emission, replay

    name = shell or detect()
    complaints: list[UsageFailure] = []
    text = emission.snippet(name, command, os.environ, complaints.append)
    for complaint in complaints:
        terminal.note(str(complaint), os.environ)
    if not complaints:  # a kept snippet would not repeat them
        replay.keep(name, command, os.environ, text)
    terminal.emit(text)


@opencode_litellm.command(epilog=f"FORMAT is {terminal.either(FORMATS)} [default: the shell that runs this].")
@click.argument("format_name", metavar="[FORMAT]", required=False, type=_ShellName(FORMATS))
@click.option("--unset", is_flag=True, help="Undo an earlier env.")
@discovering
def env(format_name: str | None, unset: bool, **flags: Any) -> None:
    """Print assignments that give opencode fresh models."""
    from opencode_litellm.launch import handover, restriction
    from opencode_litellm.opencode import delivery, versions

    environment = _environment(**flags)
    name = format_name or detect(FORMATS)
    if unset:
        _assign(name, delivery.undo(environment), environment)
        return
    version, recipient = handover.recipient_on_path(environment)
    if recipient == versions.SERVER:
        _hand_to_server(delivery.shared(environment), f"{version}'s server")
        _assign(name, delivery.undo(environment), environment)
        return
    named = _with_any_model(environment)  # opencode may be started later with any model
    try:
        settings, discovery = _discover(named, _configuration(environment))
    except Failure:
        if changes := restriction.printable(environment, _folder()):
            _assign(name, changes, environment)
        raise
    travels = FORMATS[name].travels
    how = handover.hand_over_to_shell(discovery, settings, environment, recipient=recipient, travels=travels)
    _notes(environment, discovery, (*how.notes, *handover.unprinted_headers(discovery, environment)))
    _assign(name, how.changes, environment)


@opencode_litellm.command()
@click.option(
    "--output",
    "path",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write FILE if it changes.",
)
@click.option("--check", is_flag=True, help="Write nothing; exit with status 1 if FILE differs.")
@click.option("--project", is_flag=True, help="With --output: also read the project's configuration.")
@discovering
def config(path: Path | None, check: bool, project: bool, **flags: Any) -> int:
    """Print opencode's configuration, or keep a file up to date."""
    from opencode_litellm import output, rendering
    from opencode_litellm.launch import handover

    if check and path is None:
        raise click.UsageError("--check needs --output FILE, the file to compare with")
    environment = _environment(**flags)
    file = output.Output.of(path) if path is not None and not check else None
    try:
        configuration = _configuration(environment, project=project or path is None)
        # We cannot tell which models the reader of this output will name.
        _, discovery = _discover(_with_any_model(environment), configuration)
    except Failure:
        if not check:
            _restrict(file, environment)
        raise
    text = rendering.payload(discovery.payload)
    _notes(environment, discovery, handover.unprinted_headers(discovery, environment))
    if path is None:
        terminal.emit(text)
        return 0
    if file is not None:
        file.write(text)
    elif differences := output.differences(path, text):
        for line in differences:
            terminal.note(line, environment)
        return DIFFERENT
    if unread := output.unread(path, environment, _folder()):
        terminal.note(unread, environment)
    return 0


@opencode_litellm.command("exec", context_settings={"allow_interspersed_args": False})
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED, metavar="PROGRAM [ARG]...")
@discovering
def execute(command: tuple[str, ...], **flags: Any) -> int:
    """Start PROGRAM with fresh models."""
    from opencode_litellm.launch import warm

    return warm.run(command, _environment(**flags))


@opencode_litellm.command()
@click.argument("patterns", metavar="[PATTERN]...", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Include hidden models, with the reason why each is hidden.")
@click.option(
    "--sort",
    "order",
    type=click.Choice(("price", "context", "name")),
    help="Sort by price (cheapest first), context (largest first) or name.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
@discovering
def models(patterns: tuple[str, ...], everything: bool, order: str | None, as_json: bool, **flags: Any) -> int:
    """List the models that opencode can use.

    PATTERN is a glob such as '*claude*' that matches ids with or without their provider. The exit status is 1 when no
    model matches. Context and output are in tokens, prices in USD per million tokens of input and output. In a pipe,
    each model is one line of tab-separated fields.

    A narrow terminal drops columns in this order: route, output, modalities, name, reasoning, price, context. A long
    list is shown in PAGER, as in git.
    """
    from opencode_litellm import listing, pager

    environment = _trimmed(_environment(**flags))
    _, discovery = _discover(environment, _configuration(environment))
    _notes(environment, discovery, ())
    listed = listing.in_order_of(listing.matching(listing.entries(discovery, everything=everything), patterns), order)
    if as_json:
        terminal.emit(listing.as_json(listed, everything=everything))
    elif not terminal.is_terminal(sys.stdout):
        terminal.emit(listing.as_lines(listed, everything=everything))
    elif listed:
        coloured = terminal.is_coloured(sys.stdout, environment)
        table = listing.as_table(listed, terminal.size().columns, coloured=coloured)
        summary = listing.summary(listed, discovery, everything=everything, coloured=coloured)
        pager.show(table + summary, environment)
    if not listed:
        terminal.failure(listing.no_match(patterns, everything=everything), environment)
    return 0 if listed else NO_MATCH


@opencode_litellm.command()
@discovering
def refresh(**flags: Any) -> None:
    """Ask the proxies now, and show what changed."""
    from opencode_litellm import discovery, listing
    from opencode_litellm.launch import cold, handover
    from opencode_litellm.opencode import versions
    from opencode_litellm.settings import sections

    environment = _trimmed(_environment(**flags))
    configuration = _configuration(environment)
    settings = sections.parse(environment, configuration)
    _warn(environment, settings)
    before = listing.entries(discovery.recall(settings, environment))
    server = handover.recipient_on_path(environment)[1] == versions.SERVER
    with _progress(environment):
        new = cold.refresh(environment, _folder(), configuration, settings, server=server)
    _notes(environment, new, ())
    answered = [served.proxy.provider for served in new.served]
    coloured = terminal.is_coloured(sys.stdout, environment)
    terminal.emit(listing.as_changes(before, listing.entries(new), answered, coloured=coloured))


@opencode_litellm.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of lines.")
@discovering
def doctor(as_json: bool, **flags: Any) -> int:
    """Check every step of a launch, and say how to fix what fails.

    The exit status is that of the first failed check.
    """
    from opencode_litellm import doctor as examination
    from opencode_litellm import report

    environment = _environment(**flags)
    with _progress(environment, "checking every step of a launch"):
        checks = examination.examine(environment, _folder())
    if as_json:
        terminal.emit(report.as_json(checks))
    else:
        width = terminal.size().columns if terminal.is_terminal(sys.stdout) else None
        terminal.emit(report.as_lines(checks, width, coloured=terminal.is_coloured(sys.stdout, environment)))
    return next((check.exit_status for check in checks if check.status == examination.FAILED), 0)


@opencode_litellm.command(epilog=f"SHELL is {terminal.either(SHELLS)} [default: the shell that runs this].")
@click.argument("names", metavar="[SHELL]...", nargs=-1, type=_ShellName(SHELLS))
@click.option("--cmd", "command", default="opencode", metavar="NAME", help="The command to define [default: opencode].")
@click.option("--shim", is_flag=True, help="Also install a shim ahead of the real opencode on PATH.")
@click.option("--dry-run", is_flag=True, help="Show what would be done, but change nothing.")
def install(names: tuple[str, ...], command: str, shim: bool, dry_run: bool) -> int:
    """Add the snippet to a shell's startup files, or update it.

    The shim is a program named opencode, for programs that do not use shell functions: editors, scripts, xargs.
    """
    from opencode_litellm.shells import installation

    shells = dict.fromkeys(names or _running(shim))
    return _report(installation.install(shells, command, os.environ, shim=shim, dry_run=dry_run), dry_run)


@opencode_litellm.command()
@click.option("--dry-run", is_flag=True, help="Show what would be done, but change nothing.")
def uninstall(dry_run: bool) -> int:
    """Remove the snippets, the shim, the cache and the log."""
    from opencode_litellm.shells import installation

    return _report(installation.uninstall(os.environ, dry_run=dry_run), dry_run)


@opencode_litellm.command()
@click.argument("shell", type=_ShellName({name: FORMATS[name] for name in COMPLETIONS}))
def completion(shell: str) -> None:
    """Print the completion script for a shell."""
    from opencode_litellm.shells import emission

    terminal.emit(emission.completion(shell, opencode_litellm))


EXAMPLES = {
    "init": """eval "$(opencode-litellm init zsh)\"""",
    "env": """eval "$(opencode-litellm env bash)\"""",
    "config": "opencode-litellm config --output ~/dotfiles/opencode.json",
    "exec": "opencode-litellm exec -- opencode run hello",
    "models": "opencode-litellm models '*claude*' --sort price",
    "refresh": "opencode-litellm refresh",
    "doctor": "opencode-litellm doctor --verbose",
    "install": "opencode-litellm install bash zsh --shim",
    "uninstall": "opencode-litellm uninstall --dry-run",
    "completion": "opencode-litellm completion fish | source",
}


def _end_help_with_examples() -> None:
    opencode_litellm.epilog = "\n".join(["\b", "Examples:", *(f"  {example}" for example in EXAMPLES.values())])
    for name, command in opencode_litellm.commands.items():
        example = f"\b\nExample:\n  {EXAMPLES[name]}"
        command.epilog = f"{command.epilog}\n\n{example}" if command.epilog else example


_end_help_with_examples()


def _running(shim: bool) -> list[str]:
    """Return the shell that runs us. If a ``shim`` is installed as well, it may be one that we do not know."""
    try:
        return [preferred(os.environ)]
    except UsageFailure as failure:
        if not shim:
            raise
        terminal.note(f"the snippet is not installed: {failure}", os.environ)
        return []


def _report(outcomes: Iterable[Outcome | UsageFailure], dry_run: bool) -> int:
    """Report each file as soon as it is done, and return the exit status."""
    status = 0
    for outcome in outcomes:
        if isinstance(outcome, UsageFailure):
            terminal.failure(str(outcome), os.environ)
            status = outcome.exit_status
            continue
        terminal.emit(outcome.line(dry_run=dry_run))
        if outcome.note:
            terminal.note(outcome.note, os.environ)
    return status


def _with_any_model(environment: Environment) -> Environment:
    return variables.changed(environment, {variables.NAMED_MODEL: variables.ANY_MODEL})


def _complaint(environment: Environment) -> Callable[[UsageFailure], None]:
    """Return a function that prints a failure as a message, after which we go on."""
    return lambda failure: terminal.note(str(failure), environment)


def _folder() -> str:
    try:
        return os.getcwd()
    except OSError as error:
        problem = f"the working directory is gone or not accessible ({error.strerror})"
        raise UsageFailure(problem, "change to another directory") from error


def _configuration(environment: Environment, *, project: bool = True) -> Configuration:
    from opencode_litellm.opencode import configuration

    return configuration.read(environment, _folder(), project=project)


def _discover(environment: Environment, configuration: Configuration) -> tuple[Settings, Discovery]:
    from opencode_litellm.discovery import Patience, discover
    from opencode_litellm.settings import sections

    settings = sections.parse(environment, configuration)
    _warn(environment, settings)
    with _progress(environment):
        return settings, discover(settings, environment, Patience.of(settings.timeout))


def _assign(format_name: str, changes: Changes, environment: Environment) -> None:
    """Print assignments that make these changes."""
    from opencode_litellm.shells import emission

    terminal.emit(emission.assignments(format_name, changes, environment, _complaint(environment)))


def _hand_to_server(environment: Environment, server: str) -> None:
    """Put fresh models into the file that opencode 2's server reads, because it gets no variables from a launch."""
    from opencode_litellm.launch import restriction
    from opencode_litellm.launch.handover import hand_over
    from opencode_litellm.opencode import versions

    try:
        settings, discovery = _discover(environment, _configuration(environment, project=False))
    except Failure:
        restriction.restrict_server(environment, _folder())
        raise
    handover = hand_over(discovery, settings, environment, launch=False, recipient=versions.SERVER)
    note = f"{server} reads a file, not this shell's variables: the models are in that file, and no variables are set"
    _notes(environment, discovery, (*handover.notes, note))


def _warn(environment: Environment, settings: Settings) -> None:
    """Print the warnings before a proxy is asked: they may say why none is found."""
    for warning in settings.warnings:
        terminal.note(warning, environment)


def _notes(environment: Environment, discovery: Discovery, more: Sequence[str]) -> None:
    for failure in discovery.failures:
        terminal.failure(str(failure), environment)
    for note in (*discovery.notes, *more):
        terminal.note(note, environment)
    for served in discovery.served:
        count, url = len(served.catalogue.models), served.remembered.answers.url
        terminal.detail(
            f"provider {served.proxy.provider}: {count} models from {url.root}"
            f" ({served.proxy.url_source}), key: {served.proxy.key.source}",
            environment,
        )


def _restrict(file: Output | None, environment: Environment) -> None:
    """Print the restrictions that the user wants, or write them into ``file``."""
    from opencode_litellm import rendering
    from opencode_litellm.launch import restriction
    from opencode_litellm.opencode.payload import Payload

    restrictions = restriction.wanted(environment, _folder())
    if restrictions and file is None:
        terminal.emit(rendering.payload(Payload((), restrictions=restrictions)))
    elif restrictions and file is not None:
        try:
            file.restrict(restrictions)
        except UsageFailure as failure:  # the status stays that of the proxy
            terminal.failure(str(failure), environment)


def _progress(
    environment: Environment, text: str = "asking LiteLLM for its models"
) -> AbstractContextManager[Any]:
    """Show progress on a terminal; a pipe gets nothing."""
    quiet = variables.switched_on(environment, variables.QUIET)
    if quiet or sys.stderr is None or not sys.stderr.isatty() or environment.get("TERM") == "dumb":
        return nullcontext()
    from rich.console import Console  # 60 ms, on a terminal only

    return _restoring_terminal(Console(stderr=True).status(text))


@contextmanager
def _restoring_terminal(shown: Status) -> Iterator[None]:
    """Restore the terminal even if a signal ends us, or comes as we begin: the cursor would stay hidden."""
    import signal  # on a terminal only

    def end(number: int, _: object) -> None:
        raise SystemExit(128 + number)  # as shells name it

    kinds = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {kind: signal.signal(kind, end) for kind in kinds}
    try:
        shown.start()
        yield
    finally:
        try:
            shown.stop()
        except (IndexError, RuntimeError):  # the signal came before rich had begun
            shown.console.show_cursor(True)
        for kind, handler in before.items():
            signal.signal(kind, handler)
