"""What would break on AWS's Web Functions, where Lambda itself runs the application.

A Web Function has no layers, no event and one kind of environment, which many requests share at a
time (https://docs.aws.amazon.com/lambda/latest/dg/web-functions-python.html). docs/web-functions.md
has the two side by side, and says which limit is from which page.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from lamella.importer import DEFAULT, ENTRYPOINT, find_app
from lamella.templates import Function
from lamella.tools.check import folder
from lamella.tools.check.application import INIT_LIMIT_MS
from lamella.tools.check.findings import Finding, ok, problem, warning
from lamella.tools.check.probing import Probe
from lamella.tools.check.target import Target

ARCHITECTURE = "arm64"
"""https://docs.aws.amazon.com/lambda/latest/dg/web-functions-configuration-architecture.html"""
MEMORY_MB = 2048
PACKAGE_LIMIT = 512 * 1024 * 1024
"""Bytes of the package. This and the memory are of AWS's published skills for agents."""

HARMLESS = {"ASGI_APP", "ASGI_INVOKE_MODE", "ASGI_STREAM_SOURCES"}
"""Settings that a Web Function needs no counterpart of: it streams by itself."""

LACKING = {
    "ProvisionedConcurrencyConfig": "provisioned concurrency",
    "SnapStart": "SnapStart",
    "TenancyConfig": "tenant isolation",
    "CapacityProviderConfig": "managed instances",
}
"""What a function's template may ask for that a Web Function has not."""

CHANGING = frozenset({
    "add", "append", "appendleft", "clear", "discard", "extend", "insert", "pop", "popitem",
    "popleft", "remove", "setdefault", "update",
})  # fmt: skip
"""The methods that change a list, a set, a dictionary or a deque."""

INVOCATION = {"aws.event", "aws.context", "lamella.event"}
"""Keys of the scope that Lamella sets."""


def as_web_function(target: Target) -> Target:
    """The same function on the one processor that Web Functions have."""
    return replace(target, architecture=ARCHITECTURE)


def findings(target: Target, probe: Probe) -> Iterator[Finding]:
    """What a Web Function with this folder and these variables would meet; see the module."""
    yield entry_point(target)
    yield from folder.natives(target)
    yield size(target)
    yield from init(probe)
    yield from surroundings(target)
    yield from settings(target)
    yield from code(target)


def entry_point(target: Target) -> Finding:
    """Whether both would load the same application."""
    variables = target.process_variables()
    here = find_app(variables.get("ASGI_APP", ""), variables).reference
    there = find_app("", {ENTRYPOINT: target.variables.get(ENTRYPOINT) or DEFAULT}).reference
    if there != here:
        message = (
            f"A Web Function would load {there}, and Lamella loads {here}: set "
            f"{ENTRYPOINT}={here}, which both read."
        )
        return problem("entry point", message, web_function=there, lamella=here)
    if there.endswith("()"):
        message = (
            f"{there} calls a factory, and AWS documents module:callable only: write "
            f"app = {there.partition(':')[2]} in a module, and name that."
        )
        return warning("entry point", message, web_function=there, lamella=here)
    return ok("entry point", f"Both load {there}.", web_function=there, lamella=here)


def size(target: Target) -> Finding:
    """The package's size against the limit of Web Functions."""
    total = folder.bytes_in(target.folder)
    limit = PACKAGE_LIMIT // 2**20
    share = f"{total / 2**20:.1f} MB unzipped of {limit} MB"
    details = {"function_bytes": total, "limit_bytes": PACKAGE_LIMIT}
    if total > PACKAGE_LIMIT:
        return problem("size", f"{share}, and there are no images: drop what is heavy.", **details)
    return ok("size", f"{share}.", **details)


def init(probe: Probe) -> Iterator[Finding]:
    """Whether the server would listen in time: nothing makes the init phase longer there."""
    if probe.import_ms is None:
        return
    took = probe.import_ms + (probe.found.get("lifespan") or {}).get("startup_ms", 0.0)
    message = (
        f"Import and startup took {took / 1000:.1f} s on this machine, of the "
        f"{INIT_LIMIT_MS // 1000} s in which a Web Function must listen"
    )
    if took > INIT_LIMIT_MS:
        advice = "do the slow part on the first request, or import less"
        yield problem("init", f"{message}: {advice}.", milliseconds=round(took, 1))
    else:
        yield ok("init", f"{message}.", milliseconds=round(took, 1))


