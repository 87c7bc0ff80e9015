"""Run one framework's example through every way in, and note what failed."""

from __future__ import annotations

import asyncio
import logging
import tempfile
from collections.abc import Awaitable, Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from lamella.local.execution.environment import Environment
from tests.matrix.client import NAMED_STAGE, SOURCES, FunctionClient, Source
from tests.matrix.function import BASE_PATH, WAYS, Function, Way
from tests.matrix.sockets import socket_client
from tests.reasons import reason

logger = logging.getLogger("tests.matrix")

AnyClient = TypeVar("AnyClient")

PREFIXED = ("base path", "stage", "URLs")
"""Abilities that clients behind a prefix are needed for."""

EVERYWHERE = "everywhere"

Failures = dict[str, dict[str, str]]
"""ability -> "way source" -> what went wrong, "" where nothing did."""


class Run(NamedTuple):
    """What came of one environment: `failures` by ability and source."""

    way: Way
    failures: Failures


async def run(function: Function) -> dict[str, Any]:
    """The whole contract through every way, and the prefixes in the other base path mode.

    The record has the framework's `version`, how many checks passed and ran by way (`ways`),
    what `failed`, and what failed in the `other` mode. Raises RuntimeError where an environment
    does not start or is lost.
    """
    framework = function.framework
    other = "strip" if framework.mode == "mount" else "mount"
    runs = [_run_way(function, way, framework.mode, framework.abilities) for way in WAYS]
    probe = _run_way(function, WAYS[0], other, PREFIXED)
    *ways, probed = _results(await asyncio.gather(*runs, probe, return_exceptions=True))
    return {
        "version": function.version,
        "ways": {found.way.name: _count(found.failures) for found in ways},
        "failed": failed(ways),
        "other": failed([probed]),
    }


async def run_once(function: Function) -> list[Run]:
    """The whole contract through the buffered bootstrap."""
    framework = function.framework
    return [await _run_way(function, WAYS[0], framework.mode, framework.abilities)]


def failed(runs: list[Run]) -> dict[str, Any]:
    """ability -> where it failed: EVERYWHERE, or a list of "way source"."""
    record: dict[str, Any] = {}
    for ability in runs[0].failures:
        outcomes = {
            f"{found.way.name} {source}": error
            for found in runs
            for source, error in found.failures.get(ability, {}).items()
        }
        places = [place for place, error in outcomes.items() if error]
        if places:
            record[ability] = EVERYWHERE if len(places) == len(outcomes) else places
    return record


def _count(failures: Failures) -> list[int]:
    outcomes = [error for sources in failures.values() for error in sources.values()]
    return [outcomes.count(""), len(outcomes)]


def _results(outcomes: Iterable[Run | BaseException]) -> list[Run]:
    """All results; raises the first exception, now that every environment is stopped."""
    results = []
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome
        results.append(outcome)
    return results


async def _run_way(function: Function, way: Way, mode: str, abilities: tuple[str, ...]) -> Run:
    """Every check of a way in."""
    failures = await _run_requests(function, way, mode, abilities)
    if way.sockets and not function.framework.sockets.keys().isdisjoint(abilities):
        failures |= await _run_sockets(function, way, mode)
    return Run(way, failures)


async def _run_sockets(function: Function, way: Way, mode: str) -> Failures:
    """Every check of WebSockets, each with environments and a store of its own."""
    config = function.config(way, mode)
    failures: Failures = {}
    for ability, check in function.framework.sockets.items():
        with tempfile.TemporaryDirectory(prefix="lamella-matrix-store-") as folder:
            async with socket_client(config, Path(folder), early=not way.handler) as client:
                failures[ability] = {"websocket": await attempt(check, client)}
                if failures[ability]["websocket"]:
                    logger.info("its function's log:\n%s", "\n".join(client.log[-40:]))
    return failures


async def _run_requests(
    function: Function, way: Way, mode: str, abilities: tuple[str, ...]
) -> Failures:
    """Every check of requests in one environment, which has to live to the end."""
    contract = function.framework.contract
    async with Environment(function.config(way, mode), log=lambda line: None) as environment:
        if environment.init_error is not None:
            raise RuntimeError(_lost(environment, way, f"{environment.init_error}"))
        pid = environment.pid
        failures = {
            ability: {
                source.name: await attempt(contract[ability], client)
                for source, client in _clients(environment, way, ability)
            }
            for ability in abilities
            if ability in contract
        }
        if environment.pid != pid:
            raise RuntimeError(_lost(environment, way, "the environment was lost"))
    return failures


def _lost(environment: Environment, way: Way, what: str) -> str:
    return "\n".join([f"{way.name}: {what}", *list(environment.logs)[-40:]])


def _clients(
    environment: Environment, way: Way, ability: str
) -> Iterator[tuple[Source, FunctionClient]]:
    for source in _sources(ability):
        # A named stage and a base path at once are the REST API's, whose stage is always there.
        prefixed = ability in ("base path", "URLs") and source is not NAMED_STAGE
        yield (
            source,
            FunctionClient(
                environment,
                source,
                streaming=way.streaming,
                early=not way.handler,
                base_path=BASE_PATH if prefixed else "",
            ),
        )


def _sources(ability: str) -> list[Source]:
    if ability not in ("stage", "URLs"):
        return list(SOURCES)
    staged = [NAMED_STAGE if source.name == NAMED_STAGE.name else source for source in SOURCES]
    return [source for source in staged if source.stage or ability == "URLs"]


async def attempt(check: Callable[[AnyClient], Awaitable[None]], client: AnyClient) -> str:
    """Run one check: what went wrong, "" where nothing did."""
    try:
        await check(client)
    except Exception as error:  # whatever it is, it goes into the table
        logger.info("%s: what it was", check.__name__, exc_info=error)
        return reason(error)
    return ""
