"""The endpoints of WebSocket APIs: the URLs of their stages, such as
https://id.execute-api.eu-west-1.amazonaws.com/prod, made from events and read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lamella.aws.http import split
from lamella.aws.partitions import partition_of
from lamella.errors import BadEvent, ConnectionsError
from lamella.sources.paths import UNRESERVED, quote


def endpoint_of(context: Mapping[str, Any], region: str) -> str:
    """The endpoint for the connection of an event, from its requestContext; `region` is ours.

    A custom domain's name does not tell the path that its mapping put before the stage, so there
    it is the API's own host in `region`, which is there besides (unless it was disabled). Where an
    event comes from another region by a custom domain, that cannot be known. Raises `BadEvent`,
    `ConnectionsError` where there is no region.
    """
    domain, stage = context.get("domainName") or "", context.get("stage")
    api = context.get("apiId")
    if not _is_own(domain, api, region):
        if api and not region:
            raise no_region(domain)
        domain = f"{api}.execute-api.{region}.{partition_of(region).domain}" if api else ""
    if not domain or not stage:
        raise BadEvent(
            f"The event's requestContext has no {'stage' if domain else 'apiId'}: API Gateway "
            "sends both. Set ASGI_WEBSOCKET_ENDPOINT to the URL that messages are to go to."
        )
    return f"https://{domain}/{stage}"


def _is_own(domain: str, api: str | None, region: str) -> bool:
    """Whether it is the API's own host: in `region` whatever the domain, elsewhere in AWS's."""
    label, _, rest = domain.partition(".execute-api.")
    named, _, ending = rest.partition(".")
    is_there = named == region or ending == partition_of(named).domain
    return bool(ending) and label == (api or label) and is_there


def connection_url(endpoint: str, connection_id: str) -> str:
    """Where a connection is; AWS's console shows endpoints with /@connections, its API without."""
    base = endpoint.rstrip("/").removesuffix("/@connections")
    return f"{base}/@connections/{quote(connection_id, UNRESERVED).decode()}"


def region_of(endpoint: str) -> str | None:
    """The region in an execute-api host's name; None for another host."""
    labels = split(endpoint).host.split(".")
    if "execute-api" not in labels[:-1]:
        return None
    return labels[labels.index("execute-api") + 1]


def resource_of(endpoint: str) -> str:
    """What a policy's Resource is to be, any account; the words for it where that is hidden.

    https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-websocket-control-access-iam.html
    """
    region = region_of(endpoint)
    if region is None:
        return "the API's ARN"
    url = split(endpoint)
    api, stage = url.host.partition(".")[0], url.path.split("/")[1] or "*"
    return f"arn:{partition_of(region).name}:execute-api:{region}:*:{api}/{stage}/*"


def no_region(where: str) -> ConnectionsError:
    """The error for a host that names no region, where the environment does not either."""
    return ConnectionsError(
        f"{where or 'The event'} does not tell the API's region, and AWS_REGION is not set: set "
        "it, for example to eu-west-1."
    )
