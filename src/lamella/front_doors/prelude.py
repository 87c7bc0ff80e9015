"""The JSON in front of a streamed HTTP answer, ended by eight NUL bytes.

https://docs.aws.amazon.com/lambda/latest/dg/response-streaming-tutorial.html and
https://docs.aws.amazon.com/apigateway/latest/developerguide/response-transfer-mode-lambda.html
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

from lamella.front_doors.door import Malformed

CONTENT_TYPE = "application/vnd.awslambda.http-integration-response"
END = bytes(8)
MAX_PRELUDE = 16 * 1024
"""Bytes in which the end must come (a REST API's rule; taken for Function URLs as well)."""


async def read_prelude(pieces: AsyncIterator[bytes]) -> tuple[dict[str, Any], bytes]:
    """The prelude, and the first bytes of the body that came with it. Raises Malformed."""
    seen = b""
    async for piece in pieces:
        seen += piece
        head, end, body = seen.partition(END)
        if end and len(head) + len(END) <= MAX_PRELUDE:
            try:
                prelude = json.loads(head)
            except ValueError as error:
                raise Malformed(f"the prelude is not JSON: {error}") from error
            if not isinstance(prelude, dict):
                kind = type(prelude).__name__
                raise Malformed(f"the prelude is a JSON {kind}, not an object")
            return prelude, body
        if len(seen) > MAX_PRELUDE:
            raise Malformed(f"no eight NUL bytes in the first {MAX_PRELUDE} bytes")
    raise Malformed(f"the stream ended after {len(seen)} bytes, before the eight NUL bytes")
