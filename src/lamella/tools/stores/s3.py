"""The bucket of `s3://bucket/prefix`, and the rule that removes what is a day old under the prefix.

A new bucket lets nobody in from outside. A bucket that was there gets that one rule and no other
change. The exception is a bucket as a run leaves it that failed half-way: that one is finished.
"""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError

from lamella.tools.stores.done import Done, Policy, SetupError

CLOSED = dict.fromkeys(
    ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True
)

MINIMUM = "TransitionDefaultMinimumObjectSize"
"""Belongs to the rules, and falls back to its default where they are written without it
(https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketLifecycleConfiguration.html)."""

KMS = (
    "If the bucket encrypts with a KMS key of your own, the role also needs kms:Decrypt and "
    "kms:GenerateDataKey on that key."
)


def set_up(client: Any, bucket: str, prefix: str) -> Done:
    """Create what is missing with boto3's S3 client. Raises `SetupError`, botocore's errors."""
    region = client.meta.region_name
    try:
        _refuse_what_would_expire(client, bucket, prefix)
        lines = [f"Bucket {bucket} was there already. {KMS}"]
        is_open = False
    except client.exceptions.NoSuchBucket:
        place = {"LocationConstraint": region}
        # us-east-1 is where a bucket is that names no place, and has no name as a place.
        client.create_bucket(
            Bucket=bucket, **({} if region == "us-east-1" else {"CreateBucketConfiguration": place})
        )
        lines = [f"Bucket {bucket} was created in {region}, closed to the public."]
        is_open = True
    kept: dict[str, Any] = {"Rules": []}
    try:
        kept = client.get_bucket_lifecycle_configuration(Bucket=bucket)
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchLifecycleConfiguration":
            raise
        if not is_open and _is_half_made(client, bucket):
            lines.append("It was empty, and is now closed to the public.")
            is_open = True
    if is_open:
        client.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=CLOSED)
    name = f"lamella-websocket {prefix}"
    if name in {rule.get("ID") for rule in kept["Rules"]}:
        lines.append(f"The rule that removes what is a day old under {prefix}/ was there already.")
    else:
        rule = {
            "ID": name,
            "Filter": {"Prefix": f"{prefix}/"},
            "Status": "Enabled",
            "Expiration": {"Days": 1},
            "NoncurrentVersionExpiration": {"NoncurrentDays": 1},
        }
        client.put_bucket_lifecycle_configuration(
            Bucket=bucket,
            LifecycleConfiguration={"Rules": [*kept["Rules"], rule]},
            **({MINIMUM: kept[MINIMUM]} if MINIMUM in kept else {}),
        )
        lines.append(f"A rule was added that removes what is a day old under {prefix}/.")
    return Done(lines, policy(bucket, prefix, client.meta.partition))


def _refuse_what_would_expire(client: Any, bucket: str, prefix: str) -> None:
    """Raises `SetupError` where something under the prefix is not Lamella's."""
    ours = {f"{prefix}/", *(f"{prefix}/{kind}/" for kind in "cmg")}
    pages = client.get_paginator("list_objects_v2")
    for page in pages.paginate(Bucket=bucket, Prefix=f"{prefix}/", Delimiter="/"):
        found = {each["Key"] for each in page.get("Contents", ())}
        found |= {each["Prefix"] for each in page.get("CommonPrefixes", ())}
        if others := sorted(found - ours):
            raise SetupError(
                f"Bucket {bucket} holds {others[0]}, which is not Lamella's. Everything under "
                f"{prefix}/ is removed after a day: choose a prefix that nothing else uses."
            )


def _is_half_made(client: Any, bucket: str) -> bool:
    """Whether a bucket without rules is as `create_bucket` leaves it: empty, and without a block.

    Who may not ask for the block has not made the bucket.
    """
    if client.list_objects_v2(Bucket=bucket, MaxKeys=1).get("Contents"):
        return False
    try:
        client.get_public_access_block(Bucket=bucket)
    except ClientError as error:
        return error.response["Error"]["Code"] == "NoSuchPublicAccessBlockConfiguration"
    return False


def policy(bucket: str, prefix: str, partition: str) -> Policy:
    """What the function may do. Without s3:ListBucket, S3 answers 403 for what is not there
    (https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html).

    Names of buckets are global: somebody else may take that of a bucket that was removed, and
    gets no handshakes for it.
    """
    arn = f"arn:{partition}:s3:::{bucket}"
    objects = ["s3:DeleteObject", "s3:GetObject", "s3:PutObject"]
    own = {"StringEquals": {"aws:ResourceAccount": "${aws:PrincipalAccount}"}}
    return [
        {"Effect": "Allow", "Action": action, "Resource": resource, "Condition": own}
        for action, resource in ((objects, f"{arn}/{prefix}/*"), ("s3:ListBucket", arn))
    ]
