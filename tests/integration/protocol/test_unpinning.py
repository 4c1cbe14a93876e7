"""What may be left at a server is looked for, and a session is bound only as long as it is there.

Each play is compared with a direct connection's under churn. `is_free` shows that a session keeps no server: as many
others as there are servers can be within transactions at once.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support import messages as m
from tests.support.fixtures import USER, proxied_side
from tests.support.postgres import Postgres
from tests.support.sides import Compare, Side, all_servers_held
from tests.support.tidegate import Proxy, wait_until
from tests.support.transcript import Recorder
from tests.support.wire import rows, sqlstates

SERVERS = 2


@pytest.fixture(scope="module")
def small(postgres: Postgres, wire_role: str, schema: None) -> Iterator[Proxy]:
    """A proxy of few servers, whose numbers nobody else changes."""
    with Proxy(postgres, target={"max_connections": SERVERS}) as proxy:
        yield proxy


@pytest.fixture
def side(small: Proxy) -> Side:
    return proxied_side(small, SERVERS)


def is_free(side: Side, patience: float = 10.0) -> bool:
    """Whether nobody keeps a server, for longer than `patience` seconds."""
    try:
        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(side.login(timeout=patience)) for _ in range(side.servers)]
            for client in clients:
                client.query("BEGIN")
            for client in clients:
                client.query("COMMIT")
    except TimeoutError:
        return False
    return True


COMES_AND_GOES = {
    "table dropped": (["CREATE TEMP TABLE go (a int)"], ["DROP TABLE go"]),
    "table discarded": (["CREATE TEMP TABLE go (a int)"], ["DISCARD TEMP"]),
    "view": (["CREATE TEMP VIEW go AS SELECT 1 AS a"], ["DROP VIEW go"]),
    "function": (
        ["CREATE FUNCTION pg_temp.go() RETURNS int LANGUAGE sql AS 'SELECT 1'"],
        ["DROP FUNCTION pg_temp.go()"],
    ),
    "type": (["CREATE TYPE pg_temp.go AS ENUM ('a')"], ["DROP TYPE pg_temp.go"]),
    "cursor": (
        ["BEGIN", "DECLARE go CURSOR WITH HOLD FOR SELECT generate_series(1, 3)", "COMMIT", "FETCH 1 FROM go"],
        ["CLOSE go"],
    ),
    "lock": (["SELECT pg_advisory_lock(801)", "SELECT pg_advisory_lock(801)"], ["SELECT pg_advisory_unlock_all()"]),
    "shared lock": (["SELECT pg_try_advisory_lock_shared(802)"], ["SELECT pg_advisory_unlock_shared(802)"]),
    "all at once": (
        ["CREATE TEMP TABLE go (a int)", "SELECT pg_advisory_lock(803)"],
        ["DROP TABLE go", "SELECT pg_advisory_unlock(803)"],
    ),
    "everything discarded": (["CREATE TEMP TABLE go (a int)", "SELECT pg_advisory_lock(804)"], ["DISCARD ALL"]),
}


@pytest.mark.parametrize(("come", "go"), COMES_AND_GOES.values(), ids=COMES_AND_GOES)
def test_bound_only_as_long_as_it_is_there(small: Proxy, side: Side, come: list[str], go: list[str]) -> None:
    before = small.stats()
    with side.login() as client:
        for sql in come:
            assert not sqlstates(client.ask(m.query(sql)))
        assert not is_free(side, 1.0)
        for sql in go:
            assert not sqlstates(client.ask(m.query(sql)))
        assert is_free(side)
        assert client.value("SELECT 1") == "1"
    after = small.stats()
    pins = after["pins"] - before["pins"]
    assert pins == after["unpins"] - before["unpins"] > 0


NEVER_THERE = {
    "dropped at commit": ["BEGIN", "CREATE TEMP TABLE never (a int) ON COMMIT DROP", "COMMIT"],
    "rolled back": ["BEGIN", "CREATE TEMP TABLE never (a int)", "ROLLBACK"],
    "rolled back to a savepoint": [
        "BEGIN",
        "SAVEPOINT s",
        "CREATE TEMP TABLE never (a int)",
        "ROLLBACK TO s",
        "COMMIT",
    ],
    "failed": ["BEGIN", "CREATE TEMP TABLE never (a int)", "SELECT 1/0", "COMMIT"],
    "dropped within": ["BEGIN", "CREATE TEMP TABLE never (a int)", "DROP TABLE never", "COMMIT"],
    "closed within": ["BEGIN", "DECLARE never CURSOR WITH HOLD FOR SELECT 1", "CLOSE never", "COMMIT"],
    "cursor rolled back": ["BEGIN", "DECLARE never CURSOR WITH HOLD FOR SELECT 1", "ROLLBACK"],
    "unlocked within": ["SELECT pg_advisory_lock(805), pg_advisory_unlock(805)"],
    "lock not got": ["SELECT pg_try_advisory_lock(806) WHERE false"],
    "only a word": ["SELECT 'CREATE TEMP TABLE', \"temp\" FROM (VALUES (1)) AS v(temp)"],
    "block without effect": ["DO $$BEGIN PERFORM 1; END$$"],
    "block that sets a setting": ["DO $$BEGIN PERFORM set_config('work_mem', '7MB', false); END$$"],
    "procedure": ["CALL proto_procedure()"],
    "prepared and deallocated": ["PREPARE never AS SELECT 1", "DEALLOCATE never"],
}


@pytest.fixture(scope="module", autouse=True)
def procedure(direct: Side, schema: None) -> None:
    with direct.login() as client:
        client.query(
            "CREATE PROCEDURE proto_procedure() LANGUAGE plpgsql AS "
            "$$BEGIN PERFORM set_config('lock_timeout', '7s', false); END$$"
        )


@pytest.mark.parametrize("statements", NEVER_THERE.values(), ids=NEVER_THERE)
def test_not_bound_by_words(small: Proxy, side: Side, statements: list[str]) -> None:
    """The text made it likely, the server knows of nothing."""
    with side.login() as client:
        for sql in statements:
            client.ask(m.query(sql))
        assert is_free(side)
        wait_until(lambda: small.stats()["clients_pinned"] == 0, "nobody is bound")


def test_a_function_that_frees_is_noticed_within_seconds(direct: Side, side: Side) -> None:
    """No word of the text says that it drops a table."""
    with direct.login() as client:
        client.query("CREATE FUNCTION proto_drop() RETURNS void LANGUAGE sql AS 'DROP TABLE go'")
    with side.login() as client:
        client.query("CREATE TEMP TABLE go (a int)")
        assert not is_free(side, 1.0)
        client.query("SELECT proto_drop()")

        def freed() -> bool:
            client.query("SELECT 1")
            return is_free(side, 1.0)

        wait_until(freed, "it is noticed")


def settings_from_blocks(talk: Recorder) -> None:
    """What a block or procedure has set is the session's from then on, wherever it runs."""
    for sql in (
        "DO $$BEGIN PERFORM set_config('work_mem', '7MB', false); END$$",
        "DO $$BEGIN EXECUTE 'SET ' || 'statement_timeout' || ' = ''77s'''; END$$",
        "CALL proto_procedure()",
        "DO $$BEGIN EXECUTE 'SET ROLE pg_monitor'; END$$",
    ):
        talk.ask(m.query(sql))
        for _ in range(3):
            talk.ask(m.query("SELECT current_setting('work_mem'), current_setting('statement_timeout')"))
            talk.ask(m.batch("SELECT current_setting('lock_timeout'), current_user, session_user = current_user"))
    talk.ask(m.query("DO $$BEGIN EXECUTE 'RESET ' || 'work_mem'; END$$"))
    talk.ask(m.query("SELECT current_setting('work_mem'), current_user"))
    talk.ask(m.query("BEGIN"))
    talk.ask(m.query("DO $$BEGIN PERFORM set_config('work_mem', '9MB', false); END$$"))
    talk.ask(m.query("ROLLBACK"))
    talk.ask(m.query("SELECT current_setting('work_mem'), current_user"))
    talk.ask(m.query("RESET ALL"))
    talk.ask(m.query("SELECT current_setting('work_mem'), current_setting('lock_timeout'), current_user"))


