"""The last discovery under the same circumstances, in a file for the next launch.

The file has lines of text, then the answers of ``/v1/models`` as received: an unchanged answer is recognised without
parsing it, and nothing has to be imported. It holds no key, only where to find one.
"""

from __future__ import annotations

import os
import time

from opencode_litellm import __version__, cache, private, variables
from opencode_litellm.fields import Fields
from opencode_litellm.opencode import delivery, layers, versions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

FRESH = 600.0  # seconds before prices and limits are asked for again

# How a payload is handed over. HEAD: the models by file, and the restrictions, addresses and keys that must win inline.
# SLOT: in the file that opencode 2's server watches.
FILE, INLINE, HEAD, SLOT = "file", "inline", "file+head", "slot"


# Variables whose value, and not only their presence, a payload may depend on.
_VARIABLES = (
    "HOME", "USERPROFILE", "XDG_CONFIG_HOME", "XDG_DATA_HOME", variables.PROXY_URL,
    "OPENCODE_CONFIG", "OPENCODE_CONFIG_CONTENT", "OPENCODE_CONFIG_DIR", "OPENCODE_AUTH_CONTENT",
    "OPENCODE_DISABLE_PROJECT_CONFIG", variables.URL, variables.DELIVERY, variables.NAMED_MODEL,
    variables.DEFAULT_MODEL, variables.SMALL_MODEL, variables.ONLY, "XDG_STATE_HOME",
    # These decide how a proxy is reached.
    *variables.HTTP_PROXIES, "no_proxy", "NO_PROXY",
)  # fmt: skip

_YES_NO = ("no", "yes")

_TITLE = f"opencode-litellm launch {__version__}"


class RecordedProxy(Fields):
    """A proxy that was asked: where it is, which key it gets, and what it answered.

    ``key_origin`` is :attr:`opencode_litellm.proxies.Key.origin`; ``headers`` maps names to the option of the section
    that holds them, and ``took`` is how many seconds the last answer took. ``via`` is the variable that names the
    HTTP proxy in between, empty for a direct connection. ``identify``: it was detected, and has to identify itself
    before it gets its key. ``served`` is False if it listed no model that opencode can use; ``body`` is the list as
    received, empty if there was none.
    """

    provider: str
    tls: bool
    host: str
    port: int
    prefix: str
    loopback: bool
    identify: bool
    took: float
    via: str
    key_origin: str
    headers: Mapping[str, str]
    served: bool
    body: bytes


class Record(Fields):
    """The last discovery: the proxies, the payload, and everything else that the payload depended on.

    ``payload_file`` and ``head_file`` name the files in the cache that are handed over (``head_file`` is empty if
    there is none). ``refreshed`` is when the proxies last gave prices and limits (``time.time``; 0: not yet),
    ``confirmed`` when the record was last known to be true. ``variables`` maps names to the provider, option and header
    whose literal value is passed in opencode's environment. ``stamp`` tells one record from the next, also where the
    time of its file has changed since, and is empty for one that was not read from a file.
    """

    refreshed: float
    confirmed: float
    mode: str
    payload_file: str
    head_file: str
    proxies: Sequence[RecordedProxy]
    variables: Mapping[str, tuple[str, str, str]]
    watched_files: Sequence[str]
    watched_variables: Sequence[str]
    stamp: str


class Circumstances(Fields):
    """The environment and folder of a launch, and the opencode it is for: what a record is saved for.

    ``recipient`` is the opencode that the payload is for, a constant of :mod:`opencode_litellm.opencode.versions`.
    ``fingerprint`` is a name for everything that a payload depends on, except what only reading the configuration would
    tell.
    """

    environment: Mapping[str, str]
    folder: str
    recipient: str
    fingerprint: str

    @classmethod
    def of(cls, environment: Mapping[str, str], folder: str, recipient: str = versions.ONE) -> Circumstances:
        """Return the circumstances as they are now; the fingerprint looks at every file of the configuration.

        Of ``environment`` they have only what counts for the recipient.
        """
        environment = delivery.shared(environment) if recipient == versions.SERVER else environment
        fingerprint = _fingerprint(environment, folder, recipient)
        return cls(environment=environment, folder=folder, recipient=recipient, fingerprint=fingerprint)

    @property
    def is_server(self) -> bool:
        """Whether the payload is for opencode 2's server, which is the same in all folders."""
        return self.recipient == versions.SERVER


def _fingerprint(environment: Mapping[str, str], folder: str, recipient: str) -> str:
    environment = delivery.undone(environment)  # a launch inside a launch gets the same name
    project = recipient != versions.SERVER
    parts = [__version__, recipient]
    parts += [f"{name}={environment.get(name)}" for name in _VARIABLES]
    parts += [name for name in variables.KEY_VARIABLES if environment.get(name, "").strip()]
    files = layers.files(environment, folder, project=project)
    parts += [_file_state(path) for kind, path in files if kind != layers.INLINE]
    parts.append(_file_state(layers.auth_file(environment)))
    return cache.digest(parts)


def load(circumstances: Circumstances) -> Record | None:
    """Return the record, or None if there is none that still fits these circumstances."""
    environment, name = circumstances.environment, cache.RECORD.name(circumstances.fingerprint)
    content = cache.read(environment, name)
    if content is None:
        return None
    try:
        record, state = _parsed(content, os.stat(cache.path(environment, name)).st_mtime)
        usable = all(private.is_ours(os.lstat(file)) for file in _payload_paths(record, environment))
    except (ValueError, KeyError, IndexError, OSError):
        return None
    return record if usable and state == _state(record, environment) else None


