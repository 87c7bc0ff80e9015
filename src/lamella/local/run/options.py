"""What the command line of `lamella run` says."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Options:
    """The command line, checked by click."""

    app: str | None
    template: Path | None
    function: str | None
    front_door: str | None
    port: int
    host: str
    layer: Path | None
    task_root: Path | None
    python: str | None
    env: tuple[str, ...]
    env_files: tuple[Path, ...]
    timeout: float | None
    memory: int | None
    concurrency: int
    freeze: bool
    limits: bool
    debug: bool
    reload: bool
    watched: tuple[Path, ...]
    stage: str | None
    base: str
    stream: bool | None
    hold_chunks: bool
    binary: tuple[str, ...]
    routes: tuple[str, ...]
    spread: int | None
    lambda_logs: bool
    console: bool
    tries: tuple[str, ...]
    managed: int | None
    snap_start: bool
    public_hosts: tuple[str, ...]
