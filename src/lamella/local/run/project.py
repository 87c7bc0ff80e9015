"""What `lamella run` serves: the one function of its command line, or those of a template."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from lamella.front_doors import FrontDoor, FunctionUrl, HttpApi, RestApi
from lamella.front_doors.names import FRONT_DOORS
from lamella.local.config import FunctionConfig, refused_variable
from lamella.local.endpoints.cors import Cors, cors_of
from lamella.local.endpoints.router import EVERYTHING, Route
from lamella.local.endpoints.websockets.api import Door, WebSocketApi, path_header
from lamella.local.machine.interpreter import inspected, interpreter_for
from lamella.local.machine.limits import TMP_MB, Limits, hidden
from lamella.local.run import env_file
from lamella.local.run.env_file import EnvFileError
from lamella.local.run.numbers import MEMORY_MB, STORAGE_MB, TIMEOUT_S
from lamella.local.run.options import Options
from lamella.templates import Api, Function, TemplateError, find_function, functions, read

DAY = 86_400
"""Seconds: no deadline that a debugger meets."""

WAYS_IN = ("ASGI_APP", "AWS_LAMBDA_PYTHON_ENTRYPOINT")


class ProjectError(Exception):
    """What is to be served cannot be; the message says what to change."""


@dataclass(frozen=True)
class Entrance:
    """A front door with the routes that lead through it to one function.

    `name` is the API's or the function's that the URL is of; "" where the command line chose it.
    """

    door: Door
    name: str = ""
    routes: tuple[Route, ...] = (EVERYTHING,)
    cors: Cors | None = None


@dataclass(frozen=True)
class Served:
    """A function and its ways in; `app` is what a developer calls it."""

    app: str
    config: FunctionConfig
    entrances: tuple[Entrance, ...]
    layers: tuple[Path, ...] = ()


@dataclass(frozen=True)
class _Described:
    """A function as the command line or a template has it; the defaults are the command line's."""

    task_root: Path
    name: str = "local"
    handler: str = "lamella.handler"
    timeout: float = 30.0
    memory: int = 512
    tmp_mb: int = TMP_MB
    runtime: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)


def of_command_line(options: Options, layer: Path) -> Served:
    """The function that the command line names. Raises ProjectError, InterpreterError."""
    assert options.app is not None
    door = chosen_door(options)
    described = _Described(options.task_root or Path("."))
    config = _configured(described, options, layer, door.streaming)
    return Served(options.app, config, (Entrance(door),))


def of_template(options: Options, path: Path, layer: Path) -> tuple[list[Served], list[str]]:
    """The functions of a template that an HTTP client reaches, and what is to be said of it.

    With --function that one, whatever leads to it. Raises ProjectError, InterpreterError.
    """
    try:
        template = read(path)
        known = list(functions(template).values())
        if options.function is not None or len(known) < 2:
            known = [find_function(template, name=options.function)]
    except TemplateError as error:
        raise ProjectError(str(error)) from error
    alone = len(known) == 1
    served: list[Served] = []
    notes: list[str] = []
    given = given_variables(options)
    for function in known:
        entrances = tuple(_entrances(function, options, alone))
        why = _unserved(function, entrances)
        if why and alone:
            raise ProjectError(f"{function.name} of {path} {why}")
        if why:
            notes.append(f"{function.name} is left out: it {why}")
            continue
        streaming = any(each.door.streaming for each in entrances)
        config = _configured(_described(function), options, layer, streaming)
        layers = tuple(each.content for each in function.layers if each.content is not None)
        app = config.environment.get("ASGI_APP") or function.name
        served.append(Served(app, config, entrances, layers))
        notes += _differences(function, config, given)
    if not served:
        raise ProjectError(f"no function of {path} can be served: {'; '.join(notes)}")
    return served, notes


def chosen_door(options: Options) -> Door:
    """The front door of the command line with its options. Raises ProjectError."""
    name = options.front_door or "url"
    if name == "websocket":
        header = path_header(given_variables(options))
        return WebSocketApi(options.stage or "prod", options.routes, header)
    if name == "url":
        return FunctionUrl(options.stream is not False, options.hold_chunks)
    stage = options.stage or ("prod" if name == "rest" else "")
    api = Api("", name, stage, options.base.strip("/"), options.binary)
    return _door(api, bool(options.stream))


