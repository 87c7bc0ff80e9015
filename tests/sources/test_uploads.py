"""Forms and uploads from every source: the body is whole, and a length says so.

Django and others read no more than `content-length` bytes, so without the header a form is empty
to them; a REST API takes it off.
"""

from __future__ import annotations

import base64
from typing import Any

import pytest
from starlette.requests import Request as StarletteRequest
from starlette.responses import JSONResponse

import lamella
from lamella.types import Receive, Scope, Send
from tests.sources import builders
from tests.sources.test_samples import CONTEXT

MULTIPART = (
    b'--B\r\nContent-Disposition: form-data; name="a"\r\n\r\n\xc3\xa9\r\n'
    b'--B\r\nContent-Disposition: form-data; name="f"; filename="x.bin"\r\n'
    b"Content-Type: application/octet-stream\r\n\r\n\x00\xff\r\n--B--\r\n"
)
SOURCES = {**builders.HTTP_EVENTS, "alb-single": builders.alb_single_event}


def posted(name: str, content_type: str, body: bytes, *, length: str | None = None) -> Any:
    """The event of a form that was posted; `length` is the content-length that the event has."""
    text = base64.b64encode(body).decode()
    if name == "edge":
        event = builders.edge_event(body={"data": text, "encoding": "base64"})
    else:
        flag = "is_base64_encoded" if name == "lattice-v1" else "isBase64Encoded"
        event = SOURCES[name](**{"body": text, flag: True})
    headers = {"content-type": content_type, "content-length": length}
    for holder in header_maps(event):
        for key, value in headers.items():
            holder.pop(key, None)
            if value is not None:
                holder[key] = shaped(holder, value)
    return event


def header_maps(event: Any) -> list[Any]:
    if "Records" in event:
        return [event["Records"][0]["cf"]["request"]["headers"]]
    return [event[key] for key in ("headers", "multiValueHeaders") if event.get(key)]


def shaped(holder: Any, value: str) -> Any:
    """The value as the map's other ones are: a string, a list, or CloudFront's objects."""
    other = next(iter(holder.values()))
    if isinstance(other, str):
        return value
    return [{"value": value}] if isinstance(other[0], dict) else [value]


def lengths_seen(event: Any) -> list[bytes]:
    """Every content-length of the scope that the event becomes."""
    return headers_seen(event, b"content-length")


def headers_seen(event: Any, header: bytes) -> list[bytes]:
    seen: list[bytes] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.extend(value for name, value in scope["headers"] if name == header)
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body"})

    handler = lamella.Adapter(app, lifespan="off")
    handler(event, CONTEXT)
    handler.close()
    return seen


@pytest.mark.parametrize("name", SOURCES)
def test_D30_a_body_has_its_length(name: str) -> None:
    event = posted(name, "multipart/form-data; boundary=B", MULTIPART)
    assert lengths_seen(event) == [b"%d" % len(MULTIPART)]


@pytest.mark.parametrize("name", SOURCES)
def test_a_length_that_came_stays_alone(name: str) -> None:
    assert lengths_seen(posted(name, "text/plain", b"abc", length="3")) == [b"3"]


@pytest.mark.parametrize("name", SOURCES)
def test_no_body_has_no_length(name: str) -> None:
    assert lengths_seen(posted(name, "text/plain", b"")) == []


@pytest.mark.parametrize(("body", "length"), [(b"abc", None), (b"abc", "7"), (b"", None)])
@pytest.mark.parametrize("name", SOURCES)
def test_a_chunked_body_that_came_whole_has_a_length(
    name: str, body: bytes, length: str | None
) -> None:
    """RFC 9112, section 7.1.3: who decodes the chunks writes the length in place of the coding."""
    event = posted(name, "text/plain", body, length=length)
    for holder in header_maps(event):
        holder["Transfer-Encoding"] = shaped(holder, "chunked")
    assert lengths_seen(event) == [b"%d" % len(body)]
    assert headers_seen(event, b"transfer-encoding") == []


async def form_app(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with the form's fields, files as a list of their bytes."""
    async with StarletteRequest(scope, receive).form() as form:
        found = {
            key: value if isinstance(value, str) else list(await value.read())
            for key, value in form.items()
        }
    await JSONResponse(found)(scope, receive, send)


@pytest.mark.parametrize(
    ("content_type", "body", "fields"),
    [
        ("multipart/form-data; boundary=B", MULTIPART, '{"a":"é","f":[0,255]}'),
        ("application/x-www-form-urlencoded", b"a=1&b=%C3%A9", '{"a":"1","b":"é"}'),
    ],
    ids=["multipart", "form"],
)
@pytest.mark.parametrize("name", SOURCES)
def test_D30_forms_are_parsed(name: str, content_type: str, body: bytes, fields: str) -> None:
    handler = lamella.Adapter(form_app, lifespan="off")
    assert handler(posted(name, content_type, body), CONTEXT)["body"] == fields
    handler.close()
