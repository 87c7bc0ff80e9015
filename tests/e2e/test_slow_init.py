"""An init that takes longer than Lambda gives it: here mostly four seconds instead of ten."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from lamella.local.config import FunctionConfig
from tests.e2e.conftest import FUNCTION, StartJudge, StartLocal
from tests.e2e.judges import LocalJudge
from tests.e2e.packages import USUAL
from tests.events import SQS_EVENT, url_event

pytestmark = pytest.mark.anyio

SLOW = {"ASGI_SLOW_INIT": "1"}


@pytest.fixture
def marks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file with a line for each import; Lambda's limit is four seconds: a process has three of
    them to start, and to ask for an event after the first."""
    monkeypatch.setattr(FunctionConfig, "init_limit", 4.0)
    return tmp_path / "marks"


def seconds_in(log: str) -> float:
    """When the application was said not to be ready, in seconds after its start."""
    said = re.search(r"The application is not ready ([\d.]+) s after its start\.", log)
    assert said is not None, log
    return float(said[1])


@pytest.mark.parametrize("phase", ["TAKES", "STARTS_IN"])
async def test_the_import_is_paid_for_once(start: StartJudge, marks: Path, phase: str) -> None:
    slow = {"MARKS": str(marks), phase: "4.5", **SLOW}
    async with start("sluggish:app", timeout=30.0, **slow) as judge:
        first = await judge.invoke(url_event("/first"))
        second = await judge.invoke(url_event("/second"))
    assert [first.content["path"], second.content["path"]] == ["/first", "/second"]
    assert first.content["pid"] == second.content["pid"]
    assert marks.read_text() == "import\n"


async def test_by_default_within_lambda_s_ten_seconds(opt: Path, tmp_path: Path) -> None:
    """On one Python: it takes as long as it says. One second is left, and here some more."""
    marks, go = tmp_path / "marks", tmp_path / "go"
    variables = {"ASGI_APP": "sluggish:app", "GO": str(go), "MARKS": str(marks)}
    async with LocalJudge(opt, USUAL.path, FUNCTION, variables, init_timeout=30.0) as judge:
        assert judge.environment.init_error is None
        go.touch()
        outcome = await judge.invoke(url_event("/first"))
    assert seconds_in(judge.log) >= 9
    assert outcome.content["path"] == "/first"
    assert marks.read_text() == "import\n"


async def test_what_lambda_does_without_it(
    start_local: StartLocal, marks: Path, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    slow = {"GO": str(go), "MARKS": str(marks), "ASGI_SLOW_INIT": "off"}
    async with start_local("sluggish:app", **slow) as judge:
        assert marks.read_text() == "import\n"
        go.touch()
        outcome = await judge.invoke(url_event("/first"))
    assert outcome.content["path"] == "/first"
    assert marks.read_text() == "import\nimport\n"


async def test_the_deadline_of_a_held_event(
    start_local: StartLocal, marks: Path, tmp_path: Path
) -> None:
    go, options = tmp_path / "go", {"timeout": 4.0}
    slow = {"GO": str(go), "MARKS": str(marks), "ASGI_INVOKE_MODE": "response_stream", **SLOW}
    # Half of its time is for the answer: this machine may be busy.
    slow["ASGI_DEADLINE_MARGIN_MS"] = "2000"
    async with start_local("sluggish:app", options, **slow) as judge:
        late = await judge.environment.invoke(url_event("/late"))
        queued = await judge.environment.invoke(SQS_EVENT)
        go.touch()
        served = await judge.environment.invoke(url_event("/served"), timeout=20.0)
        log = judge.log
    prelude, _, body = late.payload.partition(b"\0" * 8)
    assert json.loads(prelude)["statusCode"] == 504
    assert body.startswith(b"Gateway Timeout: the application is still starting, ")
    assert queued.error is not None
    assert queued.error["errorType"] == "Runtime.SlowInit"
    assert json.loads(served.payload.partition(b"\0" * 8)[2])["path"] == "/served"
    assert marks.read_text() == "import\n"
    # Not less, on whatever machine: what Python itself takes to start is counted.
    assert seconds_in(log) >= 1
    assert "lifespan shutdown" in judge.log, "the extension is registered, so SIGTERM comes"


async def test_an_import_that_fails_fails_the_held_event(
    start_local: StartLocal, marks: Path, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    slow = {"GO": str(go), "MARKS": str(marks), "FAILS": "1", **SLOW}
    async with start_local("sluggish:app", **slow) as judge:
        go.touch()
        result = await judge.environment.invoke(url_event("/first"))
        posts = judge.environment.traffic.matching("POST", "/error")
    assert result.error is not None
    assert result.error["errorType"] == "Runtime.UserCodeError"
    assert "ValueError: no model in the package" in result.error["errorMessage"]
    assert [post.status for post in posts] == [202]
    assert "/invocation/" in posts[0].path


@pytest.mark.parametrize(
    "options", [{"snap_start": True}, {"concurrency": 2}], ids=["snap-start", "managed"]
)
async def test_only_on_demand(
    start_local: StartLocal, tmp_path: Path, options: dict[str, Any]
) -> None:
    slow = {"TAKES": "1.5", "MARKS": str(tmp_path / "marks"), "ASGI_PROCESSES": "1", **SLOW}
    async with start_local("sluggish:app", options, **slow) as judge:
        outcome = await judge.invoke(url_event("/first"))
    assert outcome.content["path"] == "/first"
    assert "is not ready" not in judge.log
