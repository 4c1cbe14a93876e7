"""Errors that a request meets before, or instead of, its operation: named once, in each protocol's own words.

Owns their codes, statuses and texts. Refuses those of operations (each service's `errors`) and the wire (`answers`).

Sources: the "Common errors" of the RDS, STS and EC2 API references; what Coral, the framework of AWS's services,
answers in the protocols with JSON ("...Exception", 400).
"""

from __future__ import annotations

from enum import Enum, auto

from tidegate.control.errors import AwsError


class Doubt(Enum):
    """What can be wrong with who a request comes from."""

    UNSIGNED = auto()
    INCOMPLETE = auto()
    UNKNOWN_KEY = auto()
    WRONG_SIGNATURE = auto()
    WRONG_TIME = auto()
    OLD_SESSION = auto()


INVALID_TOKEN = "The security token included in the request is invalid."
EXPIRED_TOKEN = "The security token included in the request is expired"
NOT_VALIDATED = "AWS was not able to validate the provided access credentials"

DOUBTS: dict[str, dict[Doubt, tuple[str, int, str]]] = {
    "query": {
        Doubt.UNSIGNED: ("MissingAuthenticationToken", 403, "Request is missing Authentication Token"),
        Doubt.INCOMPLETE: ("IncompleteSignature", 400, ""),
        Doubt.UNKNOWN_KEY: ("InvalidClientTokenId", 403, INVALID_TOKEN),
        Doubt.WRONG_SIGNATURE: ("SignatureDoesNotMatch", 403, ""),
        Doubt.WRONG_TIME: ("SignatureDoesNotMatch", 403, ""),
        Doubt.OLD_SESSION: ("ExpiredToken", 403, EXPIRED_TOKEN),
    },
    "ec2": {
        Doubt.UNSIGNED: ("MissingAuthenticationToken", 403, "Request is missing Authentication Token"),
        Doubt.INCOMPLETE: ("IncompleteSignature", 400, ""),
        Doubt.UNKNOWN_KEY: ("AuthFailure", 401, NOT_VALIDATED),
        Doubt.WRONG_SIGNATURE: ("AuthFailure", 401, ""),
        Doubt.WRONG_TIME: ("RequestExpired", 400, ""),
        Doubt.OLD_SESSION: ("RequestExpired", 400, "Request has expired."),
    },
    "json": {
        Doubt.UNSIGNED: ("MissingAuthenticationTokenException", 400, "Missing Authentication Token"),
        Doubt.INCOMPLETE: ("IncompleteSignatureException", 400, ""),
        Doubt.UNKNOWN_KEY: ("UnrecognizedClientException", 400, INVALID_TOKEN),
        Doubt.WRONG_SIGNATURE: ("InvalidSignatureException", 400, ""),
        Doubt.WRONG_TIME: ("InvalidSignatureException", 400, ""),
        Doubt.OLD_SESSION: ("ExpiredTokenException", 400, EXPIRED_TOKEN),
    },
}
"""An empty text stands for the one that the occasion gives."""

RENAMED: dict[tuple[str, str], tuple[str, int]] = {
    ("json", "AccessDenied"): ("AccessDeniedException", 400),
    ("json", "RequestEntityTooLarge"): ("RequestEntityTooLargeException", 413),
    ("json", "ServiceUnavailable"): ("ServiceUnavailableException", 503),
    ("json", "NotImplemented"): ("NotImplementedException", 501),
    ("rest-json", "RequestEntityTooLarge"): ("RequestEntityTooLargeException", 413),
    ("rest-json", "NotImplemented"): ("NotImplementedException", 501),
    ("smithy-rpc-v2-cbor", "RequestEntityTooLarge"): ("RequestEntityTooLargeException", 413),
    ("smithy-rpc-v2-cbor", "NotImplemented"): ("NotImplementedException", 501),
    ("ec2", "AccessDenied"): ("UnauthorizedOperation", 403),
}
"""(protocol, code) of errors that all services have, where the protocol has its own name and status for them."""

