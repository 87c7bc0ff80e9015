"""An example as a function: its folder as `sam build` makes it, and how each way in starts it."""

from __future__ import annotations

import shutil
from importlib.metadata import distributions
from pathlib import Path
from typing import Any, NamedTuple

from lamella.local.config import FunctionConfig
from layer.pythons import Python
from tests.e2e.packages import awslambdaric, installed
from tests.matrix.frameworks import Framework

BASE_PATH = "/api"

LIBRARY = """\
import lamella
from main import app

handler = lamella.Adapter(app, base_path="{base_path}", base_path_mode="{mode}")
"""
"""library.py, the one file that an example does not have: the library way's own handler."""


class Way(NamedTuple):
    """A way in; `handler` is "" for the bootstrap, `streaming` its invoke mode.

    `sockets` says whether WebSockets are tried: on one of each two ways that serve them alike.
    """

    name: str
    handler: str = ""
    streaming: bool = False
    sockets: bool = False


WAYS = (
    Way("buffered", sockets=True),
    Way("streamed", streaming=True),
    Way("handler", "lamella.handler", sockets=True),
    Way("library", "library.handler"),
)


class Function:
    """An example below `folder`, with its packages, for one Python and an unpacked layer.

    Raises subprocess.CalledProcessError where pip cannot install the packages.
    """

    def __init__(self, framework: Framework, python: Python, opt: Path, folder: Path) -> None:
        self.framework = framework
        self.python = python
        self.opt = opt
        self.root = folder / "task"
        self.home = folder / "home"  # is not there, as on Lambda
        self.packages: Path | None = None
        if framework.requirements:
            name = f"matrix-{framework.name}"
            self.packages = installed(python, name, *framework.requirements)
        self._build()

    def _build(self) -> None:
        shutil.copytree(self.framework.folder, self.root)
        for entry in self.packages.iterdir() if self.packages else ():
            (self.root / entry.name).symlink_to(entry)
        library = LIBRARY.format(base_path=BASE_PATH, mode=self.framework.mode)
        (self.root / "library.py").write_text(library)
        self._shipped = self._files()

    @property
    def version(self) -> str:
        """Of the framework's own distribution, "" where there is none."""
        wanted = self.framework.package
        found = distributions(path=[str(self.packages)]) if wanted else []
        return next((each.version for each in found if each.name.lower() == wanted), "")

    def written(self) -> set[str]:
        """What the application wrote where Lambda has no place for it."""
        home = {str(self.home)} if self.home.exists() else set()
        return (self._files() - self._shipped) | home

    def _files(self) -> set[str]:
        own = self.root.rglob("*")  # does not follow the links to the packages
        return {str(path) for path in own if "__pycache__" not in path.parts}

    def config(self, way: Way, mode: str) -> FunctionConfig:
        """How the function is configured for a way in and an ASGI_BASE_PATH_MODE."""
        settings = {
            "ASGI_APP": "main:app",
            "ASGI_BASE_PATH": BASE_PATH,
            "ASGI_BASE_PATH_MODE": mode,
            "ASGI_INVOKE_MODE": "response_stream" if way.streaming else "buffered",
            "HOME": str(self.home),
        }
        if not way.handler:
            return self._config(settings, wrapper=self.opt / "bootstrap")
        # The managed runtime puts the function, the layer and its own packages on the path.
        ric = awslambdaric(self.python)
        settings["PYTHONPATH"] = f"{self.root}:{self.opt}/python:{ric}"
        return self._config(settings, command=(self.python.path, "-m", "awslambdaric", way.handler))

    def _config(self, settings: dict[str, str], **start: Any) -> FunctionConfig:
        return FunctionConfig(
            task_root=self.root,
            python=self.python.path,
            environment=settings,
            timeout=20.0,
            init_timeout=30.0,  # the machine that runs the tests may be busy
            **start,
        )
