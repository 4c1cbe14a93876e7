"""A role's password changes beneath clients: with both in the settings nobody is refused, and no statement fails."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.support.load import Load
from tests.support.postgres import Postgres
from tests.support.tidegate import Proxy


@pytest.fixture
def role(postgres: Postgres) -> Iterator[str]:
    postgres.sql("CREATE ROLE rotated LOGIN PASSWORD 'first'")
    yield "rotated"
    postgres.sql("DROP ROLE rotated")


@pytest.mark.parametrize("method", ["scram-sha-256", "md5", "password"])
def test_nobody_is_refused(postgres: Postgres, role: str, method: str) -> None:
    user = {"name": role, "password": "first", "other_passwords": ["second"]}
    # Servers live a second, so that new ones log in all the time.
    target = {"max_connections": 3, "server_lifetime": 1}
    with Proxy(postgres, proxy={"auth_method": method}, target=target, users=[user], top={"workers": 2}) as proxy:
        passwords = ["first", "second"]

        def connect(client: int) -> psycopg.Connection[tuple[object, ...]]:
            password = passwords[client % len(passwords)]
            return psycopg.connect(proxy.dsn(role, "postgres", password), autocommit=True)

        with Load(connect, role) as busy:
            for password in ("second", "first", "second"):
                time.sleep(1.5)
                postgres.sql(f"ALTER ROLE {role} PASSWORD '{password}'")
            time.sleep(1.5)
            proxy.users = [{"name": role, "password": "second"}]
            passwords = ["second"]
            time.sleep(1)
            assert proxy.reload()["ok"]
            time.sleep(1)
        assert busy.failures == []
        assert busy.served > 50
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(proxy.dsn(role, "postgres", "first"))


def test_a_password_file_changes_before_the_database(postgres: Postgres, role: str, tmp_path: Path) -> None:
    """Nobody tells the proxy. Clients have the password of before until they learn of the new one."""
    path = tmp_path / "password"
    path.touch(mode=0o600)
    path.write_text("first\n")
    target = {"max_connections": 3, "server_lifetime": 1}
    users = [{"name": role, "password_file": str(path)}]
    with Proxy(postgres, target=target, users=users, top={"workers": 2}) as proxy:
        passwords = ["first"]

        def connect(client: int) -> psycopg.Connection[tuple[object, ...]]:
            return psycopg.connect(proxy.dsn(role, "postgres", passwords[client % len(passwords)]), autocommit=True)

        with Load(connect, role) as busy:
            for former, password in (("first", "second"), ("second", "third")):
                time.sleep(1)
                path.write_text(f"{password}\n")
                passwords = [former, password]
                time.sleep(1.5)
                postgres.sql(f"ALTER ROLE {role} PASSWORD '{password}'")
                time.sleep(2)
                passwords = [password]
        assert busy.failures == []
        assert busy.served > 50
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(proxy.dsn(role, "postgres", "fourth"))


def test_the_proxys_own_password_file(postgres: Postgres, role: str, tmp_path: Path) -> None:
    """It reads the roles of clients that are not listed, and learns at a refusal that its password is another."""
    path = tmp_path / "password"
    path.touch(mode=0o600)
    path.write_text("first")
    postgres.sql(f"ALTER ROLE {role} SUPERUSER")
    made = Proxy(postgres, proxy={"pass_through": True}, target={"user": role, "password_file": str(path)})
    del made.target["password"]
    with made as proxy:
        with psycopg.connect(proxy.dsn("app", "app")) as client:
            client.execute("SELECT 1")
        postgres.sql(f"ALTER ROLE {role} PASSWORD 'second'")
        path.write_text("second")
        postgres.sql("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = %s", [role])
        postgres.sql("CREATE ROLE newcomer LOGIN PASSWORD 'newcomer'")
        try:
            with psycopg.connect(proxy.dsn("newcomer", "postgres", "newcomer")) as client:
                client.execute("SELECT 1")
        finally:
            postgres.sql("DROP ROLE newcomer")


def test_one_user_alone_is_refused(postgres: Postgres, role: str) -> None:
    """Neither password is right at the database: others are served meanwhile, without a pause."""
    users = [
        {"name": role, "password": "wrong", "other_passwords": ["as wrong"]},
        {"name": "app", "password": "app"},
    ]
    with Proxy(postgres, users=users, target={"max_connections": 3}) as proxy:
        for _ in range(3):
            with pytest.raises(psycopg.OperationalError, match='password authentication failed for user "rotated"'):
                psycopg.connect(proxy.dsn(role, "postgres", "wrong"))
            began = time.monotonic()
            with psycopg.connect(proxy.dsn("app", "app")) as client:
                client.execute("SELECT 1")
            assert time.monotonic() - began < 5
