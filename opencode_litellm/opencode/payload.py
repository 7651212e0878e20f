"""The payload: the part of an opencode configuration that is ours, and nothing else.

Pure, and valid by construction, because opencode 1.18 refuses to start on a single entry that it cannot read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TYPE_CHECKING, Any

from opencode_litellm.jsonc import Live, joined, mapping
from opencode_litellm.models.preference import Name, first_match
from opencode_litellm.opencode import versions
from opencode_litellm.opencode.delivery import MARKER
from opencode_litellm.proxies import OUR_OPTIONS, PLACEHOLDER, SIBLING_SUFFIX, Defaults
from opencode_litellm.variables import NO_KEY

if TYPE_CHECKING:
    from opencode_litellm.jsonc import JSON
    from opencode_litellm.litellm.prices import Price
    from opencode_litellm.models.catalog import Model
    from opencode_litellm.proxies import Proxy, ProxyURL

CHAT_PACKAGE = "@ai-sdk/openai-compatible"
RESPONSES_PACKAGE = "@ai-sdk/openai"

_NO_DEFAULTS = Defaults()
_VARIABLE = re.compile(r"\{env:(\w+)\}")
_NOWHERE = "none"  # opencode 1.18 sends nothing to an address that is not a URL


class Place(Enum):
    """Where a payload ranks: above every folder's configuration (``env``, ``config``, a launch) or below it."""

    ABOVE = "above"
    LAUNCH = "launch"
    BELOW = "below"


@dataclass(frozen=True)
class Provider:
    """A ``provider`` section: ``models`` maps ids to entries, ``settings`` are all other fields.

    ``settings`` are for a payload above every folder's configuration, in any environment. ``below`` replaces them in a
    payload below the project's configuration, ``carrying`` in a launch, which has secrets in variables.
    """

    id: str
    settings: Mapping[str, JSON]
    models: Mapping[str, Mapping[str, JSON]]
    below: Mapping[str, JSON] | None = None
    carrying: Mapping[str, JSON] | None = None


@dataclass(frozen=True)
class Payload:
    """Providers in order, under the ``$schema`` by which our own deliveries are recognised.

    ``settings`` are opencode's other settings: the models of a fresh session, which a project's configuration may
    replace. ``restrictions`` are those that nothing may replace: which providers there are.
    ``loopback_hosts`` are the hosts of proxies on this machine, ``detected`` the root URLs of proxies that were
    detected. ``above_project`` tells that the payload must rank above a project's configuration.
    """

    providers: tuple[Provider, ...]
    settings: Mapping[str, JSON] = field(default_factory=dict)
    restrictions: Mapping[str, JSON] = field(default_factory=dict)
    schema: str = MARKER
    loopback_hosts: frozenset[str] = frozenset()
    detected: tuple[str, ...] = ()
    above_project: bool = False

    @property
    def head(self) -> Payload:
        """The part that must rank above a project's configuration: the restrictions, and addresses with their keys."""
        providers = tuple(replace(provider, models={}) for provider in self.providers)
        return Payload(providers, restrictions=self.restrictions)

    @property
    def restrictions_alone(self) -> Payload:
        """The restrictions alone."""
        return Payload((), restrictions=self.restrictions)

    @property
    def foot(self) -> Payload:
        """The part that a project's configuration may replace."""
        return Payload((), settings=self.settings)

    def placed(self, place: Place) -> Payload:
        """Return the payload with the settings for its place."""

        def settings(provider: Provider) -> Mapping[str, JSON]:
            here = {Place.BELOW: provider.below, Place.LAUNCH: provider.carrying}.get(place)
            return provider.settings if here is None else here

        return replace(
            self, providers=tuple(replace(provider, settings=settings(provider)) for provider in self.providers)
        )

    @property
    def model_count(self) -> int:
        """How many models the payload adds."""
        return sum(len(provider.models) for provider in self.providers)


def build(
    served: Sequence[tuple[Proxy, ProxyURL, Sequence[Model]]], defaults: Defaults = _NO_DEFAULTS
) -> Payload:
    """Return the payload for proxies, each with its URL and the models that it serves."""
    providers = tuple(provider for proxy, url, models in served for provider in _providers(proxy, url, models))
    return replace(
        assembled(providers, [proxy for proxy, _, _ in served], defaults),
        loopback_hosts=frozenset(url.host for _, url, _ in served if url.is_loopback),
        detected=tuple(url.root for proxy, url, _ in served if proxy.detected),
        above_project=any(proxy.beats_project or proxy.secrets_need_url for proxy, _, _ in served),
    )


