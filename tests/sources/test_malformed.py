"""Whatever an event holds, decoding ends in a `Request` or in a `BadEvent`, never in a crash."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest

from lamella.errors import BadEvent
from lamella.sources import registry
from lamella.types import Request
from tests.sources import builders, samples

WRONG = [None, 1, "", "x", "\ud800", [], [1], ["x"], {}, {"x": 1}, True]
DELETED = object()

Path = tuple[Any, ...]


def places(value: Any, above: Path = ()) -> Iterator[Path]:
    """The path to each field of a JSON value, at any depth."""
    keys: Any = value if isinstance(value, dict) else range(len(value))
    for key in keys:
        yield (*above, key)
        if isinstance(value[key], (dict, list)):
            yield from places(value[key], (*above, key))


def changed(event: Any, path: Path, value: Any) -> Any:
    """A copy of the event with one field replaced, or gone."""
    copied = copy.deepcopy(event)
    holder = copied
    for key in path[:-1]:
        holder = holder[key]
    if value is DELETED:
        del holder[path[-1]]
    else:
        holder[path[-1]] = value
    return copied


def check_is_well_formed(request: Request) -> None:
    """What every user of a request relies on."""
    assert request.method == request.method.upper() != ""
    assert request.path.startswith("/")
    assert request.raw_path.startswith(b"/")
    assert request.raw_path.isascii()
    assert request.query_string.isascii()
    assert b"?" not in request.raw_path
    assert request.path.startswith(request.root_path)
    assert all(name == name.lower() for name, _ in request.headers)
    assert all(isinstance(value, bytes) for _, value in request.headers)
    assert isinstance(request.body, bytes)
    assert request.scheme in ("http", "https")


def attempt(event: Any) -> int:
    """Decode the event where it belongs; 1 where it was refused, as a bad event should be."""
    try:
        check_is_well_formed(registry.load(registry.find(event)).decode(event))
    except BadEvent:
        return 1
    return 0


def mutations(event: Any) -> Iterator[Any]:
    for path in places(event):
        for value in (*WRONG, DELETED):
            yield changed(event, path, value)


@pytest.mark.parametrize("name", builders.HTTP_EVENTS)
def test_each_field_of_each_event_may_hold_anything(name: str) -> None:
    refused = [attempt(event) for event in mutations(builders.HTTP_EVENTS[name]())]
    assert len(refused) >= 100
    assert 0 < sum(refused) < len(refused)


@pytest.mark.parametrize("name", builders.HTTP_EVENTS)
def test_a_codec_bears_events_that_are_not_its_own(name: str) -> None:
    event = builders.HTTP_EVENTS[name]()
    codec = registry.load(registry.find(event))
    strangers = [build() for build in builders.HTTP_EVENTS.values()]
    for other in (*mutations(event), *strangers, {}):
        try:
            check_is_well_formed(codec.decode(other))
        except BadEvent:
            continue


@samples.needed
@pytest.mark.parametrize("name", samples.NAMES)
def test_each_field_of_each_sample_may_hold_anything(name: str) -> None:
    for event in mutations(samples.load(name)):
        attempt(event)


def test_a_message_stays_on_one_line() -> None:
    with pytest.raises(BadEvent) as caught:
        builders.decode(builders.url_event(body="\r\n@", isBase64Encoded=True))
    assert len(str(caught.value).splitlines()) == 1
