"""``make mutants``: does a test fail when a rule is missing? One condition at a time is always true, or always false.

It tries the modules that decide to whom a key goes and what enters the payload. First all quick tests run once, in
copies of this folder where each such condition says which tests could tell the difference. Then each mutant is tried
against those tests alone, the quickest first. At the end each test that failed has to pass without a mutant.

`tests/equivalent.txt` names the mutants that change nothing that anybody could see, and says why.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import venv
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

PROJECT = Path(__file__).resolve().parents[1]
EQUIVALENT = Path(__file__).with_name("equivalent.txt")
MODULES = (
    "settings/keys.py",
    "settings/options.py",
    "settings/sections.py",
    "proxies.py",
    "litellm/listeners.py",
    "launch/credentials.py",
    "launch/handover.py",
    "opencode/delivery.py",
    "opencode/payload.py",
    "models/visibility.py",
    "models/routing.py",
    "models/catalog.py",
)
CASES = "120"  # of the hunt
TASK = "MUTANTS_TASK"  # the variable that tells the plugin in pytest what to do: the path of a file

# The changed modules call this. It decides for the active mutant, and notes which others would have made a difference.
# The state is read anew in every process, also in a fork.
_DECISION = '''
import contextlib, os

_STATE, _SEEN = (os.path.join(os.path.dirname(__file__), "mutation." + name) for name in ("state", "seen"))
_active = None
_noted = set()

def forget():
    global _active
    _active = None
    _noted.clear()

os.register_at_fork(after_in_child=forget)

def decided(value, mutants, last):
    global _active
    if _active is None:
        with open(_STATE) as file:
            _active = int(file.read())
        if _active > 0:
            import resource
            resource.setrlimit(resource.RLIMIT_CPU, (120, 120))  # it may be a loop without end
    for number, becomes in mutants:
        if number == _active:
            return becomes
        if _active < 0 and number not in _noted and (value is not becomes if last else bool(value) is not becomes):
            _noted.add(number)
            file = os.open(_SEEN, os.O_WRONLY | os.O_APPEND)
            os.write(file, b"%d\\n" % number)
            os.close(file)
    return value
'''
_WATCH, _PLAIN = -1, 0
_HANGS = "it hangs"


@dataclass(frozen=True)
class Mutant:
    """A condition in a module, as it is written, and what it always is."""

    number: int
    module: str
    line: int
    function: str
    text: str
    becomes: bool

    def __str__(self) -> str:
        """Say it for a reader, and for `tests/equivalent.txt`."""
        return f"{self.module} {self.function}: {self.text} -> {self.becomes}"


def mutants(module: str, first: int) -> tuple[list[Mutant], str]:
    """Return every mutant of a module, numbered from ``first``, and its source with all of them, asleep."""
    source = (PROJECT / "opencode_litellm" / module).read_text()
    tree = ast.parse(source)
    found: list[Mutant] = []
    wrapped: dict[ast.expr, tuple[list[tuple[int, bool]], bool]] = {}
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    for node, becomes, last in _changes(tree):
        function = next((each.name for each in reversed(functions) if node in set(ast.walk(each))), "module")
        text = " ".join((ast.get_source_segment(source, node) or "").split())
        found.append(Mutant(first + len(found), module, node.lineno, function, text, becomes))
        wrapped.setdefault(node, ([], last))[0].append((found[-1].number, becomes))

    class Wrapping(ast.NodeTransformer):
        def visit(self, node: ast.AST) -> Any:
            changed = self.generic_visit(node)
            if not isinstance(node, ast.expr) or node not in wrapped:
                return changed
            arguments = [ast.Constant(value) for value in wrapped[node]]
            return ast.Call(ast.Name("_decided", ast.Load()), [changed, *arguments], [])

    tree = Wrapping().visit(tree)
    ours = ast.parse("from opencode_litellm.mutation import decided as _decided").body
    after = 1 + max(index for index, node in enumerate(tree.body[:2]) if _is_first(node))
    tree.body[after:after] = ours
    return found, ast.unparse(ast.fix_missing_locations(tree))


def _is_first(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) or (isinstance(node, ast.ImportFrom) and node.module == "__future__")


def _changes(tree: ast.AST) -> Iterator[tuple[ast.expr, bool, bool]]:
    """Yield conditions, what they become, and whether their value is more than a yes or no."""
    for node in ast.walk(tree):
        tests: list[ast.expr] = []
        if isinstance(node, ast.If | ast.While | ast.IfExp):
            tests = [node.test]
        elif isinstance(node, ast.comprehension):
            tests = node.ifs
        elif isinstance(node, ast.match_case) and node.guard:
            tests = [node.guard]
        elif isinstance(node, ast.Return) and isinstance(node.value, ast.Compare | ast.UnaryOp):
            tests = [node.value]
        elif isinstance(node, ast.BoolOp):
            # Without one of its parts.
            for value in node.values:
                yield value, isinstance(node.op, ast.And), value is node.values[-1]
        for test in tests:
            if not isinstance(test, ast.BoolOp) and not (isinstance(test, ast.Name) and test.id == "TYPE_CHECKING"):
                yield test, True, False
                yield test, False, False


class Copy:
    """A copy of this folder with all mutants in it, and a Python of its own whose console scripts run the copy."""

    def __init__(self, folder: Path, sources: dict[str, str]) -> None:
        self.folder = folder
        kept = shutil.ignore_patterns(".git", ".venv", ".tools", ".*_cache", ".hypothesis", "*.egg-info", "__pycache__")
        shutil.copytree(PROJECT, folder, ignore=kept, symlinks=True)
        (folder / ".tools").symlink_to(PROJECT / ".tools")
        (folder / "opencode_litellm/templates").symlink_to(folder / "templates")
        for module, source in sources.items():
            (folder / "opencode_litellm" / module).write_text(source)
        (folder / "opencode_litellm/mutation.py").write_text(_DECISION)
        for name in ("state", "seen"):
            (folder / "opencode_litellm" / f"mutation.{name}").write_text(f"{_PLAIN}")
            (folder / "opencode_litellm" / f"mutation.{name}").chmod(0o666)  # some tests are another user
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

    def watched(self, part: tuple[int, int], files: list[str] | None) -> list[dict[str, Any]]:
        """Run one of so many parts of the tests, and return for each test which mutants it could notice."""
        self._state(_WATCH)
        self._pytest({"part": part, "files": files}, [])
        return [json.loads(line) for line in self._answers.read_text().splitlines()]

    def failing(self, number: int, tests: Sequence[str], patience: float) -> str | None:
        """Return which of ``tests`` is the first to fail with a mutant, None for none."""
        self._state(number)
        try:
            self._pytest({}, ["-x", *tests], patience)
        except subprocess.TimeoutExpired:
            return _HANGS
        return self._answers.read_text().partition("\n")[0] or None

    def _state(self, number: int) -> None:
        (self.folder / "opencode_litellm/mutation.state").write_text(str(number))

    @property
    def _answers(self) -> Path:
        return self.folder / "answers"

    def _pytest(self, task: dict[str, Any], arguments: Sequence[str], patience: float | None = None) -> None:
        """Run pytest with this module as a plugin, which writes what it finds to ``answers``."""
        (self.folder / "task").write_text(json.dumps({**task, "answers": str(self._answers)}))
        self._answers.write_text("")
        start = "import sys; sys.path.insert(0, 'tests'); import pytest; sys.exit(pytest.main())"
        command = [self.python, "-c", start, "-qq", "-p", "mutants", "-p", "no:cacheprovider", "--tb=line"]
        environment = {**os.environ, TASK: str(self.folder / "task"), "HUNT_CASES": CASES}
        with (self.folder / "output").open("wb") as output:
            process = subprocess.Popen(
                [*command, *arguments], cwd=self.folder, env={**environment, "PYTHONDONTWRITEBYTECODE": "1"},
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
            )  # fmt: skip
            try:
                status = process.wait(patience)
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
        if status not in (0, 1):
            raise SystemExit((self.folder / "output").read_text()[-5000:])


# From here to `main` is what runs in pytest.


if TASK in os.environ:
    import hypothesis

    # No time for the shortest example, and the same examples with and without a mutant.
    hypothesis.settings.register_profile(
        "mutants", phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate], database=None, derandomize=True,
        deadline=None,
    )  # fmt: skip
    hypothesis.settings.load_profile("mutants")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the quick tests, and the hunt."""
    items[:] = [
        item
        for item in items
        if not item.get_closest_marker("real")
        and (item.path.name == "test_hunt.py" or not item.get_closest_marker("long"))
    ]


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """Watch the tests instead of only running them, if that is the task."""
    task = json.loads(Path(os.environ[TASK]).read_text())
    if "part" not in task:
        return None
    with open(task["answers"], "a") as answers:
        for answer in _watched(session.items, task):
            print(json.dumps(answer), file=answers)
    return True


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Write down what fails."""
    task = json.loads(Path(os.environ[TASK]).read_text())
    if report.failed and "part" not in task:
        with open(task["answers"], "a") as answers:
            print(report.nodeid, file=answers)


def _watched(items: list[pytest.Item], task: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Run every so many-th file of tests, and yield for each test which mutants it could notice."""
    files = sorted({item.path for item in items if item.path.name in (task["files"] or [item.path.name])})
    part, parts = task["part"]
    mine = [item for item in items if item.path in files[part::parts]]
    mutation = importlib.import_module("opencode_litellm.mutation")
    seen = PROJECT / "opencode_litellm/mutation.seen"
    for item, following in zip(mine, [*mine[1:], None], strict=True):
        seen.write_text("")
        mutation.forget()
        began = time.monotonic()
        failure = _run(item, following)
        numbers = sorted({int(line) for line in seen.read_text().split()})
        yield {"test": item.nodeid, "seconds": time.monotonic() - began, "failure": failure, "numbers": numbers}


