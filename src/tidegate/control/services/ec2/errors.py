"""The codes that the EC2 API answers, once each (EC2 API reference, "Error codes for the Amazon EC2 API").

Owns codes and texts. Refuses to decide when one is due.
"""

from __future__ import annotations

from tidegate.control.errors import AwsError

NOT_FOUND = {
    "vpc": ("InvalidVpcID.NotFound", "vpc ID"),
    "subnet": ("InvalidSubnetID.NotFound", "subnet ID"),
    "security-group": ("InvalidGroup.NotFound", "security group"),
    "security-group-rule": ("InvalidSecurityGroupRuleId.NotFound", "security group rule ID"),
    "route-table": ("InvalidRouteTableID.NotFound", "routeTable ID"),
    "association": ("InvalidAssociationID.NotFound", "association ID"),
    "internet-gateway": ("InvalidInternetGatewayID.NotFound", "internetGateway ID"),
    "natgateway": ("NatGatewayNotFound", "Nat Gateway"),
    "elastic-ip": ("InvalidAllocationID.NotFound", "allocation ID"),
    "network-acl": ("InvalidNetworkAclID.NotFound", "networkAcl ID"),
    "network-interface": ("InvalidNetworkInterfaceID.NotFound", "networkInterface ID"),
}
"""By type of resource: the code, and what the message calls it."""

LIMITS = {
    "vpc": "VpcLimitExceeded",
    "subnet": "SubnetLimitExceeded",
    "security-group": "SecurityGroupLimitExceeded",
    "rule": "RulesPerSecurityGroupLimitExceeded",
    "route-table": "RouteTableLimitExceeded",
    "route": "RouteLimitExceeded",
    "internet-gateway": "InternetGatewayLimitExceeded",
    "natgateway": "NatGatewayLimitExceeded",
    "elastic-ip": "AddressLimitExceeded",
    "tag": "TagLimitExceeded",
}
"""By what there may not be more of."""


def not_found(kind: str, identifier: str) -> AwsError:
    """The resource's own code."""
    code, called = NOT_FOUND[kind]
    return AwsError(code, f"The {called} '{identifier}' does not exist")


def zone_not_found(name: str) -> AwsError:
    """InvalidParameterValue, as for zones."""
    return AwsError("InvalidParameterValue", f"Invalid availability zone: [{name}]")


def missing(name: str) -> AwsError:
    """MissingParameter."""
    return AwsError("MissingParameter", f"The request must contain the parameter {name}")


def invalid_value(message: str) -> AwsError:
    """InvalidParameterValue."""
    return AwsError("InvalidParameterValue", message)


def invalid_combination(message: str) -> AwsError:
    """InvalidParameterCombination."""
    return AwsError("InvalidParameterCombination", message)


def unsupported(message: str) -> AwsError:
    """UnsupportedOperation: EC2 can, we can't."""
    return AwsError("UnsupportedOperation", message)


def limit(kind: str, most: int) -> AwsError:
    """The limit's own code."""
    return AwsError(LIMITS[kind], f"The maximum number of {kind}s has been reached: {most}.")


def dry_run() -> AwsError:
    """DryRunOperation (412): leave was given."""
    return AwsError("DryRunOperation", "Request would have succeeded, but DryRun flag is set.", 412)


def in_use(what: str) -> AwsError:
    """DependencyViolation. what: "The vpc 'vpc-1' has dependencies", say."""
    return AwsError("DependencyViolation", f"{what} and cannot be deleted.")


def bad_range(cidr: str) -> AwsError:
    """InvalidVpc.Range: not between /16 and /28, or no network."""
    return AwsError("InvalidVpc.Range", f"The CIDR '{cidr:.80}' is invalid.")


def bad_subnet_range(cidr: str) -> AwsError:
    """InvalidSubnet.Range: not within the VPC."""
    return AwsError("InvalidSubnet.Range", f"The CIDR '{cidr:.80}' is invalid.")


def subnet_conflict(cidr: str) -> AwsError:
    """InvalidSubnet.Conflict: overlaps another subnet."""
    return AwsError("InvalidSubnet.Conflict", f"The CIDR '{cidr:.80}' conflicts with another subnet")


def group_duplicate(name: str, vpc: str) -> AwsError:
    """InvalidGroup.Duplicate."""
    return AwsError("InvalidGroup.Duplicate", f"The security group '{name}' already exists for VPC '{vpc}'")


def default_group() -> AwsError:
    """CannotDelete: a VPC keeps its default group."""
    return AwsError("CannotDelete", 'the specified group: "default" name: "default" cannot be deleted by a user')


def rule_duplicate(rule: str) -> AwsError:
    """InvalidPermission.Duplicate."""
    return AwsError("InvalidPermission.Duplicate", f'the specified rule "{rule}" already exists')


def rule_not_found() -> AwsError:
    """InvalidPermission.NotFound."""
    return AwsError("InvalidPermission.NotFound", "The specified rule does not exist in this security group.")


def route_exists(cidr: str) -> AwsError:
    """RouteAlreadyExists."""
    return AwsError("RouteAlreadyExists", f"The route identified by {cidr} already exists.")


def route_not_found(table: str, cidr: str) -> AwsError:
    """InvalidRoute.NotFound."""
    return AwsError("InvalidRoute.NotFound", f"no route with destination-cidr-block {cidr} in route table {table}")


def already_associated(what: str) -> AwsError:
    """Resource.AlreadyAssociated."""
    return AwsError("Resource.AlreadyAssociated", what)


def not_attached(gateway: str, vpc: str) -> AwsError:
    """Gateway.NotAttached."""
    return AwsError("Gateway.NotAttached", f"resource {gateway} is not attached to network {vpc}")


def address_in_use(allocation: str) -> AwsError:
    """InvalidIPAddress.InUse."""
    return AwsError("InvalidIPAddress.InUse", f"Address {allocation} is in use.")
