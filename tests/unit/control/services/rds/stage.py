"""An RDS service over a real store and real networks, and what tests say to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.support.conformance import check_error, make_call, serve
from tidegate.auth.rds_token import SigningKeys
from tidegate.control.call import Call
from tidegate.control.desired.credentials import Login, NoCredentialsError
from tidegate.control.desired.plan import Place, Plan, make_plan
from tidegate.control.desired.settling import settle
from tidegate.control.errors import AwsError
from tidegate.control.policies.decision import IDENTITY
from tidegate.control.ports import DesiredProxy, Failure, TargetHealth
from tidegate.control.services.ec2.lookup import Lookup
from tidegate.control.services.ec2.records import SecurityGroup, Subnet, Vpc
from tidegate.control.services.ec2.seed import seed
from tidegate.control.services.iam.errors import refused
from tidegate.control.services.rds.service import RdsService
from tidegate.control.services.rds.settings import Settings
from tidegate.control.store.sealed import Sealer
from tidegate.control.store.store import Store, Transaction

ACCOUNT = "123456789012"
REGION = "eu-west-1"
NOW = 1_800_000_000.0
ROLE = f"arn:aws:iam::{ACCOUNT}:role/proxy"
SECRET = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:app-AbCdEf"
KEYS = SigningKeys(region=REGION, access_key="ASIA1", secret_key="canary-key", session_token="canary-token")
AUTH = [{"AuthScheme": "SECRETS", "SecretArn": SECRET, "IAMAuth": "REQUIRED"}]


def instance(name: str = "db1", address: str = "127.0.0.1:5433") -> dict[str, Any]:
    """Parameters of a CreateDBInstance for one that runs elsewhere."""
    return {
        "DBInstanceIdentifier": name,
        "Engine": "postgres",
        "DBInstanceClass": "db.t3.small",
        "MasterUsername": "postgres",
        "MasterUserPassword": "canary-password",
        "Tags": [{"Key": "tidegate:address", "Value": address}],
    }


@dataclass
class Guard:
    """Allows what `refused` does not name, and remembers what it was asked."""

    refused: set[str] = field(default_factory=set)
    """Actions."""
    asked: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)

    def require(
        self, call: Call, action: str, resource: str, context: Mapping[str, Any], resource_policy: str | None
    ) -> None:
        """See call.Guard."""
        self.asked.append((action, resource, dict(context)))
        if action in self.refused:
            raise refused(
                call.service, call.caller.arn, action, resource, f"because no {IDENTITY} allows the {action} action"
            )


@dataclass
class Secrets:
    """Credentials by secret; a secret that is not there is refused. trusted: whether proxies get their role's keys."""

    logins: dict[str, list[Login]] = field(default_factory=lambda: {SECRET: [Login("app", ("one", "two"))]})
    trusted: bool = True

    def of_secret(
        self, transaction: Transaction, *, role_arn: str, secret_arn: str, proxy_arn: str, at: float
    ) -> list[Login]:
        """See desired.credentials.Credentials."""
        if secret_arn not in self.logins:
            raise NoCredentialsError(f"{secret_arn}: not allowed to {role_arn}")
        return self.logins[secret_arn]

    def of_role(self, transaction: Transaction, *, role_arn: str, proxy_arn: str, at: float) -> SigningKeys:
        """See desired.credentials.Credentials."""
        if not self.trusted:
            raise NoCredentialsError(f"{role_arn} does not trust")
        return KEYS


