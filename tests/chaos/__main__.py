"""`python -m tests.chaos`: run the attacks, print what was tried and what was broken.

    python -m tests.chaos                          # every attack, seed 0: what `make chaos` runs
    python -m tests.chaos wire soak --scale 10     # two of them, with ten times the inputs
    python -m tests.chaos --minutes 60             # other seeds, one after the other, for an hour
    python -m tests.chaos events --seed 17         # again what another run found

Exit status 1 where a promise was broken.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import tempfile
import time
from pathlib import Path

from layer import archive, build
from tests.chaos.attack import Attack

ATTACKS = ("events", "messages", "exceptions", "wire", "processes", "managed", "soak")


def main() -> None:
    """Run, print, and say by the exit status whether every promise was kept."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.chaos",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("attacks", nargs="*", metavar="attack", help=", ".join(ATTACKS))
    parser.add_argument("--seed", type=int, default=0, help="of the first round (default: 0)")
    parser.add_argument("--scale", type=float, default=1.0, help="multiplies every count")
    parser.add_argument("--minutes", type=float, default=0.0, help="rounds until so long is over")
    parser.add_argument("--layer", type=Path, default=build.ZIP, help="that `make layer` built")
    parser.add_argument("--python", default=sys.executable, help="the interpreter under attack")
    options = parser.parse_args()
    if unknown := set(options.attacks) - set(ATTACKS):
        parser.error(f"no such attack: {', '.join(sorted(unknown))}; there are {ATTACKS}")

    end = time.monotonic() + options.minutes * 60
    broken = 0
    with tempfile.TemporaryDirectory(prefix="lamella-chaos-") as folder:
        opt = Path(folder, "opt")
        archive.unpack(options.layer, opt)
        seed = options.seed
        while True:
            print(f"--- seed {seed}", flush=True)
            for name in options.attacks or ATTACKS:
                broken += run(name, Attack(opt, options.python, seed, options.scale))
            seed += 1
            if time.monotonic() >= end:
                break
    print(f"{broken} promises broken" if broken else "every promise kept")
    raise SystemExit(1 if broken else 0)


def run(name: str, attack: Attack) -> int:
    """Run one attack and print its line; how many inputs broke its promise."""
    module = importlib.import_module(f"tests.chaos.{name}")
    started = time.monotonic()
    with attack.promise(f"seed {attack.seed}"):
        module.run(attack)
    counts = ", ".join(f"{number:,} {what}" for what, number in attack.counts.items())
    print(f"{name:10} {time.monotonic() - started:5.0f} s  {counts}", flush=True)
    if attack.broken:
        print(f"  BROKEN   {module.PROMISE}")
    for each in attack.broken:
        print("  - " + each.replace("\n", "\n    "), flush=True)
    return len(attack.broken)


if __name__ == "__main__":
    main()