def without_deadline(door: Door) -> Door:
    """The same front door, which waits as long as a debugger does."""
    if isinstance(door, WebSocketApi):
        return replace(door, time_limit=DAY, idle_limit=DAY, life_limit=DAY)
    door.time_limit = None
    return door


def given_variables(options: Options) -> dict[str, str]:
    """What --env-file and --env say; of two, the one that comes later. Raises ProjectError."""
    variables = {}
    for path in options.env_files:
        try:
            variables.update(env_file.read(path))
        except EnvFileError as error:
            raise ProjectError(f"--env-file {error}") from error
        except UnicodeDecodeError as error:
            message = f"--env-file {path} is not in UTF-8 ({error}): save it as UTF-8"
            raise ProjectError(message) from error
        except OSError as error:
            raise ProjectError(f"--env-file {path} cannot be read: {error.strerror}") from error
    for text in options.env:
        name, equals, value = text.partition("=")
        if not name or not equals:
            raise ProjectError(f"--env {text!r} is not of the form NAME=VALUE")
        variables[name] = value
    if why := refused_variable(variables):
        raise ProjectError(f"--env or --env-file has {why}")
    return variables


def _unserved(function: Function, entrances: tuple[Entrance, ...]) -> str:
    """Why a function of a template cannot be served, or ""."""
    if not entrances:
        return (
            "has neither a Function URL nor a route of an HTTP API, a REST API or a load balancer"
        )
    if function.is_image:
        return "is a container image: give its code with --task-root and no --template"
    if function.code is None:
        return "has no code on this machine: let its CodeUri name a folder"
    if not function.code.is_dir():
        return f"has its code at {function.code}, which is no folder: correct CodeUri, or build it"
    if function.runtime and not function.runtime.startswith("python"):
        return f"has the Runtime {function.runtime}: give it one of Python, such as python3.13"
    leads = (
        function.handler.startswith("lamella.")
        or ":" in function.handler
        or any(name in function.variables for name in WAYS_IN)
        or function.variables.get("AWS_LAMBDA_EXEC_WRAPPER") == "/opt/bootstrap"
    )
    if not leads:
        return (
            f"does not lead to Lamella: its Handler is {function.handler!r}, and it has no ASGI_APP"
            " (the application `app` of main.py has the Handler lamella.serve.main:app)"
        )
    return _refused(function)


def _refused(function: Function) -> str:
    """What Lambda refuses in the function's properties, or ""."""
    numbers = (
        ("a Timeout", function.timeout, TIMEOUT_S),
        ("a MemorySize", function.memory, MEMORY_MB),
        ("an EphemeralStorage", function.storage, STORAGE_MB),
    )
    for what, given, allowed in numbers:
        if given not in allowed:
            return f"has {what} of {given}: give a number from {allowed[0]} to {allowed[-1]}"
    why = refused_variable(function.variables, function.unknown)
    return why and f"has {why}"


def _differences(
    function: Function, config: FunctionConfig, given: Mapping[str, str]
) -> Iterator[str]:
    """What is not as the template says: variables that nobody has `given`, another Python."""
    if unknown := [name for name in function.unknown if name not in given]:
        names = ", ".join(unknown)
        yield f"{function.name}: only CloudFormation knows {names}: give values with --env"
    minor, wanted = inspected(config.python).minor, function.runtime.removeprefix("python")
    if wanted and minor != wanted:
        yield (
            f"{function.name} runs on Python {minor} here ({config.python}), and its Runtime "
            f"is {function.runtime}: name another with --python"
        )


def _only_door(options: Options, function: Function) -> Door | None:
    """The front door that replaces those of the only function: what the command line chooses, or a
    WebSocket API, through which other requests come as from an HTTP API; else None."""
    if options.front_door is not None or not (function.url or function.routes):
        return chosen_door(options)
    of_api = [route for route in function.routes if route.api.door == "websocket"]
    if not of_api:
        return None
    keys = tuple(route.path for route in of_api if not route.path.startswith("$"))
    stage = of_api[0].api.stage.replace("$default", "") or "prod"
    return WebSocketApi(stage, keys, path_header(function.variables))


