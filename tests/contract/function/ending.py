"""An application that writes down how long it lives after SIGTERM.

The event {"do": "block"} holds the process until the function's timeout, after which Lambda sends
SIGTERM; {"do": "tell"} gives the milliseconds that were written then, and whether this sandbox is
the one that was blocked. The files are in /tmp, which Lambda keeps where it starts the process
again.
"""

import json
import signal
import tempfile
import time
from pathlib import Path

from answers import answer_json, lifespan, whole_body

lived = Path(tempfile.gettempdir(), "lived-after-sigterm")
blocked = Path(tempfile.gettempdir(), "blocked")


def terminated(number, frame):
    """Writes the milliseconds since the signal until SIGKILL ends it, or three seconds are over."""
    began = time.monotonic()
    with lived.open("w", buffering=1) as file:
        while time.monotonic() < began + 3:
            file.write(f"{(time.monotonic() - began) * 1000:.0f}\n")
            time.sleep(0.01)


async def app(scope, receive, send):
    if scope["type"] == "lifespan":  # because of it Lamella registers for SIGTERM
        await lifespan(receive, send)
        return
    event = json.loads(await whole_body(receive))
    if event["do"] == "block":
        blocked.touch()
        signal.signal(signal.SIGTERM, terminated)  # in place of Lamella's
        time.sleep(60)  # noqa: ASYNC251 - nothing else is to run, as in an application that hangs
    written = lived.read_text().split() if lived.exists() else []
    milliseconds = [int(each) for each in written]
    await answer_json(send, {"blocked": blocked.exists(), "milliseconds": milliseconds})
