"""Any bytes of the Runtime API: replies that are split, cut off, odd, or no HTTP at all.

The reply to /next is split and cut off at every byte, comes in chunks of every size, and with odd
headers. Replies to the answer are 1xx, wrong lengths, refusals, garbage and silence.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections import deque
from collections.abc import Iterable

from lamella.testing import events
from tests.chaos.attack import Attack, Broken
from tests.chaos.hostile import CLOSE, PAUSE, RESET, Runtime, Steps, Turn, running

PROMISE = (
    "Each invocation that the runtime was told of has one answer, its own. It is sent again "
    "only where its reply was lost. The environment goes on, except after the statuses with "
    "which Lambda ends it (403, 500)."
)

PROCESSES = 8
"""Cut-off replies are tried on so many processes at a time: each pauses after a reply."""

STREAMS = {"ASGI_INVOKE_MODE": "response_stream"}

numbers = itertools.count(1)


def turn(streamed: bool = False, headers: str = "") -> Turn:
    """An invocation whose answer holds its number; `headers` replace the deadline's line."""
    number = next(numbers)
    build = events.function_url if streamed else events.http_api
    event = json.dumps(build(method="POST", body=f"number-{number}-of-many")).encode()
    deadline = f"Lambda-Runtime-Deadline-Ms: {int((time.time() + 60) * 1000)}\r\n"
    head = (
        f"HTTP/1.1 200 OK\r\nLambda-Runtime-Aws-Request-Id: r-{number}\r\n{headers or deadline}"
        f"Content-Length: {len(event)}\r\n\r\n"
    )
    return Turn(f"r-{number}", event, [head.encode() + event])


def whole(of: Turn) -> bytes:
    """The bytes of the reply to /next."""
    return b"".join(step for step in of.told if isinstance(step, bytes))


def check(done: Turn, may_fail: bool = False) -> None:
    """Its answers are one and the same, and its own unless it may fail."""
    if len(set(done.answers)) != 1:
        raise Broken(f"{done.request_id} was answered {done.answers}")
    end, body = done.answers[0]
    if may_fail:
        return
    if end != "response" or f"number-{done.request_id[2:]}-of-many".encode() not in body:
        raise Broken(f"{done.request_id} was answered {done.answers}")


def run(attack: Attack) -> None:
    """Each kind of fault in turn."""
    for each in (splits, cuts, odd_nexts, odd_posts, fatal_posts):
        with attack.promise(each.__name__):
            asyncio.run(each(attack))


async def serve(runtime: Runtime, faulty: Turn, may_fail: bool = False) -> None:
    """One turn with a fault, and one without it."""
    following = turn()
    for each in (faulty, following):
        await runtime.answered(runtime.api.add(each))
    check(faulty, may_fail)
    check(following)
    if runtime.api.strangers:
        raise Broken(f"the runtime asked for {runtime.api.strangers}")


async def serve_all(attack: Attack, faults: Iterable[tuple[str, Turn]], may_fail: bool) -> None:
    """Each fault in turn, in one process; in another one after a broken promise."""
    left = deque(faults)
    while left:
        async with running(attack, "echo:app", STREAMS) as runtime:
            broken = len(attack.broken)
            while left and len(attack.broken) == broken:
                what, faulty = left.popleft()
                with attack.promise(what[:200]):
                    await serve(runtime, faulty, may_fail)


