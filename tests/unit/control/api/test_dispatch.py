"""A request's way through the front: who is answered, with what, and what is left in the store."""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.control import ACCOUNT, KEYS, NOW, ROOT, Front, Key, arrival, error_of, sign, with_header
from tidegate.control.api.dispatch import MAX_WAITING
from tidegate.control.errors import AwsError
from tidegate.control.store.store import Transaction

IDENTITY = "Action=GetCallerIdentity&Version=2011-06-15"


@pytest.fixture
def front(tmp_path: Path) -> Front:
    return Front(tmp_path)


def test_a_query_service_answers_in_xml(front: Front) -> None:
    answer = front.query("sts", "GetCallerIdentity")
    assert (answer.status, answer.content_type) == (200, "text/xml")
    assert answer.body.decode() == (
        '<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>'
        f"<UserId>{ACCOUNT}</UserId><Account>{ACCOUNT}</Account><Arn>arn:aws:iam::{ACCOUNT}:root</Arn>"
        "</GetCallerIdentityResult><ResponseMetadata><RequestId>00000000-0000-4000-8000-000000000001</RequestId>"
        "</ResponseMetadata></GetCallerIdentityResponse>"
    )


def test_a_query_service_answers_in_json_who_asks_for_it(front: Front) -> None:
    request = sign("sts", body=IDENTITY.encode(), unsigned_headers={"Accept": "application/json"})
    answer = front.serve(request)
    assert answer.content_type == "application/json"
    assert json.loads(answer.body) == {
        "GetCallerIdentityResponse": {
            "GetCallerIdentityResult": {
                "UserId": ACCOUNT,
                "Account": ACCOUNT,
                "Arn": f"arn:aws:iam::{ACCOUNT}:root",
            },
            "ResponseMetadata": {"RequestId": "00000000-0000-4000-8000-000000000001"},
        }
    }


def test_a_presigned_get_as_kubernetes_and_vault_make_it(front: Front) -> None:
    request = sign("sts", method="GET", query=IDENTITY, headers={"x-k8s-aws-id": "cluster"}, at=NOW - 899, presigned=60)
    assert front.serve(request).status == 200
    other = front.serve(with_header(request, "x-k8s-aws-id", "another"))
    assert error_of(other)[:2] == (403, "SignatureDoesNotMatch")


def test_a_post_with_a_signed_header_of_its_own_as_vault_makes_it(front: Front) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded", "X-Vault-AWS-IAM-Server-ID": "vault.example"}
    request = sign("sts", body=IDENTITY.encode(), headers=headers)
    assert front.serve(request).status == 200
    other = front.serve(with_header(request, "X-Vault-AWS-IAM-Server-ID", "evil.example"))
    assert error_of(other)[:2] == (403, "SignatureDoesNotMatch")


def test_ec2_answers_in_its_own_xml(front: Front) -> None:
    front.ec2.outcome = {"Vpcs": [{"VpcId": "vpc-1", "IsDefault": True}, {"VpcId": "vpc-2", "IsDefault": False}]}
    answer = front.query("ec2", "DescribeVpcs", {"VpcId.1": "vpc-1", "Filter.1.Name": "state", "Filter.1.Value.1": "x"})
    assert front.ec2.parameters == {"VpcIds": ["vpc-1"], "Filters": [{"Name": "state", "Values": ["x"]}]}
    assert answer.body.decode() == (
        '<?xml version="1.0" encoding="utf-8"?>\n'
        '<DescribeVpcsResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15"><vpcSet>'
        "<item><isDefault>true</isDefault><vpcId>vpc-1</vpcId></item>"
        "<item><isDefault>false</isDefault><vpcId>vpc-2</vpcId></item></vpcSet>"
        "<requestId>00000000-0000-4000-8000-000000000001</requestId></DescribeVpcsResponse>"
    )


def test_a_json_service_answers_in_json_with_times_as_numbers(front: Front) -> None:
    front.secrets.outcome = {"ARN": "arn", "CreatedDate": NOW + 0.1234, "SecretBinary": b"\x00\x01", "Name": None}
    answer = front.json("GetSecretValue", {"SecretId": "a", "Unknown": {"x": [1]}})
    assert (answer.status, answer.content_type) == (200, "application/x-amz-json-1.1")
    assert json.loads(answer.body) == {"ARN": "arn", "CreatedDate": NOW + 0.123, "SecretBinary": "AAE="}
    assert front.secrets.parameters == {"SecretId": "a"}


def test_times_are_in_utc_and_of_milliseconds_in_xml(front: Front) -> None:
    front.rds.outcome = {"DBProxies": [{"DBProxyName": "a", "CreatedDate": NOW, "UpdatedDate": NOW + 0.5}]}
    body = front.query("rds", "DescribeDBProxies").body.decode()
    assert "<CreatedDate>2027-01-15T08:00:00Z</CreatedDate>" in body
    assert "<UpdatedDate>2027-01-15T08:00:00.500Z</UpdatedDate>" in body


