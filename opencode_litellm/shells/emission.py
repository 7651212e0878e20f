"""What shells and file formats are given: snippets, assignments, the shim, completion scripts.

Rendered from ``templates/``, or from the user's template of the same name.
"""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import TYPE_CHECKING

from opencode_litellm import variables
from opencode_litellm.errors import UsageFailure
from opencode_litellm.rendering import engine, shipped, source
from opencode_litellm.shells.formats import FORMATS, SHELLS, Shell, command_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opencode_litellm.rendering import Source

# What the expressions of a template can raise by themselves.
_FAULTS = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)



def snippet(shell: str, command: str, environment: Mapping[str, str]) -> str:
    """Return what makes every ``command`` in ``shell``, a name in ``SHELLS``, go through us.

    UsageFailure for another shell, a ``command`` that is no plain word, or a broken template of the user's.
    """
    return _emitted(_named(shell, SHELLS), environment, command=command_name(command), changes={})


def assignments(format_name: str, changes: Mapping[str, str | None], environment: Mapping[str, str]) -> str:
    """Return what applies ``changes`` to environment variables, in the words of a name in ``FORMATS``.

    None removes a variable; dotenv and GitHub's files cannot do that and make it empty. UsageFailure for
    another format, a value that the format cannot hold, or a broken template of the user's.
    """
    return _emitted(_named(format_name, FORMATS), environment, command=None, changes=changes)


def shim() -> str:
    """Return the program ``opencode`` that goes through us where no shell does; it is the same everywhere."""
    return engine(shipped).get_template("shim.j2").render()


def completion(shell: str) -> str:
    """Return the completion script of a shell for which click has none: its template asks click as bash does."""
    return engine(shipped).get_template(f"completion.{shell}.j2").render()


def _named(name: str, among: Mapping[str, Shell]) -> Shell:
    if name not in among:
        raise UsageFailure(f"there is nothing for {name[:100]!r}", f"choose one of {' | '.join(among)}")
    return among[name]


def _emitted(shell: Shell, environment: Mapping[str, str], **given: object) -> str:
    import jinja2

    folder = Path(variables.override_folder(environment))
    renderer = engine(lambda name: _override(folder, name) or shipped(name))
    renderer.filters["word"] = shell.word
    try:
        return renderer.get_template(f"{shell.name}.j2").render(given)
    except (jinja2.TemplateError, *_FAULTS) as error:
        place = _place(error, folder)
        if place is None:
            raise
        raise UsageFailure(f"{place}: {error}", "mend this template, or remove it to use ours") from error


def _override(folder: Path, name: str) -> Source | None:
    """Return the user's template; only what we ship can be replaced, so that every change is noticed."""
    if name.removesuffix(".j2") not in FORMATS:
        return None
    path = folder / name
    try:
        return source(path)
    except (OSError, ValueError) as error:
        raise UsageFailure(f"{path}: {error}", "mend this template, or remove it to use ours") from error


def _place(error: Exception, folder: Path) -> str | None:
    """Return file and line of the user's template that ``error`` comes from, None when it is one of ours."""
    import jinja2

    if isinstance(error, jinja2.TemplateSyntaxError):
        places = [(error.filename or "", error.lineno)]
    else:
        places = [(frame.filename, frame.lineno or 0) for frame in traceback.extract_tb(error.__traceback__)]
    for path, line in reversed(places):
        if Path(path).parent == folder:
            return f"{path}, line {line}"
    return None
