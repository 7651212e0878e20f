"""The user's configuration is found, resolved and merged as opencode does it."""

from __future__ import annotations

import json
import os
import random
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from world import tools
from world.config_endpoint import ConfigEndpoint, Refused
from world.draws import draws
from world.home import LASTING_OPENCODE, make_home, write
from world.plugin_library import spare_install

from opencode_litellm import jsonc, variables
from opencode_litellm.errors import ConfigurationUnreadable
from opencode_litellm.opencode import configuration, delivery, layers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from world.opencode import Opencode

GLOBAL = ".config/opencode/opencode.json"
PROJECT = "work/opencode.json"
FOLDERS = ("repo/.opencode/", "repo/sub/.opencode/", "work/.opencode/", ".opencode/", "dir/", "managed/")


def text(**options: Any) -> str:
    """Return a configuration whose one provider has these options; without `$schema`, opencode would rewrite it."""
    return json.dumps({"$schema": "x", "provider": {"litellm": {"options": options}}})


def lay_out(folder: Path, files: dict[str, str]) -> None:
    for name, content in files.items():
        write(folder / name, content)


def options(merged: dict[str, Any]) -> Any:
    return merged.get("provider", {}).get("litellm", {}).get("options", {})


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Return a home's environment, without the managed configuration of this machine."""
    home = make_home(tmp_path / "home")
    return {**home, "OPENCODE_TEST_MANAGED_CONFIG_DIR": str(tmp_path / "home" / "managed")}


# What opencode reads below a home with a folder `work`, which is no repository. "@" is the home.
Scene = tuple[dict[str, str], dict[str, str]]
READ_ALIKE: dict[str, Scene] = {
    "nothing at all": ({}, {}),
    "three global files, later ones over earlier ones": (
        {
            ".config/opencode/config.json": text(a=1, b=1, c=1),
            GLOBAL: text(a=2, b=2),
            GLOBAL + "c": text(a=3),
        },
        {},
    ),
    "every layer at once": (
        {
            GLOBAL: text(g=1, x=1),
            "custom.json": text(c=1, x=2),
            "opencode.json": text(above=1, x=3),
            PROJECT + "c": text(p=1, x=4),
            PROJECT: text(p=0, y=4),
            "work/.opencode/opencode.jsonc": text(d=1, x=5, y=5),
            ".opencode/opencode.json": text(h=1, x=6),
            "dir/opencode.json": text(dir=1, x=7),
            "managed/opencode.jsonc": text(m=1, x=9),
        },
        {
            "OPENCODE_CONFIG": "@/custom.json",
            "OPENCODE_CONFIG_DIR": "@/dir",
            "OPENCODE_CONFIG_CONTENT": text(i=1, x=8),
        },
    ),
    "project configuration switched off": (
        {PROJECT: text(p=1), "work/.opencode/opencode.json": text(d=1), ".opencode/opencode.json": text(h=1)},
        {"OPENCODE_DISABLE_PROJECT_CONFIG": "TRUE"},
    ),
    "project configuration not switched off by another word": (
        {PROJECT: text(p=1)},
        {"OPENCODE_DISABLE_PROJECT_CONFIG": "yes"},
    ),
    "objects merge, all else is replaced": (
        {
            GLOBAL: text(a=[1, 2], b={"x": 1}, c=1, d={"x": {"y": 1}}, e={"z": 1}),
            PROJECT: text(a=[3], b=None, c={"z": 1}, d={"x": {"z": 2}}, e={}),
        },
        {},
    ),
    "files relative to the working directory": (
        {"work/sub/c.json": text(key="{file:k}"), "work/sub/k": "custom", "work/dir/opencode.json": text(d=1)},
        {"OPENCODE_CONFIG": "sub/c.json", "OPENCODE_CONFIG_DIR": "dir"},
    ),
    "the global folder named again": (
        {GLOBAL: text(a="g"), PROJECT: text(a="w"), ".opencode/opencode.json": text(b=1)},
        {"OPENCODE_CONFIG_DIR": "@/.config/opencode"},
    ),
    "a .opencode folder named again keeps its place": (
        {"work/.opencode/opencode.json": text(a="w"), ".opencode/opencode.json": text(a="h")},
        {"OPENCODE_CONFIG_DIR": "@/work/.opencode"},
    ),
    "empty variables": (
        {GLOBAL: text(a="g"), ".opencode/opencode.json": text(b=1)},
        {
            "OPENCODE_CONFIG": "",
            "OPENCODE_CONFIG_DIR": "",
            "OPENCODE_CONFIG_CONTENT": "",
            "OPENCODE_TEST_HOME": "",
            "XDG_CONFIG_HOME": "",
        },
    ),
    "a configuration home relative to the working directory": (
        {"work/x/opencode/opencode.json": text(a="x")},
        {"XDG_CONFIG_HOME": "x"},
    ),
    "an absent custom file": ({PROJECT: text(a=1)}, {"OPENCODE_CONFIG": "@/absent.json"}),
    "a variable inside a path": ({GLOBAL: text(a="{file:{env:V}/k}"), "k": "kk"}, {"V": "@"}),
    "a variable whose value names a file": (
        {GLOBAL: text(a="{env:V}"), ".config/opencode/k": "kk"},
        {"V": "{file:k}"},
    ),
    "a variable whose value ends the string": ({GLOBAL: text(a="{env:V}")}, {"V": 'x","b":"y'}),
    "a file for inline content": ({"work/k": "kk"}, {"OPENCODE_CONFIG_CONTENT": text(a="{file:k}")}),
    "the empty device": ({PROJECT: text(a="{file:/dev/null}")}, {"OPENCODE_CONFIG": "/dev/null"}),
    "a file in the home folder": ({PROJECT: text(a="{file:~/k}"), "k": "kk"}, {}),
}
REFUSED_ALIKE: dict[str, Scene] = {
    "a broken global file": ({GLOBAL: "{"}, {}),
    "a folder in a file's place": ({GLOBAL + "/x": ""}, {}),
    "a file in a folder's place": ({"work/.opencode": "x"}, {}),
    "a byte-order mark in inline content": ({}, {"OPENCODE_CONFIG_CONTENT": "\ufeff" + text(a=1)}),
    "a variable whose value breaks the JSON": ({GLOBAL: text(a="{env:V}")}, {"V": 'a"b'}),
}


