"""An application with its own signal handler: set at import, in startup, or with the loop."""

import asyncio
import os
import signal

NUMBER = int(os.environ.get("NUMBER") or signal.SIGTERM)


def bye(number, frame):
    print("own handler", flush=True)
    if "FAILS" in os.environ:
        raise ValueError("odd")
    raise SystemExit(0)


if os.environ["WHERE"] == "import":
    signal.signal(NUMBER, bye)


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        if os.environ["WHERE"] == "startup":
            signal.signal(NUMBER, bye)
        if os.environ["WHERE"] == "loop":
            asyncio.get_running_loop().add_signal_handler(NUMBER, bye, NUMBER, None)
        await send({"type": "lifespan.startup.complete"})
        await receive()
        print("lifespan shutdown", flush=True)
        await send({"type": "lifespan.shutdown.complete"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b'"hello"'})
