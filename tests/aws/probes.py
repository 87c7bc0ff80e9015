"""What finds an answer out: each probe asks the deployed stack, and says which answer it saw.

A probe's words begin with those of one of its question's answers; what was measured follows. It
raises whatever a network may raise. The functions here make a probe for a front door, by its name
in `Deployed.targets`, and take the times and sizes that make it slow.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import httpx
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from tests.aws.deployed import Deployed
from tests.contract.checks import CHALLENGE, PATIENCE
from tests.contract.invoking import invoke

Probe = Callable[[Deployed], str]
"""Raises an exception where what it saw is no answer: whatever else may refuse is not the limit."""

STEP = 256
"""Bytes to which a limit is found."""

FILL = 4000
"""Bytes of one header of those that fill a request, as in function/probes.py."""


def challenge(door: str) -> Probe:
    """Under which name WWW-Authenticate arrives."""

    def probe(deployed: Deployed) -> str:
        answered = deployed.targets[door].ask("GET", "/unauthorized")
        if answered.status_code != 401:
            raise RuntimeError(f"status {answered.status_code} in place of the 401")
        names = [name for name in answered.headers if name.endswith(CHALLENGE)]
        if CHALLENGE in names:
            return "as it is"
        return f"renamed: {names[0]}" if names else "dropped: no header with such a name arrives"

    return probe


def answer_headers(door: str, most: int = 60_000) -> Probe:
    """How many bytes the header values of an answer may have."""

    def probe(deployed: Deployed) -> str:
        refused = ""

        def passes(size: int) -> bool:
            nonlocal refused
            status, arrived = answered_headers(deployed, door, size)
            if arrived != size:
                refused = status
            return arrived == size

        return limit_found(largest(passes, most), most, refused)

    return probe


def request_headers(door: str, most: int = 60_000) -> Probe:
    """How many bytes the header values of a request may have."""

    def probe(deployed: Deployed) -> str:
        refused = ""

        def passes(size: int) -> bool:
            nonlocal refused
            try:
                response = deployed.targets[door].ask("GET", "/request", headers=filling(size))
            except httpx.HTTPError as error:
                refused = f"the connection ends ({type(error).__name__})"
                return False
            if response.status_code != 200:
                refused = f"status {response.status_code}"
                return False
            seen = response.json()["headers"]
            return sum(len(value) for name, value in seen if name.startswith("x-fill-")) == size

        return limit_found(largest(passes, most), most, refused)

    return probe


def filling(size: int) -> list[tuple[str, str]]:
    """Headers whose values have so many bytes together."""
    return [
        (f"x-fill-{number}", "x" * min(size - sent, FILL))
        for number, sent in enumerate(range(0, size, FILL))
    ]


def over_limit(door: str, expected: int, *, headers: int = 0, query: int = 0) -> Probe:
    """Which status a request gets whose header values or query have so many bytes."""

    def probe(deployed: Deployed) -> str:
        path = f"/request?q={'x' * query}" if query else "/request"
        status = deployed.targets[door].ask("GET", path, headers=filling(headers)).status_code
        if status == 200:
            return f"delivered: {headers or query:,} bytes"
        serves(deployed, door)
        return f"status {status}" if status == expected else f"another status: {status}"

    return probe


def serves(deployed: Deployed, door: str) -> None:
    """Raise RuntimeError where an ordinary request is refused, too."""
    status = deployed.targets[door].ask("GET", "/text").status_code
    if status != 200:
        raise RuntimeError(f"an ordinary request is refused, too: status {status}")


def limit_found(found: int, most: int, refused: str) -> str:
    """The words for a limit of so many bytes. Raises RuntimeError where nothing passes."""
    if not found:
        raise RuntimeError(f"not even {STEP} bytes pass: {refused}")
    if found == most:
        return f"no limit found: {most:,} bytes pass"
    return f"a limit: {found:,} bytes pass, {found + STEP:,} do not: {refused}"


def largest(passes: Callable[[int], bool], most: int) -> int:
    """The largest size of at most `most` that passes, to STEP bytes; 0 where none does.

    A size is refused where it is refused twice: the network may fail once.
    """
    if passes(most) or passes(most):
        return most
    low, high = 0, most
    while high - low > STEP:
        middle = (low + high) // 2
        passed = passes(middle) or passes(middle)
        low, high = (middle, high) if passed else (low, middle)
    return low


def large_headers(door: str, size: int = 11_000) -> Probe:
    """What a client gets when the header values of an answer are too large."""

    def probe(deployed: Deployed) -> str:
        status, arrived = answered_headers(deployed, door, size)
        if arrived == size:
            return f"delivered: {arrived:,} bytes"
        serves(deployed, door)
        return status

    return probe


def answered_headers(deployed: Deployed, door: str, size: int) -> tuple[str, int]:
    """The status of an answer with header values of this size, and the bytes that arrive."""
    try:
        response = deployed.targets[door].ask("GET", f"/headers/{size}")
    except httpx.HTTPError as error:
        return f"the connection ends ({type(error).__name__})", 0
    pairs = response.headers.multi_items()
    arrived = sum(len(value) for name, value in pairs if name.startswith("x-fill-"))
    return f"status {response.status_code}", arrived


def time_to_answer(door: str, seconds: float = 75) -> Probe:
    """Whether an answer may take so long. What is refused at once is refused for another reason."""

    def probe(deployed: Deployed) -> str:
        began = time.monotonic()
        try:
            with deployed.targets[door].client() as client:
                response = client.get(f"/late/{seconds}", timeout=seconds + PATIENCE)
        except httpx.HTTPError as error:
            end = f"the connection ends ({type(error).__name__})"
        else:
            if response.text == "late":
                return f"no limit found: an answer after {seconds:g} s arrives"
            end = f"status {response.status_code}"
        took = time.monotonic() - began
        if took < seconds / 10:
            raise RuntimeError(f"{end} after {took:.1f} s already")
        return f"a limit: {end} after {took:.1f} s"

    return probe


def silence(door: str, seconds: float = 330) -> Probe:
    """Whether a stream may say nothing for so long."""

    def probe(deployed: Deployed) -> str:
        began, lines = time.monotonic(), []
        path, limit = f"/silence/{seconds}", seconds + PATIENCE
        try:
            with (
                deployed.targets[door].client() as client,
                client.stream("GET", path, timeout=limit) as response,
            ):
                response.raise_for_status()
                for line in response.iter_lines():
                    lines.append(line)
        except httpx.HTTPError as error:
            if not lines:  # nothing was open yet
                raise
            end = type(error).__name__
        else:
            end = "the stream ended as if it were whole"
        if lines[:1] != ["before"]:
            raise RuntimeError(f"the stream begins with {lines[:1]}")
        if lines == ["before", "after"]:
            return f"no limit found: a stream went on after {seconds:g} s of silence"
        return f"a limit: the stream ends after {time.monotonic() - began:.1f} s ({end})"

    return probe


def small_chunks(
    door: str, pause: float = 1.0, sizes: tuple[int, ...] = (16, 256, 4096, 65_536)
) -> Probe:
    """Whether the first chunks of a stream wait for the later ones, and up to which size."""

    def probe(deployed: Deployed) -> str:
        waits = {size: waiting(deployed, door, size, pause) for size in sizes}
        held = {size: wait for size, wait in waits.items() if wait > 1.5 * pause}
        if not held:
            return f"as they are sent: chunks of {sizes[0]} bytes, {pause:g} s apart"
        words = ", ".join(f"{size:,} bytes {wait:.1f} s" for size, wait in held.items())
        free = [f"{size:,}" for size in sizes if size not in held]
        rest = f"; those of {' and '.join(free)} bytes do not" if free else ""
        return f"held back: the first chunk waits, of {words}{rest}"

    return probe


def waiting(deployed: Deployed, door: str, size: int, pause: float) -> float:
    """Seconds by which the first of four pieces comes late, measured from the last one.

    Three pauses lie between the two where they are sent.
    """
    arrived, first = 0, 0.0
    path = f"/drip/{size}/{pause}"
    with deployed.targets[door].client() as client, client.stream("GET", path) as response:
        response.raise_for_status()
        for data in response.iter_bytes():
            if arrived < size <= arrived + len(data):
                first = time.monotonic()
            arrived += len(data)
    assert arrived == 4 * size, f"{arrived} of {4 * size} bytes came"
    return 3 * pause - (time.monotonic() - first)


def query_map(door: str) -> Probe:
    """Whether the query map of an event is decoded."""

    def probe(deployed: Deployed) -> str:
        seen = deployed.targets[door].seen("GET", "/query?q=x%20y%2Bz")
        value = seen["q"][0] if isinstance(seen["q"], list) else seen["q"]
        words = {"x%20y%2Bz": "as sent", "x y+z": "decoded"}
        return f"{words.get(value, 'neither')}: {value!r} for 'x%20y%2Bz'"

    return probe


def sandbox(door: str) -> Probe:
    """Whether a process runs as this project's containers have it."""

    def probe(deployed: Deployed) -> str:
        about = deployed.targets[door].seen("GET", "/sandbox")
        expected = {"root": False, "home": False, "writable": ["/tmp"]}
        other = [f"{name} is {about[name]}" for name in expected if about[name] != expected[name]]
        return f"otherwise: {', '.join(other)}" if other else "as in the containers"

    return probe