@pytest.mark.drawn(4)
@pytest.mark.parametrize("scene", READ_ALIKE.values(), ids=READ_ALIKE)
def test_a_home_is_read_as_opencode_reads_it(opencode: Opencode, environment: dict[str, str], scene: Scene) -> None:
    folder = _prepared(environment, scene)
    ours = configuration.read(environment, str(folder))
    assert options(ours.resolved) == options(opencode.debug_config(environment, folder))


@pytest.mark.drawn(1)
@pytest.mark.parametrize("scene", REFUSED_ALIKE.values(), ids=REFUSED_ALIKE)
def test_a_fatal_configuration_is_refused(opencode: Opencode, environment: dict[str, str], scene: Scene) -> None:
    folder = _prepared(environment, scene)
    with pytest.raises(ConfigurationUnreadable):
        configuration.read(environment, str(folder))
    assert opencode(environment, "debug", "config", folder=folder).status != 0


def _prepared(environment: dict[str, str], scene: Scene) -> Path:
    home = Path(environment["HOME"])
    files, variables = scene
    lay_out(home, files)
    environment.update({name: value.replace("@", str(home)) for name, value in variables.items()})
    folder = home / "work"
    folder.mkdir(exist_ok=True)
    return folder


# What opencode makes of one file of a project, and of its neighbour `key`.
PROJECT_TEXTS = {
    "byte-order mark": ("\ufeff" + text(a=1), "", True),
    "two byte-order marks": ("\ufeff\ufeff" + text(a=1), "", False),
    "bad UTF-8": (text(a="X").replace("X", "\udcff\udcc3\udce2\udc82z"), "", True),
    "only white space": (" \n", "", False),
    "empty": ("", "", True),
    "no object": ("[]", "", False),
    "trimmed file": (text(a="{file:key}"), '\ufeff\u2003\x1c\x85 v"\\\n\x01é \u3000\n', True),
    "bad UTF-8 in a file": (text(a="{file:key}"), "\udcff k", True),
    "empty file": (text(a="{file:key}"), "", True),
    "missing file": (text(a="{file:absent}"), "", False),
    "missing file after //": ("// {file:absent}\n" + text(a=1), "", True),
    "missing file after something and //": (text(a=1) + " // {file:absent}", "", False),
    "missing file in a block comment": (text(a=1) + "/* {file:absent} */", "", False),
    "folder": (text(a="{file:.}"), "", False),
    "nothing named": (text(a="{file:} {env:}"), "", True),
    "escaped": (text(a="{file:key}{env:HOME}").replace("{f", r"\u007bf").replace("{e", r"\u007be"), "k", True),
    "unset": (text(a="<{env:SURELY_UNSET}>"), "", True),
    "outside of strings": (text(a=1).replace("1", "{file:key}"), "12", True),
    "name of a field": (text(**{"{file:key}": 1}), "named", True),
    "home without a slash": (text(a="{file:~}"), "", False),
    "broken inside": (text(a=1).replace("1", "1 2"), "", False),
}


