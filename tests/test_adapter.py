"""The handler and library ways: an event in, a result out, on one loop and one lifespan."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from http import HTTPStatus
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest

import lamella
from lamella.errors import InvocationError, LifespanError, SettingError
from lamella.response.wire import encode_result
from lamella.types import Receive, Scope, Send
from tests.events import SQS_EVENT, alb_event, http_event, rest_event, url_event
from tests.sources import builders

CONTEXT = SimpleNamespace(aws_request_id="r-1", get_remaining_time_in_millis=lambda: 30_000)


BAD_REQUEST = "Bad Request: the event is malformed."
MALFORMED = {"lattice-v1": "raw_path", "edge": "querystring"}
"""A field of each source's event that must not hold a list; elsewhere "body" is one."""


class Echo:
    """Answers with the scope as JSON; `script` may do anything else with the request."""

    def __init__(self, script: Any = None) -> None:
        self.script = script
        self.loops: set[int] = set()
        self.phases: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.loops.add(id(asyncio.get_running_loop()))
        if scope["type"] == "lifespan":
            scope["state"]["db"] = ["open"]
            for phase in ("startup", "shutdown"):
                await receive()
                self.phases.append(phase)
                await send({"type": f"lifespan.{phase}.complete"})
        elif self.script is not None:
            await self.script(scope, receive, send)
        else:
            await answer(send, {"path": scope["path"], "state": scope["state"]})


async def answer(send: Send, content: Any, status: int = 200) -> None:
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(content).encode()})


@pytest.fixture
def adapters() -> Iterator[list[lamella.Adapter]]:
    made: list[lamella.Adapter] = []
    yield made
    for adapter in made:
        adapter.close()


@pytest.fixture
def adapt(adapters: list[lamella.Adapter]) -> Any:
    def adapt(app: Any, **settings: Any) -> lamella.Adapter:
        adapters.append(lamella.Adapter(app, **settings))
        return adapters[-1]

    return adapt


def body_of(result: Any) -> Any:
    return json.loads(result["body"])


@pytest.mark.parametrize(
    "event",
    [url_event("/x"), http_event("/x"), alb_event("/x")],
    ids=["D37-function-url", "http-api", "alb"],
)
def test_an_event_in_a_result_out(adapt: Any, event: Any) -> None:
    result = adapt(Echo())(event, CONTEXT)
    assert result["statusCode"] == 200
    assert body_of(result) == {"path": "/x", "state": {"db": ["open"]}}


def test_E31_D2_one_lifespan_and_one_loop_for_all_invocations(adapt: Any) -> None:
    app = Echo()
    handler = adapt(app)
    for _ in range(5):
        assert handler(url_event(), CONTEXT)["statusCode"] == 200
    assert app.phases == ["startup"]
    assert len(app.loops) == 1
    handler.close()
    assert app.phases == ["startup", "shutdown"]


def test_D19_each_request_gets_its_own_copy_of_the_state(adapt: Any) -> None:
    async def script(scope: Scope, receive: Receive, send: Send) -> None:
        scope["state"]["seen"] = True
        await answer(send, sorted(scope["state"]))

    handler = adapt(Echo(script))
    assert body_of(handler(url_event(), CONTEXT)) == ["db", "seen"]
    assert body_of(handler(url_event(), CONTEXT)) == ["db", "seen"]

    async def plain(scope: Scope, receive: Receive, send: Send) -> None:
        await answer(send, sorted(scope["state"]))

    assert body_of(adapt(Echo(plain))(url_event(), CONTEXT)) == ["db"]


def test_E38_survives_an_asyncio_run_of_the_user_s(adapt: Any) -> None:
    handler = adapt(Echo())
    asyncio.run(asyncio.sleep(0))
    assert handler(url_event(), CONTEXT)["statusCode"] == 200


def test_E38_works_from_another_thread(adapt: Any) -> None:
    handler = adapt(Echo())
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(handler(url_event(), CONTEXT)))
    thread.start()
    thread.join()
    assert results[0]["statusCode"] == 200


