"""The user's configuration means the same with our delivery and without, in every layer.

Random trees of layers, read by the real opencode before and after.
"""

from __future__ import annotations

import json
import os
import random
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from world.config_endpoint import ConfigEndpoint
from world.draws import draws
from world.handover import ENV, EXEC, handed_over

if TYPE_CHECKING:
    from collections.abc import Callable

    from world.opencode import Opencode
    from world.stub import StubProxy

LAYERS = (
    ".config/opencode/config.json",
    ".config/opencode/opencode.json",
    ".config/opencode/opencode.jsonc",
    "custom.json",
    "opencode.json",
    "repo/opencode.jsonc",
    "repo/sub/opencode.json",
    "repo/.opencode/opencode.json",
    "repo/sub/.opencode/opencode.jsonc",
    ".opencode/opencode.json",
    "dir/opencode.json",
    "managed/opencode.json",
)
SERVED = ("gpt-4o", "o3", "claude", "deepseek", "team/gpt-5")
PROVIDERS = ("litellm", "litellm-responses", "litellm-b", "gateway", "anthropic")


def tree(seed: int, url: str) -> tuple[dict[str, str], dict[str, str]]:
    """Return files and variables of a configuration that says something in each of several layers."""
    chance = random.Random(seed)  # noqa: S311 - the same trees every time
    layers = {path: layer(chance, url) for path in LAYERS if chance.random() < 0.6}
    # Each provider has an address of its own: to one that another variable names, its key would not be sent.
    layers[LAYERS[0]] = {"provider": {name: {"options": {"baseURL": f"{url}/v1"}} for name in PROVIDERS[:4]}}
    layers[LAYERS[0]]["provider"]["gateway"]["options"]["litellm"] = True
    files = {path: written(chance, content) for path, content in layers.items()}
    variables = {"FIRST": "first", "SECOND": "2nd value"}
    for name, value in (
        ("OPENCODE_CONFIG", "custom.json" if chance.random() < 0.5 else None),
        ("OPENCODE_CONFIG_DIR", "dir" if chance.random() < 0.5 else None),
        ("OPENCODE_CONFIG_CONTENT", written(chance, inline(chance, url)) if chance.random() < 0.5 else None),
    ):
        if value is not None:
            variables[name] = value
    return files, variables


def written(chance: random.Random, content: dict[str, Any]) -> str:
    text = json.dumps({"$schema": "https://opencode.ai/config.json", **content}, indent=chance.choice((None, 2)))
    if chance.random() < 0.3:
        text = "// mine\n" + text[:-1].rstrip() + ", /* the last */ }"
    return text


def layer(chance: random.Random, url: str) -> dict[str, Any]:
    chosen = chance.sample(PROVIDERS, chance.randint(1, 3))
    content: dict[str, Any] = {"provider": {provider: section(chance, url) for provider in chosen}}
    if chance.random() < 0.3:
        content["model"] = f"{chance.choice(PROVIDERS)}/{chance.choice(SERVED)}"
    if chance.random() < 0.2:
        content["instructions"] = [f"{chance.random()}.md"]
    if chance.random() < 0.2:
        content["agent"] = {"build": {"model": f"litellm/{chance.choice(SERVED)}"}}
    return content


def inline(chance: random.Random, url: str) -> dict[str, Any]:
    """Return the same without literal keys and headers, which `env` would have to print."""
    content = layer(chance, url)
    for said in content["provider"].values():
        for name in ("apiKey", "headers", "customHeaders"):
            said.get("options", {}).pop(name, None)
    return content


def section(chance: random.Random, url: str) -> dict[str, Any]:
    values = ("plain", "{env:FIRST}", "{env:SECOND} and more", "{env:UNSET}", "{file:~/secret}", "\u007b{env:FIRST}")
    options: dict[str, Any] = {
        "baseURL": f"{url}/v1",
        "apiKey": chance.choice((*values, "")),
        "headers": {chance.choice(("X-A", "X-B-Token")): chance.choice(values)},
        "customHeaders": {chance.choice(("X-A", "X-C-Token")): chance.choice(values)},
        "timeout": chance.randint(1, 9),
        "transport": chance.choice(("auto", "responses", "chat")),
        "responsesProvider": chance.choice(("auto", "inline", "sibling")),
        "deep": {"er": [chance.randint(1, 9), {"x": chance.choice(values)}]},
    }
    fields: dict[str, Any] = {
        "name": chance.choice(values),
        "npm": chance.choice(("@ai-sdk/openai", "@ai-sdk/openai-compatible", "@ai-sdk/anthropic")),
        "api": f"{url}/v1",
        "env": ["FIRST"],
        "whitelist": [*SERVED, "mine"],
        "blacklist": ["never"],
        "models": {model: entry(chance) for model in chance.sample((*SERVED, "mine"), 2)},
        "options": {name: value for name, value in options.items() if chance.random() < 0.5},
    }
    return {name: value for name, value in fields.items() if chance.random() < 0.5}


