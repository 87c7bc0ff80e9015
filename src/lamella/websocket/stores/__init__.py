"""The connection stores; each kind of store is one module, imported only where it is used."""

from __future__ import annotations

from lamella.errors import SettingError
from lamella.websocket.store import Store
from lamella.websocket.stores.address import parse, redacted


def open_store(url: str) -> Store:
    """The store that `ASGI_WEBSOCKET_STORE` names; the first operation connects.

    Raises `SettingError` for a URL that is not allowed, and where the function does not carry
    the store's driver.
    """
    try:
        address = parse(url)
        if address.kind == "dynamodb":
            from lamella.websocket.stores.dynamodb import DynamoDBStore

            return DynamoDBStore(address)
        if address.kind == "s3":
            from lamella.websocket.stores.s3 import S3Store

            return S3Store(address)
        if address.kind == "redis":
            from lamella.websocket.stores.redis import RedisStore

            return RedisStore(address)
        if address.kind == "postgresql":
            from lamella.websocket.stores.postgresql import open_postgresql

            return open_postgresql(address)
        if address.kind == "sqlite":
            from lamella.websocket.stores.sqlite import open_sqlite

            return open_sqlite(address)
    except ValueError as error:
        raise SettingError(
            f"ASGI_WEBSOCKET_STORE={redacted(url)!r} is not allowed: {error}."
        ) from None
    from lamella.websocket.stores.memory import MemoryStore

    return MemoryStore()
