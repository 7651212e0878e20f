"""Where the real programs are: ``make setup`` puts them into ``.tools``, shells come from the system."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
LITELLM = PROJECT / ".tools/litellm/bin/litellm"
OPENCODE = PROJECT / ".tools/node/node_modules/.bin/opencode"
PRISMA = PROJECT / ".tools/prisma/node_modules"
NUSHELL = PROJECT / ".tools/nushell/node_modules/@nushell"
PLUGIN = PROJECT / ".tools/node/node_modules/opencode-plugin-litellm"
# Where the interpreter that runs this is: .venv/bin, as `make` set it up.
SCRIPTS = Path(os.path.abspath(sys.executable)).parent  # it may be ../.venv/bin/python
CONSOLE_SCRIPTS = ("opencode-litellm", "opencode-with-litellm")


class ToolMissing(Exception):
    """A program that a test or the demo needs is not on this machine; ``str()`` of it says how to get it."""


def installed(path: Path) -> Path:
    """Return a program of ours that ``make setup`` installs."""
    if not path.exists():
        raise ToolMissing(f"{path.relative_to(PROJECT)} is not there: run `make setup` first")
    return path


def console_script(name: str) -> Path:
    """Return one of our own console scripts, as installed beside this interpreter."""
    path = SCRIPTS / name
    if not path.exists():
        raise ToolMissing(f"{path} is not there: run `make setup` first")
    return path


def postgresql() -> Path:
    """Return the folder with PostgreSQL's programs, which Debian does not put on PATH: the newest."""
    folders = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    on_path = shutil.which("initdb")
    if not folders and on_path is None:
        raise ToolMissing("PostgreSQL's server is not installed here")
    return max(folders, key=lambda path: int(path.parent.name)) if folders else Path(str(on_path)).parent


def program(name: str) -> Path:
    """Return a program of the system's, such as a shell or tmux."""
    # Where .ci/run puts PowerShell, `make setup` nushell, and Debian nginx: folders that are often not on PATH.
    nushell = (str(folder) for folder in NUSHELL.glob("*/bin"))
    folders = (os.environ["PATH"], str(Path.home() / ".local/bin"), "/usr/sbin", *nushell)
    path = shutil.which(name, path=os.pathsep.join(folders))
    if path is None:
        raise ToolMissing(f"{name} is not installed here")
    return Path(path)
