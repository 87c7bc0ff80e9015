"""The library way: an adapter in the function's own code, plain and behind a decorator."""

import asyncio
import functools

from bare import app

import lamella

asyncio.run(asyncio.sleep(0))  # what some code does at import

handler = lamella.Adapter(app, base_path="/api")


def decorated(function):
    """What Powertools does: read the name, wrap."""

    @functools.wraps(function)
    def wrapper(event, context):
        assert function.__name__ == "handler"
        return function(event, context)

    return wrapper


wrapped = decorated(handler)
