"""The ``options`` of a provider section: headers, tags, choices, lists and capabilities.

An invalid option of ours is a warning, and its default is used, because opencode has to start.
"""

from __future__ import annotations

import json
import re
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from opencode_litellm import cache
from opencode_litellm.jsonc import Bound, Live, joined, mapping
from opencode_litellm.litellm.facts import row_of
from opencode_litellm.proxies import HEADER_OPTIONS, OPTION_NAMES, OUR_OPTIONS, TAGS, Header, ModelOptions
from opencode_litellm.settings import keys
from opencode_litellm.variables import CARRIED

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from opencode_litellm.opencode.configuration import Configuration

TRANSPORTS = ("auto", "chat", "responses")
RESPONSES_PROVIDERS = ("auto", "sibling", "inline")
TAGS_HEADER = "x-litellm-tags"  # LiteLLM 1.106: litellm_pre_call_utils.py reads it, comma separated

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_SIMILAR = 0.85  # the similarity of a misspelled name, from 0 to 1: that of `exludeModels` to excludeModels is 0.96
_LONGEST_QUOTE = 200  # characters of a value in a warning


class Options:
    """The options of one provider section: ``resolved`` as they are used, ``written`` as the user wrote them."""

    def __init__(self, provider: str, configuration: Configuration, warn: Callable[[str], None]) -> None:
        self.provider = provider
        self.resolved = _of(configuration.resolved, provider)
        self.written = _of(configuration.written, provider)
        self._configuration = configuration
        self._warn = warn

    def place(self, *names: str) -> str:
        """Return `` in FILE`` for the file that has the value at ``names`` of the section; empty if none has."""
        path, _ = next(self._configuration.stated("provider", self.provider, *names), ("", None))
        return f" in {path}" if path else ""

    def warn(self, names: Sequence[str], problem: str, remedy: str) -> None:
        """Warn about an option: what is wrong with it, in which file, and what to do."""
        where = f"options.{'.'.join(names)} of provider {self.provider}{self.place('options', *names)}"
        self._warn(f"{where} {problem}: {remedy}")

    def check_names(self) -> None:
        """Warn about options that look like a misspelled one of ours: nothing else would report them."""
        import difflib

        ours = {_bare(name): name for name in OUR_OPTIONS}
        for name in self.resolved:
            if name in OUR_OPTIONS:
                continue
            close = difflib.get_close_matches(_bare(name), ours, 1, _SIMILAR)
            if close:
                self.warn((name,), "is not an option", f"did you mean {ours[close[0]]}?")

    def headers(self, address: int) -> tuple[Header, ...]:
        """Return the headers of ``customHeaders``, ``headers`` and ``tags`` together, sorted by name.

        ``address`` is the rank of the layer that says where the proxy is: headers in a weaker layer were meant for
        another proxy.
        """
        headers: dict[str, Header] = {}
        for option in HEADER_OPTIONS:  # opencode sends the headers of the last one itself, so they win
            value = self.resolved.get(option)
            if value is not None and not isinstance(value, dict):
                self.warn((option,), "is ignored", "write an object that maps header names to values")
            for name, text in mapping(value).items():
                if not isinstance(text, str) or not _HEADER_NAME.fullmatch(name) or not _fits_a_header(text):
                    remedy = "write a valid header name and one line of ASCII text"
                    self.warn((option, name), "is ignored", remedy)
                    continue
                if self._rank(option, name) < address:
                    self._warn_of_another_address(option, name)
                    continue
                as_written = mapping(self.written.get(option)).get(name, text)
                headers[name.lower()] = self._header(option, name, text, as_written)
        tags = self._tags()
        if tags is not None and self._rank(TAGS) < address:
            self._warn_of_another_address(TAGS)
        elif tags is not None:
            headers.setdefault(TAGS_HEADER, tags)
        return tuple(headers[name] for name in sorted(headers))

    def _warn_of_another_address(self, *names: str) -> None:
        """Warn that a header is in a weaker layer than the address, and whether opencode sends it there anyway."""
        named = self.place("options", "baseURL") or self.place("api")
        problem = f"is not sent by opencode-litellm, because a higher-priority configuration{named} sets the URL"
        remedy = "repeat it there if it is meant for that URL"
        if names[0] == "headers":  # opencode 1.18 merges the sections, and sends these itself
            problem = f"{problem}. opencode itself sends it there anyway"
            remedy = f"{remedy}; otherwise move it to customHeaders, which opencode does not send"
        self.warn(names, problem, remedy)

    @property
    def only(self) -> bool:
        """Whether no provider but ours is wanted."""
        return self.switch(OPTION_NAMES["only"])

    def _quoted(self, name: str) -> str:
        """Return an option for a warning as the user wrote it, so that a reference does not reveal a key."""
        return quoted(self.written.get(name))

    def _rank(self, *names: str) -> int:
        return self._configuration.rank("provider", self.provider, "options", *names)

    def models(self) -> ModelOptions:
        """Return the options that choose and correct models, each read by its row of ``_READERS``."""
        values: dict[str, Any] = {
            field.name: _READERS[field.name](self, OPTION_NAMES[field.name]) for field in fields(ModelOptions)
        }
        return ModelOptions(**values)

    def _tags(self) -> Header | None:
        """Return the header for ``tags``: all of them or none, because a launch has to put it together again."""
        value = self.resolved.get(TAGS)
        if not value:
            return None
        tags, as_written = (
            [tags] if isinstance(tags, str) else tags for tags in (value, self.written.get(TAGS, value))
        )
        if not isinstance(tags, list) or not all(isinstance(tag, str) and _fits_a_header(tag) for tag in tags):
            self.warn((TAGS,), f"is {quoted(as_written)}, so no tags are sent", "write a list of ASCII words")
            return None
        return self._header(TAGS, TAGS_HEADER, ",".join(tags), joined(",", as_written))

    def _header(self, option: str, name: str, value: str, written: object) -> Header:
        if isinstance(written, Live) and keys.is_reference(written):
            return Header(name, value, written, option)
        if option == TAGS and not isinstance(written, Bound):
            return Header(name, value, str(written) if not isinstance(written, Live) else written, option)
        # A digest, because a name made of provider and header could be the same for two headers.
        variable = f"{CARRIED}{cache.digest([self.provider, name.lower()])[:12].upper()}"
        return Header(name, value, Live(f"{{env:{variable}}}"), option, variable)

    def _choice(self, name: str, choices: Sequence[str]) -> str:
        value = self.resolved.get(name)
        if value is None or value in choices:
            return str(value or choices[0])
        self.warn((name,), f"is {self._quoted(name)}, so {choices[0]!r} is used", f"choose {', '.join(choices)}")
        return choices[0]

    def _transport(self, name: str) -> str:
        return self._choice(name, TRANSPORTS)

    def _responses_provider(self, name: str) -> str:
        return self._choice(name, RESPONSES_PROVIDERS)

    def _strings(self, name: str) -> tuple[str, ...]:
        value = self.resolved.get(name)
        values = [value] if isinstance(value, str) else value if isinstance(value, list) else []
        strings = tuple(item for item in values if isinstance(item, str))
        if value is not None and (not isinstance(value, str | list) or len(strings) != len(values)):
            problem = f"is {self._quoted(name)}, and only the strings in it are used"
            self.warn((name,), problem, "write a list of strings")
        return strings

    def switch(self, name: str) -> bool:
        """Return whether an option is true, and warn if it is neither true nor false."""
        value = self.resolved.get(name)
        if value is not None and not isinstance(value, bool):
            self.warn((name,), f"is {self._quoted(name)}, so it has no effect", "write true or false, without quotes")
        return value is True

    def _capabilities(self, name: str) -> Mapping[str, Mapping[str, object]]:
        value = self.resolved.get(name)
        models = mapping(value)
        usable = {model: flags for model, flags in models.items() if isinstance(flags, dict)}
        if value is not None and (not isinstance(value, dict) or len(usable) != len(models)):
            problem = f"is {self._quoted(name)}, and only the objects in it are used"
            self.warn((name,), problem, 'map model ids to objects such as {"supports_vision": true}')
        written = mapping(self.written.get(name))
        meaningless = [
            f"{model}.{field} is {quoted(mapping(written.get(model)).get(field))}"
            for model, flags in usable.items()
            for field, text in flags.items()
            if text is not None and row_of(model, {field: text}) == row_of(model, {})
        ]
        if meaningless:
            problem = f"has values that are ignored ({', '.join(meaningless)})"
            self.warn((name,), problem, "check the spelling and the type against LiteLLM's model_info")
        return usable


_READERS: dict[str, Callable[[Options, str], object]] = {
    "transport": Options._transport,
    "responses_models": Options._strings,
    "chat_models": Options._strings,
    "responses_provider": Options._responses_provider,
    "include": Options._strings,
    "exclude": Options._strings,
    "capabilities": Options._capabilities,
    "model": Options._strings,
    "small_model": Options._strings,
    "only": Options.switch,
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
