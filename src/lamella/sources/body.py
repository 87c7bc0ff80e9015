"""Bodies: bytes in the application, text or base64 in an event and in a result."""

from __future__ import annotations

from binascii import a2b_base64, b2a_base64
from functools import lru_cache
from typing import Any

from lamella.sources.fields import malformed, utf8
from lamella.types import Headers, Response

_BINARY_KINDS = ("image/", "audio/", "video/", "font/")
_BINARY_SUFFIXES = ("+protobuf", "+proto", "+cbor", "+msgpack", "+zip", "+gzip")
_BINARY_SUBTYPES = """
    octet-stream zip gzip x-gzip zstd x-bzip2 x-xz x-tar x-7z-compressed vnd.rar x-rar-compressed
    java-archive pdf wasm protobuf x-protobuf vnd.google.protobuf grpc msgpack x-msgpack
    vnd.msgpack cbor vnd.apache.arrow.stream vnd.apache.parquet
"""
_BINARY_TYPES = frozenset("application/" + subtype for subtype in _BINARY_SUBTYPES.split())


def decode(body: Any, is_base64: Any) -> bytes:
    """The bytes of an event's body, by its flag only: the content type proves nothing.

    Raises `BadEvent` where the body is not text, or is flagged base64 and is not.
    """
    if body is None or body == "":
        return b""
    if not isinstance(body, str):
        raise malformed("body", "a string", body)
    if not is_base64:
        return utf8(body)
    if is_base64 is not True:
        raise malformed("isBase64Encoded", "true or false", is_base64)
    try:
        # The strict mode takes padding after whole quads.
        if not len(body) % 4 and not body.endswith("==="):
            return a2b_base64(body, strict_mode=True)
    except ValueError:
        pass
    raise malformed("body", "base64 (the event flags it so)", body)


def to_text(headers: Headers, body: bytes, text_types: tuple[str, ...]) -> tuple[str, bool]:
    """(text, False), or (base64, True) where `body` is binary.

    Text is what decodes as UTF-8 and is not declared binary: by a content encoding, or by a
    media type known to be binary and not in `text_types` ("type/subtype", "type/*", "+suffix").
    """
    if not body:
        return "", False
    content_type = None
    coded = False
    for name, value in headers:
        if name == b"content-type":
            content_type = content_type or value
        elif name == b"content-encoding":
            coded = coded or value.strip().lower() not in (b"", b"identity")
    if not coded and (content_type is None or is_text_type(content_type, text_types)):
        try:
            return body.decode(), False
        except UnicodeDecodeError:
            pass
    return b2a_base64(body, newline=False).decode("ascii"), True


def add(result: dict[str, Any], response: Response, text_types: tuple[str, ...]) -> dict[str, Any]:
    """`result` with the response's body in it, and the flag for base64."""
    text, is_base64 = to_text(response.headers, response.body, text_types)
    result["body"] = text
    result["isBase64Encoded"] = is_base64
    return result


@lru_cache(maxsize=128)
def is_text_type(content_type: bytes, text_types: tuple[str, ...]) -> bool:
    """Whether a media type is not known to be binary, or `text_types` names it."""
    media = content_type.partition(b";")[0].strip().lower().decode("latin-1")
    binary = media.startswith(_BINARY_KINDS) and media != "image/svg+xml"
    if not (binary or media in _BINARY_TYPES or media.endswith(_BINARY_SUFFIXES)):
        return True
    for kind in map(str.lower, text_types):
        if kind.startswith("+"):
            found = media.endswith(kind)
        else:
            found = media.startswith(kind[:-1]) if kind.endswith("/*") else media == kind
        if found:
            return True
    return False