def test_blocks(same_as_direct: Compare) -> None:
    same_as_direct(settings_from_blocks)
    same_as_direct(settings_from_blocks, work_mem="6MB", options="-c lock_timeout=60s")


NAMED = "DO $$BEGIN PERFORM set_config('app.Named', 'mine', false); EXECUTE 'SET app.other = 5'; END$$"


def test_custom_settings_that_a_block_names_follow_their_session(side: Side) -> None:
    ask = "SELECT current_setting('app.named', true) || current_setting('app.other', true)"
    with side.login() as owner, contextlib.ExitStack() as stack:
        owner.query(NAMED)
        strangers = [stack.enter_context(side.login()) for _ in range(side.servers)]
        for number in range(side.servers):
            for stranger in strangers[:number]:
                stranger.query("BEGIN")
                assert not stranger.value(ask)
            assert owner.value(ask) == "mine5"
            for stranger in strangers[:number]:
                stranger.query("COMMIT")


SECRET = "DO $$BEGIN PERFORM set_config('app.' || 'secret', 'mine', false); END$$"


def test_a_setting_that_nobody_can_name_reaches_no_stranger(side: Side) -> None:
    """Its owner may lose it; the server is reset before anyone else has it."""
    with side.login() as owner, contextlib.ExitStack() as stack:
        for _ in range(3):
            owner.query(SECRET)
        strangers = [stack.enter_context(side.login()) for _ in range(side.servers)]
        for stranger in strangers:
            stranger.query("BEGIN")
        for stranger in strangers:
            assert not stranger.value("SELECT current_setting('app.secret', true)")
            stranger.query("COMMIT")


