"""An application that does what its request says: a list of ASGI messages to send, pickled.

A step is ("send", message), ("receive",) or ("pause", seconds). With `stubborn` it goes on after
an error of send() or receive(), as an application with a broad `except` does.
"""

import asyncio
import pickle


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        raise ValueError("no lifespan here")
    stubborn, steps = pickle.loads((await receive())["body"])
    for name, *arguments in steps:
        try:
            await STEPS[name](receive, send, *arguments)
        except Exception:
            if not stubborn:
                raise


async def send_it(receive, send, message):
    await send(message)


async def receive_one(receive, send):
    """receive() waits until the response is over, so not for long."""
    await asyncio.wait_for(receive(), 0.01)


async def pause(receive, send, seconds):
    await asyncio.sleep(seconds)


STEPS = {"send": send_it, "receive": receive_one, "pause": pause}
