"""Watches how Python comes by the modules in a folder, from the interpreter's first steps on.

Python imports a module of this name by itself before it runs a script, so a PYTHONPATH with
this folder is all it needs. An audit hook (PEP 578) sees what no caller can hide or undo: each
compilation, and each file that is opened. A stat is no event, and none would tell anything:
importlib looks up every source's date before it reads the bytecode, and then compares the two
or not. Whether it compares is written in the bytecode's header (PEP 552), which `report` reads.

WATCHED_FOLDER names the folder.
"""

import os
import sys

UNCHECKED_HASH = 0b01
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT

folder = os.environ["WATCHED_FOLDER"].rstrip("/") + "/"
compiled, sources, written, loaded = [], [], [], []


def watch(event, args):
    """The audit hook: keeps what concerns the folder."""
    if event == "compile":
        note(compiled, args[1])
    elif event == "open":
        path, _, flags = args
        if flags & WRITES:
            note(written, path)
        elif str(path).endswith(".pyc"):
            note(loaded, path)
        elif str(path).endswith(".py"):
            note(sources, path)


def note(paths, path):
    """Keep `path` if it is below the folder."""
    path = os.fsdecode(path) if isinstance(path, (str, bytes)) else ""
    if path.startswith(folder):
        paths.append(path.removeprefix(folder))


def report():
    """What was seen until now, as paths in the folder by what happened to them."""
    read = [path for path in loaded if os.path.exists(folder + path)]  # it may be sought in vain
    return {
        "compiled": list(compiled),
        "source read": list(sources),
        "written": list(written),
        "compared with its source": [path for path in read if flags_of(path) != UNCHECKED_HASH],
        "loaded": read,
    }


def flags_of(path):
    """The second word of a .pyc: bit 0 says that it holds a hash, bit 1 that it is checked."""
    with open(folder + path, "rb") as file:
        return int.from_bytes(file.read(8)[4:], "little")


sys.addaudithook(watch)
