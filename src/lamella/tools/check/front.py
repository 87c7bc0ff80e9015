"""What the template puts before the application: the way in, URL, APIs and permissions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lamella.templates import Function, beside, functions, read
from lamella.templates.values import is_known, known_text
from lamella.tools.check.findings import Finding, problem, warning
from lamella.tools.check.probing import Probe
from lamella.tools.check.target import Target

WRAPPER = "AWS_LAMBDA_EXEC_WRAPPER"
BOOTSTRAP = "/opt/bootstrap"


def template(target: Target) -> Iterator[Finding]:
    """What the template leads to the layer with, and what of it cannot be known here."""
    function = target.function
    if function is None:
        return
    if unknown := [name for name in function.unknown if name not in target.variables]:
        message = (
            f"The values of {', '.join(unknown)} are known to CloudFormation only: give them with "
            "--env."
        )
        yield warning("template", message, variables=unknown)
    wrapper = target.variables.get(WRAPPER, "")
    leads = wrapper == BOOTSTRAP or function.handler == "lamella.handler" or target.is_one_line
    # Of an image the template need not say what it starts, and of a symbol nobody knows.
    known = function.is_image or WRAPPER in unknown or not is_known(_handler(function))
    if not (leads or known or _is_library(target)):
        yield problem(
            "template",
            f"Nothing leads to Lamella: {WRAPPER} is {wrapper!r}, not {BOOTSTRAP}, and the Handler "
            f"is {function.handler!r}, not lamella.handler or one that begins with lamella.serve.",
        )


def elsewhere(target: Target) -> Iterator[Finding]:
    """A template in the folder whose functions have their code in other folders."""
    if target.template is not None:
        return
    for path in beside(target.folder):
        known = functions(read(path)).values() if path.parent == target.folder else ()
        for function in (each for each in known if each.code and each.code.is_dir()):
            built = target.folder / ".aws-sam" / "build" / function.name
            folder = built if built.is_dir() else function.code
            message = f"{path.name} here is not of this folder, but of {function.name}, whose code"
            yield warning("template", f"{message} lies elsewhere: lamella check {folder}.")


def _handler(function: Function) -> Any:
    return function.properties.get("Handler", "")


def _is_library(target: Target) -> bool:
    """Whether the handler's module is the function's own, and uses Lamella."""
    module = target.function.handler.rpartition(".")[0] if target.function else ""
    path = target.folder / f"{module.replace('.', '/')}.py"
    return bool(module) and path.is_file() and "lamella" in path.read_text(errors="replace")


def attached(target: Target) -> Iterator[Finding]:
    """Whether what the template leads to is there: the layer, or the package."""
    function = target.function
    if function is None or function.layers or function.is_image or target.layers:
        return
    if target.variables.get(WRAPPER) == BOOTSTRAP:
        yield problem(
            "template",
            f"{WRAPPER} is {BOOTSTRAP}, but the function has no Layers: Lambda would not find "
            "that file. Add Lamella's layer to Layers.",
        )
    if target.is_one_line and not _has_package(target.folder):
        yield problem(
            "template",
            f"The Handler is {function.handler!r}, but the function has no package lamella and no "
            "Layers: Lambda could not import it. Add lamella to the requirements.",
        )


def _has_package(folder: Path) -> bool:
    """Whether the package is there, or these are sources that name it, for the build to install."""
    files = (folder / name for name in ("requirements.txt", "pyproject.toml"))
    named = any("lamella" in file.read_text() for file in files if file.is_file())
    return (folder / "lamella").is_dir() or (named and not any(folder.glob("*.dist-info")))


def handler_name(target: Target) -> Iterator[Finding]:
    """Names that tools stumble over which wrap the function that the Handler names.

    OpenTelemetry's wrapper splits the name at its last dot
    (opentelemetry-instrumentation-aws-lambda), and so do Datadog's and New Relic's.
    """
    function = target.function
    if function is None or not function.handler or function.is_image:
        return
    if target.is_one_line:
        disabled = target.variables.get("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS", "").split(",")
        if "otel" in target.variables.get(WRAPPER, "") and "aws-lambda" not in disabled:
            message = f"OpenTelemetry's wrapper cannot resolve the Handler {function.handler!r}:"
            advice = "set OTEL_PYTHON_DISABLED_INSTRUMENTATIONS=aws-lambda. The framework's"
            yield warning("handler", f"{message} {advice} instrumentation traces the requests.")
        return
    application = target.variables.get("ASGI_APP", "").replace(":", ".")
    advice = "Write lamella.handler, which every tool can wrap."
    if "." not in function.handler:
        message = f"The Handler is {function.handler!r}, without a dot: OpenTelemetry's wrapper"
        yield warning("handler", f"{message} fails on such a name. {advice}")
    elif function.handler == application:
        message = f"The Handler {function.handler!r} is the application itself, which OpenTelemetry"
        yield warning("handler", f"{message} would wrap as if it were a handler. {advice}")


BATCHES = ("SQS", "Kinesis", "DynamoDB", "MSK", "SelfManagedKafka")
"""SAM's types of event source mappings that can be told which records of a batch failed."""


