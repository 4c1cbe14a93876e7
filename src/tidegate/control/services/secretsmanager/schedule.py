"""Rotation schedules: when the next window opens, and until when it is open.

Owns RotationRulesType's meaning (API reference; User Guide, "Rotation schedules"): days after the last rotation,
`rate(N hours|days)`, `cron(...)`, and the window's length. All in UTC. Refuses to read a clock, and to start anything.
"""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from tidegate.control.services.secretsmanager import errors
from tidegate.control.services.secretsmanager.cron import Cron, parse_cron
from tidegate.control.services.secretsmanager.records import RotationRules

HOUR = 3600.0
DAY = 24 * HOUR
MIN_HOURS = 4
"""A secret can be rotated as often as every four hours."""
MAX_RATE_DAYS = 999
MAX_DAYS = 1000
_SEARCHED_DAYS = 366 * 9
"""29 February may be eight years away."""

_RATE = re.compile(r"rate\(([0-9]{1,5}) (hour|hours|day|days)\)")
_CRON = re.compile(r"cron\(([^()]{1,250})\)")
_DURATION = re.compile(r"([0-9]{1,2})h")


@dataclass(frozen=True, slots=True)
class Window:
    """Seconds since 1970."""

    opens: float
    closes: float


@dataclass(frozen=True, slots=True)
class _Rate:
    """Every so many seconds, from midnight of the day of the last rotation."""

    seconds: float


def read_rules(given: Mapping[str, Any]) -> RotationRules:
    """RotationRules as a caller gives them. AwsError (InvalidParameterException) if they can't be kept."""
    days, expression, length = (given.get(key) for key in ("AutomaticallyAfterDays", "ScheduleExpression", "Duration"))
    if days is not None and expression is not None:
        raise errors.invalid_parameter("You cannot specify both rotation frequency and schedule expression together.")
    if days is not None and not 1 <= days <= MAX_DAYS:
        raise errors.invalid_parameter(f"AutomaticallyAfterDays must be between 1 and {MAX_DAYS}.")
    if days is None and expression is None:
        raise errors.invalid_parameter(
            "You must specify either AutomaticallyAfterDays or ScheduleExpression in RotationRules."
        )
    rules = RotationRules(days=days, expression=expression, duration=_duration(length))
    _check_window(rules)
    return rules


def next_window(rules: RotationRules, after: float, rotated: float) -> Window | None:
    """The first window that opens after `after`; `rotated`: when the secret was last rotated. None without a schedule.

    Windows may not go past the end of the day, so one that opens at 20:00 closes at midnight at the latest.
    """
    schedule = _schedule(rules)
    if schedule is None:
        return None
    opens = _rate_opens(schedule, after, rotated) if isinstance(schedule, _Rate) else _cron_opens(schedule, after)
    midnight = _midnight(opens)
    closes = opens + rules.duration * HOUR if rules.duration is not None else _default_close(schedule, opens, midnight)
    return Window(opens, min(closes, midnight + DAY))


@lru_cache(maxsize=1024)
def interval_days(rules: RotationRules, opens: float) -> int | None:
    """Days between rotations as DescribeSecret's AutomaticallyAfterDays tells them, one at least.

    Remembered, since a list of secrets asks for each, and the search for 29 February takes milliseconds.
    """
    if rules.days is not None:
        return rules.days
    second = next_window(rules, opens, opens)
    return None if second is None else max(1, math.ceil((second.opens - opens) / DAY))


def _schedule(rules: RotationRules) -> _Rate | Cron | None:
    if rules.days is not None:
        return _Rate(rules.days * DAY)
    if rules.expression is None:
        return None
    rate, cron = _RATE.fullmatch(rules.expression), _CRON.fullmatch(rules.expression)
    if rate:
        return _rate(int(rate[1]), rate[2].startswith("hour"))
    if cron:
        try:
            return parse_cron(cron[1])
        except ValueError as error:
            raise errors.invalid_parameter(f"The ScheduleExpression can't be used: {error}.") from None
    raise errors.invalid_parameter("The ScheduleExpression must be a rate() or cron() expression.")


def _rate(number: int, hours: bool) -> _Rate:
    if hours and number < MIN_HOURS:
        raise errors.invalid_parameter(f"The rotation interval can't be less than {MIN_HOURS} hours.")
    if number < 1 or number * (HOUR if hours else DAY) > MAX_RATE_DAYS * DAY:
        raise errors.invalid_parameter(f"The rotation interval must be between 1 and {MAX_RATE_DAYS} days.")
    return _Rate(number * (HOUR if hours else DAY))


def _duration(length: str | None) -> int | None:
    if length is None:
        return None
    found = _DURATION.fullmatch(length)
    if not found or not 1 <= int(found[1]) <= 24:
        raise errors.invalid_parameter("Duration must be a number of hours between 1h and 24h.")
    return int(found[1])


def _check_window(rules: RotationRules) -> None:
    """A window must end before the next begins, and before the day does."""
    schedule = _schedule(rules)
    hours = rules.duration or 1
    if isinstance(schedule, _Rate):
        if hours * HOUR > schedule.seconds:
            raise errors.invalid_parameter("The rotation window must not extend into the next rotation window.")
        return
    if schedule is None:
        return
    gaps = [later - earlier for earlier, later in zip(schedule.hours, schedule.hours[1:], strict=False)]
    if len(schedule.hours) > 1:
        gaps.append(24 - schedule.hours[-1] + schedule.hours[0])
    if gaps and min(gaps) < MIN_HOURS:
        raise errors.invalid_parameter(f"The rotation interval can't be less than {MIN_HOURS} hours.")
    if gaps and hours > min(gaps):
        raise errors.invalid_parameter("The rotation window must not extend into the next rotation window.")
    if schedule.hours[-1] + hours > 24:
        raise errors.invalid_parameter("The rotation window must not extend into the next UTC day.")
    _cron_opens(schedule, 0.0)


def _default_close(schedule: _Rate | Cron, opens: float, midnight: float) -> float:
    in_hours = schedule.seconds % DAY != 0 if isinstance(schedule, _Rate) else len(schedule.hours) > 1
    return opens + HOUR if in_hours else midnight + DAY


def _midnight(at: float) -> float:
    return math.floor(at / DAY) * DAY


def _rate_opens(rate: _Rate, after: float, rotated: float) -> float:
    first = _midnight(rotated)
    return first + max(1, math.floor((after - first) / rate.seconds) + 1) * rate.seconds


def _cron_opens(cron: Cron, after: float) -> float:
    midnight = _midnight(after)
    for _ in range(_SEARCHED_DAYS):
        day = datetime.datetime.fromtimestamp(midnight, datetime.UTC).date()
        if cron.includes(day):
            for hour in cron.hours:
                if midnight + hour * HOUR > after:
                    return midnight + hour * HOUR
        midnight += DAY
    raise errors.invalid_parameter("The ScheduleExpression names no day that ever comes.")
