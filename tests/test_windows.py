"""Windows: what can be told anywhere from texts and names, and what a real Python for Windows does under Wine."""

from __future__ import annotations

import json
import re
import socket
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import hypothesis
import pytest
from world import tools, wine
from world.relay import Relay
from world.stub import StubProxy

from opencode_litellm import windows as native

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from world.wine import Windows

# Texts and names: nothing of Windows is needed.

HEAD = "@ECHO off\r\nGOTO start\r\n:find_dp0\r\nSET dp0=%~dp0\r\nEXIT /b\r\n:start\r\nSETLOCAL\r\nCALL :find_dp0\r\n"
BEHIND = r"node_modules\opencode-ai\bin\opencode.exe"
SCRIPT = r"node_modules\opencode-ai\bin\opencode"
NOTHING = ("", "")
NPM = f'{HEAD}"%dp0%\\{BEHIND}"   %*\r\n'  # npm 10's cmd-shim, for a program without "#!"


# npm 10's for a script that begins with "#!/usr/bin/env node", and that of pnpm 7 to 10.
NPM_NODE = f"""{HEAD}\r
IF EXIST "%dp0%\\node.exe" (\r
  SET "_prog=%dp0%\\node.exe"\r
) ELSE (\r
  SET "_prog=node"\r
  SET PATHEXT=%PATHEXT:;.JS;=;%\r
)\r
\r
endLocal & goto #_undefined_# 2>NUL || title %COMSPEC% & "%_prog%"  "%dp0%\\{SCRIPT}" %*\r
"""
PNPM_NODE = f"""@SETLOCAL\r
@IF EXIST "%~dp0\\node.exe" (\r
  "%~dp0\\node.exe"  "%~dp0\\{SCRIPT}" %*\r
) ELSE (\r
  @SET PATHEXT=%PATHEXT:;.JS;=;%\r
  node  "%~dp0\\{SCRIPT}" %*\r
)\r
"""


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (NPM, ("", BEHIND)),
        (f'@"%~dp0\\{BEHIND}"   %*\r\n', ("", BEHIND)),
        (f'@SETLOCAL\n@"%~dp0{BEHIND}" %*', ("", BEHIND)),
        (NPM_NODE, ("node", SCRIPT)),
        (PNPM_NODE, ("node", SCRIPT)),
        (NPM.replace("\r\n", "\r\nSET SECRET=1\r\n", 1), NOTHING),
        (NPM + "echo done\r\n", NOTHING),
        (NPM + f'"%dp0%\\other-{BEHIND}" %*\r\n', NOTHING),
        (NPM.replace(" %*", " --model x %*"), NOTHING),
        (NPM.replace(" %*", " %* & calc"), NOTHING),
        (NPM.replace(".exe", ".js"), NOTHING),
        (NPM.replace("node_modules", "%HOME%"), NOTHING),
        (NPM.replace("opencode-ai", 'a" & calc "'), NOTHING),
        (NPM_NODE.replace('"%_prog%"', '"%_prog%" --no-warnings'), NOTHING),
        (NPM_NODE.replace("_prog=node", "_prog=calc"), NOTHING),
        (NPM_NODE.replace("title %COMSPEC%", "calc"), NOTHING),
        (PNPM_NODE.replace("  node ", "  deno "), NOTHING),
        (PNPM_NODE.replace("  node ", '  @SET "NODE_PATH=C:\\a"\r\n  node '), NOTHING),
        ("@opencode-with-litellm %*", NOTHING),
        ("", NOTHING),
    ],
)
def test_a_shim_that_only_passes_its_arguments_names_a_program(text: str, named: tuple[str, str]) -> None:
    assert native.named_by_shim(text) == named


def test_programs_are_looked_up_in_absolute_folders_alone() -> None:
    path = r'C:\a;;.;bin;\b;C:c;"C:\d;e";"D:\f"\g;\\server\share\h'
    assert native.folders({"PATH": path}) == [r"C:\a", r"C:\d;e", r"D:\f\g", r"\\server\share\h"]
    assert native.folders({}) == []


