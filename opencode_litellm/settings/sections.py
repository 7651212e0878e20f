"""What the user asked for: flags, variables and opencode's own configuration, parsed once.

The ``provider`` sections that stand for a LiteLLM proxy become one :class:`Proxy` each. Option names are
opencode's and those of the plugin ``opencode-plugin-litellm``, so that its users change nothing.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from opencode_litellm import cache
from opencode_litellm.errors import Failure, ProxyUnreachable, UsageFailure
from opencode_litellm.jsonc import Bound, Live, joined, mapping
from opencode_litellm.litellm.facts import row_of
from opencode_litellm.proxies import (
    DECLARATIONS,
    NO_KEY,
    PROVIDER,
    SIBLING_SUFFIX,
    Header,
    Key,
    ModelOptions,
    Proxy,
    ProxyURL,
    Section,
)
from opencode_litellm.settings import keys
from opencode_litellm.variables import CARRIED, NAMED_MODEL

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from opencode_litellm.opencode.configuration import Configuration

TIMEOUT = 5.0  # seconds, for a whole discovery
DELIVERIES = ("auto", "inline", "file", "managed")
TRANSPORTS = ("auto", "chat", "responses")
RESPONSES_PROVIDERS = ("auto", "sibling", "inline")
TAGS_HEADER = "x-litellm-tags"  # LiteLLM 1.106: litellm_pre_call_utils.py reads it, comma separated

_SECRET_HEADER = re.compile(r"auth|cookie|secret|token|key|pass|pwd|\bpin\b|credential|signature|session", re.I)
_SECRET_VALUE = re.compile(r"^(bearer|basic|token) |\b(sk-|eyJ)|(?=[a-z+/_.=-]*[0-9])[\w+/.=-]{16}", re.I)
_URL_VARIABLE = re.compile(r"\$\{([^}]+)\}")  # opencode 1.18 replaces these in a baseURL when it connects
_USER = re.compile(r"//[^/]*@")
_LONGEST_SHOWN = 200  # characters of a value in a warning
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


@dataclass(frozen=True)
class Settings:
    """Everything that a discovery depends on; ``timeout`` in seconds, ``warnings`` for standard error.

    ``failures`` are those of providers that cannot be asked, ``variables`` what addresses are made of, and where keys
    may be.
    """

    proxies: tuple[Proxy, ...]
    timeout: float = TIMEOUT
    delivery: str = "auto"
    warnings: tuple[str, ...] = ()
    failures: tuple[Failure, ...] = ()
    variables: frozenset[str] = frozenset()


def parse(environment: Mapping[str, str], configuration: Configuration) -> Settings:
    """Return the settings that flags (as ``OPENCODE_LITELLM_*``), variables and configuration add up to.

    Raises UsageFailure for a flag or variable that cannot be meant; an option in a configuration file that
    cannot be meant is a warning, because opencode has to start.
    """
    warnings: list[str] = []
    if delivery(environment) == "managed":
        warnings.append("delivery 'managed', for opencode 2, is not built yet: 'auto' takes its place")
    reader = _Reader(environment, configuration, warnings)
    return Settings(
        proxies=reader.proxies(),
        timeout=timeout(environment),
        delivery=delivery(environment),
        warnings=tuple(warnings),
        failures=tuple(reader.failures),
        variables=reader.variables,
    )


def timeout(environment: Mapping[str, str]) -> float:
    """Return ``OPENCODE_LITELLM_TIMEOUT`` in seconds; UsageFailure unless it is between 0 and an hour."""
    text = environment.get("OPENCODE_LITELLM_TIMEOUT") or str(TIMEOUT)
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 < seconds <= 3600:
        raise UsageFailure(
            f"OPENCODE_LITELLM_TIMEOUT (--timeout) is {text!r}", "give seconds, more than 0 and at most 3600"
        )
    return seconds


def delivery(environment: Mapping[str, str]) -> str:
    """Return ``OPENCODE_LITELLM_DELIVERY``; UsageFailure unless it is one of ``DELIVERIES``."""
    name = environment.get("OPENCODE_LITELLM_DELIVERY") or "auto"
    if name not in DELIVERIES:
        raise UsageFailure(f"OPENCODE_LITELLM_DELIVERY (--delivery) is {name!r}", f"choose {', '.join(DELIVERIES)}")
    return name


def is_ours(provider: str, section: object) -> bool:
    """Tell whether a ``provider`` section stands for a LiteLLM proxy, by its id or by what it declares."""
    if provider == PROVIDER or provider.startswith((f"{PROVIDER}-", f"{PROVIDER}_")):
        return True
    options = mapping(mapping(section).get("options"))
    return any(options.get(name) is True for name in DECLARATIONS)


class _Reader:
    """Reads the provider sections of one configuration, collecting warnings."""

    def __init__(
        self, environment: Mapping[str, str], configuration: Configuration, warnings: list[str]
    ) -> None:
        self._environment = environment
        self._configuration = configuration
        self._warnings = warnings
        self._resolved = mapping(configuration.resolved.get("provider"))
        self._written = mapping(configuration.written.get("provider"))
        self._upper = mapping(configuration.upper.get("provider"))
        self.failures: list[Failure] = []
        self.variables = frozenset[str]()

    def proxies(self) -> tuple[Proxy, ...]:
        flag = self._environment.get("OPENCODE_LITELLM_URL")
        url = _url(flag, "OPENCODE_LITELLM_URL (--url)") if flag else None
        providers = self._sections()
        if url is not None:
            providers = [provider for provider in providers if self._own_root(provider) == url.root] or [PROVIDER]
        shown = [provider for provider in providers if self._shown(provider)]
        if not shown:
            problem = f"enabled_providers or disabled_providers in opencode's configuration leave out {providers[0]}"
            self.failures.append(ProxyUnreachable(problem, "let it in there"))
        proxies = []
        for provider in shown:
            try:
                where = (url, "OPENCODE_LITELLM_URL") if url else self._where(provider)
                proxies.append(self._proxy(provider, *where))
            except UsageFailure as failure:
                self.failures.append(failure)
        return tuple(proxies)

    def _sections(self) -> list[str]:
        ours = [provider for provider, section in self._resolved.items() if is_ours(provider, section)]
        for provider, section in self._resolved.items():
            self._warn_of_declarations(provider, mapping(mapping(section).get("options")))
        siblings = {f"{provider}{SIBLING_SUFFIX}" for provider in [*ours, PROVIDER]}
        return sorted(provider for provider in ours if provider not in siblings) or [PROVIDER]

    def _warn_of_declarations(self, provider: str, options: Mapping[str, Any]) -> None:
        for name in DECLARATIONS:
            if not isinstance(options.get(name, True), bool):
                said = f"{self._option(provider, name)} is {_shown(options[name])}"
                self._warn(f"{said}: it is ignored; choose true or false, without quotes")

    def _shown(self, provider: str) -> bool:
        # opencode 1.18: enabled_providers hides what it leaves out, and disabled_providers beats it.
        enabled = self._configuration.resolved.get("enabled_providers")
        disabled = self._configuration.resolved.get("disabled_providers")
        return not (isinstance(enabled, list) and provider not in enabled) and not (
            isinstance(disabled, list) and provider in disabled
        )

    def _where(self, provider: str) -> tuple[ProxyURL | None, str]:
        """Return the URL of a provider's proxy, None where it has to be detected, and who says so."""
        own = self._address(provider)
        if own:
            options = mapping(mapping(self._resolved.get(provider)).get("options"))
            path = ("options", "baseURL") if options.get("baseURL") else ("api",)
            source = f"{'.'.join(path)} of provider {provider}"
            return _url(own, f"{source}{self._place(provider, *path)}"), source
        named = self._environment.get("LITELLM_PROXY_URL")
        if named:
            return _url(named, "LITELLM_PROXY_URL"), "LITELLM_PROXY_URL"
        return None, "detection"

    def _address(self, provider: str) -> object:
        """Return where a section says that its proxy is, as opencode 1.18 would understand it, or nothing."""
        section = mapping(self._resolved.get(provider))
        text = mapping(section.get("options")).get("baseURL") or section.get("api")
        if not isinstance(text, str):
            return text
        self.variables |= frozenset(_URL_VARIABLE.findall(text))
        return _URL_VARIABLE.sub(lambda match: self._environment.get(match[1], match[0]), text)

    def _own_root(self, provider: str) -> str | None:
        """Return the root of a section's own address; None for none, and what stands there when that is no URL."""
        own = self._address(provider)
        try:
            return ProxyURL.parse(own).root if isinstance(own, str) and own else None
        except ValueError:
            return str(own)

    def _proxy(self, provider: str, url: ProxyURL | None, source: str) -> Proxy:
        options = mapping(mapping(self._resolved.get(provider)).get("options"))
        written = mapping(mapping(self._written.get(provider)).get("options"))
        # A key and headers that stand in a section go to that section's own baseURL and nowhere else; a proxy
        # that is detected on loopback identifies itself first, and is what a section without a URL means.
        overrides = url is not None and self._own_root(provider) != url.root
        key = self._key(provider, written, options, overrides=overrides)
        upper, sibling = (self._upper_connection(name) for name in (provider, f"{provider}{SIBLING_SUFFIX}"))
        # An empty key of the project's would stand above the one that was found elsewhere.
        emptied = "apiKey" in upper and key.reference not in (None, written.get("apiKey"))
        return Proxy(
            provider=provider,
            url=url,
            url_source=source,
            key=key,
            headers=() if overrides else self._headers(provider, written, options),
            options=self._options(provider, options),
            section=self._section(provider),
            overrides=overrides,
            beats_project=bool(upper | sibling) if overrides and key.reference is not None else emptied,
            detected=url is None,
        )

    def _key(
        self, provider: str, written: Mapping[str, Any], options: Mapping[str, Any], *, overrides: bool
    ) -> Key:
        stated = "apiKey" in options and not overrides
        if stated and options["apiKey"] == written.get("apiKey") == "":
            return keys.empty("", provider)  # somebody wants none
        key = None
        if stated:
            key = keys.of_section(written.get("apiKey"), options["apiKey"], provider)
        elif not overrides:
            names = mapping(self._resolved.get(provider)).get("env")
            self.variables |= frozenset(filter(keys.is_variable, names if isinstance(names, list) else []))
            key = keys.of_variable(names, self._environment, provider)
        key = key or keys.of_environment(self._environment)
        if key is None and stated:
            key = keys.empty(written.get("apiKey"), provider)
        # opencode 1.18 looks for no stored key where the configuration has one, be it empty.
        if key is None and "apiKey" not in options and not (overrides and self._own_root(provider)):
            key = keys.stored(self._environment, provider)
        return key or NO_KEY

    def _upper_connection(self, provider: str) -> frozenset[str]:
        """Return what the layers above OPENCODE_CONFIG's, such as a project's, say of a provider's connection."""
        section = mapping(self._upper.get(provider))
        options = mapping(section.get("options"))
        return frozenset({"baseURL", "apiKey", "headers"} & options.keys() | {"api"} & section.keys())

    def _section(self, provider: str) -> Section:
        prefix = f"{provider}/"
        named = {*self._configuration.models_named, self._environment.get(NAMED_MODEL, "")}
        return Section(
            written=mapping(self._written.get(provider)),
            sibling=mapping(self._written.get(f"{provider}{SIBLING_SUFFIX}")),
            named_models=frozenset(name[len(prefix) :] for name in named if name.startswith(prefix)),
            sibling_hidden=not self._shown(f"{provider}{SIBLING_SUFFIX}"),
            sibling_root=self._own_root(f"{provider}{SIBLING_SUFFIX}"),
            local=bool(self._upper_connection(provider) - {"headers"}),
        )

    def _headers(
        self, provider: str, written: Mapping[str, Any], resolved: Mapping[str, Any]
    ) -> tuple[Header, ...]:
        headers: dict[str, Header] = {}
        for option in ("customHeaders", "headers"):  # opencode sends the second itself: it has the last word
            values = mapping(resolved.get(option))
            if resolved.get(option) is not None and not isinstance(resolved[option], dict):
                self._warn(f"{self._option(provider, option)} is left out: give an object of names and values")
            for name, value in values.items():
                if not isinstance(value, str) or not _HEADER_NAME.fullmatch(name) or not _fits_a_header(value):
                    source = self._option(provider, option, name)
                    self._warn(f"{source} is left out: a header is a name with one line of ASCII text")
                    continue
                as_written = mapping(written.get(option)).get(name, value)
                headers[name.lower()] = _header(provider, option, name, value, as_written)
        tags = self._tags(provider, written, resolved)
        if tags is not None:
            headers.setdefault(TAGS_HEADER, tags)
        return tuple(headers[name] for name in sorted(headers))

    def _tags(self, provider: str, written: Mapping[str, Any], resolved: Mapping[str, Any]) -> Header | None:
        """Return the header for ``tags``, which is all of them or none: a launch puts it together once more."""
        value = resolved.get("tags")
        if not value:
            return None
        tags, as_written = ([tags] if isinstance(tags, str) else tags for tags in (value, written.get("tags", value)))
        if not isinstance(tags, list) or not all(isinstance(tag, str) and _fits_a_header(tag) for tag in tags):
            said = f"{self._option(provider, 'tags')} is {_shown(as_written)}"
            self._warn(f"{said}: give a list of words in ASCII; it is left out")
            return None
        return _header(provider, "tags", TAGS_HEADER, ",".join(tags), joined(",", as_written))

    def _options(self, provider: str, options: Mapping[str, Any]) -> ModelOptions:
        return ModelOptions(
            transport=self._choice(provider, options, "transport", TRANSPORTS),
            responses_models=self._strings(provider, options, "responsesApiModels"),
            chat_models=self._strings(provider, options, "chatApiModels"),
            responses_provider=self._choice(provider, options, "responsesProvider", RESPONSES_PROVIDERS),
            include=self._strings(provider, options, "includeModels"),
            exclude=self._strings(provider, options, "excludeModels"),
            capabilities=self._capabilities(provider, options.get("modelCapabilities")),
        )

    def _choice(
        self, provider: str, options: Mapping[str, Any], name: str, choices: Sequence[str]
    ) -> str:
        value = options.get(name)
        if value is None or value in choices:
            return str(value or choices[0])
        said = f"{self._option(provider, name)} is {_shown(value)}"
        self._warn(f"{said}: it is taken as {choices[0]!r}; choose {', '.join(choices)}")
        return choices[0]

    def _strings(self, provider: str, options: Mapping[str, Any], name: str) -> tuple[str, ...]:
        value = options.get(name)
        values = [value] if isinstance(value, str) else value if isinstance(value, list) else []
        strings = tuple(item for item in values if isinstance(item, str))
        if value is not None and (not isinstance(value, str | list) or len(strings) != len(values)):
            said = f"{self._option(provider, name)} is {_shown(value)}"
            self._warn(f"{said}: give a list of strings; the rest is ignored")
        return strings

    def _capabilities(self, provider: str, value: object) -> Mapping[str, Mapping[str, object]]:
        models = mapping(value)
        usable = {model: flags for model, flags in models.items() if isinstance(flags, dict)}
        option = self._option(provider, "modelCapabilities")
        if value is not None and (not isinstance(value, dict) or len(usable) != len(models)):
            remedy = 'map model ids to objects such as {"supports_vision": true}; the rest is ignored'
            self._warn(f"{option} is {_shown(value)}: {remedy}")
        ignored = [
            f"{model}.{name}: {_shown(said)}"
            for model, flags in usable.items()
            for name, said in flags.items()
            if said is not None and row_of(model, {name: said}) == row_of(model, {})
        ]
        if ignored:
            what = "has what says nothing of a model in LiteLLM's words, and is ignored"
            self._warn(f"{option} {what}: {', '.join(ignored)}")
        return usable

    def _option(self, provider: str, *names: str) -> str:
        return f"options.{'.'.join(names)} of provider {provider}{self._place(provider, 'options', *names)}"

    def _place(self, *names: str) -> str:
        path, _ = next(self._configuration.stated("provider", *names), ("", None))
        return f" in {path}" if path else ""

    def _warn(self, text: str) -> None:
        if text not in self._warnings:
            self._warnings.append(text)


def _header(provider: str, option: str, name: str, value: str, written: object) -> Header:
    plain = "".join(written.parts[::2]) if isinstance(written, Live) else value
    if isinstance(written, Live) and keys.is_reference(written):
        return Header(name, value, written, option)
    if not isinstance(written, Bound) and not _SECRET_HEADER.search(name) and not _SECRET_VALUE.search(plain):
        return Header(name, value, written if isinstance(written, Live) else value, option)
    # A name made of provider and header would be the same for some two of them.
    variable = f"{CARRIED}{cache.digest([provider, name.lower()])[:12].upper()}"
    return Header(name, value, Live(f"{{env:{variable}}}"), option, variable)


def _shown(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."


def _url(text: object, place: str) -> ProxyURL:
    if not isinstance(text, str):
        raise UsageFailure(f"{place} is {json.dumps(text)}", "give the URL of the proxy as a string")
    try:
        return ProxyURL.parse(text)
    except ValueError as error:
        shown = json.dumps(_USER.sub("//***@", text))
        raise UsageFailure(
            f"{place} is {shown}, which is not the URL of a proxy ({error})", "give one like http://localhost:4000"
        ) from error


def _fits_a_header(value: str) -> bool:
    return value.isprintable() and value.isascii()
