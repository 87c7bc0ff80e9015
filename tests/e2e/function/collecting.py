"""An application that tells how often garbage was collected in its import, and what is set now."""

import gc
import json

COLLECTIONS = []
gc.callbacks.append(lambda phase, info: COLLECTIONS.append(phase))
KEPT = [[] for _ in range(100_000)]  # many more than make Python collect garbage
IN_IMPORT = len(COLLECTIONS)


async def app(scope, receive, send):
    content = {
        "in import": IN_IMPORT,
        "collects": gc.isenabled() and gc.get_threshold()[0] > 0,
        "keeps": gc.get_freeze_count() > len(KEPT),
    }
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": json.dumps(content).encode()})
