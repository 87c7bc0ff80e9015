"""Each probe can give each answer of its question, and the pages ask what the table asks.

A probe runs against the doors of this machine where one of them gives the answer, and otherwise
against one that gives it.
"""

from __future__ import annotations

import asyncio
import importlib
import io
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import cache, partial
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.http11 import Request, Response
from websockets.sync.server import ServerConnection, serve
from websockets.typing import Subprotocol

from lamella.front_doors.url import FunctionUrl
from lamella.testing import LambdaTransport
from lamella.testing.websockets import WebSocketServer
from tests.aws import page, probes
from tests.aws.deployed import Deployed
from tests.aws.questions import NO_ANSWER, QUESTIONS, Answer, Question, answered, ask
from tests.contract.checks import Target
from tests.contract.judges import FUNCTION, uvicorn
from tests.waiting import until

ROOT = Path(__file__).parents[2]

Probe = probes.Probe


def stack(target: Target | None = None, **parts: Any) -> Deployed:
    """What is deployed, with this target as its front door "door"."""
    nothing: dict[str, Any] = {"targets": {}, "functions": {}, "client": None, "outputs": {}}
    return Deployed(**{**nothing, "targets": {"door": target} if target else {}, **parts})


BUFFERED, URL = "Function URL", "Function URL, streamed"
REST, HTTP = "REST API", "HTTP API"
WEBSOCKET, LATTICE = "WebSocket API", "VPC Lattice"

DOORS: dict[str, dict[str, Any]] = {
    BUFFERED: {"source": FunctionUrl(streaming=False)},
    URL: {"source": "url", "invoke_mode": "response_stream"},
    REST: {"source": "rest"},
    HTTP: {"source": "http"},
    LATTICE: {"source": "lattice"},
}
"""In this process, with the rules of `lamella run`: tests/contract starts its processes."""


def application(module: str) -> Any:
    """The application of function/MODULE.py, whose imports nobody else gets to see."""
    before = set(sys.modules)
    sys.path.insert(0, str(FUNCTION))
    try:
        return importlib.import_module(module).app
    finally:
        sys.path.remove(str(FUNCTION))
        for name in set(sys.modules) - before:
            if name in {path.stem for path in FUNCTION.glob("*.py")}:
                del sys.modules[name]


@contextmanager
def standing(name: str) -> Iterator[Target]:
    """A front door of this machine with the contract's application behind it."""
    if name == "uvicorn":
        with uvicorn(FUNCTION) as target:
            yield target
    elif name == WEBSOCKET:
        with WebSocketServer(application("main"), websocket_path="/ws") as server:
            yield Target("", websocket=server.url)
    else:
        make = partial(LambdaTransport, application("main"), **DOORS[name])
        yield Target(make().base_url, transport=make)


@pytest.fixture(scope="module")
def door() -> Iterator[Callable[[str], Target]]:
    """Front doors by name, each made once."""
    with ExitStack() as made:
        yield cache(lambda name: made.enter_context(standing(name)))


HERE: list[tuple[Probe, str, str]] = [
    (probes.challenge("door"), HTTP, "as it is"),
    (probes.challenge("door"), URL, "renamed: x-amzn-remapped-www-authenticate"),
    (probes.answer_headers("door", 20_000), BUFFERED, "no limit found: 20,000 bytes pass"),
    (probes.answer_headers("door", 20_000), URL, "a limit: 16,"),
    (probes.answer_headers("door", 20_000), HTTP, "a limit: 10,"),
    (probes.request_headers("door", 20_000), URL, "no limit found: 20,000 bytes pass"),
    (probes.over_limit("door", 431, headers=12_000), HTTP, "status 431"),
    (probes.over_limit("door", 431, headers=12_000), URL, "delivered: 12,000 bytes"),
    (probes.over_limit("door", 414, query=12_000), REST, "status 414"),
    (probes.large_headers("door"), HTTP, "status 500"),
    (probes.large_headers("door"), REST, "status 502"),
    (probes.large_headers("door"), URL, "delivered: 11,000 bytes"),
    (probes.time_to_answer("door", 0.3), LATTICE, "no limit found: an answer after 0.3 s"),
    (probes.silence("door", 0.3), URL, "no limit found: a stream went on after 0.3 s"),
    (probes.small_chunks("door", 0.5, (16, 4096)), URL, "as they are sent: chunks of 16 bytes"),
    (probes.small_chunks("door", 0.5, (16, 4096)), HTTP, "held back: the first chunk waits, of 16"),
    (probes.query_map("door"), LATTICE, "as sent: 'x%20y%2Bz'"),
    (probes.accept_headers("door"), WEBSOCKET, "none: neither an own header nor a cookie"),
    (probes.accept_headers("door"), "uvicorn", "all: an own header and a cookie arrive"),
    (probes.refused_body("door"), WEBSOCKET, "passed: status 403"),
    (probes.greeting("door"), WEBSOCKET, "arrives: "),
    (probes.close_code("door"), WEBSOCKET, "another one: 1000"),
    (probes.close_code("door"), "uvicorn", "the application's: 4001"),
    (probes.trailing_slash("door"), "uvicorn", "taken"),
]


