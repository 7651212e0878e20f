"""``init`` prints again what it printed before, as long as nothing that could change it did."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from opencode_litellm import variables
from opencode_litellm.shells import replay

TEXT = "function opencode {\n  x été\n}\n"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """The environment of a user whose ``init zsh`` and ``init zsh --cmd oc`` were printed before."""
    environment = {"HOME": str(tmp_path)}
    replay.keep("zsh", "opencode", environment, TEXT)
    replay.keep("zsh", "oc", environment, TEXT + "oc\n")
    return environment


def kept(environment: dict[str, str]) -> Path:
    return Path(environment["HOME"], ".local/share/opencode-litellm/opencode.zsh")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["zsh"], TEXT),
        (["zsh", "--cmd", "opencode"], TEXT),
        (["zsh", "--cmd", "oc"], TEXT + "oc\n"),
        ([], None),
        ([""], None),
        (["bash"], None),
        (["zsh", "--cmd"], None),
        (["zsh", "--cmd", ""], None),
        (["zsh", "--cmd", "other"], None),
        (["zsh", "--cmd=oc"], None),
        (["--cmd", "oc", "zsh"], None),
        (["zsh", "--help"], None),
        (["zsh", "--cmd", "oc", "--cmd", "oc"], None),
        (["../init/zsh"], None),
        (["zsh", "--cmd", "/../zsh-oc"], None),
        (["zsh\0"], None),
    ],
)
def test_it_understands_a_shell_and_a_command(
    arguments: list[str], text: str | None, environment: dict[str, str]
) -> None:
    assert replay.snippet(arguments, environment) == text


def test_nothing_is_known_at_first(tmp_path: Path) -> None:
    assert replay.snippet(["zsh"], {"HOME": str(tmp_path)}) is None


def test_the_last_snippet_that_was_kept_is_replayed(environment: dict[str, str]) -> None:
    replay.keep("zsh", "opencode", environment, "new\n")
    assert replay.snippet(["zsh"], environment) == "new\n"


def test_only_we_can_read_and_write_it(environment: dict[str, str]) -> None:
    path = kept(environment)
    modes = [place.stat().st_mode & 0o777 for place in (path, path.parent)]
    assert modes == [0o600, 0o700]
    assert sorted(place.name for place in path.parent.iterdir()) == ["oc.zsh", "opencode.zsh"]


def test_another_version_prints_anew(environment: dict[str, str]) -> None:
    text = kept(environment).read_text()
    kept(environment).write_text(text.replace(replay.__version__, "0.0.1", 1))
    assert replay.snippet(["zsh"], environment) is None


def test_a_template_of_the_user_s_that_comes_changes_or_goes_prints_anew(environment: dict[str, str]) -> None:
    folder = Path(variables.override_folder(environment))
    folder.mkdir(parents=True)
    template = folder / "zsh.j2"
    answers = []
    for text in ("a", "b", None):
        if text is None:
            template.unlink()
        else:
            template.write_text(text)
        answers.append(replay.snippet(["zsh"], environment))
        replay.keep("zsh", "opencode", environment, f"with {text}\n")
        answers.append(replay.snippet(["zsh"], environment))
    assert answers == [None, "with a\n", None, "with b\n", None, "with None\n"]


def test_the_shipped_template_counts_too(environment: dict[str, str]) -> None:
    shipped = Path(replay.SHIPPED, "zsh.j2").stat()
    assert f", {shipped.st_size}, {shipped.st_mtime_ns})" in kept(environment).read_text().splitlines()[0]


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xfe", b"x" * (1 << 17)])
def test_a_snippet_that_we_did_not_write_is_not_printed(content: bytes, environment: dict[str, str]) -> None:
    kept(environment).write_bytes(content)
    assert replay.snippet(["zsh"], environment) is None


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_snippet_that_others_can_write_is_not_printed(mode: int, environment: dict[str, str]) -> None:
    kept(environment).chmod(mode)
    assert replay.snippet(["zsh"], environment) is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_snippet_that_others_own_is_not_printed(environment: dict[str, str]) -> None:
    os.chown(kept(environment), 65534, 65534)
    assert replay.snippet(["zsh"], environment) is None


def test_neither_a_link_nor_a_folder_is_printed(environment: dict[str, str]) -> None:
    path = kept(environment)
    answers = []
    path.rename(path.with_name("moved"))
    path.symlink_to("moved")
    answers.append(replay.snippet(["zsh"], environment))
    path.unlink()
    path.mkdir(0o700)
    answers.append(replay.snippet(["zsh"], environment))
    assert answers == [None, None]


def test_the_shell_can_read_the_file_itself(environment: dict[str, str]) -> None:
    first, rest = kept(environment).read_text().split("\n", 1)
    assert (first[:2], rest) == ("# ", TEXT)


def test_a_snippet_of_another_version_or_template_is_reported(environment: dict[str, str]) -> None:
    assert replay.outdated(environment) == []
    kept(environment).write_text(kept(environment).read_text().replace(replay.__version__, "0.0.1", 1))
    assert replay.outdated(environment) == [("zsh", "opencode")]
    path = Path(variables.override_folder(environment), "zsh.j2")
    path.parent.mkdir(parents=True)
    path.touch()
    assert replay.outdated(environment) == [("zsh", "oc"), ("zsh", "opencode")]


def test_without_a_data_folder_it_is_only_slower(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / ".local").write_text("a file")
    environment = {"HOME": str(tmp_path)}
    replay.keep("zsh", "opencode", environment, TEXT)
    assert replay.snippet(["zsh"], environment) is None
    assert capfd.readouterr() == ("", "")


def test_it_imports_next_to_nothing(environment: dict[str, str]) -> None:
    script = (
        "import os, sys; before = set(sys.modules); from opencode_litellm.shells import replay\n"
        "assert replay.snippet(['zsh'], os.environ)\n"
        "print(*sorted(set(sys.modules) - before))"
    )
    process = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False
    )
    names = ("private", "shells", "shells.replay", "templates", "variables")
    expected = " ".join(["opencode_litellm", *(f"opencode_litellm.{name}" for name in names)])
    assert (process.returncode, process.stdout, process.stderr) == (0, f"{expected}\n", "")
