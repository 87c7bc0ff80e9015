"""The lines that a template needs for a published layer, in each deploy tool's own words."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping


def sam(arns: Mapping[str, str], parameter: str | None) -> str:
    """A function's `Layers`; a mapping in front where there are several regions.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/dynamic-references-ssm.html
    """
    if parameter:
        return f'Layers:\n  - "{{{{resolve:ssm:{parameter}}}}}"'
    if len(arns) == 1:
        return "\n".join(["Layers:", *(f"  - {arn}" for arn in arns.values())])
    rows = [f"    {region}:\n      Arn: {arn}" for region, arn in arns.items()]
    layers = "# In the function's properties:\nLayers:\n"
    return (
        "\n".join(["Mappings:", "  LamellaLayer:", *rows])
        + f"\n\n{layers}  - !FindInMap [LamellaLayer, !Ref AWS::Region, Arn]"
    )


def cdk(arns: Mapping[str, str], parameter: str | None) -> str:
    """A construct in Python, inside of a stack; with several regions the stack needs its `env`."""
    if parameter:
        arn = f'aws_ssm.StringParameter.value_for_string_parameter(self, "{parameter}")'
    elif len(arns) == 1:
        arn = f'"{next(iter(arns.values()))}"'
    else:
        arn = f"{json.dumps(arns, indent=4)}[self.region]"
    return f'layer = aws_lambda.LayerVersion.from_layer_version_arn(\n    self, "Lamella", {arn}\n)'


def terraform(arns: Mapping[str, str], parameter: str | None) -> str:
    """The argument `layers` of an `aws_lambda_function`, after what it refers to."""
    if parameter:
        return (
            f'data "aws_ssm_parameter" "lamella_layer" {{\n  name = "{parameter}"\n}}\n\n'
            "# In the function:\nlayers = [data.aws_ssm_parameter.lamella_layer.insecure_value]"
        )
    if len(arns) == 1:
        return f'layers = ["{next(iter(arns.values()))}"]'
    rows = [f'    "{region}" = "{arn}"' for region, arn in arns.items()]
    return (
        'data "aws_region" "current" {}\n\n'
        + "\n".join(["locals {", "  lamella_layer = {", *rows, "  }", "}"])
        + "\n\n# In the function:\nlayers = [local.lamella_layer[data.aws_region.current.id]]"
    )


def serverless(arns: Mapping[str, str], parameter: str | None) -> str:
    """A function's `layers` in serverless.yml, with `custom` where there are several regions."""
    if parameter:
        return f"layers:\n  - ${{ssm:{parameter}}}"
    if len(arns) == 1:
        return f"layers:\n  - {next(iter(arns.values()))}"
    rows = [f"    {region}: {arn}" for region, arn in arns.items()]
    return (
        "\n".join(["custom:", "  lamellaLayer:", *rows])
        + "\n\n# In the function:\nlayers:\n  - ${self:custom.lamellaLayer.${aws:region}}"
    )


FORMATS: dict[str, Callable[[Mapping[str, str], str | None], str]] = {
    "arn": lambda arns, _: "\n".join(arns.values()),
    "sam": sam,
    "cdk": cdk,
    "terraform": terraform,
    "serverless": serverless,
}
"""By name: takes the ARNs by region, of which there is one or more, and the parameter that holds
the region's ARN, if there is one; returns lines."""
