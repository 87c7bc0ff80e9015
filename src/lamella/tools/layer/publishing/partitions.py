"""Which partition of AWS a region is in: aws, aws-cn (China), aws-us-gov (GovCloud), ...

A partition has its own accounts, endpoints and ARN prefix; botocore's endpoint data knows them.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

import boto3

from lamella.tools.layer.publishing import PublishError


def partition_of(session: boto3.Session, regions: Sequence[str]) -> str:
    """Return the one partition that all `regions` are in.

    Raises PublishError for a region that Lambda is not known to be in, naming the nearest known
    one, and for regions of several partitions: credentials are valid in one of them only.
    """
    known = _regions_by_partition(session)
    where = {region: known.get(region) for region in regions}
    if unknown := [region for region, partition in where.items() if partition is None]:
        raise PublishError("\n".join(_unknown(region, known) for region in unknown))
    if len(set(where.values())) > 1:
        listed = ", ".join(f"{region} is in {partition}" for region, partition in where.items())
        raise PublishError(
            f"{listed}: credentials belong to one partition. Publish to each partition by itself, "
            "with a --profile that has credentials for it"
        )
    return str(where[regions[0]])


def _regions_by_partition(session: boto3.Session) -> dict[str, str]:
    return {
        region: partition
        for partition in session.get_available_partitions()
        for region in session.get_available_regions("lambda", partition_name=partition)
    }


def _unknown(region: str, known: Iterable[str]) -> str:
    nearest = difflib.get_close_matches(region, sorted(known), n=1)
    advice = f"did you mean {nearest[0]}? " if nearest else ""
    return (
        f"{region!r} is no region that Lambda is known to be in: {advice}"
        "A region that is newer than this boto3 needs a newer one: pip install --upgrade boto3"
    )
