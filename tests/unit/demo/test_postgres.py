"""What the demo reads of a PostgreSQL that is starting."""

from __future__ import annotations

import threading
from pathlib import Path

from tidegate.demo.postgres import read_status


def test_a_status_is_read_by_lines(tmp_path: Path) -> None:
    path = tmp_path / "postmaster.pid"
    path.write_text("17\n/data\n1700000000\n5432\n/tmp\n127.0.0.1\n  1  2\nready   \n")
    assert read_status(path)[0] == "17"
    assert read_status(path)[7] == "ready   "


def test_no_status_is_no_lines(tmp_path: Path) -> None:
    assert read_status(tmp_path / "postmaster.pid") == []


def test_a_status_that_goes_while_it_is_read_is_no_status(tmp_path: Path) -> None:
    """As PostgreSQL takes away what a crash has left, and writes its own."""
    path = tmp_path / "postmaster.pid"
    done = threading.Event()

    def come_and_go() -> None:
        while not done.is_set():
            path.write_text("17\n")
            path.unlink()

    thread = threading.Thread(target=come_and_go)
    thread.start()
    try:
        seen = {tuple(read_status(path)) for _ in range(20_000)}
    finally:
        done.set()
        thread.join()
    assert seen <= {(), ("17",)}
