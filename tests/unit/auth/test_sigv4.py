"""AWS Signature Version 4, against AWS's published vectors and against botocore."""

from __future__ import annotations

import datetime as dt
import string
from dataclasses import replace
from unittest import mock

import botocore.auth
import pytest
from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from tidegate.auth import sigv4
from tidegate.auth.sigv4_claim import (
    IncompleteSignature,
    Request,
    SignatureExpired,
    SignatureRefused,
    claim_of,
    parse_timestamp,
)

KEY = "AKIDEXAMPLE"
SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
DATE = "20150830T123600Z"
NOW = parse_timestamp(DATE)
EXAMPLE = [("Host", "example.amazonaws.com"), ("X-Amz-Date", DATE)]

MISMATCH = (
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key "
    "and signing method. Consult the service documentation for details."
)


def authorization(signature: str, headers: str = "host;x-amz-date", service: str = "service") -> tuple[str, str]:
    return (
        "Authorization",
        f"AWS4-HMAC-SHA256 Credential={KEY}/20150830/us-east-1/{service}/aws4_request, "
        f"SignedHeaders={headers}, Signature={signature}",
    )


FORM = ("Content-Type", "application/x-www-form-urlencoded")
IAM_HEADERS = [
    ("Host", "iam.amazonaws.com"),
    ("Content-Type", "application/x-www-form-urlencoded; charset=utf-8"),
    ("X-Amz-Date", DATE),
]
SUITE = {
    "get-vanilla": (
        Request(method="GET", path="/", headers=EXAMPLE),
        authorization("5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
    ),
    "get-vanilla-query-order-key-case": (
        Request(method="GET", path="/", query="Param2=value2&Param1=value1", headers=EXAMPLE),
        authorization("b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"),
    ),
    "post-vanilla": (
        Request(method="POST", path="/", headers=EXAMPLE),
        authorization("5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
    ),
    "post-x-www-form-urlencoded": (
        Request(method="POST", path="/", headers=[FORM, *EXAMPLE], body=b"Param1=value1"),
        authorization(
            "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a", "content-type;host;x-amz-date"
        ),
    ),
    "normalize-path": (
        Request(method="GET", path="/example/..", headers=EXAMPLE),
        authorization("5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
    ),
    "iam ListUsers (General Reference)": (
        Request(method="GET", path="/", query="Action=ListUsers&Version=2010-05-08", headers=IAM_HEADERS),
        authorization(
            "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7", "content-type;host;x-amz-date", "iam"
        ),
    ),
}


@pytest.mark.parametrize("name", SUITE)
def test_published_signatures_hold(name: str) -> None:
    unsigned, header = SUITE[name]
    request = replace(unsigned, headers=[*unsigned.headers, header])
    claim = claim_of(request)
    assert claim is not None
    sigv4.check(request, claim, SECRET)
    with pytest.raises(SignatureRefused) as refused:
        sigv4.check(request, claim, SECRET[:-1])
    assert str(refused.value) == MISMATCH


def test_the_published_signing_key() -> None:
    key = sigv4.signing_key(SECRET, "20150830", "us-east-1", "iam")
    assert key.hex() == "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9"


def test_the_published_canonical_request() -> None:
    canonical = sigv4.canonical_request(
        Request(method="GET", path="/", query="Version=2010-05-08&Action=ListUsers", headers=IAM_HEADERS),
        ("content-type", "host", "x-amz-date"),
    )
    assert canonical == (
        "GET\n/\nAction=ListUsers&Version=2010-05-08\n"
        "content-type:application/x-www-form-urlencoded; charset=utf-8\nhost:iam.amazonaws.com\n"
        "x-amz-date:20150830T123600Z\n\ncontent-type;host;x-amz-date\n"
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    )


# botocore, as the other side.

FROZEN = dt.datetime(2015, 8, 30, 12, 36, tzinfo=dt.UTC)
texts = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=12)
names = st.text(string.ascii_letters + string.digits + "-_.~ +/&=%é", min_size=1, max_size=8)
header_names = st.text(string.ascii_letters + "-", min_size=1, max_size=8).map(lambda name: f"x-own-{name.lower()}")
header_values = st.text(string.ascii_letters + string.digits + " ;,=/+", max_size=20)
paths = st.lists(st.sampled_from(["a", "b%20c", "..", ".", "", "~", "x y", "%2F", "é"]), max_size=5).map(
    lambda parts: "/" + "/".join(parts)
)


def prepared(method: str, path: str, params: dict[str, str], headers: dict[str, str], body: bytes) -> AWSRequest:
    from botocore.utils import percent_encode_sequence

    url = f"https://api.test:8443{path}"
    if params:
        url += "?" + percent_encode_sequence(params)
    return AWSRequest(method=method, url=url, headers=headers, data=body)


def received(request: AWSRequest) -> Request:
    """What comes over the wire of a request that botocore has signed."""
    rest = request.url.removeprefix("https://api.test:8443")
    path, _, query = rest.partition("?")
    headers = [("Host", "api.test:8443"), *request.headers.items()]
    return Request(method=request.method, path=path, query=query, headers=headers, body=request.data or b"")


@given(
    st.sampled_from(["GET", "POST"]),
    paths,
    st.dictionaries(names, texts, max_size=4),
    st.dictionaries(header_names, header_values, max_size=3),
    st.binary(max_size=40),
    st.booleans(),
)
def test_what_botocore_signs_is_accepted(
    method: str, path: str, params: dict[str, str], headers: dict[str, str], body: bytes, with_token: bool
) -> None:
    aws = prepared(method, path, params, headers, body)
    with mock.patch.object(botocore.auth, "get_current_datetime", return_value=FROZEN):
        SigV4Auth(Credentials(KEY, SECRET, "to/ken+" if with_token else None), "rds", "eu-west-1").add_auth(aws)
    request = received(aws)
    claim = claim_of(request)
    assert claim is not None
    assert (claim.credential.access_key, claim.credential.region, claim.credential.service) == (KEY, "eu-west-1", "rds")
    assert claim.security_token == ("to/ken+" if with_token else None)
    assert claim.signed_at == NOW
    sigv4.check(request, claim, SECRET)
    with pytest.raises(SignatureRefused):
        sigv4.check(replace(request, body=request.body + b"x"), claim, SECRET)
    with pytest.raises(SignatureRefused):
        sigv4.check(replace(request, query=request.query + "&Action=Other"), claim, SECRET)


@given(st.dictionaries(names, texts, max_size=4), st.dictionaries(header_names, header_values, max_size=2))
def test_what_botocore_presigns_is_accepted(params: dict[str, str], headers: dict[str, str]) -> None:
    aws = prepared("GET", "/", params, headers, b"")
    with mock.patch.object(botocore.auth, "get_current_datetime", return_value=FROZEN):
        SigV4QueryAuth(Credentials(KEY, SECRET, "to/ken+"), "sts", "us-east-1", expires=60).add_auth(aws)
    request = received(aws)
    claim = claim_of(request)
    assert claim is not None
    assert (claim.presigned, claim.expires, claim.security_token) == (True, 60, "to/ken+")
    sigv4.check(request, claim, SECRET)
    with pytest.raises(SignatureRefused):
        sigv4.check(replace(request, query=request.query.replace("Expires=60", "Expires=61")), claim, SECRET)


# Refusals.


def signed(headers: list[tuple[str, str]], header: tuple[str, str]) -> Request:
    return Request(method="GET", path="/", headers=[*headers, header])


def test_an_unsigned_request_claims_nothing() -> None:
    assert claim_of(Request(method="GET", path="/", query="Action=X", headers=EXAMPLE)) is None


ZEROES = "0" * 64
SCOPE = f"{KEY}/20150830/us-east-1/iam/aws4_request"


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("Basic dXNlcjpwYXNz", "Unsupported AWS 'algorithm'"),
        (
            "AWS4-HMAC-SHA256 Nothing=1",
            "Authorization header requires 'Credential' parameter. Authorization header requires 'Signature' "
            "parameter. Authorization header requires 'SignedHeaders' parameter. Authorization (hashed",
        ),
        ("AWS4-HMAC-SHA256 Credential", "A part of the header is not a valid key=value pair."),
        (f"AWS4-HMAC-SHA256 Credential={SCOPE}, Credential={SCOPE}", "must not repeat the 'Credential' parameter"),
        (
            f"AWS4-HMAC-SHA256 Credential=a/b, SignedHeaders=host, Signature={ZEROES}",
            "Credential must have exactly 5 slash-delimited elements",
        ),
        (
            f"AWS4-HMAC-SHA256 Credential={SCOPE}, SignedHeaders=x-amz-date, Signature={ZEROES}",
            "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.",
        ),
        (
            f"AWS4-HMAC-SHA256 Credential={SCOPE}, SignedHeaders=host, Signature=XYZ",
            "Signature must be 64 hexadecimal digits",
        ),
        (
            f"AWS4-HMAC-SHA256 Credential={SCOPE}, SignedHeaders=host;host, Signature={ZEROES}",
            "SignedHeaders names too many headers, or one of them twice.",
        ),
    ],
)
def test_an_incomplete_header_is_told_what_it_lacks(value: str, told: str) -> None:
    with pytest.raises(IncompleteSignature) as error:
        claim_of(signed(EXAMPLE, ("Authorization", value)))
    assert str(error.value).startswith(told) or told in str(error.value)
    assert value not in str(error.value)


