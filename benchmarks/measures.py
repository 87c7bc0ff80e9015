"""What is measured: one function each, for one way and one process."""

from __future__ import annotations

import time
from statistics import median
from typing import NamedTuple

from benchmarks import BenchmarkError, event
from benchmarks.environment import Answer, Environment
from benchmarks.throttle import throttled
from benchmarks.ways import ASYNCIO, FLOOR, Site

BARE = "bare:app"
FASTAPI = "fastapi_json:app"
DJANGO = "django_json:app"
SQLALCHEMY = "sqlalchemy_json:app"

TARGETS = {
    BARE: ("/", ""),
    FASTAPI: ("/items/42", "tag=blue&page=2"),
    DJANGO: ("/items/42", "tag=blue&page=2"),
    SQLALCHEMY: ("/items/42", "tag=blue&page=2"),
}
"""Path and query of each application's request."""
BODIES = {
    BARE: b'{"hello":"world"}',
    FASTAPI: b'{"id":42,"name":"from the lifespan","tags":["blue"]}',
    DJANGO: b'{"id": 42, "name": "from Django", "tags": ["blue"]}',
    SQLALCHEMY: b'{"id":42,"name":"from a database","tags":["blue"]}',
}
HEADERS: dict[str, dict[str, str]] = {
    "plain": {},
    "8 KB": {"x-large": "x" * 8000},
    "1,000": {f"x-header-{number}": "value" for number in range(1000)},
}
"""Headers besides a browser's, by name of the row."""

NO_LIFESPAN = {"ASGI_LIFESPAN": "off"}

WARMUP = {"ASGI_WARMUP": "/items/42?tag=none"}

LIFESPAN: dict[str, dict[str, str]] = {BARE: {}, FASTAPI: {}, DJANGO: NO_LIFESPAN, SQLALCHEMY: {}}
"""Django has no lifespan, and Mangum would log that for each invocation."""

ECHO = bytes(range(256)) * 18000
"""4.6 MB, 6.1 as base64: with the event around it below 6,291,556 bytes, Lambda's limit."""


REST = 0.1  # seconds: what a process does after it has asked for an event is not that request's


class Counts(NamedTuple):
    """How much is measured. `rounds` take all ways in turn."""

    warm_up: int  # invocations
    invocations: int
    rounds: int
    starts: int  # rounds of starts
    answers: int  # invocations of one process
    few: int  # rounds of what varies little
    firsts: int  # rounds of starts with a first request


FULL = Counts(warm_up=300, invocations=1200, rounds=7, starts=15, answers=5, few=3, firsts=5)
QUICK = Counts(warm_up=20, invocations=100, rounds=2, starts=2, answers=1, few=1, firsts=1)


def request(app: str, headers: str = "plain") -> bytes:
    """The event of an application's request; `headers` is a key of `HEADERS`."""
    return event.get(*TARGETS[app], headers=HEADERS[headers])


def warm(site: Site, way: str, app: str, counts: Counts, event: bytes) -> float:
    """Microseconds of CPU per warm invocation."""
    with Environment(site, way, app, **LIFESPAN[app]) as environment:
        for _ in range(counts.warm_up):
            answer = environment.invoke(event)
        _check(way, answer, BODIES[BARE if way == FLOOR else app])
        environment.ready()
        before = environment.cpu()
        for _ in range(counts.invocations):
            environment.invoke(event)
        environment.ready()
        return (environment.cpu() - before) / counts.invocations * 1e6


