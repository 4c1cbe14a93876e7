"""Availability Zones: three in each region, as "a", "b" and "c"; DescribeAvailabilityZones, DescribeRegions.

Owns their names and ids. The ids (use1-az1) are made as AWS makes them from the region's name. Refuses local zones.
"""

from __future__ import annotations

from typing import Any

from tidegate.control.call import Call
from tidegate.control.services.ec2 import errors
from tidegate.control.services.ec2.base import Base, permit
from tidegate.control.services.ec2.filters import Filters

LETTERS = "abc"
_DIRECTIONS = ("central", "north", "south", "east", "west")


def zones_of(region: str) -> list[str]:
    """The region's zones."""
    return [region + letter for letter in LETTERS]


def zone_id(zone: str) -> str:
    """eu-west-1a: euw1-az1; ap-southeast-2b: apse2-az2."""
    area, *words, number = zone[:-1].split("-")
    letters = "".join(_letters(word) for word in words)
    return f"{area}{letters}{number}-az{ord(zone[-1]) - ord('a') + 1}"


def _letters(word: str) -> str:
    """southeast: se; gov: g."""
    both = next((first for first in _DIRECTIONS if word.startswith(first) and word != first), None)
    return word[0] + word[len(both)] if both else word[:1]


def zone_of(region: str, name: str | None, identifier: str | None) -> str:
    """The zone of a name or an id; the first without either. InvalidParameterValue."""
    if name and identifier:
        raise errors.invalid_combination("AvailabilityZone and AvailabilityZoneId can't be specified together.")
    for zone in zones_of(region):
        if name == zone or identifier == zone_id(zone) or not (name or identifier):
            return zone
    raise errors.zone_not_found(str(name or identifier)[:80])


FILTERS: Filters[str] = Filters(
    {
        "zone-name": lambda zone: [zone],
        "zone-id": lambda zone: [zone_id(zone)],
        "region-name": lambda zone: [zone[:-1]],
        "group-name": lambda zone: [zone[:-1]],
        "group-long-name": lambda zone: [zone[:-1]],
        "state": lambda _: ["available"],
        "message": lambda _: [],
        "opt-in-status": lambda _: ["opt-in-not-required"],
        "zone-type": lambda _: ["availability-zone"],
    },
    lambda _: {},
)


REGION_FILTERS: Filters[str] = Filters(
    {
        "region-name": lambda region: [region],
        "endpoint": lambda region: [_endpoint(region)],
        "opt-in-status": lambda _: ["opt-in-not-required"],
    },
    lambda _: {},
)


class Zones(Base):
    """The operations on zones and regions."""

    def describe_regions(self, call: Call) -> dict[str, Any]:
        """DescribeRegions: the one that there is."""
        permit(call)
        names = call.parameters.get("RegionNames") or []
        for name in names:
            if name != call.region:
                raise errors.invalid_value(f"Invalid region names: {name!s:.80}")
        found = REGION_FILTERS.apply(call.parameters.get("Filters"), [call.region], call.account)
        return {
            "Regions": [
                {"RegionName": region, "Endpoint": _endpoint(region), "OptInStatus": "opt-in-not-required"}
                for region in found
            ]
        }

    def describe_availability_zones(self, call: Call) -> dict[str, Any]:
        """DescribeAvailabilityZones."""
        permit(call)
        names, ids = call.parameters.get("ZoneNames") or [], call.parameters.get("ZoneIds") or []
        zones = zones_of(call.region)
        for unknown in [one for one in names if one not in zones] + [
            one for one in ids if one not in map(zone_id, zones)
        ]:
            raise errors.zone_not_found(str(unknown)[:80])
        found = [zone for zone in zones if (not names or zone in names) and (not ids or zone_id(zone) in ids)]
        found = FILTERS.apply(call.parameters.get("Filters"), found, call.account)
        return {"AvailabilityZones": [_shape(zone) for zone in found]}


def _endpoint(region: str) -> str:
    return f"ec2.{region}.amazonaws.com"


def _shape(zone: str) -> dict[str, Any]:
    region = zone[:-1]
    return {
        "State": "available",
        "OptInStatus": "opt-in-not-required",
        "Messages": [],
        "RegionName": region,
        "ZoneName": zone,
        "ZoneId": zone_id(zone),
        "GroupName": region,
        "NetworkBorderGroup": region,
        "ZoneType": "availability-zone",
    }
