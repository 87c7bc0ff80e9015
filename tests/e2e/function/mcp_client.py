"""`python mcp_client.py open|protected URL`: what the real client of the mcp package gets.

A program of its own, because the client lives in the function's packages. Prints one JSON object.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import mcp.client.session
import mcp_types as types
from mcp.client.auth import AuthorizationCodeResult, OAuthClientProvider
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import OAuthClientInformationFull, OAuthClientMetadata, OAuthToken
from mcp.shared.exceptions import MCPError

CALLBACK = "http://127.0.0.1:1/callback"

PATIENCE = 60.0
"""Seconds for one answer, on a machine that may be busy."""

# A server that says nothing for ten seconds is taken for one of an earlier revision.
mcp.client.session.DISCOVER_TIMEOUT_SECONDS = PATIENCE


async def use(url: str) -> dict[str, Any]:
    """Progress, and a tool that asks a question before it acts."""
    asked: list[str] = []
    reported: list[float] = []

    async def answer(_: Any, question: types.ElicitRequestParams) -> types.ElicitResult:
        asked.append(question.message)
        return types.ElicitResult(action="accept", content={"delete": True})

    async def progress(done: float, _total: float | None, _message: str | None) -> None:
        reported.append(done)

    async with Client(url, elicitation_callback=answer) as client:
        await client.call_tool("ticks", {}, progress_callback=progress)
        try:
            deleted: Any = (await client.call_tool("delete", {"name": "x"})).structured_content
        except MCPError as error:
            deleted = str(error)
        version = client.session.protocol_version
    return {"version": version, "progress": reported, "asked": asked, "deleted": deleted}


class Storage:
    """What an OAuth client keeps: here a client that is registered already."""

    def __init__(self) -> None:
        self.tokens: OAuthToken | None = None

    async def get_tokens(self) -> OAuthToken | None:
        """See TokenStorage."""
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        """See TokenStorage."""
        self.tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull:
        """See TokenStorage."""
        return OAuthClientInformationFull(client_id="client", redirect_uris=[CALLBACK])

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        """See TokenStorage."""


async def log_in(url: str) -> dict[str, Any]:
    """A tool behind OAuth, from the 401 on."""
    pages: list[str] = []

    async def redirect(page: str) -> None:
        pages.append(page)

    async def callback() -> AuthorizationCodeResult:
        state = parse_qs(urlsplit(pages[-1]).query)["state"][0]
        return AuthorizationCodeResult(code="a code", state=state)

    auth = OAuthClientProvider(
        url, OAuthClientMetadata(redirect_uris=[CALLBACK]), Storage(), redirect, callback
    )
    async with httpx2.AsyncClient(auth=auth, timeout=PATIENCE) as http:
        transport = streamable_http_client(url, http_client=http)
        async with Client(transport) as client:
            result = await client.call_tool("secret", {})
    return {"page": pages[0].partition("?")[0], "secret": result.structured_content}


if __name__ == "__main__":
    way = {"open": use, "protected": log_in}[sys.argv[1]]
    print(json.dumps(asyncio.run(way(sys.argv[2]))))
