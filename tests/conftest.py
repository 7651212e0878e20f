"""The fixtures of the tests: real programs, a home of its own for each test, servers that misbehave on request.

A tool that is missing skips the tests that need it, with the reason; in CI it fails them.
"""

from __future__ import annotations

import os
import signal
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest
from world import tools, wine
from world.draws import IN_CI, cases, draws, left_out
from world.home import end_processes, make_home
from world.litellm import LiteLLM
from world.opencode import Opencode
from world.real_shells import RealShell
from world.stub import StubProxy
from world.terminal import Terminal
from world.upstream import Upstream
from world.wine import Windows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# A program that a script starts with "&" ignores Ctrl-C, and so would every program that the tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)

# No deadline, because a test is not to blame for a busy machine.
hypothesis.settings.register_profile(
    "patient",
    parent=hypothesis.settings(),
    deadline=None,
    max_examples=draws("EXAMPLES", in_ci=100, by_hand=40),
)
hypothesis.settings.load_profile("patient")

# A test that asks for one of these starts a real program, so it is not in `make quick`.
REAL = {"opencode", "litellm", "team_litellm", "terminal", "program", "demo", "windows"}


def pytest_configure(config: pytest.Config) -> None:
    """Choose the cases before the workers start, which take them over."""
    os.environ.setdefault("CASES", cases(config))


def pytest_report_header() -> str | None:
    """Say it when this run leaves cases out."""
    chosen = os.environ["CASES"]
    return None if chosen == "all" else f"cases: drawn by CASES={chosen}; CASES=all runs every one (CONTRIBUTING.md)"


# Before the hook of xdist, which reads the groups.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is not drawn, mark what starts a real program, and let one worker run what shares a server."""
    left = set(left_out(items))
    config.hook.pytest_deselected(items=list(left))
    items[:] = [item for item in items if item not in left]
    # Wine's tests take long and are the last by name: one worker would run the end of them alone.
    items.sort(key=lambda item: "windows" not in getattr(item, "fixturenames", ()))
    for item in items:
        names = set(getattr(item, "fixturenames", ()))
        if needed(item) or REAL & names:
            item.add_marker("real")
        elif item.path.stem in wine.PURE and not fixtures(item) and not item.get_closest_marker("unix"):
            item.add_marker("pure")
        if "litellm" in names:
            item.add_marker(pytest.mark.xdist_group("litellm"))
        elif any(shared(item, name) for name in names):
            item.add_marker(pytest.mark.xdist_group(item.path.stem))


def pytest_make_parametrize_id(val: object) -> str | None:
    """Name a long text by its beginning: pytest 9.1 puts it into a variable, and Windows limits how long one is."""
    return ascii(val[:60]) if isinstance(val, str | bytes) and len(val) > 1000 else None


def fixtures(item: pytest.Item) -> set[str]:
    """Return the fixtures of a test, without its parameters and those that work on any system."""
    parameters = item.callspec.params if hasattr(item, "callspec") else {}
    return set(getattr(item, "fixturenames", ())) - set(parameters) - {"request", "tmp_path", "tmp_path_factory"}


def shared(item: pytest.Item, name: str) -> bool:
    """Return whether a fixture belongs to the test's own file and is made once for that."""
    fixtures = item._fixtureinfo.name2fixturedefs.get(name, ())
    return any(each.scope in ("module", "session") and each.baseid.endswith(item.path.name) for each in fixtures)


def needed(item: pytest.Item) -> list[str]:
    """Return the names of the system's programs that a test says it needs, by a marker or a parameter."""
    parameters = item.callspec.params.values() if hasattr(item, "callspec") else ()
    shells = [value.program or value.name for value in parameters if isinstance(value, RealShell)]
    return shells + [name for marker in item.iter_markers("needs") for name in marker.args]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Iterator[None]:
    """Look for a test's programs before its fixtures, which may start them, and before Hypothesis runs it often."""
    with nothing_missing():
        for name in needed(item):
            tools.program(name)
        yield


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Iterator[None]:
    """Do the same for a program that the test itself looks for."""
    with nothing_missing():
        return (yield)


