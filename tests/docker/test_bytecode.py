"""Bytecode in an image like Lambda's: used as it is, and made there for minors that lack."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import docker
import pytest

from layer import build, bytecode, containers, pythons
from layer.pythons import Python
from tests.docker import engine
from tests.docker.conftest import StartFunction
from tests.events import url_event
from tests.layer import monitoring

MODULE = "lamella/service.py"


def monitored(start: StartFunction, mode: str = "buffered", **options: Any) -> dict[str, Any]:
    """The monitor's report; AWS's own folder, which PYTHONPATH names, is where it sits."""
    function = start(
        task=monitoring.FOLDER,
        mounts={"/var/runtime/sitecustomize.py": monitoring.FOLDER / "sitecustomize.py"},
        ASGI_APP="monitored:app",
        ASGI_INVOKE_MODE=mode,
        WATCHED_FOLDER="/opt/python",
        **options,
    )
    function.invoke(url_event("/"))
    return monitoring.report_of(function.invoke(url_event("/")), mode)


@pytest.mark.parametrize("mode", ["buffered", "response_stream"])
def test_a_start_uses_the_bytecode_as_it_is(start: StartFunction, mode: str) -> None:
    report = monitored(start, mode)
    assert monitoring.faults(report) == {}
    assert set(report["loaded"]) == set(report["modules"])


def test_the_handler_way_does_so_too(start: StartFunction) -> None:
    report = monitored(start, handler="lamella.handler", wrapper="")
    assert monitoring.faults(report) == {}
    assert set(report["loaded"]) == set(report["modules"])


def test_the_monitor_sees_what_a_read_only_opt_hides(
    start: StartFunction, opt: Path, tmp_path: Path, python: Python
) -> None:
    """Nothing tells a developer that each cold start compiles: it works, only slowly."""
    damaged = shutil.copytree(opt, tmp_path / "opt")
    damaged.chmod(0o755)
    pyc = bytecode.cached(MODULE, python)
    (damaged / "python" / pyc).unlink()
    found = monitoring.faults(monitored(start, layer=damaged))
    assert set(found["compiled"]) == set(found["source read"]) == {MODULE}


def test_a_container_compiles_the_same_bytes(image: str, python: Python) -> None:
    sources = {f"python/lamella/{name}": data for name, data in build.package(build.ROOT).items()}
    (inside,) = containers.find([python.minor], image)
    assert (inside.version, inside.magic, inside.image) == (python.version, python.magic, image)
    assert bytecode.compile_all(sources, inside) == bytecode.compile_all(sources, python)


def test_a_build_fills_in_the_minors_that_the_machine_lacks(
    client: docker.DockerClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    lacking, *others = pythons.find()
    image = engine.base_image(client, lacking)
    monkeypatch.setattr(pythons, "find", lambda: others)
    monkeypatch.setattr(pythons, "SUPPORTED", (lacking.minor,))
    path = tmp_path / "layer.zip"
    found = build.build(build.ROOT, path, image)
    assert {each.minor for each in found} == {each.minor for each in [*others, lacking]}
    with ZipFile(path) as opened:
        manifest = json.loads(opened.read("lamella/manifest.json"))
        assert f"python/{bytecode.cached(MODULE, lacking)}" in opened.namelist()
    assert manifest["bytecode"][lacking.minor]["magic"] == lacking.magic
    assert f"by {image}" in build.report(path, found)
