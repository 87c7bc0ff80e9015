"""An application that trusts nothing: it checks each scope against the ASGI specification.

It answers 200 with what it saw, or with `not ASGI: ...` where something is wrong.
https://asgi.readthedocs.io/en/latest/specs/www.html
"""

import json
import re

TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, section 5.6.2


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        raise ValueError("no lifespan here")
    if scope["type"] == "websocket":
        await receive()
        faults = list(faults_of(scope))
        await send({"type": "websocket.close", "reason": "not ASGI: " + "; ".join(faults)})
        return
    message = await receive()
    faults = [*faults_of(scope), *faults_of_request(scope, message)]
    seen = {"method": scope["method"], "path": scope["path"], "size": len(message["body"])}
    text = "not ASGI: " + "; ".join(faults) if faults else json.dumps(seen)
    headers = [(b"content-type", b"text/plain; charset=utf-8")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": text.encode("utf-8", "replace")})


def faults_of(scope):
    """What is wrong with the part of a scope that HTTP and WebSockets share."""
    for name, kind in KINDS.items():
        if not isinstance(scope[name], kind):
            yield f"{name} is {scope[name]!r}"
    for name in ("path", "root_path", "scheme"):
        if any("\ud800" <= letter <= "\udfff" for letter in scope[name]):
            yield f"{name} has half a surrogate pair: {scope[name]!r}"
    for name in ("client", "server"):
        if scope[name] is not None and not is_address(scope[name]):
            yield f"{name} is {scope[name]!r}"
    for name, value in scope["headers"]:
        if not TOKEN.fullmatch(name) or name != name.lower():
            yield f"a header's name is {name!r}"
        if set(b"\r\n\0") & set(value):
            yield f"the value of {name!r} is {value!r}"


KINDS = {
    "http_version": str,
    "scheme": str,
    "path": str,
    "raw_path": bytes,
    "query_string": bytes,
    "root_path": str,
    "headers": list,
    "state": dict,
    "extensions": dict,
}


def is_address(pair):
    host, port = pair
    return isinstance(host, str) and (port is None or type(port) is int)


def faults_of_request(scope, message):
    """What is wrong with the method, and with a body that is not as long as it says."""
    if not TOKEN.fullmatch(scope["method"].encode("utf-8", "replace")):
        yield f"the method is {scope['method']!r}"
    if scope["method"] != scope["method"].upper():
        yield f"the method is {scope['method']!r}"
    if not isinstance(message["body"], bytes) or message["more_body"]:
        yield f"the body is {message!r}"
