"""The front doors: one module for each event source, from AWS's side."""

from __future__ import annotations

from lamella.front_doors.alb import LoadBalancer
from lamella.front_doors.door import FrontDoor, HttpRequest, HttpResponse, Malformed, Trouble
from lamella.front_doors.edge import Edge
from lamella.front_doors.http import HttpApi
from lamella.front_doors.http_v1 import HttpApiV1
from lamella.front_doors.lattice import Lattice
from lamella.front_doors.rest import RestApi
from lamella.front_doors.url import FunctionUrl

__all__ = [
    "Edge",
    "FrontDoor",
    "FunctionUrl",
    "HttpApi",
    "HttpApiV1",
    "HttpRequest",
    "HttpResponse",
    "Lattice",
    "LoadBalancer",
    "Malformed",
    "RestApi",
    "Trouble",
]
