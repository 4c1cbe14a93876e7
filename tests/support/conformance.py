"""A service's operation as the dispatcher calls it, without HTTP, and botocore's model of what goes in and comes out.

Owns the Call of a test, and whether an answer is of the shape that the model gives it, and an error one that the model
knows. Refuses the store and the guard: a test has its own.
"""

from __future__ import annotations

from datetime import datetime
from functools import cache
from typing import Any

import botocore.session
from botocore.model import ServiceModel, Shape
from botocore.validate import ParamValidator

from tests.support.control import ACCOUNT, REGION
from tidegate.control.call import Call, Caller, Guard
from tidegate.control.errors import AwsError
from tidegate.control.services.service import Service
from tidegate.control.store.store import Transaction

ANN = Caller(account=ACCOUNT, arn=f"arn:aws:iam::{ACCOUNT}:user/ann", user_id="AIDAX", access_key="AKIAX")
GENERAL = {"InvalidParameterValue", "InvalidParameterCombination", "MissingParameter", "AccessDenied"}
"""Codes that a model does not list with its operations."""
BEYOND = {
    ("DescribeInternetGateways.InternetGateways[].Attachments[].State", "available"),
    ("DescribeNetworkInterfaces.NetworkInterfaces[].InterfaceType", "nat_gateway"),
    ("CreateUser.User.PermissionsBoundary.PermissionsBoundaryType", "Policy"),
    ("GetRole.Role.PermissionsBoundary.PermissionsBoundaryType", "Policy"),
}
"""What AWS answers although its model's list of words lacks it (EC2 API reference, "InternetGatewayAttachment"; IAM API
reference, "AttachedPermissionsBoundary")."""
NAMELESS = "GetUser"
"""It may tell of root, which has neither the name nor the path that the model says all users have."""
TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "long": (int,),
    "boolean": (bool,),
    "timestamp": (datetime,),
    "double": (float,),
    "blob": (bytes,),
}


@cache
def model(service: str) -> ServiceModel:
    """botocore's model of a service."""
    found: ServiceModel = botocore.session.Session().get_service_model(service)
    return found


def make_call(
    service: str, operation: str, parameters: dict[str, Any], transaction: Transaction, guard: Guard, **more: Any
) -> Call:
    """A call of Ann's, over plain HTTP. more: other values of its fields, and `at`."""
    fields: dict[str, Any] = {"caller": ANN, "account": ACCOUNT, "region": REGION, "request_id": "r"}
    fields |= {"source_ip": "127.0.0.1", "secure": False, **more}
    return Call(
        service=service, operation=operation, parameters=parameters, transaction=transaction, guard=guard, **fields
    )


def serve(service: Service, call: Call) -> dict[str, Any]:
    """The service's answer. AssertionError if it asked nobody for leave, or is not of the model's shape."""
    check_parameters(call.service, call.operation, call.parameters)
    served = service.operation(call.operation)
    assert served is not None, f"{call.operation} is not served"
    answer = served(call)
    assert call.required or call.operation in service.unguarded, f"{call.operation} asked nobody for leave"
    check_answer(call.service, call.operation, answer)
    return answer


def check_answer(service: str, operation: str, answer: dict[str, Any]) -> None:
    """AssertionError for a member that the model lacks, or a value of another type."""
    shape = model(service).operation_model(operation).output_shape
    if shape is None:
        assert answer == {}
        return
    if operation != NAMELESS:
        report = ParamValidator().validate(answer, shape)
        assert not report.has_errors(), report.generate_report()
    _check(shape, answer, operation)


def check_parameters(service: str, operation: str, parameters: dict[str, Any]) -> None:
    """AssertionError for a parameter that the operation lacks: a test's own slip."""
    shape = model(service).operation_model(operation).input_shape
    known = set() if shape is None else set(shape.members)
    assert set(parameters) <= known, set(parameters) - known


def check_error(service: str, operation: str, error: AwsError) -> None:
    """AssertionError for an error that the operation does not have, or that has another HTTP status."""
    modelled = {
        shape.metadata.get("error", {}).get("code", shape.name): shape.metadata["error"]["httpStatusCode"]
        for shape in model(service).operation_model(operation).error_shapes
    }
    assert error.code in GENERAL | set(modelled), f"{operation} has no error {error.code}"
    assert error.status == modelled.get(error.code, 403 if error.code == "AccessDenied" else 400)


def _check(shape: Shape, value: Any, where: str) -> None:
    if shape.type_name == "structure":
        assert isinstance(value, dict), where
        for member, inner in value.items():
            assert member in shape.members, f"{where}.{member}"
            _check(shape.members[member], inner, f"{where}.{member}")
    elif shape.type_name == "list":
        assert isinstance(value, list), where
        for inner in value:
            _check(shape.member, inner, f"{where}[]")
    elif shape.type_name == "map":
        assert isinstance(value, dict), where
        for inner in value.values():
            _check(shape.value, inner, f"{where}{{}}")
    else:
        assert isinstance(value, TYPES[shape.type_name]), f"{where}: {value!r}"
        words = getattr(shape, "enum", ())
        assert not words or value in words or (where, value) in BEYOND, f"{where}: {value!r}"
