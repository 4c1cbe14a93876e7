"""Log lines of all Tidegate processes: one text line or one JSON object each, on standard error.

Owns their form, the logger's name, and how often a line may be repeated. Refuses to decide what is worth a line (for
connections `journal` does). What is no printable character is escaped: names come from clients.

    LOG.warning("worker %d crashed", 1, extra={"fields": {"worker": 1, "signal": "SIGKILL"}})
"""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Collection
from typing import Any, TextIO

LOG = logging.getLogger("tidegate")

ALWAYS = "always"
"""Attribute of a record that is written whatever the level, where it is handed to LOG.handle()."""


def set_up(
    level: str,
    form: str,
    process: str,
    stream: TextIO | None = None,
    *,
    debugged: Collection[tuple[str, str]] = (),
) -> None:
    """Write this process's lines to `stream` (standard error); may be called again when settings change.

    level: least severe line ("debug", "info", "warning", "error"); form: "text" or "json"; process: who writes;
    debugged: names and values of fields: lines that have one of them are written whatever the level.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines(process) if form == "json" else TextLines(process))
    handler.addFilter(_Wanted(level, debugged))
    LOG.handlers[:] = [handler]
    LOG.setLevel("DEBUG" if debugged else level.upper())
    LOG.propagate = False


class _Wanted(logging.Filter):
    """Which lines are written, where some are that the level alone would leave out."""

    def __init__(self, level: str, debugged: Collection[tuple[str, str]]) -> None:
        super().__init__()
        self._level = logging.getLevelNamesMapping()[level.upper()]
        self._debugged = debugged

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether this one is."""
        if record.levelno >= self._level or getattr(record, ALWAYS, False):
            return True
        fields = fields_of(record)
        return any(fields.get(name) == value for name, value in self._debugged)


class Seldom:
    """Lines of one kind that many clients may cause at once: at most `lines` of them in any `period` seconds.

    The next line of that kind says how many were left out; the statistics count them all.
    """

    def __init__(self, level: int, lines: int, period: float) -> None:
        self._level = level
        self._lines = lines
        self._period = period
        self._since = -period
        self._written = 0
        self._left_out = 0

    def due(self, now: float) -> bool:
        """Whether a line may be written now, to be followed by log(). now: seconds on a clock that never goes back."""
        if not LOG.isEnabledFor(self._level):
            return False
        if now - self._since >= self._period:
            self._since, self._written = now, 0
        if self._written >= self._lines:
            self._left_out += 1
            return False
        return True

    def log(self, text: str, *values: object, fields: dict[str, Any] | None = None) -> None:
        """Write the line."""
        self._written += 1
        fields = dict(fields or {})
        if self._left_out:
            fields["left_out"] = self._left_out
            self._left_out = 0
        LOG.log(self._level, text, *values, extra={"fields": fields})


class TextLines(logging.Formatter):
    """`2026-01-31 12:00:00.123 WARNING supervisor: worker 1 crashed (worker=1 signal=SIGKILL)`, in UTC."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self.process = process

    def format(self, record: logging.LogRecord) -> str:
        """One line; line breaks in a message become spaces, so that nobody can forge a line."""
        message = printable(" ".join(message_of(record).splitlines()))
        fields = " ".join(f"{name}={_shown(value)}" for name, value in fields_of(record).items())
        stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(record.created))
        return (
            f"{stamp}.{int(record.msecs):03d} {record.levelname} {self.process}: {message}"
            f"{f' ({fields})' if fields else ''}"
        )


class JsonLines(logging.Formatter):
    """One JSON object a line: time (RFC 3339, UTC), level, process, message, and the record's fields."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self.process = process

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line = {
            **fields_of(record),
            "time": f"{stamp}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "process": self.process,
            "message": message_of(record),
        }
        return json.dumps(line, default=str)


def message_of(record: logging.LogRecord) -> str:
    """The text, with the kind and place of an exception but not its traceback, which may quote data."""
    text = record.getMessage()
    if not record.exc_info or record.exc_info[1] is None:
        return text
    error, trace = record.exc_info[1], record.exc_info[2]
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f" at {trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else ""
    return f"{text}: {type(error).__name__}: {error}{place}"


def statement(text: bytes) -> str:
    """A client's statement as one line; of a Parse message's content the text alone."""
    return " ".join(text.partition(b"\0")[0].decode("utf-8", "replace").split())


def printable(text: str) -> str:
    """The text with what a terminal might obey, or not be able to show, written as an escape."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


def fields_of(record: logging.LogRecord) -> dict[str, Any]:
    """What the caller passed as extra={"fields": {...}}."""
    fields = getattr(record, "fields", None)
    return fields if isinstance(fields, dict) else {}


def _shown(value: object) -> str:
    text = str(value)
    return text if text.isprintable() and not set(text) & set(' "=()') and text else json.dumps(text)
