"""The configurations of many folders with one start of opencode: `opencode serve` loads each folder's separately."""

from __future__ import annotations

import http.client
import json
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from .plugin_library import spare_global_install, spare_install

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

_PATIENCE = 60  # seconds


@dataclass(frozen=True)
class Refused:
    """opencode does not start in this folder: ``kind`` is ConfigJsonError for a file that it cannot parse."""

    kind: str
    message: str


class ConfigEndpoint:
    """A running `opencode serve`, started by ``program``; to be used in a `with` statement."""

    def __init__(self, environment: Mapping[str, str], program: str = "opencode") -> None:
        self.home = Path(environment["HOME"])
        self._environment = environment
        self._program = program

    def __enter__(self) -> ConfigEndpoint:
        spare_global_install(self._environment)
        self._server = subprocess.Popen(
            ["/usr/bin/env", self._program, "serve", "--hostname", "127.0.0.1", "--port", "0"],
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
        # It uses a lot of memory by then, and would need minutes for an orderly end.
        self._server.kill()
        self._server.communicate(timeout=_PATIENCE)

    def read(self, folder: Path) -> dict[str, Any] | Refused:
        """Return the configuration as opencode merged it for this folder."""
        return self._ask("GET", "/config", folder)

    def providers(self, folder: Path) -> dict[str, dict[str, Any]] | Refused:
        """Return the providers that have a model, by id, with their ``models`` as `models --verbose` shows them."""
        answer = self._ask("GET", "/config/providers", folder)
        if isinstance(answer, Refused):
            return answer
        return {provider["id"]: provider for provider in answer["providers"]}

    def prompt(self, folder: Path, model: str, text: str, variant: str | None = None) -> dict[str, Any]:
        """Ask a model a question in a new session, and return opencode's last message."""
        provider, _, name = model.partition("/")
        session = self._ask("POST", "/session", folder, {"title": "a test"})  # else a model is asked for one
        assert not isinstance(session, Refused), session
        question: dict[str, Any] = {
            "model": {"providerID": provider, "modelID": name},
            "parts": [{"type": "text", "text": text}],
        }
        if variant:
            question["variant"] = variant
        answer = self._ask("POST", f"/session/{session['id']}/message", folder, question)
        assert not isinstance(answer, Refused), answer
        return answer

    def _ask(self, method: str, path: str, folder: Path, body: object = None) -> dict[str, Any] | Refused:
        for parent in (folder, *folder.parents):
            spare_install(parent / ".opencode")
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=_PATIENCE)
        content = None if body is None else json.dumps(body)
        headers = {"Content-Type": "application/json"}
        connection.request(method, f"{path}?{urlencode({'directory': str(folder)})}", content, headers)
        response = connection.getresponse()
        answer: dict[str, Any] = json.loads(response.read())
        connection.close()
        if response.status == http.client.OK:
            return answer
        return Refused(answer["name"], str(answer["data"].get("message", "")))
