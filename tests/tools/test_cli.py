"""The command `lamella` itself."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from lamella.tools.cli import main


@pytest.mark.parametrize("group", [[], ["layer"], ["websocket"]], ids=" ".join)
def test_each_command_is_described_in_whole_words(group: list[str]) -> None:
    listed = CliRunner().invoke(main, [*group, "--help"]).output.partition("Commands:")[2]
    assert listed
    assert "..." not in listed
