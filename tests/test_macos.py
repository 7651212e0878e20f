"""macOS, as far as Linux can be made like it: without /proc, and with what Python finds there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from world import macos, tools
from world.relay import Relay

if TYPE_CHECKING:
    from collections.abc import Callable

    from world.stub import StubProxy

OPENCODE = """#!/bin/sh
if [ "$1" = --version ]; then echo 1.18.33; exit; fi
cat "${OPENCODE_CONFIG:-/dev/null}"
exit 7
"""
MANAGED = "import os; from opencode_litellm.opencode import layers; print(layers.managed_folder(os.environ))"


def test_nothing_that_linux_alone_has_is_needed(home: dict[str, str], stub_proxy: Callable[..., StubProxy]) -> None:
    mac = macos.mac(home)
    program = Path(home["HOME"], "bin/opencode")
    program.unlink(missing_ok=True)
    program.write_text(OPENCODE)
    program.chmod(0o755)
    proxy = stub_proxy(["gpt-4o"], key="sk-right")
    user = {"OPENCODE_LITELLM_URL": proxy.url, "LITELLM_API_KEY": "sk-right"}
    cold, warm = (mac.run(["opencode-with-litellm", "run"], user) for _ in range(2))
    assert (warm.status, warm.stdout, warm.stderr) == (cold.status, cold.stdout, "") == (7, cold.stdout, cold.stderr)
    assert '"gpt-4o"' in cold.stdout
    doctor = mac.run(["opencode-litellm", "doctor"], user)
    assert (doctor.status, doctor.stderr, "1.18.33" in doctor.stdout) == (0, "", True)
    # Variables outrank the system's own HTTP proxies, which Python asks for there.
    with Relay(proxy.port, http_proxy=True) as middleman:
        way = {"http_proxy": f"http://127.0.0.1:{middleman.port}", "OPENCODE_LITELLM_URL": "http://litellm.invalid"}
        models = mac.run(["opencode-litellm", "models"], user | way)
    assert (models.status, models.stderr, "gpt-4o" in models.stdout) == (0, "", True)


def test_the_shell_is_told_by_ps_and_files_are_where_macos_has_them(home: dict[str, str]) -> None:
    mac = macos.mac(home)
    folder = home["HOME"]
    bare = {"XDG_CONFIG_HOME": None, "XDG_DATA_HOME": None}
    lines = mac.run(["opencode-litellm", "install", "--dry-run"], bare).stdout.splitlines()
    assert lines == [f"would write {folder}/.zshrc"]
    lines = mac.run(["opencode-litellm", "install", "bash", "nushell", "--dry-run"], bare).stdout.splitlines()
    nushell = "Library/Application Support/nushell/autoload/opencode-litellm.nu"
    assert lines == [f"would write {folder}/{name}" for name in (".bashrc", ".bash_profile", nushell)]
    python = str(tools.SCRIPTS / "python")
    assert mac.run([python, "-c", MANAGED], bare).stdout == "/Library/Application Support/opencode\n"


def test_arguments_and_environment_have_a_mebibyte_together(
    home: dict[str, str], stub_proxy: Callable[..., StubProxy]
) -> None:
    mac = macos.mac(home)
    fits, does_not = (
        mac.run(["opencode-litellm", "env", "zsh"], {"OPENCODE_LITELLM_URL": stub_proxy(models).url})
        for models in ([f"model-{number}" for number in range(count)] for count in (2000, 6000))
    )
    assert (fits.status, fits.stdout.count("export OPENCODE_CONFIG_CONTENT="), fits.stderr) == (0, 1, "")
    assert 2**17 < len(fits.stdout) < 2**20 * 3 / 4  # more than Linux lets one variable have
    assert (does_not.status, does_not.stdout.count("export OPENCODE_CONFIG=")) == (0, 1)
    assert len(does_not.stdout) < 2**17


def test_with_launchd_s_path_alone_it_says_what_is_missing(home: dict[str, str]) -> None:
    script = str(tools.console_script("opencode-with-litellm"))
    ended = macos.mac(home).run([script, "run"], {}, macos.LAUNCHD_PATH)
    said = "opencode-litellm: opencode is not on PATH: install it, or add its folder to PATH\n"
    assert (ended.status, ended.stdout, ended.stderr) == (127, "", said)
