"""Ways to an address that a plain connection does not have."""

from __future__ import annotations

import base64
import hashlib
import socket
import zlib
from typing import Any

import httpx
from botocore.exceptions import ClientError

from tests.contract.invoking import invoke


class InvokeTransport(httpx.BaseTransport):
    """Lets a Lambda function send each request: function/main.py, in a network that we are not in.

    `client` is boto3's for Lambda. What the function could not send or read whole is an
    httpx.ReadError with the function's own message, and what is too large for an event an
    httpx.WriteError. What else Lambda refuses stays boto3's error: it says nothing of the address.
    """

    def __init__(self, client: Any, function: str) -> None:
        self._client = client
        self._function = function

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        body = request.read()
        if request.headers.pop("transfer-encoding", None):  # it is sent whole
            request.headers["content-length"] = str(len(body))
        event = {
            "method": request.method,
            "scheme": request.url.scheme,
            "host": request.url.netloc.decode("ascii"),
            "target": request.url.raw_path.decode("ascii"),
            "headers": [[n.decode("latin-1"), v.decode("latin-1")] for n, v in request.headers.raw],
            "body": base64.b64encode(body).decode(),
        }
        try:
            result, failed = invoke(self._client, self._function, event)
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] != 413:
                raise
            raise httpx.WriteError(f"{self._function}: {error}", request=request) from error
        if failed:
            raise httpx.ReadError(f"{self._function}: {result['errorMessage']}", request=request)
        headers = [(n.encode("latin-1"), v.encode("latin-1")) for n, v in result["headers"]]
        body = zlib.decompress(base64.b64decode(result["body"]))
        return httpx.Response(result["status"], headers=headers, stream=httpx.ByteStream(body))


class AwakeTransport(httpx.HTTPTransport):
    """Lets the routers in between not forget a silent connection, as some do after five minutes.

    TCP's own probes carry no data, so that the silence is the same for the front door.
    """

    def __init__(self) -> None:
        every_minute = [
            (socket.IPPROTO_TCP, getattr(socket, name), 60)
            for name in ("TCP_KEEPIDLE", "TCP_KEEPALIVE", "TCP_KEEPINTVL")
            if hasattr(socket, name)  # Linux has the first one, macOS the second one
        ]
        options = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1), *every_minute]
        super().__init__(socket_options=options)


class HashingTransport(httpx.HTTPTransport):
    """Sends the hash of each body: CloudFront signs it, and Lambda compares it with the body.

    https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/private-content-restricting-access-to-lambda.html
    """

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.headers["x-amz-content-sha256"] = hashlib.sha256(request.read()).hexdigest()
        return super().handle_request(request)
