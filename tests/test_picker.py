"""What a person sees: opencode's own interface, in a terminal, with the proxy's models in its picker."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from world.litellm import LiteLLM
    from world.opencode import Opencode
    from world.terminal import Terminal


def test_the_picker_shows_the_models_by_name_and_the_picked_one_answers(
    litellm: LiteLLM, opencode: Opencode, home: dict[str, str], terminal: Callable[..., Terminal]
) -> None:
    assert opencode(home, "--version").status == 0
    settings = {"OPENCODE_LITELLM_URL": litellm.url, "LITELLM_API_KEY": litellm.key}
    screen = terminal(["opencode-with-litellm"], home | settings)

    screen.wait_for("Ask anything", seconds=60)
    screen.type("/models")
    screen.wait_for("Switch model")
    screen.press("Enter")
    screen.wait_for("Select model")
    screen.type("sonnet")
    picker = screen.wait_until(lambda shown: "Claude Sonnet 4.5" in shown and "Balanced" not in shown)
    # The model in use has a dot, and stands below the prompt as well.
    shown = [line.split("LiteLLM")[0].strip(" ┃●") for line in picker.splitlines() if "LiteLLM" in line]
    listed = [name for name in shown if not name.startswith("Build")]
    assert listed == ["Claude 3.5 Sonnet", "Claude Sonnet 4", "Claude Sonnet 4.5"]

    screen.press("Enter")
    screen.wait_for("Claude 3.5 Sonnet LiteLLM")
    screen.type("say something")
    screen.press("Enter")
    screen.wait_for("hello")
