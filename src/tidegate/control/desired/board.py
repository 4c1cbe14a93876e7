"""How targets are, as last seen: what the data plane has told, and which credentials the plan could not have.

Owns the latest view. It is written on the event loop and read by the thread of calls: whole mappings are replaced, none
is changed. Refuses to ask (`reconciler`).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace

from tidegate.control.desired.plan import Plan
from tidegate.control.ports import Health, HealthReason, TargetHealth

LOG = logging.getLogger("tidegate.control")
NOBODY = "Proxy does not have any registered credentials"
"""AWS's own words for a proxy none of whose secrets can be read."""
REASONS_TOLD = 5


class HealthBoard:
    """Asked by DescribeDBProxyTargets."""

    def __init__(self) -> None:
        self._seen: Mapping[str, TargetHealth] = {}
        self._refused: Mapping[str, tuple[str, ...]] = {}
        self._locked: frozenset[str] = frozenset()

    def of(self, resource_id: str) -> TargetHealth | None:
        """The target's health of the proxy with that resource id; None if nothing is known yet."""
        refused = self._refused.get(resource_id, ())
        told = "; ".join(refused[:REASONS_TOLD])
        if resource_id in self._locked:
            description = f"{NOBODY}: {told}" if told else NOBODY
            return TargetHealth(state=Health.UNAVAILABLE, reason=HealthReason.AUTH_FAILURE, description=description)
        seen = self._seen.get(resource_id)
        if seen is None or not refused or seen.reason is not None:
            return seen
        return replace(seen, reason=HealthReason.AUTH_FAILURE, description=told)

    def saw(self, health: Mapping[str, TargetHealth]) -> None:
        """What the data plane says now."""
        self._seen = dict(health)

    def planned(self, plan: Plan) -> None:
        """Which users lack credentials now; what is new is logged."""
        for resource_id, reasons in plan.refused.items():
            for reason in reasons:
                if reason not in self._refused.get(resource_id, ()):
                    LOG.warning("proxy %s: no credentials: %s", resource_id, reason)
        self._refused = plan.refused
        self._locked = plan.locked
