"""Who has a subnet or a security group."""

from __future__ import annotations

from tests.unit.control.services.rds.stage import Stage
from tidegate.control.services.rds.usage import user_of


def test_all_that_is_in_a_network_is_named(stage: Stage) -> None:
    def user(identifier: str) -> str | None:
        with stage.transaction() as transaction:
            return user_of(transaction, identifier)

    last = stage.subnets[2]
    assert (user(last), user(stage.group)) == (None, None)
    stage.create_instance()
    assert user(stage.group) == "DB instance db1"
    given = {"DBSubnetGroupName": "g", "DBSubnetGroupDescription": "d", "SubnetIds": stage.subnets}
    stage.call("CreateDBSubnetGroup", **given)
    assert user(last) == "DB subnet group g"
    stage.create_proxy()
    stage.create_endpoint("reader")
    assert user(last) == "DB proxy endpoint reader"
    assert user(stage.subnets[0]) == user(stage.group) == "DB proxy main"
