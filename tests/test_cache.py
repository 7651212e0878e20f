"""The files between launches: private, keyed by everything that matters, and used only if we wrote them."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from world import tools
from world.home import configure, provided, replaced, write
from world.launches import SHOW, Launch, cache, launch, settle, with_clock
from world.opencode import run
from world.stub import MODEL_INFO, MODELS, StubProxy

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.serves("alpha", "beta")

KEY = "sk-right-and-secret"
DAY = 24 * 3600


@pytest.fixture
def user(user: dict[str, str]) -> dict[str, str]:
    return {**user, "LITELLM_API_KEY": KEY}


def is_warm(user: dict[str, str], proxy: StubProxy, folder: Path | None = None, **environment: str) -> bool:
    """Launch, and return whether the launch was warm: there was a payload for these circumstances."""
    before = len(proxy.requests)
    shown = launch(user, folder, PYTHONPROFILEIMPORTTIME="1", **environment)
    assert shown.models == ["alpha", "beta"]
    assert MODELS in proxy.paths()[before:]
    return "opencode_litellm.launch.cold" not in shown.stderr


def files(home: dict[str, str]) -> list[Path]:
    return sorted(cache(home).iterdir())


# Privacy.


def test_the_folder_is_0700_and_every_file_0600_whatever_the_umask(user: dict[str, str]) -> None:
    run(["sh", "-c", f"umask 0; exec opencode-litellm exec -- sh -c '{SHOW}'"], user)
    settle(user)
    assert stat.S_IMODE(cache(user).stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in files(user)} == {0o600}


def test_no_key_and_no_secret_header_is_written_anywhere(user: dict[str, str]) -> None:
    url = user.pop("OPENCODE_LITELLM_URL")
    configure(user, baseURL=url, headers={"X-Auth-Token": "hush-hush"}, apiKey="sk-literal")
    launch(user)
    launch(user)
    launch(user, LITELLM_API_KEY="sk-another")
    written = [file for file in Path(user["HOME"]).rglob("*") if file.is_file() and ".config" not in file.parts]
    assert written
    for file in written:
        for secret in (KEY, "hush-hush", "sk-literal", "sk-another"):
            assert secret.encode() not in file.read_bytes(), file


# The key: what a payload depends on.


@pytest.mark.drawn(2)
@pytest.mark.parametrize(
    "place", ["opencode.json", "opencode.jsonc", ".opencode/opencode.json", "~/.config/opencode/opencode.jsonc",
              "~/.config/opencode/config.json", "~/.opencode/opencode.json"],
)  # fmt: skip
def test_a_configuration_file_that_appears_changes_or_goes_is_noticed(
    user: dict[str, str], proxy: StubProxy, place: str
) -> None:
    folder = Path(user["HOME"], "project")
    folder.mkdir()
    file = Path(user["HOME"], place[2:]) if place.startswith("~/") else folder / place
    launch(user, folder)
    assert is_warm(user, proxy, folder)
    write(file, provided())
    assert not is_warm(user, proxy, folder)
    assert is_warm(user, proxy, folder)
    write(file, provided(timeout=5))
    assert not is_warm(user, proxy, folder)
    write(file, provided(timeout=6))  # as many bytes
    assert not is_warm(user, proxy, folder)
    file.unlink()
    assert is_warm(user, proxy, folder)  # as it was in the beginning


def test_the_models_of_a_project_s_own_configuration_stay_out_at_once(user: dict[str, str]) -> None:
    folder = Path(user["HOME"], "project")
    folder.mkdir()
    assert launch(user, folder).models == ["alpha", "beta"]
    (folder / "opencode.json").write_text('{"provider": {"litellm": {"models": {"beta": {"name": "Mine"}}}}}')
    assert launch(user, folder).models == ["alpha"]


@pytest.mark.parametrize(
    "change",
    [
        {"OPENCODE_CONFIG_DIR": "/nowhere"}, {"OPENCODE_CONFIG": "/nowhere.json"},
        {"OPENCODE_CONFIG_CONTENT": '{"theme": "x"}'}, {"OPENCODE_LITELLM_DELIVERY": "inline"},
        {"LITELLM_MASTER_KEY": "sk-more"}, {"OPENCODE_DISABLE_PROJECT_CONFIG": "1"}, {"LITELLM_PROXY_URL": "http://x"},
    ],
    ids=lambda change: next(iter(change)),
)  # fmt: skip
def test_settings_have_payloads_of_their_own(user: dict[str, str], proxy: StubProxy, change: dict[str, str]) -> None:
    launch(user)
    assert not is_warm(user, proxy, **change)
    assert is_warm(user, proxy, **change)
    assert is_warm(user, proxy)


def test_a_key_that_opencode_stores_is_noticed(user: dict[str, str], proxy: StubProxy) -> None:
    del user["LITELLM_API_KEY"]
    launch(user)
    auth = Path(user["XDG_DATA_HOME"], "opencode/auth.json")
    auth.parent.mkdir()
    auth.write_text('{"litellm": {"type": "api", "key": "sk-stored"}}')
    assert not is_warm(user, proxy)
    assert proxy.requests[-1].key == "sk-stored"
    assert is_warm(user, proxy)
    assert proxy.requests[-1].key == "sk-stored"


def test_a_change_behind_a_reference_is_noticed(user: dict[str, str], proxy: StubProxy) -> None:
    secret = Path(user["HOME"], "secret")
    secret.write_text("sk-one")
    url = user.pop("OPENCODE_LITELLM_URL")
    configure(user, baseURL=url, apiKey="{file:~/secret}", headers={"x-team": "{env:TEAM}"})
    user["TEAM"] = "red"
    launch(user)
    assert is_warm(user, proxy)
    assert (proxy.requests[-1].key, proxy.requests[-1].headers["x-team"]) == ("sk-one", "red")
    assert not is_warm(user, proxy, TEAM="blue")
    assert proxy.requests[-1].headers["x-team"] == "blue"
    secret.write_text("sk-two")
    assert not is_warm(user, proxy, TEAM="blue")
    assert is_warm(user, proxy, TEAM="blue")
    assert proxy.requests[-1].key == "sk-two"


def test_another_key_in_the_same_variable_is_sent_at_once(user: dict[str, str], proxy: StubProxy) -> None:
    launch(user)
    assert is_warm(user, proxy, LITELLM_API_KEY="sk-rotated")
    assert proxy.requests[-1].key == "sk-rotated"


# Trust: files that are not as we wrote them are ignored.


def overwrite(content: bytes) -> Callable[[Path], None]:
    return lambda file: file.write_bytes(content)


def rewrite(old: bytes, new: bytes) -> Callable[[Path], None]:
    return lambda file: file.write_bytes(file.read_bytes().replace(old, new))


def cut(share: float) -> Callable[[Path], None]:
    def cut(file: Path) -> None:
        content = file.read_bytes()
        file.write_bytes(content[: int(len(content) * share)])

    return cut


def in_place(make: Callable[[Path], object]) -> Callable[[Path], None]:
    def put(file: Path) -> None:
        file.unlink()
        make(file)

    return put


def link(file: Path) -> None:
    elsewhere = file.with_name("elsewhere")
    shutil.move(file, elsewhere)
    file.symlink_to(elsewhere)


KINDS = ("launch", "payload", "answers")
DAMAGE: dict[str, Callable[[Path], object]] = {
    "empty": overwrite(b""),
    "garbage": overwrite(b"\x00\xff garbage \n\n\n"),
    "JSON of another shape": overwrite(b'{"version": 1, "data": [null]}'),
    "nested deeply": overwrite(b"[" * 100_000),
    "cut in half": cut(0.5),
    "cut a little": cut(0.98),
    "of a future version": rewrite(b"0.", b"9."),
    "gone": lambda file: file.unlink(),
    "a folder": in_place(lambda file: file.mkdir()),
    "a pipe": in_place(os.mkfifo),
    "a link": link,
    "writable for others": lambda file: file.chmod(0o666),
    "unreadable": lambda file: file.chmod(0o000),
    "somebody else's": lambda file: os.chown(file, 12345, 12345) if os.getuid() == 0 else file.unlink(),
}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("kind", [*(pytest.param(f"{kind}-*", marks=pytest.mark.long) for kind in KINDS), "*"])
def test_files_that_are_not_as_we_wrote_them_cost_time_and_nothing_else(
    user: dict[str, str], kind: str, damage: str
) -> None:
    expected = launch(user).payload
    for file in [file for file in files(user) if file.match(kind)]:
        DAMAGE[damage](file)
    shown = launch(user)
    assert (shown.payload, shown.stderr) == (expected, "")


def test_a_payload_that_was_tampered_with_is_rewritten(user: dict[str, str]) -> None:
    expected = launch(user)
    (payload,) = cache(user).glob("payload-*")
    content = payload.read_bytes()
    payload.write_bytes(content.replace(b"alpha", b"omega"))
    assert launch(user).payload == expected.payload
    assert payload.read_bytes() == content


def test_a_folder_that_others_may_write_to_is_not_trusted(user: dict[str, str], proxy: StubProxy) -> None:
    launch(user)
    cache(user).chmod(0o777)
    assert not is_warm(user, proxy)
    assert not is_warm(user, proxy)
    cache(user).chmod(0o700)
    assert is_warm(user, proxy)


# Nowhere to write: everything works, only slower.


def as_file(user: dict[str, str]) -> None:
    cache(user).write_text("a file")


def as_loop(user: dict[str, str]) -> None:
    cache(user).symlink_to(cache(user))


def as_others(user: dict[str, str]) -> None:
    cache(user).mkdir(mode=0o777)
    cache(user).chmod(0o777)


@pytest.mark.parametrize("hindrance", [as_file, as_loop, as_others])
@pytest.mark.parametrize("number", [2, 2000], ids=["few", "more than fit inline"])
def test_without_a_cache_folder_every_launch_delivers_silently(
    user: dict[str, str], proxy: StubProxy, hindrance: Callable[[dict[str, str]], None], number: int
) -> None:
    models = [f"model-{index:04}" for index in range(number)]
    proxy.serve(models)
    hindrance(user)
    for _ in range(2):
        assert launch(user, OPENCODE_LITELLM_QUIET="1").models == models
    # Only one file is left in the system's folder for temporary files, not one for each launch.
    left = list(Path(user["TMPDIR"]).iterdir())
    assert [stat.S_IMODE(file.stat().st_mode) for file in left] == [0o600] * (number > 1000)


def test_a_file_size_limit_or_a_full_disk_costs_time_and_nothing_else(user: dict[str, str]) -> None:
    for _ in range(2):
        shown = run(["sh", "-c", f"(ulimit -f 0; exec opencode-litellm exec -- sh -c '{SHOW}') 2>&1 | cat"], user)
        assert list(json.loads(shown.stdout)["provider"]["litellm"]["models"]) == ["alpha", "beta"]
    assert [file.name for file in files(user) if not file.name.startswith("turn-")] == []


def test_without_room_for_any_file_too_many_models_are_told_and_the_program_starts(
    user: dict[str, str], proxy: StubProxy
) -> None:
    proxy.serve(f"model-{index:04}" for index in range(2000))
    shown = run(["sh", "-c", "(ulimit -f 0; exec opencode-litellm exec -- sh -c 'echo started') 2>&1 | cat"], user)
    told, started = shown.stdout.splitlines()
    assert started == "started"
    assert "cannot hold 2000 models" in told
    remedy = "set XDG_CACHE_HOME to a folder that you can write to"
    assert told.endswith(f"no file can be written: {remedy}. opencode starts without LiteLLM's models")


def mounted(user: dict[str, str], options: str) -> Launch:
    """Launch with a separate file system as the cache's folder, in a separate mount namespace."""
    command = f"mount -t tmpfs -o {options} none {cache(user).parent} && exec opencode-litellm exec -- sh -c '{SHOW}'"
    shown = subprocess.run(
        [tools.program("unshare"), "--mount", "--map-root-user", "sh", "-c", command],
        env=user, cwd=user["HOME"], capture_output=True, text=True, check=False,
    )  # fmt: skip
    if shown.returncode != 7:
        pytest.skip(f"no file system can be mounted here: {shown.stderr.strip()}")
    return Launch(json.loads(shown.stdout) if shown.stdout else None, shown.stderr, 0)