class Stage:
    """One account."""

    def __init__(self, folder: Path, settings: Settings | None = None) -> None:
        self.store = Store(folder / "state.db")
        self.guard = Guard()
        self.secrets = Secrets()
        self.sealer = Sealer(bytes(32))
        self.now = NOW
        self.health: dict[str, TargetHealth] = {}
        self.settings = settings or Settings()
        self.service = RdsService(
            network=Lookup(), sealer=self.sealer, health=lambda proxy: self.health.get(proxy), settings=self.settings
        )
        self.place = Place(ACCOUNT, REGION)
        self.written: set[str] = set()
        with self.transaction() as transaction:
            self.vpc = seed(transaction, ACCOUNT, REGION, NOW)
            subnets = sorted(transaction.table(Subnet).all(), key=lambda subnet: subnet.zone)
            self.subnets = [subnet.identifier for subnet in subnets]
            self.group = transaction.table(SecurityGroup).all()[0].identifier

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """One of the store's."""
        with self.store.transaction() as transaction:
            yield transaction
        self.written = transaction.written

    def call(self, operation: str, **parameters: Any) -> dict[str, Any]:
        """The operation's answer, which is checked against the model."""
        with self.transaction() as transaction:
            return serve(self.service, make_call("rds", operation, parameters, transaction, self.guard, at=self.now))

    def refused(self, operation: str, code: str, **parameters: Any) -> AwsError:
        """The error that it answers; nothing is kept."""
        with pytest.raises(AwsError) as caught:
            self.call(operation, **parameters)
        assert caught.value.code == code, caught.value
        check_error("rds", operation, caught.value)
        return caught.value

    def proxy_parameters(self, name: str = "main", **more: Any) -> dict[str, Any]:
        """Of a CreateDBProxy that works."""
        return {
            "DBProxyName": name,
            "EngineFamily": "POSTGRESQL",
            "Auth": AUTH,
            "RoleArn": ROLE,
            "VpcSubnetIds": self.subnets[:2],
            **more,
        }

    def create_proxy(self, name: str = "main", *, settled: bool = True, **more: Any) -> dict[str, Any]:
        """A proxy, as CreateDBProxy or, when it is settled, DescribeDBProxies tells of it."""
        made = self.call("CreateDBProxy", **self.proxy_parameters(name, **more))["DBProxy"]
        if settled:
            self.settle()
            made = self.proxy(name)
        return dict(made)

    def proxy(self, name: str = "main") -> dict[str, Any]:
        """DescribeDBProxies of one."""
        return dict(self.call("DescribeDBProxies", DBProxyName=name)["DBProxies"][0])

    def create_endpoint(self, name: str, proxy: str = "main", **more: Any) -> dict[str, Any]:
        """An endpoint of a proxy."""
        given = {"DBProxyName": proxy, "DBProxyEndpointName": name, "VpcSubnetIds": self.subnets, **more}
        return dict(self.call("CreateDBProxyEndpoint", **given)["DBProxyEndpoint"])

    def create_instance(self, name: str = "db1", address: str = "127.0.0.1:5433", **more: Any) -> dict[str, Any]:
        """An instance that runs elsewhere."""
        return dict(self.call("CreateDBInstance", **{**instance(name, address), **more})["DBInstance"])

    def plan(self) -> Plan:
        """What a data plane is to run now."""
        with self.transaction() as transaction:
            return make_plan(transaction, at=self.now, place=self.place, credentials=self.secrets, sealer=self.sealer)

    def settle(self, failures: Mapping[str, Failure] | None = None, plan: Plan | None = None) -> None:
        """As if a data plane had applied the plan, or that of now."""
        plan = plan or self.plan()
        with self.transaction() as transaction:
            settle(transaction, plan, failures or {}, at=self.now, place=self.place, settings=self.settings)

    def desired(self, name: str = "main") -> DesiredProxy:
        """Of one proxy."""
        return next(proxy for proxy in self.plan().desired.proxies if proxy.name == name)

    def events(self, **more: Any) -> list[str]:
        """Messages, the oldest first."""
        return [event["Message"] for event in self.call("DescribeEvents", **more)["Events"]]

    def other_vpc(self) -> tuple[list[str], str]:
        """Subnets of two zones and a security group in another VPC."""
        with self.transaction() as transaction:
            transaction.table(Vpc).put(Vpc(identifier="vpc-2", cidr="10.0.0.0/16", association_id="a"))
            for number, zone in enumerate("ab"):
                transaction.table(Subnet).put(
                    Subnet(
                        identifier=f"subnet-2{zone}",
                        vpc_id="vpc-2",
                        cidr=f"10.0.{number}.0/24",
                        zone=f"{REGION}{zone}",
                    )
                )
            transaction.table(SecurityGroup).put(
                SecurityGroup(identifier="sg-2", name="default", description="d", vpc_id="vpc-2")
            )
        return ["subnet-2a", "subnet-2b"], "sg-2"
