"""Rules of security groups: from a request's permissions to single rules, and back to an answer's permissions.

Owns their form. Refuses to keep them (`groups`), and to enforce them.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tidegate.control.call import Call
from tidegate.control.services.ec2 import errors
from tidegate.control.services.ec2.base import arn_of, find, tag_set
from tidegate.control.services.ec2.records import Rule, SecurityGroup, new_id

PROTOCOLS = {"6": "tcp", "17": "udp", "1": "icmp", "58": "icmpv6", "all": "-1"}
"""Numbers that have a name in answers (IANA, "Protocol Numbers")."""
PORTED = ("tcp", "udp")
DESCRIPTION_LIMIT = 255
_FLAT = ("IpProtocol", "FromPort", "ToPort", "CidrIp", "SourceSecurityGroupName")


def requested_rules(call: Call, *, egress: bool) -> list[Rule]:
    """The single rules that a request names. InvalidParameterValue, MissingParameter, InvalidGroup.NotFound."""
    permissions = call.parameters.get("IpPermissions") or _flat_permission(call.parameters)
    if not permissions:
        raise errors.missing("ipPermissions")
    return [rule for permission in permissions for rule in _rules_of(call, permission, egress)]


def _flat_permission(given: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The older form, one rule in the request's own parameters."""
    if not any(given.get(name) is not None for name in _FLAT):
        return []
    if given.get("SourceSecurityGroupName"):
        raise errors.invalid_combination(
            "Security groups of a VPC are named by their ids: use IpPermissions with UserIdGroupPairs."
        )
    permission = {name: given[name] for name in ("IpProtocol", "FromPort", "ToPort") if given.get(name) is not None}
    return [{**permission, "IpRanges": [{"CidrIp": given.get("CidrIp") or ""}]}]


def _rules_of(call: Call, permission: Mapping[str, Any], egress: bool) -> Iterator[Rule]:
    protocol = _protocol(permission)
    from_port, to_port = _ports(permission, protocol)
    found = False
    for peer, description in _peers(call, permission):
        found = True
        if description is not None and len(description) > DESCRIPTION_LIMIT:
            raise errors.invalid_value(f"A rule's description can have at most {DESCRIPTION_LIMIT} characters.")
        rule = Rule(
            identifier=new_id("sgr"),
            egress=egress,
            protocol=protocol,
            from_port=from_port,
            to_port=to_port,
            description=description,
        )
        yield rule.model_copy(update=peer)
    if not found:
        raise errors.missing("ipPermissions.ipRanges")


def _protocol(permission: Mapping[str, Any]) -> str:
    given = permission.get("IpProtocol")
    if given is None:
        raise errors.missing("ipPermissions.ipProtocol")
    protocol = PROTOCOLS.get(str(given).lower(), str(given).lower())
    number = protocol.isascii() and protocol.isdigit() and len(protocol) <= 3 and int(protocol) <= 255
    if protocol not in ("-1", *PROTOCOLS.values()) and not number:
        raise errors.invalid_value(f"Invalid value '{given!s:.40}' for IP protocol. Unknown protocol.")
    return protocol


def _ports(permission: Mapping[str, Any], protocol: str) -> tuple[int | None, int | None]:
    low, high = permission.get("FromPort"), permission.get("ToPort")
    if protocol in PORTED:
        if low is None or high is None:
            raise errors.invalid_value(
                "Invalid value 'Must specify both from and to ports with TCP/UDP.' for portRange."
            )
        if not 0 <= low <= high <= 65535:
            raise errors.invalid_value(f"Invalid TCP/UDP port range ({low}:{high})")
        return low, high
    if protocol in ("icmp", "icmpv6"):
        return (-1 if low is None else low), (-1 if high is None else high)
    return None, None


