"""The real preview of opencode 2's server, asked through its own API."""

from __future__ import annotations

import base64
import json
import time
import urllib.error
import urllib.parse
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import opencodes
from .processes import process_group
from .server import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_PATIENCE = 120  # seconds; a folder's providers are there after 5 to 20, on a busy machine
_PAUSE = 0.3


class Preview:
    """A server for the time of a ``with`` block, in the home and with the variables of ``environment``."""

    def __init__(self, environment: Mapping[str, str], folder: Path) -> None:
        self._environment = environment
        self._folder = folder
        self._port = free_port()
        self._stack = ExitStack()

    def __enter__(self) -> Preview:
        program = opencodes.preview()
        with ExitStack() as stack:
            command = [str(program), "serve", "--register", "--port", str(self._port)]
            log = stack.enter_context(Path(self._environment["HOME"], "server.log").open("wb"))
            stack.enter_context(process_group(command, self._environment, self._folder, stdout=log, stderr=log))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def models(self, folder: Path, *wanted: str) -> dict[str, dict[str, Any]]:
        """Return the models of LiteLLM's providers in a folder by PROVIDER/ID, once the wanted ones are there."""

        def listed() -> dict[str, dict[str, Any]] | None:
            models = {
                f"{model['providerID']}/{model['id']}": model
                for model in self.ask("/api/model", folder)["data"]
                if model["providerID"].startswith("litellm")
            }
            return models if set(wanted) <= set(models) else None

        return self._soon(listed)

    def providers(self, folder: Path) -> set[str]:
        """Return the ids of the providers in a folder."""
        return {provider["id"] for provider in self.ask("/api/provider", folder)["data"]}

    def chat(self, folder: Path, model: str, text: str, variant: str | None = None) -> None:
        """Ask a model one question; the answer comes later."""
        provider, _, name = model.partition("/")
        chosen = {"id": name, "providerID": provider, **({"variant": variant} if variant else {})}
        session = self._post("/api/session", {"location": {"directory": str(folder)}, "model": chosen})["data"]["id"]
        self._post(f"/api/session/{session}/prompt", {"prompt": {"text": text}})

    def ask(self, path: str, folder: Path) -> Any:
        """Return the answer of the API to a question about a folder."""
        return self._request(f"{path}?{urllib.parse.urlencode({'location[directory]': str(folder)})}")

    def _post(self, path: str, body: object) -> Any:
        return self._request(path, json.dumps(body).encode())

    def _request(self, path: str, body: bytes | None = None) -> Any:
        def answer() -> Any:
            try:
                password = Path(self._environment["XDG_STATE_HOME"], "opencode/password").read_text()
                key = base64.b64encode(f"opencode:{password}".encode()).decode()
                headers = {"Authorization": f"Basic {key}", "Content-Type": "application/json"}
                request = urllib.request.Request(f"http://127.0.0.1:{self._port}{path}", body, headers)
                with urllib.request.urlopen(request, timeout=_PATIENCE / 4) as response:
                    said = response.read()
                return json.loads(said) if said else {}
            except urllib.error.HTTPError as error:
                raise AssertionError(f"{path}: {error.code} {error.read().decode()[:500]}") from error
            except (FileNotFoundError, TimeoutError, urllib.error.URLError):
                return None  # not up yet

        return self._soon(answer)

    def _soon(self, look: Callable[[], Any]) -> Any:
        deadline = time.monotonic() + _PATIENCE
        while (value := look()) is None:
            if time.monotonic() > deadline:
                log = Path(self._environment["HOME"], "server.log").read_text(errors="replace")
                raise AssertionError(f"the preview of opencode 2 does not come to it: {log[-1000:]}")
            time.sleep(_PAUSE)
        return value
