"""`sqlite:///relative.db`, `sqlite:////absolute/path.db`: for processes of one machine.

The local Lambda uses it. Its file and tables are created with the first use, unlike what other
stores need: it is a local file, which nobody pays for or shares. Environments on AWS share no
disk: there it works no better than `memory:`.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import Sequence
from typing import Any

from lamella.websocket.stores.address import Address
from lamella.websocket.stores.common import Guard
from lamella.websocket.stores.sql import SCHEMA, SqlStore, Statement


def open_sqlite(address: Address) -> SqlStore:
    """A store in the file of the address."""
    return SqlStore(_File(address.path, address.timeout), Guard(address, sqlite3.Error))


RETRY = 0.01  # seconds


class _File:
    """Implements `Database`. Each call opens the file anew: it takes less than a millisecond,
    and nothing is left over that belongs to a thread or was open while the process forked."""

    skip_locked = ""  # one writer at a time

    def __init__(self, path: str, timeout: float) -> None:
        self._path = path
        # It says that the database is locked before the guard can only say that it is slow.
        self._wait = timeout * 0.8

    async def run(self, statements: Sequence[Statement]) -> list[tuple[Any, ...]]:
        return await asyncio.to_thread(self._run, statements)

    async def close(self) -> None:
        pass

    def _run(self, statements: Sequence[Statement]) -> list[tuple[Any, ...]]:
        end = time.monotonic() + self._wait
        while True:
            try:
                return self._attempt(statements, end)
            except sqlite3.OperationalError as error:
                # SQLite waits for most locks, but not for the change to a write-ahead log, nor
                # while the last to leave it cleans up: https://sqlite.org/wal.html, section 9.
                if "locked" not in str(error) or time.monotonic() > end:
                    raise
            time.sleep(RETRY)

    def _attempt(self, statements: Sequence[Statement], end: float) -> list[tuple[Any, ...]]:
        try:
            return self._transaction(statements, end)
        except sqlite3.OperationalError as error:
            if "no such table" not in str(error):
                raise
        with self._opened(end) as connection:
            # With a write-ahead log readers do not wait for a writer; the file remembers it.
            connection.execute("PRAGMA journal_mode=WAL")
        self._transaction([Statement(sql, ()) for sql in SCHEMA], end)
        return self._transaction(statements, end)

    def _transaction(self, statements: Sequence[Statement], end: float) -> list[tuple[Any, ...]]:
        rows: list[tuple[Any, ...]] = []
        with self._opened(end) as connection:
            # With the log, enough to survive the end of a process, if not of the machine.
            connection.execute("PRAGMA synchronous=NORMAL")
            # IMMEDIATE: one that reads first and writes later could not wait for other writers.
            connection.execute("BEGIN IMMEDIATE" if len(statements) > 1 else "BEGIN")
            for sql, arguments in statements:
                names = {str(number): value for number, value in enumerate(arguments, 1)}
                rows = connection.execute(sql, names).fetchall()
            connection.execute("COMMIT")
        return rows

    def _opened(self, end: float) -> contextlib.closing[sqlite3.Connection]:
        left = max(end - time.monotonic(), 0.0)
        return contextlib.closing(sqlite3.connect(self._path, timeout=left, isolation_level=None))
