"""CREATE, DROP and ALTER DATABASE through the proxy: its own connections are in nobody's way, its clients are."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from tests.support.churn import Churn
from tests.support.postgres import Postgres
from tests.support.tidegate import Proxy, wait_until

Connection = psycopg.Connection[Any]
Dsn = Callable[..., str]

OWNER = "ddl_owner"
NAMES = ("ddl_a", "ddl_b", "ddl_new", "ddl_own")
HELD = 0.7
"""Seconds after which a statement that waits is seen to wait; far less than it would wait for."""


@pytest.fixture(scope="module", autouse=True)
def owner(postgres: Postgres) -> str:
    postgres.add_role(OWNER, "CREATEDB")
    postgres.add_role("ddl_stranger")
    return OWNER


@pytest.fixture(autouse=True)
def databases(postgres: Postgres, owner: str) -> Iterator[None]:
    """ddl_a is there, the others are not; whatever a test leaves goes."""
    for name in NAMES:
        postgres.sql(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
    postgres.sql(f"CREATE DATABASE ddl_a OWNER {owner}")
    yield
    for name in NAMES:
        postgres.sql(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@pytest.fixture(params=[1, 2])
def proxy(postgres: Postgres, request: pytest.FixtureRequest) -> Iterator[Proxy]:
    with Proxy(postgres, target={"max_connections": 20}, top={"workers": request.param}) as proxy:
        yield proxy


def connect(proxy: Proxy | Postgres, database: str, user: str = OWNER) -> Connection:
    return psycopg.connect(proxy.dsn(user, database), autocommit=True)


def clients_everywhere(proxy: Proxy, database: str, user: str = OWNER, count: int = 6) -> list[Connection]:
    """Clients at every worker, each of which has had a server of its own."""
    clients = [connect(proxy, database, user) for _ in range(count)]
    for client in clients:
        client.execute("BEGIN")
    for client in clients:
        client.execute("COMMIT")
    return clients


def leave_idle_servers(proxy: Proxy, postgres: Postgres, database: str) -> None:
    for client in clients_everywhere(proxy, database):
        client.close()
    assert backends(postgres, database), "the proxy has idle connections there"


def backends(postgres: Postgres, database: str) -> int:
    return int(postgres.sql("SELECT count(*) FROM pg_stat_activity WHERE datname = %s", [database])[0][0])


def names(postgres: Postgres) -> set[str]:
    return {name for (name,) in postgres.sql("SELECT datname FROM pg_database WHERE datname LIKE 'ddl%%'", [])}


def failure(run: Callable[[], object]) -> tuple[str | None, str | None, str | None]:
    with pytest.raises(psycopg.Error) as caught:
        run()
    diag = caught.value.diag
    return diag.sqlstate, diag.message_primary, diag.message_detail


class Running:
    """A statement that runs in a thread of its own."""

    def __init__(self, client: Connection, text: str) -> None:
        self.error: BaseException | None = None
        self._client, self._text = client, text
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._client.execute(self._text.encode())
        except BaseException as error:
            self.error = error

    @property
    def done(self) -> bool:
        return not self._thread.is_alive()

    def waits(self) -> bool:
        time.sleep(HELD)
        return not self.done

    def join(self) -> None:
        self._thread.join(30)
        assert self.done
        if self.error is not None:
            raise self.error


STATEMENTS: dict[str, set[str]] = {
    "DROP DATABASE ddl_a": set(),
    'create /* a copy */ DATABASE "ddl_new" WITH TEMPLATE = ddl_a': {"ddl_a", "ddl_new"},
    "ALTER DATABASE ddl_a RENAME TO ddl_b": {"ddl_b"},
}


@pytest.mark.parametrize("prepared", [False, True])
@pytest.mark.parametrize("text", STATEMENTS)
def test_idle_servers_are_in_nobodys_way(proxy: Proxy, postgres: Postgres, text: str, prepared: bool) -> None:
    with connect(proxy, "postgres") as client:
        leave_idle_servers(proxy, postgres, "ddl_a")
        client.execute(text.encode(), prepare=prepared)
        assert names(postgres) == STATEMENTS[text]
        assert proxy.stats()["servers_closed_vacated"] >= 1
        for name in STATEMENTS[text]:
            with connect(proxy, name) as other:
                assert other.execute("SELECT current_database()").fetchone() == (name,)


def test_moving_to_another_tablespace(proxy: Proxy, postgres: Postgres, tmp_path: Any) -> None:
    with psycopg.connect(postgres.dsn(), autocommit=True) as admin:
        admin.execute("SET allow_in_place_tablespaces = on")
        admin.execute("CREATE TABLESPACE ddl_space LOCATION ''")
    try:
        with psycopg.connect(proxy.dsn(), autocommit=True) as client:
            leave_idle_servers(proxy, postgres, "ddl_a")
            client.execute("ALTER DATABASE ddl_a SET TABLESPACE ddl_space")
            leave_idle_servers(proxy, postgres, "ddl_a")
            client.execute("DROP DATABASE ddl_a")
    finally:
        postgres.sql("DROP TABLESPACE ddl_space")


def test_a_statement_that_was_prepared_earlier(proxy: Proxy, postgres: Postgres) -> None:
    """Its Bind comes in a batch of its own, without a Parse."""
    with connect(proxy, "postgres") as client:
        client.execute("CREATE DATABASE ddl_b TEMPLATE ddl_a", prepare=True)
        client.execute("DROP DATABASE ddl_b", prepare=True)
        for _ in range(2):
            leave_idle_servers(proxy, postgres, "ddl_a")
            client.execute("CREATE DATABASE ddl_b TEMPLATE ddl_a", prepare=True)
            leave_idle_servers(proxy, postgres, "ddl_b")
            client.execute("DROP DATABASE ddl_b", prepare=True)


def test_the_own_database_may_be_copied(proxy: Proxy, postgres: Postgres) -> None:
    leave_idle_servers(proxy, postgres, "ddl_a")
    with connect(proxy, "ddl_a") as client:
        client.execute("CREATE DATABASE ddl_new TEMPLATE ddl_a")
        assert failure(lambda: client.execute("DROP DATABASE ddl_a"))[:2] == (
            "55006", "cannot drop the currently open database",
        )  # fmt: skip
        assert client.execute("SELECT current_database()").fetchone() == ("ddl_a",)


@pytest.mark.parametrize(
    ("text", "prepared", "others"),
    list(zip(STATEMENTS, (False, True, True), (1, 3, 1), strict=True)),
    ids=["drop", "copy", "rename"],
)
def test_other_clients_are_in_the_way_as_directly(
    proxy: Proxy, postgres: Postgres, text: str, prepared: bool, others: int
) -> None:
    found = []
    for side in (postgres, proxy):
        with contextlib.ExitStack() as stack:
            client = stack.enter_context(connect(side, "postgres"))
            for _ in range(others):
                stack.enter_context(connect(side, "ddl_a")).execute("SELECT 1")
            if side is proxy:
                leave_idle_servers(proxy, postgres, "ddl_a")
            found.append(failure(lambda: client.execute(text.encode(), prepare=prepared)))  # noqa: B023
            assert client.execute("SELECT 1").fetchone() == (1,)
            connect(side, "ddl_a").close()  # who comes afterwards is let in, by the servers that are there still
        wait_until(lambda: side is proxy or not backends(postgres, "ddl_a"), "they are gone")  # noqa: B023
    assert found[0] == found[1]
    assert found[0][0] == "55006"
    assert names(postgres) == {"ddl_a"}


def test_sessions_beside_the_proxy_are_counted_with_its_own(proxy: Proxy, postgres: Postgres) -> None:
    with connect(proxy, "postgres") as client, connect(proxy, "ddl_a") as idle, connect(proxy, "ddl_a") as busy:
        idle.execute("SELECT 1")
        busy.execute("BEGIN")
        with connect(postgres, "ddl_a"):
            assert failure(lambda: client.execute("DROP DATABASE ddl_a")) == (
                "55006",
                'database "ddl_a" is being accessed by other users',
                "There are 3 other sessions using the database.",
            )
        busy.execute("COMMIT")


def test_it_waits_for_those_who_leave(proxy: Proxy, postgres: Postgres) -> None:
    others = clients_everywhere(proxy, "ddl_a")
    with connect(proxy, "postgres") as client:
        running = Running(client, "DROP DATABASE ddl_a")
        assert running.waits()
        for other in others:
            other.close()
        running.join()
    assert names(postgres) == set()


def test_clients_that_are_in_the_way_are_served_meanwhile(proxy: Proxy, postgres: Postgres) -> None:
    with connect(proxy, "ddl_a") as other, connect(proxy, "postgres") as client:
        running = Running(client, "ALTER DATABASE ddl_a RENAME TO ddl_b")
        assert running.waits()
        assert other.execute("SELECT current_database()").fetchone() == ("ddl_a",)
        with connect(proxy, "ddl_a") as another:
            assert another.execute("SELECT current_database()").fetchone() == ("ddl_a",)
        assert not running.done
        with pytest.raises(psycopg.errors.ObjectInUse):
            running.join()


def test_force_ends_clients(proxy: Proxy, postgres: Postgres) -> None:
    others = clients_everywhere(proxy, "ddl_a")
    others[0].execute("BEGIN")
    sleeper = Running(others[1], "SELECT pg_sleep(600)")
    wait_until(lambda: postgres.sql("SELECT 1 FROM pg_stat_activity WHERE query LIKE '%%pg_sleep(600)'", []), "it runs")
    with connect(proxy, "postgres") as client:
        client.execute("DROP DATABASE ddl_a WITH (FORCE)")
    assert names(postgres) == set()
    with pytest.raises(psycopg.errors.AdminShutdown):
        sleeper.join()
    for other in others[2:] + others[:1]:
        assert failure(lambda: other.execute("SELECT 1"))[:2] == (  # noqa: B023
            "57P01", "terminating connection due to administrator command",
        )  # fmt: skip
        assert other.closed
    wait_until(lambda: proxy.stats()["clients"] == 0, "they are gone")


def test_force_by_one_who_may_not_end_them(proxy: Proxy, postgres: Postgres) -> None:
    found = []
    for side in (postgres, proxy):
        with psycopg.connect(side.dsn(database="ddl_a")) as superuser, connect(side, "postgres") as client:
            superuser.execute("SELECT 1")
            found.append(failure(lambda: client.execute("DROP DATABASE ddl_a WITH (FORCE)"))[:2])
            assert superuser.execute("SELECT 1").fetchone() == (1,)
    assert found[0] == found[1]
    assert found[0][0] == "42501"


@pytest.mark.parametrize(
    ("user", "text"),
    [
        ("ddl_stranger", "DROP DATABASE ddl_a"),
        ("ddl_stranger", "CREATE DATABASE ddl_new TEMPLATE ddl_a"),
        ("ddl_stranger", "ALTER DATABASE ddl_a RENAME TO ddl_b"),
        (OWNER, "CREATE DATABASE app TEMPLATE ddl_a"),
        (OWNER, "ALTER DATABASE ddl_a RENAME TO app"),
        (OWNER, "ALTER DATABASE ddl_a SET TABLESPACE nowhere"),
        (OWNER, "DROP DATABASE ddl_nowhere"),
        (OWNER, "BEGIN; DROP DATABASE ddl_a; COMMIT"),
    ],
)
def test_other_errors_come_first(proxy: Proxy, postgres: Postgres, user: str, text: str) -> None:
    found = []
    for side in (postgres, proxy):
        with connect(side, "ddl_a") as other, connect(side, "postgres", user) as client:
            other.execute("SELECT 1")
            found.append(failure(lambda: client.execute(text.encode())))
    assert found[0] == found[1]


def test_in_a_transaction(proxy: Proxy, postgres: Postgres) -> None:
    with connect(proxy, "postgres") as client:
        client.execute("BEGIN")
        assert failure(lambda: client.execute("DROP DATABASE ddl_a"))[0] == "25001"
        assert failure(lambda: client.execute("DROP DATABASE ddl_a"))[0] == "25P02"
        client.execute("ROLLBACK")
        client.execute("DROP DATABASE ddl_a")


def test_a_database_that_was_dropped_is_greeted_by_nobody(proxy: Proxy, postgres: Postgres) -> None:
    leave_idle_servers(proxy, postgres, "ddl_a")
    with connect(proxy, "postgres") as client:
        client.execute("DROP DATABASE ddl_a")
        for _ in range(4):
            with pytest.raises(psycopg.OperationalError, match='database "ddl_a" does not exist'):
                connect(proxy, "ddl_a")
        client.execute("CREATE DATABASE ddl_a TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'")
        for _ in range(4):
            with connect(proxy, "ddl_a") as other:
                assert other.info.parameter_status("server_encoding") == "LATIN1"


def test_a_cancel_request_ends_the_wait(proxy: Proxy) -> None:
    with connect(proxy, "ddl_a") as other, connect(proxy, "postgres") as client:
        other.execute("SELECT 1")
        running = Running(client, "DROP DATABASE ddl_a")
        assert running.waits()
        client.cancel()
        with pytest.raises(psycopg.errors.QueryCanceled):
            running.join()
        assert client.execute("SELECT 1").fetchone() == (1,)
        assert other.execute("SELECT 1").fetchone() == (1,)


def test_a_client_that_leaves_while_it_waits(proxy: Proxy, postgres: Postgres) -> None:
    """What it has sent is carried out, or refused, as directly; nobody else is held up for longer."""
    with connect(proxy, "ddl_a") as other:
        client = connect(proxy, "postgres")
        running = Running(client, "DROP DATABASE ddl_a")
        assert running.waits()
        # libpq would not survive a close by another thread than the one that waits in it.
        with socket.socket(fileno=os.dup(client.fileno())) as wire:
            wire.shutdown(socket.SHUT_RDWR)
        assert other.execute("SELECT 1").fetchone() == (1,)
        wait_until(lambda: proxy.stats()["clients"] == 1, "its session has ended")
    with connect(proxy, "postgres") as client:
        leave_idle_servers(proxy, postgres, "ddl_a")
        client.execute("DROP DATABASE ddl_a")


def test_a_reload_meanwhile(proxy: Proxy, postgres: Postgres) -> None:
    other = connect(proxy, "ddl_a")
    other.execute("SELECT 1")
    with connect(proxy, "postgres") as client:
        running = Running(client, "DROP DATABASE ddl_a")
        assert running.waits()
        proxy.target["max_connections"] = 10
        assert proxy.reload()["ok"]
        other.close()
        running.join()
    assert names(postgres) == set()


def test_the_connection_that_reads_roles_is_in_nobodys_way(postgres: Postgres) -> None:
    postgres.sql(f"CREATE DATABASE ddl_own OWNER {OWNER}")
    with Proxy(postgres, target={"database": "ddl_own"}, top={"workers": 2}) as proxy:
        for _ in range(6):
            connect(proxy, "postgres").close()
        assert backends(postgres, "ddl_own")
        with connect(proxy, "postgres") as client:
            client.execute("CREATE DATABASE ddl_new TEMPLATE ddl_own")
        connect(proxy, "ddl_new", "ddl_stranger").close()
        assert names(postgres) == {"ddl_a", "ddl_own", "ddl_new"}


def test_a_worker_that_is_killed_meanwhile(postgres: Postgres) -> None:
    """One that has only been asked: its successor answers. The asker itself: its hold on the database ends."""
    with Proxy(postgres, target={"max_connections": 20}, top={"workers": 2}) as proxy:
        for victim in (0, 1):
            client = connect(proxy, "postgres")
            others = clients_everywhere(proxy, "ddl_a")
            running = Running(client, "ALTER DATABASE ddl_a RENAME TO ddl_b")
            assert running.waits()
            pid = proxy.kill_worker(victim)
            wait_until(lambda pid=pid: len(set(proxy.workers()) - {pid}) == 2, "a new one")  # type: ignore[misc]
            for other in others:
                other.close()
            try:
                running.join()
            except psycopg.OperationalError:
                with connect(proxy, "postgres") as again:
                    again.execute("ALTER DATABASE ddl_a RENAME TO ddl_b")
            for _ in range(4):
                with connect(proxy, "ddl_b") as user:
                    assert user.execute("SELECT current_database()").fetchone() == ("ddl_b",)
            with connect(proxy, "postgres") as back:
                back.execute("ALTER DATABASE ddl_b RENAME TO ddl_a")
            with contextlib.suppress(psycopg.Error):
                client.close()


def test_test_databases_come_and_go_under_churn(proxy: Proxy, postgres: Postgres) -> None:
    """As a test runner makes and drops its own, with others about."""
    with Churn(proxy.dsn("app", "app")), connect(proxy, "postgres") as client:
        for _ in range(8):
            client.execute("CREATE DATABASE ddl_new")
            others = clients_everywhere(proxy, "ddl_new", count=4)
            others[0].execute("CREATE TABLE kept (a int)")
            client.execute("SELECT 1")
            for other in others:
                other.close()
            client.execute("CREATE DATABASE ddl_b TEMPLATE ddl_new")
            with connect(proxy, "ddl_b") as copy:
                assert copy.execute("SELECT count(*) FROM kept").fetchone() == (0,)
            client.execute("DROP DATABASE ddl_b")
            client.execute("DROP DATABASE IF EXISTS ddl_new")
    assert names(postgres) == {"ddl_a"}
