"""ASGI_INTERFACE: ASGI 3, ASGI 2 and WSGI applications, told apart without a call."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import flask
import httpx
import pytest

import lamella
from lamella.errors import InitError, SettingError
from lamella.interfaces import adapt, recognise
from lamella.testing import LambdaContext, LambdaTransport, events
from lamella.types import Message, Receive, Scope, Send

BODY: list[Message] = [
    {"type": "http.response.start", "status": 200},
    {"type": "http.response.body"},
]


async def function(scope: Scope, receive: Receive, send: Send) -> None:
    for message in BODY:
        await send(message)


class Instance:
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await function(scope, receive, send)

    async def method(self, scope: Scope, receive: Receive, send: Send) -> None:
        await function(scope, receive, send)

    def returning(self, scope: Scope, receive: Receive, send: Send) -> Any:
        return function(scope, receive, send)


class Endpoint:
    """An awaitable class, as Starlette's HTTPEndpoint."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None: ...

    def __await__(self) -> Iterator[None]:
        yield


def decorated(app: Any) -> Any:
    def call(*args: Any, **kwargs: Any) -> Any:
        return app(*args, **kwargs)

    return call


class Double:
    """ASGI 2: made for a scope, then called."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope

    async def __call__(self, receive: Receive, send: Send) -> None:
        version = json.dumps(self.scope["asgi"]["version"]).encode()
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": version})


def double_function(scope: Scope) -> Any:
    return Double(scope)


def marked_double(*args: Any) -> Any:
    return Double(*args)


marked_double._asgi_double_callable = True  # type: ignore[attr-defined]  # asgiref's mark


def hello(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", [("content-type", "text/plain")])
    return [b"hello"]


wsgi: Any = hello


class WsgiClass:
    """PEP 3333's "The Application/Framework Side", second example."""

    def __init__(self, environ: dict[str, Any], start_response: Any) -> None: ...

    def __iter__(self) -> Iterator[bytes]:
        yield b""


@pytest.mark.parametrize(
    ("app", "interface"),
    [
        (function, "asgi3"),
        (Instance(), "asgi3"),
        (Instance().method, "asgi3"),
        (Instance().returning, "asgi3"),
        (functools.partial(function), "asgi3"),
        (functools.partial(Instance()), "asgi3"),
        (Endpoint, "asgi3"),
        (decorated(Instance()), "asgi3"),
        (Double, "asgi2"),
        (double_function, "asgi2"),
        (marked_double, "asgi2"),
        (wsgi, "wsgi"),
        (functools.partial(wsgi), "wsgi"),
        (WsgiClass, "wsgi"),
        (flask.Flask("demo"), "wsgi"),
    ],
    ids=lambda value: value if isinstance(value, str) else getattr(value, "__name__", "object"),
)
def test_auto_recognises(app: Any, interface: str) -> None:
    assert recognise(app) == interface


def create_app(config: Any = None) -> None: ...


@pytest.mark.parametrize("app", [create_app, lambda: None, lambda a, b, c, d: None])
def test_what_auto_cannot_tell_is_an_error_that_says_what_to_do(app: Any) -> None:
    with pytest.raises(SettingError, match=r"Name a factory with \(\), as in main:create_app"):
        adapt(app, "auto")


def test_an_ASGI_3_application_is_left_as_it_is() -> None:
    app = Instance()
    assert adapt(app, "auto") is app
    assert adapt(wsgi, "asgi3") is wsgi


def answered(app: Any, event: Any, **settings: Any) -> Any:
    handler = lamella.Adapter(app, **settings)
    try:
        return handler(event, LambdaContext())
    finally:
        handler.close()


def test_an_ASGI_2_application_runs_and_is_told_its_version() -> None:
    assert answered(Double, events.function_url())["body"] == '"2.0"'
    assert answered(marked_double, events.function_url(), interface="asgi2")["statusCode"] == 200


def test_a_WSGI_application_runs() -> None:
    assert answered(wsgi, events.function_url())["body"] == "hello"


def test_a_WSGI_application_without_a2wsgi_says_what_to_add(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "a2wsgi", None)
    with pytest.raises(InitError, match="add a2wsgi to its requirements") as caught:
        lamella.Adapter(wsgi)
    assert caught.value.error_type == "Runtime.ImportModuleError"


