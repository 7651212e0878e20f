"""Handing a payload to opencode through its environment, above or below what the user has there.

*Changes* map the names of variables to their new values, or to None to remove a variable. The user may have set both
variables that can carry a payload. Their ``OPENCODE_CONFIG`` keeps working, and their ``OPENCODE_CONFIG_CONTENT`` stays
on top of ours.
"""

from __future__ import annotations

import os
import sys

from opencode_litellm import variables
from opencode_litellm.errors import UsageFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from opencode_litellm.jsonc import JSON

    Changes = dict[str, str | None]

TEMPORARY = "opencode-litellm-delivered-"  # begins the names of files that are delivered without a cache
# The settings of opencode 1.18 that may hold secrets: keys, headers, environments of programs, secrets of MCP servers.
_PRIVATE = frozenset({"apiKey", "headers", "customHeaders", "environment", "clientSecret"})
_SCHEMES = ("", "bearer", "basic", "token")  # text that may be beside a reference
MARKER = "https://opencode.ai/config.json#opencode-litellm"
# For the slot, the one file that launches write in a folder of the user's. An output of `config` there is the user's.
SLOT_MARKER = f"{MARKER}-slot"

RESTRICTIONS = ("enabled_providers", "disabled_providers")  # opencode's settings for the option `only` alone

# Why the user's inline content must not be merged into what `env` prints.
PRINTED = f"{variables.CONFIG_CONTENT} contains a literal key or header, which env would print"

# How a payload begins in a file, and how it begins in a variable, which a shell or a dotenv reader may evaluate.
_HEAD = f'{{"$schema":"{MARKER}",'
_INLINE_HEAD = _HEAD.replace("$", "\\u0024").replace("#", "\\u0023")
_SLOT_HEAD = f'{{"$schema":"{SLOT_MARKER}",'


class Undeliverable(UsageFailure):
    """A payload cannot be handed to opencode, or not in ``OPENCODE_CONFIG_CONTENT``."""


def by_file(file: str, environment: Mapping[str, str]) -> Changes:
    """Return the changes that hand over the file of a payload, and undo what an earlier ``env`` left inline."""
    return {**undo(environment), **_replacement(environment), variables.CONFIG: file, variables.NO_KEY: "none"}


def inline(text: str, environment: Mapping[str, str], *, launch: bool, literal: bool = False) -> Changes:
    """Return the changes that hand over the payload ``text``, merged under the user's own inline content.

    For a ``launch``, references in that content that are outside strings are replaced now. With ``literal``, all
    references of the payload are replaced now, for an opencode that does not replace them itself. Raises Undeliverable
    if the content cannot be merged, or if both together are too long for the system.
    """
    content = users_content(environment)
    if literal:
        text = _resolved(text, environment)
    values = environment if launch else {}
    flagged = bool(environment.get(variables.URL))
    if content:
        value = _above(text, content, values, flagged=flagged)
    else:
        value = text.replace("\n", "").replace(_HEAD, _INLINE_HEAD, 1)
    changes: Changes = {**undo(environment), **_replacement(environment), variables.CONFIG_CONTENT: value}
    if content is not None:
        changes[variables.USER_CONTENT] = content
    if variables.NO_KEY in text:
        changes[variables.NO_KEY] = "none"
    if not fits(changes, environment):
        raise Undeliverable("it would be longer than the system allows", "choose fewer models with includeModels")
    return changes


def _replacement(environment: Mapping[str, str]) -> Changes:
    """Return the changes that set aside an output of `config` in ``OPENCODE_CONFIG``, because the payload is newer."""
    file = _chosen_file(environment)
    return {variables.CONFIG: None, variables.USER_FILE: file} if file and users_file(environment) is None else {}


