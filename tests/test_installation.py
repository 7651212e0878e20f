"""``install`` and ``uninstall``: what is in startup files then, in the shells that read them, and what is left."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from world import tools
from world.home import replaced
from world.opencode import Finished, run
from world.real_shells import BASH, DASH, MOVED, POSIX, WITH_SNIPPET, Call, Programs, RealShell, SnippetShell
from world.terminal import Terminal

from opencode_litellm.shells import emission, installation, startup
from opencode_litellm.shells.formats import SHELLS, STARTUPS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from world.stub import StubProxy

USAGE = 2
TOOL = "opencode-with-litellm"
SNIPPET = b"function opencode {\n  :\n}\n"
LOGIN = ". ~/.bashrc\n"
BEGIN = startup.begin("opencode")
BLOCK = b"%b\n%b%b\n" % (BEGIN, SNIPPET, startup.END)

ROWS = {shell.name: shell for shell in WITH_SNIPPET}
every_shell = pytest.mark.parametrize("shell", [pytest.param(ROWS[name], id=name) for name in SHELLS])
every_name = pytest.mark.parametrize("name", SHELLS)
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to somebody else")


@pytest.fixture
def home(home: dict[str, str]) -> dict[str, str]:
    """Return a home with a file named opencode, which a shim has to come before, and a usual ``.bash_profile``."""
    program = Path(home["HOME"], "bin/opencode")
    if not program.exists():
        program.symlink_to("/bin/true")
    Path(home["HOME"], ".bash_profile").write_text(LOGIN)
    return home


@pytest.fixture
def programs(tmp_path: Path) -> Programs:
    """A PATH with nothing on it but an opencode that records its calls."""
    programs = Programs(tmp_path)
    programs.add("opencode")
    return programs


def ours(home: Mapping[str, str], *arguments: str, **variables: str) -> Finished:
    """Run one of our commands."""
    return run(["opencode-litellm", *arguments], {**home, **variables})


def tree(folder: Path) -> dict[str, tuple[int, bytes | str | None]]:
    """Return all that is in a folder: modes, contents and where links lead."""
    found: dict[str, tuple[int, bytes | str | None]] = {}
    for path in sorted(folder.rglob("*")):
        content = os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else None
        found[str(path.relative_to(folder))] = (path.lstat().st_mode, content)
    return found


def installed(name: str, home: Mapping[str, str]) -> bytes:
    """Return the content of a startup file that we created."""
    return startup.with_snippet(None, emission.startup(name, "opencode", home).encode(), "opencode")


def kept(home: Mapping[str, str], name: str) -> Path:
    """Return the file with a snippet that startup files read."""
    return Path(home["XDG_DATA_HOME"], "opencode-litellm", name)


# The bytes.

PIECES = [b"\n", b"\r\n", b"\r", b"x", b"\\\n", b"\xe9", b"\xef\xbb\xbf", b"# >>>", b" opencode-litellm", b"s\n"]
contents = st.one_of(st.binary(max_size=60), st.lists(st.sampled_from(PIECES), max_size=6).map(b"".join))


def plain(content: bytes) -> bytes:
    """Skip input that is refused, which has its own tests."""
    assume(b"\0" not in content and not startup.is_marked(content))
    return content


@given(content=contents)
@example(content=b"")
@example(content=b"no end")
@example(content=b"\xef\xbb\xbfends\r\n")
@example(content=b"\r")
def test_removing_a_snippet_restores_the_file_to_the_byte(content: bytes) -> None:
    content = plain(content)
    once = startup.with_snippet(content, SNIPPET, "opencode")
    assert once.startswith(content)
    assert once.endswith(b"\n" + BLOCK)
    assert startup.with_snippet(once, SNIPPET, "opencode") == once
    assert startup.without_snippet(once) == content


def test_a_file_that_we_made_goes() -> None:
    assert startup.with_snippet(None, SNIPPET, "opencode") == BLOCK
    assert startup.without_snippet(BLOCK) is None
    assert startup.without_snippet(startup.with_snippet(b"", SNIPPET, "opencode")) == b""


@given(before=contents, after=contents)
def test_a_new_snippet_takes_the_place_of_the_old_one(before: bytes, after: bytes) -> None:
    before, after = plain(before), plain(b"\n" + after)
    old = startup.with_snippet(before, SNIPPET, "opencode") + after
    new = startup.with_snippet(old, b"new\n", "opencode")
    assert new == old.replace(SNIPPET, b"new\n")
    assert startup.without_snippet(new) == startup.without_snippet(old)


@given(before=contents, after=contents)
def test_lines_that_were_added_below_stay_lines(before: bytes, after: bytes) -> None:
    before, after = plain(before), plain(after)
    left = startup.without_snippet(startup.with_snippet(before, SNIPPET, "opencode") + after)
    between = b"\n" if before and after and not before.endswith(b"\n") else b""
    assert left == before + between + after


@pytest.mark.parametrize("content", [b"", b"one\n", b"one", b"\xef\xbb\xbfone\n"])
def test_a_tool_that_converts_line_ends_changes_nothing_for_us(content: bytes) -> None:
    converted = startup.with_snippet(content, SNIPPET, "opencode").replace(b"\n", b"\r\n")
    assert startup.with_snippet(converted, SNIPPET, "opencode") == converted
    assert startup.without_snippet(converted) == content.replace(b"\n", b"\r\n")


def test_a_byte_order_mark_that_was_put_before_us_stays() -> None:
    assert startup.without_snippet(b"\xef\xbb\xbf" + BLOCK) == b"\xef\xbb\xbf"


@pytest.mark.parametrize(
    "content",
    [
        BEGIN + b"\nx\n",
        b"x\n" + startup.END + b"\n",
        startup.END + b"\n" + BEGIN + b"\n",
        BEGIN + b"\n" + BLOCK,
        BLOCK + BLOCK,
    ],
)
@pytest.mark.parametrize("command", [("install", "bash"), ("uninstall",)])
def test_half_a_block_is_reported_and_left_alone(
    content: bytes, command: tuple[str, ...], home: dict[str, str]
) -> None:
    file = Path(home["HOME"], ".bashrc")
    file.write_bytes(content)
    done = ours(home, *command)
    problem = "does not have exactly one pair of marks (# >>> opencode-litellm, # <<< opencode-litellm)"
    assert done == Finished(USAGE, "", f"opencode-litellm: {file} {problem}: correct or remove these lines\n")
    assert file.read_bytes() == content


def test_utf_16_is_refused(home: dict[str, str]) -> None:
    file = Path(home["XDG_CONFIG_HOME"], "powershell/profile.ps1")
    file.parent.mkdir()
    content = "Set-Alias x y\n".encode("utf-16")
    file.write_bytes(content)
    done = ours(home, "install", "pwsh")
    problem = "is in an encoding that opencode-litellm cannot edit, perhaps UTF-16"
    said = f"opencode-litellm: {file} {problem}: save it as UTF-8\n"
    assert (done, file.read_bytes()) == (Finished(USAGE, "", said), content)


# In the shells.


def started(shell: SnippetShell, line: str, environment: Mapping[str, str]) -> int:
    """Run a line in a new shell as its user starts it, and return the shell's status."""
    if shell.interactive:
        return run([shell.path(), *shell.interactive, line], environment).status
    with Terminal([shell.path()], environment) as terminal:
        terminal.wait_until(bool)
        # The recording programs read to the end of their standard input, which a terminal does not have. All in one
        # line, because nushell forgets what is typed while a program runs.
        terminal.type(f"/bin/cat /dev/null | {line}; exit")
        terminal.press("Enter")
        return 0 if terminal.wait_for("Pane is dead") else 1

