"""The command `lamina`: each subcommand is a module of its own, and one row here."""

from __future__ import annotations

import click

from .check import check
from .compile import compile_command
from .run import run
from .websocket_init import websocket


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="lamina")
def main() -> None:
    """Run ASGI applications on AWS Lambda, and on a Lambda of your own."""


main.add_command(run)
main.add_command(check)
main.add_command(compile_command)
main.add_command(websocket)

if __name__ == "__main__":
    main()
