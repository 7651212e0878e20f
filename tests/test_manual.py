"""The manual page, as the programs that show such pages see it; test_docs.py holds it up to date."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import manual
import pytest

from opencode_litellm import cli

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PAGE = manual.FOLDER / "opencode-litellm.1"


READERS = [("groff", "-ww", "-man", "-Tutf8"), ("mandoc", "-T", "lint", "-W", "warning"), ("man", "--warnings", "-l")]


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader[0])
def test_readers_of_manual_pages_have_nothing_to_complain_of(
    reader: tuple[str, ...], program: Callable[[str], Path]
) -> None:
    name, *options = reader
    read = subprocess.run([program(name), *options, PAGE], capture_output=True, text=True, check=False)
    complaints = [line for line in (read.stderr + read.stdout * (name == "mandoc")).splitlines() if "date" not in line]
    assert complaints == []
    if name != "mandoc":
        plain = " ".join(read.stdout.split())
        missing = [command for command in cli.EXAMPLES if f"opencode-litellm {command}" not in plain]
        assert missing == []
