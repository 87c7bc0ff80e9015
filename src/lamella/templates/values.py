"""The values of a template, as far as the template itself tells them.

Every parameter has its default, or the value that the caller gives. What only CloudFormation knows
stays as the template has it: a mapping with the name of the intrinsic function, such as
`{"Fn::GetAtt": ["Table", "Arn"]}`
(https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference.html).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

NO_VALUE = {"Ref": "AWS::NoValue"}

_PLACE = re.compile(r"\$\{(?P<literal>!?)(?P<name>[^}]*)\}")


class Values:
    """Evaluates the intrinsic functions of one template."""

    def __init__(self, template: Mapping[str, Any], parameters: Mapping[str, str]) -> None:
        self._conditions = mapping(template.get("Conditions"))
        self._tables = mapping(template.get("Mappings"))
        declared = mapping(template.get("Parameters")).items()
        defaults = {name: _default(mapping(parameter)) for name, parameter in declared}
        self._parameters: Mapping[str, Any] = {**defaults, **parameters}

    def resolved(self, value: Any) -> Any:
        """`value` with each intrinsic function replaced that the template itself can answer."""
        if isinstance(value, list):
            return [each for each in map(self.resolved, value) if each != NO_VALUE]
        if not isinstance(value, dict):
            return value
        match value:
            case {"Fn::If": [str(name), yes, no]}:
                met = self.met(name)
                if met is None:
                    return {"Fn::If": [name, self.resolved(yes), self.resolved(no)]}
                return self.resolved(yes if met else no)
        pairs = ((key, self.resolved(each)) for key, each in value.items())
        known = {key: each for key, each in pairs if each != NO_VALUE}
        if len(known) != 1:
            return known
        ((function, argument),) = known.items()
        found = self._evaluated(function, argument)
        return known if found is None else found

    def met(self, condition: Any) -> bool | None:
        """Whether a condition, or the one of this name, is true; None where it is unknown."""
        match condition:
            case str(name) | {"Condition": str(name)}:
                return self.met(self._conditions.get(name))
            case {"Fn::Equals": [left, right]}:
                pair = self.resolved(left), self.resolved(right)
                return text(pair[0]) == text(pair[1]) if all(map(is_known, pair)) else None
            case {"Fn::Not": [inner]}:
                met = self.met(inner)
                return None if met is None else not met
            case {"Fn::And": [*inner]}:
                every = [self.met(each) for each in inner]
                return False if False in every else None if None in every else True
            case {"Fn::Or": [*inner]}:
                every = [self.met(each) for each in inner]
                return True if True in every else None if None in every else False
        return None

    def _evaluated(self, function: str, argument: Any) -> Any:
        """What an intrinsic function comes to; None where only CloudFormation knows."""
        match function, argument:
            case "Ref", str(name):
                return self._parameters.get(name)
            case "Fn::Sub", str(template):
                return self._substituted(template, {})
            case "Fn::Sub", [str(template), dict(own)]:
                return self._substituted(template, own)
            case "Fn::GetAtt", str(path):  # YAML's short form
                return {"Fn::GetAtt": path.split(".", 1)}
            case "Fn::Join", [str(between), [*parts]] if all(map(is_known, parts)):
                return between.join(map(text, parts))
            case "Fn::Split", [str(between), str(joined)]:
                return joined.split(between)
            case "Fn::Select", [(int() | str()) as index, [*items]]:
                return items[int(index)] if text(index) in map(str, range(len(items))) else None
            case "Fn::FindInMap", [table, row, column, *_]:
                rows = mapping(self._tables.get(table)) if isinstance(table, str) else {}
                found = mapping(rows.get(row)) if is_known(row) else {}
                return found.get(column) if is_known(column) else None
        return None

    def _substituted(self, template: str, own: Mapping[str, Any]) -> str | None:
        """The text of a `Fn::Sub`; None where the value of a name is not known."""
        values = {**self._parameters, **own}
        places = list(_PLACE.finditer(template))
        if not all(place["literal"] or is_known(values.get(place["name"])) for place in places):
            return None
        return _PLACE.sub(
            lambda place: (
                f"${{{place['name']}}}" if place["literal"] else text(values[place["name"]])
            ),
            template,
        )


def _default(parameter: Mapping[str, Any]) -> Any:
    """A parameter's default as `Ref` gives it; None where it has none, or names one of SSM's."""
    kind, default = text(parameter.get("Type", "")), parameter.get("Default")
    if default is None or kind.startswith("AWS::SSM::Parameter::Value"):
        return None
    is_list = kind == "CommaDelimitedList" or kind.startswith("List<")
    return [each.strip() for each in text(default).split(",")] if is_list else default


def mentioned(value: Any) -> Iterator[str]:
    """The logical ids of the resources and parameters that a value refers to."""
    match value:
        case {"Ref": str(name)} | {"Fn::GetAtt": [str(name), *_]}:
            yield name.partition(".")[0]  # SAM has `!Ref Function.Alias`
        case {"Fn::Sub": str(template)}:
            yield from (each["name"].partition(".")[0] for each in _PLACE.finditer(template))
        case {"Fn::Sub": [str(template), dict(own)]}:
            yield from mentioned({"Fn::Sub": template})
            yield from mentioned(own)
        case dict():
            for each in value.values():
                yield from mentioned(each)
        case list():
            for each in value:
                yield from mentioned(each)


def is_known(value: Any) -> bool:
    """Whether the template itself tells the value; `{{resolve:...}}` is filled in by AWS."""
    return isinstance(value, (str, int, float)) and "{{resolve:" not in str(value)


def text(value: Any) -> str:
    """A known value as CloudFormation writes it: YAML's true is the string "true"."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def known_text(value: Any) -> str:
    """The text of a value, "" where it is not known."""
    return text(value) if is_known(value) else ""


def mapping(value: Any) -> Mapping[str, Any]:
    """`value` where it is a mapping; a template that is not well-formed has none there."""
    return value if isinstance(value, dict) else {}
