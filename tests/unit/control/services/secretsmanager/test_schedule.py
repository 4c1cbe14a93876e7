"""Rotation schedules: cron(), rate(), days; windows; what cannot be."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.control.errors import AwsError
from tidegate.control.services.secretsmanager.cron import parse_cron
from tidegate.control.services.secretsmanager.records import RotationRules
from tidegate.control.services.secretsmanager.schedule import Window, interval_days, next_window, read_rules


def at(text: str) -> float:
    return datetime.datetime.fromisoformat(text).replace(tzinfo=datetime.UTC).timestamp()


def shown(window: Window) -> str:
    """ "2023-11-16 10:00 +14h": when it opens, and for how long."""
    opens = datetime.datetime.fromtimestamp(window.opens, datetime.UTC)
    return f"{opens:%Y-%m-%d %H:%M} +{(window.closes - window.opens) / 3600:g}h"


def windows(given_rules: dict[str, Any], after: str, count: int = 3, rotated: str = "") -> list[str]:
    rules, moment, found = read_rules(given_rules), at(after), []
    for _ in range(count):
        window = next_window(rules, moment, at(rotated) if rotated else moment)
        assert window is not None and moment < window.opens < window.closes
        found.append(shown(window))
        moment = window.opens
    return found


# Examples of the User Guide, "Rotation schedules", with what it says that they mean; 2023-11-15 is a Wednesday.
@pytest.mark.parametrize(
    ("expression", "duration", "expected"),
    [
        ("cron(0 10 * * ? *)", None, ["2023-11-16 10:00 +14h", "2023-11-17 10:00 +14h"]),
        ("cron(0 18 ? * SAT *)", "3h", ["2023-11-18 18:00 +3h", "2023-11-25 18:00 +3h"]),
        ("cron(0 8 1 * ? *)", None, ["2023-12-01 08:00 +16h", "2024-01-01 08:00 +16h"]),
        ("cron(0 1 ? 1/3 SUN#1 *)", None, ["2024-01-07 01:00 +23h", "2024-04-07 01:00 +23h"]),
        ("cron(0 17 L * ? *)", None, ["2023-11-30 17:00 +7h", "2023-12-31 17:00 +7h"]),
        ("cron(0 8 ? * 2-6 *)", None, ["2023-11-16 08:00 +16h", "2023-11-17 08:00 +16h", "2023-11-20 08:00 +16h"]),
        ("cron(0 10 1,15 * ? *)", None, ["2023-12-01 10:00 +14h", "2023-12-15 10:00 +14h"]),
        ("cron(0 10 ? * L *)", "1h", ["2023-11-25 10:00 +1h", "2023-12-30 10:00 +1h"]),
        ("cron(0 0 ? FEB,mar TUE#2 *)", None, ["2024-02-13 00:00 +24h", "2024-03-12 00:00 +24h"]),
        ("cron(0 4/12 * * ? *)", None, ["2023-11-15 16:00 +1h", "2023-11-16 04:00 +1h"]),
        ("cron(0 12 29 2 ? *)", None, ["2024-02-29 12:00 +12h", "2028-02-29 12:00 +12h"]),
        ("cron(0 12 ? 3,9 SATL *)", None, ["2024-03-30 12:00 +12h", "2024-09-28 12:00 +12h"]),
        ("cron(0 12 ? 3 SUNL *)", None, ["2024-03-31 12:00 +12h", "2025-03-30 12:00 +12h"]),
        ("cron(0 12 ? * FRIL *)", None, ["2023-11-24 12:00 +12h", "2023-12-29 12:00 +12h"]),
    ],
)
def test_cron(expression: str, duration: str | None, expected: list[str]) -> None:
    rules = {"ScheduleExpression": expression} | ({"Duration": duration} if duration else {})
    assert windows(rules, "2023-11-15T12:00", len(expected)) == expected


def test_rates_and_days_begin_at_midnight() -> None:
    days = ["2023-11-25 00:00 +24h"]
    assert windows({"ScheduleExpression": "rate(10 days)"}, "2023-11-15T12:00", 1) == days
    assert windows({"AutomaticallyAfterDays": 10}, "2023-11-15T12:00", 1) == days
    assert windows({"AutomaticallyAfterDays": 1, "Duration": "2h"}, "2023-11-15T23:59", 1) == ["2023-11-16 00:00 +2h"]
    assert windows({"ScheduleExpression": "rate(10 hours)"}, "2023-11-15T12:00", 3, rotated="2023-11-15T12:00") == [
        "2023-11-15 20:00 +1h",
        "2023-11-16 06:00 +1h",
        "2023-11-16 16:00 +1h",
    ]
    assert windows({"ScheduleExpression": "rate(4 hours)", "Duration": "4h"}, "2023-11-15T19:59", 2) == [
        "2023-11-15 20:00 +4h",
        "2023-11-16 00:00 +4h",
    ]


@pytest.mark.parametrize(
    ("given_rules", "told"),
    [
        ({}, "You must specify either AutomaticallyAfterDays or ScheduleExpression in RotationRules."),
        ({"Duration": "3h"}, "You must specify either AutomaticallyAfterDays or ScheduleExpression in RotationRules."),
        (
            {"AutomaticallyAfterDays": 1, "ScheduleExpression": "rate(1 day)"},
            "You cannot specify both rotation frequency and schedule expression together.",
        ),
        ({"AutomaticallyAfterDays": 0}, "AutomaticallyAfterDays must be between 1 and 1000."),
        ({"AutomaticallyAfterDays": 1001}, "AutomaticallyAfterDays must be between 1 and 1000."),
        ({"AutomaticallyAfterDays": 1, "Duration": "25h"}, "Duration must be a number of hours between 1h and 24h."),
        ({"AutomaticallyAfterDays": 1, "Duration": "h"}, "Duration must be a number of hours between 1h and 24h."),
    ],
)
def test_rules_that_cannot_be(given_rules: dict[str, Any], told: str) -> None:
    with pytest.raises(AwsError) as caught:
        read_rules(given_rules)
    assert (caught.value.code, caught.value.message) == ("InvalidParameterException", told)


@pytest.mark.parametrize(
    ("expression", "told"),
    [
        ("every day", "must be a rate"),
        ("rate(3 hours)", "can't be less than 4 hours"),
        ("rate(0 days)", "between 1 and 999 days"),
        ("rate(1000 days)", "between 1 and 999 days"),
        ("rate(99999 hours)", "between 1 and 999 days"),
        ("rate(4 weeks)", "must be a rate"),
        ("rate(٣ days)", "must be a rate"),
        ("cron(0 10 * * ?)", "has not six fields"),
        ("cron(5 10 * * ? *)", "Minutes must be 0"),
        ("cron(0 10 * * ? 2025)", "Year must be"),
        ("cron(0 24 * * ? *)", "Hours must be 0 to 23"),
        ("cron(0 10 * * * *)", "exactly one of"),
        ("cron(0 10 ? * ? *)", "exactly one of"),
        ("cron(0 10 0 * ? *)", "Day-of-month must be 1 to 31"),
        ("cron(0 10 5-3 * ? *)", "ends before it begins"),
        ("cron(0 10 * 13 ? *)", "Month must be 1 to 12"),
        ("cron(0 10 * MON ? *)", "Month must be 1 to 12"),
        ("cron(0 10 ? * 8 *)", "Day-of-week must be 1 to 7"),
        ("cron(0 10 ? * XYZL *)", "Day-of-week must be 1 to 7"),
        ("cron(0 10 ? * SUN#6 *)", "Day-of-week must be 1 to 7"),
        ("cron(0 10 ,1 * ? *)", "Day-of-month must be 1 to 31"),
        ("cron(0 10 */0 * ? *)", "Day-of-month must be 1 to 31"),
        ("cron(0 8,10 * * ? *)", "can't be less than 4 hours"),
        ("cron(0 0,21 * * ? *)", "can't be less than 4 hours"),
        ("cron(0 10 30 2 ? *)", "names no day that ever comes"),
        ("cron(" + "(" * 200, "must be a rate"),
    ],
)
def test_expressions_that_cannot_be(expression: str, told: str) -> None:
    with pytest.raises(AwsError, match=told) as caught:
        read_rules({"ScheduleExpression": expression})
    assert caught.value.code == "InvalidParameterException"


@pytest.mark.parametrize(
    ("expression", "duration", "told"),
    [
        ("rate(4 hours)", "5h", "must not extend into the next rotation window"),
        ("cron(0 22 * * ? *)", "3h", "must not extend into the next UTC day"),
        ("cron(0 0/6 * * ? *)", "7h", "must not extend into the next rotation window"),
    ],
)
def test_windows_that_are_too_long(expression: str, duration: str, told: str) -> None:
    with pytest.raises(AwsError, match=told):
        read_rules({"ScheduleExpression": expression, "Duration": duration})


@pytest.mark.parametrize(
    ("rules", "days"),
    [
        (RotationRules(days=30), 30),
        (RotationRules(expression="rate(10 days)"), 10),
        (RotationRules(expression="rate(4 hours)"), 1),
        (RotationRules(expression="cron(0 18 ? * SAT *)"), 7),
        (RotationRules(), None),
    ],
)
def test_the_days_that_describe_tells(rules: RotationRules, days: int | None) -> None:
    window = next_window(rules, at("2023-11-15T12:00"), at("2023-11-15T12:00"))
    assert interval_days(rules, 0.0 if window is None else window.opens) == days


@given(fields=st.text("0123456789*?/,-#LW SUNMONJAN", max_size=40))
def test_any_text_is_read_or_refused(fields: str) -> None:
    try:
        cron = parse_cron(fields)
    except ValueError:
        return
    assert cron.hours and cron.months
