"""The example application through `lamella run`, as `make run` starts it, over real HTTP."""

from __future__ import annotations

import asyncio
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from layer import pythons
from layer.pythons import Python
from tests.e2e.packages import USUAL, installed
from tests.waiting import is_running, until

EXAMPLE = Path(__file__).parents[2] / "examples" / "fastapi"
THIS_PYTHON = next(p for p in pythons.find() if p.version[:2] == sys.version_info[:2])
MAIN = USUAL


class Served:
    """A running `lamella run`: where it listens, what it printed."""

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self.process = process
        self.log = log
        self.url = self._wait_for_url()
        self.client = httpx.Client(base_url=self.url, timeout=60)

    def _wait_for_url(self) -> str:
        for _ in range(600):
            text = self.log.read_text()
            if found := re.search(r"^(http://127\.0\.0\.1:\d+\S*)", text, re.MULTILINE):
                return found[1]
            assert self.process.poll() is None, text
            time.sleep(0.05)
        raise AssertionError(self.log.read_text())

    def stop(self) -> None:
        """What Ctrl-C does."""
        self.client.close()
        self.process.send_signal(signal.SIGINT)
        self.process.wait(timeout=60)


CASES = [
    *(pytest.param((python, "url"), id=f"{python.minor}-url") for python in pythons.find()),
    *(pytest.param((MAIN, door), id=f"{MAIN.minor}-{door}") for door in ("rest", "http", "alb")),
]


@pytest.fixture(scope="module", params=CASES)
def served(
    request: pytest.FixtureRequest, opt: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    python, door = request.param
    folder = tmp_path_factory.mktemp(f"run-{python.minor}-{door}")
    log = folder / "log"
    task_root = build_function(python, folder / "task")
    command = [sys.executable, "-m", "lamella.tools.cli", "run", "main:app", "--port", "0"]
    options = ["--front-door", door, "--layer", str(opt), "--task-root", str(task_root)]
    with log.open("w") as output:
        process = subprocess.Popen(
            [*command, *options, "--python", python.path, "--no-reload"],
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
        )
    server = Served(process, log)
    yield server
    if process.poll() is None:
        server.stop()


def build_function(python: Python, task_root: Path) -> Path:
    """What `sam build` makes: the example's code among its dependencies."""
    packages = installed(python, "example", "fastapi", "python-multipart")
    task_root.mkdir()
    for entry in [*packages.iterdir(), EXAMPLE / "main.py"]:
        (task_root / entry.name).symlink_to(entry)
    return task_root


def test_json_with_path_and_query(served: Served) -> None:
    reply = served.client.get("/items/5", params={"q": "a b+c&d=é"})
    assert reply.json() == {"item_id": 5, "q": "a b+c&d=é"}
    assert served.client.get("/items/five").status_code == 422


def test_a_form_and_an_upload(served: Served) -> None:
    assert served.client.post("/form", data={"name": "a b"}).json() == {"name": "a b"}
    binary = bytes(range(256)) * 100
    reply = served.client.post("/upload", files={"file": ("b.bin", binary)})
    assert reply.json() == {"filename": "b.bin", "size": len(binary)}


def test_two_cookies(served: Served) -> None:
    reply = served.client.get("/cookies")
    names = [value.split("=")[0] for value in reply.headers.get_list("set-cookie")]
    assert [name.lower() for name in names] == ["first", "second"]
    served.client.cookies.clear()


def test_a_redirect_leads_back(served: Served) -> None:
    reply = served.client.get("/redirect")
    assert reply.status_code == 307
    assert reply.headers["location"] == served.url.rstrip("/") + "/"
    assert served.client.get("/redirect", follow_redirects=True).json()["hello"]


def test_the_documentation_page_finds_its_schema(served: Served) -> None:
    page = served.client.get("/docs").text
    schema = re.search(r"url: '([^']+)'", page)
    assert schema is not None
    assert httpx.URL(served.url).join(schema[1]).path.endswith("/openapi.json")
    found = httpx.get(httpx.URL(served.url).join(schema[1]))
    assert found.json()["info"]["title"] == "Lamella's example"


def test_lifespan_state_is_there_in_every_request(served: Served) -> None:
    for _ in range(3):  # on a busy machine a second environment may serve one of them
        assert served.client.get("/").json()["up_seconds"] >= 0


def test_server_sent_events(served: Served) -> None:
    streams = "url" in served.process.args  # type: ignore[operator]  # they are a list of words
    for interval in (0.3, 1.0, 4.0):  # seconds: a busy machine may be late by some
        arrivals = []
        with served.client.stream("GET", "/events", params={"count": 3, "interval": interval}) as r:
            for line in r.iter_lines():
                if line:
                    arrivals.append((line, time.monotonic()))
        assert [line for line, _ in arrivals] == ["data: 0", "data: 1", "data: 2"]
        if (arrivals[-1][1] - arrivals[0][1] > interval) is streams:
            return
    pytest.fail(f"the events came at {[at for _, at in arrivals]}")


def test_the_answer_does_not_wait_for_the_background_task(served: Served) -> None:
    assert served.client.post("/jobs").json() == {"job": "accepted"}
    told = r"POST \S*/jobs 202 .*background \d{3,} ms"
    asyncio.run(until(lambda: re.search(told, served.log.read_text()) is not None))
    assert served.log.read_text().count("starting"), served.log.read_text()


def test_an_unhandled_error_is_a_500_and_a_traceback_in_the_log(served: Served) -> None:
    reply = served.client.get("/error")
    assert reply.status_code == 500
    assert "unhandled error" not in reply.text
    asyncio.run(until(lambda: "the example's unhandled error" in served.log.read_text()))


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_ctrl_c_runs_shutdown_and_leaves_no_process_behind(served: Served) -> None:
    pid = served.process.pid
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    assert children
    served.stop()
    text = served.log.read_text()
    assert served.process.returncode == 0
    assert text.count("WARNING starting") == text.count("WARNING stopping") > 0
    assert not [child for child in children if is_running(int(child))]
