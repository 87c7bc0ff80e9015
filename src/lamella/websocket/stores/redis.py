"""`redis://user:password@host:6379/0`, and `rediss://` with TLS; `valkey://`, `valkeys://`.

Through redis-py (5.2 or later) or valkey-py, which the function carries. Each command and script
has one key, so that ElastiCache Serverless, whose keys are spread over slots, takes them.

    lamella:c:<connection>   hash   document, version
    lamella:m:<connection>   hash   group: ""               its memberships, for `delete`
    lamella:g:<group>        hash   connection: "<expiry> <endpoint>"

Every key has a time to live, which for the last two is that of the member that expires last.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from importlib import import_module
from typing import Any

from lamella.websocket.store import Document, Member, Row
from lamella.websocket.stores.address import Address
from lamella.websocket.stores.common import (
    IDLE,
    PAGE,
    Guard,
    checked,
    decoded,
    encoded,
    import_driver,
    new_version,
    now,
)

Command = tuple[str | int, ...]

CONNECTIONS = 8
"""Connections of a store at a time, which the events of a managed instance share."""

FAREWELL = 0.5
"""Seconds at most for closing idle connections: a dead one does not answer TLS's good-bye."""

# A script and no pipeline: an error of a pipeline quotes the command, and with it the document.
_PUT = """
redis.call('HSET', KEYS[1], 'version', ARGV[1], 'document', ARGV[3])
redis.call('EXPIREAT', KEYS[1], ARGV[2])
"""

# A write that is repeated, because its answer was lost, finds the version that it wrote itself.
_REPLACE = """
local held = redis.call('HGET', KEYS[1], 'version')
if held ~= ARGV[1] and held ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], 'version', ARGV[2], 'document', ARGV[3])
return 1
"""

# The key lives as long as what expires last in it; ARGV[3] is seconds from now.
_ADD = """
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
if redis.call('TTL', KEYS[1]) < tonumber(ARGV[3]) then
  redis.call('EXPIRE', KEYS[1], ARGV[3])
end
"""


class RedisStore:
    """Implements `Store` over the driver. Raises ValueError where there is no driver."""

    def __init__(self, address: Address) -> None:
        driver = import_driver("redis.asyncio", "valkey.asyncio")
        self._server = _Server(driver, address)
        self._guard = Guard(address, getattr(driver, f"{_product(driver).title()}Error"))

    async def _run(self, *commands: Command) -> list[Any]:
        return await self._guard(self._server.run(commands))

    async def put(self, connection_id: str, document: Document, expires_at: int) -> None:
        arguments = (new_version(), expires_at, encoded(document))
        await self._run(("EVAL", _PUT, 1, f"lamella:c:{connection_id}", *arguments))

    async def get(self, connection_id: str) -> Row | None:
        [fields] = await self._run(("HGETALL", f"lamella:c:{connection_id}"))
        return Row(decoded(fields["document"]), fields["version"]) if fields else None

    async def replace(self, connection_id: str, document: Document, version: Any) -> bool:
        arguments = (version, new_version(), encoded(document))
        [done] = await self._run(("EVAL", _REPLACE, 1, f"lamella:c:{connection_id}", *arguments))
        return bool(done)

    async def delete(self, connection_id: str) -> None:
        [groups] = await self._run(("HKEYS", f"lamella:m:{connection_id}"))
        await self._run(
            *(("HDEL", f"lamella:g:{group}", connection_id) for group in groups),
            ("DEL", f"lamella:m:{connection_id}"),
            ("DEL", f"lamella:c:{connection_id}"),
        )

    async def group_add(self, group: str, member: Member, expires_at: int) -> None:
        key, left = _group_key(group), expires_at - now()
        if left <= 0:
            return
        value = f"{expires_at} {member.endpoint}"
        await self._run(
            # The reverse first: what is in a group can always be found.
            ("EVAL", _ADD, 1, f"lamella:m:{member.connection_id}", group, "", left),
            ("EVAL", _ADD, 1, key, member.connection_id, value, left),
        )

    async def group_discard(self, group: str, connection_id: str) -> None:
        await self._run(
            ("HDEL", _group_key(group), connection_id),
            ("HDEL", f"lamella:m:{connection_id}", group),
        )

    async def members(self, group: str) -> AsyncIterator[list[Member]]:
        """See `Store`; forgets those that it finds expired."""
        key = _group_key(group)
        seen: set[str] = set()  # HSCAN may give a field twice while the hash grows
        cursor = None
        while cursor != 0:
            [(cursor, fields)] = await self._run(("HSCAN", key, cursor or 0, "COUNT", PAGE))
            fresh = {name: value for name, value in fields.items() if name not in seen}
            seen |= fresh.keys()
            living = {
                name: value for name, value in fresh.items() if int(value.partition(" ")[0]) > now()
            }
            if expired := fresh.keys() - living.keys():
                await self._run(("HDEL", key, *expired))
            if living:
                yield [Member(name, value.partition(" ")[2]) for name, value in living.items()]

    async def close(self) -> None:
        await self._guard(self._server.close())


