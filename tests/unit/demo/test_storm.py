"""How a storm is shared out and added up."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.demo.client import Login
from tidegate.demo.generator import Orders
from tidegate.demo.storm import Storm, StormResult

LOGIN = Login("127.0.0.1", 5432, "app", "s3cret'\"", "shop")


@given(st.integers(1, 2000))
def test_every_client_is_given_to_one_generator(clients: int) -> None:
    orders = Storm(clients, 3, ("BEGIN", "COMMIT"), 0.1, 30.0).orders(LOGIN)
    assert sum(order.clients for order in orders) == clients
    assert max(order.clients for order in orders) - min(order.clients for order in orders) <= 1


def test_orders_survive_the_command_line() -> None:
    orders = Orders(LOGIN, 150, ("BEGIN", "SELECT 'é'"), 0.1, 30.0)
    assert Orders.from_json(orders.to_json()) == orders


def test_a_result_adds_up() -> None:
    result = StormResult(clients=2, waves=2)
    result.reports = [(0.3, 0.4, ""), (0.1, 0.2, ""), (0.2, None, "57P01 bye"), (None, None, "Connection refused")]
    assert result.attempts == 4
    assert result.successes == 2
    assert result.failures == {"57P01 bye": 1, "Connection refused": 1}
    assert result.connect_times() == [0.1, 0.2, 0.3]
    assert result.total_times() == [0.2, 0.4]


def test_a_dsn_is_what_drivers_take() -> None:
    assert Login("127.0.0.1", 6432, "app", "app", "shop").dsn() == "postgresql://app:app@127.0.0.1:6432/shop"


@pytest.mark.parametrize("clients", [1, 2])
def test_no_generator_is_started_for_nothing(clients: int) -> None:
    assert all(order.clients for order in Storm(clients, 1, (), 0.0, 1.0).orders(LOGIN))
