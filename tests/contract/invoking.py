"""An invocation through Lambda's API, as the judges of this machine and those of AWS make it."""

from __future__ import annotations

import json
from typing import Any


def invoke(client: Any, function: str, event: Any, **options: Any) -> tuple[Any, bool]:
    """The result of an invocation, and whether it failed.

    `client` is boto3's for Lambda, and `function` a name, also with an alias behind a colon.
    """
    answer = client.invoke(FunctionName=function, Payload=json.dumps(event), **options)
    return json.load(answer["Payload"]), "FunctionError" in answer