@every_shell
def test_a_shell_that_is_started_then_goes_through_us(
    shell: SnippetShell, home: dict[str, str], programs: Programs
) -> None:
    programs.add(TOOL)
    file = Path(home["HOME"], shell.startup_file)
    done = ours(home, "install", shell.name)
    renewal = STARTUPS[shell.name].renewal or STARTUPS[shell.name].line
    hint = f"new {shell.name} shells are ready; in one that is already running, run: {renewal}"
    assert done == Finished(0, f"wrote {file}\n", f"opencode-litellm: {hint}\n")
    user = home | programs.environment | {"ENV": str(file)}  # where dash, ksh and others look
    assert started(shell, f"{shell.read.format(file=file)}opencode a 'two words'", user) == 0
    assert programs.calls() == [Call(TOOL, ["a", "two words"])]
    assert ours(home, "uninstall").status == 0
    assert started(shell, "opencode b", user) == 0
    assert programs.calls()[1:] == [Call("opencode", ["b"])]


@every_shell
def test_its_start_runs_no_process_and_says_nothing_however_strict(
    shell: SnippetShell, home: dict[str, str], tmp_path: Path, programs: Programs
) -> None:
    programs.add(TOOL)
    assert ours(home, "install", shell.name).status == 0
    file = Path(home["HOME"], shell.startup_file)
    read = shell.sources.format(path=file, text=file.read_text()) + "\n"
    data = {"XDG_DATA_HOME": home["XDG_DATA_HOME"]}
    for variables in (programs.environment | data, {"PATH": "/nonexistent"} | data, programs.environment):
        done = shell.run(2 * read, tmp_path, variables)
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert programs.calls() == []
    if shell.name != "elvish":  # in which "eval" gives a command to the prompt, and not to a script
        assert shell.run(2 * read + "opencode a\n", tmp_path, programs.environment | data).returncode == 0
        assert programs.calls() == [Call(TOOL, ["a"])]


@every_shell
def test_the_shell_that_runs_it_is_meant_when_none_is_named(shell: SnippetShell, home: dict[str, str]) -> None:
    done = run([shell.path(), *shell.options, shell.command, "opencode-litellm install\nexit 0"], home)
    assert done.stdout.split() == ["wrote", f"{home['HOME']}/{shell.startup_file}"]


