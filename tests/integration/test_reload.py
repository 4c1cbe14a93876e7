"""Reading the settings again while the real proxy serves: what takes effect, what stays, who notices."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.support import messages as m
from tests.support.churn import Churn
from tests.support.crowd import inside_at_once
from tests.support.postgres import Postgres, dsn
from tests.support.tidegate import Proxy, reload, target_address, wait_until
from tests.support.watch import Watch, assert_settles
from tests.support.wire import PASSWORD_CLEARTEXT, SASL, RawClient
from tidegate.demo.postgres import free_port
from tidegate.demo.processes import python_environment

Client = psycopg.Connection[tuple[object, ...]]
USERS = [{"name": name, "password": name} for name in ("tenant_a", "tenant_b")]


@pytest.fixture(params=[1, 2], ids=["1 worker", "2 workers"])
def proxy(request: pytest.FixtureRequest, postgres: Postgres, tenants: tuple[str, ...]) -> Iterator[Proxy]:
    settings = {"connection_borrow_timeout": 2}
    with Proxy(postgres, proxy=settings, target={"max_connections": 6}, top={"workers": request.param}) as proxy:
        yield proxy


@pytest.fixture
def one_worker(postgres: Postgres, tenants: tuple[str, ...]) -> Iterator[Proxy]:
    with Proxy(postgres, proxy={"connection_borrow_timeout": 2}, target={"max_connections": 6}) as proxy:
        yield proxy


def connect(proxy: Proxy, user: str = "tenant_a", database: str = "tenant_a") -> Client:
    return psycopg.connect(proxy.dsn(user, database), autocommit=True)


def served_at_once(proxy: Proxy, most: int, user: str = "tenant_a", database: str = "tenant_a") -> int:
    """How many of `most` clients can be inside a transaction at the same time."""
    return inside_at_once([connect(proxy, user, database) for _ in range(most)])


def refused(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 5).close()
    except ConnectionRefusedError:
        return True
    return False


# How it is asked for


def test_by_command(proxy: Proxy) -> None:
    command = [sys.executable, "-m", "tidegate", "reload", "--config", str(proxy.config_file)]
    proxy.databases["shop"] = {"database": "tenant_b"}
    proxy.write_config()
    done = subprocess.run(command, env=python_environment(), capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stdout, done.stderr) == (0, "reloaded\n", "")
    with connect(proxy, "tenant_a", "shop") as client:
        assert client.execute("SELECT tenant FROM whose").fetchone() == ("tenant_b",)
    proxy.config_file.write_text("[[proxy]]\nlisten = 5\n")
    done = subprocess.run(command, env=python_environment(), capture_output=True, text=True, timeout=30)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr


def test_by_signal(proxy: Proxy) -> None:
    proxy.databases["shop"] = {"database": "tenant_b"}
    proxy.write_config()
    os.kill(proxy.pid, signal.SIGHUP)
    wait_until(lambda: "reloaded" in proxy.stderr(), "the log says so")
    with connect(proxy, "tenant_a", "shop") as client:
        assert client.execute("SELECT tenant FROM whose").fetchone() == ("tenant_b",)


def test_many_signals_at_once(proxy: Proxy) -> None:
    for _ in range(30):
        os.kill(proxy.pid, signal.SIGHUP)
        time.sleep(0.005)
    assert proxy.reload()["ok"]
    assert served_at_once(proxy, 6) == 6


# What takes effect


def test_databases(proxy: Proxy) -> None:
    """A new one can be asked for, one that is no longer listed cannot; who is in stays."""
    with connect(proxy) as client:
        reload(proxy, databases={"tenant_b": {}})
        with pytest.raises(psycopg.OperationalError, match='database "tenant_a" does not exist'):
            connect(proxy)
        connect(proxy, "tenant_b", "tenant_b").close()
        assert client.execute("SELECT tenant FROM whose").fetchone() == ("tenant_a",)


def test_an_alias_that_leads_elsewhere(proxy: Proxy) -> None:
    reload(proxy, databases={"shop": {"database": "tenant_a"}})
    with connect(proxy, "tenant_a", "shop") as client:
        reload(proxy, databases={"shop": {"database": "tenant_b"}})
        assert client.execute("SELECT tenant FROM whose").fetchone() == ("tenant_a",)
        with connect(proxy, "tenant_a", "shop") as later:
            assert later.execute("SELECT tenant FROM whose").fetchone() == ("tenant_b",)


def test_users(proxy: Proxy) -> None:
    """From pass-through to a list, another password, and back."""
    reload(proxy, users=USERS[:1])
    connect(proxy).close()
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        connect(proxy, "tenant_b", "tenant_b")
    reload(proxy, users=USERS)
    connect(proxy, "tenant_b", "tenant_b").close()
    reload(proxy, users=[{"name": "tenant_a", "password": "wrong"}])
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        connect(proxy)
    reload(proxy, users=[])
    connect(proxy).close()
    connect(proxy, "tenant_b", "tenant_b").close()


def test_pool_size_of_a_database(one_worker: Proxy, postgres: Postgres) -> None:
    """For the pools that are in use, too, larger and smaller."""
    with connect(one_worker) as client:
        client.execute("SELECT 1")
        reload(one_worker, databases={"tenant_a": {"pool_size": 2}, "*": {}})
        assert served_at_once(one_worker, 4) == 2
        reload(one_worker, databases={"tenant_a": {"pool_size": 4}})
        assert served_at_once(one_worker, 6) == 4
        reload(one_worker, databases={"tenant_a": {"pool_size": 1}})
        wait_until(lambda: len(postgres.backends("tenant_a")) == 1, "those too many are closed")
        assert served_at_once(one_worker, 3) == 1
        assert client.execute("SELECT 1").fetchone() == (1,)


def test_pool_size_of_a_user(one_worker: Proxy) -> None:
    with connect(one_worker) as client:
        client.execute("SELECT 1")
        reload(one_worker, users=[{**USERS[0], "pool_size": 2}])
        assert served_at_once(one_worker, 4) == 2
        reload(one_worker, users=[{**USERS[0], "pool_size": 3}])
        assert served_at_once(one_worker, 4) == 3


def test_minimum_size(proxy: Proxy, postgres: Postgres) -> None:
    with connect(proxy) as client:
        client.execute("SELECT 1")
        reload(proxy, databases={"*": {"min_pool_size": 3}})
        wait_until(lambda: len(postgres.backends("tenant_a")) == 3, "the minimum is opened")


def test_limit_of_the_target(one_worker: Proxy, postgres: Postgres) -> None:
    """Lowered, servers are closed as they come back; raised, more are opened."""
    assert served_at_once(one_worker, 6) == 6
    reload(one_worker, target={"max_connections": 3})
    wait_until(lambda: len(postgres.backends("tenant_a")) <= 3, "those too many are closed")
    assert served_at_once(one_worker, 5) == 3
    reload(one_worker, target={"max_connections": 5})
    assert served_at_once(one_worker, 6) == 5


def test_share_of_the_databases_connections(postgres: Postgres, tenants: tuple[str, ...]) -> None:
    """100 connections less 3 reserved and the proxy's own; changed in both forms without a new server."""
    with Proxy(postgres) as proxy, connect(proxy) as client:
        client.execute("SELECT 1")

        def limit() -> int:
            return int(proxy.stats()["budgets"]["main"]["limit"])

        assert limit() == 96
        reload(proxy, target={"max_connections_percent": 50})
        assert limit() == 47
        del proxy.target["max_connections_percent"]
        reload(proxy, target={"max_connections": 7})
        assert limit() == 7
        del proxy.target["max_connections"]
        reload(proxy)
        assert limit() == 96