def entry(chance: random.Random) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "name": "mine",
        "tool_call": chance.random() < 0.5,
        "limit": {"context": 1000, "output": 10},
        "cost": {"input": 1, "output": 2},
        "options": {"reasoningEffort": "low"},
        "variants": {"high": {"disabled": True}},
        "provider": {"npm": "@ai-sdk/openai"},
    }
    return {name: value for name, value in fields.items() if chance.random() < 0.5}


def changes(before: Any, after: Any, path: str = "") -> list[str]:
    """Return where ``after`` lacks or changes something of ``before``; what it adds is no change."""
    if isinstance(before, dict) and isinstance(after, dict):
        return [
            change
            for name, value in before.items()
            for change in (changes(value, after[name], f"{path}/{name}") if name in after else [f"{path}/{name}: gone"])
        ]
    return [] if before == after else [f"{path}: {before!r} became {after!r}"]


def as_read(environment: dict[str, str], folder: Path) -> dict[str, Any]:
    """Return what opencode makes of it all, with the keys, which `debug config` shows as asterisks."""
    with ConfigEndpoint(environment) as endpoint:
        read = endpoint.read(folder)
    assert isinstance(read, dict), read
    return read


@pytest.mark.usefixtures("opencode")
@pytest.mark.parametrize("seed", range(draws("HOMES", in_ci=8, by_hand=1)))
def test_nothing_of_the_users_is_changed(seed: int, home: dict[str, str], stub_proxy: Callable[..., StubProxy]) -> None:
    proxy = stub_proxy(SERVED)
    files, variables = tree(seed, proxy.url)
    root = Path(home["HOME"])
    for path, text in {**files, "secret": "of a file\n"}.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    (root / "repo/sub/deeper").mkdir(parents=True, exist_ok=True)
    for name in ("OPENCODE_CONFIG", "OPENCODE_CONFIG_DIR"):
        if name in variables:
            variables[name] = str(root / variables[name])
    environment = {
        **home,
        **variables,
        "OPENCODE_TEST_MANAGED_CONFIG_DIR": str(root / "managed"),
    }
    folder = root / "repo/sub/deeper"
    before = as_read(environment, folder)
    stamps = {path: (root / path).stat().st_mtime_ns for path in files}

    after = as_read(handed_over((EXEC, ENV)[seed % 2], environment, folder), folder)
    del after["$schema"]
    expected = {name: value for name, value in before.items() if name != "$schema"}
    assert changes(expected, after) == []
    # And it was no empty exercise: models of ours are there.
    assert set(SERVED) <= {model for each in after["provider"].values() for model in each.get("models", {})}
    assert {path: (root / path).read_text() for path in files} == files
    assert {path: (root / path).stat().st_mtime_ns for path in files} == stamps


def test_a_file_s_content_is_carried_from_a_folder_whose_name_no_reference_can_hold(
    home: dict[str, str], stub_proxy: Callable[..., StubProxy], opencode: Opencode
) -> None:
    proxy = stub_proxy(SERVED, key="sk-of-a-file")
    folder = Path(home["HOME"]) / "{{cookiecutter.slug}}"
    folder.mkdir()
    (folder / "key").write_text("sk-of-a-file")
    (folder / "team").write_text("blue")
    options = {"baseURL": f"{proxy.url}/v1", "apiKey": "{file:key}", "customHeaders": {"X-Team": "{file:team}"}}
    (folder / "opencode.json").write_text(json.dumps({"$schema": "x", "provider": {"litellm": {"options": options}}}))
    assert set(SERVED) <= set(opencode.models(home, folder, program="opencode-with-litellm"))
    read = as_read(handed_over(EXEC, home, folder), folder)["provider"]["litellm"]["options"]
    assert (read["apiKey"], read["headers"]) == ("sk-of-a-file", {"X-Team": "blue"})
    cache = Path(home["XDG_CACHE_HOME"]) / "opencode-litellm"
    assert not any("blue" in file.read_text() or "sk-of" in file.read_text() for file in cache.iterdir())


def test_a_pipe_is_left_to_opencode_to_read(home: dict[str, str], opencode: Opencode) -> None:
    pipe = Path(home["HOME"]) / "pipe"
    os.mkfifo(pipe)
    text = json.dumps({"$schema": "x", "provider": {"litellm": {"options": {"timeout": 7}}}})
    threading.Thread(target=pipe.write_text, args=[text], daemon=True).start()
    finished = opencode({**home, "OPENCODE_CONFIG": str(pipe)}, "debug", "config", program="opencode-with-litellm")
    assert json.loads(finished.stdout)["provider"] == {"litellm": {"options": {"timeout": 7}}}
    assert finished.stderr.startswith(f"opencode-litellm: {pipe} is a pipe or a device, which only opencode can read: ")
    assert finished.stderr.count("\n") == 1
