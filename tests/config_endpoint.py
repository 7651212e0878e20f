"""opencode's reading of many configurations from one start: `opencode serve` loads each folder's anew."""

from __future__ import annotations

import http.client
import json
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

_PATIENCE = 60  # seconds


@dataclass(frozen=True)
class Refused:
    """opencode does not start in this folder: ``kind`` is ConfigJsonError for what it cannot parse."""

    kind: str
    message: str


class ConfigEndpoint:
    """A running `opencode serve`; to be used in a `with` statement."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.home = Path(environment["HOME"])
        self._environment = environment

    def __enter__(self) -> ConfigEndpoint:
        self._server = subprocess.Popen(
            ["/usr/bin/env", "opencode", "serve", "--hostname", "127.0.0.1", "--port", "0"],
            env=self._environment,
            cwd=self._environment["HOME"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self._server.stdout is not None
        for line in self._server.stdout:
            if found := re.search(r"listening on http://127\.0\.0\.1:(\d+)", line):
                self._port = int(found[1])
                return self
        raise AssertionError(f"opencode serve ended with {self._server.wait()}")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # It holds a lot by then, and takes minutes over an orderly end.
        self._server.kill()
        self._server.communicate(timeout=_PATIENCE)

    def read(self, folder: Path) -> dict[str, Any] | Refused:
        """Return the configuration as opencode merged it for this folder."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=_PATIENCE)
        connection.request("GET", "/config?" + urlencode({"directory": str(folder)}))
        response = connection.getresponse()
        answer: dict[str, Any] = json.loads(response.read())
        connection.close()
        if response.status == http.client.OK:
            return answer
        return Refused(answer["name"], str(answer["data"].get("message", "")))
