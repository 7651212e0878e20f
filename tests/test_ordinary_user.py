"""What only a user without root's powers meets: permissions, owners, shared folders, limits.

They do not stop root, so in a container these tests run as user 1000 of a user namespace.
"""

from __future__ import annotations

import json
import os
import pty
import pwd
import random
import signal
import stat
import subprocess
import sys
import time
import tracemalloc
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from world import tools
from world.home import stand_in
from world.launches import SHOW, cache
from world.opencode import run
from world.ordinary_user import IS_ROOT, as_user, is_possible
from world.stub import MODELS

from opencode_litellm import log
from opencode_litellm.opencode import layers
from opencode_litellm.variables import cache_folder, own_folder, state_folder

if TYPE_CHECKING:
    from collections.abc import Callable

    from world.stub import StubProxy

OTHER = 12345  # another user, and a group without members


pytestmark = [
    pytest.mark.skipif(os.name == "nt", reason="users and modes are POSIX"),
    pytest.mark.skipif(not is_possible(), reason="root cannot become somebody else here"),
]
with_others = pytest.mark.skipif(not IS_ROOT, reason="only root can give a file to somebody else")


@pytest.fixture
def user(home: dict[str, str], stub_proxy: Callable[..., StubProxy]) -> dict[str, str]:
    return home | {"OPENCODE_LITELLM_URL": stub_proxy(["alpha", "beta"]).url}


def launched(environment: dict[str, str], *, before: str = ":") -> tuple[list[str], str]:
    """Return the models of a launch after some words of a shell's, and what was said on standard error."""
    done = as_user(environment, "sh", "-c", f"{before}\nexec opencode-litellm exec -- sh -c '{SHOW}'")
    assert done.status == 7, done
    return list(json.loads(done.stdout)["provider"]["litellm"]["models"]), done.stderr


# Linux tells the path of every folder but a very long one, for which each folder on the way is read.
IN_A_CLOSED_FOLDER = """
import os, sys
for _ in range(18):
    os.mkdir("x" * 250)
    os.chdir("x" * 250)
os.chmod("..", 0o311)
os.execvp("opencode-litellm", ["opencode-litellm", "exec", "--", *sys.argv[1:]])
"""


def test_a_folder_whose_path_cannot_be_read_is_no_obstacle(user: dict[str, str]) -> None:
    try:
        done = as_user(user, sys.executable, "-c", IN_A_CLOSED_FOLDER, "sh", "-c", SHOW)
    finally:
        as_user(user, "chmod", "-R", "u+rwx", "x" * 250)
    assert (done.status, done.stderr.replace("sh: 0: getcwd() failed: Permission denied\n", "")) == (7, "")
    assert list(json.loads(done.stdout)["provider"]["litellm"]["models"]) == ["alpha", "beta"]


def test_without_permission_for_the_configuration_all_else_works(user: dict[str, str]) -> None:
    stand_in(user)  # the real one does not start without its configuration's folder
    config = Path(user["XDG_CONFIG_HOME"])
    config.chmod(0)
    try:
        done = as_user(user, "opencode-litellm", "doctor", "--json")
        checks = {check["check"]: check["status"] for check in json.loads(done.stdout)["checks"]}
        snippet = as_user(user, "opencode-litellm", "init", "bash")
        models = launched(user)
    finally:
        config.chmod(0o700)
    assert (done.status, done.stderr) == (0, "")
    assert (checks["templates"], checks["configuration"], checks["proxy litellm"]) == ("ok", "ok", "ok")
    assert (snippet.status, snippet.stderr) == (0, "")
    assert "opencode-with-litellm" in snippet.stdout
    assert models == (["alpha", "beta"], "")


@with_others
@pytest.mark.parametrize(
    ("owner", "group", "whose"),
    [(0, OTHER, "a group that you are not in, 65534"), (OTHER, 0, "another user")],
    ids=["group", "owner"],
)
def test_a_startup_file_that_cannot_keep_its_owner_is_left_alone(
    user: dict[str, str], owner: int, group: int, whose: str
) -> None:
    file = Path(user["HOME"], ".zshrc")
    file.write_text("one\n")
    file.chmod(0o666)
    os.chown(file, owner, group)
    done = as_user(user, "opencode-litellm", "install", "zsh")
    assert (done.status, done.stdout, done.stderr) == (
        2,
        "",
        f"opencode-litellm: {file} cannot be changed (it belongs to {whose}): take ownership of it with chown and"
        " chgrp, or edit it by hand\n",
    )
    assert (file.read_text(), file.stat().st_uid, file.stat().st_gid) == ("one\n", owner, group)
    assert [path.name for path in file.parent.glob(".*.tmp")] == []


