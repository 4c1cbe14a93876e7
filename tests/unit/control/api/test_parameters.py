"""Parameters on the wire: how they are read, and what each protocol answers to those that cannot be."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.control import NOW, Front, error_of, sign
from tidegate.control.api import forms, models, parsing
from tidegate.control.api.forms import MAX_PARAMETERS, Params, read_params
from tidegate.control.errors import AwsError


@pytest.fixture
def front(tmp_path: Path) -> Front:
    return Front(tmp_path)


@contextmanager
def refused_with_400(*codes: str) -> Iterator[None]:
    """If what is within is refused, then with a 400 (and one of these codes)."""
    try:
        yield
    except AwsError as error:
        if error.status != 400 or (codes and error.code not in codes):
            raise


PROXY = {
    "DBProxyName": "a-1",
    "EngineFamily": "POSTGRESQL",
    "RoleArn": "arn:aws:iam::123456789012:role/x",
    "VpcSubnetIds.member.1": "subnet-1",
}


def test_structures_lists_and_scalars_of_the_query_protocol(front: Front) -> None:
    given_ = PROXY | {
        "VpcSubnetIds.member.2": "subnet-2",
        "Auth.member.1.SecretArn": "arn:aws:secretsmanager:1",
        "Auth.member.1.IAMAuth": "REQUIRED",
        "Auth.member.2.SecretArn": "arn:aws:secretsmanager:2",
        "Tags.Tag.1.Key": "k",
        "Tags.Tag.1.Value": "é ü+&=",
        "RequireTLS": "True",
        "IdleClientTimeout": "90",
        "VpcSecurityGroupIds": "",
        "Nobody.Knows.1": "this",
    }
    assert front.query("rds", "CreateDBProxy", given_).status == 200
    assert front.rds.parameters == {
        "DBProxyName": "a-1",
        "EngineFamily": "POSTGRESQL",
        "RoleArn": "arn:aws:iam::123456789012:role/x",
        "VpcSubnetIds": ["subnet-1", "subnet-2"],
        "Auth": [
            {"SecretArn": "arn:aws:secretsmanager:1", "IAMAuth": "REQUIRED"},
            {"SecretArn": "arn:aws:secretsmanager:2"},
        ],
        "Tags": [{"Key": "k", "Value": "é ü+&="}],
        "RequireTLS": True,
        "IdleClientTimeout": 90,
        "VpcSecurityGroupIds": [],
    }


def test_parameters_may_come_in_the_query_of_a_post_too(front: Front) -> None:
    request = sign("rds", query="Action=DescribeDBProxies&Version=2014-10-31", body=b"DBProxyName=a")
    assert front.serve(request).status == 200
    assert front.rds.parameters == {"DBProxyName": "a"}


def test_a_get_has_them_all_in_its_query(front: Front) -> None:
    query = "Action=DescribeDBProxies&Version=2014-10-31&DBProxyName=a"
    assert front.serve(sign("rds", method="GET", query=query, headers={})).status == 200
    assert front.rds.parameters == {"DBProxyName": "a"}
    assert front.serve(sign("rds", method="GET", query=query, headers={}, presigned=30)).status == 200


def test_a_body_that_is_no_form_holds_no_parameters(front: Front) -> None:
    request = sign("rds", body=b"Action=DescribeDBProxies&Version=2014-10-31", headers={"Content-Type": "text/plain"})
    assert error_of(front.serve(request))[1] == "MissingAction"


def test_times_may_be_iso_8601_or_numbers(front: Front) -> None:
    for text in ("2027-01-15T08:00:00Z", "2027-01-15T09:00:00+01:00", "2027-01-15T08:00:00.000", "1800000000"):
        assert front.query("rds", "DescribeEvents", {"StartTime": text}).status == 200
        assert front.rds.parameters == {"StartTime": NOW}


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("IdleClientTimeout", "ten", "an integer"),
        ("IdleClientTimeout", "1_0", "an integer"),
        ("IdleClientTimeout", "٣", "an integer"),
        ("IdleClientTimeout", "2147483648", "an integer"),
        ("IdleClientTimeout", "9" * 5000, "an integer"),
        ("IdleClientTimeout", "", "an integer"),
        ("RequireTLS", "yes", "true or false"),
    ],
)
def test_values_of_another_type(front: Front, name: str, value: str, wanted: str) -> None:
    assert error_of(front.query("rds", "CreateDBProxy", PROXY | {name: value})) == (
        400,
        "InvalidParameterValue",
        f"Invalid value for parameter {name}: it is not {wanted}.",
    )


@pytest.mark.parametrize(
    "text", ["", "soon", "2027-13-01T00:00:00Z", "1e300", "9" * 32, "x" * 9999, "0001-01-01T00:00:00+23:59"]
)
def test_times_that_are_none(front: Front, text: str) -> None:
    assert error_of(front.query("rds", "DescribeEvents", {"StartTime": text})) == (
        400,
        "InvalidParameterValue",
        "Invalid value for parameter StartTime: it is not a time in ISO 8601's form.",
    )


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("Action=A&Action=B", "a parameter is given more than once"),
        ("a=%ff", "it is not UTF-8"),
        ("a=\udcff", "it is not UTF-8"),
        ("a=%ED%A0%80", "it is not UTF-8"),
        ("&".join(f"a{i}=" for i in range(MAX_PARAMETERS + 1)), f"it has more than {MAX_PARAMETERS} parameters"),
        ("x" * 600 + "=1", "the name of a parameter is too long"),
        ("a" + ".1" * 40 + "=1", "the name of a parameter is too long"),
    ],
)
def test_forms_that_cannot_be_read(front: Front, body: str, told: str) -> None:
    request = sign("rds", body=body.encode("utf-8", "surrogateescape"))
    assert error_of(front.serve(request)) == (400, "MalformedQueryString", f"The query string is malformed: {told}.")


@pytest.mark.parametrize("character", ["%00", "%1B", "%EF%BF%BF"])
def test_what_xml_cannot_carry_is_refused(front: Front, character: str) -> None:
    assert error_of(front.serve(sign("rds", body=f"a={character}".encode()))) == (
        400,
        "InvalidParameterValue",
        "A parameter contains a character that XML cannot carry.",
    )


def test_the_longest_request_of_the_models_is_read(front: Front) -> None:
    auth = {
        f"Auth.member.{i}.{name}": "arn:aws:secretsmanager:x"
        for i in range(1, 201)
        for name in ("SecretArn", "UserName", "Description")
    }
    assert front.query("rds", "CreateDBProxy", PROXY | auth).status == 200
    assert len(front.rds.parameters["Auth"]) == 200


@given(
    st.dictionaries(
        st.from_regex(r"[A-Za-z]{1,5}(\.(member\.)?[1-3]){0,3}(\.Key)?", fullmatch=True), st.text(max_size=5)
    )
)
def test_any_form_is_read_or_refused(values: dict[str, str]) -> None:
    body = "&".join(f"{quote(name)}={quote(value)}" for name, value in values.items()).encode()
    operation = models.load_api("rds").operation("CreateDBProxy")
    assert operation is not None
    with refused_with_400():
        parsed = parsing.parse("rds", operation, read_params("", body, forms.FORM), b"")
        assert set(parsed) <= set(operation.input_shape.members)


def test_prefixes_are_those_before_dots() -> None:
    assert Params({"A.member.1.B": "", "C": ""}).prefixes == {"A.member.1.B", "A.member.1", "A.member", "A", "C"}


# JSON.


def test_json_of_every_type(front: Front) -> None:
    body = {
        "Name": "n",
        "SecretBinary": "AAE=",
        "Tags": [{"Key": "k", "Value": "v"}, {"Key": "x", "Value": None}],
        "ForceOverwriteReplicaSecret": True,
        "Description": None,
    }
    assert front.json("CreateSecret", body).status == 200
    assert front.secrets.parameters == {
        "Name": "n",
        "SecretBinary": b"\x00\x01",
        "Tags": [{"Key": "k", "Value": "v"}, {"Key": "x"}],
        "ForceOverwriteReplicaSecret": True,
    }
    assert front.json("ListSecrets", {"MaxResults": 5.0}).status == 200
    assert front.secrets.parameters == {"MaxResults": 5}
    assert front.json("ListSecrets", b"").status == 200
    assert front.secrets.parameters == {}


@pytest.mark.parametrize(
    ("operation", "body", "told"),
    [
        ("CreateSecret", b"{", "The request's body is not valid JSON."),
        ("CreateSecret", b"\xff", "The request's body is not valid JSON."),
        ("CreateSecret", b'{"Name": NaN}', "The request's body is not valid JSON."),
        ("ListSecrets", b'{"MaxResults": 1e999}', "The request's body is not valid JSON."),
        ("ListSecrets", b'{"MaxResults": ' + b"9" * 5000 + b"}", "The request's body is not valid JSON."),
        ("CreateSecret", b'{"Name": "\\ud800"}', "The request's body is not valid JSON."),
        ("CreateSecret", b"[" * 200_000, "The request's body is not valid JSON."),
        ("CreateSecret", b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "The request's body is not valid JSON."),
        ("CreateSecret", b"[]", "Start of structure or map expected, found START_ARRAY."),
        ("CreateSecret", b"null", "Start of structure or map expected, found NULL_VALUE."),
        ("CreateSecret", b'{"Name": 5}', "NUMBER_VALUE can not be converted to String"),
        ("CreateSecret", b'{"Name": ["n"]}', "START_ARRAY can not be converted to String"),
        ("CreateSecret", b'{"Name": "n", "Tags": {}}', "Start of list expected, found START_OBJECT."),
        ("CreateSecret", b'{"Name": "n", "Tags": ["a"]}', "Start of structure or map expected, found STRING_VALUE."),
        ("CreateSecret", b'{"Name": "n", "SecretBinary": "?"}', "A blob is not in base64."),
        ("CreateSecret", b'{"Name": "n", "SecretBinary": 1}', "NUMBER_VALUE can not be converted to Blob"),
        (
            "CreateSecret",
            b'{"Name": "n", "ForceOverwriteReplicaSecret": "true"}',
            "STRING_VALUE can not be converted to Boolean",
        ),
        ("ListSecrets", b'{"MaxResults": true}', "TRUE_VALUE can not be converted to Integer"),
        ("ListSecrets", b'{"MaxResults": "5"}', "STRING_VALUE can not be converted to Integer"),
        ("ListSecrets", b'{"MaxResults": 2147483648}', "NUMBER_VALUE can not be converted to Integer"),
    ],
)
def test_json_that_is_not_of_the_shape(front: Front, operation: str, body: bytes, told: str) -> None:
    assert error_of(front.json(operation, body)) == (400, "SerializationException", told)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["Name", "Tags", "Key", "SecretBinary", "x"]), inner, max_size=3)
    ),
    max_leaves=10,
)


@given(json_values)
def test_any_json_is_read_or_refused(value: Any) -> None:
    operation = models.load_api("secretsmanager").operation("CreateSecret")
    assert operation is not None
    with refused_with_400("SerializationException"):
        parsed = parsing.parse("secretsmanager", operation, Params(), json.dumps(value).encode())
        assert set(parsed) <= set(operation.input_shape.members)
