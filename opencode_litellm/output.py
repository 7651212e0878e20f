"""The file of ``config --output``: an earlier output of ours or a new file, never one of the user's own."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from opencode_litellm import jsonc, listing, replacement, terminal
from opencode_litellm.errors import UsageFailure
from opencode_litellm.opencode import delivery, layers

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from opencode_litellm.jsonc import JSON


class _NotAFile(OSError):
    """What is there is a pipe or a device."""


@dataclass(frozen=True)
class Output:
    """A file that we may write, as it was before the proxies were asked; ``content`` is None if there is none."""

    path: Path
    content: bytes | None

    @classmethod
    def of(cls, path: Path) -> Output:
        """Return the file at ``path``; raises UsageFailure if it is somebody else's."""
        try:
            content = _content(path)
        except _NotAFile as error:
            raise UsageFailure(f"{path} is a pipe or a device", "name a regular file, or leave out --output") from error
        except OSError as error:
            raise UsageFailure(f"{path} cannot be read ({error.strerror})", "name another file") from error
        if problem := _objection(jsonc.decode(content or b"")):
            raise UsageFailure(f"{path} {problem}", "name another file")
        return cls(path, content)

    def write(self, text: str) -> None:
        """Write ``text`` if it differs; raises UsageFailure if that fails, or if the file has changed since."""
        try:
            if _content(self.path) == text.encode():
                return
            written = replacement.replace(str(self.path), text.encode(), 0o600, still=self._is_unchanged)
        except OSError as error:
            raise UsageFailure(
                f"{self.path} cannot be written ({error.strerror})",
                "name a file in an existing folder that you can write to",
            ) from error
        if not written:
            problem = f"{self.path} was changed by another program meanwhile, so it is not overwritten"
            raise UsageFailure(problem, "try again")

    def restrict(self, restrictions: Mapping[str, JSON]) -> None:
        """Write restrictions on opencode's providers into the file. The models in it stay. Raises as ``write`` does."""
        before: Mapping[str, JSON] = {}
        with suppress(jsonc.JsoncError):  # a file that was cut short has nothing to keep
            before = jsonc.mapping(jsonc.parse_live(jsonc.decode(self.content or b"")))
        if any(before.get(name) != value for name, value in restrictions.items()):
            self.write(jsonc.dump({"$schema": delivery.MARKER, **before, **restrictions}))

    def _is_unchanged(self) -> bool:
        return _content(self.path) == self.content


def differences(path: Path, text: str) -> list[str]:
    """Return how a file differs from ``text``, as lines for the user; none if it does not."""
    content = None
    with suppress(OSError):
        content = _content(path)
    if content is None:
        return [f"{path} does not exist or cannot be read"]
    if content == text.encode():
        return []
    try:
        lines = listing.differences(jsonc.parse(jsonc.decode(content)), jsonc.parse(text))
    except jsonc.JsoncError as error:
        lines = [f"it is not JSON: line {error.line}, {error.reason}"]
    lines = lines or ["only the order or the white space differs"]
    return [f"{path} differs from what the proxies serve now:", *lines]


def unread(path: Path, environment: Mapping[str, str], folder: str) -> str:
    """Return a message if a file is in one of opencode's folders, but under a name that opencode does not read.

    The message is empty if all is well. ``folder`` is the working directory.
    """
    real = os.path.realpath(path)
    of_folders = (layers.GLOBAL, layers.DOTFOLDER, layers.DIRECTORY)
    files = [(kind, os.path.realpath(file)) for kind, file in layers.files(environment, folder)]
    beside = [file for kind, file in files if kind in of_folders and os.path.dirname(file) == os.path.dirname(real)]
    if not beside or real in (file for _, file in files):
        return ""
    names = terminal.either(dict.fromkeys(map(os.path.basename, beside)))
    return f"opencode does not read {path}: rename it to {names}, or set OPENCODE_CONFIG={real}"


def _objection(text: str) -> str:
    """Return why we must not write a file with this text; empty if we may."""
    if delivery.is_slot(text):
        return "is the file that opencode-litellm keeps for opencode 2, which also writes to it"
    if not text.strip() or delivery.is_ours(text):
        return ""
    with suppress(jsonc.JsoncError):
        if isinstance(jsonc.parse(text), dict):
            return "is your own configuration"
    return "was not written by opencode-litellm"


def _content(path: Path) -> bytes | None:
    """Return the content of a file, None if it does not exist; raises OSError, also for a pipe, which has no end."""
    if not os.path.exists(path):
        return None
    if not path.is_file():
        raise _NotAFile(0, "it is a pipe or a device")
    return path.read_bytes()