def save(circumstances: Circumstances, record: Record) -> None:
    """Save a record, if that is possible."""
    environment, name = circumstances.environment, cache.RECORD.name(circumstances.fingerprint)
    if cache.write(environment, name, _written(record, _state(record, environment))) is not None:
        cache.set_time(environment, name, record.confirmed)


def confirm(circumstances: Circumstances, record: Record) -> None:
    """Note, at most once an hour, that a record is still true and that its files are used."""
    if not 0 <= time.time() - record.confirmed < 3600:
        environment = circumstances.environment
        cache.set_time(environment, cache.RECORD.name(circumstances.fingerprint), time.time())
        for name in filter(None, (record.payload_file, record.head_file)):
            cache.mark_used(environment, name)


def withdraw(circumstances: Circumstances) -> None:
    """Remove a record, but not its payload, which another record may share."""
    cache.remove(circumstances.environment, cache.RECORD.name(circumstances.fingerprint))


def _file_state(path: str) -> str:
    if path.endswith(os.sep):  # only the names of a folder's JSON files count
        return " ".join([path, *layers.json_files(path)])
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return f"{path}: absent"
    return f"{path}: {status.st_size} {status.st_mtime_ns} {status.st_ino}"


def _state(record: Record, environment: Mapping[str, str]) -> str:
    values = [f"{name}={environment.get(name)}" for name in record.watched_variables]
    files = [*record.watched_files, *_payload_paths(record, environment)]
    return cache.digest([*values, *(_file_state(path) for path in files)])


def _payload_paths(record: Record, environment: Mapping[str, str]) -> list[str]:
    return [cache.path(environment, name) for name in (record.payload_file, record.head_file) if name]


def _written(record: Record, state: str) -> bytes:
    lines = [_TITLE, _line("saved", at=str(time.time_ns())), _line("state", digest=state)]
    lines.append(_line("refreshed", seconds=repr(record.refreshed)))
    lines.append(_line("delivery", mode=record.mode, payload=record.payload_file, head=record.head_file))
    lines += [_line("file", path=path) for path in record.watched_files]
    lines += [_line("variable", name=name) for name in record.watched_variables]
    lines += [
        _line("carry", variable=variable, provider=provider, option=option, header=header)
        for variable, (provider, option, header) in record.variables.items()
    ]
    for proxy in record.proxies:
        lines.append(
            _line(
                "proxy", provider=proxy.provider, tls=_YES_NO[proxy.tls], host=proxy.host, port=str(proxy.port),
                prefix=proxy.prefix, loopback=_YES_NO[proxy.loopback], identify=_YES_NO[proxy.identify],
                took=repr(proxy.took), via=proxy.via, key_origin=proxy.key_origin, served=_YES_NO[proxy.served],
                length=str(len(proxy.body)),
            )
        )  # fmt: skip
        lines += [
            _line("header", provider=proxy.provider, name=name, option=option)
            for name, option in proxy.headers.items()
        ]
    head = "\n".join([*lines, "", ""]).encode("utf-8", "surrogateescape")
    return head + b"".join(proxy.body for proxy in record.proxies)


def _parsed(content: bytes, confirmed: float) -> tuple[Record, str]:
    """Parse the text of ``_written`` into record and state; ValueError, KeyError or IndexError for anything else."""
    head, _, bodies = content.partition(b"\n\n")
    title, *lines = head.decode("utf-8", "surrogateescape").split("\n")
    if title != _TITLE:
        raise ValueError(title)
    rows: dict[str, list[dict[str, str]]] = {
        "file": [], "variable": [], "carry": [], "proxy": [], "header": [],
    }  # fmt: skip
    for line in lines:
        kind, *words = line.split(" ")
        rows.setdefault(kind, []).append(dict(map(_field, words)))
    proxies = []
    for row in rows["proxy"]:
        length = int(row["length"])
        if not 0 <= length <= len(bodies):
            raise ValueError(length)
        body, bodies = bodies[:length], bodies[length:]
        proxies.append(
            RecordedProxy(
                provider=row["provider"],
                tls=row["tls"] == "yes",
                host=row["host"],
                port=int(row["port"]),
                prefix=row["prefix"],
                loopback=row["loopback"] == "yes",
                identify=row["identify"] == "yes",
                took=float(row["took"]),
                via=row["via"],
                key_origin=row["key_origin"],
                headers={
                    header["name"]: header["option"]
                    for header in rows["header"]
                    if header["provider"] == row["provider"]
                },
                served=row["served"] == "yes",
                body=body,
            )
        )
    if bodies or not proxies:
        raise ValueError(len(bodies))
    delivered = rows["delivery"][0]
    record = Record(
        refreshed=float(rows["refreshed"][0]["seconds"]),
        confirmed=confirmed,
        mode=delivered["mode"],
        payload_file=delivered["payload"],
        head_file=delivered["head"],
        proxies=proxies,
        variables={row["variable"]: (row["provider"], row["option"], row["header"]) for row in rows["carry"]},
        watched_files=[row["path"] for row in rows["file"]],
        watched_variables=[row["name"] for row in rows["variable"]],
        stamp=rows["saved"][0]["at"],
    )
    return record, rows["state"][0]["digest"]


def _line(kind: str, **fields: str) -> str:
    return " ".join([kind, *(f"{name}={_escaped(value)}" for name, value in fields.items())])


def _escaped(value: str) -> str:
    return value.replace("%", "%25").replace(" ", "%20").replace("\n", "%0A")


def _field(word: str) -> tuple[str, str]:
    """Parse a name and its escaped value."""
    name, _, value = word.partition("=")
    if "%" in value:
        value = value.replace("%0A", "\n").replace("%20", " ").replace("%25", "%")
    return name, value