@pytest.mark.needs("dash")
@pytest.mark.parametrize(("login_shell", "file"), [("/bin/zsh", ".zshrc"), ("/bin/sh", ".profile"), ("", ".profile")])
def test_in_a_bare_sh_the_shell_of_the_account_is_meant(login_shell: str, file: str, home: dict[str, str]) -> None:
    done = run([tools.program("dash"), "-c", "opencode-litellm install; exit 0"], {**home, "SHELL": login_shell})
    assert done.stdout == f"wrote {home['HOME']}/{file}\n"


@pytest.mark.needs("dash")
def test_a_shell_that_is_not_known_is_a_failure_but_for_the_shim(home: dict[str, str]) -> None:
    shell = Path(home["HOME"], "tcsh")
    shell.symlink_to(tools.program("dash"))
    done = run([str(shell), "-c", "opencode-litellm install; exit $?"], home)
    assert (done.status, done.stdout) == (USAGE, "")
    assert "this shell is tcsh, which is not supported" in done.stderr
    done = run([str(shell), "-c", "opencode-litellm install --shim; exit $?"], home)
    assert (done.status, done.stdout) == (0, f"wrote {home['HOME']}/.local/bin/opencode\n")
    assert "the snippet is not installed: this shell is tcsh" in done.stderr


def test_a_template_of_the_user_s_is_used_and_noticed(home: dict[str, str]) -> None:
    template = Path(home["XDG_CONFIG_HOME"], "opencode-litellm/templates/bash.j2")
    template.parent.mkdir(parents=True)
    file = Path(home["HOME"], ".bashrc")
    for text, done in (("# été", "wrote"), ("# mine\n", "unchanged")):
        template.write_text(text)
        assert ours(home, "install", "bash").stdout == f"{done} {file}\n"
        assert file.read_bytes() == installed("bash", home)
        assert kept(home, "opencode.bash").read_text().split("\n", 1)[1] == text
    template.write_text("{% broken %}")
    done = ours(home, "install", "bash", "zsh")
    assert (done.status, done.stdout) == (0, f"unchanged {file}\nwrote {home['HOME']}/.zshrc\n")
    assert done.stderr.startswith(f"opencode-litellm: {template}, line 1: ")
    assert "function opencode" in kept(home, "opencode.bash").read_text()
    done = ours(home, "uninstall")
    assert done.stderr.splitlines()[-1] == f"opencode-litellm: your own templates in {template.parent} were kept"
    assert template.exists()


# Which files.


@every_shell
def test_each_file_is_where_the_shell_looks_for_it(shell: SnippetShell, tmp_path: Path) -> None:
    home = {"HOME": str(tmp_path)}
    assert STARTUPS[shell.name].files(home)[0] == [f"{tmp_path}/{shell.startup_file}"]
    assert STARTUPS[shell.name].files(home | MOVED)[0] == [shell.moved_startup_file.format(home=tmp_path)]


# The login files that a user has, and which one is changed beside .bashrc.
LOGIN_FILES = {
    "none": ({}, ".bash_profile"),
    "usual": ({".bash_profile": "[ -f ~/.bashrc ] && . ~/.bashrc\n"}, None),
    "by another one": ({".bash_profile": ". ~/.profile", ".profile": 'test "$BASH" && . "$HOME/.bashrc"\n'}, None),
    "in a comment": ({".bash_profile": "# not .bashrc\n"}, ".bash_profile"),
    "the second": ({".bash_login": "x=1\n", ".profile": ". ~/.bashrc\n"}, ".bash_login"),
    "for all shells": ({".profile": "x=1\n"}, ".profile"),
}


@pytest.mark.parametrize(("files", "changed"), LOGIN_FILES.values(), ids=LOGIN_FILES)
def test_bash_has_it_in_login_shells_too(
    files: dict[str, str], changed: str | None, home: dict[str, str], programs: Programs
) -> None:
    root = Path(home["HOME"])
    (root / ".bash_profile").unlink()
    for name, text in files.items():
        (root / name).write_text(text)
    before = tree(root)
    names = [".bashrc", *([changed] if changed else [])]
    assert ours(home, "install", "bash").stdout == "".join(f"wrote {root}/{name}\n" for name in names)
    programs.add(TOOL)
    # The system's own file sets PATH.
    line = f"PATH={programs.path}; opencode a"
    shells = [BASH.path(), *([DASH.path()] if changed == ".profile" else [])]
    for shell in shells:
        assert run([shell, "-l", "-c", line], home | programs.environment).status == 0
    assert programs.calls() == [Call(TOOL, ["a"]) for _ in shells]
    if changed:
        (root / changed).write_text((root / changed).read_text().replace("elif", "else if"))
        assert installation.outdated(home) == {"posix" if changed == ".profile" else "bash": str(root / changed)}
    assert ours(home, "uninstall").status == 0
    assert tree(root) == before


@pytest.mark.parametrize("command", ["two words", "if", "a;b"])
def test_a_command_that_no_shell_could_call_changes_no_file(command: str, home: dict[str, str]) -> None:
    before = tree(Path(home["HOME"]))
    done = ours(home, "install", "bash", "--cmd", command)
    assert (done.status, done.stdout, len(done.stderr.splitlines())) == (USAGE, "", 1)
    assert tree(Path(home["HOME"])) == before


