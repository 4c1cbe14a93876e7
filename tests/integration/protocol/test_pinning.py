"""State that can't be carried from server to server: it stays with its session, and ends with it.

Every play runs in transactions of its own under churn, so that losing the server would lose the state.
"""

from __future__ import annotations

import contextlib
import time

import pytest

from tests.support import messages as m
from tests.support.fixtures import proxied_side
from tests.support.postgres import Postgres
from tests.support.sides import Compare, Play, Side
from tests.support.tidegate import Proxy
from tests.support.transcript import Recorder
from tests.support.wire import RawClient, rows, sqlstates


def temporary_table(talk: Recorder) -> None:
    talk.ask(m.query("CREATE TEMP TABLE pin_temp (a int)"))
    for i in range(5):
        talk.ask(m.query(f"INSERT INTO pin_temp VALUES ({i})"))
    assert rows(talk.ask(m.query("SELECT count(*) FROM pin_temp"))) == [(b"5",)]


def temporary_table_by_other_words(talk: Recorder) -> None:
    for sql in (
        "CREATE LOCAL TEMPORARY TABLE pin_t1 AS SELECT 1 AS a",
        "SELECT 2 AS a INTO TEMP pin_t2",
        "CREATE TEMP VIEW pin_t3 AS SELECT 3 AS a",
        "CREATE TABLE pg_temp.pin_t4 AS SELECT 4 AS a",
        "CREATE TEMP SEQUENCE pin_t5",
    ):
        assert not sqlstates(talk.ask(m.query(sql)))
    for sql in (
        "SELECT a FROM pin_t1",
        "SELECT a FROM pin_t2",
        "SELECT a FROM pin_t3",
        "SELECT a FROM pin_t4",
        "SELECT nextval('pin_t5')",
    ):
        assert not sqlstates(talk.ask(m.query(sql)))


def temporary_table_in_a_transaction(talk: Recorder) -> None:
    for sql in (
        "BEGIN",
        "CREATE TEMP TABLE pin_drop (a int) ON COMMIT DROP",
        "INSERT INTO pin_drop VALUES (1)",
        "COMMIT",
    ):
        assert not sqlstates(talk.ask(m.query(sql)))
    assert sqlstates(talk.ask(m.query("SELECT * FROM pin_drop"))) == ["42P01"]


def cursor_with_hold(talk: Recorder) -> None:
    talk.ask(m.query("BEGIN"))
    talk.ask(m.query("DECLARE pin_cursor CURSOR WITH HOLD FOR SELECT generate_series(1, 6)"))
    talk.ask(m.query("COMMIT"))
    for _ in range(3):
        assert len(rows(talk.ask(m.query("FETCH 2 FROM pin_cursor")))) == 2
    talk.ask(m.query("CLOSE pin_cursor"))


def advisory_lock(talk: Recorder) -> None:
    talk.ask(m.query("SELECT pg_advisory_lock(77)"))
    talk.ask(m.query("SELECT pg_advisory_lock(77)"))
    for expected in (b"t", b"t"):
        assert rows(talk.ask(m.query("SELECT pg_advisory_unlock(77)"))) == [(expected,)]
    assert "N" in [reply.kind for reply in talk.ask(m.query("SELECT pg_advisory_unlock(77)"))]


def advisory_lock_after_an_error(talk: Recorder) -> None:
    """A session's lock outlives the transaction that took it, failed or not."""
    talk.ask(m.query("BEGIN"))
    talk.ask(m.query("SELECT pg_try_advisory_lock(78)"))
    talk.ask(m.query("SELECT 1/0"))
    talk.ask(m.query("ROLLBACK"))
    assert rows(talk.ask(m.query("SELECT pg_advisory_unlock(78)"))) == [(b"t",)]


def sql_prepare(talk: Recorder) -> None:
    talk.ask(m.query("PREPARE pin_plan (int) AS SELECT $1 + 1"))
    for i in range(5):
        assert rows(talk.ask(m.query(f"EXECUTE pin_plan({i})"))) == [(str(i + 1).encode(),)]
    talk.ask(m.query("DEALLOCATE pin_plan"))
    assert sqlstates(talk.ask(m.query("EXECUTE pin_plan(1)"))) == ["26000"]


def random_seed(talk: Recorder) -> None:
    talk.ask(m.query("SELECT setseed(0.5)"))
    for _ in range(3):
        talk.ask(m.query("SELECT random()"))


def listen_to_oneself(talk: Recorder) -> None:
    talk.ask(m.query("LISTEN pin_channel"))
    replies = talk.ask(m.query("NOTIFY pin_channel, 'hello'"))
    assert "A" in [reply.kind for reply in replies]
    talk.ask(m.query("UNLISTEN pin_channel"))
    assert "A" not in [reply.kind for reply in talk.ask(m.query("NOTIFY pin_channel, 'nobody'"))]


