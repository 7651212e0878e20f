"""Asking a proxy over a bare socket: a launch its one cheap question, ``GET /v1/models``, a discovery the others too.

``requests`` would cost ten times what the interpreter does. Whatever is unusual here (a redirect, an HTTP proxy that
is reached over TLS, an answer that is not plain) is left to
:mod:`opencode_litellm.litellm.connection`, which does all of that well.
"""

from __future__ import annotations

import _socket
import _thread
import time

from opencode_litellm import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

MODELS = "/v1/models"
LIVELINESS = "/health/liveliness"
LARGEST_LIST = 32 * 2**20  # bytes; 10,000 models are 1.6 MB of /v1/models

_LARGEST_HEAD = 64 * 2**10  # bytes
_PIECE = 2**18  # bytes
_NOBODY = "who listens there does not say that it is LiteLLM"
_IDENTITY = b'"I\'m alive!"'  # LiteLLM 1.106: the whole answer of GET /health/liveliness, without a key
_LONGEST_NUMBER = 15  # digits


class Unusual(Exception):
    """The answer, or the way to it, needs more than a bare socket."""


class Late(Exception):
    """The answer is not here when patience ends."""


class Question:
    """Where to ask, and how.

    ``prefix`` is the path before ``/v1``; ``identify`` tells that LiteLLM has to identify itself first, without
    a key (False from then on); ``patience`` is in seconds. ``via`` is the URL of an HTTP proxy on the way, empty
    without one.
    """

    __slots__ = ("headers", "host", "identify", "patience", "port", "prefix", "tls", "via")

    def __init__(  # noqa: PLR0913 - a plain record, without the 12 ms that importing dataclasses costs
        self,
        *,
        tls: bool,
        host: str,
        port: int,
        prefix: str,
        via: str,
        headers: Mapping[str, str],
        identify: bool,
        patience: float,
    ) -> None:
        self.tls = tls
        self.host = host
        self.port = port
        self.prefix = prefix
        self.via = via
        self.headers = headers
        self.identify = identify
        self.patience = patience


def ask_all(
    questions: Sequence[Question], environment: Mapping[str, str]
) -> list[tuple[int, bytes] | Exception]:
    """Ask beside each other; return status and body, or OSError, Late or Unusual, in the order of ``questions``.

    One that has to identify itself and does not is Unusual, also when it is late. Name lookup, connection, header
    and body together have a question's patience.
    """
    context = None
    if any(question.tls for question in questions):
        from opencode_litellm.litellm import trust  # TLS and its certificates cost 40 ms, which are not the proxy's

        context = trust.ssl_context(environment)
    started = time.monotonic()
    results: list[tuple[int, bytes] | Exception] = [Late() for _ in questions]
    locks = []
    for index, question in enumerate(questions):
        lock = _thread.allocate_lock()
        lock.acquire()
        locks.append(lock)

        def run(index: int = index, question: Question = question, lock: _thread.LockType = lock) -> None:
            try:
                results[index] = _answer(question, context, started + question.patience)
            finally:
                lock.release()

        _thread.start_new_thread(run, ())
    for question, lock in zip(questions, locks):  # noqa: B905 - made together above
        remaining = started + question.patience - time.monotonic()
        lock.acquire(timeout=max(0.0, remaining))
    # A thread may still be about to find out that it is late itself.
    return [
        Unusual(_NOBODY) if question.identify and isinstance(result, Late) else result
        for question, result in zip(questions, results)  # noqa: B905 - made together above
    ]


def get(question: Question, path: str, deadline: float, largest: int) -> tuple[int, bytearray]:
    """Ask for another path of a proxy over plain HTTP, and return status and body of at most ``largest`` bytes.

    ``deadline`` is a reading of ``time.monotonic``. Raises OSError, Late or Unusual.
    """
    connection = _connected(question, None, deadline)
    try:
        return _exchange(connection, question, path, question.headers, deadline, largest)
    finally:
        connection.close()


def _answer(question: Question, context: ssl.SSLContext | None, deadline: float) -> tuple[int, bytes] | Exception:
    try:
        return _ask(question, context, deadline)
    except TimeoutError:
        return Late()
    except (OSError, Unusual, Late) as error:
        return error
    except Exception as error:  # noqa: BLE001 - a thread has nobody to raise to; the long way tells what it was
        return Unusual(repr(error))


