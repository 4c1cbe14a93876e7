"""Addresses of endpoints."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.control.errors import AwsError
from tidegate.control.services.rds.addresses import TAG, check_reachable, own_address, shown, tagged_address

NETWORK = IPv4Network("127.64.0.0/10")


@given(st.lists(st.text(min_size=1), unique=True, max_size=30))
def test_each_endpoint_has_an_address_of_its_own(identifiers: list[str]) -> None:
    taken: set[tuple[str, int]] = set()
    for identifier in identifiers:
        address = own_address(NETWORK, 5432, identifier, taken)
        assert address not in taken
        assert IPv4Address(address[0]) in NETWORK and address[1] == 5432
        taken.add(address)


def test_an_address_is_the_same_again_where_it_is_free() -> None:
    first = own_address(NETWORK, 5432, "prx-1", set())
    assert own_address(NETWORK, 5432, "prx-1", {("127.0.0.1", 5432)}) == first
    assert own_address(NETWORK, 5432, "prx-1", {first}) != first
    assert own_address(NETWORK, 5432, "prx-1", {(first[0], 6432)}) == first


def test_a_network_that_is_full() -> None:
    small = IPv4Network("127.0.0.0/30")
    taken = {own_address(small, 5432, "a", set())}
    for name in "bc":
        taken.add(own_address(small, 5432, name, taken))
    assert {host for host, _ in taken} == {"127.0.0.1", "127.0.0.2", "127.0.0.3"}
    with pytest.raises(AwsError, match="No address is left"):
        own_address(small, 5432, "d", taken)


@given(st.text(max_size=300))
def test_a_tag_says_an_address_or_is_refused(value: str) -> None:
    try:
        address = tagged_address({TAG: value})
    except AwsError as error:
        address, refused = None, error
        assert refused.code == "InvalidParameterValue"
    else:
        assert address is not None and address[0] and 1 <= address[1] <= 65535


def test_a_port_is_told_where_it_is_not_the_standard_one() -> None:
    assert shown("127.64.0.1", 5432) == "127.64.0.1"
    assert shown("db.example", 6432) == "db.example:6432"
    assert shown("::1", 6432) == "[::1]:6432"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "0", "0.0", "0x0", "::0"])
def test_all_of_the_machines_addresses_are_no_endpoint(host: str) -> None:
    """A client connects to one of them, and a token for that would not be one for the endpoint."""
    address = tagged_address({TAG: f"{host}:6432"})
    assert address is not None
    with pytest.raises(AwsError, match="must say an address that clients connect to") as refused:
        check_reachable(address)
    assert refused.value.code == "InvalidParameterValue"


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "db.example", "10.0.0.0", "x0.example"])
def test_an_endpoint_is_one_address_or_name(host: str) -> None:
    check_reachable((host, 5432))
