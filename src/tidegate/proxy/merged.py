"""Statistics of several workers made into one.

Owns the rule: numbers are added, those whose name ends in _max are not: the largest counts; entries of "pools" that
say the same of themselves (all that is no number) are one pool. Refuses to know what is counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

POOLS = "pools"


def merge(parts: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """One worker's form of statistics from many: numbers and "pools"."""
    total: dict[str, Any] = {}
    pools: dict[tuple[tuple[str, str], ...], dict[str, Any]] = {}
    for part in parts:
        _add(total, part)
        for pool in part.get(POOLS, ()):
            if isinstance(pool, Mapping):
                names = {key: value for key, value in pool.items() if not _is_number(value)}
                whole = pools.setdefault(tuple(sorted((key, repr(value)) for key, value in names.items())), names)
                _add(whole, pool)
    total[POOLS] = list(pools.values())
    return total


def _add(total: dict[str, Any], part: Mapping[str, Any]) -> None:
    for name, value in part.items():
        if not _is_number(value):
            continue
        if name not in total:
            total[name] = value
        elif name.endswith("_max"):
            total[name] = max(total[name], value)
        else:
            total[name] += value


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
