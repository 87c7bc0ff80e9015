"""The URLs of APIs' stages: what an event tells of one, in every partition that botocore knows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import botocore.session
import pytest

from lamella.aws.partitions import Partition, partition_of
from lamella.errors import BadEvent, ConnectionsError
from lamella.websocket.endpoints import endpoint_of

HOST = "id.execute-api.eu-west-1.amazonaws.com"


@pytest.mark.parametrize(
    ("domain", "host"),
    [
        (HOST, HOST),
        ("ws.example.com", HOST),  # a custom domain: the API's own host
        ("xn--bcher-kva.example", HOST),
        ("id.execute-api.us-east-1.amazonaws.com.example.com", HOST),
        ("id.execute-api.us-east-1.example.com", HOST),
        ("id.execute-api.eu-west-1.evil.example", HOST),
        (None, HOST),
        ("", HOST),
    ],
)
def test_an_event_tells_its_endpoint(domain: str | None, host: str) -> None:
    context = {"domainName": domain, "stage": "prod", "apiId": "id", "connectionId": "c="}
    assert endpoint_of(context, "eu-west-1") == f"https://{host}/prod"


def test_the_api_s_own_host_needs_no_id() -> None:
    assert endpoint_of({"domainName": HOST, "stage": "v"}, "eu-west-1") == f"https://{HOST}/v"


@pytest.mark.parametrize(
    ("context", "missing"),
    [({"domainName": HOST}, "stage"), ({"domainName": "ws.example.com", "stage": "v"}, "apiId")],
)
def test_an_event_without_one_is_malformed(context: dict[str, str], missing: str) -> None:
    with pytest.raises(BadEvent) as caught:
        endpoint_of(context, "eu-west-1")
    assert str(caught.value) == (
        f"The event's requestContext has no {missing}: API Gateway sends stage and apiId. Set "
        "ASGI_WEBSOCKET_ENDPOINT to the URL that messages are to go to."
    )


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("apiId", "evil.example/"),
        ("apiId", "169.254.169.254/latest#"),
        ("apiId", "id\r\nHost: evil.example"),
        ("apiId", "me@evil"),
        ("apiId", "ID"),
        ("apiId", "i" * 64),
        ("apiId", ["id"]),
        ("stage", "../other"),
        ("stage", "prod/@connections/else?"),
        ("stage", "prod#"),
        ("stage", "pröd"),
        ("stage", "s" * 129),
        ("stage", 5),
        ("domainName", "https://evil.example"),
        ("domainName", "evil.example/prod"),
        ("domainName", "evil.example:8080"),
        ("domainName", "169.254.169.254"),
        ("domainName", "[::1]"),
        ("domainName", "localhost"),
        ("domainName", "id.execute-api.eu-west-1.amazonaws.com@evil.example"),
        ("domainName", "id.execute-api.eu-west-1.amazonaws.com\n"),
        ("domainName", "a" * 64 + ".example"),
        ("domainName", {"host": HOST}),
        # API Gateway's own hosts, but of another API, and where the function is not
        ("domainName", "other.execute-api.eu-west-1.amazonaws.com"),
        ("domainName", "id.execute-api.us-east-1.amazonaws.com"),
        ("domainName", "id.execute-api.eu-west-1.amazonaws.com.cn"),
    ],
)
def test_an_event_that_leads_elsewhere_is_malformed(field: str, value: Any) -> None:
    context = {"domainName": HOST, "stage": "prod", "apiId": "id", field: value}
    with pytest.raises(BadEvent, match=field):
        endpoint_of(context, "eu-west-1")


@pytest.mark.parametrize("stage", ["prod", "$default", "v1_2-x", "s" * 128])
def test_a_stage_has_letters_digits_hyphens_and_underscores(stage: str) -> None:
    context = {"domainName": HOST, "stage": stage, "apiId": "id"}
    assert endpoint_of(context, "eu-west-1") == f"https://{HOST}/{stage}"


def test_without_a_region_the_event_tells_it() -> None:
    context = {"domainName": HOST, "stage": "prod", "apiId": "id"}
    assert endpoint_of(context, "") == f"https://{HOST}/prod"


@pytest.mark.parametrize(
    ("domain", "named"), [("ws.example.com", "ws.example.com"), (None, "The event")]
)
def test_a_custom_domain_without_a_region_is_refused(domain: str | None, named: str) -> None:
    with pytest.raises(ConnectionsError) as caught:
        endpoint_of({"domainName": domain, "stage": "prod", "apiId": "id"}, "")
    assert str(caught.value) == (
        f"{named} does not tell the API's region, and AWS_REGION is not set: set it, for example "
        "to eu-west-1."
    )


def regions() -> Iterator[tuple[str, str, str]]:
    """Every region that botocore knows: its name, its partition's and the domain there."""
    endpoints: Any = botocore.session.get_session().get_data("endpoints")
    for partition in endpoints["partitions"]:
        for region in partition["regions"]:
            yield region, partition["partition"], partition["dnsSuffix"]


@pytest.mark.parametrize(("region", "partition", "domain"), list(regions()))
def test_a_region_is_in_the_partition_that_botocore_says(
    region: str, partition: str, domain: str
) -> None:
    assert partition_of(region) == Partition(partition, domain)
    host = f"id.execute-api.{region}.{domain}"
    behind_its_own = {"domainName": "ws.example.com", "stage": "prod", "apiId": "id"}
    assert endpoint_of(behind_its_own, region) == f"https://{host}/prod"
    assert endpoint_of({**behind_its_own, "domainName": host}, region) == f"https://{host}/prod"