def test_E38_D33_works_where_a_loop_runs_already(adapt: Any) -> None:
    handler = adapt(Echo())

    async def caller() -> Any:
        return handler(url_event(), CONTEXT)

    assert asyncio.run(caller())["statusCode"] == 200


def test_E39_D5_construction_warns_of_nothing(adapt: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        adapt(Echo())


def test_D7_waits_for_background_work_and_for_tasks_left_behind(adapt: Any) -> None:
    done: list[str] = []

    async def later() -> None:
        await asyncio.sleep(0.05)
        done.append("task")

    async def script(scope: Scope, receive: Receive, send: Send) -> None:
        await answer(send, "ok")
        scope["state"]["db"].append(asyncio.ensure_future(later()))
        await asyncio.sleep(0.01)
        done.append("background")

    adapt(Echo(script))(url_event(), CONTEXT)
    assert done == ["background", "task"]


def test_E37_a_task_that_does_not_end_is_cancelled_and_named(
    adapt: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async def forgotten() -> None:
        await asyncio.sleep(60)

    async def script(scope: Scope, receive: Receive, send: Send) -> None:
        scope["state"]["db"].append(asyncio.ensure_future(forgotten()))
        await answer(send, "ok")

    handler = adapt(Echo(script), background_timeout=0.05)
    assert handler(url_event("/leaky"), CONTEXT)["statusCode"] == 200
    assert "GET /leaky: cancelled the tasks that it left running" in caplog.text
    assert "forgotten" in caplog.text


def test_E42_D34_the_deadline_is_a_504_and_the_environment_lives_on(
    adapt: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async def script(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/slow":
            await asyncio.sleep(60)
        await answer(send, "ok")

    handler = adapt(Echo(script), deadline_margin_ms=500)
    hurried = SimpleNamespace(get_remaining_time_in_millis=lambda: 600)
    assert handler(url_event("/slow"), hurried)["statusCode"] == 504
    assert "GET /slow: did not end before the deadline" in caplog.text
    assert handler(url_event("/fast"), CONTEXT)["statusCode"] == 200


def test_E43_D24_the_handler_has_the_name_that_powertools_reads(adapt: Any) -> None:
    assert adapt(Echo()).__name__ == "handler"


def test_E_wrong_settings_and_failing_startup_are_init_errors() -> None:
    async def failing(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no database"})

    with pytest.raises(SettingError, match="lifespan='sometimes'"):
        lamella.Adapter(Echo(), lifespan="sometimes")
    with pytest.raises(LifespanError, match="no database"):
        lamella.Adapter(failing)


def test_E36_an_error_that_ends_the_environment_leaves_the_handler(adapt: Any) -> None:
    async def script(scope: Scope, receive: Receive, send: Send) -> None:
        raise SystemExit(3)

    with pytest.raises(SystemExit):
        adapt(Echo(script))(url_event(), CONTEXT)


def test_D32_a_response_over_the_limit_is_a_500_and_the_log_says_what_to_do(
    adapt: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async def script(scope: Scope, receive: Receive, send: Send) -> None:
        await answer(send, "x" * 6_300_000)

    result = adapt(Echo(script))(url_event(), CONTEXT)
    assert result["statusCode"] == 500
    assert result["body"] == "The response is too large to be delivered."
    assert "ASGI_INVOKE_MODE=response_stream" in caplog.text


@pytest.mark.parametrize(
    ("event", "limit"),
    [
        pytest.param(builders.alb_event(), 1024 * 1024, id="alb"),
        pytest.param(builders.alb_single_event(), 1024 * 1024, id="alb-single"),
        pytest.param(builders.edge_event(), 40 * 1024, id="edge-viewer"),
        pytest.param(
            {"Records": [{"cf": {**builders.edge_event()["Records"][0]["cf"], "config": {}}}]},
            1024 * 1024,
            id="edge-origin",
        ),
    ],
)
@pytest.mark.parametrize("letter", [b"x", b"\0"])
def test_D32_a_response_over_a_limit_of_its_source(
    adapt: Any, caplog: pytest.LogCaptureFixture, event: Any, limit: int, letter: bytes
) -> None:
    body = b""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": body})

    handler = adapt(app, lifespan="off")
    room = limit - len(encode_result(handler(event, CONTEXT) | {"bodyEncoding": "text"}))
    width = len(encode_result(letter.decode())) - 2  # bytes of one letter in JSON
    body = letter * ((room - 100) // width)
    assert at_the_client(handler(event, CONTEXT)) == ("200", len(body))
    body += letter * 200
    status, size = at_the_client(handler(event, CONTEXT))
    assert (status, size < 100) == ("500", True)
    said = rf"at least \d+ bytes as JSON, and the event source '\w+' takes {limit}: compress"
    assert re.search(said, caplog.text)
    assert "ASGI_INVOKE_MODE" not in caplog.text, "no way out for these sources"


def at_the_client(result: Any) -> tuple[str, int]:
    return str(result.get("statusCode", result.get("status"))), len(result["body"])


def test_D6_error_status_fails_the_invocation(adapt: Any) -> None:
    async def script(scope: Scope, receive: Receive, send: Send) -> None:
        await answer(send, "down", status=503)

    with pytest.raises(InvocationError, match="answered 503"):
        adapt(Echo(script), error_status="500-599")(url_event(), CONTEXT)


def test_E17_a_malformed_event_is_a_400(adapt: Any, caplog: pytest.LogCaptureFixture) -> None:
    event = url_event(method="POST") | {"body": "@@@@", "isBase64Encoded": True}
    result = adapt(Echo())(event, CONTEXT)
    assert (result["statusCode"], result["body"]) == (400, BAD_REQUEST)
    assert "Malformed event (url): The event's 'body' must be base64" in caplog.text


@pytest.mark.parametrize("name", builders.HTTP_EVENTS)
@pytest.mark.parametrize(("method", "body"), [("GET", BAD_REQUEST), ("HEAD", "")])
def test_E17_what_is_wrong_with_an_event_is_not_for_clients(
    adapt: Any, caplog: pytest.LogCaptureFixture, name: str, method: str, body: str
) -> None:
    event = builders.HTTP_EVENTS[name](**{MALFORMED.get(name, "body"): ["secret"]})
    holder = event["requestContext"]["http"] if name in ("url", "http") else event
    if name == "edge":
        holder = event["Records"][0]["cf"]["request"]
    holder["httpMethod" if "httpMethod" in holder else "method"] = method
    result = adapt(Echo())(event, CONTEXT)
    assert str(result.get("statusCode", result.get("status"))) == "400"
    assert result.get("body", "") == body
    assert "secret" in caplog.text


def test_E20_a_body_that_cloudfront_cut_off_says_how_much_may_be_sent(adapt: Any) -> None:
    body = {"data": "YQ==", "encoding": "base64", "inputTruncated": True}
    result = adapt(Echo())(builders.edge_event(body=body), CONTEXT)
    assert (result["status"], "40 KB on viewer-request" in result["body"]) == ("413", True)


def test_an_event_that_is_no_json_fails_the_invocation(adapt: Any) -> None:
    with pytest.raises(InvocationError, match=r"^The event is not JSON: .*datetime"):
        adapt(Echo())({"now": datetime.now(UTC)}, CONTEXT)


def test_D11_other_events_are_posted_and_their_answer_is_the_result(adapt: Any) -> None:
    async def script(scope: Scope, receive: Receive, send: Send) -> None:
        event = json.loads((await receive())["body"])
        failed = [{"itemIdentifier": record["messageId"]} for record in event["Records"]]
        assert (scope["method"], scope["path"]) == ("POST", "/queue")
        await answer(send, {"batchItemFailures": failed})

    result = adapt(Echo(script), events_path="/queue")(SQS_EVENT, CONTEXT)
    assert result == {"batchItemFailures": [{"itemIdentifier": "m-1"}]}


def test_D11_an_answer_of_400_or_more_fails_the_invocation(adapt: Any) -> None:
    async def script(scope: Scope, receive: Receive, send: Send) -> None:
        await answer(send, "no such route", status=404)

    with pytest.raises(InvocationError, match="404"):
        adapt(Echo(script))(SQS_EVENT, CONTEXT)


def test_D11_the_scope_says_that_lamella_made_the_request(adapt: Any) -> None:
    """No HTTP request has the extension, so nobody can pass one off as an event."""
    seen: list[Any] = []

    async def script(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["extensions"].get("lamella.event"))
        await answer(send, {})

    handler = adapt(Echo(script))
    handler(SQS_EVENT, CONTEXT)
    handler({"any": "thing"}, CONTEXT)
    for build in builders.HTTP_EVENTS.values():
        handler(build(), CONTEXT)
    http = [None] * len(builders.HTTP_EVENTS)
    assert seen == [{"source": "sqs"}, {"source": "other"}, *http]


@pytest.mark.parametrize(
    ("path", "refused"),
    [
        ("/events", True),
        ("/events/", True),
        ("//events", True),
        ("/%65vents", True),
        ("/x/../events", True),
        ("/./events", True),
        ("/eventsx", False),
        ("/x/events", False),
        ("/", False),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("settings", [{}, {"base_path": "/api"}, {"base_path_mode": "strip"}])
def test_http_requests_for_the_path_of_events_can_be_refused(
    adapt: Any, path: str, refused: bool, method: str, settings: dict[str, str]
) -> None:
    prefix = settings.get("base_path", "")
    event = url_event(prefix + path, method=method)
    results = [
        adapt(Echo(), events_from_http=choice, **settings)(event, CONTEXT)
        for choice in ("allow", "refuse")
    ]
    assert [result["statusCode"] for result in results] == [200, 404 if refused else 200]


def test_events_themselves_are_served_where_http_is_refused(adapt: Any) -> None:
    handler = adapt(Echo(), events_from_http="refuse", events_path="/hooks")
    assert handler(SQS_EVENT, CONTEXT)["path"] == "/hooks"
    assert handler(rest_event("/hooks"), CONTEXT)["body"] == "Not Found"
    assert handler(rest_event("/events"), CONTEXT)["statusCode"] == 200
    assert handler(url_event("/hooks", method="HEAD"), CONTEXT)["body"] == ""


def test_the_path_of_an_event_can_name_its_source(adapt: Any) -> None:
    handler = adapt(Echo(), events_from_http="refuse", events_path="/in/{source}/now")
    paths = [handler(event, CONTEXT)["path"] for event in (SQS_EVENT, {"any": "thing"}, [1])]
    assert paths == ["/in/sqs/now", "/in/other/now", "/in/other/now"]
    for path, status in {
        "/in/s3/now": 404,
        "/in//x/now/": 404,
        "/in/now": 200,
        "/in/": 200,
    }.items():
        assert handler(url_event(path), CONTEXT)["statusCode"] == status, path


def test_the_numbers_of_an_answer_are_kept_for_awslambdaric(adapt: Any) -> None:
    """Its encoder writes a Decimal as it is; only numbers that Python would change are one."""

    async def script(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200})
        await send(
            {"type": "http.response.body", "body": b'{"amount": 2.2999999999999998, "n": 1.5}'}
        )

    result = adapt(Echo(script))(SQS_EVENT, CONTEXT)
    assert result == {"amount": Decimal("2.2999999999999998"), "n": 1.5}


def test_events_can_be_refused(adapt: Any) -> None:
    with pytest.raises(InvocationError, match="ASGI_EVENTS_PATH is empty"):
        adapt(Echo(), events_path="")(SQS_EVENT, CONTEXT)


def test_HEAD_fails_like_GET_where_the_status_is_an_error(adapt: Any) -> None:
    async def script(scope: Scope, receive: Receive, send: Send) -> None:
        await answer(send, "down", status=503)

    with pytest.raises(InvocationError, match="answered 503"):
        adapt(Echo(script), error_status="503")(url_event(method="HEAD"), CONTEXT)


def test_HEAD_of_a_crash_has_no_body(adapt: Any) -> None:
    async def script(scope: Scope, receive: Receive, send: Send) -> None:
        raise ValueError

    result = adapt(Echo(script))(url_event(method="HEAD"), CONTEXT)
    assert (result["statusCode"], result["body"]) == (500, "")


def test_a_margin_larger_than_the_time_left_leaves_time_to_answer(adapt: Any) -> None:
    hurried = SimpleNamespace(get_remaining_time_in_millis=lambda: 1000)
    handler = adapt(Echo(), deadline_margin_ms=6000)
    assert handler(url_event(), hurried)["statusCode"] == 200


def test_HEAD_has_no_body(adapt: Any) -> None:
    assert adapt(Echo())(url_event(method="HEAD"), CONTEXT)["body"] == ""


@pytest.mark.parametrize("status", [204, 205, 304])
@pytest.mark.parametrize("name", builders.HTTP_EVENTS)
def test_a_status_without_content_has_neither_body_nor_length(
    adapt: Any, name: str, status: int
) -> None:
    async def script(scope: Scope, receive: Receive, send: Send) -> None:
        await send(
            {
                "type": "http.response.start",
                "status": HTTPStatus(status),
                "headers": [(b"content-length", b"4"), (b"content-type", b"text/plain")],
            }
        )
        await send({"type": "http.response.body", "body": b"null"})

    result = adapt(Echo(script))(builders.HTTP_EVENTS[name](), CONTEXT)
    assert "content-length" not in json.dumps(result)
    if name == "edge":
        assert result.keys() == {"status", "headers"}
        assert result["status"] == str(status)
    else:
        assert json.dumps([result["statusCode"], result["body"]]) == f'[{status}, ""]'


@pytest.mark.parametrize(
    "remaining",
    [None, "soon", True, float("nan"), MagicMock()],
    ids=["none", "text", "true", "nan", "mock"],
)
def test_a_context_without_a_time_has_no_deadline(adapt: Any, remaining: Any) -> None:
    context = SimpleNamespace(get_remaining_time_in_millis=lambda: remaining)
    assert adapt(Echo())(url_event(), context)["statusCode"] == 200


@pytest.mark.parametrize(
    "context",
    [None, {}, object(), MagicMock(), SimpleNamespace(get_remaining_time_in_millis=30_000)],
    ids=["none", "dict", "object", "mock", "a-number-for-a-method"],
)
@pytest.mark.parametrize("event", [url_event(), SQS_EVENT], ids=["url", "sqs"])
def test_any_context_will_do(adapt: Any, context: Any, event: Any) -> None:
    async def script(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["aws.context"] is context
        logging.getLogger("lamella").warning("with the context's request id")
        await answer(send, {})

    assert adapt(Echo(script))(event, context) is not None


def test_a_context_whose_method_raises_has_no_deadline(adapt: Any) -> None:
    def remaining() -> int:
        raise NotImplementedError

    context = SimpleNamespace(get_remaining_time_in_millis=remaining)
    assert adapt(Echo())(url_event(), context)["statusCode"] == 200


@pytest.mark.parametrize(
    ("mode", "scope_paths"),
    [("mount", ["/prod/api/x", "/prod/api"]), ("strip", ["/x", ""])],
)
def test_D8_stage_and_base_path(adapt: Any, mode: str, scope_paths: list[str]) -> None:
    async def script(scope: Scope, receive: Receive, send: Send) -> None:
        await answer(send, [scope["path"], scope["root_path"]])

    handler = adapt(Echo(script), base_path="/api", base_path_mode=mode)
    assert body_of(handler(rest_event("/api/x"), CONTEXT)) == scope_paths


def test_D9_a_trusted_header_gives_the_host(adapt: Any) -> None:
    async def script(scope: Scope, receive: Receive, send: Send) -> None:
        await answer(send, dict(scope["headers"])[b"host"].decode())

    event = url_event(x_forwarded_host="www.example.com")
    assert body_of(adapt(Echo(script), forwarded_host="x-forwarded-host")(event, CONTEXT)) == (
        "www.example.com"
    )
    assert body_of(adapt(Echo(script))(event, CONTEXT)) == "abc.lambda-url.eu-west-1.on.aws"


def test_a_client_cannot_name_its_tenant(adapt: Any) -> None:
    async def script(scope: Scope, receive: Receive, send: Send) -> None:
        await answer(send, [name.decode() for name, _ in scope["headers"]])

    event = url_event(x_amz_tenant_id="another", x_mine="1")
    names = body_of(adapt(Echo(script))(event, CONTEXT))
    assert "x-mine" in names
    assert "x-amz-tenant-id" not in names


def test_a_path_cannot_write_log_records(adapt: Any, caplog: pytest.LogCaptureFixture) -> None:
    async def script(scope: Scope, receive: Receive, send: Send) -> None:
        raise ValueError

    adapt(Echo(script))(url_event("/a%0A[ERROR]%20forged"), CONTEXT)
    (record,) = caplog.records
    assert "\n" not in record.getMessage()
    assert "[ERROR] forged" in record.getMessage()


def test_the_authorization_header_can_come_from_another(adapt: Any) -> None:
    async def script(scope: Scope, receive: Receive, send: Send) -> None:
        await answer(send, dict(scope["headers"])[b"authorization"].decode())

    handler = adapt(Echo(script), authorization_source="x-authorization")
    event = url_event(x_authorization="Bearer 1", authorization="AWS4-HMAC-SHA256 ...")
    assert body_of(handler(event, CONTEXT)) == "Bearer 1"


def test_event_and_context_are_in_the_scope_and_in_reach(adapt: Any) -> None:
    async def script(scope: Scope, receive: Receive, send: Send) -> None:
        current = lamella.current_invocation()
        assert current.event is scope["aws.event"]
        assert current.context is scope["aws.context"] is CONTEXT
        await answer(
            send, await asyncio.to_thread(lambda: lamella.current_invocation().event["version"])
        )

    assert body_of(adapt(Echo(script))(url_event(), CONTEXT)) == "2.0"
    with pytest.raises(LookupError, match="No invocation is being served here"):
        lamella.current_invocation()


def test_E40_the_scope_claims_the_versions_that_are_kept(adapt: Any) -> None:
    async def script(scope: Scope, receive: Receive, send: Send) -> None:
        await answer(send, [scope["asgi"], sorted(scope["extensions"]), scope["http_version"]])

    versions = {"version": "3.0", "spec_version": "2.5"}
    result = adapt(Echo(script))(url_event(), CONTEXT)
    assert body_of(result) == [versions, ["http.response.pathsend"], "1.1"]


def test_context_variables_do_not_leak_into_the_next_request(adapt: Any) -> None:
    from contextvars import ContextVar

    user: ContextVar[str] = ContextVar("user", default="nobody")

    async def script(scope: Scope, receive: Receive, send: Send) -> None:
        before = user.get()
        user.set(scope["path"])
        await answer(send, before)

    handler = adapt(Echo(script))
    assert [body_of(handler(url_event(p), CONTEXT)) for p in ("/a", "/b")] == ["nobody", "nobody"]


def test_compression_of_an_answer(adapt: Any) -> None:
    import base64
    import gzip

    async def script(scope: Scope, receive: Receive, send: Send) -> None:
        await answer(send, "x" * 2000)

    handler = adapt(Echo(script), compression="auto")
    result = handler(url_event(accept_encoding="gzip"), CONTEXT)
    assert result["headers"]["content-encoding"] == "gzip"
    assert result["isBase64Encoded"]
    assert json.loads(gzip.decompress(base64.b64decode(result["body"]))) == "x" * 2000


def in_a_fresh_process(code: str, **environ: str) -> subprocess.CompletedProcess[str]:
    import os

    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environ},
        capture_output=True,
        text=True,
        timeout=60,
    )


APP = """
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        print("shut down")
        await send({"type": "lifespan.shutdown.complete"})
        return
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": b"hello"})
"""


def test_E43_lamella_handler_is_a_plain_function_and_shuts_down_at_exit(tmp_path: Any) -> None:
    (tmp_path / "main.py").write_text(APP)
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import lamella, types\n"
        "assert isinstance(lamella.handler, types.FunctionType), lamella.handler\n"
        "assert lamella.handler is lamella.handler and lamella.handler.__name__ == 'handler'\n"
        f"print(lamella.handler({url_event()!r}, None)['body'])"
    )
    ended = in_a_fresh_process(code, ASGI_APP="main:app")
    assert ended.stdout == "hello\nshut down\n", ended.stderr


@pytest.mark.parametrize("event", [url_event(), http_event(), rest_event()])
def test_the_first_request_imports_nothing(tmp_path: Any, event: Any) -> None:
    (tmp_path / "main.py").write_text(APP)
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import lamella\n"
        "handler, before = lamella.handler, set(sys.modules)\n"
        f"handler({event!r}, None)\n"
        "print(sorted(set(sys.modules) - before))"
    )
    ended = in_a_fresh_process(code, ASGI_APP="main:app")
    assert ended.stdout == "[]\nshut down\n", ended.stderr


def test_the_usual_names_of_headers_are_known_before_the_first_request() -> None:
    names = dict.fromkeys(("host", "user-agent", "x-forwarded-for", "x-amzn-trace-id"), "value")
    code = (
        "from lamella.sources import headers\n"
        "before = headers._name.cache_info().misses\n"
        f"headers.from_single({names!r})\n"
        "print(headers._name.cache_info().misses - before)"
    )
    ended = in_a_fresh_process(code)
    assert ended.stdout == "0\n", ended.stderr


def test_lamella_handler_without_an_application_says_what_to_set() -> None:
    ended = in_a_fresh_process("import lamella; lamella.handler", ASGI_APP="")
    assert (
        "No other application is named: ASGI_APP and AWS_LAMBDA_PYTHON_ENTRYPOINT are not"
        in ended.stderr
    )


def test_an_import_error_of_the_user_s_shows_its_own_lines(tmp_path: Any) -> None:
    (tmp_path / "main.py").write_text("\n\nimport not_there\n")
    code = (
        f"import sys, traceback; sys.path.insert(0, {str(tmp_path)!r}); import lamella\n"
        "try: lamella.handler\n"
        "except Exception: traceback.print_tb(sys.exc_info()[2])"
    )
    ended = in_a_fresh_process(code, ASGI_APP="main:app")
    assert f"{tmp_path}/main.py" in ended.stderr, "awslambdaric reports this traceback only"


def test_D25_importing_lamella_imports_nothing_more() -> None:
    code = "import sys; import lamella; print([m for m in sys.modules if m.startswith('lamella.')])"
    assert in_a_fresh_process(code).stdout == "[]\n"


CHALLENGE = [(b"www-authenticate", b'Bearer resource_metadata="https://a.example/"')]


@pytest.mark.parametrize(("event", "warned"), [(url_event, 1), (rest_event, 1), (http_event, 0)])
def test_a_challenge_that_loses_its_name_is_told_once(
    adapt: Any, caplog: pytest.LogCaptureFixture, event: Any, warned: int
) -> None:
    """Function URLs and REST APIs rename WWW-Authenticate."""

    async def script(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 401, "headers": CHALLENGE})
        await send({"type": "http.response.body", "body": b""})

    handler = adapt(Echo(script))
    for _ in range(2):
        assert handler(event("/"), CONTEXT)["statusCode"] == 401
    told = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert len(told) == warned
    assert all("renames the header WWW-Authenticate of this 401" in message for message in told)
