"""Where the real proxy listens: several addresses, IPv6, Unix sockets, several proxies and targets."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from tests.support.postgres import Postgres, dsn
from tests.support.tidegate import Proxy, target_address, wait_gone, wait_until
from tidegate.demo.postgres import free_port
from tidegate.demo.program import ProxyFailed


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Short enough for a Unix socket's path."""
    return tmp_path_factory.mktemp("u")


def unix(folder: Path, port: int, user: str = "app") -> str:
    return f"host={folder} port={port} user={user} password={user} dbname={user}"


def answers(conninfo: str) -> bool:
    with psycopg.connect(conninfo, autocommit=True) as client:
        return client.execute("SELECT session_user").fetchone() == ("app",)


@pytest.mark.parametrize("workers", [1, 2])
def test_several_addresses_at_once(postgres: Postgres, folder: Path, workers: int) -> None:
    """IPv4, IPv6 and a Unix socket's folder, all before one pool."""
    listen = ["127.0.0.1:0", "[::1]:0", "127.0.0.2:0", str(folder)]
    with Proxy(postgres, proxy={"listen": listen}, target={"max_connections": 2}, top={"workers": workers}) as proxy:
        four, six, other, path = proxy.addresses()
        assert (four.rpartition(":")[0], six.rpartition(":")[0], other.rpartition(":")[0]) == (
            "127.0.0.1",
            "[::1]",
            "127.0.0.2",
        )
        assert path == str(folder / ".s.PGSQL.5432")
        for _ in range(4):
            assert answers(dsn("[::1]", proxy.port_of("main", 1), "app", "app"))
            assert answers(dsn("127.0.0.2", proxy.port_of("main", 2), "app", "app"))
            assert answers(unix(folder, 5432))
            assert answers(proxy.dsn("app", "app"))
        assert len(postgres.backends("app")) <= 2


def test_every_interface(postgres: Postgres) -> None:
    """The wildcards of both families take the same port."""
    port = free_port()
    listen = [f"0.0.0.0:{port}", f"[::]:{port}"]
    with Proxy(postgres, proxy={"listen": listen}):
        assert answers(dsn("127.0.0.1", port, "app", "app"))
        assert answers(dsn("[::1]", port, "app", "app"))


def test_unix_socket(postgres: Postgres, folder: Path) -> None:
    """A folder gets the socket for the first TCP address's port; anyone may connect; the file goes at the end."""
    port = free_port()
    with Proxy(postgres, proxy={"listen": [str(folder), f"127.0.0.1:{port}"]}) as proxy:
        path = folder / f".s.PGSQL.{port}"
        assert stat.S_IMODE(path.stat().st_mode) == 0o777
        assert answers(unix(folder, port))
        with psycopg.connect(unix(folder, port), autocommit=True) as client:
            with pytest.raises(psycopg.errors.QueryCanceled):
                cancel_soon(client, "SELECT pg_sleep(10)")
            assert client.execute("SELECT 1").fetchone() == (1,)
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(unix(folder, port).replace("password=app", "password=wrong"))
        assert proxy.stop() == 0
        assert not path.exists()


def cancel_soon(client: psycopg.Connection[tuple[object, ...]], sql: str) -> None:
    """Runs the statement and cancels it from another thread, over the same Unix socket."""
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(client.execute, sql.encode())
        wait_until(lambda: client.pgconn.transaction_status == psycopg.pq.TransactionStatus.ACTIVE, "it runs")
        while not running.done():
            client.cancel_safe(timeout=5)
        running.result()


def test_many_clients_of_one_unix_socket_and_several_workers(postgres: Postgres, folder: Path) -> None:
    """The workers share the socket; nobody is left in its backlog."""
    with (
        Proxy(
            postgres,
            proxy={"listen": ["127.0.0.1:0", f"{folder}/.s.PGSQL.7"]},
            target={"max_connections": 4},
            top={"workers": 2},
        ) as proxy,
        ThreadPoolExecutor(40) as pool,
    ):
        assert all(pool.map(lambda _: answers(unix(folder, 7)), range(200)))
        accepted = [worker["clients_accepted"] for worker in proxy.stats()["workers"]]
        assert sum(accepted) == 200
        assert min(accepted) > 0


@pytest.fixture
def killed(postgres: Postgres, folder: Path) -> Iterator[Path]:
    """A socket file whose proxy was killed."""
    with Proxy(postgres, proxy={"listen": ["127.0.0.1:0", str(folder)]}) as proxy:
        workers = proxy.workers()
        os.kill(proxy.pid, 9)
        wait_gone(workers)
        yield folder


