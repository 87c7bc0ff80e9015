"""An ASGI application behind a Function URL, streaming, as a CDK stack."""

from __future__ import annotations

from pathlib import Path

from aws_cdk import App, CfnOutput, Duration, Stack
from aws_cdk import aws_lambda as lambda_
from constructs import Construct
from lamella_layer.cdk import LamellaLayer

BUILD = str(Path(__file__).parent / "build")  # build.sh makes it


class Api(Stack):
    """The function, Lamella's layer on it, and its URL."""

    def __init__(self, scope: Construct, name: str) -> None:
        super().__init__(scope, name)
        function = lambda_.Function(
            self,
            "Function",
            code=lambda_.Code.from_asset(BUILD),
            runtime=lambda_.Runtime.PYTHON_3_13,
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
