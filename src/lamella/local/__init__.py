"""The local Lambda: a Lambda on this machine, for a laptop and for Lamella's own tests.

    config = FunctionConfig(Path("."), wrapper=Path("layer/bootstrap"))
    async with Environment(config) as environment:
        result = await environment.invoke({"hello": "world"})

Never part of the layer.
"""

from __future__ import annotations

from lamella.front_doors.answer import Answer, InvokeResult
from lamella.front_doors.delivery import Throttled
from lamella.local.config import FunctionConfig
from lamella.local.environment import Environment, EnvironmentState
from lamella.local.function import LocalFunction
from lamella.local.sandbox import Failure

__all__ = [
    "Answer",
    "Environment",
    "EnvironmentState",
    "Failure",
    "FunctionConfig",
    "InvokeResult",
    "LocalFunction",
    "Throttled",
]
