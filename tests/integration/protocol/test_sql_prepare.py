"""PREPARE, EXECUTE and DEALLOCATE in SQL, alone and mixed with protocol-level statements: as with a direct connection.

A name space is the client's, whatever server its next statement meets; nothing of it pins the session.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.protocol.sql_prepare_plays import PLAYS
from tests.support import messages as m
from tests.support.churn import Churn
from tests.support.fixtures import empty_table, proxied_side
from tests.support.postgres import Postgres
from tests.support.sides import Compare, Play, Side, record
from tests.support.tidegate import Proxy
from tests.support.wire import ServerError, rows, sqlstates

KEPT = 2  # statements at a server, where few are kept


@pytest.mark.parametrize("play", PLAYS, ids=lambda play: play.__name__)
def test_same_as_direct(same_as_direct: Compare, play: Play) -> None:
    same_as_direct(play)


@pytest.fixture(scope="module")
def small(postgres: Postgres, wire_role: str) -> Iterator[tuple[Proxy, Side]]:
    """A proxy with two servers that keep two statements each."""
    with Proxy(postgres, target={"max_connections": 2}, proxy={"max_prepared_statements": KEPT}) as proxy:
        yield proxy, proxied_side(proxy, 2)


@pytest.mark.parametrize("play", PLAYS, ids=lambda play: play.__name__)
def test_where_servers_keep_few_statements(small: tuple[Proxy, Side], direct: Side, schema: None, play: Play) -> None:
    """Several clients, of which each finds what the others have left."""
    proxy, side = small
    expected = record(direct, play)
    with Churn(proxy.dsn("wire", "wire"), rotators=3, poison=["PREPARE plan AS SELECT 'poison'"]):
        for _ in range(2):
            empty_table(direct, "proto_scratch")
            assert record(side, play) == expected


def test_long_texts_do_not_pin(small: tuple[Proxy, Side]) -> None:
    """They come in pieces."""
    proxy, side = small
    before = proxy.stats()["pins"]
    filler = "x" * 2_000_000
    with side.login() as client, side.login() as other:
        client.query(f"PREPARE plan (text) AS SELECT length($1), length('{filler}')")
        other.query("BEGIN")
        client.query(f"EXECUTE plan('{filler}')")
        with side.login() as third:
            third.query("BEGIN")
            other.query("COMMIT")
            assert client.value(f"EXECUTE plan('{filler}')") == "2000000"
            client.query("DEALLOCATE plan")
            with pytest.raises(ServerError, match="26000"):
                client.query(f"EXECUTE plan('{filler}')")
    assert proxy.stats()["pins"] == before


def test_one_name_of_two_clients(proxied: Side, churned: None) -> None:
    with proxied.login() as one, proxied.login() as two:
        one.query("PREPARE mine AS SELECT 'one'")
        two.query("PREPARE mine AS SELECT 'two'")
        for _ in range(10):
            assert one.value("EXECUTE mine") == "one"
            assert two.value("EXECUTE mine") == "two"
        one.query("DEALLOCATE mine")
        assert two.value("EXECUTE mine") == "two"
        with pytest.raises(ServerError, match="26000"):
            one.query("EXECUTE mine")


def test_one_text_two_search_paths(proxied: Side, churned: None) -> None:
    """Two tenants share a pool and a text, never a plan."""
    with proxied.login(search_path="proto_a") as a, proxied.login(search_path="proto_b") as b:
        for client in (a, b):
            client.query("PREPARE who AS SELECT tenant FROM who")
        for _ in range(10):
            assert a.value("EXECUTE who") == "a"
            assert b.value("EXECUTE who") == "b"
            assert rows(a.ask(m.run_prepared("who"))) == [(b"a",)]


def test_nothing_is_pinned(small: tuple[Proxy, Side]) -> None:
    proxy, side = small
    before = proxy.stats()["pins"]
    with side.login() as one, side.login() as two, side.login() as three:
        for number, client in enumerate((one, two, three)):
            client.query(f"PREPARE mine AS SELECT {number}")
            client.query("BEGIN; EXECUTE mine; COMMIT")
            client.query("EXPLAIN EXECUTE mine")
            client.ask(m.batch("PREPARE other AS SELECT 5"))
            client.query("PREPARE a AS SELECT 1; DEALLOCATE a")
        for _ in range(5):
            for number, client in enumerate((one, two, three)):
                assert client.value("EXECUTE mine") == str(number)
                assert client.value("EXECUTE other") == "5"
        three.query("DISCARD ALL")
    assert proxy.stats()["pins"] == before


def test_servers_share_what_is_the_same(small: tuple[Proxy, Side]) -> None:
    _, side = small
    with side.login() as one, side.login() as two, side.login() as holder:
        holder.query("BEGIN")  # one server is left
        one.query("PREPARE mine AS SELECT 'kept'")
        for _ in range(3):
            two.query("PREPARE yours AS SELECT 'kept'")
            assert two.value("EXECUTE yours") == "kept"
            two.query("DEALLOCATE yours")
        known = one.value("SELECT count(*) FROM pg_prepared_statements WHERE statement ~ 'AS SELECT .kept'")
        assert known == "1"
        assert one.value("EXECUTE mine") == "kept"


def test_a_client_that_vanishes_amid_its_texts(small: tuple[Proxy, Side]) -> None:
    _, side = small
    for _ in range(4):
        client = side.login()
        client.send(m.query("PREPARE a AS SELECT 1; SELECT pg_sleep(0.05); PREPARE b AS SELECT 2; SELECT 1/0"))
        client.sock.close()
        with side.login() as other:
            other.query("PREPARE a AS SELECT 1")
            other.query("PREPARE b AS SELECT 2")
            assert other.value("EXECUTE a") == "1"
            assert other.value("EXECUTE b") == "2"


def test_what_a_block_has_dropped_comes_back(small: tuple[Proxy, Side]) -> None:
    """No text says so; the first use fails, and tells."""
    _, side = small
    with side.login() as client:
        client.query("PREPARE mine AS SELECT 'mine'")
        client.ask(m.parse("SELECT 'parsed'", "parsed"), m.sync())
        client.query("DO $$ BEGIN EXECUTE 'DEALLOCATE ALL'; END $$")
        for text, name, expected in (("EXECUTE mine", "mine", "mine"), ("EXECUTE parsed", "parsed", "parsed")):
            with pytest.raises(ServerError, match=f'26000.*"{name}"'):
                client.query(text)
            assert client.value(text) == expected


def test_room_that_was_not_made(small: tuple[Proxy, Side]) -> None:
    """A statement that makes room is closed within a batch; where that fails before, the server still has it."""
    _, side = small
    with side.login() as client:
        for i in range(KEPT + 2):
            client.ask(m.parse(f"SELECT {i}", f"s{i}"), m.sync())
        for i in (0, 1, 2, 3, 0):
            fails = m.parse("SELECT 1/0") + m.bind() + m.execute()
            client.ask(fails, m.bind([], f"s{i}"), m.execute(), m.sync())
            for each in range(KEPT + 2):
                assert rows(client.ask(m.run_prepared(f"s{each}"))) == [(str(each).encode(),)]


def test_told_in_time_what_an_error_has_undone(proxied: Side, churned: None) -> None:
    """Whatever the proxy itself has asked the server meanwhile: ahead of ReadyForQuery."""
    with proxied.login() as client:
        client.query("CREATE TABLE proto_undone (a int)")
        client.query("PREPARE plan AS SELECT a FROM proto_undone")
        client.query("DROP TABLE proto_undone")
        for _ in range(10):
            client.query("BEGIN")
            client.query("SET LOCAL application_name = 'told'")
            replies = client.ask(m.query("EXECUTE plan"))
            assert sqlstates(replies) == ["42P01"]
            assert b"application_name\0\0" in [reply.body for reply in replies if reply.kind == "S"]
            client.query("ROLLBACK")


def test_a_name_is_dropped_unseen(proxied: Side, churned: None) -> None:
    """By what a DO block does. The server may then take a name that this client seems to have.

    Whoever else changes the catalogue meanwhile makes no difference to that.
    """
    for _ in range(20):
        with proxied.login() as client:
            client.query("PREPARE plan AS SELECT 'old'")
            refused = "BEGIN; PREPARE plan AS SELECT 'refused'"
            with pytest.raises(ServerError, match="42P05"):
                client.query(refused)
            client.query("ROLLBACK; BEGIN; DO $$BEGIN EXECUTE 'DEALLOCATE ALL'; END$$")
            with proxied.login() as other:
                other.query("CREATE TABLE proto_unseen (); DROP TABLE proto_unseen")
            client.query("PREPARE plan AS SELECT 'new'")
            client.query("COMMIT")
            assert client.value("EXECUTE plan") == "new"
            with proxied.login() as other, pytest.raises(ServerError, match="42P05"):
                other.query("PREPARE plan AS SELECT 1; PREPARE plan AS SELECT 2")
