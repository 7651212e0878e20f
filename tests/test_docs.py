"""What CONTRIBUTING.md, the README and docs/ say about the project is true."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from xml.etree import ElementTree

import manual
import pytest
from world import tools

from opencode_litellm import __version__, cli, errors, jsonc, rendering, variables
from opencode_litellm.models.visibility import Rule
from opencode_litellm.proxies import OUR_OPTIONS
from opencode_litellm.shells import emission as shells_emission
from opencode_litellm.shells.formats import FORMATS, STARTUPS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    import click

if sys.version_info >= (3, 11):
    import tomllib

PACKAGE = tools.PROJECT / "opencode_litellm"
CONTRIBUTING = tools.PROJECT / "CONTRIBUTING.md"
README = tools.PROJECT / "README.md"
DOCS = tools.PROJECT / "docs"
DOCUMENTS = [CONTRIBUTING, README, tools.PROJECT / "CHANGELOG.md", *sorted(DOCS.glob("*.md"))]
# Where a path in a document may begin, so that the map can say `launch/warm.py`.
BASES = (tools.PROJECT, PACKAGE, tools.PROJECT / "tests", tools.PROJECT / "templates")
MODULES = {path.stem: path for path in PACKAGE.rglob("*.py") if path.stem != "__init__"}
COMMANDS = cli.opencode_litellm.commands
# Options of other programs that a document names alone, after it has said whose they are.
FOREIGN_OPTIONS = frozenset({"--env-file", "--server", "--standalone"})
# In capitals, and still no environment variable; opencode reads the last two in its own tests alone.
NOT_VARIABLES = frozenset(
    {
        "CERT_REQUIRED", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE", "WRONG_VERSION_NUMBER",
        "SC_ARG_MAX", "SC_CLK_TCK", "SC_OPEN_MAX", "OPENCODE_LITELLM_", "OPENCODE_LITELLM_WAS_",
        "OPENCODE_TEST_HOME", "OPENCODE_TEST_MANAGED_CONFIG_DIR",
    }
)  # fmt: skip
# Of what a person meets as a failure of a proxy, a key or a configuration: usage errors explain themselves.
FAILURES = {
    name for name, value in vars(errors).items()
    if isinstance(value, type) and issubclass(value, errors.Failure)
} - {"Failure", "UsageFailure"}  # fmt: skip


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
    """Return whether a path that a document names exists in the project."""
    return any((base / path).exists() for base in BASES)


def test_every_file_that_a_document_names_is_there() -> None:
    files = named(r"^((?:tests|docs|templates|opencode_litellm)/[\w./-]*)$")
    files += named(r"(?<![\w/.*~-])([\w./-]*\w\.(?:py|j2|toml|cfg|yaml|in|txt))(?![\w/])")
    assert [pair for pair in files if not exists(pair[1])] == []


def test_every_target_of_make_that_a_document_names_is_there() -> None:
    targets = set(re.findall(r"(?m)^([a-z-]+):", (tools.PROJECT / "Makefile").read_text()))
    mentions = named(r"^make ([a-z-]+(?: [a-z-]+)*)")
    assert mentions
    assert [pair for pair in mentions if not set(pair[1].split()) <= targets] == []


def options(command: click.Command) -> set[str]:
    """Return the options of a command as they are typed."""
    return {option for parameter in command.params for option in parameter.opts} | {"--help"}


def test_every_command_that_a_document_names_is_there_with_its_options() -> None:
    unknown = []
    for document, line in named(r"(?:^|[(\"$/ ])(opencode-litellm [^#|)>]*)"):
        _, name, *words = re.split(r"[\s\[\]|\"']+", line.partition(" -- ")[0])
        if name in ("", "COMMAND", "--version"):
            continue
        given = {word for word in words if word.startswith("--") and word != "--"}
        if name not in COMMANDS or not given <= options(COMMANDS[name]):
            unknown.append((document, line))
    assert unknown == []


def test_every_option_without_a_program_is_one_of_ours() -> None:
    ours = {option for command in (cli.opencode_litellm, *COMMANDS.values()) for option in options(command)}
    assert [pair for pair in named(r"^(--[a-z-]+)") if pair[1] not in ours | FOREIGN_OPTIONS] == []


def test_every_variable_of_ours_that_a_document_names_is_read_or_written() -> None:
    unknown = [pair for pair in named(r"(?<!\w)(OPENCODE_LITELLM_\w+)") if pair[1] not in our_variables()]
    assert unknown == []


@cache
def our_variables() -> frozenset[str]:
    """Return the names of all our variables; some are only the beginning of a name."""
    flags = {f"OPENCODE_LITELLM_{parameter.name}".upper() for parameter in COMMANDS["refresh"].params}
    written = set(re.findall(r"\"(OPENCODE_LITELLM_[A-Z_]+)\"", sources()))
    return frozenset({*flags, *written, *variables.USER_NO_PROXY.values()})


def test_every_name_in_a_module_that_a_document_names_is_there() -> None:
    # Constants, classes and calls: `options.headers` is a word of somebody else's.
    mentions = named(r"^([a-z]+\.(?:[A-Z_]\w+|\w+(?=\(\))))")
    unknown = []
    for document, name in mentions:
        module, _, attribute = name.partition(".")
        if module in MODULES:
            dotted = ".".join(MODULES[module].relative_to(tools.PROJECT).with_suffix("").parts)
            if not hasattr(importlib.import_module(dotted), attribute):
                unknown.append((document, name))
    assert unknown == []


def anchors(document: Path) -> set[str]:
    """Return the anchors of a document's headings, as GitHub makes them."""
    headings = re.findall(r"(?m)^#+ (.+)$", document.read_text())
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_links_between_documents_resolve() -> None:
    broken = []
    for document in DOCUMENTS:
        for link in re.findall(r"\]\((?!https?:)([^)]+)\)", document.read_text()):
            path, _, anchor = link.partition("#")
            target = document.parent / path if path else document
            if not target.exists() or (anchor and anchor not in anchors(target)):
                broken.append((document.name, link))
    assert broken == []


