"""What happens to a request between its codec and the application, by the user's settings.

    codec.decode(event) ──▶ tenant ──▶ length ──▶ mount ──▶ trust ──▶ traceparent ──▶ the scope

One rule for every event source. Headers that the user decides to trust (the public host and
scheme, the real authorization) are off unless set, because a client can send any header it likes.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from lamella import percent
from lamella.sources.origin import is_ip_address, server_of
from lamella.sources.paths import PATH, is_under, quote
from lamella.types import Headers, Request

TENANT_HEADER = b"x-amz-tenant-id"
"""By which an invocation's caller names the tenant of an isolated function.

The context says the tenant: a header of that name is the client's, proves nothing, and goes.
Source: https://docs.aws.amazon.com/lambda/latest/dg/tenant-isolation-invoke.html."""


class Preparation(NamedTuple):
    """The settings that change requests, under their own names."""

    base_path: str = ""
    base_path_mode: str = "mount"
    forwarded_host: str = ""
    authorization_source: str = ""
    traceparent: bool = False

    def prepare(self, request: Request, trace_id: str | None = None) -> Request:
        """The request as the application gets it; `trace_id` is the invocation's X-Ray header."""
        _frame(request.headers, request.body)
        if request.root_path or self.base_path:
            request = mount(request, self.base_path, self.base_path_mode)
        if self.forwarded_host:
            request = forwarded(request, self.forwarded_host)
        if self.authorization_source:
            request = authorization(request, self.authorization_source)
        if self.traceparent:
            add_traceparent(request.headers, trace_id)
        return request


def _frame(headers: Headers, body: bytes) -> None:
    """Take off what proves nothing or frames nothing here; see that a body has its length.

    A body comes whole, so it has a length in place of a coding (RFC 9112, section 7.1.3). REST APIs
    take that header off; Django and others read a body no further than it says.
    """
    names = {name for name, _ in headers}
    chunked = b"transfer-encoding" in names
    if chunked or TENANT_HEADER in names:
        gone = (TENANT_HEADER, *((b"transfer-encoding", b"content-length") if chunked else ()))
        headers[:] = [pair for pair in headers if pair[0] not in gone]
    if chunked or (body and b"content-length" not in names):
        headers.append((b"content-length", b"%d" % len(body)))


def mount(request: Request, base_path: str, mode: str) -> Request:
    """The request with what is in front of the application's own path declared, or cut off.

    In front are the stage (or mapping) that the codec found, `request.root_path`, and after it
    `base_path` ("/api" or "", as the settings spell it) where the path goes on with that at a
    segment border.

    - mode "mount": the path keeps all of it, `root_path` is all of it (as uvicorn does);
    - mode "strip": it is cut off `path` and `raw_path`, and `root_path` is "".
    """
    prefix = request.root_path + base_path
    if not is_under(request.path, prefix):
        prefix = request.root_path
    if not prefix:
        return request
    if mode == "mount":
        return request._replace(root_path=prefix)
    path = request.path[len(prefix) :] or "/"
    # Of raw_path goes what spells the prefix, where each byte may be escaped.
    raw_path, end = request.raw_path, 0
    for _ in prefix.encode():
        end += 3 if raw_path[end : end + 1] == b"%" else 1
    rest = raw_path[end:]
    if rest[:3].upper() == b"%2F":  # a slash like any other, now that the path begins there
        rest = b"/" + rest[3:]
    if not rest or percent.decode(raw_path[:end]) != prefix:
        rest = quote(path, PATH)
    return request._replace(path=path, raw_path=rest, root_path="")


_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?"
# Compiled on first use: that would take longer than the rest of this module's import.
_HOST = (
    rf"(?:{_LABEL}(?:\.{_LABEL})*\.?|\[(?P<address>[0-9A-Fa-f:.]+)\])(?::(?P<port>[0-9]{{1,5}}))?"
)
_LONGEST = 255 + len(":65535")  # characters; names: RFC 1035, section 2.3.4


def forwarded(request: Request, header_name: str) -> Request:
    """The request as the nearest proxy received it, by the header that the user trusts.

    `header_name` is `forwarded` (RFC 7239: host= and proto=) or any header whose value is a
    host. Proxies replace such a header or append to it, so the last value is the nearest
    proxy's; those before it may be the client's own and prove nothing. Behind several proxies,
    let the nearest one replace the header.

    The Host header, `server` and `scheme` follow the value; a missing header, or one whose last
    value is no host, leaves the request as it is. The scheme of a header that is only a host
    stays what x-forwarded-proto said.
    """
    values = b",".join(_values(request.headers, header_name))
    value = values.rpartition(b",")[2].strip().decode("latin-1")
    host, scheme = value, ""
    if header_name.strip().lower() == "forwarded":
        # `for=1.2.3.4;host="a.example:8443";proto=https`
        parts = [part.partition("=") for part in value.split(";")]
        pairs = {name.strip().lower(): text.strip().strip('"') for name, _, text in parts}
        host, scheme = pairs.get("host", ""), pairs.get("proto", "").lower()
    if host and not is_host(host):
        return request
    if scheme in ("http", "https"):
        request = request._replace(scheme=scheme)
    if not host:
        return request
    raw = host.encode("latin-1")
    return request._replace(
        headers=_with(request.headers, b"host", raw), server=server_of(raw, request.scheme)
    )


def authorization(request: Request, header_name: str) -> Request:
    """The request with the value of `header_name` as its `authorization` header.

    For Function URLs with IAM auth, where the signature takes that header's place. Where the
    client did not send the header, the request stays as it is.
    """
    values = _values(request.headers, header_name)
    if not values or not values[0]:
        return request
    return request._replace(headers=_with(request.headers, b"authorization", values[0]))


def _values(headers: Headers, header_name: str) -> list[bytes]:
    wanted = header_name.strip().lower().encode("latin-1", "replace")
    return [value for name, value in headers if name == wanted]


def _with(headers: Headers, name: bytes, value: bytes) -> Headers:
    return [(name, value), *(pair for pair in headers if pair[0] != name)]


def is_host(value: str) -> bool:
    """Whether `value` is a host name or an address, with a port or without."""
    found = re.fullmatch(_HOST, value) if len(value) <= _LONGEST else None
    if found is None:
        return False
    address, port = found["address"], found["port"]
    return (address is None or is_ip_address(address)) and (port is None or 0 < int(port) < 65536)


def traceparent(trace_id: str) -> str | None:
    """W3C's form of an X-Ray trace: `Root=1-5759e988-bd86...;Parent=5399...;Sampled=1`.

    None where the header has no parent, or is not of that form.
    """
    fields = dict(part.strip().partition("=")[::2] for part in trace_id.split(";"))
    version, _, root = fields.get("Root", "").partition("-")
    trace, parent = root.replace("-", ""), fields.get("Parent", "")
    if version != "1" or not (_is_hex(trace, 32) and _is_hex(parent, 16)):
        return None
    return f"00-{trace}-{parent}-{'01' if fields.get('Sampled') == '1' else '00'}"


def add_traceparent(headers: Headers, trace_id: str | None) -> None:
    """Add `traceparent` where the client sent none and Lambda gave a trace."""
    value = traceparent(trace_id) if trace_id else None
    if value is not None and all(name != b"traceparent" for name, _ in headers):
        headers.append((b"traceparent", value.encode()))


def _is_hex(text: str, length: int) -> bool:
    return len(text) == length and all(c in "0123456789abcdef" for c in text)
