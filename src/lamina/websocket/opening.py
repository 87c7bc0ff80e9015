"""Opens the connection store that `ASGI_WEBSOCKET_STORE` names."""

from __future__ import annotations

from lamina.errors import SettingError
from lamina.websocket.store import Store
from lamina.websocket.stores.address import Address, parse, redacted


def open_store(url: str) -> Store:
    """The store at `url`; the first operation connects.

    Raises `SettingError` for a URL that is not allowed, and where the function does not carry
    the store's driver.
    """
    try:
        return _store(parse(url))
    except ValueError as error:
        raise SettingError(
            f"ASGI_WEBSOCKET_STORE={redacted(url)!r} is not allowed: {error}."
        ) from None


def _store(address: Address) -> Store:
    """Imports only what the kind of store needs."""
    if address.kind == "dynamodb":
        from lamina.websocket.stores.dynamodb import DynamoDBStore

        return DynamoDBStore(address)
    if address.kind == "s3":
        from lamina.websocket.stores.s3 import S3Store

        return S3Store(address)
    if address.kind == "redis":
        from lamina.websocket.stores.redis import RedisStore

        return RedisStore(address)
    if address.kind == "postgresql":
        from lamina.websocket.stores.postgresql import open_postgresql

        return open_postgresql(address)
    if address.kind == "sqlite":
        from lamina.websocket.stores.sqlite import open_sqlite

        return open_sqlite(address)
    from lamina.websocket.stores.memory import MemoryStore

    return MemoryStore()