def invoked(deployed: Deployed, function: str, event: Mapping[str, Any], **options: Any) -> Any:
    """The result of an invocation. Raises RuntimeError where it failed."""
    name = deployed.functions[function]
    result, failed = invoke(deployed.client("lambda"), name, event, **options)
    if failed:
        raise RuntimeError(f"the invocation failed: {result}")
    return result


def slow_init(function: str) -> Probe:
    """How often an application is imported that takes longer than Lambda's init phase.

    It has to be the function's first invocation.
    """

    def probe(deployed: Deployed) -> str:
        began = time.monotonic()
        seen = invoked(deployed, function, {})
        took = time.monotonic() - began
        # In a new sandbox /tmp would be new as well, but the ten seconds before it are there.
        twice = seen["imports"] > 1 or took > seen["seconds"] + 10
        if not twice and took < seen["seconds"]:
            raise RuntimeError(f"the answer after {took:.1f} s: the import was done before")
        word = "twice" if twice else "once"
        return f"{word}: {seen['imports']} imports, and the answer after {took:.1f} s"

    return probe


def after_sigterm(function: str, tries: int = 5) -> Probe:
    """How long a process lives after SIGTERM.

    One of the invocations that follow the timeout has to come to the same /tmp.
    """

    def probe(deployed: Deployed) -> str:
        with suppress(RuntimeError):  # Lambda ends it at the function's timeout
            seen = invoked(deployed, function, {"do": "block"})
            raise AssertionError(f"it did not run into its timeout: {seen}")
        for _ in range(tries):
            seen = invoked(deployed, function, {"do": "tell"})
            if lived := seen["milliseconds"]:
                # Written every 10 ms, so the last figure is a little before the end.
                enough = "at least 300 ms" if lived[-1] >= 280 else "less"
                return f"{enough}: it lived for {lived[-1]} ms"
            if seen["blocked"]:
                return "no signal: the sandbox is the same, and nothing was written"
        raise RuntimeError(f"{tries} invocations after the timeout, all in other sandboxes")

    return probe


