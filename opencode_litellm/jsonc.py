"""JSON with comments, read as opencode 1.18 reads its configuration, and JSON text that survives any shell.

opencode replaces ``{env:NAME}`` and ``{file:PATH}`` in the raw text before it parses it. So the
user's text can be read in two ways: `parse` takes the tokens for plain text, `parse_live` keeps them as `Live` strings,
and `dump` writes only the tokens of a `Live` string in a way that opencode would replace.
"""

from __future__ import annotations

import json
import os
import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any, TypeAlias

    JSON: TypeAlias = bool | int | float | str | Sequence["JSON"] | Mapping[str, "JSON"] | None

ENV = re.compile(r"\{env:([^}]+)\}")
FILE = re.compile(r"\{file:[^}]+\}")

# opencode replaces variables first, so a path may be made of them: {file:{env:HOME}/key}.
TOKEN = re.compile(r"\{env:[^}]+\}|\{file:(?:\{env:[^}]+\}|[^}])+\}")
_TOKENS = re.compile(f"({TOKEN.pattern})")
_STRING = r'"[^"\\]*(?:\\.[^"\\]*)*"?'
_COMMENT = re.compile(rf"({_STRING})|//[^\r\n]*|/\*.*?(?:\*/|\Z)", re.DOTALL)
# A comma straight after a bracket stays, for json to refuse: opencode takes [1,] but not [,].
_COMMA = re.compile(rf"({_STRING}|[\[{{][ \t\r\n]*,)|,(?=[ \t\r\n]*[\]}}])", re.DOTALL)
_NOT_NEWLINE = re.compile(r"[^\r\n]")

_INFINITE = float("inf")

# What json escapes, the backslash first because the others are written with one; then what opencode, shells, cmd.exe
# and dotenv files act on. Of these, JSON itself uses only the brace outside strings.
_ESCAPES = [
    *((rf"\{letter}", f"\\u{ord(plain):04x}") for letter, plain in zip('\\"bfnrt', '\\"\b\f\n\r\t', strict=True)),
    *((character, f"\\u{ord(character):04x}") for character in "{'$`!#%&<>|^;"),
]
_UNESCAPED = re.compile(r"[\w ()*+,./:=?@\[\]}~-]*", re.ASCII)
_NUMBER = json.JSONEncoder(allow_nan=False)


class JsoncError(ValueError):
    """The text is not JSON that opencode accepts: why, and where (`line` and `column` count from 1)."""

    def __init__(self, reason: str, line: int, column: int) -> None:
        super().__init__(f"line {line}, column {column}: {reason}")
        self.reason = reason
        self.line = line
        self.column = column


class BeyondPython(JsoncError):
    """The text is beyond Python, but opencode accepts it."""


class Bound(str):
    """The value of a token that cannot be written in another file: plain text that must not be repeated."""

    __slots__ = ()


class Live(str):
    """A string with tokens that opencode is meant to replace.

    `parts` alternate between plain text and tokens, and begin and end with text. What looks like a token in the
    plain text was escaped on purpose and stays text. In one made from a plain string, all tokens are live.
    """

    __slots__ = ("parts",)
    parts: tuple[str, ...]

    def __new__(cls, text: str, parts: Iterable[str] | None = None) -> Live:
        live = super().__new__(cls, text)
        live.parts = tuple(_TOKENS.split(text) if parts is None else parts)
        return live


def decode(data: bytes) -> str:
    """Return the text of a file as opencode reads it: without one byte-order mark, and with U+FFFD for bad bytes."""
    return data.decode("utf-8-sig", "replace")


def parse(text: str) -> JSON:
    """Return the value that opencode 1.18 (jsonc-parser, trailing commas allowed) reads from `text`.

    Comments and one trailing comma are accepted; a byte-order mark only where `decode` removes it. Raises
    `JsoncError` for text that opencode refuses, and `BeyondPython` for text that it accepts but Python does not:
    numbers beyond a float's range (infinite in JavaScript), integers of thousands of digits, nesting of a thousand
    levels.
    """
    try:
        return _loads(text)
    except json.JSONDecodeError:
        pass  # not plain JSON
    try:
        return _loads(_COMMA.sub(_blank, uncommented(text)))
    except json.JSONDecodeError as error:
        raise JsoncError(error.msg, error.lineno, error.colno) from error


def parse_live(text: str, settle: Callable[[str], tuple[str, str]] | None = None) -> JSON:
    """Return what `parse` returns, but with every string and name that holds a live token as a `Live` string.

    Tokens keep their spelling. For each one, `settle` returns the token to keep instead, and the text to use outside
    strings, where no token can be kept. Raises `JsoncError`.
    """
    mark = os.urandom(16).hex()
    tokens: list[str] = []
    replacements: list[str] = []

    def placeholder(match: re.Match[str]) -> str:
        token = match.group()
        if token.startswith("{file:") and is_commented(text, match.start()):
            return "{" + TOKEN.sub(placeholder, token[1:])
        keep, replacement = settle(token) if settle else (token, token)
        tokens.append(keep)
        replacements.append(replacement)
        return f"{mark}{len(tokens) - 1:08}"

    marked = TOKEN.sub(placeholder, text)
    if not tokens:
        return parse(text)
    place = re.compile(mark + r"(\d{8})")
    bare = re.compile(rf"({_STRING})|{place.pattern}", re.DOTALL)
    value = parse(bare.sub(lambda match: match[1] or replacements[int(match[2])], uncommented(marked)))

    def alive(string: str) -> str:
        parts = place.split(string)  # text and numbers by turns
        if len(parts) == 1:
            return string
        parts[1::2] = [tokens[int(number)] for number in parts[1::2]]
        return Live("".join(parts), parts)

    return mapped(value, alive)


