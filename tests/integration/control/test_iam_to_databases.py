"""End-to-end IAM: a token to the proxy, and another, of the proxy's role, to the database.

The database is one that believes this account's tokens: a PostgreSQL behind another endpoint of the same account.
"""

from __future__ import annotations

import json
import re
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import psycopg
import pytest

from tests.support.postgres import Postgres
from tests.support.stack import RDS_TRUST, Stack, policy
from tests.support.tidegate import wait_until
from tidegate.control.store.sealed import STATE_FILE
from tidegate.demo import processes
from tidegate.demo.postgres import PASSWORD, SUPERUSER

USERS = ("app", "batch", "reports")
NOBODYS_TRUST = json.dumps(RDS_TRUST).replace('"Allow"', '"Deny"')


@pytest.fixture(scope="module")
def database() -> Iterator[Postgres]:
    with Postgres(max_connections=60) as server:
        server.start()
        for role in USERS:
            server.add_role(role)
        yield server


class Chain:
    """A client, the proxy `outer`, the proxy `inner` that takes tokens of all USERS but `reports`, a PostgreSQL."""

    def __init__(self, stack: Stack, database: Postgres) -> None:
        self.stack = stack
        self.rds = stack.client("rds")
        self.iam = stack.client("iam")
        secrets = {name: stack.secret(database, name, name) for name in USERS}
        master = stack.secret(database, SUPERUSER, PASSWORD)
        role = stack.role("inner")
        stack.register(database)
        auth = [stack.entry(secrets[user], iam=user != "reports") for user in USERS]
        self.inner = stack.proxy_before("db", "inner", role, Auth=[*auth, stack.entry(master)])
        self.secret_of_reports = secrets["reports"]
        stack.register_at(f"{self.inner['Endpoint']}:5432", "inner-db")
        self.role = stack.role("outer")
        self.allow_role("app")
        self.outer = stack.proxy_before("inner-db", "outer", self.role, DefaultAuthScheme="IAM_AUTH")
        self.iam.create_user(UserName="fn")
        self.key = dict(self.iam.create_access_key(UserName="fn")["AccessKey"])
        self.allow_client("*")

    def resource(self, proxy: dict[str, Any], user: str) -> str:
        """What rds-db:connect is asked for."""
        identifier = proxy["DBProxyArn"].rpartition(":")[2]
        return f"arn:aws:rds-db:us-east-1:{self.stack.account}:dbuser:{identifier}/{user}"

    def allow_role(self, user: str, role: str = "outer") -> None:
        """The outer proxy's role, or another, may connect to the database as this user."""
        document = policy("rds-db:connect", self.resource(self.inner, user))
        self.iam.put_role_policy(RoleName=role, PolicyName="connect", PolicyDocument=document)

    def allow_client(self, user: str) -> None:
        """The client may connect to the outer proxy as this user."""
        document = policy("rds-db:connect", self.resource(self.outer, user))
        self.iam.put_user_policy(UserName="fn", PolicyName="connect", PolicyDocument=document)

    def trust(self, document: str) -> None:
        """Of the outer proxy's role."""
        self.iam.update_assume_role_policy(RoleName="outer", PolicyDocument=document)

    def connect(self, user: str = "app", **options: Any) -> psycopg.Connection[tuple[object, ...]]:
        """With a token, through both."""
        endpoint = self.outer["Endpoint"]
        token = self.stack.client("rds", self.key).generate_db_auth_token(endpoint, 5432, user)
        return self.stack.connect(endpoint, user, token, **options)

    def refusal(self, user: str = "app") -> str:
        """Of a client that needs a database connection of its own; "" if it has got one."""
        try:
            with self.connect(user) as client:
                client.execute("SELECT 1")
        except psycopg.Error as error:
            return str(error)
        return ""

    def health(self, proxy: str = "outer") -> dict[str, str]:
        """Of its target."""
        (target,) = self.rds.describe_db_proxy_targets(DBProxyName=proxy)["Targets"]
        return dict(target["TargetHealth"])


@pytest.fixture
def chain(database: Postgres) -> Iterator[Chain]:
    with Stack() as stack:
        yield Chain(stack, database)


def test_a_token_at_both_sides(chain: Chain, database: Postgres) -> None:
    assert (chain.outer["DefaultAuthScheme"], chain.outer["Auth"]) == ("IAM_AUTH", [])
    with chain.connect() as client:
        assert client.execute("SELECT current_user, 41 + 1").fetchone() == ("app", 42)

        # The client has a server; whoever needs another one is told what the database says.
        chain.iam.delete_role_policy(RoleName="outer", PolicyName="connect")
        with client.transaction():
            assert client.execute("SELECT 'still in'").fetchone() == ("still in",)
            assert 'IAM authentication failed for the role "app"' in chain.refusal()
        assert "assumed-role/outer/tidegate is not authorized to perform: rds-db:connect" in chain.stack.said()
        chain.allow_role("app")
        with client.transaction():
            client.execute("SELECT 1")
            wait_until(lambda: chain.refusal() == "", "the role may connect again", 10)

    # As a user that the role may not be at the database; and one that the client may not be at the proxy.
    assert 'IAM authentication failed for the role "batch"' in chain.refusal("batch")
    assert 'no credentials for the role "somebody"' in chain.refusal("somebody"), "the database says so, to the token"
    chain.allow_client("batch")
    assert 'IAM authentication failed for the role "app"' in chain.refusal()
    chain.allow_client("*")
    with pytest.raises(psycopg.OperationalError, match="TLS"):
        chain.connect(sslmode="disable")


