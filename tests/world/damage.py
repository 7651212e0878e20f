"""Launches from damaged installations, many in one process: each is a fork that imports our modules again.

Started by itself, with a folder on PATH where ``opencode`` is a link to echo. Reads a JSON list of
[module, source, arguments] from standard input; writes one of [status, output, messages].
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.abc
import importlib.util
import json
import os
import sys
import tempfile
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

ENTRY = "opencode_litellm.__main__"


class _Damage(importlib.abc.MetaPathFinder, importlib.abc.InspectLoader):
    """A finder that comes before all others and finds one module, with another source."""

    def __init__(self, module: str, source: str, *, is_package: bool) -> None:
        self._module, self._source, self._is_package = module, source, is_package

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> Any:  # noqa: ARG002
        if fullname != self._module:
            return None
        return importlib.util.spec_from_loader(fullname, self, is_package=self._is_package)

    def get_source(self, fullname: str) -> str:  # noqa: ARG002
        return self._source

    def is_package(self, fullname: str) -> bool:  # noqa: ARG002
        return self._is_package


def _launch(module: str, source: str, arguments: Sequence[str]) -> int:
    """Run one launch in the fork; it returns only if the program was not started."""
    sys.meta_path.insert(0, _Damage(module, source, is_package=False))
    name, *rest = arguments
    sys.argv = [name, *rest]
    entry = importlib.import_module(ENTRY)
    return int(entry.opencode() if name == "opencode-with-litellm" else entry.main())


def _result(module: str, source: str, arguments: Sequence[str]) -> tuple[int, str, str]:
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as messages:
        child = os.fork()
        if child == 0:
            status = 99
            with contextlib.suppress(BaseException):
                os.dup2(output.fileno(), 1)
                os.dup2(messages.fileno(), 2)
                status = _launch(module, source, arguments)
            os._exit(status)
        _, ended = os.waitpid(child, 0)
        output.seek(0)
        messages.seek(0)
        return os.waitstatus_to_exitcode(ended), output.read().decode(), messages.read().decode()


def main() -> None:
    """Run all cases of standard input."""
    # Modules that are slow to import and not ours.
    for name in ("click", "jinja2", "requests", "json", "dataclasses", "subprocess", "traceback"):
        importlib.import_module(name)
    json.dump([_result(*case) for case in json.load(sys.stdin)], sys.stdout)


if __name__ == "__main__":
    main()