@pytest.mark.parametrize(("probe", "name", "seen"), HERE)
def test_a_probe_at_a_door_of_this_machine(
    door: Callable[[str], Target], probe: Probe, name: str, seen: str
) -> None:
    assert probe(stack(door(name))).startswith(seen)


def breaks_off(request: httpx.Request) -> Iterator[bytes]:
    yield b"before\n"
    raise httpx.RemoteProtocolError("peer closed connection", request=request)


def late(answer: httpx.Response | httpx.HTTPError) -> httpx.Response:
    """An answer that takes its time."""
    time.sleep(0.1)
    if isinstance(answer, httpx.HTTPError):
        raise answer
    return answer


SAID: list[tuple[Probe, Callable[[httpx.Request], httpx.Response], str]] = [
    (
        probes.challenge("door"),
        lambda _: httpx.Response(401),
        "dropped: no header with such a name arrives",
    ),
    (
        probes.request_headers("door", 20_000),
        lambda request: (
            httpx.Response(431)
            if sum(len(value) for value in request.headers.values()) > 8000
            else httpx.Response(200, json={"headers": list(request.headers.items())})
        ),
        "a limit: 7,",
    ),
    (
        probes.over_limit("door", 431, headers=12_000),
        lambda _: httpx.Response(400),
        "another status: 400",
    ),
    (probes.large_headers("door"), lambda _: httpx.Response(502), "status 502"),
    (
        probes.time_to_answer("door", 0.5),
        lambda _: late(httpx.Response(504)),
        "a limit: status 504 after 0.",
    ),
    (
        probes.time_to_answer("door", 0.5),
        lambda request: late(httpx.ReadError("closed", request=request)),
        "a limit: the connection ends (ReadError) after 0.",
    ),
    (
        probes.silence("door", 330),
        lambda request: httpx.Response(200, content=breaks_off(request)),
        "a limit: the stream ends after ",
    ),
    (
        probes.silence("door", 330),
        lambda _: httpx.Response(200, content=b"before\n"),
        "a limit: the stream ends after ",
    ),
    (
        probes.query_map("door"),
        lambda _: httpx.Response(200, json={"q": ["x y+z"]}),
        "decoded: 'x y+z' for 'x%20y%2Bz'",
    ),
    (
        probes.sandbox("door"),
        lambda _: httpx.Response(200, json={"root": False, "home": False, "writable": ["/tmp"]}),
        "as in the containers",
    ),
    (
        probes.sandbox("door"),
        lambda _: httpx.Response(200, json={"root": False, "home": True, "writable": ["/tmp"]}),
        "otherwise: home is True",
    ),
]


@pytest.mark.parametrize(("probe", "door", "seen"), SAID)
def test_a_probe_at_a_door_that_answers_otherwise(
    probe: Probe, door: Callable[[httpx.Request], httpx.Response], seen: str
) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        """An ordinary request is served."""
        return httpx.Response(200) if request.url.path == "/text" else door(request)

    assert probe(stack(answering(answer))).startswith(seen)


def answering(door: Callable[[httpx.Request], httpx.Response]) -> Target:
    return Target("http://aws.example", transport=lambda: httpx.MockTransport(door))


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.id)
@pytest.mark.parametrize("status", [403, 429, 500, 502])
def test_a_door_that_refuses_everything_gives_no_answer(
    monkeypatch: pytest.MonkeyPatch, question: Question, status: int
) -> None:
    """A throttled or a broken function says nothing of the door: each answer is another one's."""
    refused = answering(lambda _: httpx.Response(status))
    monkeypatch.setattr(httpx, "get", lambda url, timeout: httpx.Response(status))
    with websocket_server(process_request=lambda door, _: door.respond(status, "")) as sockets:
        target = replace(refused, websocket=sockets.websocket)
        targets: dict[str, Target] = defaultdict(lambda: target)
        failing = Lambda({"errorMessage": "Rate exceeded"})
        functions: dict[str, str] = defaultdict(lambda: "function")
        outputs: dict[str, str] = defaultdict(lambda: "http://aws.example/")
        deployed = stack(targets=targets, functions=functions, client=failing, outputs=outputs)
        assert answered(question, deployed).startswith(NO_ANSWER)


