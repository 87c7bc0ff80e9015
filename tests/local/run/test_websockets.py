"""`lamella run --front-door websocket` as a process of its own."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx
import pytest
from click.testing import CliRunner
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from lamella.tools.cli import main
from tests.local.command import LIMIT, Cli, Start, environ
from tests.waiting import is_running

DOOR = ("--front-door", "websocket")


@contextlib.contextmanager
def client(url: str, headers: Mapping[str, str] = {}) -> Iterator[ClientConnection]:
    options: Any = {"proxy": None, "open_timeout": LIMIT, "additional_headers": headers}
    with connect(url, **options) as connection:
        yield connection


def event(cli: Cli, event_type: str) -> dict[str, Any]:
    """The next event of a type that the function gets."""
    value = json.loads(cli.line(rf'^websocket (.*"eventType": "{event_type}".*)')[1])
    assert isinstance(value, dict)
    return value


def http(url: str) -> str:
    return f"http://{urlsplit(url).netloc}"


def test_the_welcome_shows_where_clients_connect(start: Start) -> None:
    cli = start(*DOOR, "--try", "/page")
    cli.line("^pkg.app:app behind an API Gateway WebSocket API, buffered$")
    url = cli.url()
    assert re.fullmatch(r"ws://127\.0\.0\.1:\d+/prod", url)
    cli.line(rf"^  python -m websockets {url}$")
    cli.line(rf"^  curl -iN {http(url)}/page$")


def test_clients_and_plain_requests_share_a_port(start: Start) -> None:
    cli = start(*DOOR, "--stage", "dev", "--route", "send", "--route", "join")
    url = cli.url()
    assert url.endswith("/dev")
    with client(url) as connection:
        assert event(cli, "CONNECT")["requestContext"]["stage"] == "dev"
        connection.send('{"action": "join"}')
        assert event(cli, "MESSAGE")["requestContext"]["routeKey"] == "join"
    assert event(cli, "DISCONNECT")["requestContext"]["disconnectStatusCode"] == 1000
    assert httpx.get(http(url), timeout=LIMIT).status_code == 200


def test_the_function_can_send_and_store_without_any_setting(start: Start) -> None:
    cli = start(*DOOR)
    url = cli.url()
    variables = environ(http(url))
    store = variables["ASGI_WEBSOCKET_STORE"]
    folder = Path(store.removeprefix("sqlite:///")).parent
    assert variables["ASGI_WEBSOCKET_ENDPOINT"] == f"{http(url)}/prod"
    assert store.startswith("sqlite:////")
    assert folder.is_dir()
    assert variables["AWS_ACCESS_KEY_ID"] == variables["AWS_SECRET_ACCESS_KEY"] == "local"
    assert variables["ASGI_INVOKE_MODE"] == "buffered"
    assert cli.end(signal.SIGTERM) == 0
    assert not folder.exists()


def test_the_users_own_settings_stay(start: Start) -> None:
    mine = {
        "ASGI_WEBSOCKET_ENDPOINT": "http://127.0.0.1:9/x",
        "ASGI_WEBSOCKET_STORE": "redis://127.0.0.1:9/0",
        "AWS_ACCESS_KEY_ID": "mine",
        "AWS_SECRET_ACCESS_KEY": "secret",
    }
    cli = start(*DOOR, *(word for pair in mine.items() for word in ("--env", "=".join(pair))))
    variables = environ(http(cli.url()))
    assert {name: variables[name] for name in mine} == mine


def test_a_path_in_a_header(start: Start) -> None:
    cli = start(*DOOR, "--env", "ASGI_WEBSOCKET_PATH=header:X-Path", "--try", "/ws/chat")
    url = cli.url()
    assert re.fullmatch(r"ws://127\.0\.0\.1:\d+", url)
    cli.line(rf"^  python -m websockets {url}/ws/chat$")
    with client(f"{url}/ws/chat?a=1"):
        assert event(cli, "CONNECT")["headers"]["x-path"] == "/ws/chat"


def test_events_take_turns_on_two_environments(start: Start) -> None:
    cli = start(*DOOR, "--lambda-logs")
    with client(cli.url()) as connection:
        pids = [event(cli, "CONNECT")["pid"]]
        cli.line("^REPORT ")
        for _ in range(3):
            connection.send("x")
            pids.append(event(cli, "MESSAGE")["pid"])
            cli.line("^REPORT ")
    assert pids[0] == pids[2] != pids[1] == pids[3]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_closes_connections_and_leaves_nothing_behind(
    start: Start, number: signal.Signals
) -> None:
    cli = start(*DOOR)
    with client(cli.url()) as connection:
        pid = event(cli, "CONNECT")["pid"]
        cli.process.send_signal(number)
        with pytest.raises(ConnectionClosed):
            connection.recv(timeout=LIMIT)
        assert (connection.close_code, connection.close_reason) == (1001, "Going away")
    assert event(cli, "DISCONNECT")["requestContext"]["disconnectStatusCode"] == 1001
    assert cli.process.wait(LIMIT) == 0
    assert not is_running(pid)


def test_a_signal_ends_a_handshake_in_flight(start: Start) -> None:
    cli = start(*DOOR, "--timeout", "60")
    url = cli.url()
    wish = urlencode({"wish": json.dumps({"do": "sleep", "seconds": 60})})
    address = urlsplit(url)
    head = (
        f"GET {address.path}?{wish} HTTP/1.1\r\nHost: {address.netloc}\r\nConnection: Upgrade\r\n"
        "Upgrade: websocket\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
        "Sec-WebSocket-Version: 13\r\n\r\n"
    )
    with contextlib.closing(raw(address.netloc)) as connection:
        connection.sendall(head.encode())
        cli.line("^event sleep")
        assert cli.end(signal.SIGINT) == 0


def raw(netloc: str) -> socket.socket:
    host, _, port = netloc.partition(":")
    return socket.create_connection((host, int(port)), timeout=LIMIT)


def test_managed_instances(start: Start) -> None:
    cli = start(*DOOR, "--managed", "4")
    with client(cli.url()) as connection:
        pid = event(cli, "CONNECT")["pid"]
        connection.send("x")
        assert event(cli, "MESSAGE")["pid"] == pid, "there is one environment, and no spread"
    assert cli.end(signal.SIGINT) == 0
    assert not is_running(pid)


def test_snap_start(start: Start) -> None:
    cli = start(*DOOR, "--snap-start")
    with client(cli.url()) as connection:
        pids = {event(cli, "CONNECT")["pid"]}
        cli.line("^WEBSOCKET ")
        connection.send("x")
        pids.add(event(cli, "MESSAGE")["pid"])
    assert len(pids) == 2
    assert cli.end(signal.SIGINT) == 0
    assert not any(is_running(pid) for pid in pids)


@pytest.mark.parametrize(
    ("headers", "name"),
    [
        ({"Origin": "https://evil.example"}, "Origin header is 'https://evil.example'"),
        ({"Origin": "null"}, "Origin header is 'null'"),
    ],
)
def test_a_page_of_another_site(start: Start, headers: dict[str, str], name: str) -> None:
    cli = start(*DOOR)
    url = cli.url()
    with pytest.raises(InvalidStatus) as refused, client(url, headers):
        pytest.fail("the page is in")
    assert refused.value.response.status_code == 403
    cli.line(name)
    with client(url, {"Origin": "http://localhost:5173"}):
        pass


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([*DOOR, "--base", "/x"], "--base: the chosen --front-door has no such option"),
        ([*DOOR, "--stream"], "--stream: the chosen --front-door has no such option"),
        (["--route", "send"], "--route: the chosen --front-door has no such option"),
        (["--managed", "2", "--spread", "2"], "on managed instances one environment"),
        ([*DOOR, "--spread", "0"], "0 is not in the range x>=1"),
    ],
)
def test_options_that_do_not_fit(wrapper: Path, arguments: list[str], words: str) -> None:
    done = CliRunner().invoke(main, ["run", "a:b", "--layer", str(wrapper.parent), *arguments])
    assert done.exit_code == 2
    assert words in " ".join(done.output.split())