def test_a_header_without_a_date_is_incomplete() -> None:
    with pytest.raises(IncompleteSignature, match="either a 'X-Amz-Date' or a 'Date' header"):
        claim_of(signed([("Host", "h")], authorization(ZEROES, "host")))


def test_the_date_header_will_do() -> None:
    claim = claim_of(signed([("Host", "h"), ("Date", "Sun, 30 Aug 2015 12:36:00 GMT")], authorization(ZEROES, "host")))
    assert claim is not None
    assert claim.timestamp == DATE


def test_a_date_outside_the_scope_is_refused() -> None:
    with pytest.raises(SignatureRefused, match=r"'20150830' != '20150831', from '20150831T000000Z'"):
        claim_of(signed([("Host", "h"), ("X-Amz-Date", "20150831T000000Z")], authorization(ZEROES)))


@pytest.mark.parametrize(
    "date", ["20150830", "20151330T123600Z", "2015-08-30T12:36:00Z", "\uff120150830T123600Z", "x" * 9999]
)
def test_a_date_that_is_none_is_incomplete(date: str) -> None:
    with pytest.raises(IncompleteSignature, match="ISO-8601"):
        claim_of(signed([("Host", "h"), ("X-Amz-Date", date)], authorization(ZEROES)))


def test_two_signatures_are_refused() -> None:
    header = authorization(ZEROES)
    with pytest.raises(IncompleteSignature):
        claim_of(Request(method="GET", path="/", headers=[*EXAMPLE, header, header]))
    with pytest.raises(IncompleteSignature):
        claim_of(Request(method="GET", path="/", query="X-Amz-Algorithm=AWS4-HMAC-SHA256", headers=[*EXAMPLE, header]))