def test_times_and_modes(proxy: Proxy) -> None:
    """Settings of the proxy hold for clients that are in, from their next turn on."""
    with connect(proxy) as client:
        reload(proxy, proxy={"idle_client_timeout": 1})
        time.sleep(4)
        with pytest.raises(psycopg.OperationalError, match="idle-session timeout"):
            client.execute("SELECT 1")
    reload(proxy, proxy={"idle_client_timeout": 100, "pool_mode": "session"})
    assert served_at_once(proxy, 2) == 2
    sitters = [connect(proxy) for _ in range(7)]
    for sitter in sitters[:6]:
        sitter.execute("SELECT 1")
    with pytest.raises(psycopg.OperationalError, match="Timed-out waiting"):
        sitters[6].execute("SELECT 1")
    for sitter in sitters:
        sitter.close()


def test_init_query_of_later_servers(proxy: Proxy) -> None:
    """Servers that were opened under the old init_query are not lent under the new one."""
    reload(proxy, proxy={"init_query": "SET work_mem = '7MB'"})
    with connect(proxy) as client:
        assert client.execute("SHOW work_mem").fetchone() == ("7MB",)
        reload(proxy, proxy={"init_query": "SET work_mem = '8MB'"})
        with connect(proxy) as later:
            assert later.execute("SHOW work_mem").fetchone() == ("8MB",)


