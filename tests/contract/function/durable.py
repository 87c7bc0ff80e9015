"""A durable function without AWS's SDK: it succeeds at once, and says which keys its event has."""

import json

from answers import answer_json, lifespan, whole_body


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
    elif scope["path"] == "/events":
        keys = sorted(json.loads(await whole_body(receive)))
        await answer_json(send, {"Status": "SUCCEEDED", "Result": json.dumps({"keys": keys})})
    else:
        await answer_json(send, {"path": scope["path"]})
