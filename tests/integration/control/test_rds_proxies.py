"""RDS and EC2 from boto3, over HTTP: lives of a proxy and an endpoint, all pages, a restart, groups in use."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.integration.control.rds_running import OPERATIONS, Running
from tests.support.tidegate import wait_until
from tests.unit.control.services.rds.stage import AUTH, ROLE, SECRET, instance
from tidegate.control.services.rds.settings import Settings


class Account:
    """A client of rds, and what it needs to make proxies."""

    def __init__(self, running: Running) -> None:
        self.running = running
        self.rds = running.client("rds")
        self.done: set[str] = set()
        """Operations of rds that were called."""
        self.rds.meta.events.register("before-call.rds", lambda model, **_: self.done.add(model.name))
        ec2 = running.client("ec2")
        vpc = ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"][0]["VpcId"]
        found = ec2.describe_subnets(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["Subnets"]
        self.subnets = [subnet["SubnetId"] for subnet in sorted(found, key=lambda one: str(one["AvailabilityZone"]))]

    def proxy(self, name: str, **more: Any) -> dict[str, Any]:
        """Parameters of a proxy."""
        return {
            "DBProxyName": name,
            "EngineFamily": "POSTGRESQL",
            "Auth": AUTH,
            "RoleArn": ROLE,
            "VpcSubnetIds": self.subnets,
            **more,
        }

    def endpoint(self, name: str, **more: Any) -> dict[str, Any]:
        """Parameters of an endpoint."""
        return {"DBProxyName": "main", "DBProxyEndpointName": name, "VpcSubnetIds": self.subnets, **more}

    def create(self, name: str = "main") -> dict[str, Any]:
        """A proxy that is available."""
        self.rds.create_db_proxy(**self.proxy(name))
        return self.running.until_available(self.rds, name)

    def create_instance(self) -> None:
        """A database that runs elsewhere."""
        self.rds.create_db_instance(**instance())

    def endpoint_state(self, name: str) -> str:
        """DescribeDBProxyEndpoints of one."""
        told = self.rds.describe_db_proxy_endpoints(DBProxyEndpointName=name)
        return str(told["DBProxyEndpoints"][0]["Status"])


@pytest.fixture
def account(tmp_path: Path) -> Iterator[Account]:
    with Running(tmp_path) as running:
        yield Account(running)


def test_a_proxys_life(account: Account) -> None:
    """By all operations on proxies and targets."""
    rds = account.rds
    account.running.hold()
    made = rds.create_db_proxy(**account.proxy("main", RequireTLS=True, Tags=[{"Key": "a", "Value": "b"}]))["DBProxy"]
    assert made["Status"] == "creating" and made["Auth"][0]["SecretArn"] == SECRET
    account.running.release()
    told = account.running.until_available(rds, "main")
    assert told == made | {"Status": "available"}
    assert rds.list_tags_for_resource(ResourceName=made["DBProxyArn"])["TagList"] == [{"Key": "a", "Value": "b"}]
    account.create_instance()
    (target,) = rds.register_db_proxy_targets(DBProxyName="Main", DBInstanceIdentifiers=["DB1"])["DBProxyTargets"]
    assert target.items() >= {"RdsResourceId": "db1", "Type": "RDS_INSTANCE", "Port": 5433}.items()
    assert target["TargetHealth"] == {"State": "REGISTERING"}

    def health() -> str:
        (found,) = rds.describe_db_proxy_targets(DBProxyName="main", TargetGroupName="default")["Targets"]
        return str(found["TargetHealth"]["State"])

    wait_until(lambda: health() == "AVAILABLE", "health")
    configure_the_pool(account)
    changed = rds.modify_db_proxy(DBProxyName="main", NewDBProxyName="Renamed", IdleClientTimeout=60)["DBProxy"]
    assert (changed["DBProxyName"], changed["IdleClientTimeout"]) == ("Renamed", 60)
    assert account.running.until_available(rds, "renamed")["DBProxyArn"] == made["DBProxyArn"]
    assert set(rds.deregister_db_proxy_targets(DBProxyName="renamed", DBInstanceIdentifiers=["db1"])) == {
        "ResponseMetadata"
    }
    assert rds.describe_db_proxy_targets(DBProxyName="renamed")["Targets"] == []
    assert rds.delete_db_proxy(DBProxyName="renamed")["DBProxy"]["Status"] == "deleting"
    wait_until(lambda: rds.describe_db_proxies()["DBProxies"] == [], "the deletion")
    assert account.done >= {name for name in OPERATIONS if "Endpoint" not in name}
    messages = [event["Message"] for event in rds.describe_events(SourceType="db-proxy")["Events"]]
    since = rds.describe_events(StartTime=made["CreatedDate"], EndTime=made["CreatedDate"])["Events"]
    assert len(since) <= 1 < len(rds.describe_events(StartTime=made["CreatedDate"])["Events"])
    assert messages[0] == "RDS created DB proxy main." and messages[-1] == "RDS deleted DB proxy Renamed."


def configure_the_pool(account: Account) -> None:
    """What is not given has its default, or stays as it is."""
    rds, named = account.rds, {"DBProxyName": "main", "TargetGroupName": "default"}
    pool: dict[str, Any] = {"MaxConnectionsPercent": 30, "InitQuery": "SET x = 'é<&>'"}
    group = rds.modify_db_proxy_target_group(**named, ConnectionPoolConfig=pool)["DBProxyTargetGroup"]
    pool |= {"MaxIdleConnectionsPercent": 15, "ConnectionBorrowTimeout": 120, "SessionPinningFilters": []}
    assert group["ConnectionPoolConfig"] == pool
    assert rds.describe_db_proxy_target_groups(DBProxyName="main")["TargetGroups"] == [group]
    wait_until(lambda: account.running.plane.desired.proxies[0].max_connections_percent == 30, "the pool")
    sooner = {"ConnectionBorrowTimeout": 7}
    group = rds.modify_db_proxy_target_group(**named, ConnectionPoolConfig=sooner)["DBProxyTargetGroup"]
    assert group["ConnectionPoolConfig"] == pool | sooner


def test_an_endpoints_life(account: Account) -> None:
    """By all operations on endpoints."""
    rds = account.rds
    account.create()
    made = rds.create_db_proxy_endpoint(**account.endpoint("reader", TargetRole="READ_ONLY"))["DBProxyEndpoint"]
    assert (made["Status"], made["TargetRole"], made["IsDefault"]) == ("creating", "READ_ONLY", False)
    wait_until(lambda: account.endpoint_state("reader") == "available", "reader")
    rds.modify_db_proxy_endpoint(DBProxyEndpointName="reader", NewDBProxyEndpointName="readers")
    wait_until(lambda: account.endpoint_state("readers") == "available", "readers")
    names = [end["DBProxyEndpointName"] for end in rds.describe_db_proxy_endpoints()["DBProxyEndpoints"]]
    assert sorted(names) == ["main", "readers"]
    gone = rds.delete_db_proxy_endpoint(DBProxyEndpointName="READERS")["DBProxyEndpoint"]
    assert (gone["DBProxyEndpointName"], gone["Status"]) == ("readers", "deleting")
    wait_until(lambda: len(rds.describe_db_proxy_endpoints()["DBProxyEndpoints"]) == 1, "the deletion")
    assert account.done >= {name for name in OPERATIONS if "Endpoint" in name}
    rds.delete_db_proxy(DBProxyName="main")
    wait_until(lambda: rds.describe_db_proxy_endpoints()["DBProxyEndpoints"] == [], "the default one goes, too")


def test_paginators_of_boto3_see_all(tmp_path: Path) -> None:
    with Running(tmp_path, Settings(proxies=30)) as running:
        account = Account(running)
        names = [f"p{number:02}" for number in range(25)]
        for name in names:
            account.rds.create_db_proxy(**account.proxy(name))
        pages = list(account.rds.get_paginator("describe_db_proxies").paginate(PaginationConfig={"PageSize": 20}))
        assert [len(page["DBProxies"]) for page in pages] == [20, 5]
        assert [proxy["DBProxyName"] for page in pages for proxy in page["DBProxies"]] == names


def test_state_outlives_the_process(tmp_path: Path) -> None:
    with Running(tmp_path) as running:
        account = Account(running)
        made = account.create()
        account.create_instance()
        account.rds.register_db_proxy_targets(DBProxyName="main", DBInstanceIdentifiers=["db1"])
        running.hold()
        account.rds.modify_db_proxy(DBProxyName="main", RequireTLS=True)
    with Running(tmp_path) as running:
        rds = running.client("rds")
        told = running.until_available(rds, "main")
        assert told == made | {"RequireTLS": True, "UpdatedDate": told["UpdatedDate"]}
        target = running.plane.desired.proxies[0].target
        assert target is not None and target.password == "canary-password"


def test_a_lookup_of_cdk(account: Account) -> None:
    """What Vpc.fromLookup asks, from its context provider."""
    ec2 = account.running.client("ec2")
    (vpc,) = ec2.describe_vpcs(Filters=[{"Name": "isDefault", "Values": ["true"]}])["Vpcs"]
    of_vpc = [{"Name": "vpc-id", "Values": [vpc["VpcId"]]}]
    assert len(ec2.describe_subnets(Filters=of_vpc)["Subnets"]) == 3
    (table,) = ec2.describe_route_tables(Filters=of_vpc)["RouteTables"]
    assert table["Associations"][0]["Main"] is True
    attached = [
        {"Name": "attachment.vpc-id", "Values": [vpc["VpcId"]]},
        {"Name": "attachment.state", "Values": ["attached"]},
        {"Name": "state", "Values": ["available"]},
    ]
    assert ec2.describe_vpn_gateways(Filters=attached)["VpnGateways"] == []
    zones = ec2.describe_availability_zones()["AvailabilityZones"]
    assert [zone["ZoneName"] for zone in zones] == ["eu-west-1a", "eu-west-1b", "eu-west-1c"]
    with pytest.raises(ClientError) as caught:
        ec2.describe_subnets(SubnetIds=["subnet-x"])
    assert caught.value.response["Error"]["Code"] == "InvalidSubnetID.NotFound"


def test_security_groups_over_the_wire(account: Account) -> None:
    ec2 = account.running.client("ec2")
    made = ec2.create_security_group(
        GroupName="web",
        Description="web",
        TagSpecifications=[{"ResourceType": "security-group", "Tags": [{"Key": "a", "Value": "b"}]}],
    )["GroupId"]
    permission = {
        "IpProtocol": "tcp",
        "FromPort": 5432,
        "ToPort": 5432,
        "UserIdGroupPairs": [{"GroupId": made, "Description": "itself"}],
    }
    assert ec2.authorize_security_group_ingress(GroupId=made, IpPermissions=[permission])["Return"] is True
    (told,) = ec2.describe_security_groups(Filters=[{"Name": "tag:a", "Values": ["?"]}])["SecurityGroups"]
    assert told["IpPermissions"][0]["UserIdGroupPairs"][0]["GroupId"] == made
    account.rds.create_db_proxy(**account.proxy("main", VpcSecurityGroupIds=[made]))
    with pytest.raises(ClientError) as caught:
        ec2.delete_security_group(GroupId=made)
    assert caught.value.response["Error"]["Code"] == "DependencyViolation"
    assert "DB proxy main" in caught.value.response["Error"]["Message"]
