"""A GraphQL API with Strawberry."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator

import strawberry
from starlette.background import BackgroundTask
from strawberry.asgi import GraphQL
from strawberry.extensions import MaskErrors
from strawberry.file_uploads import Upload
from strawberry.subscriptions import (
    GRAPHQL_SSE_PROTOCOL,
    GRAPHQL_TRANSPORT_WS_PROTOCOL,
    MULTIPART_SUBSCRIPTION_PROTOCOL,
)
from strawberry.types import Info

done = 0


@strawberry.type
class File:
    """What came of an upload."""

    filename: str
    size: int
    sha256: str


@strawberry.type
class Query:
    """What can be asked."""

    done: int = strawberry.field(resolver=lambda: done)

    @strawberry.field
    async def hello(self) -> str:
        return "wörld"

    @strawberry.field
    async def echo(self, value: str) -> str:
        return value

    @strawberry.field
    async def count(self, count: int) -> int:
        return count

    @strawberry.field
    async def error(self) -> str:
        raise RuntimeError("this is the example's unhandled error")


@strawberry.type
class Mutation:
    """What can be done."""

    @strawberry.mutation
    async def upload(self, file: Upload) -> File:
        data = await file.read()
        digest = hashlib.sha256(data).hexdigest()
        return File(filename=file.filename, size=len(data), sha256=digest)

    @strawberry.mutation
    async def cookies(self, info: Info) -> bool:
        info.context["response"].set_cookie("first", "1")
        info.context["response"].set_cookie("second", "2")
        return True

    @strawberry.mutation
    async def start_job(self, info: Info) -> bool:
        info.context["response"].background = BackgroundTask(job)
        return True


async def job() -> None:
    """Work that the client does not wait for."""
    await asyncio.sleep(0.1)
    global done
    done += 1


@strawberry.type
class Subscription:
    """What can be followed."""

    @strawberry.subscription
    async def ticks(self) -> AsyncIterator[int]:
        for number in range(3):
            yield number
            await asyncio.sleep(0.1)


schema = strawberry.Schema(
    Query,
    Mutation,
    Subscription,
    extensions=[lambda: MaskErrors(should_mask_error=lambda error: error.original_error)],
)
app = GraphQL(
    schema,
    multipart_uploads_enabled=True,
    subscription_protocols=[
        GRAPHQL_SSE_PROTOCOL,
        MULTIPART_SUBSCRIPTION_PROTOCOL,
        GRAPHQL_TRANSPORT_WS_PROTOCOL,
    ],
)
