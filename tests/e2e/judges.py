"""Two Lambdas that run the same function: ours, and the emulator that AWS ships.

AWS's emulator is the independent one. It accepts streamed answers but hands them on whole, with
the prelude in front, and reports errors in the body of a 200. It has three modes:

- on demand;
- managed instances (`concurrency`, as_lambda.py): slots, concurrent events, Runtime.Unavailable,
  soft timeouts and 410, 413, stale ids, extensions without events. It cannot judge deadlines (it
  hands out one that lies weeks ahead), replacement (it ends when its runtime does), shutdown, nor
  empty headers (it leaves them out);
- init caching (`snap_start`): that /restore/next is asked for, and each failure before and after
  it. It cannot judge a restore that works: it has none, and answers /restore/next with the first
  event itself, which nobody answers then.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import httpx

from lamella.local.config import FunctionConfig
from lamella.local.execution.environment import Environment
from layer.pythons import Python
from tests.e2e.packages import awslambdaric
from tests.ports import free_port
from tests.waiting import PATIENCE, until

ROOT = Path(__file__).parents[2]
TIMEOUT = 6.0  # seconds; the function's


class Outcome(NamedTuple):
    """What came of an invocation: `payload` as the caller gets it; `error_type` "" if it worked."""

    payload: bytes
    error_type: str = ""

    @property
    def result(self) -> Any:
        """The payload, parsed."""
        return json.loads(self.payload)

    @property
    def content(self) -> Any:
        """The body of the HTTP response that the payload holds, parsed."""
        return json.loads(self.result["body"])

    def streamed(self) -> tuple[dict[str, Any], bytes]:
        """The prelude and the body of a streamed payload."""
        prelude, _, body = self.payload.partition(b"\0" * 8)
        return json.loads(prelude), body


class Judge(Protocol):
    """A running function."""

    async def invoke(self, event: Any) -> Outcome:
        """Send an event and wait for the outcome."""


class LocalJudge:
    """Our local Lambda: one environment. `options` are FunctionConfig's.

    With `concurrency`, on managed instances.
    """

    def __init__(
        self,
        opt: Path,
        python: str,
        task_root: Path,
        environ: dict[str, str],
        concurrency: int | None = None,
        **options: Any,
    ) -> None:
        self.config = FunctionConfig(
            task_root=task_root,
            python=python,
            environment=environ,
            max_concurrency=concurrency,
            **{"timeout": TIMEOUT, "wrapper": opt / "bootstrap", **options},
        )
        self.environment = Environment(self.config, lambda line: None)

    async def __aenter__(self) -> LocalJudge:
        await self.environment.start()
        if self.config.managed and self.environment.init_error is None:
            await until(lambda: self.environment.slots == self.config.max_concurrency)
        return self

    async def __aexit__(self, _: object, error: object, *__: object) -> None:
        await self.environment.stop()
        if error is not None:
            print("\n".join(self.environment.logs))

    async def invoke(self, event: Any) -> Outcome:
        """See Judge."""
        answer = None
        if self.config.managed:  # AWS's network gives a runtime time to ask again, ours does not
            answer = await self.environment.open_in_slot(event, patience=PATIENCE)
        result = await (answer or await self.environment.open(event)).collect()
        failed = result.status == "error" and result.error
        return Outcome(result.payload, result.error["errorType"] if failed and result.error else "")

    @property
    def log(self) -> str:
        """Everything logged so far."""
        return "\n".join(self.environment.logs)


def under_awslambdaric(
    opt: Path,
    python: Python,
    task_root: Path,
    handler: str,
    environ: Mapping[str, str],
    packages: Iterable[Path] = (),
    **options: Any,
) -> LocalJudge:
    """The function under AWS's own loop, as the managed runtime starts it.

    That puts the function, the layer and its own packages on the path; `packages` are the
    function's.
    """
    path = [task_root, *packages, opt / "python", awslambdaric(python)]
    options |= {"wrapper": None, "handler": handler}
    options["command"] = (python.path, "-m", "awslambdaric", handler)
    variables = {"PYTHONPATH": ":".join(map(str, path)), **environ}
    return LocalJudge(opt, python.path, task_root, variables, **options)


AS_LAMBDA = str(Path(__file__).with_name("as_lambda.py"))


@functools.cache
def managed_rie_refusal() -> str:
    """Why AWS's emulator cannot run in managed mode on this machine; "" if it can."""
    argv = [sys.executable, "-I", AS_LAMBDA, "/", "/bin/true", "", "/bin/true"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    return done.stderr.strip().rpartition("\n")[2] if done.returncode else ""


def find_rie() -> Path | None:
    """AWS's emulator, as the SAM CLI's wheel carries it; `make sam` installs that."""
    arch = "arm64" if platform.machine() in ("arm64", "aarch64") else "x86_64"
    venv = Path(os.environ.get("LAMELLA_SAM_VENV") or ROOT / ".venv-sam")
    pattern = f"lib/python3.*/site-packages/samcli/local/rapid/aws-lambda-rie-{arch}"
    return next(iter(venv.glob(pattern)), None)


class RieJudge:
    """AWS's Runtime Interface Emulator around the same bootstrap; see the module's docstring."""

    def __init__(
        self,
        opt: Path,
        python: str,
        task_root: Path,
        environ: dict[str, str],
        concurrency: int | None = None,
        snap_start: bool = False,
        timeout: float = TIMEOUT,
    ) -> None:
        rie = find_rie()
        assert rie is not None
        self._concurrency = concurrency
        self._api, self._port = free_port(), free_port()
        flags = [
            "--runtime-api-address",
            f"127.0.0.1:{self._api}",
            "--runtime-interface-emulator-address",
            f"127.0.0.1:{self._port}",
        ]
        command = [str(opt / "bootstrap"), python, "/var/runtime/bootstrap.py"]
        self._task_root = task_root
        self._environ = {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "LAMBDA_TASK_ROOT": str(task_root),
            "AWS_LAMBDA_FUNCTION_TIMEOUT": str(int(timeout)),
            **environ,
        }
        if snap_start:
            flags.append("--enable-init-caching")
            self._environ["AWS_LAMBDA_INITIALIZATION_TYPE"] = "snap-start"
        self._argv = [str(rie), *flags, *command]
        if concurrency is not None:
            self._environ["AWS_LAMBDA_MAX_CONCURRENCY"] = str(concurrency)
            self._environ["AWS_LAMBDA_EXEC_WRAPPER"] = command[0]
            places = [str(task_root), command[0], python]
            self._argv = [sys.executable, "-I", AS_LAMBDA, *places, str(rie), *flags]

    async def __aenter__(self) -> RieJudge:
        self._process = await asyncio.create_subprocess_exec(
            *self._argv,
            cwd=self._task_root,
            env=self._environ,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
        self._client = httpx.AsyncClient(base_url=f"http://127.0.0.1:{self._port}", timeout=30)
        try:
            await self._wait_until_listening()
            if self._concurrency is not None:
                await until(self._has_all_slots)
        except BaseException:
            await self._end()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._end()

    async def _end(self) -> None:
        await self._client.aclose()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, 9)  # the emulator leaves its runtime behind otherwise
        await self._process.wait()

    async def invoke(self, event: Any) -> Outcome:
        """See Judge."""
        reply = await self._client.post(
            "/2015-03-31/functions/function/invocations",
            content=event if isinstance(event, bytes) else json.dumps(event).encode(),
        )
        named = reply.headers.get("error-type")  # in managed mode, whatever the body says
        return Outcome(reply.content, _error_type(reply.content) or named or "")

    def _has_all_slots(self) -> bool:
        """Whether there are as many connections to the Runtime API as slots, or the end came."""
        if self._process.returncode is not None:
            return True
        return _connections(self._api) >= (self._concurrency or 0)

    async def _wait_until_listening(self) -> None:
        end = time.monotonic() + PATIENCE
        while self._process.returncode is None and time.monotonic() < end:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", self._port)
            except OSError:
                await asyncio.sleep(0.025)
            else:
                writer.close()
                return
        status = self._process.returncode
        how = f"ended with {status}" if status is not None else f"is silent for {PATIENCE} s"
        raise AssertionError(f"the emulator does not listen: it {how}")


def _connections(port: int) -> int:
    """Established connections to a port of 127.0.0.1."""
    rows = Path("/proc/net/tcp").read_text().splitlines()[1:]
    fields = [row.split() for row in rows]
    return sum(f[2] == f"0100007F:{port:04X}" and f[3] == "01" for f in fields)


def _error_type(payload: bytes) -> str:
    try:
        found = json.loads(payload)
    except ValueError:
        return ""
    return str(found.get("errorType", "")) if isinstance(found, dict) else ""
