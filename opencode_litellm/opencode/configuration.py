"""The user's own opencode configuration: every layer, merged as opencode 1.18 merges them.

Written from the embedded source of opencode 1.18.33, and tested against its `debug config`.
"""

from __future__ import annotations

import json
import os
import re
import stat

from opencode_litellm import jsonc, variables
from opencode_litellm.errors import ConfigurationUnreadable
from opencode_litellm.fields import Fields
from opencode_litellm.opencode import delivery, layers, slot

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from opencode_litellm.jsonc import JSON

    Section = dict[str, JSON]

# What JavaScript's trim() removes; Python's strip() removes other characters.
_JAVASCRIPT_SPACE = (
    "\t\n\v\f\r \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000\ufeff"
)
MARKDOWN_FOLDERS = {"agent": True, "agents": True, "mode": False, "modes": False, "command": True, "commands": True}
# One line of YAML, as every such file has it; a block or a flow mapping would not be seen.
_FRONT_MATTER_MODEL = re.compile(
    r"""^["']?model["']?[ \t]*:[ \t]+(?:"([^"\n]+)"|'([^'\n]+)'|([^\s#"'>|].*?))[ \t]*(?:[ \t]\#.*)?\r?$""",
    re.MULTILINE,
)
# PROVIDER/MODEL as a whole string; even in a comment, which does no harm.
_NAME = re.compile(r'"([^\s"/\\]+/[^\s"\\]+)"')
_LARGEST = 2**18  # bytes; files that name models are far smaller
_MOST_FILES = 100  # in one folder
# In a folder's name, these cannot be written into a reference; the last are bytes that are not UTF-8.
_BREAKS_REFERENCE = re.compile("[{}\r\n\ud800-\udfff]")
_DEEPEST = 8  # folders; a link to a parent would otherwise be followed forever
_BEYOND_OPENCODE = "correct it; opencode itself does not start until you do"
_BEYOND_US = "write it differently; opencode can read it, but opencode-litellm cannot"
_LOWEST = (layers.GLOBAL, layers.CUSTOM)


class Configuration(Fields):
    """What the user's configuration says, without our own deliveries.

    `resolved`: all layers merged, with ``{env:…}`` and ``{file:…}`` replaced.
    `written`: the same shape, but a string that holds such a token is a `jsonc.Live`, with the token as it was written
    and a relative path made absolute. It is a `jsonc.Bound` if such a path could not be written. A plain string is
    literal in the user's files.
    `upper`: like `resolved`, but only of the layers above that of OPENCODE_CONFIG.
    `outputs`: earlier outputs of ours in the project, merged: opencode reads them too.
    `layers`: the (kind, path, section) of each layer that exists, the weakest first; `section` is like `resolved`.
    `environment_names`, `referenced_files` (absolute): what the tokens name.
    `models_named`: every PROVIDER/MODEL that a model setting, an agent, a mode or a command names.
    `markdown_files`: the agents, modes and commands that were read for it.
    `mentions`: every string that may be a PROVIDER/MODEL, in the configuration, in any other JSON file of opencode's
    configuration folders, such as a plugin's own, and in what opencode remembers of the models that were used.
    `recent_models`: those that opencode remembers as used, the last one first.
    `mentioning_files`: the files that were read for it, and the folders that they are in, which end with a slash.
    `unreadable`: the texts of the layers that were skipped.
    """

    resolved: Section
    written: Section
    upper: Section
    outputs: Section
    layers: tuple[tuple[str, str, Section], ...]
    environment_names: frozenset[str]
    referenced_files: frozenset[str]
    models_named: frozenset[str]
    markdown_files: frozenset[str]
    mentions: frozenset[str]
    recent_models: tuple[str, ...]
    mentioning_files: frozenset[str]
    unreadable: tuple[str, ...]

    def rank(self, *names: str) -> int:
        """Return the number, counted from the weakest, of the strongest layer with a value at `names`; -1 for none."""
        saying = (rank for rank, (*_, section) in enumerate(self.layers) if _at(section, names) is not None)
        return max(saying, default=-1)

    def stated(self, *names: str) -> Iterator[tuple[str, JSON]]:
        """Yield the path and the value of every layer that has a value at `names`, the strongest first."""
        for _, path, section in reversed(self.layers):
            value = _at(section, names)
            if value is not None:
                yield path, value

    def loads(self, plugin: str) -> str | None:
        """Return the path of the strongest layer that loads a plugin: by its name, a version or a path of it."""
        return next((path for path, listed in self.stated("plugin") if plugin in json.dumps(listed)), None)


