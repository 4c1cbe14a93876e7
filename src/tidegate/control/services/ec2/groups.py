"""Security groups: Create, Delete and DescribeSecurityGroup(s), Authorize and RevokeSecurityGroupIngress and -Egress,
DescribeSecurityGroupRules.

Owns these operations. Rules are data only: all of Tidegate is on loopback, where nothing asks them.
"""

from __future__ import annotations

import re
from typing import Any

from tidegate.control.call import Call
from tidegate.control.errors import AwsError
from tidegate.control.services.ec2 import errors
from tidegate.control.services.ec2.base import (
    Base,
    allowed,
    arn_of,
    checked_tags,
    find,
    named,
    new_tags,
    permit,
    tag_set,
    text,
)
from tidegate.control.services.ec2.filters import Filters, by_ids, flag, given, page
from tidegate.control.services.ec2.records import Rule, SecurityGroup, Vpc, new_id
from tidegate.control.services.ec2.rules import permissions_shape, requested_rules, revoked_shape, rule_shape, told

_NAME = re.compile(r"[a-zA-Z0-9 ._\-:/()#,@\[\]+=&;{}!$*]{1,255}")


def _of(egress: bool, member: str) -> Any:
    return lambda group: [
        str(value) for rule in group.rules if rule.egress is egress and (value := getattr(rule, member)) is not None
    ]


def _rule_filters(prefix: str, egress: bool) -> dict[str, Any]:
    members = {
        "cidr": "cidr",
        "ipv6-cidr": "cidr6",
        "from-port": "from_port",
        "to-port": "to_port",
        "protocol": "protocol",
        "group-id": "group",
        "prefix-list-id": "prefix_list",
    }
    return {f"{prefix}.{name}": _of(egress, member) for name, member in members.items()}


FILTERS: Filters[SecurityGroup] = Filters(
    {
        "group-id": lambda group: [group.identifier],
        "group-name": lambda group: [group.name],
        "vpc-id": lambda group: [group.vpc_id],
        "description": lambda group: [group.description],
        **_rule_filters("ip-permission", False),
        **_rule_filters("egress.ip-permission", True),
    },
    lambda group: group.tags,
)
RULE_FILTERS: Filters[tuple[SecurityGroup, Rule]] = Filters(
    {
        "group-id": lambda one: [one[0].identifier],
        "security-group-rule-id": lambda one: [one[1].identifier],
        "is-egress": lambda one: flag(one[1].egress),
        "ip-protocol": lambda one: given(one[1].protocol),
    },
    lambda one: one[1].tags,
)


