"""How long a function's application takes to import, as Lambda would find its folder."""

from __future__ import annotations

import tempfile
from pathlib import Path

from lamella.local.machine.limits import Limits, enforceable
from lamella.tools.check.probing import run_probe
from lamella.tools.check.target import Target, lay_out

RUNS = 5


class NotMeasured(Exception):
    """The application cannot be imported here; the message says why."""


def import_ms(target: Target) -> float:
    """The fastest of five imports in fresh processes, in milliseconds, after one to warm up.

    The fastest, because whatever else the machine does can only slow an import down.

    The modules have the date of SAM's zip (see check/probe.py), so that bytecode counts as it
    would on Lambda. Raises `NotMeasured`, and `TargetError` if the layer is not a layer of Lamella.
    """
    with tempfile.TemporaryDirectory(prefix="lamella-opt-") as directory:
        opt = Path(directory)
        lay_out(target.layers, opt)
        limits, _ = enforceable(Limits())
        took = []
        for _ in range(RUNS + 1):
            probe = run_probe(target, opt, limits, lifespan=False)
            if probe.import_ms is None:
                raise NotMeasured(
                    probe.error["message"] if probe.error else "the probe says nothing"
                )
            took.append(probe.import_ms)
        return min(took[1:])
