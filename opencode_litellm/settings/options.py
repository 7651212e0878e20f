"""The ``options`` of a provider section: headers, tags, choices, lists and capabilities.

An invalid option of ours is a warning, and its default is used, because opencode has to start.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, fields
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from opencode_litellm import cache
from opencode_litellm.jsonc import Bound, Live, joined, mapping
from opencode_litellm.litellm.facts import row_of
from opencode_litellm.proxies import HEADER_OPTIONS, OPTION_NAMES, OUR_OPTIONS, TAGS, Header, ModelOptions
from opencode_litellm.settings import keys
from opencode_litellm.variables import carrier

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from opencode_litellm.opencode.configuration import Configuration

TRANSPORTS = ("auto", "chat", "responses")
RESPONSES_PROVIDERS = ("auto", "sibling", "inline")
TAGS_HEADER = "x-litellm-tags"  # LiteLLM 1.106: litellm_pre_call_utils.py reads it, comma separated

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_SIMILAR = 0.85  # the similarity of a misspelled name, from 0 to 1: that of `exludeModels` to excludeModels is 0.96
_LONGEST_QUOTE = 200  # characters of a value in a warning


Value = TypeVar("Value")


@dataclass(frozen=True)
class Reading(Generic[Value]):
    """The value that a part of a section gives, and a warning for each thing in it that makes no sense."""

    value: Value
    warnings: tuple[str, ...] = ()


class Options:
    """The options of one provider section: ``resolved`` as they are used, ``written`` as the user wrote them."""

    def __init__(self, provider: str, configuration: Configuration) -> None:
        self.provider = provider
        self.resolved = _of(configuration.resolved, provider)
        self.written = _of(configuration.written, provider)
        self._configuration = configuration

    def location(self, *names: str) -> str:
        """Return `` in FILE`` for the file that has the value at ``names`` of the section; empty if none has."""
        path, _ = next(self._configuration.stated("provider", self.provider, *names), ("", None))
        return f" in {path}" if path else ""

    def warning(self, names: Sequence[str], problem: str, remedy: str) -> str:
        """Return a warning about an option: what is wrong with it, in which file, and what to do."""
        where = f"options.{'.'.join(names)} of provider {self.provider}{self.location('options', *names)}"
        return f"{where} {problem}: {remedy}"

    def misspellings(self) -> Iterator[str]:
        """Yield a warning for each option that looks like a misspelled one of ours: nothing else would report it."""
        import difflib

        ours = {_bare(name): name for name in OUR_OPTIONS}
        for name in self.resolved:
            if name in OUR_OPTIONS:
                continue
            close = difflib.get_close_matches(_bare(name), ours, 1, _SIMILAR)
            if close:
                yield self.warning((name,), "is not an option", f"did you mean {ours[close[0]]}?")

    @cached_property
    def models(self) -> Reading[ModelOptions]:
        """The options that choose and correct models, each read by its row of ``_READERS``."""
        readings = {each.name: _READERS[each.name](self, OPTION_NAMES[each.name]) for each in fields(ModelOptions)}
        values: dict[str, Any] = {name: reading.value for name, reading in readings.items()}
        warnings = chain.from_iterable(reading.warnings for reading in readings.values())
        return Reading(ModelOptions(**values), tuple(warnings))

    def headers(self, address: int) -> Reading[tuple[Header, ...]]:
        """Return the headers of ``customHeaders``, ``headers`` and ``tags`` together, sorted by name.

        ``address`` is the rank of the layer that says where the proxy is: headers in a weaker layer were meant for
        another proxy.
        """
        stated, tags = list(self._stated_headers(address)), list(self._tags(address))
        headers = {each.name.lower(): each for each in (*tags, *stated) if isinstance(each, Header)}
        warnings = tuple(each for each in (*stated, *tags) if isinstance(each, str))
        return Reading(tuple(headers[name] for name in sorted(headers)), warnings)

    def boolean(self, name: str) -> Reading[bool]:
        """Return whether an option is true, with a warning if it is neither true nor false."""
        value = self.resolved.get(name)
        if value is None or isinstance(value, bool):
            return Reading(value is True)
        problem = f"is {self._quoted(name)}, so it has no effect"
        return Reading(False, (self.warning((name,), problem, "write true or false, without quotes"),))

    def _stated_headers(self, address: int) -> Iterator[Header | str]:
        """Yield each header of ``customHeaders`` and ``headers``, or a warning that it is not sent."""
        for option in HEADER_OPTIONS:  # opencode sends the headers of the last one itself, so they win
            value = self.resolved.get(option)
            if value is not None and not isinstance(value, dict):
                yield self.warning((option,), "is ignored", "write an object that maps header names to values")
            for name, text in mapping(value).items():
                if not isinstance(text, str) or not _HEADER_NAME.fullmatch(name) or not _fits_a_header(text):
                    remedy = "write a valid header name and one line of ASCII text"
                    yield self.warning((option, name), "is ignored", remedy)
                elif self._rank(option, name) < address:
                    yield self._meant_for_another(option, name)
                else:
                    as_written = mapping(self.written.get(option)).get(name, text)
                    yield self._header(option, name, text, as_written)

    def _tags(self, address: int) -> Iterator[Header | str]:
        """Yield the header for ``tags``: all of them or none, because a launch has to put it together again."""
        value = self.resolved.get(TAGS)
        if not value:
            return
        tags, as_written = (
            [tags] if isinstance(tags, str) else tags for tags in (value, self.written.get(TAGS, value))
        )
        if not isinstance(tags, list) or not all(isinstance(tag, str) and _fits_a_header(tag) for tag in tags):
            yield self.warning((TAGS,), f"is {quoted(as_written)}, so no tags are sent", "write a list of ASCII words")
        elif self._rank(TAGS) < address:
            yield self._meant_for_another(TAGS)
        else:
            yield self._header(TAGS, TAGS_HEADER, ",".join(tags), joined(",", as_written))

    def _meant_for_another(self, *names: str) -> str:
        """Warn that a header is in a weaker layer than the address, and whether opencode sends it there anyway."""
        named = self.location("options", "baseURL") or self.location("api")
        problem = f"is not sent by opencode-litellm, because a higher-priority configuration{named} sets the URL"
        remedy = "repeat it there if it is meant for that URL"
        if names[0] == "headers":  # opencode 1.18 merges the sections, and sends these itself
            problem = f"{problem}. opencode itself sends it there anyway"
            remedy = f"{remedy}; otherwise move it to customHeaders, which opencode does not send"
        return self.warning(names, problem, remedy)

    def _quoted(self, name: str) -> str:
        """Return an option for a warning as the user wrote it, so that a reference does not reveal a key."""
        return quoted(self.written.get(name))

    def _rank(self, *names: str) -> int:
        return self._configuration.rank("provider", self.provider, "options", *names)

    def _header(self, option: str, name: str, value: str, written: object) -> Header:
        if isinstance(written, Live) and keys.is_reference(written):
            return Header(name, value, written, option)
        if option == TAGS and not isinstance(written, Bound):
            return Header(name, value, str(written) if not isinstance(written, Live) else written, option)
        # A digest, because a name made of provider and header could be the same for two headers.
        variable = carrier(cache.digest([self.provider, name.lower()]))
        return Header(name, value, Live(f"{{env:{variable}}}"), option, variable)

    def _choice(self, name: str, choices: Sequence[str]) -> Reading[str]:
        value = self.resolved.get(name)
        if value is None or value in choices:
            return Reading(str(value or choices[0]))
        problem = f"is {self._quoted(name)}, so {choices[0]!r} is used"
        return Reading(choices[0], (self.warning((name,), problem, f"choose {', '.join(choices)}"),))

    def _transport(self, name: str) -> Reading[str]:
        return self._choice(name, TRANSPORTS)

    def _responses_provider(self, name: str) -> Reading[str]:
        return self._choice(name, RESPONSES_PROVIDERS)

    def _strings(self, name: str) -> Reading[tuple[str, ...]]:
        value = self.resolved.get(name)
        values = [value] if isinstance(value, str) else value if isinstance(value, list) else []
        strings = tuple(item for item in values if isinstance(item, str))
        if value is None or (isinstance(value, str | list) and len(strings) == len(values)):
            return Reading(strings)
        problem = f"is {self._quoted(name)}, and only the strings in it are used"
        return Reading(strings, (self.warning((name,), problem, "write a list of strings"),))

    def _capabilities(self, name: str) -> Reading[Mapping[str, Mapping[str, object]]]:
        models = mapping(self.resolved.get(name))
        usable = {model: flags for model, flags in models.items() if isinstance(flags, dict)}
        return Reading(usable, tuple(self._capability_warnings(name, usable)))

    def _capability_warnings(self, name: str, usable: Mapping[str, Mapping[str, object]]) -> Iterator[str]:
        value = self.resolved.get(name)
        if value is not None and (not isinstance(value, dict) or len(usable) != len(value)):
            problem = f"is {self._quoted(name)}, and only the objects in it are used"
            yield self.warning((name,), problem, 'map model ids to objects such as {"supports_vision": true}')
        written = mapping(self.written.get(name))
        meaningless = [
            f"{model}.{field} is {quoted(mapping(written.get(model)).get(field))}"
            for model, flags in usable.items()
            for field, text in flags.items()
            if text is not None and row_of(model, {field: text}) == row_of(model, {})
        ]
        if meaningless:
            problem = f"has values that are ignored ({', '.join(meaningless)})"
            yield self.warning((name,), problem, "check the spelling and the type against LiteLLM's model_info")


_READERS: dict[str, Callable[[Options, str], Reading[Any]]] = {
    "transport": Options._transport,
    "responses_models": Options._strings,
    "chat_models": Options._strings,
    "responses_provider": Options._responses_provider,
    "include": Options._strings,
    "exclude": Options._strings,
    "capabilities": Options._capabilities,
    "model": Options._strings,
    "small_model": Options._strings,
    "only": Options.boolean,
}


def quoted(value: object) -> str:
    """Return a value as JSON for a warning, a long one cut short."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST_QUOTE else f"{text[:_LONGEST_QUOTE]}..."


def _bare(name: str) -> str:
    """Return a name without capitals, underscores and hyphens, which people write differently."""
    return name.lower().replace("_", "").replace("-", "")


def _of(configuration: Mapping[str, Any], provider: str) -> Mapping[str, Any]:
    return mapping(mapping(mapping(configuration.get("provider")).get(provider)).get("options"))


def _fits_a_header(value: str) -> bool:
    return value.isprintable() and value.isascii()
