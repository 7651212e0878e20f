"""A home folder for a test: no configuration, no cache, no key, and a PATH with little on it."""

from __future__ import annotations

import json
import os
import signal
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import tools

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

SYSTEM_PATH = ("/usr/local/bin", "/usr/bin", "/bin")
# opencode asks nobody for a newer version of itself or for a newer list of the world's models.
QUIET_OPENCODE = {"OPENCODE_DISABLE_AUTOUPDATE": "1", "OPENCODE_DISABLE_MODELS_FETCH": "1"}
# A start of opencode 1.18 costs half as much processor time when it does not read its list of all the world's models
# and does not compile code that runs once: 1.8 s instead of 3.3 s, measured side by side. Switching off its garbage
# collection saves another third, and costs 55 MB.
QUICK_OPENCODE = {
    "OPENCODE_MODELS_PATH": str(Path(__file__).with_name("models.json")),
    "BUN_JSC_useDFGJIT": "0",
    "BUN_JSC_useGC": "0",
}
# For a server that many tests share.
LASTING_OPENCODE = {"BUN_JSC_useGC": "1"}
_FOLDERS = {
    "XDG_CONFIG_HOME": ".config",
    "XDG_CACHE_HOME": ".cache",
    "XDG_DATA_HOME": ".local/share",
    "XDG_STATE_HOME": ".local/state",
    "TMPDIR": "tmp",
}


def make_home(folder: Path, *, shells: Iterable[Path] = ()) -> dict[str, str]:
    """Make a home in an empty folder and return the whole environment of its user.

    ``bin`` in it comes first on PATH and has links to our console scripts, to opencode where it is installed,
    and to ``shells`` that live outside the system's folders.
    """
    programs = folder / "bin"
    programs.mkdir(parents=True)
    for name in tools.CONSOLE_SCRIPTS:
        (programs / name).symlink_to(tools.console_script(name))
    if tools.OPENCODE.exists():
        (programs / "opencode").symlink_to(tools.OPENCODE)
    for shell in shells:
        (programs / shell.name).symlink_to(shell)
    for name in _FOLDERS.values():
        (folder / name).mkdir(parents=True)
    return {
        "HOME": str(folder),
        "PATH": os.pathsep.join((str(programs), *SYSTEM_PATH)),
        "LANG": "C.UTF-8",
        "TERM": "xterm-256color",
        **{variable: str(folder / name) for variable, name in _FOLDERS.items()},
        **QUIET_OPENCODE,
        **QUICK_OPENCODE,
    }


def write(path: Path, content: Any) -> Path:
    """Write a file and the folders above it: text as it is, anything else as JSON. Return the file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = content if isinstance(content, str) else json.dumps(content)
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    return path


@contextmanager
def replaced(file: Path) -> Iterator[None]:
    """Check that another file takes the place of this one: a program that has it open reads all of it, unchanged."""
    with file.open("rb") as opened:
        content, inode = file.read_bytes(), file.stat().st_ino
        yield
        assert opened.read() == content
        assert file.read_bytes() != content
        assert file.stat().st_ino != inode
    assert [path.name for path in file.parent.iterdir() if path.suffix == ".tmp"] == []


def stand_in(home: Mapping[str, str], script: str = "echo 1.18.33") -> Path:
    """Replace opencode, whose start takes a second of processor time, by a shell script."""
    path = Path(home["HOME"], "bin", "opencode")
    path.unlink(missing_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def global_configuration(home: Mapping[str, str]) -> Path:
    """Return the path of opencode's global configuration in a home, which need not exist."""
    return Path(home["XDG_CONFIG_HOME"], "opencode/opencode.json")


def provided(provider: str = "litellm", **options: Any) -> dict[str, Any]:
    """Return a configuration of one provider with these options; without `$schema`, opencode would rewrite it."""
    return {"$schema": "x", "provider": {provider: {"options": options}}}


def configure(home: Mapping[str, str], provider: str = "litellm", **options: Any) -> Path:
    """Give the global configuration one provider with these options, and return its file."""
    return configure_whole(home, **provided(provider, **options))


def configure_whole(home: Mapping[str, str], **sections: Any) -> Path:
    """Make these sections the whole global configuration, and return its file; see ``provided`` about `$schema`."""
    return write(global_configuration(home), {"$schema": "x", **sections})


def end_processes(home: Mapping[str, str]) -> None:
    """End all processes that still run in a home, such as one that a launch leaves behind to refresh its cache.

    They can be found only on Linux; elsewhere they end by themselves, within seconds.
    """
    deadline = time.monotonic() + 5
    while (living := list(_processes(home))) and time.monotonic() < deadline:
        for process in living:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        time.sleep(0.02)


def _processes(home: Mapping[str, str]) -> Iterator[int]:
    for process in Path("/proc").glob("[0-9]*"):
        # Another user's process cannot be read, nor one that has ended meanwhile.
        with suppress(OSError):
            if f"HOME={home['HOME']}".encode() in (process / "environ").read_bytes().split(b"\0"):
                yield int(process.name)