def assembled(providers: tuple[Provider, ...], proxies: Sequence[Proxy], defaults: Defaults) -> Payload:
    """Return the payload with ``providers``, and with the default models and the restrictions that the user wants."""
    names = [name for proxy in proxies for name in _names(proxy, providers)]
    wishes = {"model": defaults.model, "small_model": defaults.small_model}
    settings = {setting: first_match(wanted, names) for setting, wanted in wishes.items()}
    return Payload(
        providers,
        {setting: str(name) for setting, name in settings.items() if name},
        dict(defaults.restrictions),
    )


def _names(proxy: Proxy, providers: Sequence[Provider]) -> Iterator[Name]:
    """Yield the models of a proxy that opencode will have, including the user's own."""
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
    new = [model for model in models if model.id not in proxy.written_models]
    siblings = [model for model in new if belongs_to_sibling(model, proxy)]
    moved = {model.id for model in siblings if not stays(model, proxy)}
    chat = Provider(
        id=proxy.provider,
        settings=_main_settings(proxy, url, Place.ABOVE),
        below=_main_settings(proxy, url, Place.BELOW),
        carrying=_main_settings(proxy, url, Place.LAUNCH),
        models={model.id: entry(model, proxy) for model in new if model.id not in moved},
    )
    if not siblings and not (can_have_sibling(proxy) and "models" in proxy.section.sibling):
        return [chat]
    return [
        chat,
        Provider(
            id=_sibling(proxy),
            settings=_sibling_settings(proxy, url, Place.ABOVE),
            below=_sibling_settings(proxy, url, Place.BELOW),
            carrying=_sibling_settings(proxy, url, Place.LAUNCH),
            models={model.id: entry(model, proxy, in_sibling=True) for model in siblings},
        ),
    ]


def belongs_to_sibling(model: Model, proxy: Proxy) -> bool:
    section = proxy.section
    if model.route != "responses" or proxy.options.responses_provider == "inline":
        return False
    # The plugin would take the sibling for another LiteLLM, and add every model to it.
    if not can_have_sibling(proxy) or section.plugin_file:
        return False
    if proxy.options.responses_provider == "sibling":
        return True
    if section.sibling_hidden:
        return False
    if section.sibling_stored and model.id not in section.named_in_sibling:
        return False  # that key is for another address, which another folder has
    return model.id not in section.named_models or model.id in section.named_in_sibling or section.any_name


def stays(model: Model, proxy: Proxy) -> bool:
    """Return whether a model of the sibling has to be available as X/ID too, because something may name it so."""
    if proxy.options.responses_provider == "sibling":
        return False
    return model.id in proxy.section.named_models or proxy.section.any_name


def can_have_sibling(proxy: Proxy) -> bool:
    """Return whether a sibling would have a key, and would be ours.

    A literal key and one in auth.json serve only the provider id that they are under. A key from one folder's
    configuration would go to another folder's sibling.
    """
    if proxy.sibling_is_elsewhere:
        return False
    own_key = not proxy.overrides and "apiKey" in mapping(proxy.section.sibling.get("options"))
    of_folder = proxy.section.local and _stands_in(proxy.section.written, proxy.key.reference)
    return own_key or (proxy.key.reaches_sibling and not of_folder)


def _main_settings(proxy: Proxy, url: ProxyURL, place: Place) -> dict[str, JSON]:
    written = proxy.section.written
    settings: dict[str, JSON] = {}
    if "npm" not in written:
        settings["npm"] = CHAT_PACKAGE
    if "name" not in written:
        settings["name"] = shown_name(proxy)
    reference = _reference(proxy, place)
    headers = added_headers(proxy, mapping(written.get("options")))
    if reference is not None and (proxy.overrides or proxy.secrets_need_url) and place is not Place.BELOW:
        address = None if proxy.overrides else base_url(written)
        settings["options"] = {"baseURL": address or url.base_url, "apiKey": reference, **_option(headers)}
        return settings
    if place is Place.BELOW:
        fields, connection = _below(written, url, reference, local=proxy.section.local, stored=proxy.section.stored)
    else:
        fields, connection = _above(written, url, reference, local=proxy.section.local)
    if place is Place.BELOW and proxy.section.local_env and "apiKey" not in connection:
        fields["env"] = [NO_KEY]  # for other folders: this one's own replaces it
    connection |= _option(_emptied(headers))
    return {**settings, **fields, **({"options": connection} if connection else {})}


