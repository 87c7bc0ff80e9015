"""What API Gateway's replies say: its own words, and what a refusal asks for."""

from __future__ import annotations

import json
from typing import Any

from lamella.aws.client import Reply
from lamella.errors import ConnectionsError
from lamella.websocket.endpoints import resource_of

UNEXPLAINED = ("forbidden", "missing authentication token")
"""What API Gateway says of a stage or a path that is not there, among other things."""


def refusal(reply: Reply, endpoint: str, region: str) -> ConnectionsError:
    """The error for a 403, with what to change; `region` is the one that was signed for.

    API Gateway has one status for a lacking permission, a wrong stage, a bad signature and
    credentials that have expired; only its words tell them apart.
    """
    words = told(reply)
    known_by = f"{reply.headers.get('x-amzn-errortype', '')} {words}".lower()
    if "accessdenied" in known_by or "not authorized" in known_by:
        return ConnectionsError(
            f"API Gateway refuses {endpoint} ({words}): allow the function's role "
            f"execute-api:ManageConnections on {resource_of(endpoint)}.",
            reply.status,
        )
    if words.lower() in UNEXPLAINED:
        return ConnectionsError(
            f"API Gateway refuses {endpoint} ({words}): check that it is the stage of a WebSocket "
            "API, that its default endpoint is not disabled, and that the function's role has "
            f"execute-api:ManageConnections on {resource_of(endpoint)}.",
            reply.status,
        )
    if "expired" in known_by or "not yet current" in known_by:
        return ConnectionsError(
            f"API Gateway refuses the signature for {endpoint} ({words}): the credentials have "
            "expired, or the clock is wrong. Send again; outside of Lambda, set the clock and new "
            "credentials.",
            reply.status,
        )
    return ConnectionsError(
        f"API Gateway refuses {endpoint} ({words}), signed for {region}: check "
        "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN and AWS_REGION, and that it "
        "is the stage of a WebSocket API.",
        reply.status,
    )


def told(reply: Reply) -> str:
    """AWS's own words: the "message" of its JSON, which it also spells "Message"."""
    document = json_object(reply) or {}
    text = reply.body[:300].decode("utf-8", "replace") or "without a word"
    return str(document.get("message") or document.get("Message") or text)


def json_object(reply: Reply) -> dict[str, Any] | None:
    """The body, None where it is no JSON object."""
    try:
        found = json.loads(reply.body)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