def listen_rolled_back(talk: Recorder) -> None:
    for sql in ("BEGIN", "LISTEN pin_channel", "ROLLBACK"):
        talk.ask(m.query(sql))
    assert "A" not in [reply.kind for reply in talk.ask(m.query("NOTIFY pin_channel"))]


def discard_temp(talk: Recorder) -> None:
    talk.ask(m.query("CREATE TEMP TABLE pin_discard (a int)"))
    talk.ask(m.query("DISCARD TEMP"))
    assert sqlstates(talk.ask(m.query("SELECT * FROM pin_discard"))) == ["42P01"]


def loaded_library(talk: Recorder) -> None:
    talk.ask(m.query("LOAD 'auto_explain'"))
    talk.ask(m.query("SET auto_explain.log_min_duration = '1h'"))
    assert rows(talk.ask(m.query("SHOW auto_explain.log_min_duration"))) == [(b"1h",)]


def temporary_table_by_a_computed_path(talk: Recorder) -> None:
    """No word of the text says pg_temp, and yet CREATE writes there."""
    talk.ask(m.batch("SELECT set_config('search_path', $1, false)", ["pg_temp, public"]))
    talk.ask(m.query("CREATE TABLE pin_computed (a int)"))
    for i in range(5):
        assert not sqlstates(talk.ask(m.query(f"INSERT INTO pin_computed VALUES ({i})")))
    assert rows(talk.ask(m.query("SELECT count(*) FROM pin_computed"))) == [(b"5",)]
    talk.ask(m.query("SHOW search_path"))


def temporary_table_by_a_path_of_one_transaction(talk: Recorder) -> None:
    for way in (
        m.query("SELECT set_config('search_path', 'pg_' || 'temp', true)"),
        m.batch("SELECT set_config('search_path', $1, true)", ["pg_temp"]),
    ):
        talk.ask(m.query("BEGIN"))
        talk.ask(way)
        talk.ask(m.query("CREATE TABLE pin_local AS SELECT 1 AS a"))
        talk.ask(m.query("COMMIT"))
        for _ in range(5):
            assert rows(talk.ask(m.query("SELECT a FROM pin_local"))) == [(b"1",)]
        talk.ask(m.query("DROP TABLE pin_local"))


PLAYS: list[Play] = [
    temporary_table,
    temporary_table_by_other_words,
    temporary_table_in_a_transaction,
    temporary_table_by_a_computed_path,
    temporary_table_by_a_path_of_one_transaction,
    cursor_with_hold,
    advisory_lock,
    advisory_lock_after_an_error,
    sql_prepare,
    random_seed,
    listen_to_oneself,
    listen_rolled_back,
    discard_temp,
    loaded_library,
]


@pytest.mark.parametrize("play", PLAYS, ids=lambda play: play.__name__)
def test_same_as_direct(same_as_direct: Compare, play: Play) -> None:
    same_as_direct(play)


def test_a_path_from_the_start(same_as_direct: Compare) -> None:
    def play(talk: Recorder) -> None:
        talk.ask(m.query("CREATE TABLE pin_start AS SELECT 1 AS a"))
        for _ in range(5):
            assert rows(talk.ask(m.query("SELECT a FROM pin_start"))) == [(b"1",)]
        talk.ask(m.query("RESET search_path"))
        talk.ask(m.query("SHOW search_path"))

    same_as_direct(play, search_path="pg_temp, public")


def test_a_computed_path_alone_keeps_no_server(proxied: Side) -> None:
    """Tenants are often told apart so, one transaction after another: more of them than there are servers."""
    with contextlib.ExitStack() as stack:
        for number in range(2 * proxied.servers):
            client = stack.enter_context(proxied.login())
            for local in ("false", "true"):
                client.ask(m.query("BEGIN"))
                client.ask(m.batch("SELECT set_config('search_path', $1, $2::bool)", [f"tenant{number}", local]))
                client.ask(m.query("COMMIT"))
            assert client.value("SHOW search_path") == f"tenant{number}"


@pytest.mark.parametrize("channel", ["pin_news", '"Odd Channel"'])
def test_notifications_arrive_between_transactions(direct: Side, proxied: Side, churned: None, channel: str) -> None:
    """An idle listener hears at once, without asking for anything."""
    for side in (direct, proxied):
        with side.login() as listener, side.login() as speaker:
            listener.query(f"LISTEN {channel}")
            for i in range(3):
                speaker.query(f"NOTIFY {channel}, 'number {i}'")
                heard = listener.read()
                assert heard.kind == "A" and heard.body.endswith(f"number {i}\0".encode())
            listener.query("SELECT 1")


