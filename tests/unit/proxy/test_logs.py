"""Log lines: their two forms, and what cannot be smuggled into them."""

from __future__ import annotations

import io
import json
import logging
import re
from collections.abc import Iterator

import pytest

from tidegate.proxy.logs import ALWAYS, LOG, Seldom, set_up


@pytest.fixture(autouse=True)
def restore() -> Iterator[None]:
    before = LOG.handlers[:], LOG.level, LOG.propagate
    yield
    LOG.handlers[:], LOG.propagate = before[0], before[2]
    LOG.setLevel(before[1])


def lines(form: str, level: str = "info") -> io.StringIO:
    stream = io.StringIO()
    set_up(level, form, "worker 1", stream)
    return stream


def test_text() -> None:
    stream = lines("text")
    LOG.warning("worker %d crashed", 1, extra={"fields": {"signal": "SIGKILL", "text": "two words", "empty": ""}})
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} WARNING worker 1: worker 1 crashed"
        r' \(signal=SIGKILL text="two words" empty=""\)\n',
        stream.getvalue(),
    )


def test_json() -> None:
    stream = lines("json")
    LOG.error("no", extra={"fields": {"n": 1, "level": "forged", "odd": {1}}})
    line = json.loads(stream.getvalue())
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("time"))
    assert line == {"n": 1, "odd": "{1}", "level": "error", "process": "worker 1", "message": "no"}


def test_some_lines_are_written_whatever_the_level() -> None:
    """Those of one proxy and its target's servers, of loggers below, too; every other line goes by the level."""
    stream = io.StringIO()
    set_up("warning", "text", "worker 1", stream, debugged={("proxy", "one"), ("target", "db")})
    for name in ("one", "two", "db"):
        for field in ("proxy", "target"):
            LOG.debug("%s %s", field, name, extra={"fields": {field: name}})
            LOG.info("info")
    logging.getLogger("tidegate.part").debug("part", extra={"fields": {"proxy": "one"}})
    logging.getLogger("tidegate.part").debug("part")
    LOG.warning("warned", extra={"fields": {"proxy": "two"}})
    LOG.handle(LOG.makeRecord(LOG.name, logging.INFO, __file__, 0, "listening", (), None, extra={ALWAYS: True}))
    said = [line.split(": ", 1)[1].partition(" (")[0] for line in stream.getvalue().splitlines()]
    assert said == ["proxy one", "target db", "part", "warned", "listening"]
    set_up("warning", "text", "worker 1", stream)
    assert not LOG.isEnabledFor(logging.INFO)


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_message_is_one_line(form: str) -> None:
    stream = lines(form)
    LOG.info("user %s", "x\n2026-01-01 00:00:00.000 ERROR supervisor: forged", extra={"fields": {"a": "b\nc"}})
    assert stream.getvalue().count("\n") == 1


@pytest.mark.parametrize("form", ["text", "json"])
def test_an_exception_is_its_kind_and_place(form: str) -> None:
    stream = lines(form)
    try:
        raise ValueError("bad")
    except ValueError:
        LOG.exception("it failed")
    assert re.search(r"it failed: ValueError: bad at \S+test_logs\.py:\d+", stream.getvalue())
    assert stream.getvalue().count("\n") == 1


def test_level_and_a_second_set_up() -> None:
    first = lines("text", "warning")
    LOG.info("unseen")
    second = lines("text", "debug")
    LOG.debug("seen")
    assert first.getvalue() == ""
    assert "seen" in second.getvalue()
    assert logging.getLogger("tidegate") is LOG


def test_what_a_terminal_might_obey_is_escaped() -> None:
    stream = lines("text")
    LOG.info("user %s", "\x1b[2Jé\udcff")
    assert stream.getvalue().endswith("user \\x1b[2Jé\\udcff\n")


def test_lines_of_one_kind_are_counted_once_they_are_many() -> None:
    stream = lines("text")
    seldom = Seldom(logging.INFO, lines=2, period=1.0)
    for now in (10.0, 10.1, 10.2, 10.9, 11.0, 11.1):
        if seldom.due(now):
            seldom.log("at %g", now, fields={"n": 1})
    assert [line.partition("worker 1: ")[2] for line in stream.getvalue().splitlines()] == [
        "at 10 (n=1)",
        "at 10.1 (n=1)",
        "at 11 (n=1 left_out=2)",
        "at 11.1 (n=1)",
    ]


def test_lines_below_the_level_count_for_nothing() -> None:
    stream = lines("text", "error")
    seldom = Seldom(logging.INFO, lines=1, period=1.0)
    assert not any(seldom.due(now) for now in (0.0, 0.1))
    set_up("info", "text", "worker 1", stream)
    assert seldom.due(0.2)
    seldom.log("seen")
    assert stream.getvalue().endswith("worker 1: seen\n")
