"""Questions to a proxy over a bare socket: a launch asks for ``/v1/models``, a discovery for the other paths as well.

Importing ``requests`` takes several times as long as starting the interpreter. Anything unusual (an HTTP proxy that is
reached over TLS, a compression other than gzip) raises Unusual; :mod:`opencode_litellm.litellm.connection` then asks
again with ``requests``.
"""

from __future__ import annotations

import _socket
import _thread
import errno
import os
import time

from opencode_litellm import __version__
from opencode_litellm.fields import Fields

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping, Sequence
    from typing import Any

MODELS = "/v1/models"
LIVELINESS = "/health/liveliness"
LARGEST_LIST = 8 * 2**20  # bytes; 10,000 models are 1.6 MB of /v1/models

_LARGEST_HEAD = 64 * 2**10  # bytes
_PIECE = 2**18  # bytes
_NOT_IDENTIFIED = "the server there does not identify itself as LiteLLM"
_IDENTITY = b'"I\'m alive!"'  # LiteLLM 1.106: the whole answer of GET /health/liveliness, without a key
_LONGEST_NUMBER = 15  # digits
# Windows tries for two seconds before it refuses a connection to a closed port of this machine, and takes "localhost"
# for ::1 first. If a program listens, the system itself connects at once.
_MOST_ON_WINDOWS = 0.1  # seconds


class Unusual(Exception):
    """The answer, or the connection, needs more than a bare socket."""


class Late(Exception):
    """There was no answer in time."""


class Question(Fields):
    """Where to ask, and how.

    ``prefix`` is the path before ``/v1``. ``identify``: LiteLLM has to identify itself before it gets the key.
    ``patience`` is in seconds. ``via`` is the URL of the HTTP proxy in between, empty for a direct connection.
    """

    tls: bool
    host: str
    port: int
    prefix: str
    via: str
    headers: Mapping[str, str]
    identify: bool
    patience: float


def ask_all(
    questions: Sequence[Question], environment: Mapping[str, str]
) -> list[tuple[int, bytes] | Exception]:
    """Ask all at once; return status and body, or OSError, Late or Unusual, in the order of ``questions``.

    The result for a proxy that has to identify itself and does not, even in time, is Unusual. A question's patience is
    for the lookup of the name, the connection, the header and the body together.
    """
    context = None
    if any(question.tls for question in questions):
        from opencode_litellm.litellm import trust  # its 40 ms must not count against the proxy

        context = trust.ssl_context(environment)
    started = time.monotonic()
    inquiries = [_Inquiry(question, context, started + question.patience) for question in questions]
    for inquiry in inquiries:
        _thread.start_new_thread(inquiry.run, ())
    return [inquiry.wait() for inquiry in inquiries]


def get(
    question: Question, path: str, context: ssl.SSLContext | None, deadline: float, largest: int
) -> tuple[int, bytearray]:
    """Ask a proxy for ``path``, and return the status and a body of at most ``largest`` bytes.

    ``context`` is for TLS, ``deadline`` a reading of ``time.monotonic``. Raises OSError, Late or Unusual.
    """
    conversation = _open_conversation(question, context, deadline)
    try:
        return conversation.get(path, question.headers, largest)
    finally:
        conversation.close()


def is_refused(host: str, port: int, deadline: float) -> bool:
    """Return whether nothing listens on a port of this machine."""
    try:
        _connection(host, port, deadline, for_tls=False).close()
    except ConnectionRefusedError:
        return True
    except (OSError, Late):
        return False
    return False


def is_identity(status: int, body: bytes | bytearray) -> bool:
    """Return whether an answer of ``LIVELINESS`` is LiteLLM's."""
    return status == 200 and body.strip() == _IDENTITY


class _Inquiry:
    """A question that is asked in a thread of its own."""

    __slots__ = ("_context", "_deadline", "_lock", "_question", "_result")

    def __init__(self, question: Question, context: ssl.SSLContext | None, deadline: float) -> None:
        self._question = question
        self._context = context
        self._deadline = deadline
        # The result until more is known: the thread may still be at work at the deadline.
        self._result: tuple[int, bytes] | Exception = Unusual(_NOT_IDENTIFIED) if question.identify else Late()
        self._lock = _thread.allocate_lock()
        self._lock.acquire()

    def run(self) -> None:
        """Ask. This runs in the thread."""
        try:
            self._result = self._answer()
        except (TimeoutError, Late):
            pass  # the result says so already
        except (OSError, Unusual) as error:
            self._result = error
        except Exception as error:  # noqa: BLE001 - a thread has no caller; a cold launch tells what it was
            self._result = Unusual(repr(error))
        finally:
            self._lock.release()

    def wait(self) -> tuple[int, bytes] | Exception:
        """Wait for the result, and return it as it is at the deadline."""
        self._lock.acquire(timeout=max(0.0, self._deadline - time.monotonic()))
        return self._result

    def _answer(self) -> tuple[int, bytes]:
        conversation = _open_conversation(self._question, self._context, self._deadline)
        try:
            if self._question.identify:
                _check_identity(conversation, self._question)
                self._result = Late()
            status, body = conversation.get(MODELS, self._question.headers, LARGEST_LIST)
            return status, bytes(body)
        finally:
            conversation.close()


