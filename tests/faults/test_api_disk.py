"""The AWS API on a full disk: what changes things is refused as a whole, all else goes on, and so does the proxy.

The limit of a file's size stands for the disk's end. It is set from outside, for the running processes: from then on no
file of theirs can grow, neither the state's nor the log.
"""

from __future__ import annotations

import json
import resource
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest
from botocore.exceptions import ClientError

from tests.support.postgres import Postgres
from tests.support.stack import RDS_TRUST, Stack, policy
from tests.support.tidegate import wait_until
from tidegate.demo import processes
from tidegate.demo.program import serve_command

Change = Callable[[], Any]


@contextmanager
def full(stack: Stack, limit: int = 0) -> Iterator[None]:
    """No file of the program grows beyond so many bytes; afterwards there is room again."""
    pids = [stack.pid, *processes.children(stack.pid)]
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    for pid in pids:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        for pid in pids:
            with suppress(ProcessLookupError):
                resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard, hard))


class Account:
    """A stack with a proxy that serves, and what a test changes and reads there."""

    def __init__(self, stack: Stack, database: Postgres) -> None:
        self.stack = stack
        stack.register(database)
        self.role = stack.role()
        self.secret = stack.secret(database, "app", "app")
        self.endpoint = stack.proxy("main", self.role, self.secret)["Endpoint"]
        self.connect()

    def connect(self) -> None:
        """boto3's clients, for the process that runs now."""
        self.rds, self.iam, self.secrets, self.ec2 = map(self.stack.client, ("rds", "iam", "secretsmanager", "ec2"))
        self.subnets = self.stack.subnets()

    def changes(self) -> dict[str, Change]:
        """One of each kind."""
        proxy = {"EngineFamily": "POSTGRESQL", "RoleArn": self.role, "VpcSubnetIds": self.subnets}
        auth = [{"AuthScheme": "SECRETS", "SecretArn": self.secret, "IAMAuth": "DISABLED"}]
        pool = {"MaxConnectionsPercent": 50}
        trust = json.dumps(RDS_TRUST)
        on = {"DBProxyName": "main"}
        return {
            "secret": lambda: self.secrets.create_secret(Name="new", SecretString="x"),
            "value": lambda: self.secrets.put_secret_value(SecretId="other", SecretString="y"),
            "role": lambda: self.iam.create_role(RoleName="new", AssumeRolePolicyDocument=trust),
            "proxy": lambda: self.rds.create_db_proxy(DBProxyName="new", Auth=auth, **proxy),
            "end": lambda: self.rds.create_db_proxy_endpoint(
                **on, DBProxyEndpointName="end", VpcSubnetIds=self.subnets
            ),
            "pool": lambda: self.rds.modify_db_proxy_target_group(
                **on, TargetGroupName="default", ConnectionPoolConfig=pool
            ),
            "tag": lambda: self.rds.add_tags_to_resource(
                ResourceName=self.stack.described("main")["DBProxyArn"], Tags=[{"Key": "a", "Value": "b"}]
            ),
            "group": lambda: self.ec2.create_security_group(GroupName="new", Description="new"),
        }

    def all(self) -> list[Any]:
        """What is there, as the API tells it."""
        (group,) = self.rds.describe_db_proxy_target_groups(DBProxyName="main")["TargetGroups"]
        proxies = self.rds.describe_db_proxies()["DBProxies"]
        return [
            proxies,
            self.rds.describe_db_proxy_endpoints()["DBProxyEndpoints"],
            group["ConnectionPoolConfig"],
            [self.rds.list_tags_for_resource(ResourceName=one["DBProxyArn"])["TagList"] for one in proxies],
            [role["RoleName"] for role in self.iam.list_roles()["Roles"]],
            sorted(one["Name"] for one in self.secrets.list_secrets()["SecretList"]),
            self.secrets.get_secret_value(SecretId="app")["SecretString"],
            sorted(one["GroupName"] for one in self.ec2.describe_security_groups()["SecurityGroups"]),
        ]

    def ask(self) -> None:
        """A client comes, asks and goes."""
        with self.stack.connect(self.endpoint, "app", "app") as client:
            assert client.execute("SELECT 1").fetchone() == (1,)


def refused(change: Change) -> None:
    """As AWS refuses what it can't do now: SDKs try again."""
    with pytest.raises(ClientError) as caught:
        change()
    answer = caught.value.response
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 503
    assert answer["Error"]["Code"] in ("ServiceUnavailable", "ServiceUnavailableException")


