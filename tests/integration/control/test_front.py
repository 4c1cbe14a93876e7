"""The front of the control plane over real sockets: boto3 and the aws CLI as they are, and clients that misbehave."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.control import ACCOUNT, REGION, ROOT
from tests.support.control_server import RunningFront
from tests.support.stack import Stack
from tests.support.tidegate import wait_until
from tidegate.control.account import Account
from tidegate.control.api.server import ApiServer
from tidegate.control.errors import AwsError
from tidegate.control.profile import environment, write_profile
from tidegate.launch.run import EXPOSED

AWS = Path(sys.executable).parent / "aws"


@pytest.fixture(autouse=True)
def _fresh(running: RunningFront) -> None:
    running.rds.outcome = running.secrets.outcome = running.ec2.outcome = running.iam.outcome = {}


# Clients as they are.


def test_boto3_in_each_protocol(running: RunningFront) -> None:
    identity = running.client("sts").get_caller_identity()
    assert (identity["Account"], identity["Arn"]) == (ACCOUNT, f"arn:aws:iam::{ACCOUNT}:root")
    metadata = identity["ResponseMetadata"]
    assert metadata["RequestId"] == metadata["HTTPHeaders"]["x-amzn-requestid"]
    running.rds.outcome = {"DBProxies": [{"DBProxyName": "a", "CreatedDate": 1.5}], "Marker": "m"}
    proxies = running.client("rds").describe_db_proxies(DBProxyName="a")
    assert proxies["DBProxies"][0]["CreatedDate"].timestamp() == 1.5
    assert (proxies["DBProxies"][0]["DBProxyName"], proxies["Marker"]) == ("a", "m")
    running.ec2.outcome = {"Vpcs": [{"VpcId": "vpc-1", "Tags": [{"Key": "k", "Value": "ü"}]}]}
    vpcs = running.client("ec2").describe_vpcs(VpcIds=["vpc-1"])
    assert vpcs["Vpcs"] == [{"VpcId": "vpc-1", "Tags": [{"Key": "k", "Value": "ü"}]}]
    running.secrets.outcome = {"SecretBinary": b"\x00", "SecretString": "ü", "CreatedDate": 1.5}
    secret = running.client("secretsmanager").get_secret_value(SecretId="a")
    assert (secret["SecretBinary"], secret["SecretString"]) == (b"\x00", "ü")
    assert secret["CreatedDate"].timestamp() == 1.5
    running.iam.outcome = {"User": {"Path": "/", "UserName": "u", "UserId": "A", "Arn": "a", "CreateDate": 1}}
    assert running.client("iam").create_user(UserName="u")["User"]["UserName"] == "u"
    running.client("iam").delete_user(UserName="u")


@pytest.mark.parametrize(
    ("service", "operation", "arguments", "status", "code"),
    [
        ("rds", "describe_db_proxies", {}, 404, "DBProxyNotFoundFault"),
        ("secretsmanager", "describe_secret", {"SecretId": "a"}, 404, "DBProxyNotFoundFault"),
        ("ec2", "describe_vpcs", {}, 404, "DBProxyNotFoundFault"),
    ],
)
def test_boto3_reads_errors(
    running: RunningFront, service: str, operation: str, arguments: dict[str, Any], status: int, code: str
) -> None:
    error = AwsError(code, "none <here>", status)
    running.rds.outcome = running.secrets.outcome = running.ec2.outcome = error  # type: ignore[assignment]
    with pytest.raises(ClientError) as caught:
        getattr(running.client(service), operation)(**arguments)
    assert caught.value.response["Error"]["Code"] == code
    assert caught.value.response["Error"]["Message"] == "none <here>"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
    assert caught.value.response["ResponseMetadata"]["RequestId"]


@pytest.mark.parametrize(
    ("service", "operation", "code"),
    [
        ("rds", "describe_db_proxies", "SignatureDoesNotMatch"),
        ("secretsmanager", "list_secrets", "InvalidSignatureException"),
        ("ec2", "describe_vpcs", "AuthFailure"),
        ("sts", "get_caller_identity", "SignatureDoesNotMatch"),
    ],
)
def test_boto3_with_a_wrong_secret(running: RunningFront, service: str, operation: str, code: str) -> None:
    with pytest.raises(ClientError) as caught:
        getattr(running.client(service, secret="wrong"), operation)()
    assert caught.value.response["Error"]["Code"] == code


@pytest.mark.parametrize(
    ("service", "operation", "arguments", "code"),
    [
        ("logs", "describe_log_groups", {}, "NotImplementedException"),
        ("kms", "list_keys", {}, "NotImplementedException"),
        ("dynamodb", "list_tables", {}, "NotImplementedException"),
        ("sqs", "list_queues", {}, "NotImplementedException"),
        ("lambda", "list_functions", {}, "NotImplementedException"),
        ("lambda", "delete_function", {"FunctionName": "f"}, "NotImplementedException"),
        ("eventbridgev2", "create_event_bus", {"Name": "n"}, "NotImplementedException"),
        ("cloudformation", "list_stacks", {}, "NotImplemented"),
        ("route53", "list_hosted_zones", {}, "NotImplemented"),
        ("s3", "get_bucket_acl", {"Bucket": "buc"}, "NotImplemented"),
        ("s3", "delete_bucket_policy", {"Bucket": "buc"}, "NotImplemented"),
    ],
)
def test_boto3_is_told_which_service_is_not_served(
    running: RunningFront, service: str, operation: str, arguments: dict[str, Any], code: str
) -> None:
    client = running.client(service, parameter_validation=False, s3={"addressing_style": "path"})
    with pytest.raises(ClientError) as caught:
        getattr(client, operation)(**arguments)
    name, signing_name = client.meta.method_to_api_mapping[operation], client.meta.service_model.signing_name
    told = f"The operation {name} of the service {signing_name} is not implemented by Tidegate."
    assert caught.value.response["Error"]["Code"] == code
    assert caught.value.response["Error"]["Message"] == told
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 501


def test_bounds_that_boto3_does_not_check_itself(running: RunningFront) -> None:
    with pytest.raises(ClientError) as caught:
        running.client("secretsmanager", parameter_validation=False).get_secret_value()
    assert caught.value.response["Error"] == {
        "Code": "ValidationException",
        "Message": "1 validation error detected: Value null at 'secretId' failed to satisfy constraint: "
        "Member must not be null",
    }
    with pytest.raises(ClientError) as caught:
        running.client("rds", parameter_validation=False).create_db_proxy(DBProxyName="a")
    assert caught.value.response["Error"]["Code"] == "MissingParameter"


def test_a_presigned_identity_is_read_by_anybody_who_has_it(running: RunningFront) -> None:
    url = running.client("sts").generate_presigned_url("get_caller_identity", ExpiresIn=60, HttpMethod="GET")
    request = urllib.request.Request(url, headers={"Accept": "application/json"})
    with urllib.request.urlopen(request) as answer:
        told = json.load(answer)
    result = told["GetCallerIdentityResponse"]["GetCallerIdentityResult"]
    assert result["Arn"] == f"arn:aws:iam::{ACCOUNT}:root"


def test_the_aws_cli_with_the_profile(running: RunningFront, tmp_path: Path) -> None:
    account = Account(
        number=ACCOUNT, region=REGION, root_access_key=ROOT.access_key, root_secret=ROOT.secret, created=0.0
    )
    write_profile(tmp_path, account, running.url)
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    env = kept | {
        "AWS_CONFIG_FILE": str(tmp_path / "aws" / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "aws" / "credentials"),
        "AWS_PROFILE": "tidegate",
        "AWS_MAX_ATTEMPTS": "1",
    }

    def aws(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([AWS, *arguments], env=env, capture_output=True, text=True, check=False, timeout=60)

    identity = aws("sts", "get-caller-identity")
    assert json.loads(identity.stdout)["Account"] == ACCOUNT, identity.stderr
    running.secrets.outcome = {"SecretString": "s"}
    secret = aws("secretsmanager", "get-secret-value", "--secret-id", "a")
    assert json.loads(secret.stdout) == {"SecretString": "s"}, secret.stderr
    running.rds.outcome = {"DBProxies": [{"DBProxyName": "a"}]}
    proxies = aws("rds", "describe-db-proxies", "--endpoint-url", running.url)
    assert json.loads(proxies.stdout) == {"DBProxies": [{"DBProxyName": "a"}]}, proxies.stderr
    missing = aws("rds", "describe-db-clusters")
    assert "(NotImplemented)" in missing.stderr
    assert "The operation DescribeDBClusters of rds is not implemented by Tidegate." in missing.stderr


def test_many_clients_at_once(running: RunningFront) -> None:
    failures: list[BaseException] = []

    def work() -> None:
        try:
            sts = running.client("sts")
            for _ in range(20):
                assert sts.get_caller_identity()["Account"] == ACCOUNT
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


# HTTP.


def test_health_needs_no_signature(running: RunningFront) -> None:
    with urllib.request.urlopen(f"{running.url}/health") as answer:
        assert (answer.status, json.load(answer)) == (200, {"status": "ok"})
    head = running.raw(b"HEAD /health HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert head.endswith(b"\r\n\r\n")


@pytest.mark.parametrize("method", [b"HEAD", b"OPTIONS", b"PUT", b"DELETE", b"PATCH", b"TRACE"])
def test_other_methods_are_not_allowed(running: RunningFront, method: bytes) -> None:
    answer = running.raw(method + b" / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 405 ")
    assert b"\r\nallow: GET, POST\r\n" in answer
    assert b"\r\nx-amzn-requestid: " in answer.lower()
    assert answer.endswith(b"\r\n\r\n") == (method == b"HEAD")


def test_other_paths_are_not_there(running: RunningFront) -> None:
    for path in (b"/x", b"//", b"/health/", b"/%2e", b"/%ff"):
        answer = running.raw(b"GET " + path + b" HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 404 "), path
        assert b"<Code>UnknownOperationException</Code>" in answer


def test_an_unsigned_request_is_told_so(running: RunningFront) -> None:
    answer = running.raw(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 403 Forbidden\r\n")
    assert b"content-type: text/xml\r\n" in answer
    assert b"<Code>MissingAuthenticationToken</Code>" in answer
    assert b"server:" not in answer.lower()


def test_an_answer_does_not_wait_for_an_acknowledgement(running: RunningFront) -> None:
    """With Nagle's algorithm on, each takes 40 ms; the fastest of many tells, however busy the machine is."""
    connection = http.client.HTTPConnection("127.0.0.1", running.port)
    took = []
    for _ in range(30):
        begun = time.perf_counter()
        connection.request("GET", "/health")
        connection.getresponse().read()
        took.append(time.perf_counter() - begun)
    connection.close()
    assert min(took[5:]) < 0.03


