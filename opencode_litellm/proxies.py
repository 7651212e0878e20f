"""The types that everybody shares: a proxy, its address, key and headers, and what the user says about it.

Only types and constants. ``settings`` makes them; everything from ``litellm`` upwards reads them.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from opencode_litellm import cache, origin
from opencode_litellm.jsonc import Live, mapping
from opencode_litellm.variables import carrier

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opencode_litellm.jsonc import JSON

PROVIDER = "litellm"
SIBLING_SUFFIX = "-responses"
DECLARATIONS = ("litellm", "litellmCompatible", "litellm-compatible", "litellm_compatible")
HEADER_OPTIONS = ("customHeaders", "headers")
TAGS = "tags"
PLUGIN = "opencode-plugin-litellm"  # opencode can load it instead of us

_ENDPOINTS = ("/v1/models", "/v1/chat/completions", "/v1/responses")  # what people copy from examples


@dataclass(frozen=True)
class ProxyURL:
    """The address of a proxy: ``root`` is its URL without ``/v1`` and without a final slash."""

    root: str
    host: str

    @property
    def base_url(self) -> str:
        """The ``baseURL`` that opencode wants."""
        return f"{self.root}/v1"

    @property
    def is_loopback(self) -> bool:
        """Whether the host is this machine, by its name alone: nothing is looked up."""
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
            raise ValueError("it has characters that a URL cannot contain")
        parts = urlsplit(text)
        if parts.scheme not in ("http", "https"):
            raise ValueError("it must begin with http:// or https://")
        if "@" in parts.netloc:
            raise ValueError("it must not hold a user name or password: use LITELLM_API_KEY or customHeaders")
        if not parts.hostname:
            raise ValueError("it has no host")
        try:
            port = parts.port
        except ValueError:  # its message quotes the text, which may be a password
            raise ValueError("its port is not a number below 65536") from None
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        default_port = {"http": 80, "https": 443}[parts.scheme]
        netloc = host if port in (None, default_port) else f"{host}:{port}"
        path = parts.path.rstrip("/")
        if path.endswith(_ENDPOINTS):
            raise ValueError("it must end before the endpoint, so leave out /models or /chat/completions")
        path = path.removesuffix("/v1").rstrip("/")
        return cls(f"{parts.scheme}://{netloc}{path}", parts.hostname)


# opencode 1.18: a provider without any key lets @ai-sdk/openai fall back to OPENAI_API_KEY, so there always is one.
PLACEHOLDER = Live("none")


@dataclass(frozen=True)
class Key:
    """A key, and what may be shown of it.

    ``source`` describes it in messages. ``reference`` is how a payload refers to it, None if we know the secret only as
    text. ``origin`` is where a later launch reads it again, in the words of :mod:`opencode_litellm.origin`.
    """

    secret: str = field(repr=False)
    source: str
    reference: Live | None
    origin: str

    @property
    def reaches_sibling(self) -> bool:
        """Whether the sibling can use it too: a literal key and one in ``auth.json`` are for their own provider id."""
        return self.reference is not None


NO_KEY = Key("", "no key", PLACEHOLDER, origin.NOWHERE)


@dataclass(frozen=True)
class Header:
    """A header for every request to a proxy.

    ``written`` is the value in a payload: a reference as the user wrote it, literal tags, or a reference to
    ``variable``, which carries any other literal value to opencode, in its environment alone. ``option`` is the option
    of the section that has the value.
    """

    name: str
    value: str = field(repr=False)
    written: str
    option: str
    variable: str | None = None


@dataclass(frozen=True)
class ModelOptions:
    """The options that choose and correct models; the only wildcard in patterns is ``*``.

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
# Options for us, not for opencode's packages, so a sibling does not inherit them.
OUR_OPTIONS = frozenset(
    {
        "apiKey", "baseURL", *HEADER_OPTIONS, TAGS, *DECLARATIONS,
        *OPTION_NAMES.values(),
    }
)  # fmt: skip


