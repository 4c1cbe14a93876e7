"""What an operation returned, or the error that it raised, as the protocol writes it.

Owns the bytes of answers. Refuses which error is due (`refusals`, `services`) and HTTP itself (`app`).

What operations return is written by moto's serializers: plain dicts, keyed as the model has its members. Times may be
seconds since 1970 or datetimes (naive ones are UTC), and are written to the millisecond, as AWS does.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from xml.sax.saxutils import escape

from moto.core.model import OperationModel
from moto.core.serialize import (
    EC2Serializer,
    JSONSerializer,
    QueryJSONSerializer,
    QuerySerializer,
    SerializationContext,
    TimestampSerializer,
)

from tidegate.control.api.arrival import Answer
from tidegate.control.api.forms import NOT_XML
from tidegate.control.api.models import Api
from tidegate.control.api.unserved import CBOR, UnservedCall
from tidegate.control.errors import AwsError

SERIALIZERS = {"query": QuerySerializer, "ec2": EC2Serializer, "json": JSONSerializer}
XML = "text/xml"
XML_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*", re.ASCII)
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def answer(operation: OperationModel, result: Mapping[str, Any], request_id: str, *, in_json: bool = False) -> Answer:
    """The answer of an operation that went well. in_json: of a query service that was asked for JSON."""
    protocol = str(operation.service_model.protocol)
    serializer_class = QueryJSONSerializer if in_json and protocol == "query" else SERIALIZERS[protocol]
    serializer = serializer_class(operation, SerializationContext(request_id), value_picker=_pick)
    serializer._timestamp_serializer = _Milliseconds(serializer.DEFAULT_TIMESTAMP_FORMAT)
    response = serializer.serialize(result)
    content_type = response["headers"].get("Content-Type", XML)
    body = response["body"] if isinstance(response["body"], str) else response["body"].decode()
    if "xml" in content_type:
        body = NOT_XML.sub(REPLACEMENT, body)
    return Answer(status=response["status_code"], content_type=content_type, body=body.encode())


class _Milliseconds(TimestampSerializer):
    """ISO 8601 with three digits of a second, or none, where moto writes six."""

    def _timestamp_iso8601(self, value: datetime) -> str:
        fraction = f".{value.microsecond // 1000:03d}" if value.microsecond else ""
        return f"{value:%Y-%m-%dT%H:%M:%S}{fraction}Z"


def _pick(context: Any) -> Any:
    """A member of what an operation has returned."""
    value = context.obj.get(context.key)
    if context.shape.type_name != "timestamp" or value is None:
        return value
    return _moment(value)


def _moment(value: datetime | float) -> datetime:
    if isinstance(value, datetime):
        at = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    else:
        at = datetime.fromtimestamp(value, UTC)
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


def refusal(api: Api | None, error: AwsError, request_id: str, *, in_json: bool = False) -> Answer:
    """The answer that tells of an error. api: None if it is not known which service was meant."""
    protocol = api.protocol if api is not None else "query"
    if protocol == "json":
        return _json_refusal(api, error)
    told = {"Code": error.code, "Message": error.message, **error.members}
    if protocol == "ec2":
        text = '<?xml version="1.0" encoding="UTF-8"?>\n' + _xml(
            "Response", {"Errors": {"Error": told}, "RequestID": request_id}
        )
        return Answer(status=error.status, content_type=f"{XML};charset=UTF-8", body=text.encode())
    told = {"Type": "Sender" if error.sender else "Receiver", **told}
    if in_json:
        body = json.dumps({"Error": told, "RequestId": request_id}).encode()
        return Answer(status=error.status, content_type="application/json", body=body)
    namespace = str(api.model.metadata.get("xmlNamespace", "")) if api is not None else ""
    text = _xml("ErrorResponse", {"Error": told, "RequestId": request_id}, namespace)
    return Answer(status=error.status, content_type=XML, body=text.encode())


def unserved_refusal(call: UnservedCall, error: AwsError, request_id: str) -> Answer:
    """The same to who asks a service that is not served, as that service would put it."""
    status, typed = error.status, {"x-amzn-ErrorType": error.code}
    if call.protocol == CBOR:
        body = _cbor({"__type": error.code, "message": error.message})
        headers = {"smithy-protocol": "rpc-v2-cbor"}
        return Answer(status=status, content_type="application/cbor", body=body, headers=headers)
    if call.protocol in ("json", "rest-json"):
        body = json.dumps({"__type": error.code, "message": error.message}).encode()
        kind = f"application/x-amz-json-{call.json_version}" if call.protocol == "json" else "application/json"
        return Answer(status=status, content_type=kind, body=body, headers=typed)
    if call.name == "s3":  # which has no element around its error
        told = {"Code": error.code, "Message": error.message, "RequestId": request_id}
        return Answer(status=status, content_type=XML, body=_xml("Error", told).encode())
    return refusal(None, error, request_id)


def _cbor(texts: Mapping[str, str]) -> bytes:
    """A map of few texts of less than 64 KB (RFC 8949, section 3)."""
    body = bytes([0xA0 | len(texts)])
    for text in (part for item in texts.items() for part in item):
        data = text.encode()
        body += b"\x79" + len(data).to_bytes(2) + data
    return body


def _json_refusal(api: Api | None, error: AwsError) -> Answer:
    version = api.model.metadata.get("jsonVersion", "1.1") if api is not None else "1.1"
    body = {"__type": error.code, _message_member(api, error.code): error.message, **error.members}
    return Answer(
        status=error.status,
        content_type=f"application/x-amz-json-{version}",
        body=json.dumps(body).encode(),
        headers={"x-amzn-ErrorType": error.code},
    )


def _message_member(api: Api | None, code: str) -> str:
    """ "Message" where the model has it so, else as Coral writes it."""
    shapes = api.model.error_shapes if api is not None else []
    return next(("Message" for shape in shapes if shape.name == code and "Message" in shape.members), "message")


def _xml(name: str, value: Any, namespace: str = "") -> str:
    """An element. Names come from us, never from a request."""
    if not XML_NAME.fullmatch(name):
        raise ValueError(f"not a name of an element: {name!r}")
    attribute = f' xmlns="{escape(namespace)}"' if namespace else ""
    return f"<{name}{attribute}>{_xml_content(value)}</{name}>"


def _xml_content(value: Any) -> str:
    if isinstance(value, Mapping):
        return "".join(_xml(key, item) for key, item in value.items())
    if isinstance(value, list | tuple):
        return "".join(_xml("member", item) for item in value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return escape(NOT_XML.sub(REPLACEMENT, str(value)))
