"""The payload: the part of an opencode configuration that is ours, and nothing else.

Pure, and valid by construction: opencode 1.18 refuses to start on a single entry that it cannot read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeAlias

from opencode_litellm.jsonc import Live, joined, mapping
from opencode_litellm.models.preference import Name, granted
from opencode_litellm.opencode import versions
from opencode_litellm.opencode.delivery import MARKER
from opencode_litellm.proxies import OUR_OPTIONS, PLACEHOLDER, SIBLING_SUFFIX, Defaults
from opencode_litellm.variables import NO_KEY

if TYPE_CHECKING:
    from opencode_litellm.litellm.prices import Price
    from opencode_litellm.models.catalog import Model
    from opencode_litellm.proxies import Proxy, ProxyURL

JSON: TypeAlias = bool | int | float | str | Sequence["JSON"] | Mapping[str, "JSON"] | None

CHAT_PACKAGE = "@ai-sdk/openai-compatible"
RESPONSES_PACKAGE = "@ai-sdk/openai"

_NO_DEFAULTS = Defaults()
_NOWHERE = "none"  # opencode 1.18 sends nothing to an address that is no URL


@dataclass(frozen=True)
class Provider:
    """A ``provider`` section: ``settings`` are its fields but ``models``, which maps ids to entries.

    ``below`` takes the place of ``settings`` where the project's configuration stands above them.
    """

    id: str
    settings: Mapping[str, JSON]
    models: Mapping[str, Mapping[str, JSON]]
    below: Mapping[str, JSON] | None = None


@dataclass(frozen=True)
class Payload:
    """Providers in order, under the ``$schema`` by which our own deliveries are recognised.

    ``settings`` are opencode's other settings: the models of a fresh session, which a project's configuration may
    replace. ``limits`` are those that nothing may replace: which providers there are.
    """

    providers: tuple[Provider, ...]
    settings: Mapping[str, JSON] = field(default_factory=dict)
    limits: Mapping[str, JSON] = field(default_factory=dict)
    schema: str = MARKER

    @property
    def head(self) -> Payload:
        """What must stand above a project's configuration: the limits, and addresses with the keys for them."""
        return Payload(tuple(replace(provider, models={}) for provider in self.providers), limits=self.limits)

    @property
    def limited(self) -> Payload:
        """The limits alone."""
        return Payload((), limits=self.limits)

    @property
    def foot(self) -> Payload:
        """What a project's configuration may replace."""
        return Payload((), settings=self.settings)

    @property
    def below_project(self) -> Payload:
        """The same for below a project's configuration, which has its own address and key.

        In another project, which opencode's servers come to, that key would meet that one's address.
        """
        return replace(
            self,
            providers=tuple(
                provider if provider.below is None else replace(provider, settings=provider.below)
                for provider in self.providers
            ),
        )

    @property
    def model_count(self) -> int:
        """How many models the payload adds."""
        return sum(len(provider.models) for provider in self.providers)


def build(
    served: Sequence[tuple[Proxy, ProxyURL, Sequence[Model]]], defaults: Defaults = _NO_DEFAULTS
) -> Payload:
    """Return the payload for proxies, where each one is, and the models that it serves."""
    providers = tuple(provider for proxy, url, models in served for provider in _providers(proxy, url, models))
    return assembled(providers, [proxy for proxy, _, _ in served], defaults)


def assembled(providers: tuple[Provider, ...], proxies: Sequence[Proxy], defaults: Defaults) -> Payload:
    """Return the payload that has providers, and beside them what the user wants of the models that are there then."""
    names = [name for proxy in proxies for name in _names(proxy, providers)]
    wishes = {"model": defaults.model, "small_model": defaults.small_model}
    settings = {setting: granted(wanted, names) for setting, wanted in wishes.items()}
    return Payload(
        providers, {setting: str(name) for setting, name in settings.items() if name}, dict(defaults.limits)
    )


def _names(proxy: Proxy, providers: Sequence[Provider]) -> Iterator[Name]:
    """Yield the models of a proxy that opencode will have, the user's own among them."""
    for provider, written in ((proxy.provider, proxy.section.written), (_sibling(proxy), proxy.section.sibling)):
        ours = next((each for each in providers if each.id == provider), None)
        settings = written if "whitelist" in written or ours is None else ours.settings
        models = {*(ours.models if ours else ()), *mapping(written.get("models"))}
        whitelist, blacklist = settings.get("whitelist"), {**settings, **written}.get("blacklist")
        for model in sorted(models):
            excluded = isinstance(blacklist, list) and model in blacklist
            if not excluded and not (isinstance(whitelist, list) and model not in whitelist):
                yield Name(proxy.provider, provider, model)


def _sibling(proxy: Proxy) -> str:
    return f"{proxy.provider}{SIBLING_SUFFIX}"


