"""`lamella compile`: bytecode that is usable on Lambda, for a function's whole folder.

Why it is needed: docs/check-and-compile.md.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import click

from lamella.local.machine.bytecode import State, modules, states
from lamella.tools import bytecode_writer
from lamella.tools.check.command import FOLDER, target_options
from lamella.tools.check.target import Request, Target, TargetError, resolved
from lamella.tools.measure import NotMeasured, import_ms


class CompileError(Exception):
    """The bytecode could not be written; the message says what to change."""


class Compiled(NamedTuple):
    """Numbers of modules, and why those that were skipped do not compile, by path."""

    written: int
    unchanged: int
    failed: dict[str, str]


class Gain(NamedTuple):
    """The application's import as it comes out of the zip, before and after, in milliseconds."""

    before_ms: float
    after_ms: float


@click.command("compile")
@click.argument("directory", metavar="DIR", type=FOLDER)
@target_options
@click.option("--measure/--no-measure", default=True, help="Import the application to time it.")
@click.option("--check", is_flag=True, help="Write nothing; fail where bytecode lacks.")
@click.option("--json", "as_json", is_flag=True, help="A report for programs.")
def compile_command(
    directory: Path,
    measure: bool,
    check: bool,
    as_json: bool,
    layers: tuple[Path, ...],
    **options: Any,
) -> None:
    """Write bytecode that Lambda can use beside every module of DIR.

    Run it between `sam build` and `sam deploy`: compile .aws-sam/build/Function. Without it every
    cold start compiles every module anew, because the zip's dates make ordinary bytecode stale.
    """
    gain, reason = None, "switched off (--no-measure)."
    try:
        target = resolved(Request(directory, layers=layers, **options))
        if check:
            found = states(target.folder, target.interpreter)
            old, minor = found[State.CHANGED], target.interpreter.minor
            if lacking := found.total() - found[State.UNCHECKED]:
                raise click.ClickException(
                    f"{target.folder}: {lacking} of {found.total()} modules have no bytecode of "
                    f"their own source for Python {minor}. {old} of "
                    "them have that of an older source. Run lamella compile."
                )
            return
        before = None
        if measure:
            try:
                before = import_ms(target)
            except NotMeasured as error:
                reason = str(error)
        compiled = compile_folder(target)
        if before is not None and compiled.written:
            gain = Gain(before, import_ms(target))
        elif before is not None:
            reason = f"nothing changed; the application imports in {before:.0f} ms."
    except TargetError as error:
        raise click.UsageError(str(error)) from error
    except CompileError as error:
        raise click.ClickException(str(error)) from error
    if not as_json:
        _show(target, compiled, gain, reason)
        return
    report = {
        "directory": str(target.folder),
        "python": {"path": target.interpreter.path, "minor": target.interpreter.minor},
        **compiled._asdict(),
        "import": gain._asdict() if gain else None,
        "not_measured": None if gain else reason,
    }
    click.echo(json.dumps(report, indent=1))


def compile_folder(target: Target) -> Compiled:
    """Write unchecked-hash bytecode for every module of the folder; again it changes nothing.

    Modules that do not compile (templates, Python 2) are counted and left alone. Raises
    `CompileError`.
    """
    folder = target.folder
    names = [str(module.relative_to(folder)) for module in modules(folder)]
    # -I: nothing of this shell's; a fixed hash seed is of no use then, and since 3.11 not needed.
    command = [target.interpreter.path, "-I", "-S", "-B", bytecode_writer.__file__, str(folder)]
    done = subprocess.run(command, input="\n".join(names), capture_output=True, text=True)
    if done.returncode:
        raise CompileError(_explained(folder, done.stderr))
    return Compiled(**json.loads(done.stdout))


def _explained(folder: Path, stderr: str) -> str:
    last = stderr.strip().splitlines()[-1] if stderr.strip() else "the interpreter said nothing"
    if last.startswith(("PermissionError", "OSError", "FileExistsError", "NotADirectoryError")):
        return (
            f"{folder} cannot be written into ({last}): run this as the user who built it, on a "
            "folder that is not read-only, before the deploy."
        )
    return f"{folder} could not be compiled: {last}"


def _show(target: Target, compiled: Compiled, gain: Gain | None, reason: str) -> None:
    python = target.interpreter
    click.echo(
        f"{target.folder}: bytecode for Python {python.minor}: {compiled.written} modules "
        f"written, {compiled.unchanged} had it already."
    )
    if compiled.failed:
        name, why = next(iter(compiled.failed.items()))
        count = len(compiled.failed)
        click.echo(f"{count} skipped, which do not compile, for example {name} ({why}).")
    if gain:
        share = gain.after_ms / gain.before_ms
        click.echo(
            f"The application imports in {gain.after_ms:.0f} ms instead of {gain.before_ms:.0f} "
            f"ms ({share:.2f} of it), measured on this machine as from the zip."
        )
    else:
        click.echo(f"The gain was not measured: {reason}")
