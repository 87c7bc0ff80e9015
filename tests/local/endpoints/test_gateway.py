"""From an HTTP client through web server, front door and runtime, and back."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from lamella.front_doors import FrontDoor, FunctionUrl, HttpApi, Lattice, LoadBalancer, RestApi
from lamella.local.config import FunctionConfig
from lamella.local.endpoints.event_line import EventLine
from lamella.local.endpoints.gateway import Gateway
from lamella.local.endpoints.server import LocalServer, bound_socket
from lamella.local.execution.function import LocalFunction
from tests.local.conftest import Configure
from tests.local.endpoints.test_streams import at_rest
from tests.waiting import until

pytestmark = pytest.mark.anyio

PRELUDE = {
    "statusCode": 201,
    "headers": {"content-type": "text/plain", "x-a": "b"},
    "cookies": ["c=1", "d=2"],
}


class Local:
    """A client of a served function, and what the function and the gateway logged."""

    def __init__(self, client: httpx.AsyncClient, function: LocalFunction) -> None:
        self.client = client
        self.function = function
        self.log: list[str] = []

    async def wish(self, do: str, **event: Any) -> httpx.Response:
        """Have the runtime do something, asked for in the body of a POST to the root."""
        return await self.client.post("", json={"do": do, **event})


@contextlib.asynccontextmanager
async def served(
    config: FunctionConfig, door: FrontDoor, concurrency: int = 10
) -> AsyncIterator[Local]:
    log: list[str] = []

    def report(event: EventLine) -> None:
        log.append(str(event))

    async with LocalFunction(config, concurrency=concurrency, log=log.append) as function:
        with bound_socket(0) as listening:
            server = LocalServer(Gateway(function, door, report), listening)
            serving = asyncio.ensure_future(server.serve())
            base = door.base_url(server.origin)
            async with httpx.AsyncClient(base_url=base, timeout=30) as client:
                local = Local(client, function)
                local.log = log
                yield local
            server.stop()
            await serving


DOORS = [
    pytest.param(FunctionUrl(streaming=False), id="url"),
    pytest.param(RestApi(), id="rest"),
    pytest.param(HttpApi(), id="http"),
    pytest.param(HttpApi("dev"), id="http-stage"),
    pytest.param(LoadBalancer(), id="alb"),
    pytest.param(LoadBalancer(multi_value=True), id="alb-multi"),
    pytest.param(Lattice(), id="lattice"),
    pytest.param(Lattice(version=1), id="lattice-v1"),
]


@pytest.mark.parametrize("door", DOORS)
async def test_a_request_goes_round(configure: Configure, door: FrontDoor) -> None:
    async with served(configure(), door) as local:
        got = await local.client.get("/a%20b?x=1&x=2", headers={"x-mine": "1"})
    assert got.status_code == 200
    event = got.json()
    path = event.get("rawPath") or event.get("path") or event["raw_path"]
    assert path.removeprefix("/dev").partition("?")[0] in ("/a%20b", "/a b")
    headers = event.get("headers") or event["multiValueHeaders"]
    assert headers["x-mine"] in ("1", ["1"])


async def test_a_websocket_s_handshake_says_which_front_door_takes_it(
    configure: Configure,
) -> None:
    async with served(configure(), FunctionUrl(streaming=False)) as local:
        headers = {"connection": "upgrade", "upgrade": "websocket"}
        assert (await local.client.get("/ws", headers=headers)).status_code == 200
    line = next(each for each in local.log if each.startswith("GET /ws 200 "))
    assert line.endswith(", a WebSocket needs --front-door websocket")


async def answered(local: Local, request: bytes) -> tuple[bytes, Any]:
    """The status line that a request gets, byte for byte as it is, and the event that it was."""
    url = local.client.base_url
    reader, writer = await asyncio.open_connection(url.host, url.port)
    writer.write(request.replace(b"\n", b"\r\n"))
    line, *fields = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")
    (length,) = (field[16:] for field in fields if field.startswith(b"content-length: "))
    body = await reader.readexactly(int(length))
    writer.close()
    return line, json.loads(body)


async def test_a_head_has_the_size_that_the_client_has_sent(configure: Configure) -> None:
    """Bytes that are not UTF-8 are three bytes each, as the function reads them."""
    request = b"GET / HTTP/1.1\nHost: localhost\nX-A: " + b"\xff" * 9000 + b"\n\n"
    async with served(configure(), HttpApi()) as local:
        line, event = await answered(local, request)
        too_large, _ = await answered(local, request.replace(b"\xff", b"\xff\xff"))
    assert line == b"HTTP/1.1 200 OK"
    assert event["headers"]["x-a"] == "\ufffd" * 9000
    assert too_large == b"HTTP/1.1 431 Request Header Fields Too Large"


@pytest.mark.parametrize("door", [HttpApi(), LoadBalancer(), Lattice()], ids=lambda door: door.name)
async def test_a_length_beside_chunks_does_not_count(configure: Configure, door: FrontDoor) -> None:
    both = b"Content-Length: 4\nTransfer-Encoding: chunked\n\n"
    request = b"POST / HTTP/1.1\nHost: localhost\n" + both + b'7\n{"a":1}\n0\n\n'
    async with served(configure(), door) as local:
        line, event = await answered(local, request)
    assert line == b"HTTP/1.1 200 OK"
    assert event["headers"]["content-length"] in ("7", ["7"])


@pytest.mark.parametrize("wish", ["error", "crash"])
async def test_an_error_of_the_function(configure: Configure, wish: str) -> None:
    async with served(configure(), LoadBalancer()) as local:
        got = await local.wish(wish)
    assert got.status_code == 502
    assert "<h1>502 Bad Gateway</h1>" in got.text
    assert any("the function failed: " in line for line in local.log)


async def test_a_malformed_result_is_the_sources_own_error(configure: Configure) -> None:
    async with served(configure(), RestApi()) as local:
        got = await local.wish("result", result={"statusCode": 200, "cookies": []})
    assert (got.status_code, got.json()) == (502, {"message": "Internal server error"})
    assert any("refuses the keys ['cookies']" in line for line in local.log)


async def test_an_init_error_is_a_502_and_in_the_log(configure: Configure) -> None:
    config = configure(environment={"FAKE_INIT": "error"})
    async with served(config, FunctionUrl()) as local:
        got = await local.client.get("/")
    assert got.status_code == 502
    assert any("ImportError: no such app" in line for line in local.log)


async def test_a_time_limit_of_the_source(configure: Configure) -> None:
    door = RestApi(time_limit=0.3)
    async with served(configure(), door) as local:
        got = await local.wish("sleep", seconds=30)
        assert (got.status_code, got.json()) == (504, {"message": "Endpoint request timed out"})


async def test_a_timeout_of_the_function(configure: Configure) -> None:
    async with served(configure(timeout=0.5), FunctionUrl()) as local:
        got = await local.wish("sleep", seconds=30)
    assert (got.status_code, got.text) == (502, "Internal Server Error")
    assert any("Task timed out after" in line for line in local.log)


async def test_over_the_concurrency_limit_clients_get_429(configure: Configure) -> None:
    config = configure()
    async with served(config, HttpApi(), concurrency=1) as local:
        slow = asyncio.ensure_future(local.wish("hold", until="go", result={"statusCode": 200}))
        await until(lambda: "event hold" in local.log)
        assert (await local.client.get("/")).status_code == 429
        (config.task_root / "go").touch()
        assert (await slow).status_code == 200


async def test_a_request_over_the_limit_starts_nothing(configure: Configure) -> None:
    async with served(configure(), LoadBalancer()) as local:
        got = await local.client.post("", content=bytes(2**20 + 1))
        assert local.function.environments == []
    assert got.status_code == 413


async def test_headers_over_the_limit_start_nothing(configure: Configure) -> None:
    """They are more than uvicorn's own limit of 64 KB, so the front door gets to see them."""
    async with served(configure(), LoadBalancer()) as local:
        got = await local.client.get("", headers={"x-large": "v" * 100_000})
        assert local.function.environments == []
    assert (got.status_code, "<h1>400 Bad Request</h1>" in got.text) == (400, True)
    assert any(
        "the request's headers are too large: the largest header has 100009 bytes, over the limit "
        "of 16384" in line
        for line in local.log
    ), local.log


