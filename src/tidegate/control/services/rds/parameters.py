"""Reading parameters: the bounds, forms and words that RDS operations share.

Owns single values and paging. Refuses what several parameters mean together (each operation's own module).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from tidegate.control.services.pages import page_after
from tidegate.control.services.rds import errors

T = TypeVar("T")

NAME_LIMIT = 63
_NAME = re.compile(r"[a-zA-Z](?:-?[a-zA-Z0-9])*")
_ROLE = re.compile(r"arn:[a-z-]{1,20}:iam::([0-9]{12}):role/[\w+=,.@/-]{1,1000}", re.ASCII)


def text(parameters: Mapping[str, Any], name: str) -> str:
    """A parameter that must be there. MissingParameter."""
    value = parameters.get(name)
    if value is None or value == "":
        raise errors.missing(name)
    return str(value)


def name_of(parameters: Mapping[str, Any], parameter: str) -> str:
    """An identifier: 1-63 letters, digits, single hyphens, a letter first. InvalidParameterValue, MissingParameter."""
    value = text(parameters, parameter)
    check_name(parameter, value)
    return value


def check_name(parameter: str, value: str) -> None:
    """InvalidParameterValue unless it is an identifier."""
    if len(value) > NAME_LIMIT or not _NAME.fullmatch(value):
        raise errors.invalid_value(
            f"The parameter {parameter} is not a valid identifier. Identifiers must begin with a letter; must contain "
            "only ASCII letters, digits, and hyphens; must not end with a hyphen or contain two consecutive hyphens; "
            f"and have at most {NAME_LIMIT} characters."
        )


def number(parameters: Mapping[str, Any], name: str, least: int, most: int, default: int) -> int:
    """A number in bounds. InvalidParameterValue."""
    value = parameters.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise errors.invalid_value(f"Invalid value {value!s:.40} for {name}. It must be between {least} and {most}.")
    return value


def choice(parameters: Mapping[str, Any], name: str, valid: Sequence[str], default: str) -> str:
    """One of several words. InvalidParameterValue."""
    value = parameters.get(name)
    if value is None:
        return default
    if value not in valid:
        raise errors.invalid_value(f"Invalid value {value!s:.80} for {name}. Valid values: {', '.join(valid)}.")
    return str(value)


def flag(parameters: Mapping[str, Any], name: str, default: bool) -> bool:
    """A truth value."""
    value = parameters.get(name)
    return default if value is None else bool(value)


def texts(parameters: Mapping[str, Any], name: str) -> list[str]:
    """A list of texts; none is an empty list."""
    return [str(value) for value in parameters.get(name) or []]


def role_arn(parameters: Mapping[str, Any], name: str, account: str) -> str:
    """ARN of a role of this account: none can be passed to a service across accounts (IAM User Guide, "PassRole")."""
    value = text(parameters, name)
    match = _ROLE.fullmatch(value) if 20 <= len(value) <= 2048 else None
    if match is None or match[1] != account:
        raise errors.invalid_value(
            f"Invalid value {value:.200} for {name}: it must be the ARN of an IAM role of the account {account}."
        )
    return value


def no_filters(parameters: Mapping[str, Any]) -> None:
    """Operations whose Filters "are not currently supported" refuse them, rather than answer what was not asked."""
    if parameters.get("Filters"):
        raise errors.invalid_value("Filters are not currently supported for this operation.")


def page(
    parameters: Mapping[str, Any], items: Sequence[T], key: Callable[[T], str], *, least: int = 20
) -> tuple[Sequence[T], dict[str, str]]:
    """A page of items, which are in the order of their keys, and {"Marker": ...} where there are more.

    MaxRecords: 20 to 100, 100 by default.
    """
    most = number(parameters, "MaxRecords", least, 100, 100)
    try:
        found, marker = page_after(parameters.get("Marker"), items, key, most)
    except ValueError:
        raise errors.invalid_value("The specified marker is not valid.") from None
    return found, {} if marker is None else {"Marker": marker}