def test_what_xml_cannot_carry_is_replaced(front: Front) -> None:
    front.rds.outcome = {"DBProxies": [{"DBProxyName": "a\x00<b>\x1b"}]}
    assert "<DBProxyName>a�&lt;b&gt;�</DBProxyName>" in front.query("rds", "DescribeDBProxies").body.decode()


def test_the_call_says_what_is_known_of_the_request(front: Front) -> None:
    request = sign(
        "rds", body=b"Action=DescribeDBProxies&Version=2014-10-31", unsigned_headers={"User-Agent": "u" * 999}
    )
    assert front.serve(request).status == 200
    call = front.rds.calls[-1]
    assert (call.service, call.operation, call.caller) == ("rds", "DescribeDBProxies", ROOT.caller)
    assert (call.account, call.region, call.at, call.secure) == (ACCOUNT, "eu-west-1", NOW, False)
    assert (call.source_ip, call.user_agent) == ("127.0.0.1", "u" * 512)


# Transactions.


def test_what_was_answered_is_kept_and_what_failed_is_not(front: Front) -> None:
    assert front.query("rds", "DescribeDBProxies").status == 200
    assert len(front.store.notes()) == 1
    front.store.run_sync(lambda transaction: transaction.execute("DELETE FROM records"))
    for outcome in (AwsError("DBProxyNotFoundFault", "no", 404), ValueError("broken"), {"DBProxies": 5}):
        front.rds.outcome = outcome  # type: ignore[assignment]
        assert front.query("rds", "DescribeDBProxies").status in (404, 500)
    assert front.store.notes() == []


def test_an_operations_error_is_told_with_its_members(front: Front) -> None:
    front.rds.outcome = AwsError("DBProxyNotFoundFault", "DBProxy a<b not found.", 404, Detail=["x", True])
    answer = front.query("rds", "DescribeDBProxies")
    assert answer.body.decode() == (
        '<ErrorResponse xmlns="http://rds.amazonaws.com/doc/2014-10-31/"><Error><Type>Sender</Type>'
        "<Code>DBProxyNotFoundFault</Code><Message>DBProxy a&lt;b not found.</Message>"
        "<Detail><member>x</member><member>true</member></Detail></Error>"
        "<RequestId>00000000-0000-4000-8000-000000000001</RequestId></ErrorResponse>"
    )
    assert answer.status == 404


def test_a_json_error_has_its_message_where_the_model_has_it(front: Front) -> None:
    front.secrets.outcome = AwsError("ResourceNotFoundException", "none", 400)
    answer = front.json("GetSecretValue", {"SecretId": "a"})
    assert json.loads(answer.body) == {"__type": "ResourceNotFoundException", "Message": "none"}
    assert answer.headers["x-amzn-ErrorType"] == "ResourceNotFoundException"
    assert answer.status == 400


def test_an_exception_is_logged_once_and_told_to_nobody(front: Front, caplog: pytest.LogCaptureFixture) -> None:
    front.rds.outcome = ValueError("inner workings")
    answer = front.query("rds", "DescribeDBProxies")
    assert error_of(answer) == (
        500,
        "InternalFailure",
        "The request processing has failed because of an unknown error, exception or failure.",
    )
    assert b"<Type>Receiver</Type>" in answer.body
    assert b"inner workings" not in answer.body
    (record,) = caplog.records
    assert record.getMessage() == "rds:DescribeDBProxies failed (request 00000000-0000-4000-8000-000000000001)"
    assert record.exc_info is not None


def test_an_operation_that_requires_nothing_does_not_answer(front: Front, caplog: pytest.LogCaptureFixture) -> None:
    assert error_of(front.query("sts", "GetSessionToken"))[:2] == (500, "InternalFailure")
    assert "has required nothing" in str(caplog.records[-1].exc_info)


def test_a_full_disk_is_told_in_the_log_and_passes(front: Front, caplog: pytest.LogCaptureFixture) -> None:
    @contextmanager
    def full() -> Iterator[Transaction]:
        raise sqlite3.OperationalError("database or disk is full")
        yield

    whole, front.store.store.transaction = front.store.store.transaction, full  # type: ignore[method-assign]
    assert error_of(front.query("rds", "DescribeDBProxies")) == (
        503,
        "ServiceUnavailable",
        "The state cannot be written now.",
    )
    assert error_of(front.json("GetSecretValue", {"SecretId": "a"}))[:2] == (503, "ServiceUnavailable")
    assert [record.levelno for record in caplog.records] == [logging.ERROR] * 2
    assert "database or disk is full" in caplog.records[0].getMessage()
    front.store.store.transaction = whole  # type: ignore[method-assign]
    assert front.query("rds", "DescribeDBProxies").status == 200


