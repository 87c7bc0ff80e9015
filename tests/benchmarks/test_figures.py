"""The harness's own arithmetic: ratios, verdicts, the table and the page."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import BenchmarkError, event, report
from benchmarks.environment import Answer
from benchmarks.figures import Row, Target, table
from benchmarks.run import alternate
from benchmarks.ways import BOOTSTRAP, FLOOR, MANGUM

BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"

FIGURES = {FLOOR: [1.0, 2.0, 1.0], MANGUM: [10.0, 40.0, 10.0], BOOTSTRAP: [4.0, 8.0, 2.0]}


def test_a_ratio_compares_figures_of_one_round() -> None:
    row = Row("CPU", "µs", FIGURES)

    # 0.4, 0.2 and 0.2: the median of the rounds, not the 0.4 that the medians 4 and 10 give.
    assert row.ratio(BOOTSTRAP, MANGUM) == 0.2


@pytest.mark.parametrize(
    ("target", "met"),
    [
        (Target(0.2, MANGUM), True),
        (Target(0.19, MANGUM), False),
        (Target(4.0), True),
        (Target(3.9), False),
        (None, None),
    ],
)
def test_a_target_is_a_share_of_another_way_or_a_figure(
    target: Target | None, met: bool | None
) -> None:
    assert Row("CPU", "µs", FIGURES, target).met() is met


def test_the_table_shows_ratios_with_quartiles_and_the_verdict() -> None:
    lines = table([Row("CPU", "µs", FIGURES, Target(0.40, MANGUM))]).splitlines()

    cells = [cell.strip() for cell in lines[2].strip("|").split("|")]
    assert cells == [
        "CPU",
        "0.10 (0.08 to 0.10)",
        "1",
        "0.20 (0.20 to 0.30)",
        "at most 0.40 of Mangum's",
        "yes",
    ]


def test_every_round_measures_every_way() -> None:
    order = []

    def measure(way: str) -> tuple[float, float]:
        order.append(way)
        return float(len(order)), -float(len(order))

    first, second = alternate("test", [MANGUM, BOOTSTRAP], 2, measure)

    assert order == [MANGUM, BOOTSTRAP, MANGUM, BOOTSTRAP]
    assert first == {MANGUM: [1.0, 3.0], BOOTSTRAP: [2.0, 4.0]}
    assert second == {MANGUM: [-1.0, -3.0], BOOTSTRAP: [-2.0, -4.0]}


def test_an_answer_that_is_not_200_is_no_figure() -> None:
    answer = Answer(b'{"statusCode":500,"body":"no"}', streamed=False, first_at=0, at=0)

    with pytest.raises(BenchmarkError, match="500"):
        answer.body()


def test_the_event_is_a_function_urls_and_about_2_kb() -> None:
    data = event.get("/items/42", "tag=blue")

    assert 1500 < len(data) < 2500
    assert json.loads(data)["queryStringParameters"] == {"tag": "blue"}


def test_results_go_between_the_markers_again_and_again(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"above\n{BEGIN}\nold\n{END}\nbelow\n")

    report.replace_results(page, "| new |\n")
    report.replace_results(page, "| newer |\n")

    text = page.read_text()
    assert text == f"above\n{BEGIN}\n\n| newer |\n\n{END}\nbelow\n"


def test_a_page_without_markers_is_left_alone(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("no markers\n")

    with pytest.raises(BenchmarkError, match="add them"):
        report.replace_results(page, "new")

    assert page.read_text() == "no markers\n"
