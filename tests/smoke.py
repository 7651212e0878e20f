"""Install the wheel in dist/ as users do, by pip, pipx and uv, and run what it installed.

Run by ``make smoke``, after ``make dist``. Everything goes into a temporary folder.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from world.home import make_home
from world.stub import StubProxy

if TYPE_CHECKING:
    from collections.abc import Mapping

PROJECT = Path(__file__).resolve().parents[1]
TOOLS = PROJECT / ".tools/release/bin"
# The certificates that the system trusts, as pip has it; a company's index may need them. pipx installs with uv, too.
UV = {"UV_SYSTEM_CERTS": "1", "UV_PYTHON_DOWNLOADS": "never"}


def main() -> int:
    """Try every installer, and return the exit status."""
    (wheel,) = (PROJECT / "dist").glob("*.whl")
    with tempfile.TemporaryDirectory() as name, StubProxy(["gpt-4o", "gpt-5"], key="sk-right") as proxy:
        folder = Path(name)
        home = make_home(folder / "home") | {"OPENCODE_LITELLM_URL": proxy.url, "LITELLM_API_KEY": "sk-right"}
        for installer, programs in (("pip", pip), ("pipx", pipx), ("uv", uv)):
            place = programs(folder / installer, wheel)
            models = ran([str(place / "opencode-litellm"), "models", "--json"], home)
            listed = [model["id"] for model in json.loads(models)["models"]]
            started = ran([str(place / "opencode-with-litellm"), "--version"], home)
            manual = list((folder / installer).rglob("man1/opencode-litellm.1"))
            if listed != ["gpt-4o", "gpt-5"] or not started.strip() or not manual:
                sys.exit(f"smoke: installed by {installer}, it lists {listed}, starts {started!r}, has {manual}")
            print(f"{installer}: models, a launch of opencode {started.strip()}, the manual page", flush=True)
    return 0


def pip(folder: Path, wheel: Path) -> Path:
    """Install by pip into an environment of its own."""
    ran([sys.executable, "-m", "venv", str(folder)], os.environ)
    ran([str(folder / "bin/pip"), "install", "--quiet", str(wheel)], os.environ)
    return folder / "bin"


def pipx(folder: Path, wheel: Path) -> Path:
    """Install by pipx."""
    places = {"PIPX_HOME": str(folder), "PIPX_BIN_DIR": str(folder / "bin"), "PIPX_MAN_DIR": str(folder / "man")}
    ran([str(TOOLS / "pipx"), "install", "--python", sys.executable, str(wheel)], os.environ | places | UV)
    return folder / "bin"


def uv(folder: Path, wheel: Path) -> Path:
    """Install by uv."""
    places = {"UV_TOOL_DIR": str(folder), "UV_TOOL_BIN_DIR": str(folder / "bin")}
    ran([str(TOOLS / "uv"), "tool", "install", "--python", sys.executable, str(wheel)], os.environ | places | UV)
    return folder / "bin"


def ran(command: list[str], environment: Mapping[str, str]) -> str:
    """Run a command and return its output; if it fails, print that and exit."""
    finished = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if finished.returncode:
        sys.exit(f"smoke: {' '.join(command)} failed:\n{finished.stdout}{finished.stderr}")
    return finished.stdout


if __name__ == "__main__":
    sys.exit(main())
