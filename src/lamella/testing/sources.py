"""The event sources by name."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from lamella.front_doors import FrontDoor, FunctionUrl, HttpApi, Lattice, LoadBalancer, RestApi
from lamella.front_doors.door import REGION
from lamella.front_doors.http import DOMAIN as API_DOMAIN
from lamella.front_doors.url import DOMAIN as URL_DOMAIN
from lamella.testing.edge import DOMAIN as EDGE_DOMAIN
from lamella.testing.edge import Edge
from lamella.testing.http_api_v1 import HttpApiV1

SOURCES: dict[str, Callable[[], FrontDoor]] = {
    "url": FunctionUrl,
    "http": HttpApi,
    "http-v1": HttpApiV1,
    "rest": RestApi,
    "alb": LoadBalancer,
    "alb-multi-value": partial(LoadBalancer, multi_value=True),
    "lattice": Lattice,
    "lattice-v1": partial(Lattice, version=1),
    "edge": Edge,
}
"""A front door with its defaults for each name."""

OTHER_NAMES = {
    "function-url": "url",
    "http-api": "http",
    "http-v2": "http",
    "http-api-v1": "http-v1",
    "http-api-v2": "http",
    "rest-api": "rest",
    "load-balancer": "alb",
    "vpc-lattice": "lattice",
    "lattice-v2": "lattice",
    "lambda-edge": "edge",
    "cloudfront": "edge",
}

_HOSTS = {
    "url": URL_DOMAIN,
    "http": API_DOMAIN,
    "rest": API_DOMAIN,
    "alb": f"local-1234567890.{REGION}.elb.amazonaws.com",
    "lattice": f"local-svc-0123456789abcdef0.7d67968.vpc-lattice-svcs.{REGION}.on.aws",
    "edge": EDGE_DOMAIN,
}


def front_door(source: str | FrontDoor) -> FrontDoor:
    """The front door of a name such as "http-api", or the one given.

    Raises ValueError for a name that is none.
    """
    if isinstance(source, FrontDoor):
        return source
    name = source.strip().lower().replace("_", "-").replace(" ", "-")
    make = SOURCES.get(OTHER_NAMES.get(name, name))
    if make is None:
        raise ValueError(
            f"{source!r} is no event source. Names: {', '.join(SOURCES)}; "
            f"also {', '.join(OTHER_NAMES)}."
        )
    return make()


def host(door: FrontDoor) -> str:
    """The host name that AWS would give to what the front door stands for."""
    return _HOSTS[door.name]
