"""What the tests of WebSockets share."""

from __future__ import annotations

import pytest

from lamella.websocket.stores import memory


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every request to AWS is signed, and signing needs these."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.delenv("AWS_SESSION_TOKEN", raising=False)
    monkeypatch.setenv("AWS_REGION", "eu-west-1")


@pytest.fixture(params=[True, False], ids=["bootstrap", "handler"])
def at_once(request: pytest.FixtureRequest) -> bool:
    """Both ways in: whether a result leaves before the application has ended."""
    way: bool = request.param
    return way


@pytest.fixture(autouse=True)
def empty_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """What `memory:` holds outlives a store, as it is to."""
    monkeypatch.setattr(memory, "_rows", {})
    monkeypatch.setattr(memory, "_members", {})
