"""The payload for opencode 2: in version 1's format, adapted where version 2's server understands it differently.

Pure, like :mod:`opencode_litellm.opencode.payload`. Letters say how a rule is known: seen on the preview of that server
(P), read in the source of 2.0.26 (S), or seen on opencode 1.18, which reads the same file (V1).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from opencode_litellm import origin
from opencode_litellm.jsonc import Live, joined, mapping
from opencode_litellm.opencode import payload
from opencode_litellm.opencode.payload import CHAT_PACKAGE, RESPONSES_PACKAGE, Payload, Provider
from opencode_litellm.proxies import OUR_OPTIONS, PLACEHOLDER, SIBLING_SUFFIX

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from opencode_litellm.jsonc import JSON
    from opencode_litellm.models.catalog import Model
    from opencode_litellm.proxies import Defaults, Proxy, ProxyURL

# S: ignored, with a warning in the log for each model.
_UNKNOWN = ("reasoning", "attachment", "temperature", "organizationOwner")


def build(served: Sequence[tuple[Proxy, ProxyURL, Sequence[Model]]], defaults: Defaults) -> Payload:
    """Return the payload for proxies, each with its URL and the models that it serves."""
    here = [each for each in served if not is_elsewhere(each[0])]
    providers = tuple(provider for proxy, url, models in here for provider in _providers(proxy, url, models))
    return payload.assembled(providers, [proxy for proxy, _, _ in here], defaults)


def is_elsewhere(proxy: Proxy) -> bool:
    """Return whether the user's files, which may rank above ours, have an address, key or headers for another proxy.

    A key or header for one of them would go to the other.
    """
    written = proxy.section.written
    options = mapping(written.get("options"))
    own = payload.base_url(written) or options.get("apiKey") or options.get("headers")
    return proxy.overrides and bool(own)


def left_out(served: Sequence[tuple[Proxy, ProxyURL, Sequence[Model]]]) -> list[str]:
    """Return a message for each proxy and header that is left out because only variables could carry it."""
    notes = []
    for proxy, url, _ in served:
        if is_elsewhere(proxy):
            notes.append(
                f"provider {proxy.provider} has its own URL, key or headers in the configuration, which"
                f" opencode 2 would mix with those of {url.root}, so its models are not delivered: change them there"
            )
            continue
        notes += [
            f"options.{header.option}.{header.name} of provider {proxy.provider} may be a secret, so opencode 2's"
            " server does not get it: write {env:NAME} instead, and set NAME where the server starts"
            for header in proxy.headers
            if header.variable
        ]
    return notes


def _providers(proxy: Proxy, url: ProxyURL, models: Sequence[Model]) -> list[Provider]:
    new = [model for model in models if model.id not in proxy.written_models and _is_allowed(model, proxy)]
    siblings = [model for model in new if payload.belongs_to_sibling(model, proxy)]
    moved = {model.id for model in siblings if not payload.stays(model, proxy)}
    main = Provider(
        id=proxy.provider,
        settings=_settings(proxy, url),
        models={model.id: _entry(model, proxy) for model in new if model.id not in moved},
    )
    if not siblings and not (payload.can_have_sibling(proxy) and "models" in proxy.section.sibling):
        return [main]
    return [
        main,
        Provider(
            id=f"{proxy.provider}{SIBLING_SUFFIX}",
            settings=_sibling_settings(proxy, url),
            models={model.id: _entry(model, proxy, in_sibling=True) for model in siblings},
        ),
    ]


def _is_allowed(model: Model, proxy: Proxy) -> bool:
    """Apply the provider's whitelist and blacklist, which the server ignores (S)."""
    allowed, refused = (proxy.section.written.get(name) for name in ("whitelist", "blacklist"))
    if isinstance(refused, list) and model.id in refused:
        return False
    return not isinstance(allowed, list) or model.id in allowed


