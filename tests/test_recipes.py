"""The recipes of docs/recipes.md and the set-up of the README, run as they are written.

Each text is taken from its page. Only the address of the proxy, the home of `ada` and folders such as /etc are
replaced. opencode is a stand-in, which prints how it was started and which models it was given.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from world import tools
from world.home import write
from world.opencode import Finished, run
from world.ordinary_user import IS_ROOT, as_user, is_possible
from world.server import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from world.stub import StubProxy

pytestmark = [pytest.mark.real, pytest.mark.serves("gpt-4o", key="sk-right")]

RECIPES = tools.PROJECT / "docs/recipes.md"
README = tools.PROJECT / "README.md"
ADDRESS = "https://litellm.example.com"
CONFIGURATION, STORED_KEY = ".config/opencode/opencode.json", ".local/share/opencode/auth.json"
STAND_IN = """#!/bin/sh
if [ "$1" = --version ]; then echo 1.18.33; exit; fi
models=$({ cat "${OPENCODE_CONFIG:-/dev/null}" "$HOME/.config/opencode/config.json"
  echo "$OPENCODE_CONFIG_CONTENT"; } 2>/dev/null | grep -oE '"(gpt-4o|new-model|newest-model)":' | sort -u | tr -d '":')
echo "opencode $*: "${models:-no models}
"""


def blocks(page: Path, title: str) -> list[str]:
    """Return the indented blocks below a heading of a page, up to the next heading."""
    found = re.search(rf"(?ms)^(#+) {re.escape(title)}\n(.*?)(?=^#|\Z)", page.read_text())
    assert found, f"{page.name} has no section {title}"
    pieces = re.findall(r"(?m)(?:^ {4}.*\n|^\n(?= {4}))+", found[2])
    return [re.sub(r"(?m)^ {4}", "", piece).strip("\n") + "\n" for piece in pieces]


@pytest.fixture
def ada(home: dict[str, str], proxy: StubProxy) -> dict[str, str]:
    """Return the environment of a user whose programs are in ``~/.local/bin``, and whose key opencode has stored.

    The address is in opencode's configuration, so nothing of it needs a shell.
    """
    programs = Path(home["HOME"], ".local/bin")
    shutil.move(Path(home["HOME"], "bin"), programs)
    (programs / "opencode").unlink(missing_ok=True)
    write(programs / "opencode", STAND_IN).chmod(0o755)
    configuration, *_ = blocks(README, "Say where the proxy is")
    snippet, *_ = blocks(README, "Set up your shell")
    write(Path(home["HOME"], CONFIGURATION), as_here(configuration, proxy))
    write(Path(home["HOME"], STORED_KEY), {"litellm": {"type": "api", "key": "sk-right"}})
    write(Path(home["HOME"], ".bashrc"), f"case $- in *i*) ;; *) return;; esac\n{snippet}")  # as Debian's begins
    git = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "init.defaultBranch", "GIT_CONFIG_VALUE_0": "main"}
    who = {f"GIT_{role}_{what}": "ada@example.com" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    return {**home, **git, **who, "PATH": f"{programs}:/usr/local/bin:/usr/bin:/bin"}


def as_here(text: str, proxy: StubProxy) -> str:
    """Return a text with the address of this proxy; ``apiKey`` goes, because the key is stored."""
    return re.sub(r' *"apiKey": .*\n', "", text).replace(ADDRESS, proxy.url)


def in_home(text: str, environment: Mapping[str, str]) -> str:
    """Return a text with this home instead of that of `ada`."""
    return text.replace("/home/ada", environment["HOME"])


def bash(script: str, environment: Mapping[str, str], folder: Path | None = None) -> Finished:
    """Run a script that stops at the first failure."""
    return run(["bash", "-euo", "pipefail", "-c", script], environment, folder)


def said(finished: Finished) -> list[str]:
    """Return what the stand-in said, of a script that ended well and quietly."""
    assert (finished.status, finished.stderr) == (0, ""), finished
    return [line for line in finished.stdout.splitlines() if line.startswith("opencode ")]


@pytest.mark.needs("stow", "git")
def test_stow(ada: dict[str, str], proxy: StubProxy) -> None:
    first, later = blocks(RECIPES, "stow")
    begin = 'mkdir ~/dotfiles; git -C ~/dotfiles init --quiet\n'
    commit = "git -C ~/dotfiles add .; git -C ~/dotfiles commit --quiet -m first; opencode run hi\n"
    assert said(bash(begin + first + commit, ada)) == ["opencode run hi: gpt-4o"]
    file = Path(ada["HOME"], ".config/opencode/config.json")
    assert file.is_symlink()

    proxy.serve(["gpt-4o", "new-model"])
    done = bash(later + "opencode run hi\n", ada)
    assert said(done) == ["opencode run hi: gpt-4o new-model"]
    assert "config.json" in done.stdout
    assert file.is_symlink()
    assert "sk-right" not in file.read_text()


@pytest.mark.needs("yadm", "git")
def test_yadm(ada: dict[str, str]) -> None:
    (recipe,) = blocks(RECIPES, "yadm")
    done = bash(f"yadm init >/dev/null\n{recipe}opencode run hi\nyadm ls-files\n", ada)
    assert said(done) == ["opencode run hi: gpt-4o"]
    assert done.stdout.splitlines()[-2:] == [".bashrc", ".config/opencode/config.json"]


@pytest.mark.needs("git")
def test_a_bare_repository(ada: dict[str, str], proxy: StubProxy) -> None:
    output = next(block for block in blocks(RECIPES, "Dotfiles") if "--output" in block)
    recipe, check = blocks(RECIPES, "A bare repository")
    done = bash(f"{output}{recipe}{check}opencode run hi\ngit --git-dir=$HOME/.dotfiles ls-files\n", ada)
    assert said(done) == ["opencode run hi: gpt-4o"]
    assert done.stdout.splitlines()[-2:] == [".bashrc", ".config/opencode/config.json"]
    proxy.serve(["new-model"])
    assert bash(check, ada).status == 1


@pytest.mark.skipif(not is_possible(), reason="root cannot become somebody else here")
def test_a_read_only_home(ada: dict[str, str], tmp_path: Path) -> None:
    (recipe,) = blocks(RECIPES, "A read-only home")
    caches = tmp_path / "var"
    caches.mkdir()
    script = recipe.replace("/var/tmp", str(caches)) + "opencode-with-litellm run hi\n"  # noqa: S108 - it is in the recipe
    home = Path(ada["HOME"])
    folders = [home, *(path for path in home.rglob("*") if path.is_dir() and not path.is_symlink())]
    for folder in folders:
        folder.chmod(0o555)
    try:
        done = as_user(ada, "bash", "-euo", "pipefail", "-c", script)
    finally:
        for folder in folders:
            folder.chmod(0o755)
    assert said(done) == ["opencode run hi: gpt-4o"]
    assert list(caches.glob("cache-of-*/opencode-litellm/*"))


@pytest.mark.needs("direnv")
def test_direnv(ada: dict[str, str], proxy: StubProxy, tmp_path: Path) -> None:
    address, handed_over = blocks(RECIPES, "direnv")
    write(Path(ada["HOME"], ".config/litellm-key"), "sk-right\n")
    Path(ada["HOME"], CONFIGURATION).unlink()
    Path(ada["HOME"], STORED_KEY).unlink()
    project = tmp_path / "project"
    enter = 'cd project; direnv allow .; eval "$(direnv export bash)"\n'
    leave = 'cd ..; eval "$(direnv export bash)"; opencode run away; env | grep -c LITELLM || :\n'
    quiet = {**ada, "DIRENV_LOG_FORMAT": ""}

    write(project / ".envrc", as_here(address, proxy))
    done = bash(f"{enter}opencode-with-litellm run hi; opencode run hi\n{leave}", quiet, tmp_path)
    assert said(done) == ["opencode run hi: gpt-4o", "opencode run hi: no models", "opencode run away: no models"]

    write(project / ".envrc", as_here(address + handed_over, proxy))
    done = bash(f"{enter}opencode run hi\n{leave}", quiet, tmp_path)
    assert said(done) == ["opencode run hi: gpt-4o", "opencode run away: no models"]
    assert done.stdout.splitlines()[-1] == "0"


def test_version_managers(ada: dict[str, str]) -> None:
    (recipe,) = blocks(RECIPES, "Version managers")
    home = Path(ada["HOME"])
    manager = write(home / "manager/shims/opencode", "#!/bin/sh\nexec ~/manager/versions/1/opencode \"$@\"\n")
    manager.chmod(0o755)
    (home / "manager/versions/1").mkdir(parents=True)
    (home / ".local/bin/opencode").rename(home / "manager/versions/1/opencode")
    after = {**ada, "PATH": f"{ada['PATH']}:{manager.parent}"}
    first = {**ada, "PATH": f"{manager.parent}:{ada['PATH']}"}
    assert bash("opencode-litellm install --shim bash", after).status == 0

    starts = "env opencode run shim\neval \"$(opencode-litellm init bash)\"\nopencode run function\n"
    both = ["opencode run shim: gpt-4o", "opencode run function: gpt-4o"]
    assert said(bash(starts, after)) == both
    assert said(bash(starts, first)) == ["opencode run shim: no models", both[1]]
    assert said(bash(recipe + starts, first)) == both


def test_editors(ada: dict[str, str]) -> None:
    (task,) = json.loads(blocks(RECIPES, "VS Code")[0])["tasks"]
    script, chat = blocks(RECIPES, "JetBrains")
    (panel,) = blocks(RECIPES, "Zed")
    servers = [json.loads(in_home(text, ada))["agent_servers"]["OpenCode"] for text in (chat, panel)]
    programs = [[each["command"], *each["args"]] for each in (task, *servers)]
    started = [*said(run(["sh", "-c", script], ada)), *(line for each in programs for line in said(run(each, ada)))]
    review, agent = "opencode run Review the last commit: gpt-4o", "opencode acp: gpt-4o"
    assert started == [review, review, agent, agent]
    # What the opencode extension of VS Code types into a terminal.
    assert run(["bash", "-ic", "opencode --port 16384"], ada).stdout == "opencode --port 16384: gpt-4o\n"


def test_a_program_that_knows_no_functions_finds_the_shim(ada: dict[str, str]) -> None:
    home = Path(ada["HOME"])
    (home / "npm").mkdir()
    (home / ".local/bin/opencode").rename(home / "npm/opencode")
    (recipe,) = (block for block in blocks(RECIPES, "Where no startup file is read"))
    environment = {**ada, "PATH": f"{ada['PATH']}:{home}/npm", "SHELL": "/bin/bash"}
    done = bash(f"{recipe}echo hi | xargs opencode run\n", environment)
    assert done.stdout.splitlines()[-1:] == ["opencode run hi: gpt-4o"]


def test_cron(ada: dict[str, str]) -> None:
    (crontab,) = blocks(RECIPES, "cron")
    variable, job = in_home(crontab, ada).splitlines()
    name, _, value = variable.partition("=")
    command = job.split(None, 5)[5]
    assert not re.search(r"(?<!\\)%", command)
    of_cron = {"HOME": ada["HOME"], "LOGNAME": "ada", "SHELL": "/bin/sh", name: value}
    assert said(run(["/bin/sh", "-c", command], of_cron)) == []
    log = Path(ada["HOME"], "opencode.log").read_text()
    assert log == "opencode run What changed this week?: gpt-4o\n"


# A user's manager in namespaces of its own, on a machine that need not have been started by systemd. It takes hold of
# all processes in the cgroup that it sees as the root, so that is one in which there is nothing else.
CONFINED = """
mount -t tmpfs none /run
mkdir /run/cgroup; mount -t cgroup2 none /run/cgroup; group=$(mktemp -d /run/cgroup/opencode-litellm-XXXXXX)
(echo $BASHPID >$group/cgroup.procs; exec unshare --cgroup --mount bash -euo pipefail -c {manager}) || status=$?
for each in {{1..50}}; do find $group -depth -type d -exec rmdir {{}} + 2>/dev/null && break; sleep 0.05; done
exit ${{status-0}}
"""
MANAGER = """
mount -t tmpfs none /sys/fs/cgroup; mount -t cgroup2 none /sys/fs/cgroup
test "$(cat /proc/self/cgroup | grep ^0:)" = 0::/
mkdir -p /run/systemd/system; export XDG_RUNTIME_DIR=/run/user; mkdir -m 700 $XDG_RUNTIME_DIR
/lib/systemd/systemd --user 2>/dev/null &
trap 'kill $!; wait $! || true' EXIT
for each in {{1..200}}; do test -S $XDG_RUNTIME_DIR/systemd/private && break; sleep 0.05; done
{start}
for each in {{1..200}}; do test -s {file} && break; sleep 0.05; done
systemctl --user show opencode-models.service -P Result
"""


@pytest.mark.needs("unshare", "systemctl")
def test_systemd_user_units(ada: dict[str, str]) -> None:
    """A real manager starts the timer, and that the service. Its minute is a second here."""
    service, timer, start = blocks(RECIPES, "systemd user units")
    units = Path(ada["HOME"], ".config/systemd/user")
    write(units / "opencode-models.service", service)
    write(units / "opencode-models.timer", timer.replace("OnStartupSec=1min", "AccuracySec=1ms\nOnStartupSec=1s"))
    if not IS_ROOT:
        pytest.skip("only root can start a manager beside the system's")
    file = Path(ada["HOME"], ".config/opencode/config.json")
    script = CONFINED.format(manager=shlex.quote(MANAGER.format(start=start, file=file)))
    namespaces = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    done = run([*namespaces, "bash", "-euo", "pipefail", "-c", script], {name: ada[name] for name in ("HOME", "PATH")})
    assert (done.status, done.stdout) == (0, "success\n"), done
    assert said(bash("opencode run hi", ada)) == ["opencode run hi: gpt-4o"]


@pytest.fixture
def as_login(ada: dict[str, str], tmp_path: Path) -> Callable[..., Finished]:
    """Return a way to run a script where `ada` is a user of the system: root by another name, with her own home."""
    if not IS_ROOT or subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode:
        pytest.skip("only root can make a user for the time of a test")
    users = write(tmp_path / "passwd", Path("/etc/passwd").read_text() + f"ada:x:0:0::{ada['HOME']}:/bin/bash\n")
    write(Path(ada["HOME"], ".profile"), 'PATH="$HOME/.local/bin:$PATH"\n')

    def login(script: str, environment: Mapping[str, str]) -> Finished:
        mounted = f"mount --bind {users} /etc/passwd\n{script}"
        return run(["unshare", "--mount", "bash", "-euo", "pipefail", "-c", mounted], environment)

    return login


@pytest.mark.needs("sudo", "unshare")
def test_sudo(as_login: Callable[..., Finished], ada: dict[str, str], proxy: StubProxy) -> None:
    other, root = blocks(RECIPES, "sudo")
    assert said(as_login(other, ada)) == ["opencode run hi: gpt-4o"]

    Path(ada["HOME"], CONFIGURATION).unlink()
    own = {**ada, "OPENCODE_LITELLM_URL": proxy.url, "LITELLM_API_KEY": "sk-right"}
    # Root's own home is not this test's to write into.
    script = root.replace("sudo ", "sudo -u ada -H ")
    assert said(as_login(script, own)) == ["opencode run hi: gpt-4o"]


@pytest.mark.needs("ssh", "sshd", "ssh-keygen", "unshare")
def test_ssh(as_login: Callable[..., Finished], ada: dict[str, str], tmp_path: Path) -> None:
    port = free_port()
    command, profile = blocks(RECIPES, "ssh")
    keys = tmp_path / "keys"
    keys.mkdir(mode=0o700)
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", keys / name], check=True)
    server = {
        "Port": port, "ListenAddress": "127.0.0.1", "HostKey": keys / "host", "PidFile": "none", "UsePAM": "no",
        "AuthorizedKeysFile": keys / "user.pub", "StrictModes": "no", "PermitRootLogin": "yes",
    }  # fmt: skip
    client = {
        "HostName": "127.0.0.1", "Port": port, "User": "ada", "IdentityFile": keys / "user", "BatchMode": "yes",
        "UserKnownHostsFile": keys / "known", "StrictHostKeyChecking": "accept-new", "LogLevel": "ERROR",
    }  # fmt: skip
    for name, settings, begin in (("sshd", server, ""), ("ssh", client, "Host host\n")):
        write(keys / name, begin + "".join(f"{option} {value}\n" for option, value in settings.items()))
    # The last line is one that somebody types into a login shell.
    write(Path(ada["HOME"], ".bash_profile"), f'PATH="$HOME/.local/bin:$PATH"\n{profile}')
    ssh = f"ssh -F {keys}/ssh"
    script = f"""
        mkdir -p /run/sshd
        {tools.program("sshd")} -D -e -f {keys}/sshd 2>{keys}/log &
        trap 'kill $!' EXIT
        for each in {{1..100}}; do grep -qs listening {keys}/log && break; sleep 0.02; done
        {command.replace("ssh", ssh, 1)}
        echo 'opencode run typed; exit' | {ssh} -tt host | grep -o 'opencode run typed: .*' | tr -d '\\r'
    """
    assert said(as_login(script, ada)) == ["opencode run hi: gpt-4o", "opencode run typed: gpt-4o"]


@pytest.mark.needs("tmux")
def test_tmux(ada: dict[str, str], tmp_path: Path) -> None:
    _, profile = blocks(RECIPES, "ssh")
    (recipe,) = blocks(RECIPES, "tmux")
    write(Path(ada["HOME"], ".bash_profile"), f'PATH="$HOME/.local/bin:$PATH"\n{profile}')
    tmux = f"tmux -S {tmp_path}/tmux -f /dev/null"
    script = f"""
        {tmux} new-session -d 'sleep 30'; trap '{tmux} kill-server' EXIT
        export LITELLM_API_KEY=sk-later
        {recipe.replace("tmux", tmux)}
        {tmux} new-window
        {tmux} send-keys 'opencode run "$LITELLM_API_KEY" >{tmp_path}/new && mv {tmp_path}/new {tmp_path}/said' Enter
        for each in {{1..100}}; do test -e {tmp_path}/said && break; sleep 0.05; done
        cat {tmp_path}/said
    """
    settings = Path(ada["HOME"], CONFIGURATION)
    settings.write_text(settings.read_text().replace('"model"', '"apiKey": "sk-right", "model"'))
    assert said(bash(script, {**ada, "SHELL": "/bin/bash"})) == ["opencode run sk-later: gpt-4o"]


DOCKER = """#!{python}
# What docker does with these options, without a container: a new environment, and a program in it.
import os, subprocess, sys
words, given, folder = iter(sys.argv[2:]), {{}}, "/"
for word in words:
    if word == "-e":
        name, equals, value = next(words).partition("=")
        given[name] = value if equals else os.environ[name]
    elif word == "--env-file":
        given |= dict(line.split("=", 1) for line in open(next(words)).read().splitlines())
    elif word in ("-v", "-w", "--network", "--add-host"):
        next(words)
    elif not word.startswith("-"):
        break
