"""init_query: what it sets is what every session starts with and returns to; what it gets wrong is told at once."""

from __future__ import annotations

import time
from collections.abc import Iterator

import psycopg
import pytest

from tests.support.churn import Churn
from tests.support.postgres import Postgres
from tests.support.tidegate import Proxy, wait_until

Client = psycopg.Connection[tuple[object, ...]]

SETTINGS = {
    "work_mem": "7MB",
    "TimeZone": "Asia/Tokyo",
    "DateStyle": "German, DMY",
    "application_name": "from init_query",
    "search_path": "init_schema, pg_catalog",
    "app.tenant": "Zoë \\ tenant",
    "role": "init_role",
}
OTHERS = {
    "work_mem": "9MB",
    "TimeZone": "Asia/Kathmandu",
    "DateStyle": "SQL, MDY",
    "application_name": "another",
    "search_path": "public",
    "app.tenant": "another",
    "role": "tenant_a",
}
INIT_QUERY = ";".join(
    f"SET {name} = {value}" if name == "search_path" else f"SET {name} = '{value}'" for name, value in SETTINGS.items()
)
RESETS = {
    "RESET": "RESET {name}",
    "TO DEFAULT": "SET {name} TO DEFAULT",
    "RESET ALL": "RESET ALL",
    "DISCARD ALL": "DISCARD ALL",
    "in a block": "DO $$ BEGIN EXECUTE 'RESET {name}'; END $$",
}
CASES = [(name, reset) for name in SETTINGS for reset in RESETS]
CASES.remove(("role", "RESET ALL"))  # which leaves it alone
CASES.remove(("app.tenant", "in a block"))  # can't be told from SET to nothing


@pytest.fixture
def role(postgres: Postgres, tenants: tuple[str, ...]) -> Iterator[None]:
    postgres.sql("DROP ROLE IF EXISTS init_role")
    postgres.sql("CREATE ROLE init_role")
    postgres.sql("GRANT init_role TO tenant_a")
    yield
    postgres.sql("DROP ROLE init_role")


@pytest.fixture
def proxy(postgres: Postgres, role: None) -> Iterator[Proxy]:
    with Proxy(postgres, proxy={"init_query": INIT_QUERY}, target={"max_connections": 2}) as proxy:
        yield proxy


def connect(proxy: Proxy, more: str = "") -> Client:
    return psycopg.connect(proxy.dsn("tenant_a", "tenant_a") + more, autocommit=True)


def shown(client: Client, name: str) -> object:
    row = client.execute(f"SHOW {name}".encode()).fetchone()
    assert row is not None
    return row[0]


def churn(proxy: Proxy) -> Churn:
    return Churn(proxy.dsn("tenant_a", "tenant_a"), rotators=2)


# The state that a connection is returned to


def test_every_session_starts_with_it(proxy: Proxy) -> None:
    with churn(proxy):
        for _ in range(5):
            with connect(proxy) as client:
                assert {name: shown(client, name) for name in SETTINGS} == SETTINGS
                assert client.execute("SELECT current_user::text").fetchone() == ("init_role",)


@pytest.mark.parametrize(("name", "reset"), CASES)
def test_a_reset_goes_back_to_it(proxy: Proxy, name: str, reset: str) -> None:
    with churn(proxy), connect(proxy) as client:
        client.execute(f"SET {name} = '{OTHERS[name]}'".encode())
        assert shown(client, name) == OTHERS[name]
        client.execute(RESETS[reset].format(name=name).encode())
        for _ in range(10):
            assert shown(client, name) == SETTINGS[name]
            time.sleep(0.002)


@pytest.mark.parametrize("name", SETTINGS)
def test_another_client_has_it_again(proxy: Proxy, name: str) -> None:
    with churn(proxy):
        for _ in range(4):
            with connect(proxy) as client:
                assert shown(client, name) == SETTINGS[name]
                client.execute(f"SET {name} = '{OTHERS[name]}'".encode())


@pytest.mark.parametrize("reset", ["RESET work_mem", "SET work_mem TO DEFAULT", "RESET ALL", "DISCARD ALL"])
def test_by_the_extended_protocol(proxy: Proxy, reset: str) -> None:
    with churn(proxy), connect(proxy) as client:
        client.execute(b"SET work_mem = '9MB'", prepare=True)
        client.execute(reset.encode(), prepare=True)
        for _ in range(5):
            assert client.execute(b"SHOW work_mem", prepare=True).fetchone() == ("7MB",)


@pytest.mark.parametrize("reset", ["RESET work_mem", "SET work_mem TO DEFAULT", "RESET ALL"])
@pytest.mark.parametrize("prepare", [False, True], ids=["simple", "extended"])
def test_in_a_transaction(proxy: Proxy, reset: str, prepare: bool) -> None:
    """Also before its end, and after it is undone."""
    with churn(proxy), connect(proxy) as client:
        client.execute("SET work_mem = '9MB'")
        client.execute("BEGIN")
        client.execute(reset.encode(), prepare=prepare)
        assert shown(client, "work_mem") == "7MB"
        client.execute("ROLLBACK")
        assert shown(client, "work_mem") == "9MB"
        client.execute("BEGIN")
        client.execute(reset.encode(), prepare=prepare)
        client.execute("COMMIT")
        assert shown(client, "work_mem") == "7MB"


