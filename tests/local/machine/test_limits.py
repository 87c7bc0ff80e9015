"""Lambda's limits, enforced: the file system, /tmp, open files and memory."""

from __future__ import annotations

import json
import os
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest

from lamella.local.config import FunctionConfig
from lamella.local.execution.environment import Environment
from lamella.local.machine import isolation, limits
from lamella.local.machine.limits import Limits, enforceable
from tests.local.conftest import Configure

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform != "linux", reason="namespaces and /proc are Linux's"),
]

NAME = f"lamella-{uuid.uuid4()}"

namespaces = pytest.mark.skipif(
    bool(enforceable(Limits())[1]) if sys.platform == "linux" else True,
    reason="mount namespaces need root, or a kernel that lets users make them",
)


free_opt = pytest.mark.skipif(
    not os.path.isdir("/opt")
    or any(path.startswith("/opt/") for path in (sys.executable, os.path.realpath(sys.executable))),
    reason="layers can be at /opt where there is one, and this Python is not in it",
)


async def told(config: FunctionConfig, **wish: Any) -> Any:
    async with Environment(config) as environment:
        result = await environment.invoke(wish)
    return json.loads(result.payload)


@namespaces
async def test_only_tmp_can_be_written_and_it_is_a_new_one(
    configure: Configure, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    store.mkdir()
    config = configure(limits=Limits(tmp_mb=4, writable=(store,)))
    (config.task_root / "main.py").write_text("")
    paths = ["~/x", f"{config.task_root}/x", "/dev/shm/x", "/var/x", f"{store}/x", f"/tmp/{NAME}"]
    got = await told(config, do="write", paths=paths)
    *refused, stored, written = (got["said"][path] for path in paths)
    assert set(refused) <= {"Read-only file system", "Permission denied"}
    assert (stored, written) == ("", "")
    assert (store / "x").stat().st_size == 2**20
    assert not Path("/tmp", NAME).exists()
    assert set(got["tmp"]) <= {NAME, tmp_path.parts[2]}
    assert got["descriptors"] == 1024
    full = await told(config, do="write", paths=[f"/tmp/{NAME}"], megabytes=5)
    assert full["said"] == {f"/tmp/{NAME}": "No space left on device"}


@free_opt
@namespaces
async def test_the_layers_lie_in_opt_where_their_scripts_look(
    configure: Configure, tmp_path: Path
) -> None:
    config = configure(limits=Limits())
    assert config.not_at_opt == ""
    got = await told(config, do="write", paths=["/opt/x"])
    assert got["opt"] == ["bootstrap"]
    assert got["said"] == {"/opt/x": "Read-only file system"}


@namespaces
async def test_opt_stays_where_something_in_it_is_needed(configure: Configure) -> None:
    config = configure(limits=Limits(writable=(Path("/opt"),)))
    assert (await told(config, do="write", paths=[]))["opt"] == os.listdir("/opt")


async def test_why_the_layers_are_not_in_opt(
    configure: Configure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_options = configure(), configure(debug=True)
    assert [each.not_at_opt.rpartition(" ")[2] for each in of_options] == ["--no-limits", "--debug"]
    no_mounts = configure(limits=Limits(mounts=False)).not_at_opt
    assert no_mounts.startswith("a process has no mounts of its own on this machine: start on")
    monkeypatch.setattr(limits, "OPT", tmp_path / "no")
    no_opt = configure(limits=Limits()).not_at_opt
    assert no_opt == "this machine has no such folder: make an empty one (sudo mkdir /opt)"
    monkeypatch.setattr(limits, "OPT", tmp_path / "python")
    (tmp_path / "python" / "bin").mkdir(parents=True)
    python = str(tmp_path / "python" / "bin" / "python3")
    needed = configure(limits=Limits(), python=python).not_at_opt
    assert needed.startswith(f"the function needs {tmp_path}/python, which is there: name another ")


async def test_layers_that_are_in_opt_already_are_not_told_of(configure: Configure) -> None:
    assert configure(wrapper=Path("/opt/bootstrap")).not_at_opt == ""


@pytest.mark.parametrize("children", [0, 2])
async def test_what_uses_too_much_memory_is_killed(configure: Configure, children: int) -> None:
    config = configure(memory=128, timeout=30.0, limits=Limits(mounts=False))
    async with Environment(config) as environment:
        result = await environment.invoke({"do": "hoard", "megabytes": 150, "children": children})
        assert result.error is not None
        assert result.error["errorType"] == "Runtime.ExitError"
        assert result.error["errorMessage"].endswith("Runtime exited with error: signal: killed")
        assert any("its limit is 128 MB: it is killed" in line for line in environment.logs)
        (report,) = (line for line in environment.logs if line.startswith("REPORT"))
        assert "Max Memory Used: 128 MB" in report
        assert (await environment.invoke({"do": "echo"})).status == "success"


async def test_forks_that_share_memory_count_it_once(configure: Configure) -> None:
    config = configure(memory=128, limits=Limits(mounts=False))
    wish = {"do": "hoard", "megabytes": 1, "children": 8, "seconds": 0.3}
    assert await told(config, **wish) == "hoarded"


async def test_a_machine_that_cannot_enforce_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolation, "__file__", os.devnull)  # a program that does nothing
    assert enforceable(Limits()) == (Limits(), [])
    monkeypatch.setattr(isolation, "__file__", "/no/such/file")
    known, missing = enforceable(Limits())
    assert not known.mounts
    assert missing[0].startswith("the read-only file system and a /tmp of its own (")
