"""The real LiteLLM, serving `catalogue.yaml` on a free loopback port."""

from __future__ import annotations

import json
import os
import subprocess
import time
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import tools
from .processes import process_group
from .server import free_port

if TYPE_CHECKING:
    from collections.abc import Mapping

CATALOGUE = Path(__file__).with_name("catalogue.yaml")
START = Path(__file__).with_name("litellm_start")  # first on its PYTHONPATH
KEY = "sk-litellm-of-the-tests"
_PATIENCE = 400


class LiteLLM:
    """A proxy for the time of a ``with`` block, under the path ``prefix`` if that is set.

    ``url`` is without ``/v1``, ``key`` is its master key. It has no database, so it answers a wrong key with
    status 400 (``no_db_connection``), a missing one with 401.
    """

    def __init__(
        self,
        folder: Path,
        stand_in: str,
        *,
        program: Path = tools.LITELLM,
        catalogue: Path = CATALOGUE,
        key: str = KEY,
        prefix: str = "",
        workers: int = 1,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}{prefix}"
        self.key = key
        self.log = folder / "litellm.log"
        self._command = [
            str(tools.installed(program)),
            "--config", str(catalogue),
            "--host", "127.0.0.1",
            "--port", str(self.port),
            "--num_workers", str(workers),
        ]  # fmt: skip
        self._environment = {
            "HOME": str(folder),
            "PATH": os.defpath,
            "LANG": "C.UTF-8",
            "PYTHONPATH": str(START),
            "LITELLM_MASTER_KEY": key,
            "STAND_IN_URL": f"{stand_in}/v1",
            "SERVER_ROOT_PATH": prefix,
            # Nothing is fetched: no price table, no telemetry.
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            "LITELLM_TELEMETRY": "False",
            "PRISMA_HIDE_UPDATE_MESSAGE": "1",
            # uvicorn ends one of several workers that takes 5 s to come up; LiteLLM 1.106 lets it wait longer.
            "TIMEOUT_WORKER_HEALTHCHECK": "120",
            **(environment or {}),
        }

    def __enter__(self) -> LiteLLM:
        with ExitStack() as stack, self.log.open("wb") as log:
            self._process = stack.enter_context(
                process_group(
                    self._command, self._environment, self.log.parent, stdout=log, stderr=subprocess.STDOUT
                )
            )
            self._wait()
            self._running = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()

    def get(self, path: str, *, headers: Mapping[str, str] | None = None) -> Any:
        """Return the parsed answer of a ``GET`` with the master key."""
        asked = urllib.request.Request(
            self.url + path, headers={"Authorization": f"Bearer {self.key}", **(headers or {})}
        )
        with _DIRECT.open(asked, timeout=30) as answer:
            return json.load(answer)

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """Return the parsed answer of a ``POST`` with the master key; HTTPError unless that succeeds."""
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        asked = urllib.request.Request(self.url + path, json.dumps(body).encode(), headers)
        with _DIRECT.open(asked, timeout=60) as answer:
            return json.load(answer)

    def _wait(self) -> None:
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise RuntimeError(f"LiteLLM ended at its start:\n{self._last_words()}")
            try:
                with _DIRECT.open(f"{self.url}/health/liveliness", timeout=5):
                    return
            except OSError:
                time.sleep(0.1)
        raise RuntimeError(f"LiteLLM is not up after {_PATIENCE} s:\n{self._last_words()}")

    def _last_words(self) -> str:
        return self.log.read_text(errors="replace")[-3000:]


# Without the machine's HTTP proxy in between.
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
