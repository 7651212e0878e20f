"""The rest of the world: an HTTP proxy that notes which hosts are asked for, and lets nobody through."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .server import Request, Server, send

if TYPE_CHECKING:
    from collections.abc import Mapping
    from http.server import BaseHTTPRequestHandler

# opencode fetches packages for its plugins, and its list of models; no prompt goes there.
_NO_PROVIDERS = ("registry.npmjs.org", "models.dev")


class BlockingProxy(Server):
    """Refuses every connection to another machine, and every request."""

    def environment(self, home: Mapping[str, str]) -> dict[str, str]:
        """Return the environment of a home that reaches the world through this, with keys for some of its providers."""
        ways = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), self.root)
        direct = dict.fromkeys(("NO_PROXY", "no_proxy"), "127.0.0.1,localhost")
        keys = {"ANTHROPIC_API_KEY": "sk-ant-of-mine", "OPENAI_API_KEY": "sk-of-mine"}
        return {**home, **ways, **direct, **keys}

    def asked(self) -> set[str]:
        """Return the hosts that were asked for, except those that are not providers of models."""
        hosts = {request.path.removeprefix("http://").partition("/")[0].partition(":")[0] for request in self.requests}
        return hosts - {*_NO_PROVIDERS}

    def answer_to(self, request: Request, connection: BaseHTTPRequestHandler) -> None:  # noqa: ARG002 - one answer
        """Refuse the request."""
        send(connection, b"", status=403)
        connection.close_connection = True
