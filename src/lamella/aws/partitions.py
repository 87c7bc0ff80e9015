"""AWS's partitions: by a region's name, the domain of its services and the beginning of its ARNs.

Sources: https://docs.aws.amazon.com/whitepapers/latest/aws-fault-isolation-boundaries/partitions.html
and, for the European Sovereign Cloud and the isolated regions, botocore's endpoints.json. Whether a
service is there, and whether it has hosts of another form, is not known here; nor is a partition
that is newer than the table, whose regions count as commercial ones.
"""

from __future__ import annotations

from typing import NamedTuple


class Partition(NamedTuple):
    """`name` is the second word of ARNs, `domain` what the names of services' hosts end with."""

    name: str
    domain: str


COMMERCIAL = Partition("aws", "amazonaws.com")

OTHERS = {
    "cn-": Partition("aws-cn", "amazonaws.com.cn"),
    "eu-isoe-": Partition("aws-iso-e", "cloud.adc-e.uk"),
    "eusc-": Partition("aws-eusc", "amazonaws.eu"),
    "us-gov-": Partition("aws-us-gov", "amazonaws.com"),
    "us-iso-": Partition("aws-iso", "c2s.ic.gov"),
    "us-isob-": Partition("aws-iso-b", "sc2s.sgov.gov"),
    "us-isof-": Partition("aws-iso-f", "csp.hci.ic.gov"),
}
"""By the beginning of the region's name."""

DOMAINS = frozenset(partition.domain for partition in (COMMERCIAL, *OTHERS.values()))
"""The domains of AWS's services, in every partition."""


def partition_of(region: str) -> Partition:
    """The partition that a region is in."""
    found = (partition for start, partition in OTHERS.items() if region.startswith(start))
    return next(found, COMMERCIAL)
