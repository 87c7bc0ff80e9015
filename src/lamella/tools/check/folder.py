"""What can be said of a function's folder without running anything."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from importlib import metadata
from pathlib import Path

from lamella.local.machine import bytecode
from lamella.local.machine.bytecode import State
from lamella.local.machine.interpreter import Interpreter
from lamella.tools.check.findings import Finding, ok, problem, warning
from lamella.tools.check.probe import RUNTIME_PACKAGES
from lamella.tools.check.target import Target

SIZE_LIMIT = 250 * 1024 * 1024
"""Bytes of a function with all its layers, unzipped
(https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html)."""

NEEDLESS = {
    "uvicorn": "the layer needs no web server",
    "hypercorn": "the layer needs no web server",
    "daphne": "the layer needs no web server",
    "granian": "the layer needs no web server",
    "gunicorn": "the layer needs no web server",
    "httptools": "it is a part of uvicorn[standard]",
    "watchfiles": "it only reloads code on a developer's machine",
    "mangum": "the layer is its replacement",
    "awslambdaric": "Lamella has its own runtime client",
    "lamella": "the layer brings its own copy, and that one runs",
}

_NATIVE = re.compile(r"\.cpython-(?P<major>3)(?P<minor>\d+)-(?P<machine>\w+?)-linux")


def size(target: Target, opt: Path) -> Finding:
    """The unzipped size of the function and its layers, against Lambda's limit."""
    function = bytes_in(target.folder)
    layers = bytes_in(opt) if target.layers else 0
    total = function + layers
    share = f"{total / 2**20:.1f} MB unzipped of Lambda's {SIZE_LIMIT // 2**20} MB"
    details = {"function_bytes": function, "layers_bytes": layers, "limit_bytes": SIZE_LIMIT}
    if total > SIZE_LIMIT:
        sizes = sorted((-bytes_in(path), path.name) for path in target.folder.iterdir())
        heavy = ", ".join(f"{name} {-size / 2**20:.0f} MB" for size, name in sizes[:3])
        message = f"{share}: use a container image, or drop what is heavy ({heavy})."
        return problem("size", message, **details)
    return ok("size", f"{share}.", **details)


def shadows(target: Target, opt: Path) -> Iterator[Finding]:
    """Modules of the function that hide another of the same name: the function comes first."""
    held = top_level(target.folder)
    for name in sorted(held & target.interpreter.library):
        is_package = (target.folder / name / "__init__.py").exists()
        held_as = f"{name}/" if is_package else next(target.folder.glob(f"{name}.*")).name
        yield problem(
            "shadows",
            f"{held_as} hides the standard library's {name!r} from every "
            "package, and from Lamella: rename it.",
            name=name,
        )
    in_layers = top_level(opt / "python") - {"lamella"}
    for name in sorted(held & in_layers):
        yield warning("shadows", f"{name} is in a layer, too; the function's is used.", name=name)
    for name in sorted(held & RUNTIME_PACKAGES - NEEDLESS.keys()):
        yield ok("shadows", f"{name} is used in place of the one in Lambda's runtime.", name=name)


def opentelemetry(target: Target, opt: Path) -> Iterator[Finding]:
    """Whether the function's API of OpenTelemetry fits the SDK of a layer with a wrapper script.

    The script puts the function's folder before the layer's (opentelemetry-instrumentation,
    auto_instrumentation/__init__.py). Of two versions, the SDK may not import, which is one
    record in the log, and no spans.
    """
    names = ("ASGI_EXEC_WRAPPER", "AWS_LAMBDA_EXEC_WRAPPER")
    scripts = [target.variables[name] for name in names if "otel" in target.variables.get(name, "")]
    own = _version(target.folder, OTEL_API)
    in_layer = _version(opt / "python", OTEL_API)
    if not scripts or own is None or own == in_layer:
        return
    message = f"The function has {OTEL_API} {own}, and {scripts[0]} prefers it to the layer's"
    if in_layer is None:
        message += (
            ". Of another version, the layer's SDK may not start: --layer FILE compares them."
        )
    else:
        message += f" {in_layer}, whose SDK may not start then: pin {OTEL_API}=={in_layer}."
    yield warning("opentelemetry", message, function=own, layer=in_layer)


OTEL_API = "opentelemetry-api"


def _version(folder: Path, name: str) -> str | None:
    """The version of an installed package, None where it is not there."""
    found = metadata.distributions(name=name, path=[str(folder)])
    return next((each.version for each in found), None)


def needless(target: Target) -> Iterator[Finding]:
    """Packages that a function on this layer has no use for."""
    attached = target.layers or target.variables.get("AWS_LAMBDA_EXEC_WRAPPER") == "/opt/bootstrap"
    wanted = set() if attached and not target.is_one_line else {"lamella"}  # nothing else brings it
    for name in sorted(top_level(target.folder) & NEEDLESS.keys() - wanted):
        megabytes = bytes_in(target.folder / name) / 2**20
        message, size = f"{name} ({megabytes:.1f} MB): {NEEDLESS[name]}", round(megabytes, 2)
        users = [] if name == "lamella" else _importers(target.folder, name)
        if users:
            message += f", but {users[0]} imports it: remove the import first."
            yield warning("needless", message, name=name, megabytes=size, imported=True)
        elif parents := _dependents(target.folder, name):
            message += f"; it is a dependency of {' and '.join(parents)}, so it comes along."
            yield ok("needless", message, name=name, megabytes=size, dependency_of=parents)
        else:
            message += "; remove it from the requirements."
            yield warning("needless", message, name=name, megabytes=size, imported=False)


