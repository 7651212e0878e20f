"""The text of the slot, the file that opencode 2's server reads: our members in it, everybody else's untouched.

opencode writes plugins and MCP servers into that file, and people write what they like. The members that we wrote last
are ours; every other member survives byte for byte. Pure: text in, text out.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from opencode_litellm import jsonc
from opencode_litellm.jsonc import mapping

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from opencode_litellm.jsonc import JSON

    Section = Mapping[str, JSON]

SCHEMA = "https://opencode.ai/config.json"  # what opencode itself writes where none is

_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|//[^\r\n]*|/\*.*?\*/|[{}\[\]:,]|[^\s{}\[\]:,"/]+', re.DOTALL)
_OPENING, _CLOSING = frozenset("{["), frozenset("}]")


def merged(text: str, last: str | None, new: str) -> str:
    """Return ``text`` with the members of ``last``, which we wrote, replaced by those of ``new``.

    A member whose value is not what we wrote is not ours and stays, with everything below it. Without ``last``, all
    that is under the ids of our providers counts as ours. Raises JsoncError if ``text`` cannot be parsed or is not an
    object.
    """
    if not text.strip() or text == last:
        return new
    current, wanted = _object(text), _object(new)
    before = _object(last) if last is not None else _taken_for_ours(current, wanted)
    return _edited(text, current, before, wanted)


def stripped(text: str, last: str | None) -> str | None:
    """Return ``text`` without our members; None if nothing else is left.

    Raises JsoncError as `merged` does.
    """
    current = _object(text)
    before = _object(last) if last is not None else _taken_for_ours(current, {})
    rest = _edited(text, current, {**before, "$schema": current.get("$schema")}, {"$schema": SCHEMA})
    bare = not set(_object(rest)) - {"$schema"} and jsonc.uncommented(rest) == rest
    return None if bare else rest


def users_members(text: str, last: str | None) -> list[str]:
    """Return the members in ``text`` that are not ours, as in `merged`: dotted paths in the order of the text."""
    current = _object(text)
    before = _object(last) if last is not None else _taken_for_ours(current, {})
    return [".".join(path) for path in _users_members(current, {**before, "$schema": current.get("$schema")})]


def users(text: str, last: str | None) -> str:
    """Return the user's part of ``text`` as a configuration that opencode would read."""
    return stripped(text, last) or "{}"


def _taken_for_ours(current: Section, wanted: Section) -> Section:
    ids = mapping(wanted.get("provider"))
    sections = mapping(current.get("provider"))
    return {
        "provider": {id_: section for id_, section in sections.items() if id_ in ids or id_.startswith("litellm")}
    }


def _object(text: str) -> Section:
    value = jsonc.parse_live(text)
    if not isinstance(value, dict):
        raise jsonc.JsoncError("not a JSON object", 1, 1)
    return value


def _users_members(current: Section, last: Section) -> Iterator[tuple[str, ...]]:
    for name, value in current.items():
        ours = last.get(name)
        if isinstance(value, dict) and isinstance(ours, dict):
            yield from ((name, *rest) for rest in _users_members(value, ours))
        elif name not in last or not _same(value, ours):
            yield (name,)


def _same(one: JSON, other: JSON) -> bool:
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


class _Absent:
    """The type of the marker for a member that we do not want in the file."""


_ABSENT = _Absent()


class _Object:
    """An object's place in a text: where it opens, and its members in their order."""

    __slots__ = ("members", "start")

    def __init__(self, start: int) -> None:
        self.start = start
        self.members: list[_Member] = []


class _Member:
    """A member's place: the white space before it, its value, and the comma behind it (-1: there is none)."""

    __slots__ = ("comma", "end", "lead", "name", "nested", "value")

    def __init__(self, name: str, lead: int) -> None:
        self.name = name
        self.lead = lead
        self.value = self.end = self.comma = -1
        self.nested: _Object | None = None