@pytest.mark.parametrize(
    ("name", "extensions", "names"),
    [
        ("git", ".COM;.EXE;.PY", ["git.com", "git.exe"]),
        ("git", "", ["git.com", "git.exe", "git.bat", "git.cmd"]),
        ("git", ".PY", ["git.com", "git.exe", "git.bat", "git.cmd"]),
        ("opencode.exe", ".CMD;.EXE", ["opencode.exe", "opencode.exe.cmd", "opencode.exe.exe"]),
        ("opencode.2", ".EXE", ["opencode.2.exe"]),
    ],
)
def test_a_name_gets_the_endings_that_can_be_started(name: str, extensions: str, names: list[str]) -> None:
    assert native.names(name, {"PATHEXT": extensions}) == names


def test_names_of_variables_mean_the_same_in_any_case() -> None:
    variables = native.changed({"MY_KEY": "k", "Path": "p", "GONE": "g"}, {"my_key": "new", "gone": None, "Other": "o"})
    assert dict(variables) == {"PATH": "p", "MY_KEY": "new", "OTHER": "o"}
    assert [variables.get(name) for name in ("My_Key", "PATH", "other", "gone")] == ["new", "p", "o", None]
    assert dict(native.changed(variables, {"NO_PROXY": "a", "no_proxy": "a"}))["NO_PROXY"] == "a"


CMD = r"C:\Windows\System32\cmd.exe"


def test_a_batch_file_gets_arguments_that_cmd_cannot_take_for_anything_else() -> None:
    batch = r"C:\a & b\opencode.cmd"
    words = ["run", "--model", "litellm/gpt-4o", "", "grüße dich"]
    line = f'"{CMD}" /d /e:on /v:off /s /c ""{batch}" "run" "--model" "litellm/gpt-4o" "" "grüße dich""'
    assert native.command(batch, words, {}) == (CMD, line)
    assert native.command(r"C:\opencode.exe", ["a&b"], {}) == (r"C:\opencode.exe", [r"C:\opencode.exe", "a&b"])


@pytest.mark.parametrize("word", ["a\nb", "a\rb", "x" * 8100, *'"%&|<>^!();,=*?`'])
def test_no_other_argument_reaches_a_batch_file(word: str) -> None:
    with pytest.raises(OSError, match="it is a batch file"):
        native.command(r"C:\opencode.cmd", [word], {})


@pytest.mark.parametrize("name", [r"C:\x.CMD", r"C:\x.bat ", r"C:\x.cmd. ."])
def test_a_batch_file_is_known_by_any_of_its_names(name: str) -> None:
    assert native.is_batch(name)


# Under Wine.


