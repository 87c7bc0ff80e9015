"""The programs run, and the table says what they took."""

from __future__ import annotations

from benchmarks import websocket


def test_every_program_runs_and_has_its_line() -> None:
    found = websocket.measure(rounds=1)
    lines = websocket.table(found).splitlines()
    assert found.keys() == websocket.PROGRAMS.keys()
    assert len(lines) == 2 + len(websocket.PROGRAMS)
    assert found["boto3: client made, one request signed"].median > 0
