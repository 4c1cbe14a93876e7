"""Dataclasses as plain JSON data and back, with every field's type checked.

Owns that conversion for what processes tell each other. Refuses defaults and unknown keys: both ends are the same
version, so a difference is a bug or somebody else's bytes.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import asdict, is_dataclass
from enum import StrEnum
from functools import cache
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

_Record = TypeVar("_Record")


def to_plain(record: Any) -> dict[str, Any]:
    """The fields of a dataclass as data for json.dumps."""
    return asdict(record)


def from_plain(kind: type[_Record], data: object) -> _Record:
    """Rebuild a dataclass from parsed JSON; ValueError names the field that is missing, unknown or of another type."""
    if not isinstance(data, Mapping):
        raise ValueError(f"{kind.__name__} must be an object, not {type(data).__name__}")
    hints = _hints(kind)  # type: ignore[arg-type]  # typeshed: a class is not Hashable
    if hints.keys() != data.keys():
        raise ValueError(f"{kind.__name__} has the fields {sorted(hints)}, not {sorted(map(str, data))}")
    return kind(**{name: _read(hint, data[name], f"{kind.__name__}.{name}") for name, hint in hints.items()})


@cache
def _hints(kind: Hashable) -> dict[str, Any]:
    return get_type_hints(kind)


def _read(hint: Any, value: object, where: str) -> Any:
    origin = get_origin(hint)
    if hint is Any:
        return value
    if is_dataclass(hint):
        return from_plain(hint, value)  # type: ignore[arg-type]
    if origin is tuple and isinstance(value, (list, tuple)):
        return tuple(_read(get_args(hint)[0], one, where) for one in value)
    if origin is dict and isinstance(value, dict):
        return {str(key): _read(get_args(hint)[1], one, where) for key, one in value.items()}
    if isinstance(hint, type) and issubclass(hint, StrEnum) and isinstance(value, str) and value in list(hint):
        return hint(value)
    if hint is float and type(value) in (int, float):
        return value
    if type(value) is hint:  # a bool is no int here
        return value
    raise ValueError(f"{where} must be {hint}, not {value!r:.60}")
