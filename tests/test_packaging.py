"""What is shipped is complete, has nothing superfluous, and runs however it is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from configparser import ConfigParser
from email.parser import BytesParser
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from world import tools
from world.home import make_home, stand_in
from world.opencode import run

import opencode_litellm

if TYPE_CHECKING:
    from collections.abc import Callable

    from world.stub import StubProxy

pytestmark = pytest.mark.real  # pip, which builds and installs

NAME = f"opencode_litellm-{opencode_litellm.__version__}"
METADATA = f"{NAME}.dist-info"
MANUAL = ("opencode-litellm.1", "opencode-with-litellm.1")
SCRIPTS = {
    "opencode-litellm": "opencode_litellm.__main__:main",
    "opencode-with-litellm": "opencode_litellm.__main__:opencode",
}


def shipped(source: Path) -> set[str]:
    """Return every file of the two packages, by its path in the project."""
    files = [*source.glob("opencode_litellm/**/*.py"), *source.glob("templates/*.j2")]
    return {
        "opencode_litellm/py.typed",
        "templates/__init__.py",
        *(str(path.relative_to(source)) for path in files),
    }


def contents(archive: Path) -> set[str]:
    """Return the files in a wheel or an sdist."""
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            return set(wheel.namelist())
    with tarfile.open(archive) as sdist:
        return {member.name for member in sdist.getmembers() if not member.isdir()}


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the files in git, as in a fresh clone, without traces of earlier builds."""
    folder = tmp_path_factory.mktemp("source") / "clone"
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=tools.PROJECT,
        capture_output=True,
        check=True,
    )
    for name in listed.stdout.decode().rstrip("\0").split("\0"):
        if (tools.PROJECT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(tools.PROJECT / name, folder / name)
    return folder


@pytest.fixture(scope="session")
def pip_environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return an environment in which pip downloads each package once, compiles none and prints little."""
    cache = {"PIP_CACHE_DIR": str(tmp_path_factory.mktemp("pip"))}
    return {**os.environ, **cache, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_QUIET": "2", "PIP_COMPILE": "0"}


@pytest.fixture(scope="session")
def sdist(source: Path, pip_environment: dict[str, str]) -> Path:
    """Return the sdist; the wheel that was built from it lies beside it."""
    subprocess.run(
        [sys.executable, "-m", "build", "--outdir", str(source.parent / "dist"), str(source)],
        env=pip_environment,
        capture_output=True,
        check=True,
    )
    return source.parent / "dist" / f"{NAME}.tar.gz"


@pytest.fixture(scope="session")
def wheel(sdist: Path) -> Path:
    """Return the wheel that was built from the sdist."""
    return sdist.with_name(f"{NAME}-py3-none-any.whl")


def test_the_wheel_has_the_two_packages_and_nothing_else(source: Path, wheel: Path) -> None:
    modules = {name.replace("templates/", "opencode_litellm/templates/") for name in shipped(source)}
    assert contents(wheel) == modules | {
        f"{METADATA}/METADATA",
        f"{METADATA}/RECORD",
        f"{METADATA}/WHEEL",
        f"{METADATA}/entry_points.txt",
        f"{METADATA}/licenses/LICENSE",
        f"{METADATA}/top_level.txt",
        *(f"{NAME}.data/data/share/man/man1/{page}" for page in MANUAL),
    }


def test_the_sdist_has_what_a_wheel_is_built_from_and_nothing_else(source: Path, sdist: Path) -> None:
    outside = {"LICENSE", "MANIFEST.in", "PKG-INFO", "README.md", "pyproject.toml", "setup.cfg"}
    outside |= {f"man/{page}" for page in MANUAL}
    made = {
        f"opencode_litellm.egg-info/{name}"
        for name in (
            "PKG-INFO",
            "SOURCES.txt",
            "dependency_links.txt",
            "entry_points.txt",
            "requires.txt",
            "top_level.txt",
        )
    }
    assert contents(sdist) == {f"{NAME}/{name}" for name in shipped(source) | outside | made}


def test_the_metadata_says_what_is_needed_and_what_is_installed(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        metadata = BytesParser().parsebytes(archive.read(f"{METADATA}/METADATA"))
        scripts = ConfigParser(delimiters="=")
        scripts.read_string(archive.read(f"{METADATA}/entry_points.txt").decode())
    assert (metadata["Name"], metadata["Version"]) == ("opencode-litellm", opencode_litellm.__version__)
    assert metadata["Requires-Python"] == ">=3.10"
    needed = {requirement.split(">=")[0] for requirement in metadata.get_all("Requires-Dist", [])}
    assert needed == {"certifi", "click", "distlib", "jinja2", "requests", "rich", "shellingham"}
    assert scripts.sections() == ["console_scripts"]
    assert dict(scripts["console_scripts"]) == SCRIPTS


@pytest.mark.drawn(1)
@pytest.mark.parametrize("way", ["wheel", "sdist", "folder", "editable"])
def test_it_runs_however_it_is_installed(
    way: str,
    request: pytest.FixtureRequest,
    source: Path,
    tmp_path: Path,
    pip_environment: dict[str, str],
    stub_proxy: Callable[..., StubProxy],
) -> None:
    arguments = {"folder": [str(source)], "editable": ["--editable", str(source)]}.get(way)
    if arguments is None:
        arguments = [str(request.getfixturevalue(way))]
    environment = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    if way != "wheel":  # one download of the dependencies is enough
        (site_packages,) = environment.glob("lib/*/site-packages")
        (site_packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
        arguments.insert(0, "--no-deps")
    pip = [sys.executable, "-m", "pip", "--python", str(environment / "bin/python")]
    subprocess.run([*pip, "install", *arguments], env=pip_environment, check=True)

    home = make_home(tmp_path / "home")
    for name in SCRIPTS:
        script = Path(home["HOME"], "bin", name)
        script.unlink()
        script.symlink_to(environment / "bin" / name)
    stand_in(home)
    proxy = stub_proxy(["gpt-4o", "gpt-5"])

    version = run(["opencode-litellm", "--version"], home)
    assert (version.status, version.stderr) == (0, "")
    assert opencode_litellm.__version__ in version.stdout.split()
    for shell in ("bash", "zsh", "fish", "pwsh"):
        snippet = run(["opencode-litellm", "init", shell], home)
        assert (snippet.status, snippet.stderr) == (0, "")
        assert "opencode-with-litellm" in snippet.stdout
    config = run(["opencode-litellm", "config", "--url", proxy.url], home)
    assert config.status == 0, config
    assert '"gpt-4o"' in config.stdout
    launched = run(["opencode-with-litellm", "--version"], home | {"OPENCODE_LITELLM_URL": proxy.url})
    assert (launched.status, launched.stdout) == (0, "1.18.33\n")


def test_half_an_installation_starts_the_program_anyway(tmp_path: Path) -> None:
    """An upgrade that was interrupted leaves modules that cannot be imported."""
    package = tmp_path / "opencode_litellm"
    shutil.copytree(tools.PROJECT / "opencode_litellm", package)
    (package / "launch" / "record.py").write_text("def half(")
    launch = (
        "import sys; sys.argv[1:] = ['exec', 'echo', 'started']; from opencode_litellm.__main__ import main; main()"
    )
    finished = subprocess.run(
        [sys.executable, "-c", launch], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (finished.returncode, finished.stdout, finished.stderr) == (
        0,
        "started\n",
        "opencode-litellm: the installation is damaged (SyntaxError): reinstall opencode-litellm\n",
    )
