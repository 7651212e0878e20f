"""Quoting and detection, in the real shells."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from world.real_shells import BASH, KSH, POSIX, WITH_SNIPPET, ZSH, SnippetShell

from opencode_litellm.shells import emission

BY_FORMAT: list[tuple[str, SnippetShell]] = [(shell.name, shell) for shell in WITH_SNIPPET]
BY_FORMAT += [("posix", shell) for shell in (*POSIX, BASH, ZSH)]

every_format = pytest.mark.parametrize(
    ("name", "shell"), [pytest.param(*row, id=f"{row[0]} in {row[1].program or row[1].name}") for row in BY_FORMAT]
)

# Characters that are special to shells are drawn often, all others now and then.
SPECIAL = (
    "'\"`\\$!#%&<>|^;~=*?[](){}@,:-+ \n\r\t\x01\x1b\x7f\u0085\u2018\u2019\u201a\u201b\u2028"
    "\ufeff\uffff\ue000\uf600\uf6ff\uf8ff\ufdd0\ufdd5é🙂"
)
values = st.text(
    st.one_of(st.sampled_from(SPECIAL), st.characters(exclude_characters="\0", exclude_categories=["Cs"])), max_size=20
)


def settled(
    format_name: str, shell: SnippetShell, changes: dict[str, str | None], before: dict[str, str]
) -> dict[str, str]:
    """Return which of the variables named V… a shell passes on once it evaluated ``changes``."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        text = emission.assignments(format_name, changes, {"HOME": name})
        # Read from a file, as the output of a program is: a script's own text may be decoded otherwise.
        (folder / "pass").write_text("#!/bin/sh\nexec /usr/bin/env -0 >variables\n")
        (folder / "pass").chmod(0o755)
        script = shell.evaluates(text, folder) + "./pass\n"
        process = shell.run(script, folder, {"PATH": "/usr/bin:/bin", **before})
        assert (process.returncode, process.stdout, process.stderr) == (0, b"", b"")
        pairs = (entry.split("=", 1) for entry in (folder / "variables").read_bytes().decode().split("\0")[:-1])
        return {variable: value for variable, value in pairs if variable.startswith("V")}


@pytest.fixture(scope="module")
def drawn() -> list[str]:
    """Return many values at once, because some shells take seconds to start."""
    found = ["", "=ls", "~", "~root", "a:~", "-n", "--", "*", "!!", "''", "\\'", "a\\", "\n", "\n\n", "\r\n"]

    @settings(max_examples=6, deadline=None)
    @given(batch=st.lists(values, min_size=80, max_size=120))
    def draw(batch: list[str]) -> None:
        found.extend(batch)

    draw()
    return found


@every_format
def test_any_value_comes_through_any_shell(name: str, shell: SnippetShell, drawn: list[str]) -> None:
    changes: dict[str, str | None] = {f"V{at}": value for at, value in enumerate(drawn)}
    after = settled(name, shell, changes, before={})
    assert {value: after.get(at) for at, value in changes.items() if after.get(at) != value} == {}


@every_format
def test_a_variable_is_removed_whether_it_was_set_or_not(name: str, shell: SnippetShell) -> None:
    changes = {"V_NEW": "1", "V_CHANGED": "2", "V_EMPTY": "", "V_GONE": None, "V_NEVER": None}
    before = {"V_CHANGED": "1", "V_GONE": "1", "V_KEPT": "1"}
    after = settled(name, shell, changes, before)
    assert after == {"V_NEW": "1", "V_CHANGED": "2", "V_EMPTY": "", "V_KEPT": "1"}


DETECT = """
from opencode_litellm import errors
from opencode_litellm.shells import formats
try:
    print(formats.detect(), formats.detect(formats.FORMATS))
except errors.UsageFailure as failure:
    print(failure)
"""


@pytest.mark.parametrize(
    "shell", [pytest.param(shell, id=shell.program or shell.name) for shell in (*WITH_SNIPPET, KSH)]
)
def test_the_shell_that_runs_us_is_detected(shell: SnippetShell, tmp_path: Path) -> None:
    program = tmp_path / "detect.py"
    program.write_text(DETECT)
    # The second command keeps the shell from becoming the first.
    script = shell.starts.format(program=sys.executable, argument=program) + "\nexit 0\n"
    process = shell.run(script, tmp_path, {"PATH": "/usr/bin:/bin"})
    assert (process.returncode, process.stdout.decode().split(), process.stderr) == (0, 2 * [shell.name], b"")
