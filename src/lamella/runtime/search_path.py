"""Where Python looks for modules: the order that the managed runtime sets up, rebuilt.

The managed runtime adds the function's and the layers' folders inside its own bootstrap.py,
which Lamella replaces; an interpreter started without it finds none of them.

Order and .pth rule: https://docs.aws.amazon.com/lambda/latest/dg/python-package.html
("Search path for Python"), and the runtime's bootstrap.py as seen in its public images.
"""

from __future__ import annotations

import os
import site
import sys
from collections.abc import Callable, Iterable, Mapping, MutableMapping

_SITE_FOLDERS = ("site-packages", "dist-packages")
"""Last parts of the interpreter's own package folders; Debian calls them dist-packages."""


def search_path(
    environ: Mapping[str, str],
    layer: str,
    initial: Iterable[str],
    version: tuple[int, int],
    exists: Callable[[str], bool] = os.path.isdir,
) -> list[str]:
    """Return `sys.path` as the managed runtime of Python `version` would have it.

    `layer` is where layers are unpacked (/opt) and `initial` what the interpreter itself put
    into `sys.path`, without the folder of the script that it runs. The function's code comes
    first, then the layers, the interpreter's packages, AWS's own (boto3), and the standard
    library. A PYTHONPATH of the user's takes the place of layers and packages: it is in
    `initial`, and nothing goes before it but the function's code and AWS's folder.
    """
    rest = list(initial)
    front = [task_root(environ)]
    if not pythonpath_is_set(environ):
        front += [path for path in layer_folders(layer, version) if exists(path)]
        front += [path for path in rest if os.path.basename(path) in _SITE_FOLDERS]
    runtime_dir = environ.get("LAMBDA_RUNTIME_DIR")
    if runtime_dir and exists(runtime_dir):
        front.append(runtime_dir)
    return list(dict.fromkeys(front + rest))  # each folder once, where it comes first


def task_root(environ: Mapping[str, str]) -> str:
    """Return the folder of the function's code; outside Lambda the current one."""
    return environ.get("LAMBDA_TASK_ROOT") or os.getcwd()


def layer_folders(layer: str, version: tuple[int, int]) -> list[str]:
    """Return the two folders of `layer` that Python packages may be in, best first."""
    major, minor = version
    return [f"{layer}/python/lib/python{major}.{minor}/site-packages", f"{layer}/python"]


def pythonpath_is_set(environ: Mapping[str, str]) -> bool:
    """Tell whether the user set PYTHONPATH; Lambda's own value does not count as that."""
    value = environ.get("PYTHONPATH")
    return value is not None and value != environ.get("LAMBDA_RUNTIME_DIR")


def install(layer: str, environ: MutableMapping[str, str] = os.environ) -> None:
    """Make `sys.path` the managed runtime's, and run the .pth files of the folders it adds.

    Called once, by the process that `runtime.py` started: its `sys.path` begins with the
    layer's python folder, and may hold the script's. As on the managed runtime the
    function's children find AWS's folder, through PYTHONPATH.
    """
    version = sys.version_info[:2]
    initial = [path for path in sys.path[1:] if path != f"{layer}/lamella"]
    sys.path[:] = search_path(environ, layer, initial, version)
    folders = [task_root(environ)]
    if not pythonpath_is_set(environ):
        folders += layer_folders(layer, version)
        if "LAMBDA_RUNTIME_DIR" in environ:
            environ["PYTHONPATH"] = environ["LAMBDA_RUNTIME_DIR"]
    for folder in filter(os.path.isdir, folders):
        site.addsitedir(folder)
