"""Certificates of an authority that nobody trusts by default."""

from __future__ import annotations

import ssl
import subprocess
from typing import TYPE_CHECKING

from . import tools

if TYPE_CHECKING:
    from pathlib import Path


def certified(folder: Path, *names: str) -> ssl.SSLContext:
    """Make an authority, ``ca.pem`` in ``folder``, and return a server's context with its certificate for ``names``.

    Names are in OpenSSL's format: ``IP:127.0.0.1``, ``DNS:localhost``.
    """
    new = [tools.program("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    new += ["-nodes", "-days", "2"]
    authority = [*new, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=Authority of the tests"]
    server = [
        *new, "-keyout", "server.key", "-out", "server.pem", "-subj", "/CN=server", "-CA", "ca.pem", "-CAkey", "ca.key",
        "-addext", f"subjectAltName={','.join(names)}", "-addext", "basicConstraints=critical,CA:FALSE",
    ]  # fmt: skip
    for command in (authority, server):
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem", folder / "server.key")
    return context
