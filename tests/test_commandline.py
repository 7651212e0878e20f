"""Which of opencode's subcommands need models, and so a question to the proxy."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import pytest

from opencode_litellm.opencode import commandline
from opencode_litellm.opencode.commandline import FIRST

if TYPE_CHECKING:
    from world.opencode import Opencode

NEED_MODELS = """
.
/some/folder
mcp/
run hi
run -m litellm/gpt-4o hi
run -- --help
run -- auth list
run -- --attach
models
models litellm --verbose
agent create
agent
debug agent build
debug config
acp
acp --cwd auth
serve --port 4096
web
pr 17
github run
--model litellm/gpt-4o
-m auth
--prompt help
--agent stats
--session export
-s db
--port 0 run hi
--log-level DEBUG run hi
-c
--continue --fork
an-unknown-word
"""

NEED_NONE = """
--version
-v
--help
-h
run hi --help
run hi -v
run --help -- hi
models --help
--get-yargs-completions opencode
completion
help
auth
auth list
auth login https://example.org
providers list
providers logout
db path
upgrade
upgrade 1.18.33
uninstall --dry-run
debug paths
debug startup
debug scrap
debug info
debug skill
debug rg files
debug file list
debug lsp diagnostics x
debug snapshot track
console
generate
session list
stats --days 3
export ses_1
import file.json
mcp list
mcp add
plugin some-module
plug some-module
agent list
attach http://localhost:4096
run --attach http://localhost:4096 hi
run --attach=http://localhost:4096 hi
run hi --attach http://localhost:4096
--log-level DEBUG auth list
--log-level=DEBUG auth list
--print-logs stats
-m litellm/gpt-4o session list
"""


@pytest.mark.parametrize("line", ["", *NEED_MODELS.split("\n")[1:-1]])
def test_a_launch_is_asked_for_models_by(line: str) -> None:
    assert commandline.uses_models(line.split(), FIRST)


@pytest.mark.parametrize("line", NEED_NONE.split("\n")[1:-1])
def test_a_launch_is_not_asked_for_models_by(line: str) -> None:
    assert not commandline.uses_models(line.split(), FIRST)


@pytest.mark.parametrize("arguments", [["run", "help me"], ["run", "-v "], ["my auth"], [""], ["run", "\udcff"]])
def test_an_argument_counts_as_a_whole(arguments: list[str]) -> None:
    assert commandline.uses_models(arguments, FIRST)


def test_every_subcommand_and_option_of_the_real_opencode_was_thought_of(
    opencode: Opencode, home: dict[str, str]
) -> None:
    shown = opencode(home, "--help")
    text = shown.stdout + shown.stderr
    known = {line.split()[0] for line in (NEED_MODELS + NEED_NONE).splitlines() if line and line[0] not in "-./"}
    assert set(re.findall(r"^  opencode ([a-z]+)", text, re.MULTILINE)) - known == set()
    # An option that takes a value, and that we did not know, would make its value look like a subcommand.
    options = re.findall(r"^ *(?:-(\w), )? *--([\w-]+) (.*(?:\n {20}.*)?)", text, re.MULTILINE)
    with_value = {name for _, name, rest in options if re.search(r"\[(string|number|array)\]", rest)}
    assert {"model", "prompt", "port"} <= with_value
    for name in with_value:
        assert commandline.uses_models([f"--{name}", "stats"], FIRST), name
    for short in {short for short, name, _ in options if short and name in with_value}:
        assert commandline.uses_models([f"-{short}", "stats"], FIRST), short


@pytest.mark.parametrize("program", ["opencode", "/usr/local/bin/opencode", "OpenCode.exe", "opencode.cmd"])
def test_only_opencode_s_own_command_line_is_understood(program: str) -> None:
    assert commandline.is_opencode(program)
    assert not commandline.is_opencode(f"{program}3")


@pytest.mark.parametrize(
    ("arguments", "folder"),
    [
        ("", ""),
        ("there", "/pwd/there"),
        ("-m litellm/gpt-4o ../there --continue", "/pwd/../there"),
        ("/there", "/there"),
        ("--port 0", ""),
        ("models", ""),
        ("models there", ""),
        ("serve there", ""),
        ("auth list", ""),
        ("run hi", "/pwd/"),
        ("run --dir there hi", "/pwd/there"),
        ("run hi --dir=there", "/pwd/there"),
        ("run --dir /there hi", "/there"),
        ("run -- --dir there", "/pwd/"),
        ("acp --cwd there", "there"),
        ("acp", ""),
        ("serve --dir there", ""),
    ],
)
def test_the_folder_where_opencode_will_work(arguments: str, folder: str) -> None:
    assert commandline.folder(arguments.split(), "/pwd", FIRST).replace(os.sep, "/") == folder
    assert commandline.folder(arguments.split(), "", FIRST) == folder.removeprefix("/pwd/")


@pytest.mark.parametrize(
    ("arguments", "model"),
    [
        ("", ""),
        ("-m litellm/gpt-5", "litellm/gpt-5"),
        ("run hi --model litellm/a/b", "litellm/a/b"),
        ("run --model=litellm/gpt-5 hi", "litellm/gpt-5"),
        ("-m=litellm/gpt-5", "litellm/gpt-5"),
        ("-m litellm/one -m litellm/two", "litellm/two"),
        ("run -- -m litellm/gpt-5", ""),
        ("run -m", ""),
    ],
)
def test_the_model_that_it_names(arguments: str, model: str) -> None:
    assert commandline.model(arguments.split()) == model
