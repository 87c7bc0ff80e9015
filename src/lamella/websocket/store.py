"""What a connection store is: the handshakes that were accepted, and the groups they are in.

Every event of a WebSocket may come to another environment, so what an accepted handshake was
has to be kept where all of them can read it. A store is named by a URL (`ASGI_WEBSOCKET_STORE`);
each kind of store is one module of `lamella.websocket.stores`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, NamedTuple, Protocol

Document = dict[str, Any]
"""What is kept of a connection: a JSON object."""


class Row(NamedTuple):
    """A document as it was read; `version` is the store's own token for `replace`."""

    document: Document
    version: Any


class Member(NamedTuple):
    """A connection in a group, and the @connections URL that it is reached at."""

    connection_id: str
    endpoint: str


class Store(Protocol):
    """Where handshakes and groups are kept. One object serves one event loop.

    Times are whole seconds since the epoch. A row or a membership whose time has passed is not
    given any more, whether or not the store has removed it yet. Every method raises `StoreError`
    where the store cannot be reached, takes too long, or has not been set up.
    """

    async def put(self, connection_id: str, document: Document, expires_at: int) -> None:
        """Keep a document, in place of whatever there was."""

    async def get(self, connection_id: str) -> Row | None:
        """The document, None where there is none."""

    async def replace(self, connection_id: str, document: Document, version: Any) -> bool:
        """Keep a document in place of that version; False where there is another one, or none.

        Its time to live stays.
        """

    async def delete(self, connection_id: str) -> None:
        """Forget the document and every membership of the connection; there may be none."""

    async def group_add(self, group: str, member: Member, expires_at: int) -> None:
        """Put a connection into a group; it may be in it already."""

    async def group_discard(self, group: str, connection_id: str) -> None:
        """Take a connection out of a group; it may not be in it."""

    def members(self, group: str) -> AsyncIterator[list[Member]]:
        """The members of a group, some at a time, in no order."""

    async def close(self) -> None:
        """Close what connections the store holds."""
