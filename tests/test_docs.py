"""What CONTRIBUTING.md, the README and docs/ say of the project is there."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from world import tools

from opencode_litellm import cli

if TYPE_CHECKING:
    from collections.abc import Iterator

    import click

if sys.version_info >= (3, 11):
    import tomllib

PACKAGE = tools.PROJECT / "opencode_litellm"
CONTRIBUTING = tools.PROJECT / "CONTRIBUTING.md"
DOCUMENTS = [CONTRIBUTING, tools.PROJECT / "README.md", *sorted((tools.PROJECT / "docs").glob("*.md"))]
# Where a path in a document may begin, so that the map can say `launch/warm.py`.
BASES = (tools.PROJECT, PACKAGE, tools.PROJECT / "tests", tools.PROJECT / "templates")
MODULES = {path.stem: path for path in PACKAGE.rglob("*.py") if path.stem != "__init__"}
COMMANDS = cli.opencode_litellm.commands
# Options of other programs that a document names alone, after it has said whose they are.
FOREIGN_OPTIONS = frozenset({"--env-file", "--server", "--standalone"})


def pieces(document: Path) -> Iterator[str]:
    """Yield what a document sets as code: between backticks, and a line at a time in blocks. Not what is planned."""
    text = re.sub(r"(?m)^## Planned\n(?:(?!^## ).*\n?)*", "", document.read_text())
    yield from (re.sub(r"\s+", " ", piece) for piece in re.findall(r"`([^`]+)`", text))
    yield from (line.strip() for line in re.findall(r"(?m)^ {4}(.+)$", text))


def named(pattern: str) -> list[tuple[str, str]]:
    """Return the (document, name) of all that matches in the code of the documents, each pair once."""
    found = {
        (document.name, match[1]): None
        for document in DOCUMENTS
        for piece in pieces(document)
        for match in re.finditer(pattern, piece)
    }
    return list(found)


@cache
def sources() -> str:
    """Return the whole text of the package and its templates."""
    return "\n".join(path.read_text() for path in [*PACKAGE.rglob("*.py"), *(tools.PROJECT / "templates").glob("*.j2")])


def exists(path: str) -> bool:
    """Tell whether a path that a document names is one of the project's."""
    return any((base / path).exists() for base in BASES)


FILES = named(r"^((?:tests|docs|templates|opencode_litellm)/[\w./-]*)$")
FILES += named(r"(?<![\w/.*~-])([\w./-]*\w\.(?:py|j2|toml|cfg|yaml|in|txt))(?![\w/])")


@pytest.mark.parametrize(("document", "path"), FILES)
def test_a_file_that_a_document_names_is_there(document: str, path: str) -> None:
    assert exists(path), f"{document} names {path}"


@pytest.mark.parametrize(("document", "target"), named(r"^make ([a-z-]+(?: [a-z-]+)*)"))
def test_a_target_of_make_that_a_document_names_is_there(document: str, target: str) -> None:
    targets = set(re.findall(r"(?m)^([a-z-]+):", (tools.PROJECT / "Makefile").read_text()))
    assert set(target.split()) <= targets, f"{document} names make {target}"


def options(command: click.Command) -> set[str]:
    """Return the options of a command as they are typed."""
    return {option for parameter in command.params for option in parameter.opts} | {"--help"}


@pytest.mark.parametrize(("document", "line"), named(r"(?:^|[(\"$ ])(opencode-litellm [^#|)]*)"))
def test_a_command_that_a_document_names_is_there_with_its_options(document: str, line: str) -> None:
    _, name, *words = re.split(r"[\s\[\]|\"']+", line.partition(" -- ")[0])
    assert name in COMMANDS, f"{document} names the command {name}"
    assert {word for word in words if word.startswith("--") and word != "--"} <= options(COMMANDS[name]), line


@pytest.mark.parametrize(("document", "option"), named(r"^(--[a-z-]+)"))
def test_an_option_without_a_program_is_one_of_ours(document: str, option: str) -> None:
    ours = {option for command in COMMANDS.values() for option in options(command)}
    assert option in ours | FOREIGN_OPTIONS, f"{document} names {option}"


@pytest.mark.parametrize(("document", "variable"), named(r"(?<!\w)(OPENCODE_LITELLM_[A-Z_]+)"))
def test_a_variable_of_ours_that_a_document_names_is_read_or_written(document: str, variable: str) -> None:
    flags = {f"OPENCODE_LITELLM_{parameter.name}".upper() for parameter in COMMANDS["refresh"].params}
    switch = f'switched_on(environment, "{variable.removeprefix("OPENCODE_LITELLM_")}")'
    assert variable in flags or switch in sources() or f'"{variable}"' in sources(), f"{document} names {variable}"


# Constants, classes and calls: `options.headers` is a word of somebody else's.
NAMES = [pair for pair in named(r"^([a-z]+\.(?:[A-Z_]\w+|\w+(?=\(\))))") if pair[1].partition(".")[0] in MODULES]


@pytest.mark.parametrize(("document", "name"), NAMES)
def test_a_name_in_a_module_is_there(document: str, name: str) -> None:
    module, _, attribute = name.partition(".")
    dotted = ".".join(MODULES[module].relative_to(tools.PROJECT).with_suffix("").parts)
    assert hasattr(importlib.import_module(dotted), attribute), f"{document} names {name}"


def anchors(document: Path) -> set[str]:
    """Return the anchors of a document's headings, as GitHub makes them."""
    headings = re.findall(r"(?m)^#+ (.+)$", document.read_text())
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_links_between_documents_resolve(document: Path) -> None:
    broken = []
    for link in re.findall(r"\]\((?!https?:)([^)]+)\)", document.read_text()):
        path, _, anchor = link.partition("#")
        target = document.parent / path if path else document
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


def the_map() -> dict[str, str]:
    """Return the rows of the map in their order: a room, and the text that names its modules."""
    section = CONTRIBUTING.read_text().partition("\n## The map\n")[2].partition("\n## ")[0]
    return {match[1]: match[2] for match in re.finditer(r"(?m)^\| `(\w+)` \|[^|]*\|(.*)\|$", section)}


def test_the_map_has_a_line_for_every_module() -> None:
    drawn = {room: set(re.findall(r"`(\w+)`: ", modules)) for room, modules in the_map().items()}
    there: dict[str, set[str]] = {}
    for path in PACKAGE.rglob("*.py"):
        room, *module = path.relative_to(PACKAGE).with_suffix("").parts
        if room != "__init__":
            there.setdefault(room, set()).update(name for name in module if name != "__init__")
    assert drawn == there


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Python 3.10 reads no TOML by itself")
def test_the_map_has_the_order_that_lint_holds() -> None:
    contracts = tomllib.loads((tools.PROJECT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = [[room.strip() for room in line.split("|")] for line in contracts[0]["layers"]]
    rooms = iter(the_map())
    drawn = [[next(rooms, "") for _ in line] for line in layers]
    assert ([sorted(line) for line in drawn], list(rooms)) == ([sorted(line) for line in layers], [])


def test_nothing_but_continuous_integration_looks_beside_the_project() -> None:
    listed = subprocess.run(
        ["git", "grep", "-lE", r"\.\./shared|shared/", "--", ".", ":!.ci/run", ":!tests/test_docs.py"],
        cwd=tools.PROJECT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert listed.stdout.split() == []