def test_ksh_and_whatever_env_names_have_files_of_their_own(home: dict[str, str]) -> None:
    root = Path(home["HOME"])
    (root / ".mkshrc").touch()
    done = ours(home, "install", "posix", SHELL="/bin/ksh", ENV=f"{root}/.shrc")
    assert done.stdout == "".join(f"wrote {root}/{name}\n" for name in (".profile", ".shrc", ".kshrc", ".mkshrc"))
    assert done.stderr.count("new posix shells are ready") == 1


def test_without_its_file_a_startup_file_makes_it_anew(home: dict[str, str], programs: Programs) -> None:
    """As on a second machine with the same dotfiles."""
    assert ours(home, "install", "bash").status == 0
    file = kept(home, "opencode.bash")
    snippet = file.read_bytes()
    file.unlink()
    programs.add(TOOL)
    path = f"{programs.path}:{home['PATH']}"
    assert run([BASH.path(), "-i", "-c", "opencode a"], home | programs.environment | {"PATH": path}).status == 0
    assert (file.read_bytes(), programs.calls()) == (snippet, [Call(TOOL, ["a"])])


def test_another_version_s_lines_are_told_and_renewed(home: dict[str, str]) -> None:
    file = Path(home["HOME"], ".bashrc")
    assert ours(home, "install", "bash", "pwsh", "--cmd", "oc").status == 0
    now = file.read_bytes()
    assert b"opencode-litellm 0.1.0: oc with the models" in now
    # What only another version's number stands in does the same.
    file.write_bytes(now.replace(b"opencode-litellm 0.1.0:", b"opencode-litellm 0.0.1:"))
    assert installation.outdated(home) == {}
    assert ours(home, "install", "bash", "--cmd", "oc").stdout == f"wrote {file}\n"
    assert file.read_bytes() == now
    file.write_bytes(now.replace(b"elif", b"else if"))
    profile = Path(home["XDG_CONFIG_HOME"], "powershell/profile.ps1")
    profile.write_text(profile.read_text().replace("Set-Alias", "Set-Alias  "))
    assert installation.outdated(home) == {"bash": str(file), "pwsh": str(profile)}
    assert ours(home, "install", "bash", "pwsh", "--cmd", "oc").stdout == f"wrote {file}\nwrote {profile}\n"
    snippet = kept(home, "oc.bash")
    rendered = snippet.read_bytes()
    snippet.write_bytes(rendered.replace(b"0.1.0", b"0.0.1"))
    assert installation.outdated(home) == {"bash": str(snippet)}
    background = "from opencode_litellm.launch import detached; detached.refresh('0' * 32, '/', '1')"
    assert run([sys.executable, "-c", background], home).status == 0
    assert (snippet.read_bytes(), installation.outdated(home)) == (rendered, {})


# The files.


@every_name
def test_installing_twice_writes_once_and_uninstall_leaves_no_file(name: str, home: dict[str, str]) -> None:
    file = Path(home["HOME"], ROWS[name].startup_file)
    assert ours(home, "install", name, name).stdout == f"wrote {file}\n"
    assert file.read_bytes() == installed(name, home)
    os.utime(file, (1, 1))
    assert ours(home, "install", name) == Finished(0, f"unchanged {file}\n", "")
    assert file.stat().st_mtime == 1
    gone = "opencode-litellm: shells that are already running keep the snippet until they exit\n"
    kept = f"removed {home['XDG_DATA_HOME']}/opencode-litellm\n" if STARTUPS[name].reads_file else ""
    assert ours(home, "uninstall") == Finished(0, f"removed {file}\n{kept}", gone)
    assert not file.exists()
    assert ours(home, "uninstall") == Finished(0, "", "opencode-litellm: nothing is installed here\n")
    assert list(Path(home["HOME"]).rglob("*.tmp")) == []


@pytest.mark.parametrize("content", [b"", b"one\r\ntwo\r\n", b"no end", b"\xef\xbb\xbf# \xe9 in Latin-1\n", b"\n\n"])
@pytest.mark.parametrize("mode", [0o600, 0o664])
def test_all_else_in_the_file_and_its_mode_stay(content: bytes, mode: int, home: dict[str, str]) -> None:
    file = Path(home["HOME"], ".bashrc")
    file.write_bytes(content)
    file.chmod(mode)
    before = tree(file.parent)
    with replaced(file):
        assert ours(home, "install", "bash").status == 0
    assert file.read_bytes() == content + b"\n" + installed("bash", home)
    assert stat.S_IMODE(file.stat().st_mode) == mode
    with replaced(file):
        assert ours(home, "uninstall").stdout.splitlines()[0] == f"cleaned {file}"
    assert tree(file.parent) == before


