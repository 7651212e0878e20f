"""Which model answers if nobody chose one, and that no other provider does if the user wants only ours."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from world.handover import ENV, EXEC, applied, asked, handed_over
from world.home import configure, configure_whole, write
from world.opencode import run

from opencode_litellm import jsonc
from opencode_litellm.opencode.delivery import MARKER

if TYPE_CHECKING:
    from collections.abc import Mapping

    from world.stub import StubProxy

MODELS = ["claude-haiku-4-5", "claude-sonnet-4-5", "gpt-4o", "gpt-4o-mini", "gpt-5"]
OURS = ["litellm", "litellm-responses"]
IN_LITTLE_ROOM = 'ulimit -s 512; exec opencode-litellm exec -- sh -c "exec env -0" "$1"'
NO_ROOM = "opencode-litellm: the models do not fit into the environment, so opencode starts without them"
NO_OTHER = "opencode-litellm: no other provider is used, because the option 'only' is on"
DEFAULT, SMALL, ONLY = (f"OPENCODE_LITELLM_{name}" for name in ("DEFAULT_MODEL", "SMALL_MODEL", "ONLY"))


pytestmark = pytest.mark.serves(*MODELS, key="sk-right")


def delivered(environment: Mapping[str, str]) -> dict[str, Any]:
    """Return what opencode is given in its environment: a file, and inline content above it."""
    file = environment.get("OPENCODE_CONFIG")
    lower = jsonc.parse(Path(file).read_text()) if file and Path(file).exists() else {}
    upper = jsonc.parse(environment.get("OPENCODE_CONFIG_CONTENT") or "{}")
    assert isinstance(lower, dict)
    assert isinstance(upper, dict)
    return jsonc.merged(lower, upper)


def settings_of(environment: Mapping[str, str]) -> dict[str, Any]:
    return {name: value for name, value in delivered(environment).items() if name not in ("$schema", "provider")}


class TestTheModelOfAFreshSession:
    @pytest.mark.parametrize("how", [EXEC, ENV])
    @pytest.mark.parametrize(
        ("model", "small", "expected"),
        [
            ("claude-sonnet-4-5", ["none*", "*-mini", "gpt*"], {
                "model": "litellm/claude-sonnet-4-5", "small_model": "litellm/gpt-4o-mini",
            }),
            (["gpt-5"], "litellm/claude-haiku-4-5", {
                "model": {EXEC: "litellm-responses/gpt-5", ENV: "litellm/gpt-5"},
                "small_model": "litellm/claude-haiku-4-5",
            }),
        ],
    )  # fmt: skip
    def test_is_the_first_that_is_there_of_what_the_options_list(
        self, user: dict[str, str], project: Path, how: str, model: Any, small: Any, expected: dict[str, Any]
    ) -> None:
        configure(user, model=model, smallModel=small)
        wanted = {name: value[how] if isinstance(value, dict) else value for name, value in expected.items()}
        assert settings_of(handed_over(how, user, project)) == wanted
        if how == EXEC:
            assert settings_of(handed_over(how, user, project)) == wanted, "warm"

    def test_is_that_of_the_variables_before_that_of_the_options(self, user: dict[str, str], project: Path) -> None:
        configure(user, model="gpt-4o")
        assert settings_of(handed_over(EXEC, user, project)) == {"model": "litellm/gpt-4o"}
        user |= {DEFAULT: "absent, claude-*", SMALL: "gpt-4o-mini"}
        expected = {"model": "litellm/claude-haiku-4-5", "small_model": "litellm/gpt-4o-mini"}
        assert settings_of(handed_over(EXEC, user, project)) == expected

    @pytest.mark.parametrize("layer", ["global", "custom", "project", "inline"])
    def test_is_the_users_own_wherever_they_set_one(self, user: dict[str, str], project: Path, layer: str) -> None:
        own = {"model": "anthropic/claude", "small_model": "litellm/gpt-4o"}
        if layer == "global":
            configure_whole(user, **own)
        elif layer == "custom":
            write(Path(user["HOME"], "custom.json"), own)
            user["OPENCODE_CONFIG"] = str(Path(user["HOME"], "custom.json"))
        elif layer == "project":
            write(project / "opencode.json", own)
        else:
            user["OPENCODE_CONFIG_CONTENT"] = json.dumps(own)
        user |= {DEFAULT: "gpt-4o", SMALL: "gpt-4o-mini"}
        expected = own if layer in ("custom", "inline") else {}
        assert settings_of(handed_over(EXEC, user, project)) == expected

    def test_of_another_project_is_its_own_also_after_env(self, user: dict[str, str], project: Path) -> None:
        user |= {DEFAULT: "gpt-4o"}
        after = handed_over(ENV, user, project)
        assert "model" not in jsonc.mapping(jsonc.parse(after["OPENCODE_CONFIG_CONTENT"]))
        below = jsonc.mapping(jsonc.parse(Path(after["OPENCODE_CONFIG"]).read_text()))
        assert below["model"] == "litellm/gpt-4o"
        undone = run(["opencode-litellm", "env", "json", "--unset"], after, project)
        assert applied(after, undone.stdout) == user

    def test_comes_along_where_a_file_of_ours_may_be_missing(self, user: dict[str, str], project: Path) -> None:
        dotenv = run(["opencode-litellm", "env", "dotenv"], {**user, DEFAULT: "gpt-4o"}, project).stdout
        assert "OPENCODE_CONFIG=" not in dotenv
        assert '"model":"litellm/gpt-4o"' in dotenv
        printed = run(["opencode-litellm", "config"], {**user, DEFAULT: "gpt-4o"}, project).stdout
        assert json.loads(printed)["model"] == "litellm/gpt-4o"

    def test_costs_a_line_with_the_nearest_ids_when_it_is_not_there(self, user: dict[str, str], project: Path) -> None:
        configure(user, model="gpt-40", smallModel=["nothing-like-it-zzzz"])
        said = asked(EXEC, user, project)
        assert said.stderr.splitlines() == [
            "opencode-litellm: options.model of provider litellm matches no available model (gpt-40): the closest ids"
            " are gpt-4o, gpt-5, gpt-4o-mini",
            "opencode-litellm: options.smallModel of provider litellm matches no available model"
            " (nothing-like-it-zzzz): run opencode-litellm models to see the ids",
        ]
        assert settings_of(handed_over(EXEC, user, project)) == {}

    def test_is_none_that_a_blacklist_of_the_users_hides(self, user: dict[str, str], project: Path) -> None:
        section = {"options": {"model": "gpt-*"}, "blacklist": ["gpt-4o"], "models": {"gpt-4x-of-mine": {}}}
        configure_whole(user, provider={"litellm": section})
        assert settings_of(handed_over(EXEC, user, project)) == {"model": "litellm/gpt-4o-mini"}


ASKED_FOR = {"option": ({"only": True}, {}), "variable": ({}, {ONLY: "1"})}
TROUBLES = ["down", "refused", "unreadable", "beyond us", "faulty"]


class TestNoProviderButOurs:
    @pytest.mark.parametrize("how", [EXEC, ENV])
    @pytest.mark.parametrize("by", ASKED_FOR)
    @pytest.mark.parametrize("delivery", ["auto", "file", "inline"])
    def test_is_enabled_in_every_delivery(
        self, user: dict[str, str], project: Path, how: str, by: str, delivery: str
    ) -> None:
        stated, variables = ASKED_FOR[by]
        configure(user, **stated)
        user |= variables | {"OPENCODE_LITELLM_DELIVERY": delivery}
        after = handed_over(how, user, project)
        assert settings_of(after) == {"enabled_providers": OURS}
        # A project of another project cannot let anybody else in.
        content = jsonc.mapping(jsonc.parse(after["OPENCODE_CONFIG_CONTENT"]))
        assert content["enabled_providers"] == OURS
        # If a file has the models, and this project was read, the addresses are there as well.
        above = {"baseURL": f"{user['OPENCODE_LITELLM_URL']}/v1", "apiKey": "{env:LITELLM_API_KEY}"}
        beside = content["provider"].get("litellm")
        assert (beside and beside["options"]) == (None if how == EXEC and delivery != "inline" else above)
        assert sorted(delivered(after)["provider"]["litellm"]["models"])[0] == "claude-haiku-4-5"
        assert settings_of(handed_over(how, user, project)) == {"enabled_providers": OURS}, "warm"
        undone = run(["opencode-litellm", "env", "json", "--unset"], after, project)
        assert applied(after, undone.stdout) == user

    def test_is_all_that_env_prints_where_there_are_no_models(
        self, user: dict[str, str], project: Path, proxy: StubProxy
    ) -> None:
        proxy.close()
        printed = json.loads(run(["opencode-litellm", "env", "json"], {**user, ONLY: "1"}, project).stdout)
        assert printed.keys() == {"OPENCODE_CONFIG_CONTENT"}

    def test_is_printed_by_config(self, user: dict[str, str], project: Path) -> None:
        printed = run(["opencode-litellm", "config"], {**user, ONLY: "1"}, project)
        assert json.loads(printed.stdout)["enabled_providers"] == OURS

    def test_is_left_where_the_variable_says_no(self, user: dict[str, str], project: Path) -> None:
        configure(user, only=True)
        assert settings_of(handed_over(EXEC, {**user, ONLY: "0"}, project)) == {}

    @pytest.mark.parametrize("how", [EXEC, ENV])
    @pytest.mark.parametrize("layer", ["global", "project", "inline"])
    def test_is_what_the_users_own_lists_leave_of_it(
        self, user: dict[str, str], project: Path, layer: str, how: str
    ) -> None:
        own = {"enabled_providers": ["anthropic", "litellm"], "disabled_providers": ["xai"]}
        if layer == "global":
            configure_whole(user, **own)
        elif layer == "project":
            write(project / "opencode.json", own)
        else:
            user["OPENCODE_CONFIG_CONTENT"] = json.dumps(own)
        expected = {"enabled_providers": ["litellm"], "disabled_providers": ["anthropic", "xai"]}
        assert settings_of(handed_over(how, {**user, ONLY: "1"}, project)) == expected

    @pytest.mark.parametrize("how", [EXEC, ENV])
    @pytest.mark.parametrize("by", ASKED_FOR)
    @pytest.mark.parametrize("trouble", TROUBLES)
    def test_holds_also_when_there_are_no_models(
        self, user: dict[str, str], project: Path, proxy: StubProxy, by: str, trouble: str, how: str
    ) -> None:
        stated, variables = ASKED_FOR[by]
        configure(user, **stated)
        user |= variables
        if trouble == "down":
            proxy.close()
        elif trouble == "refused":
            user["LITELLM_API_KEY"] = "sk-wrong"
        elif trouble == "faulty":
            user["OPENCODE_LITELLM_TIMEOUT"] = "soon"
        else:
            text = '{"x": 1e999}' if trouble == "beyond us" else "{nonsense"
            (project / "opencode.json").write_text(text)
        said = asked(how, user, project)
        assert "Traceback" not in said.stderr
        assert len(said.stderr.splitlines()) == (2 if how == EXEC else 1), said.stderr
        if how == EXEC:
            assert said.status == 0
            after = dict(line.split("=", 1) for line in said.stdout.split("\0") if line)
        else:
            assert said.status in (2, 3, 4, 6)
            after = applied(user, said.stdout)
        assert delivered(after) == {"$schema": delivered(after)["$schema"], "enabled_providers": OURS}
        undone = run(["opencode-litellm", "env", "json", "--unset"], after, project)
        assert applied(after, undone.stdout) == user

    @pytest.mark.skipif(sys.platform != "linux", reason="how much room there is depends on the stack on Linux alone")
    @pytest.mark.parametrize("by", ASKED_FOR)
    def test_holds_where_the_models_do_not_fit_into_the_environment(
        self, user: dict[str, str], project: Path, proxy: StubProxy, by: str
    ) -> None:
        stated, variables = ASKED_FOR[by]
        configure(user, **stated)
        user |= {**variables, "OPENCODE_LITELLM_DELIVERY": "inline"}
        proxy.serve([f"gpt-4o-{number}" for number in range(400)])  # some 60 kB
        for _ in ("cold", "warm"):
            said = run(["sh", "-c", IN_LITTLE_ROOM, "sh", "x" * 90_000], user, project)
            assert (said.status, said.stderr.splitlines()) == (0, [NO_ROOM, NO_OTHER])
            after = dict(line.split("=", 1) for line in said.stdout.split("\0") if line)
            assert delivered(after) == {"$schema": delivered(after)["$schema"], "enabled_providers": OURS}

    @pytest.mark.skipif(sys.platform != "linux", reason="the limit for one string is Linux's")
    def test_is_told_where_not_even_that_fits(self, user: dict[str, str], project: Path) -> None:
        content = json.dumps({"instructions": ["x" * 131_000]})
        said = asked(EXEC, {**user, ONLY: "1", "OPENCODE_CONFIG_CONTENT": content}, project)
        assert said.status == 0
        assert said.stderr.splitlines()[-1] == (
            "opencode-litellm: the environment has no room for anything of ours, so opencode may use all its providers,"
            " whatever the option 'only' says: make the environment or the arguments shorter"
        )
        assert f"OPENCODE_CONFIG_CONTENT={content}" in said.stdout.split("\0")

    @pytest.mark.parametrize("how", ["of the long way", "of the short way", "of the limits too", "at the very start"])
    @pytest.mark.parametrize("by", ASKED_FOR)
    def test_holds_after_a_fault_of_ours(self, user: dict[str, str], project: Path, by: str, how: str) -> None:
        module, ids = {
            "of the long way": ("discovery", OURS),
            "of the short way": ("launch.record", []),
            "of the limits too": ("settings.sections", []),
            "at the very start": ("errors", []),
        }[how]
        stated, variables = ASKED_FOR[by]
        configure(user, **stated)
        place = Path(user["HOME"], "broken")
        place.mkdir()
        (place / "sitecustomize.py").write_text(f"import sys; sys.modules['opencode_litellm.{module}'] = None\n")
        said = asked(EXEC, {**user, **variables, "PYTHONPATH": str(place)}, project)
        assert said.status == 0, said
        assert "Traceback" not in said.stderr
        assert said.stderr.startswith("opencode-litellm: "), said.stderr
        after = dict(line.split("=", 1) for line in said.stdout.split("\0") if line)
        assert settings_of(after) == {"enabled_providers": ids}

    def test_holds_for_content_of_the_users_that_stays(self, user: dict[str, str], project: Path) -> None:
        content = '{"enabled_providers": ["anthropic", "litellm"], "theme": "{env:THEME}"}'
        user |= {"OPENCODE_CONFIG_CONTENT": content, "LITELLM_API_KEY": "sk-wrong", ONLY: "1"}
        after = handed_over(EXEC, user, project)
        assert settings_of(after) == {
            "enabled_providers": ["litellm"], "disabled_providers": ["anthropic"], "theme": "{env:THEME}",
        }  # fmt: skip
        assert after["OPENCODE_LITELLM_USER_CONTENT"] == content

    def test_holds_over_what_an_earlier_env_left(self, user: dict[str, str], project: Path, proxy: StubProxy) -> None:
        earlier = handed_over(ENV, user, project)
        proxy.close()
        after = handed_over(EXEC, {**earlier, ONLY: "1", "OPENCODE_LITELLM_URL": "http://127.0.0.1:1"}, project)
        assert delivered(after) == delivered(earlier) | {"enabled_providers": OURS}

    def test_is_nothing_that_others_get_when_their_proxy_is_down(self, user: dict[str, str], project: Path) -> None:
        configure_whole(user, mcp={"x": {"type": "local", "command": ["x"], "only": True}})
        down = {**user, "OPENCODE_LITELLM_URL": "http://127.0.0.1:1"}
        assert settings_of(handed_over(EXEC, down, project)) == {}
        assert run(["opencode-litellm", "env", "json"], down, project).stdout == ""

    def test_keeps_the_models_of_a_file_that_config_wrote(
        self, user: dict[str, str], project: Path, proxy: StubProxy
    ) -> None:
        write_file = ["opencode-litellm", "config", "--output", "out.json"]
        assert run(write_file, user, project).status == 0
        before = json.loads((project / "out.json").read_text())
        proxy.close()
        assert run(write_file, {**user, ONLY: "1"}, project).status == 3
        assert json.loads((project / "out.json").read_text()) == before | {"enabled_providers": OURS}

    @pytest.mark.parametrize("left", [0, 1 / 2, 0.99])
    def test_config_writes_the_limit_also_into_an_output_that_was_cut_short(
        self, user: dict[str, str], project: Path, proxy: StubProxy, left: float
    ) -> None:
        write_file, file = ["opencode-litellm", "config", "--output", "out.json"], project / "out.json"
        assert run(write_file, user, project).status == 0
        whole = file.read_text()
        file.write_text(whole[: int(left * len(whole))])
        proxy.close()
        assert run(write_file, {**user, ONLY: "1"}, project).status == 3
        assert json.loads(file.read_text()) == {"$schema": MARKER, "enabled_providers": OURS}
