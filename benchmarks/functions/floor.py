"""What no runtime goes below: a loop over a raw socket, with a constant answer.

It parses the event, because every runtime has to, and nothing else.
"""

from __future__ import annotations

import json
import os
import socket

NEXT = b"GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: floor\r\n\r\n"
POST = b"POST /2018-06-01/runtime/invocation/%b/response HTTP/1.1\r\nHost: floor\r\n"
RESULT = (
    b'{"statusCode":200,"headers":{"content-type":"application/json"},'
    b'"body":"{\\"hello\\":\\"world\\"}","isBase64Encoded":false}'
)


def value(head: bytes, name: bytes) -> bytes:
    return head.partition(b"\r\n" + name + b": ")[2].partition(b"\r\n")[0]


def receive(sock: socket.socket) -> tuple[bytes, bytes]:
    data = b""
    while b"\r\n\r\n" not in data:
        received = sock.recv(65536)
        if not received:
            raise SystemExit
        data += received
    head, _, body = data.partition(b"\r\n\r\n")
    while len(body) < int(value(head, b"Content-Length")):
        body += sock.recv(65536)
    return head, body


def main() -> None:
    host, _, port = os.environ["AWS_LAMBDA_RUNTIME_API"].partition(":")
    sock = socket.socket()  # create_connection would import the codec idna
    sock.connect((host, int(port)))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    while True:
        sock.sendall(NEXT)
        head, body = receive(sock)
        json.loads(body)
        request_id = value(head, b"Lambda-Runtime-Aws-Request-Id")
        length = b"Content-Length: %d\r\n\r\n" % len(RESULT)
        sock.sendall(POST % request_id + length + RESULT)
        receive(sock)


main()
