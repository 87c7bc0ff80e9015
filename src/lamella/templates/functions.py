"""The functions of a template: how each is configured, and which front doors lead to it.

The four ways to declare an API are read: SAM's events, SAM's and API Gateway's OpenAPI documents,
and CloudFormation's own resources, as aws-cdk writes them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lamella.templates.template import IMPLICIT, SERVERLESS, Template, TemplateError
from lamella.templates.values import is_known, known_text, mapping, mentioned, text

FUNCTIONS = (f"{SERVERLESS}Function", "AWS::Lambda::Function")

REST = (f"{SERVERLESS}Api", "AWS::ApiGateway::RestApi")
HTTP = (f"{SERVERLESS}HttpApi", "AWS::ApiGatewayV2::Api")
WEBSOCKET = f"{SERVERLESS}WebSocketApi"

INTEGRATION = "x-amazon-apigateway-integration"


@dataclass(frozen=True)
class Layer:
    """A layer as the function names it; `content` is its folder or zip, if the template has it."""

    name: str
    content: Path | None = None


@dataclass(frozen=True)
class Url:
    """A Function URL."""

    name: str  # its logical id; a function's own for SAM's FunctionUrlConfig
    auth: str = ""  # "NONE" or "AWS_IAM"
    mode: str = "BUFFERED"  # or "RESPONSE_STREAM"
    cors: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Api:
    """What stands in front of functions: an API, or a load balancer's or VPC Lattice's target.

    `door` is its name for `lamella run --front-door`.
    """

    name: str
    door: str
    stage: str = ""  # "" where only CloudFormation knows
    base: str = ""  # the base path of its custom domain, without slashes
    binary: tuple[str, ...] = ()
    cors: Any = field(default=None, compare=False)  # as written: a mapping, an origin, or true


@dataclass(frozen=True)
class Route:
    """A route of an API that leads to the function: `path` is API Gateway's, "$default" for all."""

    api: Api
    path: str
    method: str = "ANY"
    streaming: bool = False


@dataclass(frozen=True)
class Function:
    """One function of a template. "" and () stand for what the template does not say.

    `unknown` names the variables whose values only CloudFormation knows.
    """

    name: str
    template: Path
    code: Path | None = None
    is_image: bool = False
    runtime: str = ""
    handler: str = ""
    architecture: str = "x86_64"  # these four are Lambda's defaults
    timeout: int = 3
    memory: int = 128
    storage: int = 512  # megabytes of /tmp
    variables: Mapping[str, str] = field(default_factory=dict)
    unknown: tuple[str, ...] = ()
    layers: tuple[Layer, ...] = ()
    url: Url | None = None
    routes: tuple[Route, ...] = ()
    properties: Mapping[str, Any] = field(default_factory=dict)  # all that the template says

    def has(self, variable: str) -> bool:
        """Whether the template sets the variable, even if only CloudFormation knows its value."""
        return variable in self.variables or variable in self.unknown


def find_function(
    template: Template, *, name: str | None = None, folder: Path | None = None
) -> Function:
    """The function called `name`, else the one whose code is `folder`, else the only one.

    Raises `TemplateError`.
    """
    known, path = functions(template), template.path
    if not known:
        raise TemplateError(f"{path} defines no function: name another --template.")
    held = ", ".join(known)
    if name is not None and name not in known:
        raise TemplateError(f"{path} has no function {name!r}: it has {held}.")
    here = [each for each in known.values() if folder and each.code == folder.resolve()]
    chosen = [known[name]] if name else here or list(known.values())
    if len(chosen) > 1:
        names = ", ".join(each.name for each in chosen)
        raise TemplateError(f"{path} has several functions: choose with --function: {names}.")
    return chosen[0]


def route_keys(template: Template, api: Api) -> set[str]:
    """The keys of a WebSocket API's routes, whatever they lead to."""
    keys = set(mapping(template.resources[api.name].properties.get("Routes")))
    routes = template.of("AWS::ApiGatewayV2::Route")
    return keys | {
        known_text(r.get("RouteKey")) for _, r in routes if _is_of(template, r, api.name)
    }


def functions(template: Template) -> dict[str, Function]:
    """Every function of `template`, by logical id. Raises `TemplateError`."""
    routes = list(_routes(template))
    return {name: _function(template, name, own, routes) for name, own in template.of(*FUNCTIONS)}


