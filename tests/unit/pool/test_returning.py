"""A client that wants the server which it had last: it gets that one as long as it is idle."""

from __future__ import annotations

from tests.unit.pool.desk import Desk


def test_who_wants_a_server_back_gets_it_if_it_is_idle() -> None:
    desk = Desk()
    for who in "abc":
        desk.ask(who)
    numbers = [desk.lent[who].number for who in "abc"]
    for who in "abc":
        desk.done(who)
    for wanted in numbers:
        desk.ask("d", returns=wanted)
        assert desk.lent["d"].number == wanted
        desk.done("d")


def test_who_wants_back_a_server_that_is_lent_gets_the_one_used_longest_ago() -> None:
    desk = Desk()
    for who in "abc":
        desk.ask(who)
    wanted = desk.lent["a"].number
    oldest = desk.done("b")
    desk.done("c")
    desk.ask("d", returns=wanted)
    assert desk.lent["d"] is oldest
