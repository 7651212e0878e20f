"""Every environment format as text and as its readers understand it, and users' own templates."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
from dotenv import dotenv_values
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from test_shells import values
from world import tools
from world.real_shells import CHANGES, WITH_SNIPPET

from opencode_litellm import jsonc
from opencode_litellm.errors import UsageFailure
from opencode_litellm.shells import emission
from opencode_litellm.shells.formats import FORMATS

EXPECTED = {
    **{shell.name: shell.assignments for shell in WITH_SNIPPET},
    "json": '{"OPENCODE_CONFIG_CONTENT":"\\u007b\\u0022it\\u0027s\\u0022:\\u0022a \\u00e9\\u0022}",'
    '"OPENCODE_CONFIG":"/h/a b.json","GONE":null,"EMPTY":""}\n',
    "dotenv": """\
OPENCODE_CONFIG_CONTENT={"it's":"a é"}
OPENCODE_CONFIG=/h/a b.json
GONE=
EMPTY=
""",
    "github": """\
OPENCODE_CONFIG_CONTENT<<end-0
{"it's":"a é"}
end-0
OPENCODE_CONFIG<<end-0
/h/a b.json
end-0
GONE<<end-0

end-0
EMPTY<<end-0

end-0
""",
}


@pytest.mark.parametrize("name", FORMATS)
def test_the_whole_text(name: str, tmp_path: Path) -> None:
    text = emission.assignments(name, CHANGES, {"HOME": str(tmp_path)})
    assert re.sub(r"end-[0-9a-f]{32}", "end-0", text) == EXPECTED[name]


@pytest.mark.long
@given(changes=st.dictionaries(st.from_regex(r"[A-Z_]{1,9}", fullmatch=True), st.none() | values, max_size=5))
def test_json_is_the_changes_themselves(changes: dict[str, str | None]) -> None:
    text = emission.assignments("json", changes, {"HOME": "/nonexistent"})
    assert json.loads(text) == changes
    assert text.isascii()


def dotenv_text(batch: list[str]) -> tuple[str, list[str]]:
    """Return a dotenv file of those of the values that can be written, and these values."""
    written = []
    for value in batch:
        try:
            FORMATS["dotenv"].word(value)
        except UsageFailure:
            continue
        written.append(value)
    changes: dict[str, str | None] = {f"V{at}": value for at, value in enumerate(written)}
    return emission.assignments("dotenv", changes, {"HOME": "/nonexistent"}), written


def read_by_python(text: str, folder: Path) -> dict[str, str | None]:
    (folder / "python.env").write_bytes(text.encode())
    return dict(dotenv_values(folder / "python.env"))


def read_by_node(text: str, folder: Path) -> dict[str, str | None]:
    (folder / "node.env").write_bytes(text.encode())
    script = "for (const n in process.env) if (/^V[0-9]/.test(n)) console.log(JSON.stringify([n, process.env[n]]))"
    command = [tools.program("node"), f"--env-file={folder / 'node.env'}", "-e", script]
    output = subprocess.run(command, env={}, capture_output=True, check=True).stdout
    return dict(json.loads(line) for line in output.splitlines())


def read_by_docker(text: str) -> dict[str, str | None]:
    """Read as ``docker run --env-file`` does: lines of NAME=value, nothing is quoted (docker/cli, opts/file.go)."""
    return dict(line.split("=", 1) for line in text.split("\n")[:-1])


@pytest.mark.needs("node")
@pytest.mark.unix  # node
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(batch=["", " a", "a ", "'a'", '"a"', "`a`", "a #b", "a#b", "#", "$A", "a\nb", "\\n", "\\", "=", "\ufeff"])
@given(batch=st.lists(values, min_size=40, max_size=80))
def test_dotenv_is_read_alike_by_python_and_node(batch: list[str], tmp_path: Path) -> None:
    text, written = dotenv_text(batch)
    expected = {f"V{at}": value for at, value in enumerate(written)}
    assert read_by_python(text, tmp_path) == expected
    assert read_by_node(text, tmp_path) == expected


@pytest.mark.unix  # node
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    batch=st.lists(
        st.dictionaries(values, values | st.floats(allow_nan=False, allow_infinity=False) | st.lists(values)),
        min_size=10,
        max_size=20,
    )
)
def test_a_payload_is_bare_in_dotenv_so_that_docker_reads_it_too(
    batch: list[dict[str, object]], tmp_path: Path
) -> None:
    payloads = [jsonc.dump(value) for value in batch]
    text, written = dotenv_text(payloads)
    assert written == payloads
    expected = {f"V{at}": value for at, value in enumerate(payloads)}
    assert read_by_docker(text) == expected
    assert read_by_python(text, tmp_path) == expected
    assert read_by_node(text, tmp_path) == expected


@pytest.mark.parametrize("value", ["it's\nso", "a\rb", " ${HOME}", "'\\\\'", "\n\\"])
def test_values_that_dotenv_cannot_hold_are_refused(value: str, tmp_path: Path) -> None:
    with pytest.raises(UsageFailure) as caught:
        emission.assignments("dotenv", {"A": value}, {"HOME": str(tmp_path)})
    said = "dotenv cannot hold a value with these quotes, backslashes, line breaks or ${: choose another format"
    assert str(caught.value) == said


def read_by_github(text: str) -> dict[str, str]:
    """Read ``$GITHUB_ENV`` as the Actions runner does (actions/runner, FileCommandManager.cs, EnvFileKeyValuePairs)."""
    variables = {}
    while text:
        heading, text = text.split("\n", 1)
        name, delimiter = heading.split("<<")
        variables[name], text = text.split(f"\n{delimiter}\n", 1)
    return variables


@given(batch=st.lists(values, max_size=20))
def test_github_reads_what_was_written(batch: list[str]) -> None:
    changes: dict[str, str | None] = {f"V{at}": value for at, value in enumerate(batch)}
    assert read_by_github(emission.assignments("github", changes, {"HOME": "/nonexistent"})) == changes


def test_github_s_delimiter_cannot_be_foreseen() -> None:
    texts = {emission.assignments("github", {"A": "1"}, {"HOME": "/nonexistent"}) for _ in range(20)}
    assert len(texts) == 20


def at(home: Path) -> dict[str, str]:
    """Return the environment of a user with this home, on any system."""
    return {"HOME": str(home), "USERPROFILE": str(home)}


def override(home: Path, name: str, text: str | bytes) -> Path:
    """Install a user's own template and return its path."""
    path = home / ".config/opencode-litellm/templates" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


