"""The contract: what an application must see and a client must get, over plain HTTP.

Each check takes a Target and knows nothing else of what is behind its address: uvicorn,
`lamella run`, `sam local start-api` or AWS. The application is function/main.py.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlsplit

import httpx
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from tests.contract.invoking import Send

PAUSES = (0.4, 2.0, 8.0)
"""Seconds between two pieces of a stream, and of work in the background. What looks late with one
is tried with the next: a busy machine or network is late by seconds at most."""

PATIENCE = 60.0
"""Seconds for one answer, and for a server to start, on a machine that is busy."""

TLS = httpx.create_ssl_context()
"""Of all clients: to load the certificates for each takes longer than most checks."""

CHALLENGE = "www-authenticate"
REMAPPED = f"x-amzn-remapped-{CHALLENGE}"
"""As a Function URL and a REST API name it: docs/front-doors.md."""

REFUSALS = (413, 500, 502)
"""What a front door answers to a body, or with an answer, that is too large."""

WHOLE = 6_000_000
"""Bytes of a text that fit into Lambda's 6 MB, as the body of a request or of a buffered answer."""

ENCODED = 4_500_000
"""The same where the front door encodes it as base64."""

UNLIMITED = 20_000_000
"""More bytes than any check sends."""

LARGE = 8_000_000
"""Bytes of the largest body that is sent: over every limit of a buffered one."""


@dataclass(frozen=True)
class Target:
    """What is tried.

    `url` is where the application's root is for a client, without a slash at its end, and
    `websocket` the address of its WebSocket API. `invoke` sends an event past every front door.
    `root_path` is what the application is to see; None takes anything. A target that `streams`
    sends pieces as they come, and one with `background` does not make its client wait for work
    after the answer. `max_request` is the most bytes of a text that reach the application as a
    body, and `max_answer` of one that reach the client.
    Where it does not have `repeats`, the last of several headers or parameters of a name counts.
    `challenge` is the name under which WWW-Authenticate arrives, "" where either may be.
    `transport` makes httpx's transport where the way to `url` is not a plain connection.
    """

    url: str
    streams: bool = True
    background: bool = True
    root_path: str | None = ""
    max_request: int = WHOLE
    max_answer: int = UNLIMITED
    repeats: bool = True
    challenge: str = CHALLENGE
    websocket: str = ""
    invoke: Send | None = None
    transport: Callable[[], httpx.BaseTransport] | None = None

    def client(self) -> httpx.Client:
        """A client that keeps its connections, until it is closed."""
        transport = self.transport() if self.transport else None
        return httpx.Client(base_url=self.url, transport=transport, timeout=PATIENCE, verify=TLS)

    def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        """One request on a connection of its own."""
        with self.client() as client:
            return client.request(method, path, **options)

    def seen(self, method: str, path: str, **options: Any) -> Any:
        """What the application saw of a request."""
        response = self.ask(method, path, **options)
        assert response.status_code == 200, f"{response.status_code} {response.text[:300]}"
        return response.json()

    def talk(self, probe: str = "", **options: Any) -> ClientConnection:
        """A WebSocket to a conversation of function/probes.py; echoes by default."""
        address = f"{self.websocket}?probe={probe}" if probe else self.websocket
        client: ClientConnection = connect(address, open_timeout=PATIENCE, **options)
        return client


class Check(Protocol):
    """One part of the contract; raises AssertionError where it is broken."""

    __name__: str

    def __call__(self, target: Target) -> None: ...


def paths_and_queries(target: Target) -> None:
    """A + is itself in a path; encoded letters are decoded once; the query is as it was sent."""
    seen = target.seen("GET", "/request/a%20b+c%2B%C3%A9?q=x+y%20z%2B%26%C3%A9&q=&r")
    root = target.root_path if target.root_path is not None else seen["root_path"]
    assert seen["root_path"] == root
    assert seen["path"].removeprefix(root) == "/request/a b+c+é"
    assert seen["method"] == "GET"
    pairs = [pair.partition("=") for pair in seen["query"].replace("%20", "+").split("&")]
    values = [(name, value.upper()) for name, _, value in pairs]
    first = ("q", "X+Y+Z%2B%26%C3%A9")
    assert (first in values) is target.repeats
    assert ("q", "") in values


def methods(target: Target) -> None:
    """Each method arrives as itself."""
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
        assert target.seen(method, "/request")["method"] == method


def headers(target: Target) -> None:
    """Names in lower case, values as sent, one that is sent twice not lost."""
    sent = [
        ("X-One", "a value, with a comma"),
        ("X-Two", "1"),
        ("X-Two", "2"),
        ("Cookie", "a=b; c=d"),
    ]
    seen: dict[str, list[str]] = {}
    for name, value in target.seen("GET", "/request", headers=sent)["headers"]:
        seen.setdefault(name, []).append(value)
    assert seen["x-one"] == ["a value, with a comma"]
    assert ",".join(seen["x-two"]).replace(" ", "") == ("1,2" if target.repeats else "2")
    assert "; ".join(seen["cookie"]) in ("a=b; c=d", "a=b;c=d")
    assert seen["host"]


