"""Half an installation, a folder on PYTHONPATH, too few descriptors: opencode starts, whatever is wrong with us."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
from world import tools
from world.home import end_processes, make_home, stand_in, write
from world.opencode import run
from world.server import free_port

from opencode_litellm import cli
from opencode_litellm.__main__ import _TAKE_A_VALUE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PACKAGE = tools.PROJECT / "opencode_litellm"
# What comes before anything of ours can be done about it.
FIRST = {"opencode_litellm", "opencode_litellm.__main__"}
MODULES = {
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts): path
    for path in sorted(PACKAGE.rglob("*.py"))
    if path.name != "__init__.py"
}
DAMAGED_MODULES = [module for module in MODULES if module not in FIRST]
ENTRIES = (
    ["opencode-with-litellm", "started"],
    ["opencode-litellm", "exec", "--", "opencode", "started"],
    ["opencode-litellm", "exec", "--quiet", "--timeout", "1", "--", "opencode", "started"],
    ["opencode-litellm", "exec", "--verbose", "opencode", "started"],
)
MESSAGE = "opencode-litellm: "

pytestmark = pytest.mark.skipif(os.name == "nt", reason="launches are forks here")


def damages(source: str) -> dict[str, str]:
    """Return the ways in which a module can be damaged."""
    return {
        "empty": "",
        "cut off": source[: len(source) // 2],
        "raising": "raise RuntimeError('broken')",
    }


@pytest.fixture
def user(home: dict[str, str]) -> dict[str, str]:
    """Return the environment of a user whose opencode prints its arguments, and whose proxy is away."""
    return with_echo(home)


def with_echo(home: Mapping[str, str]) -> dict[str, str]:
    program = Path(home["HOME"], "bin", "opencode")
    program.unlink(missing_ok=True)
    program.symlink_to("/bin/echo")
    away = {"OPENCODE_LITELLM_URL": f"http://127.0.0.1:{free_port()}"}
    return {**home, **away, "PYTHONDONTWRITEBYTECODE": "1"}


class Started(NamedTuple):
    """A launch from a damaged installation: what was damaged how, what was typed, and the program's end and output."""

    kind: str
    entry: list[str]
    status: int
    output: str
    messages: str