def test_who_is_behind_too_many_is_sent_away(front: Front) -> None:
    front.dispatcher._waiting = MAX_WAITING
    assert error_of(front.query("sts", "GetCallerIdentity"))[:2] == (503, "ServiceUnavailable")
    front.dispatcher._waiting -= 1
    assert front.query("sts", "GetCallerIdentity").status == 200


@pytest.mark.parametrize(
    ("service", "operation", "parameters", "expected"),
    [
        ("rds", "DescribeDBProxies", {}, (403, "AccessDenied", "not authorized to perform: rds:DescribeDBProxies")),
        ("ec2", "DescribeVpcs", {}, (403, "UnauthorizedOperation", "not authorized to perform: ec2:DescribeVpcs")),
    ],
)
def test_denied(front: Front, service: str, operation: str, parameters: dict[str, str], expected: Any) -> None:
    front.guard.denied.add(f"{service}:{operation}")
    assert error_of(front.query(service, operation, parameters)) == expected


def test_denied_in_json(front: Front) -> None:
    front.guard.denied.add("secretsmanager:GetSecretValue")
    answer = front.json("GetSecretValue", {"SecretId": "a"})
    assert error_of(answer) == (
        400,
        "AccessDeniedException",
        "not authorized to perform: secretsmanager:GetSecretValue",
    )


# Who calls.

INVALID = "The security token included in the request is invalid."
EXPIRED = "The security token included in the request is expired"
NOT_VALIDATED = "AWS was not able to validate the provided access credentials"
LATE = "Signature expired: 20270115T074459Z is now earlier than 20270115T074500Z (20270115T080000Z - 15 min.)"
EARLY = "Signature not yet current: 20270115T081501Z is still later than 20270115T081500Z (20270115T080000Z + 15 min.)"
MISMATCH = (
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key "
    "and signing method. Consult the service documentation for details."
)
REGIONAL = "Credential should be scoped to a valid region: this is 'eu-west-1', not 'us-west-2'."

BAD_SIGNERS: list[tuple[dict[str, Any], str, dict[str, tuple[int, str]]]] = [
    (
        {"key": Key("AKIANOBODY")},
        INVALID,
        {
            "rds": (403, "InvalidClientTokenId"),
            "json": (400, "UnrecognizedClientException"),
            "ec2": (401, "AuthFailure"),
        },
    ),
    (
        {"key": KEYS["AKIAOFF"]},
        INVALID,
        {
            "rds": (403, "InvalidClientTokenId"),
            "json": (400, "UnrecognizedClientException"),
            "ec2": (401, "AuthFailure"),
        },
    ),
    (
        {"key": Key("ASIATEMP", session_token="another")},
        INVALID,
        {
            "rds": (403, "InvalidClientTokenId"),
            "json": (400, "UnrecognizedClientException"),
            "ec2": (401, "AuthFailure"),
        },
    ),
    (
        {"key": Key("ASIATEMP")},
        INVALID,
        {
            "rds": (403, "InvalidClientTokenId"),
            "json": (400, "UnrecognizedClientException"),
            "ec2": (401, "AuthFailure"),
        },
    ),
    (
        {"key": Key("AKIAROOT", session_token="token")},
        INVALID,
        {
            "rds": (403, "InvalidClientTokenId"),
            "json": (400, "UnrecognizedClientException"),
            "ec2": (401, "AuthFailure"),
        },
    ),
    (
        {"key": KEYS["ASIAOLD"]},
        EXPIRED,
        {"rds": (403, "ExpiredToken"), "json": (400, "ExpiredTokenException"), "ec2": (400, "RequestExpired")},
    ),
    (
        {"key": Key("AKIAROOT", secret="wrong")},
        MISMATCH,
        {
            "rds": (403, "SignatureDoesNotMatch"),
            "json": (400, "InvalidSignatureException"),
            "ec2": (401, "AuthFailure"),
        },
    ),
    (
        {"at": NOW - 901},
        LATE,
        {
            "rds": (403, "SignatureDoesNotMatch"),
            "json": (400, "InvalidSignatureException"),
            "ec2": (400, "RequestExpired"),
        },
    ),
    (
        {"at": NOW + 901},
        EARLY,
        {
            "rds": (403, "SignatureDoesNotMatch"),
            "json": (400, "InvalidSignatureException"),
            "ec2": (400, "RequestExpired"),
        },
    ),
    (
        {"region": "us-west-2"},
        REGIONAL,
        {
            "rds": (403, "SignatureDoesNotMatch"),
            "json": (400, "InvalidSignatureException"),
            "ec2": (401, "AuthFailure"),
        },
    ),
]
OWN_WORDS = {("ec2", INVALID): NOT_VALIDATED, ("ec2", EXPIRED): "Request has expired."}


