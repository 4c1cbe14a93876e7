"""Client encodings: what is set, prepared or scanned under one means the same at every server.

Texts are bytes here: the point is what the same bytes mean to two clients. The database's own encoding is UTF8.
"""

from __future__ import annotations

import pytest

from tests.support import messages as m
from tests.support.sides import Compare, Play, Side
from tests.support.transcript import Recorder
from tests.support.wire import rows, sqlstates

HEX = b"SELECT encode(convert_to(current_setting('app.tenant'), 'UTF8'), 'hex')"
TENANT = b"SELECT current_setting('app.tenant')"
BACKSLASH_PAIR = b"\x83\x5c"  # one katakana in SJIS, whose second byte is a backslash elsewhere


def query(sql: bytes) -> bytes:
    return m.message("Q", sql + b"\0")


def batch(sql: bytes, name: bytes = b"") -> bytes:
    """Parse, Bind, Execute, Sync."""
    return b"".join(
        [
            m.message("P", name + b"\0" + sql + b"\0\0\0"),
            m.bind([], name.decode()),
            m.execute(),
            m.sync(),
        ]
    )


def say(*statements: bytes) -> Play:
    def play(talk: Recorder) -> None:
        for sql in statements:
            talk.ask(query(sql))

    return play


def set_once_read_in_three_encodings(talk: Recorder) -> None:
    talk.ask(query("SET app.tenant = 'ü€'".encode()))
    for encoding, expected in (("SQL_ASCII", "ü€".encode()), ("WIN1252", b"\xfc\x80"), ("UTF8", "ü€".encode())):
        talk.ask(m.query(f"SET client_encoding = '{encoding}'"))
        for _ in range(3):
            assert rows(talk.ask(query(TENANT))) == [(expected,)]


def set_in_the_encoding_of_the_moment(talk: Recorder) -> None:
    for encoding, value in (("LATIN1", b"\xfc"), ("UTF8", "ü".encode()), ("SQL_ASCII", "ü".encode())):
        talk.ask(m.query(f"SET client_encoding = '{encoding}'"))
        talk.ask(query(b"SET app.tenant = '" + value + b"'"))
        for _ in range(3):
            assert rows(talk.ask(query(TENANT))) == [(value,)]
            assert rows(talk.ask(query(HEX))) == [(b"c3bc",)]


def that_the_client_cannot_read(talk: Recorder) -> None:
    """A value may hold what the client's encoding lacks: kept, though the client can't be shown it."""
    talk.ask(query(b"SET client_encoding = 'LATIN1'"))
    talk.ask(query(rb"SET app.tenant = E'\u20ac'"))
    for _ in range(3):
        assert rows(talk.ask(query(HEX))) == [(b"e282ac",)]
        assert sqlstates(talk.ask(query(TENANT))) == ["22P05"]


def by_a_reset(talk: Recorder) -> None:
    talk.ask(query(b"SET client_encoding = 'LATIN1'"))
    talk.ask(query(b"SET app.tenant = '\xfc'"))
    talk.ask(query(b"RESET client_encoding"))
    for _ in range(3):
        assert rows(talk.ask(query(TENANT))) == [("ü".encode(),)]


def search_path_beyond_ascii(talk: Recorder) -> None:
    talk.ask(query(b"SET client_encoding = 'LATIN1'"))
    talk.ask(query(b'SET search_path = "\xfc", proto_b'))
    for _ in range(3):
        talk.ask(query(b"SHOW search_path"))
        assert rows(talk.ask(query(b"SELECT tenant FROM who"))) == [(b"beyond",)]
    talk.ask(m.parse("SELECT tenant FROM who", "who"), m.sync())
    talk.ask(query(b"SET search_path = proto_b"))
    for _ in range(3):
        assert rows(talk.ask(m.run_prepared("who"))) == [(b"b",)]


def backslash_of_its_own_again(talk: Recorder) -> None:
    """Back in an encoding without such pairs, the same bytes are an escaped quote."""
    sql = b"SELECT length(E'" + BACKSLASH_PAIR + b"; SET work_mem = ''7MB'')')"
    for encoding in (b"SJIS", b"WIN1252", b"SJIS"):
        talk.ask(query(b"SET client_encoding = '" + encoding + b"'"))
        talk.ask(query(sql))
        talk.ask(query(b"SHOW work_mem"))


PLAYS: list[Play] = [
    set_once_read_in_three_encodings,
    set_in_the_encoding_of_the_moment,
    that_the_client_cannot_read,
    by_a_reset,
    search_path_beyond_ascii,
    backslash_of_its_own_again,
]