def _function(
    template: Template, name: str, own: Mapping[str, Any], routes: list[tuple[Any, Route]]
) -> Function:
    given = mapping(mapping(own.get("Environment")).get("Variables"))
    variables = {key: text(value) for key, value in given.items() if is_known(value)}
    architectures = own.get("Architectures")
    first = architectures[0] if isinstance(architectures, list) and architectures else "x86_64"
    layers = own.get("Layers") if isinstance(own.get("Layers"), list) else [own.get("Layers")]
    to_it = (route for target, route in routes if template.mentions(target, name))
    storage = mapping(own.get("EphemeralStorage"))

    def number(what: str, value: Any, default: int) -> int:
        """A whole number; `default` where the template does not tell it. Raises TemplateError."""
        if not is_known(value):
            return default
        try:
            return int(text(value))
        except ValueError:
            said = f"{name} of {template.path} has {what} of {text(value)!r}"
            raise TemplateError(f"{said}: give a whole number.") from None

    return Function(
        name,
        template.path,
        code=_content(template, name, own.get("CodeUri", own.get("Code"))),
        is_image=own.get("PackageType") == "Image",
        runtime=known_text(own.get("Runtime")),
        handler=known_text(own.get("Handler")),
        architecture=known_text(first),
        timeout=number("a Timeout", own.get("Timeout"), Function.timeout),
        memory=number("a MemorySize", own.get("MemorySize"), Function.memory),
        storage=number("an EphemeralStorage", storage.get("Size"), Function.storage),
        variables=variables,
        unknown=tuple(sorted(given.keys() - variables.keys())),
        layers=tuple(_layer(template, each) for each in layers or () if each is not None),
        url=_url(template, name, own),
        routes=tuple(dict.fromkeys(to_it)),
        properties=own,
    )


def _content(template: Template, name: str, code: Any) -> Path | None:
    """Where code lies on this machine: SAM's folder, or the asset that aws-cdk copied."""
    folder = template.path.parent
    asset = template.resources[name].metadata.get("aws:asset:path", code)
    if isinstance(asset, str):
        return (folder / asset).resolve()
    key = known_text(mapping(asset).get("S3Key"))  # aws-cdk names it for the asset
    assets = (folder / f"asset.{each}" for each in (key, key.removesuffix(".zip")) if each)
    return next((path.resolve() for path in assets if path.exists()), None)


def _layer(template: Template, value: Any) -> Layer:
    for name in mentioned(value):
        if (resource := template.resources.get(name)) and "LayerVersion" in resource.type:
            uri = resource.properties.get("ContentUri", resource.properties.get("Content"))
            return Layer(name, _content(template, name, uri))
    return Layer(known_text(value) or next(mentioned(value), ""))


def _url(template: Template, name: str, own: Mapping[str, Any]) -> Url | None:
    """The function's URL, which SAM writes into the function, and CloudFormation apart."""
    found = [
        (each, url)
        for each, url in template.of("AWS::Lambda::Url")
        if template.mentions(url.get("TargetFunctionArn"), name)
    ]
    if "FunctionUrlConfig" in own:
        found = [(name, mapping(own["FunctionUrlConfig"]))]
    for each, url in found:
        mode = known_text(url.get("InvokeMode", "BUFFERED"))
        return Url(each, known_text(url.get("AuthType")), mode, mapping(url.get("Cors")))
    return None


def apis(template: Template) -> Iterator[Api]:
    """Every API, with its stage, its base path and what it does with CORS."""
    for name, own in template.of(*REST):
        of_body = _openapi(own).get("x-amazon-apigateway-binary-media-types")
        types = own.get("BinaryMediaTypes") or of_body
        types = types if isinstance(types, list) else []
        yield Api(
            name,
            "rest",
            stage=_stage(template, name, own) or ("Prod" if name in IMPLICIT else ""),
            base=_base(template, name, own),
            binary=tuple(known_text(each).replace("~1", "/") for each in types),
            cors=own.get("Cors"),
        )
    for name, own in template.of(*HTTP, WEBSOCKET):
        sockets = "Routes" in own or own.get("ProtocolType") == "WEBSOCKET"
        yield Api(
            name,
            "websocket" if sockets else "http",
            stage=_stage(template, name, own) or ("default" if "Routes" in own else "$default"),
            base=_base(template, name, own),
            cors=own.get("CorsConfiguration") or _openapi(own).get("x-amazon-apigateway-cors"),
        )


def _openapi(own: Mapping[str, Any]) -> Mapping[str, Any]:
    return mapping(own.get("DefinitionBody", own.get("Body")))


def _stage(template: Template, api: str, own: Mapping[str, Any]) -> str:
    stages = template.of(
        "AWS::ApiGateway::Stage", "AWS::ApiGateway::Deployment", "AWS::ApiGatewayV2::Stage"
    )
    of_this = [each for _, each in stages if _is_of(template, each, api)]
    named = [known_text(each.get("StageName")) for each in (own, *of_this)]
    return next(filter(None, named), "")


def _base(template: Template, api: str, own: Mapping[str, Any]) -> str:
    mappings = template.of("AWS::ApiGateway::BasePathMapping", "AWS::ApiGatewayV2::ApiMapping")
    given = [mapping(own.get("Domain")).get("BasePath")]
    for _, each in mappings:
        if _is_of(template, each, api):
            given.append(each.get("BasePath", each.get("ApiMappingKey")))
    first = next(filter(None, given), "")
    return known_text(first[0] if isinstance(first, list) else first).strip("/")


def _is_of(template: Template, resource: Mapping[str, Any], api: str) -> bool:
    return template.mentions(resource.get("RestApiId", resource.get("ApiId")), api)