@pytest.mark.parametrize("service", ["rds", "json", "ec2"])
@pytest.mark.parametrize(("how", "message", "codes"), BAD_SIGNERS, ids=[f"{i}" for i in range(len(BAD_SIGNERS))])
def test_who_is_not_let_in(
    front: Front, service: str, how: dict[str, Any], message: str, codes: dict[str, tuple[int, str]]
) -> None:
    if service == "json":
        answer = front.json("GetSecretValue", {"SecretId": "a"}, **how)
    else:
        answer = front.query(service, "DescribeVpcs" if service == "ec2" else "DescribeDBProxies", **how)
    assert error_of(answer) == (*codes[service], OWN_WORDS.get((service, message), message))
    assert front.store.notes() == []


def test_temporary_keys_are_let_in_with_their_token(front: Front) -> None:
    assert front.query("rds", "DescribeDBProxies", key=KEYS["ASIATEMP"]).status == 200


def test_a_service_without_regions_may_be_signed_for_in_the_first(front: Front) -> None:
    assert front.query("sts", "GetCallerIdentity", region="us-east-1").status == 200
    assert error_of(front.query("rds", "DescribeDBProxies", region="us-east-1"))[1] == "SignatureDoesNotMatch"


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (
            arrival("POST", body=b"Action=DescribeDBProxies&Version=2014-10-31"),
            (403, "MissingAuthenticationToken", "Request is missing Authentication Token"),
        ),
        (arrival("GET"), (403, "MissingAuthenticationToken", "Request is missing Authentication Token")),
        (
            arrival("POST", headers=[("X-Amz-Target", "secretsmanager.GetSecretValue")], body=b"{}"),
            (400, "MissingAuthenticationTokenException", "Missing Authentication Token"),
        ),
    ],
)
def test_unsigned(front: Front, request_: Any, expected: Any) -> None:
    assert error_of(front.serve(request_)) == expected


def test_half_a_signature_is_told_in_each_protocol(front: Front) -> None:
    headers = [("Authorization", "AWS4-HMAC-SHA256 Credential=x")]
    body = b"Action=DescribeVpcs&Version=2016-11-15"
    assert error_of(front.serve(arrival("POST", headers=headers, body=body)))[:2] == (400, "IncompleteSignature")
    headers.append(("X-Amz-Target", "secretsmanager.GetSecretValue"))
    assert error_of(front.serve(arrival("POST", headers=headers)))[:2] == (400, "IncompleteSignatureException")


# What for.


@pytest.mark.parametrize(
    ("service", "body", "expected"),
    [
        ("rds", "", (400, "MissingAction", "The request is missing an action or a required parameter.")),
        (
            "rds",
            "Action=Explode&Version=2014-10-31",
            (400, "InvalidAction", "Could not find operation Explode for version 2014-10-31"),
        ),
        (
            "rds",
            "Action=DescribeDBProxies",
            (400, "InvalidAction", "Could not find operation DescribeDBProxies for version NO_VERSION_SPECIFIED"),
        ),
        (
            "iam",
            "Action=DescribeDBProxies&Version=2014-10-31",
            (400, "InvalidAction", "Could not find operation DescribeDBProxies for version 2014-10-31"),
        ),
        (
            "ec2",
            "Action=Explode&Version=2016-11-15",
            (400, "InvalidAction", "The action Explode is not valid for this web service."),
        ),
        (
            "rds",
            "Action=CreateDBCluster&Version=2014-10-31",
            (501, "NotImplemented", "The operation CreateDBCluster of rds is not implemented by Tidegate."),
        ),
        (
            "rds",
            "Action=operation&Version=2014-10-31",
            (400, "InvalidAction", "Could not find operation operation for version 2014-10-31"),
        ),
        ("s3", "", (501, "NotImplemented", "The service s3 is not implemented by Tidegate.")),
    ],
)
def test_operations_that_are_not_there(front: Front, service: str, body: str, expected: Any) -> None:
    assert error_of(front.serve(sign(service, body=body.encode()))) == expected


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("secretsmanager.Explode", (400, "UnknownOperationException", "Unknown operation: Explode")),
        ("GetSecretValue", (400, "UnknownOperationException", "Unknown operation: GetSecretValue")),
        ("other.GetSecretValue", (400, "UnknownOperationException", "Unknown operation: GetSecretValue")),
        (
            "secretsmanager.RotateSecret",
            (
                501,
                "NotImplementedException",
                "The operation RotateSecret of secretsmanager is not implemented by Tidegate.",
            ),
        ),
    ],
)
def test_targets_that_are_not_there(front: Front, target: str, expected: Any) -> None:
    assert error_of(front.json("x", {}, headers={"X-Amz-Target": target})) == expected
