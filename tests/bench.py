"""What a launch costs, beside its rivals: interleaved runs, medians and spread, as ratios.

``make bench`` prints the tables of the README. It fails when three quarters of the rounds break a budget of
``docs/design.md``, which is more than noise. ``--rounds N`` changes how often everything is run.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import track
from rich.table import Table
from world import tools
from world.home import QUIET_OPENCODE, SYSTEM_PATH
from world.litellm import LiteLLM
from world.stub import MODEL_GROUP_INFO, MODEL_INFO, StubProxy
from world.upstream import Upstream

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

BENCH_VENV = tools.PROJECT / ".tools/bench"
LITE = tools.LITELLM.with_name("lite")
CATALOGUE_SIZE = 27  # models, as in the budgets
SIZES = (10, 100, 1_000, 10_000)

_IDS = (
    "gpt-4o", "gpt-4o-mini", "gpt-4.1", "gpt-4.1-mini", "gpt-4.1-nano", "gpt-5", "gpt-5-mini", "gpt-5-nano",
    "o3", "o3-mini", "o4-mini", "claude-sonnet-4-5", "claude-opus-4-5", "claude-haiku-4-5", "gemini/gemini-2.5-pro",
    "gemini/gemini-2.5-flash", "gemini/gemini-2.0-flash", "mistral/mistral-large-latest", "mistral/codestral-latest",
    "deepseek/deepseek-chat", "deepseek/deepseek-reasoner", "xai/grok-4", "groq/llama-3.3-70b-versatile",
    "cohere/command-r-plus", "perplexity/sonar", "text-embedding-3-small", "dall-e-3",
)  # fmt: skip


@dataclass
class Case:
    """One command to time: ``before`` prepares the state to measure, and is not timed."""

    command: Sequence[str]
    environment: Mapping[str, str]
    before: Callable[[], object] | None = None
    seconds: list[float] = field(default_factory=list)
    peak: int = 0  # KiB

    def run(self) -> None:
        """Run once, and note how long it took."""
        if self.before:
            self.before()
        with tempfile.TemporaryFile() as output:
            started = time.perf_counter()
            finished = subprocess.run(
                self.command, env=dict(self.environment), cwd=self.environment["HOME"], stdin=subprocess.DEVNULL,
                stdout=output, stderr=output, check=False,
            )  # fmt: skip
            self.seconds.append(time.perf_counter() - started)
            if finished.returncode:
                output.seek(0)
                said = output.read().decode()[-2000:]
                sys.exit(f"bench: {list(self.command)} ended with {finished.returncode}:\n{said}")

    def measure_peak(self) -> None:
        """Run once more, from a small parent, because a child's peak starts with that of its parent."""
        parent = (
            "import os, sys; child = os.spawnvpe(os.P_NOWAIT, sys.argv[1], sys.argv[1:], os.environ);"
            "print(os.wait4(child, 0)[2].ru_maxrss, file=sys.stderr)"
        )
        finished = subprocess.run(
            [sys.executable, "-c", parent, *self.command], env=dict(self.environment), cwd=self.environment["HOME"],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=True, text=True,
        )  # fmt: skip
        self.peak = int(finished.stderr)

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)


