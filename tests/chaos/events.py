"""Any event, from anyone: what `Invoke` takes is JSON, and a client writes much of it.

Events of every source are mutated (fields replaced, deleted, repeated, moved) and sent through
the service in this process, where hypothesis makes a failing one small, and through the layer's
own process, there beside bytes that are hardly JSON or no JSON at all. `function/strict.py` is
the application: it checks every scope against the ASGI specification.
"""

from __future__ import annotations

import copy
import json
import logging
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import hypothesis
from hypothesis import strategies as st

import lamella
from lamella.errors import InvocationError
from lamella.testing import events
from tests.chaos.attack import Attack, Broken
from tests.chaos.function import strict
from tests.chaos.layer import Layer
from tests.sources import builders, samples

PROMISE = (
    "Every event ends in a result that is JSON or in an error. The application is called "
    "with a scope that keeps to ASGI, or not at all. The environment goes on."
)

CONTEXT = SimpleNamespace(aws_request_id="r-1", get_remaining_time_in_millis=lambda: 30_000)
STORE = "memory:"

EVENTS: list[Any] = [
    *(build() for build in builders.HTTP_EVENTS.values()),
    *(samples.captured(source) for source in ("alb", "http", "rest", "url")),
    *(events.sqs(), events.sns(), events.event_bridge()),
    *(events.websocket_connect(), events.websocket_message("hello"), events.websocket_disconnect()),
]

ODD_TEXTS = [
    *("", " ", "/", "//", "?", "%", "%zz", "%00", "%ff", "\0", "\r\nx: y", "é", "Ł", "\ud800"),
    *(
        "[:::]",
        "a:99999",
        "h:²",
        "-1",
        "²",
        "1e400",
        "9" * 5000,
        "true",
        "null",
        "{}",
        "x" * 70_000,
    ),
    *("chunked", "gzip", "text/html; charset=", "a=1; b", "Bearer ", "bytes=0-", "GET ", "get"),
    *("CONNECT", "MESSAGE", "DISCONNECT", "https://evil.example", "169.254.169.254"),
    *("__class__", "__proto__", "headers", "requestContext", "content-length", "x-forwarded-for"),
]

leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(), max_size=12)
    | st.sampled_from(ODD_TEXTS)
)
json_values = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(ODD_TEXTS) | st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=8,
)


CHANGES = ["replace", "odd text", "odd name", "delete", "repeat", "move"]


@st.composite
def mutated(draw: st.DrawFn) -> Any:
    """An event of some source with one to four fields changed."""
    event = copy.deepcopy(draw(st.sampled_from(EVENTS)))
    for _ in range(draw(st.integers(1, 4))):
        found = list(places(event))
        if not found:
            break
        holder, key = draw(st.sampled_from(found))
        change = draw(st.sampled_from(CHANGES))
        if change == "replace":
            holder[key] = draw(json_values)
        elif change == "odd text":
            holder[key] = draw(st.sampled_from(ODD_TEXTS))
        elif change == "odd name" and isinstance(holder, dict):
            holder[draw(st.sampled_from(ODD_TEXTS))] = holder.pop(key)
        elif change == "delete":
            del holder[key]
        elif change == "repeat":
            holder[key] = [holder[key]] * draw(st.integers(0, 3))
        elif change == "move":
            other, name = draw(st.sampled_from(found))
            holder[key] = copy.deepcopy(other[name])
    return event


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every field of a JSON value: what holds it, and its key or index."""
    keys: Any = list(value) if isinstance(value, dict) else range(len(value))
    for key in keys:
        yield value, key
        if isinstance(value[key], (dict, list)):
            yield from places(value[key])


HARDLY_JSON = [
    *(b"", b" ", b"{", b"[]]", b"nul", b"\xff\xfe{\0}\0", b'\xef\xbb\xbf{"version": "2.0"}', b"\0"),
    *(
        b'{"a": NaN}',
        b"Infinity",
        b'{"a": 1e400}',
        b'"\\ud800"',
        b'{"\\ud800": 1}',
        b'"\xed\xa0\x80"',
    ),
    *(
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"[" * 500 + b"]" * 500,
        b"9" * 5000,
        b"-0",
        b"1" * 6_000_000,
    ),
    *(b'{"version": "2.0", "version": "1.0"}', b'{"requestContext": {"http": {}, "elb": {}}}'),
    *(
        b'{"Records": []}',
        b'{"Records": [{}]}',
        b'{"Records": [{"cf": {}}, {"eventSource": "aws:sqs"}]}',
    ),
]


def run(attack: Attack) -> None:
    """Attack the service, then the process."""
    for each in (in_this_process, in_the_layer):
        with attack.promise(f"seed {attack.seed}, {each.__name__}"):
            each(attack)


def in_this_process(attack: Attack) -> None:
    """Through the service as `lamella.Adapter` has it."""
    logging.getLogger("lamella").setLevel(logging.CRITICAL + 1)
    handler = lamella.Adapter(strict.app, websocket_store=STORE)

    @hypothesis.seed(attack.seed)
    @attack.examples(1_500)
    @hypothesis.given(mutated() | json_values)
    def send(event: Any) -> None:
        attack.counts["events through the service"] += 1
        try:
            result = handler(event, CONTEXT)
        except InvocationError as error:
            check(str(error))
        except Exception as error:
            raise Broken(f"the service raised {error!r}") from error
        else:
            check(json.dumps(result, allow_nan=False))

    try:
        send()
    finally:
        handler.close()
        logging.getLogger("lamella").setLevel(logging.NOTSET)


def in_the_layer(attack: Attack) -> None:
    """Through the layer's process, which has to be the same one at the end."""
    with Layer(attack, "strict:app", ASGI_WEBSOCKET_STORE=STORE, ASGI_LOG_ACCESS="false") as layer:
        first = layer.pid()

        def send(event: Any) -> None:
            attack.counts["events through the layer"] += 1
            result = layer.invoke(event)
            check(result.payload.decode("utf-8", "replace"))
            if layer.pid() != first:
                raise Broken(f"the environment ended:\n{layer.log}")

        for event in HARDLY_JSON:
            with attack.promise(repr(event[:80])):
                send(event)
        hypothesis.seed(attack.seed)(
            attack.examples(300)(hypothesis.given(mutated() | json_values)(send))
        )()


def check(answer: str) -> None:
    """Raises `Broken` for what must never be in an answer."""
    for fault in ("not ASGI: ", "Lamella failed"):
        if fault in answer:
            raise Broken(answer[answer.index(fault) :][:500])
