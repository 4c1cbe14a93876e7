"""Settings that a statement changes without saying so: in functions, triggers, views and all that calls them.

A database of its own, since what hides in one is known by name. Each play runs under churn; strangers look meanwhile,
and afterwards at every server.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator

import pytest

from tests.support import messages as m
from tests.support.churn import Churn
from tests.support.fixtures import superuser
from tests.support.postgres import Postgres
from tests.support.sides import Side, all_servers_held, record
from tests.support.tidegate import Proxy
from tests.support.transcript import Recorder
from tests.support.wire import RawClient, rows, sqlstates

USER = "hidden"
SERVERS = 4
REFRESH = 1.0

ENTER = """CREATE OR REPLACE FUNCTION {name}(tenant text) RETURNS text LANGUAGE plpgsql {how} AS $$
BEGIN PERFORM set_config('app.tenant', tenant, false); RETURN tenant; END $$"""

SCHEMA = (
    ENTER.format(name="enter", how="")
    + ";"
    + ENTER.format(name="enter_as_owner", how="SECURITY DEFINER SET search_path = pg_catalog")
    + """;
CREATE FUNCTION enter_by_set() RETURNS int LANGUAGE plpgsql AS $$
BEGIN IF true THEN SET app.tenant = 'acme'; SET work_mem = '7MB'; END IF; RETURN 1; END $$;
CREATE FUNCTION enter_nested() RETURNS text LANGUAGE sql AS $$ SELECT enter('acme') $$;
CREATE FUNCTION enter_twice_nested() RETURNS text LANGUAGE plpgsql AS $$ BEGIN RETURN enter_nested(); END $$;
CREATE FUNCTION enter_locally(tenant text) RETURNS text LANGUAGE sql AS $$
SELECT set_config('app.tenant', tenant, true) $$;
CREATE FUNCTION become(who text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN SET ROLE hidden_role; END $$;
CREATE FUNCTION take_lock() RETURNS void LANGUAGE sql AS $$ SELECT pg_advisory_lock(815) $$;
CREATE FUNCTION enter_anything(name text, value text) RETURNS text LANGUAGE sql AS $$
SELECT set_config(name, value, false) $$;
CREATE FUNCTION enter_row() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN PERFORM enter(new.tenant); RETURN new; END $$;
CREATE TABLE triggered (tenant text);
CREATE TRIGGER enter BEFORE INSERT ON triggered FOR EACH ROW EXECUTE FUNCTION enter_row();
CREATE VIEW entering AS SELECT enter('acme') AS tenant;
CREATE VIEW entering_itself AS SELECT set_config('app.tenant', 'acme', false) AS tenant;
CREATE TABLE ruled (tenant text);
CREATE RULE enter AS ON INSERT TO ruled DO ALSO SELECT enter(new.tenant);
CREATE TABLE defaulted (a int, tenant text DEFAULT enter('acme'));
CREATE TABLE checked (tenant text CHECK (enter(tenant) <> ''));
CREATE FUNCTION enters(text, text) RETURNS text LANGUAGE sql AS $$ SELECT enter($1 || $2) $$;
CREATE OPERATOR @>@ (FUNCTION = enters, LEFTARG = text, RIGHTARG = text);
CREATE TYPE own_type AS (tenant text);
CREATE FUNCTION to_own_type(text) RETURNS own_type LANGUAGE sql AS $$ SELECT ROW(enter($1))::own_type $$;
CREATE CAST (text AS own_type) WITH FUNCTION to_own_type(text);
CREATE TABLE owned (tenant text, what text);
INSERT INTO owned VALUES ('acme', 'a'), ('other', 'b');
ALTER TABLE owned ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON owned USING (tenant = current_setting('app.tenant', true));
GRANT SELECT ON owned TO hidden_role;
"""
)

TENANT = "SELECT current_setting('app.tenant', true)"

CARRIED = {
    "function": ["SELECT enter('acme')"],
    "security definer": ["SELECT enter_as_owner('acme')"],
    "set in a function": ["SELECT enter_by_set()"],
    "nested": ["SELECT enter_nested()"],
    "nested twice": ["SELECT public.ENTER_TWICE_nested()"],
    "trigger": ["INSERT INTO triggered VALUES ('acme')"],
    "trigger by COPY": ["COPY triggered FROM PROGRAM 'echo acme'"],
    "view": ["SELECT * FROM entering"],
    "view itself": ["SELECT * FROM entering_itself"],
    "rule": ["INSERT INTO ruled VALUES ('acme')"],
    "default": ["INSERT INTO defaulted VALUES (1)"],
    "check": ["INSERT INTO checked VALUES ('acme')"],
    "operator": ["SELECT 'ac' @>@ 'me'"],
    "cast": ["SELECT 'acme'::text::own_type"],
    "in a transaction": ["BEGIN", "SELECT enter('other')", "SELECT enter('acme')", "COMMIT"],
    "in a savepoint": ["SELECT enter('acme')", "BEGIN", "SAVEPOINT s", "SELECT enter('no')", "ROLLBACK TO s", "COMMIT"],
    "rolled back": ["SELECT enter('acme')", "BEGIN", "SELECT enter('no')", "ROLLBACK"],
    "failed": ["SELECT enter('acme')", "SELECT enter('no'), 1/(length('a') - 1)"],
    "several statements": ["SELECT 1; SELECT enter('acme'); SELECT 2"],
    "cursor": ["BEGIN", "DECLARE c CURSOR FOR SELECT enter('acme')", "FETCH c", "COMMIT"],
}
"""Statements after which app.tenant is 'acme'."""


@pytest.fixture(scope="module")
def database(postgres: Postgres) -> str:
    superuser(postgres, USER)
    postgres.sql("CREATE ROLE hidden_role")
    with RawClient(postgres.host, postgres.port) as client:
        client.login(USER, USER, USER)
        client.query(SCHEMA)
    return USER


@pytest.fixture(scope="module")
def own(postgres: Postgres, database: str) -> Side:
    """Straight at the database."""
    return Side("direct", postgres.host, postgres.port, USER, USER, USER, SERVERS)


@pytest.fixture(scope="module")
def pooled(postgres: Postgres, database: str) -> Iterator[Proxy]:
    with Proxy(postgres, target={"max_connections": SERVERS, "catalogue_refresh": REFRESH}) as proxy:
        yield proxy


@pytest.fixture
def side(pooled: Proxy) -> Iterator[Side]:
    """Through the proxy, under churn, with a stranger that looks for what is not its own."""
    side = Side("proxied", pooled.host, pooled.port, USER, USER, USER, SERVERS)
    with stranger(side), Churn(side.url(), rotators=2, pause=0.004, poison=("SET app.tenant = 'poison'",)):
        yield side


@contextlib.contextmanager
def stranger(side: Side) -> Iterator[None]:
    """A client that never sets anything and always asks."""
    stop = threading.Event()
    seen: set[str | None] = set()

    def look() -> None:
        with side.login() as client:
            while not stop.is_set():
                seen.add(client.value(TENANT))
                seen.add(client.value("SELECT nullif(current_setting('work_mem'), '4MB')"))
                stop.wait(0.002)

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(30)
    assert seen <= {None, ""}, f"a stranger saw {seen}"


def nobody_else_sees(side: Side) -> None:
    """Strangers at every server that is to be had."""
    with all_servers_held(Side(side.name, side.host, side.port, USER, USER, USER, 2)) as clients:
        for client in clients:
            assert client.value(TENANT) in (None, "")


def keeps(talk: Recorder, wanted: bytes = b"acme") -> None:
    for _ in range(5):
        assert rows(talk.ask(m.query(TENANT))) == [(wanted,)]


@pytest.mark.parametrize("name", CARRIED)
def test_simple(own: Side, side: Side, name: str) -> None:
    def play(talk: Recorder) -> None:
        for sql in CARRIED[name]:
            talk.ask(m.query(sql))
        keeps(talk)

    assert record(side, play) == record(own, play)
    nobody_else_sees(side)


@pytest.mark.parametrize("name", [name for name, texts in CARRIED.items() if not any(";" in text for text in texts)])
def test_extended(own: Side, side: Side, name: str) -> None:
    def play(talk: Recorder) -> None:
        for sql in CARRIED[name]:
            talk.ask(m.batch(sql))
        keeps(talk)

    assert record(side, play) == record(own, play)
    nobody_else_sees(side)


def test_what_can_be_carried_does_not_pin(pooled: Proxy) -> None:
    side = Side("proxied", pooled.host, pooled.port, USER, USER, USER, SERVERS)
    before = pooled.stats()["pins"]
    for texts in CARRIED.values():
        with side.login() as client:
            for sql in texts:
                client.ask(m.query(sql))
            assert client.value(TENANT) == "acme"
    assert pooled.stats()["pins"] == before


def test_rest_of_what_a_function_changes(own: Side, side: Side) -> None:
    def play(talk: Recorder) -> None:
        talk.ask(m.query("SELECT enter_by_set()"))
        for _ in range(4):
            assert rows(talk.ask(m.query("SHOW work_mem"))) == [(b"7MB",)]
        talk.ask(m.query("RESET work_mem"))
        talk.ask(m.query("SHOW work_mem"))
        talk.ask(m.query("SELECT become('x')"))
        for _ in range(4):
            assert rows(talk.ask(m.query("SELECT current_user"))) == [(b"hidden_role",)]

    assert record(side, play) == record(own, play)


def test_local_change_ends_with_its_transaction(own: Side, side: Side) -> None:
    def play(talk: Recorder) -> None:
        talk.ask(m.query("SELECT enter('acme')"))
        talk.ask(m.query("BEGIN"))
        talk.ask(m.query("SELECT enter_locally('other')"))
        assert rows(talk.ask(m.query(TENANT))) == [(b"other",)]
        talk.ask(m.query("COMMIT"))
        keeps(talk)

    assert record(side, play) == record(own, play)


@pytest.mark.parametrize("text", ["SELECT take_lock()", "SELECT enter_anything('app.tenant', 'acme')"])
def test_what_can_not_be_carried_stays_with_its_client(own: Side, side: Side, text: str) -> None:
    def play(talk: Recorder) -> None:
        talk.ask(m.query(text))
        for _ in range(5):
            talk.ask(m.query("SELECT nullif(current_setting('app.tenant', true), '')"))  # NULL or '' after a RESET
            talk.ask(m.query("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()"))

    assert record(side, play) == record(own, play)
    nobody_else_sees(side)


def test_row_level_security(side: Side) -> None:
    with side.login() as acme, side.login() as other, side.login() as nobody:
        for client, tenant in ((acme, "acme"), (other, "other")):
            client.query(f"SELECT enter('{tenant}')")
        for client in (acme, other, nobody):
            client.query("SET ROLE hidden_role")
        for _ in range(10):
            assert acme.query("SELECT what FROM owned") == [(b"a",)]
            assert other.query("SELECT what FROM owned") == [(b"b",)]
            assert nobody.query("SELECT what FROM owned") == []


def test_statement_parsed_before_its_function_changed(own: Side, side: Side) -> None:
    own_name = "CREATE OR REPLACE FUNCTION changing() RETURNS text LANGUAGE plpgsql AS $$ BEGIN {} RETURN 'x'; END $$"
    with own.login() as client:
        client.query(own_name.format(""))
    with side.login() as early, side.login() as maker:
        early.ask(m.parse("SELECT changing()", "early"), m.sync())
        early.ask(m.run_prepared("early"))
        maker.query(own_name.format("SET app.tenant = 'acme';"))
        early.ask(m.run_prepared("early"))
        for _ in range(5):
            assert early.value(TENANT) == "acme"
        nobody_else_sees(side)
    with own.login() as client:
        client.query(own_name.format(""))


@pytest.mark.parametrize("in_block", [True, False])
def test_function_of_the_same_transaction(own: Side, side: Side, in_block: bool) -> None:
    made = ENTER.format(name="brief", how="")

    def play(talk: Recorder) -> None:
        texts = [made, "SELECT brief('acme')", "DROP FUNCTION brief(text)"]
        if in_block:
            for sql in ("BEGIN", *texts, "COMMIT"):
                assert not sqlstates(talk.ask(m.query(sql)))
        else:
            assert not sqlstates(talk.ask(m.query(";".join(texts))))
        keeps(talk)

    assert record(side, play) == record(own, play)
    nobody_else_sees(side)


def test_function_that_another_client_makes(side: Side) -> None:
    for number in range(5):
        with side.login() as maker, side.login() as user:
            user.query("SELECT 1")
            maker.query(ENTER.format(name=f"new{number}", how=""))
            user.query(f"SELECT new{number}('acme')")
            for _ in range(5):
                assert user.value(TENANT) == "acme"
            nobody_else_sees(side)
            maker.query(f"DROP FUNCTION new{number}(text)")


def test_trigger_that_another_client_makes(side: Side) -> None:
    """At once: the maker's ReadyForQuery is what the user acts on."""
    for _ in range(10):
        with side.login() as maker, side.login() as user:
            maker.query("CREATE TABLE plain (tenant text)")
            user.query("INSERT INTO plain VALUES ('no')")
            maker.query("CREATE TRIGGER t BEFORE INSERT ON plain FOR EACH ROW EXECUTE FUNCTION enter_row()")
            user.query("INSERT INTO plain VALUES ('acme')")
            for _ in range(5):
                assert user.value(TENANT) == "acme"
            nobody_else_sees(side)
            maker.query("DROP TABLE plain")


def test_changes_without_end_keep_nobody(side: Side, pooled: Proxy) -> None:
    """Functions are made one after the other; others go on, and are not pinned for it."""
    stop = threading.Event()
    waits: list[float] = []

    def work() -> None:
        with side.login() as client:
            while not stop.is_set():
                began = time.monotonic()
                client.query("BEGIN")
                client.query("SELECT 1")
                client.query("COMMIT")
                waits.append(time.monotonic() - began)

    pins = pooled.stats()["pins"]
    threads = [threading.Thread(target=work, daemon=True) for _ in range(2 * SERVERS)]
    for thread in threads:
        thread.start()
    with side.login() as maker:
        for number in range(100):
            maker.query(ENTER.format(name=f"storm{number}", how=""))
        stop.set()
        for thread in threads:
            thread.join(30)
        maker.query(";".join(f"DROP FUNCTION storm{number}(text)" for number in range(100)))
    assert len(waits) > 20
    assert max(waits) < 5
    assert pooled.stats()["pins"] == pins


def test_function_made_past_the_proxy_is_known_in_time(own: Side, side: Side) -> None:
    with own.login() as maker, side.login() as user:
        maker.query(ENTER.format(name="past", how=""))
        time.sleep(2 * REFRESH + 1)
        user.query("SELECT past('acme')")
        for _ in range(5):
            assert user.value(TENANT) == "acme"
        nobody_else_sees(side)
        maker.query("DROP FUNCTION past(text)")


def test_function_made_through_another_worker(postgres: Postgres, database: str) -> None:
    with Proxy(postgres, target={"max_connections": SERVERS, "catalogue_refresh": 0}, top={"workers": 2}) as proxy:
        side = Side("proxied", proxy.host, proxy.port, USER, USER, USER, SERVERS)
        with contextlib.ExitStack() as stack:
            users = [stack.enter_context(side.login()) for _ in range(8)]
            for user in users:
                user.query("SELECT 1")
            users[0].query(ENTER.format(name="elsewhere", how=""))
            time.sleep(0.5)
            for number, user in enumerate(users):
                user.query(f"SELECT elsewhere('tenant {number}')")
            for _ in range(3):
                assert [user.value(TENANT) for user in users] == [f"tenant {number}" for number in range(8)]
            users[0].query("DROP FUNCTION elsewhere(text)")


def test_function_call_by_oid(own: Side, side: Side) -> None:
    """FunctionCall (manual, section 54.2.4) of set_config, whose oid is 2078 everywhere."""

    def play(talk: Recorder) -> None:
        talk.ask(m.function_call(2078, [b"app.tenant", b"acme", b"\0"]))
        keeps(talk)

    assert record(side, play) == record(own, play)
    nobody_else_sees(side)


def test_maker_leaves_at_once(postgres: Postgres, database: str) -> None:
    with Proxy(postgres, target={"max_connections": SERVERS, "catalogue_refresh": 0}) as proxy:
        side = Side("proxied", proxy.host, proxy.port, USER, USER, USER, SERVERS)
        with side.login() as user:
            user.query("SELECT 1")
            maker = side.login()
            maker.send(m.query("SELECT pg_sleep(0.2);" + ENTER.format(name="orphan", how="")))
            maker.reset()
            time.sleep(3)  # two looks, a second apart
            user.query("SELECT orphan('acme')")
            for _ in range(5):
                with all_servers_held(Side("proxied", proxy.host, proxy.port, USER, USER, USER, 2)) as others:
                    assert [other.value(TENANT) in (None, "") for other in others] == [True, True]
                    assert user.value(TENANT) == "acme"
            user.query("DROP FUNCTION orphan(text)")


def test_where_the_catalogue_can_not_be_read_anything_may_hide(postgres: Postgres) -> None:
    postgres.add_role("shut_out")
    postgres.sql("CREATE DATABASE shut_out")
    postgres.sql("REVOKE SELECT ON pg_proc FROM PUBLIC", database="shut_out")
    with Proxy(postgres, target={"max_connections": SERVERS}) as proxy:
        side = Side("proxied", proxy.host, proxy.port, "shut_out", "shut_out", "shut_out", SERVERS)
        with side.login() as client:
            client.query("SELECT set_config('app.tenant', 'acme', false)")
            assert client.value("SELECT 1") == "1"
            with side.login() as stranger:
                stranger.query("BEGIN")
                assert stranger.value(TENANT) in (None, "")
                assert client.value(TENANT) == "acme"
                stranger.query("COMMIT")
            stats = proxy.stats()
            assert stats["pins"] == 0
            assert stats["looks"] > 0
        assert "cannot read what hides in database shut_out" in proxy.stderr()
