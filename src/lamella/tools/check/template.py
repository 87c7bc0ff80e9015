"""A function as a SAM or CloudFormation template configures it.

Only what can be known without AWS is read: parameters have their defaults, in `!Ref`, `!Sub` and
`!If`. A value of any other intrinsic function is unknown here, and is listed as that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

FUNCTION_TYPES = ("AWS::Serverless::Function", "AWS::Lambda::Function")


class TemplateError(Exception):
    """The template cannot be used; the message says what to do."""


class WebSockets(NamedTuple):
    """What a template with a WebSocket API has: the keys of its routes, and whether one of its
    functions names a connection store."""

    routes: tuple[str, ...]
    stored: bool


@dataclass(frozen=True)
class TemplateFunction:
    """One function of a template. "" and {} stand for what the template does not say.

    `unknown` names the variables whose values only CloudFormation knows; `websockets` is None
    where the template has no WebSocket API.
    """

    name: str
    path: Path
    runtime: str = ""
    handler: str = ""
    architecture: str = "x86_64"  # Lambda's default
    variables: Mapping[str, str] = field(default_factory=dict)
    unknown: tuple[str, ...] = ()
    websockets: WebSockets | None = None
    has_layers: bool = True  # or needs none: an image has its own /opt
    properties: Mapping[str, Any] = field(default_factory=dict)
    url_mode: str = ""  # of its Function URL: "BUFFERED", "RESPONSE_STREAM", "" without a URL


def find_function(template: Path, folder: Path, name: str | None = None) -> TemplateFunction:
    """The function of `template` called `name`, else the one whose code is `folder`, else the one.

    Raises `TemplateError`.
    """
    loaded = _load(template)
    functions = dict(_functions(loaded))
    if not functions:
        raise TemplateError(f"{template} defines no function: name another --template.")
    held = ", ".join(functions)
    if name is not None and name not in functions:
        raise TemplateError(f"{template} has no function {name!r}: it has {held}.")
    chosen = [name] if name else _with_code(functions, template, folder) or list(functions)
    if len(chosen) > 1:
        raise TemplateError(f"{template} has several functions: choose with --function: {held}.")
    properties = functions[chosen[0]]
    variables = _variables(properties)
    known = {key: _text(value) for key, value in variables.items() if _is_known(value)}
    architectures = properties.get("Architectures")
    first = architectures[0] if isinstance(architectures, list) and architectures else "x86_64"
    return TemplateFunction(
        chosen[0],
        template,
        runtime=_if_known(properties.get("Runtime")),
        handler=_if_known(properties.get("Handler")),
        architecture=_if_known(first),
        variables=known,
        unknown=tuple(sorted(variables.keys() - known.keys())),
        websockets=_websockets(loaded, functions),
        has_layers=bool(properties.get("Layers")) or properties.get("PackageType") == "Image",
        properties=properties,
        url_mode=_url_mode(loaded, chosen[0], properties),
    )


def beside(folder: Path) -> Path | None:
    """The template that `folder` belongs to: that of `sam build` one level up, or its own.

    The first wins, since `sam build` copies a template that lies beside the sources, too.
    None where neither exists or has a function whose code is `folder`.
    """
    for path in (folder.parent / "template.yaml", folder / "template.yaml"):
        if path.is_file() and _with_code(dict(_functions(_load(path))), path, folder):
            return path
    return None


def _load(path: Path) -> Mapping[str, Any]:
    try:
        import yaml  # an extra's dependency, and only for those who have a template
    except ImportError:
        raise TemplateError(
            f"Reading {path} needs PyYAML: pip install 'lamella[local]', or pip install pyyaml."
        ) from None

    class Loader(yaml.SafeLoader):
        """A loader that knows CloudFormation's tags, such as `!Ref`."""

    def long_form(loader: Loader, name: str, node: yaml.Node) -> dict[str, Any]:
        value: Any = None
        if isinstance(node, yaml.ScalarNode):
            value = loader.construct_scalar(node)
        elif isinstance(node, yaml.SequenceNode):
            value = loader.construct_sequence(node, deep=True)
        elif isinstance(node, yaml.MappingNode):
            value = loader.construct_mapping(node, deep=True)
        return {name if name in ("Ref", "Condition") else f"Fn::{name}": value}

    Loader.add_multi_constructor("!", long_form)
    try:
        loaded = yaml.load(path.read_text(), Loader)
    except (OSError, yaml.YAMLError) as error:
        raise TemplateError(f"{path} cannot be read: {error}") from None
    return loaded if isinstance(loaded, dict) else {}


NO_VALUE = {"Ref": "AWS::NoValue"}


