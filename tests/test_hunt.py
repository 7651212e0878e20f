"""Random cases: no secret reaches anybody but those that `hunt.rights` names, whatever a user wrote and did."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import pytest
from hunt.cases import Case, Section, Step, draw
from hunt.driver import PORTS, Happening, World, hunt
from hunt.street import Neighbour, live, neighbour
from world.draws import draws
from world.network import own_loopback
from world.stub import StubProxy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SEED = 15
CASES = draws("HUNT_CASES", in_ci=1000, by_hand=60)
PARTS = 4
# Those that go through the real opencode. All in one start share the variables of HTTP proxies.
LIVE_CASES = draws("LIVE_CASES", in_ci=40, by_hand=8)
PROXIED = {"HTTP_PROXY": "COMPANY"}
LIVE: tuple[tuple[dict[str, str], range], ...] = (
    ({}, range(LIVE_CASES * 3 // 4)), (PROXIED, range(LIVE_CASES * 3 // 4, LIVE_CASES)),
)  # fmt: skip


@pytest.fixture
def world() -> Iterator[World]:
    with own_loopback(PORTS), World() as made:
        yield made


@pytest.mark.usefixtures("opencode")
def test_the_real_opencode_sends_what_the_hunt_says(world: World, tmp_path: Path) -> None:
    streets: dict[tuple[tuple[str, str], ...], list[Neighbour]] = {}
    for ways, numbers in LIVE:
        for number, _, found in hunt(world, SEED, numbers, ways):
            each = neighbour(number, *found.opencode)
            streets.setdefault(each.ways, []).append(each)
    with StubProxy(port=PORTS[0]) as detected:
        servers = {server.root: server for server in (*world.named.values(), world.company, detected)}
        for number, street in enumerate(streets.values()):
            assert list(live(street, tmp_path / str(number), servers)) == []


@pytest.mark.long
@pytest.mark.parametrize("part", range(PARTS))
def test_no_secret_reaches_whom_it_is_not_for(part: int, world: World) -> None:
    numbers = range(CASES // PARTS * part, CASES // PARTS * (part + 1))
    wrong = {number: found.violations for number, _, found in hunt(world, SEED, numbers) if found.violations}
    assert not wrong, f"make hunt ARGS='--seed {SEED} --first {min(wrong)} --cases 1' shows the first one"


def test_the_hunt_sees_a_key_that_goes_elsewhere(world: World, tmp_path: Path) -> None:
    stated = Section("global", address="a", key="literal")
    other = Case(files={("global", ""): {"litellm": Section("global", address="b", key="literal")}}, steps=())
    happening = Happening(
        Case(files={("global", ""): {"litellm": stated}}, steps=(Step("launch"),)), world, tmp_path / "home"
    )
    happening.case = Case(files=other.files, steps=happening.case.steps)  # as if the file had said so
    assert "a got sk-key-global-9f3" in happening.run().violations


def test_a_case_follows_from_its_seed_and_its_number() -> None:
    once, again = ([draw(Random(f"1 {number}")) for number in range(50)] for _ in range(2))  # noqa: S311
    assert once == again