def batches(target: Target) -> Iterator[Finding]:
    """Whether a mapping listens to `batchItemFailures`, where the function's own code answers so.

    It is looked for in the folder and in the folders below, where packages have no such module.
    """
    function = target.function
    held = function.properties.get("Events") if function is not None else None
    deaf = [
        f"{name} ({event['Type']})"
        for name, event in (held.items() if isinstance(held, dict) else ())
        if isinstance(event, dict)
        and event.get("Type") in BATCHES
        and "ReportBatchItemFailures" not in str(event.get("Properties"))
    ]
    sources = [*target.folder.glob("*.py"), *target.folder.glob("*/*.py")] if deaf else []
    for path in sources:
        code = path.read_text(errors="replace") if path.parent.name != "lamella" else ""
        if "lamella.events" in code or "batchItemFailures" in code:
            message = (
                f"{path.relative_to(target.folder)} answers with batchItemFailures, but "
                f"{', '.join(deaf)} has no FunctionResponseTypes: [ReportBatchItemFailures]: "
                "records that failed would count as done, and be lost."
            )
            yield warning("events", message, events=deaf)
            return


JSON_INSTEAD = (
    "The {}, but ASGI_INVOKE_MODE is not response_stream: clients would get JSON with the "
    "answer in it. Set both, or neither."
)


def invoke_mode(target: Target) -> Iterator[Finding]:
    """Whether the front door and the application stream, both or neither."""
    function = target.function
    if function is None or "ASGI_INVOKE_MODE" in function.unknown:
        return
    variables = target.variables
    streams = variables.get("ASGI_INVOKE_MODE", "").strip().lower() == "response_stream"
    sources = variables.get("ASGI_STREAM_SOURCES", "url,rest")
    if function.url is not None and (function.url.mode == "RESPONSE_STREAM") is not streams:
        if not streams:
            yield problem(
                "template", JSON_INSTEAD.format("Function URL has InvokeMode RESPONSE_STREAM")
            )
        elif "url" in sources:
            yield problem(
                "template",
                "ASGI_INVOKE_MODE is response_stream, but the Function URL has not InvokeMode "
                "RESPONSE_STREAM: clients could not read the answer. Set both, or neither.",
            )
    rest = [route for route in function.routes if route.api.door == "rest"]
    other = next((route for route in rest if route.streaming is not streams), None)
    if other is None:
        return
    if not streams:
        yield problem("template", JSON_INSTEAD.format("REST API has ResponseTransferMode STREAM"))
    elif "rest" in sources:
        yield problem(
            "template",
            f"ASGI_INVOKE_MODE is response_stream, but {other.method} {other.path} of the REST "
            "API does not stream: it would lose the body. Give its event ResponseTransferMode: "
            "RESPONSE_STREAM, or set ASGI_STREAM_SOURCES=url.",
        )


def permissions(target: Target) -> Iterator[Finding]:
    """What a public Function URL of plain CloudFormation needs, which SAM and CDK add by themselves
    (https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html, since October 2025)."""
    function = target.function
    if target.template is None or function is None or function.url is None:
        return
    if function.url.auth != "NONE" or "FunctionUrlConfig" in function.properties:
        return
    granted = {
        known_text(each.get("Action")): each
        for _, each in target.template.of("AWS::Lambda::Permission")
        if each.get("Principal") == "*"
        and target.template.mentions(each.get("FunctionName"), function.name)
    }
    needed: Mapping[str, str] = {
        "lambda:InvokeFunctionUrl": "FunctionUrlAuthType: NONE",
        "lambda:InvokeFunction": "InvokedViaFunctionUrl: true",
    }
    for action, condition in needed.items():
        if action not in granted:
            yield problem(
                "permissions",
                f"The Function URL has AuthType NONE, but nobody may use it: Lambda answers 403. "
                f"Add an AWS::Lambda::Permission with Action: {action}, Principal: '*' and "
                f"{condition}.",
                action=action,
            )
    direct = granted.get("lambda:InvokeFunction", {"InvokedViaFunctionUrl": True})
    if known_text(direct.get("InvokedViaFunctionUrl")) != "true":
        yield problem(
            "permissions",
            "Everybody may invoke the function directly, with an event of their own making: give "
            "the AWS::Lambda::Permission for lambda:InvokeFunction InvokedViaFunctionUrl: true.",
            action="lambda:InvokeFunction",
        )


def origin(target: Target) -> str:
    """An origin that the front door's own CORS allows; "" where it has none."""
    function = target.function
    if function is None:
        return ""
    if function.url is not None and function.url.cors:
        allowed = function.url.cors.get("AllowOrigins")
        named = [each for each in allowed or () if is_known(each) and "*" not in known_text(each)]
        return known_text(next(iter(named), "https://example.com"))
    return "https://example.com" if _with_cors(function) else ""


def _with_cors(function: Function) -> list[str]:
    return [route.api.name for route in function.routes if route.api.cors]


def cors(target: Target, probe: Probe) -> Iterator[Finding]:
    """Whether both the front door and the application do CORS: `probe` has sent a preflight."""
    function = target.function
    if function is None or not probe.found.get("cors"):
        return
    if function.url is not None and function.url.cors:
        yield warning(
            "cors",
            "The Function URL has Cors, and the application allows origins, too: browsers refuse "
            "an answer with two Access-Control-Allow-Origin headers. Remove one of the two.",
        )
    elif any(route.api.door.startswith("http") for route in function.routes):
        yield warning(
            "cors",
            f"{_with_cors(function)[0]} has CORS configured, so API Gateway drops the CORS headers "
            "of the application, which has its own. Remove one of the two.",
        )
