"""Prepared statements whose result changes its shape: as directly, one error, and then a fresh plan at every server."""

from __future__ import annotations

import struct

import pytest

from tests.support import messages as m
from tests.support.sides import Side
from tests.support.wire import Message, RawClient, errors, rows, sqlstates

STALE = ["0A000"]


@pytest.fixture(autouse=True)
def table(schema: None, proxied: Side) -> None:
    """Made through the proxy, which so knows that what it had before is another one's."""
    with proxied.login() as client:
        client.query("DROP TABLE IF EXISTS proto_shape; CREATE TABLE proto_shape AS SELECT 1 AS a")


def prepare(client: RawClient, name: str = "s", sql: str = "SELECT * FROM proto_shape") -> list[Message]:
    return client.ask(m.parse(sql, name), m.describe_statement(name), m.sync())


def on_every_server(side: Side, client: RawClient, message: bytes) -> list[list[Message]]:
    """Ask once at each server, while others hold the rest."""
    seen = {}
    holders = [side.login() for _ in range(side.servers)]
    try:
        for holder in holders:
            holder.query("BEGIN")
        for holder in holders:
            holder.query("COMMIT")
            pid = client.value("SELECT 0 + pg_backend_pid()")
            seen[pid] = client.ask(message)
            holder.query("BEGIN")
    finally:
        for holder in holders:
            holder.quit()
    assert len(seen) == side.servers
    return list(seen.values())


def test_as_directly(direct: Side, proxied: Side, churned: None) -> None:
    """The client that was told the old shape gets the error wherever it goes; closing and preparing again helps."""
    said = []
    for side in (direct, proxied):
        with side.login() as client, side.login() as other:
            prepare(client)
            client.ask(m.run_prepared("s"))
            other.query("ALTER TABLE proto_shape ADD COLUMN b int DEFAULT 2")
            for _ in range(3):
                replies = client.ask(m.run_prepared("s"))
                assert sqlstates(replies) == STALE
                said.append({code: errors(replies)[0][code] for code in "SVCMR"})
            client.ask(m.close_statement("s"), m.sync())
            assert not sqlstates(prepare(client))
            for _ in range(5):
                assert rows(client.ask(m.run_prepared("s"))) == [(b"1", b"2")]
            other.query("ALTER TABLE proto_shape DROP COLUMN b")
    assert all(fields == said[0] for fields in said)


@pytest.mark.parametrize("way", ["simple", "extended", "block", "elsewhere"])
def test_no_server_answers_with_another_shape(direct: Side, proxied: Side, way: str) -> None:
    with proxied.login() as client, proxied.login() as other:
        prepare(client)
        assert on_every_server(proxied, client, m.run_prepared("s"))[-1]
        sql = "ALTER TABLE proto_shape ADD COLUMN b int DEFAULT 2"
        if way == "simple":
            other.query(sql)
        elif way == "extended":
            assert not sqlstates(other.ask(m.batch(sql)))
        elif way == "block":
            for part in ("BEGIN", sql, "COMMIT"):
                other.query(part)
        else:
            with direct.login() as unseen:
                unseen.query(sql)
        for replies in on_every_server(proxied, client, m.run_prepared("s")):
            assert sqlstates(replies) == STALE
        client.ask(m.close_statement("s"), m.sync())
        assert not sqlstates(prepare(client))
        for replies in on_every_server(proxied, client, m.run_prepared("s")):
            assert rows(replies) == [(b"1", b"2")]


def test_a_server_that_never_had_it_does_not_hide_the_change(proxied: Side) -> None:
    """The statement was only used at one server; another one would parse it anew, with the new columns."""
    with proxied.login() as client, proxied.login() as other:
        prepare(client)
        other.query("ALTER TABLE proto_shape ADD COLUMN b int DEFAULT 2")
        for replies in on_every_server(proxied, client, m.run_prepared("s")):
            assert sqlstates(replies) == STALE


def test_who_comes_after_the_change_meets_no_old_plan(proxied: Side) -> None:
    with proxied.login() as before, proxied.login() as other:
        prepare(before)
        on_every_server(proxied, before, m.run_prepared("s"))
        other.query("ALTER TABLE proto_shape ADD COLUMN b int DEFAULT 2")
        with proxied.login() as after:
            assert not sqlstates(prepare(after))
            for replies in on_every_server(proxied, after, m.run_prepared("s")):
                assert rows(replies) == [(b"1", b"2")]


@pytest.mark.parametrize("told", [True, False], ids=["described when prepared", "not described"])
def test_who_is_told_the_new_columns_meets_no_error(proxied: Side, churned: None, told: bool) -> None:
    """As libpq does it: each batch has a Describe of its own, so that nobody relies on the old columns."""
    run = m.bind((), "s") + m.describe_portal() + m.execute() + m.sync()
    with proxied.login() as client, proxied.login() as other:
        if told:
            prepare(client)
        else:
            client.ask(m.parse("SELECT * FROM proto_shape", "s"), m.sync())
        for replies in on_every_server(proxied, client, run):
            assert rows(replies) == [(b"1",)]
        for number, column in enumerate("bc", 2):
            other.query(f"ALTER TABLE proto_shape ADD COLUMN {column} int DEFAULT {number}")
            wanted = tuple(b"%d" % value for value in range(1, number + 1))
            for replies in on_every_server(proxied, client, run):
                assert rows(replies) == [wanted]
        client.query("BEGIN")
        client.query("ALTER TABLE proto_shape DROP COLUMN b")
        assert rows(client.ask(run)) == [(b"1", b"3")]
        client.query("ROLLBACK")
        assert rows(client.ask(run)) == [(b"1", b"2", b"3")]


