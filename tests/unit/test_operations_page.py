"""docs/operations.md names every close reason and every command of the control socket, and no other."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.pages import table
from tidegate.config.load import from_command_line
from tidegate.errors import CloseReason
from tidegate.proxy.supervisor import Supervisor

PAGE = Path(__file__).parents[2] / "docs" / "operations.md"


def test_every_close_reason_is_explained() -> None:
    assert [names for names, _ in table(PAGE, "reason")] == [(reason.value,) for reason in CloseReason]


def test_every_command_is_there() -> None:
    config = from_command_line("postgresql://u:p@localhost", ["127.0.0.1:0"])
    assert [names for names, *_ in table(PAGE, "command")] == [(one,) for one in Supervisor(config, None).commands()]


@pytest.mark.parametrize("head", ["reason", "command", "name"])
def test_every_row_says_something(head: str) -> None:
    rows = table(PAGE, head)
    assert rows
    assert all(text for _, *texts in rows for text in texts)
