"""Any ASGI messages, in any order: what a framework or an application sends by mistake.

Two kinds of sequences go through the layer's process, buffered (an HTTP API's event) and streamed
(a Function URL's). Correct ones have to arrive as they were sent. Of arbitrary ones (wrong types,
wrong order, more after the end, errors swallowed) only this much is known: there is one answer,
it is HTTP, and nothing of the application's became a header line that it should not be.
"""

from __future__ import annotations

import json
import pickle
import re
from typing import Any

import hypothesis
from hypothesis import strategies as st

from lamella.front_doors.answer import InvokeResult
from lamella.testing import events
from tests.chaos.attack import Attack, Broken
from tests.chaos.layer import Layer, answer_of

PROMISE = (
    "A correct response arrives as it was sent, byte for byte. A wrong one ends in a 500 or, "
    "once a part has left, in a stream that is cut. No header holds what HTTP forbids. The "
    "environment goes on."
)

TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")

names = st.from_regex(r"x-[a-z0-9]{1,8}", fullmatch=True)
values = st.from_regex(r"[!-~]([ -~]{0,20}[!-~])?", fullmatch=True)


Response = tuple[int, dict[str, str], list[bytes]]


@st.composite
def correct(draw: st.DrawFn) -> Response:
    """Status, headers and the parts of a body."""
    status = draw(st.sampled_from([200, 201, 202, 400, 404, 418, 500, 503, 599]))
    return status, draw(st.dictionaries(names, values, max_size=4)), draw(st.lists(st.binary()))


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.binary(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=4), inner, max_size=2)
    ),
    max_leaves=5,
)
odd_bytes = st.sampled_from(
    [b"", b"x y", b"a:b", b"\r\nb: c", b"\0", b"\x01", b"\xff", b"X-A", b"x" * 9000]
)
pairs = st.tuples(
    names.map(str.encode) | odd_bytes | anything, values.map(str.encode) | odd_bytes | anything
)
TYPES = [
    *("http.response.start", "http.response.body", "http.response.pathsend", ""),
    *("http.response.trailers", "websocket.accept", "lifespan.startup.complete"),
]
messages = st.fixed_dictionaries(
    {"type": st.sampled_from(TYPES) | anything},
    optional={
        "status": st.sampled_from([200, 204, 304, 99, 600, 1, -1, 10**30]) | anything,
        "headers": st.lists(pairs, max_size=3) | anything,
        "body": st.binary() | st.binary().map(bytearray) | anything,
        "more_body": st.booleans() | anything,
        "path": st.sampled_from(["/dev/null", "/nowhere", "/", "\0", "relative"]) | anything,
        "trailers": st.booleans() | anything,
    },
)
wild_message = messages | anything
steps = (
    wild_message.map(lambda message: ("send", message))
    | st.just(("receive",))
    | st.sampled_from([0.0, 0.06]).map(lambda seconds: ("pause", seconds))
)
start = st.just(("send", {"type": "http.response.start", "status": 200}))
arbitrary = st.lists(steps, max_size=6) | st.tuples(start, st.lists(steps, max_size=5)).map(
    lambda both: [both[0], *both[1]]
)


def run(attack: Attack) -> None:
    """Send correct and arbitrary sequences, each in both modes, to one process."""
    with Layer(attack, "played:app", ASGI_INVOKE_MODE="response_stream") as layer:
        process = layer.pid()

        def play(stubborn: bool, plan: list[Any], streamed: bool) -> InvokeResult:
            attack.counts["responses"] += 1
            build = events.function_url if streamed else events.http_api
            result = layer.invoke(build(method="POST", body=pickle.dumps((stubborn, plan))))
            if layer.pid() != process:
                raise Broken(f"the environment ended:\n{layer.log}")
            if result.streamed is not streamed:
                raise Broken(f"the answer {'is not' if streamed else 'is'} streamed")
            return result

        @hypothesis.seed(attack.seed)
        @attack.examples(200)
        @hypothesis.given(correct(), st.booleans())
        def correct_ones(response: Response, streamed: bool) -> None:
            check_correct(play(False, plan_of(*response), streamed), *response)

        @hypothesis.seed(attack.seed)
        @attack.examples(400)
        @hypothesis.given(st.booleans(), arbitrary, st.booleans())
        def arbitrary_ones(stubborn: bool, plan: list[Any], streamed: bool) -> None:
            check_arbitrary(play(stubborn, plan, streamed))

        for each in (correct_ones, arbitrary_ones):
            with attack.promise(f"seed {attack.seed}, {each.__name__}"):
                each()


def plan_of(status: int, headers: dict[str, str], parts: list[bytes]) -> list[Any]:
    """The messages of a response whose body has these parts."""
    pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
    head = {"type": "http.response.start", "status": status, "headers": pairs}
    bodies = [{"type": "http.response.body", "body": part, "more_body": True} for part in parts]
    return [("send", each) for each in (head, *bodies, {"type": "http.response.body"})]


def check_correct(result: InvokeResult, status: int, headers: dict[str, str], parts: Any) -> None:
    """It arrived as it was sent."""
    if answer_of(result) != (status, b"".join(parts)):
        raise Broken(f"arrived as {result.payload[:300]!r}")
    if not headers.items() <= (arrived := headers_of(result)).items():
        raise Broken(f"arrived with the headers {arrived}")


def check_arbitrary(result: InvokeResult) -> None:
    """It is HTTP."""
    status, _ = answer_of(result)
    if not (status == -1 or 200 <= status <= 599):
        raise Broken(f"the status is {status}")
    for name, value in headers_of(result).items():
        if not TOKEN.fullmatch(name) or set("\r\n\0") & set(value):
            raise Broken(f"the header {name!r}: {value!r} left")


def headers_of(result: InvokeResult) -> dict[str, str]:
    """The headers of an answer."""
    metadata = json.loads(result.payload.partition(bytes(8))[0])
    found: dict[str, str] = metadata.get("headers", {})
    return found
