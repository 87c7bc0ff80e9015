"""The front doors: one module for each event source, from AWS's side."""

from __future__ import annotations

from .alb import LoadBalancer
from .door import FrontDoor, HttpRequest, HttpResponse, Malformed, Trouble
from .http import HttpApi
from .lattice import Lattice
from .rest import RestApi
from .url import FunctionUrl

__all__ = [
    "FrontDoor",
    "FunctionUrl",
    "HttpApi",
    "HttpRequest",
    "HttpResponse",
    "Lattice",
    "LoadBalancer",
    "Malformed",
    "RestApi",
    "Trouble",
]
