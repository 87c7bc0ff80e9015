"""`lamella layer`: the layer that is installed with the package, or another one."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import click

from lamella.local.machine.layer import LayerError, find_layer
from lamella.tools.layer import contents, unpacking
from lamella.tools.layer.contents import Contents
from lamella.tools.layer.publishing.command import publish

ZIP = click.option(
    "--layer",
    "given",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Another layer than the installed one.",
)


@click.group("layer", short_help="The prebuilt layer: find, unpack and publish it.")
def layer() -> None:
    """The prebuilt layer: where it is, what is in it, and a way into deploy tools."""


@layer.command("path")
@ZIP
def path_command(given: Path | None) -> None:
    """Print the path of the layer's zip."""
    click.echo(_found(given))


@layer.command("unpack", short_help="Unpack the layer into DIR, as it is in /opt.")
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))
@ZIP
def unpack_command(directory: Path, given: Path | None) -> None:
    """Unpack the layer into DIR, which then holds what Lambda has at /opt.

    Files of an older layer in DIR that this one does not have are removed; no others are.

    For a makefile build of SAM: lamella layer unpack "$(ARTIFACTS_DIR)".
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise click.ClickException(
            f"{directory} cannot be made: {error.strerror}. Name another folder."
        ) from error
    try:
        done = unpacking.replace(_found(given), directory)
    except LayerError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"unpacked into {directory}", err=True)
    if done.removed:
        click.echo(f"removed what only the older layer had: {', '.join(done.removed)}", err=True)
    if done.kept:
        names = ", ".join(done.kept)
        click.echo(
            f"kept, because they were changed since: {names}. Remove them unless they are yours",
            err=True,
        )


@layer.command("info")
@ZIP
@click.option("--json", "as_json", is_flag=True, help="A report for programs.")
def info_command(given: Path | None, as_json: bool) -> None:
    """Say which release the layer is, its size and its sha256."""
    path, holds = _read(given)
    bytecode = holds.manifest["bytecode"]
    about: dict[str, Any] = {
        "path": str(path),
        "version": holds.manifest["version"],
        "bytecode": sorted(bytecode, key=lambda minor: int(minor.partition(".")[2])),
        "bytes": path.stat().st_size,
        "unpacked_bytes": sum(map(len, holds.files.values())),
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
    }
    if as_json:
        click.echo(json.dumps(about, indent=1))
        return
    about["bytecode"] = ", ".join(about["bytecode"])
    for name, value in about.items():
        click.echo(
            f"{name.replace('_', ' '):15} {value:,}"
            if isinstance(value, int)
            else f"{name:15} {value}"
        )


@layer.command("verify", short_help="Check a layer's ZIP against its own manifest.")
@click.argument("zip_file", metavar="[ZIP]", required=False, type=click.Path(path_type=Path))
def verify_command(zip_file: Path | None) -> None:
    """Check a layer's ZIP (the installed one, if none is named) against its own manifest.

    It refuses a zip that could unpack to something else than it shows. Whether a zip holds what
    the source code builds, only `make verify` in a checkout of Lamella can tell.
    """
    path, holds = _read(zip_file)
    if altered := contents.altered(holds):
        raise click.ClickException(f"{path} is not as it was built: {', '.join(altered)}.")
    count, version = len(holds.manifest["files"]), holds.manifest["version"]
    click.echo(f"verified {count} files of Lamella {version}, as the manifest of {path} lists them")
    if added := contents.added(holds):
        click.echo(f"added after the build, and loaded by nothing: {', '.join(added)}")


layer.add_command(publish)


def _read(given: Path | None) -> tuple[Path, Contents]:
    path = _found(given)
    try:
        return path, contents.read(path)
    except LayerError as error:
        raise click.ClickException(f"{error}.") from error


def _found(given: Path | None) -> Path:
    try:
        return find_layer(given)
    except LayerError as error:
        raise click.ClickException(str(error)) from error
