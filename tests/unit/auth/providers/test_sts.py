"""Tokens that STS vouches for: every reason not to ask it, what its answers mean, and what is remembered."""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import urlencode

import pytest
from botocore.exceptions import EndpointConnectionError

from tidegate.auth.providers import sts
from tidegate.auth.providers.sts import CACHED, MAX_TOKEN_SIZE, PREFIX, StsTokens, matches
from tidegate.auth.rds_token import TokenRefused
from tidegate.auth.sigv4_claim import format_timestamp

NOW = 1_800_000_000.0
SERVER = "orders-proxy"
HOST = "https://sts.eu-west-1.amazonaws.com"
USER = "arn:aws:iam::123456789012:user/fn"
SECRET = "5up3rs3cr3t"
GOOD = {
    "Action": "GetCallerIdentity",
    "Version": "2011-06-15",
    "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
    "X-Amz-Credential": "AKIAEXAMPLE/20270115/eu-west-1/sts/aws4_request",
    "X-Amz-Date": format_timestamp(NOW),
    "X-Amz-Expires": "60",
    "X-Amz-SignedHeaders": "host;x-tidegate-server-id",
    "X-Amz-Signature": SECRET,
}


class Answer:
    """What STS says."""

    def __init__(self, arn: str = USER, status: int = 200, content: bytes | None = None) -> None:
        self.status_code = status
        told = f"<GetCallerIdentityResult><Arn>{arn}</Arn></GetCallerIdentityResult>"
        space = 'xmlns="https://sts.amazonaws.com/doc/2011-06-15/"'
        self.content = content or f"<GetCallerIdentityResponse {space}>{told}</GetCallerIdentityResponse>".encode()


class World:
    """An STS; `answer` is what it says, or raises."""

    def __init__(self, endpoint: str = "") -> None:
        self.asked: list[Any] = []
        self.answer: Answer | Exception = Answer()
        self.tokens = StsTokens(endpoint)

    def send(self, request: Any) -> Answer:
        self.asked.append(request)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def arn(self, token: str, server: str = SERVER, now: float = NOW) -> str:
        return self.tokens.arn(token, server, now)

    def refusal(self, token: str, now: float = NOW) -> str:
        with pytest.raises(TokenRefused) as caught:
            self.arn(token, now=now)
        assert SECRET not in str(caught.value)
        return str(caught.value)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    made: list[World] = []

    class Http:
        def __init__(self, **_: Any) -> None:
            pass

        def send(self, request: Any) -> Answer:
            return made[0].send(request)

    monkeypatch.setattr(sts, "URLLib3Session", Http)
    made.append(World())
    return made[0]


def encoded(url: str) -> str:
    return PREFIX + base64.urlsafe_b64encode(url.encode()).decode().rstrip("=")


def token(base: str = f"{HOST}/", **changes: str | None) -> str:
    """A good one but for these parameters; None leaves one out, and "_" stands for "-" in a name."""
    query = {**GOOD, **{name.replace("_", "-"): value for name, value in changes.items()}}
    return encoded(f"{base}?{urlencode({name: value for name, value in query.items() if value is not None})}")


def test_a_good_one(world: World) -> None:
    """It is asked of the host that it is for, with the proxy's own name in the header that must be signed."""
    assert world.arn(token()) == USER
    (request,) = world.asked
    assert (request.method, dict(request.headers)) == ("GET", {"x-tidegate-server-id": SERVER})
    assert request.url.startswith(f"{HOST}/?Action=GetCallerIdentity&")


@pytest.mark.parametrize(
    "base",
    [
        "https://sts.amazonaws.com/",
        "https://sts.amazonaws.com",
        "https://sts.us-gov-west-1.amazonaws.com/",
        "https://sts.cn-north-1.amazonaws.com.cn/",
    ],
)
def test_hosts_of_sts(world: World, base: str) -> None:
    assert world.arn(token(base)) == USER