@dataclass(frozen=True)
class Budget:
    """A promise: in most rounds ``measured`` is at most ``allowed`` (both computed from a round's seconds)."""

    what: str
    rounds: int
    measured: Callable[[int], float]
    allowed: Callable[[int], float]

    @property
    def used(self) -> list[float]:
        """The share of the budget that each round used, sorted."""
        return sorted(self.measured(at) / max(self.allowed(at), 1e-9) for at in range(self.rounds))

    @property
    def is_broken(self) -> bool:
        return self.used[self.rounds // 4] > 1


def interleaved(cases: Mapping[str, Case], rounds: int, title: str) -> None:
    """Run every case once per round, after one round that is thrown away."""
    for at in track(range(rounds + 1), f"bench: {title}", console=Console(stderr=True), transient=True):
        for case in cases.values():
            case.run()
            if at == 0:
                case.seconds.clear()


def main() -> int:
    """Measure, print, and return 1 when a budget is broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    scripts = _installed()
    console = Console(width=110, color_system=None)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        upstream = stack.enter_context(Upstream())
        catalogue = _catalogue(folder)
        proxy = stack.enter_context(LiteLLM(_made(folder / "litellm"), upstream.root, catalogue=catalogue))
        budgets, plugin_adds = _against_rivals(console, folder, scripts, proxy, max(5, rounds // 2))
        budgets += _overhead(console, folder, scripts, proxy, rounds * 3, plugin_adds)
        budgets += _by_size(console, folder, scripts, rounds)
        budgets += _shell_starts(console, folder, scripts, rounds * 2)
    return _report(console, budgets)


def _report(console: Console, budgets: Sequence[Budget]) -> int:
    table = Table("budget", "used", "", title="Budgets")
    for budget in budgets:
        table.add_row(budget.what, f"{statistics.median(budget.used):.0%}", "BROKEN" if budget.is_broken else "kept")
    console.print(table)
    console.print(
        f"opencode {_version(tools.OPENCODE)}, opencode-plugin-litellm {_npm_version(tools.PLUGIN)},"
        f" LiteLLM {_pip_version(tools.LITELLM.parent, 'litellm')}, Python {platform.python_version()},"
        f" {os.cpu_count()} cores, {platform.system()} {platform.machine()}"
    )
    return 1 if any(budget.is_broken for budget in budgets) else 0


def _against_rivals(
    console: Console, folder: Path, scripts: Path, proxy: LiteLLM, rounds: int
) -> tuple[list[Budget], float]:
    """Time ``opencode models litellm`` in every way to get at the models; also return what the plugin adds."""
    opencode = [str(tools.OPENCODE), "models", "litellm"]
    ours = [str(scripts / "opencode-with-litellm"), "models", "litellm"]
    warm, cold, down = (_home(folder / name, scripts) | _at(proxy) for name in ("warm", "cold", "down"))
    down["OPENCODE_LITELLM_URL"] = _closed_port_url()
    plain = _home(folder / "plain", scripts) | _at(proxy)
    payload = subprocess.run(
        [str(scripts / "opencode-litellm"), "config"], env=plain, capture_output=True, check=True, text=True
    ).stdout
    _write_config(plain, json.loads(payload.replace("#opencode-litellm", "")))
    plugin_warm, plugin_cold = (_plugin_home(folder / f"plugin-{name}", scripts, proxy) for name in ("warm", "cold"))
    cases = {
        "opencode alone, models written by hand": Case(opencode, plain),
        "ours, warm": Case(ours, warm),
        "ours, cold": Case(ours, cold, lambda: _forget(cold)),
        "ours, proxy down": Case(ours, down, lambda: _remember(warm, down)),
        "plugin 1.2.0, warm": Case(opencode, plugin_warm),
        "plugin 1.2.0, cold": Case(opencode, plugin_cold, lambda: _forget(plugin_cold)),
    }
    if LITE.exists():
        lite = _home(folder / "lite", scripts) | {"LITELLM_PROXY_URL": proxy.url, "LITELLM_PROXY_API_KEY": proxy.key}
        cases["lite opencode"] = Case([str(LITE), "opencode", "models", "litellm"], lite)
    subprocess.run(ours, env=warm, capture_output=True, check=True)
    interleaved(cases, rounds, "against the rivals")
    base = cases["opencode alone, models written by hand"]
    _print(console, f"`opencode models litellm`, {CATALOGUE_SIZE} models, {rounds} rounds", cases, base)

    def added(name: str) -> Callable[[int], float]:
        return lambda at: cases[name].seconds[at] - base.seconds[at]

    budgets = [
        Budget(
            "cold launch: 3/4 of what the plugin adds when warm",
            rounds,
            added("ours, cold"),
            lambda at: 0.75 * added("plugin 1.2.0, warm")(at),
        )
    ]
    if "lite opencode" in cases:
        budgets += [
            Budget(f"{name}: less than lite opencode", rounds, added(name), added("lite opencode"))
            for name in ("ours, warm", "ours, cold")
        ]
    return budgets, statistics.median(map(added("plugin 1.2.0, warm"), range(rounds)))


def _overhead(
    console: Console, folder: Path, scripts: Path, proxy: LiteLLM, rounds: int, plugin_adds: float
) -> list[Budget]:
    """Time the same ways with ``true`` instead of opencode, so that only the overhead counts.

    ``plugin_adds`` is in seconds; its median is far above the noise of a start of opencode.
    """
    ours = [str(scripts / "opencode-litellm"), "exec", "--", "true"]
    warm, cold, down, mute = (
        _home(folder / f"true-{name}", scripts) | _at(proxy) for name in ("warm", "cold", "down", "mute")
    )
    down["OPENCODE_LITELLM_URL"] = _closed_port_url()
    python = str(BENCH_VENV / "bin/python")
    with StubProxy(["gpt-4o"]) as hanging:
        mute["OPENCODE_LITELLM_URL"] = hanging.url
        subprocess.run(ours, env=mute, check=True)
        hanging.answer("*", mute=True)
        cases = {
            "true": Case(["true"], warm),
            "Python, -c pass": Case([python, "-c", "pass"], warm),
            "ours, warm": Case(ours, warm),
            "ours, cold": Case(ours, cold, lambda: _forget(cold)),
            "ours, proxy down": Case(ours, down, lambda: _remember(warm, down)),
            "ours, proxy hangs": Case(ours, mute),
        }
        if LITE.exists():
            lite = _home(folder / "true-lite", scripts) | {
                "LITELLM_PROXY_URL": proxy.url,
                "LITELLM_PROXY_API_KEY": proxy.key,
            }
            (Path(lite["HOME"]) / "bin/opencode").unlink()
            (Path(lite["HOME"]) / "bin/opencode").symlink_to("/bin/true")
            cases["lite opencode"] = Case([str(LITE), "opencode"], lite)
        subprocess.run(ours, env=warm, check=True)
        interleaved(cases, rounds, "overhead")
    base, bare = cases["true"], cases["Python, -c pass"]
    _print(console, f"`true` in opencode's place, {CATALOGUE_SIZE} models, {rounds} rounds", cases, bare)

    def added(name: str) -> Callable[[int], float]:
        return lambda at: cases[name].seconds[at] - base.seconds[at]

    return [
        Budget("warm launch: 2.2 x Python", rounds, added("ours, warm"), lambda at: 2.2 * bare.seconds[at]),
        Budget(
            "warm launch: 1/8 of what the plugin adds", rounds, added("ours, warm"), lambda _: plugin_adds / 8
        ),
        Budget(
            "refused port: a warm launch", rounds, added("ours, proxy down"), lambda at: 2.2 * bare.seconds[at]
        ),
        Budget(
            "hanging proxy: a warm launch and 320 ms",
            rounds,
            added("ours, proxy hangs"),
            lambda at: cases["ours, warm"].seconds[at] + 0.32,
        ),
    ]


def _by_size(console: Console, folder: Path, scripts: Path, rounds: int) -> list[Budget]:
    """Time catalogues of every size, served by a stand-in that answers from memory."""
    launches: dict[int, Case] = {}
    configs: dict[int, Case] = {}
    with ExitStack() as stack:
        for size in SIZES:
            proxy = stack.enter_context(_large_proxy(size))
            environment = _home(folder / f"size-{size}", scripts) | {
                "OPENCODE_LITELLM_URL": proxy.url,
                "OPENCODE_LITELLM_TIMEOUT": "60",
            }
            launches[size] = Case([str(scripts / "opencode-litellm"), "exec", "--", "true"], environment)
            configs[size] = Case([str(scripts / "opencode-litellm"), "config"], environment)
        cases = {f"{size:,} models, warm launch": launches[size] for size in SIZES}
        cases |= {f"{size:,} models, cold config": configs[size] for size in SIZES}
        few = max(5, rounds // 3)
        interleaved(cases, few, "sizes")
        for case in cases.values():
            case.measure_peak()
    _print(console, f"by size, {few} rounds", cases, launches[SIZES[0]], memory=True)
    largest = SIZES[-1]
    return [
        Budget(
            "10,000 models, warm launch: 1.3 x that of 10",
            few,
            lambda at: launches[largest].seconds[at],
            lambda at: 1.3 * launches[SIZES[0]].seconds[at],
        ),
        Budget("10,000 models, cold config: 2 s", few, lambda at: configs[largest].seconds[at], lambda _: 2.0),
        Budget("10,000 models, cold config: 350 MB", few, lambda _: configs[largest].peak / 1024, lambda _: 350.0),
    ]


def _shell_starts(console: Console, folder: Path, scripts: Path, rounds: int) -> list[Budget]:
    """Time the start of a shell with each way to load a hook."""
    environment = _home(folder / "shell", scripts)
    home = Path(environment["HOME"])
    snippet = home / "snippet.bash"
    init = [str(scripts / "opencode-litellm"), "init", "bash"]
    snippet.write_text(subprocess.run(init, env=environment, capture_output=True, check=True, text=True).stdout)
    python = str(BENCH_VENV / "bin/python")
    bash = ["bash", "--norc", "--noprofile", "-c"]
    cases = {
        "bash": Case([*bash, ":"], environment),
        "Python, -c pass": Case([python, "-c", "pass"], environment),
        "opencode-litellm init bash": Case(init, environment),
        "bash, the snippet as a file": Case([*bash, f"source {snippet}"], environment),
        "bash, eval of opencode-litellm init": Case([*bash, 'eval "$(opencode-litellm init bash)"'], environment),
    }
    for name, hook in (("zoxide", "zoxide init bash"), ("direnv", "direnv hook bash")):
        if shutil.which(name):
            cases[f"bash, eval of {hook}"] = Case([*bash, f'eval "$({hook})"'], environment)
    interleaved(cases, rounds, "shell starts")
    _print(console, f"shell starts, {rounds} rounds", cases, cases["bash"])
    replayed, bare = cases["opencode-litellm init bash"], cases["Python, -c pass"]
    return [Budget("init: 2 x Python", rounds, lambda at: replayed.seconds[at], lambda at: 2 * bare.seconds[at])]


def _print(console: Console, title: str, cases: Mapping[str, Case], base: Case, *, memory: bool = False) -> None:
    table = Table("", "median", "quartiles", "ratio", *(["peak"] if memory else []), title=title, title_justify="left")
    for name, case in cases.items():
        low, _, high = statistics.quantiles(case.seconds, n=4)
        row = [
            name,
            f"{case.median * 1000:,.0f} ms",
            f"{low * 1000:,.0f} - {high * 1000:,.0f}",
            f"{case.median / base.median:.2f}",
        ]
        table.add_row(*row, *([f"{case.peak / 1024:,.0f} MB"] if memory else []))
    console.print(table)


def _installed() -> Path:
    """Install the product as users have it, not editable, and return the folder of its console scripts."""
    print("bench: installing the product into .tools/bench", file=sys.stderr)
    if not (BENCH_VENV / "bin/python").exists():
        subprocess.run([sys.executable, "-m", "venv", str(BENCH_VENV)], check=True)
    pip = [str(BENCH_VENV / "bin/python"), "-m", "pip", "-qq", "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "--upgrade", "pip"], check=True)
    subprocess.run([*pip, "install", "--force-reinstall", str(tools.PROJECT)], check=True)
    return BENCH_VENV / "bin"


def _home(folder: Path, scripts: Path) -> dict[str, str]:
    """Make a home with our console scripts and opencode first on PATH."""
    programs = _made(folder / "bin")
    for name in tools.CONSOLE_SCRIPTS:
        (programs / name).symlink_to(scripts / name)
    (programs / "opencode").symlink_to(tools.OPENCODE)
    path = os.pathsep.join((str(programs), *SYSTEM_PATH))
    return {"HOME": str(folder), "PATH": path, "LANG": "C.UTF-8"} | QUIET_OPENCODE


def _at(proxy: LiteLLM) -> dict[str, str]:
    return {"OPENCODE_LITELLM_URL": proxy.url, "LITELLM_API_KEY": proxy.key}


def _plugin_home(folder: Path, scripts: Path, proxy: LiteLLM) -> dict[str, str]:
    """Make a home where the plugin does the work, started once so that opencode has installed what it wants."""
    environment = _home(folder, scripts)
    section = {
        "npm": "@ai-sdk/openai-compatible",
        "options": {"baseURL": f"{proxy.url}/v1", "apiKey": proxy.key},
    }
    plugin = (tools.installed(tools.PLUGIN) / "src/index.ts").as_uri()
    _write_config(environment, {"plugin": [plugin], "provider": {"litellm": section}})
    # Offline, opencode's own attempt to install types for plugins must not be part of what is measured.
    for place in (Path(environment["HOME"]) / ".config/opencode", Path(environment["HOME"]) / ".opencode"):
        modules = _made(place / "node_modules/@opencode-ai")
        with suppress(FileExistsError):
            (modules / "plugin").symlink_to(tools.PLUGIN.parent / "@opencode-ai/plugin")
    print("bench: first start of the plugin", file=sys.stderr)
    subprocess.run([str(tools.OPENCODE), "models", "litellm"], env=environment, capture_output=True, check=True)
    return environment


def _write_config(environment: Mapping[str, str], value: object) -> None:
    place = _made(Path(environment["HOME"]) / ".config/opencode")
    (place / "opencode.json").write_text(json.dumps({"$schema": "https://opencode.ai/config.json"} | dict(value)))  # type: ignore[call-overload]


def _forget(environment: Mapping[str, str]) -> None:
    """Remove what we, or the plugin, which uses a folder of the same name, have cached about the proxy."""
    shutil.rmtree(Path(environment["HOME"]) / ".cache/opencode-litellm", ignore_errors=True)


def _remember(of: Mapping[str, str], environment: Mapping[str, str]) -> None:
    """Nothing to do when the home has a cache; else discover once while a proxy is there, then point to nowhere."""
    cache = Path(environment["HOME"]) / ".cache/opencode-litellm"
    if cache.exists():
        return
    port = int(environment["OPENCODE_LITELLM_URL"].rpartition(":")[2])
    with StubProxy([f"model-{number}" for number in range(CATALOGUE_SIZE)], port=port):
        program = [f"{Path(of['PATH'].split(os.pathsep)[0])}/opencode-litellm", "exec", "--", "true"]
        subprocess.run(program, env=dict(environment), check=True, capture_output=True)


def _closed_port_url() -> str:
    with StubProxy() as proxy:
        return proxy.url


def _catalogue(folder: Path) -> Path:
    path = folder / "bench.yaml"
    rows = [
        {"model_name": model, "litellm_params": {"model": _upstream(model), "api_key": "none"}} for model in _IDS
    ]
    general = {"master_key": "os.environ/LITELLM_MASTER_KEY"}
    path.write_text(json.dumps({"model_list": rows, "general_settings": general}))  # JSON is YAML
    return path


def _upstream(model: str) -> str:
    if "/" in model:
        return model
    return f"anthropic/{model}" if model.startswith("claude") else f"openai/{model}"


def _large_proxy(size: int) -> StubProxy:
    """Return a stand-in with rows as long as LiteLLM's own: 7 kB in /v1/model/info, 1 kB in /model_group/info."""
    ids = [f"vendor-{number % 40}/model-{number:05}" for number in range(size)]
    proxy = StubProxy(ids)
    info = {
        "mode": "chat", "max_input_tokens": 128_000, "max_output_tokens": 16_384, "input_cost_per_token": 2.5e-06,
        "output_cost_per_token": 1e-05, "supports_function_calling": True, "supports_vision": True,
        "litellm_provider": "openai", **{f"a_price_that_is_not_known_{number}": None for number in range(170)},
    }  # fmt: skip
    rows = [{"model_name": model, "litellm_params": {"model": model}, "model_info": info} for model in ids]
    groups = [
        {"model_group": model, "providers": ["openai"], "mode": "chat", "supported_openai_params": ["tools"] * 60}
        for model in ids
    ]
    proxy.answer(MODEL_INFO, {"data": rows})
    proxy.answer(MODEL_GROUP_INFO, {"data": groups})
    return proxy


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _version(program: Path) -> str:
    return subprocess.run([str(program), "--version"], capture_output=True, check=True, text=True).stdout.strip()


def _npm_version(package: Path) -> str:
    return str(json.loads((package / "package.json").read_text())["version"])


def _pip_version(scripts: Path, package: str) -> str:
    code = f"import importlib.metadata; print(importlib.metadata.version({package!r}))"
    command = [str(scripts / "python"), "-c", code]
    return subprocess.run(command, capture_output=True, check=True, text=True).stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
