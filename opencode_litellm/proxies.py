"""What everybody speaks of: a proxy, where it is, its key, its headers, and what the user says of it.

Types and constants alone. ``settings`` makes them, everything from ``litellm`` upwards reads them.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from opencode_litellm import cache, origin
from opencode_litellm.jsonc import Live, mapping
from opencode_litellm.variables import CARRIED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opencode_litellm.jsonc import JSON

PROVIDER = "litellm"
SIBLING_SUFFIX = "-responses"
DECLARATIONS = ("litellm", "litellmCompatible", "litellm-compatible", "litellm_compatible")
HEADER_OPTIONS = ("customHeaders", "headers")
TAGS = "tags"
PLUGIN = "opencode-plugin-litellm"  # which opencode can load in our place

_ENDPOINTS = ("/v1/models", "/v1/chat/completions", "/v1/responses")  # what people copy from examples


@dataclass(frozen=True)
class ProxyURL:
    """Where a proxy is: ``root`` is the URL without ``/v1`` and without a slash at its end."""

    root: str
    host: str

    @property
    def base_url(self) -> str:
        """The ``baseURL`` that opencode wants."""
        return f"{self.root}/v1"

    @property
    def is_loopback(self) -> bool:
        """Tell whether the host is this machine, by its name alone: nothing is looked up."""
        if self.host == "localhost" or self.host.endswith(".localhost"):
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @classmethod
    def parse(cls, text: str) -> ProxyURL:
        """Parse ``http(s)://host[:port][/prefix][/v1][/]``; ValueError says what is wrong, without the text."""
        text = text.strip()
        if "://" not in text and re.match(r"(localhost|127\.0\.0\.1|\[::1\])(?=[:/]|$)", text):
            text = f"http://{text}"
        if not text.isascii() or not text.isprintable() or " " in text:
            raise ValueError("it has characters that a URL cannot hold")
        parts = urlsplit(text)
        if parts.scheme not in ("http", "https"):
            raise ValueError("it must begin with http:// or https://")
        if "@" in parts.netloc:
            raise ValueError("it must not hold a user name or password: use LITELLM_API_KEY or customHeaders")
        if not parts.hostname:
            raise ValueError("it names no host")
        try:
            port = parts.port
        except ValueError:  # whose text has what stands there, such as a password
            raise ValueError("its port is not a number below 65536") from None
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        default_port = {"http": 80, "https": 443}[parts.scheme]
        netloc = host if port in (None, default_port) else f"{host}:{port}"
        path = parts.path.rstrip("/")
        if path.endswith(_ENDPOINTS):
            raise ValueError("it must end before the endpoint, so leave out /models or /chat/completions")
        path = path.removesuffix("/v1").rstrip("/")
        return cls(f"{parts.scheme}://{netloc}{path}", parts.hostname)


# opencode 1.18: a provider without any key lets @ai-sdk/openai fall back to OPENAI_API_KEY, so there is one always.
PLACEHOLDER = Live("none")


@dataclass(frozen=True)
class Key:
    """A key and what may be known of it.

    ``source`` names it for people. ``reference`` is what a payload may say for it, None where the secret is
    known to us only as text. ``origin`` is where a later launch reads it again, in the words of
    :mod:`opencode_litellm.origin`.
    """

    secret: str = field(repr=False)
    source: str
    reference: Live | None
    origin: str

    @property
    def reaches_sibling(self) -> bool:
        """A literal key and one in ``auth.json`` serve only the provider id that they stand under."""
        return self.reference is not None


NO_KEY = Key("", "no key", PLACEHOLDER, origin.NOWHERE)


@dataclass(frozen=True)
class Header:
    """A header for every request to a proxy.

    ``written`` is what a payload may say: a reference as the user wrote it, or a literal value that is no
    secret by its name. ``variable`` carries a literal secret to opencode instead, in its environment alone.
    ``option`` is where in the section the value stands.
    """

    name: str
    value: str = field(repr=False)
    written: str
    option: str
    variable: str | None = None


@dataclass(frozen=True)
class ModelOptions:
    """The options that choose and correct models; patterns know one wildcard, ``*``.

    A new one is a field here, with the name of its option, and its reader in ``settings.options``.
    """

    transport: str = field(default="auto", metadata={"option": "transport"})
    responses_models: tuple[str, ...] = field(default=(), metadata={"option": "responsesApiModels"})
    chat_models: tuple[str, ...] = field(default=(), metadata={"option": "chatApiModels"})
    responses_provider: str = field(default="auto", metadata={"option": "responsesProvider"})
    include: tuple[str, ...] = field(default=(), metadata={"option": "includeModels"})
    exclude: tuple[str, ...] = field(default=(), metadata={"option": "excludeModels"})
    capabilities: Mapping[str, Mapping[str, object]] = field(
        default_factory=dict, metadata={"option": "modelCapabilities"}
    )
    model: tuple[str, ...] = field(default=(), metadata={"option": "model"})
    small_model: tuple[str, ...] = field(default=(), metadata={"option": "smallModel"})
    only: bool = field(default=False, metadata={"option": "only"})