@pytest.fixture(autouse=True)
def schema_beyond_ascii(schema: None, direct: Side) -> None:
    with direct.login() as client:
        client.query(
            'CREATE SCHEMA IF NOT EXISTS "ü"; CREATE TABLE IF NOT EXISTS "ü".who AS SELECT \'beyond\' AS tenant'
        )


@pytest.mark.parametrize("play", PLAYS, ids=lambda play: play.__name__)
def test_same_as_direct(same_as_direct: Compare, play: Play) -> None:
    same_as_direct(play)


def test_given_at_the_start(same_as_direct: Compare) -> None:
    """Start-up parameters are bytes of the database's encoding, whatever client_encoding comes with them."""

    def play(talk: Recorder) -> None:
        for _ in range(3):
            talk.ask(query(HEX))
            talk.ask(query(TENANT))
        talk.ask(query(b"SET app.tenant = 'other'"))
        talk.ask(query(b"RESET app.tenant"))
        talk.ask(query(HEX))

    same_as_direct(play, client_encoding="LATIN1", options="-c app.tenant=ü")


def test_three_clients_with_one_server_after_another(proxied: Side, churned: None) -> None:
    """Equal bytes of three encodings, and equal values in three spellings, each stay their owner's."""
    clients = {encoding: proxied.login(client_encoding=encoding) for encoding in ("UTF8", "WIN1252", "SQL_ASCII")}
    given = {"UTF8": "ü€".encode(), "WIN1252": "ü€".encode(), "SQL_ASCII": b"ue"}
    stored = {name: value.decode("cp1252" if name == "WIN1252" else "utf-8") for name, value in given.items()}
    try:
        for name, client in clients.items():
            assert not sqlstates(client.ask(query(b"SET app.tenant = '" + given[name] + b"'")))
        for _ in range(20):
            for name, client in clients.items():
                assert client.value(HEX.decode()) == stored[name].encode().hex()
                assert rows(client.ask(query(TENANT))) == [(given[name],)]
    finally:
        for client in clients.values():
            client.quit()


def test_one_text_of_two_encodings_is_two_statements(proxied: Side, churned: None) -> None:
    sql = b"SELECT encode(convert_to('" + "ü".encode() + b"', 'UTF8'), 'hex')"
    with proxied.login(client_encoding="UTF8") as a, proxied.login(client_encoding="LATIN1") as b:
        a.ask(batch(sql, b"s"))
        b.ask(batch(sql, b"s"))
        for _ in range(10):
            assert rows(a.ask(m.run_prepared("s"))) == [(b"c3bc",)]
            assert rows(b.ask(m.run_prepared("s"))) == [(b"c383c2bc",)]


HIDDEN = {
    "simple": query(b"SELECT E'" + BACKSLASH_PAIR + b"'; SET work_mem = '7MB' --'"),
    "extended": batch(b"SELECT E'" + BACKSLASH_PAIR + b"', set_config('work_mem', '7MB', false), ''"),
    "long": query(
        b"SELECT E'" + BACKSLASH_PAIR + b"'; SET work_mem = '7MB'; SELECT 1 /*" + b"x" * (2 << 20) + b"*/ --'"
    ),
}


@pytest.mark.parametrize("hidden", HIDDEN.values(), ids=HIDDEN.keys())
@pytest.mark.parametrize("known_since", ["start", "set", "block"])
def test_second_byte_hides_no_setting(proxied: Side, hidden: bytes, known_since: str) -> None:
    """Read byte by byte, the backslash would keep the literal open, and hide the rest in it.

    All servers are held in turn, so that neither the owner nor a stranger can be lucky with the one it gets.
    """
    encoding = {"client_encoding": "SJIS"}
    owner = proxied.login(**(encoding if known_since == "start" else {}))
    strangers = [proxied.login(**encoding) for _ in range(proxied.servers)]
    if known_since == "block":
        owner.query("BEGIN")
    if known_since != "start":
        owner.query("SET client_encoding = 'SJIS'")
    assert not sqlstates(owner.ask(hidden))
    if known_since == "block":
        owner.query("COMMIT")
    for stranger in strangers:
        stranger.query("BEGIN")
    assert [stranger.value("SHOW work_mem") for stranger in strangers] == ["4MB"] * len(strangers)
    for stranger in strangers:
        stranger.query("ROLLBACK")
    assert owner.value("SHOW work_mem") == "7MB"
