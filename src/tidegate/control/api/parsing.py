"""From a request to an operation's parameters, by its model: names and types as the model has them.

Owns what moto's parsers leave to chance: values that are not of their type are refused in the protocol's words.
Refuses bounds (`constraints`), and what parameters mean (`services`).

Timestamps become seconds since 1970, blobs bytes. What is absent, or null, is not there. Unknown parameters are passed
over, as AWS does.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
from datetime import UTC, datetime
from typing import Any

from moto.core.model import OperationModel, Shape
from moto.core.parse import UNDEFINED, EC2QueryParser, JSONParser, QueryParser

from tidegate.control.api import refusals
from tidegate.control.api.forms import Params
from tidegate.control.errors import AwsError

INTEGER = re.compile(r"[+-]?[0-9]{1,19}", re.ASCII)
DECIMAL = re.compile(r"[+-]?[0-9]{1,32}(\.[0-9]{0,32})?([eE][+-]?[0-9]{1,3})?", re.ASCII)
BITS = {"integer": 32, "long": 64}
FIRST_TIMESTAMP, LAST_TIMESTAMP = -62_135_596_800, 253_402_300_799
"""The years 1 to 9999, in seconds since 1970."""
JSON_TYPES = {
    str: "STRING_VALUE",
    int: "NUMBER_VALUE",
    float: "NUMBER_VALUE",
    dict: "START_OBJECT",
    list: "START_ARRAY",
}
WANTED = {
    "string": "String",
    "integer": "Integer",
    "long": "Long",
    "float": "Float",
    "double": "Double",
    "boolean": "Boolean",
    "timestamp": "Timestamp",
    "blob": "Blob",
}


def parse(service: str, operation: OperationModel, params: Params, body: bytes) -> dict[str, Any]:
    """The operation's parameters. AwsError says what can't be read."""
    protocol = operation.service_model.protocol
    request: Any = {"values": params, "body": body}
    parsed: dict[str, Any] = (
        _Json(operation).parse(request)
        if protocol == "json"
        else QUERY_PARSERS[protocol](operation, service).parse(request)
    )
    return parsed


class _Strict:
    """What the two query protocols have in common. Parameters are named as on the wire: "Tags.member.1.Key"."""

    def __init__(self, operation: OperationModel, service: str) -> None:
        super().__init__(operation)  # type: ignore[call-arg]
        self._service = service

    def _gonna_recurse(self, params: Params, prefix: str) -> bool:
        return bool(prefix) and prefix not in params.prefixes

    def _refuse(self, name: str, wanted: str) -> AwsError:
        return refusals.malformed_value(self._service, name[:256], wanted)

    def _parse_integer(self, shape: Shape, params: Params, prefix: str = "") -> Any:
        text = params.get(prefix)
        if text is None:
            return UNDEFINED
        if not INTEGER.fullmatch(text) or not _fits(int(text), shape):
            raise self._refuse(prefix, "an integer")
        return int(text)

    _parse_long = _parse_integer

    def _parse_float(self, shape: Shape, params: Params, prefix: str = "") -> Any:
        text = params.get(prefix)
        if text is None:
            return UNDEFINED
        if not DECIMAL.fullmatch(text) or not math.isfinite(float(text)):
            raise self._refuse(prefix, "a number")
        return float(text)

    _parse_double = _parse_float

    def _parse_boolean(self, shape: Shape, params: Params, prefix: str = "") -> Any:
        text = params.get(prefix)
        if text is None:
            return UNDEFINED
        if text.lower() not in ("true", "false"):
            raise self._refuse(prefix, "true or false")
        return text.lower() == "true"

    def _parse_timestamp(self, shape: Shape, params: Params, prefix: str = "") -> Any:
        text = params.get(prefix)
        if text is None:
            return UNDEFINED
        try:
            return parse_time(text)
        except ValueError:
            raise self._refuse(prefix, "a time in ISO 8601's form") from None

    def _parse_blob(self, shape: Shape, params: Params, prefix: str = "") -> Any:
        text = params.get(prefix)
        if text is None:
            return UNDEFINED
        try:
            return base64.b64decode(text, validate=True)
        except binascii.Error:
            raise self._refuse(prefix, "in base64") from None


class _Query(_Strict, QueryParser):
    pass


class _Ec2(_Strict, EC2QueryParser):
    pass


QUERY_PARSERS = {"query": _Query, "ec2": _Ec2}


def parse_time(text: str) -> float:
    """Seconds since 1970 of a time in ISO 8601's form (UTC if it doesn't say) or of a number. ValueError if neither."""
    if len(text) > 64:
        raise ValueError("too long for a time")
    if DECIMAL.fullmatch(text):
        return _bounded(float(text))
    try:
        at = datetime.fromisoformat(text)
        return _bounded((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp())
    except OverflowError:
        raise ValueError("out of the calendar") from None


def _bounded(at: float) -> float:
    if not FIRST_TIMESTAMP <= at <= LAST_TIMESTAMP:
        raise ValueError("out of the calendar")
    return at


def _fits(value: int, shape: Shape) -> bool:
    edge = 1 << (BITS.get(shape.type_name, 64) - 1)
    return -edge <= value < edge


class _Json(JSONParser):
    """JSON 1.1, as strict as Coral is."""

    def _parse_json_body(self, raw_body: bytes, shape: Shape) -> Any:
        return self._parse_shape(shape, read_json(raw_body))  # type: ignore[no-untyped-call]

    def _parse_structure(self, shape: Any, value: Any) -> Any:
        return super()._parse_structure(shape, _container(value, dict))  # type: ignore[no-untyped-call]

    def _parse_map(self, shape: Any, value: Any) -> Any:
        given = _container(value, dict)
        return super()._parse_map(shape, {key: item for key, item in given.items() if item is not None})  # type: ignore[no-untyped-call]

    def _parse_list(self, shape: Any, value: Any) -> Any:
        return super()._parse_list(shape, _container(value, list))  # type: ignore[no-untyped-call]

    def _parse_string(self, shape: Shape, value: Any) -> str:
        if not isinstance(value, str):
            raise _not_of(value, shape)
        return value

    def _parse_boolean(self, shape: Shape, value: Any) -> bool:
        if not isinstance(value, bool):
            raise _not_of(value, shape)
        return value

    def _parse_integer(self, shape: Shape, value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int | float) or not _fits(int(value), shape):
            raise _not_of(value, shape)
        return int(value)

    _parse_long = _parse_integer

    def _parse_float(self, shape: Shape, value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise _not_of(value, shape)
        return float(value)

    _parse_double = _parse_float

    def _parse_timestamp(self, shape: Shape, value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise _not_of(value, shape)
        try:
            return _bounded(float(value))
        except ValueError:
            raise _not_of(value, shape) from None

    def _parse_blob(self, shape: Shape, value: Any) -> bytes:
        if not isinstance(value, str):
            raise _not_of(value, shape)
        try:
            return base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            raise refusals.serialization("A blob is not in base64.") from None


def read_json(body: bytes) -> Any:
    """What the text stands for; {} for none. AwsError unless it is JSON (RFC 8259) in UTF-8, its numbers finite."""
    if not body:
        return {}
    try:
        value = json.loads(body.decode("utf-8"), parse_constant=_no_constant, parse_float=_finite)
        # A lone surrogate, "\\ud800", is a string to JSON; no file and no database takes it.
        if b"\\u" in body:
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError):
        raise refusals.serialization("The request's body is not valid JSON.") from None
    return value


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("a number without end")
    return value


def _container(value: Any, wanted: type) -> Any:
    if not isinstance(value, wanted):
        kind = "Start of structure or map" if wanted is dict else "Start of list"
        raise refusals.serialization(f"{kind} expected, found {_kind(value)}.")
    return value


def _not_of(value: Any, shape: Shape) -> AwsError:
    return refusals.serialization(
        f"{_kind(value)} can not be converted to {WANTED.get(shape.type_name, shape.type_name)}"
    )


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "TRUE_VALUE" if value else "FALSE_VALUE"
    return "NULL_VALUE" if value is None else JSON_TYPES[type(value)]
