"""VPC Lattice with a Lambda target group, event structure V1 or V2.

https://docs.aws.amazon.com/vpc-lattice/latest/ug/lambda-functions.html. The page
leaves open how the query map is encoded; here it is as sent, as a load balancer's is
(`lamella.sources.lattice` says why, and reads it so): UNVERIFIED
(verified.md#the-query-map-of-vpc-lattice).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from lamella.front_doors.door import (
    ACCOUNT_ID,
    REGION,
    FrontDoor,
    HttpRequest,
    HttpResponse,
    Trouble,
    json_response,
)
from lamella.front_doors.requests import (
    end_to_end,
    is_text,
    joined,
    listed,
    packed_body,
    raw_query,
    with_length,
)
from lamella.front_doors.results import (
    as_object,
    body_bytes,
    parsed,
    sendable,
    single_headers,
    status_code,
)

ARN = f"arn:aws:vpc-lattice:{REGION}:{ACCOUNT_ID}"

TROUBLES = {
    Trouble.TOO_LARGE: (413, "Request Entity Too Large"),
    Trouble.THROTTLED: (429, "Too Many Requests"),
}


@dataclass
class Lattice(FrontDoor):
    """`version` 1 or 2 is the target group's event structure version."""

    version: int = 2
    name: ClassVar[str] = "lattice"
    label: ClassVar[str] = "VPC Lattice"
    host: ClassVar[str] = f"local-svc-0123456789abcdef0.7d67968.vpc-lattice-svcs.{REGION}.on.aws"

    def event(self, request: HttpRequest) -> dict[str, Any]:
        """V1: path with the query, texts; V2: path without it, lists of values."""
        headers = with_length(end_to_end(request), request.body)
        if request.header("x-forwarded-for") is None:
            headers = [*headers, ("x-forwarded-for", request.client_ip)]
        query = raw_query(request.query)
        body, encoded = packed_body(request.body, is_text(request) or not request.body)
        if self.version == 1:
            target = f"{request.raw_path}?{request.query}" if request.query else request.raw_path
            return {
                "raw_path": target,
                "method": request.method,
                "headers": joined(headers, ", "),
                "query_string_parameters": dict(query),
                "body": body,
                "is_base64_encoded": encoded,
            }
        return {
            "version": "2.0",
            "path": request.raw_path,
            "method": request.method,
            "headers": listed(headers),
            "queryStringParameters": listed(query),
            "body": body,
            "isBase64Encoded": encoded,
            "requestContext": _context(request),
        }

    def response(self, payload: bytes, _request: HttpRequest, /) -> HttpResponse:
        """The response of a result. Raises Malformed."""
        result = as_object(parsed(payload))
        headers = sendable(single_headers(result))
        return HttpResponse(status_code(result), headers, body_bytes(result))

    def trouble(self, trouble: Trouble) -> HttpResponse:
        """Lattice's own answers."""
        status, message = TROUBLES.get(trouble, (502, "Bad Gateway"))
        return json_response(status, {"message": message})


def _context(request: HttpRequest) -> dict[str, Any]:
    return {
        "serviceNetworkArn": f"{ARN}:servicenetwork/sn-0123456789abcdef0",
        "serviceArn": f"{ARN}:service/svc-0123456789abcdef0",
        "targetGroupArn": f"{ARN}:targetgroup/tg-0123456789abcdef0",
        "identity": {
            "sourceVpcArn": f"arn:aws:ec2:{REGION}:{ACCOUNT_ID}:vpc/vpc-0123456789abcdef0"
        },
        "region": REGION,
        "timeEpoch": str(int(request.at * 1_000_000)),
    }
