"""Tokens that `tidegate token` makes: what the other half, `sts`, takes."""

from __future__ import annotations

import base64
import time
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from botocore.exceptions import ClientError

from tidegate.auth import sigv4
from tidegate.auth.providers import sts
from tidegate.auth.providers.sessions import AwsSession, AwsUnavailable
from tidegate.auth.providers.sts import PREFIX, StsTokens
from tidegate.auth.providers.sts_token import make_sts_token
from tidegate.auth.sigv4_claim import Request, claim_of

SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
SERVER = "orders-proxy"


class Checking:
    """An STS that checks signatures as AWS's does: over the headers that have come."""

    def __init__(self, **_: Any) -> None:
        self.status_code, self.content = 200, b"<a><Arn>arn:aws:iam::123456789012:user/fn</Arn></a>"

    def send(self, request: Any) -> Checking:
        parts = urlsplit(request.url)
        headers = [("host", parts.netloc), *((name, value) for name, value in request.headers.items())]
        arrived = Request(method=request.method, path=parts.path, query=parts.query, headers=headers)
        claim = claim_of(arrived)
        assert claim is not None
        sigv4.check(arrived, claim, SECRET)
        return self


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sts, "URLLib3Session", Checking)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.delenv("AWS_SESSION_TOKEN", raising=False)


def address(token: str) -> str:
    text = token.removeprefix(PREFIX)
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()


@pytest.mark.parametrize(
    ("region", "host"),
    [
        ("eu-west-1", "sts.eu-west-1.amazonaws.com"),
        ("us-gov-west-1", "sts.us-gov-west-1.amazonaws.com"),
        ("cn-north-1", "sts.cn-north-1.amazonaws.com.cn"),
    ],
)
def test_the_proxy_takes_it(region: str, host: str) -> None:
    token = make_sts_token(AwsSession(region=region), SERVER)
    assert urlsplit(address(token)).netloc == host
    assert StsTokens().arn(token, SERVER, time.time()) == "arn:aws:iam::123456789012:user/fn"


def test_it_is_for_one_proxy() -> None:
    token = make_sts_token(AwsSession(region="eu-west-1"), SERVER)
    with pytest.raises(ValueError, match="signature"):
        StsTokens().arn(token, "another", time.time())


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:4566", "http://127.0.0.1:4566/"])
def test_an_endpoint_of_ones_own(endpoint: str) -> None:
    token = make_sts_token(AwsSession(region="eu-west-1"), SERVER, endpoint)
    assert address(token).startswith("http://127.0.0.1:4566/?Action=GetCallerIdentity&")
    assert StsTokens(endpoint).arn(token, SERVER, time.time())


def test_temporary_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SESSION_TOKEN", "a+b/c=")
    token = make_sts_token(AwsSession(region="eu-west-1"), SERVER)
    assert parse_qs(urlsplit(address(token)).query)["X-Amz-Security-Token"] == ["a+b/c="]
    assert StsTokens().arn(token, SERVER, time.time())


def test_no_secret_is_in_it() -> None:
    assert SECRET not in address(make_sts_token(AwsSession(region="eu-west-1"), SERVER))


def test_keys_that_cant_be_had() -> None:
    """A role that may not be assumed, say: one line for the user, no traceback."""

    class Session:
        def get_credentials(self) -> None:
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": "not you"}}, "AssumeRole")

    session = AwsSession(region="eu-west-1")
    session._session = Session()
    with pytest.raises(AwsUnavailable, match="not you"):
        make_sts_token(session, SERVER)
