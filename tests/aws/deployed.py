"""The stack as the contract and the questions see it, once it stands."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.contract.checks import Target


@dataclass(frozen=True)
class Deployed:
    """Where everything of the stack is.

    `targets` has each front door, by the name that the page gives it. `functions` has the name of
    each Lambda function, by its logical id in template.yaml ("UrlStreamed"). `client` makes boto3's
    client of a service ("lambda") in the stack's region, and `outputs` are the stack's own.
    """

    targets: Mapping[str, Target]
    functions: Mapping[str, str]
    client: Callable[[str], Any]
    outputs: Mapping[str, str]