class _Server:
    """Runs commands over a few connections, which are opened anew after `IDLE` seconds at most."""

    def __init__(self, driver: Any, address: Address) -> None:
        self._driver = driver
        self._client = _client(driver, address)
        self._since = time.time()
        self._renewing = asyncio.Lock()

    async def run(self, commands: Sequence[Command]) -> list[Any]:
        """The answers, once more over new connections where the server takes no writes any more.

        Raises the first error among them.
        """
        async with self._renewing:
            if time.time() - self._since > IDLE:
                await self._close_idle()
        answers = await self._ask(commands)
        if any(map(self._is_demoted, answers)):
            await self._close_idle()
            answers = await self._ask(commands)
        for answer in answers:
            if isinstance(answer, Exception):
                raise answer
        return answers

    async def _ask(self, commands: Sequence[Command]) -> list[Any]:
        async with self._client.pipeline(transaction=False) as pipeline:
            for command in commands:
                pipeline.execute_command(*command)
            # An error that the pipeline raises quotes its command, and with it the document.
            answers: list[Any] = await pipeline.execute(raise_on_error=False)
        return answers

    def _is_demoted(self, answer: Any) -> bool:
        """Whether it is a replica's: after a failover the name leads to another server."""
        # Before version 7 a script's error had its reason within.
        return isinstance(answer, self._driver.ReadOnlyError) or (
            isinstance(answer, self._driver.ResponseError) and " -READONLY " in str(answer)
        )

    async def _close_idle(self) -> None:
        self._since = time.time()
        closing = self._client.connection_pool.disconnect(inuse_connections=False)
        with contextlib.suppress(Exception):
            await asyncio.wait_for(closing, FAREWELL)

    async def close(self) -> None:
        await self._client.aclose()


def _client(driver: Any, address: Address) -> Any:
    name = _product(driver)
    scheme, _, rest = address.driver_url.partition("://")  # the driver knows its own scheme only
    # A connection that died while the environment was frozen is opened once more.
    once_more = import_module(f"{name}.asyncio.retry").Retry(
        import_module(f"{name}.backoff").NoBackoff(), 1
    )
    pool = driver.BlockingConnectionPool.from_url(
        f"{name}{'s' if scheme in ('rediss', 'valkeys') else ''}://{rest}",
        decode_responses=True,
        max_connections=CONNECTIONS,
        retry=once_more,
        retry_on_error=[driver.ConnectionError],
        # The guard bounds every operation as a whole.
        timeout=None,
        socket_timeout=None,
        socket_connect_timeout=None,
    )
    return getattr(driver, name.title()).from_pool(pool)


def _product(driver: Any) -> str:
    """The driver's name, which its classes and URLs have, too: "redis" or "valkey"."""
    name: str = driver.__name__.partition(".")[0]
    return name


def _group_key(group: str) -> str:
    return f"lamella:g:{checked('group name', group)}"
