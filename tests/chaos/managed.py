"""Managed instances whose workers are killed in the middle of requests.

Four worker processes serve 16 requests at a time, of which each takes some time and answers with
its own text. Meanwhile `kill -9` takes a worker now and then. Then the killing stops.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections import Counter

from lamella.local.execution.environment import Environment
from lamella.testing import events
from tests.chaos.attack import Attack, Broken
from tests.chaos.layer import Layer

PROMISE = (
    "Each request gets one answer: its own, or an error where its worker was killed. The "
    "workers come back, and all slots serve again."
)

SLOTS = 16
TIMEOUT = 2.0  # seconds; what a killed worker has answered nobody waits for longer


def run(attack: Attack) -> None:
    """Kill while requests run, and look whether all is as before."""
    options = {"max_concurrency": SLOTS, "timeout": TIMEOUT}
    with Layer(attack, "slow:app", options, ASGI_PROCESSES="4") as layer:
        layer.wait(attacked(attack, layer.environment))


async def attacked(attack: Attack, environment: Environment) -> None:
    """Both phases."""
    workers: set[int] = set()
    killing = asyncio.ensure_future(kill(attack, workers, environment))
    outcomes: Counter[str] = Counter()

    async def client(number: int) -> None:
        for turn in range(attack.times(20)):
            outcomes[await ask(environment, f"{number}-{turn}", workers)] += 1

    await asyncio.gather(*(client(number) for number in range(SLOTS)))
    killing.cancel()
    for outcome, number in sorted(outcomes.items()):
        attack.counts[f"requests {outcome}"] += number
    if not outcomes["answered"]:
        raise Broken(f"none was answered: {outcomes}")

    # Slots of killed workers each swallow one event more, as on Lambda.
    for _ in range(10):
        numbers = range(SLOTS)
        after = [ask(environment, f"after-{number}", workers) for number in numbers]
        if set(await asyncio.gather(*after)) == {"answered"}:
            return
        await asyncio.sleep(1.0)
    raise Broken("the slots do not serve again:\n" + "\n".join(list(environment.logs)[-30:]))


async def ask(environment: Environment, text: str, workers: set[int]) -> str:
    """One request; what came of it. Raises `Broken` where it was answered for another one."""
    event = json.dumps(events.http_api(path=f"/{text}")).encode()
    answer = await environment.open_in_slot(event, TIMEOUT)
    if answer is None:
        return "without a slot"
    result = await asyncio.wait_for(answer.collect(), 10 * TIMEOUT)
    if result.status != "success":
        return "failed with their worker"
    found = json.loads(json.loads(result.payload)["body"])
    if found["path"] != f"/{text}" or found["request_id"] != result.request_id:
        raise Broken(f"/{text} ({result.request_id}) was answered {found}")
    workers.add(found["pid"])
    return "answered"


async def kill(attack: Attack, workers: set[int], environment: Environment) -> None:
    """Take a worker every half second or so."""
    while True:
        await asyncio.sleep(attack.random.uniform(0.3, 0.8))
        if workers:
            pid = attack.random.choice(sorted(workers))
            workers.discard(pid)
            if pid != environment.pid and parent_of(pid) == environment.pid:
                os.kill(pid, signal.SIGKILL)
                attack.counts["workers killed"] += 1


def parent_of(pid: int) -> int | None:
    """The parent's process id; None where the process has ended."""
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return int(stat.read().rpartition(")")[2].split()[1])
    except OSError:
        return None
