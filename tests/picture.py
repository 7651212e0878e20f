"""Draw the pictures of the README: a real terminal, with the real opencode and the real LiteLLM in it.

Run by ``make picture``, which writes `docs/session.svg` and `docs/picker.svg`. Everything happens in a temporary home.
"""

from __future__ import annotations

import sys
import tempfile
from contextlib import ExitStack
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text
from world import tools
from world.home import end_processes, make_home, write
from world.litellm import LiteLLM
from world.terminal import Terminal
from world.upstream import Upstream

if TYPE_CHECKING:
    from collections.abc import Mapping

COLUMNS = 98
PROMPT = "\\[\\e[32m\\]$\\[\\e[0m\\] "
DOCS = tools.PROJECT / "docs"
# rich's, without its font from the net: a picture that a page shows may fetch nothing.
SVG = """\
<svg viewBox="0 0 {width} {height}" xml:space="preserve" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font-family: ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace; \
font-size: {char_height}px; line-height: {line_height}px; font-variant-east-asian: full-width; }}
.{unique_id}-title {{ font-size: 18px; font-weight: bold; font-family: sans-serif; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" />
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


def main() -> int:
    """Draw both pictures and return the exit status."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)))
        upstream = stack.enter_context(Upstream())
        print("Starting LiteLLM ...", flush=True)
        proxy = stack.enter_context(LiteLLM(folder, upstream.root, key="sk-demo"))
        home = make_home(folder / "home")
        stack.callback(end_processes, home)
        del home["OPENCODE_MODELS_PATH"]  # opencode as everybody has it
        home |= {"OPENCODE_LITELLM_URL": proxy.url, "LITELLM_API_KEY": proxy.key, "COLORTERM": "truecolor"}
        draw("session", session(home, folder), "opencode-litellm")
        draw("picker", picker(home), "opencode")
    return 0


def session(home: Mapping[str, str], folder: Path) -> str:
    """Type the commands of the README into a bash, and return its screen."""
    startup = write(folder / "bashrc", f"PS1='{PROMPT}'\nbind 'set enable-bracketed-paste off'\n")
    commands = (
        ('eval "$(opencode-litellm init bash)"', "$"),
        ("opencode-litellm models '*sonnet-4*' '*gpt-5*' '*kimi-k2*' --sort price", "models"),
        ('opencode run -m litellm/claude-sonnet-4-5 "Say hello"', "\nhello"),
    )
    shell = ["bash", "--noprofile", "--rcfile", str(startup), "-i"]
    with Terminal(shell, home, columns=COLUMNS, rows=22) as terminal:
        for command, answer in commands:
            terminal.wait_until(lambda screen: screen.endswith("$"))
            terminal.type(command)
            terminal.press("Enter")
            terminal.wait_for(answer)
        terminal.wait_until(lambda screen: screen.endswith("$"))
        return terminal.coloured()


def picker(home: Mapping[str, str]) -> str:
    """Open the list of models in opencode's interface, and return the screen."""
    project = Path(home["HOME"], "project")
    project.mkdir()
    with Terminal(["opencode-with-litellm"], home, project, columns=COLUMNS, rows=22) as terminal:
        terminal.wait_for("Ask anything")
        terminal.type("/models")
        terminal.wait_for("/models")
        terminal.press("Enter")
        terminal.wait_for("Select model")
        terminal.type("claude")
        terminal.wait_for("Claude Sonnet 4.5")
        return terminal.coloured()


def draw(name: str, screen: str, title: str) -> None:
    """Write a screen with its colours as `docs/NAME.svg`."""
    console = Console(record=True, width=COLUMNS, file=StringIO(), force_terminal=True, color_system="truecolor")
    console.print(Text.from_ansi(screen.rstrip()), end="")
    path = DOCS / f"{name}.svg"
    path.write_text(console.export_svg(title=title, theme=MONOKAI, code_format=SVG, unique_id=name))
    print(f"wrote {path.relative_to(tools.PROJECT)}")


if __name__ == "__main__":
    sys.exit(main())
