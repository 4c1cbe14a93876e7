"""Totals over the workers that are and those that were."""

from __future__ import annotations

from tidegate.proxy.totals import Totals


def test_what_the_dead_had_counted_is_kept() -> None:
    totals = Totals()
    totals.told(0, {"logins": 3, "wait_seconds": 0.5})
    totals.told(0, {"logins": 5, "wait_seconds": 0.5})
    assert totals.former == {}
    totals.ended(0)
    assert totals.former == {"logins": 5, "wait_seconds": 0.5}
    totals.told(0, {"logins": 1})
    totals.ended(0)
    assert totals.former == {"logins": 6, "wait_seconds": 0.5}


def test_a_worker_that_never_told_anything() -> None:
    totals = Totals()
    totals.ended(7)
    assert totals.former == {}


def test_who_does_not_answer_counts_with_what_it_told_last() -> None:
    totals = Totals()
    totals.told(0, {"logins": 3})
    totals.told(1, {"logins": 4})
    assert totals.silent([0]) == [{"logins": 4}]
    assert totals.silent([0, 1]) == []
    totals.ended(1)
    assert totals.silent([0]) == []