def read(
    environment: Mapping[str, str], folder: str, *, project: bool = True, tolerant: bool = False
) -> Configuration:
    """Return the configuration that opencode would see in the absolute `folder`, our deliveries left out.

    `project` is that of `layers.files`. Raises `ConfigurationUnreadable` if opencode would not start: text that is not
    JSONC, a `{file:}` that cannot be read, a file that is a folder; and if only opencode can read it: a pipe, which can
    be read only once, or a number beyond Python's range. With `tolerant`, such layers are skipped.
    """
    parts: list[tuple[str, _Layer]] = []
    unreadable: list[str] = []
    resolved: Section = {}
    written: Section = {}
    upper: Section = {}
    outputs: Section = {}
    for kind, path in layers.files(environment, folder, project=project):
        text: str | None = ""
        try:
            text = delivery.users_content(environment) if kind == layers.INLINE else _text(path)
            if text and delivery.is_ours(text):
                if kind in (layers.PROJECT, layers.DOTFOLDER):
                    outputs = jsonc.merged(outputs, _output(text))
                # opencode 2 and people write into our slot too.
                text = slot.users_part(path, text, environment) if kind in (layers.GLOBAL, layers.DIRECTORY) else ""
            if not text:
                continue
            base = folder if kind == layers.INLINE else os.path.dirname(path)
            layer = _Layer(text, path, base, environment)
        except ConfigurationUnreadable:
            if not tolerant:
                raise
            unreadable.append(text or "")
            continue
        parts.append((kind, layer))
        merge = jsonc.deeply_merged if kind == layers.GLOBAL else jsonc.merged
        resolved = merge(resolved, layer.resolved)
        written = merge(written, layer.written)
        if kind not in _LOWEST:
            upper = jsonc.merged(upper, layer.resolved)
    folders = layers.folders(environment, folder, project=project)
    markdown = dict(_markdown(folders, folder))
    state = layers.state_file(environment)
    mentions = _mentions([os.path.join(folder, each) for each in folders])
    recent_models, mentions[state] = _remembered(_small_text(state))
    models_named = frozenset({*_models_named(resolved), *filter(None, markdown.values())})
    return Configuration(
        resolved=resolved,
        written=written,
        upper=upper,
        outputs=outputs,
        layers=tuple((kind, layer.source, layer.resolved) for kind, layer in parts),
        environment_names=frozenset().union(*(layer.variables for _, layer in parts)),
        referenced_files=frozenset().union(*(layer.references for _, layer in parts)),
        models_named=models_named,
        markdown_files=frozenset(markdown),
        mentions=models_named.union(_strings(resolved), *mentions.values()),
        recent_models=recent_models,
        mentioning_files=frozenset(mentions),
        unreadable=tuple(unreadable),
    )


def _at(section: JSON, names: Iterable[str]) -> JSON:
    for name in names:
        section = section.get(name) if isinstance(section, dict) else None
    return section


def _output(text: str) -> Section:
    try:
        value = jsonc.parse(text)
    except jsonc.JsoncError:  # somebody edited it: opencode will say so
        return {}
    return value if isinstance(value, dict) else {}


