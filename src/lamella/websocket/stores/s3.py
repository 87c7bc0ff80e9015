"""`s3://bucket/prefix`: objects, where a table or a server would be too much.

    <prefix>/c/<connection>                             the document and its expiry
    <prefix>/m/<connection>/<group>                     a membership, found by its connection
    <prefix>/g/<group>/<connection>/<expiry>/<endpoint> the same, found by its group

All that is known of a member is in its key, since a listing gives keys only; a member that is added
again gets a new object, and the older one is removed. S3 writes take tens
of milliseconds; a lifecycle rule removes what has expired, a day late
(https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html).
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from collections.abc import AsyncIterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import quote, unquote_to_bytes, urlencode
from xml.etree import ElementTree

from lamella.aws.client import AwsClient, Reply
from lamella.aws.partitions import partition_of
from lamella.websocket.store import Document, Member, Row
from lamella.websocket.stores.address import Address
from lamella.websocket.stores.amazon import region_of, retried, service_url, strange
from lamella.websocket.stores.common import (
    PAGE,
    Guard,
    NotSetUp,
    Refused,
    checked,
    encoded,
    new_version,
    now,
)

LONG_NAME = 200
"""Characters of a group in a key: with connection and endpoint a key has 1,024 at most."""


class Client:
    """S3's operations on one bucket.

    Raises ValueError where no region is known, or bucket or endpoint are wrong.
    """

    def __init__(self, address: Address) -> None:
        self.bucket = address.host
        self.prefix = address.path.strip("/")
        self.region = region_of(address)
        domain = f"s3.{self.region}.{partition_of(self.region).domain}"
        if "endpoint" in address.options or "." in self.bucket:  # dots fit no certificate
            self._url = f"{service_url(address, f'https://{domain}')}/{quote(self.bucket)}"
        else:
            self._url = service_url(address, f"https://{self.bucket}.{domain}")
        self._aws = AwsClient(timeout=address.timeout)

    async def ask(
        self,
        method: str,
        key: str = "",
        query: Mapping[str, str] = {},
        headers: Mapping[str, str] = {},
        body: bytes = b"",
    ) -> Reply:
        """S3's reply, once it is not busy. An empty key is the bucket. Raises `NotSetUp`."""
        url = f"{self._url}/{quote(key, safe='/~')}"
        if query:
            url = f"{url}?{urlencode(query, quote_via=quote)}"

        async def ask() -> Reply:
            return await self._aws.request("s3", self.region, method, url, headers, body)

        reply = await retried(ask, lambda reply: reply.status >= 500)
        if error_code(reply) == "NoSuchBucket":
            raise refusal(reply)
        return reply

    async def list(self, prefix: str) -> AsyncIterator[ElementTree.Element]:
        """The pages of a listing (ListObjectsV2). Raises `NotSetUp`, `Refused`."""
        query = {"list-type": "2", "max-keys": str(PAGE), "prefix": prefix}
        while True:
            reply = expected(await self.ask("GET", query=query), 200)
            page = _xml(reply)
            if page is None or not page.tag.endswith("ListBucketResult"):
                raise strange("S3", reply)
            yield page
            token = page.findtext("{*}NextContinuationToken")
            if token is None:
                return
            query["continuation-token"] = token

    async def close(self) -> None:
        """Close the connections."""
        await self._aws.close()


class _Version(NamedTuple):
    """Which object was read, and the expiry that a write in its place keeps."""

    etag: str
    expires_at: int


