"""What is printed: results on standard output, everything else as single plain lines on standard error."""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from world.opencode import Finished, run
from world.server import free_port
from world.stub import MODELS

from opencode_litellm import terminal, variables

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from world.stub import StubProxy

WITH_KEY = {"LITELLM_API_KEY": "sk-secret"}
QUIET_LAUNCH = ["exec", "--", "sh", "-c", "exit 7"]


def shell(line: str, environment: Mapping[str, str]) -> Finished:
    return run(["bash", "-c", line], environment)


def on_a_terminal(command: list[str], environment: Mapping[str, str]) -> tuple[int, str, str]:
    """Run with standard error on a terminal; return the status, standard output and what the terminal got."""
    ours, theirs = pty.openpty()
    whole = ["/usr/bin/env", *command]
    with subprocess.Popen(
        whole, env=environment, cwd=environment["HOME"], stdin=theirs, stdout=subprocess.PIPE, stderr=theirs
    ) as process:
        os.close(theirs)
        shown = b""
        while select.select([ours], [], [], 30)[0]:
            try:
                piece = os.read(ours, 4096)
            except OSError:  # how Linux says that the other side is closed
                break
            if not piece:
                break
            shown += piece
        os.close(ours)
        printed = process.communicate(timeout=30)[0]
    return process.returncode, printed.decode(), shown.decode()


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("plain", "plain"),
        ("  two\n lines\tand more\r\n", "two lines and more"),
        ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
        ("bell\x07 nul\x00 delete\x7f c1\x9b", "bell\\x07 nul\\x00 delete\\x7f c1\\x9b"),
        ("right\u202eto left, zero\u200bwidth", "right\\u202eto left, zero\\u200bwidth"),
        ("half \ud800 a pair", "half \\ud800 a pair"),
        ("été 模型 🙂", "été 模型 🙂"),
        ("x" * 5000, "x" * 1000 + "..."),
        ("\n" * 100_000, ""),
    ],
)
def test_nothing_that_is_said_can_steer_a_terminal(text: str, line: str) -> None:
    assert terminal.plain(text) == line


@pytest.mark.parametrize(("value", "on"), [("1", True), ("yes", True), ("", False), ("0", False), ("No", False)])
def test_a_switch_is_on_unless_it_says_no(value: str, on: bool) -> None:
    assert variables.switched_on({"OPENCODE_LITELLM_QUIET": value}, variables.QUIET) is on
    assert not variables.switched_on({}, variables.QUIET)


@pytest.mark.long
@pytest.mark.parametrize("sink", ["2>&-", "2>/dev/full", "2> >(exit)"])
def test_the_status_survives_when_standard_error_takes_nothing(sink: str, home: dict[str, str]) -> None:
    environment = home | {"OPENCODE_LITELLM_URL": f"http://127.0.0.1:{free_port()}"}
    assert shell(f"opencode-litellm config {sink}", environment) == Finished(3, "", "")
    assert shell(f"opencode-litellm {' '.join(QUIET_LAUNCH[:2])} true {sink}", environment).status == 0
    assert shell(f"opencode-litellm nonsense {sink}", environment) == Finished(2, "", "")


# The second `init` is replayed.
REPLAYED = "init bash > first && opencode-litellm init bash"


@pytest.mark.parametrize("command", ["config", "models", "init bash", REPLAYED])
def test_a_standard_output_that_takes_nothing_is_an_error_with_a_reason(
    command: str, stub_proxy: Callable[..., StubProxy], home: dict[str, str]
) -> None:
    environment = home | {"OPENCODE_LITELLM_URL": stub_proxy(["gpt-4o"]).url}
    closed = shell(f"opencode-litellm {command} >&-", environment)
    said = "opencode-litellm: standard output is closed: redirect it to a file or a pipe\n"
    assert closed == Finished(2, "", said)
    full = shell(f"opencode-litellm {command} >/dev/full", environment)
    said = "opencode-litellm: standard output cannot be written: No space left on device\n"
    assert full == Finished(2, "", said)


@pytest.mark.parametrize("command", ["config", "init bash", REPLAYED])
def test_a_reader_that_went_away_ends_it_as_sigpipe_would(
    command: str, stub_proxy: Callable[..., StubProxy], home: dict[str, str]
) -> None:
    environment = home | {"OPENCODE_LITELLM_URL": stub_proxy(["gpt-4o"]).url}
    done = shell(f"mkfifo gone; exec 3<>gone 4>gone 3<&-; opencode-litellm {command} >&4; echo $?", environment)
    assert (done.stdout, done.stderr) == ("141\n", "")


def test_bytes_that_are_no_text_leave_a_variable_as_they_came(home: dict[str, str]) -> None:
    content = b'{"username": "\xff\xe9"}'
    environment = home | {
        "OPENCODE_CONFIG_CONTENT": '{"$schema":"https://opencode.ai/config.json#opencode-litellm","provider":{}}',
        "OPENCODE_LITELLM_USER_CONTENT": os.fsdecode(content),
    }
    script = 'eval "$(opencode-litellm env bash --unset)"; printf %s "$OPENCODE_CONFIG_CONTENT" > restored'
    assert shell(script, environment) == Finished(0, "", "")
    assert Path(home["HOME"], "restored").read_bytes() == content


