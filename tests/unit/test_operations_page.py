"""docs/operations.md names every close reason and every command of the control socket, and no other."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.pages import table
from tidegate.errors import CloseReason
from tidegate.proxy.commands import COMMANDS

PAGE = Path(__file__).parents[2] / "docs" / "operations.md"


def test_every_close_reason_is_explained() -> None:
    assert [names for names, _ in table(PAGE, "reason")] == [(reason.value,) for reason in CloseReason]


def test_every_command_is_there() -> None:
    assert [names for names, *_ in table(PAGE, "command")] == [(one,) for one in COMMANDS]


@pytest.mark.parametrize("head", ["reason", "command", "name"])
def test_every_row_says_something(head: str) -> None:
    rows = table(PAGE, head)
    assert rows
    assert all(text for _, *texts in rows for text in texts)
