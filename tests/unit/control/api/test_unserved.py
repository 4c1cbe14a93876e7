"""Calls of services that are not served: each is told so in its service's protocol, with its operation's name."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from botocore.parsers import create_parser
from botocore.session import Session

from tests.support.control import Front, arrival, error_of, sign
from tidegate.control.api.arrival import Arrival
from tidegate.control.api.unserved import unserved_call


@pytest.fixture
def front(tmp_path: Path) -> Front:
    return Front(tmp_path)


def at(path: str, method: str = "GET", query: str = "", headers: Any = ()) -> Arrival:
    """A request anywhere; who looks at it looks at no signature."""
    made = arrival(method, query, headers)
    return replace(made, signed=replace(made.signed, path=path))


@pytest.mark.parametrize(
    ("service", "method", "path", "query", "expected"),
    [
        ("lambda", "GET", "/2015-03-31/functions", "", ("rest-json", "ListFunctions")),
        ("lambda", "GET", "/2015-03-31/functions/", "MaxItems=5", ("rest-json", "ListFunctions")),
        ("lambda", "GET", "/2015-03-31/functions/a%2Fb", "", ("rest-json", "GetFunction")),
        ("lambda", "DELETE", "/2015-03-31/functions", "", ("rest-json", "")),
        ("lambda", "GET", "/elsewhere", "", ("rest-json", "")),
        ("rds-data", "POST", "/Execute", "", ("rest-json", "ExecuteStatement")),
        ("s3", "GET", "/", "", ("rest-xml", "")),
        ("s3", "GET", "/bucket", "acl", ("rest-xml", "GetBucketAcl")),
        ("s3", "PUT", "/bucket/a/b/c", "", ("rest-xml", "")),
        ("s3", "GET", "/bucket/a/b/c", "tagging", ("rest-xml", "GetObjectTagging")),
        ("route53", "GET", "/2013-04-01/hostedzone", "", ("rest-xml", "ListHostedZones")),
        ("sqs", "POST", "/", "Action=ListQueues", ("query", "ListQueues")),
        ("cloudformation", "POST", "/", "", ("query", "")),
        ("monitoring", "POST", "/service/Granite/operation/ListMetrics", "", ("smithy-rpc-v2-cbor", "ListMetrics")),
        ("nobody", "GET", "/", "", ("query", "")),
        ("nobody", "GET", "/x", "", ("rest-json", "")),
        ("../../etc/passwd", "GET", "/x", "", ("rest-json", "")),
        ("", "GET", "/x", "", ("rest-json", "")),
    ],
)
def test_protocol_and_operation_of_a_call(
    service: str, method: str, path: str, query: str, expected: tuple[str, str]
) -> None:
    call = unserved_call(at(path, method, query), service)
    assert (call.name, call.protocol, call.operation) == (service, *expected)


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_a_json_service_is_answered_in_its_json(front: Front, version: str) -> None:
    kind = f"application/x-amz-json-{version}"
    headers = {"X-Amz-Target": "DynamoDB_20120810.ListTables", "Content-Type": kind}
    answer = front.serve(sign("dynamodb", body=b"{}", headers=headers))
    assert (answer.status, answer.content_type) == (501, kind)
    assert answer.headers == {"x-amzn-ErrorType": "NotImplementedException"}
    assert json.loads(answer.body) == {
        "__type": "NotImplementedException",
        "message": "The operation ListTables of the service dynamodb is not implemented by Tidegate.",
    }


@pytest.mark.parametrize("target", ["DynamoDB.<b>", "DynamoDB." + "a" * 200, "."])
def test_what_is_no_operations_name_is_not_told(front: Front, target: str) -> None:
    answer = front.serve(sign("dynamodb", body=b"{}", headers={"X-Amz-Target": target}))
    assert error_of(answer)[2] == "The service dynamodb is not implemented by Tidegate."


def test_a_query_service_is_answered_in_xml(front: Front) -> None:
    answer = front.serve(sign("cloudformation", body=b"Action=ListStacks&Version=2010-05-15"))
    told = "The operation ListStacks of the service cloudformation is not implemented by Tidegate."
    assert error_of(answer) == (501, "NotImplemented", told)


@pytest.mark.parametrize(
    ("service", "protocol", "path", "code"),
    [
        ("lambda", "rest-json", "/2015-03-31/functions", "NotImplementedException"),
        ("s3", "rest-xml", "/bucket/key", "NotImplemented"),
        ("route53", "rest-xml", "/2013-04-01/hostedzone", "NotImplemented"),
        (
            "monitoring",
            "smithy-rpc-v2-cbor",
            "/service/GraniteServiceVersion20100801/operation/ListMetrics",
            "NotImplementedException",
        ),
        ("events", "smithy-rpc-v2-cbor", "/service/AWSEvents/operation/" + "L" * 128, "NotImplementedException"),
    ],
)
def test_botocore_reads_the_answer(front: Front, service: str, protocol: str, path: str, code: str) -> None:
    request = sign(service, method="GET", headers={})
    request = replace(request, signed=replace(request.signed, path=path))
    error = front.dispatcher.unserved(request)
    assert error is not None
    answer = front.dispatcher.refuse(request, error)
    headers = {**answer.headers, "content-type": answer.content_type}
    response = {"status_code": answer.status, "headers": headers, "body": answer.body, "context": {}}
    model = Session().get_service_model("sts")
    parsed = create_parser(protocol).parse(response, model.operation_model("GetCallerIdentity").output_shape)
    assert parsed["Error"]["Code"] == code
    assert parsed["Error"]["Message"] == error.message
    assert f"service {service} is not implemented" in error.message


def test_who_asks_a_service_that_is_served_is_none_of_these(front: Front) -> None:
    assert front.dispatcher.unserved(sign("rds", body=b"Action=DescribeDBProxies")) is None
    assert front.dispatcher.unserved(at("/2015-03-31/functions")) is None
    half = [("Authorization", "AWS4-HMAC-SHA256 Credential=a/b")]
    assert front.dispatcher.unserved(at("/2015-03-31/functions", headers=half)) is None
