"""What a function is configured with: the local counterpart of Lambda's function configuration."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lamella.front_doors.door import ACCOUNT_ID
from lamella.local.machine.interpreter import folders_of
from lamella.local.machine.limits import OPT, Limits


@dataclass(frozen=True)
class FunctionConfig:
    """One function: its code, how its runtime starts, and its limits.

    The runtime starts as `[wrapper, python, "/var/runtime/bootstrap.py"]` (what Lambda does
    with AWS_LAMBDA_EXEC_WRAPPER), or as `command` where there is no wrapper. One of the two
    must be given. The wrapper's directory stands for /opt. `environment` is the user's part
    of the variables. Times are seconds, memory MB (2**20 bytes).

    `max_concurrency` makes it a function on managed instances, with so many invocations at a
    time in one environment; `snap_start` one whose runtime is held in /restore/next between its
    init and its first event. Lambda allows one of the two. `init_timeout` None is Lambda's own.
    `limits` are enforced if they are given. With `debug` the process has this one's terminal, and
    nothing has a time limit.
    """

    task_root: Path
    wrapper: Path | None = None
    command: tuple[str, ...] = ()
    handler: str = "lamella.handler"
    python: str = sys.executable
    environment: Mapping[str, str] = field(default_factory=dict)
    name: str = "local"
    region: str = "us-east-1"
    memory: int = 512
    timeout: float = 30.0
    init_timeout: float | None = None
    freeze: bool = True
    invocation_ids: bool = True
    max_concurrency: int | None = None
    snap_start: bool = False
    limits: Limits | None = None
    debug: bool = False

    def __post_init__(self) -> None:
        if (self.wrapper is None) == (not self.command):
            raise ValueError("give FunctionConfig a wrapper or a command, and not both")
        if self.max_concurrency is not None and self.max_concurrency < 1:
            raise ValueError(f"max_concurrency={self.max_concurrency}: it must be 1 or more")
        if self.managed and self.snap_start:
            raise ValueError("managed instances (max_concurrency) know no SnapStart: choose one")

    @property
    def freezes(self) -> bool:
        """Whether environments are frozen between events; on managed instances none is."""
        return self.freeze and not self.managed

    @property
    def managed(self) -> bool:
        """Whether the function runs on Lambda Managed Instances."""
        return self.max_concurrency is not None

    @property
    def initialization_type(self) -> str:
        """AWS_LAMBDA_INITIALIZATION_TYPE."""
        if self.managed:
            return "lambda-managed-instances"
        return "snap-start" if self.snap_start else "on-demand"

    @property
    def init_limit(self) -> float:
        """Seconds for the init phase: 10 on demand; before a snapshot and on managed instances
        130 or the function's timeout, at most 15 minutes,
        https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html."""
        if self.init_timeout is not None:
            return self.init_timeout
        if self.managed or self.snap_start:
            return min(max(130.0, self.timeout), 900.0)
        return 10.0

    @property
    def arn(self) -> str:
        """The unqualified ARN of the function."""
        return f"arn:aws:lambda:{self.region}:{ACCOUNT_ID}:function:{self.name}"

    @property
    def argv(self) -> list[str]:
        """The command line of the runtime process."""
        argv = list(self.command)
        if self.wrapper is not None:
            argv = [str(self.wrapper), self.python, "/var/runtime/bootstrap.py"]
        return argv if self.limits is None else self.limits.command(self._kept, argv, self._opt)

    @property
    def not_at_opt(self) -> str:
        """Why the layers are not at /opt on this machine, and what to change; "" where they are."""
        if self._opt in (None, OPT):
            return ""
        if self.limits is None:
            option = "--debug" if self.debug else "--no-limits"
            return f"the limits are off, which bring them there: start without {option}"
        return self.limits.hindrance(self._kept)

    @property
    def _opt(self) -> Path | None:
        return None if self.wrapper is None else self.wrapper.parent

    @property
    def _kept(self) -> list[Path]:
        """Folders that the function needs where they are."""
        kept = [self.task_root, *folders_of(self.python)]
        return kept if self._opt is None else [*kept, self._opt]


def refused_variable(variables: Mapping[str, str], unknown: Iterable[str] = ()) -> str:
    """The first of a function's variables that Lambda does not take, and why; "" where there is
    none. Of the `unknown` ones only the names are known, and these come first
    (https://docs.aws.amazon.com/lambda/latest/api/API_Environment.html).
    """
    for name, value in {**dict.fromkeys(unknown, ""), **variables}.items():
        if not re.fullmatch("[a-zA-Z][a-zA-Z0-9_]+", name):
            return (
                f"a variable {name!r}, which Lambda refuses: a name has two characters or more, "
                "begins with a letter, and goes on with letters, digits and underscores"
            )
        if "\0" in value:
            return f"a NUL character in its variable {name}: remove it"
    return ""
