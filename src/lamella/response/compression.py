"""Compression of answers: which coding, for which answers, and the sink that applies it.

gzip comes with Python; br and zstd are offered where the function carries a library for them.
Negotiation: RFC 9110, section 12.5.3. Imported only where `ASGI_COMPRESSION` is set.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from lamella.errors import SettingError
from lamella.response.filters import Wrapper
from lamella.response.sinks import NO_CONTENT
from lamella.types import Headers

if TYPE_CHECKING:
    from lamella.ports import Sink

MINIMUM_SIZE = 500  # bytes; below this a coded answer is hardly smaller, or larger


class Coder(NamedTuple):
    """One compressor in progress: `compress(data)`, `flush()` what it holds, `finish()` it."""

    compress: Callable[[bytes], bytes]
    flush: Callable[[], bytes]
    finish: Callable[[], bytes]


def _gzip(zlib: Any) -> Coder:
    # Level 6 is zlib's own default; wbits 31 asks for the gzip format.
    c = zlib.compressobj(6, zlib.DEFLATED, 31)
    return Coder(c.compress, lambda: c.flush(zlib.Z_SYNC_FLUSH), c.flush)


def _brotli(brotli: Any) -> Coder:
    # Quality 4 is about as fast as gzip's 6 and still smaller; the default 11 is for static files.
    c = brotli.Compressor(quality=4)
    return Coder(c.process, c.flush, c.finish)


def _zstd(zstd: Any) -> Coder:
    c = zstd.ZstdCompressor()
    return Coder(c.compress, lambda: c.flush(c.FLUSH_BLOCK), c.flush)


def _zstandard(zstandard: Any) -> Coder:
    c = zstandard.ZstdCompressor().compressobj()
    return Coder(c.compress, lambda: c.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK), c.flush)


LIBRARIES: dict[str, tuple[tuple[str, Callable[[Any], Coder]], ...]] = {
    "zstd": (
        ("compression.zstd", _zstd),  # the standard library's, from Python 3.14
        ("backports.zstd", _zstd),
        ("zstandard", _zstandard),
    ),
    "br": (("brotli", _brotli), ("brotlicffi", _brotli)),
    "gzip": (("zlib", _gzip),),
}
"""For each coding, in the order that `auto` prefers: the modules that can do it."""


def find_coders(codings: tuple[str, ...]) -> dict[str, Callable[[], Coder]]:
    """A factory of coders for each coding, in order of preference.

    "auto" means every coding that a library is there for. Raises `SettingError` for a coding
    that is asked for by name and has none.
    """
    found: dict[str, Callable[[], Coder]] = {}
    for coding in tuple(LIBRARIES) if "auto" in codings else codings:
        for name, make in LIBRARIES[coding]:
            try:
                found[coding] = partial(make, importlib.import_module(name))
            except ImportError:
                continue
            break
        if coding not in found and "auto" not in codings:
            libraries = (name for name, _ in LIBRARIES[coding])
            # compression.zstd cannot be installed: it comes with Python 3.14
            names = " or ".join(name for name in libraries if not name.startswith("compression."))
            raise SettingError(
                f"ASGI_COMPRESSION asks for {coding!r}, but the function carries no library for "
                f"it: add {names} to its requirements, or use auto."
            )
    return found


def negotiate(accept_encoding: bytes, offered: tuple[str, ...]) -> str | None:
    """The coding of `offered` that the client likes best; None where it wants none of them.

    Of codings with the same weight the first counts. A weight that is no number from 0 to 1 is 0
    (RFC 9110, section 12.4.2).
    """
    weights: dict[str, float] = {}
    for part in accept_encoding.decode("latin-1").lower().split(","):
        coding, *parameters = (word.strip() for word in part.split(";"))
        weight = next((word[2:].strip() for word in parameters if word.startswith("q=")), "1")
        digits = weight.replace(".", "", 1)
        number = float(weight) if digits.isascii() and digits.isdigit() else 0.0
        weights[coding] = number if number <= 1 else 0.0
    anything_else = weights.get("*", 0.0)
    ranked = [(weights.get(coding, anything_else), coding) for coding in offered]
    best = max((weight for weight, _ in ranked), default=0.0)
    if best <= 0 or best < weights.get("identity", 0.0):
        return None
    return next(coding for weight, coding in ranked if weight == best)


class Compression:
    """The codings that an environment offers; raises `SettingError` where one has no library."""

    def __init__(self, codings: tuple[str, ...]) -> None:
        self._coders = find_coders(codings)

    def __call__(self, sink: Sink, request_headers: Headers, flush: bool) -> Sink:
        """Wrap the sink: with a coding that the client accepts, or with Vary alone."""
        accepted = b",".join(v for name, v in request_headers if name == b"accept-encoding")
        coding = negotiate(accepted, tuple(self._coders)) if accepted else None
        return CompressedSink(sink, coding, self._coders.get(coding or ""), flush)


class CompressedSink(Wrapper):
    """Codes the body where that is worth it; `flush` hands on every part at once.

    Without a coding it only tells caches that the answer varies.
    """

    def __init__(
        self, sink: Sink, coding: str | None, make: Callable[[], Coder] | None, flush: bool
    ) -> None:
        super().__init__(sink)
        self._coding = coding
        self._make = make
        self._flush = flush
        self._coder: Coder | None = None

    def start(self, status: int, headers: Headers) -> None:
        """Decide, and mark the headers accordingly."""
        if worth_coding(status, headers):
            if self._coding is not None and self._make is not None:
                self._coder = self._make()
                headers = coded_headers(headers, self._coding.encode())
            headers = varied(headers)
        self._sink.start(status, headers)

    async def write(self, data: bytes) -> None:
        """Code a part; where it must not wait for the next one, flush it."""
        if self._coder is not None:
            data = self._coder.compress(data) + (self._coder.flush() if self._flush else b"")
        await self._sink.write(data)

    async def end(self, data: bytes) -> None:
        """Code the last part and finish."""
        if self._coder is not None:
            data = self._coder.compress(data) + self._coder.finish()
        await self._sink.end(data)


def varied(headers: Headers) -> Headers:
    """The headers, with one `vary` that names accept-encoding (or is `*`, which covers it)."""
    names = b", ".join(value for name, value in headers if name == b"vary")
    if not {b"*", b"accept-encoding"} & {name.strip().lower() for name in names.split(b",")}:
        names += b", accept-encoding" if names else b"accept-encoding"
    return [*(pair for pair in headers if pair[0] != b"vary"), (b"vary", names)]


def worth_coding(status: int, headers: Headers) -> bool:
    """Whether an answer may be coded, and would get smaller by it."""
    if status == 206 or status in NO_CONTENT:
        return False
    fields = dict(headers)
    if b"content-encoding" in fields or b"no-transform" in fields.get(b"cache-control", b""):
        return False
    length = fields.get(b"content-length", b"")
    if length.isdigit() and int(length) < MINIMUM_SIZE:
        return False
    media_type = fields.get(b"content-type", b"").partition(b";")[0].strip().lower()
    return media_type.startswith(b"text/") or media_type.endswith(_COMPRESSIBLE_ENDINGS)


_COMPRESSIBLE_ENDINGS = (
    b"json",
    b"xml",
    b"javascript",
    b"yaml",
    b"/wasm",
    b"/graphql",
    b"/x-www-form-urlencoded",
)


def coded_headers(headers: Headers, coding: bytes) -> Headers:
    """The headers of a coded answer: no length, a weak ETag, Content-Encoding."""
    coded = [
        (name, b"W/" + value if name == b"etag" and value[:2] != b"W/" else value)
        for name, value in headers
        if name != b"content-length"
    ]
    return [*coded, (b"content-encoding", coding)]
