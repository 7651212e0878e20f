"""Many cases in one start of the real opencode, to see that it sends what `hunt.opencode` says.

The cases are neighbours in one home: each has its own providers, variables and stored keys, which get its number, and
all have the same folders. opencode merges by a provider's id, so they do not meet.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from world.config_endpoint import ConfigEndpoint
from world.home import make_home

from .cases import FOLDERS
from .opencode import Sent, layers, sendings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from world.server import Server

QUESTIONS = 2  # of each case: one costs a quarter of a second
# Where each of `hunt.opencode.layers` stands in the common home; None is inline.
_GLOBAL, _CUSTOM = ".config/opencode/opencode.json", "custom.json"
_ENV = re.compile(r"\{env:([^}]+)\}")
_WAYS = ("HTTP_PROXY", "http_proxy", "NO_PROXY", "no_proxy")


@dataclass(frozen=True)
class Neighbour:
    """A case when opencode starts: its ``sections`` by place, what it has stored, and some of what is ``expected``.

    ``ways`` are the variables of HTTP proxies, which all neighbours share.
    """

    number: int
    sections: Mapping[str, Mapping[str, Any]]
    variables: Mapping[str, str]
    stored: Mapping[str, Any]
    expected: Sequence[tuple[str, Sent]]
    ways: tuple[tuple[str, str], ...]


def neighbour(number: int, environment: Mapping[str, str], folders: Iterable[str]) -> Neighbour:
    """Return a case as it is now, before its home is gone."""
    home = Path(environment["HOME"])
    sections: dict[str, Mapping[str, Any]] = {}
    variables: dict[str, str] = {}
    for folder in FOLDERS:
        for place, text in layers(environment, home / folder):
            providers = json.loads(text).get("provider", {})
            sections[place.replace(str(home / folder), folder)] = _numbered(providers, number)
            names = {*_ENV.findall(text), *(name for said in providers.values() for name in said.get("env", []))}
            variables |= {f"{name}_{number}": environment[name] for name in names if name in environment}
    stored = json.loads(Path(environment["XDG_DATA_HOME"], "opencode", "auth.json").read_text())
    expected = [(folder, sent) for folder in dict.fromkeys(folders) for sent in sendings(environment, home / folder)]
    some = Random(number).sample(expected, min(QUESTIONS, len(expected)))  # noqa: S311
    return Neighbour(
        number,
        sections,
        variables,
        {f"{name}-{number}": key for name, key in stored.items()},
        some,
        tuple((name, environment[name]) for name in _WAYS if name in environment),
    )


def _numbered(providers: Mapping[str, Any], number: int) -> dict[str, Any]:
    """Return provider sections with a number at their ids and at every variable that they name."""
    result = json.loads(_ENV.sub(lambda match: f"{{env:{match[1]}_{number}}}", json.dumps(providers)))
    for said in result.values():
        if "env" in said:
            said["env"] = [f"{name}_{number}" for name in said["env"]]
    return {f"{name}-{number}": said for name, said in result.items()}


def live(neighbours: Sequence[Neighbour], folder: Path, servers: Mapping[str, Server]) -> Iterator[str]:
    """Start opencode once, ask all that is expected, and yield what came otherwise; ``servers`` are by their root."""
    environment = _inhabited(neighbours, folder)
    with ConfigEndpoint(environment) as endpoint:
        for each in neighbours:
            for name, sent in each.expected:
                root = "/".join((sent.via or sent.url).split("/")[:3])
                if root not in servers:
                    continue  # the vendor's, which cannot be watched
                for server in servers.values():
                    server.requests.clear()
                endpoint.prompt(Path(environment["HOME"], name), f"{sent.provider}-{each.number}/{sent.model}", "hi")
                arrived = {at: _values(server) for at, server in servers.items() if server.requests}
                if set(arrived) != {root} or not {*filter(None, sent.values)} <= arrived[root]:
                    yield f"case {each.number} in {name}: {sent} arrived as {arrived}"


def _inhabited(neighbours: Sequence[Neighbour], folder: Path) -> dict[str, str]:
    """Write what all have into one home, and return its environment."""
    environment = make_home(folder) | dict(neighbours[0].ways)
    environment["OPENAI_API_KEY"] = "sk-OPENAI_API_KEY-9f3"
    home = Path(environment["HOME"])
    for name in FOLDERS:
        (home / name).mkdir()
    for place in dict.fromkeys(place for each in neighbours for place in each.sections):
        providers = {name: said for each in neighbours for name, said in each.sections.get(place, {}).items()}
        text = json.dumps({"$schema": "https://opencode.ai/config.json", "provider": providers})
        if place == "inline":
            environment["OPENCODE_CONFIG_CONTENT"] = text
            continue
        file = home / {"global": _GLOBAL, "custom": _CUSTOM}.get(place, place)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        if place == "custom":
            environment["OPENCODE_CONFIG"] = str(file)
    stored = Path(environment["XDG_DATA_HOME"], "opencode", "auth.json")
    stored.parent.mkdir(parents=True, exist_ok=True)
    stored.write_text(json.dumps({name: key for each in neighbours for name, key in each.stored.items()}))
    for each in neighbours:
        environment |= each.variables
    return environment


def _values(server: Server) -> set[str]:
    values = {value for request in server.requests for value in request.headers.values()}
    return values | {value.removeprefix("Bearer ") for value in values}