def durable_event(function: str) -> Probe:
    """What a durable function gets by Invoke."""

    def probe(deployed: Deployed) -> str:
        result = ordered(deployed, function)
        inner = result.get("Result", result)
        keys = (json.loads(inner) if isinstance(inner, str) else inner)["keys"]
        known = {"DurableExecutionArn", "CheckpointToken"} <= set(keys)
        return f"{'an envelope' if known else 'another event'}: its keys are {', '.join(keys)}"

    return probe


def durable_http(function: str, output: str) -> Probe:
    """What a durable function gets through a front door; `output` has its address."""

    def probe(deployed: Deployed) -> str:
        ordered(deployed, function)  # so that a refusal is that of the request
        url = deployed.outputs[output].rstrip("/") + "/an/order"
        response = httpx.get(url, timeout=PATIENCE)
        if response.status_code == 429:
            raise RuntimeError("the function is throttled: status 429")
        if response.status_code == 200 and response.text == '{"path": "/an/order"}':
            return "a request: the application sees it as any other"
        if response.status_code == 200 and "CheckpointToken" in response.text:
            return "an envelope: the request begins an execution"
        word = "refused" if response.is_error else "neither"
        return f"{word}: status {response.status_code}"

    return probe


def ordered(deployed: Deployed, function: str) -> Any:
    """The result of a durable function for an order. Raises RuntimeError where it failed."""
    return invoked(deployed, function, {"quantity": 1}, Qualifier="$LATEST")