@pytest.mark.parametrize(
    "base",
    [
        "http://sts.amazonaws.com/",
        "https://sts.amazonaws.com:8443/",
        "https://sts.amazonaws.com/path",
        "https://sts.amazonaws.com.evil.example/",
        "https://sts.evil.amazonaws.com/",
        "https://evil.example/sts.amazonaws.com/",
        "https://evil-sts.amazonaws.com/",
        "https://sts.amazonaws.com@evil.example/",
        "https://me@sts.amazonaws.com/",
        "https://STS.amazonaws.com/",
        "https://iam.amazonaws.com/",
        "https://169.254.169.254/",
        "//sts.amazonaws.com/",
        "file:///etc/passwd",
        "https://[sts.amazonaws.com/",
        "https://sts.amazon\taws.com/",
        "\nhttps://sts.amazonaws.com/",
        "https://sts.amazonaws.com /",
        "",
    ],
)
def test_no_other_host_is_asked(world: World, base: str) -> None:
    assert world.refusal(token(base)) == "the token's URL is not STS's"
    assert world.asked == []


def test_a_fragment_is_none_of_stss(world: World) -> None:
    assert world.refusal(encoded(f"{HOST}/?Action=GetCallerIdentity#x")) == "the token's URL is not STS's"


OTHER_ACTION = "the token is not of sts:GetCallerIdentity"
UNSIGNED = "the token's header x-tidegate-server-id is not signed"
ENDLESS = "the token does not say until when it is good"
LONG = "the token must be good for 900 seconds at most"
STRANGE = "the token's URL has parameters that do not belong there"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"Action": "AssumeRole"}, OTHER_ACTION),
        ({"Action": "getcalleridentity"}, OTHER_ACTION),
        ({"Action": None}, OTHER_ACTION),
        ({"Version": "2010-05-08"}, OTHER_ACTION),
        ({"Version": None}, OTHER_ACTION),
        ({"RoleArn": "x"}, STRANGE),
        ({"action": "AssumeRole"}, STRANGE),
        ({"X_Amz_SignedHeaders": "host"}, UNSIGNED),
        ({"X_Amz_SignedHeaders": "host;not-x-tidegate-server-id"}, UNSIGNED),
        ({"X_Amz_SignedHeaders": None}, UNSIGNED),
        ({"X_Amz_Date": None}, ENDLESS),
        ({"X_Amz_Date": "today"}, ENDLESS),
        ({"X_Amz_Date": "20270199T000000Z"}, ENDLESS),
        ({"X_Amz_Expires": None}, ENDLESS),
        ({"X_Amz_Expires": ""}, ENDLESS),
        ({"X_Amz_Expires": "a minute"}, ENDLESS),
        ({"X_Amz_Expires": "9" * 5000}, ENDLESS),
        ({"X_Amz_Expires": "0"}, LONG),
        ({"X_Amz_Expires": "-5"}, LONG),
        ({"X_Amz_Expires": "901"}, LONG),
        ({"X_Amz_Date": format_timestamp(NOW + 301)}, "the token is from the future"),
        ({"X_Amz_Date": format_timestamp(NOW - 61)}, "the token has expired"),
    ],
)
def test_what_it_must_be(world: World, changes: dict[str, str | None], said: str) -> None:
    assert world.refusal(token(**changes)) == said
    assert world.asked == []


@pytest.mark.parametrize(
    "query",
    [
        "",
        f"X-Amz-Signature={SECRET}&flag",
        f"X-Amz-Signature={SECRET}&&Action=GetCallerIdentity",
        "&".join([f"X-Amz-Signature={SECRET}"] * 21),
        f"X-Amz-Signature={SECRET}&Action=GetCallerIdentity&Action=GetCallerIdentity",
        f"X-Amz-Signature={SECRET}&Action=%ff",
        f"X-Amz-Signature={SECRET}&Action=GetCallerIdentity;Version=2011-06-15",
    ],
)
def test_hostile_queries_are_refused_and_not_repeated(world: World, query: str) -> None:
    """TokenRefused, and not another error, whose text would have a part of the token in the log."""
    world.refusal(encoded(f"{HOST}/?{query}"))
    assert world.asked == []


def test_clocks_may_differ(world: World) -> None:
    assert world.arn(token(X_Amz_Date=format_timestamp(NOW + 300))) == USER
    assert world.arn(token(X_Amz_Expires="900", X_Amz_Date=format_timestamp(NOW - 900))) == USER


@pytest.mark.parametrize("text", ["", SECRET, "tidegate-v2.abc", " " + PREFIX, PREFIX + "a" * MAX_TOKEN_SIZE])
def test_the_form(world: World, text: str) -> None:
    assert world.refusal(text) == "a token begins with tidegate-v1. and has 8192 characters at most"


@pytest.mark.parametrize("text", ["a", "*" * 8, "abc\n", "é" * 4, "\udcff" * 4, base64.b64encode(b"\xff\xfe").decode()])
def test_the_encoding(world: World, text: str) -> None:
    assert world.refusal(PREFIX + text) == "the token is not in base64url"


