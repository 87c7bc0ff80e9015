"""Run one framework's example through every way in, and note what failed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from lamina.local import Environment
from tests.matrix.client import NAMED_STAGE, SOURCES, Client, Source
from tests.matrix.contract import Check
from tests.matrix.function import BASE_PATH, WAYS, Function, Way

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
    runs = [_run_way(function, way, framework.mode, framework.contract) for way in WAYS]
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
    return [await _run_way(function, WAYS[0], framework.mode, framework.contract)]


def failed(runs: list[Run]) -> dict[str, Any]:
    """ability -> where it failed: EVERYWHERE, or a list of "way source"."""
    record: dict[str, Any] = {}
    for ability in runs[0].failures:
        outcomes = {
            f"{found.way.name} {source}": error
            for found in runs
            for source, error in found.failures[ability].items()
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


async def _run_way(function: Function, way: Way, mode: str, abilities: Iterable[str]) -> Run:
    """Every check in one environment, which has to live to the end."""
    contract = function.framework.contract
    async with Environment(function.config(way, mode), log=lambda line: None) as environment:
        if environment.init_error is not None:
            raise RuntimeError(_lost(environment, way, f"{environment.init_error}"))
        pid = environment.pid
        failures = {
            ability: {
                source.name: await _attempt(contract[ability], client)
                for source, client in _clients(environment, way, ability)
            }
            for ability in abilities
            if ability in contract
        }
        if environment.pid != pid:
            raise RuntimeError(_lost(environment, way, "the environment was lost"))
    return Run(way, failures)


def _lost(environment: Environment, way: Way, what: str) -> str:
    return "\n".join([f"{way.name}: {what}", *list(environment.logs)[-40:]])


def _clients(environment: Environment, way: Way, ability: str) -> Iterator[tuple[Source, Client]]:
    for source in _sources(ability):
        # A named stage and a base path at once are the REST API's, whose stage is always there.
        prefixed = ability in ("base path", "URLs") and source is not NAMED_STAGE
        yield (
            source,
            Client(
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


async def _attempt(check: Check, client: Client) -> str:
    try:
        await check(client)
    except Exception as error:  # whatever it is, it goes into the table
        return f"{type(error).__name__}: {error}"
    return ""
