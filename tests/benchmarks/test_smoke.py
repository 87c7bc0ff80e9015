"""Every measure runs once, on few invocations: they check their own answers."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks import BenchmarkError, measures, site
from benchmarks.environment import Environment
from benchmarks.measures import Counts
from benchmarks.ways import ASYNCIO, BOOTSTRAP, FLOOR, HANDLER, MANGUM, SERVE, Site

OURS = (BOOTSTRAP, SERVE, HANDLER)

FEW = Counts(warm_up=2, invocations=5, rounds=1, starts=1, answers=1, few=1, firsts=1)


ATTEMPTS = 5
"""How often a figure is measured at most that a machine which is busy for a moment spoils."""


@pytest.fixture(scope="module")
def place(layer_zip: Path, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """The running interpreter with this tree's layer and the benchmark's functions."""
    folder = tmp_path_factory.mktemp("bench")
    return site.prepare(sys.executable, layer_zip, folder)


@pytest.mark.parametrize("way", [FLOOR, *OURS, MANGUM])
def test_cpu_per_invocation(place: Site, way: str) -> None:
    assert measures.warm(place, way, measures.FASTAPI, FEW, measures.request(measures.FASTAPI)) > 0


@pytest.mark.parametrize("way", [FLOOR, ASYNCIO, MANGUM, BOOTSTRAP])
def test_start(place: Site, way: str) -> None:
    cpu, wall = measures.start(place, way)

    assert cpu > 0
    assert wall > 0


def test_the_bootstrap_answers_before_the_background_task_and_mangum_after(place: Site) -> None:
    assert any(measures.answer_delay(place, BOOTSTRAP, FEW) < 300 for _ in range(ATTEMPTS))
    assert measures.answer_delay(place, MANGUM, FEW) >= 300


def test_the_bootstrap_streams_and_mangum_does_not(place: Site) -> None:
    streams = (measures.stream(place, BOOTSTRAP, FEW) for _ in range(ATTEMPTS))
    assert any(first < 160 <= last for first, last in streams)
    first, _ = measures.stream(place, MANGUM, FEW)
    assert first >= 160


@pytest.mark.parametrize("way", [MANGUM, *OURS])
def test_the_first_request_is_a_part_of_the_whole(place: Site, way: str) -> None:
    whole, first, second = measures.first_answer(place, way, measures.DJANGO)

    assert whole > first > 0 < second


def test_a_body_is_echoed_and_a_large_answer_is_streamed(place: Site) -> None:
    assert measures.echo(place, BOOTSTRAP, 100_000, FEW) > 0
    assert measures.flood(place, SERVE) > 0


def test_a_peer_that_is_not_there_is_named(tmp_path: Path) -> None:
    (tmp_path / "layer.zip").touch()

    with pytest.raises(BenchmarkError, match="name Web Adapter's binary"):
        site.prepare(sys.executable, tmp_path / "layer.zip", tmp_path, tmp_path / "adapter")


def test_memory_has_its_peak_in_the_echo(place: Site) -> None:
    before, peak = measures.memory(place, BOOTSTRAP)

    assert peak - before > len(measures.ECHO) / 2**20


def test_cpu_of_threads_that_have_ended_counts(place: Site) -> None:
    """awslambdaric starts a thread for each invocation; what it used must not vanish."""
    (place.task / "threads.py").write_text(
        "import threading, time\n"
        "def burn():\n"
        "    end = time.thread_time() + 0.05\n"
        "    while time.thread_time() < end: pass\n"
        "async def app(scope, receive, send):\n"
        "    thread = threading.Thread(target=burn); thread.start(); thread.join()\n"
        "    await send({'type': 'http.response.start', 'status': 200, 'headers': []})\n"
        "    await send({'type': 'http.response.body', 'body': b'done'})\n"
    )
    with Environment(place, BOOTSTRAP, "threads:app", **measures.NO_LIFESPAN) as environment:
        environment.ready()
        before = environment.cpu()
        environment.invoke(measures.request(measures.BARE))

        assert environment.cpu() - before >= 0.05


def test_a_function_that_does_not_start_is_an_error_with_its_report(place: Site) -> None:
    with (
        Environment(place, BOOTSTRAP, "missing:app") as environment,
        pytest.raises(BenchmarkError, match="no module 'missing'"),
    ):
        environment.ready()


@pytest.mark.parametrize("way", OURS)
def test_a_warm_up_makes_the_first_request_cheaper(place: Site, way: str) -> None:
    _, plain, _ = measures.first_answer(place, way, measures.FASTAPI)
    _, warmed, _ = measures.first_answer(place, way, measures.FASTAPI, **measures.WARMUP)

    assert warmed < plain * 0.9
