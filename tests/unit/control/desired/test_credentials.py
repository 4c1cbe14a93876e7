"""Which secrets a proxy's role may read, judged by our own IAM over secrets of our own Secrets Manager."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.control.services.iam.world import ACCOUNT, ACCOUNT_TRUST, NOW, RDS_TRUST, REGION, World
from tests.unit.control.services.secretsmanager.desk import Desk
from tidegate.auth.rds_token import SigningKeys
from tidegate.control.desired.credentials import Login, NoCredentialsError, RoleCredentials
from tidegate.control.services.sts import sessions
from tidegate.control.store.sealed import Sealer

ROLE = f"arn:aws:iam::{ACCOUNT}:role/proxy"
PROXY = f"arn:aws:rds:{REGION}:{ACCOUNT}:db-proxy:prx-1"
VALUE = '{"username":"app","password":"canary-password"}'


class Account:
    """IAM and Secrets Manager over one store."""

    def __init__(self, folder: Path) -> None:
        self.world = World(folder)
        self.desk = Desk(folder)
        self.desk.region = REGION
        self.credentials = RoleCredentials(self.desk.sealer, account=ACCOUNT, region=REGION)

    def role(self, trust: str = RDS_TRUST, **statement: object) -> None:
        """The proxy's role, with one statement in its policy."""
        self.world.call("CreateRole", RoleName="proxy", AssumeRolePolicyDocument=trust)
        if statement:
            document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
            self.world.call("PutRolePolicy", RoleName="proxy", PolicyName="p", PolicyDocument=document)

    def secret(self, value: str = VALUE) -> str:
        """A secret's ARN."""
        return str(self.desk("create_secret", Name="app", SecretString=value)["ARN"])

    def read(self, secret: str) -> list[Login]:
        """What the proxy has of it."""
        with self.world.transaction() as transaction:
            found = self.credentials.of_secret(transaction, role_arn=ROLE, secret_arn=secret, proxy_arn=PROXY, at=NOW)
        return list(found)

    def keys(self) -> SigningKeys:
        """What the proxy signs tokens with."""
        with self.world.transaction() as transaction:
            return self.credentials.of_role(transaction, role_arn=ROLE, proxy_arn=PROXY, at=NOW)

    def refused(self, secret: str) -> str:
        """Why it has nothing of it."""
        with pytest.raises(NoCredentialsError) as caught:
            self.read(secret)
        assert "canary" not in str(caught.value)
        return str(caught.value)


@pytest.fixture
def account(tmp_path: Path) -> Iterator[Account]:
    """See Account."""
    made = Account(tmp_path)
    yield made
    made.desk.store.close()
    made.world.store.close()


def allow(resource: str) -> dict[str, object]:
    return {"Effect": "Allow", "Action": ["secretsmanager:GetSecretValue"], "Resource": resource}


def test_a_role_that_may_read_the_secret(account: Account) -> None:
    secret = account.secret()
    account.role(**allow(secret))
    assert account.read(secret) == [Login("app", ("canary-password",))]


def test_a_role_that_may_not(account: Account) -> None:
    secret = account.secret()
    account.role(**allow(secret + "x"))
    assert f"is not allowed secretsmanager:GetSecretValue on {secret}" in account.refused(secret)


def test_a_secrets_own_policy_may_allow_it(account: Account) -> None:
    secret = account.secret()
    account.role()
    document = {"Version": "2012-10-17", "Statement": [allow("*") | {"Principal": {"AWS": ROLE}}]}
    account.desk("put_resource_policy", SecretId=secret, ResourcePolicy=json.dumps(document))
    assert [login.name for login in account.read(secret)] == ["app"]


def test_a_secrets_own_policy_means_the_role_that_was_there(account: Account) -> None:
    secret = account.secret()
    account.role()
    document = {"Version": "2012-10-17", "Statement": [allow("*") | {"Principal": {"AWS": ROLE}}]}
    account.desk("put_resource_policy", SecretId=secret, ResourcePolicy=json.dumps(document))
    account.world.call("DeleteRole", RoleName="proxy")
    account.role()
    assert "is not allowed" in account.refused(secret)
    account.desk("put_resource_policy", SecretId=secret, ResourcePolicy=json.dumps(document))
    assert [login.name for login in account.read(secret)] == ["app"]


