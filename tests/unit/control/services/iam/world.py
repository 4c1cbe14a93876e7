"""A control plane of iam and sts alone: a store, an account, and calls as the dispatcher makes them.

Each call is a transaction. Parameters and answers are checked against botocore's models, so that no test asks what the
API would not let pass, and no operation answers what could not be written to the wire.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from botocore.validate import ParamValidator

from tests.support.conformance import make_call, model, serve
from tidegate.control.account import Account
from tidegate.control.call import Call
from tidegate.control.errors import AwsError
from tidegate.control.services.iam.guard import PolicyGuard
from tidegate.control.services.iam.keys import Key, find_key
from tidegate.control.services.iam.service import IamService
from tidegate.control.services.sts.service import StsService
from tidegate.control.store.store import Store, Transaction

ACCOUNT = "123456789012"
ROOT_KEY = "AKIAROOTROOTROOTROOT"
ROOT_SECRET = "root-secret-root-secret-root-secret-root"
NOW = 1_800_000_000.25
REGION = "eu-west-1"

ALLOW_ALL = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}'
RDS_TRUST = (
    '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"rds.amazonaws.com"},'
    '"Action":"sts:AssumeRole"}]}'
)
ACCOUNT_TRUST = (
    '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"'
    + ACCOUNT
    + '"},"Action":["sts:AssumeRole","sts:TagSession","sts:SetSourceIdentity"]}]}'
)


class World:
    """Calls operations one after the other."""

    def __init__(self, folder: Path) -> None:
        self.store = Store(folder / "state.db")
        self.now = NOW
        self.services = {"iam": IamService(), "sts": StsService()}
        self.required: list[tuple[str, str]] = []
        with self.store.transaction() as transaction:
            transaction.table(Account).put(
                Account(
                    number=ACCOUNT, region=REGION, root_access_key=ROOT_KEY, root_secret=ROOT_SECRET, created=NOW - 60
                )
            )

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        with self.store.transaction() as transaction:
            yield transaction

    def key(self, access_key: str) -> Key | None:
        with self.transaction() as transaction:
            return find_key(transaction, access_key)

    def call(self, operation: str, /, who: str = ROOT_KEY, service: str = "iam", **parameters: Any) -> dict[str, Any]:
        """The answer; AwsError if it is one. who: an access key."""
        shape = model(service).operation_model(operation).input_shape
        report = ParamValidator().validate(parameters, shape) if shape else None
        assert report is None or not report.has_errors(), report.generate_report()
        with self.transaction() as transaction:
            key = find_key(transaction, who)
            assert key is not None, f"no key {who}"
            call = self.new_call(transaction, key, operation, service, parameters)
            answer = serve(self.services[service], call)
            self.required = call.required
        return answer

    def new_call(
        self, transaction: Transaction, key: Key, operation: str, service: str, parameters: dict[str, Any]
    ) -> Call:
        about = {"at": self.now, "source_ip": "203.0.113.5", "secure": True, "user_agent": "tests"}
        return make_call(service, operation, parameters, transaction, PolicyGuard(), caller=key.caller, **about)

    def fails(self, code: str, operation: str, /, **parameters: Any) -> str:
        """The message of the error that it answers, which has this code."""
        with pytest.raises(AwsError) as caught:
            self.call(operation, **parameters)
        assert caught.value.code == code, caught.value
        return caught.value.message

    def user(self, name: str, *documents: str, **more: Any) -> str:
        """Make a user with inline policies; return an access key."""
        self.call("CreateUser", UserName=name, **more)
        for number, document in enumerate(documents):
            self.call("PutUserPolicy", UserName=name, PolicyName=f"p{number}", PolicyDocument=document)
        access_key: str = self.call("CreateAccessKey", UserName=name)["AccessKey"]["AccessKeyId"]
        return access_key

    def role(self, name: str, *documents: str, trust: str = ACCOUNT_TRUST, **more: Any) -> str:
        """Make a role with inline policies; return its ARN."""
        arn: str = self.call("CreateRole", RoleName=name, AssumeRolePolicyDocument=trust, **more)["Role"]["Arn"]
        for number, document in enumerate(documents):
            self.call("PutRolePolicy", RoleName=name, PolicyName=f"p{number}", PolicyDocument=document)
        return arn

    def assume(self, who: str, role: str, session: str = "session", **more: Any) -> str:
        """Assume a role; return the temporary access key."""
        answer = self.call("AssumeRole", who=who, service="sts", RoleArn=role, RoleSessionName=session, **more)
        access_key: str = answer["Credentials"]["AccessKeyId"]
        return access_key
