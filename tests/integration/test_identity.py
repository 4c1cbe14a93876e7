"""A client has one process id, and can be ended and cancelled by it, whatever server works for it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from tests.support import messages as m
from tests.support.churn import Churn
from tests.support.counted import proxied_side
from tests.support.postgres import Postgres
from tests.support.tidegate import Proxy, wait_until
from tidegate.proxy.keys import worker_of

Connection = psycopg.Connection[Any]


@pytest.fixture(scope="module", autouse=True)
def roles(postgres: Postgres) -> None:
    postgres.add_role("id_user")
    postgres.add_role("id_other")
    postgres.add_role("id_admin")
    postgres.sql("GRANT pg_signal_backend TO id_admin")


@pytest.fixture(params=[1, 2])
def proxy(postgres: Postgres, request: pytest.FixtureRequest) -> Iterator[Proxy]:
    target = {"max_connections": 6}
    with Proxy(postgres, proxy={"lending": "rotate"}, target=target, top={"workers": request.param}) as proxy:
        yield proxy


def connect(proxy: Proxy | Postgres, user: str = "id_user", **options: Any) -> Connection:
    return psycopg.connect(proxy.dsn(user, "postgres"), autocommit=True, **options)


def pid_of(client: Connection) -> int:
    return client.pgconn.backend_pid


def is_ended(client: Connection) -> bool:
    with pytest.raises(psycopg.OperationalError) as caught:
        client.execute("SELECT 1")
    return caught.value.sqlstate == "57P01" and bool(client.closed)


@pytest.mark.parametrize("prepared", [False, True])
@pytest.mark.parametrize(
    "text",
    ["SELECT pg_backend_pid()", "select PG_CATALOG.pg_backend_pid() as me;", "/* who */ SELECT pg_backend_pid() AS me"],
)
def test_a_client_is_told_one_id(proxy: Proxy, text: str, prepared: bool) -> None:
    with Churn(proxy.dsn("id_user", "postgres"), poison=("SELECT 1",)), connect(proxy) as client:
        servers = set()
        for binary in (False, True) * 10:
            cursor = client.execute(text.encode(), prepare=prepared, binary=binary)
            assert cursor.fetchone() == (pid_of(client),)
            assert cursor.description is not None
            assert cursor.description[0].name == ("me" if "me" in text else "pg_backend_pid")
            assert cursor.description[0].type_code == 23
            servers.add(client.execute("SELECT 0 + pg_backend_pid()").fetchone())
        assert len(servers) > 1


def test_clients_have_different_ids_that_no_backend_has(proxy: Proxy) -> None:
    clients = [connect(proxy) for _ in range(20)]
    pids = {pid_of(client) for client in clients}
    assert len(pids) == 20
    assert min(pids) >= 2**23
    assert max(pids) < 2**31
    for client in clients:
        client.close()


def test_in_a_failed_transaction(proxy: Proxy) -> None:
    with connect(proxy) as client:
        client.execute("BEGIN")
        with pytest.raises(psycopg.errors.DivisionByZero):
            client.execute("SELECT 1/0")
        for text in ("SELECT pg_backend_pid()", f"SELECT pg_cancel_backend({pid_of(client)})"):
            with pytest.raises(psycopg.errors.InFailedSqlTransaction):
                client.execute(text.encode())
        client.execute("ROLLBACK")


CALLS = ["constant", "bound", "binary", "with a timeout"]


def terminate(caller: Connection, pid: int, how: str, function: str = "pg_terminate_backend") -> object:
    if how == "constant":
        cursor = caller.execute(f"SELECT {function}({pid})".encode())
    elif how == "with a timeout":
        cursor = caller.execute(f"SELECT {function}(%s, %s)".encode(), [pid, 5000])
    else:
        cursor = caller.execute(f"SELECT {function}(%{'b' if how == 'binary' else 't'})".encode(), [pid])
    assert cursor.description is not None
    assert (cursor.description[0].name, cursor.description[0].type_code) == (function, 16)
    row = cursor.fetchone()
    return row and row[0]


@pytest.mark.parametrize("how", CALLS)
def test_ending_idle_clients(proxy: Proxy, how: str) -> None:
    """At every worker, by one who is served by any."""
    with (
        Churn(proxy.dsn("id_user", "postgres"), poison=("SELECT 1",)),
        connect(proxy) as caller,
        connect(proxy) as stays,
    ):
        for _ in range(8):
            client = connect(proxy)
            client.execute("SELECT 1")
            assert terminate(caller, pid_of(client), how) is True
            assert is_ended(client)
        assert stays.execute("SELECT 1").fetchone() == (1,)


def test_ending_a_client_in_a_transaction_rolls_it_back(proxy: Proxy, postgres: Postgres) -> None:
    postgres.sql("DROP TABLE IF EXISTS id_rows")
    postgres.sql("CREATE TABLE id_rows (a int)")
    postgres.sql("GRANT ALL ON id_rows TO id_user")
    with connect(proxy) as caller:
        client = connect(proxy)
        client.execute("BEGIN")
        client.execute("INSERT INTO id_rows VALUES (1)")
        assert terminate(caller, pid_of(client), "bound") is True
        assert is_ended(client)
        wait_until(
            lambda: not postgres.sql("SELECT 1 FROM pg_locks WHERE relation = 'id_rows'::regclass", []), "its locks"
        )
        assert caller.execute("SELECT count(*) FROM id_rows").fetchone() == (0,)
    postgres.sql("DROP TABLE id_rows")


@pytest.mark.parametrize("how", ["constant", "bound"])
@pytest.mark.parametrize("function", ["pg_terminate_backend", "pg_cancel_backend"])
def test_a_statement_that_runs(proxy: Proxy, postgres: Postgres, function: str, how: str) -> None:
    found: list[BaseException] = []
    with connect(proxy) as caller:
        for _ in range(4):
            client = connect(proxy)

            def sleep(client: Connection = client) -> None:
                try:
                    client.execute("SELECT pg_sleep(600)")
                except psycopg.Error as error:
                    found.append(error)

            thread = threading.Thread(target=sleep)
            thread.start()
            running = "SELECT 1 FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(600)' AND state = 'active'"
            wait_until(lambda: postgres.sql(running), "it runs")  # noqa: B023
            assert terminate(caller, pid_of(client), how, function) is True
            thread.join(20)
            wait_until(lambda: not postgres.sql(running), "it has ended at the database")  # noqa: B023
            (said,) = found
            found.clear()
            assert isinstance(said, psycopg.Error)
            assert said.sqlstate == ("57P01" if "terminate" in function else "57014")
            if "cancel" in function:
                assert client.execute("SELECT 1").fetchone() == (1,)
            client.close()


def test_cancelling_an_idle_client_does_nothing(proxy: Proxy) -> None:
    with connect(proxy) as caller, connect(proxy) as client:
        assert terminate(caller, pid_of(client), "bound", "pg_cancel_backend") is True
        assert client.execute("SELECT 1").fetchone() == (1,)


@pytest.mark.parametrize("how", ["constant", "bound"])
def test_oneself(proxy: Proxy, how: str) -> None:
    client = connect(proxy)
    with pytest.raises(psycopg.errors.QueryCanceled):
        terminate(client, pid_of(client), how, "pg_cancel_backend")
    assert client.execute("SELECT 1").fetchone() == (1,)
    with pytest.raises(psycopg.errors.AdminShutdown):
        terminate(client, pid_of(client), how)
    assert client.closed


@pytest.mark.parametrize("how", ["constant", "bound"])
@pytest.mark.parametrize("function", ["pg_terminate_backend", "pg_cancel_backend"])
def test_who_may(proxy: Proxy, postgres: Postgres, function: str, how: str) -> None:
    """The database's own rules, and its own words, in a transaction and outside."""
    for victim, caller, allowed in (
        ("id_user", "id_other", False),
        ("id_user", "id_admin", True),
        ("postgres", "id_admin", False),
        ("id_user", "postgres", True),
    ):
        for begin in ("SELECT 1", "BEGIN"):
            said = []
            for side in (postgres, proxy):
                with connect(side, victim) as client, connect(side, caller) as other:
                    client.execute("SELECT 1")
                    other.execute(begin.encode())
                    try:
                        said.append(terminate(other, pid_of(client), how, function))
                    except psycopg.Error as error:
                        said.append((error.sqlstate, error.diag.message_primary, error.diag.message_detail))
                    said.append(other.info.transaction_status)
                    if not allowed:
                        assert client.execute("SELECT 1").fetchone() == (1,)
            assert said[:2] == said[2:]
            assert (said[0] is True) == allowed