class S3Store:
    """Implements `Store` in a bucket."""

    def __init__(self, address: Address) -> None:
        self._client = Client(address)
        self._guard = Guard(address)

    async def put(self, connection_id: str, document: Document, expires_at: int) -> None:
        body = _body(document, expires_at, new_version())
        await self._guard(self._write(self._row_key(connection_id), body))

    async def get(self, connection_id: str) -> Row | None:
        found = await self._guard(self._read(connection_id))
        if found is None:
            return None
        etag, kept = found
        return Row(kept["document"], _Version(etag, kept["expires_at"]))

    async def replace(self, connection_id: str, document: Document, version: Any) -> bool:
        return await self._guard(self._replace(connection_id, document, version))

    async def delete(self, connection_id: str) -> None:
        await self._guard(self._delete(connection_id))

    async def group_add(self, group: str, member: Member, expires_at: int) -> None:
        part = group_part(group)
        await self._guard(self._add(part, member, f"{expires_at}/{to_key(member.endpoint)}"))

    async def group_discard(self, group: str, connection_id: str) -> None:
        await self._guard(self._discard(group_part(group), connection_id))

    async def members(self, group: str) -> AsyncIterator[list[Member]]:
        pages = self._keys(f"{self._client.prefix}/g/{group_part(group)}/")
        held: dict[str, Member] = {}
        while (keys := await self._guard(anext(pages, None))) is not None:
            for connection_id, expires_at, endpoint in (key.split("/")[-3:] for key in keys):
                # One that is just added again has two keys, one after the other: the later counts.
                if int(expires_at) > now():
                    member = Member(from_key(connection_id), from_key(endpoint))
                    held[connection_id] = member
            last = [held.popitem()] if held else []  # its next key may be on the next page
            if held:
                yield list(held.values())
            held = dict(last)
        if held:
            yield list(held.values())

    async def close(self) -> None:
        await self._client.close()

    def _row_key(self, connection_id: str) -> str:
        return f"{self._client.prefix}/c/{connection_part(connection_id)}"

    def _member_keys(self, group: str, connection_id: str) -> str:
        """How the keys begin of a connection in a group, which is the part of a key here."""
        return f"{self._client.prefix}/g/{group}/{connection_part(connection_id)}/"

    def _reverse_keys(self, connection_id: str) -> str:
        return f"{self._client.prefix}/m/{connection_part(connection_id)}/"

    async def _read(self, connection_id: str) -> tuple[str, dict[str, Any]] | None:
        """The row's object with its ETag, unless it has expired."""
        reply = await self._client.ask("GET", self._row_key(connection_id))
        if error_code(reply) == "NoSuchKey":
            return None
        try:
            kept: dict[str, Any] = json.loads(expected(reply, 200).body)
            return (reply.headers["etag"], kept) if kept["expires_at"] > now() else None
        except (ValueError, TypeError, KeyError):
            raise strange("S3", reply) from None

    async def _replace(self, connection_id: str, document: Document, held: _Version) -> bool:
        if held.expires_at <= now():
            return False
        version = new_version()
        body = _body(document, held.expires_at, version)
        headers = {"If-Match": held.etag}
        reply = await self._client.ask("PUT", self._row_key(connection_id), {}, headers, body)
        if reply.status in (404, 409):  # gone; written by another one in this moment
            return False
        if reply.status == 412:  # it may have been this write, sent again for a lost answer
            found = await self._read(connection_id)
            return found is not None and found[1]["version"] == version
        expected(reply, 200)
        return True

    async def _delete(self, connection_id: str) -> None:
        prefix = self._reverse_keys(connection_id)
        groups = [key.rpartition("/")[2] async for keys in self._keys(prefix) for key in keys]
        await asyncio.gather(*(self._discard(group, connection_id) for group in groups))
        await self._remove(self._row_key(connection_id))

    async def _add(self, group: str, member: Member, end: str) -> None:
        prefix = self._member_keys(group, member.connection_id)
        # The reverse first: what is in a group can always be found by `delete`.
        await self._write(self._reverse_keys(member.connection_id) + group)
        await self._write(prefix + end)
        found = [key async for keys in self._keys(prefix) for key in keys]
        await asyncio.gather(*(self._remove(key) for key in found if key < prefix + end))

    async def _discard(self, group: str, connection_id: str) -> None:
        prefix = self._member_keys(group, connection_id)
        found = [key async for keys in self._keys(prefix) for key in keys]
        await asyncio.gather(*map(self._remove, found))
        await self._remove(self._reverse_keys(connection_id) + group)

    async def _keys(self, prefix: str) -> AsyncIterator[list[str]]:
        async for page in self._client.list(prefix):
            yield [element.text or "" for element in page.iterfind("{*}Contents/{*}Key")]

    async def _write(self, key: str, body: bytes = b"") -> None:
        expected(await self._client.ask("PUT", key, body=body), 200)

    async def _remove(self, key: str) -> None:
        expected(await self._client.ask("DELETE", key), 204)


def _body(document: Document, expires_at: int, version: str) -> bytes:
    """A row's object; the version makes every object, and so its ETag, another one."""
    kept = {"document": document, "expires_at": expires_at, "version": version}
    return encoded(kept).encode()


def connection_part(connection_id: str) -> str:
    """A connection as a part of a key."""
    return to_key(checked("connection ID", connection_id))


def group_part(group: str) -> str:
    """A group as a part of a key: its digest where the name is long, which no other part is."""
    part = to_key(checked("group name", group))
    return part if len(part) <= LONG_NAME else f"~~{hashlib.sha256(part.encode()).hexdigest()}"


def to_key(name: str) -> str:
    """Any string as a part of a key, in characters that are themselves in a URL."""
    data = name.encode("utf-8", "surrogatepass")
    return re.sub(rb"[^A-Za-z0-9_-]", lambda byte: b"~%02X" % ord(byte[0]), data).decode()


def from_key(part: str) -> str:
    """The string of `to_key`."""
    return unquote_to_bytes(part.replace("~", "%")).decode("utf-8", "surrogatepass")


def expected(reply: Reply, status: int) -> Reply:
    """The reply, where it has that status. Raises `Refused`."""
    if reply.status != status:
        raise refusal(reply)
    return reply


def error_code(reply: Reply) -> str:
    """The code of an error, "NoSuchKey"; "" for a success, or an answer that is not S3's."""
    document = None if reply.status < 300 else _xml(reply)
    return "" if document is None else document.findtext("Code") or ""


def refusal(reply: Reply) -> Exception:
    """An answer's error, with its code and text."""
    code, document = error_code(reply), _xml(reply)
    if not code or document is None:
        return Refused(f"status {reply.status}: {reply.body[:200].decode('utf-8', 'replace')}")
    text = document.findtext("Message")
    if code == "AccessDenied":
        text = f"{text}; names of buckets are global, so this one may be somebody else's"
    return (NotSetUp if code == "NoSuchBucket" else Refused)(f"{code}: {text}")


def _xml(reply: Reply) -> ElementTree.Element | None:
    try:
        return ElementTree.fromstring(reply.body)
    except (ElementTree.ParseError, ValueError, LookupError):
        return None