def test_what_the_sandbox_is_asked_is_answered(door: Callable[[str], Target]) -> None:
    about = door(URL).seen("GET", "/sandbox")
    assert about.keys() == {"root", "home", "writable"}
    assert "/tmp" in about["writable"]


@contextmanager
def websocket_server(**options: Any) -> Iterator[Target]:
    def silent(connection: ServerConnection) -> None:
        for _ in connection:
            pass

    with serve(silent, "127.0.0.1", 0, subprotocols=[Subprotocol("lamella")], **options) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield Target("", websocket=f"ws://127.0.0.1:{server.socket.getsockname()[1]}/prod")
        server.shutdown()
        thread.join()


def refusing(connection: ServerConnection, _: Request) -> Response:
    response = connection.respond(HTTPStatus.FORBIDDEN, "Forbidden by the door")
    return response


def refusing_anew(connection: ServerConnection, request: Request) -> Response | None:
    """As a door that says the application's refusal in its own words."""
    return refusing(connection, request) if request.path.endswith("probe=refuse") else None


def refusing_slash(connection: ServerConnection, request: Request) -> Response | None:
    return refusing(connection, request) if request.path.endswith("/") else None


def with_cookie(_: ServerConnection, __: Request, response: Response) -> Response:
    response.headers["Set-Cookie"] = "lamella=1"
    return response


WEBSOCKETS: list[tuple[Probe, dict[str, Any], str]] = [
    (probes.accept_headers("door"), {"process_response": with_cookie}, "some: set-cookie"),
    (probes.refused_body("door"), {"process_request": refusing_anew}, "dropped: status 403"),
    (probes.greeting("door", 0.2), {}, "lost: nothing came in 0.2 s"),
    (probes.trailing_slash("door"), {"process_request": refusing_slash}, "refused: status 403"),
]


@pytest.mark.parametrize(("probe", "door", "seen"), WEBSOCKETS)
def test_a_probe_at_a_websocket_api_that_answers_otherwise(
    probe: Probe, door: dict[str, Any], seen: str
) -> None:
    with websocket_server(**door) as target:
        assert probe(stack(target)) == seen


class Lambda:
    """Lambda's API with these results, one after the other; the last one stays."""

    def __init__(self, *results: Any) -> None:
        self.results = list(results)

    def __call__(self, service: str) -> Any:
        assert service == "lambda"
        return self

    def invoke(self, FunctionName: str, Payload: str, **options: Any) -> dict[str, Any]:
        result = self.results.pop(0) if len(self.results) > 1 else self.results[0]
        failed = {"FunctionError": "Unhandled"} if "errorMessage" in result else {}
        return {"Payload": io.BytesIO(json.dumps(result).encode()), **failed}


TIMED_OUT = {"errorMessage": "Task timed out after 3.00 seconds"}
ELSEWHERE: dict[str, Any] = {"blocked": False, "milliseconds": []}
ENVELOPE = json.dumps({"keys": ["CheckpointToken", "DurableExecutionArn"]})

INVOKED: list[tuple[Probe, tuple[Any, ...], str]] = [
    (probes.slow_init("name"), ({"imports": 1, "seconds": 0},), "once: 1 imports"),
    (probes.slow_init("name"), ({"imports": 2, "seconds": 15},), "twice: 2 imports"),
    (probes.slow_init("name"), ({"imports": 1, "seconds": -20},), "twice: 1 imports"),
    (
        probes.after_sigterm("name"),
        (TIMED_OUT, {"blocked": True, "milliseconds": [0, 150, 480]}),
        "at least 300 ms: it lived for 480 ms",
    ),
    (
        probes.after_sigterm("name"),
        (TIMED_OUT, ELSEWHERE, {"blocked": True, "milliseconds": [0, 90]}),
        "less: it lived for 90 ms",
    ),
    (
        probes.after_sigterm("name"),
        (TIMED_OUT, ELSEWHERE, {"blocked": True, "milliseconds": []}),
        "no signal: ",
    ),
    (
        probes.durable_event("name"),
        ({"Status": "SUCCEEDED", "Result": ENVELOPE},),
        "an envelope: its keys are CheckpointToken, DurableExecutionArn",
    ),
    (probes.durable_event("name"), (json.loads(ENVELOPE),), "an envelope: "),
    (
        probes.durable_event("name"),
        ({"Status": "SUCCEEDED", "Result": json.dumps({"keys": ["quantity"]})},),
        "another event: its keys are quantity",
    ),
]


