"""currval() and lastval(): a client's own values or error 55000, never another's.

Each server has values of several clients, in all of these tests.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator

import pytest

from tests.support import messages as m
from tests.support.fixtures import proxied_side
from tests.support.postgres import Postgres
from tests.support.sides import Side
from tests.support.tidegate import Proxy
from tests.support.wire import RawClient, ServerError, rows, sqlstates

LASTVAL_OID = 2559
TABLES = """
CREATE TABLE own_serial (id serial, owner text);
CREATE TABLE own_identity (id int GENERATED ALWAYS AS IDENTITY, owner text);
CREATE TABLE own_plain (owner text);
CREATE TABLE own_watched (owner text);
CREATE FUNCTION own_log() RETURNS trigger LANGUAGE plpgsql AS
  'BEGIN INSERT INTO own_serial (owner) VALUES (new.owner); RETURN new; END';
CREATE TRIGGER own_log BEFORE INSERT ON own_watched FOR EACH ROW EXECUTE FUNCTION own_log();
CREATE FUNCTION own_last() RETURNS bigint LANGUAGE sql AS 'SELECT lastval()';
CREATE FUNCTION own_last_unread() RETURNS bigint LANGUAGE plpgsql AS
  'DECLARE found bigint; BEGIN EXECUTE ''SELECT last'' || ''val()'' INTO found; RETURN found; END';
CREATE VIEW own_view AS SELECT currval('own_serial_id_seq') AS id;
"""
OTHERS = "INSERT INTO own_serial (owner) VALUES ('another')"
MINE = "INSERT INTO own_serial (owner) VALUES ('mine') RETURNING id"

ASK: dict[str, tuple[bytes, ...]] = {
    "lastval": (m.query("SELECT lastval()"),),
    "currval": (m.query("SELECT pg_catalog.currval('own_serial_id_seq')"),),
    "quoted": (m.query('SELECT "lastval"()'),),
    "among others": (m.query("SELECT 1; SELECT lastval()"),),
    "extended": (m.batch("SELECT lastval()"),),
    "prepared": (m.parse("SELECT lastval()", "own") + m.run_prepared("own"),),
    "prepared by SQL": (m.query("PREPARE own AS SELECT lastval()"), m.query("EXECUTE own")),
    "function": (m.query("SELECT own_last()"),),
    "view": (m.query("SELECT id FROM own_view"),),
    "unread code": (m.query("SELECT own_last_unread()"),),
    "DO": (m.query("DO $$BEGIN PERFORM lastval(); END$$"),),
    "DO behind EXECUTE": (
        m.query("PREPARE own AS SELECT 1"),
        m.query("EXECUTE own; DO $$BEGIN PERFORM lastval(); END$$"),
    ),
    "in a long text": (m.query(f"SELECT '{'x' * 300_000}', lastval()"),),
}


@pytest.fixture(scope="module")
def tables(postgres: Postgres, wire_role: str, direct: Side) -> None:
    with direct.login() as client:
        client.query(TABLES)


@pytest.fixture
def one(postgres: Postgres, tables: None) -> Iterator[Side]:
    """A new proxy with one server: nobody has asked there yet."""
    with Proxy(postgres, target={"max_connections": 1}) as proxy:
        yield proxied_side(proxy, 1)


def is_kept(proxy: Proxy) -> bool:
    """Whether somebody keeps a server for the values that it has."""
    return bool(proxy.stats().get("clients_pinned_sequence_value"))


def asked(client: RawClient, messages: tuple[bytes, ...]) -> list[str]:
    """The errors in answer to these."""
    return [state for message in messages for state in sqlstates(client.ask(message))]


@pytest.mark.parametrize("messages", ASK.values(), ids=ASK)
def test_another_clients_value_is_told_to_nobody(one: Side, messages: tuple[bytes, ...]) -> None:
    """Neither to the first who ever asks, nor to later ones, nor within a transaction."""
    for _ in range(3):
        with one.login() as other, one.login() as client:
            other.query(OTHERS)
            assert "55000" in asked(client, messages)
            client.query("DEALLOCATE ALL")
            other.query(OTHERS)
            client.query("BEGIN; INSERT INTO own_plain VALUES ('mine')")
            assert "55000" in asked(client, messages)
            client.query("ROLLBACK")


@pytest.mark.parametrize("message", [
    m.function_call(LASTVAL_OID, []),
    m.query('SELECT U&"\\006castval"()'),
], ids=["FunctionCall", "Unicode escape"])  # fmt: skip
def test_by_what_names_no_function(one: Side, message: bytes) -> None:
    with one.login() as other, one.login() as client:
        other.query(OTHERS)
        assert sqlstates(client.ask(message)) == ["55000"]


def test_behind_a_rollback_that_is_on_its_way(one: Side) -> None:
    with one.login() as other, one.login() as client:
        other.query(OTHERS)
        client.query("BEGIN")
        assert sqlstates(client.ask(m.query("SELECT nowhere"))) == ["42703"]
        client.send(m.query("ROLLBACK") + m.query("SELECT lastval()"))
        assert sqlstates(client.read_ready(2)) == ["55000"]


@pytest.mark.parametrize("advance", [
    MINE,
    "INSERT INTO own_identity (owner) VALUES ('mine') RETURNING id",
    "SELECT nextval('own_serial_id_seq')",
    "WITH new AS (INSERT INTO own_serial (owner) VALUES ('mine') RETURNING id) SELECT id FROM new",
])  # fmt: skip
def test_right_within_a_transaction(one: Side, advance: str) -> None:
    """After others have used the server: from the second question on in a database."""
    with one.login() as other, one.login() as client:
        with pytest.raises(ServerError, match="55000"):
            client.query("SELECT lastval()")
        for _ in range(3):
            other.query(OTHERS)
            client.query("BEGIN")
            value = client.value(advance)
            assert client.value("SELECT lastval()") == value
            client.query("COMMIT")
            client.query("SELECT 1")  # so that it does not keep the server


def test_kept_for_who_asks(postgres: Postgres, tables: None) -> None:
    """From its first question on; a trigger's values count, and the pin says why."""
    with Proxy(postgres, target={"max_connections": 2}) as proxy:
        side = proxied_side(proxy, 2)
        with side.login() as client, side.login() as other:
            for advance in ("INSERT INTO own_serial (owner) VALUES ('x')", "INSERT INTO own_watched VALUES ('x')"):
                client.query(advance)
                client.value("SELECT lastval()")
                assert not sqlstates(client.ask(m.query(advance)))
                assert is_kept(proxy)
                for _ in range(3):
                    other.query(OTHERS)
                mine = client.value("SELECT max(id) FROM own_serial WHERE owner = 'x' AND lastval() > 0")
                assert client.value("SELECT lastval()") == mine
                assert client.value("SELECT currval('own_serial_id_seq')") == mine
                client.query("SELECT 1")
                assert not is_kept(proxy)
            client.query("INSERT INTO own_serial (owner) VALUES ('x')")
            assert is_kept(proxy)
            client.query("DISCARD SEQUENCES")
            assert not is_kept(proxy)
            with pytest.raises(ServerError, match="55000"):
                client.query("SELECT lastval()")