def talk(deployed: Deployed, door: str, words: str) -> ClientConnection:
    """A WebSocket to the function's conversation of that name."""
    return shake_hands(f"{deployed.targets[door].websocket}?probe={words}")


def shake_hands(url: str) -> ClientConnection:
    """A WebSocket, of a client that offers a subprotocol."""
    return connect(url, open_timeout=PATIENCE, subprotocols=[Subprotocol("lamella")])


def accept_headers(door: str) -> Probe:
    """Which headers of `websocket.accept` reach the client."""

    def probe(deployed: Deployed) -> str:
        with talk(deployed, door, "accept") as socket:
            assert socket.response is not None
            sent = ("x-lamella", "set-cookie")
            passed = [name for name in sent if name in socket.response.headers]
        if len(passed) == len(sent):
            return "all: an own header and a cookie arrive"
        return f"some: {passed[0]}" if passed else "none: neither an own header nor a cookie"

    return probe


def refused_body(door: str) -> Probe:
    """Whether the body of a refused handshake reaches the client."""

    def probe(deployed: Deployed) -> str:
        with shake_hands(deployed.targets[door].websocket):
            pass  # so that a refusal is the application's
        try:
            with talk(deployed, door, "refuse"):
                raise RuntimeError("the handshake was let in")
        except InvalidStatus as refusal:
            response = refusal.response
        if response.status_code != 403:
            raise RuntimeError(f"status {response.status_code} in place of the application's 403")
        passed = b"refused by the application" in (response.body or b"")
        return f"{'passed' if passed else 'dropped'}: status {response.status_code}"

    return probe


def greeting(door: str, seconds: float = 10) -> Probe:
    """Whether a message arrives that is sent as soon as the connection is accepted."""

    def probe(deployed: Deployed) -> str:
        with talk(deployed, door, "greet") as socket:
            began = time.monotonic()
            try:
                socket.recv(timeout=seconds)
            except TimeoutError:
                return f"lost: nothing came in {seconds:g} s"
            return f"arrives: {time.monotonic() - began:.1f} s after the handshake"

    return probe


def close_code(door: str) -> Probe:
    """Which code a client sees when the application closes with 4001."""

    def probe(deployed: Deployed) -> str:
        with talk(deployed, door, "close") as socket:
            socket.send("close")
            try:
                socket.recv(timeout=PATIENCE)
            except ConnectionClosed as closed:
                code = closed.rcvd.code if closed.rcvd else 1006
            else:
                raise RuntimeError("a message came where the connection should close")
        return "the application's: 4001" if code == 4001 else f"another one: {code}"

    return probe


def trailing_slash(door: str) -> Probe:
    """Whether a handshake is taken at the stage's path with a slash at its end."""

    def probe(deployed: Deployed) -> str:
        url = deployed.targets[door].websocket
        with shake_hands(url):
            pass  # so that a refusal is that of the slash
        try:
            with shake_hands(f"{url}/"):
                return "taken"
        except InvalidStatus as refusal:
            return f"refused: status {refusal.response.status_code}"

    return probe
