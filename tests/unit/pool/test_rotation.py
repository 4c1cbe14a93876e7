"""Lending by rotation: never the server that a client had last, and never a client that waits for ever."""

from __future__ import annotations

from tests.unit.pool.desk import Desk, limited
from tidegate.pool.slot import SlotState
from tidegate.pool.tuning import PATIENCE


def had_by(desk: Desk, who: object) -> int:
    """The number of the server that this client has had, now given back."""
    return desk.done(who).number


def test_lends_another_idle_server_and_of_these_the_one_used_longest_ago() -> None:
    desk = Desk()
    for who in "abc":
        desk.ask(who)
    first, second, third = (had_by(desk, who) for who in "abc")
    assert desk.ask("c", avoids=first) is None
    assert desk.lent["c"].number == second
    assert desk.ask("d", avoids=second) is None
    assert desk.lent["d"].number == first
    assert desk.ask("e", avoids=first) is None
    assert desk.lent["e"].number == third


def test_settings_that_fit_do_not_bring_the_last_server_back() -> None:
    desk, fit = Desk(), object()
    for who in "ab":
        desk.ask(who)
    had_by(desk, "a")
    desk.lent["b"].fit = fit
    last = had_by(desk, "b")
    desk.ask("b", fit=fit, avoids=last)
    assert desk.lent["b"].number != last


def test_opens_another_rather_than_wait() -> None:
    desk = Desk(limit=2)
    desk.ask("a")
    last = had_by(desk, "a")
    desk.ask("a", avoids=last)
    assert desk.log == ["open", "lend a", "open", "lend a"]
    assert desk.lent["a"].number != last


def test_waits_for_somebody_elses_before_it_gives_its_own_up() -> None:
    desk = Desk(limit=2)
    desk.ask("a")
    desk.ask("b")
    last = had_by(desk, "a")
    assert desk.ask("a", avoids=last) is not None
    other = had_by(desk, "b")
    assert desk.lent["a"].number == other
    assert "close server_spurned" not in desk.log


def test_another_client_gets_what_the_first_in_line_refuses() -> None:
    desk = Desk(limit=2)
    desk.ask("a")
    desk.ask("b")
    last = had_by(desk, "a")
    desk.ask("a", avoids=last)
    desk.ask("c")
    assert desk.lent["c"].number == last
    other = had_by(desk, "c")
    desk.ask("c", avoids=other)
    assert set(desk.lent) == {"b"}, "both refuse it"
    desk.ask("d", avoids=desk.lent["b"].number)
    assert desk.lent["d"].number == last


def test_a_server_that_all_refuse_is_replaced_when_others_do_not_come_back() -> None:
    desk = Desk(limit=2)
    desk.ask("pinned")
    desk.ask("a")
    last = had_by(desk, "a")
    desk.ask("a", avoids=last)
    assert "a" not in desk.lent
    wakeup = desk.governor.next_wakeup(desk.now)
    assert wakeup is not None
    assert wakeup <= desk.now + PATIENCE
    desk.now += PATIENCE
    desk.plan()
    assert desk.log[-3:] == ["close server_spurned", "open", "lend a"]
    assert desk.lent["a"].number != last


def test_the_only_server_that_there_may_be_is_replaced_at_once() -> None:
    for desk in (Desk(limit=1), Desk(limit=9, pool_limits=limited(max_size=1))):
        desk.ask("a")
        for _ in range(3):
            last = had_by(desk, "a")
            desk.ask("a", avoids=last)
            assert desk.log[-3:] == ["close server_spurned", "open", "lend a"]
            assert desk.lent["a"].number != last


def test_a_returned_server_is_not_passed_on_to_who_had_it_last() -> None:
    desk = Desk(limit=1)
    desk.ask("a")
    slot = desk.lent["a"]
    desk.ask("b", avoids=slot.number)
    assert desk.governor.pass_on(slot, desk.now) is None
    had_by(desk, "a")
    assert slot.state == SlotState.GONE
    assert desk.lent["b"].number != slot.number
