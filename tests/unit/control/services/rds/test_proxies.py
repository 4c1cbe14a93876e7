"""CreateDBProxy, ModifyDBProxy, DeleteDBProxy, DescribeDBProxies: success, and each of their errors."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.unit.control.services.rds.stage import ACCOUNT, AUTH, NOW, REGION, ROLE, SECRET, Stage
from tidegate.control.services.ec2.records import SecurityGroup
from tidegate.control.services.rds.settings import Settings


def test_a_created_proxy_is_told_as_it_was_wanted(stage: Stage) -> None:
    made = stage.create_proxy(
        settled=False,
        RequireTLS=True,
        IdleClientTimeout=600,
        DebugLogging=True,
        VpcSecurityGroupIds=[stage.group],
        Tags=[{"Key": "stage", "Value": "test"}],
    )
    arn = made.pop("DBProxyArn")
    assert re.fullmatch(rf"arn:aws:rds:{REGION}:{ACCOUNT}:db-proxy:prx-[0-9a-f]{{17}}", arn)
    host = made.pop("Endpoint")
    assert re.fullmatch(r"127\.(6[4-9]|[789]\d|1[01]\d|12[0-7])\.\d+\.\d+", host)
    moment = datetime.fromtimestamp(NOW, UTC)
    assert made == {
        "DBProxyName": "main",
        "Status": "creating",
        "EngineFamily": "POSTGRESQL",
        "VpcId": stage.vpc,
        "VpcSecurityGroupIds": [stage.group],
        "VpcSubnetIds": stage.subnets[:2],
        "DefaultAuthScheme": "NONE",
        "Auth": [
            {
                "AuthScheme": "SECRETS",
                "SecretArn": SECRET,
                "IAMAuth": "REQUIRED",
                "ClientPasswordAuthType": "POSTGRES_SCRAM_SHA_256",
            }
        ],
        "RoleArn": ROLE,
        "RequireTLS": True,
        "IdleClientTimeout": 600,
        "DebugLogging": True,
        "CreatedDate": moment,
        "UpdatedDate": moment,
        "EndpointNetworkType": "IPV4",
        "TargetConnectionNetworkType": "IPV4",
    }
    stage.settle()
    assert stage.proxy() == made | {"DBProxyArn": arn, "Endpoint": host, "Status": "available"}


def test_defaults_are_those_of_aws(stage: Stage) -> None:
    made = stage.create_proxy()
    told = {name: made[name] for name in ("RequireTLS", "IdleClientTimeout", "DebugLogging", "VpcSecurityGroupIds")}
    assert told == {
        "RequireTLS": False,
        "IdleClientTimeout": 1800,
        "DebugLogging": False,
        "VpcSecurityGroupIds": [stage.group],
    }


def test_leave_is_asked_for_the_proxy_its_tags_and_the_role(stage: Stage) -> None:
    stage.create_proxy(settled=False, Tags=[{"Key": "stage", "Value": "test"}])
    proxies = f"arn:aws:rds:{REGION}:{ACCOUNT}:db-proxy:*"
    tagged = {"aws:RequestTag/stage": "test", "rds:req-tag/stage": "test", "aws:TagKeys": ["stage"]}
    assert stage.guard.asked == [
        ("rds:CreateDBProxy", proxies, tagged),
        ("rds:AddTagsToResource", proxies, tagged),
        ("iam:PassRole", ROLE, {"iam:PassedToService": "rds.amazonaws.com"}),
    ]
    stage.guard.refused = {"iam:PassRole"}
    stage.refused("CreateDBProxy", "AccessDenied", **stage.proxy_parameters("other"))


def test_end_to_end_iam_needs_no_secret(stage: Stage) -> None:
    made = stage.create_proxy(DefaultAuthScheme="IAM_AUTH", Auth=[])
    assert (made["DefaultAuthScheme"], made["Auth"]) == ("IAM_AUTH", [])
    refusal = stage.refused(
        "ModifyDBProxy", "InvalidParameterCombination", DBProxyName="main", DefaultAuthScheme="NONE"
    )
    assert "you must specify the Auth parameter" in refusal.message
    changed = stage.call("ModifyDBProxy", DBProxyName="main", DefaultAuthScheme="NONE", Auth=AUTH)["DBProxy"]
    assert (changed["DefaultAuthScheme"], len(changed["Auth"])) == ("NONE", 1)
    stage.settle()
    changed = stage.call("ModifyDBProxy", DBProxyName="main", DefaultAuthScheme="IAM_AUTH")["DBProxy"]
    assert (changed["DefaultAuthScheme"], len(changed["Auth"])) == ("IAM_AUTH", 1)
    stage.settle()
    assert stage.call("ModifyDBProxy", DBProxyName="main", Auth=[])["DBProxy"]["Auth"] == []


def test_the_tag_says_where_to_listen(stage: Stage) -> None:
    at = [{"Key": "tidegate:address", "Value": "127.0.0.1:6432"}]
    assert stage.create_proxy("one", Tags=at)["Endpoint"] == "127.0.0.1:6432"
    error = stage.refused("CreateDBProxy", "InvalidParameterValue", **stage.proxy_parameters("two", Tags=at))
    assert error.message == "Another DB proxy endpoint has the address 127.0.0.1:6432."
    standard = [{"Key": "tidegate:address", "Value": "::1:5432"}]
    assert stage.create_proxy("two", Tags=standard)["Endpoint"] == "::1"


@pytest.mark.parametrize("address", ["", "db", "db:", ":5432", "db:0", "db:65536", "db:5e3", "x:y:1", "a b:1", "db:٣"])
def test_an_address_that_is_none_is_refused(stage: Stage, address: str) -> None:
    tags = [{"Key": "tidegate:address", "Value": address}]
    stage.refused("CreateDBProxy", "InvalidParameterValue", **stage.proxy_parameters(Tags=tags))


@pytest.mark.parametrize("address", ["0.0.0.0:6432", ":::5432"])
def test_an_address_that_no_client_connects_to_is_refused(stage: Stage, address: str) -> None:
    tags = [{"Key": "tidegate:address", "Value": address}]
    stage.refused("CreateDBProxy", "InvalidParameterValue", **stage.proxy_parameters(Tags=tags))
    stage.create_proxy()
    stage.refused(
        "CreateDBProxyEndpoint",
        "InvalidParameterValue",
        DBProxyName="main",
        DBProxyEndpointName="other",
        VpcSubnetIds=stage.subnets,
        Tags=tags,
    )


def test_names_are_unique_whatever_their_case(stage: Stage) -> None:
    stage.create_proxy("Main")
    error = stage.refused("CreateDBProxy", "DBProxyAlreadyExistsFault", **stage.proxy_parameters("mAIN"))
    assert error.message.startswith("The specified proxy name mAIN must be unique")
    assert stage.proxy("MAIN")["DBProxyName"] == "Main"


def test_there_are_twenty_proxies_at_most(tmp_path: Path) -> None:
    stage = Stage(tmp_path, Settings(proxies=2))
    stage.create_proxy("one")
    stage.create_proxy("two")
    stage.refused("CreateDBProxy", "DBProxyQuotaExceededFault", **stage.proxy_parameters("three"))
    assert Settings().proxies == 20


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: {"VpcSubnetIds": []}, "At least two subnets are needed, in different Availability Zones."),
        (lambda s: {"VpcSubnetIds": [s.subnets[0], "subnet-x"]}, "The requested subnet is invalid: subnet-x."),
        (
            lambda s: {"VpcSubnetIds": s.subnets[:1]},
            "The requested subnets must be in at least two different Availability Zones",
        ),
        (lambda s: {"VpcSubnetIds": [s.subnets[0], s.other_vpc()[0][1]]}, "are not all in a common VPC."),
        (lambda s: {"EndpointNetworkType": "DUAL"}, "need an IPv6 CIDR block in every subnet"),
    ],
)
def test_subnets_must_be_of_use(stage: Stage, change: object, message: str) -> None:
    given = stage.proxy_parameters() | change(stage)  # type: ignore[operator]
    assert message in stage.refused("CreateDBProxy", "InvalidSubnet", **given).message


@pytest.mark.parametrize("name", ["1a", "a--b", "a-", "a_b", "é", "a" * 64, "a b", "-a"])
def test_names_that_are_none(stage: Stage, name: str) -> None:
    stage.refused("CreateDBProxy", "InvalidParameterValue", **stage.proxy_parameters(name))


@pytest.mark.parametrize(
    ("change", "code", "message"),
    [
        ({"EngineFamily": "MYSQL"}, "InvalidParameterValue", "MYSQL is not supported yet by Tidegate"),
        ({"EngineFamily": "SQLSERVER"}, "InvalidParameterValue", "SQLSERVER is not supported yet by Tidegate"),
        ({"EngineFamily": "ORACLE"}, "InvalidParameterValue", "Invalid value ORACLE for EngineFamily"),
        ({"DefaultAuthScheme": "SOME"}, "InvalidParameterValue", "Valid values: IAM_AUTH, NONE."),
        ({"Auth": []}, "InvalidParameterCombination", "you must specify the Auth parameter"),
        ({"IdleClientTimeout": 0}, "InvalidParameterValue", "between 1 and 28800"),
        ({"IdleClientTimeout": 28801}, "InvalidParameterValue", "between 1 and 28800"),
        ({"EndpointNetworkType": "IPX"}, "InvalidParameterValue", "IPV4, IPV6, DUAL"),
        ({"TargetConnectionNetworkType": "DUAL"}, "InvalidParameterValue", "IPV4, IPV6"),
        ({"RoleArn": "arn:aws:iam::999999999999:role/other"}, "InvalidParameterValue", "of the account 123456789012"),
        ({"RoleArn": ""}, "MissingParameter", "RoleArn"),
        ({"EngineFamily": None}, "MissingParameter", "EngineFamily"),
        ({"VpcSecurityGroupIds": ["sg-x"]}, "InvalidParameterValue", "groupId= sg-x"),
        ({"Tags": [{"Key": "aws:x", "Value": ""}]}, "InvalidParameterValue", "reserved"),
        ({"Tags": [{"Key": "", "Value": ""}]}, "InvalidParameterValue", "1 to 128"),
        ({"Tags": [{"Key": "a", "Value": "b" * 257}]}, "InvalidParameterValue", "256"),
        ({"Tags": [{"Key": "a\n", "Value": "b"}]}, "InvalidParameterValue", "not allowed"),
        ({"Tags": [{"Key": "a"}, {"Key": "a"}]}, "InvalidParameterValue", "Duplicate"),
        ({"Tags": [{"Key": f"k{n}"} for n in range(51)]}, "InvalidParameterValue", "at most 50 tags"),
    ],
)
def test_parameters_out_of_bounds(stage: Stage, change: dict[str, object], code: str, message: str) -> None:
    assert message in stage.refused("CreateDBProxy", code, **(stage.proxy_parameters() | change)).message


def test_a_security_group_of_another_vpc(stage: Stage) -> None:
    group = stage.other_vpc()[1]
    given = stage.proxy_parameters(VpcSecurityGroupIds=[group])
    stage.refused("CreateDBProxy", "InvalidParameterCombination", **given)


@pytest.mark.parametrize(
    ("change", "code", "message"),
    [
        ({"IAMAuth": "ENABLED"}, "InvalidParameterValue", "only for proxies with RDS for Microsoft SQL Server"),
        ({"IAMAuth": "MAYBE"}, "InvalidParameterValue", "DISABLED, REQUIRED"),
        ({"AuthScheme": "NONE"}, "InvalidParameterValue", "Valid values: SECRETS"),
        (
            {"ClientPasswordAuthType": "MYSQL_NATIVE_PASSWORD"},
            "InvalidParameterCombination",
            "not valid for the engine",
        ),
        ({"ClientPasswordAuthType": "ROT13"}, "InvalidParameterValue", "POSTGRES_MD5"),
        ({"SecretArn": None}, "InvalidParameterCombination", "SecretArn must be specified"),
        ({"SecretArn": "arn:aws:s3:::a-bucket-of-secrets"}, "InvalidParameterValue", "ARN of a secret"),
        ({"Description": "x" * 1001}, "InvalidParameterValue", "1 to 1000"),
        ({"UserName": "x" * 129}, "InvalidParameterValue", "1 to 128"),
    ],
)
def test_auth_entries_that_can_not_be(stage: Stage, change: dict[str, object], code: str, message: str) -> None:
    given = stage.proxy_parameters(Auth=[AUTH[0] | change])
    assert message in stage.refused("CreateDBProxy", code, **given).message


def test_a_secret_serves_one_entry(stage: Stage) -> None:
    error = stage.refused("CreateDBProxy", "InvalidParameterValue", **stage.proxy_parameters(Auth=AUTH * 2))
    assert error.message == f"The secret {SECRET} is in more than one Auth entry."
    many = [{"SecretArn": f"{SECRET}{number}"} for number in range(201)]
    stage.refused("CreateDBProxy", "InvalidParameterValue", **stage.proxy_parameters(Auth=many))
    assert len(stage.create_proxy(Auth=many[:200])["Auth"]) == 200


def test_a_change_is_under_way_until_it_is_settled(stage: Stage) -> None:
    before = stage.create_proxy()
    stage.now += 5
    entry = {"SecretArn": SECRET, "ClientPasswordAuthType": "POSTGRES_MD5", "UserName": "app", "Description": "d"}
    changed = stage.call(
        "ModifyDBProxy",
        DBProxyName="main",
        Auth=[entry],
        RequireTLS=True,
        IdleClientTimeout=28800,
        DebugLogging=True,
        RoleArn=f"{ROLE}2",
    )["DBProxy"]
    assert changed == before | {
        "Status": "modifying",
        "Auth": [{"AuthScheme": "SECRETS", "IAMAuth": "DISABLED", **entry}],
        "RequireTLS": True,
        "IdleClientTimeout": 28800,
        "DebugLogging": True,
        "RoleArn": f"{ROLE}2",
        "UpdatedDate": datetime.fromtimestamp(NOW + 5, UTC),
    }
    assert ("iam:PassRole", f"{ROLE}2", {"iam:PassedToService": "rds.amazonaws.com"}) in stage.guard.asked
    stage.settle()
    assert stage.proxy() == changed | {"Status": "available"}


def test_a_new_name_leaves_the_rest(stage: Stage) -> None:
    before = stage.create_proxy()
    stage.create_endpoint("reader")
    changed = stage.call("ModifyDBProxy", DBProxyName="main", NewDBProxyName="Renamed")["DBProxy"]
    assert changed == before | {"DBProxyName": "Renamed", "Status": "modifying"}
    stage.refused("DescribeDBProxies", "DBProxyNotFoundFault", DBProxyName="main")
    ends = stage.call("DescribeDBProxyEndpoints", DBProxyName="renamed")["DBProxyEndpoints"]
    assert [(end["DBProxyEndpointName"], end["DBProxyName"]) for end in ends] == [
        ("Renamed", "Renamed"),
        ("reader", "Renamed"),
    ]


def test_security_groups_are_the_default_endpoints_too(stage: Stage) -> None:
    stage.create_proxy()
    stage.refused("ModifyDBProxy", "InvalidParameterValue", DBProxyName="main", SecurityGroups=["sg-x"])
    with stage.transaction() as transaction:
        transaction.table(SecurityGroup).put(
            SecurityGroup(identifier="sg-3", name="three", description="d", vpc_id=stage.vpc)
        )
    changed = stage.call("ModifyDBProxy", DBProxyName="main", SecurityGroups=["sg-3"])["DBProxy"]
    assert changed["VpcSecurityGroupIds"] == ["sg-3"]
    end = stage.call("DescribeDBProxyEndpoints", DBProxyName="main")["DBProxyEndpoints"][0]
    assert end["VpcSecurityGroupIds"] == ["sg-3"]


def test_a_change_that_can_not_be(stage: Stage) -> None:
    stage.create_proxy()
    stage.create_proxy("other")
    stage.refused("ModifyDBProxy", "DBProxyNotFoundFault", DBProxyName="absent")
    stage.refused("ModifyDBProxy", "MissingParameter")
    stage.refused("ModifyDBProxy", "DBProxyAlreadyExistsFault", DBProxyName="main", NewDBProxyName="OTHER")
    stage.refused("ModifyDBProxy", "InvalidParameterValue", DBProxyName="main", NewDBProxyName="a--b")
    stage.refused("ModifyDBProxy", "InvalidParameterCombination", DBProxyName="main", Auth=[])
    assert stage.proxy()["Status"] == "available"


@pytest.mark.parametrize("under_way", ["creating", "modifying", "deleting"])
def test_a_proxy_that_is_under_way_is_not_changed(stage: Stage, under_way: str) -> None:
    stage.create_proxy(settled=under_way != "creating")
    if under_way != "creating":
        stage.call({"modifying": "ModifyDBProxy", "deleting": "DeleteDBProxy"}[under_way], DBProxyName="main")
    error = stage.refused("ModifyDBProxy", "InvalidDBProxyStateFault", DBProxyName="main", RequireTLS=True)
    assert f"is in the state {under_way}" in error.message


def test_a_deleted_proxy_goes_when_it_is_settled(stage: Stage) -> None:
    before = stage.create_proxy()
    stage.create_endpoint("reader")
    assert stage.call("DeleteDBProxy", DBProxyName="main")["DBProxy"] == before | {"Status": "deleting"}
    error = stage.refused("DeleteDBProxy", "InvalidDBProxyStateFault", DBProxyName="main")
    assert "is in the state deleting" in error.message
    stage.refused("CreateDBProxy", "DBProxyAlreadyExistsFault", **stage.proxy_parameters())
    ends = stage.call("DescribeDBProxyEndpoints", DBProxyName="main")["DBProxyEndpoints"]
    assert [end["Status"] for end in ends] == ["deleting", "deleting"]
    stage.settle()
    assert stage.call("DescribeDBProxies") == {"DBProxies": []}
    assert stage.call("DescribeDBProxyEndpoints") == {"DBProxyEndpoints": []}
    stage.refused("DeleteDBProxy", "DBProxyNotFoundFault", DBProxyName="main")


def test_pages_neither_repeat_nor_skip(tmp_path: Path) -> None:
    stage = Stage(tmp_path, Settings(proxies=60))
    names = [f"p{number:02}" for number in range(45)]
    for name in names:
        stage.create_proxy(name, settled=False)
    seen: list[str] = []
    more: dict[str, str] = {}
    while True:
        answer = stage.call("DescribeDBProxies", MaxRecords=20, **more)
        seen += [proxy["DBProxyName"] for proxy in answer["DBProxies"]]
        if "Marker" not in answer:
            break
        assert len(answer["DBProxies"]) == 20
        more = {"Marker": answer["Marker"]}
    assert seen == names
    for bounds in (19, 101):
        stage.refused("DescribeDBProxies", "InvalidParameterValue", MaxRecords=bounds)
    stage.refused("DescribeDBProxies", "InvalidParameterValue", Marker="no marker!")
    stage.refused("DescribeDBProxies", "InvalidParameterValue", Filters=[{"Name": "x", "Values": ["y"]}])


@pytest.mark.parametrize("operation", ["ModifyDBProxy", "DeleteDBProxy", "DescribeDBProxies"])
def test_who_may_not_does_not_learn_what_there_is(stage: Stage, operation: str) -> None:
    stage.create_proxy()
    stage.guard.refused = {f"rds:{operation}"}
    there = stage.refused(operation, "AccessDenied", DBProxyName="main")
    absent = stage.refused(operation, "AccessDenied", DBProxyName="absent")
    assert there.message == absent.message
    assert "prx-" not in there.message


def test_an_endpoints_name_is_taken(stage: Stage) -> None:
    """A proxy's default endpoint has the proxy's name: two endpoints would have one."""
    stage.create_proxy()
    stage.create_endpoint("Reader")
    stage.settle()
    for name in ("reader", "READER"):
        stage.refused("CreateDBProxy", "DBProxyAlreadyExistsFault", **stage.proxy_parameters(name))
        stage.refused("ModifyDBProxy", "DBProxyAlreadyExistsFault", DBProxyName="main", NewDBProxyName=name)
    stage.call("ModifyDBProxyEndpoint", DBProxyEndpointName="reader", NewDBProxyEndpointName="other")
    stage.call("CreateDBProxy", **stage.proxy_parameters("reader"))
    stage.settle()
    stage.refused(
        "ModifyDBProxyEndpoint",
        "DBProxyEndpointAlreadyExistsFault",
        DBProxyEndpointName="other",
        NewDBProxyEndpointName="Reader",
    )
    stage.call("ModifyDBProxy", DBProxyName="main", NewDBProxyName="MAIN")
