"""The shape of a configuration file: which keys, which types, which bounds, all taken from `model`'s dataclasses.

Owns the pydantic models built from them and the wording of what pydantic finds.
Refuses rules between settings (`checks`) and anything about files (`load`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields
from dataclasses import Field as DataclassField
from enum import StrEnum
from functools import cache
from types import UnionType
from typing import Any, Literal, Union, cast, get_args, get_origin, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model
from pydantic_core import ErrorDetails

from tidegate.config.about import About
from tidegate.config.model import Config, DatabaseConfig, ProxyConfig, TargetConfig, UserConfig
from tidegate.config.problems import Problem, bounds, choices, database_label, did_you_mean, table_label

TABLES: dict[str, type] = {"proxy": ProxyConfig, "target": TargetConfig, "user": UserConfig}
"""The arrays of tables in a file, and what one entry of each is."""

_FIELD_OF_TABLE = {"proxy": "proxies", "target": "targets", "user": "users"}
_STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
_BOUND_ERRORS = frozenset({"greater_than_equal", "less_than_equal"})


def known_of(one: DataclassField[Any]) -> About:
    """What the model says of a field beside its type and default."""
    return cast(About, one.metadata["about"])


def plain_type(cls: type, name: str) -> Any:
    """A field's type without `| None`: a file has no null."""
    hint = get_type_hints(cls)[name]
    if get_origin(hint) in (Union, UnionType):
        (hint,) = (one for one in get_args(hint) if one is not type(None))
    return hint


def keys_of(cls: type) -> list[str]:
    """The keys that a file may use in one table (the top level for Config)."""
    if cls is Config:
        return [*TABLES, *(one.name for one in fields(Config) if one.name not in _FIELD_OF_TABLE.values())]
    names = [one.name for one in fields(cls)]
    secrets = [one.name for one in fields(cls) if known_of(one).secret and plain_type(cls, one.name) is str]
    return [*dict.fromkeys([*names, *(f"{name}_file" for name in secrets)])]


def _file_type(hint: Any) -> Any:
    """The type that a TOML value must have for a field of this type."""
    origin = get_origin(hint)
    if origin is tuple:
        return list[_file_type(get_args(hint)[0])]  # type: ignore[misc]
    if origin is not None and issubclass(origin, Mapping):
        return dict[str, _file_type(get_args(hint)[1])]  # type: ignore[misc]
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return Literal[tuple(one.value for one in hint)]
    if hint in (*TABLES.values(), DatabaseConfig):
        return table_model(hint)
    return hint


@cache
def table_model(cls: type) -> type[BaseModel]:
    """The strict pydantic model of one table. Defaults stay the dataclass's: dump with exclude_unset."""
    table_of_field = {field: table for table, field in _FIELD_OF_TABLE.items()}
    declared: dict[str, Any] = {}
    for one in fields(cls):
        known = known_of(one)
        required = one.default is MISSING and one.default_factory is MISSING
        limits = {"ge": known.least, "le": known.most} if known.least is not None else {}
        declared[one.name] = (
            _file_type(plain_type(cls, one.name)),
            Field(... if required else None, alias=table_of_field.get(one.name), **cast(Any, limits)),
        )
    return create_model(cls.__name__, __config__=_STRICT, **declared)


def check_shape(raw: Mapping[str, Any]) -> tuple[dict[str, Any], list[Problem]]:
    """Check a parsed file; give what Config.from_dict takes, or every problem found."""
    try:
        model = table_model(Config).model_validate(raw)
    except ValidationError as error:
        return {}, [_problem(one, raw) for one in error.errors(include_url=False, include_context=False)]
    return model.model_dump(exclude_unset=True), []


def _problem(error: ErrorDetails, raw: Mapping[str, Any]) -> Problem:
    where, cls, key = _place(error["loc"], raw)
    if error["type"] == "extra_forbidden":
        return Problem(where, key, f"unknown setting{_suggestion(cls, key)}")
    if not key:
        return Problem(where, "", "must be a table of settings")
    known, hint = _known(cls, key)
    if error["type"] == "missing":
        return Problem(where, key, f"is missing ({known.meaning})")
    value = None if known.secret else error["input"]
    return Problem(where, key, _wanted(known, hint, key, bounded=error["type"] in _BOUND_ERRORS), value)


def _place(loc: tuple[int | str, ...], raw: Mapping[str, Any]) -> tuple[tuple[str, ...], type, str]:
    """Where an error lies: the labels of its tables, the innermost table's class, and the key in it."""
    if len(loc) < 2:
        return (), Config, str(loc[0])
    kind, index, *rest = str(loc[0]), int(loc[1]), *loc[2:]  # only arrays of tables nest at the top level
    table = raw[kind][index]
    where: tuple[str, ...] = (table_label(kind, index, table.get("name") if isinstance(table, dict) else None),)
    cls = TABLES[kind]
    if rest[:1] == ["databases"] and len(rest) > 1:
        where, cls, rest = (*where, database_label(str(rest[1]))), DatabaseConfig, rest[2:]
    return where, cls, str(rest[0]) if rest else ""


def _known(cls: type, key: str) -> tuple[About, Any]:
    name = _FIELD_OF_TABLE.get(key, key) if cls is Config else key
    (one,) = (one for one in fields(cls) if one.name == name)
    return known_of(one), plain_type(cls, name)


def _wanted(known: About, hint: Any, key: str, *, bounded: bool) -> str:
    """What to write for a value of the wrong type or out of bounds."""
    if hint is bool:
        return "must be true or false, without quotes"
    if hint in (int, float):
        kind = "" if bounded else "a whole number, " if hint is int else "a number, "
        return f"must be {kind}{bounds(known)}"
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return f"must be {choices(hint)}"
    if key in TABLES:
        return f"must be a table of settings under [[{key}]], with two brackets"
    if get_origin(hint) is tuple:
        return "must be a list of texts in quotes"
    if hint is str:
        return "must be a text in quotes"
    return f"must be tables, as in [proxy.{key}.NAME]"


def _suggestion(cls: type, key: str) -> str:
    """Where an unknown key belongs, if another table has it; else the nearest key of this table."""
    homes = [f"[[{kind}]]" for kind, table in TABLES.items() if key in keys_of(table)]
    homes += ["[proxy.databases.NAME]"] if key in keys_of(DatabaseConfig) else []
    homes += ["the top of the file, before any [[table]]"] if key in keys_of(Config) else []
    return f"; it belongs in {' or '.join(homes)}" if homes else did_you_mean(key, keys_of(cls))
