"""The default VPC; VPCs, subnets and zones of one's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.control.services.ec2.stage import Stage, tags
from tests.unit.control.services.rds.stage import ACCOUNT, NOW, REGION
from tidegate.control.services.ec2.base import Limits
from tidegate.control.services.ec2.seed import seed
from tidegate.control.services.ec2.zones import zone_id


def test_the_default_vpc_is_as_aws_makes_it(stage: Stage) -> None:
    (vpc,) = stage.call("DescribeVpcs", Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"]
    assert vpc == {
        "VpcId": stage.vpc,
        "CidrBlock": "172.31.0.0/16",
        "CidrBlockAssociationSet": vpc["CidrBlockAssociationSet"],
        "DhcpOptionsId": "dopt-default",
        "InstanceTenancy": "default",
        "IsDefault": True,
        "OwnerId": ACCOUNT,
        "State": "available",
        "Tags": [],
    }
    subnets = stage.call("DescribeSubnets", Filters=[{"Name": "vpc-id", "Values": [stage.vpc]}])["Subnets"]
    told = sorted(
        (one["AvailabilityZone"], one["AvailabilityZoneId"], one["CidrBlock"], one["AvailableIpAddressCount"])
        for one in subnets
    )
    assert told == [
        (f"{REGION}a", "euw1-az1", "172.31.0.0/20", 4091),
        (f"{REGION}b", "euw1-az2", "172.31.16.0/20", 4091),
        (f"{REGION}c", "euw1-az3", "172.31.32.0/20", 4091),
    ]
    assert all(one["DefaultForAz"] and one["MapPublicIpOnLaunch"] for one in subnets)
    (gateway,) = stage.call("DescribeInternetGateways")["InternetGateways"]
    assert gateway["Attachments"] == [{"State": "available", "VpcId": stage.vpc}]
    (table,) = stage.call("DescribeRouteTables")["RouteTables"]
    assert [(route["DestinationCidrBlock"], route["GatewayId"]) for route in table["Routes"]] == [
        ("172.31.0.0/16", "local"),
        ("0.0.0.0/0", gateway["InternetGatewayId"]),
    ]
    assert [one["Main"] for one in table["Associations"]] == [True]
    (group,) = stage.call("DescribeSecurityGroups")["SecurityGroups"]
    assert (group["GroupName"], group["Description"]) == ("default", "default VPC security group")
    assert group["IpPermissions"][0]["UserIdGroupPairs"] == [{"GroupId": group["GroupId"], "UserId": ACCOUNT}]
    assert group["IpPermissionsEgress"][0]["IpRanges"] == [{"CidrIp": "0.0.0.0/0"}]


def test_the_default_vpc_is_made_once(stage: Stage) -> None:
    for subnet in stage.call("DescribeSubnets")["Subnets"]:
        stage.call("DeleteSubnet", SubnetId=subnet["SubnetId"])
    gateway = stage.call("DescribeInternetGateways")["InternetGateways"][0]["InternetGatewayId"]
    stage.call("DetachInternetGateway", InternetGatewayId=gateway, VpcId=stage.vpc)
    stage.call("DeleteVpc", VpcId=stage.vpc)
    with stage.store.transaction() as transaction:
        assert seed(transaction, ACCOUNT, REGION, NOW) == stage.vpc
    assert stage.call("DescribeVpcs") == {"Vpcs": []}
    assert stage.call("DescribeSecurityGroups") == {"SecurityGroups": []}


@pytest.mark.parametrize(
    ("zone", "identifier"),
    [
        ("us-east-1a", "use1-az1"),
        ("eu-west-1b", "euw1-az2"),
        ("ap-southeast-2c", "apse2-az3"),
        ("eu-central-1a", "euc1-az1"),
        ("us-gov-west-1a", "usgw1-az1"),
        ("ap-northeast-1a", "apne1-az1"),
    ],
)
def test_ids_of_zones(zone: str, identifier: str) -> None:
    assert zone_id(zone) == identifier


def test_zones_are_found(stage: Stage) -> None:
    zones = stage.call("DescribeAvailabilityZones")["AvailabilityZones"]
    assert [(one["ZoneName"], one["State"]) for one in zones] == [(f"{REGION}{x}", "available") for x in "abc"]
    names = stage.call("DescribeAvailabilityZones", ZoneNames=[f"{REGION}b"])["AvailabilityZones"]
    assert [one["ZoneId"] for one in names] == ["euw1-az2"]
    assert stage.found("DescribeAvailabilityZones", "AvailabilityZones", "ZoneName", {"zone-id": "*-az3"}) == [
        f"{REGION}c"
    ]
    stage.refused("DescribeAvailabilityZones", "InvalidParameterValue", ZoneNames=["eu-west-1z"])


def test_a_vpc_from_its_making_to_its_end(stage: Stage) -> None:
    vpc = stage.create_vpc("10.0.5.5/16", TagSpecifications=tags("vpc", Name="mine"), InstanceTenancy="default")
    (told,) = stage.call("DescribeVpcs", VpcIds=[vpc])["Vpcs"]
    assert (told["CidrBlock"], told["IsDefault"], told["Tags"]) == (
        "10.0.0.0/16",
        False,
        [{"Key": "Name", "Value": "mine"}],
    )
    subnet = stage.create_subnet(vpc, AvailabilityZone=f"{REGION}b")
    (one,) = stage.call("DescribeSubnets", SubnetIds=[subnet])["Subnets"]
    assert (one["AvailabilityZone"], one["AvailableIpAddressCount"], one["State"]) == (f"{REGION}b", 251, "available")
    stage.call("ModifySubnetAttribute", SubnetId=subnet, MapPublicIpOnLaunch={"Value": True})
    assert stage.call("DescribeSubnets", SubnetIds=[subnet])["Subnets"][0]["MapPublicIpOnLaunch"] is True
    error = stage.refused("DeleteVpc", "DependencyViolation", VpcId=vpc)
    assert error.message == f"The vpc '{vpc}' has dependencies and cannot be deleted."
    stage.call("DeleteSubnet", SubnetId=subnet)
    stage.call("DeleteVpc", VpcId=vpc)
    stage.refused("DescribeVpcs", "InvalidVpcID.NotFound", VpcIds=[vpc])


def test_attributes_of_a_vpc(stage: Stage) -> None:
    vpc = stage.create_vpc()
    asked = {"VpcId": vpc, "Attribute": "enableDnsHostnames"}
    assert stage.call("DescribeVpcAttribute", **asked) == {"VpcId": vpc, "EnableDnsHostnames": {"Value": False}}
    stage.call("ModifyVpcAttribute", VpcId=vpc, EnableDnsHostnames={"Value": True})
    assert stage.call("DescribeVpcAttribute", **asked)["EnableDnsHostnames"] == {"Value": True}
    stage.refused("ModifyVpcAttribute", "InvalidParameterCombination", VpcId=vpc)
    stage.refused("DescribeVpcAttribute", "InvalidParameterValue", VpcId=vpc, Attribute="other")
    stage.refused("DescribeVpcAttribute", "InvalidVpcID.NotFound", VpcId="vpc-x", Attribute="enableDnsSupport")


def test_networks_that_can_not_be(stage: Stage) -> None:
    for cidr, code in (
        ("10.0.0.0/15", "InvalidVpc.Range"),
        ("10.0.0.0/29", "InvalidVpc.Range"),
        ("10.0.0.0", "InvalidVpc.Range"),
        ("ten", "InvalidParameterValue"),
        ("", "MissingParameter"),
    ):
        stage.refused("CreateVpc", code, CidrBlock=cidr)
    stage.refused("CreateVpc", "UnsupportedOperation", CidrBlock="10.0.0.0/16", AmazonProvidedIpv6CidrBlock=True)
    stage.refused("CreateVpc", "InvalidParameterValue", CidrBlock="10.0.0.0/16", InstanceTenancy="host")
    vpc = stage.create_vpc()
    stage.create_subnet(vpc, "10.0.1.0/24")
    create = "CreateSubnet"
    stage.refused(create, "InvalidVpcID.NotFound", VpcId="vpc-x", CidrBlock="10.0.2.0/24")
    stage.refused(create, "InvalidSubnet.Range", VpcId=vpc, CidrBlock="10.1.0.0/24")
    stage.refused(create, "InvalidSubnet.Conflict", VpcId=vpc, CidrBlock="10.0.1.128/25")
    zone = {"AvailabilityZone": "eu-west-1z"}
    stage.refused(create, "InvalidParameterValue", VpcId=vpc, CidrBlock="10.0.2.0/24", **zone)
    stage.refused(create, "InvalidParameterValue", VpcId=vpc, CidrBlock="10.0.2.0/24", TagSpecifications=tags("vpc"))
    for operation in ("DeleteSubnet", "ModifySubnetAttribute"):
        stage.refused(operation, "InvalidSubnetID.NotFound", SubnetId="subnet-x")
    stage.refused("DescribeSubnets", "InvalidSubnetID.NotFound", SubnetIds=["subnet-x"])


def test_limits(tmp_path: Path) -> None:
    stage = Stage(tmp_path, Limits(vpcs=2, subnets=1))
    vpc = stage.create_vpc()
    stage.refused("CreateVpc", "VpcLimitExceeded", CidrBlock="10.1.0.0/16")
    stage.create_subnet(vpc)
    stage.refused("CreateSubnet", "SubnetLimitExceeded", VpcId=vpc, CidrBlock="10.0.9.0/24")


def test_a_dry_run_changes_nothing(stage: Stage) -> None:
    error = stage.refused("CreateVpc", "DryRunOperation", CidrBlock="10.0.0.0/16", DryRun=True)
    assert error.status == 412
    assert len(stage.call("DescribeVpcs")["Vpcs"]) == 1
    stage.guard.refused = {"ec2:CreateVpc"}
    stage.refused("CreateVpc", "UnauthorizedOperation", CidrBlock="10.0.0.0/16", DryRun=True)


def test_leave_is_asked_for_each_resource_and_its_tags(stage: Stage) -> None:
    vpc = stage.create_vpc(TagSpecifications=tags("vpc", stage="test"))
    stage.guard.asked.clear()
    stage.create_subnet(vpc, TagSpecifications=tags("subnet", a="b"))
    prefix = f"arn:aws:ec2:{REGION}:{ACCOUNT}"
    assert [(action, resource) for action, resource, _ in stage.guard.asked] == [
        ("ec2:CreateSubnet", f"{prefix}:subnet/*"),
        ("ec2:CreateSubnet", f"{prefix}:vpc/{vpc}"),
        ("ec2:CreateTags", f"{prefix}:subnet/*"),
    ]
    assert stage.guard.asked[1][2]["aws:ResourceTag/stage"] == "test"
    assert stage.guard.asked[2][2]["ec2:CreateAction"] == "CreateSubnet"
    assert stage.guard.asked[2][2]["aws:RequestTag/a"] == "b"


def test_what_subnets_can_not_do_yet(stage: Stage) -> None:
    subnet = stage.call("DescribeSubnets")["Subnets"][0]["SubnetId"]
    given = {"VpcId": stage.vpc, "CidrBlock": "172.31.64.0/24"}
    stage.refused("CreateSubnet", "UnsupportedOperation", **given, Ipv6CidrBlock="2001:db8::/64")
    both = {"AvailabilityZone": f"{REGION}a", "AvailabilityZoneId": "euw1-az1"}
    stage.refused("CreateSubnet", "InvalidParameterCombination", **given, **both)
    modify = "ModifySubnetAttribute"
    stage.refused(modify, "UnsupportedOperation", SubnetId=subnet, EnableDns64={"Value": True})
    stage.refused(modify, "MissingParameter", SubnetId=subnet)
