"""What may be sent to a client: text of at most 128 KB.

https://docs.aws.amazon.com/apigateway/latest/developerguide/websocket-api-limits.html says the
size. API Gateway has no binary messages from a function to a client.
"""

from __future__ import annotations

from lamella.errors import ApplicationError

LARGEST = 128 * 1024
"""Bytes of a message."""


def encoded(data: str | bytes, bytes_setting: str) -> bytes:
    """The message as UTF-8, base64 for bytes where the setting asks for it.

    Raises `ApplicationError` for what API Gateway would not deliver.
    """
    if isinstance(data, str):
        text = data.encode("utf-8", "replace")  # half a surrogate pair is no text
    elif not isinstance(data, (bytes, bytearray, memoryview)):
        raise ApplicationError(
            f"A WebSocket message is a {type(data).__name__}: send str or bytes."
        )
    elif bytes_setting == "base64":
        from binascii import b2a_base64

        text = b2a_base64(data, newline=False)
    else:
        raise ApplicationError(
            f"{len(data)} bytes were sent over a WebSocket: API Gateway delivers text only. Send "
            "text, or set ASGI_WEBSOCKET_BYTES=base64 and decode it in the client."
        )
    if len(text) > LARGEST:
        raise ApplicationError(
            f"A WebSocket message of {len(text)} bytes was sent: API Gateway delivers at most "
            f"{LARGEST}. Send it in parts, or send a link to it."
        )
    return text