def _above(text: str, content: str, values: Mapping[str, str], *, flagged: bool) -> str:
    """Return the user's ``content`` merged over a payload. References in strings of both stay live.

    If the address is ``flagged`` (by ``--url``), it beats that of the content, with its key and headers.
    """
    from opencode_litellm import jsonc  # a launch without inline content needs no JSON
    from opencode_litellm.jsonc import merged

    def settled(token: str) -> tuple[str, str]:
        return token, _outside_of_strings(token, values)

    try:
        ours, users = jsonc.parse_live(text), jsonc.parse_live(content, settled)
    except jsonc.JsoncError as error:
        raise Undeliverable(
            f"its current value cannot be merged with them: {error}",
            "put quotes around {env:…} and {file:…} in it, or move it into a configuration file",
        ) from error
    if not isinstance(ours, dict) or not isinstance(users, dict):
        raise Undeliverable("its current value is not a JSON object", "unset it, or correct it")
    restrictions = {name: ours[name] for name in RESTRICTIONS if name in ours}
    result = {**merged(ours, users), **restrictions, "$schema": MARKER}
    return jsonc.dump(merged(result, {"provider": _connections(ours)}) if flagged else result)


def with_restrictions(changes: Changes, restrictions: Mapping[str, JSON], environment: Mapping[str, str]) -> Changes:
    """Return ``changes`` with ``restrictions`` above the inline content that they leave: the user's, or a payload.

    Content that cannot be merged with the restrictions is left out.
    """
    from opencode_litellm import jsonc  # only where nothing else can be delivered

    content = {**environment, **changes}.get(variables.CONFIG_CONTENT) or "{}"
    try:
        settings = jsonc.parse_live(content, lambda token: (token, _outside_of_strings(token, environment)))
    except jsonc.JsoncError:
        settings = {}
    lower = settings if isinstance(settings, dict) else {}
    rest = {name: value for name, value in lower.items() if name != "$schema"}
    text = jsonc.dump({"$schema": MARKER, **rest, **restrictions})
    result: Changes = {**changes, variables.CONFIG_CONTENT: text}
    users = users_content(environment)
    return result if users is None else {**result, variables.USER_CONTENT: users}


def _outside_of_strings(token: str, environment: Mapping[str, str]) -> str:
    from opencode_litellm import jsonc  # already imported by the caller

    return jsonc.ENV.sub(lambda match: environment.get(match[1], match[0]), token)


def _connections(payload: dict[str, JSON]) -> dict[str, JSON]:
    """Return the options of those providers of a payload that have their address in their options."""
    from opencode_litellm.jsonc import mapping

    options = {name: mapping(section).get("options") for name, section in mapping(payload.get("provider")).items()}
    return {name: {"options": each} for name, each in options.items() if "baseURL" in mapping(each)}


def holds_secrets(content: str) -> bool:
    """Return whether the user's inline content may hold a literal secret, which must not be printed."""
    from opencode_litellm import jsonc  # only for `env`, and only where there is content

    def literal(value: JSON, *, private: bool) -> bool:
        if isinstance(value, dict):
            return any(literal(each, private=private or name in _PRIVATE) for name, each in value.items())
        if isinstance(value, list):
            return any(literal(each, private=private) for each in value)
        plain = "".join(value.parts[::2]) if isinstance(value, jsonc.Live) else value
        return private and isinstance(plain, str) and plain.strip().lower() not in _SCHEMES

    try:
        return literal(jsonc.parse_live(content), private=False)
    except jsonc.JsoncError:  # what cannot be merged is not printed
        return False


def _resolved(text: str, environment: Mapping[str, str]) -> str:
    """Return a payload with its references replaced by what they refer to."""
    from opencode_litellm import jsonc  # for an old opencode

    def plain(string: str) -> str:
        if not isinstance(string, jsonc.Live):
            return string
        parts = list(string.parts)
        parts[1::2] = [_value(token, environment) for token in parts[1::2]]
        return "".join(parts)

    return jsonc.dump(jsonc.mapped(jsonc.parse_live(text), plain))


def _value(token: str, environment: Mapping[str, str]) -> str:
    """Return what a reference of a payload refers to. Paths in it are absolute, or begin with ``~/``."""
    from opencode_litellm import jsonc

    inner = jsonc.ENV.sub(lambda match: environment.get(match[1], ""), token)
    if not inner.startswith("{file:"):
        return inner
    path = inner[len("{file:") : -1]
    path = os.path.join(variables.home(environment), path[2:]) if path.startswith("~/") else path
    try:
        with open(path, encoding="utf-8") as file:
            return file.read().strip()
    except (OSError, ValueError) as error:
        raise Undeliverable(f"{token} cannot be read", "correct it in the configuration") from error


