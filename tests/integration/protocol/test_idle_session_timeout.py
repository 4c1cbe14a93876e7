"""idle_session_timeout, wherever the database has it from: it ends idle clients, and never a pool's servers.

PostgreSQL documentation, "Client Connection Defaults"; servers keep the setting, so SHOW says what it says directly.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from tests.support.churn import Churn
from tests.support.postgres import Postgres
from tests.support.sides import Side
from tests.support.tidegate import Proxy, wait_until
from tests.support.wire import RawClient, errors
from tidegate.demo.postgres import SUPERUSER

ROLE = "idler"
LIMIT = 1.0  # seconds
SERVERS = 3

ORIGINS: dict[str, Callable[[Postgres], None]] = {
    "postgresql.conf": lambda postgres: None,
    "ALTER SYSTEM": lambda postgres: alter_system(postgres, "1s"),
    "ALTER DATABASE": lambda postgres: change(postgres, "ALTER DATABASE postgres SET idle_session_timeout = '1s'"),
    "ALTER ROLE": lambda postgres: change(postgres, f"ALTER ROLE {ROLE} SET idle_session_timeout = '1s'"),
}


def change(postgres: Postgres, statement: str) -> None:
    postgres.sql(statement)


def alter_system(postgres: Postgres, value: str) -> None:
    postgres.sql(f"ALTER SYSTEM SET idle_session_timeout = '{value}'")
    postgres.sql("SELECT pg_reload_conf()")


def pool(postgres: Postgres, **target: object) -> Proxy:
    return Proxy(postgres, target={"max_connections": SERVERS, "max_idle_connections_percent": 100, **target})


def side_of(proxy: Proxy) -> Side:
    return Side("proxied", proxy.host, proxy.port, ROLE, ROLE, "postgres", SERVERS)


def ended_after(client: RawClient) -> float:
    """Seconds until an idle client is told to go, with PostgreSQL's own error."""
    began = time.monotonic()
    (error,) = errors(client.read_to_end())
    assert (error["S"], error["C"]) == ("FATAL", "57P05")
    assert error["M"] == "terminating connection due to idle-session timeout"
    return time.monotonic() - began


def lost_servers(proxy: Proxy) -> int:
    return int(proxy.stats().get("servers_closed_lost", 0))


@pytest.fixture(params=ORIGINS)
def limited(request: pytest.FixtureRequest) -> Iterator[Postgres]:
    """A database with the setting from one of its origins, and a role that has nothing else."""
    settings: dict[str, str | int] = {"idle_session_timeout": "1s"} if request.param == "postgresql.conf" else {}
    with Postgres(settings=settings) as postgres:
        postgres.start()
        postgres.add_role(ROLE)
        ORIGINS[request.param](postgres)
        yield postgres


def test_every_origin_under_churn(limited: Postgres) -> None:
    """Idle clients go when they would directly, busy ones stay, the servers outlive the limit by far."""
    with pool(limited) as proxy:
        side = side_of(proxy)
        with Churn(proxy.dsn(ROLE), rotators=4), side.login() as busy:
            idle = side.login()
            assert idle.value("SHOW idle_session_timeout") == "1s"
            for _ in range(8):
                assert busy.value("SELECT current_setting('idle_session_timeout')") == "1s"
                time.sleep(LIMIT / 6)
            ended_after(idle)
        before = limited.backends(ROLE)
        assert len(before) == SERVERS
        time.sleep(2 * LIMIT)
        assert limited.backends(ROLE) == before
        assert lost_servers(proxy) == 0
        client = side.login()
        client.query("SELECT 1")
        assert LIMIT * 0.9 <= ended_after(client) < LIMIT + 4
        assert limited.backends(ROLE) == before


