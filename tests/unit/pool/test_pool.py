"""The queue and the idle stack of one pool."""

from hypothesis import given
from hypothesis import strategies as st

from tests.unit.pool.desk import APP
from tidegate.pool.limits import PoolLimits
from tidegate.pool.pool import Pool
from tidegate.pool.slot import Slot, Ticket
from tidegate.pool.tuning import FIT_DEPTH


def make_pool() -> Pool:
    return Pool(APP, PoolLimits(), (), 1, 0.0)


@given(st.lists(st.integers(0, 20)))
def test_queue_is_first_come_first_served_whoever_leaves(steps: list[int]) -> None:
    pool, line = make_pool(), list[Ticket]()
    for number, step in enumerate(steps):
        if step % 2 or not line:
            ticket = Ticket(number, pool, float(number))
            pool.push(ticket)
            line.append(ticket)
        else:
            pool.unlink(line.pop(step % len(line)))
        assert pool.waiting == len(line)
        walked, at = [], pool.head
        while at is not None:
            walked.append(at)
            at = at.behind
        assert walked == line
        assert pool.tail is (line[-1] if line else None)


def test_a_ticket_out_of_the_queue_keeps_no_other_alive() -> None:
    pool = make_pool()
    tickets = [Ticket(at, pool, 0.0) for at in range(3)]
    for ticket in tickets:
        pool.push(ticket)
    pool.unlink(tickets[1])
    assert (tickets[1].ahead, tickets[1].behind, tickets[1].alive) == (None, None, False)


def test_prefers_a_server_that_fits_near_the_top() -> None:
    pool, fits = make_pool(), [object() for _ in range(6)]
    assert pool.fitting(fits[0]) == -1
    for at, fit in enumerate(fits):
        slot = Slot(pool, at, 0.0)
        slot.fit = fit
        pool.idle.append(slot)
    top = len(fits) - 1
    for at, fit in enumerate(fits):
        assert pool.fitting(fit) == (at if at > top - FIT_DEPTH else top)
    assert pool.fitting("like none") == top


def test_fit_is_by_identity() -> None:
    pool = make_pool()
    for at in range(2):
        slot = Slot(pool, at, 0.0)
        slot.fit = ["equal"]
        pool.idle.append(slot)
    assert pool.fitting(pool.idle[0].fit) == 0
    assert pool.fitting(["equal"]) == 1
