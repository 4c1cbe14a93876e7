"""A proxy's endpoints, each by itself: who comes by one, what its end means, and what one that can't be had breaks."""

from __future__ import annotations

import datetime as dt
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from cryptography import x509

from tests.support.postgres import Postgres
from tests.support.stack import Stack, login, token
from tests.support.tidegate import wait_until
from tidegate.launch.certificates import LIFE, LocalCertificates


def test_a_deleted_endpoints_clients_go_and_others_stay(stack: Stack, database: Postgres) -> None:
    first = stack.proxy("main", stack.role(), stack.secret(database, "app", "app"))["Endpoint"]
    second, third = stack.endpoint("second"), stack.endpoint("third")
    with (
        stack.connect(first, "app", "app") as staying,
        stack.connect(second, "app", "app") as leaving,
        stack.connect(third, "app", "app") as inside,
    ):
        staying.execute("SET application_name = 'stays'")
        leaving.execute("SELECT 1")
        with inside.transaction():
            inside.execute("SELECT 1")
            stack.delete_endpoint("second")
            inside.execute("SELECT 1")
        with pytest.raises(psycopg.errors.AdminShutdown):
            leaving.execute("SELECT 1")
        assert staying.execute("SHOW application_name").fetchone() == ("stays",)
    with pytest.raises(psycopg.OperationalError, match=r"[Cc]onnection refused"):
        stack.connect(second, "app", "app")


def test_endpoints_share_servers(stack: Stack, database: Postgres) -> None:
    """As AWS's do: they are ways to one pool."""
    first = stack.proxy("main", stack.role(), stack.secret(database, "app", "app"))["Endpoint"]
    second = stack.endpoint("second")
    own = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'app'"
    with stack.connect(first, "app", "app") as one, stack.connect(second, "app", "app") as other:
        for _ in range(5):
            one.execute("SELECT 1")
            other.execute("SELECT 1")
        assert database.sql(own) == [(1,)]


def test_a_token_is_for_the_endpoint_that_is_connected_to(stack: Stack, database: Postgres) -> None:
    proxy = stack.proxy("main", stack.role(), stack.secret(database, "app", "app"), iam=True, RequireTLS=True)
    first, second = proxy["Endpoint"], stack.endpoint("second")
    key = login(stack, proxy)
    for endpoint, other in ((first, second), (second, first)):
        with stack.connect(endpoint, "app", token(stack, key, endpoint)) as client:
            assert client.execute("SELECT current_user").fetchone() == ("app",)
        with pytest.raises(psycopg.OperationalError, match='IAM authentication failed for the role "app"'):
            stack.connect(endpoint, "app", token(stack, key, other))


def shown(stack: Stack, endpoint: str) -> x509.Certificate:
    """The certificate that an endpoint's clients are shown."""
    context = ssl.create_default_context(cafile=stack.ca)
    context.set_alpn_protocols(["postgresql"])
    with (
        socket.create_connection((endpoint, 5432), 5) as plain,
        context.wrap_socket(plain, server_hostname=endpoint) as client,
    ):
        return x509.load_der_x509_certificate(client.getpeercert(True) or b"")


def test_a_certificate_near_its_end_is_replaced(stack: Stack, database: Postgres) -> None:
    """Without a restart, and clients go on. Time is stood in for by a certificate that was made a year ago."""
    endpoint = stack.proxy("main", stack.role(), stack.secret(database, "app", "app"))["Endpoint"]
    first = shown(stack, endpoint)
    with stack.connect(endpoint, "app", "app") as client:
        client.execute("SET application_name = 'stays'")
        own = LocalCertificates(stack.data)
        Path(own.certificate).unlink()
        own.cover({endpoint}, dt.datetime.now(dt.UTC) - LIFE + dt.timedelta(days=9))
        stack.client("rds").modify_db_proxy(DBProxyName="main", IdleClientTimeout=600)
        wait_until(lambda: shown(stack, endpoint).serial_number != first.serial_number, "another one is shown", 10)
        assert shown(stack, endpoint).not_valid_after_utc >= first.not_valid_after_utc
        assert client.execute("SHOW application_name").fetchone() == ("stays",)


# Addresses that somebody else listens on


@pytest.fixture
def taken() -> Iterator[dict[str, Any]]:
    """Tags that ask for such an address."""
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        yield {"Tags": [{"Key": "tidegate:address", "Value": f"127.0.0.1:{stranger.getsockname()[1]}"}]}