def test_a_WSGI_application_has_no_lifespan() -> None:
    handler = lamella.Adapter(wsgi)
    assert not handler._service.lifespan.running
    handler.close()
    with pytest.raises(InitError, match="ASGI_LIFESPAN=on needs an application that supports"):
        lamella.Adapter(wsgi, lifespan="on")


def flask_app() -> Any:
    app = flask.Flask("demo")

    @app.post("/echo/<name>")
    def echo(name: str) -> Any:
        current = lamella.current_invocation()
        assert flask.request.environ["asgi.scope"]["aws.event"] is current.event
        response = flask.jsonify(
            name=name,
            query=flask.request.args.getlist("q"),
            form=flask.request.form,
            size=len(flask.request.get_data()),
            url=flask.url_for("echo", name=name, _external=True),
            root=flask.request.script_root,
        )
        response.set_cookie("a", "1")
        response.set_cookie("b", "2")
        return response

    @app.get("/away")
    def away() -> Any:
        return flask.redirect(flask.url_for("echo", name="x", _external=True))

    @app.get("/stream")
    def stream() -> Any:
        return flask.Response((f"{number}\n" for number in range(3)), mimetype="text/plain")

    @app.get("/broken")
    def broken() -> Any:
        raise RuntimeError("secret")

    return app


SOURCES = ["url", "http", "http-v1", "rest", "alb", "lattice", "lattice-v1"]


@pytest.mark.parametrize("source", SOURCES)
def test_Flask_behind_each_event_source(source: str) -> None:
    """WSGI reads no body without a content-length, and a REST API's event says none."""
    transport = LambdaTransport(flask_app(), source=source)
    with httpx.Client(transport=transport, base_url=transport.base_url) as http:
        for _ in range(3):
            response = http.post("/echo/a%20b?q=%C3%A9", data={"x": "1"}, headers={"x-a": "1"})
        prefix = httpx.URL(transport.base_url).path.rstrip("/")
        seen = response.json()
        assert (seen["name"], seen["query"], seen["form"]) == ("a b", ["é"], {"x": "1"})
        assert (seen["root"], seen["url"]) == (prefix, f"{transport.base_url}/echo/a%20b")
        assert response.headers.get_list("set-cookie") == ["a=1; Path=/", "b=2; Path=/"]
        assert http.get("/away").headers["location"] == f"{transport.base_url}/echo/x"
        assert http.post("/echo/x", content=bytes(100_000)).json()["size"] == 100_000
        assert http.get("/nowhere").status_code == 404
        assert http.get("/broken").status_code == 500
        assert http.head("/stream").text == ""


def test_Flask_gets_events_that_are_not_HTTP() -> None:
    app = flask.Flask("demo")

    @app.post("/events")
    def batch() -> Any:
        return {"failed": [record["messageId"] for record in flask.request.get_json()["Records"]]}

    event = events.sqs(bodies=["one"])
    result = answered(app, event)
    assert result == {"failed": [event["Records"][0]["messageId"]]}


def test_Flask_streams() -> None:
    transport = LambdaTransport(flask_app(), invoke_mode="response_stream")
    with (
        httpx.Client(transport=transport, base_url=transport.base_url) as http,
        http.stream("GET", "/stream") as response,
    ):
        assert list(response.iter_bytes()) == [b"0\n", b"1\n", b"2\n"]


DJANGO = """
import django
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import JsonResponse
from django.urls import path

settings.configure(ROOT_URLCONF=__name__, SECRET_KEY="s", ALLOWED_HOSTS=["*"], DEBUG=False)

def echo(request, number):
    return JsonResponse({"number": number, "body": request.body.decode(), "path": request.path,
                         "url": request.build_absolute_uri()})

urlpatterns = [path("items/<int:number>", echo)]
application = get_wsgi_application()
"""


def test_Django_s_WSGI_application(tmp_path: Path) -> None:
    """In a process of its own: Django's settings are the process's."""
    (tmp_path / "site_wsgi.py").write_text(DJANGO)
    event = events.rest_api(method="POST", path="/items/5?a=1", json={"name": "é"})
    code = (
        "import lamella, sys\n"
        f"print(lamella.Adapter('site_wsgi:application')({event!r}, None)['body'])"
    )
    path = os.pathsep.join([str(tmp_path), *sys.path])
    ended = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=60,
    )
    seen = json.loads(ended.stdout or ended.stderr)
    assert seen == {
        "number": 5,
        "body": json.dumps({"name": "é"}),
        "path": "/prod/items/5",
        "url": f"https://{event['requestContext']['domainName']}/prod/items/5?a=1",
    }