def test_every_page_has_one_title_and_begins_with_it() -> None:
    for document in DOCUMENTS:
        text = re.sub(r"(?m)^ {4}.*", "", document.read_text())  # a block may have comments of a shell
        assert (text.startswith("# "), re.findall(r"(?m)^# ", text)) == (True, ["# "]), document.name


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached, waiting = set(), [README]
    while waiting:
        page = waiting.pop()
        if page not in reached and page.suffix == ".md":
            reached.add(page)
            links = re.findall(r"\]\((?!https?:)([^)#]+)[^)]*\)", page.read_text())
            waiting += [(page.parent / link).resolve() for link in links]
    assert set(DOCUMENTS) <= reached


@pytest.mark.parametrize("name", ["session", "picker"])
def test_a_picture_is_of_our_session_and_fetches_nothing(name: str) -> None:
    picture = ElementTree.parse(DOCS / f"{name}.svg")  # noqa: S314 - our own file
    text = " ".join(" ".join(picture.getroot().itertext()).replace("\xa0", " ").split())
    expected = {"session": "opencode-litellm models", "picker": "Select model"}
    assert expected[name] in text
    assert "Claude Sonnet 4.5" in text
    assert "http" not in (DOCS / f"{name}.svg").read_text().replace("http://www.w3.org/2000/svg", "")


def rows(page: str) -> set[str]:
    """Return the names, between backticks, that begin a row of a table in a page."""
    cells = re.findall(r"(?m)^\|([^|]+)\|", (DOCS / page).read_text())
    return {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}


def test_the_page_of_options_has_all_of_a_section_and_of_the_command_line() -> None:
    flags = {option for option in options(COMMANDS["refresh"]) if option != "--help"}
    assert (OUR_OPTIONS | flags) - rows("options.md") == set()