async def splits(attack: Attack) -> None:
    """Replies to /next in two parts, split at every byte; byte by byte; in chunks of any size."""
    async with running(attack, "echo:app", STREAMS) as runtime:
        size = len(whole(turn()))
        for place in attack.sample(range(1, size), size):
            split = turn(streamed=place % 2 == 0)
            split.told = [whole(split)[:place], PAUSE, whole(split)[place:]]
            attack.counts["split replies"] += 1
            await serve(runtime, split)
        bytewise = turn()
        bytewise.told = [step for byte in whole(bytewise) for step in (bytes([byte]), PAUSE)]
        await serve(runtime, bytewise)
        for length in attack.sample(range(1, 200), 200):
            chunked = turn()
            head = whole(chunked).partition(b"\r\nContent-Length")[0]
            starts = range(0, len(chunked.event), length)
            parts = [chunked.event[start : start + length] for start in starts]
            chunked.told = [head + b"\r\nTransfer-Encoding: chunked\r\n\r\n"]
            chunked.told += [b"%X;a=b\r\n%b\r\n" % (len(part), part) for part in parts]
            chunked.told += [b"0\r\nX-Trailer: 1\r\n\r\n"]
            attack.counts["chunked replies"] += 1
            await serve(runtime, chunked)


async def cuts(attack: Attack) -> None:
    """Replies to /next that end at every byte, by a close or a reset, and then come whole."""
    size = len(whole(turn()))
    places = attack.sample(range(size), size // 2)
    await asyncio.gather(*(cut_at(attack, places[each::PROCESSES]) for each in range(PROCESSES)))


async def cut_at(attack: Attack, places: list[int]) -> None:
    """One process's share of the places."""
    async with running(attack, "echo:app", STREAMS) as runtime:
        for place in places:
            cut = turn(streamed=place % 2 == 0)
            cut.lost.append([whole(cut)[:place], PAUSE, CLOSE if place % 4 < 2 else RESET])
            attack.counts["cut replies"] += 1
            await serve(runtime, cut)


DEADLINES = ["²", "9" * 5000, "-1", "0", "1", "1e12", "0x1", " ", "a", "٣", "1" * 400, "1\r\n 2"]
CONTEXTS = [
    "[]",
    "5",
    '"x"',
    "null",
    "{}",
    '{"client": 5}',
    '{"custom": []}',
    "{",
    "\xff",
    "[" * 9000,
]
ODD_HEADERS = [
    *(f"Lambda-Runtime-Deadline-Ms: {value}\r\n" for value in DEADLINES),
    *(f"Lambda-Runtime-Client-Context: {value}\r\n" for value in CONTEXTS),
    *(f"Lambda-Runtime-Cognito-Identity: {value}\r\n" for value in CONTEXTS),
    *(f"Lambda-Runtime-Trace-Id: {value}\r\n" for value in ("\xff", "Root", "=;=", "x" * 9000)),
    *("X: " + "y" * 60_000 + "\r\n", "X: y\r\n" * 2_000, "no colon\r\n", ": no name\r\n"),
    "Lambda-Runtime-Invoked-Function-Arn: \xff\r\n",
]
ODD_NEXTS: list[Steps] = [
    [b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}"],
    [b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\n\r\n"],
    [b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"],
    [b"HTTP/1.1 200 OK\r\nLambda-Runtime-Aws-Request-Id: a b/\r\nContent-Length: 2\r\n\r\n{}"],
    [b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\n\r\n", CLOSE],
    [b"HTTP/1.1 204 No Content\r\n\r\n"],
    [b"SSH-2.0-OpenSSH\r\n\r\n\r\n", CLOSE],
    [b"\0" * 70_000, CLOSE],
    [b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", CLOSE],
    [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", CLOSE],
]


async def odd_nexts(attack: Attack) -> None:
    """Replies to /next with odd headers, of which the invocation may fail; odd ones instead."""
    headers = [(f"/next has {header!r}", turn(headers=header)) for header in ODD_HEADERS]
    attack.counts["odd headers of /next"] += len(headers)
    await serve_all(attack, headers, may_fail=True)
    replies = []
    for reply in ODD_NEXTS:
        late = turn()
        late.lost.append(reply)
        replies.append((f"/next gets {reply}", late))
    attack.counts["odd replies to /next"] += len(replies)
    await serve_all(attack, replies, may_fail=False)


def steps(*each: bytes | str) -> Steps:
    """The steps of a reply."""
    return list(each)


ACCEPT = b"HTTP/1.1 202 Accepted\r\n"
OK = ACCEPT + b"Content-Length: 0\r\n\r\n"
CHUNKED = ACCEPT + b"Transfer-Encoding: chunked\r\n\r\n"
LENGTHS = [b"x", b"-5", b"99999999999999999999", b"\xb2", b"1, 1", b""]
SIZES = [b"zz", b"-1", b"ffffffffffffffffff", b"", b" "]
REFUSALS = ["400 Bad Request", "404 Not Found", "410 Gone", "413 Too Large", "429 Slow", "503 Busy"]
ODD_POSTS: list[Steps] = [
    *(steps(b"HTTP/1.1 %d Wait\r\n\r\n" % status, PAUSE, OK) for status in (100, 102, 103)),
    steps(b"HTTP/1.1 103 Hints\r\nLink: a\r\n\r\n" * 3 + OK),
    *(steps(OK[:place], PAUSE, OK[place:]) for place in range(1, len(OK))),
    *(steps(OK[:place], end) for place in range(0, len(OK), 9) for end in (CLOSE, RESET)),
    *(steps(ACCEPT + b"Content-Length: %b\r\n\r\n" % length, CLOSE) for length in LENGTHS),
    *(steps(CHUNKED + size + b"\r\n", CLOSE) for size in SIZES),
    *(steps(f"HTTP/1.1 {status}\r\nContent-Length: 4\r\n\r\nbusy".encode()) for status in REFUSALS),
    steps(CHUNKED + b"2\r\n{}\r\n0\r\n\r\n"),
    steps(ACCEPT + b"Content-Length: 2\r\n\r\n{} and more"),
    steps(ACCEPT + b"Content-Length: 20\r\n\r\n{}", CLOSE),
    steps(ACCEPT + b"Connection: close\r\n\r\n", CLOSE),
    steps(ACCEPT + b"Connection: Close, x\r\n\r\n", CLOSE),
    steps(b"HTTP/1.0 202 Accepted\r\n\r\n", CLOSE),
    steps(b"HTTP/1.1 202\r\nContent-Length: 0\r\n\r\n"),
    steps(ACCEPT + b"\r\n", CLOSE),
    steps(ACCEPT + b"X: " + b"y" * 200_000 + b"\r\nContent-Length: 0\r\n\r\n"),
    steps(b"HTTP/1.1 000 Nothing\r\nContent-Length: 0\r\n\r\n"),
    steps(b"HTTP/9.9 999 ?\r\n\r\n", CLOSE),
    steps(b"\r\n\r\n", CLOSE),
    steps(b"\xff" * 200_000, CLOSE),
]


async def odd_posts(attack: Attack) -> None:
    """Odd replies to an answer, to a buffered and to a streamed one."""
    faults = []
    for reply in ODD_POSTS:
        for streamed in (False, True):
            odd = turn(streamed)
            odd.posts.append(reply)
            faults.append((f"{'streamed' if streamed else 'buffered'}, POST gets {reply}", odd))
    attack.counts["odd replies to an answer"] += len(faults)
    await serve_all(attack, faults, may_fail=False)


async def fatal_posts(attack: Attack) -> None:
    """The statuses after which a runtime has to exit; it does, and says why."""
    for status in ("403 Forbidden", "500 Internal Server Error"):
        for streamed in (False, True):
            attack.counts["fatal replies"] += 1
            with attack.promise(f"POST gets {status}"):
                async with running(attack, "echo:app", STREAMS) as runtime:
                    fatal = turn(streamed)
                    fatal.posts.append([f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode()])
                    await runtime.answered(runtime.api.add(fatal))
                    check(fatal)
                    try:
                        code = await asyncio.wait_for(runtime.process.wait(), 10)
                    except TimeoutError:
                        raise Broken("the process runs on") from None
                    if code == 0 or status[:3] not in runtime.tail:
                        raise Broken(f"exit status {code}, and in the log: {runtime.tail}")