@pytest.fixture
def database() -> Iterator[Postgres]:
    with Postgres(max_connections=40) as server:
        server.start()
        server.add_role("app")
        yield server


@pytest.fixture
def account(database: Postgres) -> Iterator[Account]:
    with Stack() as stack:
        made = Account(stack, database)
        made.secrets.create_secret(Name="other", SecretString="x")
        yield made


def test_changes_are_refused_and_all_else_goes_on(account: Account) -> None:
    """Reads, clients that are there and clients that come; then, with room again, the same changes are made."""
    before = account.all()
    account.iam.create_user(UserName="fresh")
    account.iam.put_user_policy(UserName="fresh", PolicyName="all", PolicyDocument=policy("*", "*"))
    # A key's first use is noted: that it can't be is no reason to refuse a read.
    fresh = account.stack.client("rds", account.iam.create_access_key(UserName="fresh")["AccessKey"])
    with account.stack.connect(account.endpoint, "app", "app") as stays:
        with full(account.stack):
            for change in account.changes().values():
                refused(change)
                account.ask()
            assert account.all() == before
            assert fresh.describe_db_proxies()["DBProxies"] == before[0]
            assert stays.execute("SELECT 2").fetchone() == (2,)
        assert account.all() == before
        for change in account.changes().values():
            change()
        wait_until(lambda: account.stack.described("new")["Status"] == "available", "the new proxy", 30)
        assert stays.execute("SELECT 3").fetchone() == (3,)
    account.ask()


def test_a_disk_that_fills_up_amid_changes_loses_nothing(account: Account) -> None:
    """Some bytes are left: what is answered is there, what is refused is not; a kill -9 on the full disk included."""
    told = {"app", "other"}
    wal = account.stack.data / "state.db-wal"
    with full(account.stack, wal.stat().st_size + 60_000):
        failures = 0
        for number in range(1000):
            name = f"s{number}"
            try:
                account.secrets.create_secret(Name=name, SecretString="x" * (number % 5 * 1000 + 1))
            except ClientError as error:
                if error.response["ResponseMetadata"]["HTTPStatusCode"] != 503:
                    raise
                failures += 1
                if failures == 5:
                    break
            else:
                told.add(name)
        assert failures == 5, "the disk was never full"
        assert len(told) > 5
        assert names(account) == told
        account.ask()
        account.stack.kill()
    account.stack.start()
    account.connect()
    assert names(account) == told
    account.secrets.create_secret(Name="room", SecretString="x")
    wait_until(lambda: account.stack.serves("main"), "it serves again", 30)
    account.ask()


def names(account: Account) -> set[str]:
    """Of all secrets."""
    pages = account.secrets.get_paginator("list_secrets").paginate()
    return {str(one["Name"]) for page in pages for one in page["SecretList"]}


def test_a_rotation_that_meets_a_full_disk_is_finished_later(account: Account, database: Postgres) -> None:
    """Whichever password the database has by then, the proxy knows it: no client sees an error."""
    wrong: list[str] = []
    served: list[None] = []
    over = threading.Event()

    def come_and_go() -> None:
        while not over.is_set():
            try:
                served.append(account.ask())
            except psycopg.Error as error:
                wrong.append(str(error))

    clients = threading.Thread(target=come_and_go)
    version = account.secrets.rotate_secret(SecretId="app")["VersionId"]
    clients.start()
    try:
        with full(account.stack):
            wait_until(lambda: len(served) > 50 or wrong, "clients are served meanwhile", 30)
        wait_until(
            lambda: account.secrets.get_secret_value(SecretId="app")["VersionId"] == version, "it is finished", 60
        )
    finally:
        over.set()
        clients.join()
    assert wrong == []
    value = json.loads(account.secrets.get_secret_value(SecretId="app")["SecretString"])
    with psycopg.connect(database.dsn("app", "postgres", value["password"])) as client:
        assert client.execute("SELECT 1").fetchone() == (1,)


def test_a_start_on_a_full_disk_says_so(tmp_path: Path) -> None:
    """The first and a later one: an exit status and a line, no traceback; and nothing that is in the way later."""
    command = serve_command("--api", "127.0.0.1:0", "--data", str(tmp_path / "data"))
    for _ in range(2):
        ended = subprocess.run(
            ["sh", "-c", 'ulimit -f 0; exec "$@"', "sh", *command],
            env=processes.python_environment(),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert ended.returncode != 0
        assert "Traceback" not in ended.stderr, ended.stderr
        assert str(tmp_path / "data") in ended.stderr
        with Stack("--data", str(tmp_path / "data")) as stack:
            assert stack.stop() == 0