@pytest.mark.long
def test_pure_tests_pass_under_windows_python(windows: Windows) -> None:
    files = [wine.path(tools.PROJECT / "tests" / f"{name}.py") for name in wine.PURE]
    options = ["-q", "--tb=short", "-p", "no:cacheprovider", "-m", "pure", "--basetemp", wine.path(windows.root / "t")]
    project = ["--rootdir", wine.path(tools.PROJECT), "-c", wine.path(tools.PROJECT / "pyproject.toml")]
    # It is the system that differs here, not the values.
    fewer = {"EXAMPLES": str(hypothesis.settings().max_examples // 4)}
    (ended,) = windows.run(([wine.PYTHON, "-P", "-m", "pytest", *options, *project, *files], fewer))
    passed = re.search(r"^(\d+) passed", ended.stdout, re.MULTILINE)
    assert ended.status == 0, ended.stdout + ended.stderr
    assert passed is not None
    assert int(passed[1]) > 600

SHOW = "import json, os, sys\nprint(json.dumps(sys.argv[1:]))\nsys.stdout.flush()\nos._exit(-1073741510)\n"
STARTED = "import sys\nopen(sys.argv[0] + '.started', 'w')\n"
PATIENT = {"OPENCODE_LITELLM_TIMEOUT": "60"}
CONTROL_C = 0xC000013A  # the status of what Ctrl-C has ended


# A command of ours that writes into a pipe which nobody reads any more.
UNREAD = """
import subprocess, sys
ours = "import sys; from opencode_litellm.__main__ import main; sys.argv[1:] = ['config']; sys.exit(main())"
with subprocess.Popen([sys.executable, "-c", ours], stdout=subprocess.PIPE) as process:
    process.stdout.close()
    sys.exit(process.wait())
"""


def npm(windows: Windows, code: str = SHOW) -> Path:
    """Install a stand-in for opencode as npm installs the real one, and return the folder for PATH."""
    folder = windows.folder("npm")
    wine.program(windows.folder("npm/node_modules/opencode-ai/bin") / "opencode.exe", code)
    batch(folder / "opencode.cmd", NPM)
    return folder


def batch(file: Path, text: str) -> Path:
    file.write_text(text, newline="")
    return file


def on_path(*folders: Path | str, **more: str | None) -> dict[str, str | None]:
    return {"PATH": ";".join(wine.path(folder) if not isinstance(folder, str) else folder for folder in folders)} | more


def test_the_program_behind_npm_s_shim_gets_every_argument_as_it_is(windows: Windows) -> None:
    words = ["run", "a&echo b", "a>FILE", "%PATH%", "^", '"', "\\", "a\\", "", "grüße", "x" * 9000]
    user = on_path(npm(windows), OPENCODE_LITELLM_DISABLE="1")
    ended = windows.run(
        (["opencode-with-litellm", *words], user),
        (["opencode-litellm", "exec", "--", "opencode.cmd", *words], user | {"PATHEXT": ""}),
    )
    assert [(each.status, each.stderr) for each in ended] == [(CONTROL_C, "")] * 2
    assert [json.loads(each.stdout) for each in ended] == [words] * 2
    assert list(windows.work.iterdir()) == []


def test_a_script_behind_a_shim_is_started_by_the_node_beside_it_or_that_of_path(windows: Windows) -> None:
    shown = "import json, os, sys\nprint(json.dumps([os.path.basename(os.path.dirname(sys.argv[0])), *sys.argv[1:]]))\n"
    words = ["run", "a&echo b", "a>FILE", "%PATH%", '"']
    wine.program(windows.work / "node.exe", STARTED)
    before = sorted(windows.work.rglob("*"))
    wine.program(windows.folder("nodes") / "node.exe", shown)
    shims = {"without": NPM_NODE, "with": PNPM_NODE}
    for name, text in shims.items():
        batch(windows.folder(name) / "opencode.cmd", text)
    wine.program(windows.folder("with") / "node.exe", shown)
    paths = [(windows.root / "without", windows.root / "nodes"), (windows.root / "with", windows.root / "nodes")]
    users = [on_path(".", "", *folders, OPENCODE_LITELLM_DISABLE="1") for folders in paths]
    *started, no_node = windows.run(
        *((["opencode-with-litellm", *words], user) for user in users),
        (["opencode-with-litellm", *words], on_path(".", "", windows.root / "without", OPENCODE_LITELLM_DISABLE="1")),
    )
    assert [json.loads(each.stdout) for each in started] == [
        [folder, wine.path(windows.root / shim / SCRIPT.replace("\\", "/")), *words]
        for folder, shim in (("nodes", "without"), ("with", "with"))
    ]
    assert (no_node.status, "it is a batch file" in no_node.stderr) == (126, True)
    assert sorted(windows.work.rglob("*")) == before


def test_any_other_batch_file_is_started_with_harmless_arguments_alone(windows: Windows) -> None:
    folder = windows.folder("a&b")
    batch(folder / "opencode.cmd", "@echo batch %*\r\n@exit /b 9\r\n")
    windows.folder("work/b")
    wine.program(windows.work / "b" / "opencode.exe", STARTED)  # what cmd.exe could take for a command
    before = sorted(windows.work.rglob("*"))
    user = on_path(folder, OPENCODE_LITELLM_DISABLE="1")
    started, refused, doctor = windows.run(
        (["opencode-with-litellm", "run", "--model", "a b"], user),
        (["opencode-with-litellm", "run", 'a" & echo b>FILE & "'], user),
        (["opencode-litellm", "doctor"], user),
    )
    assert (started.status, started.stdout, started.stderr) == (9, 'batch "run" "--model" "a b"\r\n', "")
    assert (refused.status, refused.stdout) == (126, "")
    assert "opencode.cmd cannot be started: it is a batch file, and cmd.exe could treat parts" in refused.stderr
    assert "--version exits with status 9" in doctor.stdout
    assert sorted(windows.work.rglob("*")) == before


def test_programs_that_only_lead_back_to_us_are_skipped(windows: Windows) -> None:
    ours = windows.folder("ours")
    wine.console_script(ours / "opencode-with-litellm.exe", "opencode")
    copies, wrappers, hidden = windows.folder("copies"), windows.folder("wrappers"), windows.folder("hidden")
    wine.console_script(copies / "opencode.exe", "opencode")
    batch(wrappers / "opencode.cmd", "@opencode-with-litellm %*\r\n")
    batch(hidden / "opencode.cmd", "@set name=opencode-with\r\n@%name%-litellm %*\r\n")
    real = npm(windows)
    ended = windows.run(
        (["opencode-with-litellm", "-v"], on_path(copies, wrappers, hidden, ours, real, OPENCODE_LITELLM_DISABLE="1")),
        (["opencode-with-litellm", "-v"], on_path(copies, hidden, ours, OPENCODE_LITELLM_DISABLE="1")),
    )
    assert (ended[0].stdout, ended[0].stderr) == ('["-v"]\r\n', "")
    assert (ended[1].status, ended[1].stdout) == (127, "")
    assert ended[1].stderr.startswith(f"opencode-litellm: opencode is not on PATH (except for {wine.path(hidden)}")


def test_nothing_of_the_working_folder_is_started(windows: Windows) -> None:
    for name in ("opencode", "git", "pwsh", "powershell", "less", "node"):
        wine.program(windows.work / f"{name}.exe", STARTED)
    windows.folder("work/.git")  # that git has to be asked about
    before = sorted(windows.work.rglob("*"))
    user = on_path("", ".", npm(windows), "", OPENCODE_LITELLM_URL="http://127.0.0.1:1", OPENCODE_LITELLM_QUIET="1")
    launch, doctor, removed, refused = windows.run(
        (["opencode-with-litellm", "run"], user),
        (["opencode-litellm", "doctor"], user),
        (["opencode-litellm", "uninstall"], user),
        (["opencode-litellm", "install", "pwsh"], user),
    )
    assert (launch.status, launch.stdout, launch.stderr) == (CONTROL_C, '["run"]\r\n', "")
    assert "startup" in doctor.stdout
    assert (removed.status, "PATH" in removed.stderr) == (0, False)
    assert (refused.status, "pwsh does not say where its profile is" in refused.stderr) == (2, True)
    assert sorted(windows.work.rglob("*")) == before


def test_opencode_starts_without_us_when_we_are_broken(windows: Windows) -> None:
    wine.program(windows.work / "opencode.exe", STARTED)
    before = sorted(windows.work.rglob("*"))
    (windows.root / "installed/opencode_litellm/launch").unlink()
    (ended,) = windows.run((["opencode-with-litellm", "run", "a&b"], on_path("", ".", npm(windows))))
    assert (ended.status, ended.stdout) == (CONTROL_C, '["run", "a&b"]\r\n')
    assert "the installation is damaged" in ended.stderr
    assert sorted(windows.work.rglob("*")) == before


def test_each_edition_of_powershell_says_itself_where_its_profile_is(windows: Windows) -> None:
    folder = windows.folder("editions")
    profiles = {name: windows.home / "Dökumente" / name / "profile.ps1" for name in ("PowerShell", "WindowsPowerShell")}
    for name, profile in zip(("pwsh", "powershell"), profiles.values(), strict=True):
        code = f"import sys\nsys.stdout.buffer.write({wine.path(profile)!r}.encode() + b'\\r\\n')\n"
        wine.program(folder / f"{name}.exe", code)
    ended = windows.run(
        (["opencode-litellm", "install", "pwsh"], on_path(folder)),
        (["opencode-litellm", "uninstall"], on_path(folder)),
    )
    said = [f"{verb} {wine.path(profile)}" for verb in ("wrote", "removed") for profile in profiles.values()]
    assert [line for each in ended for line in each.stdout.splitlines() if "profile.ps1" in line] == said
    assert [each.status for each in ended] == [0, 0]
    assert ended[0].stderr.count("Set-ExecutionPolicy -Scope CurrentUser RemoteSigned") == 1


OURS = "import sys; from opencode_litellm.__main__ import main; sys.exit(main())"


def test_the_shim_starts_opencode_through_us_and_without_us(windows: Windows) -> None:
    for name in ("opencode", "opencode-with-litellm", "opencode-litellm"):
        wine.program(windows.work / f"{name}.exe", STARTED)
    ours, first, missing = (windows.folder(name) for name in ("ours", "hömé/a&b", "none"))
    real = npm(windows)
    for name, function in (("opencode-litellm", "main"), ("opencode-with-litellm", "opencode")):
        wine.console_script(ours / f"{name}.exe", function)
    before = sorted(windows.work.rglob("*"))
    (windows.root / "ä b").symlink_to(wine.PYTHON.parent)  # Python may be in any folder
    python = [windows.root / "ä b" / "python.exe", "-c", OURS]
    install = [*python, "install", "bash", "--shim"]
    words = ["run", "a&echo b", "a>FILE", "%PATH%", "^", '"', "a\\", "", "grüße", "x" * 9000]
    user = on_path("", ".", first, ours, real, missing, OPENCODE_LITELLM_DISABLE="1")
    shim = first / "opencode.exe"
    would, wrote = windows.run(([*install, "--dry-run"], user), (install, user))
    copy = windows.folder("copies") / "opencode-with-litellm.exe"
    copy.write_bytes(shim.read_bytes())
    again, doctor, through, without, broken, alone, copied, removed = windows.run(
        (install, user),
        ([*python, "doctor"], user),
        ([shim, *words], user),
        ([shim, *words], on_path("", ".", first, real)),
        ([shim, *words], user | {"PYTHONPATH": wine.path(missing)}),
        ([shim, *words], on_path("", ".", first, missing, ours, OPENCODE_LITELLM_DISABLE="1")),
        ([copy, *words], on_path("", ".", first, copy.parent, real)),
        (["opencode-litellm", "uninstall"], user),
    )
    for verb, done in (("would write", would), ("wrote", wrote), ("unchanged", again), ("removed", removed)):
        assert f"{verb} {wine.path(shim)}" in done.stdout.splitlines(), done
    assert (wrote.status, wrote.stderr.count("opencode.exe")) == (0, 0)
    assert f"the shim comes first: {wine.path(shim)}" in doctor.stdout
    for ended in (through, without, broken, copied):
        assert (ended.status, json.loads(ended.stdout)) == (CONTROL_C, words), ended
    assert (through.stderr, without.stderr) == ("", "")
    assert "No module named 'opencode_litellm'" in broken.stderr
    assert (alone.status, alone.stdout, "opencode is not on PATH" in alone.stderr) == (127, "", True)
    assert not shim.exists()
    assert sorted(windows.work.rglob("*")) == before


INTERRUPTED = """
import _thread, threading, time
from opencode_litellm.errors import Failure
from opencode_litellm.litellm import connection
threading.Timer(0.5, _thread.interrupt_main).start()
began = time.monotonic()
try:
    connection.in_parallel([lambda: time.sleep(9)], began + 8, Failure("late"))
except KeyboardInterrupt:
    print(time.monotonic() - began < 4)
"""


def test_ctrl_c_does_not_wait_for_a_proxy(windows: Windows) -> None:
    (ended,) = windows.run(([wine.PYTHON, "-c", INTERRUPTED], {}))
    assert (ended.stdout, ended.stderr) == ("True\r\n", "")


def test_variables_are_read_by_names_in_any_case(windows: Windows, stub_proxy: Callable[..., StubProxy]) -> None:
    proxy = stub_proxy(["gpt-4o"], key="sk-right")
    options = {"baseURL": f"http://litellm.example:{proxy.port}", "apiKey": "{env:my_key}"}
    managed = windows.folder("data/opencode") / "opencode.json"
    managed.write_text(json.dumps({"provider": {"litellm": {"options": options}}}))
    shown = "import os\nprint('OPENCODE_CONFIG' in os.environ, os.environ['no_PROXY'])\n"
    with Relay(proxy.port, http_proxy=True) as middleman:
        user = on_path(npm(windows, shown), My_KEY="sk-right", no_Proxy="elsewhere", PROGRAMDATA=None) | PATIENT
        user |= {"programData": wine.path(windows.root / "data"), "Http_Proxy": f"http://127.0.0.1:{middleman.port}"}
        cold, warm, hidden = windows.run(
            (["opencode-with-litellm", "run"], user),
            (["opencode-with-litellm", "run"], user),
            (["opencode-with-litellm", "run"], user | {"opencode_LITELLM_disable": "1"}),
        )
    assert [each.stderr for each in (cold, warm, hidden)] == [""] * 3
    assert [each.stdout.split() for each in (cold, warm, hidden)] == [
        ["True", "elsewhere"], ["True", "elsewhere"], ["False", "elsewhere"],
    ]  # fmt: skip
    assert {each.headers["authorization"] for each in proxy.requests} == {"Bearer sk-right"}
    asked = {head.split()[1] for head in middleman.heads if "/v1/models " in head}
    assert asked == {options["baseURL"] + "/v1/models"}
    direct = {"OPENCODE_LITELLM_URL": proxy.url, "LITELLM_API_KEY": "sk-right", "no_Proxy": "elsewhere"}
    (env,) = windows.run((["opencode-litellm", "env", "json"], direct))
    given = json.loads(env.stdout)
    (unset,) = windows.run((["opencode-litellm", "env", "json", "--unset"], direct | {"no_Proxy": None} | given))
    assert (given["NO_PROXY"], json.loads(unset.stdout)["NO_PROXY"]) == ("elsewhere,127.0.0.1", "elsewhere")
    assert len({name.upper() for name in given}) == len(given)


# Windows' resolver has ::1 before 127.0.0.1; two ports stand for the two addresses here.
SLOWLY_REFUSED = """
import _socket, os, sys, time
from opencode_litellm.errors import Failure
from opencode_litellm.litellm import client, connection, question
from opencode_litellm.proxies import ProxyURL
closed, open = map(int, sys.argv[1:])
began = time.monotonic()
print(question.is_refused("127.0.0.1", closed, began + 5))
url = ProxyURL.parse(f"http://127.0.0.1:{closed}")
print(client.is_there(url, os.environ, began + 5))
try:
    connection.get(connection.Request(connection.Channel(url, {}, os.environ), "/v1/models", began + 5, 9))
except Failure as failure:
    print(failure.problem.startswith(f"{url.root} cannot be reached"))
rows = [(_socket.AF_INET, _socket.SOCK_STREAM, 0, "", ("127.0.0.1", port)) for port in (closed, open)]
_socket.getaddrinfo = lambda *_: rows
print(client.is_there(ProxyURL.parse(f"http://localhost:{open}"), os.environ, began + 5))
print(time.monotonic() - began < 4)
"""


@contextmanager
def slow_refusals(port: int = 0) -> Iterator[int]:
    """Take a port at which, as at a closed one on Windows, connections are neither made nor refused for seconds."""
    with ExitStack() as stack:
        listening = stack.enter_context(socket.socket())
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", port))
        listening.listen(0)
        for _ in range(4):  # nobody accepts them, so there is no room for others
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listening.getsockname())
        yield listening.getsockname()[1]


def test_refused_connections_on_windows_are_not_waited_for(
    windows: Windows, stub_proxy: Callable[..., StubProxy]
) -> None:
    shown = "import os, sys\nwith open(os.environ['OPENCODE_CONFIG']) as file: sys.stdout.write(file.read())\n"
    with StubProxy(["gpt-4o"]) as leaving:
        user = on_path(npm(windows, shown), OPENCODE_LITELLM_URL=leaving.url, LITELLM_API_KEY="sk-x") | PATIENT
        (cold,) = windows.run((["opencode-with-litellm", "run"], user))
    answering = urlsplit(stub_proxy(["gpt-4o"]).url).port
    with slow_refusals(urlsplit(leaving.url).port or 0) as port:
        functions, *warm = windows.run(
            ([wine.PYTHON, "-c", SLOWLY_REFUSED, str(port), str(answering)], {}),
            *[(["opencode-with-litellm", "run"], user)] * 2,
        )
    assert (functions.stdout.split(), functions.stderr) == (["True", "False", "True", "True", "True"], "")
    assert {(each.status, each.stdout) for each in warm} == {(cold.status, cold.stdout)} == {(0, cold.stdout)}
    assert ('"gpt-4o"' in cold.stdout, cold.stderr) == (True, "")
    # On a busy machine the 0.3 s of a launch may be over first, and nothing is said.
    assert any("cannot be reached (nothing is listening there)" in each.stderr for each in warm)


DETACHED = """
import os, time
from opencode_litellm.launch import detached, record
circumstances = record.Circumstances.of(os.environ, os.getcwd())
detached.start(circumstances)
last = time.monotonic() + 20
while time.monotonic() < last and record.load(circumstances) is None:
    time.sleep(0.05)
print(record.load(circumstances) is not None)
"""


def test_a_detached_refresh_reads_files_that_are_named_relative_to_the_working_folder(
    windows: Windows, stub_proxy: Callable[..., StubProxy]
) -> None:
    windows.folder("hömé/.cache/opencode-litellm")
    section = {"options": {"baseURL": stub_proxy(["gpt-4o"], key="sk-right").url}}
    (windows.folder("work/own") / "config.json").write_text(json.dumps({"provider": {"litellm": section}}))
    stored = windows.folder("work/own/opencode") / "auth.json"
    stored.write_text(json.dumps({"litellm": {"type": "api", "key": "sk-right"}}))
    relative = {"OPENCODE_CONFIG": "own\\config.json", "XDG_DATA_HOME": "own"}
    (ended,) = windows.run(([wine.PYTHON, "-c", DETACHED], relative))
    assert (ended.stdout, ended.stderr) == ("True\r\n", "")


def test_a_launch_finds_keys_by_names_in_any_case_and_hands_over_the_models(
    windows: Windows, stub_proxy: Callable[..., StubProxy]
) -> None:
    proxy = stub_proxy(["modèle"], key="sk-right")
    headers = {"X-Absolute": "ABSOLUTE", "X-Home": "{file:~/tag}", "X-Relative": "{file:.\\tag}"}
    options = {"baseURL": proxy.url, "apiKey": "{env:My_Key}", "customHeaders": headers}
    configuration = windows.folder("hömé/.config/opencode") / "opencode.json"
    for folder in (windows.home, configuration.parent):
        (folder / "tag").write_text("tagged\r\n", newline="")
    # opencode puts the file's content there before it reads the JSON, so a backslash needs no second one.
    text = json.dumps({"provider": {"litellm": {"options": options}}}, indent=1, ensure_ascii=False)
    text = text.replace("ABSOLUTE", "{file:" + wine.path(windows.home / "tag") + "}")
    configuration.write_text(text, encoding="utf-8", newline="\r\n")
    shown = "import os, sys\nsys.stdout.buffer.write(os.environ['OPENCODE_CONFIG_CONTENT'].encode())\n"
    user = on_path(npm(windows, shown), My_kEY="sk-right")
    cold, warm, models, unread = windows.run(
        (["opencode-with-litellm", "run"], user),
        (["opencode-with-litellm", "run"], user),
        (["opencode-litellm", "models"], user),
        ([wine.PYTHON, "-c", UNREAD], user),
    )
    assert (warm.status, warm.stdout, warm.stderr) == (cold.status, cold.stdout, cold.stderr) == (0, cold.stdout, "")
    passed_on = [f"{{file:{wine.path(folder)}\\tag}}" for folder in (windows.home, configuration.parent)]
    for part in ('"mod\\u00e8le":', '"{env:My_Key}"', '"{file:~/tag}"', *passed_on):
        assert part in cold.stdout
    names = ("authorization", "x-absolute", "x-home", "x-relative")
    sent = [[each.headers.get(name) for name in names] for each in proxy.requests]
    # All but the warm launch ask for details.
    assert (proxy.paths().count("/v1/models"), proxy.paths().count("/v1/model/info")) == (4, 3)
    assert sent == [["Bearer sk-right", "tagged", "tagged", "tagged"]] * len(sent)
    assert (models.status, "modèle" in models.stdout, models.stderr) == (0, True, "")
    assert (unread.status, unread.stderr) == (141, "")
