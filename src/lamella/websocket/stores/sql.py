"""A store in two tables of a database, in the SQL that PostgreSQL and SQLite share."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any, NamedTuple, Protocol

from lamella.websocket.store import Document, Member, Row
from lamella.websocket.stores.common import (
    PAGE,
    Guard,
    checked,
    decoded,
    encoded,
    new_version,
    now,
)

SCHEMA = (
    """CREATE TABLE IF NOT EXISTS lamella_connections (
    connection_id text PRIMARY KEY,
    document text NOT NULL,
    version text NOT NULL,
    expires_at bigint NOT NULL)""",
    """CREATE INDEX IF NOT EXISTS lamella_connections_by_expiry
    ON lamella_connections (expires_at)""",
    """CREATE TABLE IF NOT EXISTS lamella_members (
    group_name text NOT NULL,
    connection_id text NOT NULL,
    endpoint text NOT NULL,
    expires_at bigint NOT NULL,
    PRIMARY KEY (group_name, connection_id))""",
    """CREATE INDEX IF NOT EXISTS lamella_members_by_connection
    ON lamella_members (connection_id)""",
    """CREATE INDEX IF NOT EXISTS lamella_members_by_expiry
    ON lamella_members (expires_at)""",
)
"""Documents are text, not jsonb, which cannot hold the character U+0000."""

_PUT = """INSERT INTO lamella_connections (connection_id, document, version, expires_at)
VALUES ($1, $2, $3, $4)
ON CONFLICT (connection_id) DO UPDATE SET document = excluded.document,
version = excluded.version, expires_at = excluded.expires_at"""

_GET = """SELECT document, version FROM lamella_connections
WHERE connection_id = $1 AND expires_at > $2"""

# A write that is repeated, because its answer was lost, finds the version that it wrote itself.
_REPLACE = """UPDATE lamella_connections SET document = $1, version = $2
WHERE connection_id = $3 AND version IN ($4, $2) AND expires_at > $5
RETURNING connection_id"""

_DELETE_MEMBERS = "DELETE FROM lamella_members WHERE connection_id = $1"
_DELETE = "DELETE FROM lamella_connections WHERE connection_id = $1"

_ADD = """INSERT INTO lamella_members (group_name, connection_id, endpoint, expires_at)
VALUES ($1, $2, $3, $4)
ON CONFLICT (group_name, connection_id) DO UPDATE SET endpoint = excluded.endpoint,
expires_at = excluded.expires_at"""

_DISCARD = "DELETE FROM lamella_members WHERE group_name = $1 AND connection_id = $2"

_MEMBERS = f"""SELECT connection_id, endpoint FROM lamella_members
WHERE group_name = $1 AND expires_at > $2 AND connection_id > $3
ORDER BY connection_id LIMIT {PAGE}"""

# Expired rows go with each new connection, a few at a time.
_PURGE = """DELETE FROM lamella_connections WHERE connection_id IN (
SELECT connection_id FROM lamella_connections WHERE expires_at <= $1 LIMIT 100 {lock})"""
_PURGE_MEMBERS = """DELETE FROM lamella_members WHERE (group_name, connection_id) IN (
SELECT group_name, connection_id FROM lamella_members WHERE expires_at <= $1 LIMIT 100 {lock})"""


class Statement(NamedTuple):
    """SQL with $1, $2 and so on, and what they stand for."""

    sql: str
    arguments: tuple[str | int, ...]


class Database(Protocol):
    """Runs statements. `skip_locked` is what SELECT needs to leave out what others delete."""

    skip_locked: str

    async def run(self, statements: Sequence[Statement]) -> list[tuple[Any, ...]]:
        """Run them, several in one transaction, and return the rows of the last."""

    async def close(self) -> None:
        """Close the connections."""


class SqlStore:
    """Implements `Store` over a database."""

    def __init__(self, database: Database, guard: Guard) -> None:
        self._database = database
        self._guard = guard
        lock = database.skip_locked
        self._purges = (_PURGE.format(lock=lock), _PURGE_MEMBERS.format(lock=lock))

    async def _run(self, *statements: Statement) -> list[tuple[Any, ...]]:
        return await self._guard(self._database.run(statements))

    async def put(self, connection_id: str, document: Document, expires_at: int) -> None:
        arguments = (connection_id, encoded(document), new_version(), expires_at)
        await self._run(
            *(Statement(purge, (now(),)) for purge in self._purges), Statement(_PUT, arguments)
        )

    async def get(self, connection_id: str) -> Row | None:
        rows = await self._run(Statement(_GET, (connection_id, now())))
        return Row(decoded(rows[0][0]), rows[0][1]) if rows else None

    async def replace(self, connection_id: str, document: Document, version: Any) -> bool:
        arguments = (encoded(document), new_version(), connection_id, version, now())
        return bool(await self._run(Statement(_REPLACE, arguments)))

    async def delete(self, connection_id: str) -> None:
        arguments = (connection_id,)
        await self._run(Statement(_DELETE_MEMBERS, arguments), Statement(_DELETE, arguments))

    async def group_add(self, group: str, member: Member, expires_at: int) -> None:
        name = checked("group name", group)
        arguments = (name, member.connection_id, member.endpoint, expires_at)
        await self._run(Statement(_ADD, arguments))

    async def group_discard(self, group: str, connection_id: str) -> None:
        name = checked("group name", group)
        await self._run(Statement(_DISCARD, (name, connection_id)))

    async def members(self, group: str) -> AsyncIterator[list[Member]]:
        name, last = checked("group name", group), ""
        while rows := await self._run(Statement(_MEMBERS, (name, now(), last))):
            page = [Member(*row) for row in rows]
            yield page
            last = page[-1].connection_id

    async def close(self) -> None:
        await self._database.close()
