"""A database that asks for the password itself, and what only pretends to be one: it goes over required TLS only."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from tests.support.certificates import Files, encrypt
from tests.support.postgres import Postgres
from tests.support.stack import Stack
from tests.support.tidegate import Proxy, wait_until

CANARY = "canary-5up3rs3cr3t"
ASKING = ("local all all password", "host all postgres all scram-sha-256", "host all all all password")
REFUSED = "encryption is not required"
ASK_IN_CLEAR = b"R" + (8).to_bytes(4, "big") + (3).to_bytes(4, "big")
HASTY = {"connection_borrow_timeout": 5}


class Listener:
    """Has no TLS, and asks everybody for the password."""

    def __init__(self) -> None:
        self.heard = b""
        self.asked = 0
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._socket.getsockname()[1])
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._meet, args=(connection,), daemon=True).start()

    def _meet(self, connection: socket.socket) -> None:
        with connection:
            connection.settimeout(10)
            try:
                while heard := connection.recv(4096):
                    self.heard += heard
                    is_ssl_request = heard[4:8] == (80877103).to_bytes(4, "big")
                    self.asked += not is_ssl_request
                    connection.sendall(b"N" if is_ssl_request else ASK_IN_CLEAR)
            except OSError:
                return

    def close(self) -> None:
        """Listen no more."""
        self._socket.shutdown(socket.SHUT_RDWR)  # which wakes accept(); close() would not
        self._socket.close()


@pytest.fixture
def listener() -> Iterator[Listener]:
    made = Listener()
    yield made
    made.close()


def refused(proxy: Proxy) -> str:
    """What a client is told for want of a server."""
    with pytest.raises(psycopg.OperationalError) as caught:
        ask(proxy)
    return str(caught.value)


def ask(proxy: Proxy) -> Any:
    with psycopg.connect(proxy.dsn("app", "postgres"), autocommit=True) as client:
        return client.execute("SELECT current_user").fetchone()


@pytest.mark.parametrize("sslmode", ["prefer", "disable"])
def test_over_tcp_without_tls(sslmode: str) -> None:
    users = [{"name": "app", "password": "app"}]
    with Postgres(hba=ASKING) as postgres:
        postgres.start()
        postgres.add_role("app")
        target = {"sslmode": sslmode}
        with Proxy(postgres, users=users, target=target, proxy=HASTY) as proxy:
            told = refused(proxy)
            assert REFUSED in told and "cleartext_passwords = true" in told
        with Proxy(postgres, users=users, target={**target, "cleartext_passwords": True}) as proxy:
            assert ask(proxy) == ("app",)


def test_what_a_client_has_shown_goes_no_other_way() -> None:
    """Passed through, by method password: it is the client's own, and has come to the proxy in clear."""
    with Postgres(hba=ASKING) as postgres:
        postgres.start()
        postgres.add_role("app")
        with Proxy(postgres, proxy={"auth_method": "password", **HASTY}) as proxy:
            assert REFUSED in refused(proxy)
        with Proxy(postgres, proxy={"auth_method": "password"}, target={"cleartext_passwords": True}) as proxy:
            assert ask(proxy) == ("app",)


def test_over_tls(files: Files) -> None:
    """Required it is sent; with prefer who answers in the database's place could have a certificate of its own."""
    with Postgres(hba=ASKING) as postgres:
        postgres.start()
        postgres.add_role("app")
        encrypt(postgres, files)
        users = [{"name": "app", "password": "app"}]
        with Proxy(postgres, users=users, target={"sslmode": "require"}) as proxy:
            assert ask(proxy) == ("app",)
        with Proxy(postgres, users=users, target={"sslmode": "prefer"}, proxy=HASTY) as proxy:
            assert REFUSED in refused(proxy)


@pytest.mark.parametrize("sslmode", ["prefer", "disable"])
def test_who_pretends_to_be_a_database(listener: Listener, postgres: Postgres, sslmode: str) -> None:
    users = [{"name": "app", "password": CANARY}]
    target = {"host": "127.0.0.1", "port": listener.port, "sslmode": sslmode, "password": CANARY}
    with Proxy(postgres, users=users, target=target, proxy=HASTY) as proxy:
        dsn = proxy.dsn("app", "postgres", CANARY)
        with pytest.raises(psycopg.OperationalError, match=REFUSED), psycopg.connect(dsn) as client:
            client.execute("SELECT 1")
    assert listener.asked > 0
    assert CANARY.encode() not in listener.heard


def test_who_pretends_to_be_an_instance(listener: Listener) -> None:
    """By the API: a secret's password, the master's, and what rotation and the health check do there."""
    with Stack() as stack:
        rds, secrets = stack.client("rds"), stack.client("secretsmanager")
        stack.register_at(f"127.0.0.1:{listener.port}", "db")
        rds.modify_db_instance(DBInstanceIdentifier="db", MasterUserPassword=CANARY)
        value = {
            "engine": "postgres",
            "host": "127.0.0.1",
            "port": listener.port,
            "username": "app",
            "password": CANARY,
        }
        secret = secrets.create_secret(Name="app", SecretString=json.dumps(value))["ARN"]
        rds.create_db_proxy(
            DBProxyName="main",
            EngineFamily="POSTGRESQL",
            RoleArn=stack.role(),
            VpcSubnetIds=stack.subnets(),
            Auth=[stack.entry(secret)],
        )
        rds.modify_db_proxy_target_group(
            DBProxyName="main", TargetGroupName="default", ConnectionPoolConfig={"ConnectionBorrowTimeout": 5}
        )
        rds.register_db_proxy_targets(DBProxyName="main", DBInstanceIdentifiers=["db"])
        wait_until(lambda: stack.described("main")["Status"] == "available", "it listens")
        endpoint = stack.described("main")["Endpoint"]
        with pytest.raises(psycopg.OperationalError, match=REFUSED), stack.connect(endpoint, "app", CANARY) as client:
            client.execute("SELECT 1")
        asked = listener.asked
        assert asked > 0
        secrets.rotate_secret(SecretId=secret)
        wait_until(lambda: f"rotation of {secret} failed" in stack.said(), "rotation is refused")
        assert listener.asked > asked
    assert CANARY.encode() not in listener.heard
