"""From boto3 to a query: what a team does in its first hour, with the API, the proxy and a PostgreSQL as they are."""

from __future__ import annotations

import asyncio
import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import psycopg
import pytest

from tests.support.load import Load
from tests.support.postgres import Postgres
from tests.support.stack import Stack, policy
from tests.support.tidegate import wait_until
from tidegate.cli import PASSPHRASE_VARIABLE
from tidegate.control.store.sealed import KEY_FILE
from tidegate.demo import processes


@pytest.fixture(scope="module")
def database() -> Iterator[Postgres]:
    with Postgres(max_connections=60) as server:
        server.start()
        server.add_role("app")
        yield server


@pytest.fixture
def stack(database: Postgres) -> Iterator[Stack]:
    database.sql("ALTER ROLE app PASSWORD 'app'")
    with Stack() as made:
        made.register(database)
        yield made


WORKING = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'app' AND state = 'active'"


def login(stack: Stack, proxy: dict[str, Any], user: str = "fn") -> dict[str, str]:
    """A user of IAM that may connect as `app`; an access key."""
    iam = stack.client("iam")
    iam.create_user(UserName=user)
    identifier = proxy["DBProxyArn"].rpartition(":")[2]
    resource = f"arn:aws:rds-db:us-east-1:{stack.account}:dbuser:{identifier}/app"
    iam.put_user_policy(UserName=user, PolicyName="db", PolicyDocument=policy("rds-db:connect", resource))
    return dict(iam.create_access_key(UserName=user)["AccessKey"])


def token(stack: Stack, key: dict[str, str], endpoint: str) -> str:
    return str(stack.client("rds", key).generate_db_auth_token(endpoint, 5432, "app"))


def load(stack: Stack, endpoint: str, password: Callable[[], str]) -> Load:
    return Load(lambda _: stack.connect(endpoint, "app", password()), "app", asks=10, pause=0.005)


def test_a_passphrase_is_the_supervisors_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """It seals the secrets from one start to the next, in place of a key file; no worker is started with it."""
    monkeypatch.setenv(PASSPHRASE_VARIABLE, "canary")
    with Stack() as stack:
        stack.client("secretsmanager").create_secret(Name="a", SecretString="value")
        assert not (stack.data / KEY_FILE).exists()
        workers = processes.children(stack.pid)
        assert workers
        assert [pid for pid in workers if b"canary" in Path(f"/proc/{pid}/environ").read_bytes()] == []
        stack.kill()
        stack.start()
        assert stack.client("secretsmanager").get_secret_value(SecretId="a")["SecretString"] == "value"
        assert "canary" not in stack.said()


def test_first_hour(stack: Stack, database: Postgres) -> None:
    """A secret, a role, a proxy with IAM and TLS, a token, queries; rotation under load; a revoked policy; kill -9."""
    secret = stack.secret(database, "app", "app")
    proxy = stack.proxy("orders", stack.role(), secret, iam=True, RequireTLS=True)
    endpoint = proxy["Endpoint"]
    key = login(stack, proxy)

    with stack.connect(endpoint, "app", token(stack, key, endpoint)) as client:
        assert client.execute("SELECT current_user").fetchone() == ("app",)

    async def by_asyncpg() -> Any:
        context = ssl.create_default_context(cafile=stack.ca)
        client = await asyncpg.connect(
            host=endpoint, user="app", password=token(stack, key, endpoint), database="postgres", ssl=context
        )
        try:
            return await client.fetchval("SELECT $1::int + 1", 41)
        finally:
            await client.close()

    assert asyncio.run(by_asyncpg()) == 42

    shared = token(stack, key, endpoint)
    with load(stack, endpoint, lambda: shared) as clients:
        time.sleep(1)
        stack.rotate(secret)
        stack.rotate(secret)
        time.sleep(1)
    assert clients.failures == []
    assert clients.served > 10
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(database.dsn("app", "postgres", "app"))

    # Killed amid everything, and started again: all of it is there.
    stack.kill()
    stack.start()
    wait_until(lambda: stack.serves("orders"), "it serves again", 30)
    assert stack.described("orders")["Endpoint"] == endpoint
    with stack.connect(endpoint, "app", token(stack, key, endpoint)) as client:
        stack.client("iam").delete_user_policy(UserName="fn", PolicyName="db")
        with pytest.raises(psycopg.OperationalError, match='IAM authentication failed for the role "app"'):
            stack.connect(endpoint, "app", token(stack, key, endpoint))
        assert client.execute("SELECT 'still in'").fetchone() == ("still in",)
    with pytest.raises(psycopg.OperationalError, match="requires TLS"):
        stack.connect(endpoint, "app", "x", sslmode="disable")


def test_passwords_rotate_under_load(stack: Stack, database: Postgres) -> None:
    """Clients with the secret's password: those who have the old one are let in for a time."""
    secret = stack.secret(database, "app", "app")
    endpoint = stack.proxy("plain", stack.role(), secret)["Endpoint"]
    secrets = stack.client("secretsmanager")

    def current() -> str:
        return str(json.loads(secrets.get_secret_value(SecretId=secret)["SecretString"])["password"])

    slept: list[object] = []

    def work() -> None:
        with stack.connect(endpoint, "app", old) as client:
            slept.append(client.execute("SELECT pg_sleep(0.3)").fetchone())

    old = current()
    with load(stack, endpoint, lambda: old) as with_old, load(stack, endpoint, current) as fresh:
        time.sleep(0.5)
        stack.rotate(secret)
        crowd = [threading.Thread(target=work) for _ in range(12)]  # so that new servers log in
        for thread in crowd:
            thread.start()
        for thread in crowd:
            thread.join()
    assert len(slept) == 12
    assert with_old.failures == []
    assert fresh.failures == []
    assert current() != old
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        stack.connect(endpoint, "app", "neither")


