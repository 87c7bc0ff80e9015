"""Stands before moto's server: writes happen one after the other, and calls can fail as AWS's do.

moto checks a condition and writes in two steps, between which another thread may write; AWS does
not.
"""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple


class Call(NamedTuple):
    """A request."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def operation(self) -> str:
        """DynamoDB's name of it, or the method."""
        return self.headers.get("X-Amz-Target", self.method).rpartition(".")[2]


class Answer(NamedTuple):
    """An HTTP answer."""

    status: int
    headers: dict[str, str]
    body: bytes


Fault = Callable[[Call, Callable[[Call], Answer]], "Answer | None"]
"""Takes the call and what asks moto; returns the answer, or None to close the connection."""


def throttled(call: Call, ask: Callable[[Call], Answer]) -> Answer:
    """DynamoDB's answer to too many calls."""
    body = {"__type": "com.amazonaws.dynamodb.v20120810#ThrottlingException", "message": "Slower"}
    return Answer(400, {"Content-Type": "application/x-amz-json-1.0"}, json.dumps(body).encode())


def slow_down(call: Call, ask: Callable[[Call], Answer]) -> Answer:
    """S3's answer to too many calls."""
    body = (
        b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
    )
    return Answer(503, {"Content-Type": "application/xml"}, body)


def denied(call: Call, ask: Callable[[Call], Answer]) -> Answer:
    """DynamoDB's answer to a role without the policy."""
    text = "User: arn:aws:sts::123456789012:assumed-role/fn is not authorized"
    body = {"__type": "com.amazon.coral.service#AccessDeniedException", "Message": text}
    return Answer(400, {"Content-Type": "application/x-amz-json-1.0"}, json.dumps(body).encode())


def denied_by_s3(call: Call, ask: Callable[[Call], Answer]) -> Answer:
    """S3's answer to a role without the policy."""
    body = b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
    return Answer(403, {"Content-Type": "application/xml"}, body)


def lost(call: Call, ask: Callable[[Call], Answer]) -> None:
    """Do the work, and close the connection instead of telling."""
    ask(call)


def halved(call: Call, ask: Callable[[Call], Answer]) -> Answer:
    """Do half of a BatchWriteItem, and leave the other one to the caller."""
    [(table, requests)] = json.loads(call.body)["RequestItems"].items()
    half = (len(requests) + 1) // 2
    body = json.dumps({"RequestItems": {table: requests[:half]}}).encode()
    answer = ask(call._replace(body=body))
    rest = {"UnprocessedItems": {table: requests[half:]} if requests[half:] else {}}
    return answer._replace(body=json.dumps(rest).encode())


class Front(ThreadingHTTPServer):
    """A server on the loopback interface; the operations asked of it are in `seen`."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, behind: tuple[str, int]) -> None:
        super().__init__(("127.0.0.1", 0), _Request)
        self.behind = behind
        self.seen: list[str] = []
        self._faults: list[tuple[str, Fault]] = []
        self._always: dict[str, Fault] = {}
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,))

    def __enter__(self) -> Front:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()

    def fail(self, operation: str, fault: Fault, times: int = 1) -> None:
        """Let the next `times` calls of `operation` meet `fault`."""
        self._faults = [(operation, fault)] * times

    def meet(self, faults: dict[str, Fault]) -> None:
        """Let every call of these operations meet its fault."""
        self._always = faults

    def recover(self) -> None:
        """End all faults, and forget what was seen."""
        self._faults = []
        self._always = {}
        self.seen = []

    def handle_error(self, *_: Any) -> None:
        """Say nothing of callers that do not wait for their answer."""

    def answer(self, call: Call, ask: Callable[[Call], Answer]) -> Answer | None:
        """Answer as moto does, unless a fault waits for the call."""
        with self._lock:
            self.seen.append(call.operation)
            if self._faults and self._faults[0][0] == call.operation:
                return self._faults.pop(0)[1](call, ask)
            fault = self._always.get(call.operation)
            return fault(call, ask) if fault else ask(call)


class _Request(BaseHTTPRequestHandler):
    server: Front
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def setup(self) -> None:
        super().setup()
        self._moto = http.client.HTTPConnection(*self.server.behind, timeout=30)

    def finish(self) -> None:
        super().finish()
        self._moto.close()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        call = Call(self.command, self.path, dict(self.headers), body)
        answer = self.server.answer(call, self._ask)
        self.close_connection = answer is None
        if answer is None:
            return
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            if name.lower() not in {"content-length", "connection", "transfer-encoding"}:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)

    do_GET = do_PUT = do_DELETE = do_POST

    def _ask(self, call: Call) -> Answer:
        headers = {n: v for n, v in call.headers.items() if n.lower() != "content-length"}
        headers["Content-Length"] = str(len(call.body))
        self._moto.request(call.method, call.path, call.body, headers)
        response = self._moto.getresponse()
        return Answer(response.status, dict(response.getheaders()), response.read())

    def log_message(self, *args: Any) -> None:
        """Say nothing."""
