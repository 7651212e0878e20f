"""``make mutants``: does a test fail when a rule is missing? One condition at a time is always true, or always false.

It tries the modules that decide to whom a key goes and what enters the payload, in copies of this folder, and prints
each change that no test noticed. The tests of a module are in stages: the quick ones notice most.
"""

from __future__ import annotations

import argparse
import ast
import os
import shutil
import subprocess
import sys
import tempfile
import venv
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

PROJECT = Path(__file__).resolve().parents[1]
PATIENCE = 900  # seconds for one stage; a condition that is always true may be a loop without end

_MODELS = "test_payload.py test_routing.py test_catalog.py test_naming.py"
_SETTINGS = "test_settings.py test_delivery.py test_discovery.py test_configuration.py test_messages.py"
WHOM = (_MODELS, _SETTINGS, "test_hunt.py")
WHAT = (_MODELS, f"test_listing.py {_SETTINGS}")
MODULES = {
    "settings/keys.py": WHOM,
    "settings/options.py": WHOM,
    "settings/sections.py": WHOM,
    "proxies.py": WHOM,
    "litellm/listeners.py": ("test_security.py -k another_user",),
    "launch/credentials.py": WHOM,
    "launch/handover.py": WHOM,
    "opencode/delivery.py": WHOM,
    "opencode/payload.py": WHOM,
    "models/visibility.py": WHAT,
    "models/routing.py": WHAT,
    "models/catalog.py": WHAT,
}


@dataclass(frozen=True)
class Mutant:
    """A text in a module, and what stands in its place; ``start`` and ``end`` are byte offsets."""

    module: str
    line: int
    start: int
    end: int
    becomes: str

    def source(self, original: bytes) -> bytes:
        """Return the module's text with the change."""
        return original[: self.start] + self.becomes.encode() + original[self.end :]

    def shown(self, original: bytes) -> str:
        """Return the change for a reader."""
        text = " ".join(original[self.start : self.end].decode().split())
        return f"{self.module}:{self.line}: {text} -> {self.becomes}"


def mutants(module: str) -> list[Mutant]:
    """Return every mutant of a module."""
    source = (PROJECT / "opencode_litellm" / module).read_bytes()
    starts = [0]
    for line in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    found = []
    for node, becomes in _changes(ast.parse(source)):
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        start = starts[node.lineno - 1] + node.col_offset
        found.append(Mutant(module, node.lineno, start, starts[node.end_lineno - 1] + node.end_col_offset, becomes))
    return found


def _changes(tree: ast.AST) -> Iterator[tuple[ast.expr, str]]:
    for node in ast.walk(tree):
        tests: list[ast.expr] = []
        if isinstance(node, ast.If | ast.While | ast.IfExp):
            tests = [node.test]
        elif isinstance(node, ast.comprehension):
            tests = node.ifs
        elif isinstance(node, ast.Return) and isinstance(node.value, ast.Compare | ast.UnaryOp):
            tests = [node.value]
        elif isinstance(node, ast.BoolOp):
            # Without one of its parts.
            yield from ((value, str(isinstance(node.op, ast.And))) for value in node.values)
        for test in tests:
            if not isinstance(test, ast.BoolOp) and not (isinstance(test, ast.Name) and test.id == "TYPE_CHECKING"):
                yield test, "True"
                yield test, "False"


class Copy:
    """A copy of this folder with a Python of its own, whose console scripts run the copy's code."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        kept = shutil.ignore_patterns(".git", ".venv", ".tools", ".*_cache", ".hypothesis", "*.egg-info", "__pycache__")
        shutil.copytree(PROJECT, folder, ignore=kept, symlinks=True)
        (folder / ".tools").symlink_to(PROJECT / ".tools")
        (folder / "opencode_litellm/templates").symlink_to(folder / "templates")
        venv.create(folder / ".venv", with_pip=False)
        self.python = folder / ".venv/bin/python"
        packages = next((folder / ".venv/lib").glob("*/site-packages"))
        # Before the installed packages, among which this folder is as well.
        paths = [folder, next((PROJECT / ".venv/lib").glob("*/site-packages"))]
        (packages / "copy.pth").write_text("".join(f"{path}\n" for path in paths))
        for name, start in (("opencode-litellm", "main"), ("opencode-with-litellm", "opencode")):
            script = folder / ".venv/bin" / name
            lines = (f"#!{self.python}", "import sys", f"from opencode_litellm.__main__ import {start}")
            script.write_text("\n".join((*lines, f"sys.exit({start}())", "")))
            script.chmod(0o755)

    def notices(self, tests: str) -> bool:
        """Tell whether one of the tests fails."""
        command = [self.python, "-m", "pytest", "-qq", "-x", "-p", "no:cacheprovider", "-m", "not real and not long"]
        environment = {**os.environ, "HUNT_CASES": "60", "PYTHONDONTWRITEBYTECODE": "1"}
        try:
            done = subprocess.run(
                [*command, *tests.split()], cwd=self.folder / "tests", env=environment, stdin=subprocess.DEVNULL,
                capture_output=True, check=False, timeout=PATIENCE,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return True
        return done.returncode != 0

    def tried(self, mutant: Mutant) -> int | None:
        """Return the stage that notices a mutant; None when none does."""
        file = self.folder / "opencode_litellm" / mutant.module
        original = file.read_bytes()
        try:
            file.write_bytes(mutant.source(original))
            stages = MODULES[mutant.module]
            return next((stage for stage, tests in enumerate(stages, 1) if self.notices(tests)), None)
        finally:
            file.write_bytes(original)


def main() -> int:
    """Try the mutants, and return 1 when one survives."""
    parser = argparse.ArgumentParser(prog="make mutants")
    parser.add_argument("modules", nargs="*", default=list(MODULES), help="such as settings/keys.py; all")
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--every", type=int, default=1, help="only every so many-th")
    parser.add_argument("--first", type=int, default=0, help="the number of the first one")
    asked = parser.parse_args()
    chosen = [mutant for module in asked.modules for mutant in mutants(module)][asked.first :: asked.every]
    survivors = 0
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(asked.workers) as pool:
        copies: SimpleQueue[Copy] = SimpleQueue()
        for number in range(asked.workers):
            copies.put(Copy(Path(folder, str(number))))
        whole = copies.get()
        for tests in {tests for module in asked.modules for tests in MODULES[module]}:
            if whole.notices(tests):
                print(f"without any change these fail already: {tests}")
                return 2
        copies.put(whole)

        def one(mutant: Mutant) -> int | None:
            copy = copies.get()
            try:
                return copy.tried(mutant)
            finally:
                copies.put(copy)

        for mutant, stage in zip(chosen, pool.map(one, chosen), strict=True):
            if stage is None:
                survivors += 1
                original = (PROJECT / "opencode_litellm" / mutant.module).read_bytes()
                print(f"survives: {mutant.shown(original)}", flush=True)
    print(f"{len(chosen)} mutants, {survivors} survive")
    return bool(survivors)


if __name__ == "__main__":
    sys.exit(main())
