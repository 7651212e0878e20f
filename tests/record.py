"""Record what versions of LiteLLM answer, into `recordings/VERSION/`: ``make record ARGS="1.70.4 1.74.15"``.

Each one is installed into a folder of its own and serves `recordings/catalogue.yaml` to keys of every kind. What
makes a recording long and says nothing is left out, and nothing else:

- fields that are null, and ids that are made up anew at every start;
- for the many models behind a wildcard, all but their mode (`wildcards.json`: ids by mode);
- the order of rows; `workers.json` says whether several workers have the same one.
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
import textwrap
import urllib.error
import urllib.request
from collections import defaultdict
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from world import versions
from world.database import Database
from world.litellm import LiteLLM
from world.recordings import CATALOGUE, FOLDER, GROUPS, INFO, MODELS, RESPONSES, name_of
from world.upstream import Upstream
from world.virtual_keys import make_keys

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

ENDPOINTS = {MODELS: "models.json", INFO: "model-info.json", GROUPS: "model-group-info.json"}
WILDCARDS = ("openai/", "azure/")
WORKERS = 3
CHAT = "/v1/chat/completions"

# Throwaway ids, and what is made up at every start.
_MADE_UP = re.compile(r"[0-9a-f]{64}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|sk-\.\.\.\w+")
_PORT = re.compile(r"(?<=127\.0\.0\.1):\d+")
_TIMES = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?(\+00:00|Z)?")
_NOISE = ("id", "object", "created", "owned_by", "db_model", "created_at", "created_by", "updated_at", "updated_by")
_Answer = tuple[int, str]  # status and body


def main(arguments: list[str]) -> int:
    """Record the versions that are named, or all of them."""
    unknown = [version for version in arguments if version not in versions.VERSIONS]
    if unknown:
        print(f"record: {', '.join(unknown)} is none of {', '.join(versions.VERSIONS)}", file=sys.stderr)
        return 2
    for version in arguments or versions.VERSIONS:
        print(f"{version}: installing, then recording", flush=True)
        write(version, *asked(version, versions.installed(version)))
    return 0


def asked(
    version: str, program: Path
) -> tuple[dict[str, dict[str, _Answer]], dict[str, dict[str, _Answer]], dict[str, bool]]:
    """Return the answers to each kind of key by what was asked: with a database, {} before 1.65, and without.

    And what `ordered` returns, {} when several workers do not come up.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        upstream = stack.enter_context(Upstream())
        with_database = {}
        if versions.parsed(version) >= versions.FIRST_WITH_TABLES:
            database = stack.enter_context(Database(program))
            environment = database.environment
            with LiteLLM(
                folder, upstream.root, program=program, catalogue=CATALOGUE, environment=environment
            ) as litellm:
                keys = make_keys(litellm, database)
                with_database = {kind: _answers(litellm, key) for kind, key in keys.items()}
        with LiteLLM(folder, upstream.root, program=program, catalogue=CATALOGUE) as litellm:
            without = {
                kind: _answers(litellm, key)
                for kind, key in {"master": litellm.key, "wrong": "sk-wrong", "none": ""}.items()
            }
        try:
            several = LiteLLM(folder, upstream.root, program=program, catalogue=CATALOGUE, workers=WORKERS)
            with several as litellm:
                orders = ordered(litellm)
        except RuntimeError:  # uvicorn ends workers that take 5 s to come up, as on a busy machine
            print(f"{version}: no several workers here, so workers.json stays as it is", flush=True)
            orders = {}
    return with_database, without, orders


def ordered(litellm: LiteLLM) -> dict[str, bool]:
    """Return whether the rows of an endpoint come in one order, whichever worker answers; they must be the same."""
    answers = {
        path: [[name_of(row) for row in _rows(_answer(litellm, path, litellm.key))] for _ in range(10 * WORKERS)]
        for path in ENDPOINTS
    }
    assert all(sorted(names) == sorted(said[0]) for said in answers.values() for names in said)
    return {f"GET {path}": all(names == said[0] for names in said) for path, said in answers.items()}


