"""Several workers, one limit: watched at the database while clients come and go, workers start, and one is killed."""

from __future__ import annotations

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support import messages as m
from tests.support.counted import USER, proxied_side
from tests.support.crowd import Crowd
from tests.support.fixtures import superuser
from tests.support.postgres import Postgres
from tests.support.tidegate import Proxy, wait_until
from tests.support.watch import Watch, assert_settles
from tests.support.wire import ConnectionEnded, RawClient, ServerError, send_cancel, sqlstates

CLIENTS = 200
LIMIT = 10
WORKERS = pytest.mark.parametrize("workers", [2, 4])


@WORKERS
def test_limit_while_clients_churn(postgres: Postgres, wire_role: str, workers: int) -> None:
    """200 clients from the first moment on, one worker killed amid them: never one server more than the limit."""
    with (
        Watch(postgres.dsn(), USER) as watch,
        Proxy(postgres, target={"max_connections": LIMIT}, top={"workers": workers}) as proxy,
    ):
        crowd = Crowd(proxied_side(proxy, LIMIT), CLIENTS)
        try:
            crowd.wait_for(CLIENTS)
            assert (crowd.lost, crowd.refused) == ([], [])
            for index in range(2):
                proxy.kill_worker(index)
                crowd.wait_for(CLIENTS)
                wait_until(lambda: len(proxy.workers()) == workers, "all workers are there again")
        finally:
            crowd.end()
        assert crowd.refused == []
        assert 0 < len(crowd.lost) <= 2 * CLIENTS
        assert_settles(postgres.dsn(), USER, LIMIT)
        stats = proxy.stats()
        assert stats["budgets"]["main"]["limit"] == LIMIT
        assert stats["supervisor"]["worker_restarts"] == 2
    assert 1 < watch.highest <= LIMIT
    assert watch.looks > 50


@WORKERS
def test_limit_of_a_share_while_starting(postgres: Postgres, wire_role: str, workers: int) -> None:
    """The database's own limit is unknown at first, and every worker learns it at once: the share holds throughout."""
    with Postgres(max_connections=20) as small:
        small.start()
        superuser(small, USER)
        percent = 40
        most = 17 * percent // 100
        with (
            Watch(small.dsn(), USER) as watch,
            Proxy(small, target={"max_connections_percent": percent}, top={"workers": workers}) as proxy,
        ):
            side = proxied_side(proxy, most)
            crowd = Crowd(side, 100)
            try:
                crowd.wait_for(300)
            finally:
                crowd.end()
            assert (crowd.lost, crowd.refused) == ([], [])
            assert proxy.stats()["budgets"]["main"]["limit"] == max(1, most - workers)
        assert 1 <= watch.highest <= max(1, most - workers)


@WORKERS
def test_statistics_are_the_sum_of_the_workers(postgres: Postgres, wire_role: str, workers: int) -> None:
    with Proxy(postgres, target={"max_connections": 4}, top={"workers": workers}) as proxy:
        side = proxied_side(proxy, 4)
        clients = [side.login() for _ in range(40)]
        for client in clients:
            client.query("SELECT 1")
        stats = proxy.stats()
        parts = stats["workers"]
        assert [part["worker"] for part in parts] == list(range(workers))
        assert (stats["clients"], stats["logins"], stats["queries"]) == (40, 40, 40)
        assert sum(part["clients"] > 0 for part in parts) > 1
        for name in ("clients", "logins", "queries", "transactions", "bytes_sent", "servers_opened"):
            assert stats[name] == sum(part[name] for part in parts)
        assert stats["servers_limit_max"] == 4
        (pool,) = stats["pools"]
        assert (pool["database"], pool["user"]) == (USER, USER)
        assert pool["servers"] == stats["budgets"]["main"]["used"] == len(postgres.backends(USER))
        for client in clients:
            client.quit()


@WORKERS
def test_cancel_by_any_worker_hits_its_own_client_only(postgres: Postgres, wire_role: str, workers: int) -> None:
    """20 clients run; every second one is cancelled, by connections that land anywhere; a wrong key does nothing."""
    with Proxy(postgres, target={"max_connections": 20}, top={"workers": workers}) as proxy:
        side = proxied_side(proxy, 20)
        clients = [side.login() for _ in range(20)]
        for client in clients:
            client.send(m.query("SELECT pg_sleep(6)"))
        wait_until(lambda: running(postgres) == 20, "all run")
        for client in clients:
            send_cancel(client.host, client.port, client.pid, bytes(byte ^ 1 for byte in client.key))
        with ThreadPoolExecutor(10) as pool:
            list(pool.map(RawClient.cancel, clients[::2]))
        for at, client in enumerate(clients):
            assert sqlstates(client.read_ready()) == (["57014"] if at % 2 == 0 else [])
            client.quit()


