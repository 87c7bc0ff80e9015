"""A handler of a tool that wraps the function's own, which it finds in a variable of its own."""

import importlib
import os

module, _, name = os.environ["ORIG_HANDLER"].rpartition(".")
handler = getattr(importlib.import_module(module), name)
