"""What the settings and the probe's result mean for the function's init."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date

from lamella import settings as settings_table
from lamella.errors import SettingError
from lamella.local.machine.limits import advice_on_writing
from lamella.tools.check.findings import Finding, ok, problem, warning
from lamella.tools.check.importtime import slowest, tree
from lamella.tools.check.interpreter import DEPRECATED
from lamella.tools.check.probing import Probe
from lamella.tools.check.target import Target

INIT_LIMIT_MS = 10_000
"""Milliseconds that Lambda gives the init phase on demand
(https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html)."""


def settings(target: Target) -> Iterator[Finding]:
    """Every setting with a value that is not allowed, and every name that looks like one."""
    wrong = 0
    for row in settings_table.TABLE:
        given = {name: value for name, value in target.variables.items() if name == row.variable}
        try:
            settings_table.from_environ(given)
        except SettingError as error:
            wrong += 1
            yield problem("settings", str(error), variable=row.variable)
    for message in settings_table.misspelt(target.variables):
        wrong += 1
        yield warning("settings", message)
    if not wrong:
        names = sorted(n for n in target.variables if n.startswith(settings_table.PREFIX))
        yield ok("settings", f"{', '.join(names) or 'No setting'} given, all valid.", names=names)


def shell(target: Target, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Settings in the shell that runs the command: Lambda has none of them, so they do not count.

    The advice has no value in it, since a store's URL may hold a password.
    """
    known = (row.variable for row in settings_table.TABLE)
    for name in (n for n in known if environ.get(n) and n not in target.variables):
        option = f'--app "${name}"' if name == "ASGI_APP" else f'--env {name}="${name}"'
        message = f"{name} is set in this shell, which Lambda does not have: it does not count here"
        yield warning("shell", f"{message}. To check with it, add {option}.", variable=name)


def runtime(target: Target) -> Iterator[Finding]:
    """Has Lambda deprecated the runtime?"""
    deprecated, no_create, no_update = DEPRECATED.get(target.runtime, ("", "", ""))
    if deprecated and deprecated <= date.today().isoformat():
        yield warning(
            "runtime",
            f"{target.runtime} is deprecated since {deprecated}. Lambda creates no function with "
            f"it from {no_create} on, and updates none from {no_update} on: move to "
            "a newer one.",
            runtime=target.runtime,
        )


def application(probe: Probe, target: Target) -> Iterator[Finding]:
    """Does ASGI_APP import, and which framework and interface is it of?"""
    app, error = probe.found.get("app"), probe.error
    if app is not None:
        version = f" {app['version']}" if app["version"] else ""
        framework = f"{app['framework']}{version}" if app["framework"] else "no known framework"
        message = f"{probe.found['reference']} is {app['kind']}: {framework}, {app['interface']}."
        yield ok("application", message, reference=probe.found["reference"], **app)
    elif error is not None:
        message, lacks = error["message"], "No module named '"
        for name in probe.found.get("missing_runtime_packages", ()):
            if f"{lacks}{name}" in message:
                text = (
                    f"The application imports {name}. Lambda's runtime has it, but the "
                    f"interpreter of this check has not: pip install {name} there to check further."
                )
                yield warning("application", text, **error)
                return
        if lacks in message and not any(target.folder.glob("*.dist-info")):
            message += (
                ". The folder holds no packages: check the one that is deployed, such as "
                ".aws-sam/build/Function."
            )
        yield problem("application", with_advice(message), **error)


def with_advice(message: str) -> str:
    """An error's message, and what to do where it is of a file that cannot be written."""
    advice = advice_on_writing(message)
    return f"{message} {advice}" if advice else message


def files(missing: str) -> Finding:
    """Was the file system as it is on Lambda? `missing` is what was not enforced, and why."""
    if not missing:
        return ok("files", "Only /tmp could be written, as on Lambda.")
    return ok("files", f"Not enforced on this machine: {missing}.")


def lifespan(probe: Probe, asked: bool) -> Iterator[Finding]:
    """Does the application start, and does it support lifespan at all? `asked`: was it run?"""
    app, told, error = probe.found.get("app"), probe.found.get("lifespan"), probe.error
    if app is not None and error is not None:
        check = "lifespan" if error["type"].startswith("Runtime.Lifespan") else "init"
        yield problem(check, with_advice(error["message"]), **error)
    elif not asked:
        yield ok("lifespan", "Not run (--no-lifespan).")
    elif told is not None and told["supported"]:
        message = f"Supported: startup took {told['startup_ms']:.0f} ms, shutdown ran."
        yield ok("lifespan", message, **told)
    elif told is not None:
        off = told["mode"] == "off"
        message = "Off (ASGI_LIFESPAN=off)." if off else "Not supported by the application."
        yield ok("lifespan", message, **told)


def import_times(probe: Probe, target: Target) -> Iterator[Finding]:
    """How long the import takes here, as from the zip, and which packages take it."""
    if probe.import_ms is None:
        return
    packages = slowest(tree(probe.stderr, target.interpreter.library))
    named = ", ".join(f"{each.name} {each.own:.0f} ms" for each in packages[:3])
    message = f"{probe.import_ms:.0f} ms on this machine"
    message += f"; slowest: {named}." if named else "."
    details = {
        "milliseconds": round(probe.import_ms, 1),
        "packages": {each.name: round(each.own, 1) for each in packages},
    }
    started = probe.import_ms + (probe.found.get("lifespan") or {}).get("startup_ms", 0.0)
    if started > INIT_LIMIT_MS:
        yield warning(
            "import time",
            f"{message} With startup that is more than the {INIT_LIMIT_MS // 1000} s of Lambda's "
            "init phase, so Lambda would run it a second time: make it faster.",
            **details,
        )
    else:
        yield ok("import time", message, **details)
