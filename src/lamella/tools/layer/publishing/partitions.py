"""Which partition of AWS a region is in: aws, aws-cn (China), aws-us-gov (GovCloud), ...

A partition has its own accounts, endpoints and ARN prefix; botocore's endpoint data knows them.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence

import boto3

from lamella.tools.layer.publishing import PublishError


def partition_of(session: boto3.Session, regions: Sequence[str]) -> str:
    """Return the one partition that all `regions` are in.

    Raises PublishError for a region that Lambda is not known to be in, naming the nearest known
    one, and for regions of several partitions: credentials are valid in one of them only.
    """
    known = {
        region: partition
        for partition in session.get_available_partitions()
        for region in session.get_available_regions("lambda", partition_name=partition)
    }
    where = {region: known.get(region) for region in regions}
    lines = []
    for region in regions:
        if where[region] is None:
            nearest = difflib.get_close_matches(region, sorted(known), n=1)
            advice = f"did you mean {nearest[0]}? " if nearest else ""
            lines.append(
                f"{region!r} is no region that Lambda is known to be in: {advice}A region that is "
                "newer than this boto3 needs a newer one: pip install --upgrade boto3"
            )
    if lines:
        raise PublishError("\n".join(lines))
    if len(set(where.values())) > 1:
        listed = ", ".join(f"{region} is in {partition}" for region, partition in where.items())
        raise PublishError(
            f"{listed}: credentials belong to one partition. Publish to each partition by itself, "
            "with a --profile that has credentials for it"
        )
    return str(where[regions[0]])
