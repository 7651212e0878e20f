"""Linux without what macOS lacks: /proc, and everything that Python and the system offer only on Linux.

Nothing of macOS itself is here. The tests show that our alternatives are used, and that they work.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from . import tools
from .opencode import Finished

if TYPE_CHECKING:
    from collections.abc import Mapping

LAUNCHD_PATH = "/usr/bin:/bin:/usr/sbin:/sbin"  # the PATH of programs that no shell has started

# Loaded by Python before anything of ours. Python asks _scproxy, which only macOS has, for the system's HTTP proxies.
_SITE = """
import os, sys, time, types
sys.platform = "darwin"
for module, names in {
    os: ["copy_file_range", "eventfd", "memfd_create", "pidfd_open", "posix_fallocate", "sched_getaffinity", "splice"],
    time: ["CLOCK_BOOTTIME"],
}.items():
    for name in names:
        if hasattr(module, name):
            delattr(module, name)
sysconf = os.sysconf
os.sysconf = lambda name: 2**20 if name == "SC_ARG_MAX" else sysconf(name)
system = sys.modules["_scproxy"] = types.ModuleType("_scproxy")
system._get_proxies = lambda: {"http": "http://127.0.0.1:9", "https": "http://127.0.0.1:9"}
system._get_proxy_settings = lambda: {"exclude_simple": False, "exceptions": []}
"""
# What `ps` prints on macOS about the parents of a process: a login shell, which every terminal starts.
_PS = '#!/bin/sh\nprintf "%s 4242 python\\n4242 1 -zsh\\n" "$PPID"\n'
_WITHOUT_PROC = 'mount -t tmpfs none /proc && exec "$@"'


@dataclass(frozen=True)
class Mac:
    """Somebody's Mac: ``run(["opencode-litellm", "doctor"], variables)``."""

    home: Mapping[str, str]

    def run(self, command: list[str], variables: Mapping[str, str | None], path: str = "") -> Finished:
        """Run a command with changed variables; ``path`` replaces the whole PATH."""
        folder = Path(self.home["HOME"])
        environment = {**self.home, "PYTHONPATH": str(folder / "site"), **variables}
        environment["PATH"] = path or f"{folder}/bin:{tools.SCRIPTS}:{LAUNCHD_PATH}"
        done = subprocess.run(
            [tools.program("unshare"), "--mount", "/bin/sh", "-c", _WITHOUT_PROC, "sh", *command], cwd=folder,
            env={name: value for name, value in environment.items() if value is not None},
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        return Finished(done.returncode, done.stdout, done.stderr)


def mac(home: Mapping[str, str]) -> Mac:
    """Return the Mac of the user of this home; ToolMissing if we may not hide /proc."""
    tried = subprocess.run(
        [tools.program("unshare"), "--mount", "/bin/sh", "-c", _WITHOUT_PROC, "sh", "true"],
        capture_output=True, check=False,
    )  # fmt: skip
    if tried.returncode:
        raise tools.ToolMissing("hiding /proc needs root on Linux")
    folder = Path(home["HOME"])
    (folder / "site").mkdir()
    (folder / "site/sitecustomize.py").write_text(_SITE)
    program = folder / "bin/ps"
    program.write_text(_PS)
    program.chmod(0o755)
    return Mac(home)
