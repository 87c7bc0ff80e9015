"""A runtime of a few lines, started as the exec wrapper: it does what the event tells it to.

It knows nothing of Lamella, only Lambda's Runtime API, and uses only the standard library.
The event is {"do": NAME, ...} (NAME as in ACTIONS); FAKE_INIT says what goes wrong in init. On
managed instances it asks for as many events at a time as it may. With SnapStart it asks for a
restore; FAKE_HOOK says what goes wrong around it.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import resource
import signal
import socket
import sys
import threading
import time
from typing import Any

API = os.environ["AWS_LAMBDA_RUNTIME_API"]
RUNTIME = "/2018-06-01/runtime"
EXTENSION = "/2020-01-01/extension"
PRELUDE_TYPE = "application/vnd.awslambda.http-integration-response"

SAID = {
    "module": "No module named 'shop'",
    "folder": "ASGI_APP='shop.main:app': there is no module 'shop'. The root / holds: src.",
    "sqlite": "Lifespan startup failed: OperationalError: unable to open database file",
}
"""What an init error says, by the FAKE_INIT that it is of."""

Event = dict[str, Any]


def say(*words: str) -> None:
    sys.stdout.write(" ".join(words) + "\n")
    sys.stdout.flush()


def call(
    method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection(API)
    connection.request(method, path, body, headers or {})
    response = connection.getresponse()
    answer = response.status, {k.lower(): v for k, v in response.getheaders()}, response.read()
    connection.close()
    return answer


def respond(request_id: str, value: Any, headers: dict[str, str] | None = None) -> None:
    call("POST", f"{RUNTIME}/invocation/{request_id}/response", json.dumps(value).encode(), headers)


class Stream:
    """A streamed response, chunk by chunk."""

    def __init__(self, request_id: str, content_type: str) -> None:
        host, port = API.split(":")
        self.socket = socket.create_connection((host, int(port)))
        head = (
            f"POST {RUNTIME}/invocation/{request_id}/response HTTP/1.1\r\nHost: {API}\r\n"
            "Lambda-Runtime-Function-Response-Mode: streaming\r\nTransfer-Encoding: chunked\r\n"
            "Trailer: Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body\r\n"
            f"Content-Type: {content_type}\r\n\r\n"
        )
        self.socket.sendall(head.encode())

    def write(self, data: bytes) -> None:
        self.socket.sendall(b"%x\r\n%b\r\n" % (len(data), data))

    def end(self, *trailers: str) -> None:
        self.socket.sendall(b"0\r\n" + "".join(t + "\r\n" for t in trailers).encode() + b"\r\n")
        self.socket.recv(65536)
        self.socket.close()


def echo(request_id: str, event: Event, headers: dict[str, str]) -> None:
    respond(request_id, {"event": event, "headers": headers, "pid": os.getpid()})


def environ(request_id: str, _event: Event, _headers: dict[str, str]) -> None:
    about = {"argv": sys.argv, "cwd": os.getcwd(), "variables": dict(os.environ)}
    respond(request_id, about)


def result(request_id: str, event: Event, _headers: dict[str, str]) -> None:
    """Answer with the event's own "result"; work some seconds `first`, and `then`."""
    time.sleep(event.get("first", 0))
    respond(request_id, event["result"])
    time.sleep(event.get("then", 0))


def error(request_id: str, event: Event, _headers: dict[str, str]) -> None:
    body = json.dumps({"errorMessage": event.get("message", "no"), "errorType": "Oops"}).encode()
    path = f"{RUNTIME}/invocation/{request_id}/error"
    call("POST", path, body, {"Lambda-Runtime-Function-Error-Type": "Function.Oops"})


def sleep(request_id: str, event: Event, _headers: dict[str, str]) -> None:
    time.sleep(event["seconds"])
    respond(request_id, {"slept": event["seconds"], "pid": os.getpid()})


def wait_for(file: str) -> None:
    """Wait until the function's folder has a file of this name."""
    while not os.path.exists(file):
        time.sleep(0.01)


