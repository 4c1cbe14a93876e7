"""What a CDK stack's network is made of (shared/stacks): routes, gateways, addresses, tags."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.control.services.ec2.stage import Stage, tags
from tests.unit.control.services.rds.stage import REGION
from tidegate.control.services.ec2.base import Limits
from tidegate.control.services.rds.records import SubnetGroup


def test_a_vpc_with_public_and_private_subnets(stage: Stage) -> None:
    vpc = stage.create_vpc(TagSpecifications=tags("vpc", Name="RdsLambdaStack/VpcLambda"))
    stage.call("ModifyVpcAttribute", VpcId=vpc, EnableDnsHostnames={"Value": True})
    public = stage.create_subnet(vpc, "10.0.2.0/24", AvailabilityZone=f"{REGION}a")
    private = stage.create_subnet(
        vpc,
        "10.0.0.0/24",
        AvailabilityZone=f"{REGION}a",
        TagSpecifications=tags("subnet", **{"aws-cdk:subnet-type": "Private"}),
    )
    gateway = stage.call("CreateInternetGateway")["InternetGateway"]["InternetGatewayId"]
    stage.call("AttachInternetGateway", InternetGatewayId=gateway, VpcId=vpc)
    address = stage.call("AllocateAddress", Domain="vpc", TagSpecifications=tags("elastic-ip", Name="eip"))
    nat = stage.call("CreateNatGateway", SubnetId=public, AllocationId=address["AllocationId"], ClientToken="once")[
        "NatGateway"
    ]
    again = stage.call("CreateNatGateway", SubnetId=public, AllocationId="ignored", ClientToken="once")["NatGateway"]
    assert again == nat and nat["State"] == "available" and nat["VpcId"] == vpc
    assert nat["NatGatewayAddresses"][0]["PublicIp"] == address["PublicIp"]
    tables = {}
    for name, subnet, target in (
        ("public", public, {"GatewayId": gateway}),
        ("private", private, {"NatGatewayId": nat["NatGatewayId"]}),
    ):
        table = stage.call("CreateRouteTable", VpcId=vpc)["RouteTable"]["RouteTableId"]
        stage.call("AssociateRouteTable", RouteTableId=table, SubnetId=subnet)
        assert stage.call("CreateRoute", RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", **target) == {
            "Return": True
        }
        tables[name] = table
    told = stage.call("DescribeRouteTables", RouteTableIds=[tables["private"]])["RouteTables"][0]
    assert told["Routes"] == [
        {
            "DestinationCidrBlock": "10.0.0.0/16",
            "GatewayId": "local",
            "Origin": "CreateRouteTable",
            "State": "active",
        },
        {
            "DestinationCidrBlock": "0.0.0.0/0",
            "NatGatewayId": nat["NatGatewayId"],
            "Origin": "CreateRoute",
            "State": "active",
        },
    ]
    assert [one["SubnetId"] for one in told["Associations"]] == [private]
    assert stage.found("DescribeRouteTables", "RouteTables", "RouteTableId", {"association.subnet-id": public}) == [
        tables["public"]
    ]
    assert stage.found("DescribeSubnets", "Subnets", "SubnetId", {"tag:aws-cdk:subnet-type": "Private"}) == [private]
    assert stage.call("DescribeVpnGateways", Filters=[{"Name": "attachment.vpc-id", "Values": [vpc]}]) == {
        "VpnGateways": []
    }
    stage.refused("DeleteSubnet", "DependencyViolation", SubnetId=public)
    stage.refused("ReleaseAddress", "InvalidIPAddress.InUse", AllocationId=address["AllocationId"])
    stage.call("DeleteNatGateway", NatGatewayId=nat["NatGatewayId"])
    blackhole = stage.call("DescribeRouteTables", RouteTableIds=[tables["private"]])["RouteTables"][0]["Routes"][1]
    assert blackhole["State"] == "blackhole"
    stage.call("ReleaseAddress", AllocationId=address["AllocationId"])
    stage.call("DeleteSubnet", SubnetId=public)
    stage.call("DeleteRouteTable", RouteTableId=tables["public"])
    stage.refused("DeleteRouteTable", "DependencyViolation", RouteTableId=tables["private"])


def test_a_deleted_nat_gateway_is_told_of_for_an_hour(stage: Stage) -> None:
    subnet = stage.call("DescribeSubnets")["Subnets"][0]["SubnetId"]
    nat = stage.call("CreateNatGateway", SubnetId=subnet, ConnectivityType="private")["NatGateway"]["NatGatewayId"]
    assert stage.call("DescribeSubnets", SubnetIds=[subnet])["Subnets"][0]["AvailableIpAddressCount"] == 4090
    stage.call("DeleteNatGateway", NatGatewayId=nat)
    filters = [{"Name": "state", "Values": ["deleted"]}]
    assert len(stage.call("DescribeNatGateways", Filter=filters)["NatGateways"]) == 1
    stage.now += 3601
    stage.refused("DescribeNatGateways", "NatGatewayNotFound", NatGatewayIds=[nat])


def test_routes_that_can_not_be(stage: Stage) -> None:
    (main,) = stage.call("DescribeRouteTables")["RouteTables"]
    table, gateway = main["RouteTableId"], main["Routes"][1]["GatewayId"]
    outside = {"RouteTableId": table, "DestinationCidrBlock": "0.0.0.0/0"}
    create = "CreateRoute"
    stage.refused(create, "RouteAlreadyExists", **outside, GatewayId=gateway)
    stage.refused(create, "InvalidParameterCombination", **outside)
    stage.refused(create, "InvalidInternetGatewayID.NotFound", **outside, GatewayId="igw-x")
    stage.refused(create, "NatGatewayNotFound", **outside, NatGatewayId="nat-x")
    stage.refused(create, "InvalidRouteTableID.NotFound", **outside | {"RouteTableId": "rtb-x"}, GatewayId=gateway)
    stage.refused(create, "InvalidParameterValue", **outside | {"DestinationCidrBlock": "all"}, GatewayId=gateway)
    stage.refused(create, "MissingParameter", RouteTableId=table, GatewayId=gateway)
    stage.refused("DeleteRoute", "InvalidRoute.NotFound", RouteTableId=table, DestinationCidrBlock="1.0.0.0/8")
    stage.refused("DeleteRoute", "InvalidParameterValue", RouteTableId=table, DestinationCidrBlock="172.31.0.0/16")
    stage.call("ReplaceRoute", **outside, GatewayId=gateway)
    stage.call("DeleteRoute", **outside)
    stage.refused("ReplaceRoute", "InvalidRoute.NotFound", **outside, GatewayId=gateway)
    stage.refused(
        "DisassociateRouteTable",
        "InvalidParameterValue",
        AssociationId=main["Associations"][0]["RouteTableAssociationId"],
    )
    stage.refused("DisassociateRouteTable", "InvalidAssociationID.NotFound", AssociationId="rtbassoc-x")
    other = stage.create_subnet(stage.create_vpc())
    stage.refused("AssociateRouteTable", "InvalidParameterValue", RouteTableId=table, SubnetId=other)


def test_associations_move(stage: Stage) -> None:
    subnet = stage.call("DescribeSubnets")["Subnets"][0]["SubnetId"]
    one, two = (stage.call("CreateRouteTable", VpcId=stage.vpc)["RouteTable"]["RouteTableId"] for _ in range(2))
    first = stage.call("AssociateRouteTable", RouteTableId=one, SubnetId=subnet)
    assert stage.call("AssociateRouteTable", RouteTableId=one, SubnetId=subnet) == first
    stage.refused("AssociateRouteTable", "Resource.AlreadyAssociated", RouteTableId=two, SubnetId=subnet)
    moved = stage.call("ReplaceRouteTableAssociation", AssociationId=first["AssociationId"], RouteTableId=two)
    assert stage.call("DescribeRouteTables", RouteTableIds=[one])["RouteTables"][0]["Associations"] == []
    stage.call("DisassociateRouteTable", AssociationId=moved["NewAssociationId"])
    (main,) = stage.found("DescribeRouteTables", "RouteTables", "RouteTableId", {"association.main": "true"})
    (own,) = stage.call("DescribeRouteTables", RouteTableIds=[main])["RouteTables"][0]["Associations"]
    stage.call("ReplaceRouteTableAssociation", AssociationId=own["RouteTableAssociationId"], RouteTableId=two)
    assert stage.found("DescribeRouteTables", "RouteTables", "RouteTableId", {"association.main": "true"}) == [two]


def test_gateways_that_can_not_be(tmp_path: Path) -> None:
    stage = Stage(tmp_path, Limits(gateways=2, addresses=1, nat_gateways=0, route_tables=1))
    (default,) = stage.call("DescribeInternetGateways")["InternetGateways"]
    gateway = stage.call("CreateInternetGateway")["InternetGateway"]["InternetGatewayId"]
    stage.refused("CreateInternetGateway", "InternetGatewayLimitExceeded")
    given = {"InternetGatewayId": gateway, "VpcId": stage.vpc}
    stage.refused("AttachInternetGateway", "Resource.AlreadyAssociated", **given)
    stage.refused("DetachInternetGateway", "Gateway.NotAttached", **given)
    stage.refused("AttachInternetGateway", "InvalidVpcID.NotFound", **given | {"VpcId": "vpc-x"})
    stage.refused("DeleteInternetGateway", "DependencyViolation", InternetGatewayId=default["InternetGatewayId"])
    stage.call("DeleteInternetGateway", InternetGatewayId=gateway)
    stage.refused("DeleteInternetGateway", "InvalidInternetGatewayID.NotFound", InternetGatewayId=gateway)
    stage.call("AllocateAddress")
    stage.refused("AllocateAddress", "AddressLimitExceeded")
    stage.refused("ReleaseAddress", "InvalidAllocationID.NotFound", AllocationId="eipalloc-x")
    subnet = stage.call("DescribeSubnets")["Subnets"][0]["SubnetId"]
    private = {"SubnetId": subnet, "ConnectivityType": "private"}
    stage.refused("CreateNatGateway", "NatGatewayLimitExceeded", **private)
    stage.refused("CreateNatGateway", "InvalidSubnetID.NotFound", **private | {"SubnetId": "subnet-x"})
    stage.refused("DeleteNatGateway", "NatGatewayNotFound", NatGatewayId="nat-x")
    stage.refused("CreateRouteTable", "RouteTableLimitExceeded", VpcId=stage.vpc)


@pytest.mark.parametrize("kind", ["vpc", "subnet", "security-group", "security-group-rule", "route-table"])
def test_tags_of_all_kinds(stage: Stage, kind: str) -> None:
    group = stage.create_group()
    ids = {
        "vpc": stage.vpc,
        "subnet": stage.call("DescribeSubnets")["Subnets"][0]["SubnetId"],
        "security-group": group,
        "security-group-rule": stage.call("DescribeSecurityGroupRules")["SecurityGroupRules"][0]["SecurityGroupRuleId"],
        "route-table": stage.call("DescribeRouteTables")["RouteTables"][0]["RouteTableId"],
    }
    given = [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}]
    assert stage.call("CreateTags", Resources=[ids[kind]], Tags=given) == {}
    told = stage.call("DescribeTags", Filters=[{"Name": "resource-type", "Values": [kind]}])["Tags"]
    assert told == [{"ResourceId": ids[kind], "ResourceType": kind, **tag} for tag in given]
    stage.call("DeleteTags", Resources=[ids[kind]], Tags=[{"Key": "a", "Value": "other"}, {"Key": "b"}])
    assert [tag["Key"] for tag in stage.call("DescribeTags")["Tags"]] == ["a"]
    stage.call("DeleteTags", Resources=[ids[kind]])
    assert stage.call("DescribeTags") == {"Tags": []}


def test_tags_that_can_not_be(stage: Stage) -> None:
    tag = [{"Key": "a", "Value": "b"}]
    stage.refused("CreateTags", "InvalidVpcID.NotFound", Resources=[stage.vpc, "vpc-x"], Tags=tag)
    assert stage.call("DescribeTags") == {"Tags": []}
    stage.refused("CreateTags", "InvalidParameterValue", Resources=["i-1"], Tags=tag)
    stage.refused("CreateTags", "MissingParameter", Tags=tag)
    stage.refused("CreateTags", "MissingParameter", Resources=[stage.vpc])
    stage.refused("CreateTags", "InvalidParameterValue", Resources=[stage.vpc], Tags=[{"Key": "aws:a", "Value": ""}])
    many = [{"Key": f"k{number}", "Value": ""} for number in range(51)]
    stage.refused("CreateTags", "TagLimitExceeded", Resources=[stage.vpc], Tags=many)


def test_what_a_database_needs_stays(stage: Stage) -> None:
    subnet = stage.call("DescribeSubnets")["Subnets"][0]["SubnetId"]
    with stage.store.transaction() as transaction:
        group = SubnetGroup(name="g", description="d", vpc_id=stage.vpc, subnets={subnet: f"{REGION}a"})
        transaction.table(SubnetGroup).put(group)
    error = stage.refused("DeleteSubnet", "DependencyViolation", SubnetId=subnet)
    assert "is used by DB subnet group g" in error.message


def test_a_vpc_has_its_default_network_acl(stage: Stage) -> None:
    (acl,) = stage.call(
        "DescribeNetworkAcls",
        Filters=[{"Name": "vpc-id", "Values": [stage.vpc]}, {"Name": "default", "Values": ["true"]}],
    )["NetworkAcls"]
    subnets = {one["SubnetId"] for one in stage.call("DescribeSubnets")["Subnets"]}
    assert {one["SubnetId"] for one in acl["Associations"]} == subnets
    assert [(one["Egress"], one["RuleNumber"], one["RuleAction"]) for one in acl["Entries"]] == [
        (True, 100, "allow"),
        (True, 32767, "deny"),
        (False, 100, "allow"),
        (False, 32767, "deny"),
    ]
    assert stage.call("DescribeNetworkAcls", NetworkAclIds=[acl["NetworkAclId"]])["NetworkAcls"] == [acl]
    stage.refused("DescribeNetworkAcls", "InvalidNetworkAclID.NotFound", NetworkAclIds=["acl-x"])


def test_a_nat_gateway_has_an_interface(stage: Stage) -> None:
    subnet = stage.call("DescribeSubnets")["Subnets"][0]["SubnetId"]
    address = stage.call("AllocateAddress")
    nat = stage.call("CreateNatGateway", SubnetId=subnet, AllocationId=address["AllocationId"])["NatGateway"]
    filters = [{"Name": "subnet-id", "Values": [subnet]}]
    (told,) = stage.call("DescribeNetworkInterfaces", Filters=filters)["NetworkInterfaces"]
    assert told["NetworkInterfaceId"] == nat["NatGatewayAddresses"][0]["NetworkInterfaceId"]
    assert told["Association"]["PublicIp"] == address["PublicIp"]
    assert stage.call("DescribeAddresses")["Addresses"][0]["NetworkInterfaceId"] == told["NetworkInterfaceId"]
    stage.call("DeleteNatGateway", NatGatewayId=nat["NatGatewayId"])
    assert stage.call("DescribeNetworkInterfaces", Filters=filters) == {"NetworkInterfaces": []}
    ids = {"NetworkInterfaceIds": [told["NetworkInterfaceId"]]}
    stage.refused("DescribeNetworkInterfaces", "InvalidNetworkInterfaceID.NotFound", **ids)


def test_there_is_one_region(stage: Stage) -> None:
    assert [one["RegionName"] for one in stage.call("DescribeRegions")["Regions"]] == [REGION]
    assert stage.call("DescribeRegions", Filters=[{"Name": "region-name", "Values": ["us-*"]}]) == {"Regions": []}
    stage.refused("DescribeRegions", "InvalidParameterValue", RegionNames=["mars-1"])


def test_nat_gateways_that_can_not_be(tmp_path: Path) -> None:
    stage = Stage(tmp_path, Limits(routes=1))
    vpc = stage.create_vpc()
    small = stage.create_subnet(vpc, "10.0.0.0/28")
    stage.refused("AllocateAddress", "InvalidParameterValue", Domain="standard")
    stage.refused("CreateNatGateway", "InvalidParameterValue", SubnetId=small, ConnectivityType="some")
    stage.refused("CreateNatGateway", "MissingParameter", SubnetId=small)
    address = stage.call("AllocateAddress")["AllocationId"]
    first = stage.call("CreateNatGateway", SubnetId=small, AllocationId=address)["NatGateway"]["NatGatewayId"]
    stage.refused("CreateNatGateway", "InvalidIPAddress.InUse", SubnetId=small, AllocationId=address)
    private = {"SubnetId": small, "ConnectivityType": "private"}
    made = [stage.call("CreateNatGateway", **private)["NatGateway"] for _ in range(10)]
    addresses = {one["NatGatewayAddresses"][0]["PrivateIp"] for one in made}
    assert addresses == {f"10.0.0.{host}" for host in range(5, 15)}
    stage.refused("CreateNatGateway", "InvalidParameterValue", **private)
    stage.call("DeleteNatGateway", NatGatewayId=first)
    stage.now += 3601
    stage.call("DeleteNatGateway", NatGatewayId=made[0]["NatGatewayId"])
    stage.refused("DeleteNatGateway", "NatGatewayNotFound", NatGatewayId=first)
    table = stage.call("CreateRouteTable", VpcId=vpc)["RouteTable"]["RouteTableId"]
    target = {"RouteTableId": table, "NatGatewayId": made[1]["NatGatewayId"]}
    stage.call("CreateRoute", **target, DestinationCidrBlock="0.0.0.0/0")
    stage.refused("CreateRoute", "RouteLimitExceeded", **target, DestinationCidrBlock="1.0.0.0/8")
    stage.refused("CreateRoute", "UnsupportedOperation", **target, DestinationIpv6CidrBlock="::/0")
    stage.refused("AssociateRouteTable", "UnsupportedOperation", RouteTableId=table, GatewayId="igw-1")
    default = stage.call("DescribeInternetGateways")["InternetGateways"][0]["InternetGatewayId"]
    foreign = {"RouteTableId": table, "GatewayId": default, "DestinationCidrBlock": "2.0.0.0/8"}
    stage.refused("CreateRoute", "InvalidParameterValue", **foreign)
    association = stage.call("AssociateRouteTable", RouteTableId=table, SubnetId=small)["AssociationId"]
    (main,) = [
        one["RouteTableId"] for one in stage.call("DescribeRouteTables")["RouteTables"] if one["VpcId"] == stage.vpc
    ]
    moved = {"AssociationId": association, "RouteTableId": main}
    stage.refused("ReplaceRouteTableAssociation", "InvalidParameterValue", **moved)


def test_bounds_of_tags(stage: Stage) -> None:
    many = {f"k{number}": "" for number in range(51)}
    stage.refused("CreateVpc", "TagLimitExceeded", CidrBlock="10.0.0.0/16", TagSpecifications=tags("vpc", **many))
    for tag in ({"Key": "", "Value": ""}, {"Key": "k" * 128}, {"Key": "k", "Value": "v" * 256}):
        stage.refused("CreateTags", "InvalidParameterValue", Resources=[stage.vpc], Tags=[tag])
    ids = [f"vpc-{number}" for number in range(1001)]
    stage.refused("CreateTags", "InvalidParameterValue", Resources=ids, Tags=[{"Key": "a"}])
    rule = "InvalidSecurityGroupRuleId.NotFound"
    stage.refused("CreateTags", rule, Resources=["sgr-x"], Tags=[{"Key": "a"}])
