"""A case: what somebody wrote into which file, what listens where, and what they do."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from random import Random

SERVERS = ("a", "b", "c")
FOLDERS = ("one", "two", "nothing")
# From the lowest to the highest; the third is a folder's own.
GLOBAL, CUSTOM, PROJECT, DOTFOLDER, INLINE = LAYERS = ("global", "custom", "project", "dotfolder", "inline")
PROVIDERS = ("litellm", "litellm-corp")
SIBLING = "litellm-responses"
OPENAI = "OPENAI_API_KEY"
ENVIRONMENT_KEY = "LITELLM_API_KEY"
STORED = "stored"
COMPANY = "company"  # an HTTP proxy
VENDOR = "vendor"  # where @ai-sdk/openai goes without an address
DETECTED = "detected"  # whoever listens on the port 4000


@dataclass(frozen=True)
class Section:
    """A provider in one file. ``place`` makes its secrets unlike those of any other.

    ``address`` is a server's name, ``api`` that it stands there and not in ``baseURL``; ``key`` is None, ``literal``,
    ``reference`` or ``env``; ``custom`` and ``headers`` are None, ``literal`` or ``reference``.
    """

    place: str
    address: str | None = None
    api: bool = False
    key: str | None = None
    custom: str | None = None
    headers: str | None = None
    responses: bool = False

    def secrets(self) -> Iterator[tuple[str, str]]:
        """Yield what each secret is and how it is given."""
        for kind, how in (("key", self.key), ("custom", self.custom), ("headers", self.headers)):
            if how:
                yield kind, how

    def secret(self, kind: str) -> str:
        """Return a secret's text, which is its name at the same time."""
        return f"sk-{kind}-{self.place}-9f3"

    def variable(self, kind: str) -> str:
        """Return the name of the variable that holds it, where it is not literal."""
        return f"{kind}_{self.place}".replace("-", "_").upper()

    def json(self, url: Callable[[str], str]) -> dict[str, Any]:
        """Return what stands in the file."""
        def value(kind: str, how: str) -> str:
            return self.secret(kind) if how == "literal" else f"{{env:{self.variable(kind)}}}"

        options: dict[str, Any] = {}
        said: dict[str, Any] = {"options": options}
        if self.address:
            (said if self.api else options)["api" if self.api else "baseURL"] = f"{url(self.address)}/v1"
        if self.key == "env":
            said["env"] = [self.variable("key")]
        elif self.key:
            options["apiKey"] = value("key", self.key)
        if self.custom:
            options["customHeaders"] = {f"X-Custom-{self.place}": value("custom", self.custom)}
        if self.headers:
            options["headers"] = {f"X-Own-{self.place}": value("headers", self.headers)}
        if self.responses:
            said["npm"] = "@ai-sdk/openai"
            said["models"] = {"o3-mine": {}}
        return said


@dataclass(frozen=True)
class Step:
    """Something that happens: ``env``, ``launch``, ``plain`` opencode, or what becomes of the port 4000.

    ``folder`` is where, ``visits`` the other folders that opencode works in before it ends.
    """

    what: str
    folder: str = "one"
    visits: tuple[str, ...] = ()
    url: str | None = None
    delivery: str = "auto"


@dataclass(frozen=True)
class Case:
    """``files`` maps (layer, folder or empty) to sections; ``outputs`` folders to the server of an older ``config``."""

    files: Mapping[tuple[str, str], Mapping[str, Section]]
    steps: tuple[Step, ...]
    outputs: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    stored: tuple[str, ...] = ()
    named: str | None = None  # LITELLM_PROXY_URL
    listening: str = ""  # on port 4000 at first: nobody, litellm or stranger

    def layers(self, folder: str) -> list[tuple[str, Mapping[str, Section]]]:
        """Return the layers that count in a folder, the lowest first."""
        places = [(layer, folder if layer in (PROJECT, DOTFOLDER) else "") for layer in LAYERS]
        return [(place[0], self.files[place]) for place in places if place in self.files]

    def sections(self) -> Iterator[Section]:
        """Yield every section."""
        for sections in self.files.values():
            yield from sections.values()


def draw(random: Random) -> Case:
    """Return a case."""
    files = {}
    for layer in LAYERS:
        for folder in FOLDERS[:2] if layer in (PROJECT, DOTFOLDER) else ("",):
            often = {GLOBAL: 0.8, CUSTOM: 0.15, PROJECT: 0.6, DOTFOLDER: 0.1, INLINE: 0.15}[layer]
            if random.random() < often:
                files[layer, folder] = _sections(random, layer, folder)
    outputs = {folder: random.choice(SERVERS) for folder in FOLDERS[:2] if random.random() < 0.08}
    for folder in outputs:
        files.pop((PROJECT, folder), None)
    return Case(
        files=files,
        steps=tuple(_steps(random)),
        outputs=outputs,
        variables=_variables(random),
        stored=tuple(name for name in (*PROVIDERS, SIBLING) if random.random() < 0.2),
        named=random.choice(SERVERS) if random.random() < 0.2 else None,
        listening=random.choice(("", "litellm", "litellm", "stranger")),
    )


def _sections(random: Random, layer: str, folder: str) -> dict[str, Section]:
    often = {PROVIDERS[0]: 0.9, PROVIDERS[1]: 0.2, SIBLING: 0.2}
    return {
        name: Section(
            place="-".join(filter(None, (layer, folder, name))),
            address=random.choice((None, *SERVERS)),
            api=random.random() < 0.15,
            key=random.choice((None, None, "literal", "reference", "env")),
            custom=random.choice((None, None, "literal", "reference")),
            headers=random.choice((None, None, None, None, "literal", "reference")),
            responses=name == SIBLING and random.random() < 0.6,
        )
        for name in often
        if random.random() < often[name]
    }


def _variables(random: Random) -> dict[str, str]:
    """Return variables beside those of the sections; COMPANY stands for the URL of an HTTP proxy."""
    chosen = {OPENAI: f"sk-{OPENAI}-9f3"}
    if random.random() < 0.5:
        chosen[ENVIRONMENT_KEY] = f"sk-{ENVIRONMENT_KEY}-9f3"
    if random.random() < 0.3:
        chosen[random.choice(("HTTP_PROXY", "http_proxy", "ALL_PROXY"))] = "COMPANY"
        if random.random() < 0.5:
            chosen[random.choice(("NO_PROXY", "no_proxy"))] = random.choice(("localhost", "corp.example", "::1", ""))
    return chosen


def _steps(random: Random) -> Iterator[Step]:
    url = random.choice(SERVERS) if random.random() < 0.2 else None
    delivery = random.choice(("auto", "auto", "auto", "file", "inline"))
    if random.random() < 0.6:
        yield Step("env", random.choice(FOLDERS), url=url, delivery=delivery)
        if random.random() < 0.3:
            yield Step("plain", random.choice(FOLDERS), visits=_some(random))
    if random.random() < 0.4:
        yield Step(random.choice(("end", "replace")))
    for _ in range(random.choice((1, 1, 2))):
        again = url if random.random() < 0.5 else None
        yield Step("launch", random.choice(FOLDERS), visits=_some(random), url=again, delivery=delivery)


def _some(random: Random) -> tuple[str, ...]:
    return tuple(folder for folder in FOLDERS if random.random() < 0.3)