@pytest.mark.parametrize(("probe", "results", "seen"), INVOKED)
def test_a_probe_by_invoke(probe: Probe, results: tuple[Any, ...], seen: str) -> None:
    assert probe(stack(functions={"name": "real"}, client=Lambda(*results))).startswith(seen)


NO_ANSWERS: list[tuple[Probe, tuple[Any, ...], str]] = [
    (probes.slow_init("name"), ({"imports": 1, "seconds": 15},), "the import was done before"),
    (probes.after_sigterm("name"), (TIMED_OUT, ELSEWHERE), "all in other sandboxes"),
    (probes.after_sigterm("name"), (ELSEWHERE,), "it did not run into its timeout"),
]


@pytest.mark.parametrize(("probe", "results", "why"), NO_ANSWERS)
def test_an_invocation_that_shows_nothing_is_no_answer(
    probe: Probe, results: tuple[Any, ...], why: str
) -> None:
    with pytest.raises((RuntimeError, AssertionError), match=why):
        probe(stack(functions={"name": "real"}, client=Lambda(*results)))


def test_an_invocation_that_fails_is_no_answer() -> None:
    deployed = stack(functions={"name": "real"}, client=Lambda({"errorMessage": "no room"}))
    with pytest.raises(RuntimeError, match="no room"):
        probes.durable_event("name")(deployed)


class Invoked:
    """Lambda's API, with an application of function/ as its only function."""

    def __init__(self, module: str) -> None:
        self.module = module

    def __call__(self, service: str) -> Any:
        return self

    def invoke(self, FunctionName: str, Payload: str, **options: Any) -> dict[str, Any]:
        with LambdaTransport(application(self.module)) as transport:
            result = transport.invoke(json.loads(Payload))
        return {"Payload": io.BytesIO(json.dumps(result).encode())}


def of_module(module: str) -> Deployed:
    return stack(functions={"name": module}, client=Invoked(module))


def test_an_import_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLOW_IMPORT", "0")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    probe = probes.slow_init("name")
    assert probe(of_module("slow")).startswith("once: 1 imports, and the answer after ")
    assert probe(of_module("slow")).startswith("twice: 2 imports, and the answer after ")


BLOCKED = """
import asyncio, json, ending

async def receive():
    return {"type": "http.request", "body": json.dumps({"do": "block"}).encode()}

asyncio.run(ending.app({"type": "http"}, receive, None))
"""


def catches_sigterm(pid: int) -> bool:
    """Whether the process has set a handler: proc(5), SigCgt."""
    (mask,) = re.findall(r"SigCgt:\s*(\w+)", Path(f"/proc/{pid}/status").read_text())
    return bool(int(mask, 16) >> (signal.SIGTERM - 1) & 1)


def test_the_time_after_sigterm_is_written_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environ = {**os.environ, "TMPDIR": str(tmp_path)}
    process = subprocess.Popen([sys.executable, "-c", BLOCKED], cwd=FUNCTION, env=environ)
    lived = tmp_path / "lived-after-sigterm"
    asyncio.run(until(lambda: catches_sigterm(process.pid), 50))
    process.terminate()
    asyncio.run(until(lambda: lived.exists() and len(lived.read_text().splitlines()) > 2, 50))
    process.kill()
    process.wait(20)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    seen = probes.invoked(of_module("ending"), "name", {"do": "tell"})
    written = [int(line) for line in lived.read_text().split()]
    assert seen == {"blocked": True, "milliseconds": written}


def test_a_durable_function_that_is_none() -> None:
    seen = probes.durable_event("name")(of_module("durable"))
    assert seen == "another event: its keys are quantity"
    envelope = {"DurableExecutionArn": "arn", "CheckpointToken": "1"}
    result = probes.invoked(of_module("durable"), "name", envelope)
    assert json.loads(result["Result"]) == {"keys": sorted(envelope)}


