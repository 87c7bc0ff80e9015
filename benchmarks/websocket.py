"""The command: `python -m benchmarks.websocket`: what the first send over a WebSocket costs.

Fresh processes in turns: each has imported what a function that serves HTTP has (the base), and
makes its client ready for the first send. CPU of a process is its user and system time.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from statistics import median
from typing import NamedTuple

from benchmarks import report

ROUNDS = 15

URL = "https://id.execute-api.eu-west-1.amazonaws.com/prod"

BASE = "import asyncio, lamella.service, lamella.runtime.loop\n"

LAMELLA = f"""
from lamella.aws import tls
from lamella.aws.client import AwsClient
from lamella.websocket.management import ManagementApi
from lamella.aws.sigv4 import Credentials, sign
ManagementApi(AwsClient(), "eu-west-1")
credentials = Credentials("key", "secret", "token")
sign(credentials, "execute-api", "eu-west-1", "POST", "{URL}", {{}}, b"x", 0)
tls.aws_authorities()
"""

BOTO3 = f"""
import boto3
client = boto3.client("apigatewaymanagementapi", endpoint_url="{URL}")
def stop(**_):
    raise SystemExit
client.meta.events.register("before-send", stop)
client.post_to_connection(ConnectionId="x", Data=b"x")
"""

PROGRAMS = {
    "what every function imports": "",
    "Lamella: client made, one request signed, TLS ready": LAMELLA,
    "boto3: `import boto3`": "import boto3",
    "boto3: client made, one request signed": BOTO3,
}


class Figure(NamedTuple):
    """Milliseconds of CPU over the base: the median of all rounds, the least and the most."""

    median: float
    least: float
    most: float


def measure(rounds: int) -> dict[str, Figure]:
    """Run every program once unmeasured, then in turns."""
    for program in PROGRAMS.values():
        _cpu(program)
    found: dict[str, list[float]] = {name: [] for name in PROGRAMS}
    for _ in range(rounds):
        base = 0.0
        for name, program in PROGRAMS.items():
            cpu = _cpu(program)
            base = base or cpu
            found[name].append(cpu - base if program else cpu)
    return {name: Figure(median(each), min(each), max(each)) for name, each in found.items()}


def _cpu(program: str) -> float:
    """Milliseconds of CPU of a fresh process. Raises subprocess.CalledProcessError."""
    credentials = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}
    environ = {**os.environ, **credentials, "AWS_DEFAULT_REGION": "eu-west-1"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", BASE + program], check=True, env=environ)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return 1000 * (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def table(found: dict[str, Figure]) -> str:
    """The figures as Markdown."""
    lines = ["| CPU of a fresh process, ms | median | range |", "|---|---|---|"]
    for name, figure in found.items():
        over = "" if name == next(iter(found)) else "+"
        spread = f"{figure.least:.0f} to {figure.most:.0f}"
        lines.append(f"| {name} | {over}{figure.median:.0f} | {spread} |")
    return "\n".join(lines)


def main() -> None:
    """Measure, and print the table."""
    machine = report.machine()
    version = ".".join(map(str, sys.version_info[:3]))
    print(f"Python {version}; {machine['cpu']}; {report.today()}\n\n{table(measure(ROUNDS))}")


if __name__ == "__main__":
    main()