def test_the_page_of_options_has_every_environment_variable() -> None:
    shape = re.compile(r"[A-Z]{2,}(_[A-Z]+)+_?|[a-z]+_proxy|[A-Z]+DIR|HOME|PWD|PATH|PATHEXT|TERM|PAGER|LESS|LV|LANG")
    texts_in_code = {
        node.value
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    read = {text for text in texts_in_code if shape.fullmatch(text)} | our_variables()
    documented = {name.rstrip("…") for name in re.findall(r"`([^`]+)`", (DOCS / "options.md").read_text())}
    assert sorted(read - documented - NOT_VARIABLES) == []


def test_the_page_of_templates_has_every_template_variable_and_filter() -> None:
    emission = ast.parse((PACKAGE / "shells/emission.py").read_text())
    names = {keyword.arg for node in ast.walk(emission) if isinstance(node, ast.Call) for keyword in node.keywords
             if isinstance(node.func, ast.Name) and node.func.id == "_emitted"}  # fmt: skip
    from jinja2.defaults import DEFAULT_FILTERS

    ours = {"word", *rendering.engine(rendering.shipped).filters} - set(DEFAULT_FILTERS)
    assert rows("templates.md") == names | ours | {f"{name}.j2" for name in FORMATS}


def test_the_example_of_a_template_works(tmp_path: Path) -> None:
    (example,) = re.findall(r"(?m)(?:^ {4}.*\n)+", (DOCS / "templates.md").read_text())
    template = tmp_path / "opencode-litellm/templates/bash.j2"
    template.parent.mkdir(parents=True)
    template.write_text(re.sub(r"(?m)^ {4}", "", example))
    changes = {"ONE": "it's {$x}", "OTHER": None}
    own, without = ({"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(folder)} for folder in (tmp_path, tmp_path / "none"))
    snippet = shells_emission.snippet("bash", "oc", own)
    assert snippet == 'function oc {\n  echo "opencode, with LiteLLM" >&2\n  command opencode-with-litellm "$@"\n}\n'
    assert shells_emission.assignments("bash", changes, own) == shells_emission.assignments("bash", changes, without)


def test_every_shell_has_its_line_in_the_readme_or_on_the_page_of_shells() -> None:
    lines = {line.strip() for page in (README, DOCS / "shells.md") for line in page.read_text().splitlines()}
    assert [name for name, startup in STARTUPS.items() if startup.line not in lines] == []


def test_the_page_of_options_has_every_exit_status() -> None:
    failures = {value.exit_status for value in vars(errors).values() if isinstance(value, type(errors.Failure))
                and issubclass(value, errors.Failure)}  # fmt: skip
    section = (DOCS / "options.md").read_text().partition("## Exit statuses")[2].partition("\n## ")[0]
    assert set(map(int, re.findall(r"(?m)^\| (\d+) \|", section))) == failures | {0, cli.DIFFERENT, cli.NO_MATCH}


def test_the_readme_has_every_command() -> None:
    table = README.read_text().partition("\n## Commands\n")[2].partition("\n## ")[0]
    first_words = {piece.split()[0] for piece in re.findall(r"`([^`]+)`", table)}
    assert set(COMMANDS) - first_words == set()


def test_the_comparison_has_the_figures_of_the_benchmarks() -> None:
    (row,) = re.findall(r"(?m)^\| `opencode models`, warm.*$", (DOCS / "comparison.md").read_text())
    measured = re.findall(
        r"(?m)^\| (?:ours, warm|plugin 1\.2\.0, warm|`lite opencode`) \|.*\| (\d\.\d\d) \|$",
        (DOCS / "benchmarks.md").read_text(),
    )
    assert re.findall(r"\d\.\d\d(?= )", row) == measured[:3]


def test_every_configuration_in_the_docs_can_be_parsed() -> None:
    blocks = {
        (document.name, re.sub(r"(?m)^ {4}", "", block))
        for document in DOCUMENTS
        for block in re.findall(r"(?m)^ {4}\{\n(?: {4}.*\n)+", document.read_text())
        if "…" not in block
    }
    assert len(blocks) > 3
    broken = []
    for document, block in blocks:
        try:
            jsonc.parse(block)
        except jsonc.JsoncError as error:
            broken.append((document, error.line, error.reason))
    assert broken == []


def headings(page: str) -> list[str]:
    """Return the headings of the second level."""
    return re.findall(r"(?m)^## (.+)$", (DOCS / page).read_text())


def test_the_page_of_json_has_every_rule_that_hides_a_model() -> None:
    assert {rule.value for rule in Rule} - rows("json.md") == set()


def test_troubleshooting_has_a_section_for_every_check_of_doctor() -> None:
    names = {text for call in calls(PACKAGE / "doctor.py", {"Check", "_failed", "_skipped"}) for text in call.first}
    # Some have the provider's name behind them, and three of these get theirs in a loop.
    told = {name.removesuffix(" {}") for name in names} | {"proxy", "key", "models"}
    assert sorted(told - set(headings("troubleshooting.md"))) == []


def test_troubleshooting_has_every_message_of_doctor() -> None:
    page = (DOCS / "troubleshooting.md").read_text()
    found = [call for call in calls(PACKAGE / "doctor.py", {"Check"}) if call.status in ("WARNING", "FAILED")]
    messages = {text for call in found for text in call.third}
    for path in [*PACKAGE.rglob("*.py")]:
        messages |= {text for call in calls(path, FAILURES) for text in call.first}
    fragments = set(map(longest, messages))
    assert len(fragments) > 40
    assert sorted(fragment for fragment in fragments if fragment not in page) == []


def test_troubleshooting_has_every_warning_of_the_settings() -> None:
    page = (DOCS / "troubleshooting.md").read_text()
    for path in (PACKAGE / "settings").glob("*.py"):
        warnings = [text for call in calls(path, {"warning"}) for text in call.second]
        failures = [text for call in calls(path, {"UsageFailure"}) for text in call.first]
        missing = [text for text in map(longest, warnings + failures) if text not in page]
        assert missing == [], path.name


def longest(message: str) -> str:
    """Return the longest part of a message that is always the same."""
    return max(message.split("{}"), key=len).strip(" ,:;()")


class Call(NamedTuple):
    """A call with texts as arguments: what may stand for each, with ``{}`` for what is put in; ``status`` is a name."""

    first: list[str]
    second: list[str]
    third: list[str]
    status: str


def calls(path: Path, functions: Collection[str]) -> Iterator[Call]:
    """Yield the calls of functions and methods in a module."""
    for scope in ast.walk(ast.parse(path.read_text())):
        if isinstance(scope, ast.FunctionDef):
            for node in ast.walk(scope):
                if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in functions:
                    first, second, third = [*node.args, None, None, None][:3]
                    status = second.id if isinstance(second, ast.Name) else ""
                    yield Call(*(texts(argument, scope) for argument in (first, second, third)), status)


def texts(node: ast.AST | None, scope: ast.FunctionDef) -> list[str]:
    """Return the texts that an expression can be, as far as they are written down in its function."""
    if isinstance(node, ast.Constant):
        return [node.value] if isinstance(node.value, str) else []
    if isinstance(node, ast.JoinedStr):
        return ["".join(part.value if isinstance(part, ast.Constant) else "{}" for part in node.values)]
    if isinstance(node, ast.IfExp):
        return texts(node.body, scope) + texts(node.orelse, scope)
    if isinstance(node, ast.Name):
        assigned = [each for each in ast.walk(scope) if isinstance(each, ast.Assign)]
        values = [each.value for each in assigned if any(ast.unparse(name) == node.id for name in each.targets)]
        return [text for value in values for text in texts(value, scope)]
    return []


def test_the_manual_page_is_up_to_date() -> None:
    written = {path.name: path.read_text() for path in manual.FOLDER.iterdir()}
    assert written == manual.pages(), "run `make man`, or tests/manual.py with your Python"


def test_the_changelog_begins_with_the_version_that_is_here() -> None:
    assert re.findall(r"(?m)^## (\S+)", (tools.PROJECT / "CHANGELOG.md").read_text())[0] == __version__


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


@pytest.mark.needs("git")
def test_nothing_but_continuous_integration_looks_beside_the_project() -> None:
    listed = subprocess.run(
        ["git", "grep", "-lE", r"\.\./shared|shared/", "--", ".", ":!.ci/run", ":!tests/test_docs.py"],
        cwd=tools.PROJECT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert listed.stdout.split() == []