@as_root
def test_the_file_stays_its_owner_s(home: dict[str, str]) -> None:
    file = Path(home["HOME"], ".bashrc")
    file.write_text("one\n")
    os.chown(file, 12345, 54321)
    assert ours(home, "install", "bash").status == 0
    assert (file.stat().st_uid, file.stat().st_gid) == (12345, 54321)


@pytest.mark.parametrize("target", ["bashrc", "absent"])
def test_links_of_a_dotfile_manager_stay_links(target: str, home: dict[str, str]) -> None:
    folder = Path(home["HOME"], "dotfiles")
    folder.mkdir()
    (folder / "bashrc").write_text("one\n")
    (folder / "second").symlink_to(target)
    Path(home["HOME"], ".bashrc").symlink_to("dotfiles/second")
    before = tree(folder.parent)
    assert ours(home, "install", "bash").status == 0
    assert BEGIN in (folder / target).read_bytes()
    assert ours(home, "uninstall").status == 0
    assert tree(folder.parent) == before


@pytest.mark.parametrize("through_a_link", [False, True])
def test_a_read_only_file_is_left_to_whoever_manages_it(through_a_link: bool, home: dict[str, str]) -> None:
    rc, zshrc = (Path(home["HOME"], name) for name in (".bashrc", ".zshrc"))
    file = Path(home["HOME"], "store") if through_a_link else rc
    file.write_text("managed\n")
    file.chmod(0o444)
    if through_a_link:
        rc.symlink_to(file)
    for dry_run in (["--dry-run"], []):
        done = ours(home, "install", "bash", "zsh", *dry_run)
        assert (done.status, done.stdout) == (USAGE, f"{'would write' if dry_run else 'wrote'} {zshrc}\n")
        assert done.stderr.splitlines()[0] == (
            f"opencode-litellm: {rc} cannot be changed (it is read-only): make it writable,"
            ' or add this line where the file is managed: eval "$(opencode-litellm init bash)"'
        )
    assert (file.read_text(), zshrc.read_bytes()) == ("managed\n", installed("zsh", home))
    file.chmod(0o644)
    file.write_bytes(b"managed\n\n" + installed("bash", home))
    file.chmod(0o444)
    done = ours(home, "uninstall")
    kept = Path(home["XDG_DATA_HOME"], "opencode-litellm")
    assert (done.status, done.stdout) == (USAGE, f"removed {zshrc}\nremoved {kept}\n")
    assert f"{rc} cannot be changed (it is read-only)" in done.stderr


def test_files_that_cannot_be_written_are_named(home: dict[str, str]) -> None:
    root = Path(home["HOME"])
    (root / "folder/.zshrc").mkdir(parents=True)
    (root / "circle").mkdir()
    (root / "circle/.zshrc").symlink_to(".zshrc")
    (root / "null").mkdir()
    (root / "null/.zshrc").symlink_to("/dev/null")
    for folder in ("/proc", root / "folder", root / "circle", root / "null", "/dev/null"):
        done = ours(home, "install", "zsh", ZDOTDIR=str(folder))
        assert (done.status, done.stdout) == (USAGE, ""), folder
        assert done.stderr.startswith(f"opencode-litellm: {folder}/.zshrc cannot be changed (")
        assert len(done.stderr.splitlines()) == 1
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)


OWN_LINES = [
    *(startup.line for startup in STARTUPS.values()),
    'source <("$HOME/.local/bin/opencode-litellm" init zsh --cmd oc)',
    "  [ -t 1 ] && eval `opencode-litellm init`",
]


@pytest.mark.parametrize("line", OWN_LINES)
def test_a_line_of_the_user_s_own_does_it_already(line: str, home: dict[str, str]) -> None:
    file = Path(home["HOME"], ".bashrc")
    file.write_text(f"one\n{line}\ntwo")
    already = f"opencode-litellm: {file} already runs opencode-litellm init, in a line of your own\n"
    assert ours(home, "install", "bash") == Finished(0, f"unchanged {file}\n", already)
    still = f"opencode-litellm: {file} still runs opencode-litellm init, in a line of your own: remove that line\n"
    assert ours(home, "uninstall") == Finished(0, "", still)
    assert file.read_text() == f"one\n{line}\ntwo"


@pytest.mark.parametrize("line", ["# opencode-litellm init bash", "opencode-litellm completion bash", "git init"])
def test_other_lines_do_not(line: str, home: dict[str, str]) -> None:
    Path(home["HOME"], ".bashrc").write_text(f"{line}\n")
    assert ours(home, "install", "bash").stdout == f"wrote {home['HOME']}/.bashrc\n"


def test_many_at_once_leave_one_whole_snippet(home: dict[str, str]) -> None:
    file = Path(home["HOME"], ".bashrc")
    file.write_text("one\n")
    script = "for each in 1 2 3 4 5 6; do opencode-litellm install bash >/dev/null 2>&1 & done; wait"
    assert run(["sh", "-c", script], home).status == 0
    assert file.read_bytes() == b"one\n\n" + installed("bash", home)
    assert list(file.parent.glob("*.tmp")) + list(file.parent.glob(".*.tmp")) == []


