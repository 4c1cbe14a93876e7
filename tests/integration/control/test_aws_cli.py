"""The aws CLI as published, with `--endpoint-url`: what a new user types, from an empty account to a query over TLS."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.support.postgres import Postgres
from tests.support.stack import RDS_TRUST, Stack, policy
from tests.support.tidegate import wait_until
from tidegate.control.profile import environment
from tidegate.demo.postgres import PASSWORD, SUPERUSER

AWS = Path(sys.executable).parent / "aws"
PARTY = ("PATH", "HOME", "LANG")
"""Variables that the CLI has of the test's own; no others, so that nobody's profile takes part."""


class Cli:
    """A shell in which somebody uses the CLI: root's keys, or those of another user."""

    def __init__(self, stack: Stack, key: dict[str, str] | None = None) -> None:
        self._url = stack.url
        given = environment(stack.data)
        self._environment = {name: os.environ[name] for name in PARTY if name in os.environ} | {
            "AWS_ACCESS_KEY_ID": key["AccessKeyId"] if key else given["AWS_ACCESS_KEY_ID"],
            "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"] if key else given["AWS_SECRET_ACCESS_KEY"],
            "AWS_DEFAULT_REGION": given["AWS_REGION"],
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_MAX_ATTEMPTS": "1",
            "AWS_PAGER": "",
        }

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """`aws --endpoint-url URL ARGUMENTS`, whatever comes of it."""
        return subprocess.run(
            [AWS, "--endpoint-url", self._url, *arguments],
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def text(self, *arguments: str) -> str:
        """What it prints; AssertionError with what it complains of."""
        ended = self.run(*arguments)
        assert (ended.returncode, ended.stderr) == (0, ""), ended.stderr
        return ended.stdout.strip()

    def __call__(self, *arguments: str) -> Any:
        """The JSON that it prints; None for nothing."""
        return json.loads(self.text(*arguments) or "null")


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with Stack() as made:
        yield made


@pytest.fixture(scope="module")
def aws(stack: Stack) -> Cli:
    return Cli(stack)


def psql(database: Postgres, stack: Stack, endpoint: str, password: str, statement: str) -> str:
    """What psql prints, over TLS with the endpoint's name verified, or what it complains of."""
    ended = subprocess.run(
        [database.bin_dir / "psql", "-XAtc", statement],
        env={
            "PATH": os.environ["PATH"],
            "PGHOST": endpoint,
            "PGPORT": "5432",
            "PGUSER": "app",
            "PGDATABASE": "postgres",
            "PGPASSWORD": password,
            "PGSSLMODE": "verify-full",
            "PGSSLROOTCERT": stack.ca,
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return (ended.stdout or ended.stderr).strip()


@pytest.mark.timeout(300)
def test_from_an_empty_account_to_a_query(aws: Cli, stack: Stack, database: Postgres, tmp_path: Path) -> None:
    """A secret, a role and a policy, the database, a proxy with IAM and TLS, a token, psql and psycopg; a refusal."""
    value = json.dumps({"username": "app", "password": "app"})
    secret = aws("secretsmanager", "create-secret", "--name", "app", "--secret-string", value)["ARN"]
    trust = tmp_path / "trust.json"
    trust.write_text(json.dumps(RDS_TRUST))
    made = aws("iam", "create-role", "--role-name", "proxy", "--assume-role-policy-document", f"file://{trust}")
    role = made["Role"]["Arn"]
    assert made["Role"]["AssumeRolePolicyDocument"] == RDS_TRUST
    read = policy("secretsmanager:GetSecretValue", secret)
    arn = aws("iam", "create-policy", "--policy-name", "read", "--policy-document", read)["Policy"]["Arn"]
    assert aws("iam", "attach-role-policy", "--role-name", "proxy", "--policy-arn", arn) is None

    instance = aws(
        *("rds", "create-db-instance", "--db-instance-identifier", "orders-db"),
        *("--engine", "postgres", "--db-instance-class", "db.t3.micro", "--allocated-storage", "20"),
        *("--master-username", SUPERUSER, "--master-user-password", PASSWORD),
        *("--tags", f"Key=tidegate:address,Value={database.host}:{database.port}"),
    )["DBInstance"]
    assert instance["Endpoint"]["Port"] == database.port
    aws("rds", "wait", "db-instance-available", "--db-instance-identifier", "orders-db")

    subnets = aws("ec2", "describe-subnets", "--query", "Subnets[].SubnetId")
    proxy = aws(
        *("rds", "create-db-proxy", "--db-proxy-name", "orders", "--engine-family", "POSTGRESQL"),
        *("--auth", f"AuthScheme=SECRETS,SecretArn={secret},IAMAuth=REQUIRED"),
        *("--role-arn", role, "--require-tls", "--vpc-subnet-ids", *subnets),
    )["DBProxy"]
    assert (proxy["RequireTLS"], proxy["Auth"][0]["IAMAuth"]) == (True, "REQUIRED")
    aws(
        *("rds", "register-db-proxy-targets", "--db-proxy-name", "orders"),
        *("--db-instance-identifiers", "orders-db"),
    )
    health = ("rds", "describe-db-proxy-targets", "--db-proxy-name", "orders", "--output", "text")
    wait_until(lambda: aws.text(*health, "--query", "Targets[].TargetHealth.State") == "AVAILABLE", "the target", 60)
    found = "DBProxies[?DBProxyName=='orders'].[Status,Endpoint] | [0]"
    status, endpoint = aws("rds", "describe-db-proxies", "--query", found)
    assert (status, endpoint) == ("available", proxy["Endpoint"])

    aws("iam", "create-user", "--user-name", "fn")
    identifier = proxy["DBProxyArn"].rpartition(":")[2]
    account = aws.text("sts", "get-caller-identity", "--query", "Account", "--output", "text")
    connect = policy("rds-db:connect", f"arn:aws:rds-db:us-east-1:{account}:dbuser:{identifier}/app")
    aws("iam", "put-user-policy", "--user-name", "fn", "--policy-name", "db", "--policy-document", connect)
    fn = Cli(stack, aws("iam", "create-access-key", "--user-name", "fn")["AccessKey"])
    ask = ("rds", "generate-db-auth-token", "--hostname", endpoint, "--port", "5432", "--username", "app")
    token = fn.text(*ask)
    assert psql(database, stack, endpoint, token, "SELECT current_user") == "app"
    with stack.connect(endpoint, "app", token) as client:
        assert client.execute("SELECT 6 * 7").fetchone() == (42,)
    assert "authentication failed" in psql(database, stack, endpoint, "app", "SELECT 1")
    with pytest.raises(psycopg.OperationalError, match="requires TLS"):
        stack.connect(endpoint, "app", token, sslmode="disable")

    aws("iam", "delete-user-policy", "--user-name", "fn", "--policy-name", "db")
    assert "authentication failed" in psql(database, stack, endpoint, fn.text(*ask), "SELECT 1")
    gone = aws.text(
        *("rds", "delete-db-proxy", "--db-proxy-name", "orders", "--query", "DBProxy.Status", "--output", "text")
    )
    assert gone == "deleting"


def test_describe_calls_with_query_and_output(aws: Cli) -> None:
    """Filters of the CLI itself, on answers of each protocol: query, ec2 and json."""
    vpc = aws.text(
        *("ec2", "describe-vpcs", "--filters", "Name=is-default,Values=true"),
        *("--query", "Vpcs[0].VpcId", "--output", "text"),
    )
    zones = aws("ec2", "describe-subnets", "--filters", f"Name=vpc-id,Values={vpc}", "--query", "Subnets[].VpcId")
    assert len(zones) >= 2 and set(zones) == {vpc}
    aws("secretsmanager", "create-secret", "--name", "shown", "--secret-string", "s", "--tags", "Key=a,Value=b c")
    tags = aws("secretsmanager", "describe-secret", "--secret-id", "shown", "--query", "Tags")
    assert tags == [{"Key": "a", "Value": "b c"}]
    got = ("secretsmanager", "get-secret-value", "--secret-id", "shown", "--query", "SecretString")
    assert aws.text(*got, "--output", "text") == "s"
    table = aws.text("sts", "get-caller-identity", "--output", "table")
    assert "GetCallerIdentity" in table and ":root" in table


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (
            ("rds", "describe-db-proxies", "--db-proxy-name", "absent"),
            255,
            "An error occurred (DBProxyNotFoundFault) when calling the DescribeDBProxies operation",
        ),
        (
            ("secretsmanager", "get-secret-value", "--secret-id", "absent"),
            255,
            "An error occurred (ResourceNotFoundException) when calling the GetSecretValue operation",
        ),
        (
            ("iam", "get-role", "--role-name", "absent"),
            255,
            "An error occurred (NoSuchEntity) when calling the GetRole operation",
        ),
        (
            ("ec2", "describe-subnets", "--subnet-ids", "subnet-x"),
            255,
            "An error occurred (InvalidSubnetID.NotFound) when calling the DescribeSubnets operation",
        ),
        (
            ("rds", "describe-db-clusters"),
            255,
            "An error occurred (NotImplemented) when calling the DescribeDBClusters operation",
        ),
        (("rds", "describe-db-proxies", "--filters", "Name=a,Values=b"), 255, "(InvalidParameterValue)"),
        (("rds", "describe-db-proxy-targets"), 2, "--db-proxy-name"),
    ],
)
def test_an_errors_status_and_text(aws: Cli, arguments: tuple[str, ...], status: int, said: str) -> None:
    """255 and AWS's own words for what the service refuses, 2 for what the CLI does; no result is printed."""
    ended = aws.run(*arguments)
    assert (ended.returncode, ended.stdout) == (status, "")
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr


def test_who_may_not_is_told_so(aws: Cli, stack: Stack) -> None:
    """A user without a policy: AccessDenied, with who wanted what."""
    aws("iam", "create-user", "--user-name", "nobody")
    nobody = Cli(stack, aws("iam", "create-access-key", "--user-name", "nobody")["AccessKey"])
    ended = nobody.run("rds", "describe-db-proxies")
    assert ended.returncode == 255
    assert "(AccessDenied)" in ended.stderr
    assert "user/nobody is not authorized to perform: rds:DescribeDBProxies" in ended.stderr
    assert nobody("sts", "get-caller-identity")["Arn"].endswith(":user/nobody")


def test_pages(aws: Cli, stack: Stack) -> None:
    """--page-size asks in steps, --max-items stops and gives a token to go on with; nothing is missing or twice."""
    secrets = stack.client("secretsmanager")
    names = [f"page{number:02}" for number in range(25)]
    for name in names:
        secrets.create_secret(Name=name, SecretString="s")
    paged = ("secretsmanager", "list-secrets", "--filters", "Key=name,Values=page", "--sort-order", "asc")
    whole = aws(*paged, "--page-size", "10", "--query", "SecretList[].Name")
    assert sorted(whole) == names
    first = aws(*paged, "--max-items", "7")
    assert len(first["SecretList"]) == 7
    rest = aws(*paged, "--starting-token", first["NextToken"])
    assert "NextToken" not in rest
    assert [one["Name"] for one in (*first["SecretList"], *rest["SecretList"])] == whole

    iam = stack.client("iam")
    for name in names:
        iam.create_user(UserName=name)
    users = aws("iam", "list-users", "--page-size", "4", "--query", "Users[?starts_with(UserName,'page')].UserName")
    assert users == names
    rds = stack.client("rds")
    for number, name in enumerate(names):
        rds.create_db_instance(
            DBInstanceIdentifier=name,
            Engine="postgres",
            DBInstanceClass="db.t3.micro",
            MasterUsername="postgres",
            MasterUserPassword="postgres",
            Tags=[{"Key": "tidegate:address", "Value": f"127.0.0.1:{7000 + number}"}],
        )
    databases = ("rds", "describe-db-instances", "--page-size", "20", "--query")
    assert aws(*databases, "DBInstances[?starts_with(DBInstanceIdentifier,'page')].DBInstanceIdentifier") == names
