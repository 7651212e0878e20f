"""Names keep working: what may name a responses model, where, and under which provider it is then found."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from world.handover import ENV, EXEC, asked, handed_over
from world.home import stand_in, write
from world.opencode import run

from opencode_litellm import jsonc

if TYPE_CHECKING:
    from collections.abc import Mapping

    from world.stub import StubProxy

OLD, NEW = "litellm/gpt-5", "litellm-responses/gpt-5"
GLOBAL, PROJECT, STATE = "global", "project", "state"


pytestmark = pytest.mark.serves("gpt-4o", "gpt-5", "o3", key="sk")


def put(home: Mapping[str, str], project: Path, place: str, name: str, content: object) -> Path:
    """Write a file into a folder of opencode's: JSON, or a text as it is."""
    base = {
        GLOBAL: Path(home["XDG_CONFIG_HOME"], "opencode"),
        PROJECT: project / ".opencode",
        STATE: Path(home["XDG_STATE_HOME"], "opencode"),
    }[place]
    return write(base / name, content)


def found(environment: Mapping[str, str]) -> list[str]:
    """Return the names of the responses models in what opencode is given."""
    text = environment.get("OPENCODE_CONFIG_CONTENT") or Path(environment["OPENCODE_CONFIG"]).read_text()
    providers = jsonc.mapping(jsonc.mapping(jsonc.parse(text))["provider"])
    names = [f"{provider}/{model}" for provider, section in providers.items() for model in section["models"]]
    return sorted(name for name in names if not name.endswith("gpt-4o"))


def remembered(*names: str, group: str = "recent") -> dict[str, Any]:
    models = [dict(zip(("providerID", "modelID"), name.split("/", 1), strict=True)) for name in names]
    return {"recent": [], "favorite": [], "variant": {}, group: models}


O3 = "litellm-responses/o3"
WHO_NAMES_IT = [
    (GLOBAL, "oh-my-opencode.json", {"agents": {"sisyphus": {"model": OLD}}}, [O3, OLD]),
    (PROJECT, "oh-my-opencode.jsonc", f'{{"agents": {{"x": {{"model": "{OLD}",}} // mine\n}}}}', [O3, OLD]),
    (PROJECT, "broken.json", f'{{"model": "{OLD}"', [O3, OLD]),
    (GLOBAL, "opencode.json", {"plugin": [["other", {"model": OLD}]]}, [O3, OLD]),
    (STATE, "model.json", remembered(OLD), [O3, OLD]),
    (STATE, "model.json", remembered(OLD, group="favorite"), [O3, OLD]),
    (STATE, "model.json", {"variant": {OLD: "high"}}, [O3, OLD]),
    (STATE, "model.json", remembered(NEW), [NEW, O3]),
    (STATE, "model.json", remembered(OLD, NEW), [NEW, O3, OLD]),
    (STATE, "model.json", "[nonsense", [NEW, O3]),
    (STATE, "model.json", {"recent": [1, {}, None], "favorite": {}}, [NEW, O3]),
    (GLOBAL, "other.json", {"text": f"use {OLD} for it", "n": "mine-litellm/gpt-5"}, [NEW, O3]),
    (GLOBAL, "large.json", {"model": OLD, "more": "x" * 2**18}, [NEW, O3]),
    (GLOBAL, "notes.txt", OLD, [NEW, O3]),
]


@pytest.mark.parametrize(("place", "name", "content", "expected"), WHO_NAMES_IT)
def test_a_model_is_found_where_something_of_the_users_names_it(
    user: dict[str, str], project: Path, place: str, name: str, content: object, expected: list[str]
) -> None:
    assert found(handed_over(EXEC, user, project)) == [NEW, O3]
    file = put(user, project, place, name, content)
    assert found(handed_over(EXEC, user, project)) == expected, "noticed at once"
    file.unlink()
    assert found(handed_over(EXEC, user, project)) == [NEW, O3]


def test_a_launch_stays_warm_beside_such_files(user: dict[str, str], project: Path, proxy: StubProxy) -> None:
    put(user, project, GLOBAL, "oh-my-opencode.json", {"model": OLD})
    put(user, project, STATE, "model.json", remembered(OLD))
    handed_over(EXEC, user, project)
    before = len(proxy.requests)
    (Path(user["XDG_CONFIG_HOME"], "opencode") / "node_modules").mkdir()
    assert found(handed_over(EXEC, user, project)) == [O3, OLD]
    assert proxy.paths()[before:] == ["/v1/models"]


BOTH = [NEW, O3, OLD, "litellm/o3"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["run", "-c", "go on"], BOTH), (["run", "-c", "--fork", "go on"], BOTH), (["--session", "s", "--fork"], BOTH),
        (["github", "run"], BOTH), (["github", "run", "--event", "x"], BOTH),
        (["run", "--session=ses_1", "go on"], BOTH), (["-s", "ses_1"], BOTH),
        (["serve"], BOTH), (["web"], BOTH), (["acp"], BOTH), (["run", "hi", "--", "-c"], [NEW, O3]),
        (["-m", NEW], [NEW, O3]), ([], [NEW, O3]),
    ],
    ids=" ".join,
)  # fmt: skip
def test_where_nobody_can_know_the_name_both_are_there(
    user: dict[str, str], project: Path, arguments: list[str], expected: list[str]
) -> None:
    stand_in(user, '[ "$1" = --version ] && echo 1.18.33 || exec env -0')
    shown = run(["opencode-with-litellm", *arguments], user, project)
    assert found(dict(line.split("=", 1) for line in shown.stdout.split("\0") if line)) == expected


def test_after_env_both_are_there(user: dict[str, str], project: Path) -> None:
    assert found(handed_over(ENV, user, project)) == BOTH


@pytest.mark.parametrize("arguments", [[], ["--output", "out.json"]], ids=["printed", "written"])
def test_config_output_has_both_names(user: dict[str, str], project: Path, arguments: list[str]) -> None:
    done = run(["opencode-litellm", "config", *arguments], user, project)
    text = done.stdout or (project / "out.json").read_text()
    assert found({"OPENCODE_CONFIG_CONTENT": text}) == BOTH


@pytest.mark.parametrize("responses", ["inline", "sibling"])
def test_an_explicit_responses_provider_wins(user: dict[str, str], project: Path, responses: str) -> None:
    section = {"options": {"responsesProvider": responses}}
    put(user, project, GLOBAL, "opencode.json", {"provider": {"litellm": section}})
    put(user, project, STATE, "model.json", remembered(OLD, NEW))
    expected = {"inline": [OLD, "litellm/o3"], "sibling": [NEW, O3]}[responses]
    assert found(handed_over(EXEC, user, project)) == found(handed_over(ENV, user, project)) == expected


def test_while_the_plugin_is_loaded_there_is_no_sibling_and_a_line(user: dict[str, str], project: Path) -> None:
    file = put(user, project, GLOBAL, "opencode.json", {"plugin": ["opencode-plugin-litellm@1.2.0"]})
    said = asked(EXEC, user, project)
    assert said.stderr.splitlines() == [
        "opencode-litellm: opencode-plugin-litellm is loaded too, and would add every model again to a separate"
        f" provider for /v1/responses, so there is no such provider: remove it from plugin in {file}"
    ]
    assert found(handed_over(EXEC, user, project)) == [OLD, "litellm/o3"]
