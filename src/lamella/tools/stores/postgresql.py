"""The tables and indexes of `postgresql://`."""

from __future__ import annotations

import re

from lamella.tools.stores.done import Done
from lamella.websocket.stores.address import Address
from lamella.websocket.stores.common import Guard
from lamella.websocket.stores.postgresql import open_pool
from lamella.websocket.stores.sql import SCHEMA, Statement

GRANT = (
    "If the function connects as another user: GRANT SELECT, INSERT, UPDATE, DELETE ON "
    "lamella_connections, lamella_members TO that user."
)


async def set_up(address: Address) -> Done:
    """Create what is missing. Raises `StoreError`, and ValueError where there is no driver."""
    pool, failures = open_pool(address)
    guard = Guard(address, *failures)
    # Selects a row for each table and index that is not there. That is asked first, because a
    # user who may not create tables may not even try to.
    names = [re.findall(r"IF NOT EXISTS (\w+)", sql)[0] for sql in SCHEMA]
    rows = ", ".join(f"('{name}')" for name in names)
    missing = f"SELECT name FROM (VALUES {rows}) t(name) WHERE to_regclass(name) IS NULL"
    try:
        if await guard(pool.run([Statement(missing, ())])):
            await guard(pool.run([Statement(sql, ()) for sql in SCHEMA]))
            line = "The tables lamella_connections and lamella_members were created, with indexes."
        else:
            line = "The tables lamella_connections and lamella_members were there already."
        return Done([line, GRANT], [])
    finally:
        await guard(pool.close())
