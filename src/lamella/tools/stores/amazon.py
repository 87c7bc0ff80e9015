"""The stores on AWS, set up with boto3, which knows profiles and single sign-on."""

from __future__ import annotations

import os

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

from lamella.tools.stores import dynamodb, s3
from lamella.tools.stores.done import Done, SetupError
from lamella.websocket.stores.address import Address


def set_up(address: Address, profile: str | None) -> Done:
    """Create what is missing. `profile` is of AWS's shared configuration files.

    Raises `SetupError`, and ValueError where no region is known or the endpoint is wrong.
    """
    endpoint = address.options.get("endpoint")
    config = Config(
        connect_timeout=address.timeout,
        read_timeout=address.timeout,
        # A server that plays S3 has one name for all its buckets, as the store expects.
        s3={"addressing_style": "path" if endpoint else "auto"},
    )
    try:
        session = boto3.Session(profile_name=profile)
        # AWS_REGION, which the function has on Lambda, is not read by boto3.
        region = (
            address.options.get("region") or os.environ.get("AWS_REGION") or session.region_name
        )
        if not region:
            raise ValueError("there is no region: add ?region=, for example ?region=eu-west-1")
        if address.kind == "dynamodb":
            tables = session.client("dynamodb", region, endpoint_url=endpoint, config=config)
            return dynamodb.set_up(tables, address.host)
        buckets = session.client("s3", region, endpoint_url=endpoint, config=config)
        return s3.set_up(buckets, address.host, address.path.strip("/"))
    except NoCredentialsError:
        raise SetupError(
            "There are no AWS credentials: name a profile with --profile or AWS_PROFILE, or set "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
        ) from None
    except ClientError as error:
        code, text = error.response["Error"]["Code"], error.response["Error"]["Message"]
        if address.kind == "s3" and code == "AccessDenied":
            text += "; names of buckets are global, so this one may be somebody else's"
        raise SetupError(f"Setting up {address.shown} failed ({code}: {text}).") from None
    except BotoCoreError as error:  # no connection, an unknown profile, a login that has expired
        raise SetupError(f"Setting up {address.shown} failed: {error}") from None
