"""What all stores share: documents as text, versions, expiry, and the bounds of an operation."""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import re
import time
from collections.abc import Awaitable
from typing import Any, TypeVar

from lamella.errors import StoreError
from lamella.websocket.store import Document
from lamella.websocket.stores.address import Address

T = TypeVar("T")

PAGE = 1000
"""Members that are read at a time."""

NAME_LIMIT = 900
"""Bytes of UTF-8 in a name, for every store alike: DynamoDB's sort keys have 1,024."""

IDLE = 45.0
"""Seconds, by the wall clock, after which an idle connection is not used again.

A NAT gateway or a firewall may have forgotten it while the environment was frozen, and while the
monotonic clock stood still: then a server says nothing at all, for as long as one waits.
"""


class NotSetUp(Exception):
    """There is no table, bucket or schema: what is missing, in the server's words."""


class Refused(Exception):
    """A server answered with an error: its code and its text."""


class Guard:
    """Lets an operation end in time, and every failure in a `StoreError` that names the store.

    `failures` are the errors of the store's driver, besides `OSError`. They are not chained to
    it: their texts may hold what was to be written, cookies and tokens among it.
    """

    def __init__(self, address: Address, *failures: type[Exception]) -> None:
        self._store = address.shown
        self._timeout = address.timeout
        # A name that UTF-8 cannot hold (half of a surrogate pair) is refused before it is sent.
        self._failures: tuple[type[Exception], ...] = (OSError, UnicodeError, Refused, *failures)

    async def __call__(self, work: Awaitable[T]) -> T:
        """Await `work`. Raises `StoreError`."""
        try:
            return await asyncio.wait_for(work, self._timeout)
        except TimeoutError:
            raise StoreError(
                f"The connection store {self._store} did not answer within {self._timeout:g} s: "
                "check that it runs, and that the function may reach it (in a VPC: routes and "
                "security groups)."
            ) from None
        except NotSetUp as error:
            raise StoreError(
                f"The connection store {self._store} is not set up ({error}): run "
                f"`lamella websocket init {self._store}`."
            ) from None
        except self._failures as error:
            raise StoreError(
                f"The connection store {self._store} failed ({described(error)}): check that it "
                "runs, and that the function may reach it and use it."
            ) from None


def described(error: Exception) -> str:
    """An error in one line: its type, unless it has the server's own words, and its text.

    PostgreSQL's DETAIL and what follows it may quote the row, and with it the document.
    """
    text = " ".join(re.split(r"\n(?:DETAIL|CONTEXT):", str(error))[0].split())
    return text if isinstance(error, Refused) else f"{type(error).__name__}: {text}"


def import_driver(*names: str) -> Any:
    """The first of the modules that the function carries.

    Raises ValueError where there is none, or where the first one that is there does not import,
    as the reason why an address cannot be opened.
    """
    for name in names:
        try:
            return importlib.import_module(name)
        except ImportError as error:
            if not f"{name}.".startswith(f"{error.name}."):
                raise ValueError(
                    f"{name.partition('.')[0]} is installed and does not import "
                    f"({described(error)}): install {_package(name)} for the function's version "
                    "of Python and its architecture"
                ) from None
    packages = [_package(name) for name in names]
    raise ValueError(
        f"it needs {' or '.join(packages)}, and neither is installed: add {packages[0]} to the "
        "function's requirements"
    )


def _package(module: str) -> str:
    """What to install for a driver: psycopg alone looks for libpq, which Lambda does not have."""
    name = module.partition(".")[0]
    return "psycopg[binary]" if name == "psycopg" else name


def checked(what: str, name: str) -> str:
    """The name of a group or a connection. Raises `StoreError` for one that is too long."""
    size = len(name.encode("utf-8", "surrogatepass"))
    if size > NAME_LIMIT:
        raise StoreError(
            f"The {what} {name[:40]!r}... has {size:,} bytes in UTF-8, and connection stores take "
            f"{NAME_LIMIT}: use a shorter one, such as a digest of it."
        )
    return name


def encoded(document: Document) -> str:
    """The document as JSON, which UTF-8 can hold: half of a surrogate pair is escaped."""
    text = json.dumps(document, separators=(",", ":"), ensure_ascii=False)
    return text.encode("utf-8", "backslashreplace").decode()


def decoded(text: str) -> Document:
    """The document of its JSON."""
    document: Document = json.loads(text)
    return document


def new_version() -> str:
    """A version that no other write has, so that a writer can tell its own."""
    return os.urandom(12).hex()


def now() -> int:
    """Seconds since the epoch: what expires then, or before, is gone."""
    return int(time.time())