def test_a_dry_run_says_all_of_that_and_does_nothing(home: dict[str, str]) -> None:
    root = Path(home["HOME"])
    (root / ".bashrc").write_text("one\n")
    files = [root / ROWS[name].startup_file for name in SHELLS] + [root / ".local/bin/opencode"]
    before = tree(root)
    done = ours(home, "install", *SHELLS, "--shim", "--dry-run")
    assert (done.status, done.stdout) == (0, "".join(f"would write {file}\n" for file in files))
    assert "ready" not in done.stderr
    assert tree(root) == before
    assert ours(home, "install", *SHELLS, "--shim").status == 0
    assert ours(home, "init", "bash").status == 0
    before = tree(root)
    done = ours(home, "uninstall", "--dry-run")
    lines = [f"would remove {file}\n" for file in (*files[1:], root / ".local/share/opencode-litellm")]
    assert (done.status, sorted(done.stdout.splitlines(keepends=True))) == (
        0, [f"would clean {files[0]}\n", *sorted(lines)]
    )  # fmt: skip
    assert tree(root) == before


def test_no_path_steers_a_terminal(home: dict[str, str]) -> None:
    folder = Path(home["HOME"], "a\x1b]0;b\x07\udc80")
    folder.mkdir()
    wrote = ours(home, "install", "zsh", ZDOTDIR=str(folder))
    assert (wrote.status, wrote.stdout.startswith(f"wrote {home['HOME']}/a\\x1b]0;b\\x07")) == (0, True)
    (folder / ".zshrc").chmod(0o444)
    refused = ours(home, "uninstall", ZDOTDIR=str(folder))
    assert refused.status == USAGE
    printed = wrote.stdout + wrote.stderr + refused.stderr
    assert {character for character in printed if not character.isprintable()} == {"\n"}


# The shim.

BROKEN = {
    "no Python": "#!/nonexistent/bin/python3\n",
    "no Python, long": "#!/bin/sh\n'''exec' /nonexistent/bin/python3 \"$0\" \"$@\"\n' '''\n",
    "no package": f"#!{sys.executable}\nimport nonexistent_opencode_litellm\n",
}
SH = [DASH, *POSIX, RealShell("bash", ("--posix",)), RealShell("zsh", ("--emulate", "sh"))]
every_sh = pytest.mark.parametrize("shell", [pytest.param(shell, id=shell.program or shell.name) for shell in SH])
ARGUMENTS = ["run", "two words", "", "--", "-v", "*", "line\nbreak", "a:b", "été"]


@pytest.fixture
def shims(tmp_path: Path) -> list[Path]:
    """Return two shims of ours and one that somebody wrote, each in a folder of its own."""
    written = [*[emission.shim().decode()] * 2, f'#!/bin/sh\nexec {TOOL} "$@"\n']
    paths = [tmp_path / f"shims {number}" / "opencode" for number in range(len(written))]
    for path, text in zip(paths, written, strict=True):
        path.parent.mkdir()
        path.write_text(text)
        path.chmod(0o755)
    return paths


def with_shims(programs: Programs, shims: list[Path]) -> dict[str, str]:
    folders = [str(shim.parent) for shim in shims]
    return programs.environment | {"PATH": ":".join([*folders, "", "/nonexistent", str(programs.path), ""])}


def shimmed(shell: SnippetShell, shim: Path, environment: dict[str, str]) -> Finished:
    options = [option for option in shell.options if option != "-eu"]
    home = {"HOME": str(shim.parent), "LC_ALL": "C.UTF-8"}
    return run([shell.path(), *options, str(shim), *ARGUMENTS], environment | home, given=b"\xff")


@every_sh
def test_the_shim_starts_opencode_through_us(shell: RealShell, programs: Programs, shims: list[Path]) -> None:
    programs.add(TOOL, then="exit 5")
    assert shimmed(shell, shims[0], with_shims(programs, shims)) == Finished(5, "", "")
    assert programs.calls() == [Call(TOOL, ARGUMENTS, b"\xff")]


@every_sh
def test_without_us_it_starts_opencode_past_all_shims(shell: RealShell, programs: Programs, shims: list[Path]) -> None:
    programs.add("opencode", then="exit 5")
    for shim in shims[:2]:
        assert shimmed(shell, shim, with_shims(programs, shims)) == Finished(5, "", "")
    assert programs.calls() == 2 * [Call("opencode", ARGUMENTS, b"\xff")]


@every_sh
@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN)
def test_where_we_do_not_work_it_starts_opencode(
    shell: RealShell, text: str, programs: Programs, shims: list[Path]
) -> None:
    for name in (TOOL, "opencode-litellm"):
        (programs.path / name).write_text(text)
        (programs.path / name).chmod(0o755)
    assert shimmed(shell, shims[0], with_shims(programs, shims)) == Finished(0, "", "")
    assert programs.calls() == [Call("opencode", ARGUMENTS, b"\xff")]


@every_sh
def test_with_neither_it_says_so(shell: RealShell, programs: Programs, shims: list[Path]) -> None:
    (programs.path / "opencode").unlink()
    assert shimmed(shell, shims[0], with_shims(programs, shims)) == Finished(127, "", "opencode: not found\n")


