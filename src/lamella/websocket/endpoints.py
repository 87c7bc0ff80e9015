"""The endpoints of WebSocket APIs: the URLs of their stages, such as
https://id.execute-api.eu-west-1.amazonaws.com/prod, made from events and read.
"""

from __future__ import annotations

import re

from lamella import percent
from lamella.aws.http import split
from lamella.aws.partitions import DOMAINS, partition_of
from lamella.errors import BadEvent, ConnectionsError
from lamella.sources import fields
from lamella.types import Event

_API_ID = re.compile(r"[a-z0-9]{1,63}")
_STAGE = re.compile(r"\$default|[A-Za-z0-9_-]{1,128}")
_DOMAIN = re.compile(
    r"(?=.{1,253}\Z)(?:[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.)+[A-Za-z][A-Za-z0-9-]*"
)
_OWN = re.compile(r"([a-z0-9]+)\.execute-api\.([a-z]+(?:-[a-z]+)+-[0-9]+)\.(.+)")
"""The host of an API: its id, its region, and the domain of the region's partition."""


def endpoint_of(context: Event, region: str) -> str:
    """The endpoint for the connection of an event, from its requestContext; `region` is ours.

    Signed requests go there, and an event is what its sender writes. So the parts have to be what
    API Gateway sends: an API's id, a stage, and a domain that is the API's own host in our region
    or a custom domain. A custom domain's name does not tell the path that its mapping put before
    the stage, so there the endpoint is the API's own host, which is there besides (unless it was
    disabled). Raises `BadEvent`, `ConnectionsError` where there is no region.

    https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-stages.html,
    .../apigateway-how-to-call-websocket-api-connections.html
    """
    api = _matching(_API_ID, context, "apiId", "an API's id")
    stage = _matching(_STAGE, context, "stage", "the name of a stage")
    domain = _matching(_DOMAIN, context, "domainName", "a domain name")
    own = _OWN.fullmatch(domain)
    if own is not None and own[3] in DOMAINS:
        here = region or own[2]
        if (own[1], own[2], own[3]) != (api or own[1], here, partition_of(here).domain):
            raise BadEvent(
                f"The event's domainName {domain!r} is not the host of the API {api!r} in "
                f"{here}: set ASGI_WEBSOCKET_ENDPOINT, for example where an API in one region "
                "calls a function in another one."
            )
    elif api and not region:
        raise no_region(domain)
    else:
        domain = f"{api}.execute-api.{region}.{partition_of(region).domain}" if api else ""
    if not domain or not stage:
        raise BadEvent(
            f"The event's requestContext has no {'stage' if domain else 'apiId'}: API Gateway "
            "sends stage and apiId. Set ASGI_WEBSOCKET_ENDPOINT to the URL that messages are to go "
            "to."
        )
    return f"https://{domain}/{stage}"


def _matching(pattern: re.Pattern[str], context: Event, key: str, what: str) -> str:
    """The text under a key, "" where there is none. Raises `BadEvent` for any other."""
    value = fields.text(context, key)
    if value and not pattern.fullmatch(value):
        raise fields.malformed(key, what, value)
    return value


def connection_url(endpoint: str, connection_id: str) -> str:
    """Where a connection is; AWS's console shows endpoints with /@connections, its API without."""
    base = endpoint.rstrip("/").removesuffix("/@connections")
    encoded = percent.encode(connection_id.encode("utf-8", "replace"), percent.UNRESERVED)
    return f"{base}/@connections/{encoded.decode()}"


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
