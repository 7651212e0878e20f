"""How a payload gets to opencode: by which variables and files, and what to do when one of them cannot hold it."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from opencode_litellm import cache, private, program, rendering, variables
from opencode_litellm.launch.record import FILE, HEAD, INLINE, SLOT
from opencode_litellm.opencode import delivery, server_payload, slot, versions
from opencode_litellm.opencode.delivery import PRINTED, Undeliverable
from opencode_litellm.opencode.payload import Place
from opencode_litellm.settings import sections

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from opencode_litellm.discovery import Discovery
    from opencode_litellm.models.catalog import Model
    from opencode_litellm.opencode.delivery import Changes
    from opencode_litellm.opencode.payload import Payload
    from opencode_litellm.opencode.versions import Version
    from opencode_litellm.proxies import Proxy, ProxyURL
    from opencode_litellm.settings.sections import Settings


_OLD = f"opencode before 1.2.11 does not replace {{env:…}} in {variables.CONFIG_CONTENT}"
_BELOW = "which a project's configuration overrides"
_WRITABLE = "set XDG_CACHE_HOME to a folder that you can write to"


@dataclass(frozen=True)
class Handover:
    """The changes to opencode's environment, the mode of delivery, and what to say about it.

    ``payload_file`` and ``head_file`` name the files in the cache that hold the payload, as in
    :class:`opencode_litellm.launch.record.Record`.
    """

    changes: Changes
    mode: str
    payload_file: str
    head_file: str = ""
    notes: tuple[str, ...] = ()

    @property
    def where(self) -> str:
        """Where opencode finds the models, in words."""
        if self.mode == SLOT:
            return "the file that opencode 2's server reads"
        names = (variables.CONFIG, variables.CONFIG_CONTENT)
        return " and ".join(name for name in names if self.changes.get(name) is not None)


def hand_over(
    discovery: Discovery, settings: Settings, environment: Mapping[str, str], *, launch: bool, recipient: str
) -> Handover:
    """Decide how a payload gets to opencode, and write its files: for a ``launch`` from this folder, or for any folder.

    ``recipient`` is the opencode it is for, a constant of :mod:`opencode_litellm.opencode.versions`. Raises
    Undeliverable if neither a variable nor a file can hold the payload.
    """
    if recipient == versions.SERVER:
        return _in_slot(discovery, settings, environment)
    handover = _in_variables(discovery, settings, environment, launch=launch, recipient=recipient)
    beside = delivery.directly(discovery.payload.loopback_hosts, environment, launch=launch)
    if discovery.payload.detected and not launch:  # a launch checks them each time
        beside[variables.DETECTED] = " ".join(discovery.payload.detected)
    return replace(handover, changes={**handover.changes, **beside})


@dataclass(frozen=True)
class _Rendering:
    """A payload as text, and which opencode it is for, in which environment."""

    payload: Payload
    text: str
    environment: Mapping[str, str]
    launch: bool
    recipient: str

    @cached_property
    def name(self) -> str:
        """The name of its file, a digest of the payload: a file that was handed over never changes."""
        return cache.PAYLOAD.name(cache.digest([self.text]))

    def cached(self) -> str | None:
        """Return a file in the cache that holds it, None if none can be written."""
        return _cached(self.environment, self.name, self.text)

    def file(self, because: str) -> str:
        """Return a file that holds it, in the cache or elsewhere. Raises Undeliverable, which says ``because``."""
        file = self.cached() or _temporary(self.name, self.text)
        if file is None:
            raise Undeliverable(f"{because}, and no file can be written", _WRITABLE)
        return file

    def inline(self, text: str) -> Changes:
        """Return the changes that hand over ``text``, which is all or a part of it, in a variable."""
        literal = self.recipient == versions.ONE_LITERALLY
        return delivery.inline(text, self.environment, launch=self.launch, literal=literal)


def _in_variables(
    discovery: Discovery, settings: Settings, environment: Mapping[str, str], *, launch: bool, recipient: str
) -> Handover:
    if recipient == versions.ONE_LITERALLY:
        environment = variables.changed(environment, _carried_values(discovery))
    way = _way(discovery, settings, environment, launch=launch, recipient=recipient)
    second = recipient == versions.TWO
    payload = server_payload.build(_triples(discovery), settings.defaults) if second else discovery.payload
    payload = payload.placed(way.place)
    rendered = _Rendering(payload, rendering.payload(payload), environment, launch, recipient)
    if way.because == PRINTED:  # so no variable is set, not even for restrictions, which the file has as well
        file = rendered.file(way.because)
        notes = (f"{way.because}, so the models are delivered in {file}, {_BELOW}",)
        return Handover(delivery.by_file(file, environment), FILE, rendered.name, notes=notes)
    if way.because:
        return _by_file(rendered, rendered.file(way.because), above=way.above)
    if way.by_file and (path := rendered.cached()):
        return _by_file(rendered, path, above=way.above)
    try:
        return _inline(rendered)
    except Undeliverable as failure:
        problem = f"{variables.CONFIG_CONTENT} cannot hold {payload.model_count} models ({failure.problem})"
        if delivery.users_file(environment) is not None:
            remedy = f"unset {variables.CONFIG}, or {failure.remedy}"
            raise Undeliverable(f"{problem}, and {variables.CONFIG} names a file of your own", remedy) from failure
        file = rendered.file(problem)
        return _by_file(rendered, file, above=way.above, notes=(f"{problem}, so they are delivered in {file}",))


def _inline(rendered: _Rendering) -> Handover:
    """Return that the whole payload is in a variable."""
    changes = rendered.inline(rendered.text)
    if rendered.launch:
        rendered.cached()  # for the next launch
    return Handover(changes, INLINE, rendered.name)


def _by_file(rendered: _Rendering, file: str, *, above: bool, notes: tuple[str, ...] = ()) -> Handover:
    """Return that the models are in ``file``, and only what has to beat a project's configuration in a variable.

    That is the restrictions, and the addresses and keys if they have to rank ``above`` it.
    """
    payload, environment = rendered.payload, rendered.environment
    changes = delivery.by_file(file, environment)
    if not above and (not payload.restrictions or rendered.recipient == versions.ONE_BY_FILE):
        return Handover(changes, FILE, rendered.name, notes=notes)
    head = rendering.payload(payload.head if above else payload.restrictions_alone)
    name = cache.HEAD.name(cache.digest([head]))
    try:
        changes |= rendered.inline(head)
    except Undeliverable as failure:
        problem = f"{variables.CONFIG_CONTENT} cannot hold the URLs of the proxies ({failure.problem})"
        raise Undeliverable(problem, failure.remedy) from failure
    changes |= {variables.CONFIG: file, variables.NO_KEY: "none"}
    _cached(environment, name, head)
    return Handover(changes, HEAD, rendered.name, name, notes=notes)


@dataclass(frozen=True)
class _Way:
    """Where a payload goes: whether a part has to rank ``above`` a project's configuration, and whether it is a file.

    ``because`` says why the models must not be in a variable; it is empty if they may be. ``place`` is where most of
    the payload ends up.
    """

    above: bool
    by_file: bool
    place: Place
    because: str = ""


def _way(
    discovery: Discovery, settings: Settings, environment: Mapping[str, str], *, launch: bool, recipient: str
) -> _Way:
    # A file ranks below the project's configuration, so it is enough only if that was read.
    above = not launch or discovery.payload.above_project
    users_file = delivery.users_file(environment) is not None
    content = delivery.users_content(environment)
    if not launch and content and delivery.holds_secrets(content):
        if users_file:
            remedy = "put it in a variable and write {env:NAME} instead"
            raise Undeliverable(f"{PRINTED}, and {variables.CONFIG} names a file of your own", remedy)
        return _Way(above=False, by_file=True, place=Place.BELOW, because=PRINTED)
    if recipient == versions.ONE_BY_FILE or (recipient == versions.ONE_LITERALLY and not launch):
        _refuse_unless_safe(discovery, above=above, users_file=users_file)
        return _Way(above=False, by_file=True, place=Place.BELOW, because=_OLD)
    by_file = not users_file and (settings.delivery == "file" or (settings.delivery != "inline" and not above))
    place = Place.BELOW if by_file and not above else Place.LAUNCH if launch else Place.ABOVE
    return _Way(above, by_file, place)


def _refuse_unless_safe(discovery: Discovery, *, above: bool, users_file: bool) -> None:
    """Raise Undeliverable if a file alone, which ranks below every project's configuration, is unsafe or impossible.

    It is unsafe if there is a key: it would go to the address that another project has for the same provider.
    """
    remedy = "update opencode to 1.2.11 or newer"
    if users_file:
        remedy += f", or unset {variables.CONFIG}"
        raise Undeliverable(f"{_OLD}, and {variables.CONFIG} names a file of your own", remedy)
    keys = any(served.proxy.key.secret or served.proxy.headers for served in discovery.served)
    if above and keys:
        raise Undeliverable(
            f"{_OLD}, and from a file the key could go to the URL that another project has for the same provider",
            f"{remedy}, or start opencode-with-litellm instead of opencode",
        )


def _in_slot(discovery: Discovery, settings: Settings, environment: Mapping[str, str]) -> Handover:
    """Write the payload into the file that opencode 2's server watches."""
    triples = _triples(discovery)
    payload = server_payload.build(triples, settings.defaults)
    text = rendering.payload(replace(payload, schema=delivery.SLOT_MARKER))
    problem = slot.keep(text, environment)
    notes = (*server_payload.left_out(triples), *([problem] if problem else []))
    return Handover({}, SLOT, cache.SHARED, notes=notes)