def test_the_role(proxy: Proxy) -> None:
    """SET ROLE NONE is the login's role, RESET ROLE that of init_query, and RESET ALL leaves it alone."""
    with churn(proxy), connect(proxy) as client:
        for _ in range(3):
            client.execute("SET ROLE NONE")
            client.execute("RESET ALL")
            for _ in range(3):
                assert client.execute("SELECT current_user::text").fetchone() == ("tenant_a",)
            client.execute("RESET ROLE")
            for _ in range(3):
                assert client.execute("SELECT current_user::text").fetchone() == ("init_role",)


def test_parameters_that_clients_are_told(proxy: Proxy) -> None:
    with churn(proxy), connect(proxy) as client:

        def told(*names: str) -> list[str | None]:
            return [client.info.parameter_status(name) for name in names]

        names = ("TimeZone", "DateStyle", "application_name")
        first = [SETTINGS[name] for name in names]
        assert told(*names) == first
        client.execute("SET TimeZone = 'UTC'")
        assert told("TimeZone") == ["UTC"]
        client.execute("RESET TimeZone")
        assert told("TimeZone") == ["Asia/Tokyo"]
        client.execute("SET TimeZone = 'UTC'")
        client.execute("RESET TimeZone", prepare=True)
        client.execute("SELECT 1")
        assert told("TimeZone") == ["Asia/Tokyo"]
        client.execute("SET DateStyle = 'ISO'; SET application_name = 'x'")
        client.execute("DISCARD ALL")
        assert told(*names) == first


def test_a_clients_own_start_goes_before_it(proxy: Proxy) -> None:
    with churn(proxy), connect(proxy, "?options=-c%20work_mem%3D8MB&application_name=mine") as client:
        assert client.info.parameter_status("application_name") == "mine"
        for reset in ("SELECT 1", "RESET work_mem", "DISCARD ALL"):
            client.execute(reset.encode())
            assert (shown(client, "work_mem"), shown(client, "application_name")) == ("8MB", "mine")
            assert shown(client, "app.tenant") == SETTINGS["app.tenant"]


def test_timeouts_that_could_end_an_idle_server(postgres: Postgres, tenants: tuple[str, ...]) -> None:
    """A session's own are kept from the pool's servers and enforced by the proxy, also those of init_query."""
    with (
        Proxy(
            postgres, proxy={"init_query": "SET idle_session_timeout = '1s'"}, target={"max_connections": 1}
        ) as proxy,
        connect(proxy) as client,
    ):
        assert shown(client, "idle_session_timeout") == "1s"
        servers = postgres.backends("tenant_a")
        time.sleep(4)
        assert postgres.backends("tenant_a") == servers
        with pytest.raises(psycopg.OperationalError, match="idle-session timeout"):
            client.execute("SELECT 1")


def test_values_that_differ_from_server_to_server(postgres: Postgres, tenants: tuple[str, ...]) -> None:
    """A session keeps the one that it began with."""
    init_query = "SELECT set_config('app.born', clock_timestamp()::text, false)"
    with (
        Proxy(postgres, proxy={"init_query": init_query}, target={"max_connections": 3}) as proxy,
        connect(proxy) as one,
    ):
        one.prepare_threshold = None  # psycopg does not know that DISCARD ALL drops its statements
        born = shown(one, "app.born")
        with churn(proxy):
            for _ in range(20):
                assert shown(one, "app.born") == born
                one.execute("DISCARD ALL")
                time.sleep(0.002)


# Dedicated servers


@pytest.fixture
def starts(postgres: Postgres, tenants: tuple[str, ...]) -> None:
    postgres.sql("DROP TABLE IF EXISTS starts", database="tenant_a")
    postgres.sql("CREATE TABLE starts (pid int)", user="tenant_a", database="tenant_a")


OWN_SERVER = "?options=-c%20ignore_system_indexes%3Don%20-c%20TimeZone%3DUTC"


def test_a_dedicated_server_runs_it(postgres: Postgres, starts: None) -> None:
    init_query = "SET work_mem = '7MB'; SET TimeZone = 'Asia/Tokyo'; INSERT INTO starts VALUES (pg_backend_pid())"
    with Proxy(postgres, proxy={"init_query": init_query}) as proxy, connect(proxy, OWN_SERVER) as client:
        assert shown(client, "ignore_system_indexes") == "on"
        assert client.execute("SELECT count(*) FROM starts WHERE pid = pg_backend_pid()").fetchone() == (1,)
        assert client.info.parameter_status("TimeZone") == "UTC"
        for reset in ("RESET work_mem", "SET work_mem TO DEFAULT", "RESET ALL", "DISCARD ALL"):
            assert (shown(client, "work_mem"), shown(client, "TimeZone")) == ("7MB", "UTC")
            client.execute("SET work_mem = '9MB'")
            client.execute("SET TimeZone = 'Asia/Kathmandu'")
            client.execute(reset.encode())
            if "ALL" not in reset:
                client.execute("RESET TimeZone")
        assert (shown(client, "work_mem"), shown(client, "TimeZone")) == ("7MB", "UTC")