OPTION_NAMES = {each.name: each.metadata["option"] for each in fields(ModelOptions)}
# Options that steer us, not opencode's packages: no sibling needs them.
OUR_OPTIONS = frozenset(
    {
        "apiKey", "baseURL", *HEADER_OPTIONS, TAGS, *DECLARATIONS,
        *OPTION_NAMES.values(),
    }
)  # fmt: skip


@dataclass(frozen=True)
class Wish:
    """One of the models that the user would like to start with, the first that is there.

    ``pattern`` is for ids, or for PROVIDER/ID; ``provider`` is whose models are meant, empty for all; ``source`` is who
    says so.
    """

    pattern: str
    provider: str
    source: str


@dataclass(frozen=True)
class Defaults:
    """What is handed over beside providers: which models a fresh session takes, and which providers there may be.

    ``model`` and ``small_model`` are empty where the user's configuration has the same setting already. ``only`` holds
    the provider ids that are left, None where all are; ``others`` are those that the user's own ``enabled_providers``
    would let in beside them, and those that they disabled.
    """

    model: tuple[Wish, ...] = ()
    small_model: tuple[Wish, ...] = ()
    only: tuple[str, ...] | None = None
    others: tuple[str, ...] = ()

    @property
    def limits(self) -> dict[str, JSON]:
        """The settings of opencode that leave no provider but those of ``only``."""
        if self.only is None:
            return {}
        # opencode 1.18: disabled_providers beats a list of enabled ones that stands above ours.
        disabled: dict[str, JSON] = {"disabled_providers": [*self.others]} if self.others else {}
        return {"enabled_providers": [*self.only], **disabled}


@dataclass(frozen=True)
class Section:
    """What the user's configuration says of a provider already, and what a payload must therefore not say.

    ``written`` and ``sibling`` are the sections of ``X`` and ``X-responses`` with references unresolved;
    ``named_models`` are the ids that something of the user's names as ``X/ID``: the configuration, opencode's command
    line or its state, another plugin's file. ``named_in_sibling`` are those that it names as ``X-responses/ID``;
    ``any_name`` tells that more of them may be named where nobody can look, such as in a session of last week.
    ``plugin_place`` is the file that loads a plugin which adds models to whatever looks like a LiteLLM provider, empty
    without one.
    ``sibling_hidden`` tells that ``enabled_providers`` or ``disabled_providers`` leave the sibling out,
    ``sibling_root`` where the user sends it, empty for nowhere. ``local``: the address or the key stands in a layer
    that another folder may not have; ``local_env``: so does the variable of the key. ``stored`` and ``sibling_stored``
    tell that opencode stores a key for ``X`` or ``X-responses``, which would be used. ``output`` is what an earlier
    output of ours, which the project has, says of the provider.
    """

    written: Mapping[str, Any] = field(default_factory=dict, repr=False)
    sibling: Mapping[str, Any] = field(default_factory=dict, repr=False)
    named_models: frozenset[str] = frozenset()
    named_in_sibling: frozenset[str] = frozenset()
    any_name: bool = False
    plugin_place: str = ""
    sibling_hidden: bool = False
    sibling_root: str = ""
    local: bool = False
    local_env: bool = False
    stored: bool = False
    sibling_stored: bool = False
    output: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Proxy:
    """A proxy to ask and the provider that it becomes.

    ``url`` is None where it has to be detected. ``overrides`` tells that a flag or variable took the place of
    the section's own URL, so that the section's key and headers must not go there; ``beats_project`` that the
    project's configuration says otherwise, which only an inline payload can overrule.
    """

    provider: str
    url: ProxyURL | None
    url_source: str
    key: Key
    headers: tuple[Header, ...] = ()
    options: ModelOptions = ModelOptions()
    section: Section = Section()
    overrides: bool = False
    beats_project: bool = False
    detected: bool = False

    @property
    def is_bound(self) -> bool:
        """Tell whether address, key and headers must be delivered together, above every folder's configuration.

        opencode merges by name: a header of ours would go to whatever address another folder has, and what an earlier
        output says of the address would get our key.
        """
        return bool(self.headers or self.section.output)

    @property
    def key_variable(self) -> str | None:
        """The variable that carries the key to opencode where it has to be delivered and no reference can say it."""
        if self.is_bound and self.key.reference is None and self.key.secret:
            return f"{CARRIED}{cache.digest([self.provider])[:12].upper()}"
        return None

    @property
    def sibling_is_elsewhere(self) -> bool:
        """Tell whether ``X-responses`` is a provider of the user's own, with an address of its own."""
        root = self.section.sibling_root
        return bool(root) and (self.url is None or root != self.url.root)

    @property
    def listed_models(self) -> frozenset[str]:
        """The ids that the user wrote down for this proxy, under either sibling."""
        sections = [self.section.written, *([] if self.sibling_is_elsewhere else [self.section.sibling])]
        return frozenset(model for section in sections for model in mapping(section.get("models")))
