"""@connections, against a played API Gateway and against what is none."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import botocore.auth
import botocore.session
import pytest
from botocore.awsrequest import AWSPreparedRequest

from lamella.aws.client import AwsClient, Reply
from lamella.errors import ClientDisconnected, ConnectionsError
from lamella.websocket.management import ManagementApi

from .api_gateway import FORBIDDEN, GONE, LIMITED, ApiGateway, api_gateway, listening

pytestmark = pytest.mark.anyio

HOST = "id.execute-api.eu-west-1.amazonaws.com"


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "token")


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that were waited between tries, which take none."""
    slept: list[float] = []
    sleep = asyncio.sleep

    async def note(seconds: float) -> None:
        if seconds:
            slept.append(seconds)
        await sleep(0)

    monkeypatch.setattr(asyncio, "sleep", note)
    return slept


@asynccontextmanager
async def connected(
    timeout: float = 10.0, connections: int = 32
) -> AsyncIterator[tuple[ManagementApi, ApiGateway]]:
    async with api_gateway() as gateway:
        found = ManagementApi(AwsClient(timeout, connections), "eu-west-1")
        try:
            yield found, gateway
        finally:
            await found.close()


# What works


@pytest.mark.parametrize("connection_id", ["L0SM9cOFvHcCIhw=", "a/b+c==", "x y", "\u20ac?#%41"])
async def test_a_message_reaches_its_connection(connection_id: str) -> None:
    async with connected() as (connections, gateway):
        await connections.post(gateway.endpoint, connection_id, b"one")
        await connections.post(gateway.endpoint + "/", connection_id, "zw\u00f6lf".encode())
        await connections.post(f"{gateway.endpoint}/@connections", connection_id, b"")
    assert gateway.messages == {connection_id: [b"one", "zw\u00f6lf".encode(), b""]}
    assert gateway.opened == 1


async def test_delete_closes_and_what_is_closed_is_no_error() -> None:
    async with connected() as (connections, gateway):
        await connections.delete(gateway.endpoint, "c=")
        assert gateway.gone == {"c="}
        await connections.delete(gateway.endpoint, "c=")
    assert [request.method for request in gateway.requests] == ["DELETE", "DELETE"]


async def test_a_thousand_messages_go_over_a_bounded_number_of_connections() -> None:
    async with connected(connections=8) as (connections, gateway):
        gateway.delay = 0.001
        sent = {f"id{number}=": [str(number).encode()] for number in range(1000)}
        await asyncio.gather(
            *(connections.post(gateway.endpoint, name, data) for name, [data] in sent.items())
        )
    assert gateway.messages == sent
    assert gateway.most_open == gateway.opened == 8


