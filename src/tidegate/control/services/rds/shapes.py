"""From records to the shapes of answers, as botocore's model of rds names their members.

Owns the mapping. Refuses look-ups: what an answer needs of other records is handed in.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from tidegate.control.ports import Health, TargetHealth
from tidegate.control.services.rds.addresses import shown
from tidegate.control.services.rds.auth import NONE
from tidegate.control.services.rds.records import AuthEntry, Instance, PoolConfig, Proxy, ProxyEndpoint, SubnetGroup
from tidegate.control.services.rds.tags import tag_list


def moment(at: float) -> datetime:
    """A time of an answer, from seconds since 1970."""
    return datetime.fromtimestamp(at, UTC)


def proxy_shape(proxy: Proxy, arn: str, default: ProxyEndpoint) -> dict[str, Any]:
    """DBProxy. Its Endpoint is that of the default endpoint."""
    return {
        "DBProxyName": proxy.name,
        "DBProxyArn": arn,
        "Status": proxy.status.value,
        "EngineFamily": proxy.engine_family,
        "VpcId": proxy.vpc_id,
        "VpcSecurityGroupIds": list(proxy.security_group_ids),
        "VpcSubnetIds": list(proxy.subnet_ids),
        "DefaultAuthScheme": proxy.default_auth_scheme or NONE,
        "Auth": [_auth_shape(entry) for entry in proxy.auth],
        "RoleArn": proxy.role_arn,
        "Endpoint": shown(default.host, default.port),
        "RequireTLS": proxy.require_tls,
        "IdleClientTimeout": proxy.idle_client_timeout,
        "DebugLogging": proxy.debug_logging,
        "CreatedDate": moment(proxy.created),
        "UpdatedDate": moment(proxy.updated),
        "EndpointNetworkType": proxy.endpoint_network_type,
        "TargetConnectionNetworkType": proxy.target_connection_network_type,
    }


def _auth_shape(entry: AuthEntry) -> dict[str, Any]:
    shape = {
        "AuthScheme": "SECRETS",
        "SecretArn": entry.secret_arn,
        "IAMAuth": entry.iam_auth,
        "ClientPasswordAuthType": entry.client_password_auth_type,
    }
    if entry.description is not None:
        shape["Description"] = entry.description
    if entry.user_name is not None:
        shape["UserName"] = entry.user_name
    return shape


def endpoint_shape(endpoint: ProxyEndpoint, proxy: Proxy, arn: str) -> dict[str, Any]:
    """DBProxyEndpoint."""
    return {
        "DBProxyEndpointName": endpoint.name or proxy.name,
        "DBProxyEndpointArn": arn,
        "DBProxyName": proxy.name,
        "Status": endpoint.status.value,
        "VpcId": endpoint.vpc_id,
        "VpcSecurityGroupIds": list(endpoint.security_group_ids),
        "VpcSubnetIds": list(endpoint.subnet_ids),
        "Endpoint": shown(endpoint.host, endpoint.port),
        "CreatedDate": moment(endpoint.created),
        "TargetRole": "READ_ONLY" if endpoint.read_only else "READ_WRITE",
        "IsDefault": endpoint.is_default,
        "EndpointNetworkType": endpoint.network_type,
    }


def group_shape(proxy: Proxy, arn: str) -> dict[str, Any]:
    """DBProxyTargetGroup."""
    return {
        "DBProxyName": proxy.name,
        "TargetGroupName": "default",
        "TargetGroupArn": arn,
        "IsDefault": True,
        "Status": proxy.status.value,
        "ConnectionPoolConfig": _pool_shape(proxy.group.pool),
        "CreatedDate": moment(proxy.group.created),
        "UpdatedDate": moment(proxy.group.updated),
    }


def _pool_shape(pool: PoolConfig) -> dict[str, Any]:
    shape: dict[str, Any] = {
        "MaxConnectionsPercent": pool.max_connections_percent,
        "MaxIdleConnectionsPercent": pool.max_idle_connections_percent,
        "ConnectionBorrowTimeout": pool.borrow_timeout,
        "SessionPinningFilters": [],
    }
    if pool.init_query:
        shape["InitQuery"] = pool.init_query
    return shape


def target_shape(instance: Instance, arn: str, health: TargetHealth | None) -> dict[str, Any]:
    """DBProxyTarget; health: None while the proxy has not said anything."""
    seen = health or TargetHealth(state=Health.REGISTERING)
    told = {"State": seen.state.value}
    if seen.reason is not None:
        told["Reason"] = seen.reason.value
    if seen.description:
        told["Description"] = seen.description
    return {
        "TargetArn": arn,
        "Endpoint": instance.host,
        "RdsResourceId": instance.identifier,
        "Port": instance.port,
        "Type": "RDS_INSTANCE",
        "Role": "UNKNOWN" if seen.state is Health.REGISTERING else "READ_WRITE",
        "TargetHealth": told,
    }


def subnet_group_shape(group: SubnetGroup, arn: str) -> dict[str, Any]:
    """DBSubnetGroup."""
    return {
        "DBSubnetGroupName": group.name,
        "DBSubnetGroupDescription": group.description,
        "VpcId": group.vpc_id,
        "SubnetGroupStatus": "Complete",
        "Subnets": [
            {
                "SubnetIdentifier": subnet,
                "SubnetAvailabilityZone": {"Name": zone},
                "SubnetOutpost": {},
                "SubnetStatus": "Active",
            }
            for subnet, zone in group.subnets.items()
        ],
        "DBSubnetGroupArn": arn,
        "SupportedNetworkTypes": ["IPV4"],
    }


def instance_shape(instance: Instance, arn: str, group: dict[str, Any] | None) -> dict[str, Any]:
    """DBInstance; group: the shape of its subnet group. The master password is in no answer."""
    shape: dict[str, Any] = {
        **instance.echoed,
        "DBInstanceIdentifier": instance.identifier,
        "DBInstanceClass": instance.instance_class,
        "Engine": instance.engine,
        "EngineVersion": instance.engine_version,
        "DBInstanceStatus": instance.status,
        "MasterUsername": instance.master_username,
        "Endpoint": {"Address": instance.host, "Port": instance.port},
        "DbInstancePort": 0,
        "InstanceCreateTime": moment(instance.created),
        "VpcSecurityGroups": [
            {"VpcSecurityGroupId": security_group, "Status": "active"} for security_group in instance.security_group_ids
        ],
        "DBSecurityGroups": [],
        "AvailabilityZone": instance.availability_zone,
        "PendingModifiedValues": {},
        "ReadReplicaDBInstanceIdentifiers": [],
        "DbiResourceId": instance.resource_id,
        "DBInstanceArn": arn,
        "DeletionProtection": instance.deletion_protection,
        "TagList": tag_list(instance.tags),
    }
    if instance.db_name is not None:
        shape["DBName"] = instance.db_name
    if group is not None:
        shape["DBSubnetGroup"] = group
    return shape
