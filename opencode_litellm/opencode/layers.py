"""Where opencode 1.18 looks for its configuration.

Checked against the embedded source of opencode 1.18.33 and its `debug config`.
"""

from __future__ import annotations

import os
import sys

from opencode_litellm import variables

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

GLOBAL = "global"
CUSTOM = "custom"
PROJECT = "project"
DOTFOLDER = "dotfolder"
DIRECTORY = "directory"
INLINE = "inline"
MANAGED = "managed"


# Variables that make git use another repository than the `.git` in the folder.
_GIT_VARIABLES = ("GIT_DIR", "GIT_WORK_TREE", "GIT_COMMON_DIR")
_GIT_PATIENCE = 2.0  # seconds; if git hangs, opencode hangs too
_LARGEST_LINK = 2**20  # characters; git refuses a larger `.git` file as well
_NAMES = ("opencode.json", "opencode.jsonc")


def files(environment: Mapping[str, str], folder: str, *, project: bool = True) -> list[tuple[str, str]]:
    """Return (kind, path) of every file that could contribute to opencode's configuration, the strongest last.

    Missing files are included, so that it is noticed when they appear. The inline layer's path is the name of its
    variable. `folder` is the absolute working directory. Without `project`, files in it and above it are left out.
    """
    config = os.path.join(folder, config_folder(environment))
    layers = [(GLOBAL, os.path.join(config, name)) for name in ("config.json", *_NAMES)]
    if custom := environment.get("OPENCODE_CONFIG"):
        layers.append((CUSTOM, os.path.join(folder, custom)))
    parents = _upward(environment, folder) if project else []
    layers += [(PROJECT, os.path.join(parent, name)) for parent in reversed(parents) for name in _NAMES]
    directory = environment.get("OPENCODE_CONFIG_DIR")
    for path in _folders(environment, parents):
        if path == directory or path.endswith(".opencode"):
            kind = DIRECTORY if path == directory else DOTFOLDER
            layers += [(kind, os.path.join(folder, path, name)) for name in _NAMES]
    layers.append((INLINE, variables.CONFIG_CONTENT))
    layers += [(MANAGED, os.path.join(managed_folder(environment), name)) for name in _NAMES]
    return layers


def folders(environment: Mapping[str, str], folder: str, *, project: bool = True) -> list[str]:
    """Return the folders, present or not, that may hold agents, modes and commands, the strongest last."""
    return _folders(environment, _upward(environment, folder) if project else [])


def _folders(environment: Mapping[str, str], parents: Iterable[str]) -> list[str]:
    paths = [config_folder(environment)]
    paths += [os.path.join(parent, ".opencode") for parent in parents]
    paths.append(os.path.join(environment.get("OPENCODE_TEST_HOME") or variables.home(environment), ".opencode"))
    if directory := environment.get("OPENCODE_CONFIG_DIR"):
        paths.append(directory)
    # A folder that occurs twice keeps its first place.
    return list(dict.fromkeys(paths))


def config_folder(environment: Mapping[str, str]) -> str:
    """Return opencode's global configuration folder."""
    return variables.xdg(environment, "XDG_CONFIG_HOME", ".config", "opencode")


def server_folder(environment: Mapping[str, str]) -> str:
    """Return opencode 2's global folder, which OPENCODE_CONFIG_DIR replaces (read in the source of 2.0.26)."""
    return environment.get("OPENCODE_CONFIG_DIR") or config_folder(environment)


def service_file(environment: Mapping[str, str]) -> str:
    """Return the path of the settings of opencode 2's background service."""
    return os.path.join(server_folder(environment), "service.json")


def is_service_disabled(environment: Mapping[str, str]) -> bool:
    """Return whether opencode 2 is told to run no background service, so that every launch runs its own server."""
    try:
        with open(service_file(environment), encoding="utf-8", errors="replace") as file:
            return '"disabled":true' in "".join(file.read(2**16).split())
    except OSError:
        return False


def registration_file(environment: Mapping[str, str]) -> str:
    """Return the path of the file in which a running server of opencode 2 says where it is."""
    return variables.xdg(environment, "XDG_STATE_HOME", os.path.join(".local", "state"), "opencode", "service.json")


