"""The EC2 service: all its operations in one class, for the dispatcher. Owns nothing but the sum."""

from __future__ import annotations

from tidegate.control.services.ec2.attached import Attached
from tidegate.control.services.ec2.gateways import Gateways
from tidegate.control.services.ec2.groups import SecurityGroups
from tidegate.control.services.ec2.routes import RouteTables
from tidegate.control.services.ec2.subnets import Subnets
from tidegate.control.services.ec2.tagging import Tagging
from tidegate.control.services.ec2.vpcs import Vpcs
from tidegate.control.services.ec2.zones import Zones


class Ec2Service(Vpcs, Subnets, SecurityGroups, RouteTables, Gateways, Attached, Zones, Tagging):
    """Amazon EC2, its networks."""
