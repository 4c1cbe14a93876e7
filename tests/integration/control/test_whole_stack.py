"""From boto3 to a query: what a team does in its first hour, with the API, the proxy and a PostgreSQL as they are."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import asyncpg
import psycopg
import pytest

from tests.support.load import Load
from tests.support.postgres import Postgres
from tests.support.stack import Stack, login, policy, token
from tests.support.tidegate import wait_until
from tidegate.auth.scram_keys import ScramKeys
from tidegate.cli import PASSPHRASE_VARIABLE
from tidegate.config.addresses import default_control_socket
from tidegate.control.profile import environment
from tidegate.control.store.sealed import KEY_FILE
from tidegate.demo import processes

WORKING = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'app' AND state = 'active'"
PASS_GATE = "pg_advisory_lock_shared(1), pg_advisory_unlock_shared(1)"
"""Waits for who holds the lock, with others."""


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
            slept.append(client.execute(f"SELECT {PASS_GATE}, pg_sleep(1.5)").fetchone())

    def started(since: object) -> int:
        """Servers that have logged in since then, and are still there."""
        own = "application_name <> 'tidegate rotation'"
        query = f"SELECT count(*) FROM pg_stat_activity WHERE usename = 'app' AND {own} AND backend_start > %s"
        return int(database.sql(query, [since])[0][0])

    @contextlib.contextmanager
    def crowd(size: int) -> Iterator[None]:
        """More clients at once than there are servers, at a gate which opens when new ones have logged in."""
        ((begun,),) = database.sql("SELECT clock_timestamp()")
        threads = [threading.Thread(target=work) for _ in range(size)]
        with psycopg.connect(database.dsn("postgres", "postgres"), autocommit=True) as gate:
            gate.execute("SELECT pg_advisory_lock(1)")
            for thread in threads:
                thread.start()
            wait_until(lambda: started(begun), "servers log in")
        yield
        for thread in threads:
            thread.join()

    old = current()
    with load(stack, endpoint, lambda: old) as with_old, load(stack, endpoint, current) as fresh:
        with_old.more()
        fresh.more()
        rotating = threading.Thread(target=stack.rotate, args=(secret,))
        with contextlib.ExitStack() as amid, psycopg.connect(database.dsn()) as held:
            held.execute("LOCK TABLE pg_authid IN SHARE MODE")  # ALTER ROLE waits; logins, which read, do not
            rotating.start()
            waiting = "application_name = 'tidegate rotation' AND wait_event_type = 'Lock'"
            wait_until(lambda: database.sql(f"SELECT 1 FROM pg_stat_activity WHERE {waiting}"), "ALTER ROLE waits")
            with crowd(12):
                with_old.more()
                fresh.more()
            assert current() == old
            amid.enter_context(crowd(24))  # and goes on while the password changes
        rotating.join()
        with crowd(36):
            with_old.more()
            fresh.more()
    assert len(slept) == 12 + 24 + 36
    assert with_old.failures == []
    assert fresh.failures == []
    assert current() != old
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        stack.connect(endpoint, "app", "neither")


@pytest.mark.parametrize("password", ["SCRAM-SHA-256$no verifier", "md5" + "0" * 32])
def test_a_password_that_looks_like_a_verifier(stack: Stack, database: Postgres, password: str) -> None:
    database.sql(f"ALTER ROLE app PASSWORD '{ScramKeys.from_password(password).text()}'")
    endpoint = stack.proxy("lookalike", stack.role(), stack.secret(database, "app", password))["Endpoint"]
    with stack.connect(endpoint, "app", password) as client:
        assert client.execute("SELECT current_user").fetchone() == ("app",)


def test_the_pools_size_acts_at_once(stack: Stack, database: Postgres) -> None:
    secret = stack.secret(database, "app", "app")
    endpoint = stack.proxy("sized", stack.role(), secret)["Endpoint"]
    rds = stack.client("rds")

    def most_at_once(wanted: int) -> int:
        """Servers that work at the same time for twenty clients, who wait for a lock until so many do, or 10 s long."""

        def work() -> None:
            with stack.connect(endpoint, "app", "app") as client:
                client.execute(f"SELECT {PASS_GATE}, pg_sleep(0.1)")

        threads = [threading.Thread(target=work) for _ in range(20)]
        most = 0
        deadline = time.monotonic() + 10
        with psycopg.connect(database.dsn("postgres", "postgres"), autocommit=True) as holder:
            holder.execute("SELECT pg_advisory_lock(1)")
            for thread in threads:
                thread.start()
            while most < wanted and time.monotonic() < deadline:
                ((count,),) = holder.execute(WORKING).fetchall()
                most = max(most, count)
            time.sleep(0.5)
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
        wait_until(lambda: stack.serves("sized"), "it serves", 10)

    assert most_at_once(11) > 10
    resize(5)
    wait_until(lambda: len(database.backends("app")) <= 3, "idle ones are closed", 10)
    assert 1 <= most_at_once(1) <= 3
    resize(100)
    assert most_at_once(11) > 10


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


def test_debug_logging_is_of_one_proxy(stack: Stack, database: Postgres) -> None:
    secret, role = stack.secret(database, "app", "app"), stack.role()
    loud = stack.proxy("loud", role, secret, DebugLogging=True)
    quiet = stack.proxy("quiet", role, secret)
    for proxy in (quiet, loud):
        with stack.connect(proxy["Endpoint"], "app", "app") as client:
            client.execute("SELECT 1")
    identifier = loud["DBProxyArn"].rpartition(":")[2]
    wait_until(lambda: "client connection ended" in stack.said(), "its end is logged")
    lines = [line for line in stack.said().splitlines() if " DEBUG " in line]
    assert lines and all(identifier in line for line in lines), lines


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PGHOSTADDR", "127.0.0.9"),
        ("PGOPTIONS", "-c no_such_setting=1"),
        ("PGSSLMODE", "verify-full"),
        ("PGSERVICE", "nowhere"),
        ("PGTZ", "Nowhere/Land"),
    ],
)
def test_libpqs_variables_are_for_others(stack: Stack, database: Postgres, variable: str, value: str) -> None:
    """The health check and the rotation say where they connect, and how."""
    stack.stop()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(variable, value)
        stack.start()
    secret = stack.secret(database, "app", "app")
    stack.proxy("main", stack.role(), secret)
    stack.rotate(secret)


def used_for_signing(stack: Stack, endpoint: str) -> tuple[list[str], list[str]]:
    """Secrets of keys and sessions, each used for calls and at a proxy; and the tokens, with their signatures alone."""
    iam = stack.client("iam")
    iam.create_user(UserName="signer")
    iam.put_user_policy(UserName="signer", PolicyName="all", PolicyDocument=policy("*", "*"))
    key = dict(iam.create_access_key(UserName="signer")["AccessKey"])
    session = dict(stack.client("sts", key).get_session_token()["Credentials"])
    signing = [key["SecretAccessKey"], session["SecretAccessKey"], session["SessionToken"]]
    signing.append(environment(stack.data)["AWS_SECRET_ACCESS_KEY"])
    tokens = []
    for one in (key, session):
        stack.client("rds", one).describe_db_proxies()
        for user in ("app", "nobody"):
            made = str(stack.client("rds", one).generate_db_auth_token(endpoint, 5432, user))
            tokens += [made, made.partition("X-Amz-Signature=")[2].partition("&")[0]]
            with contextlib.suppress(psycopg.OperationalError), stack.connect(endpoint, "app", made) as client:
                client.execute("SELECT 1")
    return signing, tokens


def control(stack: Stack, command: str) -> str:
    """What the control socket answers."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(30)
        connection.connect(default_control_socket(str(stack.data)))
        connection.sendall(json.dumps({"command": command}).encode() + b"\n")
        with connection.makefile() as answers:
            return answers.readline()


