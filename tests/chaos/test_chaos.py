"""The program that attacks the layer: its page is true, and it notices what is broken."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.chaos import __main__ as program
from tests.chaos.attack import Attack, Broken

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
ROW = re.compile(r"^\| \[(\w+)\]\(\.\./tests/chaos/\1\.py\) \|.*\| (.+) \|$", re.MULTILINE)


def test_the_page_has_each_attack_and_its_promise() -> None:
    promised = {
        name: importlib.import_module(f"tests.chaos.{name}").PROMISE for name in program.ATTACKS
    }
    rows = ROW.findall(PAGE.read_text())
    assert {name: f"{promise}.".replace("`", "") for name, promise in rows} == promised


def test_a_broken_promise_is_counted_and_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def run(attack: Attack) -> None:
        attack.counts["inputs"] += 1
        with attack.promise("the first input"):
            raise Broken("answered for another one")

    monkeypatch.setitem(
        sys.modules, "tests.chaos.lying", SimpleNamespace(PROMISE="It never lies.", run=run)
    )
    assert program.run("lying", Attack(tmp_path, sys.executable, 0, 1.0)) == 1
    printed = capsys.readouterr().out
    assert "1 inputs" in printed
    assert "BROKEN   It never lies." in printed
    assert "- the first input: answered for another one" in printed


@pytest.mark.parametrize("name", ["events", "messages", "soak"])
def test_an_attack_at_a_small_scale(opt: Path, name: str) -> None:
    attack = Attack(opt, sys.executable, seed=1, scale=0.02)
    assert program.run(name, attack) == 0
    assert attack.counts.total() > 10
