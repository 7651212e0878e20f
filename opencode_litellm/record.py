"""What a launch needs to know of the last discovery under the same circumstances, in a file of its own.

Lines of text before the raw answers of ``/v1/models``, so that an unchanged answer is recognised without parsing
it and nothing has to be imported. No key is in it, only where to find one.
"""

from __future__ import annotations

import os
import time

from . import __version__, cache, layers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

FRESH = 600.0  # seconds for which prices and limits are not asked for again
WEEK = 7 * 24 * 3600.0  # seconds that a payload serves while the proxy is away

# How a payload is handed over. HEAD: the models by file, and inline the addresses and keys that must win.
FILE, INLINE, HEAD = "file", "inline", "file+head"

KEY_VARIABLES = ("LITELLM_API_KEY", "LITELLM_MASTER_KEY", "LITELLM_PROXY_API_KEY")

# Variables whose value, and not only their presence, a payload may depend on.
_VARIABLES = (
    "HOME", "USERPROFILE", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "LITELLM_PROXY_URL",
    "OPENCODE_CONFIG", "OPENCODE_CONFIG_CONTENT", "OPENCODE_CONFIG_DIR", "OPENCODE_AUTH_CONTENT",
    "OPENCODE_DISABLE_PROJECT_CONFIG", "OPENCODE_LITELLM_URL", "OPENCODE_LITELLM_DELIVERY",
    "OPENCODE_LITELLM_USER_CONTENT",
)  # fmt: skip

_TITLE = f"opencode-litellm launch {__version__}"


class Source:
    """A proxy that was asked: where, with which key, and what it answered.

    ``found_in`` is :attr:`opencode_litellm.keys.Key.found_in`; ``headers`` maps names to the option of the section
    that holds them, and ``took`` is how many seconds the last answer took.
    """

    __slots__ = (
        "body", "found_in", "headers", "host", "identify", "loopback", "port", "prefix", "provider", "tls", "took",
    )  # fmt: skip

    def __init__(  # noqa: PLR0913 - a plain record, without the 12 ms that importing dataclasses costs
        self,
        *,
        provider: str,
        tls: bool,
        host: str,
        port: int,
        prefix: str,
        loopback: bool,
        identify: bool,
        took: float,
        found_in: str,
        headers: Mapping[str, str],
        body: bytes,
    ) -> None:
        self.provider = provider
        self.tls = tls
        self.host = host
        self.port = port
        self.prefix = prefix
        self.loopback = loopback
        self.identify = identify
        self.took = took
        self.found_in = found_in
        self.headers = headers
        self.body = body


class Record:
    """The last discovery: its sources, the payload that came of it, and what else that depended on.

    ``refreshed`` is when prices and limits were last asked for (``time.time``; 0: not answered in time),
    ``confirmed`` when the record was last found true. ``variables`` maps names to the provider, option and header
    whose literal value travels in opencode's environment.
    """

    __slots__ = ("confirmed", "mode", "refreshed", "sources", "variables", "watched_files", "watched_variables")

    def __init__(  # noqa: PLR0913 - as above
        self,
        *,
        refreshed: float,
        mode: str,
        sources: Sequence[Source],
        variables: Mapping[str, tuple[str, str, str]],
        watched_files: Sequence[str],
        watched_variables: Sequence[str],
        confirmed: float = 0.0,
    ) -> None:
        self.refreshed = refreshed
        self.mode = mode
        self.sources = sources
        self.variables = variables
        self.watched_files = watched_files
        self.watched_variables = watched_variables
        self.confirmed = confirmed


def fingerprint(environment: Mapping[str, str], folder: str) -> str:
    """Return a name for all that a payload depends on and that can be told without opening a file."""
    parts = [__version__]
    parts += [f"{name}={environment.get(name)}" for name in _VARIABLES]
    parts += [name for name in KEY_VARIABLES if environment.get(name, "").strip()]
    parts += [_identity(path) for kind, path in layers.files(environment, folder) if kind != layers.INLINE]
    parts.append(_identity(layers.auth_file(environment)))
    return cache.digest(parts)


def payload_name(key: str) -> str:
    """Return the name of the payload's file in the cache."""
    return f"payload-{key}.json"


def head_name(key: str) -> str:
    """Return the name of the file with the addresses and keys of a payload, without its models."""
    return head_name_of(payload_name(key))


def head_name_of(name: str) -> str:
    """Return the name of the head that belongs to the payload file ``name``."""
    return f"head-{name}"


