"""What clients are told when no server can be made fit for use (init_query fails), and when the next one is tried."""

from __future__ import annotations

from tests.unit.pool.desk import Desk
from tidegate.errors import InitQueryError
from tidegate.pool.slot import Slot

BROKEN = InitQueryError("division by zero", "22012")


def fail_opening(desk: Desk, slot: Slot) -> list[object]:
    failed = desk.governor.open_failed(slot, desk.now, BROKEN)
    desk.opening.remove(slot)
    desk.governor.closed(slot, desk.now)
    desk.plan()
    return [ticket.owner for ticket in failed]


def test_a_failed_init_query_is_told_and_tried_again_after_a_pause_one_at_a_time() -> None:
    desk = Desk(limit=4)
    desk.connects = False
    for who in "abc":
        desk.ask(who)
    pool = desk.pool()
    assert fail_opening(desk, desk.opening[0]) == ["a", "b", "c"]
    for slot in list(desk.opening):
        assert fail_opening(desk, slot) == []
    pause = pool.paused_until - desk.now
    assert 0.1 <= pause <= 0.125, "attempts under way at once are one failure"
    desk.ask("d")
    assert desk.opening == []
    assert [ticket.owner for ticket in desk.governor.turn_away(pool, desk.now)] == ["d"]
    desk.now += pause
    for who in "efg":
        desk.ask(who)
    assert desk.governor.turn_away(pool, desk.now) == []
    assert len(desk.opening) == 1
    assert fail_opening(desk, desk.opening[0]) == ["e", "f", "g"]
    assert pool.paused_until - desk.now > pause
    desk.now = pool.paused_until
    for who in "hij":
        desk.ask(who)
    desk.connected(desk.opening[0])
    assert pool.refusal is None
    assert len(desk.opening) == 2
    assert "h" in desk.lent


def test_clients_wait_for_the_servers_that_there_are_when_no_more_can_be_made_fit() -> None:
    desk = Desk(limit=4)
    desk.ask("a")
    desk.connects = False
    desk.ask("b")
    assert fail_opening(desk, desk.opening[0]) == ["b"]
    ticket = desk.ask("c")
    assert desk.governor.turn_away(desk.pool(), desk.now) == []
    assert ticket is not None
    assert ticket.alive
    desk.done("a")
    assert "c" in desk.lent
