"""What the bytes of an event and of a result say, for people."""

from __future__ import annotations

import base64
import json
from typing import Any, NamedTuple

from lamella.front_doors.prelude import END


class Text(NamedTuple):
    """Something to show under a title."""

    title: str
    text: str


def summary(event: bytes) -> str:
    """An event in a few words: `GET /items?q=1`, `aws:sqs, 2 records`, or the keys that it has."""
    value = _object(event)
    context = _dict(value.get("requestContext"))
    method = _first({**value, **_dict(context.get("http"))}, "httpMethod", "method")
    path = _first(value, "rawPath", "path", "raw_path")
    if method and path:
        query = value.get("rawQueryString")
        return f"{method} {path}{f'?{query}' if query else ''}"
    if "connectionId" in context:
        return f"WebSocket {context.get('routeKey')}"
    records = value.get("Records")
    if isinstance(records, list) and records:
        source = _first(_dict(records[0]), "eventSource", "EventSource") or "records"
        return f"{source}, {len(records)} record{'s' if len(records) > 1 else ''}"
    named = _first(value, "detail-type", "eventSource", "source")
    return str(named) or ", ".join(list(value)[:4]) or "an event"


def status(result: bytes) -> int | None:
    """The HTTP status of a result, if it is one."""
    code = _object(result.partition(END)[0]).get("statusCode")
    return code if isinstance(code, int) else None


def shown(data: bytes) -> list[Text]:
    """An event or a result, indented; and its body apart, if it has one that is text."""
    head, mark, body = data.partition(END)
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


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _first(value: dict[str, Any], *names: str) -> Any:
    """What the first of these names has that has anything."""
    return next((value[name] for name in names if value.get(name)), "")


def _object(data: bytes) -> dict[str, Any]:
    """The JSON object that the bytes are, or an empty one."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return _dict(value)


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
