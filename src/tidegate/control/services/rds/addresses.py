"""Where endpoints listen, and where instances are: addresses of our own choice, and those in a tag.

Owns the form of the tag `tidegate:address`, the search for a free loopback address, and what a caller is told.
Refuses to listen.

Tag: `host:port`, where the last colon is the port's: `::1:5432` (a tag's value can't have brackets). On
CreateDBProxy and CreateDBProxyEndpoint it says where to listen, on CreateDBInstance where the database runs. It is read
when the resource is created; adding or removing it later moves nothing.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
from collections.abc import Collection, Mapping
from ipaddress import IPv4Network

from tidegate.control.services.rds import errors

TAG = "tidegate:address"

_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_HOST = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*")
_STANDARD_PORT = 5432

Address = tuple[str, int]


def tagged_address(tags: Mapping[str, str]) -> Address | None:
    """What the tag says, None without one. InvalidParameterValue if it says nothing of use."""
    value = tags.get(TAG)
    if value is None:
        return None
    host, _, port = value.rpartition(":")
    if ":" in host:
        host = _ipv6(host)
    elif not _HOST.fullmatch(host):
        host = ""
    if not host or not port.isascii() or not port.isdigit() or not 1 <= int(port[:6]) <= 65535 or len(port) > 5:
        raise errors.invalid_value(
            f"The tag {TAG} must be host:port, such as 127.0.0.1:5432 or ::1:5432, not {value!r:.200}."
        )
    return host, int(port)


def check_reachable(address: Address) -> None:
    """InvalidParameterValue for what can be listened on, and is none that clients connect to: no token would fit."""
    host = address[0]
    try:
        unspecified = ipaddress.ip_address(host).is_unspecified
    except ValueError:  # a name, or one of the short forms that the system takes for an address, such as 0
        unspecified = not host.strip("0.x")
    if unspecified:
        raise errors.invalid_value(
            f"The tag {TAG} of an endpoint must say an address that clients connect to, such as 127.0.0.1:5432, not "
            f"{host}, which means all of this machine's addresses."
        )


def own_address(network: IPv4Network, port: int, identifier: str, taken: Collection[Address]) -> Address:
    """An address of `network` for the endpoint of that id.

    The search begins at a place that the id tells, so that an address that has come free is not soon another's: a
    client that still has it must not reach a stranger. InvalidParameterValue when all are taken.
    """
    size = network.num_addresses
    start = int.from_bytes(hashlib.sha256(identifier.encode()).digest()[:8]) % size
    hosts = {host for host, taken_port in taken if taken_port == port}
    for step in range(min(size, 2 * len(hosts) + 1024)):
        address = str(network[(start + step) % size])
        if address not in hosts and address.rpartition(".")[2] not in ("0", "255"):
            return address, port
    raise errors.invalid_value(f"No address is left in {network} for the endpoint.")


def shown(host: str, port: int) -> str:
    """The Endpoint of an answer: the host alone, as AWS gives it, where the port is PostgreSQL's own; else host:port.

    The API has no place for a port, and a host alone would let clients knock at the wrong one.
    """
    if port == _STANDARD_PORT:
        return host
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _ipv6(text: str) -> str:
    try:
        return str(ipaddress.IPv6Address(text))
    except ValueError:
        return ""
