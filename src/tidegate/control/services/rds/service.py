"""The RDS service: all its operations in one class, for the dispatcher.

Owns nothing but the sum. Not served, and answered as unknown operations: DB clusters, snapshots, parameter and option
groups, event subscriptions.
"""

from __future__ import annotations

from tidegate.control.services.rds.endpoints import Endpoints
from tidegate.control.services.rds.events import Events
from tidegate.control.services.rds.instances import Instances
from tidegate.control.services.rds.subnet_groups import SubnetGroups
from tidegate.control.services.rds.tagging import Tagging
from tidegate.control.services.rds.targets import Targets


class RdsService(Endpoints, Targets, Instances, SubnetGroups, Events, Tagging):
    """Amazon RDS. See `base.Base` for what it is made of."""
