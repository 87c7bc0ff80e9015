"""A server on the loopback interface that stands before moto's, so that calls can fail there."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple, Self


class Call(NamedTuple):
    """A request."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Answer(NamedTuple):
    """An HTTP answer."""

    status: int
    headers: dict[str, str]
    body: bytes


Ask = Callable[[Call], Answer]
"""Asks moto."""


class FrontOfMoto(ThreadingHTTPServer):
    """Hands calls on to the server at `behind`; `answer` decides about each of them."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, behind: tuple[str, int]) -> None:
        super().__init__(("127.0.0.1", 0), _Request)
        self.behind = behind
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.lock = threading.Lock()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()

    def answer(self, call: Call, ask: Ask) -> Answer | None:
        """The answer to a call; None closes the connection without one."""
        return ask(call)

    def handle_error(self, *_: Any) -> None:
        """Say nothing of callers that do not wait for their answer."""


class _Request(BaseHTTPRequestHandler):
    server: FrontOfMoto
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
