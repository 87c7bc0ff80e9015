"""What an asyncio runtime does not start faster than: import asyncio, ask for /next."""

from __future__ import annotations

import asyncio  # noqa: F401  to import it is what is measured
import os
import socket

host, _, port = os.environ["AWS_LAMBDA_RUNTIME_API"].partition(":")
sock = socket.socket()  # create_connection would import the codec idna
sock.connect((host, int(port)))
sock.sendall(b"GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: floor\r\n\r\n")
sock.recv(1)