def test_padding_does_not_matter(world: World) -> None:
    padded = token()
    assert world.arn(padded + "=" * (-len(padded.removeprefix(PREFIX)) % 4)) == USER


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Answer(status=403), "STS refuses it with status 403"),
        (Answer(status=302), "STS refuses it with status 302"),
        (Answer(content=b'{"Arn": "' + USER.encode() + b'"}'), "STS answered something else than XML"),
        (Answer(content=b"<a>" + b"x" * 70_000 + b"</a>"), "STS answered something else than XML"),
        (Answer(content=b"<a><Arn/></a>"), "STS did not say whose the token is"),
        # Its text has the whole URL, which is the token.
        (EndpointConnectionError(endpoint_url=HOST), "STS can't be asked: EndpointConnectionError"),
    ],
)
def test_answers_that_name_nobody(world: World, answer: Answer | Exception, said: str) -> None:
    world.answer = answer
    assert world.refusal(token()) == said
    world.answer = Answer()
    assert world.arn(token()) == USER, "a refusal must not be remembered"


@pytest.mark.parametrize(
    ("said", "means"),
    [
        (USER, USER),
        ("arn:aws:iam::123456789012:root", "arn:aws:iam::123456789012:root"),
        ("arn:aws:sts::123456789012:assumed-role/fn/i-0a1b", "arn:aws:iam::123456789012:role/fn"),
        ("arn:aws-cn:sts::123456789012:assumed-role/fn/x@y", "arn:aws-cn:iam::123456789012:role/fn"),
        ("arn:aws:sts::123456789012:federated-user/me", "arn:aws:sts::123456789012:federated-user/me"),
    ],
)
def test_a_session_is_its_role(world: World, said: str, means: str) -> None:
    world.answer = Answer(said)
    assert world.arn(token()) == means


def test_a_verified_one_is_remembered_until_it_expires(world: World) -> None:
    assert [world.arn(token(), now=NOW + second) for second in (0, 30, 59)] == [USER] * 3
    assert len(world.asked) == 1
    assert world.refusal(token(), now=NOW + 61) == "the token has expired"


def test_what_is_remembered_is_of_this_server_and_this_token(world: World) -> None:
    world.arn(token())
    world.answer = Answer(status=403)
    with pytest.raises(TokenRefused):
        world.arn(token(), server="another")
    with pytest.raises(TokenRefused):
        world.arn(token(X_Amz_Signature=SECRET + "0"))


def test_the_oldest_are_forgotten(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    assert CACHED >= 1000
    monkeypatch.setattr(sts, "CACHED", 2)
    for number in (1, 2, 3, 3, 2, 1):
        world.arn(token(X_Amz_Signature=str(number)))
    assert len(world.asked) == 4


def test_an_endpoint_of_ones_own(monkeypatch: pytest.MonkeyPatch, world: World) -> None:
    """It is asked in AWS's place, and AWS no more."""
    world.tokens = StsTokens("http://127.0.0.1:4566")
    assert world.arn(token("http://127.0.0.1:4566/")) == USER
    for base in (f"{HOST}/", "https://127.0.0.1:4566/", "http://127.0.0.1:4567/", "http://127.0.0.1:4566/path"):
        assert world.refusal(token(base)) == "the token's URL is not STS's"


@pytest.mark.parametrize(
    ("pattern", "fits"),
    [
        (USER, True),
        ("arn:aws:iam::123456789012:user/*", True),
        ("*", True),
        ("arn:*:user/f*n", True),
        ("arn:aws:iam::123456789012:user/f", False),
        ("arn:aws:iam::123456789012:user/fn2", False),
        ("arn:aws:iam::.*:user/fn", False),
        ("arn:aws:iam::............:user/fn", False),
        ("arn:aws:iam::123456789012:user/FN", False),
        ("", False),
    ],
)
def test_patterns(pattern: str, fits: bool) -> None:
    """ "*" is the only character that stands for others."""
    assert matches(USER, [pattern]) is fits
    assert matches(USER, ["arn:aws:iam::123456789012:role/other", pattern]) is fits


def test_no_pattern_fits_nobody() -> None:
    assert not matches(USER, [])


def test_a_newline_does_not_end_an_arn() -> None:
    assert not matches(USER + "\n", [USER])