@pytest.mark.skipif(sys.platform != "linux", reason="mounts are made with unshare(1)")
@pytest.mark.parametrize("options", ["ro", "size=4k,nr_inodes=4", "size=8k", "nr_inodes=3"])
def test_a_read_only_or_full_file_system_costs_time_and_nothing_else(user: dict[str, str], options: str) -> None:
    shown = mounted(user, options)
    assert (shown.models, shown.stderr) == (["alpha", "beta"], "")


# Housekeeping.


def launch_unread(user: dict[str, str]) -> None:
    """Launch a program that does not read the payload, which some systems note as a use."""
    done = run(["opencode-litellm", "exec", "--", "true"], user)
    assert (done.status, done.stdout, done.stderr) == (0, "", "")


def test_unused_files_are_swept_after_thirty_days(user: dict[str, str]) -> None:
    launch(user)
    (payload,) = cache(user).glob("payload-*")
    names = [f"{kind}-{'0' * 32}{end}" for kind, end in (("payload", ".json"), ("launch", ""), ("answers", ".json"))]
    old = {name: cache(user) / name for name in (*names, f"{names[0]}.1-2.tmp")}
    others = [cache(user) / name for name in ("notes.txt", "payload-old.json", "x.tmp")]
    for file in (*old.values(), *others):
        file.write_text("{}")
        ago = time.time() - (2 * 3600 if file.suffix == ".tmp" else 31 * DAY)
        os.utime(file, (ago, ago))
    recent = cache(user) / f"payload-{'1' * 32}.json"
    recent.write_text("{}")
    os.utime(recent, (time.time() - 29 * DAY, time.time() - 60 * DAY))
    # Written long ago, but delivered today: cold, because a record holds when its payload was written.
    ago = time.time() - 40 * DAY
    os.utime(payload, (ago, ago))
    launch_unread(user)
    assert payload.stat().st_mtime == pytest.approx(ago)
    launch_unread(with_clock(user, 3600))
    settle(user)
    assert [name for name, file in old.items() if file.exists()] == []
    assert [file for file in (recent, payload, *others) if not file.exists()] == []


