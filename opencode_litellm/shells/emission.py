"""The text that shells and file formats get: snippets, assignments, completion scripts, and the shim.

It is rendered from ``templates/``; users can replace our templates for snippets and assignments.
"""

from __future__ import annotations

import importlib.resources
import io
import os
import sys
import sysconfig
import traceback
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from opencode_litellm import variables
from opencode_litellm.errors import UsageFailure
from opencode_litellm.rendering import engine, shipped, source
from opencode_litellm.shells import replay
from opencode_litellm.shells.formats import COMPLETIONS, FORMATS, SHELLS, Completion, Shell, command_name

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import click

    from opencode_litellm.rendering import Source

    Complaint = Callable[[UsageFailure], object]

# What an expression in a template can raise.
_TEMPLATE_ERRORS = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)

_REMEDY = "correct or delete this template: until then, the built-in one is used"
_PROGRAM, _COMPLETION_VARIABLE = "opencode-litellm", "_OPENCODE_LITELLM_COMPLETE"


class _BrokenTemplate(UsageFailure):
    """A template of the user's cannot be rendered."""


def snippet(shell: str, command: str, environment: Mapping[str, str], complain: Complaint | None = None) -> str:
    """Return the text that makes every ``command`` in ``shell``, a name in ``SHELLS``, go through us.

    The failure of a user's broken template is passed to ``complain``, and the built-in one is used instead; without
    ``complain``, it is raised. UsageFailure for another shell, and for a ``command`` that is not a plain word.
    """
    named = _named(shell, SHELLS)
    return _emitted(named, environment, complain, command=command_name(command, named), changes={})


def assignments(
    format_name: str,
    changes: Mapping[str, str | None],
    environment: Mapping[str, str],
    complain: Complaint | None = None,
) -> str:
    """Return the text that applies ``changes`` to environment variables, in a format named in ``FORMATS``.

    None removes a variable; dotenv and GitHub's files cannot do that, so there it becomes empty. ``complain`` is as
    for ``snippet``. UsageFailure for another format, and for a value that the format cannot hold.
    """
    return _emitted(_named(format_name, FORMATS), environment, complain, command=None, changes=changes)


def startup(shell: str, command: str, environment: Mapping[str, str], complain: Complaint | None = None) -> str:
    """Return the lines for a startup file of ``shell``: they read the kept snippet of ``command``, or are the snippet.

    If the kept file is gone, as on another machine with the same dotfiles, they evaluate ``init``, which writes it
    again. Failures as for ``snippet``.
    """
    row = _named(shell, SHELLS)
    if row.startup is None or not row.startup.reads_file:
        return snippet(shell, command, environment, complain)
    names = {"file": replay.file_name(shell, command), "line": row.startup.line_for(command_name(command, row))}
    return engine(shipped).get_template(f"{shell}.j2").render(names, startup=True)


def shim() -> bytes:
    """Return the program ``opencode`` that goes through us if no shell is involved; users cannot replace its template.

    On Windows it is an ``.exe``, because cmd.exe would interpret the arguments of a batch file. UsageFailure if it
    cannot be made.
    """
    if sys.platform != "win32":
        return engine(shipped).get_template("shim.j2").render().encode()
    # As pip does, append the interpreter and a zip file to the launcher. A virtual environment's interpreter would be
    # gone as soon as we are uninstalled.
    python = sys._base_executable
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as writer:
        writer.writestr(zipfile.ZipInfo("__main__.py"), engine(shipped).get_template("shim.py.j2").render())
    return _launcher() + f'#!"{python}" -IS\n'.encode() + archive.getvalue()


def _launcher() -> bytes:
    """Return distlib's launcher, which starts the interpreter and the zip file at its end."""
    name = {"win32": "t32.exe", "win-arm64": "t64-arm.exe"}.get(sysconfig.get_platform(), "t64.exe")
    try:
        return importlib.resources.files("distlib").joinpath(name).read_bytes()
    except (ModuleNotFoundError, OSError) as error:
        raise UsageFailure(f"the shim needs {name} from distlib", "reinstall opencode-litellm") from error


def completion(shell: str, command: click.Command) -> str:
    """Return the script that completes ``command``, our command line, in ``shell``, a name in ``COMPLETIONS``."""
    from click import shell_completion

    if COMPLETIONS[shell] is Completion.TEMPLATE:
        return engine(shipped).get_template(f"{shell}.j2").render(completion=True)
    script = shell_completion.get_completion_class(shell)
    assert script is not None, shell  # noqa: S101 - what CLICK in the table of shells promises
    return script(command, {}, _PROGRAM, _COMPLETION_VARIABLE).source() + "\n"


def _named(name: str, among: Mapping[str, Shell]) -> Shell:
    if name not in among:
        raise UsageFailure(f"{name[:100]!r} is not supported", f"choose one of {', '.join(among)}")
    return among[name]


def _emitted(shell: Shell, environment: Mapping[str, str], complain: Complaint | None, **names: object) -> str:
    try:
        return _rendered(shell, environment, names)
    except _BrokenTemplate as failure:
        if complain is None:
            raise
        complain(failure)
    built_in = engine(shipped)
    built_in.filters["word"] = shell.word
    return built_in.get_template(f"{shell.name}.j2").render(names)


def _rendered(shell: Shell, environment: Mapping[str, str], names: Mapping[str, object]) -> str:
    import jinja2

    folder = Path(variables.override_folder(environment))
    renderer = engine(lambda name: _override(folder, name) or shipped(name))
    renderer.filters["word"] = shell.word
    try:
        return renderer.get_template(f"{shell.name}.j2").render(names)
    except (jinja2.TemplateError, *_TEMPLATE_ERRORS) as error:
        line = _line_at_fault(error, folder)
        if line is None:
            raise
        raise _BrokenTemplate(f"{line}: {error}", _REMEDY) from error


def _override(folder: Path, name: str) -> Source | None:
    """Return the user's template; only names that we ship count, so that ``replay`` notices every change."""
    if name.removesuffix(".j2") not in FORMATS:
        return None
    path = folder / name
    try:
        return source(path)
    except (OSError, ValueError) as error:
        # A folder that we may not look into counts as empty; only a template that exists can be corrected.
        if isinstance(error, PermissionError) and not os.path.exists(path):
            return None
        raise _BrokenTemplate(f"{path}: {error}", _REMEDY) from error


def _line_at_fault(error: Exception, folder: Path) -> str | None:
    """Return the file and line of the user's template that caused ``error``, None if one of ours did."""
    import jinja2

    if isinstance(error, jinja2.TemplateSyntaxError):
        lines = [(error.filename or "", error.lineno)]
    else:
        lines = [(frame.filename, frame.lineno or 0) for frame in traceback.extract_tb(error.__traceback__)]
    for path, line in reversed(lines):
        if Path(path).parent == folder:
            return f"{path}, line {line}"
    return None