def _settings(proxy: Proxy, url: ProxyURL) -> dict[str, JSON]:
    written = proxy.section.written
    settings: dict[str, JSON] = {"npm": CHAT_PACKAGE, "name": payload.shown_name(proxy)}
    fields, options = _credential(proxy, written)
    if payload.base_url(written) is None:
        options = {"baseURL": url.base_url, **options}
    if headers := _headers(proxy, written):
        options["headers"] = headers
    return _beside(written, {**settings, **fields}, options)


def _sibling_settings(proxy: Proxy, url: ProxyURL) -> dict[str, JSON]:
    written, users = proxy.section.written, proxy.section.sibling
    name = joined("", (payload.users_name(proxy) or payload.shown_name(proxy), " (Responses)"))
    settings: dict[str, JSON] = {"npm": RESPONSES_PACKAGE, "name": name}
    if proxy.section.sibling_root not in ("", url.root):
        # The user sends it elsewhere: neither the proxy's key nor its headers may go there.
        stated = "apiKey" in mapping(users.get("options")) or "env" in users
        return _beside(users, settings, {} if stated else {"apiKey": PLACEHOLDER})
    fields, options = _credential(proxy, users)
    if "env" in fields:
        # V1: @ai-sdk/openai without a key takes OPENAI_API_KEY, even if the variable of `env` is not set.
        options["apiKey"] = Live(f"{{env:{_variable(proxy)}}}")
    elif not options and "apiKey" not in mapping(users.get("options")):
        options["apiKey"] = PLACEHOLDER
    if payload.base_url(users) is None:
        options = {"baseURL": payload.base_url(written) or url.base_url, **options}
    options |= {
        name: value
        for name, value in mapping(written.get("options")).items()
        if name not in OUR_OPTIONS and not payload.may_be_secret(value)
    }
    if headers := _headers(proxy, users):
        options["headers"] = headers
    return _beside(users, {**settings, **fields}, options)


def _beside(users: Mapping[str, Any], settings: dict[str, JSON], options: dict[str, JSON]) -> dict[str, JSON]:
    """Return the settings and options that the user has not set; ``headers`` always, which opencode merges."""
    set_already = mapping(users.get("options"))
    options = {name: value for name, value in options.items() if name == "headers" or name not in set_already}
    settings = {name: value for name, value in settings.items() if name not in users}
    return {**settings, "options": options} if options else settings


def _credential(proxy: Proxy, users: Mapping[str, Any]) -> tuple[dict[str, JSON], dict[str, JSON]]:
    """Return the field and the option that name the key of a provider; neither if opencode or the user has it.

    P and S: a stored credential, then the variable of ``env``, beat ``options.apiKey``, in which P does not resolve a
    reference.
    """
    if "env" in users:
        return {}, {}
    if name := _variable(proxy):
        return {"env": [name]}, {}
    return {}, {} if proxy.key.reference is None else {"apiKey": proxy.key.reference}


def _variable(proxy: Proxy) -> str:
    """Return the name of the variable that holds the key; empty if none does."""
    return origin.variable(proxy.key.origin) or payload.variable_of(proxy.key.reference)


def _headers(proxy: Proxy, users: Mapping[str, Any]) -> dict[str, JSON]:
    """Return our headers beside the user's own, without those that only variables could carry."""
    carried = {header.name for header in proxy.headers if header.variable}
    options = mapping(users.get("options"))
    return {name: value for name, value in payload.added_headers(proxy, options).items() if name not in carried}


def _entry(model: Model, proxy: Proxy, *, in_sibling: bool = False) -> dict[str, JSON]:
    """Return the entry of a model, always with ``variants``: without it the server invents low, medium and high (S)."""
    known = payload.entry(model, proxy, in_sibling=in_sibling)
    entry = {name: value for name, value in known.items() if name not in _UNKNOWN}
    # No disabled ones. P: such a variant becomes a real one, which sends "disabled" to the proxy.
    efforts = model.sure_efforts if model.reasoning else ()
    return {**entry, "variants": {effort: {"reasoningEffort": effort} for effort in efforts}}
