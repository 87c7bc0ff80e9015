"""The URLs that ASGI_WEBSOCKET_STORE takes, what it says of others, and no password anywhere."""

from __future__ import annotations

import re
import subprocess
import sys
import traceback
from typing import Any

import pytest

from lamella.aws.client import AwsClient, Reply, Unreachable
from lamella.aws.http import split
from lamella.errors import SettingError, StoreError
from lamella.values import STORE_SCHEMES
from lamella.websocket.stores import open_store
from lamella.websocket.stores.address import parse, redacted

SECRET = "hunter2hunter2"

GOOD = [
    "dynamodb://My-Table_1.x",
    "dynamodb://Table?region=eu-west-1&endpoint=http://127.0.0.1:8000&timeout=2",
    "s3://bucket.with.dots/a/prefix/?region=cn-north-1",
    "redis://host",
    "rediss://user:p%40ss@host:6380/3?ssl_cert_reqs=required&timeout=0.5",
    "redis://[::1]:6379/0",
    "valkey://host",
    "valkeys://:secret@host:6379",
    "postgresql://user:secret@host:5432/db?sslmode=require",
    "postgres://user@h1:5432,h2:5433/db?target_session_attrs=read-write",
    "postgresql:///db?host=/var/run/postgresql",
    "sqlite:///relative.db",
    "sqlite:////absolute/path%20x.db?timeout=1",
    "memory:",
]

BAD = {
    "dynamodb://": "write it as dynamodb://TABLE",
    "dynamodb://table/more": "write it as dynamodb://TABLE",
    "dynamodb://table?region_name=x": "the options it may have are timeout, region, endpoint",
    "dynamodb://table?endpoint=localhost:8000": "'localhost:8000' is not the URL of a service",
    "dynamodb://table?endpoint=": "write an endpoint as https://HOST or http://HOST:PORT",
    "dynamodb://table?endpoint=ftp://h": "write an endpoint as https://HOST or http://HOST:PORT",
    "dynamodb://table?endpoint=http://h?a=b": "write an endpoint as https://HOST",
    "dynamodb://table?region=eu west": "'https://dynamodb.eu west.amazonaws.com' is not the URL of",
    "s3://bucket/p?endpoint=127.0.0.1:9000": "'127.0.0.1:9000' is not the URL of a service: write",
    "s3://bücket/p": "'https://bücket.s3.eu-west-1.amazonaws.com' is not the URL of a service",
    "s3://bucket": "write it as s3://BUCKET/PREFIX",
    "s3://bucket/": "write it as s3://BUCKET/PREFIX",
    "sqlite://file.db": "write it as sqlite:///relative.db or sqlite:////absolute/path.db",
    "sqlite:///": "write it as sqlite:///relative.db or sqlite:////absolute/path.db",
    "memory://host": "write it as memory:",
    "memory:?size=3": "the options it may have are timeout",
    "redis://host/0?decode_responses=1": "the options it may have are timeout, db, ",
    "redis://host?timeout=0": "use a number of seconds above 0",
    "redis://host?timeout=soon": "use a number of seconds above 0",
    "mysql://host/db": "use one of dynamodb://TABLE, s3://BUCKET/PREFIX, redis://",
    "table": "use one of dynamodb://TABLE",
}

WRONG_WITH_PASSWORD = [
    f"redis://user:{SECRET}@host:port",
    f"redis://user:{SECRET}/x@host",
    f"redis://user:{SECRET}#x@host",
    f"redis://user:x?{SECRET}@host",
    f"redis://user:x@{SECRET}@host",
    f"redis://user:%{SECRET}@host",
    f"redis://:{SECRET}@[host",
    f"redis://:{SECRET}℀@host",
    f"redis://host?password={SECRET}",
    f"postgresql://user:{SECRET}@host/db?password={SECRET}&nonsense=1",
    f"postgresql://user:{SECRET}@host:5432x/db",
    f"postgresql://host/db?sslpassword={SECRET}",
    f"mysql://user:{SECRET}@host/db",
    f"redis:user:{SECRET}@host",
]


@pytest.fixture(autouse=True)
def region(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-west-1")


@pytest.mark.parametrize("url", GOOD)
def test_right_urls_open_without_a_server(url: str) -> None:
    assert open_store(url)


def test_every_scheme_is_among_them() -> None:
    assert {url.partition(":")[0] for url in GOOD} == set(STORE_SCHEMES)


@pytest.mark.parametrize(("url", "advice"), BAD.items(), ids=BAD)
def test_wrong_urls_say_what_is_right(url: str, advice: str) -> None:
    with pytest.raises(SettingError, match=re.escape(advice)) as caught:
        open_store(url)
    assert str(caught.value).startswith(f"ASGI_WEBSOCKET_STORE={url!r} is not allowed: ")


@pytest.mark.parametrize("url", WRONG_WITH_PASSWORD)
def test_no_message_and_no_traceback_has_a_password(url: str) -> None:
    with pytest.raises(SettingError) as caught:
        open_store(url)
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    assert "host" in str(caught.value)


@pytest.mark.parametrize("url", GOOD)
def test_a_url_without_a_password_is_shown_as_it_is(url: str) -> None:
    assert redacted(url) == re.sub(r":[^:@/]+@", ":***@", url)


def test_dynamodb_without_a_region(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(SettingError, match=r"there is no AWS_REGION here: add \?region="):
        open_store("dynamodb://table")


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("dynamodb://t?region=eusc-de-east-1", "dynamodb.eusc-de-east-1.amazonaws.eu"),
        ("dynamodb://t?region=cn-north-1", "dynamodb.cn-north-1.amazonaws.com.cn"),
        ("s3://b/p?region=us-isob-east-1", "b.s3.us-isob-east-1.sc2s.sgov.gov"),
        ("s3://b.c/p?region=eusc-de-east-1", "s3.eusc-de-east-1.amazonaws.eu"),
    ],
)
@pytest.mark.anyio
async def test_hosts_have_the_domain_of_the_partition(
    url: str, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    async def request(
        self: AwsClient, service: str, region: str, method: str, url: str, *_: Any
    ) -> Reply:
        asked.append(split(url).host)
        raise Unreachable("nowhere")

    monkeypatch.setattr(AwsClient, "request", request)
    with pytest.raises(StoreError, match="nowhere"):
        await open_store(url).get("a")
    assert asked == [host]


def test_names_keep_their_case() -> None:
    assert parse("dynamodb://My-Table").host == "My-Table"


def test_paths_are_decoded() -> None:
    assert parse("sqlite:////a%20b/%C3%BC.db").path == "/a b/ü.db"


def test_a_driver_does_not_get_the_timeout_of_lamella() -> None:
    address = parse("postgresql://user:p%40ss@host/db?timeout=3&sslmode=require")
    assert address.driver_url == "postgresql://user:p%40ss@host/db?sslmode=require"
    assert address.timeout == 3.0


def test_a_store_imports_no_other_ones_modules() -> None:
    code = (
        "import sys; from lamella.websocket.stores import open_store; open_store('memory:'); "
        "print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "lamella.websocket.stores.memory" in loaded
    assert not loaded & {"sqlite3", "redis", "asyncpg", "psycopg", "xml.etree.ElementTree"}
