"""What versions of LiteLLM answered: `tests/recordings/VERSION/`, written by `tests/record.py`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import versions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .stub import StubProxy

FOLDER = Path(__file__).parents[1] / "recordings"
CATALOGUE = FOLDER / "catalogue.yaml"

MODELS, INFO, GROUPS = "/v1/models", "/v1/model/info", "/model_group/info"
RESPONSES = "/v1/responses"


def name_of(row: Mapping[str, Any]) -> str:
    """Return the public name in a row of any of the three endpoints."""
    return str(row.get("model_name") or row.get("model_group") or row.get("id"))


@dataclass(frozen=True)
class Recording:
    """What one version answered.

    ``keys`` maps a kind of key to what it got, by ``GET PATH``: a status, with the ids of a list or a refusal's body.
    """

    version: str

    @cached_property
    def keys(self) -> Mapping[str, Mapping[str, Any]]:
        """The outcome of every question for every kind of key."""
        outcomes = self._read("keys.json")
        return {
            kind: {path: said["GET /v1/models"] if what == "the same" else what for path, what in said.items()}
            for kind, said in outcomes.items()
        }

    @property
    def with_database(self) -> Mapping[str, Mapping[str, Any]]:
        """The same for the keys in a database; empty for versions that were recorded without one."""
        return {kind: said for kind, said in self.keys.items() if not kind.endswith(", no database")}

    def rows(self, endpoint: str) -> list[dict[str, Any]]:
        """Return the rows of an endpoint, with only the mode of those for wildcards."""
        file, field = {
            MODELS: ("models.json", "id"),
            INFO: ("model-info.json", "model_name"),
            GROUPS: ("model-group-info.json", "model_group"),
        }[endpoint]
        rows = self._read(file)
        for mode, models in self._read("wildcards.json").items():
            known = {} if mode == "None" else {"mode": mode}
            if endpoint == INFO:
                rows += [{field: model, "model_info": known} for model in models if known]
            else:
                rows += [{field: model, **(known if endpoint == GROUPS else {})} for model in models]
        return list(rows)

    def serve(self, stub: StubProxy, kind: str = "master, no database") -> None:
        """Make a stub answer as this version did to a kind of key."""
        said = self.keys[kind]
        for path in (MODELS, INFO, GROUPS):
            status, what = said[f"GET {path}"]
            if status == 200:
                rows = [row for row in self.rows(path) if kind.startswith("master") or name_of(row) in what]
                rows += [{"id": name} for name in what if path == MODELS and name not in map(name_of, rows)]
                stub.answer(path, {"data": rows})
            elif isinstance(what, str):
                stub.answer(path, what.encode(), status=status, content_type="text/plain")
            else:
                stub.answer(path, what, status=status)
        status, what = said[f"GET {RESPONSES}"]
        stub.answer(RESPONSES, what, status=status)

    def _read(self, file: str) -> Any:
        return json.loads((FOLDER / self.version / file).read_text())


RECORDINGS = tuple(Recording(version) for version in versions.VERSIONS)
