"""What the bytes of an event and of a result say, for people."""

from __future__ import annotations

import base64
import json
from typing import Any, NamedTuple

PRELUDE_END = b"\0" * 8
"""Between the head of a streamed HTTP answer and its body."""


class Text(NamedTuple):
    """Something to show under a title."""

    title: str
    text: str


def summary(event: bytes) -> str:
    """An event in a few words: `GET /items?q=1`, `aws:sqs`, or the keys that it has."""
    value = _object(event)
    context = value.get("requestContext")
    context = context if isinstance(context, dict) else {}
    http = context.get("http")
    if isinstance(http, dict):  # payload 2.0, and Function URLs
        query = value.get("rawQueryString")
        return f"{http.get('method')} {value.get('rawPath')}{f'?{query}' if query else ''}"
    if "routeKey" in context and "connectionId" in context:
        return f"WebSocket {context['routeKey']}"
    for method, path in (("httpMethod", "path"), ("method", "path"), ("method", "raw_path")):
        if method in value and path in value:
            return f"{value[method]} {value[path]}"
    records = value.get("Records")
    if isinstance(records, list) and records and isinstance(records[0], dict):
        source = records[0].get("eventSource", records[0].get("EventSource", "records"))
        return f"{source}, {len(records)} record{'s' if len(records) > 1 else ''}"
    for name in ("detail-type", "eventSource", "source"):
        if isinstance(value.get(name), str):
            return str(value[name])
    return ", ".join(list(value)[:4]) or "an event"


def status(result: bytes) -> int | None:
    """The HTTP status of a result, if it is one."""
    code = _object(result.partition(PRELUDE_END)[0]).get("statusCode")
    return code if isinstance(code, int) else None


def shown(data: bytes) -> list[Text]:
    """An event or a result, indented; and its body apart, if it has one that is text."""
    head, mark, body = data.partition(PRELUDE_END)
    value = _object(head)
    texts = [Text("", json.dumps(value, indent=2, ensure_ascii=False) if value else _text(head))]
    encoded = value.get("body")
    if mark:
        texts.append(Text("body", _text(body)))
    elif isinstance(encoded, str) and encoded:
        try:
            binary = value.get("isBase64Encoded") is True
            data = base64.b64decode(encoded, validate=True) if binary else encoded.encode()
        except ValueError:
            return texts
        texts.append(Text("body", _text(data)))
    return texts


def _object(data: bytes) -> dict[str, Any]:
    """The JSON object that the bytes are, or an empty one."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _text(data: bytes) -> str:
    """Text as it is, JSON indented, and of other bytes their number."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return f"{len(data):,} bytes that are not text"
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    if not isinstance(value, (dict, list)):
        return text
    return json.dumps(value, indent=2, ensure_ascii=False)