def test_the_pools_size_acts_at_once(stack: Stack, database: Postgres) -> None:
    secret = stack.secret(database, "app", "app")
    endpoint = stack.proxy("sized", stack.role(), secret)["Endpoint"]
    rds = stack.client("rds")

    def most_at_once() -> int:
        """Servers that work at the same time for twenty clients."""

        def work() -> None:
            with stack.connect(endpoint, "app", "app") as client:
                client.execute("SELECT pg_sleep(0.2)")

        threads = [threading.Thread(target=work) for _ in range(20)]
        for thread in threads:
            thread.start()
        most = 0
        while any(thread.is_alive() for thread in threads):
            ((count,),) = database.sql(WORKING)
            most = max(most, int(count))
        return most

    def resize(percent: int) -> None:
        rds.modify_db_proxy_target_group(
            DBProxyName="sized",
            TargetGroupName="default",
            ConnectionPoolConfig={"MaxConnectionsPercent": percent, "MaxIdleConnectionsPercent": 0},
        )
        wait_until(lambda: stack.serves("sized"), "the change is applied", 10)

    assert most_at_once() > 10
    resize(5)
    assert most_at_once() <= 3
    resize(100)
    assert most_at_once() > 10


def test_a_deleted_proxys_clients_go_and_others_stay(stack: Stack, database: Postgres) -> None:
    secret, role = stack.secret(database, "app", "app"), stack.role()
    first = stack.proxy("first", role, secret)["Endpoint"]
    second = stack.proxy("second", role, secret)["Endpoint"]
    assert first != second
    rds = stack.client("rds")
    with stack.connect(first, "app", "app") as leaving, stack.connect(second, "app", "app") as staying:
        leaving.execute("SELECT 1")
        staying.execute("SET application_name = 'stays'")
        rds.modify_db_proxy(DBProxyName="second", NewDBProxyName="renamed", IdleClientTimeout=600)
        rds.delete_db_proxy(DBProxyName="first")
        wait_until(
            lambda: [one["DBProxyName"] for one in rds.describe_db_proxies()["DBProxies"]] == ["renamed"], "gone"
        )
        with pytest.raises(psycopg.OperationalError):
            leaving.execute("SELECT 1")
        assert staying.execute("SHOW application_name").fetchone() == ("stays",)
    with pytest.raises(psycopg.OperationalError, match=r"[Cc]onnection refused"):
        stack.connect(first, "app", "app")
    with stack.connect(second, "app", "app") as client:
        assert client.execute("SELECT 1").fetchone() == (1,)


def test_a_role_without_leave_has_no_credentials(stack: Stack, database: Postgres) -> None:
    secret, role = stack.secret(database, "app", "app"), stack.role()
    endpoint = stack.proxy("denied", role, secret)["Endpoint"]
    stack.client("iam").delete_role_policy(RoleName="proxy", PolicyName="secrets")

    def refused() -> bool:
        try:
            stack.connect(endpoint, "app", "app").close()
        except psycopg.OperationalError as error:
            return "authentication failed" in str(error) or "no credentials" in str(error)
        return False

    wait_until(refused, "nobody is let in any more")
    (target,) = stack.client("rds").describe_db_proxy_targets(DBProxyName="denied")["Targets"]
    assert target["TargetHealth"]["Reason"] == "AUTH_FAILURE"
    assert secret in target["TargetHealth"]["Description"]


def test_health_is_live(stack: Stack) -> None:
    with Postgres() as own:
        own.start()
        own.add_role("app")
        stack.client("rds").delete_db_instance(DBInstanceIdentifier="db", SkipFinalSnapshot=True)
        stack.register(own)
        stack.proxy("watched", stack.role(), stack.secret(own, "app", "app"))
        own.stop()

        def health() -> dict[str, str]:
            (target,) = stack.client("rds").describe_db_proxy_targets(DBProxyName="watched")["Targets"]
            return dict(target["TargetHealth"])

        wait_until(lambda: health()["State"] == "UNAVAILABLE", "its end shows", 30)
        assert health()["Reason"] == "UNREACHABLE"
        own.start()
        wait_until(lambda: health() == {"State": "AVAILABLE"}, "its return shows", 30)


def test_no_secret_is_said(stack: Stack, database: Postgres) -> None:
    """A canary in every place that takes one; then in nothing that is written, but sealed or in the profile."""
    canary = "canary-5up3rs3cr3t"
    database.sql(f"ALTER ROLE app PASSWORD '{canary}'")
    secret = stack.secret(database, "app", canary)
    proxy = stack.proxy("quiet", stack.role(), secret, DebugLogging=True)
    with stack.connect(proxy["Endpoint"], "app", canary) as client:
        client.execute("SELECT 1")
    with pytest.raises(psycopg.OperationalError):
        stack.connect(proxy["Endpoint"], "app", canary + "x")
    stack.client("rds").create_db_instance(
        DBInstanceIdentifier="other",
        Engine="postgres",
        DBInstanceClass="db.t3.micro",
        AllocatedStorage=20,
        MasterUsername="postgres",
        MasterUserPassword=canary,
        Tags=[{"Key": "tidegate:address", "Value": "127.0.0.1:1"}],
    )
    stack.rotate(secret)
    stack.stop()
    assert canary not in stack.said()
    for path in stack.data.rglob("*"):
        assert not path.is_file() or canary.encode() not in path.read_bytes(), path
    new = database.sql("SELECT rolpassword FROM pg_authid WHERE rolname = 'app'")[0][0]
    assert str(new).startswith("SCRAM-SHA-256$")
