"""The command `lamina`: each subcommand is a module of its own, and one row here."""

from __future__ import annotations

import click

from .run import run


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="lamina")
def main() -> None:
    """Run ASGI applications on AWS Lambda, and on a Lambda of your own."""


main.add_command(run)

if __name__ == "__main__":
    main()