def managed_folder(environment: Mapping[str, str]) -> str:
    """Return the folder where administrators put configuration that outranks the user's."""
    if folder := environment.get("OPENCODE_TEST_MANAGED_CONFIG_DIR"):
        return folder
    if sys.platform == "darwin":
        return "/Library/Application Support/opencode"
    if sys.platform == "win32":
        return os.path.join(environment.get("ProgramData") or r"C:\ProgramData", "opencode")
    return "/etc/opencode"


def auth_file(environment: Mapping[str, str]) -> str:
    """Return the path of the keys that `opencode auth login` stored."""
    return variables.xdg(environment, "XDG_DATA_HOME", os.path.join(".local", "share"), "opencode", "auth.json")


def json_files(folder: str) -> list[str]:
    """Return the names of the JSON and JSONC files in a folder, sorted; empty if the folder does not exist."""
    try:
        return sorted(name for name in os.listdir(folder) if name.endswith((".json", ".jsonc")))
    except OSError:
        return []


def state_file(environment: Mapping[str, str]) -> str:
    """Return the path of the models that opencode remembers: recent ones, favourites, chosen variants."""
    return variables.xdg(environment, "XDG_STATE_HOME", os.path.join(".local", "state"), "opencode", "model.json")


def _upward(environment: Mapping[str, str], folder: str) -> list[str]:
    """Return `folder` and those above it, up to the git root, or to the system's root outside a repository.

    The list is empty if the project's configuration is switched off.
    """
    if environment.get("OPENCODE_DISABLE_PROJECT_CONFIG", "").lower() in ("1", "true"):
        return []
    parents = [folder]
    while (parent := os.path.dirname(parents[-1])) != parents[-1]:
        parents.append(parent)
    root = next((_root(parent, environment) for parent in parents if os.path.exists(os.path.join(parent, ".git"))), "")
    return parents[: parents.index(root) + 1] if root in parents else parents


def _root(folder: str, environment: Mapping[str, str]) -> str:
    """Return the root of the repository that git finds from a folder with a `.git`, empty if it finds none.

    opencode runs git for this. We do so only if git's answer is not obvious: for example, it refuses repositories that
    belong to other users.
    """
    git = os.path.join(folder, ".git")
    repository = _linked(git) if os.path.isfile(git) else git
    if any(name in environment for name in _GIT_VARIABLES) or not os.path.exists(os.path.join(repository, "HEAD")):
        return _root_by_git(folder, environment)
    if sys.platform != "win32" and {os.lstat(path).st_uid for path in (folder, git, repository)} != {os.geteuid()}:
        return _root_by_git(folder, environment)
    return folder if _git(environment) else ""


def _git(environment: Mapping[str, str]) -> str:
    """Return the git that would be started; empty if there is none."""
    if sys.platform == "win32":
        from opencode_litellm import windows  # only on Windows

        return windows.find("git", environment) or ""
    path = environment.get("PATH", os.defpath).split(os.pathsep)
    return "git" if any(os.access(os.path.join(folder, "git"), os.X_OK) for folder in path) else ""


def _root_by_git(folder: str, environment: Mapping[str, str]) -> str:
    import subprocess  # 10 ms, in rare cases

    git = _git(environment)
    if not git:
        return ""
    try:
        finished = subprocess.run(  # noqa: S603 - as opencode 1.18 does
            [git, "rev-parse", "--git-dir", "--show-toplevel"],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_GIT_PATIENCE,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    repository, _, top = os.fsdecode(finished.stdout).partition("\n")
    # opencode 1.18 stays in the working directory when a repository has no working tree.
    return os.path.normpath(os.path.join(folder, top.rstrip("\r\n"))) if repository else ""


def _linked(git: str) -> str:
    """Return the repository that the `.git` file of a worktree or submodule names, or the file itself."""
    try:
        with open(git, encoding="utf-8", errors="surrogateescape") as file:
            label, _, path = file.read(_LARGEST_LINK).rstrip("\r\n").partition(": ")
    except OSError:
        return git
    return os.path.join(os.path.dirname(git), path) if label == "gitdir" else git
