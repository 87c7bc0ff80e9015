"""The command `lamella` and its tools. Not in the layer."""

MISSING = (
    "The command `{}` needs {!r}, which is not installed. Functions on Lambda do not need its "
    'packages, so they are an extra: pip install "lamella[{}]"'
)
"""Takes a command, the package that it lacks, and the extra that has it."""