def _triples(discovery: Discovery) -> list[tuple[Proxy, ProxyURL, Sequence[Model]]]:
    return [(served.proxy, served.remembered.answers.url, served.catalogue.models) for served in discovery.served]


def _carried_values(discovery: Discovery) -> dict[str, str]:
    """Map each variable that carries a literal header or key to its value."""
    values: dict[str, str] = {}
    for proxy in (served.proxy for served in discovery.served):
        values |= {header.variable: header.value for header in proxy.headers if header.variable}
        if proxy.key_variable:
            values[proxy.key_variable] = proxy.key.secret
    return values


def recipient_on_path(environment: Mapping[str, str]) -> tuple[Version, str]:
    """Return the version of the opencode on PATH, and what a payload for it is made for."""
    path = program.find("opencode", environment)
    version = versions.of(path, environment) if path else versions.UNKNOWN
    how = sections.delivery(environment)
    # Somebody who asks for variables knows that their opencode 2 reads them, because it is its own server.
    return version, versions.recipient(version, how, reads_variables=version.major == 1 or how != "auto")


def hand_over_to_shell(
    discovery: Discovery, settings: Settings, environment: Mapping[str, str], *, recipient: str, travels: bool
) -> Handover:
    """Decide how a payload gets to an opencode that a shell starts later, in any folder.

    Whatever ``travels`` may be read on another machine, which has none of our files.
    """
    if travels:
        handover = hand_over(discovery, settings, environment, launch=False, recipient=recipient)
    else:
        handover = _hand_over_here(discovery, settings, environment, recipient)
    secrets = carried_variables(discovery)
    # A header's variable that the user has set as we asked stays.
    changes = {
        variable: value
        for variable, value in handover.changes.items()
        if value is not None or environment.get(variable) != secrets.get(variable)
    }
    return replace(handover, changes=changes)


