"""The example agent through `lamella run`: a stream of AG-UI events, as a front end reads it."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import httpx

from tests.e2e.packages import USUAL, installed
from tests.local.command import Cli

EXAMPLE = Path(__file__).parents[2] / "examples" / "agent"


def run(url: str, content: str) -> list[tuple[float, Any]]:
    """Each event of a run, and when it came."""
    message = {"id": "1", "role": "user", "content": content}
    nothing: dict[str, Any] = {"state": {}, "tools": [], "context": [], "forwardedProps": {}}
    body = {"threadId": "t", "runId": "r", "messages": [message], **nothing}
    with httpx.stream("POST", f"{url}/agent", json=body, timeout=30) as response:
        assert response.status_code == 200, response.read()
        assert response.headers["content-type"].startswith("text/event-stream")
        return [
            (time.monotonic(), json.loads(line.removeprefix("data: ")))
            for line in response.iter_lines()
            if line
        ]


def test_an_agent_streams_its_words_and_its_tool(opt: Path) -> None:
    packages = installed(USUAL, "agent", "ag-ui-protocol==1.0.0", "fastapi")
    options = ("--layer", str(opt), "--python", USUAL.path, "--env", f"PYTHONPATH={packages}")
    cli = Cli("run", "main:app", "--port", "0", *options, cwd=EXAMPLE)
    try:
        url = cli.url()
        events = run(url, "Rome")
        failed = [event for _, event in run(url, "")]
        again = run(url, "Oslo")
    finally:
        cli.close()
    kinds = [event["type"] for _, event in events if event["type"] != "TEXT_MESSAGE_CONTENT"]
    message = ["TEXT_MESSAGE_START", "TEXT_MESSAGE_END"]
    tool = [f"TOOL_CALL_{part}" for part in ("START", "ARGS", "END", "RESULT")]
    assert kinds == ["RUN_STARTED", *message, *tool, *message, "RUN_FINISHED"]
    words = "".join(event.get("delta", "") for _, event in events[-9:])
    assert words.strip() == "It is 21 degrees in Rome."
    assert events[-1][0] - events[0][0] > 0.5, "the first event waited for the last"
    assert failed[-1] == {
        "type": "RUN_ERROR",
        "message": "ValueError: the message is empty: name a place",
    }
    assert again[-1][1]["type"] == "RUN_FINISHED"
