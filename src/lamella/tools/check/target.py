"""What the commands work on: a function's folder, its configuration and its interpreter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import lamella
from lamella.importer import ONE_LINE
from lamella.local.config import FunctionConfig, refused_variable
from lamella.local.execution.variables import process_variables
from lamella.local.machine.interpreter import Interpreter, InterpreterError
from lamella.local.machine.layer import LayerError, unpack
from lamella.local.machine.limits import hidden
from lamella.templates import (
    Function,
    Template,
    TemplateError,
    beside,
    find_function,
    functions,
    read,
)
from lamella.tools.check.interpreter import chosen


class TargetError(Exception):
    """The command line does not fit what is there; the message says what to change."""


@dataclass(frozen=True)
class Request:
    """What the command line asks for; None and "" stand for what it does not say."""

    folder: Path
    app: str | None = None
    env: tuple[str, ...] = ()
    python: str | None = None
    runtime: str = ""
    architecture: str | None = None
    template: Path | None = None
    function: str | None = None
    layers: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Target:
    """A function ready to be looked at. `variables` are the user's part of its environment.

    `function` is what `template` says of it; both are None without a template.
    """

    folder: Path
    interpreter: Interpreter
    variables: Mapping[str, str]
    architecture: str  # "x86_64" or "arm64"; where nobody names one, this machine's
    template: Template | None = None
    function: Function | None = None
    layers: tuple[Path, ...] = field(default=())
    runtime: str = ""  # "python3.13"; "" where nobody names one

    @property
    def is_one_line(self) -> bool:
        """Whether `Handler: lamella.serve...` leads to the application."""
        return self.function is not None and self.function.handler.startswith(ONE_LINE)

    def process_variables(self) -> dict[str, str]:
        """All variables of the function's process, as Lambda would set them."""
        config = FunctionConfig(
            self.folder,
            command=(self.interpreter.path,),
            handler=(self.function.handler if self.function else "") or "lamella.handler",
            python=self.interpreter.path,
            environment=self.variables,
        )
        return process_variables(config, "127.0.0.1:9")  # the discard port: nobody answers


def resolved(request: Request) -> Target:
    """Find out what `request` leaves open. Raises `TargetError`."""
    folder = request.folder.resolve()
    if why := hidden(folder):
        raise TargetError(f"{why}.")
    try:
        template = read(request.template) if request.template else _of_folder(folder)
        if request.function and template is None:
            raise TargetError("--function names a function of a template: add --template.")
        function = (
            find_function(template, name=request.function, folder=folder) if template else None
        )
        configured = function or Function("", folder)  # says nothing
        runtime = request.runtime or configured.runtime
        interpreter = chosen(request.python, runtime)
    except (TemplateError, InterpreterError) as error:
        raise TargetError(str(error)) from None
    variables = dict(configured.variables)
    for text in request.env:
        name, equals, value = text.partition("=")
        if "" in (name, equals):
            raise TargetError(f"--env {text!r} is not of the form NAME=VALUE.")
        variables[name] = value
    if request.app:
        variables["ASGI_APP"] = request.app
    if why := refused_variable(variables, configured.unknown):
        raise TargetError(f"The function has {why}.")
    named = request.architecture or (function.architecture if function else "")
    architecture = named or interpreter.architecture
    return Target(
        folder, interpreter, variables, architecture, template, function, request.layers, runtime
    )


def _of_folder(folder: Path) -> Template | None:
    """The template with a function whose code is `folder`, where it lies beside it or in it."""
    templates = (read(path) for path in beside(folder))
    has_code = (t for t in templates if any(f.code == folder for f in functions(t).values()))
    return next(has_code, None)


def lay_out(layers: tuple[Path, ...], opt: Path) -> None:
    """Make `opt` what /opt would be: the layers in their order, Lamella among them.

    Without Lamella's own layer its place is taken by the package that runs this command.
    Raises `TargetError` if the layer is not a layer of Lamella.
    """
    for layer in layers:
        try:
            unpack(layer, opt)
        except LayerError as error:
            raise TargetError(f"--layer {error}") from None
    package = opt / "python" / "lamella"
    if not package.exists():
        package.parent.mkdir(parents=True, exist_ok=True)
        package.symlink_to(Path(lamella.__file__).parent)