assert word == "IMAGE", word
home = {{"HOME": "{home}", "PATH": "{path}"}}
sys.exit(subprocess.run(["/usr/bin/env", *{entrypoint}, *words], env=home | given).returncode)
"""


def test_docker(ada: dict[str, str], proxy: StubProxy, tmp_path: Path) -> None:
    dockerfile, inside, outside = blocks(RECIPES, "Docker")
    entrypoint = json.loads(dockerfile.rpartition("ENTRYPOINT ")[2])
    path = ada["PATH"]
    docker = Path(ada["HOME"], ".local/bin/docker")

    def container(entrypoint: list[str]) -> None:
        home = tmp_path / "root"
        home.mkdir(exist_ok=True)
        write(docker, DOCKER.format(python=sys.executable, home=home, path=path, entrypoint=entrypoint)).chmod(0o755)

    container(entrypoint)
    host = {**ada, "LITELLM_API_KEY": "sk-right"}
    script = inside.replace("http://host.docker.internal:4000", proxy.url).replace("IMAGE", "IMAGE run hi")
    assert said(bash(script, host)) == ["opencode run hi: gpt-4o"]

    container([])
    script = outside.replace("IMAGE opencode", "IMAGE opencode run hi")
    assert said(bash(script, host)) == ["opencode run hi: gpt-4o"]
    assert "sk-right" not in Path(ada["HOME"], "opencode.env").read_text()


def without_installers(environment: dict[str, str]) -> dict[str, str]:
    """Replace npm and pipx by programs that do nothing, because everything is installed."""
    for name in ("npm", "pipx"):
        write(Path(environment["HOME"], ".local/bin", name), "#!/bin/sh\n").chmod(0o755)
    return environment


def test_dev_containers(ada: dict[str, str], proxy: StubProxy, tmp_path: Path) -> None:
    (text,) = blocks(RECIPES, "Dev containers")
    container = json.loads(text.replace("http://host.docker.internal:4000", proxy.url))
    Path(ada["HOME"], CONFIGURATION).unlink()
    Path(ada["HOME"], STORED_KEY).unlink()
    Path(ada["HOME"], ".bashrc").unlink()
    created = run(["sh", "-c", container["postCreateCommand"]], without_installers(ada), tmp_path)
    assert created.status == 0, created
    remote = container["remoteEnv"]
    assert remote.pop("LITELLM_API_KEY") == "${localEnv:LITELLM_API_KEY}"
    terminal = run(["bash", "-ic", "opencode run hi"], ada | remote | {"LITELLM_API_KEY": "sk-right"})
    assert terminal.stdout == "opencode run hi: gpt-4o\n"


def test_github_actions(ada: dict[str, str], proxy: StubProxy, tmp_path: Path) -> None:
    import yaml

    (text,) = blocks(RECIPES, "GitHub Actions")
    (job,) = yaml.safe_load(text.replace(ADDRESS, proxy.url))["jobs"].values()
    Path(ada["HOME"], CONFIGURATION).unlink()
    Path(ada["HOME"], STORED_KEY).unlink()
    file = write(tmp_path / "github_env", "")
    environment = {**without_installers(ada), **job["env"], "GITHUB_ENV": str(file)}
    assert environment.pop("LITELLM_API_KEY") == "${{ secrets.LITELLM_API_KEY }}"
    environment["LITELLM_API_KEY"] = "sk-right"
    outputs = []
    for step in job["steps"]:
        if "run" in step:
            done = bash(step["run"], environment, tmp_path)
            assert (done.status, done.stderr) == (0, ""), done
            outputs.append(done.stdout)
            environment |= of_github(file.read_text())
    assert outputs[-1] == "opencode run -m litellm/gpt-4o Review this pull request: gpt-4o\n"
    assert "sk-right" not in file.read_text()


def of_github(text: str) -> dict[str, str]:
    """Return the variables that GitHub gives to later steps for what a step has written."""
    return {match[1]: match[3] for match in re.finditer(r"(?ms)^(\w+)<<(\S+)\n(.*?)\n\2$", text)}


def test_a_whole_company(ada: dict[str, str], proxy: StubProxy, tmp_path: Path) -> None:
    snippet, made, crontab, service_key = (
        as_here(text, proxy).replace("/etc/", f"{tmp_path}/etc/") for text in blocks(RECIPES, "A whole company")
    )
    etc = tmp_path / "etc"
    write(etc / "profile.d/opencode-litellm.sh", snippet)
    write(etc / "opencode-litellm.key", "sk-right\n")
    write(etc / "opencode-litellm.env", service_key.replace("sk-of-the-service", "sk-right"))
    (etc / "opencode").mkdir()
    for file in (CONFIGURATION, STORED_KEY, ".bashrc"):
        Path(ada["HOME"], file).unlink()
    root = {"HOME": str(tmp_path), "PATH": ada["PATH"], "OPENCODE_TEST_MANAGED_CONFIG_DIR": str(etc / "opencode")}

    done = bash(made, root)
    assert (done.status, done.stdout, done.stderr) == (0, "", "")
    managed = etc / "opencode/opencode.json"
    proxy.serve(["gpt-4o", "new-model"])
    done = run(["/bin/sh", "-c", crontab.split(None, 5)[5]], root)
    assert (done.status, done.stdout, done.stderr) == (0, "", "")
    configuration = json.loads(managed.read_text())["provider"]["litellm"]
    assert configuration["options"]["apiKey"] == "{env:LITELLM_API_KEY}"
    assert list(configuration["models"]) == ["gpt-4o", "new-model"]
    assert managed.stat().st_mode & 0o777 == 0o644
    assert "sk-right" not in managed.read_text()

    # Whoever logs in, with a key of their own.
    proxy.serve(["gpt-4o", "new-model", "newest-model"])
    login = f". {etc}/profile.d/opencode-litellm.sh\nopencode run hi\n"
    own = {**root, **ada, "LITELLM_API_KEY": "sk-right"}
    done = bash(login, own)
    assert said(done) == ["opencode run hi: gpt-4o new-model newest-model"]