def broken_proxy(stack: Stack, taken: dict[str, Any], name: str = "broken") -> None:
    """A proxy of its own that can't be had."""
    stack.client("rds").create_db_proxy(
        DBProxyName=name,
        EngineFamily="POSTGRESQL",
        RoleArn=stack.role(name),
        VpcSubnetIds=stack.subnets(),
        Auth=[stack.entry(stack.client("secretsmanager").create_secret(Name=name, SecretString="{}")["ARN"])],
        **taken,
    )
    wait_until(lambda: stack.described(name)["Status"] == "incompatible-network", "its address can't be had", 10)


def broken_endpoint(stack: Stack, taken: dict[str, Any], name: str = "broken") -> None:
    """An endpoint of `main` that can't be had."""
    stack.client("rds").create_db_proxy_endpoint(
        DBProxyName="main", DBProxyEndpointName=name, VpcSubnetIds=stack.subnets(), **taken
    )
    wait_until(lambda: stack.endpoints()[name]["Status"] == "incompatible-network", "its address can't be had", 10)


def test_secrets_rotate_though_a_proxy_cant_run(stack: Stack, database: Postgres, taken: dict[str, Any]) -> None:
    secret = stack.secret(database, "app", "app")
    endpoint = stack.proxy("main", stack.role(), secret)["Endpoint"]
    broken_proxy(stack, taken)
    broken_endpoint(stack, {"Tags": [{"Key": "tidegate:address", "Value": "192.0.2.1:5432"}]}, "elsewhere")
    with stack.connect(endpoint, "app", "app") as client:
        stack.rotate(secret)
        assert client.execute("SELECT 1").fetchone() == (1,)


def test_an_endpoint_that_cant_be_had_leaves_its_proxy_working(
    stack: Stack, database: Postgres, taken: dict[str, Any]
) -> None:
    """Changes act, above all revocations; it is served once its address is free."""
    secret = stack.secret(database, "app", "app")
    endpoint = stack.proxy("main", stack.role(), secret)["Endpoint"]
    broken_endpoint(stack, taken)
    states = {name: end["Status"] for name, end in stack.endpoints().items()}
    assert states == {"main": "available", "broken": "incompatible-network"}
    assert stack.described("main")["Status"] == "available"
    with stack.connect(endpoint, "app", "app") as client:
        stack.client("secretsmanager").delete_secret(SecretId=secret, ForceDeleteWithoutRecovery=True)

        def refused() -> bool:
            try:
                stack.connect(endpoint, "app", "app").close()
            except psycopg.OperationalError as error:
                return "authentication failed" in str(error) or "no credentials" in str(error)
            return False

        wait_until(refused, "the secret's user is shut out", 5)
        assert client.execute("SELECT 1").fetchone() == (1,)
    stack.delete_endpoint("broken")


def test_what_can_run_runs_after_a_kill(stack: Stack, database: Postgres, taken: dict[str, Any]) -> None:
    endpoint = stack.proxy("main", stack.role(), stack.secret(database, "app", "app"))["Endpoint"]
    broken_endpoint(stack, taken)
    stack.kill()
    stack.start()
    wait_until(lambda: stack.serves("main"), "it serves again", 30)
    with stack.connect(endpoint, "app", "app") as client:
        assert client.execute("SELECT 1").fetchone() == (1,)
    assert stack.endpoints()["broken"]["Status"] == "incompatible-network"


def test_it_is_had_when_the_stranger_has_gone(stack: Stack, database: Postgres) -> None:
    stack.proxy("main", stack.role(), stack.secret(database, "app", "app"))
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        port = stranger.getsockname()[1]
        broken_endpoint(stack, {"Tags": [{"Key": "tidegate:address", "Value": f"127.0.0.1:{port}"}]})
    wait_until(lambda: stack.endpoints()["broken"]["Status"] == "available", "it is tried again", 31)
    with stack.connect("127.0.0.1", "app", "app", port=port) as client:
        assert client.execute("SELECT 1").fetchone() == (1,)


def test_what_is_broken_slows_no_change(stack: Stack, database: Postgres, taken: dict[str, Any]) -> None:
    """Each attempt that is refused is said: there is none for what is known."""
    stack.proxy("main", stack.role(), stack.secret(database, "app", "app"))
    broken_proxy(stack, taken)
    broken_endpoint(stack, {"Tags": [{"Key": "tidegate:address", "Value": "192.0.2.1:5432"}]}, "elsewhere")
    time.sleep(5)  # the first tries come quickly, later ones seldom
    before = stack.said().count("WARNING")
    for timeout in range(100, 110):
        stack.client("rds").modify_db_proxy_target_group(
            DBProxyName="main", TargetGroupName="default", ConnectionPoolConfig={"ConnectionBorrowTimeout": timeout}
        )
    assert stack.said().count("WARNING") - before <= 1
