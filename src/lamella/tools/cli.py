"""The command `lamella`: each subcommand is a module of its own, and one row here.

A subcommand is imported when it is asked for. So each starts where its own extra is installed,
and none waits for the packages of another.
"""

from __future__ import annotations

import importlib
from typing import NamedTuple

import click

from lamella.tools import MISSING


class Row(NamedTuple):
    """Where a subcommand is, and the extra that has what it needs."""

    module: str
    attribute: str
    extra: str


COMMANDS = {
    "run": Row("lamella.local.run.command", "run", "local"),
    "invoke": Row("lamella.tools.invoke", "invoke", "local"),
    "check": Row("lamella.tools.check.command", "check", "local"),
    "compile": Row("lamella.tools.compile", "compile_command", "local"),
    "layer": Row("lamella.tools.layer.command", "layer", "publish"),
    "websocket": Row("lamella.tools.websocket_init", "websocket", "local"),
}


class Commands(click.Group):
    """The subcommands of `COMMANDS`. One whose packages are missing says so when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if (row := COMMANDS.get(cmd_name)) is None:
            return None
        try:
            command = getattr(importlib.import_module(row.module), row.attribute)
        except ModuleNotFoundError as error:
            message = MISSING.format(f"lamella {cmd_name}", error.name, row.extra)

            def explain() -> None:
                raise click.ClickException(message)

            return click.Command(
                cmd_name,
                callback=explain,
                help=f'Needs pip install "lamella[{row.extra}]".',
                add_help_option=False,
                context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
            )
        assert isinstance(command, click.Command)
        return command


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="lamella")
def main() -> None:
    """Run ASGI applications on AWS Lambda, and on a Lambda of your own."""


if __name__ == "__main__":
    main()
