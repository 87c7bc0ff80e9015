"""The command `lamella`, or why it cannot start.

Outside of `cli`, whose packages come with the extra `local` only.
"""

from __future__ import annotations

import sys

MISSING = (
    "The command `lamella` needs {!r}, which is not installed. Functions on Lambda do not need its "
    'packages, so they are an extra: pip install "lamella[local]"'
)


def main() -> None:
    """Run the command. Raises SystemExit, with a message where the extra is not installed."""
    try:
        from lamella.tools.cli import main as command
    except ModuleNotFoundError as error:
        sys.exit(MISSING.format(error.name))
    command()


if __name__ == "__main__":
    main()
