"""Which models opencode 1.18 uses for a session for which nobody has chosen any, according to its embedded source."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from opencode_litellm.jsonc import mapping

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from opencode_litellm.opencode.configuration import Configuration
    from opencode_litellm.opencode.payload import Payload
    from opencode_litellm.proxies import Defaults

# The order in which opencode 1.18 prefers models of one provider, the last one most.
_PREFERRED = ("gpt-5", "claude-sonnet-4", "big-pickle", "gemini-3-pro")


class FreshSessions(NamedTuple):
    """The model of a fresh session and that of its title (empty: the same), each with the reason for it.

    ``are_ours`` tells whether both belong to our providers.
    """

    model: str
    title: str
    are_ours: bool


def of_fresh_sessions(configuration: Configuration, defaults: Defaults, payload: Payload) -> FreshSessions:
    """Return the models of a fresh session, given a configuration and the payload that is added to it."""
    ours = {provider.id for provider in payload.providers}
    model, reason = next(_models(configuration, defaults, payload), ("", ""))
    small, small_reason = next(_small_models(configuration, defaults, payload), ("", ""))
    return FreshSessions(
        f"{model} ({reason})" if model else _nothing_set(payload),
        f"{small} ({small_reason})" if small else "",
        all(name.partition("/")[0] in ours for name in (model, small or model)),
    )


def _models(configuration: Configuration, defaults: Defaults, payload: Payload) -> Iterator[tuple[str, str]]:
    """Yield each candidate with the reason for it, in opencode's order of preference."""
    agent = configuration.resolved.get("default_agent") or "build"
    for group in ("agent", "mode"):
        for path, name in configuration.stated(group, str(agent), "model"):
            yield str(name), f"agent {agent} in {path}"
    for path, name in configuration.stated("model"):
        yield str(name), f"model in {path}"
    if default := payload.settings.get("model"):
        yield str(default), defaults.model[0].source
    sections = mapping(configuration.resolved.get("provider"))
    ours = {provider.id: {*provider.models, *_written(sections, provider.id)} for provider in payload.providers}
    listed = {f"{provider}/{model}" for provider, models in ours.items() for model in models}
    for name in configuration.recent_models:
        provider = name.partition("/")[0]
        if name in listed or (provider not in ours and (defaults.only is None or provider in defaults.only)):
            yield name, "last used"
    if defaults.only is not None and (first := _first(payload)):
        yield first, "opencode's own choice, because nothing is set"


def _small_models(configuration: Configuration, defaults: Defaults, payload: Payload) -> Iterator[tuple[str, str]]:
    for path, name in configuration.stated("small_model"):
        yield str(name), f"small_model in {path}"
    if default := payload.settings.get("small_model"):
        yield str(default), defaults.small_model[0].source


def _written(sections: Mapping[str, object], provider: str) -> Mapping[str, object]:
    return mapping(mapping(sections.get(provider)).get("models"))


def _nothing_set(payload: Payload) -> str:
    return (
        "nothing is set, so opencode's interface and editors use a model of another provider (OpenCode Zen, unless"
        f" you have logged in elsewhere), and opencode run uses {_first(payload) or 'any model'}"
    )


def _first(payload: Payload) -> str:
    """Return the model that opencode 1.18 chooses by itself from the first provider that has any."""
    for provider in payload.providers:
        if names := _sorted(list(provider.models)):
            return f"{provider.id}/{names[0]}"
    return ""


def _sorted(models: Sequence[str]) -> list[str]:
    def rank(model: str) -> int:
        return next((index for index, part in enumerate(_PREFERRED) if part in model), -1)

    by_name = sorted(models, reverse=True)
    return sorted(by_name, key=lambda model: (-rank(model), "latest" not in model))
