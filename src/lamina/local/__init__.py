"""The local Lambda: a Lambda on this machine, for a laptop and for Lamina's own tests.

    config = FunctionConfig(Path("."), wrapper=Path("layer/bootstrap"))
    async with Environment(config) as environment:
        result = await environment.invoke({"hello": "world"})

Never part of the layer.
"""

from __future__ import annotations

from .config import FunctionConfig
from .environment import Environment, EnvironmentState
from .function import LocalFunction, Throttled
from .invocation import Answer, InvokeResult
from .sandbox import Failure
from .snapshot import Snapshot

__all__ = [
    "Answer",
    "Environment",
    "EnvironmentState",
    "Failure",
    "FunctionConfig",
    "InvokeResult",
    "LocalFunction",
    "Snapshot",
    "Throttled",
]
