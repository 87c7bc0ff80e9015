"""The command `lamella`: each subcommand is a module of its own, and one row here."""

from __future__ import annotations

import click

from lamella.local.run import run
from lamella.tools.check import check
from lamella.tools.compile import compile_command
from lamella.tools.layer import layer
from lamella.tools.websocket_init import websocket


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="lamella")
def main() -> None:
    """Run ASGI applications on AWS Lambda, and on a Lambda of your own."""


main.add_command(run)
main.add_command(check)
main.add_command(compile_command)
main.add_command(layer)
main.add_command(websocket)

if __name__ == "__main__":
    main()