OWN = """\
{// a comment of the template's, and one that is no comment: ${#x} //}
{% if command %}{{ command }} for me
{% else %}{% for name, value in changes.items() %}let {{ name }} be {{ value | word }}, or {{ value | json }}
{% endfor %}{% endif %}
"""


@pytest.mark.parametrize("folder", ["HOME", "XDG_CONFIG_HOME"])
def test_a_template_of_the_user_s_replaces_snippet_and_assignments(folder: str, tmp_path: Path) -> None:
    override(tmp_path, "fish.j2", OWN)
    environment = at(tmp_path)
    if folder == "XDG_CONFIG_HOME":
        environment = {**at(Path("/nonexistent")), folder: str(tmp_path / ".config")}
    assert emission.snippet("fish", "oc", environment) == "oc for me\n"
    assert emission.assignments("fish", {"A": "it's"}, environment) == "let A be 'it\\'s', or \"it\\u0027s\"\n"
    assert emission.assignments("zsh", {"A": "1"}, environment) == "export A='1'\n"


def test_a_template_of_the_user_s_may_hold_what_shells_write(tmp_path: Path) -> None:
    override(tmp_path, "bash.j2", "echo ${#x} {# {{ command }}\n\n")
    assert emission.snippet("bash", "oc", at(tmp_path)) == "echo ${#x} {# oc\n\n"


BROKEN = [
    ("{% if command %}\n{% for %}\n{% endif %}\n", ", line 2: Expected an expression, got 'end of statement block'"),
    ("\n\n{% if command %}\n", ", line 3: Unexpected end of template. Jinja was looking for"),
    ("x\n{{ shell }}\n", ", line 2: 'shell' is undefined"),
    ("x\n{{ command | nothing }}\n", ", line 2: No filter named 'nothing'."),
    ("x\n{{ changes.X.y }}\n", ", line 2: 'dict object' has no attribute 'X'"),
    ("x\n\n{{ 1 / 0 }}\n", ", line 3: division by zero"),
    ("{{ command | word + 1 }}\n", ", line 1: can only concatenate str"),
    ("{{ changes | word }}\n", ", line 1: "),
    ("x\n{% include 'other.j2' %}\n", ", line 2: other.j2"),
    ("x\n{% include 'payload.json.j2' %}\n", ", line 2: "),
    ("{% include 'bash.j2' %}\n", ", line 1: maximum recursion depth exceeded"),
    (b"caf\xe9\n", ": 'utf-8' codec can't decode byte 0xe9"),
]


@pytest.mark.parametrize(("text", "said"), BROKEN)
def test_the_built_in_template_takes_the_place_of_a_broken_one(text: str | bytes, said: str, tmp_path: Path) -> None:
    complaints: list[UsageFailure] = []
    path = override(tmp_path, "bash.j2", text)
    plain = at(Path("/nonexistent"))
    own = at(tmp_path)
    assert emission.snippet("bash", "oc", own, complaints.append) == emission.snippet("bash", "oc", plain)
    assert str(complaints[0]).startswith(f"{path}{said}")


@pytest.mark.parametrize(("text", "said"), BROKEN)
def test_a_broken_template_of_the_user_s_is_named_with_its_line(text: str | bytes, said: str, tmp_path: Path) -> None:
    path = override(tmp_path, "bash.j2", text)
    with pytest.raises(UsageFailure) as caught:
        emission.snippet("bash", "oc", at(tmp_path))
    assert str(caught.value).startswith(f"{path}{said}")
    assert str(caught.value).endswith(": correct or delete this template: until then, the built-in one is used")


def test_a_folder_in_place_of_a_template_is_named(tmp_path: Path) -> None:
    path = override(tmp_path, "bash.j2", "")
    path.unlink()
    path.mkdir()
    with pytest.raises(UsageFailure, match=r"Is a directory|Permission denied"):
        emission.snippet("bash", "oc", at(tmp_path))


def test_a_value_that_cannot_be_written_is_no_fault_of_the_user_s_template(tmp_path: Path) -> None:
    override(tmp_path, "dotenv.j2", "{{ changes.A | word }}\n")
    with pytest.raises(UsageFailure, match=r"^dotenv cannot hold a value"):
        emission.assignments("dotenv", {"A": "\r"}, at(tmp_path))