def _run(item: pytest.Item, following: pytest.Item | None) -> str | None:
    from _pytest.runner import runtestprotocol

    reports = runtestprotocol(item, log=False, nextitem=following)
    return next((report.longreprtext or "?" for report in reports if report.failed), None)


def main() -> int:
    """Try the mutants, and return 1 when one survives that is not known to change nothing."""
    parser = argparse.ArgumentParser(prog="make mutants")
    parser.add_argument("modules", nargs="*", default=list(MODULES), help="such as settings/keys.py; all")
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--every", type=int, default=1, help="only every so many-th")
    parser.add_argument("--first", type=int, default=0, help="the number of the first one")
    parser.add_argument("--again", type=Path, help="only those that survived in a run whose output this file has")
    parser.add_argument("--tests", nargs="+", help="files such as test_keys.py; all")
    parser.add_argument("--seconds", type=float, default=120, help="of tests for one mutant, at most")
    asked = parser.parse_args()
    known = equivalent()
    all_of_them: list[Mutant] = []
    sources = {}
    for module in asked.modules:
        found, sources[module] = mutants(module, len(all_of_them) + 1)
        all_of_them += found
    chosen = [each for each in all_of_them if str(each) not in known]
    if asked.again:
        survived = asked.again.read_text()
        chosen = [each for each in chosen if f": {each} (line" in survived]
    chosen = chosen[asked.first :: asked.every]
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)  # some tests are another user
        copies = [Copy(Path(folder, str(number)), sources) for number in range(asked.workers)]
        began = time.monotonic()
        tests = _watch(copies, asked.tests)
        print(f"{len(tests)} tests, {time.monotonic() - began:.0f} s", flush=True)
        results = _try(copies, chosen, tests, asked.seconds)
    _report(all_of_them, chosen, results, known)
    return None in results.values()


