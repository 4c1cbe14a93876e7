"""DEALLOCATE and DISCARD ALL by the extended protocol, as drivers and ORMs send them at every checkout.

They empty their own client's name space and nobody else's, and cost no server and none of the servers' statements.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support import messages as m
from tests.support.fixtures import proxied_side
from tests.support.postgres import Postgres
from tests.support.sides import Compare, Play, Side
from tests.support.tidegate import Proxy
from tests.support.transcript import Recorder
from tests.support.wire import rows, sqlstates

FORGETTERS = ("DEALLOCATE ALL", "DISCARD ALL")


def parsed(name: str, sql: str = "SELECT 1") -> bytes:
    return m.parse(sql, name) + m.sync()


def each_way(talk: Recorder) -> None:
    """Unnamed, named, by a portal with a name, and described before."""
    for i, sql in enumerate((*FORGETTERS, "DEALLOCATE a", 'DEALLOCATE PREPARE "a"')):
        talk.ask(parsed("a"))
        talk.ask(m.batch(sql))
        assert sqlstates(talk.ask(m.run_prepared("a"))) == ["26000"]
        talk.ask(parsed("a"))
        talk.ask(m.parse(sql, f"forget{i}"), m.describe_statement(f"forget{i}"), m.sync())
        talk.ask(m.bind([], f"forget{i}", "portal"), m.execute("portal"), m.sync())
        assert sqlstates(talk.ask(m.run_prepared("a"))) == ["26000"]


def of_a_name_that_is_not_there(talk: Recorder) -> None:
    talk.ask(m.parse("DEALLOCATE later", "forget"), m.sync())
    assert sqlstates(talk.ask(m.run_prepared("forget"))) == ["26000"]
    talk.ask(parsed("later"))
    assert sqlstates(talk.ask(m.run_prepared("forget"))) == []
    assert sqlstates(talk.ask(m.run_prepared("forget"))) == ["26000"]


def in_a_block(talk: Recorder) -> None:
    talk.ask(parsed("a"), count=1)
    talk.ask(parsed("b"))
    talk.ask(m.query("BEGIN"))
    talk.ask(m.batch("DEALLOCATE a"))
    assert sqlstates(talk.ask(m.batch("DISCARD ALL"))) == ["25001"]
    assert sqlstates(talk.ask(m.batch("DEALLOCATE ALL"))) == ["25P02"]
    talk.ask(m.query("ROLLBACK"))
    assert sqlstates(talk.ask(m.run_prepared("a"))) == ["26000"]
    assert rows(talk.ask(m.run_prepared("b"))) == [(b"1",)]
    talk.ask(m.query("BEGIN"))
    talk.ask(m.batch("DEALLOCATE ALL"))
    talk.ask(m.query("ROLLBACK"))
    assert sqlstates(talk.ask(m.run_prepared("b"))) == ["26000"]


def behind_an_error(talk: Recorder) -> None:
    """What the server skips has not happened."""
    for sql in (*FORGETTERS, "DEALLOCATE a"):
        talk.ask(parsed("a"))
        skipped = [m.parse("SELECT 1/0"), m.bind(), m.execute(), m.parse(sql), m.bind(), m.execute(), m.sync()]
        assert sqlstates(talk.ask(*skipped)) == ["22012"]
        assert rows(talk.ask(m.run_prepared("a"))) == [(b"1",)]
        talk.ask(m.close_statement("a"), m.sync())


def before_an_error(talk: Recorder) -> None:
    """It is no part of the transaction that falls."""
    for sql in ("DEALLOCATE ALL", "DEALLOCATE a"):
        talk.ask(parsed("a"))
        talk.ask(m.parse(sql), m.bind(), m.execute(), m.parse("SELECT 1/0"), m.bind(), m.execute(), m.sync())
        assert sqlstates(talk.ask(m.run_prepared("a"))) == ["26000"]


def in_a_query_that_fails(talk: Recorder) -> None:
    """What ran before the error is not undone, what stands behind it has not happened."""
    talk.ask(m.query("CREATE TEMP TABLE stay ()"))
    for sql in ("DEALLOCATE ALL", "DEALLOCATE a"):
        talk.ask(parsed("a"))
        talk.ask(m.query(f"SELECT 1/0; {sql}"))
        assert rows(talk.ask(m.run_prepared("a"))) == [(b"1",)]
        talk.ask(m.query(f"{sql}; SELECT 1/0"))
        assert sqlstates(talk.ask(m.run_prepared("a"))) == ["26000"]
        assert not sqlstates(talk.ask(parsed("a")))
        assert rows(talk.ask(m.run_prepared("a"))) == [(b"1",)]
        talk.ask(m.close_statement("a"), m.sync())
    talk.ask(m.query("DROP TABLE stay"))


def between_others_in_one_batch(talk: Recorder) -> None:
    talk.ask(parsed("a"))
    run = [m.bind([], "a"), m.execute()]
    forget = [m.parse("DEALLOCATE ALL"), m.bind(), m.execute()]
    replies = talk.ask(*run, *forget, m.parse("SELECT 2", "a"), *run, m.sync())
    assert rows(replies) == [(b"1",), (b"2",)]
    assert sqlstates(talk.ask(*forget, *run, m.sync())) == ["26000"]


def names_are_free_in_the_next_batch(talk: Recorder) -> None:
    talk.ask(parsed("a"))
    replies = talk.ask(m.batch("DEALLOCATE ALL"), m.batch("SELECT 2", name="a"), m.run_prepared("a"), count=3)
    assert rows(replies) == [(b"2",), (b"2",)]
    fails = [m.parse("SELECT 1/0"), m.bind(), m.execute(), m.parse("DEALLOCATE ALL"), m.bind(), m.execute(), m.sync()]
    assert sqlstates(talk.ask(*fails, m.batch("SELECT 3", name="a"), count=2)) == ["22012", "42P05"]


def settings_go_with_discard_all(talk: Recorder) -> None:
    talk.ask(parsed("a"))
    talk.ask(m.query("SET work_mem = '5MB'"))
    talk.ask(m.query("SET TimeZone = 'Asia/Tokyo'"))
    talk.ask(m.batch("DISCARD ALL"))
    for _ in range(3):
        talk.ask(m.query("SHOW work_mem"))
        talk.ask(m.query("SHOW TimeZone"))
    assert sqlstates(talk.ask(m.run_prepared("a"))) == ["26000"]


def what_was_just_left_goes_with_discard_all(talk: Recorder) -> None:
    """It may come before the proxy knows what there is."""
    setting = "SELECT set_config('work_mem', '6MB', false)"
    for leave in ("SELECT pg_advisory_lock(4712)", "CREATE TEMP TABLE just_left (a int)", setting):
        for _ in range(10):
            talk.ask(m.query(leave))
            assert not sqlstates(talk.ask(m.batch("DISCARD ALL")))
            count = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()"
            assert rows(talk.ask(m.query(count))) == [(b"0",)]
            assert rows(talk.ask(m.query("SELECT to_regclass('pg_temp.just_left')"))) == [(None,)]
            assert rows(talk.ask(m.query("SHOW work_mem"))) == [(b"4MB",)]


def beside_sql_prepare(talk: Recorder) -> None:
    """A session that has statements of the server's own keeps one server, and has all of them dropped."""
    for sql in (*FORGETTERS, "DEALLOCATE own"):
        talk.ask(m.query("PREPARE own AS SELECT 5"))
        talk.ask(parsed("a"))
        talk.ask(m.batch(sql))
        assert sqlstates(talk.ask(m.query("EXECUTE own"))) == ["26000"]
        talk.ask(m.run_prepared("a"))
        talk.ask(m.query("DEALLOCATE ALL"))
        talk.ask(parsed("a", "SELECT 7"))
        assert rows(talk.ask(m.run_prepared("a"))) == [(b"7",)]
        talk.ask(m.query("DEALLOCATE ALL"))