def test_show_and_reset_say_what_they_say_directly(limited: Postgres) -> None:
    with pool(limited) as proxy:
        seen = []
        for side in (Side("direct", limited.host, limited.port, ROLE, ROLE, "postgres", 1), side_of(proxy)):
            with side.login() as client:
                told = [client.value("SHOW idle_session_timeout")]
                client.query("SET idle_session_timeout = '1h'")
                told.append(client.value("SHOW idle_session_timeout"))
                client.query("RESET idle_session_timeout")
                told.append(client.value("SHOW idle_session_timeout"))
                client.query("DISCARD ALL")
                about = "SELECT setting || ' ' || reset_val || ' ' || source FROM pg_settings WHERE name = "
                told.append(client.value(about + "'idle_session_timeout'"))
                seen.append(told)
        assert seen[0] == seen[1]


@pytest.mark.parametrize("limited", ["ALTER SYSTEM"], indirect=True)
def test_a_client_may_set_its_own(limited: Postgres) -> None:
    with pool(limited) as proxy:
        with side_of(proxy).login() as patient:
            patient.query("SET idle_session_timeout = 0")
            assert patient.silent(LIMIT + 1.5)
            assert patient.value("SHOW idle_session_timeout") == "0"
            patient.query("RESET idle_session_timeout")
            assert LIMIT * 0.9 <= ended_after(patient) < LIMIT + 4
        assert lost_servers(proxy) == 0


def test_a_very_short_limit() -> None:
    """Shorter than the proxy's tick: servers are seen to at once."""
    with Postgres(settings={"idle_session_timeout": "60ms"}) as postgres:
        postgres.start()
        postgres.add_role(ROLE)
        with pool(postgres) as proxy:
            side = side_of(proxy)
            for _ in range(5):
                client = side.login()
                client.query("SELECT 1")
                ended_after(client)
                time.sleep(0.3)
            assert len(postgres.backends(ROLE)) == 1
            assert lost_servers(proxy) == 0


def test_a_minimum_pool_stands() -> None:
    """Servers that nobody has used yet are idle too."""
    with Postgres(settings={"idle_session_timeout": "700ms"}) as postgres:
        postgres.start()
        postgres.add_role(ROLE)
        with Proxy(postgres, target={"max_connections": 4}, databases={"postgres": {"min_pool_size": 2}}) as proxy:
            with side_of(proxy).login() as client:
                client.query("SELECT 1")
                wait_until(lambda: len(postgres.backends(ROLE)) == 2, "the minimum is opened")
            before = postgres.backends(ROLE)
            time.sleep(2)
            assert postgres.backends(ROLE) == before


def test_a_reload_of_the_database_reaches_servers_that_are_open() -> None:
    """The pool is asked while it is used: no server is lost, and clients that are there come under the new limit."""
    with Postgres() as postgres:
        postgres.start()
        postgres.add_role(ROLE)
        with pool(postgres) as proxy:
            side = side_of(proxy)
            clients = [side.login() for _ in range(SERVERS)]
            for client in clients:
                client.query("BEGIN")
            for client in clients:
                client.query("COMMIT")
            before = postgres.backends(ROLE)
            assert len(before) == SERVERS
            alter_system(postgres, "3s")
            for _ in range(2):  # a reload reaches a backend when it has read its next message
                for client in clients:
                    client.query("BEGIN")
                for client in clients:
                    client.query("COMMIT")
            assert ended_after(clients[0]) + 0.5 >= 3
            for client in clients[1:]:
                ended_after(client)
            time.sleep(1)
            assert postgres.backends(ROLE) == before
            alter_system(postgres, "0")
            with side.login() as patient:
                for _ in range(4):
                    assert patient.value("SELECT 1") == "1"
                    time.sleep(1)
                assert patient.value("SHOW idle_session_timeout") == "0"
                assert patient.silent(4.5)
            assert postgres.backends(ROLE) == before


def test_pass_through_logins_outlast_it() -> None:
    """The connection by which the proxy reads roles is idle between logins."""
    with Postgres(settings={"idle_session_timeout": "300ms"}) as postgres:
        postgres.start()
        postgres.add_role(ROLE)
        with pool(postgres, verifier_cache_ttl=0) as proxy:
            readers = set()
            for _ in range(3):
                with side_of(proxy).login() as client:
                    client.query("SELECT 1")
                readers.update(postgres.backends(SUPERUSER))
                time.sleep(0.8)
            assert len(readers) == 1
            assert lost_servers(proxy) == 0
