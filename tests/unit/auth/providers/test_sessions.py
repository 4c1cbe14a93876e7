"""The proxy's own way to AWS: which settings count, and what is said where something is missing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError

from tidegate.auth.providers.aws_keys import signing_keys
from tidegate.auth.providers.sessions import TIMEOUT, AwsSession, AwsUnavailable
from tidegate.auth.rds_token import SigningKeys

CANARY = "5up3rs3cr3t"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """botocore finds what the test has written, and nothing of the machine's."""
    for name in (
        "AWS_PROFILE",
        "AWS_DEFAULT_PROFILE",
        "AWS_REGION",
        "AWS_DEFAULT_REGION",
        "AWS_ENDPOINT_URL",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return tmp_path


def test_settings_reach_the_client() -> None:
    client = AwsSession(region="eu-west-1", endpoint_url="http://127.0.0.1:4566").client("secretsmanager")
    assert client.meta.region_name == "eu-west-1"
    assert client.meta.endpoint_url == "http://127.0.0.1:4566"
    assert client.meta.config.connect_timeout == client.meta.config.read_timeout == TIMEOUT
    assert client.meta.config.retries["total_max_attempts"] == 2


def test_without_an_endpoint_it_is_awss_own() -> None:
    client = AwsSession(region="eu-west-1").client("secretsmanager")
    assert client.meta.endpoint_url == "https://secretsmanager.eu-west-1.amazonaws.com"


def test_a_client_is_made_once() -> None:
    session = AwsSession(region="eu-west-1")
    assert session.client("sts") is session.client("sts")
    assert session.client("sts") is not session.client("secretsmanager")


def test_the_profile_and_its_region(home: Path) -> None:
    (home / "config").write_text("[default]\nregion = us-east-2\n[profile team]\nregion = ap-south-1\n")
    assert AwsSession().region == "us-east-2"
    assert AwsSession(profile="team").region == "ap-south-1"
    assert AwsSession(profile="team", region="eu-west-1").region == "eu-west-1"


def test_the_environments_region(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """AWS_REGION is what Lambda sets; botocore alone reads AWS_DEFAULT_REGION only."""
    (home / "config").write_text("[default]\nregion = us-east-2\n")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "ap-south-1")
    assert AwsSession().region == "ap-south-1"
    monkeypatch.setenv("AWS_REGION", "eu-north-1")
    assert AwsSession().region == "eu-north-1"
    assert AwsSession(region="eu-west-1").region == "eu-west-1"


def test_no_such_profile() -> None:
    session = AwsSession(profile="nobody", region="eu-west-1")
    for _ in range(2):
        with pytest.raises(AwsUnavailable, match=r"The config profile \(nobody\) could not be found"):
            session.client("sts")
    with pytest.raises(AwsUnavailable, match="nobody"):
        signing_keys(session)


def test_no_region() -> None:
    with pytest.raises(AwsUnavailable, match="no AWS region is known; set aws_region or AWS_REGION"):
        AwsSession().client("sts")


def test_what_is_no_endpoint() -> None:
    with pytest.raises(AwsUnavailable, match="no client of sts: Invalid endpoint: nonsense"):
        AwsSession(region="eu-west-1", endpoint_url="nonsense").client("sts")


def test_a_damaged_profile(home: Path) -> None:
    (home / "config").write_text("[profile")
    with pytest.raises(AwsUnavailable, match="config"):
        AwsSession(region="eu-west-1").client("sts")


def test_keys_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", CANARY)
    session = AwsSession(region="eu-west-1")
    assert signing_keys(session) == SigningKeys(
        region="eu-west-1", access_key="AKIAEXAMPLE", secret_key=CANARY, session_token=""
    )
    assert CANARY not in repr(signing_keys(session))


def test_temporary_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "ASIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", CANARY)
    monkeypatch.setenv("AWS_SESSION_TOKEN", CANARY + "token")
    found = signing_keys(AwsSession(region="eu-west-1"))
    assert found.session_token == CANARY + "token"
    assert CANARY not in repr(found)


def test_keys_of_a_profile(home: Path) -> None:
    (home / "credentials").write_text(f"[team]\naws_access_key_id = AKIATEAM\naws_secret_access_key = {CANARY}\n")
    assert signing_keys(AwsSession(region="eu-west-1", profile="team")).access_key == "AKIATEAM"


def test_no_keys() -> None:
    with pytest.raises(AwsUnavailable, match="no AWS credentials are to be found; see aws_profile"):
        signing_keys(AwsSession(region="eu-west-1"))


def test_half_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    with pytest.raises(AwsUnavailable, match="Partial credentials found in env"):
        signing_keys(AwsSession(region="eu-west-1"))


def test_a_process_that_gives_no_keys(home: Path) -> None:
    """What its standard error says is AWS's own wording; the proxy goes on with what it had."""
    (home / "config").write_text("[default]\ncredential_process = /bin/false\n")
    with pytest.raises(AwsUnavailable, match="AWS credentials: Error when retrieving credentials from custom-process"):
        signing_keys(AwsSession(region="eu-west-1"))


EXPIRED = {
    "Version": 1,
    "AccessKeyId": "A",
    "SecretAccessKey": "S",
    "SessionToken": "T",
    "Expiration": "2001-01-01T00:00:00Z",
}


def test_keys_that_have_expired(home: Path) -> None:
    """botocore raises RuntimeError where even fresh ones are old."""
    script = home / "keys.json"
    script.write_text(json.dumps(EXPIRED))
    (home / "config").write_text(f"[default]\ncredential_process = cat {script}\n")
    with pytest.raises(AwsUnavailable, match=r"AWS credentials: .*still expired"):
        signing_keys(AwsSession(region="eu-west-1"))


def test_a_role_that_may_not_be_assumed(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """STS's refusal comes as a ClientError, which is no BotoCoreError."""

    def refuse(self: object, name: str, parameters: object) -> None:
        raise ClientError({"Error": {"Code": "AccessDenied", "Message": "not you"}}, name)

    monkeypatch.setattr(BaseClient, "_make_api_call", refuse)
    (home / "config").write_text(
        "[profile assumed]\nrole_arn = arn:aws:iam::123456789012:role/db\nsource_profile = base\n"
    )
    (home / "credentials").write_text("[base]\naws_access_key_id = A\naws_secret_access_key = S\n")
    with pytest.raises(AwsUnavailable, match=r"AWS credentials: .*AccessDenied.*not you"):
        signing_keys(AwsSession(region="eu-west-1", profile="assumed"))
