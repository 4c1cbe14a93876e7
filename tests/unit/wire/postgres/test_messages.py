"""Builders and readers of messages: known bytes, what is cut short, and that the two fit each other."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.errors import PgError
from tidegate.wire.postgres import messages

TEXT = st.binary(max_size=40).map(lambda data: data.replace(b"\0", b""))
FIELD = st.text(max_size=30).map(lambda text: text.replace("\0", ""))

# From the documentation, chapter "Message Formats".
KNOWN = {
    "query": (messages.query(b"SELECT 1"), b"Q\0\0\0\x0dSELECT 1\0"),
    "parse": (messages.parse(b"a", b"b", b"\0\1\0\0\0\x17"), b"P\0\0\0\x0ea\0b\0\0\1\0\0\0\x17"),
    "bind": (messages.bind(b"p", b"s"), b"B\0\0\0\x0ep\0s\0\0\0\0\0\0\0"),
    "close": (messages.close_statement(b"s"), b"C\0\0\0\x07Ss\0"),
    "describe": (messages.describe_statement(b"s"), b"D\0\0\0\x07Ss\0"),
    "command complete": (messages.command_complete(b"SELECT 1"), b"C\0\0\0\x0dSELECT 1\0"),
    "ready": (messages.ready_for_query(ord("T")), b"Z\0\0\0\5T"),
    "parameter": (messages.parameter_status(b"a", b"b"), b"S\0\0\0\x08a\0b\0"),
    "key of 3.0": (messages.backend_key_data(1, b"\2\2\2\2"), b"K\0\0\0\x0c\0\0\0\1\2\2\2\2"),
    "key of 3.2": (messages.backend_key_data(1, bytes(32)), b"K\0\0\0\x28\0\0\0\1" + bytes(32)),
    "authentication": (messages.authentication(5, b"salt"), b"R\0\0\0\x0c\0\0\0\5salt"),
    "copy fail": (messages.copy_fail(b"no"), b"f\0\0\0\7no\0"),
    "start-up": (
        messages.startup(2, {b"user": b"me"}),
        b"\0\0\0\x11\0\3\0\2user\0me\0\0",
    ),
    "cancel": (messages.cancel_request(1, b"abcd"), b"\0\0\0\x10\x04\xd2\x16\x2e\0\0\0\1abcd"),
    "negotiation": (
        messages.negotiate_protocol_version(2, [b"_pq_.a"]),
        b"v\0\0\0\x13\0\3\0\2\0\0\0\1_pq_.a\0",
    ),
}


@pytest.mark.parametrize(("built", "bytes_"), KNOWN.values(), ids=KNOWN.keys())
def test_known_bytes(built: bytes, bytes_: bytes) -> None:
    assert built == bytes_


def body_of(message: bytes) -> bytes:
    assert int.from_bytes(message[1:5], "big") == len(message) - 1
    return message[5:]


@given(FIELD, FIELD, FIELD, st.sampled_from(["ERROR", "FATAL", "PANIC"]), st.text("0123456789ABCDEFP", min_size=5))
def test_errors_come_back(message: str, detail: str, hint: str, severity: str, sqlstate: str) -> None:
    error = PgError(message, sqlstate, severity, detail, hint)
    built = messages.error_response(error)
    assert built[:1] == b"E"
    assert messages.parse_error(body_of(built)) == error


def test_a_nul_cannot_end_an_error_field_early() -> None:
    built = messages.error_response(PgError("a\0Cfake", "22012"))
    assert messages.parse_error(body_of(built)).sqlstate == "22012"


@given(st.binary(max_size=5), st.binary(max_size=5), st.binary(max_size=5))
def test_errors_of_any_bytes_can_be_passed_on(severity: bytes, sqlstate: bytes, text: bytes) -> None:
    """A database in another encoding: what it says is relayed byte by byte."""
    body = b"".join(kind + value.replace(b"\0", b"") + b"\0" for kind, value in ((b"S", severity), (b"C", sqlstate)))
    body += b"M" + text.replace(b"\0", b"") + b"\0\0"
    again = messages.parse_error(body_of(messages.error_response(messages.parse_error(body))))
    assert again.message.encode("utf-8", "surrogateescape") == text.replace(b"\0", b"")


def test_fields_that_an_error_may_lack() -> None:
    error = messages.parse_error(b"\0")
    assert (error.severity, error.sqlstate, error.message, error.detail) == ("ERROR", "XX000", "", "")


def test_the_severity_in_english_counts() -> None:
    assert messages.parse_error(b"SFEHLER\0VERROR\0\0").severity == "ERROR"
    assert messages.parse_error(b"SFATAL\0\0").severity == "FATAL"


def test_an_error_cut_short() -> None:
    whole = body_of(messages.error_response(PgError("message", "22012", detail="detail", hint="hint")))
    for size in range(len(whole)):
        try:
            messages.parse_error(whole[:size])
        except ValueError:
            continue
        assert size == 0 or whole[size - 1] == 0, "a field without its end was taken"


def row_body(columns: list[bytes | None]) -> bytes:
    out = len(columns).to_bytes(2, "big")
    for column in columns:
        out += b"\xff\xff\xff\xff" if column is None else len(column).to_bytes(4, "big") + column
    return out


COLUMNS = st.lists(st.none() | st.binary(max_size=20), max_size=8)


@given(COLUMNS)
def test_rows(columns: list[bytes | None]) -> None:
    assert messages.parse_data_row(row_body(columns)) == columns


@given(COLUMNS.filter(bool), st.data())
def test_a_row_cut_short(columns: list[bytes | None], data: st.DataObject) -> None:
    whole = row_body(columns)
    size = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(ValueError, match="truncated"):
        messages.parse_data_row(whole[:size])


@pytest.mark.parametrize("length", [b"\x7f\xff\xff\xff", b"\0\0\0\2", b"\0\0\1\0"])
def test_a_row_with_a_column_longer_than_itself(length: bytes) -> None:
    with pytest.raises(ValueError, match="truncated"):
        messages.parse_data_row(b"\0\1" + length + b"x")


def test_every_negative_length_is_null() -> None:
    assert messages.parse_data_row(b"\0\1\x80\0\0\0") == [None]


def description(*columns: tuple[bytes, int, int, int]) -> bytes:
    """The body of a RowDescription: name, table, type and type modifier of each column."""
    parts = [
        name + struct.pack("!cIhIhih", b"\0", table, number, type_, -1, modifier, 0)
        for number, (name, table, type_, modifier) in enumerate(columns, 1)
    ]
    return struct.pack("!h", len(parts)) + b"".join(parts)


def test_the_shape_of_a_row_is_names_types_and_modifiers() -> None:
    shape = messages.row_shape(description((b"a", 16384, 23, -1), (b"b", 0, 1043, 14)))
    assert shape == messages.row_shape(description((b"a", 16999, 23, -1), (b"b", 1, 1043, 14)))
    others = [
        description((b"a", 16384, 23, -1)),
        description((b"a", 16384, 20, -1), (b"b", 0, 1043, 14)),
        description((b"a", 16384, 23, -1), (b"c", 0, 1043, 14)),
        description((b"a", 16384, 23, -1), (b"b", 0, 1043, 24)),
        description((b"b", 0, 1043, 14), (b"a", 16384, 23, -1)),
        description(),
    ]
    assert shape not in [messages.row_shape(other) for other in others]


@given(st.integers(0, 41))
def test_a_description_cut_short(size: int) -> None:
    whole = description((b"a", 16384, 23, -1), (b"b", 0, 1043, 14))
    assert len(whole) == 42
    with pytest.raises(ValueError, match="truncated"):
        messages.row_shape(whole[:size])


@given(TEXT, TEXT)
def test_parameters(name: bytes, value: bytes) -> None:
    assert messages.parse_parameter_status(body_of(messages.parameter_status(name, value))) == (name, value)


@pytest.mark.parametrize("body", [b"", b"a", b"a\0", b"a\0b", b"a\0b\0c", b"a\0b\0\0"])
def test_parameters_of_another_shape(body: bytes) -> None:
    with pytest.raises(ValueError, match="ParameterStatus"):
        messages.parse_parameter_status(body)


@given(st.binary(max_size=60))
def test_readers_return_or_raise_value_error(body: bytes) -> None:
    for reader in (
        messages.parse_error,
        messages.parse_data_row,
        messages.row_shape,
        messages.parse_parameter_status,
    ):
        try:
            reader(body)
        except ValueError:
            continue


BIND = (
    b"portal\0statement\0" + b"\0\1\0\1" + b"\0\3" + b"\0\0\0\3one" + b"\xff\xff\xff\xff" + b"\0\0\0\5three" + b"\0\0"
)


def test_values_of_a_bind() -> None:
    assert [messages.parse_bound_value(BIND, number) for number in range(5)] == [None, b"one", None, b"three", None]


@given(st.integers(0, len(BIND) - 1), st.integers(-1, 70000))
def test_a_bind_cut_short(size: int, number: int) -> None:
    value = messages.parse_bound_value(BIND[:size], number)
    assert value is None or value == messages.parse_bound_value(BIND, number)


@given(st.binary(max_size=80), st.integers(1, 4))
def test_values_of_any_bytes(body: bytes, number: int) -> None:
    value = messages.parse_bound_value(b"\0\0" + body, number)
    assert value is None or value in body
