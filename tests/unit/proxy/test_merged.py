"""Statistics of several workers as one."""

from __future__ import annotations

from tidegate.proxy.merged import merge


def test_nobody_answered() -> None:
    assert merge([]) == {"pools": []}


def test_numbers_are_added_and_maxima_are_not() -> None:
    parts: list[dict[str, float]] = [
        {"clients": 3, "wait_seconds": 0.5, "clients_max": 9},
        {"clients": 4, "wait_seconds": 1, "clients_max": 7},
    ]
    assert merge(parts) == {"clients": 7, "wait_seconds": 1.5, "clients_max": 9, "pools": []}


def test_a_number_that_only_some_know_counts() -> None:
    assert merge([{"a": 1}, {"b": 2}])["b"] == 2


def test_what_is_no_number_is_left_to_the_workers_own_list() -> None:
    assert merge([{"version": "1", "draining": True}]) == {"pools": []}


def test_pools_are_told_apart_by_their_names() -> None:
    one = {"target": "t", "database": "a", "user": "u", "servers": 2, "wait_max": 3}
    other = {**one, "database": "b", "servers": 5}
    same = {**one, "servers": 3, "wait_max": 1}
    assert merge([{"pools": [one, other]}, {"pools": [same, "junk"]}])["pools"] == [
        {**one, "servers": 5, "wait_max": 3},
        other,
    ]


def test_the_parts_stay_as_they_are() -> None:
    part = {"clients": 1, "pools": [{"pool": "p", "servers": 1}]}
    merge([part, part])
    assert part == {"clients": 1, "pools": [{"pool": "p", "servers": 1}]}
