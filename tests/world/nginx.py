"""A real nginx in front of a proxy, configured as companies do."""

from __future__ import annotations

import os
import subprocess
import time
import urllib.error
import urllib.request
from contextlib import ExitStack
from typing import TYPE_CHECKING

from . import tools
from .processes import process_group
from .server import free_port

if TYPE_CHECKING:
    from pathlib import Path

LOGIN = "Basic dXNlcjpwYXNzd29yZA=="  # user, password

_CONFIGURATION = """
daemon off;
pid {folder}/pid;
error_log {folder}/error.log;
events {{ }}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        # As nginx passes things on by itself: HTTP/1.0, and no Host of the client's.
        location /team/ {{ proxy_pass {upstream}/; }}
        location /gzip/ {{ proxy_set_header Accept-Encoding gzip; proxy_pass http://127.0.0.1:{zipping}/; }}
        location /basic/ {{
            auth_basic "staff"; auth_basic_user_file {folder}/users;
            proxy_set_header Authorization $http_x_litellm_api_key; proxy_pass {upstream}/;
        }}
        location /forbidden/ {{ return 403; }}
        location /down/ {{ proxy_pass http://127.0.0.1:{nobody}/; }}
        location /busy/ {{ return 503; }}
        location /sso/ {{ return 302 https://login.invalid/authorize?client_id=litellm; }}
    }}
    server {{
        listen 127.0.0.1:{zipping};
        gzip on; gzip_min_length 1; gzip_types application/json; gzip_proxied any; gzip_http_version 1.0;
        location / {{ proxy_pass {upstream}; }}
    }}
    server {{
        listen 127.0.0.1:{tls_port} ssl;
        ssl_certificate {certificates}/server.pem; ssl_certificate_key {certificates}/server.key;
        location / {{ proxy_pass {upstream}; }}
    }}
}}
"""


class Nginx:
    """An nginx in front of ``upstream``, for the time of a ``with`` block.

    A path after ``url`` chooses what it does: ``/team``, ``/gzip``, ``/basic``, ``/forbidden``, ``/down``, ``/busy``,
    ``/sso``. ``tls_url`` uses the certificate in ``certificates``, which ``authority`` made.
    """

    def __init__(self, folder: Path, upstream: str, certificates: Path) -> None:
        self._folder = folder
        self.authority = certificates / "ca.pem"
        port, tls_port, zipping, nobody = (free_port() for _ in range(4))
        self.url = f"http://127.0.0.1:{port}"
        self.tls_url = f"https://127.0.0.1:{tls_port}"
        self._text = _CONFIGURATION.format(
            folder=folder,
            upstream=upstream,
            certificates=certificates,
            port=port,
            tls_port=tls_port,
            zipping=zipping,
            nobody=nobody,
        )

    def __enter__(self) -> Nginx:
        program = str(tools.program("nginx"))
        (self._folder / "users").write_text("user:{PLAIN}password\n")
        # As root it would switch to another user, who has no access to this folder.
        self._folder.joinpath("nginx.conf").write_text(f"user root;\n{self._text}" if os.getuid() == 0 else self._text)
        with ExitStack() as stack:
            command = [program, "-p", str(self._folder), "-c", str(self._folder / "nginx.conf")]
            log = stack.enter_context((self._folder / "output.log").open("wb"))
            self._process = stack.enter_context(
                process_group(command, {}, self._folder, stdout=log, stderr=subprocess.STDOUT)
            )
            self._wait()
            self._running = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()

    def _wait(self) -> None:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                urllib.request.urlopen(f"{self.url}/busy/", timeout=5)
            except urllib.error.HTTPError:
                return
            except OSError:
                time.sleep(0.05)
        raise RuntimeError(f"nginx does not start:\n{(self._folder / 'output.log').read_text()}")
