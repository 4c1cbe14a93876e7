"""Who of this service has a subnet or security group: asked before EC2 deletes one (`services.ec2.base.Used`).

Owns that question. Refuses to change anything.
"""

from __future__ import annotations

from tidegate.control.services.rds.records import Instance, Proxy, ProxyEndpoint, SubnetGroup
from tidegate.control.store.store import Transaction


def user_of(transaction: Transaction, identifier: str) -> str | None:
    """What has the subnet or security group of that id, named as for a person; None if nothing has."""
    for proxy in transaction.table(Proxy).all():
        if identifier in (*proxy.subnet_ids, *proxy.security_group_ids):
            return f"DB proxy {proxy.name}"
    for endpoint in transaction.table(ProxyEndpoint).all():
        if identifier in (*endpoint.subnet_ids, *endpoint.security_group_ids):
            return f"DB proxy endpoint {endpoint.name or 'default'}"
    for instance in transaction.table(Instance).all():
        if identifier in instance.security_group_ids:
            return f"DB instance {instance.identifier}"
    for group in transaction.table(SubnetGroup).all():
        if identifier in group.subnets:
            return f"DB subnet group {group.name}"
    return None
