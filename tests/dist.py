"""Build the wheel and the sdist of the last commit into dist/, twice over, and check them.

Run by ``make dist``. The same commit gives the same bytes on every machine: git's own files, its time for all of
them, one mode, one owner, and pinned tools.
"""

from __future__ import annotations

import gzip
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
DIST = PROJECT / "dist"


def main() -> int:
    """Build, compare, check, and return the exit status."""
    if done("git", "status", "--porcelain", "--untracked-files=no"):
        print("dist: there are changes that are not committed, and they are left out", file=sys.stderr)
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
        archives = build(Path(one))
        for first, second in zip(archives, build(Path(other)), strict=True):
            if first.read_bytes() != second.read_bytes():
                print(f"dist: two builds of {first.name} differ", file=sys.stderr)
                return 1
        done(sys.executable, "-m", "twine", "check", "--strict", *map(str, archives))
        shutil.rmtree(DIST, ignore_errors=True)
        DIST.mkdir()
        for archive in archives:
            shutil.copy(archive, DIST)
            print(f"dist/{archive.name}")
    return 0


def build(folder: Path) -> list[Path]:
    """Build both in a folder, the wheel from the sdist, and return them."""
    os.umask(0o022)
    epoch = done("git", "log", "-1", "--format=%ct").strip()
    environment = {**os.environ, "SOURCE_DATE_EPOCH": epoch}
    done("git", "archive", "--format=tar", f"--output={folder}/source.tar", "HEAD")
    extract(folder / "source.tar", folder / "source")
    build_one("--sdist", folder / "source", folder, environment)
    (sdist,) = folder.glob("*.tar.gz")
    normalize(sdist, int(epoch))
    extract(sdist, folder / "sdist")
    build_one("--wheel", next((folder / "sdist").iterdir()), folder, environment)
    return [*folder.glob("*.whl"), sdist]


def build_one(kind: str, source: Path, folder: Path, environment: dict[str, str]) -> None:
    """Build with the pinned tools, not with the newest ones."""
    command = [sys.executable, "-m", "build", "--no-isolation", kind, "--outdir", str(folder), str(source)]
    done(*command, environment=environment)


def extract(archive: Path, folder: Path) -> None:
    """Unpack one of our own archives."""
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")


def normalize(sdist: Path, epoch: int) -> None:
    """Rewrite an sdist without traces of the machine and the time of the build, which setuptools leaves in it."""
    packed = io.BytesIO()
    with tarfile.open(sdist) as old, tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as new:
        for member in sorted(old.getmembers(), key=lambda member: member.name):
            member.mtime, member.uid, member.gid, member.uname, member.gname = epoch, 0, 0, "", ""
            member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
            member.pax_headers = {}
            new.addfile(member, old.extractfile(member))
    sdist.write_bytes(gzip.compress(packed.getvalue(), mtime=epoch))


def done(*command: str, environment: dict[str, str] | None = None) -> str:
    """Run a command in the project and return its output; if it fails, print that and exit."""
    finished = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False)
    if finished.returncode:
        sys.exit(f"dist: {' '.join(command)} failed:\n{finished.stdout}{finished.stderr}")
    return finished.stdout


if __name__ == "__main__":
    sys.exit(main())