def _resolved(value: Any, template: Mapping[str, Any]) -> Any:
    """`value` as the template itself tells it: every parameter has its default.

    What only CloudFormation knows stays a mapping with the intrinsic function's name.
    """
    if isinstance(value, list):
        return [_resolved(each, template) for each in value]
    if not isinstance(value, dict):
        return value
    pairs = ((key, _resolved(each, template)) for key, each in value.items())
    resolved = {key: each for key, each in pairs if each != NO_VALUE}
    if len(resolved) != 1:
        return resolved
    ((function, argument),) = resolved.items()
    found = _evaluated(function, argument, template)
    return resolved if found is None else found


def _evaluated(function: str, argument: Any, template: Mapping[str, Any]) -> Any:
    """What an intrinsic function comes to; None where only CloudFormation knows."""
    if function == "Ref":
        return _with_defaults(f"${{{argument}}}", template)
    if function == "Fn::Sub":
        return _with_defaults(argument, template)
    if function == "Fn::If":
        met = _condition("Condition", argument[0], template)
        return None if met is None else argument[1 if met else 2]
    return _condition(function, argument, template)


def _condition(function: str, argument: Any, template: Mapping[str, Any]) -> bool | None:
    """What a condition comes to; None where only CloudFormation knows, and for other functions."""
    if function == "Condition":
        named = _resolved(_mapping(template.get("Conditions")).get(argument), template)
        return named if isinstance(named, bool) else None
    if function == "Fn::Equals" and all(map(_is_known, argument)):
        return _text(argument[0]) == _text(argument[1])
    if function == "Fn::Not" and isinstance(argument[0], bool):
        return not argument[0]
    return None


def _with_defaults(text: Any, template: Mapping[str, Any]) -> str | None:
    """The text of a `Fn::Sub` with its parameters' defaults; None where one is not known."""
    if not isinstance(text, str):  # with a mapping of its own
        return None
    for name, parameter in _mapping(template.get("Parameters")).items():
        default = _mapping(parameter).get("Default")
        if _is_known(default):
            text = text.replace(f"${{{name}}}", _text(default))
    return None if "${" in text else text


def _url_mode(template: Mapping[str, Any], name: str, properties: Mapping[str, Any]) -> str:
    """The mode of the function's URL, which SAM writes into the function, CloudFormation apart."""
    targets = ({"Ref": name}, {"Fn::GetAtt": f"{name}.Arn"}, {"Fn::GetAtt": [name, "Arn"]})
    urls = [url for _, url in _resources(template, "AWS::Lambda::Url")]
    urls = [_mapping(url) for url in urls if url.get("TargetFunctionArn") in targets]
    if "FunctionUrlConfig" in properties:
        urls = [_mapping(properties["FunctionUrlConfig"])]
    return _if_known(_resolved(urls[0], template).get("InvokeMode", "BUFFERED")) if urls else ""


def _functions(template: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    shared = _mapping(_mapping(template.get("Globals")).get("Function"))
    for name, own in _resources(template, *FUNCTION_TYPES):
        variables = {**_variables(shared), **_variables(own)}
        merged = {**shared, **own, "Environment": {"Variables": variables}}
        yield name, _resolved(merged, template)


def _websockets(
    template: Mapping[str, Any], functions: Mapping[str, Mapping[str, Any]]
) -> WebSockets | None:
    apis = [api for _, api in _resources(template, "AWS::ApiGatewayV2::Api")]
    if not any(api.get("ProtocolType") == "WEBSOCKET" for api in apis):
        return None
    routes = [
        route.get("RouteKey") for _, route in _resources(template, "AWS::ApiGatewayV2::Route")
    ]
    stored = any("ASGI_WEBSOCKET_STORE" in _variables(own) for own in functions.values())
    return WebSockets(tuple(_if_known(route) for route in routes), stored)


def _resources(template: Mapping[str, Any], *types: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Name and properties of each resource of these types."""
    for name, resource in _mapping(template.get("Resources")).items():
        if _mapping(resource).get("Type") in types:
            yield name, _mapping(resource.get("Properties"))


def _variables(properties: Mapping[str, Any]) -> Mapping[str, Any]:
    return _mapping(_mapping(properties.get("Environment")).get("Variables"))


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _with_code(functions: Mapping[str, Any], template: Path, folder: Path) -> list[str]:
    def is_here(code: Any) -> bool:
        return isinstance(code, str) and (template.parent / code).resolve() == folder.resolve()

    return [n for n, own in functions.items() if is_here(own.get("CodeUri", own.get("Code")))]


def _is_known(value: Any) -> bool:
    return isinstance(value, (str, int, float))


def _if_known(value: Any) -> str:
    return _text(value) if _is_known(value) else ""


def _text(value: Any) -> str:
    """As CloudFormation writes it: YAML's true is the string "true"."""
    return str(value).lower() if isinstance(value, bool) else str(value)