class _Layer:
    """One text of configuration, resolved and as written."""

    def __init__(self, text: str, source: str, folder: str, environment: Mapping[str, str]) -> None:
        self.source = source
        self.folder = folder
        self.environment = environment
        self.variables = set(jsonc.ENV.findall(text))
        self.references: set[str] = set()
        try:
            self.resolved = self._section(self._substituted(text))
            self.written = self._written(text) if self.variables or self.references else self.resolved
        except RecursionError as error:
            raise _unreadable(source, "nested too deeply", _BEYOND_US) from error

    def _section(self, text: str) -> Section:
        try:
            value = jsonc.parse(text)
        except jsonc.JsoncError as error:
            remedy = _BEYOND_US if isinstance(error, jsonc.BeyondPython) else _BEYOND_OPENCODE
            raise _unreadable(f"{self.source}:{error.line}:{error.column}", error.reason, remedy) from error
        if not isinstance(value, dict):
            raise _unreadable(f"{self.source}:1:1", "not a JSON object")
        return value

    def _written(self, text: str) -> Section:
        try:
            live = jsonc.parse_live(text, self._settled)
        except jsonc.JsoncError:  # a variable holds part of the JSON itself, so references cannot be kept
            return self.resolved
        section = _aligned(self.resolved, live)
        return section if isinstance(section, dict) else self.resolved

    def _settled(self, token: str) -> tuple[str, str]:
        """Return `token` as it can be written in any file (empty if it cannot), and its value."""
        if token.startswith("{file:"):
            path, written = self._with_variables(token)[len("{file:") : -1], token[len("{file:") : -1]
            if not path.startswith("~/") and not os.path.isabs(path):
                if _BREAKS_REFERENCE.search(self.folder):
                    return "", self._substituted(token)
                absolute = os.path.normpath(os.path.join(self.folder, written))
                return "{file:" + absolute + "}", self._substituted(token)
        return token, self._substituted(token)

    def _substituted(self, text: str) -> str:
        """Return `text` with its tokens replaced, as opencode parses it."""
        # A message shows a path as it was written, because a variable may hold a secret.
        written = {self._with_variables(token): token for token in jsonc.TOKEN.findall(text) if jsonc.ENV.search(token)}
        text = self._with_variables(text)

        def contents(match: re.Match[str]) -> str:
            if jsonc.is_commented(text, match.start()):
                return match.group()
            line, column = text.count("\n", 0, match.start()) + 1, match.start() - text.rfind("\n", 0, match.start())
            position = f"{self.source}:{line}:{column}"
            return json.dumps(self._referenced(match.group(), written.get(match.group()), position))[1:-1]

        return jsonc.FILE.sub(contents, text)

    def _with_variables(self, text: str) -> str:
        return jsonc.ENV.sub(lambda match: self.environment.get(match[1]) or "", text)

    def _referenced(self, token: str, written: str | None, position: str) -> str:
        path = token[len("{file:") : -1]
        if path.startswith("~/"):
            path = os.path.join(variables.home(self.environment), path[2:])
        path = os.path.normpath(os.path.join(self.folder, path))
        self.references.add(path)
        try:
            return _decoded(path).strip(_JAVASCRIPT_SPACE)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise _unreadable(position, f"{written or f'{token}: {path}'}: {reason}") from error


def _aligned(resolved: JSON, written: JSON) -> JSON:
    """Return `written` in the shape of `resolved`, whose field names and plain values win."""
    if isinstance(resolved, dict) and isinstance(written, dict) and len(resolved) == len(written):
        pairs = zip(resolved.items(), written.values(), strict=True)
        return {name: _aligned(value, other) for (name, value), other in pairs}
    if isinstance(resolved, list) and isinstance(written, list) and len(resolved) == len(written):
        return [_aligned(value, other) for value, other in zip(resolved, written, strict=True)]
    if isinstance(resolved, str) and isinstance(written, jsonc.Live):
        return written if all(written.parts[1::2]) else jsonc.Bound(resolved)
    return resolved


def _unreadable(where: str, reason: str, remedy: str = _BEYOND_OPENCODE) -> ConfigurationUnreadable:
    return ConfigurationUnreadable(f"{where}: {reason}", remedy, stops_opencode=remedy == _BEYOND_OPENCODE)


def _text(path: str) -> str:
    """Return the text of the file, empty if there is none that opencode could read."""
    try:
        return _decoded(path)
    except (FileNotFoundError, PermissionError):
        return ""
    except OSError as error:
        raise _unreadable(path, error.strerror or str(error)) from error


