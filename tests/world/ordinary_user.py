"""A user without root's powers: the one who runs the tests, or if that is root, user 1000 of a user namespace."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

from .opencode import Finished, run

if TYPE_CHECKING:
    from collections.abc import Mapping

IS_ROOT = hasattr(os, "geteuid") and os.geteuid() == 0
_NAMESPACE = ("unshare", "--user", "--map-user=1000", "--map-group=1000")


def is_possible() -> bool:
    """Return whether there can be such a user here."""
    return not IS_ROOT or (
        shutil.which("unshare") is not None
        and subprocess.run([*_NAMESPACE, "true"], capture_output=True, check=False).returncode == 0
    )


def as_user(environment: Mapping[str, str], *command: str) -> Finished:
    """Run a command without root's powers."""
    return run([*(_NAMESPACE if IS_ROOT else ()), *command], environment)
