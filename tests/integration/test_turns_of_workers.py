"""A slot goes from one worker to another when it is wanted, whatever the rhythm in which it is used.

Opening the connection is part of each turn here, and is most of it. So the bounds are far above what is to be expected,
and below the tenth of a second after which a worker looks by itself at what others lack.
"""

from __future__ import annotations

import statistics
import time

import pytest

from tests.support.counted import USER, proxied_side
from tests.support.postgres import Postgres
from tests.support.sides import Side
from tests.support.tidegate import Proxy
from tests.support.watch import Watch
from tests.support.wire import RawClient
from tidegate.proxy.keys import worker_of

TURNS = 60
BOUND = 0.04  # seconds


def one_client_of_each(side: Side, workers: int) -> list[RawClient]:
    """The kernel spreads connections over the workers by chance: connect until every one has a client."""
    found: dict[int, RawClient] = {}
    while len(found) < workers:
        client = side.login()
        if worker_of(client.pid) in found:
            client.quit()
        else:
            found[worker_of(client.pid)] = client
    return list(found.values())


def durations(clients: list[RawClient], pause: float) -> list[float]:
    """How long each client's query took, one client after the other, with a pause between two."""
    took = []
    for turn in range(TURNS):
        began = time.monotonic()
        assert clients[turn % len(clients)].value("SELECT 7") == "7"
        took.append(time.monotonic() - began)
        time.sleep(pause)
    return took


@pytest.mark.parametrize("pause", [0.0, 0.0005, 0.002, 0.005, 0.03])
def test_taking_turns(postgres: Postgres, wire_role: str, pause: float) -> None:
    with (
        Proxy(postgres, target={"max_connections": 1}, top={"workers": 2}) as proxy,
        Watch(postgres.dsn(), USER) as watch,
    ):
        clients = one_client_of_each(proxied_side(proxy, 1), 2)
        took = durations(clients, pause)
        assert statistics.median(took) < BOUND
    assert watch.highest == 1
