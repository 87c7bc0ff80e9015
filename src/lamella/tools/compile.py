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
    try:
        target = resolved(Request(directory, layers=layers, **options))
        if check:
            _check(target)
            return
        compiled, gain = _compiled(target, measure)
    except TargetError as error:
        raise click.UsageError(str(error)) from error
    except CompileError as error:
        raise click.ClickException(str(error)) from error
    if not as_json:
        _show(target, compiled, gain)
        return
    report = {
        "directory": str(target.folder),
        "python": {"path": target.interpreter.path, "minor": target.interpreter.minor},
        **compiled._asdict(),
        "import": None if isinstance(gain, str) else gain._asdict(),
        "not_measured": gain if isinstance(gain, str) else None,
    }
    click.echo(json.dumps(report, indent=1))


def _check(target: Target) -> None:
    """Raises click.ClickException where bytecode lacks."""
    found, minor = states(target.folder, target.interpreter), target.interpreter.minor
    if lacking := found.total() - found[State.UNCHECKED]:
        raise click.ClickException(
            f"{target.folder}: {lacking} of {found.total()} modules have no bytecode of their own "
            f"source for Python {minor}. {found[State.CHANGED]} of them have that of an older "
            "source. Run lamella compile."
        )


def _compiled(target: Target, measure: bool) -> tuple[Compiled, Gain | str]:
    """Compile the folder, and time the import before and after: the gain, or why there is none."""
    if not measure:
        return compile_folder(target), "switched off (--no-measure)."
    try:
        before = import_ms(target)
    except NotMeasured as error:
        return compile_folder(target), str(error)
    compiled = compile_folder(target)
    if not compiled.written:
        return compiled, f"nothing changed; the application imports in {before:.0f} ms."
    try:
        return compiled, Gain(before, import_ms(target))
    except NotMeasured as error:
        return compiled, str(error)


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


def _show(target: Target, compiled: Compiled, gain: Gain | str) -> None:
    python = target.interpreter
    click.echo(
        f"{target.folder}: bytecode for Python {python.minor}: {compiled.written} modules "
        f"written, {compiled.unchanged} had it already."
    )
    if compiled.failed:
        name, why = next(iter(compiled.failed.items()))
        count = len(compiled.failed)
        click.echo(f"{count} skipped, which do not compile, for example {name} ({why}).")
    if isinstance(gain, str):
        click.echo(f"The gain was not measured: {gain}")
        return
    share = gain.after_ms / gain.before_ms
    click.echo(
        f"The application imports in {gain.after_ms:.0f} ms instead of {gain.before_ms:.0f} "
        f"ms ({share:.2f} of it), measured on this machine as from the zip."
    )
