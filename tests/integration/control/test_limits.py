"""The limits that docs/aws.md promises, over HTTP: what is just within them is done, what is not is told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.stack import Stack
from tidegate.control.api.arrival import MAX_BODY


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with Stack() as made:
        yield made


def refusal(operation: Any, **arguments: Any) -> tuple[int, str, str]:
    """Status, code and message of the error that an operation answers."""
    with pytest.raises(ClientError) as caught:
        operation(**arguments)
    answer = caught.value.response
    return answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"], answer["Error"]["Message"]


TOO_LONG = (
    "1 validation error detected: Value at '{}' failed to satisfy constraint: Member must have length less than or "
)
TOO_LONG += "equal to 65536"
TOO_MANY_BYTES = "A secret value must have between 1 and 65536 bytes."


@pytest.mark.parametrize(
    ("member", "fits", "exceeds", "code", "message"),
    [
        ("SecretString", "A" * 65_536, "A" * 65_537, "ValidationException", TOO_LONG.format("secretString")),
        ("SecretString", "é" * 32_768, "é" * 32_768 + "e", "InvalidParameterException", TOO_MANY_BYTES),
        ("SecretBinary", b"\0" * 65_536, b"\0" * 65_537, "ValidationException", TOO_LONG.format("secretBinary")),
    ],
    ids=["characters", "characters of two bytes", "bytes"],
)
def test_a_secrets_value(
    stack: Stack, member: str, fits: str | bytes, exceeds: str | bytes, code: str, message: str
) -> None:
    client = stack.client("secretsmanager")
    secret = client.create_secret(Name="value", **{member: fits})["ARN"]
    assert client.get_secret_value(SecretId=secret)[member] == fits
    client.put_secret_value(SecretId=secret, **{member: fits})
    for operation, arguments in (
        (client.put_secret_value, {"SecretId": secret}),
        (client.update_secret, {"SecretId": secret}),
        (client.create_secret, {"Name": "other"}),
    ):
        assert refusal(operation, **arguments, **{member: exceeds}) == (400, code, message)
    assert len(client.list_secret_version_ids(SecretId=secret, IncludeDeprecated=True)["Versions"]) == 2
    assert [one["Name"] for one in client.list_secrets()["SecretList"]] == ["value"]
    client.delete_secret(SecretId=secret, ForceDeleteWithoutRecovery=True)


def test_a_secrets_policy(stack: Stack) -> None:
    client = stack.client("secretsmanager")
    secret = client.create_secret(Name="guarded")["ARN"]
    statement = {"Effect": "Deny", "Principal": "*", "Action": "secretsmanager:DeleteSecret", "Resource": "*"}
    text = json.dumps({"Version": "2012-10-17", "Statement": statement})
    client.put_resource_policy(SecretId=secret, ResourcePolicy=text.ljust(20_480))
    assert json.loads(client.get_resource_policy(SecretId=secret)["ResourcePolicy"])["Statement"] == statement
    status, code, message = refusal(client.put_resource_policy, SecretId=secret, ResourcePolicy=text.ljust(20_481))
    assert (status, code) == (400, "ValidationException")
    assert message.endswith("Member must have length less than or equal to 20480")


def test_entries_of_auth(stack: Stack) -> None:
    secrets, rds = stack.client("secretsmanager"), stack.client("rds")
    arns = [secrets.create_secret(Name=f"user-{number}")["ARN"] for number in range(201)]
    auth = [
        {"AuthScheme": "SECRETS", "SecretArn": arn, "IAMAuth": "DISABLED", "Description": "d" * 200} for arn in arns
    ]
    settings = {"EngineFamily": "POSTGRESQL", "RoleArn": stack.role(), "VpcSubnetIds": stack.subnets()}
    assert len(rds.create_db_proxy(DBProxyName="most", Auth=auth[:200], **settings)["DBProxy"]["Auth"]) == 200
    (found,) = rds.describe_db_proxies()["DBProxies"]
    assert [one["SecretArn"] for one in found["Auth"]] == arns[:200]
    assert refusal(rds.create_db_proxy, DBProxyName="more", Auth=auth, **settings)[:2] == (400, "InvalidParameterValue")
    assert [one["DBProxyName"] for one in rds.describe_db_proxies()["DBProxies"]] == ["most"]


def test_a_requests_body(stack: Stack) -> None:
    """Up to the limit it is the operation that finds it too long, beyond it the program, which reads no further."""
    client = stack.client("secretsmanager")
    token = "t" * 32
    least = len(json.dumps({"Name": "long", "ClientRequestToken": token, "Description": ""}))

    def told(size: int) -> tuple[int, str, str]:
        return refusal(client.create_secret, Name="long", ClientRequestToken=token, Description="d" * (size - least))

    assert told(MAX_BODY)[:2] == (400, "ValidationException")
    too_large = "The request is larger than 1048576 bytes."
    for size in (MAX_BODY + 1, 5 * MAX_BODY):
        assert told(size) == (413, "RequestEntityTooLargeException", too_large)
    iam = stack.client("iam")
    assert refusal(iam.create_user, UserName="u", Path="/" * 5 * MAX_BODY) == (413, "RequestEntityTooLarge", too_large)


def test_a_requests_parameters(stack: Stack) -> None:
    rds = stack.client("rds")

    def told(tags: int) -> tuple[int, str, str]:
        # Action, Version, and ResourceName are parameters, too.
        given = [{"Key": f"k{number}", "Value": "v"} for number in range(tags)]
        return refusal(rds.add_tags_to_resource, ResourceName="arn:aws:rds:us-east-1:1:db:none", Tags=given)

    assert told(1998) == (400, "InvalidParameterValue", "A resource can have at most 50 tags, not 1998.")
    malformed = "The query string is malformed: it has more than 4000 parameters."
    assert told(1999) == (400, "MalformedQueryString", malformed)
