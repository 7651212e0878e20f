"""A case as it happens: files, servers, our commands, and opencode, which is either simulated or real."""

from __future__ import annotations

import json
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from world.home import end_processes, make_home
from world.opencode import run
from world.server import Request, Server, send_json
from world.stub import IDENTITY, StubProxy

from . import rights
from .cases import (
    COMPANY,
    DETECTED,
    ENVIRONMENT_KEY,
    FOLDERS,
    INLINE,
    OPENAI,
    PROJECT,
    SERVERS,
    VENDOR,
    Case,
    Step,
    draw,
)
from .opencode import sendings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from http.server import BaseHTTPRequestHandler

DELIVERIES = ("OPENCODE_CONFIG", "OPENCODE_CONFIG_CONTENT")
PORT = 4000
PORTS = (PORT, 8000, 8080)  # where LiteLLM is looked for
STRANGER, NOBODY = "stranger", "nobody"


class Company(Server):
    """A company's HTTP proxy, which knows what goes through it and lets nothing on."""

    def answer_to(self, request: Request, connection: BaseHTTPRequestHandler) -> None:
        """Refuse, in a way that nobody tries again."""
        send_json(connection, {"error": f"{request.path} is not for you"}, status=400)


@dataclass
class Found:
    """What a case came to: who got what, what they should not have, and what else is wrong.

    ``opencode`` is its last start of opencode: the environment, and the folders that it works in.
    """

    got: set[rights.Right] = field(default_factory=set)
    violations: list[str] = field(default_factory=list)
    opencode: tuple[dict[str, str], tuple[str, ...]] = ({}, ())


class World:
    """The servers of all cases, on a loopback of their own."""

    def __init__(self) -> None:
        self._stack = ExitStack()

    def __enter__(self) -> World:
        self.named = {name: self._stack.enter_context(StubProxy(_models(name))) for name in SERVERS}
        self.company = self._stack.enter_context(Company())
        return self

    def __exit__(self, *_: Any) -> None:
        self._stack.close()

    def url(self, name: str) -> str:
        """Return where a server is."""
        return self.named[name].url

    def forget(self) -> None:
        """Begin anew."""
        for server in (*self.named.values(), self.company):
            server.requests.clear()


def _models(name: str) -> list[str]:
    return [f"chat-{name}", f"o3-{name}"]


