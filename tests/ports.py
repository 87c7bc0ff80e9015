"""Ports for servers that tests start, and that cannot choose one by themselves."""

from __future__ import annotations

import random
import socket

BELOW_EPHEMERAL = range(20_000, 32_768)
"""Linux gives a connection a port of 32768 to 60999 when it is made: a port of those, free a moment
ago, may belong to somebody's connection by the time that a server asks for it."""

_shuffled = iter(random.sample(BELOW_EPHEMERAL, len(BELOW_EPHEMERAL)))


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on, nor will by chance; another for each call."""
    for port in _shuffled:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
    raise RuntimeError("every port has been tried")
