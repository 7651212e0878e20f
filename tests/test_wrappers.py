"""Programs named opencode that start us: however they do that, the real opencode is found."""

from __future__ import annotations

import mmap
import sys
from pathlib import Path

import pytest
from world import tools
from world.opencode import Opencode, run

from opencode_litellm.shells import emission

PADDING = "# padding\n" * 7000  # beyond what is read of a script to recognise it
WRAPPERS = {
    "long": f'#!/bin/sh\n{PADDING}exec opencode-with-litellm "$@"\n',
    "as a child": f'#!/bin/sh\n{PADDING}opencode-with-litellm "$@"\n',
    "through a variable": '#!/bin/sh\nus=opencode-litellm\nexec $us exec -- opencode "$@"\n',
    "with more arguments": '#!/bin/sh\nus=opencode-litellm\nexec $us exec -- opencode "$@" more\n',
    "by its own path": '#!/bin/sh\nus=opencode-litellm\nexec $us exec -- "$0" "$@"\n',
    "as a module": f'#!/bin/sh\nexec {sys.executable} -m opencode_litellm exec -- opencode "$@"\n',
    "with flags": '#!/bin/sh\nus=opencode-litellm\nexec $us exec --quiet -- opencode "$@"\n',
}


@pytest.fixture
def user(home: dict[str, str]) -> dict[str, str]:
    """Return the environment of a user whose first opencode is a wrapper, and whose last is real."""
    folder = Path(home["HOME"], "wrappers")
    folder.mkdir()
    script(Path(home["HOME"], "bin", "opencode"), '#!/bin/sh\necho "real: $*"\n')
    return home | {"PATH": f"{folder}:{home['PATH']}", "OPENCODE_LITELLM_DISABLE": "1"}


