"""Whether an answer is of the shape that botocore's model gives it, and an error one that the model knows."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from typing import Any

import botocore.session
from botocore import xform_name
from botocore.model import ServiceModel, Shape

from tidegate.control.errors import AwsError

GENERAL = {"InvalidParameterValue", "InvalidParameterCombination", "MissingParameter", "AccessDenied"}
"""Codes that a model does not list with its operations."""
BEYOND = {
    ("DescribeInternetGateways.InternetGateways[].Attachments[].State", "available"),
    ("DescribeNetworkInterfaces.NetworkInterfaces[].InterfaceType", "nat_gateway"),
}
"""What AWS answers although its model's list of words lacks it (EC2 API reference, "InternetGatewayAttachment")."""
TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "long": (int,),
    "boolean": (bool,),
    "timestamp": (datetime,),
    "double": (float,),
}


@cache
def model(service: str) -> ServiceModel:
    """botocore's model of a service."""
    found: ServiceModel = botocore.session.Session().get_service_model(service)
    return found


def check_answer(service: str, operation: str, answer: dict[str, Any]) -> None:
    """AssertionError for a member that the model lacks, or a value of another type."""
    shape = model(service).operation_model(operation).output_shape
    if shape is None:
        assert answer == {}
        return
    _check(shape, answer, operation)


def check_parameters(service: str, operation: str, parameters: dict[str, Any]) -> None:
    """AssertionError for a parameter that the operation lacks: a test's own slip."""
    known = model(service).operation_model(operation).input_shape.members
    assert set(parameters) <= set(known), set(parameters) - set(known)


def check_error(service: str, operation: str, error: AwsError) -> None:
    """AssertionError for an error that the operation does not have, or that has another HTTP status."""
    modelled = {
        shape.metadata.get("error", {}).get("code", shape.name): shape.metadata["error"]["httpStatusCode"]
        for shape in model(service).operation_model(operation).error_shapes
    }
    assert error.code in GENERAL | set(modelled), f"{operation} has no error {error.code}"
    assert error.status == modelled.get(error.code, 403 if error.code == "AccessDenied" else 400)


def method(operation: str) -> str:
    """The method of a service's class that serves it."""
    name: str = xform_name(operation)
    return name


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
    else:
        assert isinstance(value, TYPES[shape.type_name]), f"{where}: {value!r}"
        words = getattr(shape, "enum", ())
        assert not words or value in words or (where, value) in BEYOND, f"{where}: {value!r}"
