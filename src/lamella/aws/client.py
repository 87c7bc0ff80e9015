"""Signed requests to AWS's services: what boto3 would do, without its import.

Of boto3's settings the credentials are read, from the environment only. Requests go where `url`
says: AWS_USE_FIPS_ENDPOINT, AWS_USE_DUALSTACK_ENDPOINT and AWS_ENDPOINT_URL have no effect.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

from lamella.aws.credentials import CredentialSource
from lamella.aws.http import HttpClient, Unreachable
from lamella.aws.sigv4 import sign
from lamella.http1 import Reply

__all__ = ["AwsClient", "Reply", "Unreachable"]


class AwsClient:
    """Signs requests and sends them over kept-alive connections; one object serves one event loop.

    `timeout`: seconds for one exchange, connecting included. `connections`: open ones per host at
    most; a request waits for a free one, however long that takes.
    """

    def __init__(self, timeout: float = 5.0, connections: int = 32) -> None:
        self._http = HttpClient(timeout, connections)
        self._credentials = CredentialSource(self._http)

    async def request(
        self,
        service: str,
        region: str,
        method: str,
        url: str,
        headers: Mapping[str, str] = {},
        body: bytes = b"",
    ) -> Reply:
        """The service's reply, whatever its status. `service` as in an ARN: "execute-api", "s3".

        `url` is percent-encoded, its query too. Raises `Unreachable` where no whole reply came in
        time, `WebSocketError` where there are no credentials, `ValueError` for a malformed URL.
        """
        credentials = await self._credentials.get()

        def signed() -> dict[str, str]:
            # Called when it is sent, since that may be after a queue or a freeze, and a signature
            # is good for five minutes.
            return sign(credentials, service, region, method, url, headers, body, time.time())

        return await self._http.request(method, url, signed, body)

    async def close(self) -> None:
        """Close every connection; a caller that waits for a reply gets `Unreachable`."""
        await self._http.close()