def _hand_over_here(
    discovery: Discovery, settings: Settings, environment: Mapping[str, str], recipient: str
) -> Handover:
    """Decide how a payload gets to any folder of this machine, whose configuration may choose a default model.

    The settings that it may replace go below it, into a file, if one can be written. The rest is as in `hand_over`.
    """
    payload = discovery.payload
    may_be_apart = recipient == versions.ONE and payload.settings and delivery.users_file(environment) is None
    if may_be_apart and not _way(discovery, settings, environment, launch=False, recipient=recipient).by_file:
        text = rendering.payload(payload.foot)
        if file := _cached(environment, cache.PAYLOAD.name(cache.digest([text])), text):
            rest = replace(discovery, payload=replace(payload, settings={}))
            above = hand_over(rest, settings, environment, launch=False, recipient=recipient)
            if above.mode == INLINE:
                return replace(above, changes={**above.changes, variables.CONFIG: file})
    return hand_over(discovery, settings, environment, launch=False, recipient=recipient)


def carried_variables(discovery: Discovery) -> dict[str, str]:
    """Return the variables for literal headers and keys, which reach opencode through its environment alone."""
    return {variable: delivery.in_text(value) for variable, value in _carried_values(discovery).items()}


def unprinted_headers(discovery: Discovery, environment: Mapping[str, str]) -> list[str]:
    """Say which headers only a launch can hand over: a literal secret is never printed."""
    return [
        f"options.{header.option}.{header.name} of provider {served.proxy.provider} is a literal value in the"
        f" configuration, so it is not printed: set {header.variable} to this value, or start opencode-with-litellm"
        for served in discovery.served
        for header in served.proxy.headers
        if header.variable and environment.get(header.variable) != delivery.in_text(header.value)
    ]


def _cached(environment: Mapping[str, str], name: str, text: str) -> str | None:
    """Return the path of a file in the cache that holds ``text``; None if it cannot be written."""
    if cache.read(environment, name) == text.encode():
        cache.mark_used(environment, name)
        return cache.path(environment, name)
    return cache.write(environment, name, text.encode())


def _temporary(name: str, text: str) -> str | None:
    """Write a file to the system's temporary folder, under the same name every time; None if that fails too."""
    import tempfile  # 10 ms, only without a cache

    try:
        path = os.path.join(tempfile.gettempdir(), f"{delivery.TEMPORARY}{name}")
    except OSError:
        return None
    # If another user owns that name, another one will do.
    return private.write(path, text.encode()) or private.write(f"{path[:-5]}-{os.getpid()}.json", text.encode())
