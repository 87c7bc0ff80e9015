"""A parameter of AWS Systems Manager that holds the layer's ARN, so that templates need none.

In a template: `{{resolve:ssm:/lamella/layer-arn}}`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lamella.tools.layer.publishing import trouble
from lamella.tools.layer.publishing.region import CONFIG

if TYPE_CHECKING:
    import boto3


class Parameter:
    """The parameter `name` of one region, with the credentials of `session`."""

    def __init__(self, session: boto3.Session, region: str, name: str) -> None:
        self.name = name
        self.client: Any = session.client("ssm", region_name=region, config=CONFIG)

    def write(self, arn: str) -> None:
        """Let the parameter be `arn`, whatever it was. Raises botocore's errors.

        https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_PutParameter.html
        """
        trouble.patiently(
            lambda: self.client.put_parameter(
                Name=self.name,
                Value=arn,
                Type="String",
                Overwrite=True,
                Description="The newest version of Lamella's layer in this region",
            )
        )