def surroundings(target: Target) -> Iterator[Finding]:
    """What the template puts around the function that a Web Function cannot have."""
    function = target.function or Function("", target.folder)
    if function.is_image:
        yield problem("package", "The function is a container image; a Web Function is a zip.")
    wrappers = (
        target.variables.get(name) for name in ("AWS_LAMBDA_EXEC_WRAPPER", "ASGI_EXEC_WRAPPER")
    )
    for wrapper in (each for each in wrappers if each and each != "/opt/bootstrap"):
        message = f"{wrapper} wraps the runtime; a Web Function has no wrappers: start it in code."
        yield problem("wrapper", message, wrapper=wrapper)
    others = len(function.layers) - (not target.is_one_line)
    if others > 0:
        message = (
            f"The function has {others} layer{'s' * (others > 1)} besides Lamella's own; a Web "
            "Function has none: put what they hold into the package."
        )
        yield problem("layers", message, layers=others)
    if (memory := function.memory) > MEMORY_MB:
        message = f"The function has {memory} MB; a Web Function has {MEMORY_MB} MB."
        yield problem("memory", message, megabytes=memory)
    for name in LACKING.keys() & function.properties.keys():
        yield problem("template", f"A Web Function has no {LACKING[name]} ({name}).", property=name)
    sockets = any(route.api.door == "websocket" for route in function.routes)
    if sockets or target.variables.get("ASGI_WEBSOCKET_STORE"):
        message = "A Web Function takes no WebSockets: keep this function for them."
        yield problem("websockets", message)
    yield from _events(function.properties.get("Events"))


def _events(events: Any) -> Iterator[Finding]:
    """The events of a SAM function: each has a type."""
    held = events.items() if isinstance(events, dict) else ()
    kinds = {name: event.get("Type", "?") for name, event in held if isinstance(event, dict)}
    for name, kind in kinds.items():
        if kind in ("Api", "HttpApi"):
            message = (
                f"{name} is an API of API Gateway, which cannot be in front of a Web Function: its "
                "authorizers, usage plans and mappings would be missing."
            )
        else:
            message = (
                f"{name} invokes the function with events ({kind}), which a Web Function does not "
                "take: keep this function for them."
            )
        yield problem("events", message, event=name, type=kind)


def settings(target: Target) -> Iterator[Finding]:
    """Lamella's settings that have an effect here, and none there."""
    names = sorted(
        name
        for name in target.variables
        if name.startswith("ASGI_") and name not in HARMLESS | {"ASGI_EXEC_WRAPPER"}
    )
    if names:
        message = (
            f"Nothing reads {', '.join(names)} on a Web Function: let the application or a "
            "middleware do what the application needs of it."
        )
        yield warning("settings", message, names=names)


def code(target: Target) -> Iterator[Finding]:
    """What the function's own modules do that a Web Function makes wrong."""
    changed: list[str] = []
    lamella: list[str] = []
    for path in folder.own_modules(target.folder):
        try:
            tree = ast.parse(path.read_bytes())
        except (SyntaxError, ValueError):  # a template, or Python 2: nothing that runs
            continue
        name = path.relative_to(target.folder).as_posix()
        changed += [f"{name}:{line} {variable}" for line, variable in _changed(tree)]
        lamella += [f"{name}:{line}" for line in _of_lamella(tree)]
    if changed:
        message = (
            f"Functions change variables of their module ({_shown(changed)}). Up to 128 requests "
            "share them at a time: fine for a pool or a cache, wrong for what belongs to one "
            "request. Keep that in the request, or in contextvars."
        )
        yield warning("shared state", message, places=changed)
    if lamella:
        message = (
            f"The code reads what Lamella provides ({_shown(lamella)}); a Web Function has no "
            "event and no context: let it do without."
        )
        yield warning("invocation", message, places=lamella)


def _shown(places: list[str]) -> str:
    more = f" and {len(places) - 5} more" if len(places) > 5 else ""
    return ", ".join(places[:5]) + more


def _changed(tree: ast.Module) -> list[tuple[int, str]]:
    """Line and name of each variable of the module that a function rebinds or changes."""
    assigned = [each for each in tree.body if isinstance(each, (ast.Assign, ast.AnnAssign))]
    held = _names(assigned, ast.Store)
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    found: set[tuple[int, str]] = set()
    for function in (each for each in ast.walk(tree) if isinstance(each, functions)):
        nodes = list(ast.walk(function))
        rebound = {name for each in nodes if isinstance(each, ast.Global) for name in each.names}
        local = {each.arg for each in nodes if isinstance(each, ast.arg)}
        local |= _names([function], ast.Store) - rebound
        for node in nodes:
            name = _target(node)
            if name in rebound or (name in held - local and not isinstance(node, ast.Name)):
                found.add((getattr(node, "lineno", 0), name))
    return sorted(found)


def _names(trees: list[Any], context: type[ast.expr_context]) -> set[str]:
    nodes = (node for tree in trees for node in ast.walk(tree))
    return {
        node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, context)
    }


def _target(node: ast.AST) -> str:
    """The variable that `node` rebinds or changes: x = 1, x[1] = 1, x.y = 1, x.append(1)."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        held = node.func.value if node.func.attr in CHANGING else None
    elif isinstance(node, (ast.Name, ast.Subscript, ast.Attribute)):
        written = isinstance(node.ctx, (ast.Store, ast.Del))
        held = (node if isinstance(node, ast.Name) else node.value) if written else None
    else:
        held = None
    return held.id if isinstance(held, ast.Name) else ""


def _of_lamella(tree: ast.Module) -> Iterator[int]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found = any(each.name.partition(".")[0] == "lamella" for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            found = not node.level and (node.module or "").partition(".")[0] == "lamella"
        else:
            found = isinstance(node, ast.Constant) and node.value in INVOCATION
        if found:
            yield getattr(node, "lineno", 0)