def hold(request_id: str, event: Event, _headers: dict[str, str]) -> None:
    """Answer with `result`, or with this process, once there is the file `until`."""
    wait_for(event["until"])
    respond(request_id, event.get("result", {"pid": os.getpid()}))


def late(request_id: str, event: Event, _headers: dict[str, str]) -> None:
    """Answer at once, and go on working before the next /next: `seconds`, or until a file."""
    respond(request_id, "early")
    if "until" in event:
        wait_for(event["until"])
    time.sleep(event.get("seconds", 0))


def crash(_request_id: str, event: Event, _headers: dict[str, str]) -> None:
    say("about to crash")
    os._exit(event.get("code", 1))


def stream(request_id: str, event: Event, _headers: dict[str, str]) -> None:
    """Stream `prelude` (JSON, if given), then `chunks`, `pause` seconds apart.

    With `confirmed` each of them waits for a file that has the name of the one before.
    """
    body = Stream(request_id, PRELUDE_TYPE if "prelude" in event else "text/plain")
    if "prelude" in event:
        body.write(json.dumps(event["prelude"]).encode() + bytes(8))
    for chunk in event.get("chunks", []):
        body.write(chunk.encode())
        if event.get("confirmed"):
            wait_for(chunk)
        time.sleep(event.get("pause", 0))
    if event.get("crash"):
        os._exit(7)
    if "trailer_error" in event:
        encoded = base64.b64encode(json.dumps(event["trailer_error"]).encode()).decode()
        kind = "Lambda-Runtime-Function-Error-Type: Runtime.StreamError"
        body.end(kind, f"Lambda-Runtime-Function-Error-Body: {encoded}")
    else:
        body.end()


def overrun(request_id: str, event: Event, _headers: dict[str, str]) -> None:
    """Answer, and report an error, long after the deadline; say what came of it."""
    time.sleep(event["seconds"])
    for end in ("response", "error"):
        status, _, body = call("POST", f"{RUNTIME}/invocation/{request_id}/{end}", b"{}")
        say("late", end, str(status), json.loads(body)["errorType"])


def flood(request_id: str, event: Event, _headers: dict[str, str]) -> None:
    """Stream `megabytes` as fast as the server takes them."""
    body = Stream(request_id, "application/octet-stream")
    for _ in range(event["megabytes"] * 16):
        body.write(bytes(65536))
    body.end()


def write(request_id: str, event: Event, _headers: dict[str, str]) -> None:
    """Try to write `megabytes` to each of `paths`; answer with the error of each, or ""."""
    said = {}
    for path in event["paths"]:
        try:
            with open(os.path.expanduser(path), "wb") as file:
                for _ in range(event.get("megabytes", 1)):
                    file.write(bytes(2**20))
            said[path] = ""
        except OSError as error:
            said[path] = str(error.strerror)
    opened = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    seen = {name: os.listdir(f"/{name}") for name in ("tmp", "opt")}
    respond(request_id, {"said": said, "descriptors": opened, **seen})


def hoard(request_id: str, event: Event, _headers: dict[str, str]) -> None:
    """Use `megabytes` of memory, in `children` processes or in this one, for some seconds."""
    children = []
    for _ in range(event.get("children", 0)):
        children.append(os.fork())
        if children[-1] == 0:
            break
    if not children or children[-1] == 0:
        held = b"x" * (event["megabytes"] * 2**20)
        time.sleep(event.get("seconds", 30))
        if children:
            os._exit(len(held) & 0)
    for child in children:
        os.waitpid(child, 0)
    respond(request_id, "hoarded")


def debug(request_id: str, event: Event, _headers: dict[str, str]) -> None:
    """Stop in a debugger; answer with what was made of `value` there."""
    value = event["value"]
    breakpoint()
    respond(request_id, {"value": value, "pid": os.getpid()})


ACTIONS = {
    action.__name__: action
    for action in (
        *(echo, environ, result, error, sleep, hold, late, crash),
        *(stream, flood, overrun, write, hoard, debug),
    )
}


