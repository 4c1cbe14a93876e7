"""A pool that must do without servers for a while."""

from __future__ import annotations

from tests.unit.pool.desk import Desk
from tidegate.errors import CloseReason
from tidegate.pool.suspension import resume, suspend


def suspended(desk: Desk, seconds: float = 5.0) -> None:
    suspend(desk.governor, desk.pool(), desk.now + seconds, CloseReason.SERVER_VACATED, desk.now)
    desk.plan()


def test_idle_servers_are_closed_at_once_and_lent_ones_when_they_come_back() -> None:
    desk = Desk()
    desk.ask("a")
    desk.ask("b")
    desk.done("b")
    suspended(desk)
    assert (desk.pool().lent, desk.pool().live()) == (1, 1)
    desk.done("a")
    assert desk.pool().live() == 0
    assert desk.lent == {}


def test_who_asks_meanwhile_waits_for_the_end() -> None:
    desk = Desk()
    suspended(desk)
    desk.ask("a")
    assert desk.pool().live() == 0
    resume(desk.pool())
    desk.plan()
    assert "a" in desk.lent


def test_it_ends_by_itself() -> None:
    desk = Desk()
    suspended(desk, 5.0)
    desk.ask("a")
    desk.now += 4.9
    desk.plan()
    assert desk.pool().live() == 0
    desk.now += 0.2
    desk.plan()
    assert "a" in desk.lent


def test_a_server_that_was_being_opened_is_closed_and_no_other_opened_in_its_stead() -> None:
    desk = Desk()
    desk.connects = False
    desk.ask("a")
    suspended(desk)
    desk.connected(desk.opening[0])
    assert desk.opening == []
    assert desk.pool().live() == 0


def test_an_opening_that_fails_meanwhile_does_not_shorten_it() -> None:
    desk = Desk()
    desk.connects = False
    desk.ask("a")
    suspended(desk)
    slot = desk.opening.pop()
    desk.governor.open_failed(slot, desk.now)
    desk.governor.closed(slot, desk.now)
    desk.now += 4.9
    desk.plan()
    assert desk.opening == []
