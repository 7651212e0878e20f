"""What the user asked for: flags, variables and opencode's own configuration, parsed once.

The ``provider`` sections that stand for a LiteLLM proxy become one :class:`Proxy` each. Option names are
opencode's and those of the plugin ``opencode-plugin-litellm``, so that its users need not change anything.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING

from opencode_litellm.errors import Failure, ProxyUnreachable, UsageFailure
from opencode_litellm.jsonc import ENV, Live, mapping
from opencode_litellm.opencode import layers
from opencode_litellm.proxies import (
    DECLARATIONS,
    NO_KEY,
    OPTION_NAMES,
    PLUGIN,
    PROVIDER,
    SIBLING_SUFFIX,
    Defaults,
    Key,
    Proxy,
    ProxyURL,
    Section,
    Wish,
)
from opencode_litellm.settings import keys
from opencode_litellm.settings.options import Options, Reading
from opencode_litellm.variables import (
    ANY_MODEL,
    DEFAULT_MODEL,
    DELIVERY,
    NAMED_MODEL,
    ONLY,
    PROXY_URL,
    SMALL_MODEL,
    SPACE_AROUND,
    TIMEOUT,
    URL,
    seconds,
    switched_on,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from opencode_litellm.jsonc import JSON
    from opencode_litellm.opencode.configuration import Configuration

DELIVERIES = ("auto", "inline", "file", "managed")

_URL_VARIABLE = re.compile(r"\$\{([^}]+)\}")  # opencode 1.18 replaces these in a baseURL when it connects
_ONLY = re.compile(r"""["']?\bonly["']?\s*:\s*true\b""")  # in a text that cannot be parsed


@dataclass(frozen=True)
class Settings:
    """Everything that a discovery depends on; ``timeout`` in seconds, ``warnings`` for standard error.

    ``failures`` are those of providers that cannot be asked, ``variables`` the names of the environment variables that
    URLs consist of or that may hold keys. ``defaults`` are the default models and the restrictions that the user wants.
    """

    proxies: tuple[Proxy, ...]
    timeout: float
    delivery: str
    warnings: tuple[str, ...] = ()
    failures: tuple[Failure, ...] = ()
    variables: frozenset[str] = frozenset()
    defaults: Defaults = field(default_factory=Defaults)


def parse(environment: Mapping[str, str], configuration: Configuration) -> Settings:
    """Return the settings from flags (as ``OPENCODE_LITELLM_*``), variables and the configuration.

    Raises UsageFailure for an invalid flag or variable; an invalid option in a configuration file is a warning, because
    opencode has to start.
    """
    flag = environment.get(URL)
    url = _url(flag, f"{URL} (--url)") if flag else None
    sections = _Sections(environment, configuration)
    results = list(sections.results(url))
    proxies = tuple(each for each in results if isinstance(each, Proxy))
    return Settings(
        proxies=proxies,
        timeout=timeout(environment),
        delivery=delivery(environment),
        warnings=tuple(each for each in results if isinstance(each, str)),
        failures=tuple(each for each in results if isinstance(each, Failure)),
        variables=sections.variables,
        defaults=sections.defaults(proxies),
    )


def restrictions(environment: Mapping[str, str], configuration: Configuration) -> dict[str, JSON]:
    """Return the settings that leave opencode no provider but ours; empty if the user does not want that.

    For a launch without models, whose ``configuration`` may lack files that cannot be read.
    """
    in_unreadable = any(_ONLY.search(text) for text in configuration.unreadable)
    return _Sections(environment, configuration).only_ours(stated=in_unreadable).restrictions


def timeout(environment: Mapping[str, str]) -> float:
    """Return ``OPENCODE_LITELLM_TIMEOUT`` in seconds; UsageFailure unless it is between 0 and an hour."""
    try:
        return seconds(environment)
    except ValueError as error:
        problem = f"{TIMEOUT} (--timeout) is {environment.get(TIMEOUT)!r}"
        raise UsageFailure(problem, "choose a number of seconds above 0 and at most 3600") from error


def delivery(environment: Mapping[str, str]) -> str:
    """Return ``OPENCODE_LITELLM_DELIVERY``; UsageFailure unless it is one of ``DELIVERIES``."""
    name = environment.get(DELIVERY) or "auto"
    if name not in DELIVERIES:
        raise UsageFailure(f"{DELIVERY} (--delivery) is {name!r}", f"choose {', '.join(DELIVERIES)}")
    return name


class _Sections:
    """All provider sections of one configuration; the usual one is there even if the user has none."""

    def __init__(self, environment: Mapping[str, str], configuration: Configuration) -> None:
        self._environment = environment
        self._configuration = configuration
        stated = mapping(configuration.resolved.get("provider"))
        names = [*stated, PROVIDER]
        self._all = {
            name: _ProviderSection(name, environment, configuration)
            for name in dict.fromkeys([*names, *map(_sibling, names)])
        }
        ours = [name for name in stated if self._all[name].is_ours]
        siblings = set(map(_sibling, [*ours, PROVIDER]))
        self._ours = [self._all[name] for name in sorted({*ours} - siblings)] or [self._all[PROVIDER]]

    @property
    def variables(self) -> frozenset[str]:
        """The environment variables that the URLs consist of, and those that may hold the keys."""
        names = [PROVIDER, *(section.provider for section in self._ours)]
        return frozenset().union(*(self._all[name].variables for name in (*names, *map(_sibling, names))))

    def results(self, url: ProxyURL | None) -> Iterator[Proxy | Failure | str]:
        """Yield warnings, each proxy, and the failure of each provider that cannot be asked; ``url`` is the flag's."""
        for section in self._all.values():
            yield from section.declaration.warnings
        sections = self._ours
        if url is not None:
            sections = [section for section in sections if section.root == url.root] or [self._all[PROVIDER]]
        enabled = [section for section in sections if section.is_enabled]
        if not enabled:
            problem = f"opencode's configuration disables provider {sections[0].provider}"
            remedy = "add it to enabled_providers, or remove it from disabled_providers"
            yield ProxyUnreachable(problem, remedy)
        for section in enabled:
            yield from section.results(url, self._all[_sibling(section.provider)])

    def defaults(self, proxies: Sequence[Proxy]) -> Defaults:
        """Return the default models and restrictions that the user wants; ``proxies`` are those whose options count."""
        users = self._configuration.resolved
        return replace(
            self.only_ours(),
            model=() if users.get("model") else self._wishes(DEFAULT_MODEL, "model", proxies),
            small_model=() if users.get("small_model") else self._wishes(SMALL_MODEL, "small_model", proxies),
        )

    def only_ours(self, *, stated: bool = False) -> Defaults:
        """Return the providers that stay if the user wants only ours, no default models; ``stated``: a file says so."""
        wanted = stated or any(section.options.models.value.only for section in self._ours)
        if self._environment.get(ONLY):
            wanted = switched_on(self._environment, ONLY)
        if not wanted:
            return Defaults()
        ours = [*(section.provider for section in self._ours), PROVIDER]
        ids = sorted({*ours, *map(_sibling, ours)})
        enabled, disabled = (
            {name for name in value if isinstance(name, str)} if isinstance(value, list) else None
            for value in map(self._configuration.resolved.get, ("enabled_providers", "disabled_providers"))
        )
        left = tuple(provider for provider in ids if enabled is None or provider in enabled)
        others = (enabled or set()) - set(ids)
        return Defaults(only=left, others=tuple(sorted(others | (disabled or set()))) if others else ())

    def _wishes(self, variable: str, name: str, proxies: Sequence[Proxy]) -> tuple[Wish, ...]:
        text = self._environment.get(variable, "")
        if text.strip():
            return tuple(Wish(pattern.strip(), "", variable) for pattern in text.split(",") if pattern.strip())
        return tuple(
            Wish(pattern, proxy.provider, f"options.{OPTION_NAMES[name]} of provider {proxy.provider}")
            for proxy in proxies
            for pattern in getattr(proxy.options, name)
        )


class _ProviderSection:
    """One ``provider`` section, as resolved and as written."""

    def __init__(self, provider: str, environment: Mapping[str, str], configuration: Configuration) -> None:
        self.provider = provider
        self._environment = environment
        self._configuration = configuration
        self._resolved = mapping(mapping(configuration.resolved.get("provider")).get(provider))
        self._written = mapping(mapping(configuration.written.get("provider")).get(provider))
        self.options = Options(provider, configuration)

    @property
    def is_ours(self) -> bool:
        """Whether it stands for a LiteLLM proxy, by its id or by what it declares."""
        return (
            self.provider == PROVIDER
            or self.provider.startswith((f"{PROVIDER}-", f"{PROVIDER}_"))
            or self.declaration.value
        )

    @cached_property
    def declaration(self) -> Reading[bool]:
        """Whether an option says that it stands for a LiteLLM proxy."""
        declarations = [self.options.boolean(name) for name in DECLARATIONS]
        warnings = chain.from_iterable(each.warnings for each in declarations)
        return Reading(any(each.value for each in declarations), tuple(warnings))

    @property
    def is_enabled(self) -> bool:
        # opencode 1.18: enabled_providers hides what it leaves out, and disabled_providers beats it.
        enabled = self._configuration.resolved.get("enabled_providers")
        disabled = self._configuration.resolved.get("disabled_providers")
        return not (isinstance(enabled, list) and self.provider not in enabled) and not (
            isinstance(disabled, list) and self.provider in disabled
        )

    @property
    def root(self) -> str:
        """The root of the section's own URL; empty without one, and the text itself if it is not a URL."""
        text = str(self._own_url or "")
        try:
            return ProxyURL.parse(text).root
        except ValueError:
            return text

    @property
    def variables(self) -> frozenset[str]:
        """The environment variables that the URL consists of, and those that may hold the key."""
        text = self._stated_url
        names = frozenset(_URL_VARIABLE.findall(text)) if isinstance(text, str) else frozenset()
        listed = self._resolved.get("env")
        if "apiKey" in self.options.resolved or not isinstance(listed, list):
            return names
        return names | frozenset(filter(keys.is_variable, listed))

    def results(self, flag: ProxyURL | None, sibling: _ProviderSection) -> Iterator[Proxy | Failure | str]:
        """Yield warnings, and in the end the proxy that the section stands for, or why it cannot be asked."""
        yield from self.options.misspellings()
        if flag is None and not self._own_url:
            instead = PROXY_URL if self._environment.get(PROXY_URL) else "a LiteLLM on this machine"
            yield from self._unset("baseURL", instead)
        try:
            url, source = self._address(flag)
        except UsageFailure as failure:
            yield failure
            return
        overrides = self._overridden_by(url)
        key = self._key(overrides=overrides)
        headers = Reading(()) if overrides else self.options.headers(self._rank)
        models = self.options.models
        yield from (*key.warnings, *headers.warnings, *models.warnings)
        # An empty key of the project's would beat the key that comes from elsewhere.
        emptied = "apiKey" in self._upper and key.value.reference not in (None, self.options.written.get("apiKey"))
        yield Proxy(
            provider=self.provider,
            url=url,
            url_source=source,
            key=key.value,
            headers=headers.value,
            options=models.value,
            section=self._section(sibling),
            overrides=overrides,
            beats_project=(overrides and bool(self.root or self._upper | sibling._upper)) or emptied,
            detected=url is None,
        )

    def _address(self, flag: ProxyURL | None) -> tuple[ProxyURL | None, str]:
        """Return the URL of the proxy (None: it has to be detected) and its source.

        Raises UsageFailure for an invalid URL, and for one that differs from that in the administrator's configuration.
        """
        url, source = (flag, URL) if flag else self._stated_address()
        if self._overridden_by(url) and self._is_managed:
            raise UsageFailure(
                f"the administrator's configuration sets the URL of provider {self.provider}, which {source} cannot"
                " override",
                f"unset {source}",
            )
        return url, source

    def _stated_address(self) -> tuple[ProxyURL | None, str]:
        if self._own_url:
            path = ("options", "baseURL") if self.options.resolved.get("baseURL") else ("api",)
            source = f"{'.'.join(path)} of provider {self.provider}"
            return _url(self._own_url, f"{source}{self.options.location(*path)}"), source
        if named := self._environment.get(PROXY_URL):
            return _url(named, PROXY_URL), PROXY_URL
        return None, "detection"

    def _overridden_by(self, url: ProxyURL | None) -> bool:
        """Return whether ``url`` takes the place of the section's own.

        The key and headers of a section go to its own baseURL and nowhere else. A section without a URL means the proxy
        that is detected on loopback, which has to identify itself first.
        """
        return url is not None and self.root != url.root

    @property
    def _stated_url(self) -> object:
        return self.options.resolved.get("baseURL") or self._resolved.get("api")

    @property
    def _own_url(self) -> object:
        """The URL in the section, with its variables replaced as opencode 1.18 does."""
        text = self._stated_url
        if not isinstance(text, str):
            return text
        return _URL_VARIABLE.sub(lambda match: self._environment.get(match[1], match[0]), text)

    @property
    def _rank(self) -> int:
        """The rank of the layer that says where the proxy is, as in ``Configuration.rank``; -1 for none."""
        if self.options.resolved.get("baseURL"):
            return self._configuration.rank("provider", self.provider, "options", "baseURL")
        return self._configuration.rank("provider", self.provider, "api")

    @property
    def _is_managed(self) -> bool:
        """Whether the administrator's configuration says where the proxy is, which no delivery can overrule."""
        folder = layers.managed_folder(self._environment)
        names = (("options", "baseURL"), ("api",))
        stated = (next(self._configuration.stated("provider", self.provider, *name), ("", None))[0] for name in names)
        return any(os.path.dirname(path) == folder for path in stated)

    @property
    def _upper(self) -> frozenset[str]:
        """The connection settings of the provider that are in layers above OPENCODE_CONFIG, such as a project's."""
        section = mapping(mapping(self._configuration.upper.get("provider")).get(self.provider))
        options = mapping(section.get("options"))
        return frozenset({"baseURL", "apiKey", "headers"} & options.keys() | {"api", "env"} & section.keys())

    def _key(self, *, overrides: bool) -> Reading[Key]:
        stated = "apiKey" in self.options.resolved
        if stated and not overrides:
            return self._stated_key()
        key = None if overrides else keys.of_variable(self._resolved.get("env"), self._environment, self.provider)
        if key is None:
            key = keys.of_environment(self._environment)
        # opencode 1.18 does not look for a stored key if the configuration has one, even an empty one.
        if key is None and not stated and not (overrides and self.root):
            key = keys.stored(self._environment, self.provider)
        return Reading(key or NO_KEY)

    def _stated_key(self) -> Reading[Key]:
        """Return the key for a section that has an ``apiKey``, even an empty one."""
        resolved, written = self.options.resolved["apiKey"], self.options.written.get("apiKey")
        if resolved == written == "":
            return Reading(keys.empty("", self.provider))  # the user wants no key
        if key := keys.of_section(written, resolved, self.provider):
            return Reading(key, tuple(self._space_around(resolved)))
        if key := keys.of_environment(self._environment):
            return Reading(key, tuple(self._unset("apiKey", key.source)))
        return Reading(keys.empty(written, self.provider))

    def _space_around(self, key: str) -> Iterator[str]:
        """Warn that a key has white space around it: we send it without, but opencode reads it by itself."""
        if key.strip() != key:
            yield self.options.warning(("apiKey",), f"{SPACE_AROUND}, and opencode sends them too", "remove them there")

    @property
    def _has_stored_key(self) -> bool:
        """Whether opencode stores a key for the section, and no ``apiKey`` beats it."""
        return "apiKey" not in self.options.resolved and keys.stored(self._environment, self.provider) is not None

    def _unset(self, option: str, instead: str) -> Iterator[str]:
        """Warn that an option refers to variables that are not set, and say what is used instead."""
        written = self.options.written.get(option)
        names = ENV.findall(written) if isinstance(written, Live) else []
        unset = [name for name in names if not self._environment.get(name)]
        if unset:
            which = f"{' and '.join(unset)} {'is' if len(unset) == 1 else 'are'} not set"
            problem = f"is {written}, and {which}, so {instead} is used instead"
            yield self.options.warning((option,), problem, f"set {unset[0]}, or remove the option")

    def _section(self, sibling: _ProviderSection) -> Section:
        named = {*self._configuration.mentions, self._environment.get(NAMED_MODEL, "")}

        def ids(prefix: str) -> frozenset[str]:
            return frozenset(name[len(prefix) :] for name in named if name.startswith(prefix))

        return Section(
            written=self._written,
            sibling=sibling._written,
            named_models=ids(f"{self.provider}/"),
            named_in_sibling=ids(f"{sibling.provider}/"),
            any_name=ANY_MODEL in named,
            plugin_file=self._configuration.loads(PLUGIN) or "",
            sibling_hidden=not sibling.is_enabled,
            sibling_root=sibling.root,
            local=bool(self._upper - {"headers"}),
            local_env="env" in self._upper,
            stored=self._has_stored_key,
            sibling_stored=sibling._has_stored_key,
            output=mapping(mapping(self._configuration.outputs.get("provider")).get(self.provider)),
        )


def _sibling(provider: str) -> str:
    return f"{provider}{SIBLING_SUFFIX}"


def _url(text: object, place: str) -> ProxyURL:
    """Parse a URL; UsageFailure if it is not one, without the text, which may be a key or hold one."""
    try:
        if not isinstance(text, str):
            raise ValueError("it must be a string")
        return ProxyURL.parse(text)
    except ValueError as error:
        raise UsageFailure(
            f"{place} is not a valid proxy URL ({error})", "use one such as http://localhost:4000"
        ) from error
