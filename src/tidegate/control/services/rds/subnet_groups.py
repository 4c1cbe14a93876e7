"""CreateDBSubnetGroup, ModifyDBSubnetGroup, DeleteDBSubnetGroup, DescribeDBSubnetGroups.

Owns these operations. Refuses networks themselves (`networks`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from tidegate.control.call import Call
from tidegate.control.services.rds import errors
from tidegate.control.services.rds.base import Base
from tidegate.control.services.rds.networks import group_subnets
from tidegate.control.services.rds.parameters import no_filters, page, text, texts
from tidegate.control.services.rds.permission import arn_of, permit, permit_tagging
from tidegate.control.services.rds.records import Instance, SubnetGroup
from tidegate.control.services.rds.shapes import subnet_group_shape
from tidegate.control.services.rds.tags import tags_of

KIND = "subgrp"
_NAME = re.compile(r"[a-zA-Z0-9 ._-]{1,255}")


class SubnetGroups(Base):
    """The operations on DB subnet groups."""

    def create_db_subnet_group(self, call: Call) -> dict[str, Any]:
        """CreateDBSubnetGroup.

        DBSubnetGroupAlreadyExists, DBSubnetGroupQuotaExceeded, DBSubnetGroupDoesNotCoverEnoughAZs, InvalidSubnet.
        """
        given = call.parameters
        tags = tags_of(given, self.settings.tags)
        name = _name(given)
        permit(call, "CreateDBSubnetGroup", KIND, name or "*", requested=tags)
        permit_tagging(call, KIND, tags)
        _check_name(given)
        groups = call.transaction.table(SubnetGroup)
        if groups.get(name):
            raise errors.subnet_group_exists(name)
        if len(groups.all()) >= self.settings.subnet_groups:
            raise errors.subnet_group_quota()
        group = SubnetGroup(
            name=name,
            description=text(given, "DBSubnetGroupDescription"),
            vpc_id="",
            subnets={},
            tags=tags,
        )
        return {"DBSubnetGroup": self._placed(call, group)}

    def modify_db_subnet_group(self, call: Call) -> dict[str, Any]:
        """ModifyDBSubnetGroup. DBSubnetGroupNotFoundFault, DBSubnetGroupDoesNotCoverEnoughAZs, InvalidSubnet."""
        group = self._allowed_subnet_group(call)
        description = call.parameters.get("DBSubnetGroupDescription")
        if description is not None:
            group = group.model_copy(update={"description": str(description)})
        return {"DBSubnetGroup": self._placed(call, group)}

    def _placed(self, call: Call, group: SubnetGroup) -> dict[str, Any]:
        ids = texts(call.parameters, "SubnetIds")
        if len(ids) > self.settings.subnets_in_group:
            raise errors.invalid_value(
                f"A DB subnet group can have at most {self.settings.subnets_in_group} subnets, not {len(ids)}."
            )
        subnets = group_subnets(self.network, call.transaction, ids)
        if group.vpc_id and subnets[0].vpc_id != group.vpc_id:
            raise errors.invalid_subnet(f"The subnets are not in the VPC of the DB subnet group, {group.vpc_id}.")
        placed = group.model_copy(
            update={
                "vpc_id": subnets[0].vpc_id,
                "subnets": {subnet.subnet_id: subnet.zone for subnet in subnets},
            }
        )
        call.transaction.table(SubnetGroup).put(placed)
        return _shape(call, placed)

    def delete_db_subnet_group(self, call: Call) -> dict[str, Any]:
        """DeleteDBSubnetGroup. DBSubnetGroupNotFoundFault; InvalidDBSubnetGroupStateFault with instances in it."""
        group = self._allowed_subnet_group(call)
        for instance in call.transaction.table(Instance).all():
            if instance.subnet_group == group.name:
                raise errors.subnet_group_in_use(group.name, instance.identifier)
        call.transaction.table(SubnetGroup).delete(group.key)
        return {}

    def describe_db_subnet_groups(self, call: Call) -> dict[str, Any]:
        """DescribeDBSubnetGroups. DBSubnetGroupNotFoundFault if one was named."""
        if call.parameters.get("DBSubnetGroupName"):
            found = [self._allowed_subnet_group(call)]
        else:
            permit(call, "DescribeDBSubnetGroups", KIND)
            found = call.transaction.table(SubnetGroup).all()
        no_filters(call.parameters)
        groups, marker = page(call.parameters, found, lambda group: group.key)
        return {"DBSubnetGroups": [_shape(call, group) for group in groups], **marker}

    def _allowed_subnet_group(self, call: Call) -> SubnetGroup:
        name = _name(call.parameters)
        found = call.transaction.table(SubnetGroup).get(name)
        permit(call, call.operation, KIND, name or "*", tags=found.tags if found else None)
        if found is None:
            raise errors.subnet_group_not_found(text(call.parameters, "DBSubnetGroupName"))
        return found


def _name(parameters: Mapping[str, Any]) -> str:
    return str(parameters.get("DBSubnetGroupName") or "").lower()


def _check_name(parameters: Mapping[str, Any]) -> None:
    name = text(parameters, "DBSubnetGroupName")
    if not _NAME.fullmatch(name) or name.lower() == "default":
        raise errors.invalid_value(
            "The parameter DBSubnetGroupName is not a valid value. It must contain no more than 255 letters, numbers, "
            "periods, underscores, spaces, or hyphens, and must not be default."
        )


def _shape(call: Call, group: SubnetGroup) -> dict[str, Any]:
    return subnet_group_shape(group, arn_of(call, KIND, group.name))