def equivalent() -> set[str]:
    """Return the mutants that are known to change nothing: lines of a file, whose reasons are indented below."""
    lines = EQUIVALENT.read_text().splitlines()
    return {line for line in lines if line and not line.startswith((" ", "#"))}


def _watch(copies: list[Copy], files: list[str] | None) -> list[dict[str, Any]]:
    """Return the tests with what they could notice, the quickest first."""
    parts = [(number, len(copies)) for number in range(len(copies))]
    with ThreadPoolExecutor(len(copies)) as pool:
        done = list(pool.map(lambda copy, part: copy.watched(part, files), copies, parts))
    tests = [test for part in done for test in part]
    for test in tests:
        if test["failure"]:
            print(f"left out, as it fails in a copy: {test['test']}\n  {test['failure'].splitlines()[-1]}", flush=True)
    return sorted((test for test in tests if not test["failure"]), key=lambda test: float(test["seconds"]))


def _try(copies: list[Copy], chosen: list[Mutant], tests: list[dict[str, Any]], limit: float) -> dict[int, str | None]:
    """Return by the mutants' numbers which test noticed them."""
    able: dict[int, dict[str, float]] = {each.number: {} for each in chosen}
    for test in tests:
        for number in test["numbers"]:
            if number in able:
                able[number][test["test"]] = test["seconds"]
    idle = SimpleQueue[Copy]()
    for copy in copies:
        idle.put(copy)
    noticing: dict[str, None] = {}  # what noticed others is likely to notice the next ones, the last first
    sound: set[str] = set()
    unsound: set[str] = set()

    def tried(mutant: Mutant) -> str | None:
        seconds = {name: took for name, took in able[mutant.number].items() if name not in unsound}
        likely = [name for name in reversed(list(noticing)) if name in seconds]
        names = _within(limit, dict.fromkeys((*likely, *seconds)), seconds)
        copy = idle.get()
        by = copy.failing(mutant.number, names, 5 * limit) if names else None
        idle.put(copy)
        if by:
            noticing.pop(by, None)
            noticing[by] = None
        else:
            print(f"survives {len(names)} of {len(seconds)} tests: {mutant} (line {mutant.line})", flush=True)
        return by

    def passes(test: str) -> bool:
        copy = idle.get()
        failing = copy.failing(_PLAIN, [test], 5 * limit)
        idle.put(copy)
        return failing is None

    results: dict[int, str | None] = {}
    again = chosen
    with ThreadPoolExecutor(len(copies)) as pool:
        while again:
            results |= dict(zip([each.number for each in again], pool.map(tried, again), strict=True))
            doubtful = sorted({by for by in results.values() if by and by != _HANGS} - sound - unsound)
            verdicts = dict(zip(doubtful, pool.map(passes, doubtful), strict=True))
            sound |= {test for test in doubtful if verdicts[test]}
            unsound |= set(doubtful) - sound
            again = [each for each in again if results[each.number] in unsound]
            for each in again:
                print(f"tried again, as this fails without a mutant too: {results[each.number]}", flush=True)
    return results