def echo(site: Site, way: str, size: int, counts: Counts) -> float:
    """Microseconds of CPU per echo of a binary body of `size` bytes."""
    body = (ECHO[:251] * (size // 251 + 1))[:size]
    sent, number = (
        event.post("/echo", body),
        max(counts.invocations * 100_000 // (size + 250_000), 3),
    )
    with Environment(site, way, "echo:app", **NO_LIFESPAN) as environment:
        for _ in range(3):
            _check(way, environment.invoke(sent), body)
        environment.ready()
        before = environment.cpu()
        for _ in range(number):
            environment.invoke(sent)
        environment.ready()
        return (environment.cpu() - before) / number * 1e6


def first_answer(site: Site, way: str, app: str, **settings: str) -> tuple[float, float, float]:
    """Milliseconds of CPU: from start to the first answer, of the first request, of the second."""
    sent = request(app)
    with Environment(site, way, app, **LIFESPAN[app], **settings) as environment:
        started = _cpu_at_rest(environment)
        _check(way, environment.invoke(sent), BODIES[app])
        first = _cpu_at_rest(environment)
        _check(way, environment.invoke(sent), BODIES[app])
        second = _cpu_at_rest(environment)
        return first * 1000, (first - started) * 1000, (second - first) * 1000


def first_on_the_clock(site: Site, way: str, app: str, **settings: str) -> float:
    """Milliseconds of the clock of the first request, with 0.07 of a CPU from then on."""
    with Environment(site, way, app, **LIFESPAN[app], **settings) as environment:
        environment.ready()
        time.sleep(REST)
        with throttled(environment.pids):
            started = time.monotonic()
            answer = environment.invoke(request(app))
        _check(way, answer, BODIES[app])
        return (answer.at - started) * 1000


def flood(site: Site, way: str) -> float:
    """Milliseconds of CPU of a streamed answer of 100 MB."""
    settings = {"ASGI_INVOKE_MODE": "response_stream", "AWS_LWA_INVOKE_MODE": "response_stream"}
    with Environment(site, way, "flood:app", **settings, **NO_LIFESPAN) as environment:
        environment.ready()
        before = environment.cpu()
        body = environment.invoke(request(BARE)).body()
        environment.ready()
        if len(body) != 100_000_000:
            raise BenchmarkError(f"{way} streamed {len(body):,} bytes of 100,000,000.")
        return (environment.cpu() - before) * 1000


def start(site: Site, way: str) -> tuple[float, float]:
    """Milliseconds of CPU, and of the clock, from starting the process to its first /next."""
    with Environment(site, way) as environment:
        at = environment.ready()
        cpu = environment.cpu()
        if way != ASYNCIO:
            _check(way, environment.invoke(request(BARE)), BODIES[BARE])
        return cpu * 1000, (at - environment.started_at) * 1000


def answer_delay(site: Site, way: str, counts: Counts) -> float:
    """Milliseconds from the last body message to the whole answer; 300 ms of work follow."""
    with Environment(site, way, "background:app", **NO_LIFESPAN) as environment:
        answers = [environment.invoke(request(BARE)) for _ in range(counts.answers)]
    return median((answer.at - _noted(answer)) * 1000 for answer in answers)


def stream(site: Site, way: str, counts: Counts) -> tuple[float, float]:
    """Milliseconds from the first body message to the answer's first and last byte.

    The application sends five pieces within 160 ms.
    """
    settings = {"ASGI_INVOKE_MODE": "response_stream", "AWS_LWA_INVOKE_MODE": "response_stream"}
    with Environment(site, way, "stream:app", **settings, **NO_LIFESPAN) as environment:
        answers = [environment.invoke(request(BARE)) for _ in range(counts.answers)]
    noted = [(answer, _noted(answer)) for answer in answers]
    first = median((answer.first_at - at) * 1000 for answer, at in noted)
    return first, median((answer.at - at) * 1000 for answer, at in noted)


def memory(site: Site, way: str) -> tuple[float, float]:
    """MiB of resident memory before, and at the peak of three echoes of 6 MB."""
    sent = event.post("/echo", ECHO)
    with Environment(site, way, "echo:app", **NO_LIFESPAN) as environment:
        environment.ready()
        before = environment.memory("VmRSS")
        for _ in range(3):
            _check(way, environment.invoke(sent), ECHO)
            environment.ready()
        return before, environment.memory("VmHWM")


def _cpu_at_rest(environment: Environment) -> float:
    """Seconds of CPU when the process has asked for an event, and does nothing more."""
    environment.ready()
    time.sleep(REST)
    return environment.cpu()


def _check(way: str, answer: Answer, expected: bytes) -> None:
    """A wrong answer is not to win."""
    body = answer.body()
    if body != expected:
        raise BenchmarkError(f"{way} answered {body[:200]!r} instead of {expected[:200]!r}.")


def _noted(answer: Answer) -> float:
    """The time that the application wrote into the first line of its answer."""
    return float(answer.body().partition(b"\n")[0])