def _check_identity(conversation: _Conversation, question: Question) -> None:
    """Raise Unusual unless LiteLLM identifies itself in time; no key is sent."""
    from opencode_litellm.litellm import listeners  # only for a proxy that was detected

    if not listeners.are_trusted(question.port):
        raise Unusual(_NOT_IDENTIFIED)
    try:
        status, body = conversation.get(LIVELINESS, {}, LARGEST_LIST)
    except (OSError, Late) as error:
        raise Unusual(_NOT_IDENTIFIED) from error
    if not is_identity(status, body):
        raise Unusual(_NOT_IDENTIFIED)


def _open_conversation(question: Question, context: ssl.SSLContext | None, deadline: float) -> _Conversation:
    """Connect, through the HTTP proxy and over TLS if the question asks for these."""
    host, port, login = _http_proxy(question.via) if question.via else (question.host, question.port, {})
    connection = _connection(host, port, deadline, for_tls=question.tls)
    if context is None or not question.tls:
        return _Conversation(connection, question, login, deadline)
    import ssl  # already imported for the context

    try:
        if question.via:
            _tunnel(connection, question, login, deadline)
        connection.settimeout(_remaining(deadline))
        secured = context.wrap_socket(connection, server_hostname=question.host)
    except ssl.SSLCertVerificationError as error:
        connection.close()
        raise Unusual("a certificate that is not trusted") from error
    except BaseException:
        connection.close()
        raise
    return _Conversation(secured, question, {}, deadline)


class _Conversation:
    """Requests and answers over one connection, until a deadline.

    ``login`` are the headers that an HTTP proxy needs with every request that it forwards.
    """

    __slots__ = ("_connection", "_deadline", "_login", "_most", "_question", "_received")

    def __init__(self, connection: Any, question: Question, login: Mapping[str, str], deadline: float) -> None:
        self._connection = connection
        self._question = question
        self._login = login
        self._deadline = deadline
        self._received = bytearray()  # received, and not yet taken
        self._most = 0  # bytes that may still come

    def get(self, path: str, headers: Mapping[str, str], largest: int) -> tuple[int, bytearray]:
        """Return the status and the body, of at most ``largest`` bytes, of the answer to a GET of ``path``."""
        self._connection.settimeout(_remaining(self._deadline))
        self._connection.sendall(_request(self._question, path, {**headers, **self._login}))
        self._received.clear()
        self._most = largest + _LARGEST_HEAD
        status = 100
        while 100 <= status < 200:  # 103 Early Hints and the like come before the answer
            first, *lines = self._until(b"\r\n\r\n").decode("latin-1").split("\r\n")
            status = _status(first)
        return status, self._body(_fields(lines), largest)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _body(self, fields: Mapping[str, str], largest: int) -> bytearray:
        encoding = fields.get("content-encoding", "identity").lower()
        if encoding in ("gzip", "x-gzip"):
            return _gunzip(self._raw_body(fields, largest), largest)
        if encoding != "identity":
            raise Unusual("compressed in a rare way")
        return self._raw_body(fields, largest)

    def _raw_body(self, fields: Mapping[str, str], largest: int) -> bytearray:
        if fields.get("transfer-encoding", "").lower() == "chunked":
            return self._chunks()
        if "content-length" not in fields:
            return self._rest()
        length = _number(fields["content-length"])
        if length > largest:
            raise Unusual("too large")
        return self._next(length)

    def _chunks(self) -> bytearray:
        body = bytearray()
        while True:
            try:
                size = int(self._until(b"\r\n").split(b";")[0], 16)
            except ValueError as error:
                raise Unusual("not chunked") from error
            if size < 0:
                raise Unusual("not chunked")
            chunk = self._next(size + len(b"\r\n"))
            if size == 0:
                return body
            body += chunk[:size]

    def _until(self, mark: bytes) -> bytearray:
        """Take everything up to ``mark``, and return it without the mark."""
        while (end := self._received.find(mark)) < 0:
            if len(self._received) > _LARGEST_HEAD or not self._receive():
                raise Unusual("a header or a chunk without an end")
        return self._next(end + len(mark))[:end]

    def _next(self, length: int) -> bytearray:
        """Take the next ``length`` bytes."""
        while len(self._received) < length:
            if not self._receive():
                raise Unusual("broken off")
        taken = self._received[:length]
        del self._received[:length]
        return taken

    def _rest(self) -> bytearray:
        """Take everything until the other side closes the connection."""
        while self._receive():
            pass
        return self._received

    def _receive(self) -> bool:
        """Wait for more bytes; False if no more will come."""
        self._connection.settimeout(_remaining(self._deadline))
        piece = self._connection.recv(_PIECE)
        self._received += piece
        self._most -= len(piece)
        if self._most < 0:
            raise Unusual("too large")
        return bool(piece)