def test_the_shim_becomes_the_program_that_it_starts(programs: Programs, shims: list[Path]) -> None:
    (programs.path / TOOL).write_text("#!/bin/sh\necho $$\n")
    (programs.path / TOOL).chmod(0o755)
    with subprocess.Popen([shims[0]], env=with_shims(programs, shims), stdout=subprocess.PIPE) as process:
        assert process.communicate(timeout=60)[0] == f"{process.pid}\n".encode()


def test_a_launch_goes_past_the_shim(home: dict[str, str], shims: list[Path]) -> None:
    """Ours, the real one: it must not find the shim when it looks for opencode."""
    real = Path(home["HOME"], "bin/opencode")
    real.unlink(missing_ok=True)
    real.write_text('#!/bin/sh\necho "opencode $*"\n')
    real.chmod(0o755)
    path = ":".join([*(str(shim.parent) for shim in shims), home["PATH"]])
    environment = home | {"PATH": path, "OPENCODE_LITELLM_DISABLE": "1"}
    assert run(["opencode", "a"], environment) == Finished(0, "opencode a\n", "")
    assert run(["sh", "-c", "echo b | xargs opencode"], environment) == Finished(0, "opencode b\n", "")


LINTERS = [
    ("dash", "-n"),
    ("shellcheck", "--norc", "--enable=all", "--shell=sh"),
    ("shfmt", "--diff", "--indent=2", "--case-indent", "--language-dialect=posix"),
]


