"""Compression: negotiated, only where it helps, whole or part by part."""

from __future__ import annotations

import gzip
import sys
import zlib
from collections.abc import Callable
from typing import Any

import brotli  # type: ignore[import-untyped]  # it has no stubs
import pytest

from lamella.errors import SettingError
from lamella.response import compression
from lamella.response.compression import Compression, negotiate, worth_coding
from lamella.response.sinks import BufferedSink
from lamella.types import Headers, Response
from tests.response.test_filters import keep

pytestmark = pytest.mark.anyio


TEXT = (b"content-type", b"text/plain")
BODY = b"all work and no play makes jack a dull boy. " * 100


@pytest.mark.parametrize(
    ("accepted", "offered", "expected"),
    [
        ("gzip", "br gzip", "gzip"),
        ("gzip, br", "br gzip", "br"),
        ("gzip;q=0.9, br;q=0.8", "br gzip", "gzip"),
        ("GZIP", "gzip", "gzip"),
        ("*", "zstd gzip", "zstd"),
        ("*;q=0", "gzip", None),
        ("gzip;q=0", "gzip", None),
        ("identity", "gzip", None),
        ("identity;q=1, gzip;q=0.5", "gzip", None),
        ("gzip;q=bad", "gzip", None),
        ("gzip;q=nan", "gzip", None),
        ("gzip;q=inf", "gzip", None),
        ("gzip;q=2", "gzip", None),
        ("gzip;level=1;q=0", "gzip", None),
        ("gzip; q=0.5", "gzip", "gzip"),
        ("", "gzip", None),
        ("deflate", "gzip br", None),
    ],
)
def test_negotiation(accepted: str, offered: str, expected: str | None) -> None:
    assert negotiate(accepted.encode(), tuple(offered.split())) == expected


@pytest.mark.parametrize(
    ("headers", "status", "expected"),
    [
        pytest.param([TEXT], 200, True, id="text"),
        pytest.param([(b"content-type", b"application/problem+json")], 200, True, id="json"),
        pytest.param([(b"content-type", b"image/svg+xml")], 200, True, id="svg"),
        pytest.param([(b"content-type", b"text/event-stream")], 200, True, id="event-stream"),
        pytest.param([(b"content-type", b"image/png")], 200, False, id="png"),
        pytest.param([(b"content-type", b"application/zip")], 200, False, id="zip"),
        pytest.param([], 200, False, id="no-type"),
        pytest.param([TEXT, (b"content-encoding", b"gzip")], 200, False, id="coded-already"),
        pytest.param([TEXT, (b"content-length", b"499")], 200, False, id="small"),
        pytest.param([TEXT, (b"content-length", b"500")], 200, True, id="large-enough"),
        pytest.param([TEXT, (b"cache-control", b"no-transform")], 200, False, id="no-transform"),
        pytest.param([TEXT], 206, False, id="partial"),
        pytest.param([TEXT], 304, False, id="not-modified"),
        pytest.param([TEXT], 205, False, id="reset-content"),
    ],
)
def test_what_is_coded(headers: Headers, status: int, expected: bool) -> None:
    assert worth_coding(status, headers) is expected


async def coded(coding: str, accepted: str, headers: Headers, parts: list[bytes]) -> Response:
    delivered: list[Response] = []
    request_headers = [(b"accept-encoding", accepted.encode())]
    sink = Compression((coding,))(BufferedSink(keep(delivered)), request_headers, False)
    sink.start(200, headers)
    for part in parts[:-1]:
        await sink.write(part)
    await sink.end(parts[-1])
    return delivered[0]


def unzstd() -> Callable[[bytes], bytes]:
    """A decoder of zstd: Python's own from 3.14 on."""
    if sys.version_info >= (3, 14):
        from compression.zstd import ZstdDecompressor

        return ZstdDecompressor().decompress
    import zstandard

    return zstandard.ZstdDecompressor().decompressobj().decompress


@pytest.mark.parametrize(
    ("coding", "decode"),
    [("gzip", gzip.decompress), ("br", brotli.decompress), ("zstd", lambda data: unzstd()(data))],
)
@pytest.mark.parametrize("parts", [[BODY], [BODY[:99], BODY[99:500], BODY[500:]]], ids=len)
async def test_a_buffered_answer_is_coded_whole(
    coding: str, decode: Any, parts: list[bytes]
) -> None:
    headers = [TEXT, (b"content-length", b"%d" % len(BODY)), (b"etag", b'"1"')]
    response = await coded(coding, coding, headers, parts)
    assert len(response.body) < len(BODY) / 10
    assert decode(response.body) == BODY
    assert response.headers == [
        TEXT,
        (b"etag", b'W/"1"'),
        (b"content-encoding", coding.encode()),
        (b"vary", b"accept-encoding"),
    ]


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ([], b"accept-encoding"),
        ([b"Accept-Encoding"], b"Accept-Encoding"),
        ([b"origin"], b"origin, accept-encoding"),
        ([b"origin", b"cookie,accept-encoding"], b"origin, cookie,accept-encoding"),
        ([b"*"], b"*"),
    ],
)
async def test_vary_is_one_header_that_names_the_coding_once(
    sent: list[bytes], expected: bytes
) -> None:
    headers = [TEXT, *((b"vary", value) for value in sent)]
    response = await coded("gzip", "gzip", headers, [BODY])
    assert [value for name, value in response.headers if name == b"vary"] == [expected]


async def test_a_client_that_accepts_nothing_gets_the_answer_as_it_is() -> None:
    response = await coded("gzip", "br", [TEXT], [BODY])
    assert response == Response(200, [TEXT, (b"vary", b"accept-encoding")], BODY)


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd"])
async def test_a_streamed_part_can_be_read_before_the_next_is_sent(coding: str) -> None:
    parts: list[bytes] = []

    class Sink(BufferedSink):
        async def write(self, data: bytes) -> None:
            parts.append(data)

    decoders: dict[str, Callable[[], Callable[[bytes], bytes]]] = {
        "gzip": lambda: zlib.decompressobj(31).decompress,
        "br": lambda: brotli.Decompressor().process,
        "zstd": unzstd,
    }
    decode = decoders[coding]()
    accepted = [(b"accept-encoding", coding.encode())]
    sink = Compression((coding,))(Sink(lambda response: 0), accepted, True)
    sink.start(200, [(b"content-type", b"text/event-stream")])
    for event in (b"data: 1\n\n", b"data: 2\n\n"):
        await sink.write(event)
        assert decode(parts.pop()) == event


async def test_auto_offers_what_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "brotli", None)
    monkeypatch.setitem(sys.modules, "brotlicffi", None)
    assert "br" not in compression.find_coders(("auto",))
    assert "gzip" in compression.find_coders(("auto",))
    with pytest.raises(SettingError, match="add brotli or brotlicffi to its requirements"):
        Compression(("br",))


def test_advice_names_only_packages_that_can_be_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, _ in compression.LIBRARIES["zstd"]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(SettingError, match=r"for it: add backports\.zstd or zstandard to its"):
        Compression(("zstd",))
