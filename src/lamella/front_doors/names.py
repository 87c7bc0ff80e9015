"""The front doors by name: `lamella run --front-door NAME`, and `source=` in lamella.testing."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from lamella.front_doors.alb import LoadBalancer
from lamella.front_doors.door import FrontDoor
from lamella.front_doors.edge import Edge
from lamella.front_doors.http import HttpApi
from lamella.front_doors.http_v1 import HttpApiV1
from lamella.front_doors.lattice import Lattice
from lamella.front_doors.rest import RestApi
from lamella.front_doors.url import FunctionUrl

FRONT_DOORS: dict[str, Callable[[], FrontDoor]] = {
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


def front_door(name: str) -> FrontDoor:
    """The front door of a name. Raises ValueError for another name."""
    if name not in FRONT_DOORS:
        known = ", ".join(f"{each} ({make().label})" for each, make in FRONT_DOORS.items())
        raise ValueError(f"There is no front door {name!r}. Choose one of {known}.")
    return FRONT_DOORS[name]()
