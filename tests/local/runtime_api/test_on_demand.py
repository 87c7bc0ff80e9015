"""Status codes and bodies of the Runtime API, as AWS's Runtime Interface Emulator answers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from lamella.front_doors.answer import Answer
from lamella.local.runtime_api.invocation import Invocation
from lamella.local.runtime_api.on_demand import MAX_PAYLOAD, RuntimeApi
from lamella.local.runtime_api.traffic import Traffic
from tests.local.conftest import Configure
from tests.waiting import PATIENCE, until

pytestmark = pytest.mark.anyio

NEXT = "/2018-06-01/runtime/invocation/next"
INIT_ERROR = "/2018-06-01/runtime/init/error"
REGISTER = "/2020-01-01/extension/register"
EVENT_NEXT = "/2020-01-01/extension/event/next"


def response(request_id: str) -> str:
    return f"/2018-06-01/runtime/invocation/{request_id}/response"


def error(request_id: str) -> str:
    return f"/2018-06-01/runtime/invocation/{request_id}/error"


def invocation(request_id: str = "r1", **fields: Any) -> Invocation:
    return Invocation(b'{"n":1}', 1000, "arn:x", Answer(request_id), **fields)


def kind(reply: httpx.Response) -> tuple[int, str]:
    return reply.status_code, reply.json()["errorType"]


@pytest.fixture
async def api(configure: Configure) -> AsyncIterator[RuntimeApi]:
    api = RuntimeApi(configure(), Traffic())
    await api.server.start()
    yield api
    await api.server.close()


@pytest.fixture
async def client(api: RuntimeApi) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(
        base_url=f"http://{api.server.address}", timeout=PATIENCE
    ) as client:
        yield client


async def test_ping_and_what_is_no_route(client: httpx.AsyncClient) -> None:
    assert (await client.get("/2018-06-01/ping")).text == "pong"
    assert (await client.get("/nope")).status_code == 404
    wrong = await client.post(NEXT)
    assert wrong.status_code == 405
    assert wrong.headers["allow"] == "GET"


async def test_next_hands_out_the_event_and_response_is_accepted(
    api: RuntimeApi, client: httpx.AsyncClient
) -> None:
    sent = invocation()
    api.dispatch(sent)
    got = await client.get(NEXT)
    assert got.content == b'{"n":1}'
    assert got.headers["lambda-runtime-aws-request-id"] == "r1"
    done = await client.post(response("r1"), content=b"true")
    assert (done.status_code, done.json()) == (202, {"status": "OK"})
    sent.answer.finish()
    assert (await sent.answer.collect()).payload == b"true"


async def test_next_waits_for_an_event(api: RuntimeApi, client: httpx.AsyncClient) -> None:
    asked = asyncio.ensure_future(client.get(NEXT))
    await asyncio.wait_for(api.idle.wait(), PATIENCE)
    assert not asked.done()
    api.dispatch(invocation())
    assert not api.idle.is_set()
    assert (await asked).status_code == 200


async def test_next_in_a_running_invocation_gives_the_same_event(
    api: RuntimeApi, client: httpx.AsyncClient
) -> None:
    api.dispatch(invocation())
    first, second = await client.get(NEXT), await client.get(NEXT)
    assert first.headers["lambda-runtime-aws-request-id"] == "r1"
    assert second.headers["lambda-runtime-aws-request-id"] == "r1"


async def test_a_runtime_that_leaves_next_does_not_swallow_an_event(
    api: RuntimeApi, client: httpx.AsyncClient
) -> None:
    leaving = asyncio.ensure_future(client.get(NEXT))
    await asyncio.wait_for(api.idle.wait(), PATIENCE)
    leaving.cancel()
    await until(lambda: not api.idle.is_set())
    api.dispatch(invocation())
    assert (await client.get(NEXT)).status_code == 200


@pytest.mark.parametrize("post", [response, error])
async def test_an_unknown_request_id_is_a_400(
    api: RuntimeApi, client: httpx.AsyncClient, post: Any
) -> None:
    assert kind(await client.post(post("r0"))) == (400, "InvalidRequestID")
    api.dispatch(invocation())
    await client.get(NEXT)
    assert kind(await client.post(post("r0"))) == (400, "InvalidRequestID")


@pytest.mark.parametrize("again", [response, error])
@pytest.mark.parametrize("first", [response, error])
async def test_a_second_answer_is_a_403(
    api: RuntimeApi, client: httpx.AsyncClient, first: Any, again: Any
) -> None:
    api.dispatch(invocation())
    await client.get(NEXT)
    await client.post(first("r1"), content=b"{}")
    refused = await client.post(again("r1"), content=b"{}")
    assert kind(refused) == (403, "InvalidStateTransition")
    assert refused.json()["errorMessage"].startswith(
        "State transition from RuntimeResponseSentState to Invocation"
    )


async def test_an_unknown_response_mode_is_a_400(
    api: RuntimeApi, client: httpx.AsyncClient
) -> None:
    api.dispatch(invocation())
    await client.get(NEXT)
    mode = {"Lambda-Runtime-Function-Response-Mode": "buffered"}
    refused = await client.post(response("r1"), headers=mode)
    assert kind(refused) == (400, "InvalidFunctionResponseMode")


async def test_a_response_over_the_limit_is_a_413_and_already_reported(
    api: RuntimeApi, client: httpx.AsyncClient
) -> None:
    sent = invocation()
    api.dispatch(sent)
    await client.get(NEXT)
    refused = await client.post(response("r1"), content=bytes(MAX_PAYLOAD + 1))
    assert kind(refused) == (413, "RequestEntityTooLarge")
    assert sent.answer.error is not None
    assert sent.answer.error["errorType"] == "Function.ResponseSizeTooLarge"
    assert f"({MAX_PAYLOAD + 1} bytes)" in sent.answer.error["errorMessage"]
    assert kind(await client.post(error("r1"))) == (403, "InvalidStateTransition")


async def test_a_response_of_the_limit_is_accepted(
    api: RuntimeApi, client: httpx.AsyncClient
) -> None:
    api.dispatch(invocation())
    await client.get(NEXT)
    assert (await client.post(response("r1"), content=bytes(MAX_PAYLOAD))).status_code == 202


async def test_a_stale_invocation_id_is_refused(api: RuntimeApi, client: httpx.AsyncClient) -> None:
    api.dispatch(invocation(invocation_id="second-attempt"))
    got = await client.get(NEXT)
    assert got.headers["lambda-runtime-invocation-id"] == "second-attempt"
    stale = await client.post(
        response("r1"), headers={"Lambda-Runtime-Invocation-Id": "first-attempt"}
    )
    assert kind(stale) == (400, "InvalidRequestID")
    silent = await client.post(response("r1"), content=b"1")
    assert silent.status_code == 202, "an id that is not echoed is not checked"


async def test_a_truncated_response_fails_when_the_runtime_goes_on(
    api: RuntimeApi, client: httpx.AsyncClient
) -> None:
    sent = invocation()
    api.dispatch(sent)
    await client.get(NEXT)
    host, port = api.server.address.split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"POST {response('r1')} HTTP/1.1\r\nHost: x\r\n".encode())
    writer.write(b"Transfer-Encoding: chunked\r\n\r\n5\r\nabc")
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    await api.server.drained(PATIENCE)
    asked = asyncio.ensure_future(client.get(NEXT))
    await asyncio.wait_for(api.idle.wait(), PATIENCE)
    assert sent.answer.error is not None
    assert sent.answer.error["errorType"] == "Runtime.TruncatedResponse"
    asked.cancel()


async def test_init_error_only_in_init(api: RuntimeApi, client: httpx.AsyncClient) -> None:
    body = {"errorMessage": "m", "errorType": "T"}
    assert (await client.post(INIT_ERROR, json=body)).status_code == 202
    assert api.init_error == body
    assert kind(await client.post(INIT_ERROR)) == (403, "InvalidStateTransition")
    assert kind(await client.get(NEXT)) == (403, "InvalidStateTransition")


async def test_init_error_after_the_first_next_is_a_403(
    api: RuntimeApi, client: httpx.AsyncClient
) -> None:
    api.dispatch(invocation())
    await client.get(NEXT)
    assert kind(await client.post(INIT_ERROR)) == (403, "InvalidStateTransition")


@pytest.mark.parametrize(
    ("name", "body", "error_type"),
    [
        ("", {"events": []}, "Extension.InvalidExtensionName"),
        ("a", {"events": ["SHUTDOWN"]}, "Extension.InvalidEventType"),
        ("a", {"events": ["OTHER"]}, "Extension.InvalidEventType"),
        ("a", "no object", "InvalidRequestFormat"),
        ("a", {"events": 5}, "InvalidRequestFormat"),
        ("a", {"events": [5]}, "InvalidRequestFormat"),
    ],
)
async def test_registrations_that_are_refused(
    client: httpx.AsyncClient, name: str, body: object, error_type: str
) -> None:
    refused = await client.post(REGISTER, json=body, headers={"Lambda-Extension-Name": name})
    assert kind(refused) == (403, error_type)


@pytest.mark.parametrize("body", [None, {"events": None}])
async def test_a_registration_for_null_is_for_no_events(
    client: httpx.AsyncClient, body: object
) -> None:
    # So does the emulator's JSON reader; on the wire of 2026-01.
    name = {"Lambda-Extension-Name": "a"}
    got = await client.post(REGISTER, content=json.dumps(body).encode(), headers=name)
    assert got.status_code == 200


async def test_there_is_no_restore_without_snap_start(client: httpx.AsyncClient) -> None:
    assert (await client.get("/2018-06-01/runtime/restore/next")).status_code == 404
    assert (await client.post("/2018-06-01/runtime/restore/error")).status_code == 404


async def test_an_extension_registers_once_and_only_in_init(
    api: RuntimeApi, client: httpx.AsyncClient
) -> None:
    async def register(name: str) -> httpx.Response:
        headers = {"Lambda-Extension-Name": name, "Lambda-Extension-Accept-Feature": "accountId"}
        return await client.post(REGISTER, json={"events": []}, headers=headers)

    done = await register("a")
    assert done.status_code == 200
    assert done.headers["lambda-extension-identifier"]
    assert done.json() == {
        "functionName": "local",
        "functionVersion": "$LATEST",
        "handler": "lamella.handler",
        "accountId": "123456789012",
    }
    assert kind(await register("a")) == (403, "Extension.InvalidExtensionState")
    for name in "bcdefghij":
        assert (await register(name)).status_code == 200
    assert kind(await register("k")) == (403, "Extension.TooManyExtensions")
    api.dispatch(invocation())
    await client.get(NEXT)
    assert kind(await register("l")) == (403, "Extension.RegistrationClosed")


@pytest.mark.parametrize(
    ("identifier", "error_type"),
    [
        ("", "Extension.MissingExtensionIdentifier"),
        ("zzz", "Extension.InvalidExtensionIdentifier"),
        ("12345678-1234-1234-1234-123456789012", "Extension.UnknownExtensionIdentifier"),
    ],
)
async def test_event_next_needs_an_identifier(
    client: httpx.AsyncClient, identifier: str, error_type: str
) -> None:
    headers = {"Lambda-Extension-Identifier": identifier}
    assert kind(await client.get(EVENT_NEXT, headers=headers)) == (403, error_type)


async def test_init_is_not_over_before_each_extension_waits(
    api: RuntimeApi, client: httpx.AsyncClient
) -> None:
    name = {"Lambda-Extension-Name": "a"}
    done = await client.post(REGISTER, json={"events": []}, headers=name)
    asked = asyncio.ensure_future(client.get(NEXT))
    await asyncio.sleep(0.1)
    assert not api.idle.is_set()
    identity = {"Lambda-Extension-Identifier": done.headers["lambda-extension-identifier"]}
    waits = asyncio.ensure_future(client.get(EVENT_NEXT, headers=identity))
    await asyncio.wait_for(api.idle.wait(), PATIENCE)
    asked.cancel()
    waits.cancel()


async def test_an_error_type_outside_lambdas_pattern_is_unknown(
    api: RuntimeApi, client: httpx.AsyncClient
) -> None:
    sent = invocation()
    api.dispatch(sent)
    await client.get(NEXT)
    headers = {"Lambda-Runtime-Function-Error-Type": "whatever"}
    await client.post(error("r1"), content=b"not json", headers=headers)
    assert sent.answer.error == {"errorMessage": "not json", "errorType": "Function.Unknown"}


async def test_a_large_error_cause_header_fits(api: RuntimeApi, client: httpx.AsyncClient) -> None:
    sent = invocation()
    api.dispatch(sent)
    await client.get(NEXT)
    cause = json.dumps({"exceptions": ["x" * 1_000_000]})
    headers = {"Lambda-Runtime-Function-XRay-Error-Cause": cause}
    assert (await client.post(error("r1"), content=b"{}", headers=headers)).status_code == 202
