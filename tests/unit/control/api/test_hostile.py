"""Requests that nobody's SDK makes: whatever comes, the answer is one of AWS's errors, and never our fault."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.control import NOW, ROOT, Front, arrival, error_of, sign
from tidegate.control.api.arrival import Arrival
from tidegate.control.api.models import load_api
from tidegate.control.api.refusals import DOUBTS, Doubt

SCOPE = f"{ROOT.access_key}/20270115/eu-west-1/rds/aws4_request"
GOOD = f"AWS4-HMAC-SHA256 Credential={SCOPE}, SignedHeaders=host;x-amz-date, Signature={'0' * 64}"


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Front:
    return Front(tmp_path_factory.mktemp("front"))


@pytest.fixture(autouse=True)
def _nothing_is_our_fault(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    yield
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []


def text_of(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


wild = st.binary(max_size=40).map(text_of) | st.text(max_size=20).filter(lambda text: text.encode("utf-8", "ignore"))
parts = st.sampled_from(GOOD.replace("=", " = ").replace("/", " / ").replace(",", " , ").split(" "))
authorizations = (
    wild
    | st.lists(parts | wild, max_size=25).map("".join)
    | st.tuples(st.integers(0, len(GOOD)), wild).map(lambda cut: GOOD[: cut[0]] + cut[1] + GOOD[cut[0] :])
)
headers = st.lists(
    st.tuples(
        st.sampled_from(
            ["Host", "X-Amz-Date", "Date", "X-Amz-Target", "Content-Type", "Accept", "X-Amz-Security-Token"]
        ),
        wild | st.sampled_from(["20270115T080000Z", "secretsmanager.GetSecretValue", "application/json"]),
    ),
    max_size=5,
)
QUERY_NAMES = [f"X-Amz-{name}" for name in ("Algorithm", "Credential", "Date", "Expires", "Signature", "SignedHeaders")]
QUERY_NAMES += ["Action", "Version", "%", "Auth.member.1"]
queries = st.lists(
    st.tuples(
        st.sampled_from(QUERY_NAMES),
        wild | st.sampled_from(["AWS4-HMAC-SHA256", SCOPE, "20270115T080000Z", "60", "host", "0" * 64]),
    ),
    max_size=9,
).map(lambda pairs: "&".join(f"{name}={value}" for name, value in pairs))


@settings(max_examples=400)
@given(authorizations | st.none(), headers, queries, st.binary(max_size=60), st.sampled_from(["GET", "POST"]))
def test_strangers_are_refused_whatever_they_send(
    front: Front, authorization: str | None, others: list[tuple[str, str]], query: str, body: bytes, method: str
) -> None:
    given_headers = others + ([("Authorization", authorization)] if authorization is not None else [])
    answer = front.serve(arrival(method, query, given_headers, body))
    status, code, message = error_of(answer)
    assert (status, code) in REFUSALS
    assert message


REFUSALS = {(status, code) for words in DOUBTS.values() for code, status, _ in words.values()} | {
    (501, "NotImplemented")
}


@settings(max_examples=200)
@given(
    st.dictionaries(
        st.sampled_from(["DBProxyName", "Auth.member.1", "Auth.member.1.SecretArn", "Tags.Tag.1", "RequireTLS", "."]),
        st.text(max_size=8),
    ),
    st.binary(max_size=10),
)
def test_those_we_know_get_an_answer_to_any_form(front: Front, values: dict[str, str], tail: bytes) -> None:
    body = urlencode({"Action": "CreateDBProxy", "Version": "2014-10-31", **values}).encode() + b"&" + tail
    assert front.serve(sign("rds", body=body)).status in (200, 400)


@settings(max_examples=200)
@given(st.binary(max_size=60) | st.text(max_size=30).map(lambda text: json.dumps({"SecretId": text}).encode()))
def test_those_we_know_get_an_answer_to_any_body(front: Front, body: bytes) -> None:
    assert front.json("GetSecretValue", body).status in (200, 400)


def test_bytes_that_are_no_text_are_signed_as_they_are(front: Front) -> None:
    """A header may hold any byte; what is read from it must not break what it is written to."""
    request = sign(
        "rds", body=b"Action=DescribeDBProxies&Version=2014-10-31", unsigned_headers={"User-Agent": "\udcff"}
    )
    assert front.serve(request).status == 200
    assert front.rds.calls[-1].user_agent == "?"


def test_a_key_of_no_letters_is_not_looked_up(front: Front) -> None:
    request = arrival("POST", headers=[("Host", "h"), ("X-Amz-Date", "20270115T080000Z"), authorization("\udcff")])
    assert error_of(front.serve(request))[:2] == (400, "IncompleteSignature")
    request = arrival("POST", headers=[("Host", "h"), ("X-Amz-Date", "20270115T080000Z"), authorization("A" * 200)])
    assert error_of(front.serve(request))[:2] == (403, "InvalidClientTokenId")


def authorization(key: str) -> tuple[str, str]:
    return "Authorization", GOOD.replace(ROOT.access_key, key)


def test_every_protocol_has_words_for_every_doubt() -> None:
    for name in ("rds", "iam", "sts", "ec2", "secretsmanager"):
        assert set(DOUBTS[load_api(name).protocol]) == set(Doubt)


def test_nothing_secret_is_told_or_logged(front: Front, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    answers: list[Any] = [
        front.query("rds", "DescribeDBProxies", key=ROOT, at=NOW - 9999),
        front.serve(arrival("POST", headers=[("Authorization", "Bearer canary")])),
        front.serve(arrival("GET", "X-Amz-Security-Token=canary&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Date=canary")),
        front.json("CreateSecret", {"Name": "a" * 9999, "SecretString": "canary", "SecretBinary": "canary"}),
        front.json("CreateSecret", b'{"SecretString": "canary'),
    ]
    assert all(b"canary" not in answer.body for answer in answers)
    assert "canary" not in caplog.text
    secret: Arrival = sign("rds", body=b"canary", headers={"X-Amz-Security-Token": "canary"})
    assert "canary" not in repr(secret)
