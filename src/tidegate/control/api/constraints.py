"""Whether parameters keep to the bounds of their model: required, lengths, ranges, enumerations, patterns.

Owns the checks and AWS's words for each. Refuses types (`parsing` has seen to those) and rules that no model states
(`services`). The value of a sensitive parameter is not repeated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from moto.core.model import OperationModel

from tidegate.control.api.patterns import compiled
from tidegate.control.api.refusals import CORAL_CODES
from tidegate.control.errors import AwsError

MAX_TOLD = 256
"""Characters of a value that are told."""
MAX_PROBLEMS = 10
"""Problems of one request that are told."""


@dataclass(frozen=True, slots=True)
class Violation:
    """One bound that one parameter breaks."""

    path: tuple[str, ...]
    """Names as the model has them, and "1", "member" for an item."""
    value: Any
    """None: it is missing."""
    rule: str
    sensitive: bool

    def in_coral(self) -> str:
        """As services on Coral tell it: member names with a small first letter, null for what is missing."""
        name = ".".join(part[:1].lower() + part[1:] for part in self.path)
        if self.value is None:
            return f"Value null at '{name}' failed to satisfy constraint: {self.rule}"
        if self.sensitive:
            return f"Value at '{name}' failed to satisfy constraint: {self.rule}"
        return f"Value '{_told(self.value)}' at '{name}' failed to satisfy constraint: {self.rule}"


def check(service: str, operation: OperationModel, parameters: dict[str, Any]) -> None:
    """AwsError, in the words of the service, if parameters break the model's bounds."""
    shape = operation.input_shape
    if shape is None:
        return
    found = []
    for violation in _structure(shape, parameters, ()):
        found.append(violation)
        if len(found) == MAX_PROBLEMS:
            break
    if found:
        raise in_words(service, found)


def in_words(service: str, found: list[Violation]) -> AwsError:
    """The error that tells of them."""
    code = CORAL_CODES.get(service)
    if code is not None:
        count = "1 validation error" if len(found) == 1 else f"{len(found)} validation errors"
        return AwsError(code, f"{count} detected: {'; '.join(each.in_coral() for each in found)}")
    missing = [".".join(each.path) for each in found if each.value is None]
    if missing:
        return AwsError("MissingParameter", f"The request must contain the parameter {missing[0]}")
    first = found[0]
    value = "" if first.sensitive else f" ({_told(first.value)})"
    return AwsError(
        "InvalidParameterValue", f"Value{value} for parameter {'.'.join(first.path)} is invalid. {first.rule}"
    )


def _told(value: Any) -> str:
    if isinstance(value, list):
        text = f"[{', '.join(str(item) for item in value[:10])}]"
    else:
        text = str(value)
    return text if len(text) <= MAX_TOLD else text[:MAX_TOLD] + "..."


def _structure(shape: Any, value: dict[str, Any], path: tuple[str, ...]) -> Iterator[Violation]:
    for name in shape.required_members:
        if name not in value:
            yield Violation((*path, name), None, "Member must not be null", False)
    for name, item in value.items():
        yield from _any(shape.members[name], item, (*path, name))


def _list(shape: Any, value: list[Any], path: tuple[str, ...]) -> Iterator[Violation]:
    yield from _length(shape, value, path)
    for number, item in enumerate(value, 1):
        yield from _any(shape.member, item, (*path, str(number), "member"))


def _map(shape: Any, value: dict[str, Any], path: tuple[str, ...]) -> Iterator[Violation]:
    yield from _length(shape, value, path)
    for key, item in value.items():
        yield from _any(shape.key, key, (*path, "key"))
        yield from _any(shape.value, item, (*path, key[:64], "member"))


def _string(shape: Any, value: str, path: tuple[str, ...]) -> Iterator[Violation]:
    yield from _length(shape, value, path)
    pattern = shape.metadata.get("pattern")
    # Beyond the length that is allowed, a mismatch is not worth the time that finding it takes.
    if (
        pattern is not None
        and len(value) <= shape.metadata.get("max", 1 << 20)
        and not compiled(pattern).fullmatch(value)
    ):
        yield Violation(path, value, f"Member must satisfy regular expression pattern: {pattern}", _sensitive(shape))
    allowed = shape.metadata.get("enum")
    if allowed and value not in allowed:
        yield Violation(path, value, f"Member must satisfy enum value set: [{', '.join(allowed)}]", _sensitive(shape))


def _length(shape: Any, value: Any, path: tuple[str, ...]) -> Iterator[Violation]:
    yield from _bounds(shape, len(value), value, path, "length")


def _number(shape: Any, value: float, path: tuple[str, ...]) -> Iterator[Violation]:
    yield from _bounds(shape, value, value, path, "value")


def _bounds(shape: Any, size: float, value: Any, path: tuple[str, ...], what: str) -> Iterator[Violation]:
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if low is not None and size < low:
        yield Violation(path, value, f"Member must have {what} greater than or equal to {low}", _sensitive(shape))
    if high is not None and size > high:
        yield Violation(path, value, f"Member must have {what} less than or equal to {high}", _sensitive(shape))


def _sensitive(shape: Any) -> bool:
    return bool(shape.metadata.get("sensitive")) or shape.type_name == "blob"


CHECKS: dict[str, Callable[[Any, Any, tuple[str, ...]], Iterator[Violation]]] = {
    "structure": _structure,
    "list": _list,
    "map": _map,
    "string": _string,
    "blob": _length,
    "integer": _number,
    "long": _number,
    "float": _number,
    "double": _number,
}


def _any(shape: Any, value: Any, path: tuple[str, ...]) -> Iterator[Violation]:
    """What has no bounds (booleans, timestamps) has no check."""
    checks = CHECKS.get(shape.type_name)
    return checks(shape, value, path) if checks is not None else iter(())
