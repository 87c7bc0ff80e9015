"""The bucket of `s3://bucket/prefix`, and the rule that removes what is a day old under the prefix.

A new bucket lets nobody in from outside. Of a bucket that was there nothing is changed but that
one rule is added; where it is as an earlier run left it that failed half-way, the rest is done.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from lamella.aws.partitions import partition_of
from lamella.tools.stores.done import Done, Policy, SetupError
from lamella.websocket.stores.address import Address
from lamella.websocket.stores.common import Guard, NotSetUp
from lamella.websocket.stores.s3 import Client, error_code, expected

_XML = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'

_LOCATION = f"""<CreateBucketConfiguration {_XML}>\
<LocationConstraint>{{region}}</LocationConstraint></CreateBucketConfiguration>"""

_BLOCK = f"""<PublicAccessBlockConfiguration {_XML}>\
<BlockPublicAcls>true</BlockPublicAcls><IgnorePublicAcls>true</IgnorePublicAcls>\
<BlockPublicPolicy>true</BlockPublicPolicy><RestrictPublicBuckets>true</RestrictPublicBuckets>\
</PublicAccessBlockConfiguration>"""

_MINIMUM = "x-amz-transition-default-minimum-object-size"
"""Belongs to the rules, and falls back to its default where they are written without it
(https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketLifecycleConfiguration.html)."""

_KMS = (
    "Where it encrypts with a KMS key of your own, the role needs kms:Decrypt and "
    "kms:GenerateDataKey on that key, too."
)

_RULES = f"<LifecycleConfiguration {_XML}></LifecycleConfiguration>"

_RULE = """<Rule><ID>{name}</ID><Filter><Prefix>{prefix}/</Prefix></Filter>\
<Status>Enabled</Status><Expiration><Days>1</Days></Expiration>\
<NoncurrentVersionExpiration><NoncurrentDays>1</NoncurrentDays></NoncurrentVersionExpiration>\
</Rule>"""


async def set_up(address: Address) -> Done:
    """Create what is missing. Raises `SetupError`, `WebSocketError`, ValueError."""
    client = Client(address)
    try:
        return await _Setup(address, client).run()
    finally:
        await client.close()


class _Setup:
    def __init__(self, address: Address, client: Client) -> None:
        self._client = client
        self._guard = Guard(address)

    async def run(self) -> Done:
        client = self._client
        if await self._guard(self._is_there()):
            lines = [f"Bucket {client.bucket} was there already. {_KMS}"]
            if await self._guard(self._is_half_made()):
                await self._guard(self._configure("publicAccessBlock", _BLOCK))
                lines.append("It was empty, and is now closed to the public.")
        else:
            await self._guard(self._create())
            lines = [
                f"Bucket {client.bucket} was created in {client.region}, closed to the public."
            ]
        lines.append(await self._guard(self._expiry()))
        return Done(lines, policy(client.bucket, client.prefix, client.region))

    async def _is_there(self) -> bool:
        """Whether there is a bucket; what is not Lamella's under the prefix would be removed."""
        prefix = self._client.prefix
        ours = {f"{prefix}/", *(f"{prefix}/{kind}/" for kind in "cmg")}
        try:
            async for page in self._client.list(f"{prefix}/", delimiter="/"):
                found = {e.text for e in page.iterfind("{*}Contents/{*}Key")}
                found |= {e.text for e in page.iterfind("{*}CommonPrefixes/{*}Prefix")}
                if others := sorted(str(name) for name in found - ours):
                    raise SetupError(
                        f"Bucket {self._client.bucket} holds {others[0]}, which is not Lamella's, "
                        f"and everything under {prefix}/ would be removed after a day: choose "
                        "a prefix of its own."
                    )
        except NotSetUp:
            return False
        return True

    async def _create(self) -> None:
        region = self._client.region
        body = "" if region == "us-east-1" else _LOCATION.format(region=region)  # it has no name
        expected(await self._client.ask("PUT", body=body.encode()), 200)
        await self._configure("publicAccessBlock", _BLOCK)

    async def _is_half_made(self) -> bool:
        """Whether it is as `_create` leaves it without its last step: empty, no rules, no block.

        Who may not ask for the block has not made the bucket.
        """
        page = await anext(self._client.list("", **{"max-keys": "1"}))
        if page.find("{*}Contents") is not None:
            return False
        rules = await self._client.ask("GET", query={"lifecycle": ""})
        block = await self._client.ask("GET", query={"publicAccessBlock": ""})
        return (error_code(rules), error_code(block)) == (
            "NoSuchLifecycleConfiguration",
            "NoSuchPublicAccessBlockConfiguration",
        )

    async def _expiry(self) -> str:
        prefix = self._client.prefix
        name = f"lamella-websocket {prefix}"
        reply = await self._client.ask("GET", query={"lifecycle": ""})
        is_none = error_code(reply) == "NoSuchLifecycleConfiguration"
        rules = _RULES if is_none else expected(reply, 200).body.decode()
        ids = ElementTree.fromstring(rules).iterfind("{*}Rule/{*}ID")
        if name in {element.text for element in ids}:
            return f"The rule that removes what is a day old under {prefix}/ was there already."
        end = "</LifecycleConfiguration>"
        rule = _RULE.format(name=escape(name), prefix=escape(prefix))
        kept = {_MINIMUM: reply.headers[_MINIMUM]} if _MINIMUM in reply.headers else {}
        await self._configure("lifecycle", rules.replace(end, rule + end), kept)
        return f"A rule was added that removes what is a day old under {prefix}/."

    async def _configure(self, what: str, xml: str, more: Mapping[str, str] = {}) -> None:
        body = xml.encode()
        md5 = hashlib.md5(body, usedforsecurity=False).digest()
        checksum = base64.b64encode(md5).decode()
        headers = {"Content-MD5": checksum, "Content-Type": "text/xml", **more}
        expected(await self._client.ask("PUT", query={what: ""}, headers=headers, body=body), 200)


def policy(bucket: str, prefix: str, region: str) -> Policy:
    """What the function may do. Without s3:ListBucket, S3 answers 403 for what is not there
    (https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html).

    Names of buckets are global: somebody else may take that of a bucket that was removed, and
    gets no handshakes for it.
    """
    arn = f"arn:{partition_of(region).name}:s3:::{bucket}"
    objects = ["s3:DeleteObject", "s3:GetObject", "s3:PutObject"]
    own = {"StringEquals": {"aws:ResourceAccount": "${aws:PrincipalAccount}"}}
    return [
        {"Effect": "Allow", "Action": action, "Resource": resource, "Condition": own}
        for action, resource in ((objects, f"{arn}/{prefix}/*"), ("s3:ListBucket", arn))
    ]