def test_notification_waits_for_the_end_of_the_transaction(direct: Side, proxied: Side) -> None:
    for side in (direct, proxied):
        with side.login() as listener, side.login() as speaker:
            listener.query("LISTEN pin_news")
            listener.query("BEGIN")
            speaker.query("NOTIFY pin_news")
            assert listener.silent(0.2)
            assert "A" not in [reply.kind for reply in listener.ask(m.query("SELECT 1"))]
            replies = listener.ask(m.query("COMMIT"))
            if "A" not in [reply.kind for reply in replies]:
                assert listener.read().kind == "A"


LEFTOVERS = {
    "temporary table": ("CREATE TEMP TABLE pin_left (a int)", "SELECT to_regclass('pg_temp.pin_left')", None),
    "cursor": (
        "BEGIN; DECLARE pin_left CURSOR WITH HOLD FOR SELECT 1; COMMIT",
        "SELECT count(*) FROM pg_cursors WHERE name = 'pin_left'",
        "0",
    ),
    "advisory lock": ("SELECT pg_advisory_lock(99)", "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'", "0"),
    "prepared statement": (
        "PREPARE pin_left AS SELECT 1",
        "SELECT count(*) FROM pg_prepared_statements WHERE name = 'pin_left'",
        "0",
    ),
    "channel": ("LISTEN pin_left", "SELECT count(*) FROM pg_listening_channels()", "0"),
    "setting": ("DO $$BEGIN PERFORM set_config('work_mem','5MB',false); END$$", "SHOW work_mem", "4MB"),
    "open transaction": ("BEGIN; INSERT INTO proto_scratch VALUES (1)", "SELECT count(*) FROM proto_scratch", "0"),
    "computed path": (
        "SELECT set_config('search_path', 'pg_' || 'temp', true); CREATE TABLE pin_left (a int)",
        "SELECT to_regclass('pin_left')",
        None,
    ),
    "sequence": ("CREATE TEMP SEQUENCE pin_left; SELECT nextval('pin_left')", "SELECT to_regclass('pin_left')", None),
}


def eventually_on_every_server(side: Side, sql: str, expected: str | None) -> None:
    """All servers at once answer as an untouched one does; a moment is allowed for a leaving client to be noticed."""
    clients: list[RawClient] = [side.login() for _ in range(side.servers)]
    try:
        deadline = time.monotonic() + 3
        while True:
            for client in clients:
                client.ask(m.query("BEGIN"))
            values = [client.value(sql) for client in clients]
            for client in clients:
                client.ask(m.query("COMMIT"))
            if values == [expected] * side.servers:
                return
            assert time.monotonic() < deadline, f"left behind: {values}"
            time.sleep(0.05)
    finally:
        for client in clients:
            client.quit()


@pytest.mark.parametrize("end", ["quit", "reset"])
@pytest.mark.parametrize(("leave", "look", "expected"), LEFTOVERS.values(), ids=LEFTOVERS.keys())
def test_leftovers_are_gone_for_the_next(proxied: Side, leave: str, look: str, expected: str | None, end: str) -> None:
    client = proxied.login()
    client.query(leave)
    getattr(client, end)()
    eventually_on_every_server(proxied, look, expected)


def test_others_see_nothing_while_it_lives(proxied: Side, churned: None) -> None:
    with proxied.login() as owner, proxied.login() as other:
        owner.query("CREATE TEMP TABLE pin_mine AS SELECT 'mine' AS a")
        owner.query("PREPARE pin_mine AS SELECT a FROM pin_mine")
        for _ in range(20):
            assert owner.value("EXECUTE pin_mine") == "mine"
            assert sqlstates(other.ask(m.query("SELECT * FROM pin_mine"))) == ["42P01"]
            assert sqlstates(other.ask(m.query("EXECUTE pin_mine"))) == ["26000"]


def test_a_path_that_is_still_asked_for_may_lead_to_the_temporary_schema(postgres: Postgres, wire_role: str) -> None:
    """A CREATE that follows at once, before the proxy knows what the path has become."""
    with Proxy(postgres, target={"max_connections": 2}, proxy={"session_audit": 1.0}) as proxy:
        side = proxied_side(proxy, 2)
        for _ in range(200):
            with side.login() as client:
                client.ask(m.batch("SELECT set_config('search_path', $1, false)", ["pg_temp, public"]))
                client.query("CREATE TABLE pin_at_once (a int)")
        assert proxy.stats()["audit_findings"] == 0
