"""Lambda's Invoke API on the front door's port, as boto3 knows it."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import boto3
import httpx
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from lamella.front_doors import FunctionUrl
from lamella.local.config import FunctionConfig
from lamella.local.endpoints import invoke_api
from lamella.local.endpoints.event_line import EventLine
from lamella.local.endpoints.gateway import Gateway
from lamella.local.endpoints.invoke_api import InvokeApi
from lamella.local.endpoints.server import LocalServer, bound_socket
from lamella.local.execution.function import LocalFunction
from tests.local.conftest import Configure
from tests.waiting import until

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

pytestmark = pytest.mark.anyio


class Api:
    """A function behind its front door, with boto3's client of the Invoke API."""

    def __init__(self, origin: str, log: list[str], lines: list[EventLine]) -> None:
        self.origin = origin
        self.log = log
        self.lines = lines
        self._client: LambdaClient = boto3.client(
            "lambda",
            "us-east-1",
            endpoint_url=origin,
            aws_access_key_id="x",
            aws_secret_access_key="x",
            config=Config(retries={"total_max_attempts": 1}),
        )

    async def invoke(self, payload: Any = None, name: str = "local", **options: Any) -> Any:
        if payload is not None:
            options["Payload"] = json.dumps(payload)
        return await self._call(self._client.invoke, FunctionName=name, **options)

    async def stream(self, payload: Any, **options: Any) -> list[dict[str, Any]]:
        """The events of a streamed invocation."""

        def read() -> list[dict[str, Any]]:
            got = self._client.invoke_with_response_stream(
                FunctionName="local", Payload=json.dumps(payload), **options
            )
            return [dict(event) for event in got["EventStream"]]

        events: list[dict[str, Any]] = await self._call(read)
        return events

    async def refusal(self, payload: Any = None, **options: Any) -> ClientError:
        with pytest.raises(ClientError) as caught:
            await self.invoke(payload, **options)
        return caught.value

    def close(self) -> None:
        self._client.close()

    async def _call(self, function: Callable[..., Any], **options: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(None, partial(function, **options))


@contextlib.asynccontextmanager
async def served(config: FunctionConfig, concurrency: int = 10) -> AsyncIterator[Api]:
    log: list[str] = []
    lines: list[EventLine] = []
    async with LocalFunction(config, concurrency=concurrency, log=log.append) as function:
        with bound_socket(0) as listening:
            gateway = Gateway(function, FunctionUrl(streaming=False), lambda line: None)
            door = InvokeApi(gateway, function, lines.append, log.append)
            server = LocalServer(door, listening)
            serving = asyncio.ensure_future(server.serve())
            with contextlib.closing(Api(server.origin, log, lines)) as api:
                yield api
            await door.close()
            server.stop()
            await serving


async def test_a_result_and_what_the_runtime_is_told(configure: Configure) -> None:
    context = {"custom": {"who": "me"}}
    encoded = base64.b64encode(json.dumps(context).encode()).decode()
    async with served(configure()) as api:
        got = await api.invoke({"do": "echo"}, ClientContext=encoded, TenantId="blue")
        assert (got["StatusCode"], got["ExecutedVersion"]) == (200, "$LATEST")
        assert "FunctionError" not in got
        told = json.load(got["Payload"])
        request_id = got["ResponseMetadata"]["RequestId"]
    assert told["event"] == {"do": "echo"}
    headers = told["headers"]
    assert headers["lambda-runtime-aws-request-id"] == request_id
    assert json.loads(headers["lambda-runtime-client-context"]) == context
    assert headers["lambda-runtime-aws-tenant-id"] == "blue"


async def test_an_error_of_the_function_is_a_200_that_says_so(configure: Configure) -> None:
    async with served(configure(timeout=3.0)) as api:
        failed = await api.invoke({"do": "error", "message": "no stock"}, LogType="Tail")
        assert (failed["StatusCode"], failed["FunctionError"]) == (200, "Unhandled")
        assert str(api.lines[0]).startswith("INVOKE local 200 ")
        assert str(api.lines[0]).endswith(" Oops: no stock")
        assert json.load(failed["Payload"])["errorMessage"] == "no stock"
        late = await api.invoke({"do": "sleep", "seconds": 30}, LogType="Tail")
        assert "Task timed out after 3.00 seconds" in json.load(late["Payload"])["errorMessage"]
    lines = base64.b64decode(late["LogResult"]).decode().splitlines()
    assert lines[0].startswith("START RequestId: ")
    assert lines[-1].startswith("REPORT RequestId: ")
    assert "event sleep" in lines


async def test_names_qualifiers_and_a_name_that_is_nobodys(configure: Configure) -> None:
    async with served(configure(name="shop")) as api:
        for name in (
            *("shop", "local", "shop:live", "123456789012:function:shop"),
            "arn:aws:lambda:us-east-1:123456789012:function:shop:live",
        ):
            assert (await api.invoke({"do": "echo"}, name))["StatusCode"] == 200
        error = await api.refusal({"do": "echo"}, name="shopp")
    assert error.response["Error"]["Code"] == "ResourceNotFoundException"
    assert "function:shopp. lamella run serves the function 'shop' here." in str(error)


async def test_a_dry_run_runs_nothing(configure: Configure) -> None:
    async with served(configure()) as api:
        assert (await api.invoke({"do": "crash"}, InvocationType="DryRun"))["StatusCode"] == 204
        assert api.log == []


async def test_an_asynchronous_event_has_three_attempts(
    configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(invoke_api, "SECONDS_A_MINUTE", 0.01)
    async with served(configure()) as api:
        got = await api.invoke({"do": "error"}, InvocationType="Event")
        assert (got["StatusCode"], got["Payload"].read()) == (202, b"")
        await until(lambda: any("attempt 3 of 3" in line for line in api.log))
    request_id = got["ResponseMetadata"]["RequestId"]
    begun = [line for line in api.log if line.startswith("START")]
    assert begun == [f"START RequestId: {request_id} Version: $LATEST"] * 3, "one id for all"
    handed, *attempts = map(str, api.lines)
    assert handed.startswith("INVOKE local 202 ")
    assert len(attempts) == 3
    assert all(each.startswith("INVOKE local (asynchronous) 200 ") for each in attempts)
    assert all(each.endswith(" Oops: no") for each in attempts)
    told = [line for line in api.log if "(asynchronous)" in line]
    assert told == [
        f"{request_id} (asynchronous) attempt 1 of 3 failed: Lambda tries again after 1 minute",
        f"{request_id} (asynchronous) attempt 2 of 3 failed: Lambda tries again after 2 minutes",
        f"{request_id} (asynchronous) attempt 3 of 3 failed: the event goes to the function's "
        "OnFailure destination or dead-letter queue; without one it is lost",
    ]


async def test_an_asynchronous_event_waits_for_a_free_environment(
    configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(invoke_api, "SECONDS_A_MINUTE", 0.01)
    config = configure()
    async with served(config, concurrency=1) as api:
        slow = asyncio.ensure_future(api.invoke({"do": "hold", "until": "go"}))
        await until(lambda: "event hold" in api.log)
        error = await api.refusal({"do": "echo"})
        assert error.response["Error"]["Code"] == "TooManyRequestsException"
        await api.invoke({"do": "echo"}, InvocationType="Event")
        await until(lambda: any("waits in Lambda's queue" in line for line in api.log))
        (config.task_root / "go").touch()
        await until(lambda: "event echo" in api.log)
        await slow


async def test_what_lambda_refuses(configure: Configure) -> None:
    async with served(configure()) as api:
        errors = [
            await api.refusal(ClientContext=base64.b64encode(b"{").decode()),
            await api.refusal(InvocationType="Later"),
            await api.refusal("x" * 2**20, InvocationType="Event"),
            await api.refusal("x" * (6 * 2**20)),
        ]
        async with httpx.AsyncClient(base_url=api.origin) as client:
            path = "/2015-03-31/functions/local/invocations"
            bad = await client.post(path, content=b"{'do': 1}")
            page = await client.post(path, json={}, headers={"origin": "http://localhost:8000"})
        assert api.log == [], "nothing was invoked"
    assert [error.response["Error"]["Code"] for error in errors] == [
        "InvalidRequestContentException",
        "InvalidParameterValueException",
        "RequestTooLargeException",
        "RequestTooLargeException",
    ]
    assert "use RequestResponse or Event or DryRun" in str(errors[1])
    assert (bad.status_code, bad.headers["x-amzn-errortype"]) == (
        400,
        "InvalidRequestContentException",
    )
    assert bad.json()["Message"].startswith("Could not parse request body into json: ")
    assert page.status_code == 403
    assert "answers no browser" in page.json()["Message"]


async def test_no_payload_is_an_empty_object(configure: Configure) -> None:
    async with served(configure()) as api:
        got = json.load((await api.invoke())["Payload"])
    assert json.loads(got["body"]) == {}


async def test_a_streamed_answer_comes_piece_by_piece(configure: Configure) -> None:
    async with served(configure()) as api:
        whole = await api.stream({"do": "stream", "chunks": ["one", "two"]}, LogType="Tail")
        broken = await api.stream(
            {
                "do": "stream",
                "chunks": ["half"],
                "trailer_error": {"errorType": "Lost", "errorMessage": "it"},
            }
        )
    pieces = [event["PayloadChunk"]["Payload"] for event in whole if "PayloadChunk" in event]
    assert b"".join(pieces) == b"onetwo"
    log = base64.b64decode(whole[-1]["InvokeComplete"]["LogResult"]).decode()
    assert "REPORT RequestId" in log
    complete = broken[-1]["InvokeComplete"]
    assert complete["ErrorCode"] == "Lost"
    assert json.loads(complete["ErrorDetails"])["errorMessage"] == "it"


async def test_every_other_request_is_the_front_door_s(configure: Configure) -> None:
    wish = {"do": "result", "result": {"mine": True}}
    async with served(configure()) as api, httpx.AsyncClient(base_url=api.origin) as client:
        for path in ("/2015-03-31/functions", "/2015-03-31/functions/a/b/invocations"):
            assert (await client.post(path, json=wish)).json() == {"mine": True}
        path = "/2015-03-31/functions/local/invocations"
        assert (await client.get(path)).json()["rawPath"] == path
