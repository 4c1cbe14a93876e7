"""An EC2 service over a real store, and what tests say to it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.support.conformance import make_call, serve
from tests.unit.control.services.rds.stage import ACCOUNT, NOW, REGION, Guard
from tidegate.control.errors import AwsError
from tidegate.control.services.ec2.base import Limits
from tidegate.control.services.ec2.seed import seed
from tidegate.control.services.ec2.service import Ec2Service
from tidegate.control.services.rds.usage import user_of
from tidegate.control.store.store import Store


class Stage:
    """One account with its default VPC."""

    def __init__(self, folder: Path, limits: Limits | None = None) -> None:
        self.store = Store(folder / "state.db")
        self.guard = Guard()
        self.now = NOW
        self.service = Ec2Service(limits, used=user_of)
        with self.store.transaction() as transaction:
            self.vpc = seed(transaction, ACCOUNT, REGION, NOW)

    def call(self, operation: str, **parameters: Any) -> dict[str, Any]:
        """The operation's answer, which is checked against the model."""
        with self.store.transaction() as transaction:
            return serve(self.service, make_call("ec2", operation, parameters, transaction, self.guard, at=self.now))

    def refused(self, operation: str, code: str, **parameters: Any) -> AwsError:
        """The error that it answers; nothing is kept."""
        with pytest.raises(AwsError) as caught:
            self.call(operation, **parameters)
        assert caught.value.code == code, caught.value
        return caught.value

    def create_vpc(self, cidr: str = "10.0.0.0/16", **more: Any) -> str:
        """Its id."""
        return str(self.call("CreateVpc", CidrBlock=cidr, **more)["Vpc"]["VpcId"])

    def create_subnet(self, vpc: str, cidr: str = "10.0.0.0/24", **more: Any) -> str:
        """Its id."""
        return str(self.call("CreateSubnet", VpcId=vpc, CidrBlock=cidr, **more)["Subnet"]["SubnetId"])

    def create_group(self, name: str = "web", **more: Any) -> str:
        """Its id."""
        return str(self.call("CreateSecurityGroup", GroupName=name, Description="d", **more)["GroupId"])

    def found(self, operation: str, member: str, identifier: str, filters: Mapping[str, str | list[str]]) -> list[str]:
        """Ids of what a Describe operation finds by filters."""
        given = [
            {"Name": name, "Values": [value] if isinstance(value, str) else value} for name, value in filters.items()
        ]
        return [one[identifier] for one in self.call(operation, Filters=given)[member]]


def tags(kind: str, **given: str) -> list[dict[str, Any]]:
    """TagSpecifications."""
    return [{"ResourceType": kind, "Tags": [{"Key": key, "Value": value} for key, value in given.items()]}]
