"""Event sources: pure functions between Lambda's events and `Request`, `Response`, results.

Nothing in this package does I/O, knows asyncio or reads the environment. `registry.find` says
which source an event came from, `registry.load` imports that source's codec.
"""
