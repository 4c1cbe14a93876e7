"""Arithmetic of `bench.cpu` on readings made by hand."""

import pytest

from bench.cpu import LostThread, Reading, seconds_between

SECOND = 1_000_000_000


def test_threads_and_processes_add_up() -> None:
    before = Reading(0, {1: {1: 2 * SECOND, 5: SECOND}, 7: {7: SECOND}}, 0)
    after = Reading(1, {1: {1: 3 * SECOND, 5: SECOND}, 7: {7: 2 * SECOND}}, 0)
    assert seconds_between(before, after) == 2.0


def test_a_process_that_starts_counts_from_nothing() -> None:
    before = Reading(0, {1: {1: SECOND}}, 0)
    after = Reading(1, {1: {1: SECOND}, 9: {9: SECOND // 2}}, 0)
    assert seconds_between(before, after) == 0.5


def test_a_child_that_ends_counts_through_its_parent_only_once() -> None:
    """3 s before the first reading were in its own thread; at the end all its 4 s are in the parent's `ended`."""
    before = Reading(0, {1: {1: SECOND}, 9: {9: 3 * SECOND}}, 0)
    after = Reading(1, {1: {1: SECOND}}, 4 * SECOND)
    assert seconds_between(before, after) == 1.0


def test_a_thread_that_ends_in_a_living_process_voids_the_measurement() -> None:
    before = Reading(0, {1: {1: SECOND, 5: SECOND}}, 0)
    after = Reading(1, {1: {1: SECOND}}, 0)
    with pytest.raises(LostThread):
        seconds_between(before, after)