PLAYS: list[Play] = [
    each_way,
    of_a_name_that_is_not_there,
    in_a_block,
    behind_an_error,
    before_an_error,
    in_a_query_that_fails,
    between_others_in_one_batch,
    names_are_free_in_the_next_batch,
    settings_go_with_discard_all,
    what_was_just_left_goes_with_discard_all,
    beside_sql_prepare,
]


@pytest.mark.parametrize("play", PLAYS, ids=lambda play: play.__name__)
def test_same_as_direct(same_as_direct: Compare, play: Play) -> None:
    same_as_direct(play)


@pytest.fixture(scope="module")
def one_server(postgres: Postgres, wire_role: str) -> Iterator[Side]:
    """A proxy with a single server, whose end would show."""
    with Proxy(postgres, target={"max_connections": 1}) as proxy:
        yield proxied_side(proxy, 1)


@pytest.mark.parametrize("sql", [*FORGETTERS, "DEALLOCATE mine"])
@pytest.mark.parametrize("changed", [False, True], ids=["nothing set", "something set"])
def test_no_server_is_closed(one_server: Side, sql: str, changed: bool) -> None:
    with one_server.login() as client, one_server.login() as other:
        pid = client.value("SELECT pg_backend_pid()")
        other.ask(m.parse("SELECT 'other'", "shared"), m.sync())
        for _ in range(3):
            if changed:
                client.query("SET work_mem = '5MB'")
            client.ask(parsed("mine"))
            assert not sqlstates(client.ask(m.batch(sql)))
            assert rows(other.ask(m.run_prepared("shared"))) == [(b"other",)]
        assert client.value("SELECT pg_backend_pid()") == pid


def test_servers_keep_their_statements(one_server: Side) -> None:
    """The server's copies are everybody's: a client that forgets its names does not make others parse again."""
    with one_server.login() as client, one_server.login() as other:
        other.ask(m.parse("SELECT 'kept'", "shared"), m.sync())
        for sql in (*FORGETTERS, "DEALLOCATE mine"):
            client.ask(parsed("mine"))
            client.ask(m.batch(sql))
        known = other.value("SELECT count(*) FROM pg_prepared_statements WHERE statement = 'SELECT ''kept'''")
        assert known == "1"
