"""A real PostgreSQL for LiteLLM, and a substitute for Prisma's binaries, which no package registry has.

PostgreSQL is Debian's. The query engine is Prisma's own, compiled to WASM, behind `prisma/query-engine.js`;
`make setup` gets it from npm.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import shutil
import subprocess
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from . import tools
from .litellm import START
from .server import free_port

if TYPE_CHECKING:
    from collections.abc import Sequence

_ENGINE = Path(__file__).parent / "prisma/query-engine.js"
_PROGRAMS = Path(__file__).parent / "prisma/bin"
_CLIENTS = tools.PRISMA.with_name("clients")
_USER = "litellm"  # of the database
_SETTINGS = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "listen_addresses=127.0.0.1")


class Database:
    """A PostgreSQL with LiteLLM's tables, for the time of a ``with`` block.

    ``litellm`` is the program for which the tables and the client are made. ``environment`` holds the variables that
    this LiteLLM needs to use it.
    """

    def __init__(self, litellm: Path = tools.LITELLM) -> None:
        self._python = litellm.parent / "python"
        self._programs = tools.postgresql()
        self._modules = tools.installed(tools.PRISMA)
        self._port = free_port()
        self.url = f"postgresql://{_USER}@127.0.0.1:{self._port}/postgres"

    @property
    def environment(self) -> dict[str, str]:
        """The variables that tell LiteLLM where the database, its client and the engine are."""
        return {
            **self._engine,
            "PATH": os.pathsep.join((str(_PROGRAMS), os.environ["PATH"])),
            "PYTHONPATH": os.pathsep.join((str(START), str(self._client))),
            "DATABASE_URL": self.url,
            # The tables exist already, and the program that would update them is one of the missing binaries.
            "DISABLE_SCHEMA_UPDATE": "true",
            "LITELLM_SALT_KEY": "sk-salt",
        }

    def __enter__(self) -> Database:
        with ExitStack() as stack:
            self._cluster = Path(tempfile.mkdtemp(prefix="database-"))
            stack.callback(shutil.rmtree, self._cluster)
            self._owner = _ordinary_user()
            if self._owner:
                shutil.chown(self._cluster, self._owner)
            self._call("initdb", "--auth=trust", f"--username={_USER}", "--no-sync", "--encoding=UTF8", "--locale=C")
            options = " ".join(f"-c {setting}" for setting in (*_SETTINGS, f"unix_socket_directories={self._cluster}"))
            log = str(self._cluster / "log")
            self._call("pg_ctl", "start", "--wait", "--silent", "--log", log, "-o", f"-p {self._port} {options}")
            stack.callback(self._call, "pg_ctl", "stop", "--mode=immediate", "--silent")
            self._client = self._made_client()
            self._make_tables()
            self._running = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()

    def execute(self, sql: str, **variables: str) -> None:
        """Run SQL that returns nothing; ``:'name'`` in it is the value of that variable."""
        self._psql(*(f"--set={name}={value}" for name, value in variables.items()), script=sql)

    @property
    def _engine(self) -> dict[str, str]:
        kinds = ("QUERY_ENGINE_BINARY", "QUERY_ENGINE_LIBRARY", "SCHEMA_ENGINE_BINARY")
        return {
            "PRISMA_MODULES": str(self._modules),
            **{f"PRISMA_{kind}": str(_ENGINE) for kind in kinds},
        }

    def _call(self, program: str, *arguments: str) -> None:
        self._run(
            [str(self._programs / program), *arguments],
            cwd=self._cluster,
            env={"PGDATA": str(self._cluster / "data"), "PATH": os.defpath, "LC_ALL": "C"},
            user=self._owner,
        )

    def _psql(self, *arguments: str, script: str = "") -> None:
        command = [str(self._programs / "psql"), self.url, "--quiet", "--no-psqlrc", "--set=ON_ERROR_STOP=1"]
        environment = {"PATH": os.defpath, "PGOPTIONS": "--client-min-messages=error"}
        self._run([*command, *arguments], env=environment, script=script)

    def _make_tables(self) -> None:
        migrations = sorted(self._packages().glob("litellm_proxy_extras/migrations/*/migration.sql"))
        self._psql(*(f"--file={path}" for path in migrations))

    def _made_client(self) -> Path:
        """Return the folder of the client for this LiteLLM's tables, which is kept: it has 15 MB of Python.

        It is generated into a copy of its package, so that the installed one stays as it is.
        """
        packages = self._packages()
        # Until about 1.80 it was beside the proxy.
        extras, proxy = packages / "litellm_proxy_extras/schema.prisma", packages / "litellm/proxy/schema.prisma"
        lines = (extras if extras.exists() else proxy).read_text().splitlines(keepends=True)
        text = "".join(line for line in lines if "binaryTargets" not in line)
        client = _CLIENTS / hashlib.sha256(text.encode()).hexdigest()[:16]
        if not (client / ".made").exists():
            shutil.rmtree(client, ignore_errors=True)
            shutil.copytree(packages / "prisma", client / "prisma")
            schema = client / "schema.prisma"
            schema.write_text(text)
            self._run(
                ["node", str(self._modules / "prisma/build/index.js"), "generate", "--schema", str(schema)],
                cwd=client,
                env={
                    **self._engine, "PYTHONPATH": str(client), "DATABASE_URL": self.url,
                    "PATH": os.pathsep.join((str(self._python.parent), os.environ["PATH"])),
                    "HOME": str(client), "PRISMA_HIDE_UPDATE_MESSAGE": "1",
                },
            )  # fmt: skip
            (client / ".made").touch()
        return client

    def _packages(self) -> Path:
        (path,) = self._python.parent.parent.glob("lib/python*/site-packages")
        return path

    @staticmethod
    def _run(
        command: Sequence[str],
        *,
        env: dict[str, str],
        cwd: Path | None = None,
        user: str | None = None,
        script: str = "",
    ) -> None:
        finished = subprocess.run(
            command, env=env, cwd=cwd, user=user, input=script, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, check=False,
        )  # fmt: skip
        if finished.returncode:
            raise RuntimeError(f"{command[0]} failed:\n{finished.stdout[-3000:]}")


def _ordinary_user() -> str | None:
    """Return the user to run PostgreSQL as if we are root, which it refuses; None for our own user."""
    if os.getuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"
