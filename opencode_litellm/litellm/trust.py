"""Whom a connection trusts and which way it goes: the same for the launch path and for ``requests``."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

CERTIFICATE_VARIABLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS")

_PROXY_VARIABLES = ("http_proxy", "https_proxy", "all_proxy")


def ssl_context(environment: Mapping[str, str]) -> ssl.SSLContext:
    """Return a context that checks certificates against the system's and those that the user's variables name.

    The variables add trust, as they do for opencode (``NODE_EXTRA_CA_CERTS``), but that OpenSSL itself takes
    ``SSL_CERT_FILE`` in place of the system's. A file or folder that is not there or holds no certificate adds
    nothing, and the connection then fails with the reason.
    """
    import ssl  # 13 ms that a launch over plain HTTP need not pay

    context = ssl.create_default_context()
    system = ssl.get_default_verify_paths()
    if not (context.get_ca_certs() or system.cafile or system.capath):
        import certifi  # requests brings it; a Python for macOS comes without the system's certificates

        context.load_verify_locations(cafile=certifi.where())
    for variable in CERTIFICATE_VARIABLES:
        path = environment.get(variable)
        if path:
            try:
                if os.path.isdir(path):
                    context.load_verify_locations(capath=path)
                else:
                    context.load_verify_locations(cafile=path)
            except OSError:  # ssl.SSLError is one too
                continue
    return context


def may_use_http_proxy(environment: Mapping[str, str]) -> bool:
    """Tell whether a variable such as ``HTTPS_PROXY`` is set, so that a host off this machine may need it."""
    return any(environment.get(name) or environment.get(name.upper()) for name in _PROXY_VARIABLES)


def http_proxy_variable(url: str, environment: Mapping[str, str]) -> str:
    """Return the variable that names the HTTP proxy on the way to ``url``, empty when the way is straight.

    As ``requests`` chooses, with all that ``NO_PROXY`` may say.
    """
    from requests.utils import get_environ_proxies, select_proxy  # a launch has it in its record

    chosen = select_proxy(url, get_environ_proxies(url)) if may_use_http_proxy(environment) else None
    names = [spelling for name in _PROXY_VARIABLES for spelling in (name, name.upper())]
    return next((name for name in names if chosen and environment.get(name) == chosen), "")
