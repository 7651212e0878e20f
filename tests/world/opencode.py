"""The real opencode: running it, and reading its output."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from functools import partial
from typing import IO, TYPE_CHECKING, Any

from . import commands
from .plugin_library import spare_global_install
from .processes import process_group

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_PATIENCE = 90  # seconds; a start takes 1 to 4


@dataclass(frozen=True)
class Finished:
    """How a program ended."""

    status: int
    stdout: str
    stderr: str


def run(
    command: list[str],
    environment: Mapping[str, str],
    folder: Path | str | None = None,
    *,
    given: bytes = b"",
    timeout: float = _PATIENCE,
) -> Finished:
    """Run a program found on the environment's own PATH; ``folder`` is its HOME unless said otherwise.

    Its output goes through files, because opencode 1.18 cuts its output into a pipe at 64 KiB.
    """
    with (
        tempfile.TemporaryFile() as stdin,
        tempfile.TemporaryFile() as stdout,
        tempfile.TemporaryFile() as stderr,
    ):
        stdin.write(given)
        stdin.seek(0)
        path = commands.path_of(command, environment)
        # env(1) looks the program up on the PATH that it is given; subprocess would use ours.
        start = (
            partial(commands.copied, [path, *command[1:]])
            if path
            else partial(process_group, ["/usr/bin/env", *command])
        )
        with start(environment, folder or environment["HOME"], stdin=stdin, stdout=stdout, stderr=stderr) as process:
            status = process.wait(timeout)
        return Finished(status, _text(stdout), _text(stderr))


def _text(written: IO[bytes]) -> str:
    written.seek(0)
    return written.read().decode(errors="replace")


class Opencode:
    """Runs opencode; ``program`` is ``opencode``, or ``opencode-with-litellm`` to go through a launch."""

    def __call__(
        self,
        environment: Mapping[str, str],
        *arguments: str,
        folder: Path | str | None = None,
        program: str = "opencode",
        timeout: float = _PATIENCE,
    ) -> Finished:
        """Run opencode with these arguments."""
        spare_global_install(environment)
        return run([program, *arguments], environment, folder, timeout=timeout)

    def debug_config(
        self, environment: Mapping[str, str], folder: Path | str | None = None, *, program: str = "opencode"
    ) -> dict[str, Any]:
        """Return the configuration as opencode merged it."""
        finished = self(environment, "debug", "config", folder=folder, program=program)
        assert finished.status == 0, finished
        merged: dict[str, Any] = json.loads(finished.stdout)
        return merged

    def models(
        self,
        environment: Mapping[str, str],
        folder: Path | str | None = None,
        provider: str = "litellm",
        *,
        program: str = "opencode",
    ) -> dict[str, dict[str, Any]]:
        """Return a provider's models as opencode understood them, by id; empty if it does not know the provider."""
        finished = self(environment, "models", provider, "--verbose", folder=folder, program=program)
        if finished.status and f"Provider not found: {provider}" in finished.stderr:
            return {}
        assert finished.status == 0, finished
        return models_shown(finished.stdout, provider)

    def run(
        self,
        environment: Mapping[str, str],
        model: str,
        prompt: str,
        folder: Path | str | None = None,
        *,
        program: str = "opencode",
    ) -> Finished:
        """Ask a model, such as ``litellm/gpt-4o``, one question."""
        return self(environment, "run", "-m", model, prompt, folder=folder, program=program)


def models_shown(text: str, provider: str) -> dict[str, dict[str, Any]]:
    """Return the models in the output of ``opencode models PROVIDER --verbose``, by id."""
    # For each model a line `provider/id`, then the model as indented JSON.
    decoder = json.JSONDecoder()
    models = {}
    while text.strip():
        line, _, text = text.lstrip().partition("\n")
        model, end = decoder.raw_decode(text)
        models[line.removeprefix(f"{provider}/")] = model
        text = text[end:]
    return models
