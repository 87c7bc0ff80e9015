"""The layer for the AWS Cloud Development Kit. Needs aws-cdk-lib: `lamella-layer[cdk]`.

layer = LamellaLayer(stack, "Lamella")
aws_lambda.Function(stack, "Function", layers=[layer], ...)
"""

from __future__ import annotations

from aws_cdk import aws_lambda
from constructs import Construct

import lamella_layer

RUNTIMES = ("python3.11", "python3.12", "python3.13", "python3.14", "python3.15")
"""The runtimes that the layer has bytecode for."""


class LamellaLayer(aws_lambda.LayerVersion):
    """A layer version with this package's zip, for both processors."""

    def __init__(self, scope: Construct, construct_id: str) -> None:
        super().__init__(
            scope,
            construct_id,
            code=aws_lambda.Code.from_asset(str(lamella_layer.path())),
            description=f"Lamella {lamella_layer.__version__}: runs any ASGI application",
            license="MIT",
            compatible_architectures=[
                aws_lambda.Architecture.ARM_64,
                aws_lambda.Architecture.X86_64,
            ],
        )
        # As names. CDK would compare Runtime objects with the function's by more than the name, and
        # an older CDK has no constant for each.
        resource = self.node.default_child
        assert isinstance(resource, aws_lambda.CfnLayerVersion)
        resource.compatible_runtimes = list(RUNTIMES)