def _reference(proxy: Proxy, place: Place) -> Live | None:
    """Return the reference to the key: a launch can carry even a literal key, in a variable."""
    if place is Place.LAUNCH and proxy.key_variable:
        return Live(f"{{env:{proxy.key_variable}}}")
    return proxy.key.reference


def _above(
    users: Mapping[str, Any], url: ProxyURL, reference: Live | None, *, local: bool
) -> tuple[dict[str, JSON], dict[str, JSON]]:
    """Return the fields and the options that say where a provider is and which key belongs there.

    A ``baseURL`` among the options never comes without its ``apiKey``: an inline payload ranks above the configuration
    of every other folder, whose key would go there. If the key is not ours to write (``reference`` is None), opencode
    finds it by itself, and nothing here may get in its way.
    """
    own = base_url(users)
    if reference is not None:
        # An empty key of the user's counts as none.
        complete = own is not None and mapping(users.get("options")).get("apiKey") == reference and not local
        return {}, {} if complete else {"baseURL": own or url.base_url, "apiKey": reference}
    return {**_without_fallback(users), **_weak_address(users, url, local=local)}, {}


def _below(
    users: Mapping[str, Any], url: ProxyURL, reference: Live | None, *, local: bool, stored: bool
) -> tuple[dict[str, JSON], dict[str, JSON]]:
    """Return the same for a payload below the project's configuration, which may differ in the next project.

    The address is given as ``api``: opencode 1.18 prefers any ``baseURL`` to it, and another project's ``api`` replaces
    it. A key that is in a section is not repeated, because in the next project it would go to another address. Any
    other key is named in ``env``, which opencode 1.18 takes last, after anything that the next project says about its
    own key. It would take one that is ``stored`` before that, so then the key is given as ``apiKey``.
    """
    fields = _weak_address(users, url, local=local)
    if reference is None or _stands_in(users, reference):
        return {**_without_fallback(users), **fields}, {}
    variable = NO_KEY if reference == PLACEHOLDER else variable_of(reference)
    if not variable or stored or "env" in users:
        return fields, {"apiKey": reference}
    return {"env": [variable], **fields}, {}


def variable_of(reference: str | None) -> str:
    """Return the name of the variable that a reference to a key consists of; empty if it is anything else."""
    stated = _VARIABLE.fullmatch(reference or "")
    return stated[1] if stated else ""


def _stands_in(users: Mapping[str, Any], reference: Live | None) -> bool:
    """Return whether a section already refers to this key itself."""
    names = users.get("env")
    return mapping(users.get("options")).get("apiKey") == reference or (
        isinstance(names, list) and [f"{{env:{name}}}" for name in names] == [reference]
    )


def _without_fallback(users: Mapping[str, Any]) -> dict[str, JSON]:
    # opencode 1.18: the last place where it looks for a key, before @ai-sdk/openai takes OPENAI_API_KEY.
    return {} if "env" in users else {"env": [NO_KEY]}


def _weak_address(users: Mapping[str, Any], url: ProxyURL, *, local: bool) -> dict[str, JSON]:
    """Return the address as ``api``, for where it must not be among the options."""
    if base_url(users) is None:
        return {"api": url.base_url}  # opencode 1.18: a baseURL in any layer beats it
    # In a folder without the layer that has the address, a key must not go to api.openai.com.
    return {"api": users.get("api", _NOWHERE)} if local else {}


def added_headers(proxy: Proxy, options: Mapping[str, Any]) -> dict[str, JSON]:
    """Return our headers beside those in the user's ``options``; an empty one cancels the user's."""
    stated = mapping(options.get("headers"))
    if proxy.overrides:
        # The user's are for the section's own URL. A merge cannot remove them, but it can make them empty.
        return dict.fromkeys(sorted(stated), "")
    taken = {name.lower() for name in stated}
    headers: dict[str, JSON] = {
        header.name: header.written for header in proxy.headers if header.name.lower() not in taken
    }
    taken |= {name.lower() for name in headers}
    outdated = mapping(mapping(proxy.section.output.get("options")).get("headers"))
    return headers | {name: "" for name in sorted(outdated) if name.lower() not in taken}


