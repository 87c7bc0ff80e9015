"""The rows of the matrix: every framework, and what it lacks by its own design."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from tests.matrix.contract import HTTP, Contract
from tests.matrix.fastapi import FASTAPI
from tests.matrix.files import DJANGO, FLASK
from tests.matrix.graphql import GRAPHQL
from tests.matrix.mcp import MCP
from tests.matrix.sockets import GRAPHQL_WEBSOCKET, WEBSOCKET, SocketContract

ABILITIES = (*HTTP, *WEBSOCKET)
"""What the table has a column for, in its order."""

EXAMPLES = Path(__file__).parents[2] / "examples"


class Framework(NamedTuple):
    """An example application and how it is run.

    `package` is the distribution whose version the table shows; `lacks` has an ability's name
    and the reason; `mode` is the ASGI_BASE_PATH_MODE that suits it; `pins` replace lines of
    the example's requirements.
    """

    name: str
    title: str
    package: str = ""
    mode: str = "mount"
    example: str = ""
    pins: Mapping[str, str] = {}
    contract: Contract = HTTP
    sockets: SocketContract = WEBSOCKET
    lacks: Mapping[str, str] = {}

    @property
    def abilities(self) -> tuple[str, ...]:
        """What there is a check for."""
        return (*self.contract, *self.sockets)

    @property
    def page(self) -> str:
        """The file of its page in docs/frameworks."""
        return f"{self.example or self.name}.md"

    @property
    def folder(self) -> Path:
        """Where the example is."""
        return EXAMPLES / (self.example or self.name)

    @property
    def requirements(self) -> tuple[str, ...]:
        """What pip is to install."""
        lines = (self.folder / "requirements.txt").read_text().split("\n")
        return tuple(self.pins.get(line, line) for line in lines if line)

    def at(self, version: str) -> Framework:
        """The same with its own package pinned to `version`."""
        own = [line for line in self.requirements if line.partition("[")[0] == self.package]
        return self._replace(pins={**self.pins, **{line: f"{line}=={version}" for line in own}})


DJANGO_LACKS = dict.fromkeys(
    ("lifespan", *WEBSOCKET), "Django's ASGI application takes only HTTP; Channels adds WebSockets"
)

MCP_LACKS = dict.fromkeys(
    ("form", "upload", "cookies", "redirect", "stream", "static", "URLs", *WEBSOCKET),
    "MCP has only JSON and server-sent events, on one path",
)

FRAMEWORKS = (
    Framework("bare", "bare ASGI"),
    Framework("starlette", "Starlette", "starlette"),
    Framework("fastapi", "FastAPI", "fastapi", contract=FASTAPI),
    Framework(
        "responder",
        "Responder",
        "responder",
        mode="strip",
        lacks={"URLs": "Responder matches the whole path and does not look at root_path"},
    ),
    Framework(
        "quart",
        "Quart",
        "quart",
        lacks={
            "WS end": "Quart tells an endpoint the end by cancelling it, and every event ends so"
        },
    ),
    Framework(
        "sanic",
        "Sanic",
        "sanic",
        mode="strip",
        lacks={"URLs": "Sanic matches the whole path and does not look at root_path"},
    ),
    Framework(
        "django-lts",
        "Django 5.2 LTS",
        "django",
        example="django",
        pins={"django": "django==5.2.*"},
        contract=DJANGO,
        sockets={},
        lacks=DJANGO_LACKS,
    ),
    Framework("django", "Django", "django", contract=DJANGO, sockets={}, lacks=DJANGO_LACKS),
    Framework(
        "flask",
        "Flask",
        "flask",
        contract=FLASK,
        sockets={},
        lacks=dict.fromkeys(("lifespan", *WEBSOCKET), "WSGI has no lifespan and no WebSockets"),
    ),
    Framework(
        "channels",
        "Channels",
        "channels",
        lacks={
            "lifespan": "ProtocolTypeRouter takes http and websocket, and Django has no lifespan"
        },
    ),
    Framework("litestar", "Litestar", "litestar"),
    Framework(
        "falcon",
        "Falcon",
        "falcon",
        mode="strip",
        lacks={"URLs": "Falcon matches the whole path, although it puts root_path into URLs"},
    ),
    Framework("blacksheep", "BlackSheep", "blacksheep"),
    Framework(
        "connexion",
        "Connexion",
        "connexion",
        sockets={},
        lacks=dict.fromkeys(WEBSOCKET, "Connexion routes what OpenAPI describes, which is HTTP"),
    ),
    Framework(
        "strawberry",
        "Strawberry",
        "strawberry-graphql",
        contract=GRAPHQL,
        sockets=GRAPHQL_WEBSOCKET,
        lacks={
            "form": "GraphQL takes JSON, and multipart for uploads",
            "redirect": "A GraphQL server does not redirect",
            "404": "The application answers at every path",
            "static": "A GraphQL server has no files",
            "lifespan": "The application takes http and websocket only",
            "URLs": "A GraphQL server makes no URLs",
            **dict.fromkeys(
                WEBSOCKET,
                "Strawberry keeps `connection_init` in a variable, and each message is a new run",
            ),
        },
    ),
    Framework(
        "fasthtml",
        "FastHTML",
        "python-fasthtml",
        lacks={
            "validation": "FastHTML answers 404 if a parameter does not convert",
            "WS end": "FastHTML calls `disconn` in a `finally`, which is the end of every event",
        },
    ),
    Framework("mcp", "MCP server", "mcp", contract=MCP, sockets={}, lacks=MCP_LACKS),
    Framework("fastmcp", "FastMCP", "fastmcp", contract=MCP, sockets={}, lacks=MCP_LACKS),
)
