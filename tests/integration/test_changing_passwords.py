"""A role's password changes beneath clients: with both in the settings nobody is refused, and no statement fails."""

from __future__ import annotations

import time
from collections.abc import Iterator

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