def test_a_role_that_may_not_be_assumed(chain: Chain) -> None:
    stack = chain.stack
    assert chain.refusal() == ""
    chain.trust(NOBODYS_TRUST)
    wait_until(lambda: "no credentials for the role" in chain.refusal(), "nobody is let in any more", 10)
    reason = f"the role {chain.role} does not exist or does not trust rds.amazonaws.com"
    assert chain.health() == {
        "State": "UNAVAILABLE",
        "Reason": "AUTH_FAILURE",
        "Description": f"Proxy does not have any registered credentials: {reason}",
    }
    assert reason in stack.said()
    stack.kill()
    stack.start()
    assert "no credentials for the role" in chain.refusal()

    chain.rds, chain.iam = stack.client("rds"), stack.client("iam")
    chain.trust(json.dumps(RDS_TRUST))
    wait_until(lambda: chain.refusal() == "", "the role is trusted again", 30)
    wait_until(lambda: chain.health() == {"State": "AVAILABLE"}, "its health shows it", 30)


def test_another_role_has_other_keys(chain: Chain) -> None:
    """They reach the workers with settings that are the same as before, as renewed ones do; nobody notices."""
    role = chain.stack.role("second")
    chain.allow_role("batch", "second")
    with chain.connect() as client:
        client.execute("SET application_name = 'stays'")
        assert 'failed for the role "batch"' in chain.refusal("batch")
        chain.rds.modify_db_proxy(DBProxyName="outer", RoleArn=role)
        wait_until(lambda: chain.stack.serves("outer"), "the change is applied", 10)
        assert chain.refusal("batch") == ""
        assert client.execute("SHOW application_name").fetchone() == ("stays",)
        with client.transaction():
            client.execute("SELECT 1")
            assert 'failed for the role "app"' in chain.refusal()
    assert "assumed-role/second/tidegate is not authorized" in chain.stack.said()


def test_users_with_a_secret_keep_it(chain: Chain) -> None:
    """Auth of an IAM_AUTH proxy: its users log in at the database with the secret's password, whatever the role may."""
    with pytest.raises(psycopg.OperationalError, match="authentication failed"):
        chain.stack.connect(chain.outer["Endpoint"], "reports", "reports")
    chain.rds.modify_db_proxy(DBProxyName="outer", Auth=[chain.stack.entry(chain.secret_of_reports)])
    wait_until(lambda: chain.stack.serves("outer"), "the change is applied", 10)
    with chain.stack.connect(chain.outer["Endpoint"], "reports", "reports") as client:
        assert client.execute("SELECT current_user").fetchone() == ("reports",)
    assert chain.refusal() == ""

    chain.rds.modify_db_proxy(DBProxyName="outer", DefaultAuthScheme="NONE")
    wait_until(lambda: chain.stack.serves("outer"), "the change is applied", 10)
    assert "no credentials for the role" in chain.refusal()
    with chain.stack.connect(chain.outer["Endpoint"], "reports", "reports") as client:
        assert client.execute("SELECT current_user").fetchone() == ("reports",)


def test_it_survives_kill_9_and_says_no_key(chain: Chain) -> None:
    """Of the worker, which is given the keys anew, and of all."""
    stack = chain.stack
    chain.rds.modify_db_proxy(DBProxyName="outer", DebugLogging=True)
    wait_until(lambda: stack.serves("outer"), "the change is applied", 10)
    assert chain.refusal() == ""
    (worker,) = processes.children(stack.pid)
    processes.send_signal(worker, signal.SIGKILL)
    wait_until(lambda: chain.refusal() == "", "another worker serves", 30)
    stack.kill()
    stack.start()
    wait_until(lambda: stack.serves("outer"), "it serves again", 30)
    with chain.connect() as client:
        assert client.execute("SELECT current_user").fetchone() == ("app",)
    stack.stop()
    said = stack.said()
    assert not re.search(r"X-Amz-(Signature|Security-Token)", said)
    with closing(sqlite3.connect(stack.data / STATE_FILE)) as state:
        rows = state.execute("SELECT body FROM records WHERE kind = 'iam.session'").fetchall()
    sessions = [json.loads(body) for (body,) in rows]
    assert sessions
    assert not any(session["secret"] in said or session["token"] in said for session in sessions)


def test_tokens_are_not_shown_without_tls(chain: Chain) -> None:
    """The PostgreSQL itself has none."""
    assert chain.health("inner") == {"State": "AVAILABLE"}
    chain.rds.modify_db_proxy(DBProxyName="inner", DefaultAuthScheme="IAM_AUTH")
    wait_until(lambda: chain.health("inner").get("Reason") == "CONNECTION_FAILED", "its health shows it", 30)
    assert "server does not support SSL" in chain.health("inner")["Description"]
    chain.rds.modify_db_proxy(DBProxyName="inner", DefaultAuthScheme="NONE")
    wait_until(lambda: chain.health("inner") == {"State": "AVAILABLE"}, "it needs none any more", 30)
