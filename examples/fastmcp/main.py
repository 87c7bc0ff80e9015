"""An MCP server with FastMCP."""

from __future__ import annotations

import asyncio

from fastmcp import Context, FastMCP

mcp = FastMCP("example", mask_error_details=True)
done = 0
tasks = set()


@mcp.tool
async def hello() -> dict[str, str]:
    """Say hello."""
    return {"hello": "wörld"}


@mcp.tool
async def echo(value: str) -> dict[str, str]:
    """Say it again."""
    return {"value": value}


@mcp.tool
async def validate(count: int) -> dict[str, int]:
    """Take a number."""
    return {"count": count}


@mcp.tool
async def error() -> None:
    """Fail."""
    raise RuntimeError("this is the example's unhandled error")


@mcp.tool
async def ticks(ctx: Context) -> dict[str, int]:
    """Report progress."""
    for number in range(3):
        await ctx.report_progress(number, 3)
        await asyncio.sleep(0.1)
    return {"ticks": 3}


@mcp.tool
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


@mcp.tool
async def jobs() -> dict[str, int]:
    """Count the work that is done."""
    return {"done": done}


# Stateless, because the next request may meet another environment.
app = mcp.http_app(stateless_http=True)