def _decoded(path: str) -> str:
    mode = os.stat(path).st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or os.path.realpath(path) == os.devnull):
        raise ConfigurationUnreadable(
            f"{path} is a pipe or a device, which only opencode can read",
            "use a regular file to get LiteLLM's models",
        )
    with open(path, "rb") as file:
        return jsonc.decode(file.read())


def _models_named(section: Section) -> Iterator[str]:
    yield from _model(section.get("model"))
    yield from _model(section.get("small_model"))
    for group in ("agent", "agents", "mode", "command", "commands"):
        entries = section.get(group)
        for entry in entries.values() if isinstance(entries, dict) else ():
            if isinstance(entry, dict):
                yield from _model(entry.get("model"))


def _model(value: JSON) -> Iterator[str]:
    """Yield PROVIDER/MODEL from one of the forms that opencode 1.18 takes, those of opencode 2 included."""
    if isinstance(value, dict):
        value = f"{value.get('providerID')}/{value.get('model')}"
    if isinstance(value, str) and value:
        yield value.partition("#")[0]


def _mentions(folders: Iterable[str]) -> dict[str, frozenset[str]]:
    """Map each JSON file to the strings in it that may be a PROVIDER/MODEL, and each folder, with a slash, to none."""
    mentions: dict[str, frozenset[str]] = {}
    for folder in folders:
        mentions[os.path.join(folder, "")] = frozenset()
        for path in (os.path.join(folder, name) for name in layers.json_files(folder)[:_MOST_FILES]):
            text = _small_text(path)
            names = () if delivery.is_ours(text) else (match[1] for match in _NAME.finditer(text))
            mentions[path] = frozenset(names)
    return mentions


def _small_text(path: str) -> str:
    """Return the text of a file that opencode or a plugin wrote, empty if it is too large or cannot be read."""
    try:
        status = os.stat(path)
        return _decoded(path) if status.st_size <= _LARGEST and stat.S_ISREG(status.st_mode) else ""
    except (OSError, ConfigurationUnreadable):
        return ""


def _remembered(text: str) -> tuple[tuple[str, ...], frozenset[str]]:
    """Return the models that opencode's state lists as recent, and all that it names.

    opencode 1.18: `recent` and `favorite` list objects, `variant` maps names to variants.
    """
    try:
        state = json.loads(text)
    except (ValueError, RecursionError):
        state = {}
    recent, favorite = (_models_listed(jsonc.mapping(state).get(group)) for group in ("recent", "favorite"))
    return recent, frozenset({*recent, *favorite, *(match[1] for match in _NAME.finditer(text))})


def _models_listed(value: object) -> tuple[str, ...]:
    models = value if isinstance(value, list) else []
    return tuple(f"{model.get('providerID')}/{model.get('modelID')}" for model in models if isinstance(model, dict))


def _strings(value: JSON) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _strings(item)


def _markdown(folders: Iterable[str], base: str) -> Iterator[tuple[str, str | None]]:
    """Yield path and model of every agent, mode and command that is a Markdown file."""
    for folder in folders:
        for name, deep in MARKDOWN_FOLDERS.items():
            for path in _markdown_files(os.path.join(base, folder, name), deep=deep):
                yield path, _markdown_model(path)


def _markdown_files(folder: str, *, deep: bool) -> Iterator[str]:
    for parent, children, names in os.walk(folder, followlinks=True):
        if not deep or parent.count(os.sep) - folder.count(os.sep) > _DEEPEST:
            children.clear()
        yield from (os.path.join(parent, name) for name in names if name.endswith(".md"))


def _markdown_model(path: str) -> str | None:
    try:
        return _front_matter_model(_decoded(path))
    except (OSError, ConfigurationUnreadable):  # opencode reports such a file and starts anyway
        return None


def _front_matter_model(text: str) -> str | None:
    if not text.startswith("---"):
        return None
    match = _FRONT_MATTER_MODEL.search(text[3:].partition("\n---")[0])
    return next(filter(None, match.groups())) if match else None
