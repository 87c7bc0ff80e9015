"""A model without a model: fixed answers in its place, so that the example runs anywhere.

Put the client of your provider into `think`: it gets the history, and yields the words as they
come and the calls of tools that the model wants.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import NamedTuple


class Message(NamedTuple):
    """One message of the conversation."""

    role: str
    content: str


class Call(NamedTuple):
    """A tool that the model wants to use; `arguments` is JSON."""

    tool: str
    arguments: str


async def think(history: list[Message]) -> AsyncIterator[str | Call]:
    """Yield what the model says to `history`, and what it calls."""
    last = history[-1]
    text = f"It is {last.content}." if last.role == "tool" else "I look at the thermometer."
    for word in text.split(" "):
        await asyncio.sleep(0.1)
        yield word + " "
    if last.role != "tool":
        yield Call("temperature", json.dumps({"place": last.content}))


async def temperature(arguments: str) -> str:
    """Measure the temperature of a place."""
    place = json.loads(arguments)["place"]
    if not place:
        raise ValueError("the message is empty: name a place")
    return f"21 degrees in {place}"


TOOLS: dict[str, Callable[[str], Awaitable[str]]] = {"temperature": temperature}