def from_api(event: Event) -> Event:
    """An event of any API: what to do is its JSON body, or $connect's `wish`; else to echo."""
    body = event.get("body") or ""
    if "connectionId" in event.get("requestContext", {}):
        about = {"size": len(body), "pid": os.getpid()}
        say("websocket", json.dumps({**event, "body": body[:1000], **about}))
        body = body or (event.get("queryStringParameters") or {}).get("wish", "")
    if event.get("isBase64Encoded") or event.get("is_base64_encoded"):
        body = base64.b64decode(body).decode("utf-8", "replace")
    try:
        wish = json.loads(body)
    except ValueError:
        wish = None
    if isinstance(wish, dict) and "do" in wish:
        return wish
    return {"do": "result", "result": {"statusCode": 200, "body": json.dumps(event)}}


def main() -> None:
    init()
    if os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"] == "snap-start":
        restore()
    threads = int(os.environ.get("AWS_LAMBDA_MAX_CONCURRENCY", "1")) - 1
    for _ in range(threads):
        threading.Thread(target=serve, daemon=True).start()
    serve()


def restore() -> None:
    fault = os.environ.get("FAKE_HOOK", "")
    if fault == "before":
        fail("init", "Runtime.BeforeSnapshotError", 64)
    status, _, _ = call("GET", f"{RUNTIME}/restore/next")
    say("restored", str(status))
    if fault == "after":
        fail("restore", "Runtime.AfterRestoreError", 65)
    if fault == "slow":
        time.sleep(60)


def fail(phase: str, error_type: str, exit_code: int) -> None:
    body = json.dumps({"errorMessage": "a hook failed", "errorType": error_type}).encode()
    call("POST", f"{RUNTIME}/{phase}/error", body)
    sys.exit(exit_code)


def serve() -> None:
    while True:
        _, headers, body = call("GET", f"{RUNTIME}/invocation/next")
        request_id = headers["lambda-runtime-aws-request-id"]
        event = json.loads(body)
        if "do" not in event:
            event = from_api(event)
        say("event", event["do"])
        ACTIONS[event["do"]](request_id, event, headers)


def init() -> None:
    fault = os.environ.get("FAKE_INIT", "")
    if fault == "error":
        body = json.dumps({"errorMessage": "no such app", "errorType": "ImportError"}).encode()
        call("POST", f"{RUNTIME}/init/error", body)
        sys.exit(3)
    if fault in SAID:
        kind = "Runtime.ImportModuleError"
        message = {"errorMessage": SAID[fault], "errorType": kind}
        call("POST", f"{RUNTIME}/init/error", json.dumps(message).encode())
        sys.exit(1)
    if fault == "exit":
        sys.exit(4)
    if fault == "hang":
        time.sleep(60)
    if fault == "wait":
        wait_for("go")
    if os.environ.get("FAKE_EXTENSION"):
        register()


def register() -> None:
    def drained() -> None:
        say("drained")
        os._exit(0)

    def terminated() -> None:
        signal.sigwait({signal.SIGTERM})
        say("got SIGTERM")
        if os.environ.get("FAKE_DRAIN"):
            threading.Timer(0.2, drained).start()
        elif not os.environ.get("FAKE_STUBBORN"):
            os._exit(0)

    # A handler would run in the main thread, whose recv() does not see a signal that came just
    # before it. So every thread blocks the signal, and one waits for it.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    threading.Thread(target=terminated, daemon=True).start()
    events = json.dumps({"events": os.environ["FAKE_EXTENSION"].split()[1:]}).encode()
    name = {"Lambda-Extension-Name": "fake"}
    _, headers, _ = call("POST", f"{EXTENSION}/register", events, name)
    identity = {"Lambda-Extension-Identifier": headers["lambda-extension-identifier"]}

    def loop() -> None:
        while True:
            _, _, body = call("GET", f"{EXTENSION}/event/next", None, identity)
            say("extension", body.decode())

    threading.Thread(target=loop, daemon=True).start()


if __name__ == "__main__":
    main()