def test_given_up_when_others_wait(one: Side) -> None:
    """Who goes idle with such values does not lock the others out."""
    with one.login() as client, one.login(timeout=10) as other:
        with pytest.raises(ServerError, match="55000"):
            client.query("SELECT lastval()")
        client.query(OTHERS)
        other.query(OTHERS)
        with pytest.raises(ServerError, match="55000"):
            client.query("SELECT lastval()")


def test_under_churn(postgres: Postgres, tables: None) -> None:
    """Own values, whoever else is there; and those that are asked for at once are not lost."""
    problems: list[str] = []
    with Proxy(postgres, target={"max_connections": 3}) as proxy:
        side = proxied_side(proxy, 3)
        threads = [threading.Thread(target=work, args=(side, seed, problems.append)) for seed in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=120)
        assert not problems
        assert proxy.stats()["moves"] > 100


def work(side: Side, seed: int, complain: Callable[[str], None]) -> None:
    """One client's life: values are taken, and asked for at once or later."""
    chance = random.Random(seed)
    asked_before = False
    with side.login() as client:
        mine: str | None = None
        for _ in range(150):
            what = chance.choice(["take", "take and ask", "ask", "else", "else"])
            if what == "else":
                client.query("SELECT 1")
                continue
            if what != "ask":
                (found,) = rows(client.ask(m.batch(MINE) if chance.random() < 0.5 else m.query(MINE)))
                mine = (found[0] or b"").decode()
            if what != "take":
                replies = client.ask(
                    m.batch("SELECT lastval()") if chance.random() < 0.5 else m.query("SELECT lastval()")
                )
                told = [(value[0] or b"").decode() for value in rows(replies)]
                lost = sqlstates(replies) == ["55000"] and not (what == "take and ask" and asked_before)
                if told != [mine] and not lost:
                    complain(f"{what}: {told} {sqlstates(replies)} instead of {mine}")
                asked_before = True