@pytest.fixture(scope="module")
def endpoint(opencode: Opencode, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConfigEndpoint]:
    assert opencode
    home = make_home(tmp_path_factory.mktemp("configuration") / "home")
    with ConfigEndpoint({**home, **LASTING_OPENCODE, **VARIABLES}) as running:
        yield running


@pytest.mark.parametrize(("content", "key", "accepted"), PROJECT_TEXTS.values(), ids=PROJECT_TEXTS)
def test_a_text_is_resolved_as_opencode_resolves_it(
    endpoint: ConfigEndpoint, tmp_path: Path, content: str, key: str, accepted: bool
) -> None:
    lay_out(tmp_path, {"opencode.json": content, "key": key})
    theirs = endpoint.read(tmp_path)
    assert isinstance(theirs, Refused) is not accepted
    environment = {"HOME": str(endpoint.home)}
    if isinstance(theirs, Refused):
        with pytest.raises(ConfigurationUnreadable):
            configuration.read(environment, str(tmp_path))
    else:
        assert options(configuration.read(environment, str(tmp_path)).resolved) == options(theirs)


# Where the search for project files ends: folders with a configuration, and what makes a repository.
REPOSITORIES = {
    "no repository": "",
    "a repository": "git init -q outer",
    "a repository below": "git init -q outer/inner",
    "an empty .git folder": "mkdir outer/inner/.git",
    "an empty .git folder within a repository": "git init -q outer; mkdir outer/inner/.git",
    "a .git file of nonsense within a repository": "git init -q outer; echo nonsense > outer/inner/.git",
    "a submodule": "git init -q outer; git init -q other; echo 'gitdir: ../../other/.git' > outer/inner/.git",
    "a linked worktree": (
        "git init -q other && cd other && git -c user.name=a -c user.email=b commit -q --allow-empty -m x && "
        "mv ../outer/inner ../kept && git worktree add -q ../outer/inner && cp -r ../kept/. ../outer/inner"
    ),
}


@pytest.mark.parametrize("repository", REPOSITORIES.values(), ids=REPOSITORIES)
def test_project_files_count_from_the_git_root_down(endpoint: ConfigEndpoint, tmp_path: Path, repository: str) -> None:
    _assert_alike_within(endpoint, tmp_path, repository)


