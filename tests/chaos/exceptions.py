"""Any exception, raised from any place that an application has.

Every built-in class, and odd ones: classes outside `Exception`, groups, classes whose text,
arguments, attributes or name fail or would write header lines. `function/raising.py` raises them
before, within and after an answer, in tasks, callbacks, threads, finalizers, log filters and
hooks, in one process, buffered and streamed; and in init, in a new process each.
"""

from __future__ import annotations

from lamella.testing import events
from tests.chaos.attack import Attack, Broken
from tests.chaos.function import raising
from tests.chaos.layer import Layer, answer_of

PROMISE = (
    "A client gets 500, or a stream that is cut once a part has left. What is raised beside "
    "the answer does not touch it. The environment goes on, except after SystemExit, "
    "KeyboardInterrupt and MemoryError, which end it with a reported error. The next request "
    "is served in any case. What init raises is reported as its error."
)

FAILED = frozenset({"before", "started", "cleanup", "awaited", "to_thread", "log_filter"})
"""Places whose exception is the request's own, before anything has left."""

EITHER = frozenset({"logged"})
"""logging swallows what is an `Exception`, and hands on the rest to the application."""

IMPOSSIBLE = frozenset({("to_thread", "StopIteration")})
"""asyncio itself loses these: a future cannot hold a StopIteration."""


def run(attack: Attack) -> None:
    """Raise from everywhere while requests are served, and then in init."""
    pairs = [
        f"/{place}/{name}"
        for place in raising.PLACES
        for name in raising.MAKERS
        if (place, name) not in IMPOSSIBLE
    ]
    ending = [path for path in pairs if path.rpartition("/")[2] in raising.ENDING]
    going_on = [path for path in pairs if path not in ending]
    options = {"timeout": 3.0}  # seconds: a request that hangs is seen soon
    with Layer(attack, "raising:app", options, ASGI_INVOKE_MODE="response_stream") as layer:
        for path in attack.sample(going_on, 400) + attack.sample(ending, 10):
            for streamed in (False, True):
                attack.counts["exceptions while serving"] += 1
                with attack.promise(f"{path}, {'streamed' if streamed else 'buffered'}"):
                    serve(layer, path, streamed, path in ending)
    for place in ("import", "startup"):
        for name in attack.sample(list(raising.MAKERS), 6):
            attack.counts["exceptions in init"] += 1
            with attack.promise(f"{name} in {place}"):
                start(attack, place, name)


def serve(layer: Layer, path: str, streamed: bool, ends: bool) -> None:
    """One request that raises, and another one after it."""
    build = events.function_url if streamed else events.http_api
    process = layer.pid()
    result = layer.invoke(build(path=path))
    place = path.split("/")[1]
    if not ends:
        status, _ = answer_of(result)
        cut = -1 if streamed else 500
        expected = 500 if place in FAILED else cut if place == "streaming" else 200
        if status != expected and not (place in EITHER and status == 500):
            raise Broken(f"answered {status}, not {expected}")
    serve_next = layer.invoke_after_end if ends else layer.invoke
    following = serve_next(build(path="/nowhere/ValueError"))
    if answer_of(following) != (200, b"ok"):
        raise Broken(f"the next request was answered {following.payload[:300]!r}")
    if not ends and layer.pid() != process:
        raise Broken(f"the environment ended:\n{layer.log}")


def start(attack: Attack, place: str, name: str) -> None:
    """A process that cannot start, and says why."""
    with Layer(attack, "raising:app", ASGI_LIFESPAN="on", RAISE_IN=place, RAISE=name) as layer:
        failure = layer.environment.init_error
        if failure is None or failure.status != "error":
            raise Broken(f"init ended with {failure}\n{layer.log}")
        reports = layer.environment.traffic.matching("POST", "/init/error")
        if [report.status for report in reports] != [202]:
            raise Broken(f"init was not reported:\n{layer.log}")
