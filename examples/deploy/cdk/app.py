"""An ASGI application behind a Function URL, streaming, as a CDK stack."""

from __future__ import annotations

import subprocess
from pathlib import Path

import jsii
from aws_cdk import App, BundlingOptions, CfnOutput, Duration, ILocalBundling, Stack
from aws_cdk import aws_lambda as lambda_
from constructs import Construct
from lamella_layer.cdk import LamellaLayer

HERE = Path(__file__).parent


@jsii.implements(ILocalBundling)
class Build:
    """build.sh, which installs and compiles, in place of a container."""

    def try_bundle(self, output_dir: str, _options: object) -> bool:
        """Make the asset in the folder that CDK names."""
        subprocess.run([HERE / "build.sh", output_dir], check=True)
        return True


class Api(Stack):
    """The function, Lamella's layer on it, and its URL."""

    def __init__(self, scope: Construct, name: str) -> None:
        super().__init__(scope, name)
        runtime = lambda_.Runtime.PYTHON_3_13  # build.sh has the same one
        bundling = BundlingOptions(image=runtime.bundling_image, local=Build())
        function = lambda_.Function(
            self,
            "Function",
            code=lambda_.Code.from_asset(str(HERE / "app"), bundling=bundling),
            runtime=runtime,
            architecture=lambda_.Architecture.ARM_64,
            handler="lamella.handler",  # Lambda wants one; the bootstrap takes ASGI_APP
            memory_size=512,
            timeout=Duration.seconds(30),
            layers=[LamellaLayer(self, "Lamella")],
            environment={
                "AWS_LAMBDA_EXEC_WRAPPER": "/opt/bootstrap",
                "ASGI_APP": "main:app",
                "ASGI_INVOKE_MODE": "response_stream",
            },
        )
        url = function.add_function_url(
            auth_type=lambda_.FunctionUrlAuthType.AWS_IAM,
            invoke_mode=lambda_.InvokeMode.RESPONSE_STREAM,
        )
        CfnOutput(self, "Url", value=url.url)


app = App()
Api(app, "Api")
app.synth()