def test_a_function_called_by_its_oid(side: Side) -> None:
    """No text says what it does."""
    with side.login() as owner, contextlib.ExitStack() as stack:
        untouched = owner.value("SHOW work_mem")
        set_config = int(owner.value("SELECT 'pg_catalog.set_config'::regproc::oid") or 0)
        replies = owner.ask(m.function_call(set_config, [b"work_mem", b"7MB", b"f"], binary=False))
        assert not sqlstates(replies)
        strangers = [stack.enter_context(side.login()) for _ in range(side.servers)]
        for stranger in strangers:
            stranger.query("BEGIN")
        for stranger in strangers:
            assert stranger.value("SHOW work_mem") == untouched
            stranger.query("COMMIT")
        assert owner.value("SHOW work_mem") == "7MB"


def test_large_objects_cost_no_question(small: Proxy, side: Side) -> None:
    with side.login() as client:
        client.query("BEGIN")
        oid = client.value("SELECT lo_create(0)")
        before = numbers(small)
        replies = client.ask(m.function_call(952, [str(oid).encode(), b"131072"], binary=False))
        assert not sqlstates(replies)
        client.query("ROLLBACK")
        assert numbers(small) == before


def test_its_owner_keeps_it_while_nobody_else_comes(postgres: Postgres, side: Side) -> None:
    with Proxy(postgres, target={"max_connections": 1}) as proxy, proxied_side(proxy, 1).login() as owner:
        owner.query(SECRET)
        for _ in range(3):
            assert owner.value("SELECT current_setting('app.secret', true)") == "mine"
        owner.query("DISCARD ALL")
        assert not owner.value("SELECT current_setting('app.secret', true)")


def test_whoever_takes_a_server_with_a_strangers_settings_has_its_own(side: Side) -> None:
    """The reset takes away what init_query, start-up parameters and SET have made; all of it comes back."""
    with side.login(options="-c work_mem=6MB") as client, side.login() as other:
        client.query("SET lock_timeout = '66s'")
        for _ in range(4):
            other.query(SECRET)
            assert client.query("SELECT current_setting('work_mem'), current_setting('lock_timeout')") == [
                (b"6MB", b"66s")
            ]


def test_a_client_that_leaves_while_it_is_looked(side: Side) -> None:
    """What it made is gone before anybody gets the server."""
    for _ in range(20):
        client = side.login()
        client.send(m.query("BEGIN") + m.query("CREATE TEMP TABLE go (a int)") + m.query("COMMIT"))
        client.sock.close()
    with all_servers_held(side) as holders:
        for holder in holders:
            assert holder.value("SELECT to_regclass('pg_temp.go')") is None


def numbers(proxy: Proxy) -> dict[str, Any]:
    stats = proxy.stats()
    return {name: stats[name] for name in ("pins", "unpins", "looks", "probes")}


def test_nothing_is_asked_of_those_who_change_nothing(small: Proxy, side: Side) -> None:
    with side.login() as client:
        client.query("SELECT 1")
        before = numbers(small)
        for sql in ("SELECT 1", "BEGIN", "INSERT INTO proto_scratch VALUES (1)", "COMMIT", "CLOSE ALL"):
            client.query(sql)
        assert numbers(small) == before


def test_the_user_is_still_the_user(side: Side) -> None:
    """A look at everything finds role and session_authorization as they are, and takes neither for a setting."""
    with side.login() as client:
        client.query("DO $$BEGIN PERFORM 1; END$$")
        assert client.value("SELECT current_user") == USER
        assert rows(client.ask(m.query("SHOW role"))) == [(b"none",)]
