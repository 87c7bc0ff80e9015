"""`postgresql://user:password@host/database`: through asyncpg or psycopg 3, which the function
carries.

Statements are not prepared, so that RDS Proxy or PgBouncer may stand in between: the proxy pins a
connection that has prepared statements, or refuses them
(https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/rds-proxy-pinning.html).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

from lamella.websocket.stores.address import Address
from lamella.websocket.stores.common import IDLE, Guard, NotSetUp, import_driver
from lamella.websocket.stores.sql import SqlStore, Statement

CONNECTIONS = 4
"""Connections of a store at a time, which the events of a managed instance share."""

UNDEFINED_TABLE = "42P01"  # https://www.postgresql.org/docs/current/errcodes-appendix.html

LOST = ("25006", "57P", "08")
"""How the codes begin of a server that serves no more: it has become a replica, which takes no
writes; it goes down; the connection to it is broken."""


class Session(Protocol):
    """A connection to the server, over either driver."""

    @property
    def is_closed(self) -> bool:
        """Whether it can be used no more."""

    async def run(self, statements: Sequence[Statement]) -> list[tuple[Any, ...]]:
        """Run the statements, several in one transaction; the rows of the last."""

    def abort(self) -> None:
        """Close it at once, whatever it is doing."""

    async def close(self) -> None:
        """Say good-bye to the server."""


def open_postgresql(address: Address) -> SqlStore:
    """A store in the database of the address. Raises ValueError where there is no driver."""
    pool, failures = open_pool(address)
    return SqlStore(pool, Guard(address, *failures))


def open_pool(address: Address) -> tuple[Pool, tuple[type[Exception], ...]]:
    """The connections, and the driver's errors. Raises ValueError where there is no driver."""
    driver = import_driver("asyncpg", "psycopg")
    if driver.__name__ == "asyncpg":
        failures = (driver.PostgresError, driver.InterfaceError, driver.InternalClientError)
        return Pool(lambda: _Asyncpg.open(driver, address.driver_url)), failures
    return Pool(lambda: _Psycopg.open(driver, address.driver_url)), (driver.Error,)


class Pool:
    """Implements `Database` with a few connections.

    One that was idle may have died unseen while the environment was frozen, or lead to a server
    that takes no writes any more: then the statements run once more, over a new one.
    """

    skip_locked = "FOR UPDATE SKIP LOCKED"

    def __init__(self, open_session: Callable[[], Awaitable[Session]]) -> None:
        self._open = open_session
        self._idle: list[tuple[Session, float]] = []  # since when, by the wall clock
        self._slots = asyncio.Semaphore(CONNECTIONS)

    async def run(self, statements: Sequence[Statement]) -> list[tuple[Any, ...]]:
        """Raises `NotSetUp` where a table is missing."""
        async with self._slots:
            session = await self._take()
            if session is not None:
                try:
                    return await self._use(session, statements)
                except Exception:
                    if not session.is_closed:
                        raise
                    while self._idle:  # opened to the same server
                        await _drop(self._idle.pop()[0])
            return await self._use(await self._open(), statements)

    async def _take(self) -> Session | None:
        """A session that was used not long ago."""
        while self._idle:
            session, since = self._idle.pop()
            if time.time() - since < IDLE:
                return session
            await _drop(session)
        return None

    async def _use(
        self, session: Session, statements: Sequence[Statement]
    ) -> list[tuple[Any, ...]]:
        try:
            rows = await session.run(statements)
        except Exception as error:
            code = getattr(error, "sqlstate", None) or ""
            if code.startswith(LOST):
                await _drop(session)
            self._put_back(session)
            if code == UNDEFINED_TABLE:
                raise NotSetUp(str(error)) from error
            raise
        except BaseException:  # cancelled: an answer may still come, which no caller waits for
            session.abort()
            raise
        self._put_back(session)
        return rows

    def _put_back(self, session: Session) -> None:
        if not session.is_closed:
            self._idle.append((session, time.time()))

    async def close(self) -> None:
        while self._idle:
            session, _ = self._idle.pop()
            try:
                await session.close()
            except Exception:  # it was dead already
                session.abort()


async def _drop(session: Session) -> None:
    """Close a session without a good-bye, which a lost server would not answer."""
    session.abort()
    with contextlib.suppress(Exception):
        await session.close()


class _Asyncpg:
    """Implements `Session`."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    @classmethod
    async def open(cls, driver: Any, url: str) -> _Asyncpg:
        return cls(await driver.connect(url, statement_cache_size=0))

    @property
    def is_closed(self) -> bool:
        return bool(self._connection.is_closed())

    async def run(self, statements: Sequence[Statement]) -> list[tuple[Any, ...]]:
        rows: list[Any] = []
        async with self._connection.transaction() if len(statements) > 1 else _nothing():
            for sql, arguments in statements:
                rows = await self._connection.fetch(sql, *arguments)
        return [tuple(row) for row in rows]

    def abort(self) -> None:
        self._connection.terminate()

    async def close(self) -> None:
        await self._connection.close()


class _Psycopg:
    """Implements `Session`."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    @classmethod
    async def open(cls, driver: Any, url: str) -> _Psycopg:
        connection = await driver.AsyncConnection.connect(
            url, autocommit=True, prepare_threshold=None, cursor_factory=driver.AsyncRawCursor
        )
        return cls(connection)

    @property
    def is_closed(self) -> bool:
        return bool(self._connection.closed)

    async def run(self, statements: Sequence[Statement]) -> list[tuple[Any, ...]]:
        # psycopg answers a cancellation by asking the server to cancel, for up to 10 seconds. In
        # a task of its own it does not hear of one: `abort` ends it.
        task = asyncio.ensure_future(self._run(statements))
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError:
            self.abort()
            with contextlib.suppress(Exception):
                await task
            raise
        return task.result()

    async def _run(self, statements: Sequence[Statement]) -> list[tuple[Any, ...]]:
        rows: list[Any] = []
        async with self._connection.transaction() if len(statements) > 1 else _nothing():
            for sql, arguments in statements:
                cursor = await self._connection.execute(sql, arguments)
                rows = await cursor.fetchall() if cursor.description else []
        return rows

    def abort(self) -> None:
        if not self._connection.closed:
            copy = socket.socket(fileno=os.dup(self._connection.fileno()))
            with copy, contextlib.suppress(OSError):
                copy.shutdown(socket.SHUT_RDWR)

    async def close(self) -> None:
        await self._connection.close()


def _nothing() -> contextlib.nullcontext[None]:
    return contextlib.nullcontext()