def test_no_secret_is_said(stack: Stack, database: Postgres) -> None:
    """A canary in every place that takes one; then in nothing that is written, but sealed or in the profile."""
    canary = "canary-5up3rs3cr3t"
    database.sql(f"ALTER ROLE app PASSWORD '{canary}'")
    secret = stack.secret(database, "app", canary)
    role = stack.role()
    proxy = stack.proxy("quiet", role, secret, DebugLogging=True)
    required = stack.proxy("required", role, secret, iam=True)
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
    signing, tokens = used_for_signing(stack, required["Endpoint"])
    told = control(stack, "stats") + control(stack, "pins")
    for pid in (stack.pid, *processes.children(stack.pid)):
        for name in ("cmdline", "environ"):
            told += Path(f"/proc/{pid}/{name}").read_bytes().decode(errors="replace")
    stack.stop()
    told += stack.said()
    assert "IAM token for user" in told, "the refusal of a token is told"
    for secret_text in (canary, *signing, *tokens):
        assert secret_text not in told and quote(secret_text, safe="") not in told
    for path in stack.data.rglob("*"):
        kept = path.read_bytes() if path.is_file() else b""
        for secret_text in (canary, *tokens):
            assert secret_text.encode() not in kept, path
    new = database.sql("SELECT rolpassword FROM pg_authid WHERE rolname = 'app'")[0][0]
    assert str(new).startswith("SCRAM-SHA-256$")