def test_a_killed_proxys_socket_is_replaced(postgres: Postgres, killed: Path) -> None:
    assert (killed / ".s.PGSQL.5432").is_socket()
    with Proxy(postgres, proxy={"listen": ["127.0.0.1:0", str(killed)]}):
        assert answers(unix(killed, 5432))


def test_a_living_proxys_socket_is_not_stolen(postgres: Postgres, folder: Path) -> None:
    settings = {"listen": ["127.0.0.1:0", str(folder)]}
    with Proxy(postgres, proxy=settings):
        second = Proxy(postgres, proxy=settings)
        with pytest.raises(ProxyFailed, match="in use by another process"):
            second.start()
        assert second.stop() == 1
        second.remove()
        assert answers(unix(folder, 5432))


def test_a_killed_proxys_port_can_be_used_at_once(postgres: Postgres) -> None:
    with Proxy(postgres) as proxy:
        client = psycopg.connect(proxy.dsn("app", "app"))
        port, workers = proxy.port, proxy.workers()
        os.kill(proxy.pid, 9)
        wait_gone(workers)
        with Proxy(postgres, proxy={"listen": [f"127.0.0.1:{port}"]}) as heir:
            assert answers(heir.dsn("app", "app"))
        client.close()


def test_two_proxies_share_a_targets_connections(postgres: Postgres, tenants: tuple[str, ...]) -> None:
    """Each has its own address and settings; the limit is the target's."""
    second = {"name": "second", "listen": ["127.0.0.1:0"], "target": "main", "pool_mode": "session"}
    first = {"connection_borrow_timeout": 1}
    second["connection_borrow_timeout"] = 1  # type: ignore[assignment]
    with Proxy(postgres, proxy=first, target={"max_connections": 2}, proxies=[second]) as proxy:
        port = proxy.port_of("second")
        assert port != proxy.port
        holder = psycopg.connect(proxy.dsn("tenant_a", "tenant_a"), autocommit=True)
        holder.execute("BEGIN")
        sitter = psycopg.connect(dsn("127.0.0.1", port, "tenant_a", "tenant_a"), autocommit=True)
        sitter.execute("SELECT 1")  # session mode: it keeps its server
        with (
            psycopg.connect(proxy.dsn("tenant_a", "tenant_a"), autocommit=True) as late,
            pytest.raises(psycopg.OperationalError, match="Timed-out waiting"),
        ):
            late.execute("SELECT 1")
        assert len(postgres.backends("tenant_a")) == 2
        sitter.close()
        with psycopg.connect(proxy.dsn("tenant_a", "tenant_a"), autocommit=True) as late:
            late.execute("SELECT 1")
        holder.close()


def test_two_targets(postgres: Postgres, tenants: tuple[str, ...]) -> None:
    """Each proxy leads to its own database server, under its own limit, with its own users."""
    with Postgres() as other:
        other.start()
        other.add_role("elsewhere")
        other.sql("CREATE DATABASE tenant_a OWNER elsewhere")
        other.sql("CREATE TABLE whose AS SELECT 'other' AS tenant", user="elsewhere", database="tenant_a")
        proxies = [{"name": "second", "listen": ["127.0.0.1:0"], "target": "other", "connection_borrow_timeout": 1}]
        targets = [{"name": "other", **target_address(other), "max_connections": 1}]
        with Proxy(postgres, target={"max_connections": 3}, proxies=proxies, targets=targets) as proxy:
            elsewhere = dsn("127.0.0.1", proxy.port_of("second"), "elsewhere", "tenant_a")
            with psycopg.connect(elsewhere, autocommit=True) as client:
                assert client.execute("SELECT tenant FROM whose").fetchone() == ("other",)
                client.execute("BEGIN")
                with psycopg.connect(elsewhere, autocommit=True) as late, pytest.raises(psycopg.OperationalError):
                    late.execute("SELECT 1")
                with psycopg.connect(proxy.dsn("tenant_a", "tenant_a")) as here:
                    assert here.execute("SELECT tenant FROM whose").fetchone() == ("tenant_a",)
            with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
                psycopg.connect(proxy.dsn("elsewhere", "tenant_a"))
            budgets = proxy.stats()["budgets"]
            assert (budgets["main"]["limit"], budgets["other"]["limit"]) == (3, 1)
            assert len(other.backends("elsewhere")) == 1
