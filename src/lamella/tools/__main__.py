"""The command `lamella`, or why it cannot start.

Outside of `cli`, whose package `click` comes with the extras only.
"""

from __future__ import annotations

import sys

from lamella.tools import MISSING


def main() -> None:
    """Run the command. Raises SystemExit, with a message where no extra is installed."""
    try:
        from lamella.tools.cli import main as command
    except ModuleNotFoundError as error:
        sys.exit(MISSING.format("lamella", error.name, "local"))
    command()


if __name__ == "__main__":
    main()
