"""A function whose import takes its time, or fails after it; each import leaves a mark.

It takes the seconds of TAKES, and lasts until there is a file GO.
"""

import asyncio
import os
import time

from bare import answer

with open(os.environ["MARKS"], "a") as marks:
    marks.write("import\n")
time.sleep(float(os.environ.get("TAKES", "0")))
while "GO" in os.environ and not os.path.exists(os.environ["GO"]):
    time.sleep(0.01)
if os.environ.get("FAILS"):
    raise ValueError("no model in the package")


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await asyncio.sleep(float(os.environ.get("STARTS_IN", "0")))
        await send({"type": "lifespan.startup.complete"})
        await receive()
        print("lifespan shutdown", flush=True)
        await send({"type": "lifespan.shutdown.complete"})
        return
    await answer(send, {"path": scope["path"], "pid": os.getpid()})
