"""Abuse of the function's own process, by the function.

`function/abused.py` has one function for each: children that die or never end, descriptors closed
or used up, limits, patched modules, the event loop, threads, signals, exits. Each is called in a
process of its own, buffered or streamed, and says what it may cost.
"""

from __future__ import annotations

from lamella.testing import events
from tests.chaos.attack import Attack, Broken
from tests.chaos.function import abused
from tests.chaos.layer import Layer, answer_of

PROMISE = (
    "The request is answered and the environment goes on. Where nothing can go on, the "
    "invocation fails and the environment ends. The next two requests are served in any "
    "case. No child speaks to the Runtime API."
)


def run(attack: Attack) -> None:
    """Each abuse in turn."""
    names = list(abused.ABUSES)
    for name in attack.sample(names, len(names)):
        # One of the two modes; the next seed takes the other one.
        streamed = (names.index(name) + attack.seed) % 2 == 1
        attack.counts["abused processes"] += 1
        with attack.promise(f"{name}, {'streamed' if streamed else 'buffered'}"):
            abuse(attack, name, abused.ABUSES[name][1], streamed)


def abuse(attack: Attack, name: str, survives: bool, streamed: bool) -> None:
    """A request, the abuse, and two requests."""
    build = events.function_url if streamed else events.http_api
    options = {"timeout": 12.0}  # seconds; a child that is spawned on a busy machine takes some
    with Layer(attack, "abused:app", options, ASGI_INVOKE_MODE="response_stream") as layer:
        process = layer.environment.pid
        abused_result = layer.invoke(build(path=f"/{name}"))
        serve_next = layer.invoke if survives else layer.invoke_after_end
        following = [serve_next(build(path="/ok")) for _ in range(2)]
        if survives and (status := answer_of(abused_result)[0]) != 200:
            raise Broken(f"answered {status}:\n{layer.log}")
        for number, result in enumerate(following, 1):
            if result.status != "success" or answer_of(result) != (200, b"ok"):
                raise Broken(f"request {number} after it got {result.payload[:300]!r}\n{layer.log}")
        if survives and layer.environment.pid != process:
            raise Broken(f"the environment ended:\n{layer.log}")
        traffic = layer.environment.traffic
        answers = [each.path for each in traffic if each.path.endswith(("/response", "/error"))]
        if len(answers) != len(set(answers)):
            raise Broken(f"answered more than once: {answers}")