def test_names_that_an_encoding_lacks_are_escaped(stub_proxy: Callable[..., StubProxy], home: dict[str, str]) -> None:
    environment = home | {"OPENCODE_LITELLM_URL": stub_proxy(["模型"]).url, "PYTHONIOENCODING": "ascii"}
    done = run(["opencode-litellm", "models"], environment)
    assert (done.status, done.stderr) == (0, "")
    assert "litellm/\\u6a21\\u578b" in done.stdout


def test_a_terminal_sees_progress_that_leaves_nothing_behind(
    stub_proxy: Callable[..., StubProxy], home: dict[str, str]
) -> None:
    stub = stub_proxy(["gpt-4o"])
    stub.answer(MODELS, stub.answers[MODELS].body, delay=0.5)
    environment = home | {"OPENCODE_LITELLM_URL": stub.url}
    status, printed, shown = on_a_terminal(["opencode-litellm", "config"], environment)
    assert (status, list(json.loads(printed)["provider"]["litellm"]["models"])) == (0, ["gpt-4o"])
    assert "asking LiteLLM for its models" in shown
    # Erased, and the cursor is back.
    assert shown.rindex("\x1b[2K") > shown.rindex("asking LiteLLM")
    assert shown.rindex("\x1b[?25h") > shown.rindex("\x1b[?25l")
    for silent in (["--quiet"], []):
        more = {} if silent else {"TERM": "dumb"}
        assert on_a_terminal(["opencode-litellm", "config", *silent], environment | more) == (0, printed, "")


def test_a_terminal_sees_colour_unless_it_is_not_wanted(home: dict[str, str]) -> None:
    environment = home | {"OPENCODE_LITELLM_URL": f"http://127.0.0.1:{free_port()}"}
    command = ["opencode-litellm", *QUIET_LAUNCH]
    status, _, shown = on_a_terminal(command, environment)
    assert (status, shown.startswith("\x1b[33mopencode-litellm:\x1b[0m http://127.0.0.1")) == (7, True)
    for unwanted in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        status, _, shown = on_a_terminal(command, environment | unwanted)
        assert (status, shown.startswith("opencode-litellm: http://127.0.0.1"), "\x1b" in shown) == (7, True, False)


def test_ctrl_c_ends_a_command_and_a_launch_that_waits(
    stub_proxy: Callable[..., StubProxy], home: dict[str, str]
) -> None:
    for command in (["config"], QUIET_LAUNCH):
        # Each has its own: a question of the first one's may be read when it is gone.
        stub = stub_proxy(["gpt-4o"])
        stub.answer("*", mute=True)
        environment = home | {"OPENCODE_LITELLM_URL": stub.url}
        with subprocess.Popen(
            ["/usr/bin/env", "opencode-litellm", *command],
            env=environment, cwd=home["HOME"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        ) as process:  # fmt: skip
            while not stub.requests:
                time.sleep(0.02)
            process.send_signal(2)
            printed, said = process.communicate(timeout=4)
        assert (process.returncode, printed, b"Traceback" in said) == (130, b"", False)


def test_quiet_leaves_only_why_a_command_failed(home: dict[str, str]) -> None:
    away = f"http://127.0.0.1:{free_port()}"
    launch = ["opencode-litellm", "exec", "--url", away, "--quiet", "--", "sh", "-c", "exit 7"]
    assert run(launch, home) == Finished(7, "", "")
    done = run(["opencode-litellm", "config", "--url", away, "--quiet"], home)
    assert (done.status, done.stdout, len(done.stderr.splitlines())) == (3, "", 1)
    gone = run(["opencode-litellm", "exec", "--quiet", "--", "nonexistent"], home | {"OPENCODE_LITELLM_URL": away})
    assert (gone.status, gone.stdout) == (127, "")
    assert "nonexistent is not on PATH" in gone.stderr


def test_verbose_says_where_models_come_from_and_no_key(
    stub_proxy: Callable[..., StubProxy], home: dict[str, str]
) -> None:
    stub = stub_proxy(["gpt-4o"], key="sk-secret")
    done = run(["opencode-litellm", "config", "--url", stub.url, "--verbose"], home | WITH_KEY)
    assert done.status == 0
    assert f"provider litellm: 1 models from {stub.url}" in done.stderr
    assert "key: LITELLM_API_KEY" in done.stderr
    assert "sk-secret" not in done.stderr + done.stdout
    for _ in range(2):
        launched = run(["opencode-litellm", "exec", "--url", stub.url, "--verbose", "--", "true"], home | WITH_KEY)
        assert launched.stderr.startswith("opencode-litellm: variables set for opencode: OPENCODE_CONFIG")
