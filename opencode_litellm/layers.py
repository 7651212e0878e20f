"""Where opencode 1.18 looks for its configuration, and where we keep our own files.

Checked against the embedded source of opencode 1.18.33 and its `debug config`.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

GLOBAL = "global"
CUSTOM = "custom"
PROJECT = "project"
DOTFOLDER = "dotfolder"
DIRECTORY = "directory"
INLINE = "inline"
MANAGED = "managed"

INLINE_SOURCE = "OPENCODE_CONFIG_CONTENT"

_NAMES = ("opencode.json", "opencode.jsonc")


def files(environment: Mapping[str, str], folder: str, *, project: bool = True) -> list[tuple[str, str]]:
    """Return (kind, path) of all that could have a say in opencode's configuration, the strongest last.

    Absent files are among them, so that their appearance can be noticed. The inline layer's path is the name
    of its variable. `folder` is the absolute working directory; without `project`, what lies in it and above
    it is left out.
    """
    config = os.path.join(folder, config_folder(environment))
    found = [(GLOBAL, os.path.join(config, name)) for name in ("config.json", *_NAMES)]
    if custom := environment.get("OPENCODE_CONFIG"):
        found.append((CUSTOM, os.path.join(folder, custom)))
    if project and not _disabled(environment):
        found += [
            (PROJECT, os.path.join(parent, name)) for parent in reversed(list(_upward(folder))) for name in _NAMES
        ]
    directory = environment.get("OPENCODE_CONFIG_DIR")
    for path in folders(environment, folder, project=project):
        if path == directory or path.endswith(".opencode"):
            kind = DIRECTORY if path == directory else DOTFOLDER
            found += [(kind, os.path.join(folder, path, name)) for name in _NAMES]
    found.append((INLINE, INLINE_SOURCE))
    found += [(MANAGED, os.path.join(managed_folder(environment), name)) for name in _NAMES]
    return found


def folders(environment: Mapping[str, str], folder: str, *, project: bool = True) -> list[str]:
    """Return the folders, present or not, that may hold agents, modes and commands, the strongest last."""
    found = [config_folder(environment)]
    if project and not _disabled(environment):
        found += [os.path.join(parent, ".opencode") for parent in _upward(folder)]
    found.append(os.path.join(environment.get("OPENCODE_TEST_HOME") or home(environment), ".opencode"))
    if directory := environment.get("OPENCODE_CONFIG_DIR"):
        found.append(directory)
    # A folder that is found twice keeps its first place.
    return list(dict.fromkeys(found))


def config_folder(environment: Mapping[str, str]) -> str:
    """Return opencode's global configuration folder."""
    return _xdg(environment, "XDG_CONFIG_HOME", ".config", "opencode")


def managed_folder(environment: Mapping[str, str]) -> str:
    """Return the folder of the configuration that administrators put above the user's."""
    if folder := environment.get("OPENCODE_TEST_MANAGED_CONFIG_DIR"):
        return folder
    if sys.platform == "darwin":
        return "/Library/Application Support/opencode"
    if sys.platform == "win32":
        return os.path.join(environment.get("ProgramData") or r"C:\ProgramData", "opencode")
    return "/etc/opencode"


def auth_file(environment: Mapping[str, str]) -> str:
    """Return the path of the keys that `opencode auth login` stored."""
    return _xdg(environment, "XDG_DATA_HOME", os.path.join(".local", "share"), "opencode", "auth.json")


def own_folder(environment: Mapping[str, str]) -> str:
    """Return the folder of our own settings: the user's templates."""
    return _xdg(environment, "XDG_CONFIG_HOME", ".config", "opencode-litellm")


def cache_folder(environment: Mapping[str, str]) -> str:
    """Return the folder of our cache."""
    return _xdg(environment, "XDG_CACHE_HOME", ".cache", "opencode-litellm")


def state_folder(environment: Mapping[str, str]) -> str:
    """Return the folder of our log."""
    return _xdg(environment, "XDG_STATE_HOME", os.path.join(".local", "state"), "opencode-litellm")


def home(environment: Mapping[str, str]) -> str:
    """Return the folder that `~` stands for in opencode's configuration."""
    if folder := environment.get("USERPROFILE" if sys.platform == "win32" else "HOME"):
        return folder
    if sys.platform == "win32":
        return os.path.expanduser("~")
    import pwd  # hardly ever needed, and not there on Windows

    try:
        return pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:  # a container's user that has neither a name nor HOME
        return os.sep


def _xdg(environment: Mapping[str, str], variable: str, default: str, *names: str) -> str:
    base = environment.get(variable) or os.path.join(home(environment), default)
    return os.path.join(base, *names)


def _disabled(environment: Mapping[str, str]) -> bool:
    return environment.get("OPENCODE_DISABLE_PROJECT_CONFIG", "").lower() in ("1", "true")


def _upward(folder: str) -> Iterator[str]:
    """Yield `folder` and those above it, up to the git root, or to the system's root outside of a repository.

    opencode asks git, which costs a process. We look for what git would find; that it may refuse a repository
    of another user, we don't see.
    """
    parents = [folder]
    while (parent := os.path.dirname(parents[-1])) != parents[-1]:
        parents.append(parent)
    for index, parent in enumerate(parents):
        git = os.path.join(parent, ".git")
        if os.path.isfile(git):
            return iter(parents[: index + 1] if _is_repository(_linked(git)) else parents)
        if _is_repository(git):
            return iter(parents[: index + 1])
    return iter(parents)


def _is_repository(git: str) -> bool:
    return os.path.exists(os.path.join(git, "HEAD"))


def _linked(git: str) -> str:
    """Return the repository that the `.git` file of a worktree or submodule names; empty: it names none."""
    try:
        with open(git, encoding="utf-8", errors="surrogateescape") as file:
            label, _, path = file.read().rstrip("\r\n").partition(": ")
    except OSError:
        return ""
    return os.path.join(os.path.dirname(git), path) if label == "gitdir" else ""
