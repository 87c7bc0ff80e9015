"""Log records: the same bytes as awslambdaric's, with the ids of the invocation they belong to."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import struct
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from awslambdaric import bootstrap as ric  # type: ignore[import-untyped]
from awslambdaric.lambda_runtime_log_utils import (  # type: ignore[import-untyped]
    LogFormat,
)

from lamella.invocation import Invocation, set_current
from lamella.runtime import logs

pytestmark = pytest.mark.anyio


class Frame:
    """One frame of the telemetry descriptor: type, length, microseconds, message."""

    def __init__(self, data: bytes) -> None:
        self.kind, length, self.microseconds = struct.unpack(">IIQ", data[:16])
        self.message = data[16:]
        assert length == len(self.message)


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    """The root logger, put back afterwards."""
    logger = logging.getLogger()
    before, level = list(logger.handlers), logger.level
    logger.handlers = []
    yield logger
    logger.handlers, logger.level = before, level


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reading, writing = os.pipe()
    yield reading, writing
    for descriptor in (reading, writing):
        try:
            os.close(descriptor)
        except OSError:
            continue  # its sink has closed it


_sinks: list[Any] = []


@pytest.fixture(autouse=True)
def closed_sinks() -> Iterator[None]:
    """Close what awslambdaric's sinks hold."""
    yield
    while _sinks:
        _sinks.pop().file.close()


def use_ours(environ: dict[str, str]) -> None:
    logs.configure(environ)


def use_awslambdaric(environ: dict[str, str]) -> None:
    sink = ric.FramedTelemetryLogSink(environ[logs.FD_VARIABLE]).__enter__()
    _sinks.append(sink)
    log_format = LogFormat.from_str(environ.get("AWS_LAMBDA_LOG_FORMAT"))
    ric._setup_logging(log_format, environ.get("AWS_LAMBDA_LOG_LEVEL", ""), sink)
    ric._GLOBAL_AWS_REQUEST_ID = "r-1"


def log_everything(logger: logging.Logger) -> None:
    logger.warning("hello %s", "wörld", extra={"colour": "red"})
    try:
        raise ValueError("boom")
    except ValueError:
        logger.exception("it failed")
    for level in range(0, 70, 5):
        logger.handle(logging.makeLogRecord({"msg": "of any level", "levelno": level}))


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({}, id="text"),
        pytest.param({"AWS_LAMBDA_LOG_LEVEL": "DEBUG"}, id="text-with-level"),
        pytest.param({"AWS_LAMBDA_LOG_FORMAT": "JSON"}, id="json"),
    ],
)
async def test_records_are_what_awslambdaric_writes(
    settings: dict[str, str], root: logging.Logger, pipe: tuple[int, int]
) -> None:
    reading, writing = pipe
    set_current(Invocation({}, SimpleNamespace(aws_request_id="r-1", tenant_id=None)))
    written = []
    for use in (use_ours, use_awslambdaric):
        root.handlers = []
        use({**settings, logs.FD_VARIABLE: str(os.dup(writing))})
        log_everything(root)
        written.append(_frames(os.read(reading, 65536)))
    for ours, theirs in zip(*written, strict=True):
        assert ours.kind == theirs.kind
        assert _comparable(ours.message) == _comparable(theirs.message)


def _frames(data: bytes) -> list[Frame]:
    frames = []
    while data:
        length = struct.unpack(">I", data[4:8])[0]
        frames.append(Frame(data[: 16 + length]))
        data = data[16 + length :]
    return frames


def _comparable(message: bytes) -> Any:
    """Without the time, and without the lines of this test, which differ from call to call."""
    text = message.decode()
    if text.startswith("{"):
        return {**json.loads(text), "timestamp": ""}
    level, _, rest = text.split("\t", 2)
    return level, rest


class Silent:
    def __str__(self) -> str:
        raise SystemExit("no text")


class Closed(dict[str, int]):
    def items(self) -> Any:
        raise RuntimeError("closed")


def family(size: int) -> dict[str, Any]:
    """A tree whose children know their parent."""
    parent: dict[str, Any] = {"children": []}
    parent["children"] += ({"parent": parent, "number": number} for number in range(size))
    return parent


@pytest.mark.parametrize(
    ("extra", "part"),
    [
        pytest.param(Silent(), "SystemExit", id="text exits"),
        pytest.param(Closed(a=1), "a", id="items raise"),
        pytest.param(family(40), "number", id="circles"),
    ],
)
async def test_whatever_an_extra_is_its_record_is_a_line_of_json(extra: object, part: str) -> None:
    record = logging.makeLogRecord({"msg": "a message", "levelno": 20, "extra": extra})
    text = logs.JsonFormatter().format(record)
    assert part in json.dumps(json.loads(text)["extra"])
    assert len(text) < 100_000


async def test_the_variable_is_taken_out_for_child_processes(
    root: logging.Logger, pipe: tuple[int, int]
) -> None:
    environ = {logs.FD_VARIABLE: str(pipe[1])}
    logs.configure(environ)
    assert environ == {}


@pytest.mark.parametrize(
    ("level", "expected"),
    [("TRACE", "DEBUG"), ("warn", "WARNING"), ("FATAL", "CRITICAL"), ("ERROR", "ERROR")],
)
def test_lambda_s_names_of_levels(level: str, expected: str, root: logging.Logger) -> None:
    logs.configure({"AWS_LAMBDA_LOG_LEVEL": level})
    assert logging.getLevelName(root.level) == expected


@pytest.mark.parametrize("form", ["Text", "JSON"])
def test_a_message_whose_text_cannot_be_read_costs_the_caller_nothing(
    form: str, root: logging.Logger, capfd: pytest.CaptureFixture[str]
) -> None:
    class Unreadable:
        def __str__(self) -> str:
            raise ValueError("no text")

    use_ours({"AWS_LAMBDA_LOG_FORMAT": form})
    root.handlers = root.handlers[-1:]  # pytest's own would raise
    root.error(Unreadable())
    written = capfd.readouterr().out
    assert written.startswith("[ERROR]\t\t(a message whose text cannot be read)\n")
    assert "ValueError: no text" in written


async def test_concurrent_records_carry_their_own_ids(
    root: logging.Logger, pipe: tuple[int, int]
) -> None:
    environ = {logs.FD_VARIABLE: str(pipe[1]), "AWS_LAMBDA_LOG_FORMAT": "JSON"}
    logs.configure(environ)

    async def serve(number: int) -> None:
        context = SimpleNamespace(aws_request_id=f"r-{number}", tenant_id=f"t-{number}")
        set_current(Invocation({}, context))
        await asyncio.sleep(0)
        logging.getLogger("app").error("from %d", number)

    await asyncio.gather(*(serve(number) for number in range(20)))
    records = [json.loads(frame.message) for frame in _frames(os.read(pipe[0], 65536))]
    assert {(r["message"], r["requestId"], r["tenantId"]) for r in records} == {
        (f"from {n}", f"r-{n}", f"t-{n}") for n in range(20)
    }
