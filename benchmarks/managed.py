"""Managed instances: up to 256 requests at a time, beside one process for each of up to 64.

`python -m benchmarks.managed` (part of `make bench`). A FastAPI endpoint awaits 50 ms, so 64 slots
can answer 1,280 requests a second. awslambdaric forks a process for each slot, and each imports
the application (with Mangum); Lamella serves all slots on an event loop for each vCPU. Memory is
the proportional set size (Pss of smaps_rollup, proc(5)) of all processes: shared pages count once.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import BenchmarkError, event, report, site
from benchmarks.ways import BOOTSTRAP, MANGUM, Site, commands, variables

SLOTS = (1, 16, 64, 256)
MOST_PROCESSES = 64
"""Of awslambdaric's, one for each slot: with 256 a machine would need 7 GB for them."""

WAIT = 0.05  # seconds that the endpoint awaits
APP = "sleepy:app"
PATIENCE = 120.0  # seconds for 64 processes to import the application on two cores


class ManagedApi:
    """Gives every idle slot an event at once, and counts the answers."""

    def __init__(self) -> None:
        self.answers = 0
        self.waiting: list[asyncio.StreamWriter] = []
        self.running = False
        self._event = event.get("/hello")
        self._number = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection of the runtime's."""
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
                length = head.partition("content-length:")[2].partition("\r\n")[0]
                if length:
                    await reader.readexactly(int(length))
                self._answer(head.partition(" http/")[0], writer)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            writer.close()  # the runtime, or this measurement, has ended

    def start(self) -> None:
        """Let the slots that wait go."""
        self.running = True
        waiting, self.waiting = self.waiting, []
        for writer in waiting:
            self._give(writer)

    def _answer(self, request: str, writer: asyncio.StreamWriter) -> None:
        if request.endswith("/invocation/next"):
            if self.running:
                self._give(writer)
            else:
                self.waiting.append(writer)
        elif request.endswith("/response"):
            self.answers += 1
            writer.write(b'HTTP/1.1 202 Accepted\r\nContent-Length: 15\r\n\r\n{"status":"OK"}')
        elif request.endswith("/extension/register"):
            head = b"HTTP/1.1 200 OK\r\nLambda-Extension-Identifier: 1\r\nContent-Length: 2"
            writer.write(head + b"\r\n\r\n{}")
        elif not request.endswith("/extension/event/next"):
            raise BenchmarkError(f"The runtime asked for {request}.")

    def _give(self, writer: asyncio.StreamWriter) -> None:
        self._number += 1
        deadline = int((time.time() + 30) * 1000)
        head = (
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
            f"Lambda-Runtime-Aws-Request-Id: 8476a536-e9f4-11e8-9739-{self._number:012x}\r\n"
            f"Lambda-Runtime-Deadline-Ms: {deadline}\r\n"
            "Lambda-Runtime-Invoked-Function-Arn: "
            "arn:aws:lambda:eu-central-1:123456789012:function:benchmark\r\n"
            f"Content-Length: {len(self._event)}\r\n\r\n"
        )
        writer.write(head.encode() + self._event)


async def measure(place: Site, way: str, slots: int, seconds: float) -> tuple[float, float]:
    """Answers per second, and MiB of all processes, of one environment with so many slots."""
    api = ManagedApi()
    server = await asyncio.start_server(api.serve, "127.0.0.1", 0)
    address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    managed = {
        "AWS_LAMBDA_INITIALIZATION_TYPE": "lambda-managed-instances",
        "AWS_LAMBDA_MAX_CONCURRENCY": str(slots),
        "AWS_LAMBDA_LOG_FORMAT": "JSON",
    }
    process = subprocess.Popen(  # noqa: ASYNC220  once, before anything is measured
        commands(way, place, APP)[0],
        cwd=place.task,
        env=variables(way, place, APP, address) | managed,
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr.fileno(),
        start_new_session=True,
    )
    try:
        await _until_ready(api, process, slots)
        api.start()
        await asyncio.sleep(1)  # warm
        before, started = api.answers, time.monotonic()
        await asyncio.sleep(seconds)
        rate = (api.answers - before) / (time.monotonic() - started)
        return rate, _memory(process.pid)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        server.close()


async def _until_ready(api: ManagedApi, process: subprocess.Popen[bytes], slots: int) -> None:
    end = time.monotonic() + PATIENCE
    while len(api.waiting) < slots:
        if process.poll() is not None or time.monotonic() > end:
            raise BenchmarkError(f"Only {len(api.waiting)} of {slots} slots asked for work.")
        await asyncio.sleep(0.1)


def _memory(group: int) -> float:
    """MiB of the processes of a group, with shared pages counted once."""
    total = 0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if os.getpgid(int(folder.name)) == group:
                rollup = (folder / "smaps_rollup").read_text()
                total += int(rollup.partition("Pss:")[2].split()[0])
        except (OSError, IndexError):
            continue  # it ended meanwhile
    return total / 1024


def measure_all(place: Site, seconds: float) -> dict[str, dict[int, tuple[float, float]]]:
    """For each way and number of slots: answers per second, and MiB of all processes."""
    return {
        way: {
            slots: asyncio.run(measure(place, way, slots, seconds))
            for slots in SLOTS
            if way != MANGUM or slots <= MOST_PROCESSES
        }
        for way in (MANGUM, BOOTSTRAP)
    }


def table(found: dict[str, dict[int, tuple[float, float]]]) -> str:
    """A Markdown table: memory as a multiple of Mangum's for one slot, and the answers."""
    theirs, ours = found[MANGUM], found[BOOTSTRAP]
    unit = theirs[1][1]
    lines = [
        f"| slots | memory: {MANGUM} | {BOOTSTRAP} | of {MANGUM}'s | answers, of {MANGUM}'s "
        "| answers, of the ideal | target |",
        "|---|---|---|---|---|---|---|",
    ]
    for slots, (rate, memory) in ours.items():
        their_rate, their_memory = theirs.get(slots, (0.0, 0.0))
        beside = ["-", "-", "-"]
        if their_memory:
            ratios = (their_memory / unit, memory / their_memory, rate / their_rate)
            beside = [f"{ratios[0]:.1f}", f"{ratios[1]:.3f}", f"{ratios[2]:.2f}"]
        target = "memory at most 0.05, 0.90 of the ideal" if slots == 64 else "-"
        ideal = f"{rate / (slots / WAIT):.2f}"
        cells = (slots, beside[0], f"{memory / unit:.2f}", *beside[1:], ideal, target)
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.managed", description=__doc__)
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--layer", type=Path, default=site.LAYER)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures here")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="put the table in this page")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lamella-managed-") as folder:
        place = site.prepare(options.python, options.layer, Path(folder))
        found = measure_all(place, options.seconds)
    print(table(found))
    if options.json:
        options.json.write_text(json.dumps(found))
    if options.markdown:
        text = f"Python {place.minor}, {report.today()}\n\n{table(found)}\n"
        report.replace_results(options.markdown, text, "managed")


if __name__ == "__main__":
    main()