def test_a_roles_policy_may_ask_for_the_secrets_tags(account: Account) -> None:
    secret = account.secret()
    account.role(**allow("*"), Condition={"StringEquals": {"aws:ResourceTag/stage": "test"}})
    assert "is not allowed" in account.refused(secret)
    account.desk("tag_resource", SecretId=secret, Tags=[{"Key": "stage", "Value": "test"}])
    assert [login.name for login in account.read(secret)] == ["app"]


def test_a_role_that_does_not_trust_rds(account: Account) -> None:
    secret = account.secret()
    account.role(ACCOUNT_TRUST, **allow("*"))
    assert account.refused(secret) == f"the role {ROLE} does not exist or does not trust rds.amazonaws.com"


def test_a_role_that_is_not_there(account: Account) -> None:
    assert "does not exist" in account.refused(account.secret())


def test_keys_of_a_role_that_trusts_rds(account: Account) -> None:
    account.role()
    keys = account.keys()
    assert account.keys() == keys
    account.world.call("UpdateAssumeRolePolicy", RoleName="proxy", PolicyDocument=ACCOUNT_TRUST)
    with pytest.raises(NoCredentialsError) as caught:
        account.keys()
    assert str(caught.value) == f"the role {ROLE} does not exist or does not trust rds.amazonaws.com"
    account.world.call("UpdateAssumeRolePolicy", RoleName="proxy", PolicyDocument=RDS_TRUST)
    assert account.keys() == keys


def test_trust_may_be_of_one_proxy_only(account: Account) -> None:
    def trust(arn: str) -> str:
        (statement,) = json.loads(RDS_TRUST)["Statement"]
        condition = {"ArnEquals": {"aws:SourceArn": arn}}
        return json.dumps({"Version": "2012-10-17", "Statement": statement | {"Condition": condition}})

    account.role(trust(PROXY))
    account.keys()
    account.world.call("UpdateAssumeRolePolicy", RoleName="proxy", PolicyDocument=trust(f"{PROXY}2"))
    with pytest.raises(NoCredentialsError, match=r"does not trust rds\.amazonaws\.com"):
        account.keys()


def test_no_keys_without_a_role_or_room(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NoCredentialsError, match="does not exist"):
        account.keys()
    account.role()
    monkeypatch.setattr(sessions, "MAX_SESSIONS", 0)
    with pytest.raises(NoCredentialsError, match=f"no session of the role {ROLE} can be made: Rate exceeded"):
        account.keys()


def test_a_secret_that_is_no_use(account: Account) -> None:
    account.role(**allow("*"))
    absent = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:absent-AbCdEf"
    assert account.refused(absent) == f"{absent}: the secret does not exist"
    secret = account.secret("canary")
    assert account.refused(secret).startswith(f"{secret}: ")


def test_who_may_not_read_does_not_learn_whether_there_is_a_secret(account: Account) -> None:
    account.role(**allow("arn:aws:secretsmanager:::none"))
    absent = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:absent-AbCdEf"
    assert "is not allowed" in account.refused(absent)


def test_a_value_of_another_key_does_not_open(account: Account) -> None:
    secret = account.secret()
    account.role(**allow("*"))
    account.credentials = RoleCredentials(Sealer(bytes(32)), account=ACCOUNT, region=REGION)
    assert account.refused(secret) == f"{secret}: its value can't be decrypted"


def test_a_rotation_that_alternates_has_two_users(account: Account) -> None:
    secret = account.secret()
    account.role(**allow("*"))
    master = account.desk("create_secret", Name="master", SecretString=VALUE)["ARN"]
    for name, password in (("app_clone", "new"), ("app", "newer")):
        value = {"username": name, "password": password, "masterarn": master}
        account.desk("put_secret_value", SecretId=secret, SecretString=json.dumps(value))
    assert account.read(secret)[0] == Login("app", ("newer",))
