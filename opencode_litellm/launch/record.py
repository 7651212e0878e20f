"""What a launch needs to know of the last discovery under the same circumstances, in a file of its own.

Lines of text before the raw answers of ``/v1/models``, so that an unchanged answer is recognised without parsing
it and nothing has to be imported. No key is in it, only where to find one.
"""

from __future__ import annotations

import os
import time

from opencode_litellm import __version__, cache, variables
from opencode_litellm.opencode import delivery, layers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

FRESH = 600.0  # seconds for which prices and limits are not asked for again

# How a payload is handed over. HEAD: the models by file, and inline the addresses and keys that must win.
FILE, INLINE, HEAD = "file", "inline", "file+head"


# Variables whose value, and not only their presence, a payload may depend on.
_VARIABLES = (
    "HOME", "USERPROFILE", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "LITELLM_PROXY_URL",
    "OPENCODE_CONFIG", "OPENCODE_CONFIG_CONTENT", "OPENCODE_CONFIG_DIR", "OPENCODE_AUTH_CONTENT",
    "OPENCODE_DISABLE_PROJECT_CONFIG", "OPENCODE_LITELLM_URL", "OPENCODE_LITELLM_DELIVERY", variables.NAMED_MODEL,
    # Which way a proxy is reached, and so how it is asked.
    "http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY",
)  # fmt: skip

_TITLE = f"opencode-litellm launch {__version__}"


class Source:
    """A proxy that was asked: where, with which key, and what it answered.

    ``found_in`` is :attr:`opencode_litellm.proxies.Key.found_in`; ``headers`` maps names to the option of the section
    that holds them, and ``took`` is how many seconds the last answer took. ``via`` is the variable that names an
    HTTP proxy on the way, empty without one. ``body`` is empty when it gave no list of models, ``served`` False when it
    gave none that opencode can use.
    """

    __slots__ = (
        "body", "found_in", "headers", "host", "identify", "loopback", "port", "prefix", "provider", "served", "tls",
        "took", "via",
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
        via: str,
        found_in: str,
        headers: Mapping[str, str],
        served: bool,
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
        self.via = via
        self.found_in = found_in
        self.headers = headers
        self.served = served
        self.body = body


class Record:
    """The last discovery: its sources, the payload that came of it, and what else that depended on.

    ``payload`` and ``head`` name the files in the cache that are handed over (``head`` is empty without one).
    ``refreshed`` is when prices and limits were last asked for (``time.time``; 0: not answered in time),
    ``confirmed`` when the record was last found true. ``variables`` maps names to the provider, option and header
    whose literal value travels in opencode's environment. ``stamp`` tells one record from the next.
    """

    __slots__ = (
        "confirmed", "head", "mode", "payload", "refreshed", "sources", "stamp", "variables", "watched_files",
        "watched_variables",
    )  # fmt: skip

    def __init__(  # noqa: PLR0913 - as above
        self,
        *,
        refreshed: float,
        confirmed: float,
        mode: str,
        payload: str,
        head: str,
        sources: Sequence[Source],
        variables: Mapping[str, tuple[str, str, str]],
        watched_files: Sequence[str],
        watched_variables: Sequence[str],
    ) -> None:
        self.refreshed = refreshed
        self.mode = mode
        self.payload = payload
        self.head = head
        self.stamp = ""
        self.sources = sources
        self.variables = variables
        self.watched_files = watched_files
        self.watched_variables = watched_variables
        self.confirmed = confirmed


def fingerprint(environment: Mapping[str, str], folder: str) -> str:
    """Return a name for all that a payload depends on and that can be told without opening a file."""
    environment = delivery.undone(environment)  # a launch inside of a launch is the same one
    parts = [__version__]
    parts += [f"{name}={environment.get(name)}" for name in _VARIABLES]
    parts += [name for name in variables.KEY_VARIABLES if environment.get(name, "").strip()]
    parts += [_identity(path) for kind, path in layers.files(environment, folder) if kind != layers.INLINE]
    parts.append(_identity(layers.auth_file(environment)))
    return cache.digest(parts)


def load(environment: Mapping[str, str], key: str) -> Record | None:
    """Return the record, or None when there is none that still describes these circumstances."""
    content = cache.read(environment, _name(key))
    if content is None:
        return None
    try:
        record, state = _parsed(content)
        status = os.stat(cache.path(environment, _name(key)))
        usable = all(cache.is_ours(os.lstat(file)) for file in _delivered(record, environment))
    except (ValueError, KeyError, IndexError, OSError):
        return None
    record.confirmed = status.st_mtime
    record.stamp = f"{status.st_ino} {status.st_mtime_ns}"
    return record if usable and state == _state(record, environment) else None


def save(environment: Mapping[str, str], key: str, record: Record) -> None:
    """Keep a record, if that is possible."""
    if cache.write(environment, _name(key), _written(record, _state(record, environment))) is not None:
        cache.date(environment, _name(key), record.confirmed)


def confirm(environment: Mapping[str, str], key: str, record: Record) -> None:
    """Note that a record was found true, at most once an hour."""
    if not 0 <= time.time() - record.confirmed < 3600:
        cache.date(environment, _name(key), time.time())
        for name in filter(None, (record.payload, record.head)):
            cache.use(environment, name)


def withdraw(environment: Mapping[str, str], key: str) -> None:
    """Remove a record; its payload may be that of another one, too."""
    cache.remove(environment, _name(key))


def turn_name(key: str) -> str:
    """Return the name of the lock of whoever replaces a record while somebody waits."""
    return f"turn-{key}"


def claim_name(key: str) -> str:
    """Return the name of the claim on refreshing a record."""
    return f"refresh-{key}"


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
    files = [*record.watched_files, *_delivered(record, environment)]
    return cache.digest([*values, *(_identity(path) for path in files)])


def _delivered(record: Record, environment: Mapping[str, str]) -> list[str]:
    return [cache.path(environment, name) for name in (record.payload, record.head) if name]


def _written(record: Record, state: str) -> bytes:
    lines = [_TITLE, _line("state", state), _line("refreshed", repr(record.refreshed)), _line("mode", record.mode)]
    lines.append(_line("payload", record.payload, record.head))
    lines += [_line("file", path) for path in record.watched_files]
    lines += [_line("variable", name) for name in record.watched_variables]
    lines += [_line("carry", name, *place) for name, place in record.variables.items()]
    for source in record.sources:
        headers = [part for header in source.headers.items() for part in header]
        switches = "".join("-+"[value] for value in (source.tls, source.loopback, source.identify, source.served))
        lines.append(
            _line(
                "source", source.provider, switches, source.host, str(source.port), source.prefix,
                repr(source.took), source.via, source.found_in, str(len(source.body)), *headers,
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
        length = int(words[8])
        if length > len(bodies):
            raise ValueError(length)
        body, bodies = bodies[:length], bodies[length:]
        tls, loopback, identify, served = (switch == "+" for switch in words[1])
        sources.append(
            Source(
                provider=words[0], tls=tls, host=words[2], port=int(words[3]), prefix=words[4], loopback=loopback,
                identify=identify, took=float(words[5]), via=words[6], found_in=words[7],
                served=served, body=body, headers=dict(zip(words[9::2], words[10::2], strict=True)),
            )
        )  # fmt: skip
    if bodies or not sources:
        raise ValueError(len(bodies))
    payload, head_name = rows["payload"][0]
    record = Record(
        refreshed=float(rows["refreshed"][0][0]),
        confirmed=0.0,
        payload=payload,
        head=head_name,
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