def load(environment: Mapping[str, str], key: str) -> Record | None:
    """Return the record, or None when there is none that still describes these circumstances."""
    content = cache.read(environment, _name(key))
    if content is None:
        return None
    try:
        record, state = _parsed(content)
        record.confirmed = os.stat(cache.path(environment, _name(key))).st_mtime
        usable = cache.is_ours(os.stat(cache.path(environment, payload_name(key))))
    except (ValueError, KeyError, IndexError, OSError):
        return None
    return record if usable and state == _state(record, environment) else None


def save(environment: Mapping[str, str], key: str, record: Record) -> bool:
    """Keep a record; False when that is not possible."""
    return cache.write(environment, _name(key), _written(record, _state(record, environment))) is not None


def confirm(environment: Mapping[str, str], key: str, record: Record) -> None:
    """Note that a record was found true, at most once an hour."""
    if not 0 <= time.time() - record.confirmed < 3600:
        for name in (_name(key), payload_name(key), head_name(key)):
            cache.touch(environment, name)


def withdraw(environment: Mapping[str, str], key: str) -> None:
    """Remove a record and its payload."""
    for name in (_name(key), payload_name(key), head_name(key)):
        cache.remove(environment, name)


def _name(key: str) -> str:
    return f"launch-{key}"


def _identity(path: str) -> str:
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return f"{path}: absent"
    return f"{path}: {status.st_size} {status.st_mtime_ns} {status.st_ino}"


def _state(record: Record, environment: Mapping[str, str]) -> str:
    values = [f"{name}={environment.get(name)}" for name in record.watched_variables]
    return cache.digest([*values, *(_identity(path) for path in record.watched_files)])


def _written(record: Record, state: str) -> bytes:
    lines = [_TITLE, _line("state", state), _line("refreshed", repr(record.refreshed)), _line("mode", record.mode)]
    lines += [_line("file", path) for path in record.watched_files]
    lines += [_line("variable", name) for name in record.watched_variables]
    lines += [_line("carry", name, *place) for name, place in record.variables.items()]
    for source in record.sources:
        headers = [part for header in source.headers.items() for part in header]
        switches = "".join("-+"[value] for value in (source.tls, source.loopback, source.identify))
        lines.append(
            _line(
                "source", source.provider, switches, source.host, str(source.port), source.prefix,
                repr(source.took), source.found_in, str(len(source.body)), *headers,
            )
        )  # fmt: skip
    head = "\n".join([*lines, "", ""]).encode("utf-8", "surrogateescape")
    return head + b"".join(source.body for source in record.sources)


def _parsed(content: bytes) -> tuple[Record, str]:
    """Parse what ``_written`` made; ValueError, KeyError or IndexError for anything else."""
    head, _, bodies = content.partition(b"\n\n")
    title, *lines = head.decode("utf-8", "surrogateescape").split("\n")
    if title != _TITLE:
        raise ValueError(title)
    rows: dict[str, list[list[str]]] = {}
    for line in lines:
        kind, *words = line.split(" ")
        rows.setdefault(kind, []).append([_unescaped(word) for word in words])
    sources = []
    for words in rows.get("source", []):
        length = int(words[7])
        if length > len(bodies):
            raise ValueError(length)
        body, bodies = bodies[:length], bodies[length:]
        tls, loopback, identify = (switch == "+" for switch in words[1])
        sources.append(
            Source(
                provider=words[0], tls=tls, host=words[2], port=int(words[3]), prefix=words[4], loopback=loopback,
                identify=identify, took=float(words[5]), found_in=words[6], body=body,
                headers=dict(zip(words[8::2], words[9::2], strict=True)),
            )
        )  # fmt: skip
    if bodies or not sources:
        raise ValueError(len(bodies))
    record = Record(
        refreshed=float(rows["refreshed"][0][0]),
        mode=rows["mode"][0][0],
        sources=sources,
        variables={name: (provider, option, header) for name, provider, option, header in rows.get("carry", [])},
        watched_files=[words[0] for words in rows.get("file", [])],
        watched_variables=[words[0] for words in rows.get("variable", [])],
    )
    return record, rows["state"][0][0]


def _line(kind: str, *words: str) -> str:
    return " ".join([kind, *(_escaped(word) for word in words)])


def _escaped(word: str) -> str:
    return word.replace("%", "%25").replace(" ", "%20").replace("\n", "%0A")


def _unescaped(word: str) -> str:
    return word.replace("%0A", "\n").replace("%20", " ").replace("%25", "%")
