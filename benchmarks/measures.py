"""What is measured: one function each, for one way and one process."""

from __future__ import annotations

from statistics import median
from typing import NamedTuple

from benchmarks import BenchmarkError, event
from benchmarks.environment import Answer, Environment
from benchmarks.ways import ASYNCIO, FLOOR, Site

BARE = "bare:app"
FASTAPI = "fastapi_json:app"

REQUESTS = {BARE: event.get("/"), FASTAPI: event.get("/items/42", "tag=blue&page=2")}
BODIES = {
    BARE: b'{"hello":"world"}',
    FASTAPI: b'{"id":42,"name":"from the lifespan","tags":["blue"]}',
}

NO_LIFESPAN = {"ASGI_LIFESPAN": "off"}

ECHO = bytes(range(256)) * 18000
"""4.6 MB, 6.1 as base64: with the event around it below 6,291,556 bytes, Lambda's limit."""


class Counts(NamedTuple):
    """How much is measured. `rounds` take all ways in turn."""

    warm_up: int  # invocations
    invocations: int
    rounds: int
    starts: int  # rounds of starts
    answers: int  # invocations of one process
    few: int  # rounds of what varies little


FULL = Counts(warm_up=500, invocations=2500, rounds=5, starts=21, answers=5, few=3)
QUICK = Counts(warm_up=20, invocations=100, rounds=2, starts=2, answers=1, few=1)


def warm(site: Site, way: str, app: str, counts: Counts) -> float:
    """Microseconds of CPU per warm invocation."""
    request = REQUESTS[app]
    with Environment(site, way, app) as environment:
        for _ in range(counts.warm_up):
            answer = environment.invoke(request)
        _check(way, answer, BODIES[BARE if way == FLOOR else app])
        environment.ready()
        before = environment.cpu()
        for _ in range(counts.invocations):
            environment.invoke(request)
        environment.ready()
        return (environment.cpu() - before) / counts.invocations * 1e6


def start(site: Site, way: str) -> tuple[float, float]:
    """Milliseconds of CPU, and of the clock, from starting the process to its first /next."""
    with Environment(site, way) as environment:
        at = environment.ready()
        cpu = environment.cpu()
        if way != ASYNCIO:
            _check(way, environment.invoke(REQUESTS[BARE]), BODIES[BARE])
        return cpu * 1000, (at - environment.started_at) * 1000


def answer_delay(site: Site, way: str, counts: Counts) -> float:
    """Milliseconds from the last body message to the whole answer; 300 ms of work follow."""
    with Environment(site, way, "background:app", **NO_LIFESPAN) as environment:
        answers = [environment.invoke(REQUESTS[BARE]) for _ in range(counts.answers)]
    return median((answer.at - _noted(answer)) * 1000 for answer in answers)


def first_byte(site: Site, way: str, counts: Counts) -> float:
    """Milliseconds from the first body message to the answer's first byte; 160 ms follow."""
    settings = {"ASGI_INVOKE_MODE": "response_stream", **NO_LIFESPAN}
    with Environment(site, way, "stream:app", **settings) as environment:
        answers = [environment.invoke(REQUESTS[BARE]) for _ in range(counts.answers)]
    return median((answer.first_at - _noted(answer)) * 1000 for answer in answers)


def memory(site: Site, way: str) -> tuple[float, float]:
    """MiB of resident memory before, and at the peak of three echoes of 6 MB."""
    request = event.post("/echo", ECHO)
    with Environment(site, way, "echo:app", **NO_LIFESPAN) as environment:
        environment.ready()
        before = environment.memory("VmRSS")
        for _ in range(3):
            _check(way, environment.invoke(request), ECHO)
            environment.ready()
        return before, environment.memory("VmHWM")


def _check(way: str, answer: Answer, expected: bytes) -> None:
    """A wrong answer is not to win."""
    body = answer.body()
    if body != expected:
        raise BenchmarkError(f"{way} answered {body[:200]!r} instead of {expected[:200]!r}.")


def _noted(answer: Answer) -> float:
    """The time that the application wrote into the first line of its answer."""
    return float(answer.body().partition(b"\n")[0])
