"""The default VPC, as AWS makes one in each region of an account (VPC User Guide, "Default VPC components").

Owns what it is made of: 172.31.0.0/16, a /20 subnet in each zone, the default security group, the main route table with
a route to an internet gateway. Made once: a default VPC that was deleted stays deleted.
"""

from __future__ import annotations

from typing import ClassVar

from tidegate.control.services.ec2.records import InternetGateway, Route, RouteTable, Subnet, Vpc, new_id
from tidegate.control.services.ec2.vpcs import make_vpc
from tidegate.control.services.ec2.zones import zones_of
from tidegate.control.store.store import Record, Transaction

CIDR = "172.31.0.0/16"


class Seeded(Record):
    """That the default VPC of a region was made."""

    kind: ClassVar[str] = "ec2-seeded"

    account: str
    region: str
    vpc_id: str
    at: float

    @property
    def key(self) -> str:
        """The region."""
        return self.region


def seed(transaction: Transaction, account: str, region: str, at: float) -> str:
    """Make the default VPC, unless that was done before. at: seconds since 1970. Returns its id."""
    before = transaction.table(Seeded).get(region)
    if before is not None:
        return before.vpc_id
    vpc = Vpc(
        identifier=new_id("vpc"),
        cidr=CIDR,
        association_id=new_id("vpc-cidr-assoc"),
        is_default=True,
        dns_hostnames=True,
    )
    table = make_vpc(transaction, vpc)
    gateway = InternetGateway(identifier=new_id("igw"), vpc_id=vpc.identifier)
    transaction.table(InternetGateway).put(gateway)
    outside = Route(destination="0.0.0.0/0", target=gateway.identifier)
    transaction.table(RouteTable).put(table.model_copy(update={"routes": (*table.routes, outside)}))
    for number, zone in enumerate(zones_of(region)):
        transaction.table(Subnet).put(
            Subnet(
                identifier=new_id("subnet"),
                vpc_id=vpc.identifier,
                cidr=f"172.31.{16 * number}.0/20",
                zone=zone,
                public_ips=True,
                is_default=True,
            )
        )
    transaction.table(Seeded).put(Seeded(account=account, region=region, vpc_id=vpc.identifier, at=at))
    return vpc.identifier