async def test_a_client_that_expects_a_100_gets_it_before_its_body(configure: Configure) -> None:
    async with served(configure(), HttpApi()) as local:
        url = local.client.base_url
        reader, writer = await asyncio.open_connection(url.host, url.port)
        head = f"POST / HTTP/1.1\r\nHost: {url.netloc.decode()}\r\nContent-Length: 4\r\n"
        writer.write(f"{head}Connection: close\r\nExpect: 100-continue\r\n\r\n".encode())
        interim = await reader.readuntil(b"\r\n\r\n")
        assert local.function.environments == [], "the event cannot be there without its body"
        writer.write(b"body")
        answer = await reader.read()
        writer.close()
    assert interim.startswith(b"HTTP/1.1 100 ")
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"body" in answer


async def test_an_interim_status_is_no_answer(configure: Configure) -> None:
    async with served(configure(), HttpApi()) as local:
        got = await local.wish("result", result={"statusCode": 103, "headers": {"link": "</a>"}})
    assert got.status_code == 500
    assert any("statusCode is 103, not a number from 200" in line for line in local.log)


async def test_paths_outside_of_the_stage(configure: Configure) -> None:
    async with served(configure(), RestApi("prod")) as local:
        assert local.client.base_url.path == "/prod/"
        outside = await local.client.get(str(local.client.base_url.join("/other")))
    assert (outside.status_code, outside.json()) == (403, {"message": "Forbidden"})


