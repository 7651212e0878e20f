"""Which certificates and HTTP proxies a connection uses: the same for the launch path and for ``requests``."""

from __future__ import annotations

import _thread
import os

from opencode_litellm.variables import HTTP_PROXIES

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

CERTIFICATE_VARIABLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS")

# Threads that import requests at the same time can get it half initialised, because its modules import each other in
# circles. Launches load this module, so the lock is one of `_thread`, which every Python has loaded already.
IMPORTING_REQUESTS = _thread.allocate_lock()


def ssl_context(environment: Mapping[str, str]) -> ssl.SSLContext:
    """Return a context that checks certificates against the system's and those that the user's variables name.

    The variables add trust, as ``NODE_EXTRA_CA_CERTS`` does for opencode. ``SSL_CERT_FILE`` replaces the system's
    certificates, because OpenSSL itself reads it that way. A file or folder that is missing or holds no certificate
    adds nothing; the connection then fails and says why.
    """
    import ssl  # 13 ms, which a launch over plain HTTP saves

    context = ssl.create_default_context()
    # Python 3.13 refuses authorities without all their extensions, such as many companies'. opencode does not.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    system = ssl.get_default_verify_paths()
    if not (context.get_ca_certs() or system.cafile or system.capath):
        import certifi  # python.org's Python for macOS comes without any certificates

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
    """Return whether a variable such as ``HTTPS_PROXY`` is set, which requests to other machines may go through."""
    return any(environment.get(name) for name in HTTP_PROXIES)


def http_proxy_variable(url: str, environment: Mapping[str, str]) -> str:
    """Return the name of the variable with the HTTP proxy for ``url``, empty for a direct connection.

    The choice is that of ``requests``, including ``NO_PROXY``.
    """
    if not may_use_http_proxy(environment):
        return ""
    with IMPORTING_REQUESTS:
        from requests.utils import get_environ_proxies, select_proxy  # a warm launch has the result in its record

    http_proxy = select_proxy(url, get_environ_proxies(url))
    return next((name for name in HTTP_PROXIES if http_proxy and environment.get(name) == http_proxy), "")