@with_others
def test_a_cache_that_somebody_else_planted_is_not_used(user: dict[str, str]) -> None:
    shared, victim = Path(user["HOME"], "shared"), Path(user["HOME"], "victim")
    shared.mkdir()
    shared.chmod(0o1777)
    victim.mkdir(mode=0o700)
    theirs = shared / "opencode-litellm"
    environment = user | {"XDG_CACHE_HOME": str(shared)}
    theirs.mkdir()
    theirs.chmod(0o777)
    os.chown(theirs, OTHER, OTHER)
    assert launched(environment) == (["alpha", "beta"], "")
    assert list(theirs.iterdir()) == []
    theirs.rmdir()
    theirs.symlink_to(victim)
    os.chown(theirs, OTHER, OTHER, follow_symlinks=False)
    assert launched(environment) == (["alpha", "beta"], "")


@with_others
def test_a_link_in_a_shared_temporary_folder_is_not_written_through(
    user: dict[str, str], stub_proxy: Callable[..., StubProxy]
) -> None:
    models = [f"model-{index:04}" for index in range(2000)]
    shared, victim = Path(user["HOME"], "shared"), Path(user["HOME"], "victim")
    shared.mkdir()
    shared.chmod(0o1777)
    os.chown(shared, OTHER, OTHER)
    victim.write_text("mine\n")
    cache(user).write_text("a file where the cache would be")
    environment = user | {
        "TMPDIR": str(shared), "OPENCODE_LITELLM_URL": stub_proxy(models).url, "OPENCODE_LITELLM_QUIET": "1",
    }  # fmt: skip
    assert launched(environment) == (models, "")
    (made,) = shared.iterdir()
    assert stat.S_IMODE(made.stat().st_mode) == 0o600
    made.unlink()
    made.symlink_to(victim)
    os.chown(made, OTHER, OTHER, follow_symlinks=False)
    assert launched(environment) == (models, "")
    assert victim.read_text() == "mine\n"
    assert made.is_symlink()


@pytest.mark.parametrize("umask", ["000", "077", "777"])
def test_an_odd_umask_opens_nothing_and_stops_nothing(user: dict[str, str], umask: str) -> None:
    for _ in range(2):
        assert launched(user, before=f"umask {umask}") == (["alpha", "beta"], "")
    if cache(user).exists():
        made = [cache(user), *(cache(user).iterdir() if umask != "777" else ())]
        assert [path.name for path in made if path.stat().st_mode & 0o077] == []


@pytest.mark.parametrize(
    "hindrance",
    [
        "exec <&-", "exec 2>&-", "exec <&- 2>&-",
        'cd "$(mktemp -d)" && rmdir "$PWD"',
        "export LC_ALL=C", "unset LANG HOME",
        "ulimit -s 256",
    ],
)  # fmt: skip
def test_nothing_that_a_caller_lacks_keeps_the_models_away(user: dict[str, str], hindrance: str) -> None:
    models, said = launched(user, before=hindrance)
    assert models == ["alpha", "beta"]
    assert "opencode-litellm" not in said  # the shell may complain of a folder that is gone


def test_the_doctor_sees_that_the_disk_is_full(user: dict[str, str]) -> None:
    program = Path(user["HOME"], "bin", "opencode")
    program.unlink(missing_ok=True)
    script = 'mount -t tmpfs -o size=64k none "$XDG_CACHE_HOME" || exit 99; exec opencode-litellm doctor --json'
    done = run([str(tools.program("unshare")), "--mount", "--map-root-user", "sh", "-c", script], user)
    if done.status == 99:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
    (cached,) = [check for check in json.loads(done.stdout)["checks"] if check["check"] == "cache"]
    assert (cached["status"], cached["finding"]) == (
        "warning",
        f"there is no disk space left for {cache(user)}, so every launch asks for everything",
    )


VANISHING = f"""
mkdir -p "$XDG_CACHE_HOME" "$XDG_STATE_HOME"
for after in $MOMENTS; do
    for folder in "$XDG_CACHE_HOME" "$XDG_STATE_HOME"; do mount -t tmpfs none "$folder" || exit 99; done
    opencode-litellm exec -- sh -c '{SHOW}' & sleep "$after"
    for folder in "$XDG_CACHE_HOME" "$XDG_STATE_HOME"; do
        mount -o remount,ro "$folder"; umount -l "$folder"; rmdir "$folder"
    done
    wait $!; echo " ends with $?"
    mkdir "$XDG_CACHE_HOME" "$XDG_STATE_HOME"
done
"""