def test_own_login(proxy: Proxy, postgres: Postgres) -> None:
    """Another login of the proxy's own is used from then on; the connection that stands is closed."""
    reload(proxy, proxy={"login_timeout": 1})
    connect(proxy).close()
    postgres.sql("DROP ROLE IF EXISTS reload_own")
    postgres.add_role("reload_own", "SUPERUSER")
    reload(proxy, target={"user": "reload_own", "password": "reload_own"})
    connect(proxy).close()
    wait_until(lambda: postgres.backends("reload_own"), "the new login reads the users")
    reload(proxy, target={"user": "postgres", "password": proxy_password(postgres)})
    connect(proxy).close()
    wait_until(lambda: not postgres.backends("reload_own"), "the old login's connection is closed")
    postgres.sql("DROP ROLE reload_own")


def proxy_password(postgres: Postgres) -> str:
    return str(target_address(postgres)["password"])


AUTH_QUERY = "SELECT rolname, rolpassword FROM pg_catalog.pg_authid WHERE rolname = $1 AND rolname <> 'tenant_b'"


def test_auth_query(proxy: Proxy) -> None:
    connect(proxy, "tenant_b", "tenant_b").close()
    reload(proxy, target={"auth_query": AUTH_QUERY})
    connect(proxy).close()
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        connect(proxy, "tenant_b", "tenant_b")


# Listeners


