"""A proxy that looks like LiteLLM from outside and misbehaves on request.

For everything that a real one cannot be made to do: to be slow, mute, huge or hostile, to refuse, to redirect, to
change between two launches. It also answers inference (`Upstream`), to show what opencode sends to a proxy.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .server import Request, send, send_json
from .upstream import Upstream

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterable, Mapping
    from http.server import BaseHTTPRequestHandler

IDENTITY = "/health/liveliness"
MODELS = "/v1/models"
MODEL_INFO = "/v1/model/info"
MODEL_GROUP_INFO = "/model_group/info"
KEY_INFO = "/key/info"
RESPONSES = "/v1/responses"

_REFUSAL = {
    "error": {
        "message": "Authentication Error, Invalid proxy server token passed.",
        "type": "auth_error",
        "param": "None",
        "code": "401",
    }
}


@dataclass(frozen=True)
class Answer:
    """The answer of a path.

    ``delay`` is seconds before the first byte, ``dribble`` seconds after each byte of the body. ``mute`` is
    never to answer, ``endless`` to repeat the body until the client leaves, ``raw`` to write the body alone,
    without any HTTP around it but what it brings itself.
    """

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json"
    delay: float = 0.0
    dribble: float = 0.0
    mute: bool = False
    endless: bool = False
    raw: bool = False


class StubProxy(Upstream):
    """A scriptable LiteLLM.

    ``models`` are the ids of ``/v1/models``; the two info endpoints answer 404 until they are scripted. With
    ``key`` set, everything but the identity check wants it. ``prefix`` is the path that all stands under.
    """

    def __init__(
        self,
        models: Iterable[str] = (),
        *,
        key: str | None = None,
        prefix: str = "",
        port: int = 0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        super().__init__(port, tls=tls)
        self.key = key
        self.prefix = prefix
        self.answers: dict[str, Answer] = {}
        self.everywhere: Answer | None = None
        self.answer(IDENTITY, "I'm alive!")
        self.serve(models)

    @property
    def url(self) -> str:
        """The proxy's URL: with its prefix, without ``/v1``."""
        return self.root + self.prefix

    def serve(self, models: Iterable[str], *, delay: float = 0.0) -> None:
        """List these ids from now on, ``delay`` seconds after the question."""
        rows = [
            {"id": model, "object": "model", "created": 1677610602, "owned_by": "openai"} for model in models
        ]
        self.answer(MODELS, {"data": rows, "object": "list"}, delay=delay)

    def answer(
        self,
        path: str,
        body: object = b"",
        *,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        content_type: str = "application/json",
        delay: float = 0.0,
        dribble: float = 0.0,
        mute: bool = False,
        endless: bool = False,
        raw: bool = False,
    ) -> None:
        """Script a path, or with ``"*"`` every path; bytes are sent as they are, anything else as JSON."""
        content = body if isinstance(body, bytes) else json.dumps(body, separators=(",", ":")).encode()
        answer = Answer(content, status, headers or {}, content_type, delay, dribble, mute, endless, raw)
        if path == "*":
            self.everywhere = answer
        else:
            self.answers[path] = answer

    def redirect(self, path: str, target: str, *, status: int = 302) -> None:
        """Redirect requests for ``path`` to ``target``."""
        self.answer(path, status=status, headers={"Location": target})

    def answer_to(self, request: Request, connection: BaseHTTPRequestHandler) -> None:
        """Answer as scripted."""
        if not request.path.startswith(self.prefix + "/"):
            send_json(connection, {"detail": "Not Found"}, status=404)
            return
        path = request.path.removeprefix(self.prefix)
        if self.everywhere:
            self._send(self.everywhere, connection)
        elif path == RESPONSES and request.method == "GET" and path not in self.answers:
            send_json(connection, {"detail": "Method Not Allowed"}, status=405)
        elif self.key is not None and path != IDENTITY and request.key != self.key:
            send_json(connection, _REFUSAL, status=401)
        elif path in self.answers:
            self._send(self.answers[path], connection)
        elif request.method == "POST":
            super().answer_to(request, connection)
        else:
            send_json(connection, {"detail": "Not Found"}, status=404)

    def _send(self, answer: Answer, connection: BaseHTTPRequestHandler) -> None:
        if answer.mute:
            self.closing.wait()
            connection.close_connection = True
        elif self.closing.wait(answer.delay):
            connection.close_connection = True
        elif answer.raw or answer.endless or answer.dribble:
            self._trickle(answer, connection)
        else:
            send(
                connection,
                answer.body,
                status=answer.status,
                content_type=answer.content_type,
                headers=answer.headers,
            )

    def _trickle(self, answer: Answer, connection: BaseHTTPRequestHandler) -> None:
        connection.close_connection = True
        if not answer.raw:
            connection.send_response(answer.status)
            connection.send_header("Content-Type", answer.content_type)
            connection.send_header("Connection", "close")
            if not answer.endless:
                connection.send_header("Content-Length", str(len(answer.body)))
            connection.end_headers()
        while True:
            pieces = [answer.body] if not answer.dribble else [bytes([byte]) for byte in answer.body]
            for piece in pieces:
                connection.wfile.write(piece)
                if self.closing.wait(answer.dribble):
                    return
            if not answer.endless:
                return
