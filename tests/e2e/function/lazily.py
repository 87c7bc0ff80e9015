"""A function that tells which of its imports are loaded."""

import colorsys
import sys

import lazily_needed
from bare import answer

NAMES = ("colorsys", "lazily_needed", "wave")


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        raise NotImplementedError("lifespan")
    before = [name for name in NAMES if name in sys.modules]
    await answer(send, {"before": before, "one": colorsys.ONE_THIRD, "wave": lazily_needed.name()})