def in_text(value: str) -> str:
    """Return what to set a variable to, so that a reference to it in JSON gives ``value``.

    opencode 1.18 puts the variable's value into the text of its configuration. Then it searches that text for
    ``{file:…}``, and parses it.
    """
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("{", "\\u007b")


def can_be_referred_to(value: str) -> bool:
    """Return whether a reference in JSON to a variable that holds ``value`` gives that value unchanged."""
    return value.isprintable() and value == value.strip() == in_text(value)


def undo(environment: Mapping[str, str]) -> Changes:
    """Return the changes that undo a delivery: afterwards, all variables are as the user had them."""
    changes: Changes = {}
    if users_content(environment) != environment.get(variables.CONFIG_CONTENT):
        changes[variables.CONFIG_CONTENT] = users_content(environment)
    if (environment.get(variables.CONFIG) or None) != _chosen_file(environment):
        changes[variables.CONFIG] = _chosen_file(environment)
    left = (variables.USER_CONTENT, variables.USER_FILE, variables.NO_KEY, variables.DETECTED)
    for name in environment:
        if name in left or variables.is_carrier(name):
            changes[name] = None
    return {**changes, **_undo_directly(environment)}


def directly(hosts: Iterable[str], environment: Mapping[str, str], *, launch: bool) -> Changes:
    """Return the changes that let opencode ask ``hosts``, which are on this machine, without an HTTP proxy, as we do.

    opencode 1.18 (Bun): an entry is a whole host, in brackets for IPv6. Both variables get the same value, because
    programs differ in which one they read. A ``launch`` changes nothing if no HTTP proxy is set. ``env`` makes the
    changes in any case, because one may be set later.
    """
    if launch and not any(environment.get(name) for name in variables.HTTP_PROXIES):
        return {}
    before = variables.changed(environment, _undo_directly(environment))
    value = before.get("no_proxy") or before.get("NO_PROXY") or ""
    entries = [entry.strip().lower() for entry in value.split(",")]
    missing = sorted({f"[{host}]" if ":" in host else host for host in hosts} - {*entries})
    if not missing or "*" in entries:
        return _undo_directly(environment)
    changes: Changes = {variables.DIRECT: ",".join(missing)}
    for name in variables.NO_PROXY:
        old = before.get(name)
        changes[variables.USER_NO_PROXY[name]] = "-" if old is None else f"={old}"
        changes[name] = _extended(value, changes[variables.DIRECT] or "")
    return changes


def shared(environment: Mapping[str, str]) -> Mapping[str, str]:
    """Return the part of a launch's environment that opencode 2's server can be expected to have as well.

    It has no delivery and no inline content. Its file is the same for all launches, so ``ANY_MODEL`` of this one does
    not count either.
    """
    changes: Changes = {variables.CONFIG_CONTENT: None}
    if environment.get(variables.NAMED_MODEL) == variables.ANY_MODEL:
        changes[variables.NAMED_MODEL] = None
    return variables.changed(undone(environment), changes)


def _undo_directly(environment: Mapping[str, str]) -> Changes:
    """Return the changes that undo those of ``directly``, except where somebody has changed the variable since."""
    added = environment.get(variables.DIRECT)
    if not added:
        return {}
    users: Changes = {}
    for name in variables.NO_PROXY:
        old = environment.get(variables.USER_NO_PROXY[name], "-")
        users[name] = old[1:] if old.startswith("=") else None
    made = _extended(users.get("no_proxy") or users.get("NO_PROXY") or "", added)
    changes: Changes = {name: old for name, old in users.items() if environment.get(name) == made}
    return {**changes, **dict.fromkeys((variables.DIRECT, *variables.USER_NO_PROXY.values()))}


def _extended(value: str, added: str) -> str:
    return f"{value},{added}" if value else added


def undone(environment: Mapping[str, str]) -> Mapping[str, str]:
    """Return the environment as it was before a delivery."""
    return variables.changed(environment, undo(environment))


