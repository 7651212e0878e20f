"""Which opencode a program is: from its package, from a shim's text, and else from the program itself, once a day."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from world import tools

from opencode_litellm.opencode import versions

if TYPE_CHECKING:
    from world.opencode import Opencode


def script(path: Path, text: str) -> str:
    """Write a program."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return str(path)


def telling(path: Path, words: str) -> str:
    """Write a program that prints ``words`` for --version, and notes each time that it is asked."""
    return script(path, f"#!/bin/sh\necho asked $* >>{path}.log\n{words}\n")


def times_asked(program: str) -> int:
    log = Path(f"{program}.log")
    return len(log.read_text().splitlines()) if log.exists() else 0


@pytest.mark.parametrize("delivery", ["", "auto", "inline", "file", "managed"])
@pytest.mark.parametrize(
    ("version", "by_itself"),
    [
        (versions.UNKNOWN, versions.ONE),
        (versions.Version("1.18.33", 1), versions.ONE),
        (versions.Version("1.2.10", 1), versions.ONE_LITERALLY),
        (versions.Version("0.15.0", 1), versions.ONE_BY_FILE),
        (versions.Version("2.0.30", 2), versions.TWO),
    ],
    ids=str,
)
def test_a_payload_is_for_what_reads_variables_unless_the_user_wants_the_file_or_a_server_stands_between(
    version: versions.Version, by_itself: str, delivery: str
) -> None:
    expected = versions.SERVER if delivery == "managed" else by_itself
    assert versions.recipient(version, delivery, reads_variables=True) == expected
    assert versions.recipient(version, delivery, reads_variables=False) == versions.SERVER


@pytest.mark.parametrize(
    ("name", "version", "major"),
    [
        ("opencode-ai", "1.18.33", 1),
        ("opencode-ai", "0.5.29", 1),
        ("opencode-ai", "0.0.0-dev-202609212252", 1),
        ("opencode-linux-x64", "1.2.11", 1),
        ("opencode-darwin-x64-baseline", "1.0.0", 1),
        ("@opencode/cli", "2.0.30", 2),
        ("@opencode/cli", "0.0.0-beta-2", 2),
        ("@opencode/cli-linux-x64", "2.0.30", 2),
        ("@opencode-ai/cli-linux-x64", "1.18.18", 2),
    ],
)
def test_the_package_behind_the_program_says_it(
    home: dict[str, str], tmp_path: Path, name: str, version: str, major: int
) -> None:
    package = tmp_path / "node_modules" / name
    program = telling(package / "bin/opencode", "echo 9.9.9")
    manifest = {"license": "MIT", "name": name, "bin": {"opencode": "./bin/opencode"}, "version": version}
    (package / "package.json").write_text(json.dumps(manifest, indent=2))
    link = tmp_path / "bin/opencode"
    link.parent.mkdir()
    link.symlink_to(program)
    known = versions.of(str(link), home)
    assert (known.text, known.major, known.known_by) == (version, major, str(package / "package.json"))
    assert times_asked(program) == 0


@pytest.mark.parametrize(
    ("text", "version", "major"),
    [
        ('exec node "$basedir/5/.pnpm/opencode-ai@1.2.6/node_modules/opencode-ai/bin/opencode" "$@"', "1.2.6", 1),
        ('exec "$basedir/.pnpm/@opencode+cli@2.0.3/node_modules/@opencode/cli/bin/opencode.cjs" "$@"', "2.0.3", 2),
        ("# asdf-plugin: opencode 1.14.34\nexec asdf exec opencode", "1.14.34", 1),
        ('exec "/nix/store/0a1b-opencode-1.18.3/bin/.opencode-wrapped" "$@"', "1.18.3", 1),
        ('exec /opt/opencode/2.0.1/bin/opencode "$@"', "2.0.1", 2),
    ],
)
def test_a_shim_that_names_one_version_says_it(
    home: dict[str, str], tmp_path: Path, text: str, version: str, major: int
) -> None:
    shim = script(tmp_path / "opencode", f"#!/bin/sh\n{text}\n")
    known = versions.of(shim, home)
    assert (known.text, known.major, known.known_by) == (version, major, shim)