def _ask(question: Question, context: ssl.SSLContext | None, deadline: float) -> tuple[int, bytes]:
    connection = _connected(question, context, deadline)
    try:
        if question.identify:
            _check_identity(connection, question, deadline)
            question.identify = False
        status, body = _exchange(connection, question, MODELS, question.headers, deadline)
        return status, bytes(body)
    finally:
        connection.close()


def _check_identity(connection: Any, question: Question, deadline: float) -> None:
    """Raise Unusual unless LiteLLM says, without a key and in time, that it is there."""
    try:
        status, body = _exchange(connection, question, LIVELINESS, {}, deadline)
    except (OSError, Late) as error:
        raise Unusual(_NOBODY) from error
    if not is_identity(status, body):
        raise Unusual(_NOBODY)


def is_identity(status: int, body: bytes | bytearray) -> bool:
    """Tell whether an answer of ``LIVELINESS`` is LiteLLM's."""
    return status == 200 and body.strip() == _IDENTITY


def _connected(question: Question, context: ssl.SSLContext | None, deadline: float) -> Any:
    host, port, login = _http_proxy(question.via) if question.via else (question.host, question.port, {})
    connection = _connection(host, port, deadline, rich=question.tls)
    if context is None or not question.tls:
        if login:
            question.headers = {**question.headers, **login}
        return connection
    import ssl  # there already, for the context

    try:
        if question.via:
            _tunnel(connection, question, login, deadline)
        connection.settimeout(_remaining(deadline))
        return context.wrap_socket(connection, server_hostname=question.host)
    except ssl.SSLCertVerificationError as error:
        connection.close()
        raise Unusual("a certificate that is not trusted") from error
    except BaseException:
        connection.close()
        raise


def _connection(host: str, port: int, deadline: float, *, rich: bool) -> Any:
    if rich:
        # The TLS module wants the richer socket.
        from socket import socket
    else:
        from _socket import socket  # type: ignore[assignment]
    failure: OSError = OSError("no address")
    # As bytes, a name is not put through Python's IDNA codec, which costs a millisecond to import.
    addresses = _socket.getaddrinfo(host.encode("ascii"), port, 0, _socket.SOCK_STREAM)
    for family, kind, protocol, _, address in addresses:
        try:
            connection = socket(family, kind, protocol)
        except OSError as error:  # IPv6 is switched off here
            failure = error
            continue
        try:
            connection.settimeout(_remaining(deadline))
            connection.connect(address)
        except OSError as error:
            connection.close()
            failure = error
            continue
        return connection
    raise failure


def _http_proxy(url: str) -> tuple[str, int, dict[str, str]]:
    """Return host, port and the header with the login of an HTTP proxy."""
    scheme, separator, rest = url.rpartition("://")
    login, _, place = rest.split("/", 1)[0].rpartition("@")
    host, _, port = place.rpartition(":")
    if (separator and scheme.lower() != "http") or not host or not port.isdigit() or "[" in host or "%" in login:
        raise Unusual("an HTTP proxy that is reached in another way")
    if not login:
        return host, int(port), {}
    from binascii import b2a_base64

    return host, int(port), {"Proxy-Authorization": f"Basic {b2a_base64(login.encode(), newline=False).decode()}"}


def _tunnel(connection: Any, question: Question, login: Mapping[str, str], deadline: float) -> None:
    host = f"[{question.host}]" if ":" in question.host else question.host
    place = f"{host}:{question.port}"
    connection.settimeout(_remaining(deadline))
    connection.sendall(_message(f"CONNECT {place} HTTP/1.1", {"Host": place, **login}))
    received = bytearray()
    while not received.endswith(b"\r\n\r\n"):
        connection.settimeout(_remaining(deadline))
        # A byte at a time: what follows is TLS's.
        piece = connection.recv(1)
        if not piece or len(received) > _LARGEST_HEAD:
            raise Unusual("no tunnel")
        received += piece
    if _status(received.split(b"\r\n", 1)[0].decode("latin-1")) != 200:
        raise Unusual("no tunnel")