@pytest.mark.long
def test_a_disk_that_vanishes_at_a_random_moment_costs_time_and_nothing_else(user: dict[str, str]) -> None:
    chance = random.Random(15)  # noqa: S311 - nothing here is secret
    moments = [0.0, *(chance.random() * 0.4 for _ in range(7))]
    environment = user | {"MOMENTS": " ".join(f"{after:.2f}" for after in moments)}
    done = run([str(tools.program("unshare")), "--mount", "--map-root-user", "sh", "-c", VANISHING], environment)
    if done.status == 99:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
    launches = done.stdout.split(" ends with 7\n")
    assert launches.pop() == ""
    assert len(launches) == len(moments)
    assert {tuple(json.loads(shown)["provider"]["litellm"]["models"]) for shown in launches} == {("alpha", "beta")}
    assert "opencode-litellm" not in done.stderr


@pytest.mark.long
def test_signals_at_random_moments_leave_nothing_that_harms_the_next_launch(user: dict[str, str]) -> None:
    chance = random.Random(15)  # noqa: S311 - nothing here is secret
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGSTOP) * 3:
        with subprocess.Popen(
            ["/usr/bin/env", "opencode-litellm", "exec", "--", "true"],
            env=user, cwd=user["HOME"], stderr=subprocess.PIPE, start_new_session=True,
        ) as process:  # fmt: skip
            time.sleep(chance.random() * 0.4)
            process.send_signal(number)
            if number == signal.SIGSTOP:
                time.sleep(0.1)
                process.send_signal(signal.SIGCONT)
            said = process.communicate(timeout=30)[1]
        # Before Python runs any of our code it answers Ctrl-C by itself.
        assert process.returncode in (0, -number, 128 + number) or (number == signal.SIGINT and b"Keyboard" in said)
    assert launched(user) == (["alpha", "beta"], "")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_while_a_command_asks_gives_the_cursor_back(
    user: dict[str, str], stub_proxy: Callable[..., StubProxy], number: int
) -> None:
    proxy = stub_proxy()
    proxy.answer(MODELS, mute=True)
    controller, terminal = pty.openpty()
    with subprocess.Popen(
        ["/usr/bin/env", "opencode-litellm", "refresh", "--url", proxy.url, "--timeout", "60"],
        env=user, stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True,
    ) as process:  # fmt: skip
        os.close(terminal)
        shown = b""
        while b"\x1b[?25l" not in shown:
            shown += os.read(controller, 1024)
        process.send_signal(number)
        with suppress(OSError):  # what Linux says when the other side is closed
            while piece := os.read(controller, 1024):
                shown += piece
    os.close(controller)
    assert process.returncode == 128 + number
    assert shown.rfind(b"\x1b[?25h") > shown.rfind(b"\x1b[?25l")
    assert b"Traceback" not in shown


# Paths that mean another place in each folder, and files that are not what they seem.


@pytest.mark.parametrize("variable", ["XDG_CACHE_HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME"])
def test_a_relative_folder_of_ours_is_that_of_the_home(variable: str) -> None:
    environment = {"HOME": "/home/ann", variable: "cache"}
    folders = (cache_folder, state_folder, own_folder)
    assert [each(environment) for each in folders] == [each({"HOME": "/home/ann"}) for each in folders]


def test_with_a_relative_home_our_folders_are_those_of_the_account() -> None:
    account = pwd.getpwuid(os.getuid()).pw_dir
    assert cache_folder({"HOME": "here"}) == os.path.join(account, ".cache", "opencode-litellm")
    assert cache_folder({"HOME": "here", "XDG_CACHE_HOME": "/c"}) == "/c/opencode-litellm"


def test_a_pipe_in_place_of_the_log_is_neither_waited_for_nor_written_to(tmp_path: Path) -> None:
    folder = tmp_path / "opencode-litellm"
    folder.mkdir()
    os.mkfifo(folder / "log")
    environment = {"XDG_STATE_HOME": str(tmp_path)}
    log.write(environment, "nobody reads")
    reader = os.open(folder / "log", os.O_RDONLY | os.O_NONBLOCK)
    try:
        log.write(environment, "somebody reads")
        assert os.read(reader, 100) == b""
        assert log.last(environment, 5) == []
    finally:
        os.close(reader)


def test_a_huge_git_file_is_not_read_whole(tmp_path: Path) -> None:
    with (tmp_path / ".git").open("wb") as file:
        file.write(b"gitdir: /nowhere")
        file.truncate(3 * 2**30)
    tracemalloc.start()
    try:
        found = layers.files({"HOME": str(tmp_path), "PATH": os.defpath}, str(tmp_path))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (layers.PROJECT, str(tmp_path / "opencode.json")) in found
    assert peak < 16 * 2**20