def _entrances(function: Function, options: Options, alone: bool) -> Iterator[Entrance]:
    """The URL of a function, and each API with its routes to it; `alone`: no other is served."""
    if alone and (only := _only_door(options, function)) is not None:
        yield Entrance(only)
        return
    if function.url is not None:
        url = FunctionUrl(function.url.mode == "RESPONSE_STREAM", options.hold_chunks)
        yield Entrance(url, function.name, cors=cors_of("url", function.url.cors))
    for api in dict.fromkeys(route.api for route in function.routes):
        if api.door == "websocket":
            continue  # see _only_door
        of_this = [route for route in function.routes if route.api == api]
        door = _door(api, any(route.streaming for route in of_this))
        routes = tuple(Route(each.method, each.path) for each in of_this)
        yield Entrance(door, api.name, routes, cors_of(api.door, api.cors))


def _door(api: Api, streaming: bool) -> FrontDoor:
    """An API, as a template or the command line describes it."""
    door = FRONT_DOORS[api.door]()
    base = f"/{api.base}" if api.base else ""
    if isinstance(door, RestApi):
        return RestApi(api.stage or "Prod", base, streaming, api.binary)
    if isinstance(door, HttpApi):
        return replace(door, stage=api.stage or door.stage, base=base)
    return door


def _described(function: Function) -> _Described:
    properties = function.properties
    logging = properties.get("LoggingConfig")
    logging = logging if isinstance(logging, dict) else {}
    levels = {
        "AWS_LAMBDA_LOG_LEVEL": logging.get("ApplicationLogLevel"),
        "AWS_LAMBDA_LOG_FORMAT": logging.get("LogFormat"),
    }
    name = properties.get("FunctionName")
    assert function.code is not None  # _unserved() looked
    return _Described(
        function.code,
        name=name if isinstance(name, str) else function.name,
        handler=function.handler or "lamella.handler",
        timeout=float(function.timeout),
        memory=function.memory,
        tmp_mb=function.storage,
        runtime=function.runtime,
        variables={
            **{key: value for key, value in levels.items() if isinstance(value, str)},
            **function.variables,
        },
    )


def _configured(
    described: _Described, options: Options, layer: Path, streaming: bool
) -> FunctionConfig:
    """The configuration, in which the command line comes before what is described."""
    task_root = options.task_root or described.task_root
    if not task_root.is_dir():
        raise ProjectError(f"--task-root {task_root} is not a directory")
    if options.limits and not options.debug and (why := hidden(task_root)):
        raise ProjectError(f"{why}, or add --no-limits")
    if options.python is None:
        python = interpreter_for(task_root, described.runtime)
    else:
        python = inspected(options.python)
    variables = {**described.variables, **given_variables(options)}
    variables.pop("AWS_LAMBDA_EXEC_WRAPPER", None)  # it is the layer's here
    if options.app is not None:
        variables["ASGI_APP"] = options.app
    mode = "response_stream" if streaming else "buffered"
    # There is a line for each request here, and the application's INFO belongs beside it.
    defaults = {"AWS_LAMBDA_LOG_LEVEL": "INFO", "ASGI_LOG_ACCESS": "off"}
    if not described.variables:
        defaults["ASGI_INVOKE_MODE"] = mode
    # An installer that wrote no bytecode leaves it to the first import.
    packages = tuple(path for path in map(Path, python.packages) if path.is_dir())
    config = FunctionConfig(
        task_root=task_root.resolve(),
        wrapper=layer / "bootstrap",
        handler=described.handler,
        python=python.path,
        environment={**defaults, **variables},
        name=described.name,
        memory=options.memory or described.memory,
        timeout=options.timeout or described.timeout,
        freeze=options.freeze,
        max_concurrency=options.managed,
        snap_start=options.snap_start,
        limits=Limits(tmp_mb=described.tmp_mb, writable=packages) if options.limits else None,
    )
    if not options.debug:
        return config
    unhurried = {"ASGI_LIFESPAN_TIMEOUT": str(DAY), "ASGI_BACKGROUND_TIMEOUT": str(DAY)}
    return replace(
        config,
        environment={**unhurried, **config.environment},
        timeout=float(DAY),
        init_timeout=float(DAY),
        freeze=False,
        limits=None,
        debug=True,
    )