@pytest.mark.parametrize("expires", ["0", "604801", "-1", "1e3", "٣", "", "9" * 5000])
def test_a_presigned_request_must_expire_within_a_week(expires: str) -> None:
    query = (
        f"X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={SCOPE}&X-Amz-Date={DATE}&X-Amz-Expires={expires}"
        f"&X-Amz-SignedHeaders=host&X-Amz-Signature={ZEROES}"
    )
    with pytest.raises(IncompleteSignature, match="X-Amz-Expires"):
        claim_of(Request(method="GET", path="/", query=query, headers=EXAMPLE))


def test_a_presigned_request_that_repeats_a_part_is_refused() -> None:
    query = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Date=1&X-Amz-Date=2"
    with pytest.raises(IncompleteSignature, match="'X-Amz-Date' must not be repeated"):
        claim_of(Request(method="GET", path="/", query=query, headers=EXAMPLE))


@pytest.mark.parametrize("header", ["X-Amz-Target", "X-Amz-Security-Token", "X-Amz-Content-Sha256"])
def test_what_says_what_is_asked_must_be_signed(header: str) -> None:
    unsigned, signature = SUITE["get-vanilla"]
    request = replace(unsigned, headers=[*unsigned.headers, signature, (header, "anything")])
    claim = claim_of(request)
    assert claim is not None
    with pytest.raises(SignatureRefused, match=f"must be signed and are not: {header.lower()}"):
        sigv4.check(request, claim, SECRET)


