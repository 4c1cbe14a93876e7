"""ConnectionPoolConfig: its bounds, defaults, and what a change of one value does to the others.

Owns the rules of the API reference's "ConnectionPoolConfiguration" for PostgreSQL. Refuses pools themselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tidegate.control.services.rds import errors
from tidegate.control.services.rds.parameters import number
from tidegate.control.services.rds.records import PoolConfig

INIT_QUERY_LIMIT = 16 * 1024
"""Characters. AWS names none; a longer one is no list of SET statements."""
FILTERS = ("EXCLUDE_VARIABLE_SETS",)


def configured(old: PoolConfig, given: Mapping[str, Any]) -> PoolConfig:
    """The configuration after a change: what is not given stays. InvalidParameterValue, InvalidParameterCombination.

    An idle percentage that was once given stays until the maximum falls below it: then it is half of the maximum again,
    which is its default.
    """
    _check_filters(given)
    maximum = number(given, "MaxConnectionsPercent", 1, 100, old.max_connections_percent)
    return PoolConfig(
        max_connections_percent=maximum,
        idle_percent=_idle(old, given, maximum),
        borrow_timeout=number(given, "ConnectionBorrowTimeout", 0, 300, old.borrow_timeout),
        init_query=_init_query(old, given),
    )


def _idle(old: PoolConfig, given: Mapping[str, Any], maximum: int) -> int | None:
    if given.get("MaxIdleConnectionsPercent") is None:
        return old.idle_percent if old.idle_percent is None or old.idle_percent <= maximum else None
    if given.get("MaxConnectionsPercent") is None:
        raise errors.invalid_combination(
            "If you specify MaxIdleConnectionsPercent, then you must also include a value for MaxConnectionsPercent."
        )
    return number(given, "MaxIdleConnectionsPercent", 0, maximum, 0)


def _init_query(old: PoolConfig, given: Mapping[str, Any]) -> str:
    query = given.get("InitQuery")
    if query is None:
        return old.init_query
    if len(query) > INIT_QUERY_LIMIT:
        raise errors.invalid_value(f"InitQuery can have at most {INIT_QUERY_LIMIT} characters, not {len(query)}.")
    if "\0" in query:
        raise errors.invalid_value("InitQuery must not contain the character NUL.")
    return str(query)


def _check_filters(given: Mapping[str, Any]) -> None:
    for name in given.get("SessionPinningFilters") or ():
        if name not in FILTERS:
            raise errors.invalid_value(
                f"Invalid value {name!s:.80} for SessionPinningFilters. Valid values: {', '.join(FILTERS)}."
            )
        raise errors.invalid_value(
            f"The session pinning filter {name} is not supported for the engine family POSTGRESQL."
        )