def saying(status: int, text: str = "") -> Callable[[], httpx.BaseTransport]:
    return lambda: httpx.MockTransport(lambda _: httpx.Response(status, text=text))


BY_URL: list[tuple[Probe, Callable[[], httpx.BaseTransport], str]] = [
    (
        probes.durable_http("name", "Address"),
        lambda: LambdaTransport(application("durable")),
        "a request: the application sees it as any other",
    ),
    (
        probes.durable_http("name", "Address"),
        saying(200, ENVELOPE),
        "an envelope: the request begins an execution",
    ),
    (probes.durable_http("name", "Address"), saying(400), "refused: status 400"),
    (probes.durable_http("name", "Address"), saying(200, "null"), "neither: status 200"),
]


def by_url(monkeypatch: pytest.MonkeyPatch, probe: Probe, transport: httpx.BaseTransport) -> str:
    """What a probe sees of a function that is well, with this behind its address."""
    with httpx.Client(transport=transport) as client:
        monkeypatch.setattr(httpx, "get", lambda url, timeout: client.get(url))
        return probe(replace(of_module("durable"), outputs={"Address": "https://aws.example/"}))


@pytest.mark.parametrize(("probe", "transport", "seen"), BY_URL)
def test_a_probe_of_an_address(
    monkeypatch: pytest.MonkeyPatch,
    probe: Probe,
    transport: Callable[[], httpx.BaseTransport],
    seen: str,
) -> None:
    assert by_url(monkeypatch, probe, transport()) == seen


def test_a_request_that_is_throttled_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RuntimeError, match="status 429"):
        by_url(monkeypatch, probes.durable_http("name", "Address"), saying(429)())


def kind(probe: Probe) -> str:
    """The function of probes.py that made it."""
    return probe.__qualname__.partition(".")[0]


def test_every_answer_of_every_question_is_given_above() -> None:
    given = {
        (kind(probe), seen) for probe, _, seen in [*HERE, *SAID, *WEBSOCKETS, *INVOKED, *BY_URL]
    }
    for question in QUESTIONS:
        for answer in question.answers:
            assert any(
                name == kind(question.probe) and seen.startswith(answer.says)
                for name, seen in given
            ), f"{question.title}: {answer.says}"


# The table


def test_ids_are_one_for_each_question_and_each_has_two_answers() -> None:
    assert len({question.id for question in QUESTIONS}) == len(QUESTIONS)
    for question in QUESTIONS:
        assert len({answer.says for answer in question.answers}) >= 2
        assert question.asks.endswith("?")
        assert all(answer.then.endswith(".") for answer in question.answers)


PLACES = ("src/lamella", "docs", ".")


def test_the_files_that_an_answer_names_exist() -> None:
    for answer in (answer for question in QUESTIONS for answer in question.answers):
        for name in re.findall(r"[\w/-]+\.(?:py|md)\b", answer.then):
            assert any((ROOT / place / name).exists() for place in PLACES), name


MENTION = re.compile(
    r"\bUNVERIFIED\b(?! marks )"  # "UNVERIFIED marks ..." says what the word means
    r"(?:\]?\s?\((?P<path>[\w/.-]*verified\.md)#(?P<id>[\w-]+)\))?"
)


def mentions() -> Iterator[tuple[Path, re.Match[str]]]:
    """Every UNVERIFIED of pages, source and examples."""
    for place in ("docs", "src", "layer", "examples", "README.md"):
        files = [ROOT / place] if "." in place else (ROOT / place).rglob("*")
        for path in files:
            if path.suffix in (".md", ".py", ".yaml", ".toml") and path != page.PAGE:
                yield from ((path, match) for match in MENTION.finditer(path.read_text()))


def test_every_unverified_sentence_leads_to_its_question() -> None:
    ids = {question.id for question in QUESTIONS}
    found = list(mentions())
    assert found
    for path, match in found:
        assert match["id"] in ids, f"{path.relative_to(ROOT)}: {match[0]}"
        if path.suffix == ".md":
            assert (path.parent / match["path"]).resolve() == page.PAGE


def test_every_question_is_asked_by_its_page() -> None:
    for question in QUESTIONS:
        text = (page.PAGE.parent / question.page).read_text()
        assert f"](verified.md#{question.id})" in text, question.title


# Asking


