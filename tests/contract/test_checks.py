"""Each check fails where the answers are not what the contract says, and the command says why."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.contract import checks
from tests.contract.__main__ import main
from tests.contract.checks import CONTRACT, WHOLE, Target
from tests.contract.judges import uvicorn

Answers = Callable[[httpx.Request], httpx.Response]

PIECES = b"data: 0\n\ndata: 1\n\ndata: 2\n\n"


def answering(status: int, content: bytes = b"", **headers: str) -> Answers:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda request: httpx.Response(status, content=content, headers=named)


def seeing(**seen: object) -> Answers:
    return lambda request: httpx.Response(200, json=seen)


def echoing_text(request: httpx.Request) -> httpx.Response:
    """As a front door that takes every body for text."""
    return httpx.Response(200, content=request.read().decode(errors="replace").encode())


def taking_everything(request: httpx.Request) -> httpx.Response:
    body = request.read()
    return httpx.Response(200, json={"size": len(body), "sha256": hashlib.sha256(body).hexdigest()})


def waiting(request: httpx.Request) -> httpx.Response:
    """As a function whose client waits for the work."""
    if request.method == "GET":
        return httpx.Response(200, json={"instance": "i", "done": [1]})
    time.sleep(float(request.url.path.rpartition("/")[2]))
    return httpx.Response(202, json={"instance": "i", "job": 1})


def forgetting() -> Answers:
    """As a function whose job is lost; its environment is busy for as long as the job takes."""
    free = 0.0

    def answer(request: httpx.Request) -> httpx.Response:
        nonlocal free
        if request.method == "GET":
            instance = "i" if time.monotonic() >= free else "another"
            return httpx.Response(200, json={"instance": instance, "done": []})
        free = time.monotonic() + float(request.url.path.rpartition("/")[2])
        return httpx.Response(202, json={"instance": "i", "job": 1})

    return answer


def ending(request: httpx.Request) -> httpx.Response:
    """As a function whose process ends with its answer: each request has an environment."""
    if request.method == "GET":
        return httpx.Response(200, json={"instance": "another", "done": []})
    return httpx.Response(202, json={"instance": "i", "job": 1})


BACKGROUND: dict[Answers, str] = {
    waiting: "the client waited for the work",
    forgetting(): "the work was never done",
    ending: "the environment of the work was not seen again",
}

WRONG: dict[str, list[Answers]] = {
    "paths and queries": [
        seeing(root_path="", method="GET", path="/request/a b c+é", query="q=x+y+z%2B%26%C3%A9&q="),
        seeing(root_path="", method="GET", path="/request/a b+c+é", query="q=x+y+z%2B%26%C3%A9"),
    ],
    "methods": [seeing(method="GET")],
    "headers": [
        seeing(headers=[["x-one", "a value"], ["x-two", "2"], ["cookie", "a=b"], ["host", "h"]])
    ],
    "bodies": [echoing_text],
    "texts": [answering(200, "wörld".encode("latin-1"), content_type="text/plain; charset=utf-8")],
    "binary answers": [answering(200, b"AAECAwQF", content_type="image/png")],
    "cookies": [answering(200, set_cookie="first=1; Path=/, second=2; HttpOnly")],
    "statuses": [
        answering(204),
        lambda request: httpx.Response(int(request.url.path[-3:]), content=b"{}"),
    ],
    "head": [answering(200, b"text", content_type="text/plain")],
    "large requests": [taking_everything, answering(413)],
    "large answers": [answering(200, b"x" * 1000), answering(502)],
    "streams": [answering(200, PIECES, content_type="text/event-stream")],
    "errors": [answering(500, b"a secret of the application"), answering(200)],
    "broken streams": [answering(200, b"first")],
    "challenges": [answering(401), answering(403, www_authenticate='Basic realm="contract"')],
    "background work": list(BACKGROUND),
    "keeps connections": [answering(503)],
}


@pytest.mark.parametrize(
    ("check", "answers"), [(name, each) for name, found in WRONG.items() for each in found]
)
def test_a_check_fails(monkeypatch: pytest.MonkeyPatch, check: str, answers: Answers) -> None:
    monkeypatch.setattr(checks, "PAUSES", (0.01, 0.02))
    monkeypatch.setattr(checks, "PATIENCE", 0.2)
    target = Target("http://any", max_answer=WHOLE, transport=lambda: httpx.MockTransport(answers))
    with pytest.raises(AssertionError):
        CONTRACT[check](target)


@pytest.mark.parametrize(("answers", "why"), BACKGROUND.items())
def test_work_in_the_background_fails_for_its_own_reason(
    monkeypatch: pytest.MonkeyPatch, answers: Answers, why: str
) -> None:
    monkeypatch.setattr(checks, "PAUSES", (0.01, 0.02))
    monkeypatch.setattr(checks, "PATIENCE", 0.2)
    target = Target("http://any", transport=lambda: httpx.MockTransport(answers))
    with pytest.raises(AssertionError, match=why):
        CONTRACT["background work"](target)


def test_an_event_that_is_answered_alike_whether_it_fails() -> None:
    with pytest.raises(AssertionError):
        CONTRACT["invoked events"](Target("", invoke=lambda event: ({"got": event}, False)))


def test_each_check_over_http_is_tried() -> None:
    assert set(WRONG) == set(checks.contract_of(Target("http://any")))


def test_the_command_says_what_failed_and_why(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with uvicorn(tmp_path) as server:
        with pytest.raises(SystemExit) as ended:
            main([server.url, "--websocket", server.websocket, "--max-request", "1000"])
        said = capsys.readouterr().out.splitlines()
        with pytest.raises(SystemExit) as ended_with_a_row:
            main([server.url, "--framework", "starlette"])
        row = capsys.readouterr().out.splitlines()
    assert ended.value.code is ended_with_a_row.value.code is True
    failed = [line for line in said if line.startswith("failed")]
    assert [line.partition(":")[0] for line in failed] == ["failed  large requests"]
    assert "AssertionError: 8000000 bytes were answered with 200 (checks.py:" in failed[0]
    assert "passed  closings" in said
    assert "failed  JSON: AssertionError: assert (reply.status, reply.json()) ==" in row[0]