def write(
    version: str,
    with_database: Mapping[str, Mapping[str, _Answer]],
    without: Mapping[str, Mapping[str, _Answer]],
    orders: Mapping[str, bool],
) -> None:
    """Write a version's recordings."""
    folder = FOLDER / version
    folder.mkdir(exist_ok=True)
    by_mode: dict[str, set[str]] = defaultdict(set)
    modes = {}
    # LiteLLM 1.90 spells a wildcard out in the one and not in the other.
    for row in (*_rows(without["master"][INFO]), *_rows(without["master"][GROUPS])):
        mode = row.get("model_info", row).get("mode")
        if mode:
            modes.setdefault(name_of(row), mode)
    for endpoint, file in ENDPOINTS.items():
        kept = []
        for row in _rows(without["master"][endpoint]):
            model = name_of(row)
            if model.startswith(WILDCARDS) and "*" not in model:
                by_mode[str(modes.get(model))].add(model)
            else:
                kept.append(_essence(row, endpoint))
        kept.sort(key=lambda row: json.dumps(row, sort_keys=True))
        (folder / file).write_text(_text(kept))
    wildcards = {mode: sorted(models) for mode, models in sorted(by_mode.items())}
    (folder / "wildcards.json").write_text(_text(wildcards))
    keys = {
        **{f"{kind}, no database": _outcome(answers) for kind, answers in without.items()},
        **{kind: _outcome(answers) for kind, answers in with_database.items()},
    }
    (folder / "keys.json").write_text(_text(keys))
    if orders:
        (folder / "workers.json").write_text(_text(orders))


def _answers(litellm: LiteLLM, key: str) -> dict[str, _Answer]:
    question = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}
    answers = {path: _answer(litellm, path, key) for path in (*ENDPOINTS, RESPONSES)}
    return {**answers, CHAT: _answer(litellm, CHAT, key, json.dumps(question).encode())}


def _answer(litellm: LiteLLM, path: str, key: str, body: bytes | None = None) -> _Answer:
    headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {key}"} if key else {})}
    try:
        with urllib.request.urlopen(urllib.request.Request(litellm.url + path, body, headers), timeout=120) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def _outcome(answers: Mapping[str, _Answer]) -> dict[str, object]:
    """Return what a key gets: the ids of a list, the status and the body of a refusal."""
    said = {path: _said(path, status, body) for path, (status, body) in answers.items()}
    models = said.pop(MODELS)
    others = {path: "the same" if outcome == models else outcome for path, outcome in said.items()}
    outcomes = {MODELS: models, **others}
    return {f"{'POST' if path == CHAT else 'GET'} {path}": outcome for path, outcome in outcomes.items()}


def _said(path: str, status: int, body: str) -> object:
    if status != 200 or path not in ENDPOINTS:
        text = _TIMES.sub("TIME", _MADE_UP.sub("ID", body))
        return [status] if status == 200 else [status, _parsed(text)]
    names = [name_of(row) for row in json.loads(body)["data"]]
    # What a wildcard stands for is in wildcards.json.
    return [status, sorted({name for name in names if not name.startswith(WILDCARDS) or "*" in name})]


def _parsed(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _rows(answer: _Answer) -> Iterable[dict[str, Any]]:
    status, body = answer
    return json.loads(body)["data"] if status == 200 else []


def _essence(value: Any, endpoint: str = "") -> Any:
    if isinstance(value, list):
        return [_essence(each) for each in value]
    if isinstance(value, str):
        return _PORT.sub("", value)
    if not isinstance(value, dict):
        return value
    noise = [name for name in _NOISE if not (name == "id" and endpoint == MODELS)]
    return {name: _essence(each) for name, each in value.items() if each is not None and name not in noise}


def _text(value: Any) -> str:
    """Return JSON with as much on a line as fits, so that a recording is short and a change of it is seen."""
    return _laid_out(value, 0) + "\n"


def _laid_out(value: Any, depth: int) -> str:
    flat = json.dumps(value)
    if len(flat) + depth <= 118 or not isinstance(value, dict | list):
        return flat
    pad = " " * (depth + 1)
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return f"[\n{_filled([json.dumps(each) for each in value], pad)}\n{pad[1:]}]"
    parts = (
        [f"{json.dumps(name)}: {_laid_out(each, depth + 1)}" for name, each in value.items()]
        if isinstance(value, dict)
        else [_laid_out(each, depth + 1) for each in value]
    )
    start, end = "{}" if isinstance(value, dict) else "[]"
    if start == "{":
        short = [part for part in parts if len(part) + depth <= 100 and "\n" not in part]
        parts = [*([_filled(short, pad)] if short else []), *(pad + part for part in parts if part not in short)]
    else:
        parts = [pad + part for part in parts]
    return f"{start}\n" + ",\n".join(parts) + f"\n{pad[1:]}{end}"


def _filled(parts: list[str], pad: str) -> str:
    # A blank inside a part must not be broken at.
    text = ", ".join(part.replace(" ", "\0") for part in parts)
    lines = textwrap.wrap(
        text, 118, initial_indent=pad, subsequent_indent=pad, break_long_words=False, break_on_hyphens=False
    )
    return "\n".join(line.replace("\0", " ") for line in lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