class Happening:
    """One case in a world."""

    def __init__(self, case: Case, world: World, folder: Path) -> None:
        self.case = case
        self.world = world
        self.found = Found()
        self.home = self._written(folder)
        self._stack = ExitStack()
        self._port: StubProxy | None = None
        self._left: set[str] = set()
        self._rights: set[rights.Right] = set()
        self._was: list[tuple[str, StubProxy]] = []

    def run(self) -> Found:
        """Let it happen from the first step to the last."""
        self.world.forget()
        environment = self.home
        with self._stack:
            if self.case.listening:
                self._listen(self.case.listening)
            for step in self.case.steps:
                environment = self._take(step, environment)
            servers = [*self.world.named.items(), (COMPANY, self.world.company), *self._was]
            for name, server in servers:
                for request in list(server.requests):
                    self._note(name, json.dumps([*request.headers.values(), request.path, request.query]))
        for who, secret in sorted(self.found.got - self._rights):
            self.found.violations.append(f"{who} got {secret}")
        return self.found

    def _take(self, step: Step, environment: dict[str, str]) -> dict[str, str]:
        if step.what in ("end", "replace"):
            if self._port is not None:
                self._port.close()
                self._port = None
            if step.what == "replace":
                self._listen("stranger")
            return environment
        folders = (step.folder, *step.visits)
        if step.what == "plain":
            self._opencode(environment, folders)
            return environment
        flags = ["--delivery", step.delivery, *(["--url", self.world.url(step.url)] if step.url else [])]
        self._rights |= set(rights.of_ours(self.case, step.folder, step.url, identified=self._is_litellm()))
        if step.what == "env":
            finished = self._command(step, environment, "env", "json", *flags)
            if finished.status != 0:
                return environment
            changed = {**environment, **json.loads(finished.stdout)}
            self._look_through(finished.stdout, "standard output of env")
            after = {name: value for name, value in changed.items() if value is not None}
            self._left |= self._addresses(step)
            return after
        finished = self._command(step, environment, "exec", *flags, "--", "/usr/bin/env", "-0")
        if finished.status != 0:
            self.found.violations.append(f"opencode does not start: {finished}")
            return environment
        after = dict(line.split("=", 1) for line in finished.stdout.split("\0") if line)
        self._left |= self._addresses(step)
        self._opencode(after, folders)
        return environment

    def _command(self, step: Step, environment: dict[str, str], *arguments: str) -> Any:
        finished = run(["opencode-litellm", *arguments], environment, self._folder(step.folder))
        self._look_through(finished.stderr, f"standard error of {arguments[0]}")
        if "Traceback" in finished.stderr or "fault of our own" in finished.stderr:
            self.found.violations.append(finished.stderr)
        for path in Path(self.home["XDG_CACHE_HOME"]).rglob("*"):
            if path.is_file():
                self._look_through(path.read_text(errors="replace"), f"the cache, {path.name}")
        return finished

    def _look_through(self, text: str, where: str) -> None:
        for secret in rights.secrets(self.case):
            if secret in text:
                self.found.violations.append(f"{secret} stands in {where}")

    def _opencode(self, environment: dict[str, str], folders: tuple[str, ...]) -> None:
        self.found.opencode = environment, folders
        alone = not any("opencode-litellm" in environment.get(name, "") for name in DELIVERIES)
        for folder in folders:
            self._rights |= set(rights.of_opencode(self.case, folder, alone=alone))
            self._rights |= set(rights.beyond_us(self.case, self._left, folder))
            for sent in sendings(environment, self._folder(folder)):
                self._note(self._name(sent.via or sent.url), json.dumps(sent.values))

    def _name(self, url: str) -> str:
        names = {server.root: name for name, server in (*self.world.named.items(), (COMPANY, self.world.company))}
        root = "/".join(url.split("/")[:3])
        if root == f"http://127.0.0.1:{PORT}":
            return DETECTED if self._is_litellm() else STRANGER if self._port else NOBODY
        return names.get(root, VENDOR)

    def _note(self, who: str, text: str) -> None:
        if who == NOBODY:
            return
        self.found.got |= {(who, secret) for secret in rights.secrets(self.case) if secret in text}

    def _addresses(self, step: Step) -> set[str]:
        """Return where a delivery of ours may have sent providers to."""
        found = {step.url, self.case.named, DETECTED, self.case.outputs.get(step.folder)}
        for provider in (*rights.PROVIDERS, rights.SIBLING):
            said = rights.meaning(self.case, step.folder, provider)
            found.add(said.address if said else None)
        return {name for name in found if name}

    def _is_litellm(self) -> bool:
        return self._port is not None and IDENTITY in self._port.answers

    def _listen(self, who: str) -> None:
        self._port = self._stack.enter_context(StubProxy(_models("detected"), port=PORT))
        self._was.append((DETECTED if who == "litellm" else STRANGER, self._port))
        if who == "stranger":
            del self._port.answers[IDENTITY]

    def _folder(self, name: str) -> Path:
        return Path(self.home["HOME"], name)

    def _written(self, folder: Path) -> dict[str, str]:
        home = make_home(folder)
        base = Path(home["HOME"])
        for name in FOLDERS:
            (base / name).mkdir()
        places = {"global": base / ".config/opencode/opencode.json", "custom": base / "custom.json"}
        for (layer, place), sections in self.case.files.items():
            providers = {name: section.json(self.world.url) for name, section in sections.items()}
            text = json.dumps({"$schema": "https://opencode.ai/config.json", "provider": providers})
            if layer == INLINE:
                home["OPENCODE_CONFIG_CONTENT"] = text
                continue
            inside = "opencode.json" if layer == PROJECT else ".opencode/opencode.json"
            file = places.get(layer, base / place / inside)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
            if layer == "custom":
                home["OPENCODE_CONFIG"] = str(file)
        for section in self.case.sections():
            referred = [kind for kind, how in section.secrets() if how != "literal"]
            home |= {section.variable(kind): section.secret(kind) for kind in referred}
        stored = {name: {"type": "api", "key": rights.stored(name)} for name in self.case.stored}
        (base / ".local/share/opencode").mkdir(parents=True)
        (base / ".local/share/opencode/auth.json").write_text(json.dumps(stored))
        company = f"http://127.0.0.1:{self.world.company.port}"
        home |= {name: value.replace("COMPANY", company) for name, value in self.case.variables.items()}
        if self.case.named:
            home["LITELLM_PROXY_URL"] = self.world.url(self.case.named)
        for name, server in self.case.outputs.items():
            plain = {key: value for key, value in home.items() if key not in ("OPENCODE_CONFIG_CONTENT",)}
            arguments = ["config", "--output", str(base / name / "opencode.json"), "--url", self.world.url(server)]
            run(["opencode-litellm", *arguments], plain, base)
        return home


def hunt(
    world: World, seed: int, numbers: range, ways: Mapping[str, str] | None = None
) -> Iterator[tuple[int, Case, Found]]:
    """Yield each case of a seed by its number, and what came of it; ``ways`` are other variables of HTTP proxies."""
    for number in numbers:
        case = draw(Random(f"{seed} {number}"))  # noqa: S311 - it has to be repeatable, not secret
        if ways is not None:
            kept = {name: value for name, value in case.variables.items() if name in (OPENAI, ENVIRONMENT_KEY)}
            case = replace(case, variables={**kept, **ways})
        with tempfile.TemporaryDirectory() as folder:
            happening = Happening(case, world, Path(folder, "home"))
            yield number, case, happening.run()
            end_processes(happening.home)
