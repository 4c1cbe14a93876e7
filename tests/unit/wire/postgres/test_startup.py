"""First packets: versions, what is cut short, what follows the end."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.wire.postgres import messages
from tidegate.wire.postgres.startup import Opening, UnsupportedProtocol, parse_startup

NAME = st.binary(min_size=1, max_size=12).map(lambda data: data.replace(b"\0", b"x"))
VALUE = st.binary(max_size=12).map(lambda data: data.replace(b"\0", b"x"))
ENCRYPTION = {"SSL": b"\x04\xd2\x16\x2f", "GSS": b"\x04\xd2\x16\x30"}


def packet(major: int = 3, minor: int = 0, rest: bytes = b"user\0me\0\0") -> bytes:
    return major.to_bytes(2, "big") + minor.to_bytes(2, "big") + rest


@given(st.dictionaries(NAME.filter(lambda name: not name.startswith(b"_pq_.")), VALUE, max_size=6))
def test_parameters_come_back(parameters: dict[bytes, bytes]) -> None:
    found = parse_startup(messages.startup(0, parameters)[4:])
    assert found.opening is Opening.STARTUP
    assert found.parameters == parameters
    assert not found.must_negotiate


@pytest.mark.parametrize(
    ("asked", "spoken", "negotiated"), [(0, 0, False), (1, 0, False), (2, 2, False), (3, 2, True), (9999, 2, True)]
)
def test_minor_versions(asked: int, spoken: int, negotiated: bool) -> None:
    """3.1 was never released; PostgreSQL up to 17 takes it for 3.0 without a word."""
    found = parse_startup(packet(3, asked))
    assert (found.minor, found.asked_minor, found.must_negotiate) == (spoken, asked, negotiated)


@pytest.mark.parametrize("major", [0, 1, 2, 4, 0x1233, 0xFFFF])
def test_other_major_versions(major: int) -> None:
    with pytest.raises(UnsupportedProtocol, match=rf"{major}\.7"):
        parse_startup(packet(major, 7))


def test_options_of_the_protocol_are_told_apart() -> None:
    found = parse_startup(packet(rest=b"_pq_.a\x001\0user\0me\0_pq_.b\0\0\0"))
    assert found.unknown_options == [b"_pq_.a", b"_pq_.b"]
    assert found.parameters == {b"user": b"me"}
    assert found.must_negotiate


def test_the_last_value_of_a_name_counts() -> None:
    assert parse_startup(packet(rest=b"user\0a\0user\0b\0\0")).parameters == {b"user": b"b"}


def test_an_empty_value_is_no_end() -> None:
    assert parse_startup(packet(rest=b"a\0\0user\0me\0\0")).parameters == {b"a": b"", b"user": b"me"}


UNENDED = [b"", b"user", b"user\0", b"user\0me", b"user\0me\0", b"user\0me\0x", b"user\0me\0\0x", b"user\0me\0\0\0"]


@pytest.mark.parametrize("rest", [*UNENDED, b"\0a\0\0"])
def test_lists_without_their_end(rest: bytes) -> None:
    with pytest.raises(ValueError, match="layout"):
        parse_startup(packet(rest=rest))


def test_no_parameters_at_all() -> None:
    assert parse_startup(packet(rest=b"\0")).parameters == {}


@pytest.mark.parametrize("size", range(4))
def test_packets_without_a_version(size: int) -> None:
    with pytest.raises(ValueError, match="length"):
        parse_startup(packet()[:size])


@pytest.mark.parametrize("code", ENCRYPTION.values(), ids=ENCRYPTION.keys())
def test_encryption_requests(code: bytes) -> None:
    assert parse_startup(code).opening is Opening.ENCRYPTION
    with pytest.raises(ValueError, match="length"):
        parse_startup(code + b"x")


@pytest.mark.parametrize("size", [4, 32, 256])
def test_cancel_requests(size: int) -> None:
    key = bytes(range(256))[:size]
    found = parse_startup(messages.cancel_request(4711, key)[4:])
    assert (found.opening, found.cancel_pid, found.cancel_key) == (Opening.CANCEL, 4711, key)


@pytest.mark.parametrize("size", [0, 3, 257])
def test_a_cancel_key_of_no_possible_length_is_nobodys(size: int) -> None:
    """A cancel request is never answered, not even a malformed one: this one just finds no session."""
    assert parse_startup(messages.cancel_request(4711, bytes(size))[4:]).cancel_key == b""


@given(st.binary(max_size=80))
def test_any_bytes_are_a_packet_or_a_value_error(body: bytes) -> None:
    try:
        parse_startup(body)
    except ValueError:
        return


def test_what_a_login_needs_is_at_hand() -> None:
    found = parse_startup(packet(rest=b"user\0me\0options\0-c a=b\0x\0y\0database\0db\0replication\0on\0\0"))
    assert (found.user, found.database, found.options, found.replication) == (b"me", b"db", b"-c a=b", b"on")
    bare = parse_startup(packet(rest=b"users\0me\0USER\0me\0\0"))
    assert (bare.user, bare.database, bare.options, bare.replication) == (b"", b"", b"", b"")


@given(st.binary(max_size=60).map(lambda rest: packet(rest=rest)))
def test_parameters_agree_with_a_plain_split(body: bytes) -> None:
    """Whatever is taken for a list of parameters is names and values by turns, with two NULs at its end."""
    try:
        found = parse_startup(body)
    except ValueError:
        return
    parts = body[4:].split(b"\0")
    assert parts[-1] == b"" and (len(parts) == 2 or parts[-2] == b"")
    pairs = dict(zip(parts[0:-2:2], parts[1:-1:2], strict=True))
    assert b"" not in pairs
    assert found.parameters == {name: value for name, value in pairs.items() if not name.startswith(b"_pq_.")}
    assert found.user == pairs.get(b"user", b"")