def is_sound(environment: Mapping[str, str]) -> bool:
    """Return whether opencode can start in any folder with the payload that is delivered inline.

    It cannot if a ``{file:…}`` in it is gone, nor with a file that cannot be read. A payload that is delivered by file
    alone is for one folder, because it ranks below a project's configuration.
    """
    text = environment.get(variables.CONFIG_CONTENT, "")
    if not text or text == users_content(environment):
        return False
    from opencode_litellm import jsonc  # only after a failure

    file = environment.get(variables.CONFIG, "")
    if _is_delivered(file, environment) and os.path.isfile(file):
        try:
            with open(file, encoding="utf-8") as opened:
                text += opened.read()
        except (OSError, UnicodeDecodeError):
            return False
    text = jsonc.ENV.sub(lambda match: environment.get(match[1], ""), text)
    paths = [token[len("{file:") : -1] for token in jsonc.FILE.findall(text)]
    home = variables.home(environment)
    return all(os.path.isfile(os.path.join(home, path[2:]) if path.startswith("~/") else path) for path in paths)


def users_content(environment: Mapping[str, str]) -> str | None:
    """Return the user's own inline content, or None if there is none."""
    content = environment.get(variables.CONFIG_CONTENT)
    return environment.get(variables.USER_CONTENT) if content and is_ours(content) else content


def users_file(environment: Mapping[str, str]) -> str | None:
    """Return the path in ``OPENCODE_CONFIG`` if the user set it and wrote that file, else None."""
    file = environment.get(variables.CONFIG)
    if not file or _is_delivered(file, environment):
        return None
    if not os.path.isfile(file):
        # opencode 1.18 ignores a file that does not exist. A pipe can be read only once, and that is for opencode.
        return file
    try:
        with open(file, encoding="utf-8", errors="replace") as opened:
            return None if is_ours(opened.read()) else file
    except OSError:
        return file


def _chosen_file(environment: Mapping[str, str]) -> str | None:
    """Return the path that the user put into ``OPENCODE_CONFIG``, which may be an output of `config`, or None."""
    file = environment.get(variables.CONFIG)
    return file if file and not _is_delivered(file, environment) else environment.get(variables.USER_FILE) or None


def _is_delivered(file: str, environment: Mapping[str, str]) -> bool:
    """Return whether a path is that of a delivered file, even if the file is gone."""
    folder, name = os.path.split(file)
    return folder == variables.cache_folder(environment) or name.startswith(TEMPORARY)


def is_ours(text: str) -> bool:
    """Return whether a configuration is a delivery of ours, by its ``$schema``."""
    return text.startswith((_HEAD, _INLINE_HEAD)) or is_slot(text) or _schema(text) == MARKER


def is_slot(text: str) -> bool:
    """Return whether a configuration is a slot's, which launches write for opencode 2's server, by its ``$schema``."""
    return text.startswith(_SLOT_HEAD) or _schema(text) == SLOT_MARKER


def _schema(text: str) -> object:
    if "opencode-litellm" not in text:
        return None
    from opencode_litellm import jsonc  # only for a text that may be ours

    try:
        value = jsonc.parse(text)
    except jsonc.JsoncError:
        return None
    return value.get("$schema") if isinstance(value, dict) else None


def fits(changes: Changes, environment: Mapping[str, str]) -> bool:
    """Return whether a program can be started with ``changes`` made to ``environment``.

    Linux: 131,072 bytes for one ``NAME=value`` with its final zero. Linux and macOS: also a limit for arguments and
    environment together, of which we leave a quarter to the arguments. Windows: 32,767 characters for one variable.
    """
    longest = max((_size(name, value) for name, value in changes.items() if value is not None), default=0)
    if sys.platform == "win32":
        return longest <= 32_767
    if sys.platform == "linux" and longest > 131_072:
        return False
    merged = {**environment, **changes}
    # The system stores a pointer to each string as well.
    whole = sum(_size(name, value) + 8 for name, value in merged.items() if value is not None)
    return whole <= 96 * 2**10 or whole <= _room() * 3 // 4


def _size(name: str, value: str) -> int:
    return len(os.fsencode(name)) + len(os.fsencode(value)) + 2


def _room() -> int:
    """Return how many bytes arguments and environment may have together."""
    if sys.platform != "linux":
        return os.sysconf("SC_ARG_MAX")
    import resource  # musl's sysconf gives another number

    stack = resource.getrlimit(resource.RLIMIT_STACK)[0]
    largest = 6 * 2**20
    return largest if stack == resource.RLIM_INFINITY else max(min(stack // 4, largest), 128 * 2**10)
