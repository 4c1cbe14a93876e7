"""`tidegate serve --api` for a test, with boto3's clients for it and what most tests begin with.

Owns the process and its data folder. Refuses to hide trouble: the folder is kept when a test failed.
"""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import boto3
import psycopg
from botocore.config import Config

from tests.support.postgres import Postgres
from tests.support.tidegate import wait_until
from tidegate.control.profile import environment
from tidegate.demo import processes
from tidegate.demo.postgres import PASSWORD, SUPERUSER
from tidegate.demo.program import serve_command

URL = re.compile(r"the AWS API is at (http://\S+) ")
START = 30.0
RDS_TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "rds.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}


def policy(action: str, resource: str, effect: str = "Allow") -> str:
    """A policy document of one statement."""
    return json.dumps(
        {"Version": "2012-10-17", "Statement": [{"Effect": effect, "Action": action, "Resource": resource}]}
    )


class Stack:
    """One data folder, and the process that serves it; to be started again and again."""

    def __init__(self, *options: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="tidegate-stack-", dir="/tmp"))
        self.data = self.folder / "data"
        self.log = self.folder / "log"
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        if error is not None:
            error.add_note(f"the stack's folder is kept: {self.folder}\n{self.said()[-6000:]}")
        else:
            shutil.rmtree(self.folder, ignore_errors=True)

    # The process

    @property
    def pid(self) -> int:
        """Of the supervisor, which serves the API, too."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Serve; returns when the API answers."""
        before = len(self.said())
        # A process that was killed may hold the proxies' ports for a moment, through its workers.
        command = serve_command("--api", "127.0.0.1:0", "--data", str(self.data), *self._options)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=processes.python_environment(),
                start_new_session=True,
            )
        deadline = time.monotonic() + START
        while not (found := URL.search(self.said()[before:])):
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise AssertionError(f"tidegate serve --api did not start:\n{self.said()}")
            time.sleep(0.01)
        self.url = found[1]

    def kill(self) -> None:
        """SIGKILL the supervisor and its workers."""
        if self._process is not None and self._process.poll() is None:
            for pid in (self._process.pid, *processes.children(self._process.pid)):
                processes.send_signal(pid, signal.SIGKILL)
            self._process.wait()

    def stop(self) -> int:
        """Ask it to stop; its exit status."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(60)

    def said(self) -> str:
        """Its standard error so far."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    @property
    def ca(self) -> str:
        """What clients verify endpoints' certificates by."""
        return str(self.data / "tls" / "ca.pem")

    # The API

    def client(self, service: str, key: dict[str, str] | None = None) -> Any:
        """boto3's client, as root or with an access key of CreateAccessKey."""
        variables = environment(self.data)
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name=variables["AWS_REGION"],
            aws_access_key_id=key["AccessKeyId"] if key else variables["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=key["SecretAccessKey"] if key else variables["AWS_SECRET_ACCESS_KEY"],
            aws_session_token=key.get("SessionToken") if key else None,
            config=Config(retries={"total_max_attempts": 1}, parameter_validation=False),
        )

    @property
    def account(self) -> str:
        """Its number."""
        return str(self.client("sts").get_caller_identity()["Account"])

    def subnets(self) -> list[str]:
        """Of the default VPC."""
        return [one["SubnetId"] for one in self.client("ec2").describe_subnets()["Subnets"]]

    def register(self, postgres: Postgres, name: str = "db") -> None:
        """CreateDBInstance for a database that runs elsewhere."""
        self.register_at(f"{postgres.host}:{postgres.port}", name)

    def register_at(self, address: str, name: str) -> None:
        """The same for whatever answers there, with the superuser of Postgres."""
        self.client("rds").create_db_instance(
            DBInstanceIdentifier=name,
            Engine="postgres",
            DBInstanceClass="db.t3.micro",
            AllocatedStorage=20,
            MasterUsername=SUPERUSER,
            MasterUserPassword=PASSWORD,
            Tags=[{"Key": "tidegate:address", "Value": address}],
        )

    def secret(self, postgres: Postgres, user: str, password: str, name: str | None = None) -> str:
        """A database secret; its ARN."""
        value = {
            "engine": "postgres",
            "host": postgres.host,
            "port": postgres.port,
            "dbname": "postgres",
            "username": user,
            "password": password,
        }
        made = self.client("secretsmanager").create_secret(Name=name or user, SecretString=json.dumps(value))
        return str(made["ARN"])

    def rotate(self, secret: str) -> None:
        """RotateSecret, and wait until it is done."""
        secrets = self.client("secretsmanager")
        version = secrets.rotate_secret(SecretId=secret)["VersionId"]
        wait_until(lambda: secrets.get_secret_value(SecretId=secret)["VersionId"] == version, "it is rotated", 30)

    def role(self, name: str = "proxy") -> str:
        """A role that RDS may take, and that may read all secrets; its ARN."""
        iam = self.client("iam")
        made = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(RDS_TRUST))
        iam.put_role_policy(
            RoleName=name, PolicyName="secrets", PolicyDocument=policy("secretsmanager:GetSecretValue", "*")
        )
        return str(made["Role"]["Arn"])

    def proxy(self, name: str, role: str, secret: str, *, iam: bool = False, **settings: Any) -> dict[str, Any]:
        """CreateDBProxy before the instance `db`, and wait until it serves; what DescribeDBProxies says."""
        auth = [self.entry(secret, iam=iam)]
        return self.proxy_before("db", name, role, Auth=auth, **settings)

    @staticmethod
    def entry(secret: str, *, iam: bool = False) -> dict[str, str]:
        """One of a proxy's Auth."""
        return {"AuthScheme": "SECRETS", "SecretArn": secret, "IAMAuth": "REQUIRED" if iam else "DISABLED"}

    def proxy_before(self, instance: str, name: str, role: str, **settings: Any) -> dict[str, Any]:
        """The same before another instance; who may log in is among the settings."""
        rds = self.client("rds")
        rds.create_db_proxy(
            DBProxyName=name,
            EngineFamily="POSTGRESQL",
            RoleArn=role,
            VpcSubnetIds=self.subnets(),
            **settings,
        )
        rds.register_db_proxy_targets(DBProxyName=name, DBInstanceIdentifiers=[instance])
        wait_until(lambda: self.serves(name), f"{name} is available", 30)
        return self.described(name)

    def endpoint(self, name: str, proxy: str = "main", **settings: Any) -> str:
        """CreateDBProxyEndpoint, and wait until it is available; where it is."""
        self.client("rds").create_db_proxy_endpoint(
            DBProxyName=proxy, DBProxyEndpointName=name, VpcSubnetIds=self.subnets(), **settings
        )
        wait_until(lambda: self.endpoints()[name]["Status"] == "available", f"{name} is available", 30)
        return str(self.endpoints()[name]["Endpoint"])

    def endpoints(self) -> dict[str, dict[str, Any]]:
        """DescribeDBProxyEndpoints, by name; the default ones have their proxies' names."""
        found = self.client("rds").describe_db_proxy_endpoints()["DBProxyEndpoints"]
        return {end["DBProxyEndpointName"]: dict(end) for end in found}

    def delete_endpoint(self, name: str) -> None:
        """DeleteDBProxyEndpoint, and wait until it is gone."""
        self.client("rds").delete_db_proxy_endpoint(DBProxyEndpointName=name)
        wait_until(lambda: name not in self.endpoints(), f"{name} is gone", 30)

    def described(self, name: str) -> dict[str, Any]:
        """DescribeDBProxies of one."""
        (found,) = self.client("rds").describe_db_proxies(DBProxyName=name)["DBProxies"]
        return dict(found)

    def serves(self, name: str) -> bool:
        """Whether a proxy and its target are available."""
        targets = self.client("rds").describe_db_proxy_targets(DBProxyName=name)["Targets"]
        states = [target["TargetHealth"]["State"] for target in targets]
        return self.described(name)["Status"] == "available" and states == ["AVAILABLE"]

    def connect(
        self, endpoint: str, user: str, password: str, **options: Any
    ) -> psycopg.Connection[tuple[object, ...]]:
        """psycopg over TLS, in autocommit."""
        return psycopg.connect(
            host=endpoint,
            user=user,
            password=password,
            dbname="postgres",
            autocommit=True,
            **{"port": 5432, "sslmode": "verify-full", "sslrootcert": self.ca, **options},
        )


def login(stack: Stack, proxy: dict[str, Any], user: str = "fn") -> dict[str, str]:
    """A user of IAM that may connect as `app`; an access key."""
    iam = stack.client("iam")
    iam.create_user(UserName=user)
    identifier = proxy["DBProxyArn"].rpartition(":")[2]
    resource = f"arn:aws:rds-db:us-east-1:{stack.account}:dbuser:{identifier}/app"
    iam.put_user_policy(UserName=user, PolicyName="db", PolicyDocument=policy("rds-db:connect", resource))
    return dict(iam.create_access_key(UserName=user)["AccessKey"])


def token(stack: Stack, key: dict[str, str], endpoint: str) -> str:
    """What such a user shows for a password there, as `app`."""
    return str(stack.client("rds", key).generate_db_auth_token(endpoint, 5432, "app"))