def joined(separator: str, strings: Iterable[str]) -> str:
    """Return `strings` as one, `separator` between them, in which the tokens of `Live` ones stay live.

    If one of them is `Bound`, so is the result.
    """
    strings = list(strings)
    if any(isinstance(string, Bound) for string in strings):
        return Bound(separator.join(strings))
    parts = [""]
    for number, string in enumerate(strings):
        first, *rest = string.parts if isinstance(string, Live) else (string,)
        parts[-1] += f"{separator}{first}" if number else first
        parts += rest
    return Live("".join(parts), parts) if len(parts) > 1 else parts[0]


def mapping(value: object) -> Mapping[str, Any]:
    """Return `value` if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def uncommented(text: str) -> str:
    """Return `text` with spaces instead of its comments."""
    return _COMMENT.sub(_blank, text)


def is_commented(text: str, offset: int) -> bool:
    """Return whether opencode leaves the ``{file:}`` at `offset` alone, because its line begins with ``//``."""
    return text[text.rfind("\n", 0, offset) + 1 : offset].lstrip().startswith("//")


def mapped(value: JSON, change: Callable[[str], str]) -> JSON:
    """Return `value` with `change` applied to every string and name."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {change(name): mapped(item, change) for name, item in value.items()}
    if isinstance(value, list):
        return [mapped(item, change) for item in value]
    return value


def merged(lower: dict[str, JSON], upper: dict[str, JSON]) -> dict[str, JSON]:
    """Return `upper` over `lower`: objects member by member, all else replaced; `instructions` are joined.

    opencode 1.18 joins none between the global files.
    """
    result = deeply_merged(lower, upper)
    below, above = lower.get("instructions"), upper.get("instructions")
    if isinstance(below, list) and isinstance(above, list):
        result["instructions"] = [*below, *(item for item in above if item not in below)]
    return result


def deeply_merged(lower: dict[str, JSON], upper: dict[str, JSON]) -> dict[str, JSON]:
    """Return `upper` over `lower`: objects member by member, all else replaced."""
    result = {**lower, **upper}
    for name, above in upper.items():
        below = lower.get(name)
        if isinstance(below, dict) and isinstance(above, dict):
            result[name] = deeply_merged(below, above)
    return result


def dump(value: JSON) -> str:
    """Return `value` as compact ASCII JSON that nothing on its way to opencode changes.

    Inside strings, every escape and each character that a shell or opencode acts upon is written ``\\uXXXX``,
    so that the text can be put between single quotes in any shell; the tokens of `Live` strings are written as
    they are. Raises ValueError for numbers that JSON does not have.
    """
    if isinstance(value, str):
        return f'"{_escaped(value)}"'
    if isinstance(value, dict):
        return "{" + ",".join([f'"{_escaped(name)}":{dump(item)}' for name, item in value.items()]) + "}"
    if isinstance(value, list):
        return "[" + ",".join([dump(item) for item in value]) + "]"
    return _NUMBER.encode(value)


def _escaped(string: str) -> str:
    if isinstance(string, Live):
        return "".join(part if number % 2 else _escaped(part) for number, part in enumerate(string.parts))
    if _UNESCAPED.fullmatch(string):
        return string
    text = json.dumps(string)[1:-1]
    for written, replacement in _ESCAPES:
        text = text.replace(written, replacement)
    return text


def _loads(text: str) -> JSON:
    def refuse(literal: str, kind: type[JsoncError] = JsoncError) -> JSON:
        before = text[: text.find(literal)]
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        raise kind(f"{literal[:20]} is not a usable number", line, column)

    def finite(literal: str) -> JSON:
        number = float(literal)
        return refuse(literal, BeyondPython) if abs(number) == _INFINITE else number

    try:
        value: JSON = json.loads(text, parse_constant=refuse, parse_float=finite)
    except (JsoncError, json.JSONDecodeError):
        raise
    except RecursionError as error:
        raise BeyondPython("nested too deeply", 1, 1) from error
    except ValueError as error:  # Python 3.11 limits how long an integer may be
        raise BeyondPython("a number with thousands of digits", 1, 1) from error
    return value


def _blank(match: re.Match[str]) -> str:
    """Replace a comment or comma with spaces, so that what follows keeps its place."""
    text = match.group()
    if match.group(1) is not None or (text.startswith("/*") and not text.endswith("*/", 2)):
        return text
    return _NOT_NEWLINE.sub(" ", text)