def _emptied(headers: Mapping[str, JSON]) -> dict[str, JSON]:
    """Return only the added headers that cancel another one: the others must not go without their address."""
    return {name: value for name, value in headers.items() if not value}


def _option(headers: dict[str, JSON]) -> dict[str, JSON]:
    return {"headers": headers} if headers else {}


def _sibling_settings(proxy: Proxy, url: ProxyURL, place: Place) -> dict[str, JSON]:
    written, users = proxy.section.written, proxy.section.sibling
    settings: dict[str, JSON] = {
        "npm": RESPONSES_PACKAGE,
        "name": joined("", (users_name(proxy) or shown_name(proxy), " (Responses)")),
        **{name: written[name] for name in ("whitelist", "blacklist") if name in written},
    }
    fields, connection = _sibling_connection(proxy, url, place)
    fields = {**_without_fallback(users), **fields}
    settings = {**{name: value for name, value in settings.items() if name not in users}, **fields}
    if connection:
        settings["options"] = connection
    return settings


def _sibling_connection(
    proxy: Proxy, url: ProxyURL, place: Place
) -> tuple[dict[str, JSON], dict[str, JSON]]:
    """Return the same as ``_above`` and ``_below`` for the sibling, with the options that it inherits."""
    written, users = proxy.section.written, proxy.section.sibling
    options, users_options = mapping(written.get("options")), mapping(users.get("options"))
    headers = added_headers(proxy, users_options)
    own_key = users_options.get("apiKey")
    reference = _reference(proxy, place) or PLACEHOLDER
    if proxy.overrides and place is not Place.BELOW:
        return {}, {"baseURL": url.base_url, "apiKey": reference, **_option(headers)}
    inherited = {
        name: value
        for name, value in options.items()
        if name not in OUR_OPTIONS and name not in users_options and not may_be_secret(value)
    }
    if proxy.secrets_need_url and place is not Place.BELOW and (not own_key or isinstance(own_key, Live)):
        address = base_url(users) or base_url(written) or url.base_url
        return {}, {"baseURL": address, "apiKey": own_key or reference, **inherited, **_option(headers)}
    ours, local = None if own_key else reference, proxy.section.local
    if place is Place.BELOW:
        fields, connection = _below(users, url, ours, local=local, stored=proxy.section.sibling_stored)
    else:
        fields, connection = _above(users, url, ours, local=local)
    if "baseURL" in connection and base_url(users) is None:
        connection["baseURL"] = base_url(written) or url.base_url
    if "api" in fields and not local:
        fields["api"] = base_url(written) or url.base_url
    return fields, {**connection, **inherited, **_option(_emptied(headers))}


def may_be_secret(value: object) -> bool:
    """Return whether an option could hold a secret, so that it is not repeated: anything but a number or a boolean."""
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
    """Return the entry of a model as opencode expects it; unknown fields are absent."""
    fields: dict[str, JSON] = {
        "name": model.name,
        # Always written: opencode 2 gives a model without them no tools and no inputs.
        "tool_call": model.tool_call,
        "modalities": {"input": list(model.inputs), "output": list(model.outputs)},
        "attachment": len(model.inputs) > 1,
        "reasoning": model.reasoning,
        "organizationOwner": model.owner or None,
        "limit": {"context": model.limit.context, "output": model.limit.output} if model.limit else None,
        "cost": _costs(model),
        "temperature": model.temperature,
        "interleaved": {"field": "reasoning_content"} if model.interleaved else None,
        "variants": _variants(model) or None,
        "provider": _package(model, proxy, in_sibling=in_sibling),
    }
    return {name: value for name, value in fields.items() if value is not None}


def _package(model: Model, proxy: Proxy, *, in_sibling: bool) -> dict[str, JSON] | None:
    """Return the ``provider`` of a model that needs another package than its provider's other models; else None."""
    if model.route == "responses" and not in_sibling:
        return {"npm": RESPONSES_PACKAGE}
    if model.route == "chat" and proxy.section.written.get("npm") == RESPONSES_PACKAGE:
        return {"npm": CHAT_PACKAGE}
    return None


def _costs(model: Model) -> dict[str, JSON] | None:
    if model.price is None:
        return None
    tier = {"context_over_200k": _cost(model.price_over_200k)} if model.price_over_200k else {}
    return {**_cost(model.price), **tier}


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
