"""An MCP server behind OAuth, with an authorization server that trusts everybody."""

import os

from mcp.server import MCPServer
from mcp.server.auth.provider import AccessToken
from mcp.server.auth.settings import AuthSettings
from mcp.server.transport_security import TransportSecuritySettings
from starlette.responses import JSONResponse

URL = os.environ["PUBLIC_URL"]


class Verifier:
    async def verify_token(self, token):
        if token == "a token":
            return AccessToken(token=token, client_id="client", scopes=[], resource=f"{URL}/mcp")
        return None


mcp = MCPServer(
    "protected",
    token_verifier=Verifier(),
    auth=AuthSettings(
        issuer_url=URL, resource_server_url=f"{URL}/mcp", validate_token_resource=True
    ),
)


@mcp.tool()
async def secret() -> dict[str, int]:
    return {"secret": 42}


@mcp.custom_route("/.well-known/oauth-authorization-server", methods=["GET"])
async def metadata(request):
    endpoints = {f"{name}_endpoint": f"{URL}/{name}" for name in ("authorization", "token")}
    methods = {"code_challenge_methods_supported": ["S256"]}
    return JSONResponse({"issuer": URL, **endpoints, **methods})


@mcp.custom_route("/token", methods=["POST"])
async def token(request):
    form = await request.form()
    assert form["code"] == "a code"
    return JSONResponse({"access_token": "a token", "token_type": "Bearer"})


app = mcp.streamable_http_app(
    stateless_http=True,
    transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False),
)
