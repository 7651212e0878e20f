"""Where opencode 1.18.33 sends which secrets, as it was seen to: its layers, its keys, its way through an HTTP proxy.

Nothing of ours is asked here. The cases that go through the real opencode hold this to what that sends.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

CHAT, RESPONSES = "@ai-sdk/openai-compatible", "@ai-sdk/openai"
_VENDOR = "https://api.openai.com/v1"  # where RESPONSES goes without an address


@dataclass(frozen=True)
class Sent:
    """A request for a model: the URL of who gets it, an HTTP proxy's on the way, and all header values."""

    provider: str
    model: str
    url: str
    via: str
    values: tuple[str, ...]


def merged(environment: Mapping[str, str], folder: Path) -> dict[str, Any]:
    """Return the ``provider`` object of all layers."""
    result: dict[str, Any] = {}
    for _, text in layers(environment, folder):
        substituted = re.sub(r"\{env:([^}]+)\}", lambda match: environment.get(match[1], ""), text)
        result = _over(result, json.loads(substituted))
    providers: dict[str, Any] = result.get("provider", {})
    return providers


def sendings(environment: Mapping[str, str], folder: Path) -> Iterator[Sent]:
    """Yield what a prompt to some model of each provider sends."""
    stored = json.loads(Path(environment["XDG_DATA_HOME"], "opencode", "auth.json").read_text())
    for name, section in merged(environment, folder).items():
        options = section.get("options", {})
        usual = section.get("npm") or CHAT
        models = section.get("models", {}).items()
        # One model of each package, which is what the key and the address depend on.
        packages = {model.get("provider", {}).get("npm", usual): name for name, model in sorted(models)}
        for package, model in sorted(packages.items()):
            url = options.get("baseURL") or section.get("api") or (_VENDOR if package == RESPONSES else "")
            if not urlsplit(url).netloc:
                continue
            key = _key(name, section, package, stored, environment)
            values = (*filter(None, (key,)), *options.get("headers", {}).values())
            yield Sent(name, model, url, _via(url, environment), values)


def layers(environment: Mapping[str, str], folder: Path) -> Iterator[tuple[str, str]]:
    """Yield the place and the text of each configuration that counts in a folder, the lowest first.

    The place is ``global``, ``custom``, ``inline``, or the path of a file in the folder.
    """
    files = {"global": Path(environment["XDG_CONFIG_HOME"], "opencode", "opencode.json")}
    if custom := environment.get("OPENCODE_CONFIG"):
        files["custom"] = Path(custom)
    files |= {str(folder / name): folder / name for name in ("opencode.json", ".opencode/opencode.json")}
    yield from ((place, file.read_text()) for place, file in files.items() if file.is_file())
    if content := environment.get("OPENCODE_CONFIG_CONTENT"):
        yield "inline", content


def _over(lower: Any, upper: Any) -> Any:
    if not (isinstance(lower, dict) and isinstance(upper, dict)):
        return upper
    return {**lower, **{name: _over(lower.get(name), value) for name, value in upper.items()}}


def _key(
    name: str, section: dict[str, Any], package: str, stored: dict[str, Any], environment: Mapping[str, str]
) -> str:
    """Return the key that is sent, empty for none. Another than `apiKey` counts only where that is absent."""
    options = section.get("options", {})
    if "apiKey" in options:
        return str(options["apiKey"])
    if name in stored:
        return str(stored[name]["key"])
    names = section.get("env", [])
    if len(names) == 1 and environment.get(names[0]):
        return environment[names[0]]
    return environment.get("OPENAI_API_KEY", "") if package == RESPONSES else ""


def _via(url: str, environment: Mapping[str, str]) -> str:
    """Return the HTTP proxy on the way; Bun has no ALL_PROXY, and takes the small letters first."""
    scheme, host, port = urlsplit(url).scheme, urlsplit(url).hostname or "", urlsplit(url).port
    chosen = environment.get(f"{scheme}_proxy") or environment.get(f"{scheme.upper()}_PROXY") or ""
    spared = environment.get("no_proxy") or environment.get("NO_PROXY") or ""
    direct = any(place.strip().lower() in ("*", host, f"{host}:{port}") for place in spared.split(","))
    return "" if direct else chosen
