"""The environment variables of a runtime process: Lambda's own, then the user's.

Names and values: https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html and
the Dockerfiles of the Lambda base images. Nothing comes from the developer's shell, so that a
function never works here because of a variable that it will miss on AWS. Credentials are left
out for the same reason: a function that needs them gets them as user variables.
"""

from __future__ import annotations

import secrets
import time
from pathlib import Path

from lamella.local.config import FunctionConfig
from lamella.local.machine.interpreter import inspected

SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"


def process_variables(config: FunctionConfig, api_address: str) -> dict[str, str]:
    """All variables for the runtime process; `api_address` is the Runtime API's host:port.

    The user's variables come last, but never replace a reserved one: Lambda refuses to
    configure those.
    """
    root = config.task_root
    opt = config.wrapper.parent if config.wrapper is not None else Path("/opt")
    defaults = {
        "LANG": "en_US.UTF-8",
        "TZ": ":UTC",
        "PATH": f"{Path(config.python).parent}:{SYSTEM_PATH}:{opt}/bin",
        # Lambda lists its image's own library directories first. This machine's loader knows
        # its own, and naming them here could swap libraries under the interpreter.
        "LD_LIBRARY_PATH": f"{root}:{root}/lib:{opt}/lib",
        "AWS_XRAY_CONTEXT_MISSING": "LOG_ERROR",
    }
    reserved = {
        "_HANDLER": config.handler,
        "AWS_REGION": config.region,
        "AWS_DEFAULT_REGION": config.region,
        "AWS_EXECUTION_ENV": f"AWS_Lambda_python{inspected(config.python).minor}",
        "AWS_LAMBDA_FUNCTION_NAME": config.name,
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(config.memory),
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_INITIALIZATION_TYPE": config.initialization_type,
        "AWS_LAMBDA_RUNTIME_API": api_address,
        "LAMBDA_TASK_ROOT": str(root),
        "LAMBDA_RUNTIME_DIR": "/var/runtime",
    }
    if config.wrapper is not None:
        reserved["AWS_LAMBDA_EXEC_WRAPPER"] = str(config.wrapper)
    if not config.snap_start:  # each restored environment has a stream, and no variable tells it
        stream = time.strftime("%Y/%m/%d/[$LATEST]", time.gmtime()) + secrets.token_hex(16)
        reserved["AWS_LAMBDA_LOG_GROUP_NAME"] = f"/aws/lambda/{config.name}"
        reserved["AWS_LAMBDA_LOG_STREAM_NAME"] = stream
    if config.max_concurrency is not None:
        reserved["AWS_LAMBDA_MAX_CONCURRENCY"] = str(config.max_concurrency)
        defaults["AWS_LAMBDA_LOG_FORMAT"] = "JSON"  # the only one there
    return {**defaults, **config.environment, **reserved}