def _providers(proxy: Proxy, url: ProxyURL, models: Sequence[Model]) -> list[Provider]:
    new = [model for model in models if model.id not in proxy.section.listed_models]
    siblings = [model for model in new if belongs_to_sibling(model, proxy)]
    moved = {model.id for model in siblings if not stays(model, proxy)}
    chat = Provider(
        id=proxy.provider,
        settings=_main_settings(proxy, url),
        below=_main_settings(proxy, url, below=True) if proxy.section.local else None,
        models={model.id: entry(model, proxy) for model in new if model.id not in moved},
    )
    if not siblings and not (can_have_sibling(proxy) and "models" in proxy.section.sibling):
        return [chat]
    return [
        chat,
        Provider(
            id=_sibling(proxy),
            settings=_sibling_settings(proxy, url),
            below=_sibling_settings(proxy, url, below=True) if proxy.section.local else None,
            models={model.id: entry(model, proxy, in_sibling=True) for model in siblings},
        ),
    ]


def belongs_to_sibling(model: Model, proxy: Proxy) -> bool:
    section = proxy.section
    if model.route != "responses" or proxy.options.responses_provider == "inline":
        return False
    # The plugin would take the sibling for one more LiteLLM, and add every model to it.
    if not can_have_sibling(proxy) or section.plugin_place:
        return False
    if proxy.options.responses_provider == "sibling":
        return True
    if section.sibling_hidden:
        return False
    return model.id not in section.named_models or model.id in section.named_in_sibling or section.any_name


def stays(model: Model, proxy: Proxy) -> bool:
    """Tell whether a model of the sibling has to be found as X/ID as well, because that is what it is called."""
    if proxy.options.responses_provider == "sibling":
        return False
    return model.id in proxy.section.named_models or proxy.section.any_name


def can_have_sibling(proxy: Proxy) -> bool:
    """Tell whether a sibling would have a key: a literal one and one in auth.json serve only the id they are under."""
    own_key = not proxy.overrides and "apiKey" in mapping(proxy.section.sibling.get("options"))
    return proxy.key.reaches_sibling or own_key


def _main_settings(proxy: Proxy, url: ProxyURL, *, below: bool = False) -> dict[str, JSON]:
    written = proxy.section.written
    options = mapping(written.get("options"))
    settings: dict[str, JSON] = {}
    if "npm" not in written:
        settings["npm"] = CHAT_PACKAGE
    if "name" not in written:
        settings["name"] = shown_name(proxy)
    if proxy.overrides and proxy.key.reference is not None:
        connection: dict[str, JSON] = {"baseURL": url.base_url, "apiKey": proxy.key.reference}
    else:
        fields, connection = _connection(
            written, url, proxy.key.reference, local=proxy.section.local, below=below
        )
        settings.update(fields)
    headers = added_headers(proxy, options)
    if headers:
        connection["headers"] = headers
    if connection:
        settings["options"] = connection
    return settings


def _connection(
    users: Mapping[str, Any], url: ProxyURL, reference: Live | None, *, local: bool, below: bool
) -> tuple[dict[str, JSON], dict[str, JSON]]:
    """Return the fields and the options that say where a provider is and which key belongs there.

    A ``baseURL`` among the options never comes without its ``apiKey``: an inline payload stands above the
    configuration of every other folder, whose key would go there. Where the key is not ours to write (``reference``
    is None, or it stands in the project's configuration above us), opencode finds it by itself, and nothing here may
    get into its way.
    """
    own = base_url(users)
    stated = mapping(users.get("options")).get("apiKey") == reference
    if reference is not None and not (stated and local and below):
        # An empty key of the user's counts as none.
        complete = own is not None and stated and not local
        return {}, {} if complete else {"baseURL": own or url.base_url, "apiKey": reference}
    fields: dict[str, JSON] = {}
    if "env" not in users:
        # opencode 1.18: the last place where it looks for a key, before @ai-sdk/openai takes OPENAI_API_KEY.
        fields["env"] = [NO_KEY]
    if own is None:
        fields["api"] = url.base_url  # opencode 1.18: a baseURL beats it, wherever that stands
    elif local:
        # Where that layer is missing, a key must not end up at api.openai.com.
        fields["api"] = users.get("api", _NOWHERE)
    return fields, {}


def added_headers(proxy: Proxy, options: Mapping[str, Any]) -> dict[str, JSON]:
    """Return the headers beside those in the user's ``options``."""
    users = mapping(options.get("headers"))
    if proxy.overrides:
        # They are for the section's own URL; a merge cannot remove them, but an empty one says nothing.
        return dict.fromkeys(sorted(users), "")
    taken = {name.lower() for name in users}
    return {header.name: header.written for header in proxy.headers if header.name.lower() not in taken}


