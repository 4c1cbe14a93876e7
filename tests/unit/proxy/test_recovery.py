"""Slots of dead workers: who is asked about when, and what frees them. Time is a number."""

from __future__ import annotations

from itertools import pairwise

import pytest

from tidegate.proxy.control import OrphanSlot, Reclaimed
from tidegate.proxy.recovery import Recovery

BY_PID = OrphanSlot(slot=1, pid=4711, port=50_001)
BY_PORT = OrphanSlot(slot=2, pid=0, port=50_002)
ALSO = OrphanSlot(slot=4, pid=4712, port=0)
UNKNOWN = OrphanSlot(slot=3, pid=0, port=0)


class Keeper:
    """Keeps what was freed; a slot is an orphan until then."""

    def __init__(self) -> None:
        self.freed: list[tuple[int, int]] = []

    def reclaim(self, target: int, slot: int) -> bool:
        if (target, slot) in self.freed:
            return False
        self.freed.append((target, slot))
        return True


def make(*orphans: OrphanSlot, now: float = 100.0) -> tuple[Keeper, Recovery]:
    keeper = Keeper()
    recovery = Recovery(keeper)
    recovery.add(7, "main", orphans, now, login_timeout=15.0)
    return keeper, recovery


def reply(round_: int, *slots: int, target: str = "main") -> Reclaimed:
    return Reclaimed(round=round_, target=target, slots=slots)


def test_nothing_to_do() -> None:
    recovery = Recovery(Keeper())
    assert recovery.next_at() is None
    assert recovery.due(1e9) == []
    assert recovery.expire(1e9) == 0


def test_what_has_a_process_id_is_asked_about_until_it_is_gone() -> None:
    keeper, recovery = make(BY_PID, ALSO)
    assert recovery.next_at() == pytest.approx(100.1)
    assert recovery.due(100.0) == []
    (question,) = recovery.due(100.1)
    assert (question.target, question.slots) == ("main", (BY_PID, ALSO))
    assert recovery.answer(reply(question.round)) == 0
    assert recovery.answer(reply(question.round, 4)) == 1
    (question,) = recovery.due(recovery.next_at() or 0)
    assert question.slots == (BY_PID,)
    assert recovery.answer(reply(question.round, 1)) == 1
    assert keeper.freed == [(7, 4), (7, 1)]
    assert recovery.next_at() is None


def test_what_was_logging_in_is_asked_about_after_a_logins_time() -> None:
    """Before that, the database need not list it though it is there."""
    keeper, recovery = make(BY_PID, BY_PORT)
    (early,) = recovery.due(100.1)
    assert early.slots == (BY_PID,)
    recovery.answer(reply(early.round, 1, 2))
    assert keeper.freed == [(7, 1)]
    assert recovery.next_at() == 115.0
    assert recovery.expire(114.9) == 0 and recovery.due(114.9) == []
    assert recovery.expire(115.0) == 0
    (question,) = recovery.due(115.0)
    assert question.slots == (BY_PORT,)
    assert recovery.answer(reply(early.round, 2)) == 0
    assert recovery.answer(reply(question.round, 2)) == 1
    assert recovery.next_at() is None


def test_pauses_grow_to_a_second_and_start_anew_with_the_next_crash() -> None:
    _, recovery = make(BY_PID, now=0.0)
    times = []
    for _ in range(12):
        at = recovery.next_at()
        assert at is not None
        times.append(at)
        assert len(recovery.due(at)) == 1
    pauses = [later - earlier for earlier, later in pairwise(times)]
    assert pauses[0] == pytest.approx(0.1)
    assert pauses == sorted(pauses)
    assert pauses[-1] == pytest.approx(1.0)
    recovery.add(7, "main", [ALSO], times[-1], login_timeout=15.0)
    assert recovery.next_at() == pytest.approx(times[-1] + 0.1)


def test_what_cannot_be_recognised_is_freed_after_a_logins_time() -> None:
    keeper, recovery = make(UNKNOWN)
    assert recovery.due(200.0) == []
    assert recovery.expire(114.9) == 0
    assert recovery.next_at() == 115.0
    assert recovery.expire(115.0) == 1
    assert keeper.freed == [(7, 3)]
    assert recovery.next_at() is None


def test_an_old_answer_frees_nothing_that_died_later() -> None:
    keeper, recovery = make(BY_PID)
    (early,) = recovery.due(101.0)
    recovery.answer(reply(early.round, 1))
    recovery.add(7, "main", [OrphanSlot(slot=1, pid=9999, port=0)], 102.0, login_timeout=15.0)
    keeper.freed.clear()
    assert recovery.answer(reply(early.round, 1)) == 0
    assert keeper.freed == []
    (late,) = recovery.due(103.0)
    assert recovery.answer(reply(late.round, 1)) == 1


def test_an_answer_frees_only_what_was_asked_of_that_target() -> None:
    keeper, recovery = make(BY_PID, UNKNOWN)
    recovery.add(8, "other", [BY_PID], 100.0, login_timeout=15.0)
    first, second = recovery.due(101.0)
    assert recovery.answer(reply(second.round, 3, 55, target="main")) == 0
    assert recovery.answer(reply(second.round, 1, target="nobody")) == 0
    assert recovery.answer(reply(second.round, 1, target="other")) == 1
    assert keeper.freed == [(8, 1)]
    assert first.target == "main"


def test_a_target_that_is_no_longer_served() -> None:
    keeper, recovery = make(BY_PID, UNKNOWN)
    assert recovery.drop_target(7) == 2
    assert recovery.drop_target(7) == 0
    assert sorted(keeper.freed) == [(7, 1), (7, 3)]
    assert recovery.next_at() is None
