"""Tries what a Lambda environment forbids, and what it allows."""

import json
import os
from pathlib import Path

LEFT = []


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        raise RuntimeError("no lifespan")
    result = ROUTES[scope["path"]]()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": json.dumps(result).encode()})


def about():
    home = os.path.expanduser("~")
    return {
        "user": os.getuid(),
        "pid": os.getpid(),
        "cwd": os.getcwd(),
        "home": home,
        "home exists": os.path.exists(home),
    }


def write_tmp():
    return Path("/tmp/note").write_text("kept")


def write_task():
    return Path("/var/task/uploads").write_text("lost")


def write_opt():
    return Path("/opt/python/lamella/note").write_text("lost")


def write_home():
    return Path("~/.cache").expanduser().mkdir(parents=True)


def devour():
    while True:
        LEFT.append(bytes(os.urandom(1 << 20)))


ROUTES = {
    f"/{function.__name__}": function
    for function in (about, write_tmp, write_task, write_opt, write_home, devour)
}