@WORKERS
def test_cancel_of_one_who_waits_at_another_worker(postgres: Postgres, wire_role: str, workers: int) -> None:
    with Proxy(postgres, target={"max_connections": 1}, top={"workers": workers}) as proxy:
        side = proxied_side(proxy, 1)
        side.login().quit()  # from which all workers know the database's parameters
        with side.login() as holder:
            holder.query("BEGIN")
            for _ in range(8):
                with side.login() as waiting:
                    waiting.send(m.query("SELECT 1"))
                    time.sleep(0.05)
                    waiting.cancel()
                    assert sqlstates(waiting.read_ready()) == ["57014"]
            holder.query("COMMIT")


def test_cancel_at_a_dead_worker(postgres: Postgres, wire_role: str) -> None:
    """The key's worker has been replaced: the request is dropped, whoever is there now is not disturbed."""
    with Proxy(postgres, target={"max_connections": 4}, top={"workers": 2}) as proxy:
        side = proxied_side(proxy, 4)
        old = [side.login() for _ in range(8)]
        for index in (0, 1):
            pid = proxy.kill_worker(index)
            wait_until(lambda pid=pid: len(set(proxy.workers()) - {pid}) == 2, "a new worker")  # type: ignore[misc]
        new = [side.login() for _ in range(4)]
        for client in new:
            client.send(m.query("SELECT pg_sleep(3)"))
        wait_until(lambda: running(postgres) == 4, "all run")
        for client in old:
            client.cancel()
        assert [sqlstates(client.read_ready()) for client in new] == [[]] * 4
        for client in new:
            client.quit()


@WORKERS
def test_backlog_of_a_stopped_and_killed_worker(postgres: Postgres, wire_role: str, workers: int) -> None:
    """Who had connected to a worker that never accepted them is served by its successor."""
    with Proxy(postgres, target={"max_connections": 4}, top={"workers": workers}) as proxy:
        side = proxied_side(proxy, 4)
        pid = proxy.workers()[0]
        os.kill(pid, signal.SIGSTOP)
        clients = [side.open() for _ in range(40)]  # accepted by the kernel, a part of them for the stopped worker
        for client in clients:
            client.send(m.startup({"user": USER, "database": USER}))
        time.sleep(0.3)
        os.kill(pid, signal.SIGKILL)
        for client in clients:
            client.authenticate(USER, USER)
            assert client.value("SELECT 1") == "1"
            client.quit()
        accepted = [worker["clients_accepted"] for worker in proxy.stats()["workers"]]
        assert accepted[0] > 0


@WORKERS
def test_most_clients_over_all_workers(postgres: Postgres, wire_role: str, workers: int) -> None:
    """max_client_connections is one number for all workers, wherever the kernel sends the clients."""
    most = 2 * workers
    with Proxy(postgres, proxy={"max_client_connections": most}, top={"workers": workers}) as proxy:
        side = proxied_side(proxy)
        for _ in range(3):
            clients = [side.login() for _ in range(most)]
            with pytest.raises(ServerError, match="too many clients"):
                side.login()
            for client in clients:
                client.quit()
            wait_until(lambda: proxy.stats()["clients"] == 0, "they have left")
        clients = [side.login() for _ in range(most)]
        proxy.kill_worker(0)
        wait_until(lambda: len(proxy.workers()) == workers, "a new worker")
        alive = [client for client in clients if is_there(client)]
        clients = [side.login() for _ in range(most - len(alive))]
        with pytest.raises(ServerError, match="too many clients"):
            side.login()
        for client in (*alive, *clients):
            client.quit()


def running(postgres: Postgres) -> int:
    """Backends of these tests that run a pg_sleep."""
    return len(postgres.sql("SELECT 1 FROM pg_stat_activity WHERE usename = %s AND wait_event = 'PgSleep'", [USER]))


def is_there(client: RawClient) -> bool:
    try:
        return client.value("SELECT 1") == "1"
    except (ConnectionEnded, ConnectionError):
        return False