def _assert_alike_within(endpoint: ConfigEndpoint, tmp_path: Path, repository: str) -> None:
    """Make a repository around files of four folders, and compare what counts in the deepest one."""
    tools.program("git")
    folders = [tmp_path, *(tmp_path / name for name in ("outer", "outer/inner", "outer/inner/work"))]
    for number, folder in enumerate(folders):
        for name in (f"{folder}/opencode.json", f"{folder}/.opencode/opencode.json"):
            lay_out(folder, {name: text(**{f"{number}{'.opencode' in name}": 1, "last": f"{number}"})})
    subprocess.run(["/bin/sh", "-ec", repository], cwd=tmp_path, check=True, capture_output=True)
    theirs = endpoint.read(folders[-1])
    assert not isinstance(theirs, Refused)
    ours = configuration.read({"HOME": str(endpoint.home)}, str(folders[-1]))
    assert options(ours.resolved) == options(theirs)
    assert len(options(theirs)) in (3, 5, 7, 9)


REFUSED_REPOSITORIES = {
    "of another user's": "git init -q outer && chown 65534 outer",
    "with another user's .git": "git init -q outer && chown -R 65534 outer/.git",
    "below one's own": "git init -q outer && git init -q outer/inner && chown 65534 outer/inner",
    "that the user trusts": (
        "git init -q outer && chown 65534 outer && git config --global --add safe.directory $PWD/outer"
    ),
}


@pytest.mark.parametrize("repository", REFUSED_REPOSITORIES.values(), ids=REFUSED_REPOSITORIES)
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give folders away")
def test_a_repository_that_git_refuses_is_none(endpoint: ConfigEndpoint, tmp_path: Path, repository: str) -> None:
    _assert_alike_within(endpoint, tmp_path, f"export HOME={endpoint.home}; {repository}")


GIT_ENVIRONMENTS = {
    "no git to ask": {"PATH": "@/bin"},
    "a hook's": {"GIT_DIR": ".git"},
    "another repository": {"GIT_DIR": "@/absent"},
    "a working tree elsewhere": {"GIT_WORK_TREE": "@"},
}


@pytest.mark.drawn(1)
@pytest.mark.parametrize("variables", GIT_ENVIRONMENTS.values(), ids=GIT_ENVIRONMENTS)
def test_variables_of_git_have_their_say(
    opencode: Opencode, environment: dict[str, str], variables: dict[str, str]
) -> None:
    home = Path(environment["HOME"])
    names = ("opencode.json", "repo/opencode.json", "repo/sub/opencode.json")
    lay_out(home, {name: text(**{name: 1}) for name in names})
    subprocess.run(["/usr/bin/env", "git", "init", "-q", home / "repo"], check=True)
    environment |= {name: value.replace("@", str(home)) for name, value in variables.items()}
    ours = configuration.read(environment, str(home / "repo" / "sub"))
    assert options(ours.resolved) == options(opencode.debug_config(environment, home / "repo" / "sub"))


ODD_FOLDERS = {
    "{{cookiecutter.slug}}": jsonc.Bound,
    "a{b": jsonc.Bound,
    "a}b": jsonc.Bound,
    "{env:HOME": jsonc.Bound,
    "a\nb": jsonc.Bound,
    '"é" \\n // ': jsonc.Live,
}


@pytest.mark.parametrize("name", ODD_FOLDERS)
def test_a_reference_from_a_folder_with_an_odd_name_means_the_same_elsewhere(
    endpoint: ConfigEndpoint, tmp_path: Path, name: str
) -> None:
    content = text(a="{file:key}", b="{file:key} {env:ENV}", c="{file:~/key}")
    lay_out(tmp_path / name, {"opencode.json": content, "key": "kk"})
    lay_out(endpoint.home, {"key": KEY})
    environment = {"HOME": str(endpoint.home), **VARIABLES}
    written = configuration.read(environment, str(tmp_path / name)).written
    kinds = {option: type(value) for option, value in options(written).items()}
    assert kinds == {"a": ODD_FOLDERS[name], "b": ODD_FOLDERS[name], "c": jsonc.Live}

    (tmp_path / "elsewhere").mkdir()
    lay_out(tmp_path / "elsewhere", {"opencode.json": jsonc.dump({"$schema": "x", **written})})
    here, there = (endpoint.read(tmp_path / folder) for folder in (name, "elsewhere"))
    assert not isinstance(here, Refused)
    assert not isinstance(there, Refused)
    assert options(here) == options(there)


