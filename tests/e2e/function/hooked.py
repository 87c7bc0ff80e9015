"""A function with hooks: before the freeze, and libraries that want to be flushed."""

import sys
import types

from bare import app  # noqa: F401  what ASGI_APP names

import lamella

FLUSHED = []


@lamella.before_freeze
async def first():
    print("hook: async", flush=True)


@lamella.before_freeze
def second():
    print("hook: sync", flush=True)


@lamella.before_freeze
def broken():
    raise ValueError("the hook's own fault")


sentry = types.ModuleType("sentry_sdk")
sentry.flush = lambda: print("hook: sentry", flush=True)
sys.modules["sentry_sdk"] = sentry
