"""Other versions of the real opencode, and a plugin for it, each in a folder of its own below ``.tools``.

``make setup`` installs those of the suite, ``make matrix-opencode`` the others; tests only look for them.
"""

from __future__ import annotations

import fcntl
import json
import platform
import subprocess
import sys
import tarfile
from contextlib import contextmanager
from dataclasses import dataclass
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
    """Return the program of a version of opencode 1, if it is installed."""
    return tools.installed(_opencode(version).path)


def preview() -> Path:
    """Return the preview of opencode 2's server, if it is installed."""
    return tools.installed(_LILDAX.path)


def oh_my_opencode() -> str:
    """Return the URL of the plugin oh-my-opencode, if it is installed."""
    return tools.installed(_OH_MY_OPENCODE / "dist/index.js").as_uri()


def install(version: str) -> Path:
    """Install a version of opencode 1, if necessary, and return its program."""
    return _installed(_opencode(version))


def install_all() -> None:
    """Install what the suite uses."""
    install(OLD)
    _installed(_LILDAX)
    _install_oh_my_opencode()


@dataclass(frozen=True)
class _Package:
    """A package of npm's with one program, in a folder of its own."""

    package: str
    version: str
    name: str

    @property
    def folder(self) -> Path:
        return FOLDER / f"{self.name}-{self.version}"

    @property
    def path(self) -> Path:
        """Where the program is once it is installed."""
        return self.folder / "node_modules" / self.package / "bin" / self.name


_LILDAX = _Package(f"@opencode-ai/cli-{_PLATFORM}", PREVIEW, "lildax")
_OH_MY_OPENCODE = FOLDER / f"oh-my-opencode-{OH_MY_OPENCODE}/node_modules/oh-my-opencode"


def _opencode(version: str) -> _Package:
    return _Package(f"opencode-{_PLATFORM}", version, "opencode")


def _install_oh_my_opencode() -> None:
    # Of its dependencies, 400 MB, only one package is needed: the plugin itself is one file.
    folder = _OH_MY_OPENCODE.parent.parent
    with _locked():
        if not _OH_MY_OPENCODE.exists():
            _install(folder, f"zod@{_ZOD}")
            name = f"oh-my-opencode@{OH_MY_OPENCODE}"
            _npm("pack", "--pack-destination", str(folder), "--cache", str(FOLDER / ".cache"), name)
            with tarfile.open(folder / f"oh-my-opencode-{OH_MY_OPENCODE}.tgz") as archive:
                archive.extractall(folder, filter="data")
            (folder / "package").rename(_OH_MY_OPENCODE)


def _installed(wanted: _Package) -> Path:
    with _locked():
        if not wanted.path.exists():
            _install(wanted.folder, f"{wanted.package}@{wanted.version}")
    return wanted.path


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
    install_all()