def test_a_reference_from_a_folder_whose_name_is_no_utf_8_is_none(tmp_path: Path) -> None:
    lay_out(tmp_path / "\udcff", {"opencode.json": text(a="{file:key}"), "key": "kk"})
    written = configuration.read({"HOME": str(tmp_path)}, str(tmp_path / "\udcff")).written
    assert options(written) == {"a": "kk"}
    assert type(options(written)["a"]) is jsonc.Bound


BEYOND_PYTHON = {
    "an infinite number": "1e999",
    "a number of thousands of digits": "9" * 5000,
    "a list in six hundred others": "[" * 600 + '"{env:ENV}"' + "]" * 600,
}


@pytest.mark.parametrize("value", BEYOND_PYTHON.values(), ids=BEYOND_PYTHON)
def test_values_that_only_opencode_can_read_are_reported_as_our_limit(
    endpoint: ConfigEndpoint, tmp_path: Path, value: str
) -> None:
    lay_out(tmp_path, {"opencode.json": text(a="VALUE").replace('"VALUE"', value)})
    assert not isinstance(endpoint.read(tmp_path), Refused)
    with pytest.raises(ConfigurationUnreadable) as caught:
        configuration.read({"HOME": str(endpoint.home), **VARIABLES}, str(tmp_path))
    assert caught.value.remedy == "write it differently; opencode can read it, but opencode-litellm cannot"


VARIABLES = {"ENV": "from-environment", "NUMBER": "7"}
KEY = 'of-"home"\n'
PLACES = [
    *(f".config/opencode/{name}" for name in ("config.json", "opencode.json", "opencode.jsonc")),
    *(f"{folder}{name}" for folder in ("repo/", "repo/sub/", *FOLDERS) for name in ("opencode.json", "opencode.jsonc")),
    "custom.json",
    "OPENCODE_CONFIG_CONTENT",
]


