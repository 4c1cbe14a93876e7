"""Days and hours that a cron expression of a rotation schedule names.

Owns the fields of `cron(0 Hours Day-of-month Month Day-of-week *)` as Secrets Manager has them (User Guide, "Rotation
schedules"): Minutes are 0, Year is *, and one of the two fields of days is "?". Refuses to read a clock, and to word
errors for the API: ValueError says what is wrong with which field.

Weekdays are 1 to 7 from Sunday; L is the last day of the month, 6L its last Friday, TUE#1 its first Tuesday.
"""

from __future__ import annotations

import calendar
import datetime
import re
from collections.abc import Mapping
from dataclasses import dataclass

_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_WEEKDAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
MONTH_NAMES = {name: number for number, name in enumerate(_MONTHS, 1)}
WEEKDAY_NAMES = {name: number for number, name in enumerate(_WEEKDAYS, 1)}

_LAST_WEEKDAY = re.compile(r"([1-7]|[A-Z]{3})L")
_NTH_WEEKDAY = re.compile(r"([1-7]|[A-Z]{3})#([1-5])")


@dataclass(frozen=True, slots=True)
class Cron:
    """What the fields allow. A field of days that is "?" is None."""

    hours: tuple[int, ...]
    months: frozenset[int]
    month_days: frozenset[int] | None
    last_day: bool
    weekdays: frozenset[int] | None
    last_weekday: int | None
    """6L: 6."""
    nth_weekday: tuple[int, int] | None
    """TUE#1: (3, 1)."""

    def includes(self, day: datetime.date) -> bool:
        """Whether a window opens on this day."""
        if day.month not in self.months:
            return False
        days_in_month = calendar.monthrange(day.year, day.month)[1]
        weekday = day.isoweekday() % 7 + 1
        if self.last_day:
            return day.day == days_in_month
        if self.last_weekday is not None:
            return weekday == self.last_weekday and day.day + 7 > days_in_month
        if self.nth_weekday is not None:
            return (weekday, (day.day - 1) // 7 + 1) == self.nth_weekday
        if self.month_days is not None:
            return day.day in self.month_days
        return self.weekdays is not None and weekday in self.weekdays


def parse_cron(fields: str) -> Cron:
    """What stands between the parentheses of cron(...). ValueError names the field that can't be used."""
    parts = fields.upper().split()
    if len(parts) != 6:
        raise ValueError("it has not six fields")
    minutes, hours, month_days, months, weekdays, year = parts
    if minutes != "0":
        raise ValueError("Minutes must be 0")
    if year != "*":
        raise ValueError("Year must be *")
    if (month_days == "?") == (weekdays == "?"):
        raise ValueError("exactly one of Day-of-month and Day-of-week must be ?")
    last_weekday = _LAST_WEEKDAY.fullmatch("7L" if weekdays == "L" else weekdays)
    nth = _NTH_WEEKDAY.fullmatch(weekdays)
    special = last_weekday is not None or nth is not None
    return Cron(
        hours=tuple(sorted(_values("Hours", hours, 0, 23))),
        months=_values("Month", months, 1, 12, MONTH_NAMES),
        month_days=None if month_days in ("?", "L") else _values("Day-of-month", month_days, 1, 31),
        last_day=month_days == "L",
        weekdays=None if weekdays == "?" or special else _values("Day-of-week", weekdays, 1, 7, WEEKDAY_NAMES),
        last_weekday=_number("Day-of-week", last_weekday[1], 1, 7, WEEKDAY_NAMES) if last_weekday else None,
        nth_weekday=(_number("Day-of-week", nth[1], 1, 7, WEEKDAY_NAMES), int(nth[2])) if nth else None,
    )


_NO_NAMES: Mapping[str, int] = {}


def _values(field: str, text: str, low: int, high: int, names: Mapping[str, int] = _NO_NAMES) -> frozenset[int]:
    """Of `*`, `a`, `a-b`, each with `/step` if wanted, and lists of these."""
    found: set[int] = set()
    for item in text.split(","):
        base, slash, step_text = item.partition("/")
        step = _number(field, step_text, 1, high) if slash else 1
        first_text, dash, last_text = base.partition("-")
        if base == "*":
            first, last = low, high
        else:
            first = _number(field, first_text, low, high, names)
            last = _number(field, last_text, low, high, names) if dash else (high if slash else first)
        if first > last:
            raise ValueError(f"{field} has a range that ends before it begins")
        found.update(range(first, last + 1, step))
    return frozenset(found)


def _number(field: str, text: str, low: int, high: int, names: Mapping[str, int] = _NO_NAMES) -> int:
    if text in names:
        return names[text]
    if not re.fullmatch(r"[0-9]{1,2}", text, re.ASCII) or not low <= int(text) <= high:
        raise ValueError(f"{field} must be {low} to {high}")
    return int(text)
