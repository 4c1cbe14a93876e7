"""Fair shares."""

from hypothesis import given
from hypothesis import strategies as st

from tidegate.pool.budget import LocalBudget
from tidegate.pool.cap import Cap
from tidegate.pool.ledger import Ledger
from tidegate.pool.limits import PoolLimits
from tidegate.pool.pool import Pool
from tidegate.pool.quota import Quotas
from tidegate.pool.tuning import PERIOD, ROTATION


def waiting_pools(ledger: Ledger, demands: list[int], cap: Cap | None = None) -> list[Pool]:
    pools = []
    for number, demand in enumerate(demands):
        pool = Pool(("app", str(number)), PoolLimits(), () if cap is None else (cap,), number, 0.0)
        for client in range(demand):
            ledger.join(pool, client, 0.0)
        pools.append(pool)
    return pools


def share(capacity: int, demands: list[int], now: float = 0.0, cap: Cap | None = None) -> list[int]:
    ledger = Ledger(LocalBudget(capacity))
    pools = waiting_pools(ledger, demands, cap)
    Quotas().refresh(ledger, capacity, now)
    return [pool.quota for pool in pools]


def test_small_demands_are_met_and_the_rest_is_even() -> None:
    assert share(20, [2, 300, 300]) == [2, 9, 9]
    assert share(20, [300, 1]) == [19, 1]
    assert share(20, [3, 4]) == [3, 4]


def test_the_odd_server_rotates() -> None:
    assert {tuple(share(20, [50, 50, 50], at * ROTATION)) for at in range(3)} == {(7, 7, 6), (7, 6, 7), (6, 7, 7)}


def test_everyone_has_a_turn_when_there_are_too_few() -> None:
    assert share(2, [5] * 7) == [1] * 7


def test_a_cap_is_shared_within_and_its_rest_goes_to_others() -> None:
    ledger, cap = Ledger(LocalBudget(20)), Cap(4)
    capped = waiting_pools(ledger, [50, 50], cap)
    free = waiting_pools(ledger, [50])
    Quotas().refresh(ledger, 20, 0.0)
    assert [pool.quota for pool in capped + free] == [2, 2, 16]


@given(st.integers(1, 40), st.lists(st.integers(1, 60), min_size=1, max_size=12), st.integers(0, 9))
def test_max_min_fairness(capacity: int, demands: list[int], epoch: int) -> None:
    quotas = share(capacity, demands, epoch * ROTATION)
    if len(demands) > capacity:
        assert quotas == [1] * len(demands)
        return
    assert sum(quotas) == min(capacity, sum(demands))
    most = max(quotas)
    for quota, demand in zip(quotas, demands, strict=True):
        assert 1 <= quota <= demand
        assert quota == demand or quota >= most - 1, "less than another, though it wants more"


def test_demand_between_two_transactions_is_remembered_for_a_while() -> None:
    ledger, quotas = Ledger(LocalBudget(20)), Quotas()
    pool = waiting_pools(ledger, [10])[0]
    other = waiting_pools(ledger, [100])[0]
    quotas.refresh(ledger, 20, 0.0)
    assert (pool.quota, other.quota) == (10, 10)
    server = ledger.enlist(pool, 0.0)
    assert server is not None
    while pool.head is not None:
        ledger.leave(pool.head)
    seen = []
    for period in range(1, 20):
        quotas.refresh(ledger, 20, period * (PERIOD + 1e-9))
        seen.append(pool.quota)
    assert seen[0] == 10
    assert seen == sorted(seen, reverse=True)
    assert seen[-1] == 0
    assert other.quota == 20


def test_is_computed_at_most_once_a_period() -> None:
    ledger, quotas = Ledger(LocalBudget(20)), Quotas()
    pool = waiting_pools(ledger, [5])[0]
    quotas.refresh(ledger, 20, 10.0)
    for client in range(5):
        ledger.join(pool, client, 10.0)
    quotas.refresh(ledger, 20, 10.0 + PERIOD / 2)
    assert pool.quota == 5
    quotas.refresh(ledger, 20, 10.0 + PERIOD * 1.01)
    assert pool.quota == 10
