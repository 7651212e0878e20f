"""``make hunt``: as many cases as one likes. It prints the seed, so that what it finds can be seen again."""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import fields
from secrets import randbelow

from world.network import own_loopback

from hunt.driver import PORTS, World, hunt


def main() -> int:
    """Hunt, and return 1 when something was found."""
    parser = argparse.ArgumentParser(prog="make hunt")
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=randbelow(10**6))
    parser.add_argument("--first", type=int, default=0, help="the number of the first case")
    asked = parser.parse_args()
    print(f"seed {asked.seed}", flush=True)
    began, wrong = time.monotonic(), 0
    with own_loopback(PORTS), World() as world:
        for number, case, found in hunt(world, asked.seed, range(asked.first, asked.first + asked.cases)):
            if not found.violations:
                continue
            wrong += 1
            print(f"\ncase {number}", *found.violations, sep="\n  ")
            print(*(f"    {field.name}: {getattr(case, field.name)}" for field in fields(case)), sep="\n", flush=True)
    print(f"{asked.cases} cases in {time.monotonic() - began:.0f} s, {wrong} of them wrong")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