def test_a_role_that_was_set_counts(proxy: Proxy, postgres: Postgres) -> None:
    with connect(proxy, "postgres") as caller, connect(proxy) as client:
        caller.execute("SET ROLE id_other")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            terminate(caller, pid_of(client), "bound")
        assert client.execute("SELECT 1").fetchone() == (1,)


def test_ids_of_nobody_are_the_databases_affair(proxy: Proxy, postgres: Postgres) -> None:
    with connect(proxy) as caller:
        notices: list[str] = []
        caller.add_notice_handler(lambda diag: notices.append(diag.message_primary or ""))
        gone = connect(proxy)
        pid = pid_of(gone)
        gone.close()
        wait_until(lambda: proxy.stats()["clients"] == 1, "it has gone")
        for nobody in (pid, 2**31 - 1, 2**22 - 1):
            for how in ("constant", "bound"):
                assert terminate(caller, nobody, how) is False
                assert notices.pop() == f"PID {nobody} is not a PostgreSQL backend process"
        with connect(postgres) as direct:
            assert terminate(caller, pid_of(direct), "bound") is True
            assert is_ended(direct)


def test_in_a_pipeline(proxy: Proxy) -> None:
    with connect(proxy) as caller, connect(proxy) as client:
        with caller.pipeline():
            first = caller.execute("SELECT 1")
            ended = caller.execute("SELECT pg_terminate_backend(%s)", [pid_of(client)])
            last = caller.execute("SELECT pg_backend_pid()")
        assert (first.fetchone(), ended.fetchone(), last.fetchone()) == ((1,), (True,), (pid_of(caller),))
        assert is_ended(client)