class SecurityGroups(Base):
    """The operations on security groups."""

    def create_security_group(self, call: Call) -> dict[str, Any]:
        """CreateSecurityGroup. InvalidVpcID.NotFound, InvalidGroup.Duplicate, SecurityGroupLimitExceeded."""
        tags = new_tags(call, "security-group")
        vpc_id = call.parameters.get("VpcId")
        permit(call, [("security-group", "*"), *([("vpc", str(vpc_id))] if vpc_id else [])], tags)
        name, description = text(call, "GroupName"), _description(call)
        if not _NAME.fullmatch(name) or name.startswith("sg-") or name.lower() == "default":
            raise errors.invalid_value(f"Value ({name:.80}) for parameter GroupName is invalid.")
        vpc = find(call, Vpc, str(vpc_id)) if vpc_id else self._default_vpc(call)
        groups = call.transaction.table(SecurityGroup)
        there = groups.all()
        if any(group.vpc_id == vpc.identifier and group.name == name for group in there):
            raise errors.group_duplicate(name, vpc.identifier)
        if len(there) >= self.limits.groups:
            raise errors.limit("security-group", self.limits.groups)
        outside = Rule(identifier=new_id("sgr"), egress=True, protocol="-1", cidr="0.0.0.0/0")
        group = SecurityGroup(
            identifier=new_id("sg"),
            name=name,
            description=description,
            vpc_id=vpc.identifier,
            rules=(outside,),
            tags=tags,
        )
        groups.put(group)
        return {
            "GroupId": group.identifier,
            "SecurityGroupArn": arn_of(call, "security-group", group.identifier),
            "Tags": tag_set(tags),
        }

    def _default_vpc(self, call: Call) -> Vpc:
        found = next((vpc for vpc in call.transaction.table(Vpc).all() if vpc.is_default), None)
        if found is None:
            raise errors.missing("vpcId")
        return found

    def delete_security_group(self, call: Call) -> dict[str, Any]:
        """DeleteSecurityGroup. InvalidGroup.NotFound, CannotDelete, DependencyViolation."""
        group = self._allowed_group(call)
        if group.name == "default":
            raise errors.default_group()
        user = self.used(call.transaction, group.identifier)
        if user is not None:
            raise errors.in_use(f"resource {group.identifier} is used by {user}")
        groups = call.transaction.table(SecurityGroup)
        for other in groups.all():
            if other.key != group.key and any(rule.group == group.identifier for rule in other.rules):
                raise errors.in_use(f"resource {group.identifier} has a dependent object")
        groups.delete(group.key)
        return {"Return": True, "GroupId": group.identifier}

    def describe_security_groups(self, call: Call) -> dict[str, Any]:
        """DescribeSecurityGroups. InvalidGroup.NotFound."""
        permit(call)
        wanted = call.parameters
        found = named(call, SecurityGroup, "GroupIds")
        there = call.transaction.table(SecurityGroup).all()
        names = wanted.get("GroupNames") or []
        for name in names:
            if all(group.name != name for group in there):
                raise errors.not_found("security-group", str(name)[:200])
        found = [group for group in found if not names or group.name in names]
        found = FILTERS.apply(wanted.get("Filters"), found, call.account)
        groups, token = page(wanted, found, lambda group: group.key)
        return {"SecurityGroups": [_shape(call, group) for group in groups], **token}

    def describe_security_group_rules(self, call: Call) -> dict[str, Any]:
        """DescribeSecurityGroupRules. InvalidSecurityGroupRuleId.NotFound."""
        permit(call)
        wanted = call.parameters
        there = [(group, rule) for group in call.transaction.table(SecurityGroup).all() for rule in group.rules]
        ids = wanted.get("SecurityGroupRuleIds") or []
        found = by_ids("security-group-rule", ids, there, lambda one: one[1].identifier)
        found = RULE_FILTERS.apply(wanted.get("Filters"), found, call.account)
        rules, token = page(wanted, found, lambda one: one[1].identifier)
        return {"SecurityGroupRules": [rule_shape(call, group, rule) for group, rule in rules], **token}

    def authorize_security_group_ingress(self, call: Call) -> dict[str, Any]:
        """AuthorizeSecurityGroupIngress. InvalidGroup.NotFound, InvalidPermission.Duplicate, RulesPer...Exceeded."""
        return self._authorize(call, egress=False)

    def authorize_security_group_egress(self, call: Call) -> dict[str, Any]:
        """AuthorizeSecurityGroupEgress: as ingress."""
        return self._authorize(call, egress=True)

    def _authorize(self, call: Call, *, egress: bool) -> dict[str, Any]:
        group = self._allowed_group(call)
        tags: dict[str, str] = {}
        for specification in call.parameters.get("TagSpecifications") or []:
            tags |= checked_tags(specification.get("Tags") or [])
        added = [rule.model_copy(update={"tags": tags}) for rule in requested_rules(call, egress=egress)]
        meanings = {rule.meaning for rule in group.rules}
        for rule in added:
            if rule.meaning in meanings:
                raise errors.rule_duplicate(told(rule))
            meanings.add(rule.meaning)
        rules = (*group.rules, *added)
        if sum(rule.egress is egress for rule in rules) > self.limits.rules:
            raise errors.limit("rule", self.limits.rules)
        call.transaction.table(SecurityGroup).put(group.model_copy(update={"rules": rules}))
        return {"Return": True, "SecurityGroupRules": [rule_shape(call, group, rule) for rule in added]}

    def revoke_security_group_ingress(self, call: Call) -> dict[str, Any]:
        """RevokeSecurityGroupIngress. InvalidGroup.NotFound, InvalidPermission.NotFound, Invalid...RuleId.NotFound."""
        return self._revoke(call, egress=False)

    def revoke_security_group_egress(self, call: Call) -> dict[str, Any]:
        """RevokeSecurityGroupEgress: as ingress."""
        return self._revoke(call, egress=True)

    def _revoke(self, call: Call, *, egress: bool) -> dict[str, Any]:
        group = self._allowed_group(call)
        ids = call.parameters.get("SecurityGroupRuleIds") or []
        own = {rule.identifier: rule for rule in group.rules if rule.egress is egress}
        if ids:
            for each in ids:
                if each not in own:
                    raise errors.not_found("security-group-rule", str(each)[:200])
            gone = [own[each] for each in dict.fromkeys(ids)]
        else:
            wanted = {rule.meaning for rule in requested_rules(call, egress=egress)}
            gone = [rule for rule in own.values() if rule.meaning in wanted]
            if len(gone) < len(wanted):
                raise errors.rule_not_found()
        rest = tuple(rule for rule in group.rules if rule not in gone)
        call.transaction.table(SecurityGroup).put(group.model_copy(update={"rules": rest}))
        return {
            "Return": True,
            "UnknownIpPermissions": [],
            "RevokedSecurityGroupRules": [revoked_shape(group, rule) for rule in gone],
        }

    def _allowed_group(self, call: Call) -> SecurityGroup:
        """The group that GroupId names, or GroupName in the default VPC."""
        identifier, name = call.parameters.get("GroupId"), call.parameters.get("GroupName")
        if identifier is None and name is not None:
            default = {vpc.identifier for vpc in call.transaction.table(Vpc).all() if vpc.is_default}
            groups = call.transaction.table(SecurityGroup).all()
            found = next((group for group in groups if group.vpc_id in default and group.name == name), None)
            _permit_named(call, found)
            if found is None:
                raise errors.not_found("security-group", str(name)[:200])
            return found
        return allowed(call, SecurityGroup, "GroupId")


def _permit_named(call: Call, group: SecurityGroup | None) -> None:
    """Leave for a group that was looked for by its name: a refusal does not tell whether there is one."""
    try:
        permit(call, [("security-group", group.identifier if group else "*")])
    except AwsError as error:
        shown = error.message.replace(group.identifier, "*") if group else error.message
        raise AwsError(error.code, shown, error.status, **error.members) from None


def _description(call: Call) -> str:
    value = text(call, "Description")
    if not _NAME.fullmatch(value):
        raise errors.invalid_value(f"Value ({value:.80}) for parameter GroupDescription is invalid.")
    return value


def _shape(call: Call, group: SecurityGroup) -> dict[str, Any]:
    return {
        "GroupId": group.identifier,
        "GroupName": group.name,
        "Description": group.description,
        "VpcId": group.vpc_id,
        "OwnerId": call.account,
        "SecurityGroupArn": arn_of(call, "security-group", group.identifier),
        "IpPermissions": permissions_shape(call, (rule for rule in group.rules if not rule.egress)),
        "IpPermissionsEgress": permissions_shape(call, (rule for rule in group.rules if rule.egress)),
        "Tags": tag_set(group.tags),
    }