def script(path: Path, text: str) -> Path:
    path.unlink(missing_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("text", WRAPPERS.values(), ids=WRAPPERS)
def test_a_wrapper_that_calls_us_leads_to_the_real_opencode(user: dict[str, str], text: str) -> None:
    script(Path(user["HOME"], "wrappers", "opencode"), text)
    done = run(["opencode", "-v"], user, timeout=30)
    more = " more" * text.count("more\n")
    assert (done.status, done.stdout, done.stderr) == (0, f"real: -v{more * 2}\n", "")


@pytest.mark.parametrize("comments", [2, 6000])
def test_so_does_one_that_clears_the_environment(user: dict[str, str], comments: int) -> None:
    text = 'exec env -i HOME="$HOME" PATH="$PATH" OPENCODE_LITELLM_DISABLE=1 opencode-with-litellm "$@"'
    script(Path(user["HOME"], "wrappers", "opencode"), f"#!/bin/sh\n{PADDING[: comments * 10]}{text}\n")
    done = run(["opencode", "-v"], user, timeout=30)
    assert (done.status, done.stdout, done.stderr) == (0, "real: -v\n", "")


def test_one_that_names_us_in_a_comment_alone_is_started(user: dict[str, str]) -> None:
    text = "#!/bin/sh\n  # not opencode-with-litellm\necho mine\n"
    script(Path(user["HOME"], "wrappers", "opencode"), text)
    done = run(["opencode-with-litellm"], user)
    assert (done.status, done.stdout, done.stderr) == (0, "mine\n", "")


@pytest.mark.parametrize("text", ["#!/usr/bin/env -S opencode-with-litellm\n", emission.shim().decode()])
def test_scripts_that_call_us_are_passed_over_also_by_a_program_without_a_file(
    user: dict[str, str], text: str
) -> None:
    script(Path(user["HOME"], "wrappers", "opencode"), text)
    code = "import os; from opencode_litellm import program; print(program.find('opencode', os.environ))"
    done = run([sys.executable, "-c", code], user)
    assert (done.status, done.stdout, done.stderr) == (0, f"{user['HOME']}/bin/opencode\n", "")


def test_so_does_a_link_to_a_wrapper_of_another_name(user: dict[str, str]) -> None:
    target = script(Path(user["HOME"], "oc"), WRAPPERS["long"])
    Path(user["HOME"], "wrappers", "opencode").symlink_to(target)
    done = run(["opencode", "-v"], user, timeout=30)
    assert (done.status, done.stdout, done.stderr) == (0, "real: -v\n", "")


def test_two_wrappers_that_call_each_other_do_too(user: dict[str, str]) -> None:
    script(Path(user["HOME"], "wrappers", "opencode"), WRAPPERS["long"])
    other = Path(user["HOME"], "others")
    other.mkdir()
    script(other / "opencode", WRAPPERS["through a variable"])
    done = run(["opencode", "-v"], {**user, "PATH": f"{other}:{user['PATH']}"}, timeout=30)
    assert (done.status, done.stdout, done.stderr) == (0, "real: -v\n", "")


SECOND = """#!/bin/sh
if [ "$1" = --version ]; then echo "opencode v2.0.30"; exit; fi
env | grep -E '^OPENCODE_LITELLM_(LAUNCHED|ASKED)='
echo "real: $*"
"""


@pytest.mark.parametrize("disabled", ["1", ""])
@pytest.mark.parametrize("names", [["long"], ["as a child", "through a variable"], []], ids=" and ".join)
def test_opencode_2_behind_wrappers_gets_nothing_that_its_server_would_keep(
    user: dict[str, str], names: list[str], disabled: str
) -> None:
    folders = [Path(user["HOME"], "wrappers", str(number)) for number, _ in enumerate(names)]
    for folder, name in zip(folders, names, strict=True):
        folder.mkdir()
        script(folder / "opencode", WRAPPERS[name])
    script(Path(user["HOME"], "bin", "opencode"), SECOND)
    path = ":".join([*map(str, folders), user["PATH"]])
    environment = {**user, "PATH": path, "OPENCODE_LITELLM_DISABLE": disabled}
    for _ in range(2):  # for the first time, and as it is known
        done = run(["opencode-with-litellm", "session", "list"], environment, timeout=60)
        assert (done.status, done.stdout, done.stderr) == (0, "real: session list\n", "")


def test_a_wrapper_that_names_a_version_of_opencode_2_is_found_out_as_well(user: dict[str, str]) -> None:
    script(Path(user["HOME"], "wrappers", "opencode"), f"#!/bin/sh\n# opencode-v2.0.30\n{WRAPPERS['long'][10:]}")
    script(Path(user["HOME"], "bin", "opencode"), SECOND)
    done = run(["opencode-with-litellm", "session", "list"], user, timeout=60)
    assert (done.status, done.stdout, done.stderr) == (0, "real: session list\n", "")


def test_so_is_one_that_starts_us_for_everything_but_its_version(user: dict[str, str]) -> None:
    answer = '[ "$1" = --version ] && echo "opencode v2.0.30" && exit'
    script(Path(user["HOME"], "wrappers", "opencode"), f"#!/bin/sh\n{answer}\n{WRAPPERS['through a variable'][10:]}")
    script(Path(user["HOME"], "bin", "opencode"), SECOND)
    for _ in range(2):  # for the first time, and as it is known
        done = run(["opencode-with-litellm", "session", "list"], user, timeout=60)
        assert (done.status, done.stdout, done.stderr) == (0, "real: session list\n", "")


def test_with_nothing_but_a_wrapper_it_ends_and_names_it(user: dict[str, str]) -> None:
    Path(user["HOME"], "bin", "opencode").unlink()
    wrapper = script(Path(user["HOME"], "wrappers", "opencode"), WRAPPERS["through a variable"])
    done = run(["opencode", "-v"], user, timeout=60)
    assert (done.status, done.stdout, done.stderr) == (
        127,
        "",
        f"opencode-litellm: opencode is not on PATH (except for {wrapper}, which would start opencode-litellm again):"
        " install it, or add its folder to PATH\n",
    )


@pytest.mark.parametrize("tells", [True, False], ids=["OPENCODE_PID", "before OPENCODE_PID"])
def test_an_opencode_that_starts_itself_is_no_wrapper(user: dict[str, str], tells: bool) -> None:
    said = "export OPENCODE_PID=$$\n" if tells else ""
    again = 'case "$1" in more) opencode-with-litellm -v;; *) opencode-with-litellm more;; esac\n'
    first = script(
        Path(user["HOME"], "wrappers", "opencode"),
        f'#!/bin/sh\n{PADDING}{said}echo first; [ "$1" = -v ] || {{\n{again}}}\n',
    )
    if not tells:
        Path(user["HOME"], "bin", "opencode").unlink()
    done = run(["opencode"], user, timeout=30)
    assert (done.status, done.stdout, done.stderr) == (0, "first\n" * 3, ""), first


def test_the_real_opencode_sets_the_variable_that_tells(opencode: Opencode) -> None:
    assert opencode
    with tools.OPENCODE.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as program:
        assert program.find(b"process.env.OPENCODE_PID=String(process.pid)") > 0
