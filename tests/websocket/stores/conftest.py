"""Every kind of store, over a real server, set up by `lamella websocket init`."""

from __future__ import annotations

import importlib.util
import sys
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import boto3
import pytest
import redis as redis_py
from click.testing import CliRunner, Result
from psycopg import connect as psycopg_connect

from lamella.tools.cli import main
from lamella.websocket.store import Store
from lamella.websocket.stores import open_store
from tests.moto_server import moto_server
from tests.websocket.stores.front import Front
from tests.websocket.stores.servers import PASSWORD, Proxy, Server, postgresql_server, redis_server

SERVED = ["redis", "valkey", "asyncpg", "psycopg", "dynamodb", "s3"]
KEYS: Any = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}
ALL = ["memory", "sqlite", *SERVED]


@dataclass
class Place:
    """Where a test's store is: a URL for a port, the server's own or a proxy's before it."""

    kind: str
    make_url: Callable[[int], str]
    port: int = 0

    def url(self, port: int | None = None, **options: Any) -> str:
        url = self.make_url(port or self.port)
        mark = "&" if "?" in url else "?"
        # Patience by default: a machine that runs tests is busy.
        return f"{url}{mark}{urlencode({'timeout': 60, **options})}"


def init(url: str, *options: str) -> Result:
    """Run `lamella websocket init`."""
    return CliRunner().invoke(main, ["websocket", "init", url, *options])


@pytest.fixture(scope="session")
def redis() -> Iterator[Server]:
    with redis_server() as server:
        yield server


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Server]:
    with postgresql_server() as server:
        yield server


@pytest.fixture(scope="session")
def moto() -> Iterator[Front]:
    with moto_server() as place:
        url = "http://{}:{}".format(*place)
        for service in ("dynamodb", "s3"):  # the first call of each imports it, which takes seconds
            client = boto3.client(service, region_name="eu-west-1", endpoint_url=url, **KEYS)
            client.list_tables() if service == "dynamodb" else client.list_buckets()
            client.close()
        with Front(place) as front:
            yield front


@pytest.fixture
def front(moto: Front) -> Front:
    """The front before moto, without faults."""
    moto.recover()
    return moto


@pytest.fixture
def place(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Place:
    """An empty store of the kind, ready to use."""
    place = make_place(kind, request, tmp_path, monkeypatch)
    done = init(place.url())
    assert done.exit_code == 0, done.output
    return place


@pytest.fixture
async def store(place: Place) -> AsyncIterator[Store]:
    """A store at the place."""
    store = open_store(place.url())
    yield store
    await store.close()


@pytest.fixture
async def proxy(place: Place) -> AsyncIterator[Proxy]:
    """What stands between the store and its server, and counts the connections."""
    async with Proxy(place.port) as proxy:
        yield proxy


def make_place(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Place:
    """A place where nothing has been set up."""
    name = f"t{uuid.uuid4().hex[:12]}"
    if kind == "memory":
        return Place(kind, lambda port: "memory:")
    if kind == "sqlite":
        return Place(kind, lambda port: f"sqlite:///{tmp_path}/{name}.db")
    if kind in ("redis", "valkey"):
        server = request.getfixturevalue("redis")
        empty(server.port)
        choose_driver(kind, monkeypatch)
        return Place(kind, lambda port: f"{kind}://:{PASSWORD}@127.0.0.1:{port}/0", server.port)
    if kind in ("asyncpg", "psycopg"):
        choose_driver(kind, monkeypatch)
        server = request.getfixturevalue("postgresql")
        options = urlencode({"options": f"-csearch_path={make_schema(server.port, name)}"})
        url = f"postgresql://lamella:{PASSWORD}@127.0.0.1:%s/postgres?{options}"
        return Place(kind, lambda port: url.replace("%s", str(port)), server.port)
    front = request.getfixturevalue("front")
    path = f"Table-{name}" if kind == "dynamodb" else f"{name}/web/sockets"
    options = "region=eu-west-1&endpoint=http://127.0.0.1"
    return Place(kind, lambda port: f"{kind}://{path}?{options}:{port}", front.server_port)


def choose_driver(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the function carry this driver only, of two that serve the same store."""
    for drivers in ({"asyncpg", "psycopg"}, {"redis", "valkey"}):
        if name in drivers:
            if importlib.util.find_spec(name) is None:
                pytest.skip(f"NOT TESTED: {name} is not installed; pip install {name}")
            for other in drivers - {name}:
                hide(other, monkeypatch)


def hide(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a package not be there."""
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.delitem(sys.modules, f"{package}.asyncio", raising=False)


def empty(port: int) -> None:
    """Remove what other tests left in Redis."""
    with redis_py.Redis(port=port, password=PASSWORD) as client:
        client.flushall()


def make_schema(port: int, name: str) -> str:
    """An empty schema in PostgreSQL."""
    command = "CREATE SCHEMA " + name
    with psycopg_connect(
        host="127.0.0.1", port=port, user="lamella", password=PASSWORD, dbname="postgres"
    ) as connection:
        connection.execute(command.encode())
    return name
