"""Our commands without Python's start: a process that has loaded everything, and is copied for each command."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from .opencode import Finished

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

# It has one thread when it forks, and each copy ends as the console script does.
_SOURCE = """
import gc, json, os, sys, tempfile, traceback
import opencode_litellm.cli, opencode_litellm.doctor, opencode_litellm.listing
import opencode_litellm.launch.warm, opencode_litellm.launch.cold, opencode_litellm.launch.credentials
import opencode_litellm.litellm.question, opencode_litellm.shells.emission
import jinja2, requests
from opencode_litellm import __main__

gc.disable()  # it would write to all that a copy shares
gc.freeze()
asked, told = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w")
os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
for line in asked:
    order = json.loads(line)
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        child = os.fork()
        if not child:
            status = 70
            try:
                os.environ.clear()
                os.environ.update(order["environment"])
                os.chdir(order["folder"])
                os.dup2(out.fileno(), 1)
                os.dup2(err.fileno(), 2)
                sys.argv = order["command"]
                status = __main__.main()
                sys.stdout.flush()
            except SystemExit as end:
                status = end.code or 0
            except BaseException:
                traceback.print_exc()
                sys.stderr.flush()
            os._exit(status)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read().decode(errors="replace"))
    told.write(json.dumps([status, *texts]) + "\\n")
    told.flush()
"""


class Commands:
    """Runs ``opencode-litellm ARGUMENTS`` as long as the ``with`` block lives; one at a time."""

    def __enter__(self) -> Commands:
        self._parent = subprocess.Popen(
            [sys.executable, "-c", _SOURCE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        return self

    def __exit__(self, *_: Any) -> None:
        self._parent.kill()
        self._parent.communicate()

    def __call__(self, environment: Mapping[str, str], folder: Path | str, *arguments: str) -> Finished:
        """Run one command to its end."""
        assert self._parent.stdin is not None
        assert self._parent.stdout is not None
        order = {
            "environment": dict(environment),
            "folder": str(folder),
            "command": ["opencode-litellm", *arguments],
        }
        self._parent.stdin.write(json.dumps(order) + "\n")
        self._parent.stdin.flush()
        return Finished(*json.loads(self._parent.stdout.readline()))