def test_a_header_that_is_signed_but_not_there() -> None:
    request = signed(EXAMPLE, authorization(ZEROES, "host;x-amz-date;x-gone"))
    claim = claim_of(request)
    assert claim is not None
    with pytest.raises(SignatureRefused, match="lacks headers that it claims to have signed: x-gone"):
        sigv4.check(request, claim, SECRET)


def with_payload_hash(told: str, body: bytes) -> Request:
    """A request that signs `told` for the hash of its body."""
    headers = [*EXAMPLE, ("X-Amz-Content-Sha256", told)]
    names_signed = ("host", "x-amz-content-sha256", "x-amz-date")
    request = Request(method="POST", path="/", headers=headers, body=body)
    bare = claim_of(replace(request, headers=[*headers, authorization(ZEROES, ";".join(names_signed))]))
    assert bare is not None
    canonical = sigv4.canonical_request(request, names_signed)
    signature = sigv4._signature(canonical, bare.credential, DATE, SECRET)
    return replace(request, headers=[*headers, authorization(signature, ";".join(names_signed))])


@pytest.mark.parametrize(
    ("told", "fits"),
    [
        ("UNSIGNED-PAYLOAD", True),
        ("2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824", True),
        ("3cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824", False),
        ("STREAMING-AWS4-HMAC-SHA256-PAYLOAD", False),
    ],
)
def test_the_hash_that_is_told_must_be_the_bodys(told: str, fits: bool) -> None:
    request = with_payload_hash(told, b"hello")
    claim = claim_of(request)
    assert claim is not None
    if fits:
        sigv4.check(request, claim, SECRET)
        return
    with pytest.raises(SignatureRefused, match="does not match"):
        sigv4.check(request, claim, SECRET)


def test_a_plus_sign_and_a_space_are_one_and_what_is_read() -> None:
    assert sigv4.canonical_query("a=b+c") == sigv4.canonical_query("a=b%20c") == "a=b%20c"
    assert sigv4.canonical_query("a=b%2Bc") == "a=b%2Bc"


def test_secrets_stay_out_of_reprs() -> None:
    request = replace(
        SUITE["get-vanilla"][0],
        headers=[*EXAMPLE, authorization(ZEROES), ("X-Amz-Security-Token", "canary")],
        body=b"canary",
    )
    claim = claim_of(request)
    assert "canary" not in repr(claim)
    assert ZEROES not in repr(claim)
    assert "canary" not in repr(request)
    assert ZEROES not in repr(request)


# Time.


@pytest.mark.parametrize(("offset", "holds"), [(-901, False), (-900, True), (0, True), (900, True), (901, False)])
def test_a_signature_holds_for_a_quarter_of_an_hour_either_way(offset: int, holds: bool) -> None:
    claim = claim_of(signed(EXAMPLE, authorization(ZEROES)))
    assert claim is not None
    if holds:
        sigv4.check_time(claim, NOW + offset)
        return
    with pytest.raises(SignatureExpired) as error:
        sigv4.check_time(claim, NOW + offset)
    assert str(error.value) == (
        "Signature expired: 20150830T123600Z is now earlier than 20150830T123601Z (20150830T125101Z - 15 min.)"
        if offset > 0
        else "Signature not yet current: 20150830T123600Z is still later than 20150830T123559Z "
        "(20150830T122059Z + 15 min.)"
    )


@pytest.mark.parametrize(
    ("after", "at_least", "holds"), [(60, 0, True), (61, 0, False), (900, 900, True), (901, 900, False)]
)
def test_a_presigned_request_holds_as_long_as_it_says(after: int, at_least: int, holds: bool) -> None:
    query = (
        f"X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={SCOPE}&X-Amz-Date={DATE}&X-Amz-Expires=60"
        f"&X-Amz-SignedHeaders=host&X-Amz-Signature={ZEROES}"
    )
    claim = claim_of(Request(method="GET", path="/", query=query, headers=EXAMPLE))
    assert claim is not None
    if holds:
        sigv4.check_time(claim, NOW + after, at_least=at_least)
    else:
        with pytest.raises(SignatureExpired, match="Signature expired"):
            sigv4.check_time(claim, NOW + after, at_least=at_least)