def test_in_the_transaction_that_changes_it(direct: Side, proxied: Side, churned: None) -> None:
    for side in (direct, proxied):
        with side.login() as client:
            prepare(client)
            client.ask(m.run_prepared("s"))
            client.query("BEGIN")
            client.query("ALTER TABLE proto_shape ADD COLUMN b int DEFAULT 2")
            assert not sqlstates(prepare(client, "fresh"))
            assert rows(client.ask(m.run_prepared("fresh"))) == [(b"1", b"2")]
            assert sqlstates(client.ask(m.run_prepared("s"))) == STALE
            client.query("ROLLBACK")


def test_a_change_elsewhere_disturbs_nobody(proxied: Side) -> None:
    """Other statements are looked at once at a server that lacks them, and go on."""
    with proxied.login() as client, proxied.login() as other:
        prepare(client, "s", "SELECT id, name FROM proto_items WHERE id = $1")
        client.ask(m.run_prepared("s", ["1"]))
        for number in range(3):
            other.query(f"CREATE TABLE proto_elsewhere{number} (a int)")
            for replies in on_every_server(proxied, client, m.run_prepared("s", ["3"])):
                assert rows(replies) == [(b"3", b"item 3")]
            other.query(f"DROP TABLE proto_elsewhere{number}")


def test_of_a_table_that_is_gone(direct: Side, proxied: Side, churned: None) -> None:
    for side in (direct, proxied):
        with side.login() as client, side.login() as other:
            other.query("CREATE TABLE proto_gone (a int)")
            prepare(client, "s", "SELECT * FROM proto_gone")
            other.query("DROP TABLE proto_gone")
            for _ in range(3):
                assert sqlstates(client.ask(m.run_prepared("s"))) == ["42P01"]
            assert client.value("SELECT 1") == "1"


@pytest.mark.parametrize("way", ["through the proxy", "elsewhere"])
@pytest.mark.parametrize("portal", [b"", m.describe_portal()], ids=["alone", "with Describe"])
def test_parameters_keep_the_types_that_the_client_was_told(
    direct: Side, proxied: Side, way: str, portal: bytes
) -> None:
    """It encodes its values by them; a server that worked them out anew would take an int4 for four letters of text."""
    value = struct.pack("!i", 0x41424344)
    insert = m.bind([value], "s", formats=[1]) + portal + m.execute() + m.sync()
    for side in (direct, proxied):
        with side.login() as client, (side if way == "through the proxy" else direct).login() as other:
            other.query("ALTER TABLE proto_shape ALTER a TYPE int USING 1")
            assert not sqlstates(prepare(client, sql="INSERT INTO proto_shape VALUES ($1)"))
            assert not sqlstates(client.ask(insert))
            other.query("ALTER TABLE proto_shape ALTER a TYPE text")
            for replies in [client.ask(insert)] if side is direct else on_every_server(side, client, insert):
                assert not sqlstates(replies)
            found = {row[0] for row in client.query("SELECT a FROM proto_shape")}
            assert found == {b"1", str(0x41424344).encode()}


@pytest.mark.parametrize("seen", [True, False])
def test_parameters_of_the_unnamed_statement_keep_their_types(direct: Side, proxied: Side, seen: bool) -> None:
    """It was described at one server, and is bound at another; what others were told of the same text is theirs."""
    value = struct.pack("!i", 0x41424344)
    describe = m.parse("INSERT INTO proto_shape VALUES ($1)") + m.describe_statement() + m.sync()
    insert = m.bind([value], formats=[1]) + m.execute() + m.sync()
    holders = [proxied.login() for _ in range(proxied.servers)]
    with direct.login() as outside, proxied.login() as client, proxied.login() as late:
        try:
            for holder in holders:
                holder.query("BEGIN")
            holders[0].query("COMMIT")
            assert not sqlstates(client.ask(describe))
            (holders[0] if seen else outside).query("ALTER TABLE proto_shape ALTER a TYPE text")
            assert not sqlstates(late.ask(describe))
            holders[0].query("BEGIN")
            holders[1].query("COMMIT")
            for one in (client, late):
                assert not sqlstates(one.ask(insert))
            found = {row[0] for row in client.query("SELECT a FROM proto_shape")}
            assert found == {b"1", str(0x41424344).encode(), b"ABCD"}
        finally:
            for holder in holders:
                holder.quit()


def test_a_type_that_was_dropped_is_missed_as_directly(direct: Side, proxied: Side, churned: None) -> None:
    made = "CREATE TYPE proto_mood AS ENUM ('a'); CREATE TABLE proto_moods (mood proto_mood)"
    insert = m.run_prepared("s", ["a"])
    for side in (direct, proxied):
        with side.login() as client, side.login() as other:
            other.query(f"DROP TABLE IF EXISTS proto_moods; DROP TYPE IF EXISTS proto_mood; {made}")
            prepare(client, sql="INSERT INTO proto_moods VALUES ($1)")
            assert not sqlstates(client.ask(insert))
            other.query(f"DROP TABLE proto_moods; DROP TYPE proto_mood; {made}")
            for _ in range(3):
                assert [error["M"][:28] for error in errors(client.ask(insert))] == ["cache lookup failed for type"]
            client.ask(m.close_statement("s"), m.sync())
            assert not sqlstates(prepare(client, sql="INSERT INTO proto_moods VALUES ($1)"))
            for _ in range(3):
                assert not sqlstates(client.ask(insert))
            other.query("DROP TABLE proto_moods; DROP TYPE proto_mood")
