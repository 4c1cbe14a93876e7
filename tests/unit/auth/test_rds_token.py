"""IAM tokens for databases: as botocore makes them, and every reason not to take one."""

from __future__ import annotations

import contextlib
import datetime as dt
import string
from typing import Any
from unittest import mock

import botocore.auth
import botocore.session
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.auth.rds_token import (
    MAX_TOKEN_SIZE,
    SigningKeys,
    TokenRefused,
    check_token,
    looks_like_token,
    make_token,
    parse_token,
)

KEY = "AKIAEXAMPLEEXAMPLE22"
SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
HOST = "main.proxy-abc.us-east-1.rds.amazonaws.com"
NOW = 1_800_000_000.0


def keys_of(region: str, session_token: str = "") -> SigningKeys:
    return SigningKeys(region=region, access_key=KEY, secret_key=SECRET, session_token=session_token)


hosts = st.sampled_from(["127.1.2.3", "localhost", HOST, "Mixed.Case.example", "[::1]"])
ports = st.sampled_from([5432, 443, 80, 1, 65535])
users = st.text(min_size=1, max_size=20).filter(lambda user: user.isprintable())
tokens = st.none() | st.text(string.ascii_letters + "+/=", min_size=1, max_size=60)


def of_botocore(host: str, port: int, user: str, region: str, session_token: str | None, now: float) -> str:
    client = botocore.session.get_session().create_client(
        "rds",
        region_name=region,
        aws_access_key_id=KEY,
        aws_secret_access_key=SECRET,
        aws_session_token=session_token,
    )
    at = dt.datetime.fromtimestamp(now, dt.UTC)
    with mock.patch.object(botocore.auth, "get_current_datetime", return_value=at):
        token: str = client.generate_db_auth_token(host, port, user)
    return token


@pytest.fixture(scope="module")
def client() -> Any:
    return botocore.session.get_session().create_client(
        "rds", region_name="eu-west-1", aws_access_key_id=KEY, aws_secret_access_key=SECRET
    )


@given(hosts, ports, users, st.integers(0, 4_000_000_000))
def test_the_same_bytes_as_botocores(client: Any, host: str, port: int, user: str, now: int) -> None:
    at = dt.datetime.fromtimestamp(now, dt.UTC)
    with mock.patch.object(botocore.auth, "get_current_datetime", return_value=at):
        theirs = client.generate_db_auth_token(host, port, user)
    assert make_token(host, port, user, keys_of("eu-west-1"), float(now)) == theirs
    token = parse_token(theirs)
    assert (token.host, token.port, token.user, token.access_key) == (host.lower(), port, user, KEY)
    check_token(token, SECRET, hosts=[host], port=port, user=user, region="eu-west-1", now=float(now))


def test_the_same_bytes_with_a_session_token() -> None:
    theirs = of_botocore(HOST, 5432, "app", "us-east-1", "IQoJ/b3+JpZ2==", NOW)
    assert make_token(HOST, 5432, "app", keys_of("us-east-1", "IQoJ/b3+JpZ2=="), NOW) == theirs
    token = parse_token(theirs)
    assert token.security_token == "IQoJ/b3+JpZ2=="
    assert (token.region, token.service, token.action, token.expires) == ("us-east-1", "rds-db", "connect", 900)
    assert token.signed_headers == ("host",)
    assert token.signed_at == NOW


@given(hosts, ports, users, tokens)
def test_what_is_made_is_accepted_for_a_quarter_of_an_hour(
    host: str, port: int, user: str, session_token: str | None
) -> None:
    token = parse_token(make_token(host, port, user, keys_of("us-east-1", session_token or ""), NOW))
    assert token.security_token == session_token
    for now in (NOW - 300, NOW, NOW + 900):
        check_token(token, SECRET, hosts=["other", host.upper()], port=port, user=user, region="us-east-1", now=now)


GOOD = make_token(HOST, 5432, "app", keys_of("us-east-1"), NOW)
EXPECTED: dict[str, Any] = {"hosts": [HOST], "port": 5432, "user": "app", "region": "us-east-1", "now": NOW}