@pytest.mark.parametrize(
    ("settings", "kinds"),
    [({}, ["launch", "payload"]), ({"OPENCODE_LITELLM_ONLY": "1"}, ["head", "launch", "payload"])],
    ids=["file", "file and head"],
)
def test_a_warm_launch_marks_the_files_that_it_hands_over_as_used_once_an_hour(
    user: dict[str, str], proxy: StubProxy, settings: dict[str, str], kinds: list[str]
) -> None:
    user = user | settings
    launch_unread(user)
    settle(user)
    (record,) = cache(user).glob("launch-*")
    delivered = [file for kind in ("head", "payload") for file in cache(user).glob(f"{kind}-*")]

    def marked(confirmed: float) -> list[str]:
        """Return the kinds of the files that a launch marks, ``confirmed`` seconds after the record was."""
        # In the future, so that no system notes a use only because we read a file. When it was written stays, to the
        # nanosecond, because the record holds that.
        for file in delivered:
            os.utime(file, ns=(time.time_ns() + 10**12, file.stat().st_mtime_ns))
        os.utime(record, (time.time() - confirmed, time.time() - confirmed))
        before = len(proxy.requests)
        launch_unread(user)
        assert proxy.paths()[before:] == [MODELS]  # it was warm
        times = {file.name: file.stat().st_atime for file in delivered} | {record.name: record.stat().st_mtime}
        return sorted(name.partition("-")[0] for name, seconds in times.items() if abs(time.time() - seconds) < 30)

    assert [marked(3000), marked(3700), marked(20 * DAY), marked(-1000)] == [[], kinds, kinds, kinds]


