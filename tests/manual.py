"""Write the manual page from the command line and from docs/options.md, so that neither has to be kept twice.

Run by ``make man``, which writes `man/`; `tests/test_docs.py` fails when that is not up to date.
"""

from __future__ import annotations

import re
import sys
from inspect import cleandoc
from typing import TYPE_CHECKING

import click
from world import tools

from opencode_litellm import __version__, cli

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FOLDER = tools.PROJECT / "man"
OPTIONS = tools.PROJECT / "docs" / "options.md"
# What the page takes over from docs/options.md, each by the section's title there.
TABLES = {"ENVIRONMENT": "Variables", "EXIT STATUS": "Exit statuses", "FILES": "Files"}
DISCOVERY = "These options belong to every command that asks a proxy"


def main() -> int:
    """Write both pages."""
    FOLDER.mkdir(exist_ok=True)
    for name, text in pages().items():
        (FOLDER / name).write_text(text)
    return 0


def pages() -> dict[str, str]:
    """Return the text of each manual page by its file name; the second is the first under another name."""
    return {
        "opencode-litellm.1": "".join(f"{line}\n" for line in _page()),
        "opencode-with-litellm.1": ".so man1/opencode-litellm.1\n",
    }


def _page() -> Iterator[str]:
    program = cli.opencode_litellm
    commands = program.commands
    shared = _names(commands["refresh"])
    yield f'.TH OPENCODE\\-LITELLM 1 "" "opencode\\-litellm {__version__}" "User Commands"'
    yield ".SH NAME"
    yield "opencode\\-litellm, opencode\\-with\\-litellm \\- every model of a LiteLLM proxy in opencode"
    yield ".SH SYNOPSIS"
    for name, command in commands.items():
        yield ".br" if name != next(iter(commands)) else ".nh"
        yield f"\\fBopencode\\-litellm {_roff(name)}\\fR {_roff(_usage(command))}"
    yield from [".br", "\\fBopencode\\-with\\-litellm\\fR [ARG]...", ".SH DESCRIPTION"]
    yield from _paragraphs(program)
    yield from [".PP", "\\fBopencode\\-with\\-litellm\\fR ARG... is short for"]
    yield "\\fBopencode\\-litellm exec \\-\\- opencode\\fR ARG..."
    yield ".SH COMMANDS"
    for name, command in commands.items():
        yield f'.SS "opencode\\-litellm {_roff(name)} {_roff(_usage(command))}"'
        yield from _paragraphs(command)
        yield from _options(command, lambda option: not set(option.opts) <= shared)
        yield from [".PP", "Example:", ".RS 4", ".nf", _roff(cli.EXAMPLES[name]), ".fi", ".RE"]
    yield ".SH OPTIONS"
    yield f"{DISCOVERY}. Each is also a variable: \\fB\\-\\-url\\fR is \\fBOPENCODE_LITELLM_URL\\fR."
    yield from _options(commands["refresh"], lambda option: "--help" not in option.opts)
    for title, section in TABLES.items():
        yield f".SH {title}"
        yield from _tables(section)
    yield ".SH SEE ALSO"
    yield from ["opencode: https://opencode.ai", ".br", "LiteLLM: https://github.com/BerriAI/litellm"]


def _usage(command: click.Command) -> str:
    """Return what follows a command, in the same words with every version of click."""
    arguments = [each for each in command.params if isinstance(each, click.Argument)]
    values = [each.metavar or (_value(each) if each.required else f"[{_value(each)}]") for each in arguments]
    return " ".join(["[OPTION]...", *values])


def _value(parameter: click.Parameter) -> str:
    """Return the name of a value, or all values that there are."""
    if isinstance(parameter.type, click.Choice):
        return "|".join(map(str, parameter.type.choices))
    return str(parameter.metavar)


def _names(command: click.Command) -> set[str]:
    return {name for option in command.params if isinstance(option, click.Option) for name in option.opts}


def _options(command: click.Command, wanted: Callable[[click.Option], bool]) -> Iterator[str]:
    for option in command.params:
        if isinstance(option, click.Option) and wanted(option):
            value = "" if option.is_flag else f" \\fI{_roff(_value(option))}\\fR"
            yield from [".TP", f"\\fB{', '.join(map(_roff, option.opts))}\\fR{value}", _roff(option.help or "")]


def _paragraphs(command: click.Command) -> Iterator[str]:
    """Yield a command's help; click leaves lines as they are in a paragraph that begins with a backspace."""
    usage = (command.epilog or "").partition("\b")[0]
    paragraphs = f"{cleandoc(command.help or '')}\n\n{usage}".strip().split("\n\n")
    for index, paragraph in enumerate(paragraphs):
        yield from [".PP"] if index else []
        if paragraph.startswith("\b"):
            yield from [".nf", *map(_roff, paragraph.lstrip("\b\n").splitlines()), ".fi"]
        else:
            yield _roff(" ".join(paragraph.split()))


def _tables(title: str) -> Iterator[str]:
    """Yield the text and the tables of a section of docs/options.md."""
    section = OPTIONS.read_text().partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    for index, block in enumerate(section.strip().split("\n\n")):
        if not block.startswith("|"):
            yield from [".PP"] if index else []
            yield _marked(" ".join(block.split()))
            continue
        for row in block.splitlines()[2:]:
            name, *_, meaning = (cell.strip() for cell in row.strip("|").split(" | "))
            yield from [".TP", _marked(name), _marked(meaning.strip(" |"))]


def _marked(text: str) -> str:
    """Return Markdown as roff: code is bold, and a link is its text."""
    text = re.sub(r"\[([^]]+)\]\([^)]+\)", r"\1", text)
    parts = re.split(r"`([^`]+)`", text)
    return "".join(f"\\fB{_roff(part)}\\fR" if index % 2 else _roff(part) for index, part in enumerate(parts))


def _roff(text: str) -> str:
    escaped = text.replace("\\", "\\e").replace("-", "\\-").replace("…", "...").replace("'", "\\(aq")
    return f"\\&{escaped}" if escaped.startswith(".") else escaped


if __name__ == "__main__":
    sys.exit(main())
