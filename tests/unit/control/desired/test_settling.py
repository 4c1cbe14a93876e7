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


def test_an_endpoint_that_can_not_be_had_is_so_alone(stage: Stage) -> None:
    stage.create_proxy()
    stage.create_endpoint("reader")
    stage.settle()
    ends = {end.name: end for end in stage.plan().desired.proxies[0].endpoints}
    failure = {ends["reader"].resource_id: Failure(kind=FailureKind.NETWORK, description="Address already in use")}
    stage.call("ModifyDBProxyEndpoint", DBProxyEndpointName="reader", NewDBProxyEndpointName="other")
    before = len(stage.events())
    stage.settle(failure)
    assert stage.proxy()["Status"] == "available" and endpoint_states(stage) == ["available", "incompatible-network"]
    told = "RDS failed to provision capacity for DB proxy main: endpoint other: Address already in use"
    assert stage.events()[before:] == ["RDS modified endpoint other of DB proxy main.", told]
    stage.settle(failure)
    assert len(stage.events()) == before + 2
    stage.settle()
    assert endpoint_states(stage) == ["available", "available"]


def test_a_proxy_is_where_its_default_endpoint_is(stage: Stage) -> None:
    stage.create_proxy()
    stage.create_endpoint("reader")
    (default,) = [end for end in stage.plan().desired.proxies[0].endpoints if end.name == "main"]
    stage.settle({default.resource_id: Failure(kind=FailureKind.NETWORK, description="Address already in use")})
    assert stage.proxy()["Status"] == "incompatible-network"
    assert sorted(endpoint_states(stage)) == ["available", "incompatible-network"]
    assert "RDS failed to provision capacity for DB proxy main: Address already in use" in stage.events()