@pytest.mark.parametrize(
    "junk",
    [
        b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03" + b"\x00" * 32,
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\nHost: h\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\nContent-Length: x\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
        b"GET / HTTP/1.1\r\nBad Header\r\n\r\n",
        bytes(range(256)) * 4,
    ],
)
def test_what_is_no_http_is_refused(running: RunningFront, junk: bytes) -> None:
    assert running.raw(junk).startswith(b"HTTP/1.1 4")
    assert running.client("sts").get_caller_identity()["Account"] == ACCOUNT


def test_an_address_in_use_is_told(running: RunningFront) -> None:
    assert running.error_of_another() == f"--api 127.0.0.1:{running.port}: cannot listen there: Address already in use"


@pytest.mark.parametrize(
    ("host", "url", "exposed"),
    [
        ("127.0.0.1", "http://127.0.0.1:", False),
        ("localhost", "http://localhost:", False),
        ("::1", "http://[::1]:", False),
        ("0.0.0.0", "http://127.0.0.1:", True),
        ("0", "http://127.0.0.1:", True),
        ("::", "http://[::1]:", True),
    ],
)
def test_where_clients_of_this_machine_find_it(host: str, url: str, exposed: bool) -> None:
    async def started() -> tuple[str, bool, int]:
        async with ApiServer(None, host, 0) as server:
            return server.url, server.is_exposed, server.port

    found, is_exposed, port = asyncio.run(started())
    assert (found, is_exposed) == (f"{url}{port}", exposed)


def test_a_program_that_other_machines_may_reach_says_so() -> None:
    with Stack("--api", "0.0.0.0:0") as stack:
        assert stack.url.startswith("http://127.0.0.1:")
        assert environment(stack.data)["AWS_ENDPOINT_URL"] == stack.url
        assert stack.client("sts").get_caller_identity()["Account"]
        wait_until(lambda: EXPOSED in stack.said(), "it warns", 10)
        assert stack.said().count("warning") == 1
    with Stack() as stack:
        assert stack.client("sts").get_caller_identity()["Account"]
        assert stack.stop() == 0
        assert "warning" not in stack.said()


def test_tls(tmp_path: Path) -> None:
    with RunningFront(tmp_path, tls=True) as front:
        assert front.url.startswith("https://127.0.0.1:")
        answer = front.client("rds", verify=str(front.certificate)).describe_db_proxies()
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200
        assert front.rds.calls[-1].secure
