"""An HTTP server in a thread, on a free loopback port, that remembers what it was asked."""

from __future__ import annotations

import json
import secrets
import socket
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping


@dataclass(frozen=True)
class Request:
    """One request as received; ``path`` has no query, header names are in lower case."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes

    @property
    def json(self) -> Any:
        """The body, parsed."""
        return json.loads(self.body)

    @property
    def key(self) -> str | None:
        """The part of ``Authorization`` after ``Bearer``; None without that header."""
        header = self.headers.get("authorization")
        return None if header is None else header.removeprefix("Bearer").strip()


def free_port() -> int:
    """Return a loopback port that nobody listens on, and that no other test gets by chance.

    A program that asks for any port gets one from 32768 on in Linux, a higher one elsewhere: if we returned one of
    those, another test's server could get it before a slow program has bound it.
    """
    while True:
        # Not from `random`, which hypothesis seeds, so that each worker would take the same port.
        port = 10_000 + secrets.randbelow(22_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


class Server:
    """A server for the time of a ``with`` block; a subclass decides what it answers.

    With ``tls`` it speaks HTTPS.
    """

    def __init__(self, port: int = 0, *, tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[Request] = []
        self.closing = threading.Event()
        owner = self

        class Connection(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                path, _, query = self.path.partition("?")
                headers = {name.lower(): value for name, value in self.headers.items()}
                body = self.rfile.read(int(headers.get("content-length", "0")))
                request = Request(self.command, path, query, headers, body)
                owner.requests.append(request)
                owner.answer_to(request, self)

            do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = do_CONNECT = answer  # noqa: N815 - http.server's names

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's signature
                """Print nothing: the requests are recorded."""

        self._server = _QuietServer(("127.0.0.1", port), Connection)
        self._scheme = "https" if tls else "http"
        if tls:
            self._server.socket = tls.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    @property
    def port(self) -> int:
        """The port that it listens on."""
        port: int = self._server.server_address[1]
        return port

    @property
    def root(self) -> str:
        """Its URL without a final slash."""
        return f"{self._scheme}://127.0.0.1:{self.port}"

    def paths(self) -> list[str]:
        """Return the paths asked for so far, in order."""
        return [request.path for request in self.requests]

    def answer_to(self, request: Request, connection: BaseHTTPRequestHandler) -> None:
        """Write the answer to one request."""
        raise NotImplementedError

    def __enter__(self) -> Any:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop listening and abandon every answer that is still on its way; harmless if called twice."""
        self.closing.set()
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()


class _QuietServer(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = True
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        """Print nothing if a client leaves early, which is expected in a test of slow answers."""


def send(
    connection: BaseHTTPRequestHandler,
    body: bytes,
    *,
    status: int = 200,
    content_type: str = "application/json",
    headers: Mapping[str, str] | None = None,
) -> None:
    """Write a whole answer of known length."""
    connection.send_response(status)
    for name, value in {
        "Content-Type": content_type,
        "Content-Length": str(len(body)),
        **(headers or {}),
    }.items():
        connection.send_header(name, value)
    connection.end_headers()
    if connection.command != "HEAD":
        connection.wfile.write(body)


def send_json(connection: BaseHTTPRequestHandler, value: object, *, status: int = 200) -> None:
    """Write a value as JSON, in the compact form of FastAPI, which LiteLLM is built on."""
    send(
        connection,
        json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode(),
        status=status,
    )
