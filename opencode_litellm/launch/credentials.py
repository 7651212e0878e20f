"""Keys and headers, found again where a record says that they are."""

from __future__ import annotations

from opencode_litellm.opencode.delivery import can_be_referred_to

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from opencode_litellm.launch.record import Source


class Credentials:
    """The secrets of one environment and folder; the configuration is read only when it holds one that is wanted."""

    def __init__(self, environment: Mapping[str, str], folder: str) -> None:
        self._environment = environment
        self.folder = folder
        self._providers: Mapping[str, object] | None = None

    def headers(self, source: Source) -> dict[str, str] | None:
        """Return the headers for a request to ``source``; None when its key is not where it was."""
        headers = {}
        kind, _, name = source.found_in.partition(" ")
        if kind != "nowhere":
            secret = self._key(kind, name, source.provider)
            if not secret:
                return None
            headers["Authorization"] = f"Bearer {secret}"
        for header, option in source.headers.items():
            value = self.option(source.provider, option, header)
            if value is None:
                return None
            if header.lower() == "authorization":
                headers.pop("Authorization", None)
            headers[header] = value
        return headers

    def _key(self, kind: str, name: str, provider: str) -> str | None:
        if kind == "environment":
            value = self._environment.get(name, "")
            return value if can_be_referred_to(value) else None
        if kind == "section":
            return (self.option(provider, "apiKey", "") or "").strip()
        from opencode_litellm.settings import keys  # only for a key that opencode stores

        stored = keys.stored(self._environment, provider)
        return stored.secret if stored else None

    def option(self, provider: str, option: str, name: str) -> str | None:
        """Return the text of an option of a section, or of the field ``name`` in it."""
        if self._providers is None:
            from opencode_litellm.opencode import configuration  # JSON costs 6 ms

            section = configuration.read(self._environment, self.folder).resolved.get("provider")
            self._providers = section if isinstance(section, dict) else {}
        value: object = self._providers
        for part in (provider, "options", option):
            value = value.get(part) if isinstance(value, dict) else None
        if isinstance(value, dict):
            value = value.get(name)
        if isinstance(value, list):
            value = ",".join(item for item in value if isinstance(item, str))
        return value if isinstance(value, str) else None
