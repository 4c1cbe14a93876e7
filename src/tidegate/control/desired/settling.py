"""What the data plane has made true, written to the records: the end of "creating", "modifying" and "deleting".

Owns these transitions, by the tables at the head, and the events that go with them. Refuses to apply anything. A record
that has changed since the plan was made is left alone: the next plan settles it.
"""

from __future__ import annotations

from collections.abc import Mapping

from tidegate.control.desired.plan import Place, Plan
from tidegate.control.ports import Failure
from tidegate.control.services.rds import events
from tidegate.control.services.rds.records import Instance, Proxy, ProxyEndpoint, Status
from tidegate.control.services.rds.settings import Settings
from tidegate.control.store.store import Transaction

PROXY_EVENTS = {Status.CREATING: events.PROXY_CREATED, Status.MODIFYING: events.PROXY_MODIFIED}
ENDPOINT_EVENTS = {Status.CREATING: events.ENDPOINT_CREATED, Status.MODIFYING: events.ENDPOINT_MODIFIED}
"""What is told when one of these states ends; when it ends in a failure, that is told, too."""


def settle(
    transaction: Transaction,
    plan: Plan,
    failures: Mapping[str, Failure],
    *,
    at: float,
    place: Place,
    settings: Settings | None = None,
) -> None:
    """Write what has come true of a plan that was applied. failures: what apply() has returned.

    A proxy whose default endpoint can't be had can't be had itself: that is where DescribeDBProxies sends clients.
    """
    _Settling(transaction, plan, at, place, settings or Settings()).all(failures)


class _Settling:
    def __init__(self, transaction: Transaction, plan: Plan, at: float, place: Place, settings: Settings) -> None:
        self._transaction = transaction
        self._plan = plan
        self._at = at
        self._place = place
        self._most = settings.events
        self._proxies = transaction.table(Proxy)
        self._endpoints = transaction.table(ProxyEndpoint)
        self._instances = transaction.table(Instance)

    def all(self, failures: Mapping[str, Failure]) -> None:
        proxies = {proxy.resource_id: proxy for proxy in self._proxies.all()}
        for endpoint in self._endpoints.all():
            if self._plan.revisions.get(endpoint.endpoint_id) == endpoint.revision:
                own = failures.get(endpoint.endpoint_id)
                self._endpoint(endpoint, proxies[endpoint.proxy_id], own, failures.get(endpoint.proxy_id))
        defaults = {end.proxy_id: end.endpoint_id for end in self._endpoints.all() if end.is_default}
        for proxy in proxies.values():
            if self._plan.revisions.get(proxy.resource_id) == proxy.revision:
                own = failures.get(proxy.resource_id)
                self._proxy(proxy, own or failures.get(defaults.get(proxy.resource_id, "")))
        for instance in self._instances.all():
            if self._plan.revisions.get(instance.resource_id) == instance.revision:
                self._instance(instance)

    def _endpoint(self, endpoint: ProxyEndpoint, proxy: Proxy, own: Failure | None, proxys: Failure | None) -> None:
        if endpoint.status is Status.DELETING:
            if self._gone(proxy):
                return  # with its proxy, below
            self._endpoints.delete(endpoint.key)
            self._note_endpoint(endpoint, proxy, events.ENDPOINT_DELETED)
            return
        status = _outcome(own or proxys)
        if status is not endpoint.status:
            self._endpoints.put(endpoint.model_copy(update={"status": status}))
            kind = ENDPOINT_EVENTS.get(endpoint.status)
            if kind and not endpoint.is_default:
                self._note_endpoint(endpoint, proxy, kind)
            if own is not None and not endpoint.is_default:
                reason = f"endpoint {endpoint.name}: {own.description}"
                self._note(proxy, events.PROVISIONING_FAILED, reason=reason)

    def _proxy(self, proxy: Proxy, failure: Failure | None) -> None:
        if proxy.status is Status.DELETING:
            self._remove(proxy)
            return
        status, reason = _outcome(failure), failure.description if failure else ""
        if (status, reason) == (proxy.status, proxy.reason):
            return
        self._proxies.put(proxy.model_copy(update={"status": status, "reason": reason}))
        if proxy.status in PROXY_EVENTS:
            self._note(proxy, PROXY_EVENTS[proxy.status])
        if failure is not None:
            self._note(proxy, events.PROVISIONING_FAILED, reason=failure.description)

    def _gone(self, proxy: Proxy) -> bool:
        return proxy.status is Status.DELETING and self._plan.revisions.get(proxy.resource_id) == proxy.revision

    def _remove(self, proxy: Proxy) -> None:
        for endpoint in self._endpoints.all():
            if endpoint.proxy_id == proxy.resource_id:
                self._endpoints.delete(endpoint.key)
                if not endpoint.is_default:
                    self._note_endpoint(endpoint, proxy, events.ENDPOINT_DELETED)
        self._proxies.delete(proxy.key)
        self._note(proxy, events.PROXY_DELETED)

    def _instance(self, instance: Instance) -> None:
        if instance.status == "deleting":
            self._instances.delete(instance.key)
            arn = self._place.arn("db", instance.identifier)
            events.instance_event(self._transaction, self._at, arn, instance, events.INSTANCE_DELETED, self._most)

    def _note(self, proxy: Proxy, kind: events.Kind, **words: str) -> None:
        arn = self._place.arn("db-proxy", proxy.resource_id)
        events.proxy_event(self._transaction, self._at, arn, proxy, kind, self._most, **words)

    def _note_endpoint(self, endpoint: ProxyEndpoint, proxy: Proxy, kind: events.Kind) -> None:
        arn = self._place.arn("db-proxy-endpoint", endpoint.endpoint_id)
        events.proxy_event(self._transaction, self._at, arn, proxy, kind, self._most, endpoint=endpoint.name)


def _outcome(failure: Failure | None) -> Status:
    return Status.AVAILABLE if failure is None else Status(failure.kind.value)
