"""What a program gets from us: its environment after a launch, or after the output of ``env`` took effect."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from .opencode import Finished, run

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

EXEC, ENV = "exec", "env"


def handed_over(how: str, environment: Mapping[str, str], folder: Path, *flags: str) -> dict[str, str]:
    """Return the environment of a program that is started from ``folder``, through ``exec`` or after ``env``."""
    finished = asked(how, environment, folder, *flags)
    assert finished.status == 0, finished
    if how == EXEC:
        return dict(line.split("=", 1) for line in finished.stdout.split("\0") if line)
    return applied(environment, finished.stdout)


def asked(how: str, environment: Mapping[str, str], folder: Path, *flags: str) -> Finished:
    """Run ``exec -- env -0`` or ``env json``."""
    if how == EXEC:
        return run(["opencode-litellm", "exec", *flags, "--", "env", "-0"], environment, folder)
    return run(["opencode-litellm", "env", "json", *flags], environment, folder)


def applied(environment: Mapping[str, str], assignments: str) -> dict[str, str]:
    """Return ``environment`` with the output of ``env json`` applied."""
    merged = {**environment, **json.loads(assignments)}
    return {name: value for name, value in merged.items() if value is not None}
