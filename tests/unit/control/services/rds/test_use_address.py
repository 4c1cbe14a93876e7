"""Leave for the addresses that callers name by tags: who may use RDS may not for that alone."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.control.services.rds.stage import ACCOUNT, REGION, Stage, instance

TAG = [{"Key": "tidegate:address", "Value": "10.1.2.3:6000"}]


@pytest.mark.parametrize(
    ("operation", "given"),
    [
        ("CreateDBInstance", instance("db2", "10.1.2.3:6000")),
        ("CreateDBProxy", {"DBProxyName": "second", "Tags": TAG}),
        ("CreateDBProxyEndpoint", {"DBProxyName": "main", "DBProxyEndpointName": "second", "Tags": TAG}),
    ],
)
def test_who_names_an_address_needs_leave_for_it(stage: Stage, operation: str, given: dict[str, Any]) -> None:
    stage.create_proxy()
    if operation == "CreateDBProxy":
        given = stage.proxy_parameters("second", **given)
    elif operation == "CreateDBProxyEndpoint":
        given = {**given, "VpcSubnetIds": stage.subnets}
    stage.guard.refused = {"tidegate:UseAddress"}
    resource = f"arn:aws:tidegate:{REGION}:{ACCOUNT}:address/10.1.2.3:6000"
    message = stage.refused(operation, "AccessDenied", **given).message
    assert f"is not authorized to perform: tidegate:UseAddress on resource: {resource}" in message
    stage.guard.refused = set()
    stage.guard.asked.clear()
    stage.call(operation, **given)
    assert ("tidegate:UseAddress", resource, {}) in stage.guard.asked


def test_no_address_no_leave(stage: Stage) -> None:
    stage.guard.refused = {"tidegate:UseAddress"}
    stage.create_proxy()
    stage.create_endpoint("second")