def _peers(call: Call, permission: Mapping[str, Any]) -> Iterator[tuple[dict[str, str], str | None]]:
    for entry in permission.get("IpRanges") or []:
        yield {"cidr": _range(entry.get("CidrIp"), ipaddress.IPv4Network)}, entry.get("Description")
    for entry in permission.get("Ipv6Ranges") or []:
        yield {"cidr6": _range(entry.get("CidrIpv6"), ipaddress.IPv6Network)}, entry.get("Description")
    for entry in permission.get("PrefixListIds") or []:
        yield {"prefix_list": str(entry.get("PrefixListId"))[:100]}, entry.get("Description")
    for entry in permission.get("UserIdGroupPairs") or []:
        if not entry.get("GroupId"):
            raise errors.missing("ipPermissions.groups.groupId")
        yield {"group": find(call, SecurityGroup, str(entry["GroupId"])).identifier}, entry.get("Description")


def _range(cidr: object, network: type[ipaddress.IPv4Network] | type[ipaddress.IPv6Network]) -> str:
    try:
        return str(network(str(cidr or ""), strict=False))
    except ValueError:
        raise errors.invalid_value(f"CIDR block {cidr!s:.80} is malformed") from None


def told(rule: Rule) -> str:
    """A rule as EC2's messages describe it: "peer: 10.0.0.0/8, TCP, from port: 80, to port: 80, ALLOW"."""
    peer = rule.cidr or rule.cidr6 or rule.prefix_list or rule.group
    if rule.protocol == "-1":
        return f"peer: {peer}, ALL, ALLOW"
    return f"peer: {peer}, {rule.protocol.upper()}, from port: {rule.from_port}, to port: {rule.to_port}, ALLOW"


def permissions_shape(call: Call, rules: Iterable[Rule]) -> list[dict[str, Any]]:
    """IpPermissions of an answer: rules of the same protocol and ports together."""
    by_ports: dict[tuple[object, ...], dict[str, Any]] = {}
    for rule in rules:
        permission = by_ports.setdefault(
            (rule.protocol, rule.from_port, rule.to_port),
            {
                "IpProtocol": rule.protocol,
                "IpRanges": [],
                "Ipv6Ranges": [],
                "PrefixListIds": [],
                "UserIdGroupPairs": [],
            },
        )
        if rule.from_port is not None:
            permission |= {"FromPort": rule.from_port, "ToPort": rule.to_port}
        words = {} if rule.description is None else {"Description": rule.description}
        if rule.cidr is not None:
            permission["IpRanges"].append({"CidrIp": rule.cidr, **words})
        elif rule.cidr6 is not None:
            permission["Ipv6Ranges"].append({"CidrIpv6": rule.cidr6, **words})
        elif rule.prefix_list is not None:
            permission["PrefixListIds"].append({"PrefixListId": rule.prefix_list, **words})
        else:
            permission["UserIdGroupPairs"].append({"GroupId": rule.group, "UserId": call.account, **words})
    return list(by_ports.values())


def rule_shape(call: Call, group: SecurityGroup, rule: Rule) -> dict[str, Any]:
    """SecurityGroupRule of an answer."""
    shape = _members(group, rule) | {
        "SecurityGroupRuleArn": arn_of(call, "security-group-rule", rule.identifier),
        "GroupOwnerId": call.account,
        "Tags": tag_set(rule.tags),
    }
    if rule.group is not None:
        shape["ReferencedGroupInfo"] = {"GroupId": rule.group, "UserId": call.account}
    return shape


def revoked_shape(group: SecurityGroup, rule: Rule) -> dict[str, Any]:
    """RevokedSecurityGroupRule of an answer."""
    return _members(group, rule) | ({} if rule.group is None else {"ReferencedGroupId": rule.group})


def _members(group: SecurityGroup, rule: Rule) -> dict[str, Any]:
    named = {
        "SecurityGroupRuleId": rule.identifier,
        "GroupId": group.identifier,
        "IsEgress": rule.egress,
        "IpProtocol": rule.protocol,
        "FromPort": -1 if rule.from_port is None else rule.from_port,
        "ToPort": -1 if rule.to_port is None else rule.to_port,
        "CidrIpv4": rule.cidr,
        "CidrIpv6": rule.cidr6,
        "PrefixListId": rule.prefix_list,
        "Description": rule.description,
    }
    return {name: value for name, value in named.items() if value is not None}
