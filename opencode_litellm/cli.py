"""The command line: what was asked for, handed to the modules that do it, and what they return, printed."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click  # noqa: TID253 - this module is what click is for, and only main() imports it, when nothing shorter fits

from . import __version__, terminal
from .shells import FORMATS, SHELLS, detect

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from .discovery import Discovery
    from .settings import Settings

DIFFERENT = 1  # exit status of --check

Environment = dict[str, str]


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit status; raises Failure."""
    try:
        status = opencode_litellm.main(list(arguments), prog_name="opencode-litellm", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return 130
    return status if isinstance(status, int) else 0


def discovering(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of every command that discovers; each is the variable of the same name, too."""
    options = [
        click.option("--url", metavar="URL", help="The proxy to ask, in place of any other."),
        click.option("--timeout", metavar="SECONDS", help="How long a whole discovery may take [default: 5]."),
        click.option("--delivery", metavar="auto|inline|file|managed", help="How opencode gets the models."),
        click.option("--quiet", is_flag=True, help="Say nothing but why a command failed."),
        click.option("--verbose", is_flag=True, help="Say more of what is done."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def _environment(url: str | None, timeout: str | None, delivery: str | None, quiet: bool, verbose: bool) -> Environment:
    """Return the environment with the flags in it, where settings are read from."""
    flags = {
        "URL": url, "TIMEOUT": timeout, "DELIVERY": delivery,
        "QUIET": "1" if quiet else None, "VERBOSE": "1" if verbose else None,
    }  # fmt: skip
    return {
        **os.environ,
        **{f"OPENCODE_LITELLM_{name}": value for name, value in flags.items() if value is not None},
    }


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="opencode-litellm")
def opencode_litellm() -> None:
    """Every model of a LiteLLM proxy in opencode, fresh at every start.

    \b
    In an rc file:   eval "$(opencode-litellm init zsh)"
    Once:            eval "$(opencode-litellm env bash)"
    As a program:    opencode-with-litellm, wherever opencode stands
    """


@opencode_litellm.command()
@click.argument("shell", required=False, type=click.Choice(list(SHELLS)))
@click.option("--cmd", "command", default="opencode", metavar="NAME", help="The command to define [default: opencode].")
def init(shell: str | None, command: str) -> None:
    """Print the snippet that makes every opencode go through LiteLLM, for eval in an rc file."""
    from . import rendering, replay  # each command imports what it needs

    name = shell or detect()
    text = rendering.snippet(name, command, os.environ)
    replay.keep(name, command, os.environ, text)
    _emit(text)


@opencode_litellm.command()
@click.argument("format_name", metavar="[FORMAT]", required=False, type=click.Choice(list(FORMATS)))
@click.option("--unset", is_flag=True, help="Undo what an earlier env handed over.")
@discovering
def env(format_name: str | None, unset: bool, **flags: Any) -> None:
    """Print assignments that hand over freshly discovered models.

    FORMAT is bash, zsh, fish, pwsh, posix, json, dotenv or github.
    """
    from . import delivery, preparation, record, rendering

    environment = _environment(**flags)
    name = format_name or detect(FORMATS)
    if unset:
        _emit(rendering.assignments(name, delivery.undo(environment), environment))
        return
    chosen, found = _discovered(environment)
    wanted = record.FILE if chosen.delivery == "file" and not delivery.users_file(environment) else record.INLINE
    handover = preparation.hand_over(wanted, found.payload, preparation.lasting_name(found.payload), environment)
    _notes(environment, chosen, found, handover.notes)
    if handover.changes is None:
        raise click.exceptions.Exit(1)
    _emit(rendering.assignments(name, handover.changes, environment))


@opencode_litellm.command()
@click.option(
    "--output", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Write FILE, only if it changes."
)
@click.option("--check", is_flag=True, help="Write nothing, and exit 1 when FILE differs.")
@click.option("--project", is_flag=True, help="With --output: also look at the project's configuration.")
@discovering
def config(output: Path | None, check: bool, project: bool, **flags: Any) -> int:
    """Print the configuration for opencode as JSON, or keep a file of it up to date."""
    from . import rendering

    if check and output is None:
        raise click.UsageError("--check needs --output FILE, the file to compare with")
    environment = _environment(**flags)
    chosen, found = _discovered(environment, project=project or output is None)
    text = rendering.payload(found.payload)
    _notes(environment, chosen, found, ())
    if output is None:
        _emit(text)
        return 0
    return _keep_up_to_date(output, text, check=check)


@opencode_litellm.command("exec", context_settings={"allow_interspersed_args": False})
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED, metavar="PROGRAM [ARG]...")
@discovering
def execute(command: tuple[str, ...], **flags: Any) -> int:
    """Start PROGRAM with fresh models in its environment, in place of this process."""
    from . import launch

    return launch.run(command, _environment(**flags))


@opencode_litellm.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON in place of a table.")
@discovering
def models(as_json: bool, **flags: Any) -> None:
    """List what the proxies serve for opencode."""
    from . import listing

    environment = _environment(**flags)
    chosen, found = _discovered(environment)
    _notes(environment, chosen, found, ())
    _emit(listing.as_json(found) if as_json else listing.as_table(found))


@opencode_litellm.command()
@discovering
def refresh(**flags: Any) -> None:
    """Discover now, for the launches from this folder, and say what was added and removed."""
    from . import answers, configuration, preparation, settings

    environment = _environment(**flags)
    chosen = settings.parse(environment, configuration.read(environment, os.getcwd()))
    before = {proxy.provider: answers.recall(environment, proxy) for proxy in chosen.proxies}
    with _progress("asking LiteLLM for its models"):
        found = preparation.renew(environment, os.getcwd())
    _notes(environment, chosen, found, ())
    lines = []
    for served in found.served:
        old = before.get(served.proxy.provider)
        known = {row.model for row in old.answers.listed} if old else set()
        listed = {row.model for row in served.remembered.answers.listed}
        lines += [f"+ {served.proxy.provider}/{terminal.plain(model)}" for model in sorted(listed - known)]
        lines += [f"- {served.proxy.provider}/{terminal.plain(model)}" for model in sorted(known - listed)]
    _emit("".join(f"{line}\n" for line in [*lines, f"{found.payload.model_count} models for opencode"]))


@opencode_litellm.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script of opencode-litellm for a shell."""
    from click.shell_completion import get_completion_class

    script = get_completion_class(shell)
    if script is not None:
        _emit(script(opencode_litellm, {}, "opencode-litellm", "_OPENCODE_LITELLM_COMPLETE").source() + "\n")


def _discovered(environment: Environment, *, project: bool = True) -> tuple[Settings, Discovery]:
    from . import configuration, discovery, settings

    user = configuration.read(environment, os.getcwd(), project=project)
    chosen = settings.parse(environment, user)
    with _progress("asking LiteLLM for its models"):
        return chosen, discovery.discover(chosen, environment, discovery.Patience.of(chosen.timeout))


def _notes(environment: Environment, chosen: Settings, found: Discovery, more: Sequence[str]) -> None:
    for failure in found.failures:
        terminal.failure(str(failure), environment)
    for note in (*chosen.warnings, *more):
        terminal.note(note, environment)
    for served in found.served:
        terminal.detail(
            f"provider {served.proxy.provider}: {len(served.models)} models from {served.remembered.answers.url.root}"
            f" ({served.proxy.url_source}), key: {served.proxy.key.source}",
            environment,
        )


def _progress(text: str) -> AbstractContextManager[Any]:
    """Show that something goes on, on a terminal; silence is for pipes."""
    if not sys.stderr.isatty():
        return nullcontext()
    from rich.console import Console  # 60 ms, on a terminal only

    return Console(stderr=True).status(text)


def _keep_up_to_date(output: Path, text: str, *, check: bool) -> int:
    try:
        current = output.read_text(encoding="utf-8") if output.exists() else None
    except (OSError, ValueError):
        current = None
    if current == text:
        return 0
    if check:
        terminal.note(f"{output} differs from what the proxies serve now", os.environ)
        return DIFFERENT
    with _replacing(output) as file:
        file.write(text)
    return 0


@contextmanager
def _replacing(output: Path) -> Iterator[Any]:
    """Write a file beside ``output`` and put it in its place: through a symbolic link, with the mode that was there."""
    target = output.resolve()
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        mode = target.stat().st_mode & 0o777 if target.exists() else 0o600
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="ascii") as file:
            yield file
        temporary.replace(target)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise click.FileError(str(output), error.strerror or str(error)) from error


def _emit(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
