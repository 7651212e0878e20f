"""Other versions of the real opencode, and a plugin for it, each in a folder of its own below ``.tools``.

``make setup`` installs those of the suite, ``make matrix-opencode`` the others.
"""

from __future__ import annotations

import fcntl
import json
import platform
import subprocess
import sys
import tarfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from . import tools

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER = tools.PROJECT / ".tools/opencodes"  # programs of 150 MB each
OLD = "1.2.11"  # the oldest one that the suite itself tries: the first that replaces {env:…} in inline content
PREVIEW = "1.18.18"  # of version 2's server, program lildax
OH_MY_OPENCODE, _ZOD = "4.19.4", "4.6.7"

_HERE = Path(__file__).parent
_MACHINES = {"x86_64": "x64", "AMD64": "x64", "aarch64": "arm64"}
_PLATFORM = f"{sys.platform}-{_MACHINES.get(platform.machine(), platform.machine())}"


def pinned() -> list[str]:
    """Return the versions to try, the oldest first, the one of the suite last."""
    lines = (_HERE / "opencodes.txt").read_text().splitlines()
    newest = json.loads((_HERE / "package.json").read_text())["dependencies"]["opencode-ai"]
    return [*(line for line in lines if line and not line.startswith("#")), newest]


def program(version: str) -> Path:
    """Return the program of a version of opencode 1, and install it if necessary."""
    return _installed(f"opencode-{_PLATFORM}", version, "opencode")


def preview() -> Path:
    """Return the preview of opencode 2's server."""
    return _installed(f"@opencode-ai/cli-{_PLATFORM}", PREVIEW, "lildax")


def oh_my_opencode() -> str:
    """Return the URL of the plugin oh-my-opencode.

    Of its dependencies, 400 MB, only one package is needed: the plugin itself is one file.
    """
    folder = FOLDER / f"oh-my-opencode-{OH_MY_OPENCODE}"
    packages = folder / "node_modules"
    with _locked():
        if not (packages / "oh-my-opencode").exists():
            _install(folder, f"zod@{_ZOD}")
            name = f"oh-my-opencode@{OH_MY_OPENCODE}"
            _npm("pack", "--pack-destination", str(folder), "--cache", str(FOLDER / ".cache"), name)
            with tarfile.open(folder / f"oh-my-opencode-{OH_MY_OPENCODE}.tgz") as archive:
                archive.extractall(folder, filter="data")
            (folder / "package").rename(packages / "oh-my-opencode")
    return (packages / "oh-my-opencode/dist/index.js").as_uri()


def _installed(package: str, version: str, name: str) -> Path:
    folder = FOLDER / f"{name}-{version}"
    path = folder / "node_modules" / package / "bin" / name
    if path.exists():
        return path
    with _locked():
        if not path.exists():
            _install(folder, f"{package}@{version}")
    return path


@contextmanager
def _locked() -> Iterator[None]:
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (FOLDER / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _install(folder: Path, package: str) -> None:
    _npm(
        "install", "--prefix", str(folder), "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts",
        "--cache", str(FOLDER / ".cache"), package,
    )  # fmt: skip


def _npm(*arguments: str) -> None:
    command = [str(tools.program("npm")), *arguments, "--no-update-notifier", "--loglevel=error"]
    try:
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL, capture_output=True, timeout=300)
    except subprocess.SubprocessError as error:
        said = getattr(error, "stderr", None) or b""
        raise tools.ToolMissing(f"{arguments[-1]} cannot be installed: {said.decode()[-300:]}") from error


if __name__ == "__main__":
    program(OLD)
    preview()
    oh_my_opencode()