def bodies(target: Target) -> None:
    """Every byte value, up and down; a compressed body as it is; one whose length comes last."""
    every = bytes(range(256)) * 4
    octets = {"content-type": "application/octet-stream"}
    response = target.ask("POST", "/echo", content=every, headers=octets)
    assert (response.status_code, response.content) == (200, every)
    packed = gzip.compress(every)
    encoded = {"content-type": "text/plain", "content-encoding": "gzip"}
    seen = target.seen("POST", "/request", content=packed, headers=encoded)
    assert seen["sha256"] == hashlib.sha256(packed).hexdigest()
    pieces = iter([every, every])
    seen = target.seen("POST", "/request", content=pieces, headers=octets)
    assert seen["sha256"] == hashlib.sha256(every * 2).hexdigest()


def texts(target: Target) -> None:
    """Text that is not ASCII, both ways."""
    response = target.ask("GET", "/text")
    assert (response.text, response.headers["content-type"]) == (
        "wörld",
        "text/plain; charset=utf-8",
    )
    value = json.dumps({"a": "é\u2028\U0001f600"}, ensure_ascii=False).encode()
    response = target.ask(
        "POST", "/echo", content=value, headers={"content-type": "application/json"}
    )
    assert response.content == value


def binary_answers(target: Target) -> None:
    """An image, and what the application has compressed itself."""
    response = target.ask("GET", "/binary", headers={"accept": "image/png"})
    assert response.content == bytes(range(256))
    assert response.headers["content-type"] == "image/png"
    with target.client() as client, client.stream("GET", "/compressed") as raw:
        data = b"".join(raw.iter_raw())
        assert raw.headers["content-encoding"] == "gzip"
    assert gzip.decompress(data) == b"compressed by the application"


def cookies(target: Target) -> None:
    """Two Set-Cookie headers, neither lost nor joined."""
    response = target.ask("GET", "/cookies")
    assert sorted(response.headers.get_list("set-cookie")) == [
        "first=1; Path=/",
        "second=2; HttpOnly",
    ]


def statuses(target: Target) -> None:
    """A status is the application's own; 204 and 304 have headers and no body."""
    for code in (204, 304):
        response = target.ask("GET", f"/status/{code}")
        assert (response.status_code, response.content) == (code, b"")
        assert response.headers.get("etag") == '"x"'
    for code in (201, 404, 418, 500, 503):
        response = target.ask("GET", f"/status/{code}")
        assert (response.status_code, response.json()) == (code, {"status": code})


def head(target: Target) -> None:
    """HEAD has the headers of GET, and no body."""
    response = target.ask("HEAD", "/text")
    assert (response.status_code, response.content) == (200, b"")
    assert response.headers["content-type"].startswith("text/plain")


def large_requests(target: Target) -> None:
    """A large body arrives whole up to the target's limit, and is refused above it."""
    blob = b"x" * LARGE
    text = {"content-type": "text/plain"}
    size = min(target.max_request, LARGE)
    seen = target.seen("POST", "/request", content=blob[:size], headers=text)
    assert (seen["size"], seen["sha256"]) == (size, hashlib.sha256(blob[:size]).hexdigest())
    if target.max_request < LARGE:
        try:
            response = target.ask("POST", "/request", content=blob, headers=text)
        except httpx.TransportError:
            pass  # the connection was closed while the client was sending
        else:
            said = f"{LARGE} bytes were answered with {response.status_code}"
            assert response.status_code in REFUSALS, said
        assert target.ask("GET", "/text").status_code == 200


def large_answers(target: Target) -> None:
    """A large answer arrives whole up to the target's limit, and is refused above it."""
    size = min(target.max_answer, LARGE)
    response = target.ask("GET", f"/large/{size}")
    assert (response.status_code, len(response.content)) == (200, size), response.text[:300]
    if target.max_answer < LARGE:
        response = target.ask("GET", f"/large/{LARGE}")
        assert response.status_code in REFUSALS, f"{len(response.content)} bytes have arrived"
        assert target.ask("GET", "/text").status_code == 200


def streams(target: Target) -> None:
    """Pieces arrive whole and in order; as they are sent where the target streams."""
    for pause in PAUSES:
        path, arrived = f"/stream/{pause}", []
        with target.client() as client, client.stream("GET", path) as response:
            assert response.headers["content-type"].startswith("text/event-stream")
            for line in response.iter_lines():
                if line:
                    arrived.append((time.monotonic(), line))
        assert [line for _, line in arrived] == ["data: 0", "data: 1", "data: 2"]
        if not target.streams or arrived[-1][0] - arrived[0][0] > pause:
            return
    raise AssertionError("the first piece waited for the last")


