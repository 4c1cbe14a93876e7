"""What a statement must be answered with, what it was answered with, and where the two differ.

Owns values that are right in more than one form. Refuses to know where either side comes from.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tests.support.wire import Message, error_fields, row


@dataclass(frozen=True)
class OneOf:
    """Any of these values is right."""

    values: tuple[str | None, ...]


@dataclass(frozen=True)
class AnyValue:
    """The database chooses it."""


ANY = AnyValue()
NOT_SET = OneOf((None, ""))
"""A custom setting that this session has not set: NULL, or '' where its name was ever used in this backend."""

Value = str | bytes | None | OneOf | AnyValue
Rows = Sequence[Sequence[Value]]


@dataclass(frozen=True)
class Expected:
    """One statement's answer. `rows` may be a function, for what is only known once earlier answers are in.

    With `sqlstate`, an error instead. `learn` is given the rows that came, if they are right.
    """

    tag: str = ""
    rows: Rows | Callable[[], Rows] = ()
    sqlstate: str = ""
    learn: Callable[[list[Sequence[bytes | None]]], None] | None = None

    def differs(self, got: Got) -> str:
        """In words; empty if it is as expected."""
        if self.sqlstate != got.sqlstate:
            return f"expected {self.sqlstate or 'success'}, got {got.sqlstate or 'success'} {got.error}"
        if self.sqlstate:
            return ""
        rows = list(self.rows() if callable(self.rows) else self.rows)
        if self.tag != got.tag:
            return f"expected {self.tag!r}, got {got.tag!r}"
        if len(rows) != len(got.rows):
            return f"expected {len(rows)} rows {rows!r}, got {got.rows!r}"
        for wanted, came in zip(rows, got.rows, strict=True):
            if len(wanted) != len(came):
                return f"expected {tuple(wanted)!r}, got {tuple(came)!r}"
            wrong = [at for at, both in enumerate(zip(wanted, came, strict=True)) if not matches(*both)]
            if wrong:
                return ", ".join(f"column {at + 1}: expected {wanted[at]!r}, got {came[at]!r}" for at in wrong)
        if self.learn:
            self.learn(list(got.rows))
        return ""


@dataclass
class Got:
    """One statement's answer as it came."""

    tag: str = ""
    rows: list[Sequence[bytes | None]] = field(default_factory=list)
    sqlstate: str = ""
    error: str = ""


def selected(*values: Value) -> Expected:
    """One row."""
    return Expected("SELECT 1", (values,))


def matches(wanted: Value, came: bytes | None) -> bool:
    """Whether a value is right."""
    if isinstance(wanted, OneOf):
        return (None if came is None else came.decode()) in wanted.values
    if isinstance(wanted, AnyValue):
        return True
    return (wanted.encode() if isinstance(wanted, str) else wanted) == came


def answers(replies: Sequence[Message]) -> list[Got]:
    """The statements' answers among these messages, in order."""
    found: list[Got] = []
    rows: list[Sequence[bytes | None]] = []
    for reply in replies:
        if reply.kind == "D":
            rows.append(row(reply))
        elif reply.kind == "C":
            found.append(Got(reply.body.rstrip(b"\0").decode(), rows))
            rows = []
        elif reply.kind == "E":
            fields = error_fields(reply)
            found.append(Got(sqlstate=fields["C"], error=fields.get("M", "")))
            rows = []
    return found


def difference(expected: Sequence[Expected], got: Sequence[Got]) -> str:
    """The first one in words, empty if there is none."""
    for number, (wanted, came) in enumerate(zip(expected, got, strict=False), 1):
        if words := wanted.differs(came):
            return f"statement {number}: {words}"
    if len(expected) != len(got):
        return f"expected {len(expected)} answers, got {len(got)}: {got!r}"
    return ""
