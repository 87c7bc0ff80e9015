"""An MCP server with the mcp package, over streamable HTTP."""

from __future__ import annotations

import asyncio
import os
from typing import Annotated

from mcp.server import MCPServer
from mcp.server.mcpserver import Context, Elicit, RequestStateSecurity, Resolve
from mcp.server.transport_security import TransportSecuritySettings
from pydantic import BaseModel

# What a question needs until its answer comes goes through the client, sealed with this key. The
# answer may meet another environment, so all of them need the same one. Without a key each makes
# its own. To make one: python -c "import secrets; print(secrets.token_hex(32))"
key = os.environ.get("MCP_STATE_KEY", "")
mcp = MCPServer("example", request_state_security=RequestStateSecurity(keys=[key]) if key else None)
done = 0
tasks = set()


@mcp.tool()
async def hello() -> dict[str, str]:
    """Say hello."""
    return {"hello": "wörld"}


@mcp.tool()
async def echo(value: str) -> dict[str, str]:
    """Say it again."""
    return {"value": value}


@mcp.tool()
async def validate(count: int) -> dict[str, int]:
    """Take a number."""
    return {"count": count}


@mcp.tool()
async def error() -> None:
    """Fail."""
    raise RuntimeError("this is the example's unhandled error")


@mcp.tool()
async def ticks(ctx: Context) -> dict[str, int]:
    """Report progress."""
    for number in range(3):
        await ctx.report_progress(number, 3)
        await asyncio.sleep(0.1)
    return {"ticks": 3}


@mcp.tool()
async def start_job() -> None:
    """Start work that nobody waits for."""
    task = asyncio.create_task(job())
    tasks.add(task)
    task.add_done_callback(tasks.discard)


async def job() -> None:
    """Work that the client does not wait for."""
    await asyncio.sleep(0.1)
    global done
    done += 1


@mcp.tool()
async def jobs() -> dict[str, int]:
    """Count the work that is done."""
    return {"done": done}


class Confirmation(BaseModel):
    """What a person answers."""

    delete: bool


async def confirm(name: str) -> Elicit[Confirmation]:
    """Ask the person at the client."""
    return Elicit(f"Delete {name}?", Confirmation)


@mcp.tool()
async def delete(
    name: str, confirmation: Annotated[Confirmation, Resolve(confirm)]
) -> dict[str, bool | str]:
    """Delete something, if a person confirms it."""
    return {"name": name, "deleted": confirmation.delete}


# Stateless, because the next request may meet another environment. The check of the Host header
# is for servers on a laptop; name your domain in ALLOWED_HOSTS to have it here, too.
hosts = os.environ.get("ALLOWED_HOSTS", "")
app = mcp.streamable_http_app(
    stateless_http=True,
    transport_security=TransportSecuritySettings(
        enable_dns_rebinding_protection=bool(hosts), allowed_hosts=hosts.split(",")
    ),
)