class _Scanner:
    """Finds the positions of objects and members in a text that is known to be JSON with comments."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._matches = _TOKEN.finditer(text)
        self._end = 0
        self._comment_before = False
        self.word = ""
        self.start = 0
        self.lead = 0
        self.step()

    def step(self) -> int:
        """Go to the next token that is not a comment, and return where the previous one ended."""
        ended = self._end
        self._comment_before = False
        for match in self._matches:
            self.word, self.start = match.group(), match.start()
            if self.word.startswith(("//", "/*")):
                self._comment_before = True
                continue
            # White space after a comment belongs to the comment.
            self.lead = self.start if self._comment_before else ended
            self._end = match.end()
            return ended
        self.word = ""
        return ended

    def value(self) -> tuple[_Object | None, int]:
        """Skip a value; return its members if it is an object, and where it ends."""
        if self.word == "{":
            return self._object()
        depth = 0
        while True:
            depth += (self.word in _OPENING) - (self.word in _CLOSING)
            end = self._end
            self.step()
            if depth == 0:
                return None, end

    def _object(self) -> tuple[_Object, int]:
        parsed = _Object(self.start)
        self.step()
        while self.word != "}":
            member = _Member(json.loads(self.word, strict=False), self.lead)
            self.step()
            self.step()  # past the colon
            member.value = self.start
            member.nested, member.end = self.value()
            if self.word == ",":
                member.comma = self.start
                self.step()
            parsed.members.append(member)
        end = self._end
        self.step()
        return parsed, end


def _edited(text: str, current: Section, last: Section, new: Section) -> str:
    try:
        place, _ = _Scanner(text).value()
        edits = sorted(_edits(place or _Object(0), current, last, new))
    except RecursionError as error:
        raise jsonc.BeyondPython("nested too deeply", 1, 1) from error
    pieces, done = [], 0
    for start, end, replacement in edits:
        pieces += [text[done:start], replacement]
        done = end
    return "".join([*pieces, text[done:]])


def _edits(place: _Object, current: Section, last: Section, new: Section) -> Iterator[tuple[int, int, str]]:
    """Yield (start, end, replacement) for one object and all below it."""
    # Of members with the same name the last one counts; the others stay as they are.
    counting = {member.name: member for member in place.members}
    stays: list[_Member] = []
    for member in place.members:
        name = member.name
        counts = counting[name] is member
        if counts and name in last and name not in new and not _holds_users(current[name], last[name]):
            yield member.lead, member.end, ""
            if member.comma >= 0:
                yield member.comma, member.comma + 1, ""
            continue
        stays.append(member)
        if counts:
            before = (last[name],) if name in last else ()
            yield from _value_edits(member, current[name], before, new.get(name, _ABSENT))
    added = ",\n".join(f"{jsonc.dump(name)}:{jsonc.dump(value)}" for name, value in new.items() if name not in current)
    if not stays:
        if added:
            yield place.start + 1, place.start + 1, added
        return
    end = stays[-1]
    if added and end.comma >= 0:
        yield end.comma + 1, end.comma + 1, f"\n{added}"
    elif added:
        yield end.end, end.end, f",\n{added}"
    elif end is not place.members[-1]:
        yield end.comma, end.comma + 1, ""


def _value_edits(
    member: _Member, current: JSON, last: tuple[JSON, ...], new: JSON | _Absent
) -> Iterator[tuple[int, int, str]]:
    """Yield the same for the value of a member that stays; ``last`` holds what we wrote there, if we did."""
    before = mapping(last[0]) if last else {}
    if member.nested is not None and isinstance(current, dict) and isinstance(new, dict):
        if current != new:
            yield from _edits(member.nested, current, before, new)
    elif not isinstance(new, _Absent) and last and not _holds_users(current, last[0]):
        if not _same(current, new):
            yield member.value, member.end, jsonc.dump(new)
    elif member.nested is not None and isinstance(current, dict) and before:
        yield from _edits(member.nested, current, before, {})


def _holds_users(current: JSON, last: JSON) -> bool:
    if isinstance(current, dict) and isinstance(last, dict):
        return any(True for _ in _users_members(current, last))
    return not _same(current, last)
