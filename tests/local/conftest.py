"""A function whose runtime is fake_runtime.py, and environments of it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lamella.local.config import FunctionConfig
from lamella.local.execution.sandbox import ManagedSandbox, Sandbox
from tests.local.command import Cli, Start
from tests.waiting import PATIENCE

Configure = Callable[..., FunctionConfig]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def wrapper(tmp_path: Path) -> Path:
    """fake_runtime.py as an executable, the way a layer's bootstrap is one."""
    script = tmp_path / "opt" / "bootstrap"
    script.parent.mkdir()
    source = (Path(__file__).parent / "fake_runtime.py").read_text()
    script.write_text(f"#!{sys.executable}\n{source}")
    script.chmod(0o755)
    return script


@pytest.fixture
def configure(tmp_path: Path, wrapper: Path) -> Configure:
    """A FunctionConfig of the fake runtime; `environment` and others as keyword arguments."""
    (tmp_path / "task").mkdir()

    def make(**options: Any) -> FunctionConfig:
        options.setdefault("wrapper", wrapper)
        options.setdefault("timeout", 30.0)
        return FunctionConfig(tmp_path / "task", **options)

    return make


@pytest.fixture
def patient_shutdown(monkeypatch: pytest.MonkeyPatch) -> None:
    """A runtime that ends by itself has more time than Lambda's half a second: this machine may
    be busy."""
    for kind in (Sandbox, ManagedSandbox):
        monkeypatch.setattr(kind, "grace", PATIENCE)


@pytest.fixture
def start(tmp_path: Path, wrapper: Path) -> Iterator[Start]:
    """Start `lamella run pkg.app:app` with the fake layer, on a free port."""
    running: list[Cli] = []

    def begin(*arguments: str, app: str | None = "pkg.app:app") -> Cli:
        base = ("run", *([app] if app else []), "--port", "0", "--layer", str(wrapper.parent))
        running.append(Cli(*base, *arguments, cwd=tmp_path))
        return running[-1]

    yield begin
    for cli in running:
        cli.close()
