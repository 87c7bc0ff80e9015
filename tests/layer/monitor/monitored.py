"""An application that answers every request with what the monitor has seen."""

import json
import sys

import sitecustomize


async def app(scope, receive, send):
    """Support lifespan, so that the layer imports all that a start can need."""
    message = await receive()
    if message["type"] == "lifespan.startup":
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    watched = sitecustomize.folder
    specs = [getattr(module, "__spec__", None) for module in list(sys.modules.values())]
    files = [spec.cached or "" for spec in specs if spec]
    modules = [path.removeprefix(watched) for path in files if path.startswith(watched)]
    content = {**sitecustomize.report(), "modules": modules}
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": json.dumps(content).encode()})