def test_a_worker_that_is_gone_has_no_clients(postgres: Postgres) -> None:
    with Proxy(postgres, top={"workers": 2}) as proxy:
        clients = [connect(proxy)]
        while len({worker_of(pid_of(client)) for client in clients}) < 2:  # the kernel spreads them as it likes
            clients.append(connect(proxy))
        lost = next(client for client in clients if worker_of(pid_of(client)) == 1)
        caller = next(client for client in clients if worker_of(pid_of(client)) == 0)
        workers = {worker["worker"]: worker["pid"] for worker in proxy.stats()["workers"]}
        proxy.kill_worker(sorted(workers).index(1))
        assert terminate(caller, pid_of(lost), "bound") is False
        for client in clients:
            client.close()


def test_the_usual_way_to_empty_a_database(proxy: Proxy, postgres: Postgres) -> None:
    """As SQLAlchemy's test suite does: end all who are seen there, then drop it."""
    postgres.sql("ALTER ROLE id_user CREATEDB")
    with connect(proxy) as caller:
        for prepared in (False, True):
            caller.execute("CREATE DATABASE id_emptied")
            others = [psycopg.connect(proxy.dsn("id_user", "id_emptied"), autocommit=True) for _ in range(5)]
            for other in others:
                other.execute("SELECT 1")
            others[0].execute("BEGIN")
            caller.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = current_user"
                " AND pid <> pg_backend_pid() AND datname = %s",
                ["id_emptied"],
                prepare=prepared,
            )
            caller.execute("DROP DATABASE id_emptied", prepare=prepared)
            assert all(map(is_ended, others))


def test_application_name_in_pg_stat_activity(proxy: Proxy) -> None:
    names = [f"application {number}" for number in range(8)]
    clients = [connect(proxy, application_name=name) for name in names]
    for _ in range(3):
        for client, name in zip(clients, names, strict=True):
            (seen,) = client.execute(
                "SELECT application_name FROM pg_stat_activity WHERE pid = pg_backend_pid()"
            ).fetchone() or ("",)
            assert seen == name
            client.execute(f"SET application_name = '{name}'".encode())
    for client in clients:
        client.close()


def test_bound_when_its_columns_are_known(proxy: Proxy, wire_role: str) -> None:
    """Parse, Describe and Flush first, and the Bind in the same batch, as some drivers do."""
    side = proxied_side(proxy)
    with side.login() as caller, side.login() as client:
        client.query("SELECT 1")
        caller.send(m.parse("SELECT pg_terminate_backend($1)"), m.describe_statement(), m.flush())
        caller.read_until("T")
        replies = caller.ask(m.bind([str(client.pid)]), m.execute(), m.sync())
        assert [reply.kind for reply in replies] == ["2", "D", "C", "Z"]
        assert client.read_to_end()[-1].kind == "E"
