"""Start the probe in a fresh process, and take what it found."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import lamella
from lamella.local.machine.interpreter import folders_of
from lamella.local.machine.limits import Limits
from lamella.tools.check import probe
from lamella.tools.check.target import Target

TIME_LIMIT = 120.0
"""Seconds for import, startup and shutdown together."""


class Probe(NamedTuple):
    """What the probe found (see probe.py), and the lines it wrote to stderr."""

    found: Mapping[str, Any]
    stderr: tuple[str, ...] = ()

    @property
    def error(self) -> Mapping[str, Any] | None:
        """Type, message and frames of what kept the application from starting, or None."""
        error: Mapping[str, Any] | None = self.found.get("error")
        return error

    @property
    def import_ms(self) -> float | None:
        """Milliseconds for the application's import; None where there was none."""
        took: float | None = self.found.get("import_ms")
        return None if self.error else took


def run_probe(
    target: Target,
    opt: Path,
    limits: Limits,
    *,
    lifespan: bool = True,
    import_times: bool = False,
    origin: str = "",
) -> Probe:
    """Import (and with `lifespan` start) the function's application; `opt` stands for /opt.

    What `limits` say is enforced. With `import_times` stderr has the lines of -X importtime, which
    slow the import down a little. With an `origin` the application gets a CORS preflight from it.
    """
    with tempfile.TemporaryDirectory(prefix="lamella-probe-") as folder:
        result = Path(folder, "result.json")
        timing = ["-X", "importtime"] if import_times else []
        words = [str(opt), str(result), os.pathsep.join(target.interpreter.packages)]
        # -S hides site-packages, -B writes no bytecode: /var/task is read-only on Lambda.
        command = [target.interpreter.path, "-S", "-B", *timing, probe.__file__, *words]
        command += ["lifespan" if lifespan else "no-lifespan", origin]
        package = Path(lamella.__file__).parent
        kept = [target.folder, opt, package, *folders_of(target.interpreter.path)]
        try:
            done = subprocess.run(
                replace(limits, writable=(Path(folder),)).command(kept, command),
                cwd=target.folder,
                env=target.process_variables(),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=TIME_LIMIT,
            )
        except subprocess.TimeoutExpired:
            return Probe({"error": _ended(f"did not end within {TIME_LIMIT:g} s")})
        lines = tuple(done.stderr.decode(errors="replace").splitlines())
        found = json.loads(result.read_text()) if result.exists() else {}
        if done.returncode:
            shown = [line for line in lines if not line.startswith("import time:")][-20:]
            code = done.returncode
            signalled = f"was ended by signal {-code}"
            found["error"] = _ended(
                signalled if code < 0 else f"ended with exit status {code}", shown
            )
        return Probe(found, lines)


def _ended(how: str, lines: list[str] | None = None) -> dict[str, Any]:
    return {
        "type": "Runtime.ExitError",
        "message": f"The process {how} while it imported and started the application.",
        "frames": [f"{line}\n" for line in lines or []],
    }