@dataclass(frozen=True)
class Wish:
    """A default model that the user wants; of several wishes, the first with a matching model counts.

    ``pattern`` is for ids, or for PROVIDER/ID; ``provider`` is whose models are meant, empty for all; ``source`` says
    where the wish comes from.
    """

    pattern: str
    provider: str
    source: str


@dataclass(frozen=True)
class Defaults:
    """What is handed over beside providers: the models of a fresh session, and which providers there may be.

    ``model`` and ``small_model`` are empty if the user's configuration already has that setting. ``only`` holds the ids
    of the providers that stay, None if all do; ``others`` are those to disable: the ones that the user's own
    ``enabled_providers`` would let in beside them, and the ones that the user disabled.
    """

    model: tuple[Wish, ...] = ()
    small_model: tuple[Wish, ...] = ()
    only: tuple[str, ...] | None = None
    others: tuple[str, ...] = ()

    @property
    def restrictions(self) -> dict[str, JSON]:
        """The settings of opencode that leave no provider but those of ``only``."""
        if self.only is None:
            return {}
        # opencode 1.18: disabled_providers beats a list of enabled ones that ranks above ours.
        disabled: dict[str, JSON] = {"disabled_providers": [*self.others]} if self.others else {}
        return {"enabled_providers": [*self.only], **disabled}


@dataclass(frozen=True)
class Section:
    """What the user's configuration already says about a provider, so that a payload must not say it.

    ``written`` and ``sibling`` are the sections of ``X`` and ``X-responses`` with references unresolved.
    ``named_models`` are the ids that something of the user's names as ``X/ID``: the configuration, opencode's command
    line or its state, another plugin's file. ``named_in_sibling`` are those that it names as ``X-responses/ID``;
    ``any_name`` tells that more may be named where we cannot look, such as in an earlier session.
    ``plugin_file`` is the file that loads a plugin which adds models to anything that looks like a LiteLLM provider,
    empty if there is none.
    ``sibling_hidden`` tells that ``enabled_providers`` or ``disabled_providers`` leave the sibling out,
    ``sibling_root`` is the address that the user gives it, empty if there is none. ``local``: the address or the key is
    in a layer that another folder may not have; ``local_env``: so is the variable of the key. ``stored`` and
    ``sibling_stored`` tell that opencode stores a key for ``X`` or ``X-responses``, which it would use. ``output`` is
    the provider's section in an earlier output of ours that is in the project.
    """

    written: Mapping[str, Any] = field(default_factory=dict, repr=False)
    sibling: Mapping[str, Any] = field(default_factory=dict, repr=False)
    named_models: frozenset[str] = frozenset()
    named_in_sibling: frozenset[str] = frozenset()
    any_name: bool = False
    plugin_file: str = ""
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

    ``url`` is None if it has to be detected. ``overrides`` tells that a flag or variable replaces the section's own
    URL, so that the section's key and headers must not go there; ``beats_project`` tells that the project's
    configuration says otherwise, which only an inline payload can overrule.
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
    def secrets_need_url(self) -> bool:
        """Whether address, key and headers must be delivered together, above every folder's configuration.

        opencode merges by name: a header of ours would go to the address of another folder, and the address of an
        earlier output would get our key.
        """
        return bool(self.headers or self.section.output)

    @property
    def key_variable(self) -> str | None:
        """The variable that carries the key to opencode, if it has to be delivered and there is no reference to it."""
        if self.secrets_need_url and self.key.reference is None and self.key.secret:
            return carrier(cache.digest([self.provider]))
        return None

    @property
    def sibling_is_elsewhere(self) -> bool:
        """Whether ``X-responses`` is a provider of the user's own, with an address of its own."""
        root = self.section.sibling_root
        return bool(root) and (self.url is None or root != self.url.root)

    @property
    def written_models(self) -> frozenset[str]:
        """The ids that the user's configuration lists for this proxy, under either provider id."""
        sections = [self.section.written, *([] if self.sibling_is_elsewhere else [self.section.sibling])]
        return frozenset(model for section in sections for model in mapping(section.get("models")))
