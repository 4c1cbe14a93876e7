"""The control plane's front for tests: services that only remember what they were asked, and signed requests to them.

The doubles speak by the real models of botocore, so a test says what goes in and sees what comes out on the wire.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, TypeVar
from unittest import mock
from urllib.parse import urlencode

import botocore.auth
from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tidegate.auth import sigv4_claim
from tidegate.control.api.arrival import Answer, Arrival
from tidegate.control.api.dispatch import Dispatcher
from tidegate.control.call import Call, Caller
from tidegate.control.errors import AwsError
from tidegate.control.services.service import Service
from tidegate.control.store.store import Record, Store, Transaction

T = TypeVar("T")

ACCOUNT = "123456789012"
REGION = "eu-west-1"
NOW = 1_800_000_000.0
"""2027-01-15T08:00:00Z."""
HOST = "127.0.0.1:4566"
VERSIONS = {"sts": "2011-06-15", "iam": "2010-05-08", "rds": "2014-10-31", "ec2": "2016-11-15"}


@dataclass(frozen=True)
class Key:
    """An access key as the front asks for it."""

    access_key: str
    secret: str = "secret"
    session_token: str | None = None
    expires: float | None = None
    active: bool = True

    @property
    def caller(self) -> Caller:
        """Root of the account."""
        return Caller(account=ACCOUNT, arn=f"arn:aws:iam::{ACCOUNT}:root", user_id=ACCOUNT, access_key=self.access_key)


ROOT = Key("AKIAROOT")
KEYS = {
    key.access_key: key
    for key in (
        ROOT,
        Key("AKIAOFF", active=False),
        Key("ASIATEMP", session_token="to/ken==", expires=NOW + 100),
        Key("ASIAOLD", session_token="to/ken==", expires=NOW),
    )
}


def find_key(transaction: Transaction, access_key: str) -> Key | None:
    """One of KEYS."""
    return KEYS.get(access_key)


class Note(Record):
    """What a double has written down."""

    kind: ClassVar[str] = "note"

    name: str

    @property
    def key(self) -> str:
        """Its name."""
        return self.name


@dataclass
class Guard:
    """Allows what is not in `denied`."""

    denied: set[str] = field(default_factory=set)

    def require(
        self, call: Call, action: str, resource: str, context: Mapping[str, Any], resource_policy: str | None
    ) -> None:
        """AccessDenied for actions in `denied`."""
        if action in self.denied:
            raise AwsError("AccessDenied", f"not authorized to perform: {action}", 403)


class Sts(Service):
    """GetCallerIdentity, which requires nothing; GetSessionToken, which forgets to."""

    name = "sts"
    unguarded = frozenset({"GetCallerIdentity"})

    def get_caller_identity(self, call: Call) -> dict[str, Any]:
        """Who has signed."""
        return {"UserId": call.caller.user_id, "Account": call.account, "Arn": call.caller.arn}

    def get_session_token(self, call: Call) -> dict[str, Any]:
        """Answers without having required anything."""
        return {"Credentials": {"AccessKeyId": "ASIA", "SecretAccessKey": "s", "SessionToken": "t", "Expiration": NOW}}


class Remembering(Service):
    """Notes each call, and answers or raises what the test has laid down."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.outcome: dict[str, Any] | Exception = {}

    def serve(self, call: Call) -> dict[str, Any]:
        """What every operation of a double does."""
        call.require(f"{self.name}:{call.operation}", "*")
        call.transaction.table(Note).put(Note(name=call.request_id))
        self.calls.append(call)
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome

    @property
    def parameters(self) -> dict[str, Any]:
        """Of the last call."""
        return self.calls[-1].parameters


class Rds(Remembering):
    """A few operations of rds."""

    name = "rds"
    create_db_proxy = describe_db_proxies = modify_db_proxy_target_group = describe_events = Remembering.serve


class Iam(Remembering):
    """A few operations of iam."""

    name = "iam"
    create_user = delete_user = tag_user = Remembering.serve


class Ec2(Remembering):
    """A few operations of ec2."""

    name = "ec2"
    describe_vpcs = describe_subnets = Remembering.serve


class SecretsManager(Remembering):
    """A few operations of secretsmanager."""

    name = "secretsmanager"
    create_secret = get_secret_value = list_secrets = describe_secret = Remembering.serve