def _connection(host: str, port: int, deadline: float, *, for_tls: bool) -> Any:
    if for_tls:
        # The ssl module needs Python's own socket class.
        from socket import socket
    else:
        from _socket import socket  # type: ignore[assignment]
    failure: OSError = OSError("no address")
    # A name in bytes does not go through Python's IDNA codec, which takes a millisecond to import.
    addresses = _socket.getaddrinfo(host.encode("ascii"), port, 0, _socket.SOCK_STREAM)
    for family, kind, protocol, _, address in addresses:
        try:
            connection = socket(family, kind, protocol)
        except OSError as error:  # IPv6 is switched off here
            failure = error
            continue
        hurries = os.name == "nt" and str(address[0]).startswith(("127.", "::1"))
        try:
            remaining = _remaining(deadline)
            connection.settimeout(min(remaining, _MOST_ON_WINDOWS) if hurries else remaining)
            connection.connect(address)
        except OSError as error:
            connection.close()
            slow = hurries and isinstance(error, TimeoutError)
            failure = ConnectionRefusedError(errno.ECONNREFUSED, "nothing is listening there") if slow else error
            continue
        return connection
    raise failure


def _http_proxy(url: str) -> tuple[str, int, dict[str, str]]:
    """Return host, port and the header with the login of an HTTP proxy."""
    scheme, separator, rest = url.rpartition("://")
    login, _, authority = rest.split("/", 1)[0].rpartition("@")
    host, _, port = authority.rpartition(":")
    if (separator and scheme.lower() != "http") or not host or not port.isdigit() or "[" in host or "%" in login:
        raise Unusual("an HTTP proxy that is reached in another way")
    if not login:
        return host, int(port), {}
    from binascii import b2a_base64

    return host, int(port), {"Proxy-Authorization": f"Basic {b2a_base64(login.encode(), newline=False).decode()}"}


def _tunnel(connection: Any, question: Question, login: Mapping[str, str], deadline: float) -> None:
    host = f"[{question.host}]" if ":" in question.host else question.host
    authority = f"{host}:{question.port}"
    connection.settimeout(_remaining(deadline))
    connection.sendall(_message(f"CONNECT {authority} HTTP/1.1", {"Host": authority, **login}))
    received = bytearray()
    while not received.endswith(b"\r\n\r\n"):
        connection.settimeout(_remaining(deadline))
        # One byte at a time, because what follows belongs to TLS.
        piece = connection.recv(1)
        if not piece or len(received) > _LARGEST_HEAD:
            raise Unusual("no tunnel")
        received += piece
    if _status(received.split(b"\r\n", 1)[0].decode("latin-1")) != 200:
        raise Unusual("no tunnel")


def _request(question: Question, path: str, headers: Mapping[str, str]) -> bytes:
    host = f"[{question.host}]" if ":" in question.host else question.host
    authority = host if question.port == (443 if question.tls else 80) else f"{host}:{question.port}"
    stated = {name.lower() for name in headers}
    fields = {
        "Host": authority,
        "Accept": "application/json",
        "Accept-Encoding": "identity",
        "User-Agent": f"opencode-litellm/{__version__}",
    }
    fields = {**{name: value for name, value in fields.items() if name.lower() not in stated}, **headers}
    # An HTTP proxy that forwards a plain request needs the whole URL.
    start = f"http://{authority}" if question.via and not question.tls else ""
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
    """Parse ASCII digits; Unusual for anything else, and for more digits than any length or status has."""
    if not (text.isascii() and text.isdecimal()) or len(text) > _LONGEST_NUMBER:
        raise Unusual("not a number")
    return int(text)


def _fields(lines: Sequence[str]) -> dict[str, str]:
    fields = {}
    for line in lines:
        name, _, value = line.partition(":")
        fields[name.strip().lower()] = value.strip()
    return fields


def _remaining(deadline: float) -> float:
    remaining = deadline - time.monotonic()
    if remaining <= 0:
        raise Late
    return remaining


def _gunzip(body: bytearray, largest: int) -> bytearray:
    """Return the content of a gzip body, which some gateways send although we did not ask for it."""
    import zlib  # only for these

    unzip = zlib.decompressobj(wbits=31)  # gzip, with its header
    try:
        plain = unzip.decompress(body, largest)
    except zlib.error as error:
        raise Unusual("not gzip") from error
    if unzip.unconsumed_tail or not unzip.eof or unzip.unused_data:
        raise Unusual("too large, or not one whole piece of gzip")
    return bytearray(plain)