@pytest.mark.parametrize("seed", range(draws("HOMES", in_ci=10, by_hand=1)))
def test_random_layers_merge_as_in_opencode(
    opencode: Opencode, endpoint: ConfigEndpoint, environment: dict[str, str], tmp_path: Path, seed: int
) -> None:
    draw = random.Random(seed)  # noqa: S311 - not for secrets
    home = Path(environment["HOME"])
    (home / "repo" / "sub").mkdir(parents=True)
    (home / "repo" / ".git").mkdir()
    (home / "repo" / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
    for name in ("objects", "refs"):
        (home / "repo" / ".git" / name).mkdir()
    environment |= VARIABLES
    lay_out(home, {"key": KEY, "repo/key": "of-repo", "repo/sub/key": "of-sub"})
    for place in draw.sample(PLACES, draw.randrange(3, len(PLACES))):
        content = _drawn_configuration(draw, place)
        if place == "OPENCODE_CONFIG_CONTENT":
            environment[place] = content
        else:
            lay_out(home, {place: content})
    for name in (".config/opencode", *FOLDERS):
        spare_install(home / name)
    if draw.random() < 0.7:
        environment["OPENCODE_CONFIG"] = str(home / "custom.json")
    if draw.random() < 0.7:
        environment["OPENCODE_CONFIG_DIR"] = str(home / "dir")
    if draw.random() < 0.2:
        environment["OPENCODE_DISABLE_PROJECT_CONFIG"] = "1"
    folder = home / "repo" / "sub"
    theirs = opencode.debug_config(environment, folder)
    ours = configuration.read(environment, str(folder))
    assert ours.resolved.get("provider") == theirs.get("provider")
    assert ours.resolved.get("model") == theirs.get("model")
    assert ours.resolved.get("enabled_providers") == theirs.get("enabled_providers")
    assert ours.resolved.get("instructions") == theirs.get("instructions")

    # What was written means the same again, in another folder and with nothing else there.
    lay_out(endpoint.home, {"key": KEY})
    (tmp_path / "elsewhere").mkdir()
    lay_out(tmp_path / "elsewhere", {"opencode.json": jsonc.dump({"$schema": "x", **ours.written})})
    again = endpoint.read(tmp_path / "elsewhere")
    assert not isinstance(again, Refused)
    assert again.get("provider") == theirs.get("provider")


def _drawn_configuration(draw: random.Random, place: str) -> str:
    """Draw a configuration with comments, tokens and nested options under two providers."""
    values = [
        *('"{env:ENV}"', '"a {env:UNSET} b"', "{env:NUMBER}", '"{file:~/key}"', r'"\u007benv:ENV}"'),
        *("1", "null", "[1, 2,]", f'"{place}"', '"// {env:ENV}"', '"it\'s"'),
    ]
    if place.startswith("repo/"):
        values.append('"{file:../key}"')

    def drawn(depth: int) -> str:
        if depth == 0 or draw.random() < 0.3:
            return draw.choice(values)
        fields = [f'"{name}": {drawn(depth - 1)}' for name in draw.sample("abcd", draw.randrange(1, 4))]
        return "{" + draw.choice([", ", ", // next\n", ", /* {env:ENV} */"]).join(fields) + draw.choice(["", ","]) + "}"

    fields = ['"$schema": "x"']
    providers = draw.sample(["litellm", "litellm-two", "{env:ENV}"], draw.randrange(1, 3))
    sections = [f'"{name}": {{"options": {{"drawn": {drawn(3)}, "key": {drawn(1)}}}}}' for name in providers]
    fields.append('"provider": {' + ",\n".join(sections) + "}")
    for field in draw.sample(
        ['"model": "litellm/{env:ENV}"', f'"enabled_providers": ["{place}"]', f'"instructions": ["same", "{place}"]'],
        draw.randrange(3),
    ):
        fields.insert(draw.randrange(len(fields) + 1), field)
    return "// {file:absent}\n{" + ",\n".join(fields) + ",\n}"


def test_each_reading_of_one_home(environment: dict[str, str]) -> None:
    home = Path(environment["HOME"])
    environment |= {"TOKEN": "sk-1", "T": "300", "OPENCODE_CONFIG": str(home / "custom.json")}
    lay_out(
        home,
        {
            GLOBAL: '{"provider": {"litellm": {"options": {"apiKey": "{env:TOKEN}", "timeout": {env:T}}}}}',
            "custom.json": '{"provider": {"litellm": {"options": {"dead": "\\u007benv:TOKEN}"}}}, // {env:C}\n}',
            PROJECT: '{"provider": {"litellm": {"options": {"header": "a {file:../secret} b"}}}}',
            "secret": "s3cret\n",
        },
    )
    found = configuration.read(environment, str(home / "work"))
    assert options(found.resolved) == {
        "apiKey": "sk-1",
        "timeout": 300,
        "dead": "{env:TOKEN}",
        "header": "a s3cret b",
    }
    assert options(found.written) == {
        "apiKey": "{env:TOKEN}",
        "timeout": 300,
        "dead": "{env:TOKEN}",
        "header": f"a {{file:{home}/secret}} b",
    }
    live = [name for name, value in options(found.written).items() if isinstance(value, jsonc.Live)]
    assert live == ["apiKey", "header"]
    assert options(found.upper) == {"header": "a s3cret b"}
    assert [(kind, path) for kind, path, _ in found.layers] == [
        ("global", str(home / GLOBAL)),
        ("custom", str(home / "custom.json")),
        ("project", str(home / PROJECT)),
    ]
    assert found.environment_names == {"TOKEN", "T", "C"}
    assert found.referenced_files == {str(home / "secret")}


def test_without_the_project_only_what_is_the_users_own_counts(environment: dict[str, str]) -> None:
    home = Path(environment["HOME"])
    lay_out(
        home,
        {
            GLOBAL: text(g=1),
            PROJECT: text(p=1),
            "work/.opencode/opencode.json": text(d=1),
            ".opencode/opencode.json": text(h=1),
        },
    )
    environment["OPENCODE_CONFIG_CONTENT"] = text(i=1)
    found = configuration.read(environment, str(home / "work"), project=False)
    assert options(found.resolved) == {"g": 1, "h": 1, "i": 1}


def test_our_own_deliveries_are_not_the_users(environment: dict[str, str]) -> None:
    home = Path(environment["HOME"])
    ours = jsonc.dump({"$schema": delivery.MARKER, "provider": {"litellm": {"options": {"ours": 1}}}})
    lay_out(home, {GLOBAL: ours, "handed-over.json": ours, PROJECT: text(users=1)})
    environment |= {
        "OPENCODE_CONFIG": str(home / "handed-over.json"),
        "OPENCODE_CONFIG_CONTENT": ours,
        "OPENCODE_LITELLM_USER_CONTENT": text(inline="{env:HOME}"),
    }
    found = configuration.read(environment, str(home / "work"))
    assert options(found.written) == {"users": 1, "inline": "{env:HOME}"}
    environment["OPENCODE_CONFIG_CONTENT"] = text(changed_since=1)
    found = configuration.read(environment, str(home / "work"))
    assert options(found.written) == {"users": 1, "changed_since": 1}


def test_a_file_that_cannot_be_parsed_is_named_with_line_and_column(environment: dict[str, str]) -> None:
    path = Path(environment["HOME"]) / GLOBAL
    lay_out(path.parent, {path.name: '{\n  "model": litellm\n}'})
    with pytest.raises(ConfigurationUnreadable) as caught:
        configuration.read(environment, environment["HOME"])
    assert str(caught.value) == (
        f"{path}:2:12: Expecting value: correct it; opencode itself does not start until you do"
    )


@pytest.mark.parametrize("variables", [{"OPENCODE_CONFIG": "pipe"}, {"OPENCODE_CONFIG_CONTENT": text(a="{file:pipe}")}])
def test_pipes_and_devices_are_left_to_opencode(environment: dict[str, str], variables: dict[str, str]) -> None:
    home = Path(environment["HOME"])
    os.mkfifo(home / "pipe")  # to open it would take forever
    with pytest.raises(ConfigurationUnreadable) as caught:
        configuration.read({**environment, **variables}, str(home))
    assert str(caught.value) == (
        f"{home}/pipe is a pipe or a device, which only opencode can read: use a regular file to get LiteLLM's models"
    )


def test_an_unreadable_file_counts_as_missing(environment: dict[str, str]) -> None:
    path = Path(environment["HOME"]) / GLOBAL
    lay_out(path.parent, {path.name: text(a=1)})
    path.chmod(0)
    me = os.geteuid()
    if me == 0:
        os.seteuid(65534)  # root may read everything
    try:
        found = configuration.read(environment, environment["HOME"])
    finally:
        os.seteuid(me)
    assert found.resolved == {}


def agent(*front_matter: str) -> str:
    return "\n".join(["---", *front_matter, "---", "Do it.", "model: litellm/not-this"])


MODELS = {
    PROJECT: json.dumps(
        {
            "$schema": "x",
            "model": {"providerID": "litellm", "model": "top", "variant": "high"},
            "small_model": "litellm/small#low",
            "agent": {"a": {"model": "litellm/agent"}},
            "agents": {
                "b": {"model": "litellm/new-agent#high"},
                "c": {"model": {"providerID": "litellm", "model": "a/b"}},
            },
            "mode": {"d": {"model": "litellm/mode"}},
            "command": {"e": {"template": "x", "model": "litellm/command"}},
            "commands": {"f": {"template": "x", "model": "litellm/new-command#low"}},
        }
    ),
    "work/.opencode/agent/plain.md": agent("description: x", "model: litellm/plain"),
    "work/.opencode/agents/deep/er/quoted.md": agent('model: "litellm/quoted" # comment'),
    "work/.opencode/agent/free.md": agent("model:   litellm/tag:free   # comment", "tools:", "  model: true"),
    "work/.opencode/agent/hash.md": agent("model: litellm/kept#whole"),
    "work/.opencode/agent/crlf.md": agent("'model': 'litellm/crlf'").replace("\n", "\r\n"),
    "work/.opencode/agent/no-model.md": agent("description: model"),
    "work/.opencode/agent/no-front-matter.md": "model: litellm/not-this",
    "work/.opencode/mode/m.md": agent("model: litellm/markdown-mode"),
    "work/.opencode/mode/deep/m.md": agent("model: litellm/not-this"),
    ".config/opencode/agents/g.md": agent("model: litellm/global"),
    ".opencode/commands/deep/h.md": agent("model: litellm/home-command"),
    "dir/agent/i.md": agent("model: litellm/directory"),
}


def test_every_model_that_anything_names_is_known(opencode: Opencode, environment: dict[str, str]) -> None:
    home = Path(environment["HOME"])
    lay_out(home, MODELS)
    loop = home / "work/.opencode/agent/loop.md"
    loop.symlink_to(loop)
    environment["OPENCODE_CONFIG_DIR"] = str(home / "dir")
    merged = opencode.debug_config(environment, home / "work")
    named = {merged["model"], merged["small_model"]}
    for group in ("agent", "mode", "command"):
        named |= {entry["model"] for entry in merged[group].values() if "model" in entry}
    found = configuration.read(environment, str(home / "work"))
    # opencode cuts the variant off a small_model only when it asks for it.
    assert found.models_named == {name.removesuffix("#low") for name in named}
    markdown = {str(home / name) for name in MODELS if name.endswith(".md") and name.count("mode/deep") == 0}
    assert found.markdown_files == {*markdown, str(loop)}


def test_folders_of_the_xdg_variables_and_their_defaults() -> None:
    places = (
        layers.config_folder,
        layers.auth_file,
        variables.own_folder,
        variables.cache_folder,
        variables.state_folder,
    )
    assert [place({"HOME": "/h"}) for place in places] == [
        "/h/.config/opencode",
        "/h/.local/share/opencode/auth.json",
        "/h/.config/opencode-litellm",
        "/h/.cache/opencode-litellm",
        "/h/.local/state/opencode-litellm",
    ]
    named = {f"XDG_{name}_HOME": f"/{name}" for name in ("CONFIG", "DATA", "CACHE", "STATE")}
    assert [place({"HOME": "/h", **named}) for place in places] == [
        "/CONFIG/opencode",
        "/DATA/opencode/auth.json",
        "/CONFIG/opencode-litellm",
        "/CACHE/opencode-litellm",
        "/STATE/opencode-litellm",
    ]


def test_absent_files_are_listed_too(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "HEAD").touch()
    git = tmp_path / "bin/git"  # nobody starts it
    git.parent.mkdir()
    git.touch(mode=0o755)
    own = {"OPENCODE_CONFIG": "c.json", "OPENCODE_TEST_MANAGED_CONFIG_DIR": "/m"}
    environment = {"HOME": "/h", "PATH": str(git.parent), **own}
    assert layers.files(environment, str(tmp_path)) == [
        ("global", "/h/.config/opencode/config.json"),
        ("global", "/h/.config/opencode/opencode.json"),
        ("global", "/h/.config/opencode/opencode.jsonc"),
        ("custom", f"{tmp_path}/c.json"),
        ("project", f"{tmp_path}/opencode.json"),
        ("project", f"{tmp_path}/opencode.jsonc"),
        ("dotfolder", f"{tmp_path}/.opencode/opencode.json"),
        ("dotfolder", f"{tmp_path}/.opencode/opencode.jsonc"),
        ("dotfolder", "/h/.opencode/opencode.json"),
        ("dotfolder", "/h/.opencode/opencode.jsonc"),
        ("inline", "OPENCODE_CONFIG_CONTENT"),
        ("managed", "/m/opencode.json"),
        ("managed", "/m/opencode.jsonc"),
    ]
