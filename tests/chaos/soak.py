"""All of it mixed, for long: good and bad requests, buffered and streamed, and a bad network.

One process serves thousands of invocations, one at a time and then 16 at a time (managed
instances). In a few of a hundred the connection breaks, before an invocation is told, within it,
or after its answer. The first tenth warms up; from then on nothing may grow.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import time
from pathlib import Path

from lamella.testing import events
from tests.chaos.attack import Attack, Broken
from tests.chaos.hostile import CLOSE, PAUSE, RESET, Runtime, Turn, running

PROMISE = (
    "Nothing is mixed: an answer belongs to its request. Nothing is lost: each invocation "
    "has one answer. Nothing grows: memory stays within 2 MiB, and descriptors where they "
    "were."
)

WAYS = ["ok", "pause", "large", "task", "thread", "late", "raise", "panic", "cut"]
FAILING = ("raise", "panic", "cut")
OTHERS = [b'{"Records": []}', b'{"version": "2.0", "rawPath": 5}', b"[]", b"no JSON"]

ALLOWED = 2.0
"""MiB of growth: what the arenas of malloc may wander."""


def run(attack: Attack) -> None:
    """One at a time, and many at a time."""
    for slots in (1, 16):
        with attack.promise(f"seed {attack.seed}, {slots} at a time"):
            asyncio.run(soak(attack, slots))


async def soak(attack: Attack, slots: int) -> None:
    """Warm up, look, serve, and look again."""
    variables = {"ASGI_INVOKE_MODE": "response_stream", "ASGI_PROCESSES": "1"}
    number = attack.times(2_500)
    async with running(attack, "mixed:app", variables, slots) as runtime:
        await serve(attack, runtime, slots, number // 10)
        memory, files = usage(runtime)
        await serve(attack, runtime, slots, number - number // 10)
        grown, more = usage(runtime)[0] - memory, usage(runtime)[1] - files
        if grown > ALLOWED or more > 0:
            raise Broken(f"it grew by {grown:.1f} MiB and {more} descriptors")
        if runtime.api.strangers:
            raise Broken(f"the runtime asked for {runtime.api.strangers}")
        for turn in runtime.api.turns.values():
            if len({(end, body[:200]) for end, body in turn.answers}) != 1:
                raise Broken(f"{turn.event[:200]!r} was answered {turn.answers}")


async def serve(attack: Attack, runtime: Runtime, slots: int, number: int) -> None:
    """So many invocations, `slots` at a time; then wait until every slot is idle."""

    async def client(share: int) -> None:
        for _ in range(share):
            turn = runtime.api.add(any_turn(attack, len(runtime.api.turns)))
            await runtime.answered(turn)
            check(turn)
            turn.event = turn.event[:200]  # what is kept here is not to be in the way
            attack.counts[f"invocations, {slots} at a time"] += 1

    await asyncio.gather(*(client(number // slots + 1) for _ in range(slots)))
    await runtime.until(lambda: runtime.api.waiting >= slots, "not every slot asks again")


def any_turn(attack: Attack, number: int) -> Turn:
    """An invocation: its event, and what goes wrong on the way."""
    random = attack.random
    way = random.choice(WAYS)
    build = random.choice([events.function_url, events.http_api, events.alb, events.rest_api])
    event = json.dumps(build(path=f"/{way}", method="POST", body=f"text-{number}-end")).encode()
    if random.random() < 0.1:
        event = random.choice(OTHERS)
    deadline = int((time.time() + 60) * 1000)
    head = (
        f"HTTP/1.1 200 OK\r\nLambda-Runtime-Aws-Request-Id: r-{number}\r\n"
        f"Lambda-Runtime-Deadline-Ms: {deadline}\r\nContent-Length: {len(event)}\r\n\r\n"
    )
    reply = head.encode() + event
    turn = Turn(f"r-{number}", event, [reply])
    place = random.randrange(1, len(reply))
    if random.random() < 0.1:
        turn.told = [reply[:place], PAUSE, reply[place:]]
    if random.random() < 0.01:
        turn.lost.append([reply[:place], random.choice([CLOSE, RESET])])
    if random.random() < 0.02:
        turn.posts.append(
            [random.choice([b"", b"HTTP/1.1 2", b"\0\0"]), random.choice([CLOSE, RESET])]
        )
    return turn


def check(turn: Turn) -> None:
    """Its answer is one that it can have, with no other one's text."""
    end, body = turn.answers[0]
    texts = set(re.findall(rb"text-\d+-end", body))
    own = f"text-{turn.request_id[2:]}-end".encode()
    way = next((way for way in WAYS if f'/{way}"'.encode() in turn.event), "")
    if texts - {own} or (way and way not in FAILING and (end, texts) != ("response", {own})):
        raise Broken(f"{turn.event[:200]!r} was answered {end} {body[:300]!r}")
    turn.answers[:] = [(end, body[:200]) for end, body in turn.answers]


def usage(runtime: Runtime) -> tuple[float, int]:
    """Resident memory in MiB, and open descriptors."""
    process = Path(f"/proc/{runtime.process.pid}")
    resident = re.search(r"VmRSS:\s+(\d+)", (process / "status").read_text())
    assert resident is not None
    return int(resident[1]) / 1024, len(os.listdir(process / "fd"))
