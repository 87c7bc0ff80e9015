"""One region's Lambda: which layer versions it has, a new one, and who may use it."""

from __future__ import annotations

import functools
import io
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from botocore.config import Config
from botocore.exceptions import ClientError

from lamella.tools.layer.publishing import PublishError, numbers, trouble
from lamella.tools.layer.publishing.access import Access
from lamella.tools.layer.publishing.numbers import Latest
from lamella.tools.layer.publishing.release import Upload, placeholder

if TYPE_CHECKING:
    import boto3
    from mypy_boto3_lambda import LambdaClient

ARCHITECTURES = ["arm64", "x86_64"]
RUNTIMES = ["python3.11", "python3.12", "python3.13", "python3.14", "python3.15"]
"""What the layer says it is for; Lambda filters lists with it and enforces nothing
(https://docs.aws.amazon.com/lambda/latest/api/API_PublishLayerVersion.html)."""

CONFIG = Config(connect_timeout=10, read_timeout=60, retries={"total_max_attempts": 1})
"""For clients: botocore does not retry, because publishing is not idempotent (see Region)."""


class Tell(Protocol):
    """Takes what is being done, in a few words, and how much of it: first 0, then up to 1."""

    def __call__(self, words: str, part: float = 0.0, /) -> None: ...


class Sending(io.BytesIO):
    """The body of a request, which tells how much of it the connection has taken."""

    def __init__(self, body: bytes, told: Callable[[float], None]) -> None:
        super().__init__(body)
        self._told, self._size = told, len(body)

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        self._told(self.tell() / self._size)
        return data


class Region:
    """The layer `layer` in the region `name`, with the credentials of `session`.

    Before it repeats a call that failed it looks whether the call did its work all the same.
    """

    def __init__(self, session: boto3.Session, name: str, layer: str) -> None:
        self.name = name
        self.client: LambdaClient = session.client("lambda", region_name=name, config=CONFIG)
        self._layer = layer
        self._filters: dict[str, Any] = {
            "CompatibleArchitectures": ARCHITECTURES,
            "CompatibleRuntimes": RUNTIMES,
        }
        self._sent: Callable[[float], None] = lambda _: None
        self.client.meta.events.register("before-send.lambda.PublishLayerVersion", self._send)

    def _send(self, request: Any, **_: Any) -> None:
        request.body = Sending(request.body, self._sent)

    def latest(self) -> Latest:
        """Return the newest version of the layer. Raises botocore's errors."""
        number = max(trouble.patiently(self._numbers), default=0)
        if number == 0:
            return Latest(0, "", "")
        found = trouble.patiently(
            lambda: self.client.get_layer_version(LayerName=self._layer, VersionNumber=number)
        )
        return Latest(number, found["LayerVersionArn"], found["Content"]["CodeSha256"])

    def publish(self, upload: Upload, wanted: int, tell: Tell) -> Latest:
        """Make `upload` the newest version, with the number `wanted` if that can be.

        Publishes nothing when it is the newest already, whatever its number. Raises botocore's
        errors, and PublishError when Lambda has stored other bytes than those sent.
        """
        latest, failures = self.latest(), 0
        while latest.code_sha256 != upload.code_sha256:
            fills = numbers.placeholders(latest, wanted)
            words = f"publishing version {latest.number + 1}" + (" (placeholder)" if fills else "")
            tell(words)
            self._sent = functools.partial(tell, words)
            try:
                latest = self._publish(placeholder() if fills else upload)
            except trouble.AWS_ERRORS as error:
                # Regions without arm64 refuse the field, not what it says.
                if "CompatibleArchitectures are not supported" not in str(error) or (
                    not self._filters.pop("CompatibleArchitectures", None)
                ):
                    failures += 1
                    if not trouble.passes(error) or failures == trouble.ATTEMPTS:
                        raise
                    trouble.pause(failures)
                latest = self.latest()
        return latest

    def allow(self, number: int, access: Access) -> None:
        """Let `access` use version `number`; one that it has already is fine."""
        organization = {"OrganizationId": access.organization} if access.organization else {}
        try:
            trouble.patiently(
                lambda: self.client.add_layer_version_permission(
                    LayerName=self._layer,
                    VersionNumber=number,
                    StatementId=access.statement_id,
                    Action="lambda:GetLayerVersion",
                    Principal=access.principal,
                    **organization,
                )
            )
        except ClientError as error:
            # "It exists already, or another operation is in progress", AWS says: which of them?
            if trouble.code(error) != "ResourceConflictException":
                raise
            policy = trouble.patiently(
                lambda: self.client.get_layer_version_policy(
                    LayerName=self._layer, VersionNumber=number
                )
            )["Policy"]
            if access.statement_id not in (each["Sid"] for each in json.loads(policy)["Statement"]):
                raise

    def _numbers(self) -> list[int]:
        pages = self.client.get_paginator("list_layer_versions").paginate(LayerName=self._layer)
        try:
            return [version["Version"] for page in pages for version in page["LayerVersions"]]
        except ClientError as error:
            if trouble.code(error) == "ResourceNotFoundException":
                return []
            raise

    def _publish(self, upload: Upload) -> Latest:
        made = self.client.publish_layer_version(
            LayerName=self._layer,
            Description=upload.description,
            Content={"ZipFile": upload.data},
            LicenseInfo="MIT",
            **self._filters,
        )
        stored = made["Content"]["CodeSha256"]
        if stored != upload.code_sha256:
            raise PublishError(
                f"sent a zip with sha256 {upload.code_sha256} (base64), but Lambda has stored "
                f"{stored} as {made['LayerVersionArn']}: delete that version and try again"
            )
        return Latest(made["Version"], made["LayerVersionArn"], stored)