@contextmanager
def nothing_missing() -> Iterator[None]:
    """Turn a missing program into a skip that says why; in CI it stays a failure.

    Not in the fixture that looks for it, because pytest remembers for the whole session what a fixture raised.
    """
    try:
        yield
        return
    except tools.ToolMissing as error:
        missing = str(error)
    if IN_CI:
        pytest.fail(f"{missing} (CI has to have it)", pytrace=False)
    pytest.skip(missing)


@pytest.fixture(scope="session")
def upstream() -> Iterator[Upstream]:
    """Return the stand-in model vendor behind ``litellm``; its ``requests`` grow over the whole session."""
    with Upstream() as server:
        yield server


@pytest.fixture(scope="session")
def litellm(tmp_path_factory: pytest.TempPathFactory, upstream: Upstream) -> Iterator[LiteLLM]:
    """Return a real LiteLLM that serves `world/catalogue.yaml`: ``url`` (without ``/v1``) and ``key``."""
    with LiteLLM(tmp_path_factory.mktemp("litellm"), upstream.root) as proxy:
        yield proxy


@pytest.fixture
def home(tmp_path: Path) -> Iterator[dict[str, str]]:
    """Return the whole environment of a user with an empty home: ``Path(home["HOME"])`` is the folder."""
    environment = make_home(tmp_path / "home")
    yield environment
    end_processes(environment)


@pytest.fixture
def proxies() -> Iterator[dict[str, StubProxy]]:
    """Return a dict whose proxies are started on first use, each with a chat and a responses model named after it."""
    with ExitStack() as stack:

        class Proxies(dict[str, StubProxy]):
            def __missing__(self, name: str) -> StubProxy:
                self[name] = stack.enter_context(StubProxy([f"chat-{name}", f"o3-{name}"]))
                return self[name]

        yield Proxies()


@pytest.fixture
def stub_proxy() -> Iterator[Callable[..., StubProxy]]:
    """Return a function that makes scriptable proxies: ``stub_proxy(["gpt-4o"], key="sk-right", prefix="/team")``."""
    with ExitStack() as stack:

        def make(*arguments: Any, **options: Any) -> StubProxy:
            proxy: StubProxy = stack.enter_context(StubProxy(*arguments, **options))
            return proxy

        yield make


@pytest.fixture
def proxy(request: pytest.FixtureRequest, stub_proxy: Callable[..., StubProxy]) -> StubProxy:
    """Return the proxy that the file describes: ``pytestmark = pytest.mark.serves("gpt-4o", "o3", key="sk-right")``."""
    (described,) = request.node.iter_markers("serves")
    return stub_proxy(list(described.args), **described.kwargs)


@pytest.fixture
def user(home: dict[str, str], proxy: StubProxy) -> dict[str, str]:
    """Return the environment of a user whose proxy is named by a variable, and its key, if it wants one, by another."""
    key = {"LITELLM_API_KEY": proxy.key} if proxy.key else {}
    return {**home, "OPENCODE_LITELLM_URL": proxy.url, **key}


@pytest.fixture
def project(home: dict[str, str]) -> Path:
    """Return the folder of a project of the user's, a repository."""
    folder = Path(home["HOME"], "project")
    (folder / ".git").mkdir(parents=True)
    return folder


@pytest.fixture(scope="session")
def opencode() -> Opencode:
    """Return the real opencode: ``opencode.models(home)``, ``opencode.debug_config(home, folder)``."""
    tools.installed(tools.OPENCODE)
    return Opencode()


@pytest.fixture
def terminal() -> Iterator[Callable[..., Terminal]]:
    """Return a function that makes terminals: ``terminal(["opencode"], home, folder)``, then ``wait_for``, ``type``."""
    tools.program("tmux")
    with ExitStack() as stack:

        def open_terminal(*arguments: Any, **options: Any) -> Terminal:
            return stack.enter_context(Terminal(*arguments, **options))

        yield open_terminal


@pytest.fixture
def windows(tmp_path: Path) -> Windows:
    """Return a user's Windows, under Wine: ``windows.run(["opencode-with-litellm", "run"], ...)``."""
    tools.program(str(wine.WINE))
    tools.installed(wine.MADE)
    return Windows(tmp_path)


@pytest.fixture(scope="session")
def program() -> Callable[[str], Path]:
    """Return a function that finds a shell or another program of the system: ``program("fish")``."""

    return tools.program