class Recorder(AwsClient):
    """Keeps what is asked for, and answers 200."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[str, str, str, str]] = []
        self.reply = Reply(200, {}, b"{}")

    async def request(
        self, service: str, region: str, method: str, url: str, *more: Any, **named: Any
    ) -> Reply:
        self.asked.append((service, region, method, url))
        return self.reply


@pytest.mark.parametrize(
    ("endpoint", "region"),
    [
        (f"https://{HOST}/prod", "eu-west-1"),
        ("https://id.execute-api.cn-north-1.amazonaws.com.cn/prod", "cn-north-1"),
        ("https://vpce-1-a.execute-api.us-east-2.vpce.amazonaws.com/prod", "us-east-2"),
        ("https://ws.example.com/chat", "ap-south-1"),
        ("http://127.0.0.1:3001/prod", "ap-south-1"),
        ("https://execute-api/prod", "ap-south-1"),
    ],
)
async def test_a_host_that_names_its_region_is_signed_for_it(endpoint: str, region: str) -> None:
    client = Recorder()
    await ManagementApi(client, "ap-south-1").post(endpoint, "c=", b"")
    assert client.asked == [("execute-api", region, "POST", f"{endpoint}/@connections/c%3D")]


class NotSent(Exception):
    """Stops botocore before it sends."""


@pytest.mark.parametrize("connection_id", ["L0SM9cOFvHcCIhw=", "a/b+c=="])
async def test_a_request_is_the_one_that_botocore_s_client_makes(
    monkeypatch: pytest.MonkeyPatch, connection_id: str
) -> None:
    sent: list[AWSPreparedRequest] = []

    def instead(request: AWSPreparedRequest, **_: Any) -> Any:
        sent.append(request)
        raise NotSent

    async with connected() as (connections, gateway):
        client: Any = botocore.session.get_session().create_client(
            "apigatewaymanagementapi", region_name="eu-west-1", endpoint_url=gateway.endpoint
        )
        await connections.post(gateway.endpoint, connection_id, b"hello")
        (ours,) = gateway.requests
        moment = datetime.strptime(ours.headers["x-amz-date"], "%Y%m%dT%H%M%SZ")
        monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda: moment)
        client.meta.events.register("before-send", instead)
        with pytest.raises(NotSent):
            client.post_to_connection(ConnectionId=connection_id, Data=b"hello")
    (theirs,) = sent
    assert theirs.url == gateway.endpoint.removesuffix("/prod") + ours.target
    authorization: Any = theirs.headers["Authorization"]
    assert authorization.decode() == ours.headers["authorization"]


# What API Gateway refuses


async def test_a_closed_connection_is_a_disconnected_client() -> None:
    async with connected() as (connections, gateway):
        gateway.gone = {"c="}
        for call in (
            connections.post(gateway.endpoint, "c=", b""),
            connections.post(gateway.endpoint, "c=", b"again"),
        ):
            with pytest.raises(ClientDisconnected, match=r"connection 'c=' is closed\.$"):
                await call
    assert len(gateway.requests) == 2


async def test_patience_waits_for_a_handshake_to_end(pauses: list[float]) -> None:
    async with connected() as (connections, gateway):
        gateway.answers = [GONE, GONE, GONE]
        await connections.post(gateway.endpoint, "c=", b"hello", patience=10)
    assert gateway.messages == {"c=": [b"hello"]}
    assert len(pauses) == 3


async def test_patience_ends() -> None:
    async with connected() as (connections, gateway):
        gateway.gone = {"c="}
        with pytest.raises(ClientDisconnected):
            await connections.post(gateway.endpoint, "c=", b"hello", patience=0.2)
    assert len(gateway.requests) > 1


@pytest.mark.parametrize("busy", [LIMITED, (503, b"")])
async def test_a_busy_api_is_asked_again(pauses: list[float], busy: tuple[int, bytes]) -> None:
    async with connected() as (connections, gateway):
        gateway.answers = [busy] * 4
        await connections.post(gateway.endpoint, "c=", b"hello")
    assert gateway.messages == {"c=": [b"hello"]}
    longest = (0.1, 0.3, 0.7, 1.4)
    assert len(pauses) == len(longest)
    assert all(most / 2 <= pause <= most for pause, most in zip(pauses, longest, strict=True))
    assert sum(longest) < 3


async def test_an_api_that_stays_busy_is_given_up(pauses: list[float]) -> None:
    async with connected() as (connections, gateway):
        gateway.answers = [LIMITED] * 9
        with pytest.raises(ConnectionsError) as caught:
            await connections.delete(gateway.endpoint, "c=")
        assert len(gateway.requests) == 5
    assert caught.value.status == 429
    assert str(caught.value) == (
        "API Gateway is busy (429, Too Many Requests) after 5 tries: raise the stage's throttling "
        "or the account's request rate, or send less at once."
    )


@pytest.mark.parametrize(
    ("endpoint", "resource"),
    [
        (f"https://{HOST}/prod", "arn:aws:execute-api:eu-west-1:*:id/prod/*"),
        (f"https://{HOST}", "arn:aws:execute-api:eu-west-1:*:id/*/*"),
        (
            "https://id.execute-api.cn-north-1.amazonaws.com.cn/v1/@connections",
            "arn:aws-cn:execute-api:cn-north-1:*:id/v1/*",
        ),
        (
            "https://id.execute-api.us-gov-west-1.amazonaws.com/v1/",
            "arn:aws-us-gov:execute-api:us-gov-west-1:*:id/v1/*",
        ),
        (
            "https://id.execute-api.eusc-de-east-1.amazonaws.eu/v1",
            "arn:aws-eusc:execute-api:eusc-de-east-1:*:id/v1/*",
        ),
        ("https://ws.example.com/chat", "the API's ARN"),
    ],
)
async def test_a_refusal_names_the_permission(endpoint: str, resource: str) -> None:
    client = Recorder()
    client.reply = Reply(FORBIDDEN[0], {}, FORBIDDEN[1])
    with pytest.raises(ConnectionsError) as caught:
        await ManagementApi(client, "eu-west-1").post(endpoint, "c=", b"")
    assert caught.value.status == 403
    assert str(caught.value) == (
        f"API Gateway refuses {endpoint} (User: arn:aws:sts::1:role is not authorized): allow the "
        f"function's role execute-api:ManageConnections on {resource}."
    )


@pytest.mark.parametrize(
    ("words", "advice"),
    [
        (
            "Forbidden",
            f"API Gateway refuses https://{HOST}/prod (Forbidden): check that it is the stage of a "
            "WebSocket API, that its default endpoint is not disabled, and that the function's "
            "role has execute-api:ManageConnections on arn:aws:execute-api:eu-west-1:*:id/prod/*.",
        ),
        (
            "Missing Authentication Token",
            f"API Gateway refuses https://{HOST}/prod (Missing Authentication Token): check that "
            "it is the stage of a WebSocket API, that its default endpoint is not disabled, and "
            "that the function's role has execute-api:ManageConnections on "
            "arn:aws:execute-api:eu-west-1:*:id/prod/*.",
        ),
        (
            "Signature expired: 20260101T000000Z is now earlier than 20260101T000500Z",
            f"API Gateway refuses the signature for https://{HOST}/prod (Signature expired: "
            "20260101T000000Z is now earlier than 20260101T000500Z): the credentials have expired, "
            "or the clock is wrong. Send again; outside of Lambda, set the clock and new "
            "credentials.",
        ),
        (
            "The security token included in the request is expired",
            f"API Gateway refuses the signature for https://{HOST}/prod (The security token "
            "included in the request is expired): the credentials have expired, or the clock is "
            "wrong. Send again; outside of Lambda, set the clock and new credentials.",
        ),
        (
            "The security token included in the request is invalid.",
            f"API Gateway refuses https://{HOST}/prod (The security token included in the request "
            "is invalid.), signed for eu-west-1: check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, "
            "AWS_SESSION_TOKEN and AWS_REGION, and that it is the stage of a WebSocket API.",
        ),
    ],
)
async def test_another_refusal_says_what_to_check(words: str, advice: str) -> None:
    client = Recorder()
    client.reply = Reply(403, {}, json.dumps({"message": words}).encode())
    with pytest.raises(ConnectionsError) as caught:
        await ManagementApi(client, "us-east-1").post(f"https://{HOST}/prod", "c=", b"")
    assert (str(caught.value), caught.value.status) == (advice, 403)


async def test_a_refusal_is_known_by_its_type_too() -> None:
    client = Recorder()
    client.reply = Reply(403, {"x-amzn-errortype": "AccessDeniedException"}, b"{}")
    with pytest.raises(ConnectionsError, match=r"\({}\): allow the function's role"):
        await ManagementApi(client, "").post(f"https://{HOST}/prod", "c=", b"")


async def test_without_a_region_nothing_is_sent() -> None:
    client = Recorder()
    connections = ManagementApi(client, "")
    with pytest.raises(ConnectionsError) as caught:
        await connections.post("https://ws.example.com/chat", "c=", b"")
    assert str(caught.value) == (
        "https://ws.example.com/chat does not tell the API's region, and AWS_REGION is not set: "
        "set it, for example to eu-west-1."
    )
    await connections.post(f"https://{HOST}/prod", "c=", b"")
    assert [region for _, region, *_ in client.asked] == ["eu-west-1"]


async def test_a_message_that_is_too_large_is_measured() -> None:
    async with connected() as (connections, gateway):
        await connections.post(gateway.endpoint, "c=", b"x" * 131_072)
        with pytest.raises(ConnectionsError) as caught:
            await connections.post(gateway.endpoint, "c=", b"x" * 131_073)
    assert caught.value.status == 413
    assert str(caught.value) == (
        "A message of 131,073 bytes is too large: API Gateway's limit is 131,072 bytes. Send it in "
        "parts, or send a link to it."
    )


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ((400, b'{"message": "Invalid connectionId: c="}'), "Invalid connectionId: c="),
        ((404, b"<html>no</html>"), "<html>no</html>"),
        ((500, b""), "without a word"),
        ((302, b"[]"), "[]"),
        ((500, b'{"message": null}'), '{"message": null}'),
    ],
)
async def test_another_answer_is_told_with_what_to_check(
    answer: tuple[int, bytes], told: str
) -> None:
    async with connected() as (connections, gateway):
        gateway.answers = [answer]
        with pytest.raises(ConnectionsError) as caught:
            await connections.post(gateway.endpoint, "c=", b"")
    assert caught.value.status == answer[0]
    assert str(caught.value) == (
        f"API Gateway answered {answer[0]} ({told}) for connection 'c=': check that "
        f"{gateway.endpoint} is the stage of a WebSocket API."
    )


# Servers that are not API Gateway


async def test_a_lost_server_is_named() -> None:
    async with connected() as (connections, gateway):
        endpoint = gateway.endpoint
        await connections.post(endpoint, "c=", b"")
    with pytest.raises(ConnectionsError, match=r"^API Gateway cannot be reached\. No connection"):
        await connections.post(endpoint, "c=", b"")


async def test_a_slow_server_is_named() -> None:
    async with connected(timeout=0.3) as (connections, gateway):
        gateway.delay = 30
        with pytest.raises(ConnectionsError, match=r"did not reply within 0.3 s") as caught:
            await connections.post(gateway.endpoint, "c=", b"")
    assert caught.value.status is None
    assert len(gateway.requests) == 1  # it may have been delivered: it is not sent again


@pytest.mark.parametrize("half", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab"])
async def test_half_a_reply_is_told(half: bytes) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(half)
        await writer.drain()
        writer.close()

    connections = ManagementApi(AwsClient(), "eu-west-1")
    async with listening(serve) as port:
        with pytest.raises(ConnectionsError, match="closed the connection before its reply ended"):
            await connections.post(f"http://127.0.0.1:{port}/prod", "c=", b"hello")
    await connections.close()


async def test_no_credentials_is_an_error_of_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.delenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", raising=False)
    with pytest.raises(ConnectionsError, match=r"^There are no AWS credentials"):
        await ManagementApi(AwsClient(), "eu-west-1").post(f"https://{HOST}/prod", "c=", b"")


# What it costs


def test_its_import_brings_no_slow_module() -> None:
    code = (
        "import asyncio, json, logging, sys; import lamella.websocket.management\n"
        "slow = {'hashlib', 'hmac', 'random', 'urllib.parse', 'datetime', 'http.client', 'boto3'}\n"
        "sys.exit(' '.join(slow & sys.modules.keys()) or 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