def test_listen_addresses(proxy: Proxy, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A new address serves, a removed one refuses, and clients of both stay."""
    folder = tmp_path_factory.mktemp("u")
    old, new = proxy.port, free_port()
    with connect(proxy) as client:
        reload(proxy, proxy={"listen": [f"127.0.0.1:{new}", str(folder)]})
        assert refused(old)
        with psycopg.connect(dsn("127.0.0.1", new, "tenant_a", "tenant_a")) as later:
            assert later.execute("SELECT 1").fetchone() == (1,)
        path = f"host={folder} port={new} user=tenant_a password=tenant_a dbname=tenant_a"
        with psycopg.connect(path) as local:
            reload(proxy, proxy={"listen": [f"127.0.0.1:{new}"]})
            assert not (folder / f".s.PGSQL.{new}").exists()
            assert local.execute("SELECT 1").fetchone() == (1,)
        assert client.execute("SELECT 1").fetchone() == (1,)


def test_a_wider_address_with_the_same_port(proxy: Proxy) -> None:
    """From one interface to all, which the kernel takes for one and the same port."""
    port = free_port()
    reload(proxy, proxy={"listen": [f"127.0.0.1:{port}"]})
    reload(proxy, proxy={"listen": [f"0.0.0.0:{port}"]})
    for host in ("127.0.0.1", "127.0.0.3"):
        psycopg.connect(dsn(host, port, "tenant_a", "tenant_a")).close()
    reload(proxy, proxy={"listen": [f"127.0.0.1:{port}"]})
    psycopg.connect(dsn("127.0.0.1", port, "tenant_a", "tenant_a")).close()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(dsn("127.0.0.3", port, "tenant_a", "tenant_a"))


def test_a_proxy_comes_and_goes(proxy: Proxy) -> None:
    port = free_port()
    second = {"name": "second", "listen": [f"127.0.0.1:{port}"], "target": "main"}
    reload(proxy, proxies=[second])
    with psycopg.connect(dsn("127.0.0.1", port, "tenant_a", "tenant_a"), autocommit=True) as client:
        client.execute("SELECT 1")
        reload(proxy, proxies=[])
        assert refused(port)
        assert client.execute("SELECT 1").fetchone() == (1,)
    reload(proxy, proxies=[second])
    psycopg.connect(dsn("127.0.0.1", port, "tenant_a", "tenant_a")).close()


def test_an_address_moves_to_another_proxy(proxy: Proxy) -> None:
    """Its socket stays; who connects is treated as the other proxy says."""
    port = free_port()
    first = {"name": "second", "listen": [f"127.0.0.1:{port}"], "target": "main"}
    reload(proxy, proxies=[first])
    with psycopg.connect(dsn("127.0.0.1", port, "tenant_a", "tenant_a"), autocommit=True) as client:
        assert asked_for(port) == SASL
        reload(proxy, proxies=[{**first, "name": "third", "auth_method": "password"}])
        assert asked_for(port) == PASSWORD_CLEARTEXT
        psycopg.connect(dsn("127.0.0.1", port, "tenant_a", "tenant_a")).close()
        assert client.execute("SELECT 1").fetchone() == (1,)


def asked_for(port: int) -> int:
    """The kind of authentication that is asked for at that port."""
    with RawClient("127.0.0.1", port) as client:
        client.send(m.startup({"user": "tenant_a", "database": "tenant_a"}))
        return int.from_bytes(client.read().body[:4], "big")


# What does not change


BROKEN: dict[str, tuple[Callable[[Proxy], object], str]] = {
    "syntax": (lambda proxy: proxy.config_file.write_text("[[proxy\n"), "is not valid TOML"),
    "unknown setting": (lambda proxy: _rewrite(proxy, proxy={"pool_size": 5}), '[[proxy]] "main": pool_size: unknown'),
    "out of bounds": (
        lambda proxy: _rewrite(proxy, proxy={"login_timeout": 0}),
        '[[proxy]] "main": login_timeout = 0: must be 1 to 300 seconds',
    ),
    "unknown target": (lambda proxy: _rewrite(proxy, proxy={"target": "mian"}), "did you mean main?"),
    "address in use": (
        lambda proxy: _rewrite(proxy, proxy={"listen": [f"127.0.0.1:{proxy.postgres.port}"]}),
        '[[proxy]] "main": listen: cannot listen on',
    ),
    "missing": (lambda proxy: proxy.config_file.unlink(), "tidegate.toml"),
}


def _rewrite(proxy: Proxy, /, **changes: dict[str, Any]) -> None:
    kept = {name: dict(getattr(proxy, name)) for name in changes}
    for name, change in changes.items():
        getattr(proxy, name).update(change)
    proxy.write_config()
    for name, value in kept.items():
        setattr(proxy, name, value)


@pytest.mark.parametrize(("break_it", "said"), BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_file_changes_nothing(
    postgres: Postgres, tenants: tuple[str, ...], break_it: Callable[[Proxy], object], said: str
) -> None:
    """The answer and the log name the setting."""
    with Proxy(postgres, target={"max_connections": 2}) as proxy, connect(proxy) as client:
        break_it(proxy)
        answer = proxy.command("reload")
        assert not answer["ok"]
        assert said in answer["error"]
        os.kill(proxy.pid, signal.SIGHUP)
        wait_until(lambda: proxy.stderr().count(said) == 2, "the log says so for both")
        assert client.execute("SELECT 1").fetchone() == (1,)
        connect(proxy).close()


def test_what_needs_a_restart(proxy: Proxy, tmp_path: Path) -> None:
    before = len(proxy.workers())
    other = tmp_path / "control"
    said = reload(proxy, top={"workers": 5, "control_socket": str(other)})
    assert f"workers = 5 needs a restart; it stays {before}" in said
    assert f"control_socket = {other} needs a restart; it stays {proxy.control_socket}" in said
    assert len(proxy.workers()) == before


def test_clients_under_load_notice_nothing(proxy: Proxy, postgres: Postgres) -> None:
    """Ten reloads of all kinds amid transactions: no error, and the limit holds."""
    ports = [free_port(), free_port()]
    with Watch(postgres.dsn(), "tenant_a") as watch, Churn(proxy.dsn("tenant_a", "tenant_a"), rotators=8) as churn:
        # The churn's own address stays; everything else changes.
        for round_ in range(10):
            before = churn.transactions
            reload(
                proxy,
                proxy={
                    "listen": ["127.0.0.1:0", f"127.0.0.1:{ports[round_ % 2]}"],
                    "idle_client_timeout": 100 + round_,
                },
                databases={"*": {"pool_size": 4 + round_ % 3}},
                target={"max_connections": 4 + round_ % 3},
            )
            wait_until(lambda before=before: churn.transactions > before + 20, "work goes on")  # type: ignore[misc]
    assert watch.highest <= 6
    assert_settles(postgres.dsn(), "tenant_a", 6)
