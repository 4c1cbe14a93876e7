"""DB instances that run elsewhere."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.unit.control.services.rds.stage import ACCOUNT, NOW, REGION, Stage
from tidegate.control.services.rds.records import Instance
from tidegate.control.services.rds.settings import Settings

GIVEN = {
    "DBInstanceIdentifier": "db2",
    "Engine": "postgres",
    "DBInstanceClass": "db.t3.small",
    "MasterUsername": "postgres",
    "MasterUserPassword": "canary-password",
    "Tags": [{"Key": "tidegate:address", "Value": "127.0.0.1:5433"}],
}


def test_an_instance_is_told_as_it_was_wanted(stage: Stage) -> None:
    made = stage.create_instance("DB1", "db.example.com:5432", AllocatedStorage=100, MaxAllocatedStorage=200)
    told = {
        "DBInstanceIdentifier": "db1",
        "DBInstanceArn": f"arn:aws:rds:{REGION}:{ACCOUNT}:db:db1",
        "DBInstanceStatus": "available",
        "Engine": "postgres",
        "EngineVersion": "17",
        "DBInstanceClass": "db.t3.small",
        "MasterUsername": "postgres",
        "Endpoint": {"Address": "db.example.com", "Port": 5432},
        "AllocatedStorage": 100,
        "MaxAllocatedStorage": 200,
        "StorageType": "gp2",
        "BackupRetentionPeriod": 1,
        "MultiAZ": False,
        "AvailabilityZone": f"{REGION}a",
        "InstanceCreateTime": datetime.fromtimestamp(NOW, UTC),
        "VpcSecurityGroups": [{"VpcSecurityGroupId": stage.group, "Status": "active"}],
        "DBParameterGroups": [{"DBParameterGroupName": "default.postgres17", "ParameterApplyStatus": "in-sync"}],
        "DeletionProtection": False,
        "TagList": [{"Key": "tidegate:address", "Value": "db.example.com:5432"}],
    }
    assert {name: made[name] for name in told} == told
    assert re.fullmatch(r"db-[0-9A-F]{17}", made["DbiResourceId"])
    assert stage.call("DescribeDBInstances", DBInstanceIdentifier="Db1") == {"DBInstances": [made]}
    assert stage.call("DescribeDBInstances", DBInstanceIdentifier=made["DBInstanceArn"]) == {"DBInstances": [made]}


def test_the_password_is_nowhere_in_the_clear(stage: Stage, tmp_path: Path) -> None:
    made = stage.create_instance()
    with stage.transaction() as transaction:
        record = transaction.table(Instance).all()[0]
    assert "canary-password" not in repr(made) + repr(record) + record.model_dump_json()
    stage.store.close()
    assert all(b"canary-password" not in file.read_bytes() for file in tmp_path.iterdir())


@pytest.mark.parametrize(
    ("change", "code", "message"),
    [
        ({"Tags": []}, "InvalidParameterCombination", "give the tag tidegate:address with the value host:port"),
        ({"Engine": "mysql"}, "InvalidParameterValue", "mysql is not supported yet by Tidegate"),
        ({"Port": 5432}, "InvalidParameterCombination", "Port is 5432, and the tag tidegate:address says 5433."),
        ({"DBInstanceClass": "t3.small"}, "InvalidParameterValue", "Invalid DB Instance class: t3.small"),
        ({"DBInstanceIdentifier": "db--2"}, "InvalidParameterValue", "not a valid identifier"),
        ({"MasterUsername": ""}, "MissingParameter", "MasterUsername"),
        ({"MasterUserPassword": None}, "MissingParameter", "MasterUserPassword"),
        ({"MasterUserPassword": "x" * 1025}, "InvalidParameterValue", "1 to 1024 characters"),
        ({"ManageMasterUserPassword": True}, "InvalidParameterCombination", "give its MasterUserPassword"),
        ({"AllocatedStorage": 4}, "InvalidParameterValue", "between 5 and 65536"),
        ({"BackupRetentionPeriod": 36}, "InvalidParameterValue", "between 0 and 35"),
        ({"StorageType": "tape"}, "InvalidParameterValue", "gp3"),
        ({"AvailabilityZone": "eu-west-1z"}, "InvalidParameterValue", "eu-west-1a, eu-west-1b, eu-west-1c"),
        ({"AvailabilityZone": "eu-west-1a", "MultiAZ": True}, "InvalidParameterCombination", "Multi-AZ"),
        ({"DBSubnetGroupName": "absent"}, "DBSubnetGroupNotFoundFault", "'absent' does not exist"),
        ({"DBClusterIdentifier": "aurora"}, "DBClusterNotFoundFault", "aurora"),
        ({"VpcSecurityGroupIds": ["sg-x"]}, "InvalidParameterValue", "sg-x"),
        ({"KmsKeyId": "k" * 256}, "InvalidParameterValue", "255"),
        ({"DBName": "x" * 64}, "InvalidParameterValue", "1 to 63"),
    ],
)
def test_instances_that_can_not_be(stage: Stage, change: dict[str, object], code: str, message: str) -> None:
    error = stage.refused("CreateDBInstance", code, **(GIVEN | change))
    assert message in error.message and "canary" not in error.message


def test_names_and_numbers_of_instances(tmp_path: Path) -> None:
    stage = Stage(tmp_path, Settings(instances=1))
    stage.create_instance("db1")
    stage.refused("CreateDBInstance", "DBInstanceAlreadyExists", **(GIVEN | {"DBInstanceIdentifier": "DB1"}))
    stage.refused("CreateDBInstance", "InstanceQuotaExceeded", **GIVEN)


def test_a_template_of_cdk_can_be_expressed(stage: Stage) -> None:
    """AWS::RDS::DBSubnetGroup and AWS::RDS::DBInstance of shared/stacks."""
    stage.call(
        "CreateDBSubnetGroup",
        DBSubnetGroupName="Instance-Group",
        DBSubnetGroupDescription="Subnet group for Instance database",
        SubnetIds=stage.subnets[:2],
    )
    made = stage.create_instance(
        AllocatedStorage=100,
        CopyTagsToSnapshot=True,
        DBName="cloudtechsimplified",
        DBSubnetGroupName="Instance-Group",
        EngineVersion="17",
        MaxAllocatedStorage=200,
        PubliclyAccessible=False,
        StorageType="gp2",
        VpcSecurityGroupIds=[stage.group],
    )
    assert made["DBSubnetGroup"]["DBSubnetGroupName"] == "instance-group"
    assert (made["CopyTagsToSnapshot"], made["DBName"], made["PubliclyAccessible"]) == (
        True,
        "cloudtechsimplified",
        False,
    )
    error = stage.refused("DeleteDBSubnetGroup", "InvalidDBSubnetGroupStateFault", DBSubnetGroupName="instance-group")
    assert "db1 is still using it" in error.message


def test_a_renamed_instance_stays_the_target(stage: Stage) -> None:
    stage.create_proxy()
    made = stage.create_instance()
    stage.call("RegisterDBProxyTargets", DBProxyName="main", DBInstanceIdentifiers=["db1"])
    before = stage.desired()
    changed = stage.call(
        "ModifyDBInstance",
        DBInstanceIdentifier="db1",
        NewDBInstanceIdentifier="DB9",
        DBInstanceClass="db.r6g.large",
        AllocatedStorage=200,
        DeletionProtection=True,
        ApplyImmediately=True,
    )["DBInstance"]
    assert changed == made | {
        "DBInstanceIdentifier": "db9",
        "DBInstanceArn": f"arn:aws:rds:{REGION}:{ACCOUNT}:db:db9",
        "DBInstanceClass": "db.r6g.large",
        "AllocatedStorage": 200,
        "DeletionProtection": True,
    }
    assert stage.desired() == before
    assert stage.call("DescribeDBProxyTargets", DBProxyName="main")["Targets"][0]["RdsResourceId"] == "db9"
    stage.refused("DescribeDBInstances", "DBInstanceNotFound", DBInstanceIdentifier="db1")


def test_a_new_master_password_is_the_proxys_from_then_on(stage: Stage) -> None:
    stage.create_proxy()
    stage.create_instance()
    stage.call("RegisterDBProxyTargets", DBProxyName="main", DBInstanceIdentifiers=["db1"])
    stage.call("ModifyDBInstance", DBInstanceIdentifier="db1", MasterUserPassword="another")
    target = stage.desired().target
    assert target is not None and target.password == "another"
    assert "Reset master credentials" in stage.events(SourceType="db-instance", SourceIdentifier="db1")


def test_changes_that_can_not_be(stage: Stage) -> None:
    stage.create_instance()
    stage.create_instance("db2", "127.0.0.1:5434")

    def refused(code: str, **given: object) -> None:
        stage.refused("ModifyDBInstance", code, **({"DBInstanceIdentifier": "db1"} | given))

    refused("DBInstanceNotFound", DBInstanceIdentifier="absent")
    refused("DBInstanceAlreadyExists", NewDBInstanceIdentifier="db2")
    refused("InvalidParameterValue", NewDBInstanceIdentifier="1db")
    refused("InvalidParameterCombination", AllocatedStorage=10)
    refused("InvalidParameterCombination", DBPortNumber=5432)
    refused("InvalidParameterCombination", ManageMasterUserPassword=True)
    stage.call("DeleteDBInstance", DBInstanceIdentifier="db1", SkipFinalSnapshot=True)
    refused("InvalidDBInstanceState", AllocatedStorage=100)


def test_a_deleted_instance_leaves_its_proxies(stage: Stage) -> None:
    stage.create_proxy()
    stage.create_instance()
    stage.call("RegisterDBProxyTargets", DBProxyName="main", DBInstanceIdentifiers=["db1"])
    gone = stage.call("DeleteDBInstance", DBInstanceIdentifier="db1", SkipFinalSnapshot=True)["DBInstance"]
    assert gone["DBInstanceStatus"] == "deleting"
    assert stage.call("DescribeDBProxyTargets", DBProxyName="main") == {"Targets": []}
    assert stage.desired().target is None
    again = {"DBInstanceIdentifier": "db1", "SkipFinalSnapshot": True}
    stage.refused("DeleteDBInstance", "InvalidDBInstanceState", **again)
    stage.settle()
    stage.refused("DeleteDBInstance", "DBInstanceNotFound", **again)
    assert "automatically removed it from target group default of DB proxy main." in stage.events()[-2]
    assert stage.events()[-1] == "DB instance deleted"


def test_what_deleting_asks_for(stage: Stage) -> None:
    stage.create_instance(DeletionProtection=True)
    given = {"DBInstanceIdentifier": "db1"}
    error = stage.refused("DeleteDBInstance", "InvalidParameterCombination", **given, SkipFinalSnapshot=True)
    assert error.message.startswith("Cannot delete protected DB Instance")
    stage.call("ModifyDBInstance", DBInstanceIdentifier="db1", DeletionProtection=False)
    for more in ({}, {"FinalDBSnapshotIdentifier": "s"}, {"FinalDBSnapshotIdentifier": "s", "SkipFinalSnapshot": True}):
        stage.refused("DeleteDBInstance", "InvalidParameterCombination", **given, **more)


def test_instances_are_found_by_filters(stage: Stage) -> None:
    ids = {
        name: stage.create_instance(name, f"127.0.0.1:{port}")["DbiResourceId"]
        for name, port in (("db1", 5433), ("db2", 5434))
    }

    def names(name: str, *values: str) -> list[str]:
        found = stage.call("DescribeDBInstances", Filters=[{"Name": name, "Values": list(values)}])
        return [one["DBInstanceIdentifier"] for one in found["DBInstances"]]

    assert names("dbi-resource-id", ids["db2"]) == ["db2"]
    assert names("db-instance-id", "DB1", f"arn:aws:rds:{REGION}:{ACCOUNT}:db:db2") == ["db1", "db2"]
    assert names("engine", "mysql") == []
    assert names("db-cluster-id", "aurora") == []
    error = stage.refused("DescribeDBInstances", "InvalidParameterValue", Filters=[{"Name": "x", "Values": []}])
    assert error.message == "Unrecognized filter name: x"


def test_leave_is_asked_with_the_instances_own_keys(stage: Stage) -> None:
    stage.create_instance(MultiAZ=True)
    action, resource, context = stage.guard.asked[0]
    assert (action, resource) == ("rds:CreateDBInstance", f"arn:aws:rds:{REGION}:{ACCOUNT}:db:db1")
    assert context["rds:DatabaseClass"] == "db.t3.small" and context["rds:MultiAz"] is True
    assert context["aws:RequestTag/tidegate:address"] == "127.0.0.1:5433"
    stage.guard.refused = {"rds:DescribeDBInstances"}
    there = stage.refused("DescribeDBInstances", "AccessDenied", DBInstanceIdentifier="db1")
    absent = stage.refused("DescribeDBInstances", "AccessDenied", DBInstanceIdentifier="db9")
    assert there.message.replace("db1", "db9") == absent.message


def test_an_instance_moves_to_another_network(stage: Stage) -> None:
    stage.create_instance(EnableCloudwatchLogsExports=["postgresql"], KmsKeyId="key")
    subnets, group = stage.other_vpc()
    stage.call("CreateDBSubnetGroup", DBSubnetGroupName="other", DBSubnetGroupDescription="d", SubnetIds=subnets)
    changed = stage.call(
        "ModifyDBInstance", DBInstanceIdentifier="db1", DBSubnetGroupName="Other", EngineVersion="17.2"
    )["DBInstance"]
    assert changed["DBSubnetGroup"]["VpcId"] == "vpc-2" and changed["EngineVersion"] == "17.2"
    assert [one["VpcSecurityGroupId"] for one in changed["VpcSecurityGroups"]] == [group]
    assert (changed["EnabledCloudwatchLogsExports"], changed["KmsKeyId"]) == (["postgresql"], "key")
    given = {"DBInstanceIdentifier": "db1", "VpcSecurityGroupIds": [stage.group]}
    stage.refused("ModifyDBInstance", "InvalidParameterCombination", **given)


def test_lists_have_bounds(stage: Stage) -> None:
    logs = GIVEN | {"EnableCloudwatchLogsExports": ["x"] * 11}
    stage.refused("CreateDBInstance", "InvalidParameterValue", **logs)
    groups = GIVEN | {"VpcSecurityGroupIds": [f"sg-{number}" for number in range(101)]}
    stage.refused("CreateDBInstance", "InvalidParameterValue", **groups)
    many = [{"Name": "engine", "Values": ["x"] * 201}]
    stage.refused("DescribeDBInstances", "InvalidParameterValue", Filters=many)
    subnets = [f"subnet-{number}" for number in range(101)]
    stage.refused("CreateDBProxy", "InvalidParameterValue", **stage.proxy_parameters(VpcSubnetIds=subnets))
