"""Commands on the deployed function: `python manage.py migrate`, sent by Invoke.

    {"lamella.command": ["python", "manage.py", "migrate"]}  ──▶  {"exit_code": 0, "output": "..."}

Only with `ASGI_COMMANDS=on`, and only with a client context that says so. A caller of Invoke sets
that, and no service can: an IoT rule, a step of Step Functions or an API without proxy integration
hand on what somebody else wrote as the whole event, but never a client context. Lambda passes one
to synchronous invocations only, https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html.
"""

from __future__ import annotations

import asyncio
import codecs
import contextlib
import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from lamella.errors import InvocationError
from lamella.invocation import Invocation
from lamella.types import ASGIApp, Scope

if TYPE_CHECKING:
    from lamella.ports import Outcome

logger = logging.getLogger("lamella")

COMMAND = "lamella.command"
CLIENT_CONTEXT = {"custom": {COMMAND: "invoke"}}
"""What the caller says besides the event."""

KEPT = 500_000
"""Characters of the output's end in the result, which may have 6 MB as JSON; the log has all."""

DRAIN_LIMIT = 1.0
"""Seconds for the last output, which a process that has left the command's group may hold up."""

KILLED_AT_DEADLINE = 124  # as timeout(1) has it
NOT_EXECUTABLE, NOT_FOUND = 126, 127  # as shells have it


def open_command(invocation: Invocation, outcome: Outcome) -> CommandCycle | None:
    """The cycle that runs the event's command; None where it is refused, and answered."""
    context = getattr(invocation.context, "client_context", None)
    custom = getattr(context, "custom", None)
    command = invocation.event[COMMAND]
    if not isinstance(custom, dict) or custom.get(COMMAND) != CLIENT_CONTEXT["custom"][COMMAND]:
        outcome.fail(
            InvocationError(
                "A command is run for a caller of Invoke only, who shows that by the client "
                'context {"custom": {"lamella.command": "invoke"}}. lamella invoke FUNCTION -- '
                "COMMAND sends it."
            )
        )
    elif len(invocation.event) > 1 or not _is_command(command):
        outcome.fail(
            InvocationError(
                'A command is a list of texts and nothing else beside it, {"lamella.command": '
                f'["python", "manage.py", "migrate"]}}, not {invocation.event!r:.200}.'
            )
        )
    else:
        return CommandCycle(command, outcome)
    return None


def _is_command(value: Any) -> bool:
    if not isinstance(value, list) or not value or not value[0]:
        return False
    try:
        return all(isinstance(word, str) and b"\0" not in os.fsencode(word) for word in value)
    except UnicodeEncodeError:  # JSON can spell half of a surrogate pair, and no process gets one
        return False


class CommandCycle:
    """Runs a command as a child of this process, and answers with its exit code and output.

    The child has a process group of its own. Nothing of that outlives the invocation.
    """

    def __init__(self, command: list[str], outcome: Outcome) -> None:
        self.scope: Scope = {}
        self.name = f"command {command[0]!r}"  # the arguments may hold secrets
        self.status = 0  # the exit code
        self.ended_at = 0.0
        self.fatal: BaseException | None = None
        self.abandoned = False
        self._command = command
        self._outcome = outcome
        self._output = ""
        self._group: int | None = None
        self._answered = False

    async def run(self, app: ASGIApp) -> None:
        """Run the command to its end; the application has no part in it."""
        try:
            self._answer(await self._run())
        except asyncio.CancelledError:
            self._answer(KILLED_AT_DEADLINE)
        except OSError as error:
            code = NOT_FOUND if isinstance(error, FileNotFoundError) else NOT_EXECUTABLE
            self._say(
                f"lamella: {self._command[0]!r} cannot be run ({error.strerror}). For a package's "
                "command write python -m PACKAGE.\n"
            )
            self._answer(code)

    async def _run(self) -> int:
        """The exit code, 128 and its number for a signal."""
        root = os.environ.get("LAMBDA_TASK_ROOT") or os.getcwd()
        environ = {
            "PYTHONUNBUFFERED": "1",
            **os.environ,
            # The interpreter itself would find neither the function's packages nor the layers'.
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
            "PATH": os.pathsep.join([f"{root}/bin", os.environ.get("PATH", os.defpath)]),
        }
        program, *arguments = self._command
        if program in ("python", "python3"):
            program = sys.executable
        output = _Output(self._say)
        transport, _ = await asyncio.get_running_loop().subprocess_exec(
            lambda: output,
            program,
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            cwd=root,
            env=environ,
            start_new_session=True,
        )
        self._group = transport.get_pid()
        try:
            await output.exited.wait()
        finally:  # also where this task is cancelled, at the deadline
            self._kill()
            await output.exited.wait()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(output.complete.wait(), DRAIN_LIMIT)
            transport.close()
        code = transport.get_returncode()
        assert code is not None  # it has exited
        return code if code >= 0 else 128 - code

    def _say(self, text: str) -> None:
        """Keep for the result, and write to the function's log."""
        self._output = (self._output + text)[-KEPT:]
        with contextlib.suppress(Exception):  # whatever the application has made of stdout
            sys.stdout.write(text)
            sys.stdout.flush()

    def abandon(self, status: int, reason: str) -> None:
        """End the command: the deadline is here, or the environment's end."""
        self.abandoned = True
        self._kill()
        why = (
            "the function's timeout is here; raise it" if status == 504 else "the environment ends"
        )
        self._say(f"lamella: the command was killed: {why}.\n")
        self._answer(KILLED_AT_DEADLINE)

    def _answer(self, code: int) -> None:
        if not self._answered:
            self._answered = True
            self.status = code
            self.ended_at = time.monotonic()
            self._outcome.send({"exit_code": code, "output": self._output})

    def _kill(self) -> None:
        if self._group is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._group, signal.SIGKILL)


class _Output(asyncio.SubprocessProtocol):
    """Hands on what the child writes. It may have ended while another process has its pipe."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self.exited = asyncio.Event()
        self.complete = asyncio.Event()
        self._say = say
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        self._say(self._decoder.decode(data))

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        self._say(self._decoder.decode(b"", final=True))
        self.complete.set()

    def process_exited(self) -> None:
        self.exited.set()