def _exchange(  # noqa: PLR0913, PLR0917 - a request has this many parts
    connection: Any,
    question: Question,
    path: str,
    headers: Mapping[str, str],
    deadline: float,
    largest: int = LARGEST_LIST,
) -> tuple[int, bytearray]:
    connection.settimeout(_remaining(deadline))
    connection.sendall(_request(question, path, headers))
    received = bytearray()

    def more() -> bool:
        connection.settimeout(_remaining(deadline))
        piece = connection.recv(_PIECE)
        received.extend(piece)
        if len(received) > largest + _LARGEST_HEAD:
            raise Unusual("too large")
        return bool(piece)

    while (end := received.find(b"\r\n\r\n")) < 0:
        if len(received) > _LARGEST_HEAD or not more():
            raise Unusual("no header")
    lines = received[:end].decode("latin-1").split("\r\n")
    del received[: end + 4]
    return _status(lines[0]), _body(_fields(lines[1:]), received, more, largest)


def _request(question: Question, path: str, headers: Mapping[str, str]) -> bytes:
    host = f"[{question.host}]" if ":" in question.host else question.host
    place = host if question.port == (443 if question.tls else 80) else f"{host}:{question.port}"
    stated = {name.lower() for name in headers}
    fields = {
        "Host": place,
        "Accept": "application/json",
        "Accept-Encoding": "identity",
        "User-Agent": f"opencode-litellm/{__version__}",
    }
    fields = {**{name: value for name, value in fields.items() if name.lower() not in stated}, **headers}
    # An HTTP proxy that passes a plain request on wants the whole URL.
    start = f"http://{place}" if question.via and not question.tls else ""
    return _message(f"GET {start}{question.prefix}{path} HTTP/1.1", fields)


def _message(first: str, fields: Mapping[str, str]) -> bytes:
    lines = [first, *(f"{name}: {value}" for name, value in fields.items())]
    if not all(line.isprintable() for line in lines):
        raise Unusual("a header that does not fit on a line")
    try:
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
    except UnicodeEncodeError as error:
        raise Unusual("a header with other letters than Latin ones") from error


def _status(line: str) -> int:
    words = line.split(" ", 2)
    if len(words) < 2 or not words[0].startswith("HTTP/1."):
        raise Unusual("not HTTP")
    return _number(words[1])


def _number(text: str) -> int:
    """Parse what is made of ASCII digits, and not of more than Python takes."""
    if not (text.isascii() and text.isdecimal()) or len(text) > _LONGEST_NUMBER:
        raise Unusual("not a number")
    return int(text)


def _fields(lines: Sequence[str]) -> dict[str, str]:
    fields = {}
    for line in lines:
        name, _, value = line.partition(":")
        fields[name.strip().lower()] = value.strip()
    return fields


def _body(
    fields: Mapping[str, str], received: bytearray, more: Callable[[], bool], largest: int
) -> bytearray:
    if fields.get("content-encoding", "identity") != "identity":
        raise Unusual("compressed")
    if fields.get("transfer-encoding", "").lower() == "chunked":
        return _unchunked(received, more)
    if "content-length" not in fields:
        while more():
            pass
        return received
    length = _number(fields["content-length"])
    if length > largest:
        raise Unusual("too large")
    while len(received) < length:
        if not more():
            raise Unusual("broken off")
    del received[length:]
    return received


def _unchunked(received: bytearray, more: Callable[[], bool]) -> bytearray:
    body = bytearray()
    start = 0
    while True:
        while (end := received.find(b"\r\n", start)) < 0:
            if not more():
                raise Unusual("broken off")
        try:
            size = int(received[start:end].split(b";")[0], 16)
        except ValueError as error:
            raise Unusual("not chunked") from error
        if size < 0:
            raise Unusual("not chunked")
        start = end + 2
        while len(received) < start + size + 2:
            if not more():
                raise Unusual("broken off")
        if size == 0:
            return body
        body += received[start : start + size]
        start += size + 2


def _remaining(deadline: float) -> float:
    remaining = deadline - time.monotonic()
    if remaining <= 0:
        raise Late
    return remaining