def test_a_payload_that_was_handed_out_stays_as_it_was_when_another_one_comes(
    user: dict[str, str], proxy: StubProxy
) -> None:
    launch(user)
    (payload,) = cache(user).glob("payload-*")
    content = payload.read_bytes()
    proxy.serve(["gamma"])
    assert launch(user).models == ["gamma"]
    assert payload.read_bytes() == content


def test_a_file_is_replaced_by_another_one_and_never_written_in_place(
    user: dict[str, str], proxy: StubProxy
) -> None:
    launch(user)
    (record,), (answers,) = cache(user).glob("launch-*"), cache(user).glob("answers-*")
    with replaced(record), replaced(answers):
        proxy.serve(["alpha", "gamma"])
        assert launch(user).models == ["alpha", "gamma"]
        settle(user)


def test_cached_answers_give_the_same_payload(user: dict[str, str], proxy: StubProxy) -> None:
    info = {"mode": "chat", "supports_reasoning": True, "supports_vision": False, "max_input_tokens": 1}
    rows = [
        {"model_name": "alpha", "model_info": {**info, "reasoning_effort_levels": []}},
        {"model_name": "beta", "model_info": {**info, "supports_low_reasoning_effort": False}},
    ]
    proxy.answer(MODEL_INFO, {"data": rows})
    printed = json.loads(run(["opencode-litellm", "config"], user).stdout)
    asked = proxy.paths().count(MODEL_INFO)
    shown = launch(user).payload
    assert shown is not None
    assert shown["provider"]["litellm"]["models"] == printed["provider"]["litellm"]["models"]
    assert proxy.paths().count(MODEL_INFO) == asked, "the details come from the cache"
    assert printed["provider"]["litellm"]["models"]["alpha"]["variants"]["low"] == {"disabled": True}
