"""What a failed opening means and how long to wait after it."""

from random import Random

import pytest

from tidegate.errors import InitQueryError, PgError
from tidegate.pool.pacing import Backoff, FailureScope, failure_scope
from tidegate.pool.tuning import FIRST_PAUSE, JITTER, LONGEST_PAUSE


@pytest.mark.parametrize(
    ("sqlstate", "scope"),
    [
        ("08006", FailureScope.TARGET),
        ("57P03", FailureScope.TARGET),
        ("57P01", FailureScope.TARGET),
        ("53200", FailureScope.TARGET),
        ("58030", FailureScope.TARGET),
        ("53300", FailureScope.POOL),
        ("28P01", FailureScope.CLIENTS),
        ("28000", FailureScope.CLIENTS),
        ("3D000", FailureScope.CLIENTS),
        ("42501", FailureScope.CLIENTS),
        ("08P01", FailureScope.CLIENTS),
        ("XX000", FailureScope.CLIENTS),
    ],
)
def test_scope_of_an_answer(sqlstate: str, scope: FailureScope) -> None:
    assert failure_scope(PgError("words", sqlstate)) is scope


@pytest.mark.parametrize("sqlstate", ["22012", "53300", "57014", "08P01", "42501"])
def test_a_failed_init_query_concerns_its_pool_whatever_the_code(sqlstate: str) -> None:
    assert failure_scope(InitQueryError("words", sqlstate)) is FailureScope.SETUP


def test_no_answer_concerns_the_target() -> None:
    assert failure_scope(None) is FailureScope.TARGET


def test_pauses_double_up_to_the_longest_within_their_jitter() -> None:
    backoff, now = Backoff(), 0.0
    for failure in range(12):
        pause = min(FIRST_PAUSE * 2**failure, LONGEST_PAUSE)
        backoff.fail(now, now, 0.0, Random(failure))
        assert pause <= backoff.until - now <= pause * (1 + JITTER)
        now = backoff.until


def test_attempts_under_way_are_one_failure() -> None:
    backoff = Backoff()
    backoff.fail(1.0, 0.9, 0.0, Random(1))
    until = backoff.until
    for _ in range(7):
        backoff.fail(1.01, 0.9, 0.0, Random(1))
    assert (backoff.failures, backoff.until) == (1, until)
    backoff.fail(until, until, 0.0, Random(1))
    assert backoff.failures == 2


def test_a_longer_pause_asked_for_is_kept() -> None:
    backoff = Backoff()
    backoff.fail(1.0, 1.0, 30.0, Random(1))
    assert backoff.until == 31.0
    backoff.fail(2.0, 1.0, 30.0, Random(1))
    assert backoff.until == 32.0


def test_success_ends_the_pauses() -> None:
    backoff = Backoff()
    backoff.fail(1.0, 1.0, 0.0, Random(1))
    backoff.succeed()
    assert backoff.until < 0.0
    backoff.fail(5.0, 5.0, 0.0, Random(1))
    assert backoff.until - 5.0 <= FIRST_PAUSE * (1 + JITTER)
