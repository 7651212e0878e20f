"""What may be between a launch and a proxy: distance, or a company's HTTP proxy."""

from __future__ import annotations

import socket
import threading
import time
from typing import Any


class Relay:
    """Forwards connections to a loopback port, for the time of a ``with`` block.

    ``delay`` is how many seconds every piece of data takes, each way. With ``http_proxy`` it works as an HTTP proxy,
    for whole URLs or tunnels to any host; ``heads`` are the requests that it got itself.
    """

    def __init__(self, target: int, *, host: str = "127.0.0.1", delay: float = 0.0, http_proxy: bool = False) -> None:
        self.heads: list[str] = []
        self.delay = delay
        self._target = target
        self._http_proxy = http_proxy
        self._listener = socket.create_server((host, 0), backlog=64)
        self._thread = threading.Thread(target=self._serve, daemon=True)

    @property
    def port(self) -> int:
        """The port that it listens on."""
        port: int = self._listener.getsockname()[1]
        return port

    def __enter__(self) -> Relay:
        self._thread.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._pass_on, args=(client,), daemon=True).start()

    def _pass_on(self, client: socket.socket) -> None:
        # The round trip of setting up a connection.
        time.sleep(2 * self.delay)
        try:
            server = socket.create_connection(("127.0.0.1", self._target))
        except OSError:
            client.close()
            return
        if self._http_proxy:
            self._open(client, server)
        back = threading.Thread(target=self._pump, args=(server, client), daemon=True)
        back.start()
        self._pump(client, server)
        back.join()
        for side in (client, server):
            side.close()

    def _open(self, client: socket.socket, server: socket.socket) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            head += client.recv(1)
        self.heads.append(head.decode("latin-1"))
        method, target, version = head.split(b"\r\n", 1)[0].split(b" ")
        if method == b"CONNECT":
            client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        else:
            path = b"/" + target.split(b"/", 3)[3]
            server.sendall(b" ".join((method, path, version)) + head[head.index(b"\r\n") :])

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        try:
            while piece := source.recv(2**16):
                time.sleep(self.delay)
                sink.sendall(piece)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            return
