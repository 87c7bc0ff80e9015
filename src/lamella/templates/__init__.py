"""What a SAM or CloudFormation template says of its functions; `lamella check` and `lamella run`
share this reader. What aws-cdk synthesizes is CloudFormation, too.

    template = read(Path("template.yaml"))
    function = find_function(template, name="Api")
    function.handler, function.variables, function.url, function.routes
"""

from lamella.templates.functions import (
    Api,
    Function,
    Layer,
    Route,
    Url,
    apis,
    find_function,
    functions,
    route_keys,
)
from lamella.templates.template import Resource, Template, TemplateError, beside, read

__all__ = [
    "Api",
    "Function",
    "Layer",
    "Resource",
    "Route",
    "Template",
    "TemplateError",
    "Url",
    "apis",
    "beside",
    "find_function",
    "functions",
    "read",
    "route_keys",
]
