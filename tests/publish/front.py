"""Stands before moto's server and fails as AWS does: throttles, is down, loses an answer."""

from __future__ import annotations

import http.client
import json
import re
import threading
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

OPERATIONS = {
    ("POST", "versions"): "publish",
    ("POST", "policy"): "allow",
    ("GET", "versions"): "list",
}


class Answer(NamedTuple):
    """An HTTP answer."""

    status: int
    headers: dict[str, str]
    body: bytes


Fault = Callable[[Callable[[], Answer]], Answer | None]
"""Takes what asks moto; returns the answer, or None to close the connection without one."""


def error(status: int, code: str, message: str = "") -> Fault:
    """Answer with an error as Lambda words it."""
    body = json.dumps({"message": message, "Type": "User"}).encode()
    headers = {"x-amzn-ErrorType": code, "Content-Type": "application/json"}
    return lambda ask: Answer(status, headers, body)


def garbled(ask: Callable[[], Answer]) -> Answer | None:
    """Answer as a balancer does that finds nobody behind it."""
    return Answer(503, {"Content-Type": "text/html"}, b"<p>Service unavailable")


throttled = error(429, "TooManyRequestsException", "Rate exceeded")


def down(ask: Callable[[], Answer]) -> Answer | None:
    """Close the connection; the call does nothing."""
    return None


def lost(ask: Callable[[], Answer]) -> Answer | None:
    """Let the call do its work, and close the connection instead of telling."""
    ask()
    return None


class Front(ThreadingHTTPServer):
    """A server on the loopback interface; what is asked of it is counted in `seen`."""

    daemon_threads = True

    def __init__(self, behind: tuple[str, int]) -> None:
        super().__init__(("127.0.0.1", 0), _Request)
        self.behind = behind
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.seen: Counter[tuple[str, str]] = Counter()
        self.headers: list[dict[str, str]] = []
        self._faults: dict[tuple[str, str], list[Fault]] = {}
        self._statements: set[tuple[str, str, str]] = set()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,))

    def __enter__(self) -> Front:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()

    def fail(self, region: str, operation: str, fault: Fault, times: int = 1) -> None:
        """Let the next `times` calls of `operation` in `region` meet `fault`."""
        self._faults[region, operation] = [fault] * times

    def recover(self) -> None:
        """End all faults, and count anew."""
        self._faults.clear()
        self.seen.clear()

    def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer | None:
        """Answer a call as moto does, unless a fault waits for it."""
        found = re.search(r"Credential=[^/]+/\d+/([^/]+)/([^/]+)/", headers["Authorization"])
        assert found
        operation = OPERATIONS.get((method, path.rsplit("/", 1)[-1]), "get")
        key = (found[1], {"sts": "account", "ssm": "parameter"}.get(found[2], operation))
        with self._lock:
            self.seen[key] += 1
            faults = self._faults.get(key)
            fault = faults.pop() if faults else None
        if fault:
            return fault(lambda: self.forward(method, path, headers, body))
        if key[1] == "allow" and self._is_repeated(key[0], path, body):
            conflict = error(409, "ResourceConflictException", "The statement id exists already")
            return conflict(lambda: self.forward(method, path, headers, body))
        return self.forward(method, path, headers, body)

    def forward(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        """Ask moto."""
        connection = http.client.HTTPConnection(*self.behind, timeout=30)
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        answer = Answer(response.status, dict(response.getheaders()), response.read())
        connection.close()
        return answer

    def _is_repeated(self, region: str, path: str, body: bytes) -> bool:
        """Tell whether the statement is there already: AWS refuses it, moto adds it twice."""
        statement = (region, path, str(json.loads(body)["StatementId"]))
        with self._lock:
            repeated = statement in self._statements
            self._statements.add(statement)
        return repeated


class _Request(BaseHTTPRequestHandler):
    server: Front
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        answer = self.server.answer(self.command, self.path, dict(self.headers), body)
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

    do_GET = do_POST

    def log_message(self, *args: Any) -> None:
        """Say nothing."""
