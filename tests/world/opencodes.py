"""Other versions of the real opencode, each in a folder of its own below ``.tools``.

``make setup`` installs those of the suite, ``make matrix`` the others.
"""

from __future__ import annotations

import fcntl
import json
import platform
import subprocess
import sys
from pathlib import Path

from . import tools

FOLDER = tools.PROJECT / ".tools/opencodes"  # programs of 150 MB each
OLD = "1.2.11"  # the oldest one that the suite itself tries: the first that replaces {env:…} in inline content
PREVIEW = "1.18.18"  # of version 2's server, program lildax

_HERE = Path(__file__).parent
_MACHINES = {"x86_64": "x64", "AMD64": "x64", "aarch64": "arm64"}
_PLATFORM = f"{sys.platform}-{_MACHINES.get(platform.machine(), platform.machine())}"


def pinned() -> list[str]:
    """Return the versions to try, the oldest first, the one of the suite last."""
    lines = (_HERE / "opencodes.txt").read_text().splitlines()
    newest = json.loads((_HERE / "package.json").read_text())["dependencies"]["opencode-ai"]
    return [*(line for line in lines if line and not line.startswith("#")), newest]


def program(version: str) -> Path:
    """Return the program of a version of opencode 1, installed if it is not there yet."""
    return _installed(f"opencode-{_PLATFORM}", version, "opencode")


def preview() -> Path:
    """Return the preview of opencode 2's server."""
    return _installed(f"@opencode-ai/cli-{_PLATFORM}", PREVIEW, "lildax")


def _installed(package: str, version: str, name: str) -> Path:
    folder = FOLDER / f"{name}-{version}"
    path = folder / "node_modules" / package / "bin" / name
    if path.exists():
        return path
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (FOLDER / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            _install(folder, f"{package}@{version}")
    return path


def _install(folder: Path, package: str) -> None:
    command = [
        str(tools.program("npm")), "install", "--prefix", str(folder), "--no-package-lock", "--no-audit", "--no-fund",
        "--no-update-notifier", "--ignore-scripts", "--loglevel=error", "--cache", str(FOLDER / ".cache"), package,
    ]  # fmt: skip
    try:
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL, capture_output=True, timeout=300)
    except subprocess.SubprocessError as error:
        said = getattr(error, "stderr", None) or b""
        raise tools.ToolMissing(f"{package} cannot be installed: {said.decode()[-300:]}") from error


if __name__ == "__main__":
    program(OLD)
    preview()