def _within(limit: float, names: Iterable[str], seconds: dict[str, float]) -> list[str]:
    """Return as many tests, in this order, as a limit has time for."""
    chosen, left = [], limit
    for name in names:
        if seconds[name] < left:
            left -= seconds[name]
            chosen.append(name)
    return chosen


def _report(everyone: list[Mutant], chosen: list[Mutant], results: dict[int, str | None], known: set[str]) -> None:
    """Print a table: a line for each module."""
    print(f"{'':24}{'mutants':>8}{'equivalent':>12}{'tried':>8}{'noticed':>9}{'survive':>9}")
    rows: dict[str, Counter[str]] = {}
    for each in everyone:
        rows.setdefault(each.module, Counter()).update({"mutants": 1, "equivalent": str(each) in known})
    noticing = Counter(str(by).partition("::")[0] for by in results.values())
    for each in chosen:
        noticed = results[each.number] is not None
        rows[each.module].update({"tried": 1, "noticed": noticed, "survive": not noticed})
    print("noticed by " + ", ".join(f"{test} {count}" for test, count in noticing.most_common(5)))
    rows["all"] = sum(rows.values(), Counter())
    for name, row in rows.items():
        counts = (row[column] for column in ("mutants", "equivalent", "tried", "noticed", "survive"))
        print("{:24}{:8}{:12}{:8}{:9}{:9}".format(name, *counts))


if __name__ == "__main__":
    sys.exit(main())
