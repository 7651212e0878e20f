"""The template engine, and the payload rendered with it."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING

from opencode_litellm import jsonc, templates  # type: ignore[attr-defined]  # put there by package_dir in setup.cfg

if TYPE_CHECKING:
    from collections.abc import Callable

    import jinja2

    from opencode_litellm.opencode.payload import Payload

    Source = tuple[str, str, Callable[[], bool]]


def payload(value: Payload) -> str:
    """Return the configuration for opencode as ASCII JSON; users cannot replace its template."""
    return _payload_template().render(payload=value)


@functools.cache
def _payload_template() -> jinja2.Template:
    return engine(shipped).get_template("payload.json.j2")


def engine(find: Callable[[str], Source | None]) -> jinja2.Environment:
    """Return Jinja with our settings; ``find`` returns a template by its name, None if it does not exist."""
    import jinja2

    made = jinja2.Environment(  # noqa: S701 - nothing here is HTML; shell words and JSON have their filters
        loader=jinja2.FunctionLoader(find),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
        # Jinja's own "{#" would swallow what follows "${#x}" in a shell's template.
        comment_start_string="{//",
        comment_end_string="//}",
    )
    made.filters["json"] = jsonc.dump
    return made


def shipped(name: str) -> Source | None:
    """Return one of our own templates."""
    return source(Path(templates.__path__[0], name))


def source(path: Path) -> Source | None:
    """Return a template from a file, None if that does not exist; OSError or ValueError if it cannot be read."""
    try:
        return path.read_text(encoding="utf-8"), str(path), lambda: True
    except (FileNotFoundError, NotADirectoryError):
        return None
