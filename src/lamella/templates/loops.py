"""`Fn::ForEach`, which writes the same part of a template once for each value of a list
(https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference-foreach.html).

    Fn::ForEach::Functions: [Name, [Items, Users], {"${Name}Function": {Type: ...}}]
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from lamella.templates.values import is_known, text

LOOP = "Fn::ForEach::"


class LoopError(Exception):
    """A loop cannot be written out; the message says what to do."""


def unrolled(value: Any, resolved: Callable[[Any], Any]) -> Any:
    """`value` with each loop in it replaced by what the loop writes.

    `resolved` evaluates the intrinsic functions of the list that a loop goes through. Raises
    LoopError, also where only CloudFormation knows that list.
    """
    if isinstance(value, list):
        return [unrolled(each, resolved) for each in value]
    if not isinstance(value, dict):
        return value
    written: dict[str, Any] = {}
    for key, each in value.items():
        if not key.startswith(LOOP):
            written[key] = unrolled(each, resolved)
            continue
        match each:
            case [str(name), given, dict(body)]:
                items = resolved(given)
            case _:
                raise LoopError(f"{key} is no list of a name, a list of values, and a mapping")
        if not isinstance(items, list) or not all(map(is_known, items)):
            raise LoopError(
                f"only CloudFormation knows the values of {key}: write them into the template, or "
                "give their parameter a Default"
            )
        for item in items:
            # A loop inside this one may go through a list that the item names.
            written |= unrolled(_with(body, name, text(item)), resolved)
    return written


def _with(value: Any, name: str, item: str) -> Any:
    """A copy of `value` with `item` in place of the loop's variable `name`."""
    match value:
        case {"Ref": str(ref)} if ref == name:
            return item
        case dict():
            return {_with(key, name, item): _with(each, name, item) for key, each in value.items()}
        case list():
            return [_with(each, name, item) for each in value]
        case str():
            logical = re.sub("[^A-Za-z0-9]", "", item)  # what an id may have
            return value.replace(f"${{{name}}}", item).replace(f"&{{{name}}}", logical)
    return value