def test_replication_connections(postgres: Postgres, starts: None) -> None:
    """A physical one takes no SQL; a logical one does."""
    postgres.sql("INSERT INTO starts VALUES (0)", database="tenant_a")
    postgres.sql("ALTER ROLE tenant_a REPLICATION")
    hba = postgres.hba
    postgres.hba = ("host replication all 127.0.0.1/32 scram-sha-256", *hba)
    postgres.reload()
    try:
        with Proxy(postgres, proxy={"init_query": "INSERT INTO starts VALUES (pg_backend_pid())"}) as proxy:
            for kind, runs in (("on", 1), ("database", 2)):
                url = proxy.dsn("tenant_a", "tenant_a") + f"?replication={kind}"
                connection = psycopg.pq.PGconn.connect(url.encode())
                assert connection.status == psycopg.pq.ConnStatus.OK, connection.error_message
                assert connection.exec_(b"IDENTIFY_SYSTEM").ntuples == 1
                connection.finish()
                count = postgres.sql("SELECT count(*) FROM starts", database="tenant_a")
                assert count == [(runs,)]
    finally:
        postgres.sql("ALTER ROLE tenant_a NOREPLICATION")
        postgres.hba = hba
        postgres.reload()


# Failures

FAILING = {
    "an error": ("SELECT 1/0", "division by zero"),
    "not a setting": ("SET no_such_setting = 1", 'unrecognized configuration parameter "no_such_setting"'),
    "a transaction left open": ("BEGIN", "init_query left a transaction open"),
    "COPY": ("COPY pg_class TO STDOUT", "out of place"),
    "a shortage": ("DO $$ BEGIN RAISE 'full' USING ERRCODE = '53300', DETAIL = 'So it is.'; END $$", "So it is."),
}


@pytest.mark.parametrize("own", ["", OWN_SERVER], ids=["shared", "dedicated"])
@pytest.mark.parametrize(("sql", "said"), FAILING.values(), ids=FAILING.keys())
def test_a_failure_is_told_at_once(postgres: Postgres, tenants: tuple[str, ...], sql: str, said: str, own: str) -> None:
    with Proxy(postgres, proxy={"init_query": sql, "connection_borrow_timeout": 60}) as proxy:
        for _ in range(2):
            began = time.monotonic()
            with pytest.raises(psycopg.OperationalError) as caught:
                connect(proxy, own)
            assert time.monotonic() - began < 10
            assert said in str(caught.value)
            assert "DETAIL:  The proxy's init_query failed on a new server connection." in str(caught.value)
            assert "HINT:  Correct the setting init_query of the proxy." in str(caught.value)
        wait_until(lambda: not postgres.backends("tenant_a"), "it is closed")


def test_failures_cost_the_database_little(postgres: Postgres, tenants: tuple[str, ...]) -> None:
    """Between two attempts there is a pause that grows; who comes in it gets the last answer."""
    with Proxy(postgres, proxy={"init_query": "SELECT 1/0", "connection_borrow_timeout": 60}) as proxy:
        clients = 0
        began = time.monotonic()
        while time.monotonic() - began < 2:
            with pytest.raises(psycopg.OperationalError, match="division by zero"):
                connect(proxy)
            clients += 1
        assert clients > 20
        assert 2 <= proxy.stats()["servers_failed"] <= 8


def test_clients_that_are_in_live_through_it(postgres: Postgres, starts: None) -> None:
    """Their statement fails, their session goes on when init_query works again."""
    with (
        Proxy(
            postgres,
            proxy={"init_query": "SELECT count(*) FROM starts"},
            target={"max_connections": 2, "server_idle_timeout": 1},
        ) as proxy,
        connect(proxy) as client,
    ):
        client.execute("SELECT 1")
        postgres.sql("ALTER TABLE starts RENAME TO away", database="tenant_a")
        wait_until(lambda: not postgres.backends("tenant_a"), "the server is closed")
        for _ in range(3):
            with pytest.raises(psycopg.errors.UndefinedTable, match="init_query failed"):
                client.execute("SELECT 1")
        postgres.sql("ALTER TABLE away RENAME TO starts", database="tenant_a")

        def works() -> bool:
            try:
                return client.execute("SELECT 1").fetchone() == (1,)
            except psycopg.errors.UndefinedTable:
                return False

        wait_until(works, "the pause ends")


def test_one_pools_failure_is_no_other_pools(postgres: Postgres, tenants: tuple[str, ...]) -> None:
    init_query = "DO $$ BEGIN IF current_user = 'tenant_b' THEN PERFORM 1/0; END IF; END $$"
    with Proxy(postgres, proxy={"init_query": init_query}, target={"max_connections": 4}) as proxy, churn(proxy):
        for _ in range(20):
            with pytest.raises(psycopg.OperationalError, match="division by zero"):
                psycopg.connect(proxy.dsn("tenant_b", "tenant_b"))
