"""A template's file, and its resources with their values."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lamella.templates.loops import LoopError, unrolled
from lamella.templates.values import Values, known_text, mapping, mentioned

SERVERLESS = "AWS::Serverless::"

IMPLICIT = {"ServerlessRestApi": "Api", "ServerlessHttpApi": "HttpApi"}
"""The APIs that SAM makes for events that name none, with their types
(https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/sam-specification-generated-resources.html)."""

TEXT, DATE = "tag:yaml.org,2002:str", "tag:yaml.org,2002:timestamp"
OF_SCALARS = {DATE, *(f"tag:yaml.org,2002:{kind}" for kind in ("bool", "int", "float", "null"))}
"""YAML's own tags of what a plain scalar may be besides text."""


class TemplateError(Exception):
    """The template cannot be used; the message says what to do."""


@dataclass(frozen=True)
class Resource:
    """A resource that the template creates; its properties have the values that are known."""

    type: str
    properties: Mapping[str, Any]
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Template:
    """The resources of a template by logical id; SAM's globals and implicit APIs are in them."""

    path: Path
    resources: Mapping[str, Resource]

    def of(self, *types: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Logical id and properties of each resource of these types."""
        for name, resource in self.resources.items():
            if resource.type in types:
                yield name, resource.properties

    def mentions(self, value: Any, name: str) -> bool:
        """Whether `value` refers to the resource `name`, or to an alias or version of it."""
        names = set(mentioned(value))
        for each in list(names):
            resource = self.resources.get(each)
            if resource and resource.type in ("AWS::Lambda::Alias", "AWS::Lambda::Version"):
                names.update(mentioned(resource.properties.get("FunctionName")))
        return name in names


def read(path: Path, parameters: Mapping[str, str] | None = None) -> Template:
    """The template at `path`: YAML, or JSON where the name ends so.

    `parameters` are values for parameters, in place of their defaults; pseudo parameters, such as
    AWS::Region, have none. Raises `TemplateError`.
    """
    loaded = _load(path)
    try:
        return Template(path, dict(_resources(loaded, parameters or {})))
    except LoopError as error:
        raise TemplateError(f"{path} cannot be read: {error}.") from None
    except RecursionError:
        raise TemplateError(
            f"{path} has a condition or an anchor that leads back to itself."
        ) from None


def _resources(
    loaded: Mapping[str, Any], parameters: Mapping[str, str]
) -> Iterator[tuple[str, Resource]]:
    """Logical id and content of each resource that is made. Raises LoopError, RecursionError."""
    looped = {name: mapping(loaded.get(name)) for name in ("Conditions", "Resources")}
    loaded = {**loaded, **unrolled(looped, Values(loaded, parameters).resolved)}
    values, shared = Values(loaded, parameters), mapping(loaded.get("Globals"))
    declared = dict(loaded["Resources"])
    if any(mapping(each).get("Type") == f"{SERVERLESS}Function" for each in declared.values()):
        for name, kind in IMPLICIT.items():
            declared.setdefault(name, {"Type": f"{SERVERLESS}{kind}"})
    for name, resource in declared.items():
        kind = known_text(mapping(resource).get("Type"))
        if "Condition" in mapping(resource) and values.met(resource["Condition"]) is False:
            continue
        of_all = mapping(shared.get(kind.removeprefix(SERVERLESS)))
        properties = _merged(of_all, mapping(mapping(resource).get("Properties")))
        metadata = mapping(mapping(resource).get("Metadata"))
        yield name, Resource(kind, values.resolved(properties), metadata)


def beside(folder: Path) -> Iterator[Path]:
    """The templates that `folder` may belong to, the likeliest first.

    What `sam build` or `cdk synth` leaves one level up comes before a template in the folder: SAM
    copies that one into the built function with the sources.
    """
    for place in (folder.parent, folder):
        for pattern in ("template.yaml", "template.yml", "template.json", "*.template.json"):
            yield from sorted(place.glob(pattern))


def _load(path: Path) -> Mapping[str, Any]:
    try:
        text = path.read_text()
        return mapping(json.loads(text) if path.suffix == ".json" else _of_yaml(path, text))
    except (OSError, ValueError) as error:
        raise TemplateError(f"{path} cannot be read: {error}") from None
    except RecursionError:
        raise TemplateError(f"{path} cannot be read: it is nested too deeply.") from None


def _of_yaml(path: Path, text: str) -> Any:
    """Raises ValueError, RecursionError; TemplateError where PyYAML is missing."""
    try:
        import yaml  # an extra's dependency, and only for those who have such a template
    except ImportError:
        raise TemplateError(
            f"Reading {path} needs PyYAML: pip install 'lamella[local]', or pip install pyyaml."
        ) from None

    class Loader(yaml.SafeLoader):
        """A loader that knows CloudFormation's tags, such as `!Ref`, and has no dates, as JSON has
        none. A key is text: `ON` and `404` are no boolean and no number there."""

        def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
            for key, _ in node.value:
                if isinstance(key, yaml.ScalarNode) and key.tag in OF_SCALARS:
                    key.tag = TEXT
            return super().construct_mapping(node, deep)

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
    Loader.add_constructor(DATE, lambda _, node: str(node.value))
    try:
        return yaml.load(text, Loader)
    except yaml.YAMLError as error:
        raise ValueError(error) from None


def _merged(of_all: Any, own: Any, key: str = "") -> Any:
    """SAM's globals below a resource's own value: mappings merge, lists add up, else the own wins
    (https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/sam-specification-template-anatomy-globals.html)."""
    if isinstance(of_all, dict) and isinstance(own, dict):
        return {each: _merged(of_all.get(each), own.get(each), each) for each in {**of_all, **own}}
    if isinstance(of_all, list) and isinstance(own, list) and key != "Architectures":
        return [*of_all, *own]
    return of_all if own is None else own
