"""What a run costs, from public pages of prices."""

from __future__ import annotations

import math
from typing import NamedTuple

LOOKED_UP = "2026-11-29"
"""When the sources said so. Most prices are those of us-east-1; other regions differ a little."""

REQUESTS = 5_000
"""More than the contract and the questions send."""


class Price(NamedTuple):
    """What is paid for: US dollars for a unit, and the units of a run.

    `hourly` units are paid for each hour that begins. `source` is the page that says the price.
    """

    what: str
    dollars: float
    units: float
    source: str
    hourly: bool = False


_LAMBDA = "https://git.mcrn.ar/mariano/lambda_local_runner/src/branch/main/docs/lambdas-md/lambda-13-cost.md"
_SNAPSTART = "https://awsnegotiations.com/lambda-snapstart-cost-impact.html"
_GATEWAY = "https://amnic.com/blogs/aws-api-gateway-pricing"
_LATTICE = "https://aws.amazon.com/vpc/lattice/pricing/"
_BALANCER = "https://aws.darcy-it.com/elb%E3%81%AE%E3%82%B3%E3%82%B9%E3%83%88%E6%96%99%E9%87%91/"
"""That of Tokyo: no page with another region's was found."""

PRICES = (
    Price("an Application Load Balancer", 0.0243, 1, _BALANCER, hourly=True),
    Price("its capacity unit (LCU)", 0.008, 1, _BALANCER, hourly=True),
    Price(
        "its two public IPv4 addresses",
        0.005,
        2,
        "https://vishalvyas.com/understand-aws-public-ipv4-address-usage-and-pricing/",
        hourly=True,
    ),
    Price("a VPC Lattice service", 0.025, 1, _LATTICE, hourly=True),
    Price("VPC Lattice, GB", 0.025, 0.1, _LATTICE),
    Price("Lambda, requests", 0.20e-6, REQUESTS, _LAMBDA),
    Price("Lambda, GB-seconds (a second of 512 MB each)", 0.0000166667, REQUESTS / 2, _LAMBDA),
    Price("SnapStart, GB-seconds of 512 MB in three hours", 0.0000015046, 5_400, _SNAPSTART),
    Price("SnapStart, GB of 20 restored environments", 0.0001397, 10, _SNAPSTART),
    Price("REST API, requests", 3.50e-6, REQUESTS, _GATEWAY),
    Price("HTTP API and WebSocket API, requests and messages", 1.00e-6, REQUESTS, _GATEWAY),
    Price("transfer to the internet, GB", 0.09, 0.5, _GATEWAY),
    Price(
        "CloudFront, HTTPS requests",
        1.00e-6,
        REQUESTS,
        "https://kindatechnical.com/aws-certification-associate-developer/lesson-87-cloudfront-pricing.html",
    ),
    Price(
        "CloudFront functions, calls",
        0.10e-6,
        REQUESTS,
        "https://cur.vantage.sh/aws/amazoncloudfront/",
    ),
    Price(
        "DynamoDB, writes",
        0.625e-6,
        REQUESTS,
        "https://airbyte.com/data-engineering-resources/dynamodb-pricing",
    ),
    Price("CloudWatch Logs, GB", 0.50, 0.05, "https://go-cloud.io/aws-api-gateway-pricing"),
)

NOT_COUNTED = "the free tier, taxes, and S3 (three objects for the time of the run)"


def estimate(hours: float) -> float:
    """US dollars of a run that takes so long."""
    begun = math.ceil(hours)
    return sum(each.dollars * each.units * (begun if each.hourly else 1) for each in PRICES)


def said() -> str:
    """The estimate for an hour, in lines for a person."""
    dearest = sorted(PRICES, key=lambda each: each.dollars * each.units, reverse=True)
    lines = [
        f"This costs about {estimate(1):.2f} US dollars for an hour, by prices of {LOOKED_UP}.",
        *(f"  {each.dollars * each.units:.3f}  {each.what}" for each in dearest[:8]),
        f"Not counted: {NOT_COUNTED}.",
        "tests/aws/cost.py has each price and its source.",
    ]
    return "\n".join(lines)
