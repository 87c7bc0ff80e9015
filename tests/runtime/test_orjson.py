"""orjson, where the application has imported it: events and results are the same as with `json`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

from lamella.response import wire
from lamella.runtime.loop import read_event
from layer import pythons
from tests.e2e.packages import installed


@pytest.fixture
def orjson(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """orjson as an application that has imported it; it belongs to no requirement of ours."""
    if sys.version_info >= (3, 15):
        pytest.skip("orjson 3.13.0 has no wheel for this Python")
    python = pythons.probe(sys.executable)
    assert python is not None
    monkeypatch.syspath_prepend(installed(python, "orjson", "orjson==3.13.0"))
    import orjson  # type: ignore[import-not-found]  # the fixture installs it

    yield orjson
    for name in [name for name in sys.modules if name.partition(".")[0] == "orjson"]:
        del sys.modules[name]


EVENTS = [
    '{"a": 1}', " [1, 2.50] \n", '"\\ud800"', "[NaN, 1e400]", '{"a": 9223372036854775807}',
    "[18446744073709551616]", "[-9223372036854775809]", "[" * 500 + "]" * 500, "-0", '"é\x7f"',
]  # fmt: skip


def test_events_are_read_as_without_it(orjson: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[bytes] = []
    loads = orjson.loads

    def counted(data: bytes) -> Any:
        used.append(data)
        return loads(data)

    monkeypatch.setattr(orjson, "loads", counted)
    for text in EVENTS:
        assert repr(read_event(text.encode())) == repr(json.loads(text)), text
    assert EVENTS[0].encode() in used
    assert b"[18446744073709551616]" not in used, "orjson would make it a float"
    with pytest.raises(ValueError, match="Expecting value: line 1 column 1"):  # the words of `json`
        read_event(b"?")


RESULTS = [
    {"statusCode": 200, "headers": {"x-name": "Ünglück"}, "body": body, "isBase64Encoded": False}
    for body in ("", "short", "é漢😀" * 5000, 'x"\n\0\x1f\x7f' * 5000, "\ud800", "\ud800" * 5000)
]


def test_results_are_written_as_without_it(
    orjson: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = [wire.encode_result(result) for result in RESULTS]
    base64 = {"body": "QUJD" * 5000, "isBase64Encoded": True}
    assert json.loads(wire.encode_result(base64)) == base64
    monkeypatch.delitem(sys.modules, "orjson")
    for result, payload in zip(RESULTS, written, strict=True):
        assert json.loads(payload) == result
        assert len(payload) == len(wire.encode_result(result))
