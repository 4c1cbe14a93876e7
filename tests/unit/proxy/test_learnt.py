"""What the supervisor keeps of what workers have learnt."""

from __future__ import annotations

import pytest

from tidegate.proxy import learnt
from tidegate.proxy.learnt import Checked, Knowledge, Learnt


def of(user: str, parameters: dict[str, str], *checked: Checked, target: int = 0) -> Learnt:
    return Learnt(
        target=target, pool=("d", user), parameters=parameters, initial={}, idle_session_timeout=0.0, checked=checked
    )


def check(number: int) -> Checked:
    return Checked(name="timezone", value=str(number), canonical=f"<{number}>")


def test_parameters_and_what_was_checked_come_together() -> None:
    knowledge = Knowledge()
    knowledge.add(of("u", {"TimeZone": "GMT"}))
    knowledge.add(of("u", {}, check(1)))
    knowledge.add(of("u", {}, check(2)))
    knowledge.add(of("other", {"TimeZone": "CET"}))
    assert knowledge.all() == (of("u", {"TimeZone": "GMT"}, check(1), check(2)), of("other", {"TimeZone": "CET"}))


def test_other_parameters_end_what_was_checked_before() -> None:
    knowledge = Knowledge()
    knowledge.add(of("u", {"server_version": "16"}))
    knowledge.add(of("u", {}, check(1)))
    knowledge.add(of("u", {"server_version": "17"}))
    assert knowledge.all() == (of("u", {"server_version": "17"}),)


def test_nothing_is_kept_of_a_pool_whose_parameters_nobody_knows() -> None:
    knowledge = Knowledge()
    knowledge.add(of("u", {}, check(1)))
    assert knowledge.all() == ()


def test_a_removed_targets_pools_are_forgotten() -> None:
    knowledge = Knowledge()
    knowledge.add(of("u", {"a": "1"}, target=0))
    knowledge.add(of("u", {"a": "2"}, target=1))
    knowledge.forget(0)
    assert knowledge.all() == (of("u", {"a": "2"}, target=1),)


def test_it_stays_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learnt, "POOLS_KEPT", 2)
    knowledge = Knowledge()
    knowledge.add(of("a", {"a": "1"}))
    knowledge.add(of("a", {}, *(check(number) for number in range(100))))
    knowledge.add(of("a", {}, Checked(name="search_path", value="x" * 300, canonical="x")))
    (one,) = knowledge.all()
    assert one.checked == tuple(check(number) for number in range(84, 100))
    knowledge.add(of("huge", {"a": "x" * 10_000}))
    assert [one.pool for one in knowledge.all()] == [("d", "a")]
    for user in ("b", "c"):
        knowledge.add(of(user, {"a": "1"}))
    assert [one.pool for one in knowledge.all()] == [("d", "b"), ("d", "c")]
