"""Two Lambdas that run the same function: ours, and the emulator that AWS ships.

AWS's emulator is the independent one. It accepts streamed answers but hands them on whole, with
the prelude in front, and reports errors in the body of a 200.
"""

from __future__ import annotations

import asyncio
import json
import os
import platform
import socket
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Protocol

import httpx

from lamina.local import Environment, FunctionConfig

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
    """Our local Lambda: one environment."""

    def __init__(
        self, opt: Path, python: str, task_root: Path, environ: dict[str, str], **options: Any
    ) -> None:
        self.config = FunctionConfig(
            task_root=task_root,
            python=python,
            environment=environ,
            **{"timeout": TIMEOUT, "wrapper": opt / "bootstrap", **options},
        )
        self.environment = Environment(self.config, log=lambda line: None)

    async def __aenter__(self) -> LocalJudge:
        await self.environment.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.environment.stop()
        if error is not None:
            print("\n".join(self.environment.logs))

    async def invoke(self, event: Any) -> Outcome:
        """See Judge."""
        result = await self.environment.invoke(event)
        failed = result.status == "error" and result.error
        return Outcome(result.payload, result.error["errorType"] if failed and result.error else "")

    @property
    def log(self) -> str:
        """Everything logged so far."""
        return "\n".join(self.environment.logs)


def find_rie() -> Path | None:
    """AWS's emulator, as the SAM CLI's wheel carries it; `make sam` installs that."""
    arch = "arm64" if platform.machine() in ("arm64", "aarch64") else "x86_64"
    venv = Path(os.environ.get("LAMINA_SAM_VENV") or ROOT / ".venv-sam")
    pattern = f"lib/python3.*/site-packages/samcli/local/rapid/aws-lambda-rie-{arch}"
    return next(iter(venv.glob(pattern)), None)


class RieJudge:
    """AWS's Runtime Interface Emulator around the same bootstrap."""

    def __init__(self, opt: Path, python: str, task_root: Path, environ: dict[str, str]) -> None:
        rie = find_rie()
        assert rie is not None
        api, self._port = _free_ports()
        self._argv = [
            str(rie),
            "--runtime-api-address",
            f"127.0.0.1:{api}",
            "--runtime-interface-emulator-address",
            f"127.0.0.1:{self._port}",
            str(opt / "bootstrap"),
            python,
            "/var/runtime/bootstrap.py",
        ]
        self._task_root = task_root
        self._environ = {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "LAMBDA_TASK_ROOT": str(task_root),
            "AWS_LAMBDA_FUNCTION_TIMEOUT": str(int(TIMEOUT)),
            **environ,
        }

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
        await self._wait_until_listening()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._client.aclose()
        os.killpg(self._process.pid, 9)  # the emulator leaves its runtime behind otherwise
        await self._process.wait()

    async def invoke(self, event: Any) -> Outcome:
        """See Judge."""
        reply = await self._client.post(
            "/2015-03-31/functions/function/invocations", content=json.dumps(event).encode()
        )
        return Outcome(reply.content, _error_type(reply.content))

    async def _wait_until_listening(self) -> None:
        for _ in range(200):
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", self._port)
            except OSError:
                await asyncio.sleep(0.025)
            else:
                writer.close()
                return
        raise AssertionError("the emulator does not listen")


def _error_type(payload: bytes) -> str:
    try:
        found = json.loads(payload)
    except ValueError:
        return ""
    return str(found.get("errorType", "")) if isinstance(found, dict) else ""


def _free_ports() -> tuple[int, int]:
    with socket.socket() as one, socket.socket() as two:
        one.bind(("127.0.0.1", 0))
        two.bind(("127.0.0.1", 0))
        return one.getsockname()[1], two.getsockname()[1]