def errors(target: Target) -> None:
    """An exception is a 5xx that tells nothing of the application; the next request is served."""
    response = target.ask("GET", "/error")
    assert response.status_code in (500, 502)
    assert "secret" not in response.text
    assert target.ask("GET", "/text").status_code == 200


def broken_streams(target: Target) -> None:
    """An answer that breaks off does not look whole, and the next request is served."""
    try:
        response = target.ask("GET", "/broken")
    except httpx.HTTPError:
        pass
    else:
        assert response.status_code >= 500, "half an answer looked like a whole one"
    assert target.ask("GET", "/text").status_code == 200


def challenges(target: Target) -> None:
    """WWW-Authenticate arrives, under the name that the front door gives it."""
    response = target.ask("GET", "/unauthorized")
    assert response.status_code == 401
    names = [target.challenge] if target.challenge else [CHALLENGE, REMAPPED]
    assert 'Basic realm="contract"' in [response.headers.get(name) for name in names]


def background_work(target: Target) -> None:
    """Work after the answer is done; the client does not wait for it where the target says so."""
    why = ""
    for pause in PAUSES:
        started = time.monotonic()
        response = target.ask("POST", f"/background/{pause}")
        waited = time.monotonic() - started
        assert response.status_code == 202
        # The environment is busy until the work is done, and then the next request is mostly its.
        time.sleep(1.25 * pause)
        if not _tells_of_job(target, **response.json()):
            why = "the environment of the work was not seen again"
        elif target.background and waited >= pause:
            why = "the client waited for the work"
        else:
            return
    raise AssertionError(why)


def _tells_of_job(target: Target, instance: str, job: int) -> bool:
    """Whether the job's environment says that it is done; another environment cannot tell."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        answer = target.seen("GET", "/background")
        if answer["instance"] != instance:
            return False
        if job in answer["done"]:
            return True
        time.sleep(0.05)
    raise AssertionError("the work was never done")


def keeps_connections(target: Target) -> None:
    """Ten requests on one connection; a request that is no HTTP costs the others nothing."""
    with target.client() as client:
        for _ in range(10):
            assert client.get("/text").status_code == 200
    where = urlsplit(target.url)
    if where.scheme == "http" and target.transport is None:
        with socket.create_connection((where.hostname or "", where.port or 80), 10) as odd:
            odd.sendall(b"this is no HTTP\r\n\r\n")
            odd.recv(1000)
    assert target.ask("GET", "/text").status_code == 200


def websockets(target: Target) -> None:
    """Messages and their answers, in order, long ones too; each client has its own."""
    with target.talk() as one, target.talk() as other:
        for word in ("one", "zwei", "três", "x" * 30_000):
            one.send(word)
            other.send(f"other {word}")
            assert one.recv(timeout=PATIENCE) == f"echo {word}"
            assert other.recv(timeout=PATIENCE) == f"echo other {word}"


def handshakes(target: Target) -> None:
    """The application chooses the subprotocol, and may refuse a client."""
    offered = [Subprotocol("another"), Subprotocol("lamella")]
    with target.talk("accept", subprotocols=offered) as client:
        assert client.subprotocol == "lamella"
    assert _refusal(target) == 403


def _refusal(target: Target) -> int:
    try:
        with target.talk("refuse"):
            raise AssertionError("a client that was refused is in")
    except InvalidStatus as refusal:
        return refusal.response.status_code


def closings(target: Target) -> None:
    """The application ends the connection; what code the client sees is the front door's."""
    with target.talk("close") as client:
        client.send("close")
        try:
            message = client.recv(timeout=PATIENCE)
        except ConnectionClosed:
            return
    raise AssertionError(f"{message!r} came where the connection should end")


def invoked_events(target: Target) -> None:
    """An event that is not HTTP reaches the application; its failure is the invocation's."""
    assert target.invoke is not None
    event = {"Records": [{"eventSource": "aws:sqs", "messageId": "1", "body": "é"}]}
    assert target.invoke(event) == ({"got": event}, False)
    _, failed = target.invoke({"fail": True})
    assert failed


CHECKS: tuple[Check, ...] = (
    paths_and_queries,
    methods,
    headers,
    bodies,
    texts,
    binary_answers,
    cookies,
    statuses,
    head,
    large_requests,
    large_answers,
    streams,
    errors,
    broken_streams,
    challenges,
    background_work,
    keeps_connections,
    websockets,
    handshakes,
    closings,
    invoked_events,
)
CONTRACT: Mapping[str, Check] = {check.__name__.replace("_", " "): check for check in CHECKS}


def contract_of(target: Target) -> dict[str, Check]:
    """The part of the contract that the target can be asked for."""
    by_websocket, by_invoke = {websockets, handshakes, closings}, {invoked_events}
    asked = set(CHECKS) - by_websocket - by_invoke if target.url else set()
    asked |= by_websocket if target.websocket else set()
    asked |= by_invoke if target.invoke else set()
    return {name: check for name, check in CONTRACT.items() if check in asked}
