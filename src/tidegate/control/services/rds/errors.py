"""The codes that the RDS API answers, once each; wire codes and statuses as in botocore's model of rds (2014-10-31).

Owns codes and texts. Refuses to decide when one is due.
"""

from __future__ import annotations

from tidegate.control.errors import AwsError

_OURS = "owned by your Amazon Web Services account in the specified Amazon Web Services Region."


def invalid_value(message: str) -> AwsError:
    """A parameter's value can't be used."""
    return AwsError("InvalidParameterValue", message)


def invalid_combination(message: str) -> AwsError:
    """Parameters that do not go together, or one without which another means nothing."""
    return AwsError("InvalidParameterCombination", message)


def missing(name: str) -> AwsError:
    """A parameter that the operation can't do without."""
    return AwsError("MissingParameter", f"The request must contain the parameter {name}.")


def not_found(name: str) -> AwsError:
    """DBProxyNotFoundFault."""
    return AwsError(
        "DBProxyNotFoundFault", f"The specified proxy name {name} doesn't correspond to a proxy {_OURS}", 404
    )


def already_exists(name: str) -> AwsError:
    """DBProxyAlreadyExistsFault."""
    return AwsError(
        "DBProxyAlreadyExistsFault",
        f"The specified proxy name {name} must be unique for all proxies {_OURS}",
    )


def proxy_quota() -> AwsError:
    """DBProxyQuotaExceededFault."""
    return AwsError(
        "DBProxyQuotaExceededFault",
        "Your Amazon Web Services account already has the maximum number of proxies in the specified Amazon Web "
        "Services Region.",
    )


def proxy_state(name: str, status: str, wanted: str = "") -> AwsError:
    """InvalidDBProxyStateFault. wanted: the states that would do."""
    needs = f"; it needs to be {wanted}" if wanted else ""
    return AwsError(
        "InvalidDBProxyStateFault",
        f"The requested operation can't be performed while the proxy {name} is in the state {status}{needs}.",
    )


def endpoint_not_found(name: str) -> AwsError:
    """DBProxyEndpointNotFoundFault."""
    return AwsError("DBProxyEndpointNotFoundFault", f"The DB proxy endpoint {name} doesn't exist.", 404)


def endpoint_exists(name: str) -> AwsError:
    """DBProxyEndpointAlreadyExistsFault."""
    return AwsError(
        "DBProxyEndpointAlreadyExistsFault",
        f"The specified DB proxy endpoint name {name} must be unique for all DB proxy endpoints {_OURS}",
    )


def endpoint_quota() -> AwsError:
    """DBProxyEndpointQuotaExceededFault."""
    return AwsError("DBProxyEndpointQuotaExceededFault", "The DB proxy already has the maximum number of endpoints.")


def endpoint_state(name: str, why: str) -> AwsError:
    """InvalidDBProxyEndpointStateFault. why: "is in the state deleting", say."""
    return AwsError(
        "InvalidDBProxyEndpointStateFault",
        f"You can't perform this operation: the DB proxy endpoint {name} {why}.",
    )


def group_not_found(name: str) -> AwsError:
    """DBProxyTargetGroupNotFoundFault."""
    return AwsError(
        "DBProxyTargetGroupNotFoundFault",
        f"The specified target group {name} isn't available for a proxy {_OURS}",
        404,
    )


def target_not_found(name: str) -> AwsError:
    """DBProxyTargetNotFoundFault."""
    return AwsError(
        "DBProxyTargetNotFoundFault",
        f"The specified RDS DB instance or Aurora DB cluster {name} isn't available for a proxy {_OURS}",
        404,
    )


def target_registered(proxy: str, name: str) -> AwsError:
    """DBProxyTargetAlreadyRegisteredFault: a proxy has one target."""
    return AwsError(
        "DBProxyTargetAlreadyRegisteredFault",
        f"The proxy {proxy} is already associated with the RDS DB instance or Aurora DB cluster {name}.",
    )


def cluster_not_found(name: str) -> AwsError:
    """DBClusterNotFoundFault."""
    return AwsError("DBClusterNotFoundFault", f"DBCluster {name} not found.", 404)


def too_few_addresses(needed: int, available: int) -> AwsError:
    """InsufficientAvailableIPsInSubnetFault."""
    return AwsError(
        "InsufficientAvailableIPsInSubnetFault",
        "The requested operation can't be performed because there aren't enough available IP addresses in the "
        f"proxy's subnets: it needs {needed}, and there are {available}. Add more CIDR blocks to the VPC, or remove IP "
        "addresses that aren't required from the subnets.",
    )


def invalid_subnet(message: str) -> AwsError:
    """InvalidSubnet."""
    return AwsError("InvalidSubnet", message)


def instance_not_found(name: str) -> AwsError:
    """DBInstanceNotFound, which drops "Fault" on the wire."""
    return AwsError("DBInstanceNotFound", f"DBInstance {name} not found.", 404)


def instance_exists(name: str) -> AwsError:
    """DBInstanceAlreadyExists."""
    return AwsError("DBInstanceAlreadyExists", f"DB instance {name} already exists.")


def instance_state(name: str, status: str, wanted: str) -> AwsError:
    """InvalidDBInstanceState, which drops "Fault" on the wire. wanted: "AVAILABLE, MODIFYING", say."""
    return AwsError(
        "InvalidDBInstanceState",
        f"DB Instance {name} is in an unsupported state - {status.upper()}, needs to be in [{wanted}]",
    )


def instance_protected(name: str) -> AwsError:
    """Deletion protection: InvalidParameterCombination, in AWS's words."""
    return AwsError(
        "InvalidParameterCombination",
        f"Cannot delete protected DB Instance {name}, please disable deletion protection and try again.",
    )


def instance_quota() -> AwsError:
    """InstanceQuotaExceeded."""
    return AwsError("InstanceQuotaExceeded", "The request would result in too many DB instances.")


def subnet_group_not_found(name: str) -> AwsError:
    """DBSubnetGroupNotFoundFault."""
    return AwsError("DBSubnetGroupNotFoundFault", f"DB subnet group '{name}' does not exist.", 404)


def subnet_group_exists(name: str) -> AwsError:
    """DBSubnetGroupAlreadyExists."""
    return AwsError("DBSubnetGroupAlreadyExists", f"The DB subnet group '{name}' already exists.")


def subnet_group_quota() -> AwsError:
    """DBSubnetGroupQuotaExceeded."""
    return AwsError("DBSubnetGroupQuotaExceeded", "The request would result in too many DB subnet groups.")


def subnet_group_coverage(zones: str) -> AwsError:
    """DBSubnetGroupDoesNotCoverEnoughAZs."""
    return AwsError(
        "DBSubnetGroupDoesNotCoverEnoughAZs",
        "The DB subnet group doesn't meet Availability Zone (AZ) coverage requirement. "
        f"Current AZ coverage: {zones}. Add subnets to cover at least 2 AZs.",
    )


def subnet_group_in_use(name: str, instance: str) -> AwsError:
    """InvalidDBSubnetGroupStateFault."""
    return AwsError(
        "InvalidDBSubnetGroupStateFault",
        f"Cannot delete the subnet group '{name}' because at least one database instance: {instance} is "
        "still using it.",
    )