@pytest.mark.parametrize(
    ("words", "version", "major"),
    [
        ("echo opencode v2.0.30", "2.0.30", 2),
        ("echo 1.18.33", "1.18.33", 1),
        ("echo 'checking...'; echo 'opencode v0.0.0-beta-17'", "0.0.0-beta-17", 2),
        ("echo lildax vlocal", "local", 2),
        ("echo 12.0.1", "12.0.1", 2),
        ("echo 3.1.0", "3.1.0", 2),
        ("cat; echo 1.3.2", "1.3.2", 1),
        ("echo 1.3.2; exit 1", "1.3.2", 1),
        ("echo nvm 0.39.7; echo v1.18.33", "1.18.33", 1),
        ("echo 127.0.0.1; echo 1.18.33", "1.18.33", 1),
        ("echo proxy at 127.0.0.1 and 2.2.30.4; echo at version 1.18.33", "1.18.33", 1),
        ("echo v20.11.1; echo opencode v2.0.6; echo 3.0.0 is there", "2.0.6", 2),
        ("echo this is vlocal of today", "local", 2),
        ("echo nvm 0.39.7; echo lildax vlocal", "local", 2),
        ("echo vlocal; echo nvm 0.39.7; echo local", "local", 2),
        ("printf 'nvm 0.39.7\\r\\n1.18.33\\r\\n'", "1.18.33", 1),
        ("echo 1.3.2-beta.1 of opencode", "1.3.2-beta.1", 1),
    ],
)
def test_else_the_program_is_asked_once(
    home: dict[str, str], tmp_path: Path, words: str, version: str, major: int
) -> None:
    program = telling(tmp_path / "opencode", words)
    for _ in range(3):
        known = versions.of(program, home)
        assert (known.text, known.major, known.known_by) == (version, major, "--version")
    assert times_asked(program) == 1


def test_another_program_at_the_same_place_is_asked_anew(home: dict[str, str], tmp_path: Path) -> None:
    program = telling(tmp_path / "opencode", "echo 1.18.33")
    versions.of(program, home)
    telling(tmp_path / "opencode", "echo opencode v2.0.30")
    assert versions.of(program, home).major == 2


def test_a_version_is_remembered_for_a_day(home: dict[str, str], tmp_path: Path) -> None:
    program = telling(tmp_path / "opencode", "echo 1.18.33")
    versions.of(program, home)
    for kept in Path(home["XDG_CACHE_HOME"], "opencode-litellm").glob("version-*"):
        os.utime(kept, (time.time() - 25 * 3600,) * 2)
    versions.of(program, home)
    assert times_asked(program) == 2


@pytest.mark.parametrize(
    "words", ["exit 3", "echo none of your business", "kill -9 $$", "echo 127.0.0.1", "echo local"]
)
def test_an_unknown_version_counts_as_today_s_version_1(
    home: dict[str, str], tmp_path: Path, words: str
) -> None:
    program = telling(tmp_path / "opencode", words)
    for _ in range(2):
        known = versions.of(program, home)
        assert (known.text, known.major, known.known_by) == ("", 1, "")
        assert all(known.has(change) for change in versions.CHANGES)
    assert times_asked(program) == 1


@pytest.mark.long
def test_one_that_hangs_is_not_waited_for(home: dict[str, str], tmp_path: Path) -> None:
    program = telling(tmp_path / "opencode", "echo 2.0.0; sleep 60 & sleep 60")
    began = time.monotonic()
    assert versions.of(program, home).known_by == ""
    assert time.monotonic() - began < 30  # 5 seconds are what it gets
    versions.of(program, home)
    assert times_asked(program) == 1


def test_nothing_is_started_where_that_is_not_wanted(home: dict[str, str], tmp_path: Path) -> None:
    program = telling(tmp_path / "opencode", "echo opencode v2.0.30")
    assert versions.of(program, home, ask=False).known_by == ""
    assert times_asked(program) == 0
    assert versions.of(program, home).major == 2


def test_opencode2_is_version_2_also_when_it_does_not_say_so(home: dict[str, str], tmp_path: Path) -> None:
    known = versions.of(script(tmp_path / "opencode2", "#!/bin/sh\nexit 1\n"), home)
    assert (known.major, known.known_by) == (2, "its name")


def test_the_documentation_says_what_versions_differ_in_in_the_same_words() -> None:
    page = " ".join((tools.PROJECT / "docs/compatibility.md").read_text(encoding="utf-8").split())
    for change in versions.CHANGES:
        assert f"**before {'.'.join(map(str, change.since))}**: {change.before}" in page


def test_the_real_one_is_recognised(home: dict[str, str], opencode: Opencode) -> None:
    known = versions.of(str(Path(home["HOME"], "bin/opencode")), home)
    assert f"{known.text}\n" == opencode(home, "--version").stdout
    assert (known.major, Path(known.known_by).name) == (1, "package.json")


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("0.5.29", set(versions.CHANGES)),
        ("1.0.0", {versions.FILE_BELOW_PROJECT, versions.CHATS, versions.SHORT_HELP, versions.LIVE_INLINE}),
        ("1.0.98", {versions.CHATS, versions.LIVE_INLINE}),
        ("1.0.152", {versions.LIVE_INLINE}),
        ("1.2.10", {versions.LIVE_INLINE}),
        ("1.2.11", set()),
        ("1.18.33", set()),
    ],
)
def test_versions_differ_in_what_the_table_says(text: str, missing: set[versions.Change]) -> None:
    version = versions.Version(text, 1)
    assert {change for change in versions.CHANGES if not version.has(change)} == missing