def question(title: str, probe: Probe) -> Question:
    answers = (Answer("yes", "Nothing."), Answer("no", "All."))
    return Question(title, "design.md", "Is it so?", answers, probe)


def fails(deployed: Deployed) -> str:
    raise httpx.ConnectError("[Errno 111] Connection refused\nmore")


def test_a_probe_that_fails_costs_its_own_answer_only() -> None:
    questions = [
        question("Fails", fails),
        question("Answers", lambda _: "yes: 12 bytes"),
        question("Lacks a door", probes.challenge("HTTP API")),
        question("Lacks a function", probes.durable_event("Durable")),
        question("Says something else", lambda _: "perhaps"),
    ]
    assert ask(stack(client=Lambda({})), questions) == {
        "fails": "not answered: ConnectError: [Errno 111] Connection refused",
        "answers": "yes: 12 bytes",
        "lacks-a-door": "not answered: the stack has no 'HTTP API'",
        "lacks-a-function": "not answered: the stack has no 'Durable'",
        "says-something-else": "not answered: an answer that nobody expected: perhaps",
    }


def test_nobody_waits_for_a_probe_for_ever() -> None:
    end = threading.Event()

    def stuck(deployed: Deployed) -> str:
        end.wait(100)
        return "yes"

    questions = [question("Stuck", stuck), question("Quick", lambda _: "no")]
    seen = ask(stack(), questions, patience=1)
    end.set()
    assert seen == {"stuck": "not answered: there was no answer after 1 s", "quick": "no"}


def test_probes_run_beside_each_other() -> None:
    both = threading.Barrier(2, timeout=60)

    def meets(deployed: Deployed) -> str:
        both.wait()
        return "yes"

    seen = ask(stack(), [question("One", meets), question("Two", meets)])
    assert seen == {"one": "yes", "two": "yes"}


def test_an_answer_of_the_network_is_one_line() -> None:
    seen = answered(question("Fails", fails), stack())
    assert seen.startswith(NO_ANSWER)
    assert "\n" not in seen


# The page

FACTS = page.Facts(date="2026-12-01", region="eu-west-1", cost="about 0.40 USD", version="1.2.3")


def written(folder: Path, *results: Any) -> str:
    path = folder / "verified.md"
    page.write(path, *results)
    return path.read_text()


def test_the_page_is_what_the_table_says(tmp_path: Path) -> None:
    text = page.PAGE.read_text()
    if page.NOT_YET in text:
        assert text == written(tmp_path, {}, {}, None), "run: python -m tests.aws.page"
    else:
        for each in QUESTIONS:
            assert page.section(each) in text, each.title


def test_before_a_run_the_page_has_no_results(tmp_path: Path) -> None:
    text = written(tmp_path, {}, {}, None)
    assert "Nobody has run it yet." in text
    assert "AWS's answer" not in text
    assert "make aws" in text


def test_the_page_of_a_run(tmp_path: Path) -> None:
    first, *others = QUESTIONS
    answers = {first.id: "renamed: x-amzn-remapped-www-authenticate"}
    contract = {
        "HTTP API": {"methods": "", "headers": "AssertionError: a | b"},
        "WebSocket API": {"websockets": ""},
    }
    text = written(tmp_path, answers, contract, FACTS)
    assert page.NOT_YET not in text
    assert "run on 2026-12-01 in eu-west-1 with Lamella 1.2.3, and cost about 0.40 USD." in text
    answer = "AWS's answer in eu-west-1, 2026-12-01: **renamed: x-amzn-remapped-www-authenticate**"
    assert f"{page.section(first)}\n{answer}\n" in text
    assert text.count("**not answered: it was not asked**") == len(others)
    assert "| check | HTTP API | WebSocket API |\n|---|---|---|\n| methods | passed |  |" in text
    assert "| headers | failed |  |" in text
    assert "| websockets |  | passed |" in text
    assert "- headers, HTTP API: AssertionError: a / b" in text


def test_the_page_names_no_account(tmp_path: Path) -> None:
    arn = "arn:aws:lambda:eu-west-1:111122223333:function:name"
    why = {"HTTP API": {"methods": f"no permission to invoke {arn}, account 111122223333"}}
    text = written(tmp_path, {QUESTIONS[0].id: f"not answered: {arn}"}, why, FACTS)
    assert "arn:" not in text
    assert "111122223333" not in text
    assert "no permission to invoke an ARN, account an account" in text