@pytest.mark.parametrize(
    ("text", "changed", "reason"),
    [
        (GOOD.replace("Action=connect", "Action=drop"), {}, 'the token is not for Action "connect"'),
        (GOOD, {"hosts": ["other.example"]}, "the token was made for another host"),
        (GOOD, {"hosts": []}, "the token was made for another host"),
        (GOOD, {"port": 5433}, "the token was made for port 5432, not 5433"),
        (GOOD, {"user": "admin"}, 'the token was made for another user than "admin"'),
        (GOOD, {"user": "App"}, 'the token was made for another user than "App"'),
        (GOOD.replace("rds-db", "rds"), {}, 'the token is not for the service "rds-db"'),
        (GOOD, {"region": "eu-west-1"}, 'the token was made for another region than "eu-west-1"'),
        (
            GOOD.replace("SignedHeaders=host", "SignedHeaders=host%3Bx"),
            {},
            "the token signs other headers than host",
        ),
        (GOOD.replace("Expires=900", "Expires=901"), {}, "the token wants to live longer than 900 seconds"),
        (GOOD, {"now": NOW - 301}, "the token is from the future: check the clocks"),
        (GOOD, {"now": NOW + 901}, "the token has expired"),
        (GOOD.replace("Expires=900", "Expires=899"), {}, "the token's signature does not match"),
        (GOOD.replace(KEY, KEY[:-1] + "3"), {}, "the token's signature does not match"),
        (GOOD + "&Extra=1", {}, "the token's signature does not match"),
    ],
)
def test_each_reason_to_refuse(text: str, changed: dict[str, Any], reason: str) -> None:
    with pytest.raises(TokenRefused) as refused:
        check_token(parse_token(text), SECRET, **(EXPECTED | changed))
    assert str(refused.value) == reason


def test_another_secret_refuses() -> None:
    with pytest.raises(TokenRefused, match="signature"):
        check_token(parse_token(GOOD), SECRET + "x", **EXPECTED)


def test_a_token_for_another_user_in_its_query_is_refused() -> None:
    """The user is under the signature: who changes it along with the login still has none."""
    text = GOOD.replace("DBUser=app", "DBUser=postgres")
    with pytest.raises(TokenRefused, match="signature"):
        check_token(parse_token(text), SECRET, **(EXPECTED | {"user": "postgres"}))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "the token is not of the form HOST:PORT/?Action=connect&..."),
        ("secret", "the token is not of the form HOST:PORT/?Action=connect&..."),
        (GOOD + "&a=" + "x" * MAX_TOKEN_SIZE, f"the token is longer than {MAX_TOKEN_SIZE} characters"),
        (GOOD + "\n", "the token has characters that no token has"),
        (GOOD + "é", "the token has characters that no token has"),
        (GOOD.replace(":5432", ""), "the token does not begin with HOST:PORT"),
        (GOOD.replace(":5432", ":0"), "the token does not begin with HOST:PORT"),
        (GOOD.replace(":5432", ":65536"), "the token does not begin with HOST:PORT"),
        (GOOD.replace(":5432", ":-1"), "the token does not begin with HOST:PORT"),
        (GOOD.replace(HOST, ""), "the token does not begin with HOST:PORT"),
        (GOOD + "&DBUser=postgres", "the token repeats a parameter"),
        (GOOD + "&X%2DAmz-Date=1", "the token repeats a parameter"),
        (GOOD.replace("DBUser=app&", ""), "the token has no DBUser"),
        (GOOD.replace("DBUser=app&", "DBUser=&"), "the token has no DBUser"),
        (GOOD.replace("Action=connect&", ""), "the token has no Action"),
        (GOOD.replace("X-Amz-Date=", "X-Amz-Data="), "AWS query-string parameters must include 'X-Amz-Date'."),
        (GOOD.replace("%2Faws4_request", "%2Faws5_request"), "the token's credential does not fit its date"),
    ],
)
def test_what_is_no_token(text: str, reason: str) -> None:
    with pytest.raises(ValueError) as error:
        parse_token(text)
    assert str(error.value) == reason


@given(st.text(max_size=300) | st.text(st.sampled_from(list(GOOD)), max_size=400))
def test_any_text_is_a_token_or_a_value_error(text: str) -> None:
    for candidate in (text, f"{HOST}:5432/?{text}", GOOD[: len(text)] + text):
        with contextlib.suppress(ValueError):
            assert parse_token(candidate).port


def test_what_a_refused_password_may_have_been() -> None:
    assert looks_like_token(GOOD)
    assert not looks_like_token("hunter2")


def test_signatures_stay_out_of_reprs() -> None:
    text = make_token(HOST, 5432, "app", keys_of("us-east-1", "canary"), NOW)
    token = parse_token(text)
    assert "canary" not in repr(token)
    assert token.signature not in repr(token)
