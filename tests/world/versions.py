"""The versions of LiteLLM that are recorded and tried, and how one of them is installed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from . import tools

if TYPE_CHECKING:
    from collections.abc import Iterable

# One release for each kind of answers, from the oldest that still installs to the newest. 1.107.0 was compromised.
VERSIONS = (
    "1.53.9", "1.60.8", "1.65.8", "1.70.4", "1.74.15", "1.77.7", "1.80.17", "1.83.14", "1.90.7", "1.100.5", "1.106.2",
    "1.109.1",
)  # fmt: skip
# Older ones bring no tables for a database.
FIRST_WITH_TABLES = (1, 65)

_FOLDER = tools.PROJECT / ".tools/versions"
_PINS = Path(__file__).with_name("litellm.txt")
# Its own dependencies are newer than some mirrors of the index, so it gets those of the pinned version.
_WITH_PINNED_DEPENDENCIES = ("1.109.1",)


def parsed(version: str) -> tuple[int, ...]:
    """Return a version as numbers, for comparisons."""
    return tuple(int(part) for part in version.split("."))


def installed(version: str, folder: Path = _FOLDER) -> Path:
    """Return the program of a version, and install it into a folder of its own if necessary."""
    if version not in VERSIONS:
        raise ValueError(f"{version} is none of {', '.join(VERSIONS)}: name it in tests/world/versions.py first")
    made = folder / version / ".made"
    if not made.exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder / version)], check=True)
        if version in _WITH_PINNED_DEPENDENCIES:
            _pip(folder / version, ["--no-deps", "--requirement", str(_PINS)])
            parts = ["litellm-proxy-extras", "litellm-enterprise"]
            _pip(folder / version, ["--no-deps", "--upgrade", f"litellm=={version}", *parts])
        else:
            _pip(folder / version, [f"litellm[proxy]=={version}", "prisma==0.15.0"])
        made.touch()
    return folder / version / "bin/litellm"


def _pip(environment: Path, arguments: Iterable[str]) -> None:
    subprocess.run(
        [str(environment / "bin/python"), "-m", "pip", "-qq", "install", *arguments],
        env={**os.environ, "PIP_NO_CACHE_DIR": "0"},
        check=True,
    )
