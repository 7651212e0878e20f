"""Keys and headers, read again from the places that a record names."""

from __future__ import annotations

from opencode_litellm import origin
from opencode_litellm.opencode.delivery import can_be_referred_to

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from opencode_litellm.launch.record import RecordedProxy


class Credentials:
    """The secrets of one environment and folder; the configuration is read only if it holds one of them.

    ``watched`` are the variables that have the value with which the record was made.
    """

    def __init__(self, environment: Mapping[str, str], folder: str, watched: Sequence[str] = ()) -> None:
        self._environment = environment
        self._watched = watched
        self._folder = folder
        self._providers: Mapping[str, object] | None = None

    def headers(self, proxy: RecordedProxy) -> dict[str, str] | None:
        """Return the headers for a request to ``proxy``; None if its key or a header is no longer where it was."""
        headers = {}
        if proxy.key_origin != origin.NOWHERE:
            secret = self._key(proxy.key_origin, proxy.provider)
            if not secret:
                return None
            headers["Authorization"] = f"Bearer {secret}"
        for header, option in proxy.headers.items():
            value = self.option(proxy.provider, option, header)
            if value is None:
                return None
            if header.lower() == "authorization":
                headers.pop("Authorization", None)
            headers[header] = value
        return headers

    def carried_secret(self, provider: str, origin_or_option: str, name: str) -> str | None:
        """Return a secret that a variable carries: the header ``name`` of an option, or the key if ``name`` is empty.

        ``origin_or_option`` is the option, or the key's origin. None or empty if the secret is no longer there.
        """
        if name:
            return self.option(provider, origin_or_option, name)
        variable = origin.variable(origin_or_option)
        return self._environment.get(variable, "").strip() if variable else self._key(origin_or_option, provider)

    def _key(self, key_origin: str, provider: str) -> str | None:
        if name := origin.variable(key_origin):
            value = self._environment.get(name, "")
            # The payload may refer to a variable. One that it cannot refer to, it did not refer to with the same value.
            return value.strip() if name in self._watched or can_be_referred_to(value) else None
        if key_origin == origin.SECTION:
            return (self.option(provider, "apiKey", "") or "").strip()
        if key_origin != origin.STORED:
            return None
        from opencode_litellm.settings import keys  # only for a key that opencode stores

        stored = keys.stored(self._environment, provider)
        return stored.secret if stored else None

    def option(self, provider: str, option: str, name: str) -> str | None:
        """Return the text of a provider's option, or of the field ``name`` in it; None if there is none."""
        if self._providers is None:
            from opencode_litellm.opencode import configuration  # JSON costs 6 ms

            section = configuration.read(self._environment, self._folder).resolved.get("provider")
            self._providers = section if isinstance(section, dict) else {}
        value: object = self._providers
        for part in (provider, "options", option):
            value = value.get(part) if isinstance(value, dict) else None
        if isinstance(value, dict):
            value = value.get(name)
        if isinstance(value, list):
            value = ",".join(item for item in value if isinstance(item, str))
        return value if isinstance(value, str) else None