@pytest.mark.parametrize("status", [204, 304])
async def test_statuses_without_a_body(configure: Configure, status: int) -> None:
    async with served(configure(), HttpApi()) as local:
        got = await local.wish("result", result={"statusCode": status, "body": "x"})
        assert (got.status_code, got.content) == (status, b"")
        assert (await local.client.head("/")).content == b""


# Streams


@pytest.mark.parametrize("door", [FunctionUrl(), RestApi(streaming=True)])
async def test_a_stream_arrives_as_it_is_sent(configure: Configure, door: FrontDoor) -> None:
    wish = {"do": "stream", "prelude": PRELUDE, "chunks": ["one", "two"], "confirmed": True}
    config, arrived = configure(), []
    async with (
        served(config, door) as local,
        local.client.stream("POST", "", json=wish) as got,
    ):
        async for piece in got.aiter_raw():
            arrived.append(piece)
            (config.task_root / piece.decode()).touch()
    assert got.status_code == 201
    assert got.headers["x-a"] == "b"
    assert got.headers["x-amzn-requestid"]
    assert got.headers.get_list("set-cookie") == ["c=1", "d=2"]
    assert arrived == [b"one", b"two"]


async def test_an_empty_stream_with_a_content_length(configure: Configure) -> None:
    prelude = {"statusCode": 200, "headers": {"content-length": "0"}}
    async with served(configure(), FunctionUrl()) as local:
        got = await local.wish("stream", prelude=prelude)
    assert (got.status_code, got.content) == (200, b"")
    assert got.headers["content-length"] == "0"


async def test_a_stream_without_prelude_is_passed_as_it_is(configure: Configure) -> None:
    async with served(configure(), FunctionUrl()) as local:
        got = await local.wish("stream", chunks=["raw"])
    assert (got.status_code, got.text) == (200, "raw")
    assert got.headers["content-type"] == "text/plain"


async def test_a_buffered_result_behind_a_streaming_url_arrives_verbatim(
    configure: Configure,
) -> None:
    """AWS does no more: the mode of the URL and of the runtime must match."""
    async with served(configure(), FunctionUrl()) as local:
        got = await local.wish("result", result={"statusCode": 404})
    assert (got.status_code, got.json()) == (200, {"statusCode": 404})


@pytest.mark.parametrize(
    "ending", [{"crash": True}, {"trailer_error": {"errorType": "Lost", "errorMessage": "it"}}]
)
async def test_a_stream_that_breaks_off_closes_the_connection(
    configure: Configure, ending: dict[str, Any]
) -> None:
    async with served(configure(), FunctionUrl()) as local:
        with pytest.raises(httpx.RemoteProtocolError, match="incomplete chunked read"):
            await local.wish("stream", prelude=PRELUDE, chunks=["half"], **ending)
        again = await local.wish("stream", prelude=PRELUDE, chunks=["whole"])
    assert again.text == "whole"
    assert any("the stream broke off" in line for line in local.log)


async def test_a_client_that_hangs_up_does_not_stop_the_function(configure: Configure) -> None:
    wish = {"do": "stream", "prelude": PRELUDE, "chunks": ["a"] * 10, "pause": 0.1}
    async with served(configure(), FunctionUrl()) as local:
        async with local.client.stream("POST", "", json=wish) as got:
            await got.aiter_raw().__anext__()
        await until(lambda: any(line.startswith("REPORT") for line in local.log))
        (environment,) = local.function.environments
        (exchange,) = environment.traffic.matching("POST", "/response")
    assert exchange.status == 202
    prelude_bytes = len(json.dumps(PRELUDE)) + 8
    assert exchange.received == prelude_bytes + 10


async def test_a_slow_client_is_felt_by_the_runtime(configure: Configure) -> None:
    async with served(configure(timeout=30), FunctionUrl()) as local:
        wish = {"do": "flood", "megabytes": 64}
        async with local.client.stream("POST", "", json=wish) as got:
            pieces = got.aiter_raw()
            await pieces.__anext__()
            (environment,) = local.function.environments
            (exchange,) = environment.traffic.matching("POST", "/response")
            assert await at_rest(exchange) < 32 * 2**20
            size = 0
            async for piece in pieces:
                size += len(piece)
    assert exchange.received == 64 * 2**20
    assert size > 63 * 2**20


async def test_what_cannot_be_sent_to_the_client_is_logged(configure: Configure) -> None:
    prelude = {"statusCode": 200, "headers": {"content-length": "2"}}
    async with served(configure(), FunctionUrl()) as local:
        with contextlib.suppress(httpx.RemoteProtocolError):
            await local.wish("stream", prelude=prelude, chunks=["too long"])
        assert (await local.client.get("")).status_code == 200, "the server lives on"
    assert any("LocalProtocolError: Too much data" in line for line in local.log), local.log


def test_the_time_limits_of_a_rest_api() -> None:
    assert RestApi().time_limit == 29
    assert RestApi(streaming=True).time_limit == 900
    assert RestApi(time_limit=0.3).time_limit == 0.3