CORAL_CODES = {"iam": "ValidationError", "sts": "ValidationError", "secretsmanager": "ValidationException"}
"""Services that tell all that is wrong with parameters in one error; others tell the first in words of their own."""


def doubtful(protocol: str, doubt: Doubt, text: str = "") -> AwsError:
    """The request comes from nobody we know, or not as it says."""
    code, status, always = DOUBTS[protocol][doubt]
    return AwsError(code, always or text, status)


def in_protocol(error: AwsError, protocol: str) -> AwsError:
    """The error under the name that it has in this protocol."""
    renamed = RENAMED.get((protocol, error.code))
    return AwsError(renamed[0], error.message, renamed[1], **error.members) if renamed else error


def too_large(limit: int) -> AwsError:
    """413: the body is longer than `limit` bytes."""
    return AwsError("RequestEntityTooLarge", f"The request is larger than {limit} bytes.", 413)


def malformed_query(why: str) -> AwsError:
    """400: parameters that cannot be read at all."""
    return AwsError("MalformedQueryString", f"The query string is malformed: {why}.", 400)


def missing_action() -> AwsError:
    """400: a query request without an operation."""
    return AwsError("MissingAction", "The request is missing an action or a required parameter.", 400)


def unknown_operation(protocol: str, operation: str, version: str) -> AwsError:
    """400: the service has no such operation."""
    if protocol == "json":
        return AwsError("UnknownOperationException", f"Unknown operation: {operation[:128]}", 400)
    if protocol == "ec2":
        return AwsError("InvalidAction", f"The action {operation[:128]} is not valid for this web service.", 400)
    return AwsError(
        "InvalidAction",
        f"Could not find operation {operation[:128]} for version {version[:32] or 'NO_VERSION_SPECIFIED'}",
        400,
    )


def not_implemented(service: str, operation: str) -> AwsError:
    """501: AWS has this operation, we don't."""
    return AwsError("NotImplemented", f"The operation {operation} of {service} is not implemented by Tidegate.", 501)


def unknown_service(service: str, operation: str) -> AwsError:
    """501: signed for a service that we don't have. operation: empty if it is not known."""
    what = f"operation {operation} of the service" if operation else "service"
    return AwsError("NotImplemented", f"The {what} {service[:64]} is not implemented by Tidegate.", 501)


def method_not_allowed(method: str) -> AwsError:
    """405: neither GET nor POST."""
    return AwsError("MethodNotAllowed", f"The method {method[:16]} is not allowed: use GET or POST.", 405)


def not_found(path: str) -> AwsError:
    """404: all these services have one path."""
    return AwsError("UnknownOperationException", f"There is nothing at {path[:64]}: requests go to /.", 404)


def internal_failure() -> AwsError:
    """500: our fault; the log has why."""
    return AwsError(
        "InternalFailure",
        "The request processing has failed because of an unknown error, exception or failure.",
        500,
    )


def unavailable(why: str) -> AwsError:
    """503: not now."""
    return AwsError("ServiceUnavailable", why, 503)


def slow_request() -> AwsError:
    """408: the body did not come in time."""
    return AwsError("RequestTimeout", "The request's body was not received within the timeout period.", 408)


def serialization(why: str) -> AwsError:
    """400: JSON that is none, or not of the operation's shape."""
    return AwsError("SerializationException", why, 400)


def malformed_value(service: str, parameter: str, wanted: str) -> AwsError:
    """400: a parameter of the query protocols that is not of its type; its value isn't told, it may be a secret."""
    if service in CORAL_CODES:
        return AwsError("MalformedInput", f"The value of {parameter} is not {wanted}.", 400)
    return AwsError("InvalidParameterValue", f"Invalid value for parameter {parameter}: it is not {wanted}.", 400)
