"""What a data plane has done, written to the records."""

from __future__ import annotations

import pytest

from tests.unit.control.services.rds.stage import Stage
from tidegate.control.ports import Failure, FailureKind


def failure(stage: Stage, kind: FailureKind = FailureKind.NETWORK) -> dict[str, Failure]:
    resource_id = stage.proxy()["DBProxyArn"].rpartition(":")[2]
    return {resource_id: Failure(kind=kind, description="Address already in use")}


def endpoint_states(stage: Stage) -> list[str]:
    return [end["Status"] for end in stage.call("DescribeDBProxyEndpoints", DBProxyName="main")["DBProxyEndpoints"]]


@pytest.mark.parametrize("kind", list(FailureKind))
def test_a_proxy_that_can_not_run_says_so_until_it_can(stage: Stage, kind: FailureKind) -> None:
    stage.create_proxy(settled=False)
    stage.settle(failure(stage, kind))
    assert stage.proxy()["Status"] == kind.value
    assert endpoint_states(stage) == [kind.value]
    stage.settle(failure(stage, kind))
    assert stage.events() == [
        "RDS created DB proxy main.",
        "RDS failed to provision capacity for DB proxy main: Address already in use",
    ]
    stage.settle()
    assert stage.proxy()["Status"] == "available" and endpoint_states(stage) == ["available"]


def test_a_failure_is_its_own_proxys(stage: Stage) -> None:
    stage.create_proxy(settled=False)
    stage.create_proxy("other", settled=False)
    stage.settle(failure(stage))
    assert stage.proxy("other")["Status"] == "available"


def test_a_change_meanwhile_is_not_settled(stage: Stage) -> None:
    stage.create_proxy()
    stage.create_endpoint("reader")
    stage.call("ModifyDBProxy", DBProxyName="main", RequireTLS=True)
    old = stage.plan()
    stage.settle()
    stage.call("ModifyDBProxy", DBProxyName="main", RequireTLS=False)
    stage.call("DeleteDBProxyEndpoint", DBProxyEndpointName="reader")
    stage.settle(plan=old)
    assert stage.proxy()["Status"] == "modifying" and endpoint_states(stage) == ["available", "deleting"]
    stage.settle()
    assert stage.proxy()["Status"] == "available" and endpoint_states(stage) == ["available"]


def test_what_was_deleted_meanwhile_stays_until_it_is_planned(stage: Stage) -> None:
    stage.create_proxy()
    stage.create_instance()
    old = stage.plan()
    stage.call("DeleteDBProxy", DBProxyName="main")
    stage.call("DeleteDBInstance", DBInstanceIdentifier="db1", SkipFinalSnapshot=True)
    stage.settle(plan=old)
    assert stage.proxy()["Status"] == "deleting"
    assert stage.call("DescribeDBInstances")["DBInstances"][0]["DBInstanceStatus"] == "deleting"
    stage.settle()
    assert stage.call("DescribeDBProxies") == {"DBProxies": []}
    assert stage.call("DescribeDBInstances") == {"DBInstances": []}


def test_a_proxy_made_anew_under_the_same_name_is_another(stage: Stage) -> None:
    stage.create_proxy()
    stage.call("DeleteDBProxy", DBProxyName="main")
    old = stage.plan()
    stage.settle()
    stage.create_proxy(settled=False)
    stage.settle(plan=old)
    assert stage.proxy()["Status"] == "creating"


def test_settling_what_is_settled_writes_nothing(stage: Stage) -> None:
    stage.create_proxy()
    stage.settle()
    assert stage.written == set()