@pytest.fixture(scope="module")
def launches(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, list[Started]]]:
    """Return launches by the module that was damaged, each kind of damage at one of the entries in turn.

    EVERY_ENTRY=1 tries each at all of them. Only what a test of this run asks for is tried.
    """
    tests = [item for item in request.session.items if "launches" in getattr(item, "fixturenames", ())]
    modules = [item.callspec.params["module"] for item in tests if isinstance(item, pytest.Function)]
    turns = cycle(ENTRIES)
    cases = [
        (module, kind, source, entry)
        for module in modules
        for kind, source in damages(MODULES[module].read_text()).items()
        for entry in (ENTRIES if os.environ.get("EVERY_ENTRY") else [next(turns)])
    ]
    home = make_home(tmp_path_factory.mktemp("damaged") / "home")
    done = subprocess.run(
        [sys.executable, tools.PROJECT / "tests/world/damage.py"],
        input=json.dumps([[module, source, entry] for module, _, source, entry in cases]),
        env=with_echo(home), cwd=home["HOME"], capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found: dict[str, list[Started]] = {module: [] for module in modules}
    for (module, kind, _, entry), result in zip(cases, json.loads(done.stdout), strict=True):
        found[module].append(Started(kind, entry, *result))
    yield found
    end_processes(home)


@pytest.mark.drawn(20)
@pytest.mark.long
@pytest.mark.parametrize("module", DAMAGED_MODULES)
def test_an_installation_in_which_a_module_is_damaged_starts_opencode(
    launches: dict[str, list[Started]], module: str
) -> None:
    assert {launch.kind for launch in launches[module]} == {"empty", "cut off", "raising"}
    bad = [
        launch
        for launch in launches[module]
        if (launch.status, launch.output) != (0, "started\n")
        or not all(line.startswith(MESSAGE) for line in launch.messages.splitlines())
    ]
    assert bad == []


def test_the_start_without_us_knows_which_options_take_a_value() -> None:
    """Of what stands behind one, the program would be taken for its value."""
    options = [each.to_info_dict() for each in cli.execute.params if each.param_type_name == "option"]
    taking = [name for option in options if not option["is_flag"] for name in option["opts"]]
    assert sorted(taking) == sorted(_TAKE_A_VALUE)


def plainly(code: str, *arguments: str) -> list[str]:
    """Return a command that runs our entry point as a separate installation, without site-packages."""
    start = "import sys; sys.path.insert(0, sys.argv.pop(1)); from opencode_litellm.__main__ import opencode"
    return [sys.executable, "-S", "-c", f"{start}; {code}sys.exit(opencode())", str(PACKAGE.parent), *arguments]


@pytest.mark.parametrize(
    "name", ["token", "re", "json", "time", "_socket", "errno", "traceback", "dataclasses", "requests", "jinja2"]
)
def test_a_module_on_pythonpath_keeps_nobody_from_starting(user: dict[str, str], name: str) -> None:
    folder = Path(user["HOME"], "project")
    folder.mkdir()
    (folder / f"{name}.py").write_text("raise SystemExit('not the module that you want')\n")
    done = run(plainly("", "started"), user | {"PYTHONPATH": str(folder)})
    assert (done.status, done.stdout) == (0, "started\n")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("limit", ["-n 4", "-n 5", "-n 6", "-u 1", "-v 22000", "-v 30000", "-v 60000"])
def test_a_limit_may_cost_the_models_but_never_the_program(user: dict[str, str], limit: str) -> None:
    script = f'ulimit {limit} || exit 99; exec "$@"'
    for command in (plainly("", "started"), ["opencode-with-litellm", "started"]):
        if limit == "-n 4" and command[0] == "opencode-with-litellm":
            continue  # an editable installation needs more to be found at all
        done = run(["bash", "-c", script, "bash", *command], user)
        assert (done.status, done.stdout) == (0, "started\n"), done
        assert "Traceback" not in done.stderr


def test_a_damaged_installation_does_not_turn_in_a_circle_behind_its_own_shim(user: dict[str, str]) -> None:
    shims = Path(user["HOME"], "shims")
    shims.mkdir()
    (shims / "opencode").write_text(f"#!/bin/sh\nexec {sys.executable} -S {shims}/us.py \"$@\"\n")
    (shims / "opencode").chmod(0o755)
    (shims / "us.py").write_text(
        f"import sys; sys.path.insert(0, {str(PACKAGE.parent)!r}); sys.modules['opencode_litellm.errors'] = None\n"
        "from opencode_litellm.__main__ import opencode; sys.exit(opencode())\n"
    )
    done = run(["opencode", "started"], user | {"PATH": f"{shims}:{user['PATH']}"}, timeout=30)
    line = f"{MESSAGE}the installation is damaged (ModuleNotFoundError): reinstall opencode-litellm\n"
    assert (done.status, done.stdout, done.stderr) == (0, "started\n", line * 2)


DAMAGED = "sys.modules['opencode_litellm.errors'] = None; "
ONLY = {"OPENCODE_LITELLM_ONLY": "1"}
PACKAGES = {
    "opencode-ai": {"OPENCODE_CONFIG_CONTENT"},
    "@opencode/cli": set(),
    "somebody's dotfiles": {"OPENCODE_CONFIG_CONTENT", "OPENCODE_LITELLM_LAUNCHED"},
}


@pytest.mark.parametrize("package", PACKAGES)
def test_a_damaged_installation_gives_a_server_that_stays_nothing_and_uses_no_other_provider(
    user: dict[str, str], package: str
) -> None:
    folder = Path(user["HOME"], "package")
    (folder / "bin").mkdir(parents=True)
    (folder / "package.json").write_text(json.dumps({"dependencies": {"opencode-ai": "1"}, "name": package}, indent=2))
    (folder / "bin/opencode").write_text("#!/bin/sh\nenv\n")
    (folder / "bin/opencode").chmod(0o755)
    Path(user["HOME"], "bin/opencode").unlink()
    Path(user["HOME"], "bin/opencode").symlink_to(folder / "bin/opencode")
    done = run(plainly(DAMAGED, "run", "hi"), user | ONLY)
    variables = dict(line.partition("=")[::2] for line in done.stdout.splitlines())
    assert set(variables) - set(user) - {"PWD", "SHLVL", "_", "OPENCODE_LITELLM_ONLY", "LC_CTYPE"} == PACKAGES[package]
    assert variables.get("OPENCODE_CONFIG_CONTENT", '{"enabled_providers":[]}') == '{"enabled_providers":[]}'


@pytest.mark.drawn(1)
@pytest.mark.usefixtures("opencode")
@pytest.mark.parametrize(
    "content",
    [
        '{"permission":{"bash":"deny"}}',
        '{"permission": {"bash": "deny"},} // {}',
        '\n{ // {\n"permission": {"bash": "deny"} // no comma, }\r/* , } */ }\n// }',
        r'{"username": "\" // \\", "permission": {"bash": "{env:DENIED}"}}/* } */',
    ],
)
def test_a_damaged_installation_leaves_the_user_s_inline_content_in_force(
    home: dict[str, str], content: str
) -> None:
    inline = {"OPENCODE_CONFIG_CONTENT": content, "DENIED": "deny"}
    done = run(plainly(DAMAGED, "debug", "config"), home | ONLY | inline)
    assert done.status == 0, done
    configuration = json.loads(done.stdout)
    assert (configuration["permission"], configuration["enabled_providers"]) == ({"bash": "deny"}, [])


@pytest.mark.parametrize("content", ["", "[]", "{env:SETTINGS}", "{", "}{", "// {}", '{"enabled_providers":["x"]}'])
def test_a_damaged_installation_uses_no_other_provider_where_the_limit_cannot_be_added(
    user: dict[str, str], content: str
) -> None:
    stand_in(user, 'printf "%s\\n" "$OPENCODE_CONFIG_CONTENT"')
    done = run(plainly(DAMAGED), user | ONLY | {"OPENCODE_CONFIG_CONTENT": content})
    assert (done.status, done.stdout) == (0, '{"enabled_providers":[]}\n')


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ('{"provider": {"litellm": {"options": {\n  "only": true\n}}}}', True),
        ('{"provider": {"litellm": {"options": {\n  // "only": true\n}}}}', False),
        ('{"provider": {"litellm": {"options": { // "only" is\n  "only": true\n}}}}', True),
    ],
)
@pytest.mark.parametrize("place", ["file", "inline"])
def test_a_damaged_installation_takes_a_comment_for_no_wish(
    user: dict[str, str], text: str, wanted: bool, place: str
) -> None:
    stand_in(user, 'printf "%s\\n" "$OPENCODE_CONFIG_CONTENT"')
    if place == "file":
        write(Path(user["XDG_CONFIG_HOME"], "opencode/opencode.json"), text)
    done = run(plainly(DAMAGED), user | ({} if place == "file" else {"OPENCODE_CONFIG_CONTENT": text}))
    assert (done.status, '"enabled_providers":[]' in done.stdout) == (0, wanted)


@pytest.mark.parametrize("command", [["env", "bash"], ["models"], ["doctor"], ["init", "bash"], ["--version"]])
def test_a_damaged_installation_says_so_where_nothing_is_started(user: dict[str, str], command: list[str]) -> None:
    damaged = "import sys; sys.modules['opencode_litellm.errors'] = None; from opencode_litellm.__main__ import main"
    done = run([sys.executable, "-c", f"{damaged}; sys.exit(main())", *command], user)
    assert (done.status, done.stdout) == (70, "")
    assert done.stderr.startswith(MESSAGE)
    assert len(done.stderr.splitlines()) == 1