def own_modules(root: Path) -> list[Path]:
    """The modules that no installed package has brought."""
    installed = {
        root / file
        for distribution in metadata.distributions(path=[str(root)])
        for file in distribution.files or ()
    }
    return sorted(path for path in root.rglob("*.py") if path not in installed)


def _importers(root: Path, name: str) -> list[str]:
    """The function's own modules that import the package `name`."""
    wanted = re.compile(rf"^\s*(import|from)\s+{name}\b", re.MULTILINE)
    inside = root / name
    own = (path for path in own_modules(root) if inside not in path.parents)
    found = (path for path in own if wanted.search(path.read_text(errors="replace")))
    return [path.relative_to(root).as_posix() for path in found]


def _dependents(root: Path, name: str) -> list[str]:
    """The installed packages that require the package `name`, outside of their extras."""
    wanted = re.compile(rf"{name}\b(?!.*extra\s*==)", re.IGNORECASE)
    installed = metadata.distributions(path=[str(root)])
    return sorted(
        each.name
        for each in installed
        if any(wanted.match(requirement) for requirement in each.requires or ())
    )


def compiled(target: Target) -> Finding:
    """Whether Lambda will find usable bytecode for the function's modules."""
    python = target.interpreter
    counts = bytecode.states(target.folder, python)
    total, usable = sum(counts.values()), sum(counts[each] for each in bytecode.USABLE)
    details = {"modules": total} | {each.value.replace(" ", "_"): counts[each] for each in State}
    others = bytecode.other_tags(target.folder, python)
    if total == 0:
        return ok("bytecode", "The folder holds no modules.", **details)
    share = (
        f"{usable} of {total} modules have bytecode that Python {python.minor} can use on Lambda"
    )
    if counts[State.CHANGED]:
        message = (
            f"{counts[State.CHANGED]} of {total} sources changed after lamella compile, and "
            f"Python would run the old code: run lamella compile {target.folder} again."
        )
        return problem("bytecode", message, **details)
    if usable >= 0.9 * total:  # templates and test data need not compile
        return ok("bytecode", f"{share}.", **details)
    reasons = [
        f"{counts[State.TIMESTAMP]} go by the source's date, which the deploy tool changes"
        if counts[State.TIMESTAMP]
        else "",
        f"there is some of {', '.join(others)}" if others else "",
    ]
    why = "; ".join(filter(None, reasons))
    message = f"{share}{f' ({why})' if why else ''}: run lamella compile {target.folder}."
    return warning("bytecode", message, **details)


def natives(target: Target) -> Iterator[Finding]:
    """Native modules that the function's runtime cannot load: a problem where none fits."""
    found, minor = list(_natives(target.folder)), target.interpreter.minor
    minors = {path: f"{named['major']}.{named['minor']}" for path, named in found}
    if unfit := _unfit(minors, minor):
        kinds = sorted(set(unfit.values()))
        yield (problem if minor not in minors.values() else warning)(
            "native modules",
            f"They are for Python {', '.join(kinds)}, not {minor} (for example "
            f"{_example(unfit, target.folder)}): install the packages with the runtime's "
            "Python.",
            minors=kinds,
        )
    machines = {path: named["machine"].replace("aarch64", "arm64") for path, named in found}
    if unfit := _unfit(machines, target.architecture):
        kinds = sorted(set(unfit.values()))
        yield (problem if target.architecture not in machines.values() else warning)(
            "native modules",
            f"They are for {', '.join(kinds)}, and the function is "
            f"{target.architecture} (for example {_example(unfit, target.folder)}): "
            "build for the function's architecture.",
            architectures=kinds,
        )


def _unfit(builds: Mapping[Path, str], wanted: str) -> dict[Path, str]:
    """The files of modules that have no build for `wanted`; `builds` says what each file is for."""

    def module(path: Path) -> Path:
        return path.with_name(path.name.partition(".")[0])

    fit = {module(path) for path, kind in builds.items() if kind == wanted}
    return {path: kind for path, kind in builds.items() if module(path) not in fit}


def is_foreign(target: Target, python: Interpreter) -> bool:
    """Whether the function is for another processor than this machine's, native modules and all."""
    has_native = any(True for _ in _natives(target.folder))
    return has_native and target.architecture != python.architecture


def _natives(folder: Path) -> Iterator[tuple[Path, re.Match[str]]]:
    """Native modules, and what their names say. Python imports nothing from a hidden folder."""
    for path in folder.rglob("*.so"):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if not hidden and (named := _NATIVE.search(path.name)):
            yield path, named


def top_level(folder: Path) -> set[str]:
    """The names of the modules and packages that `folder` offers.

    A folder without `__init__.py` is a namespace package, which hides nothing.
    """
    if not folder.is_dir():
        return set()
    packages = {path.parent.name for path in folder.glob("*/__init__.py")}
    files = {path.name.partition(".")[0] for path in folder.glob("*.py")}
    return packages | files | {path.name.partition(".")[0] for path in folder.glob("*.so")}


def _example(paths: Iterable[Path], folder: Path) -> str:
    return str(sorted(paths)[0].relative_to(folder))


def bytes_in(path: Path) -> int:
    """The size of a file, or of all files under a folder."""
    if path.is_file():
        return path.stat().st_size
    return sum(
        os.lstat(os.path.join(folder, name)).st_size
        for folder, _, names in os.walk(path)
        for name in names
    )
