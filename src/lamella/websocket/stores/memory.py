"""`memory:`: a store for tests, and for one process that serves every event.

What it holds belongs to the module, so that stores of several event loops see the same.
"""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from typing import Any

from lamella.websocket.store import Document, Member, Row
from lamella.websocket.stores.common import PAGE, checked, decoded, encoded, new_version, now

_lock = threading.Lock()
_rows: dict[str, tuple[str, str, int]] = {}  # by connection: JSON, version, expiry
_members: dict[str, dict[str, tuple[str, int]]] = {}  # by group and connection: endpoint, expiry


class MemoryStore:
    """Implements `Store` with dictionaries. Documents are kept as JSON, as everywhere else."""

    async def put(self, connection_id: str, document: Document, expires_at: int) -> None:
        """See `Store`; lets everything go that has expired."""
        with _lock:
            for name in [name for name, (*_, until) in _rows.items() if until <= now()]:
                del _rows[name]
            for group, members in list(_members.items()):
                for name in [name for name, (_, until) in members.items() if until <= now()]:
                    del members[name]
                if not members:
                    del _members[group]
            _rows[connection_id] = (encoded(document), new_version(), expires_at)

    async def get(self, connection_id: str) -> Row | None:
        text, version, expires_at = _rows.get(connection_id, ("", "", 0))
        return Row(decoded(text), version) if expires_at > now() else None

    async def replace(self, connection_id: str, document: Document, version: Any) -> bool:
        with _lock:
            _, held, expires_at = _rows.get(connection_id, ("", "", 0))
            if held != version or expires_at <= now():
                return False
            _rows[connection_id] = (encoded(document), new_version(), expires_at)
            return True

    async def delete(self, connection_id: str) -> None:
        with _lock:
            _rows.pop(connection_id, None)
            for members in _members.values():
                members.pop(connection_id, None)

    async def group_add(self, group: str, member: Member, expires_at: int) -> None:
        with _lock:
            members = _members.setdefault(checked("group name", group), {})
            members[member.connection_id] = (member.endpoint, expires_at)

    async def group_discard(self, group: str, connection_id: str) -> None:
        with _lock:
            _members.get(checked("group name", group), {}).pop(connection_id, None)

    async def members(self, group: str) -> AsyncIterator[list[Member]]:
        with _lock:
            held = list(_members.get(checked("group name", group), {}).items())
        living = [Member(name, endpoint) for name, (endpoint, until) in held if until > now()]
        for start in range(0, len(living), PAGE):
            yield living[start : start + PAGE]

    async def close(self) -> None:
        """See `Store`: what is kept stays."""
