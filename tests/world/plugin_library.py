"""opencode's plugin library, which it tries to install into each folder with configuration, at each start."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from .home import write

if TYPE_CHECKING:
    from collections.abc import Mapping

# The files that opencode 1.18 looks for before it installs its plugin library into a folder.
_INSTALLED = {"packages": {"": {"dependencies": {"@opencode-ai/plugin": "*"}}}}


def spare_install(folder: Path) -> None:
    """Make a folder with configuration look as if opencode had installed its plugin library there.

    Otherwise it tries to, in each such folder and again for each project: 0.2 CPU seconds at first, more each time.
    """
    if folder.is_dir() and not (folder / "node_modules").exists():
        (folder / "node_modules").mkdir()
        write(folder / "package-lock.json", _INSTALLED)


def spare_global_install(environment: Mapping[str, str]) -> None:
    """Do so with the folder of the global configuration, which opencode creates if it does not exist.

    A relative ``XDG_CONFIG_HOME`` is left alone: it would be a folder below the one where the tests run.
    """
    folder = Path(environment.get("XDG_CONFIG_HOME") or Path(environment["HOME"], ".config"), "opencode")
    if folder.is_absolute():
        folder.mkdir(parents=True, exist_ok=True)
        spare_install(folder)
