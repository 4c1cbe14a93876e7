"""What all operations of the service have at hand: networks, the sealer, targets' health, settings, look-ups by name.

Owns looking up with leave: the operation's resource is found, leave is asked for it, and only then its absence is told.
Refuses what operations do.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, ClassVar

from tidegate.control.call import Call
from tidegate.control.ports import TargetHealth
from tidegate.control.services.rds import errors
from tidegate.control.services.rds.networks import Network
from tidegate.control.services.rds.parameters import check_name, text
from tidegate.control.services.rds.permission import permit_found
from tidegate.control.services.rds.records import Instance, Proxy, ProxyEndpoint, Status
from tidegate.control.services.rds.settings import Settings
from tidegate.control.services.service import Service
from tidegate.control.store.sealed import Sealer
from tidegate.control.store.store import Transaction

DEFAULT_GROUP = "default"
FIT = (Status.AVAILABLE, Status.INCOMPATIBLE_NETWORK, Status.INSUFFICIENT_RESOURCE_LIMITS)
"""States in which a proxy or endpoint rests: nothing is under way."""
PRESENT = (*FIT, Status.CREATING, Status.MODIFYING)
"""All but those on their way out."""


class Base(Service):
    """See the module."""

    name: ClassVar[str] = "rds"

    def __init__(
        self,
        *,
        network: Network,
        sealer: Sealer,
        health: Callable[[str], TargetHealth | None],
        settings: Settings | None = None,
    ) -> None:
        """health: of the target of the proxy with that resource id, as last seen; None if that is not known."""
        self.network = network
        self.sealer = sealer
        self.health = health
        self.settings = settings or Settings()


def allowed_proxy(
    call: Call, *, kind: str = "db-proxy", requested: Mapping[str, str] | None = None, operation: str = ""
) -> Proxy:
    """The proxy that DBProxyName names, with leave to do the call's operation on it, or on its target group.

    DBProxyNotFoundFault, AccessDenied; MissingParameter and InvalidParameterValue for the name.
    """
    name = str(call.parameters.get("DBProxyName") or "")
    proxy = call.transaction.table(Proxy).get(name.lower())
    operation = operation or call.operation
    if proxy is None:
        permit_found(call, operation, kind, None, requested=requested)
        check_name("DBProxyName", text(call.parameters, "DBProxyName"))
        raise errors.not_found(name)
    if kind == "target-group":
        permit_found(call, operation, kind, proxy.group.group_id, proxy.group.tags, requested)
    else:
        permit_found(call, operation, kind, proxy.resource_id, proxy.tags, requested)
    return proxy


def check_group(name: object) -> None:
    """DBProxyTargetGroupNotFoundFault unless it is the one group that a proxy has; None stands for that."""
    if name is not None and str(name).lower() != DEFAULT_GROUP:
        raise errors.group_not_found(str(name))


def check_status(proxy: Proxy, wanted: Collection[Status]) -> None:
    """InvalidDBProxyStateFault unless it is in one of the states."""
    if proxy.status not in wanted:
        raise errors.proxy_state(proxy.name, proxy.status, ", ".join(wanted))


def with_group(call: Call, proxy: Proxy, **update: Any) -> Proxy:
    """Keep a change of the proxy's target group. The proxy stays available meanwhile, as with AWS."""
    group = proxy.group.model_copy(update={**update, "updated": call.at})
    changed = proxy.model_copy(update={"group": group, "revision": proxy.revision + 1})
    call.transaction.table(Proxy).put(changed)
    return changed


def endpoints_of(transaction: Transaction, proxy: Proxy) -> list[ProxyEndpoint]:
    """Its endpoints, the default one first."""
    own = [end for end in transaction.table(ProxyEndpoint).all() if end.proxy_id == proxy.resource_id]
    return sorted(own, key=lambda end: (not end.is_default, end.key))


def default_endpoint(transaction: Transaction, proxy: Proxy) -> ProxyEndpoint:
    """The endpoint that came with it and goes with it."""
    found = transaction.table(ProxyEndpoint).get(f"default/{proxy.resource_id}")
    assert found is not None
    return found


def proxy_by_id(transaction: Transaction, resource_id: str) -> Proxy:
    """The proxy of an endpoint."""
    return next(proxy for proxy in transaction.table(Proxy).all() if proxy.resource_id == resource_id)


def instance_by_id(transaction: Transaction, resource_id: str) -> Instance | None:
    """The instance of a DbiResourceId."""
    return next((found for found in transaction.table(Instance).all() if found.resource_id == resource_id), None)
