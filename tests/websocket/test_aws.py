"""A signed request as the server sees it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from types import SimpleNamespace

import botocore.auth
import pytest
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from lamella.aws import client as aws
from lamella.aws.client import AwsClient, Reply, Unreachable
from lamella.errors import WebSocketError

from .api_gateway import ApiGateway, Request, api_gateway

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret/key")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "token+/==")


def signature_of(request: Request, gateway: ApiGateway, service: str) -> str:
    """What botocore makes of the request that came, and of nothing else."""
    origin = gateway.endpoint.removesuffix("/prod")
    names = request.headers["authorization"].partition("SignedHeaders=")[2].partition(",")[0]
    headers = {name: request.headers[name] for name in names.split(";")}
    again = AWSRequest(request.method, origin + request.target, headers, request.body)
    signer = S3SigV4Auth if service == "s3" else SigV4Auth
    keys = Credentials("AKIDEXAMPLE", "secret/key", "token+/==")
    signer(keys, service, "eu-west-1").add_auth(again)
    found: str = again.headers["Authorization"]
    return found


@pytest.mark.parametrize("service", ["execute-api", "s3", "dynamodb"])
@pytest.mark.parametrize(
    ("method", "path", "headers", "body"),
    [
        ("POST", "/prod/@connections/dGVzdA%3D", {}, b"hello"),
        ("GET", "/prod/@connections/x?b=1&a=%2F", {"Accept": "*/*"}, b""),
        ("PUT", "/a//b/./c", {"Content-Type": " text/plain;  charset=utf-8"}, b"\xff\x00"),
        ("DELETE", "/", {}, b""),
    ],
)
async def test_what_arrives_is_what_was_signed(
    monkeypatch: pytest.MonkeyPatch,
    service: str,
    method: str,
    path: str,
    headers: dict[str, str],
    body: bytes,
) -> None:
    client = AwsClient()
    async with api_gateway() as gateway:
        url = gateway.endpoint.removesuffix("/prod") + path
        await client.request(service, "eu-west-1", method, url, headers, body)
        await client.close()
    (request,) = gateway.requests
    assert (request.method, request.target, request.body) == (method, path, body)
    assert request.headers["x-amz-security-token"] == "token+/=="
    assert ("x-amz-content-sha256" in request.headers) is (service == "s3")
    moment = datetime.strptime(request.headers["x-amz-date"], "%Y%m%dT%H%M%SZ")
    now = datetime.now(UTC).replace(tzinfo=None)
    assert abs((now - moment).total_seconds()) < 60
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda: moment)
    assert request.headers["authorization"] == signature_of(request, gateway, service)


async def test_a_request_is_signed_when_it_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    client = AwsClient(connections=1)
    async with api_gateway() as gateway:
        start = 1_767_225_600  # 2026-01-01; each request before one takes ten minutes
        clock = SimpleNamespace(time=lambda: start + 600 * len(gateway.requests))
        monkeypatch.setattr(aws, "time", clock)
        asked = (client.request("s3", "eu-west-1", "GET", gateway.endpoint) for _ in range(3))
        await asyncio.gather(*asked)
        await client.close()
    assert [request.headers["x-amz-date"] for request in gateway.requests] == [
        "20260101T000000Z",
        "20260101T001000Z",
        "20260101T002000Z",
    ]


async def test_every_status_is_a_reply() -> None:
    client = AwsClient()
    async with api_gateway() as gateway:
        gateway.answers = [(500, b"oh"), (404, b"")]
        first = await client.request("s3", "eu-west-1", "GET", gateway.endpoint)
        second = await client.request("s3", "eu-west-1", "GET", gateway.endpoint)
        await client.close()
    assert first == Reply(500, {"content-length": "2"}, b"oh")
    assert second == Reply(404, {"content-length": "0"}, b"")
    assert gateway.opened == 1


async def test_nothing_is_sent_without_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", raising=False)
    async with api_gateway() as gateway:
        with pytest.raises(WebSocketError, match="There are no AWS credentials"):
            await AwsClient().request("s3", "eu-west-1", "GET", gateway.endpoint)
    assert not gateway.requests


async def test_no_reply_in_time_is_unreachable() -> None:
    client = AwsClient(timeout=0.3)
    async with api_gateway() as gateway:
        gateway.delay = 30
        with pytest.raises(Unreachable, match=r"did not reply within 0\.3 s"):
            await client.request("s3", "eu-west-1", "GET", gateway.endpoint)
        await client.close()