def _sibling_settings(proxy: Proxy, url: ProxyURL, *, below: bool = False) -> dict[str, JSON]:
    written, users = proxy.section.written, proxy.section.sibling
    settings: dict[str, JSON] = {
        "npm": RESPONSES_PACKAGE,
        "name": joined("", (users_name(proxy) or shown_name(proxy), " (Responses)")),
        **{name: written[name] for name in ("whitelist", "blacklist") if name in written},
    }
    fields, connection = _sibling_connection(proxy, url, below=below)
    settings = {**{name: value for name, value in settings.items() if name not in users}, **fields}
    if connection:
        settings["options"] = connection
    return settings


def _sibling_connection(proxy: Proxy, url: ProxyURL, *, below: bool) -> tuple[dict[str, JSON], dict[str, JSON]]:
    """Return the same as ``_connection`` for the sibling, with the options that it inherits."""
    written, users = proxy.section.written, proxy.section.sibling
    options, users_options = mapping(written.get("options")), mapping(users.get("options"))
    headers = added_headers(proxy, users_options)
    added: dict[str, JSON] = {"headers": headers} if headers else {}
    if proxy.overrides:
        return {}, {"baseURL": url.base_url, "apiKey": proxy.key.reference or PLACEHOLDER, **added}
    if proxy.section.sibling_root not in (None, url.root):
        # The user sends it elsewhere: neither the proxy's key nor its headers may go there.
        return {}, {} if "apiKey" in users_options else {"baseURL": base_url(users), "apiKey": PLACEHOLDER}
    reference = None if users_options.get("apiKey") else proxy.key.reference or PLACEHOLDER
    fields, connection = _connection(users, url, reference, local=proxy.section.local, below=below)
    if "baseURL" in connection and base_url(users) is None:
        connection["baseURL"] = base_url(written) or url.base_url
    inherited = {
        name: value
        for name, value in options.items()
        if name not in OUR_OPTIONS and name not in users_options and not may_be_secret(value)
    }
    return fields, {**connection, **inherited, **added}


def may_be_secret(value: object) -> bool:
    """Anything but a number or a switch could be, and is not repeated."""
    return not isinstance(value, bool | int | float)


def base_url(users: Mapping[str, Any]) -> str | None:
    """Return a section's own ``baseURL`` as the user wrote it."""
    text = mapping(users.get("options")).get("baseURL") or users.get("api")
    return text if isinstance(text, str) and text else None


def users_name(proxy: Proxy) -> str:
    name = proxy.section.written.get("name")
    return name if isinstance(name, str) else ""


def shown_name(proxy: Proxy) -> str:
    suffix = proxy.provider.removeprefix("litellm").strip("-_")
    return f"LiteLLM ({suffix})" if suffix else "LiteLLM"


def entry(model: Model, proxy: Proxy, *, in_sibling: bool = False) -> dict[str, JSON]:
    """Return a model as opencode wants it; a field that is not known is absent."""
    entry: dict[str, JSON] = {
        "name": model.name,
        # Written always: opencode 2 gives a model without them no tools and no inputs.
        "tool_call": model.tool_call,
        "modalities": {"input": list(model.inputs), "output": list(model.outputs)},
        "attachment": len(model.inputs) > 1,
        "reasoning": model.reasoning,
    }
    if model.owner:
        entry["organizationOwner"] = model.owner
    if model.limit:
        entry["limit"] = {"context": model.limit.context, "output": model.limit.output}
    if model.price:
        cost = _cost(model.price)
        if model.price_over_200k:
            cost["context_over_200k"] = _cost(model.price_over_200k)
        entry["cost"] = cost
    if model.temperature is not None:
        entry["temperature"] = model.temperature
    if model.interleaved:
        entry["interleaved"] = {"field": "reasoning_content"}
    variants = _variants(model)
    if variants:
        entry["variants"] = variants
    if model.route == "responses" and not in_sibling:
        entry["provider"] = {"npm": RESPONSES_PACKAGE}
    elif model.route == "chat" and proxy.section.written.get("npm") == RESPONSES_PACKAGE:
        entry["provider"] = {"npm": CHAT_PACKAGE}
    return entry


def _cost(price: Price) -> dict[str, JSON]:
    return {name: _shortest(amount) for name, amount in price.amounts.items()}


def _shortest(value: float) -> int | float:
    return int(value) if value.is_integer() else value


def _variants(model: Model) -> dict[str, JSON]:
    if not model.reasoning:
        return {}
    made = versions.VARIANTS[model.route]
    refused = [effort for effort in made if model.efforts is not None or effort in model.refused_efforts]
    variants: dict[str, JSON] = {effort: {"reasoningEffort": effort} for effort in model.sure_efforts}
    return {**variants, **{effort: {"disabled": True} for effort in refused if effort not in variants}}
