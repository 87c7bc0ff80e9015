"""The command `lamella` and its tools. Not in the layer."""