@pytest.mark.parametrize(
    "linter", [pytest.param(linter, id=linter[0], marks=pytest.mark.needs(linter[0])) for linter in LINTERS]
)
def test_linters_have_nothing_to_say_of_the_shim(linter: tuple[str, ...], shims: list[Path]) -> None:
    done = subprocess.run([tools.program(linter[0]), *linter[1:], shims[0]], capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


@pytest.fixture
def owner(home: dict[str, str]) -> dict[str, str]:
    """Return the environment of a user with an opencode outside of their home, and folders before it."""
    root = Path(home["HOME"])
    for name in ("first", "second", "venv/bin"):
        (root / name).mkdir(parents=True)
    (root / "venv/pyvenv.cfg").touch()
    (root / "bin/opencode").unlink(missing_ok=True)
    system = root.parent / "system"
    system.mkdir()
    (system / "opencode").write_text("#!/bin/sh\n")
    (system / "opencode").chmod(0o755)
    folders = [root / "missing", root / "venv/bin", "/usr/bin", root / "first", root / "second", f"{system}/"]
    # What ours needs to start comes last.
    return home | {"PATH": ":".join(map(str, [*folders, root / "bin", "/bin"]))}


def shim_line(done: Finished) -> str:
    return next(line for line in done.stdout.splitlines() if line.endswith("/opencode"))


def test_the_shim_goes_into_the_first_folder_of_the_home_before_opencode(owner: dict[str, str]) -> None:
    shim = Path(owner["HOME"], "first/opencode")
    done = ours(owner, "install", "bash", "--shim")
    assert (done.status, shim_line(done)) == (0, f"wrote {shim}")
    assert "PATH" not in done.stderr
    assert (shim.read_text(), os.access(shim, os.X_OK)) == (emission.shim().decode(), True)
    assert shim_line(ours(owner, "install", "bash", "--shim")) == f"unchanged {shim}"
    # One of an earlier version.
    begin = emission.shim().decode().splitlines(keepends=True)[:2]
    shim.write_text("".join([*begin, 'exec opencode-with-litellm "$@"\n']))
    assert shim_line(ours(owner, "install", "bash", "--shim")) == f"wrote {shim}"
    assert ours(owner, "uninstall").stdout == (
        f"removed {owner['HOME']}/.bashrc\nremoved {shim}\nremoved {owner['XDG_DATA_HOME']}/opencode-litellm\n"
    )
    assert list(shim.parent.iterdir()) == []


def test_no_folder_that_comes_later_will_do(owner: dict[str, str]) -> None:
    root = Path(owner["HOME"])
    path = f"{root.parent}/system/:{root}/second:{root}/bin:/usr/bin:/bin"
    done = ours(owner, "install", "bash", "--shim", PATH=path)
    assert shim_line(done) == f"wrote {root}/.local/bin/opencode"


@pytest.mark.parametrize("on_path", [False, True])
def test_else_it_goes_where_programs_of_users_are(on_path: bool, owner: dict[str, str]) -> None:
    root = Path(owner["HOME"])
    system = root.parent / "system"
    usual = root / ".local/bin"
    path = f"{usual}:{system}" if on_path else f"{system}:{usual}"
    done = ours(owner, "install", "bash", "--shim", PATH=f"{path}:{root}/bin:/usr/bin:/bin")
    assert (done.status, shim_line(done)) == (0, f"wrote {usual}/opencode")
    note = f"opencode-litellm: the shim has no effect yet: put {usual} ahead of {system} on PATH"
    assert done.stderr.splitlines()[1:] == ([] if on_path else [note])
    assert shim_line(ours(owner, "uninstall")) == f"removed {usual}/opencode"


@pytest.mark.parametrize("kind", ["a program", "no program", "a dangling link", "a folder", "a shim of somebody's"])
def test_an_opencode_that_is_not_ours_is_neither_replaced_nor_removed(kind: str, owner: dict[str, str]) -> None:
    file = Path(owner["HOME"], ".local/bin/opencode")
    file.parent.mkdir(parents=True)
    if kind == "a dangling link":
        file.symlink_to("nowhere")
    elif kind == "a folder":
        file.mkdir()
    else:
        file.write_text(f'#!/bin/sh\nexec {TOOL} "$@"\n' if "shim" in kind else "#!/bin/sh\n")
        file.chmod(0o644 if kind == "no program" else 0o755)
    before = tree(file.parent)
    path = f"{file.parent}:{owner['HOME']}/bin:/usr/bin:/bin"
    done = ours(owner, "install", "bash", "--shim", PATH=path)
    assert (done.status, done.stdout) == (USAGE, f"wrote {owner['HOME']}/.bashrc\n")
    assert done.stderr.splitlines()[1] == (
        f"opencode-litellm: {file} already exists and is not the shim of opencode-litellm:"
        " remove it, or put another folder in your home ahead of opencode's folder on PATH"
    )
    assert ours(owner, "uninstall", PATH=path).stdout.splitlines() == [
        f"removed {owner['HOME']}/.bashrc", f"removed {owner['XDG_DATA_HOME']}/opencode-litellm"
    ]  # fmt: skip
    assert tree(file.parent) == before


def test_a_link_to_a_shim_is_not_followed_when_shims_are_removed(owner: dict[str, str]) -> None:
    kept = Path(owner["HOME"], "dotfiles")
    kept.write_text(emission.shim().decode())
    Path(owner["HOME"], "first/opencode").symlink_to(kept)
    before = tree(kept.parent)
    assert ours(owner, "uninstall") == Finished(0, "", "opencode-litellm: nothing is installed here\n")
    assert tree(kept.parent) == before


# What launches have kept.


def test_uninstall_leaves_nothing_that_any_command_has_kept(
    home: dict[str, str], stub_proxy: Callable[..., StubProxy]
) -> None:
    root = Path(home["HOME"])
    before = tree(root)
    proxy = {"OPENCODE_LITELLM_URL": stub_proxy(["gpt-4o", "gpt-5"]).url}
    own = root / "own.json"
    own.write_text('{"username":"me"}')
    ours(home, "init", "bash")
    ours(home, "init", "zsh", "--cmd", "oc")
    ours(home, "env", "json", **proxy)
    ours(home, "env", "json", "--delivery", "file", **proxy)
    for delivery in ("file", "inline"):
        ours(home, "exec", "--delivery", delivery, "--", "true", **proxy)
        ours(home, "exec", "--delivery", delivery, "--", "true", OPENCODE_CONFIG=str(own), **proxy)
    own.unlink()
    cache, state = root / ".cache/opencode-litellm", root / ".local/state/opencode-litellm"
    for path in (cache / "payload-0123.json.1-2.tmp", cache / f"head-{32 * 'a'}.json", state / "log", state / "log.1"):
        path.touch()
    (cache / "payload-0123.json.1-2.tmp").rename(cache / f"payload-{32 * '0'}.json.1-2.tmp")
    assert len(list(cache.iterdir())) > 8
    done = ours(home, "uninstall")
    data = root / ".local/share/opencode-litellm"
    assert (done.status, done.stdout) == (0, f"removed {cache}\nremoved {data}\nremoved {state}\n")
    assert tree(root) == before


def test_other_files_keep_the_cache_folder_from_being_removed(home: dict[str, str]) -> None:
    cache = Path(home["XDG_CACHE_HOME"], "opencode-litellm")
    cache.mkdir()
    (cache / "notes").write_text("mine")
    (cache / f"launch-{32 * 'a'}").mkdir()
    (cache / "doctor").symlink_to("notes")
    before = tree(cache)
    stays = f"opencode-litellm: {cache} was kept: it contains other files\n"
    assert ours(home, "uninstall") == Finished(0, "", stays)
    (cache / f"launch-{32 * 'b'}").write_text("ours")
    done = ours(home, "uninstall")
    assert (done.status, done.stdout) == (0, f"cleaned {cache}\n")
    assert tree(cache) == before


def test_a_cache_that_is_a_link_is_not_followed(home: dict[str, str]) -> None:
    elsewhere = Path(home["HOME"], "elsewhere")
    elsewhere.mkdir()
    (elsewhere / f"launch-{32 * 'a'}").write_text("who knows whose")
    Path(home["XDG_CACHE_HOME"], "opencode-litellm").symlink_to(elsewhere)
    before = tree(Path(home["HOME"]))
    assert ours(home, "uninstall") == Finished(0, "", "opencode-litellm: nothing is installed here\n")
    assert tree(Path(home["HOME"])) == before