def _routes(template: Template) -> Iterator[tuple[Any, Route]]:
    """Every route with what it leads to, in whichever way it is declared."""
    known = {each.name: each for each in apis(template)}
    for name, own in template.of(*FUNCTIONS):
        for event in mapping(own.get("Events")).values():
            yield from _of_event(name, mapping(event), known)
    for api in known.values():
        yield from _of_api(api, template.resources[api.name].properties)
    yield from _of_resources(template, known)


def _of_event(
    function: str, event: Mapping[str, Any], known: Mapping[str, Api]
) -> Iterator[tuple[Any, Route]]:
    """The route of a function's event (`Type: Api` or `HttpApi`), as SAM has it."""
    properties = mapping(event.get("Properties"))
    if event.get("Type") not in IMPLICIT.values():
        return
    is_rest = event["Type"] == "Api"
    names = mentioned(properties.get("RestApiId" if is_rest else "ApiId"))
    implicit = "ServerlessRestApi" if is_rest else "ServerlessHttpApi"
    api = known.get(next(names, implicit)) or Api("", "rest" if is_rest else "http")
    route = Route(
        _with_payload(api, properties.get("PayloadFormatVersion", "2.0")),
        known_text(properties.get("Path")) or "$default",
        known_text(properties.get("Method")).upper() or "ANY",
        properties.get("ResponseTransferMode") == "RESPONSE_STREAM",
    )
    yield {"Ref": function}, route


def _of_api(api: Api, own: Mapping[str, Any]) -> Iterator[tuple[Any, Route]]:
    """The routes that an API's own resource declares."""
    for path, item in mapping(_openapi(own).get("paths")).items():
        for method, operation in mapping(item).items():
            if integration := mapping(mapping(operation).get(INTEGRATION)):
                route = Route(
                    _with_payload(api, integration.get("payloadFormatVersion", "1.0")),
                    "$default" if path == "/$default" else path,
                    "ANY" if method.startswith("x-") else method.upper(),
                    integration.get("responseTransferMode") == "STREAM",
                )
                yield integration.get("uri"), route
    for key, given in mapping(own.get("Routes")).items():  # of a WebSocketApi
        yield mapping(given).get("FunctionArn"), Route(api, key)
    yield own.get("Target"), Route(api, "$default")  # of an HTTP API of one resource


def _of_resources(template: Template, known: Mapping[str, Api]) -> Iterator[tuple[Any, Route]]:
    """The routes that CloudFormation's own resources make."""
    for _, method in template.of("AWS::ApiGateway::Method"):
        if api := known.get(next(mentioned(method.get("RestApiId")), "")):
            integration = mapping(method.get("Integration"))
            streaming = integration.get("ResponseTransferMode") == "STREAM"
            path = _path(template, method.get("ResourceId"))
            route = Route(api, path, known_text(method.get("HttpMethod")), streaming)
            yield integration.get("Uri"), route
    integrations = dict(template.of("AWS::ApiGatewayV2::Integration"))
    for _, own in template.of("AWS::ApiGatewayV2::Route"):
        if api := known.get(next(mentioned(own.get("ApiId")), "")):
            integration = mapping(integrations.get(next(mentioned(own.get("Target")), "")))
            api = _with_payload(api, integration.get("PayloadFormatVersion", "1.0"))
            verb, _, path = known_text(own.get("RouteKey")).rpartition(" ")
            yield integration.get("IntegrationUri"), Route(api, path, verb or "ANY")
    several = {"Key": "lambda.multi_value_headers.enabled", "Value": "true"}
    for name, group in template.of("AWS::ElasticLoadBalancingV2::TargetGroup"):
        attributes = group.get("TargetGroupAttributes")
        has_several = isinstance(attributes, list) and several in attributes
        api = Api(name, "alb-multi-value" if has_several else "alb")
        yield group.get("Targets"), Route(api, "$default")
    for name, group in template.of("AWS::VpcLattice::TargetGroup"):
        version = mapping(group.get("Config")).get("LambdaEventStructureVersion")
        api = Api(name, "lattice-v1" if version == "V1" else "lattice")
        yield group.get("Targets"), Route(api, "$default")


def _path(template: Template, resource: Any) -> str:
    """The path of a REST API's resource, from its parents down to its own part.

    Raises `TemplateError`.
    """
    parts: dict[str, str] = {}
    name = next(mentioned(resource), "")
    while (found := template.resources.get(name)) and found.type == "AWS::ApiGateway::Resource":
        if name in parts:
            raise TemplateError(
                f"{template.path} has a resource {name!r} whose ParentId leads back to itself: "
                "begin its parents at the API's RootResourceId."
            )
        parts[name] = known_text(found.properties.get("PathPart"))
        name = next(mentioned(found.properties.get("ParentId")), "")
    return "/" + "/".join(reversed(parts.values()))


def _with_payload(api: Api, version: Any) -> Api:
    """An HTTP API speaks one of two formats to each of its functions."""
    is_old = api.door == "http" and known_text(version) == "1.0"
    return replace(api, door="http-v1") if is_old else api