class InlineStore:
    """A store whose transactions run at once, in the thread that asks."""

    def __init__(self, path: Path) -> None:
        self.store = Store(path)
        self.written: list[set[str]] = []

    def run_sync(self, work: Callable[[Transaction], T]) -> T:
        """One transaction."""
        with self.store.transaction() as transaction:
            result = work(transaction)
        self.written.append(transaction.written)
        return result

    async def run(self, work: Callable[[Transaction], T]) -> T:
        """The same."""
        return self.run_sync(work)

    def notes(self) -> list[str]:
        """What has been committed."""
        return self.run_sync(lambda transaction: [note.name for note in transaction.table(Note).all()])


class Front:
    """A dispatcher over doubles, without HTTP."""

    def __init__(self, folder: Path) -> None:
        self.store = InlineStore(folder / "state.db")
        self.sts, self.rds, self.iam, self.ec2, self.secrets = Sts(), Rds(), Iam(), Ec2(), SecretsManager()
        self.guard = Guard()
        self.dispatcher = Dispatcher(self.store, self.services, self.guard, find_key, account=ACCOUNT, region=REGION)

    @property
    def services(self) -> Sequence[Service]:
        """All doubles."""
        return (self.sts, self.rds, self.iam, self.ec2, self.secrets)

    def serve(self, arrival: Arrival) -> Answer:
        """The answer to one request."""
        return asyncio.run(self.dispatcher.serve(arrival))

    def query(self, service: str, action: str, parameters: Mapping[str, str] | None = None, **how: Any) -> Answer:
        """The answer to a signed POST of the query protocols. how: see `sign`."""
        form = {"Action": action, "Version": VERSIONS[service], **(parameters or {})}
        return self.serve(sign(service, body=urlencode(form).encode(), **how))

    def json(self, operation: str, body: Any, **how: Any) -> Answer:
        """The answer to a signed call of secretsmanager. body: bytes as they are, anything else as JSON."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": f"secretsmanager.{operation}"}
        return self.serve(sign("secretsmanager", body=data, headers=headers | how.pop("headers", {}), **how))


FORM = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}


def sign(
    service: str,
    *,
    body: bytes = b"",
    query: str = "",
    headers: Mapping[str, str] = FORM,
    key: Key = ROOT,
    region: str = REGION,
    at: float = NOW,
    method: str = "POST",
    presigned: int | None = None,
    unsigned_headers: Mapping[str, str] | None = None,
) -> Arrival:
    """A request signed by botocore at the second `at`, arriving at NOW. presigned: seconds of X-Amz-Expires."""
    url = f"http://{HOST}/" + (f"?{query}" if query else "")
    request = AWSRequest(method=method, url=url, headers=dict(headers), data=body)
    credentials = Credentials(key.access_key, key.secret, key.session_token)
    signer = (
        SigV4Auth(credentials, service, region)
        if presigned is None
        else SigV4QueryAuth(credentials, service, region, expires=presigned)
    )
    frozen = datetime.fromtimestamp(at, UTC)
    with mock.patch.object(botocore.auth, "get_current_datetime", return_value=frozen):
        signer.add_auth(request)
    all_headers = [("Host", HOST), *request.headers.items(), *(unsigned_headers or {}).items()]
    return arrival(method, request.url.partition("?")[2], all_headers, body)


def arrival(
    method: str, query: str = "", headers: Sequence[tuple[str, str]] = (("Host", HOST),), body: bytes = b""
) -> Arrival:
    """Any request, arriving at NOW."""
    return Arrival(
        signed=sigv4_claim.Request(method=method, path="/", query=query, headers=headers, body=body),
        at=NOW,
        request_id="00000000-0000-4000-8000-000000000001",
        source_ip="127.0.0.1",
        secure=False,
    )


def with_header(request: Arrival, name: str, value: str) -> Arrival:
    """The same with a header replaced."""
    kept = [(key, old) for key, old in request.signed.headers if key.lower() != name.lower()]
    return replace(request, signed=replace(request.signed, headers=[*kept, (name, value)]))


def error_of(answer: Answer) -> tuple[int, str, str]:
    """Status, code and message of a refusal, in whichever protocol."""
    text = answer.body.decode()
    if answer.content_type.startswith("text/xml"):
        import xml.etree.ElementTree as ET

        found = {element.tag.rpartition("}")[2]: element.text or "" for element in ET.fromstring(text).iter()}
        return answer.status, found["Code"], found["Message"]
    body = json.loads(text)
    if "Error" in body:
        return answer.status, body["Error"]["Code"], body["Error"]["Message"]
    return answer.status, body["__type"], body.get("message", body.get("Message", ""))
