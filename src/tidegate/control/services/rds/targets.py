"""Target groups and targets: RegisterDBProxyTargets, DeregisterDBProxyTargets, DescribeDBProxyTargets,
DescribeDBProxyTargetGroups, ModifyDBProxyTargetGroup.

Owns these operations. A proxy has one target group, `default`, and that one target: a DB instance. There are no
clusters, so that every DBClusterIdentifier is unknown. How a target is comes from the proxy itself (`Base.health`).
"""

from __future__ import annotations

from typing import Any

from tidegate.control.call import Call
from tidegate.control.services.rds import errors, events
from tidegate.control.services.rds.base import (
    DEFAULT_GROUP,
    PRESENT,
    Base,
    allowed_proxy,
    check_group,
    check_status,
    instance_by_id,
    with_group,
)
from tidegate.control.services.rds.parameters import no_filters, page, text, texts
from tidegate.control.services.rds.permission import arn_of
from tidegate.control.services.rds.pool import configured
from tidegate.control.services.rds.records import Instance, Proxy, Status
from tidegate.control.services.rds.shapes import group_shape, target_shape

KIND = "target-group"
TARGETABLE = ("available", "modifying", "backing-up", "creating")
"""States of an instance that may become a target; AWS's own message names them."""


class Targets(Base):
    """The operations on target groups and targets."""

    def describe_db_proxy_target_groups(self, call: Call) -> dict[str, Any]:
        """DescribeDBProxyTargetGroups.

        DBProxyNotFoundFault, DBProxyTargetGroupNotFoundFault, InvalidDBProxyStateFault (while the proxy is deleted).
        """
        proxy = _allowed(call)
        no_filters(call.parameters)
        groups, marker = page(call.parameters, [proxy], lambda _: DEFAULT_GROUP)
        return {"TargetGroups": [_group_shape(call, group) for group in groups], **marker}

    def modify_db_proxy_target_group(self, call: Call) -> dict[str, Any]:
        """ModifyDBProxyTargetGroup.

        DBProxyNotFoundFault, DBProxyTargetGroupNotFoundFault, InvalidDBProxyStateFault; `default` can't be renamed.
        """
        proxy = allowed_proxy(call, kind=KIND)
        check_group(text(call.parameters, "TargetGroupName"))
        check_status(proxy, PRESENT)
        if call.parameters.get("NewName") is not None:
            raise errors.invalid_value("You can't rename the default target group.")
        pool = configured(proxy.group.pool, call.parameters.get("ConnectionPoolConfig") or {})
        changed = with_group(call, proxy, pool=pool)
        return {"DBProxyTargetGroup": _group_shape(call, changed)}

    def register_db_proxy_targets(self, call: Call) -> dict[str, Any]:
        """RegisterDBProxyTargets.

        DBProxyNotFoundFault, DBProxyTargetGroupNotFoundFault, InvalidDBProxyStateFault, DBInstanceNotFound,
        DBClusterNotFoundFault, InvalidDBInstanceState, DBProxyTargetAlreadyRegisteredFault,
        InsufficientAvailableIPsInSubnetFault.
        """
        proxy = _allowed(call, KIND)
        instance = self._wanted_instance(call)
        self._check_fit(call, proxy, instance)
        with_group(call, proxy, target=instance.resource_id)
        events.target_event(call, proxy, instance, events.TARGET_ADDED, self.settings.events)
        return {"DBProxyTargets": [target_shape(instance, arn_of(call, "db", instance.identifier), None)]}

    def _wanted_instance(self, call: Call) -> Instance:
        instances, clusters = _identifiers(call)
        if clusters:
            raise errors.cluster_not_found(clusters[0])
        if len(instances) > 1:
            raise errors.invalid_combination("A proxy can be associated with one DB instance or DB cluster only.")
        found = call.transaction.table(Instance).get(instances[0].lower())
        if found is None:
            raise errors.instance_not_found(instances[0])
        return found

    def _check_fit(self, call: Call, proxy: Proxy, instance: Instance) -> None:
        registered = _target(call, proxy)
        if registered is not None:
            raise errors.target_registered(proxy.name, registered.identifier)
        if instance.status not in TARGETABLE:
            words = ", ".join(status.upper().replace("-", "_") for status in TARGETABLE)
            raise errors.instance_state(instance.identifier, instance.status, words)
        subnets = self.network.subnets(call.transaction, proxy.subnet_ids)
        available = sum(subnet.available for subnet in subnets.values())
        if available < self.settings.addresses_per_proxy:
            raise errors.too_few_addresses(self.settings.addresses_per_proxy, available)

    def deregister_db_proxy_targets(self, call: Call) -> dict[str, Any]:
        """DeregisterDBProxyTargets.

        DBProxyNotFoundFault, DBProxyTargetGroupNotFoundFault, DBProxyTargetNotFoundFault, InvalidDBProxyStateFault.
        """
        proxy = _allowed(call, KIND)
        instances, clusters = _identifiers(call)
        registered = _target(call, proxy)
        for name in (*clusters, *instances):
            if registered is None or name in clusters or name.lower() != registered.identifier:
                raise errors.target_not_found(name)
        with_group(call, proxy, target=None)
        return {}

    def describe_db_proxy_targets(self, call: Call) -> dict[str, Any]:
        """DescribeDBProxyTargets, with their health as the proxy has last seen it.

        DBProxyNotFoundFault, DBProxyTargetGroupNotFoundFault, InvalidDBProxyStateFault (while the proxy is deleted).
        """
        proxy = _allowed(call)
        no_filters(call.parameters)
        registered = _target(call, proxy)
        found = [] if registered is None else [registered]
        targets, marker = page(call.parameters, found, lambda instance: instance.key)
        health = None if proxy.status is Status.CREATING else self.health(proxy.resource_id)
        shapes = [target_shape(target, arn_of(call, "db", target.identifier), health) for target in targets]
        return {"Targets": shapes, **marker}


def _allowed(call: Call, kind: str = "db-proxy") -> Proxy:
    """The proxy, with leave, if it has the target group and is not on its way out."""
    proxy = allowed_proxy(call, kind=kind)
    check_group(call.parameters.get("TargetGroupName"))
    check_status(proxy, PRESENT)
    return proxy


def _identifiers(call: Call) -> tuple[list[str], list[str]]:
    instances = texts(call.parameters, "DBInstanceIdentifiers")
    clusters = texts(call.parameters, "DBClusterIdentifiers")
    if not instances and not clusters:
        raise errors.invalid_combination("Either DBInstanceIdentifiers or DBClusterIdentifiers must be specified.")
    if instances and clusters:
        raise errors.invalid_combination("DBInstanceIdentifiers and DBClusterIdentifiers can't be specified together.")
    return list(dict.fromkeys(instances)), clusters


def _target(call: Call, proxy: Proxy) -> Instance | None:
    return None if proxy.group.target is None else instance_by_id(call.transaction, proxy.group.target)


def _group_shape(call: Call, proxy: Proxy) -> dict[str, Any]:
    return group_shape(proxy, arn_of(call, KIND, proxy.group.group_id))
