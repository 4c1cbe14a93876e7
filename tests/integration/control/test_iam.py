"""IAM through boto3 on the whole program: who may call what, and who may log in to the database with a token."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from botocore.exceptions import ClientError

from tests.support.postgres import Postgres
from tests.support.stack import Stack, policy
from tests.support.tidegate import wait_until
from tidegate.control.services.iam.records import Session
from tidegate.control.store.sealed import STATE_FILE as STATE
from tidegate.control.store.store import Store

Key = dict[str, str]
Call = Callable[[], Any]

IAM_REFUSED = 'IAM authentication failed for the role "app"'


class Account:
    """A stack with the proxy `main`, whose user `app` logs in by IAM, and the names that tests have not used yet."""

    def __init__(self, stack: Stack, database: Postgres) -> None:
        self.stack = stack
        stack.register(database)
        self.connect()
        self.number = stack.account
        self.role = stack.role()
        self.secret = stack.secret(database, "app", "app")
        proxy = stack.proxy("main", self.role, self.secret, iam=True, RequireTLS=True)
        self.endpoint = str(proxy["Endpoint"])
        self.database_user = self.arn("rds-db", f"dbuser:{proxy['DBProxyArn'].rpartition(':')[2]}/app")
        self._made = 0

    def connect(self) -> None:
        """boto3's clients, for the process that runs now."""
        self.iam, self.secrets = self.stack.client("iam"), self.stack.client("secretsmanager")

    def arn(self, service: str, resource: str) -> str:
        """In this account and region."""
        return f"arn:aws:{service}:us-east-1:{self.number}:{resource}"

    def name(self) -> str:
        """One that is free."""
        self._made += 1
        return f"n{self._made}"

    def user(self, *documents: str) -> tuple[str, Key]:
        """A user with these inline policies: its name, and a key."""
        name = self.name()
        self.iam.create_user(UserName=name)
        for number, document in enumerate(documents):
            self.iam.put_user_policy(UserName=name, PolicyName=f"p{number}", PolicyDocument=document)
        return name, dict(self.iam.create_access_key(UserName=name)["AccessKey"])

    def role_for(self, trusted: str, *documents: str) -> str:
        """A role that a principal may take, with these inline policies; its ARN."""
        name = self.name()
        statement = {"Effect": "Allow", "Principal": {"AWS": trusted}, "Action": "sts:AssumeRole"}
        trust = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        made = self.iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust)
        for number, document in enumerate(documents):
            self.iam.put_role_policy(RoleName=name, PolicyName=f"p{number}", PolicyDocument=document)
        return str(made["Role"]["Arn"])

    def assume(self, key: Key | None, role: str, **more: Any) -> Key:
        """The credentials of AssumeRole."""
        sts = self.stack.client("sts", key)
        return dict(sts.assume_role(RoleArn=role, RoleSessionName="session", **more)["Credentials"])

    def login(self, key: Key, user: str = "app") -> str:
        """Who the database says it is, for a client with a token of that key; psycopg.OperationalError."""
        token = self.stack.client("rds", key).generate_db_auth_token(self.endpoint, 5432, user)
        with self.stack.connect(self.endpoint, user, token) as client:
            return str(client.execute("SELECT current_user").fetchone()[0])  # type: ignore[index]

    def no_login(self, key: Key) -> None:
        """It is refused, in RDS Proxy's words."""
        with pytest.raises(psycopg.OperationalError, match=IAM_REFUSED):
            self.login(key)


@pytest.fixture(scope="module")
def account() -> Iterator[Account]:
    with Postgres() as database:
        database.start()
        database.add_role("app")
        with Stack() as stack:
            yield Account(stack, database)


def refused(call: Call, code: str = "AccessDenied") -> str:
    """The error's text."""
    with pytest.raises(ClientError) as caught:
        call()
    error = caught.value.response["Error"]
    assert error["Code"] == code, error
    return str(error["Message"])


def statement(effect: str, action: str | list[str], resource: str, **more: Any) -> dict[str, Any]:
    return {"Effect": effect, "Action": action, "Resource": resource, **more}


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def test_a_user_may_what_its_policies_say(account: Account) -> None:
    """Nothing at first; then what is allowed, in that service and on that resource only; nothing again without it."""
    name, key = account.user()
    secrets = account.stack.client("secretsmanager", key)

    def read() -> Any:
        return secrets.get_secret_value(SecretId=account.secret)["SecretString"]

    text = refused(read, "AccessDeniedException")
    assert f"arn:aws:iam::{account.number}:user/{name} is not authorized to perform" in text
    allow = policy("secretsmanager:GetSecretValue", account.secret)
    account.iam.put_user_policy(UserName=name, PolicyName="read", PolicyDocument=allow)
    assert json.loads(read())["username"] == "app"
    refused(lambda: secrets.describe_secret(SecretId=account.secret), "AccessDeniedException")
    refused(lambda: secrets.get_secret_value(SecretId="other"), "AccessDeniedException")
    refused(lambda: account.stack.client("rds", key).describe_db_proxies())
    account.iam.delete_user_policy(UserName=name, PolicyName="read")
    refused(read, "AccessDeniedException")


def test_an_explicit_deny_wins(account: Account) -> None:
    """Over the same policy's Allow, a managed policy's, and a group's; for calls and for tokens."""
    deny = document(
        statement("Allow", "*", "*"),
        statement("Deny", ["rds:Delete*", "rds-db:connect"], "*"),
    )
    name, key = account.user(deny)
    account.iam.create_group(GroupName=name)
    account.iam.add_user_to_group(GroupName=name, UserName=name)
    account.iam.attach_group_policy(GroupName=name, PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
    rds = account.stack.client("rds", key)
    assert rds.describe_db_proxies()["DBProxies"]
    assert "explicit deny" in refused(lambda: rds.delete_db_proxy(DBProxyName="main"))
    account.no_login(key)
    account.iam.put_user_policy(UserName=name, PolicyName="p0", PolicyDocument=policy("sts:*", "*"))
    assert account.login(key) == "app"


def test_a_boundary_bounds(account: Account) -> None:
    name, key = account.user(policy("*", "*"))
    bound = account.iam.create_policy(PolicyName=account.name(), PolicyDocument=policy("rds:Describe*", "*"))
    account.iam.put_user_permissions_boundary(UserName=name, PermissionsBoundary=bound["Policy"]["Arn"])
    rds = account.stack.client("rds", key)
    assert rds.describe_db_proxies()["DBProxies"]
    assert "permissions boundary" in refused(lambda: rds.modify_db_proxy(DBProxyName="main", DebugLogging=True))
    account.no_login(key)
    account.iam.delete_user_permissions_boundary(UserName=name)
    assert account.login(key) == "app"


def test_a_roles_session_calls_and_logs_in(account: Account) -> None:
    """AssumeRole by a user that may: the role's rights, not the user's; the session token is part of it all."""
    role = account.role_for(
        account.number,
        document(statement("Allow", "rds:Describe*", "*"), statement("Allow", "rds-db:connect", account.database_user)),
    )
    _, stranger = account.user()
    refused(lambda: account.assume(stranger, role))
    _, key = account.user(policy("sts:AssumeRole", role))
    session = account.assume(key, role)
    identity = account.stack.client("sts", session).get_caller_identity()
    assert identity["Arn"] == f"{role.replace(':iam:', ':sts:').replace(':role/', ':assumed-role/')}/session"
    rds = account.stack.client("rds", session)
    assert rds.describe_db_proxies()["DBProxies"]
    refused(lambda: rds.delete_db_proxy(DBProxyName="main"))
    refused(lambda: account.stack.client("rds", key).describe_db_proxies())
    assert account.login(session) == "app"
    account.no_login(key)

    for wrong in ({**session, "SessionToken": "wrong"}, {**session, "SessionToken": None}):
        refused(lambda: account.stack.client("rds", wrong).describe_db_proxies(), "InvalidClientTokenId")  # noqa: B023
        account.no_login(wrong)  # type: ignore[arg-type]
    account.iam.delete_role_policy(RoleName=role.rpartition("/")[2], PolicyName="p0")
    refused(lambda: rds.describe_db_proxies())
    account.no_login(session)


def test_a_sessions_policy_narrows(account: Account) -> None:
    """What AssumeRole is given on top counts together with the role's."""
    role = account.role_for(account.number, policy("*", "*"))
    _, key = account.user(policy("sts:AssumeRole", role))
    session = account.assume(key, role, Policy=policy("rds:Describe*", "*"))
    rds = account.stack.client("rds", session)
    assert rds.describe_db_proxies()["DBProxies"]
    assert "session policy" in refused(lambda: rds.delete_db_proxy(DBProxyName="main"))
    account.no_login(session)
    assert account.login(account.assume(key, role)) == "app"


def test_who_a_role_does_not_trust_can_t_take_it(account: Account) -> None:
    """Leave to call sts:AssumeRole is not enough for another user's role; the trusted one needs no other leave."""
    friend, friends_key = account.user()
    role = account.role_for(f"arn:aws:iam::{account.number}:user/{friend}", policy("rds:Describe*", "*"))
    _, key = account.user(policy("*", "*"))
    refused(lambda: account.assume(key, role))
    session = account.assume(friends_key, role)
    assert account.stack.client("rds", session).describe_db_proxies()["DBProxies"]


def test_a_condition_on_tags(account: Account) -> None:
    """Tags of the resource, of the request and of the caller."""
    condition = {"StringEquals": {"aws:ResourceTag/team": "${aws:PrincipalTag/team}"}}
    name, key = account.user(
        document(
            statement("Allow", "secretsmanager:GetSecretValue", "*", Condition=condition),
            statement(
                "Allow",
                ["secretsmanager:CreateSecret", "secretsmanager:TagResource"],
                "*",
                Condition={"StringEquals": {"aws:RequestTag/team": "blue"}},
            ),
        )
    )
    secrets = account.stack.client("secretsmanager", key)
    blue, red = account.name(), account.name()
    denied = "AccessDeniedException"
    refused(lambda: secrets.create_secret(Name=blue, SecretString="b"), denied)
    refused(lambda: secrets.create_secret(Name=red, SecretString="r", Tags=[{"Key": "team", "Value": "red"}]), denied)
    secrets.create_secret(Name=blue, SecretString="b", Tags=[{"Key": "team", "Value": "blue"}])
    refused(lambda: secrets.get_secret_value(SecretId=blue), denied)
    account.iam.tag_user(UserName=name, Tags=[{"Key": "team", "Value": "blue"}])
    assert secrets.get_secret_value(SecretId=blue)["SecretString"] == "b"
    account.secrets.tag_resource(SecretId=blue, Tags=[{"Key": "team", "Value": "red"}])
    refused(lambda: secrets.get_secret_value(SecretId=blue), denied)


def test_a_proxys_role_must_be_passed(account: Account) -> None:
    """CreateDBProxy and ModifyDBProxy without iam:PassRole, with it for another role or service, and with it."""
    other = account.role_for(account.number)
    name, key = account.user(policy("rds:*", "*"))
    rds = account.stack.client("rds", key)
    auth = [{"AuthScheme": "SECRETS", "SecretArn": account.secret, "IAMAuth": "DISABLED"}]
    proxy = {"DBProxyName": account.name(), "EngineFamily": "POSTGRESQL", "Auth": auth}

    def create() -> Any:
        return rds.create_db_proxy(**proxy, RoleArn=account.role, VpcSubnetIds=account.stack.subnets())

    def allow(role: str, service: str) -> None:
        condition = {"StringEquals": {"iam:PassedToService": service}}
        passes = document(statement("Allow", "iam:PassRole", role, Condition=condition))
        account.iam.put_user_policy(UserName=name, PolicyName="pass", PolicyDocument=passes)

    assert f"iam:PassRole on resource: {account.role}" in refused(create)
    refused(lambda: rds.modify_db_proxy(DBProxyName="main", RoleArn=other))
    allow(other, "rds.amazonaws.com")
    refused(create)
    allow(account.role, "lambda.amazonaws.com")
    refused(create)
    names = [one["DBProxyName"] for one in rds.describe_db_proxies()["DBProxies"]]
    assert names == ["main"]
    allow(account.role, "rds.amazonaws.com")
    assert create()["DBProxy"]["Status"] == "creating"
    rds.delete_db_proxy(DBProxyName=proxy["DBProxyName"])


def test_a_resource_policy_grants_alone(account: Account) -> None:
    """A user without any policy reads the secret whose own policy names it, and no other; a Deny there wins."""
    name, key = account.user()
    secrets = account.stack.client("secretsmanager", key)
    mine = account.name()
    account.secrets.create_secret(Name=mine, SecretString="mine")
    refused(lambda: secrets.get_secret_value(SecretId=mine), "AccessDeniedException")
    principal = {"AWS": f"arn:aws:iam::{account.number}:user/{name}"}
    grant = statement("Allow", "secretsmanager:GetSecretValue", "*", Principal=principal)
    account.secrets.put_resource_policy(SecretId=mine, ResourcePolicy=document(grant))
    assert secrets.get_secret_value(SecretId=mine)["SecretString"] == "mine"
    refused(lambda: secrets.put_secret_value(SecretId=mine, SecretString="x"), "AccessDeniedException")
    refused(lambda: secrets.get_secret_value(SecretId=account.secret), "AccessDeniedException")
    deny = statement("Deny", "secretsmanager:GetSecretValue", "*", Principal=principal)
    account.secrets.put_resource_policy(SecretId=mine, ResourcePolicy=document(grant, deny))
    refused(lambda: secrets.get_secret_value(SecretId=mine), "AccessDeniedException")
    account.secrets.delete_resource_policy(SecretId=mine)
    refused(lambda: secrets.get_secret_value(SecretId=mine), "AccessDeniedException")


def test_who_is_made_anew_is_somebody_else(account: Account) -> None:
    """A user deleted and made again: neither the secret's policy nor the role's trust lets the new one in."""
    name, key = account.user()
    arn = f"arn:aws:iam::{account.number}:user/{name}"
    role, mine = account.role_for(arn), account.name()
    account.secrets.create_secret(Name=mine, SecretString="mine")
    grant = document(statement("Allow", "secretsmanager:GetSecretValue", "*", Principal={"AWS": arn}))
    account.secrets.put_resource_policy(SecretId=mine, ResourcePolicy=grant)
    assert account.stack.client("secretsmanager", key).get_secret_value(SecretId=mine)["SecretString"] == "mine"
    assert account.assume(key, role)

    account.iam.delete_access_key(UserName=name, AccessKeyId=key["AccessKeyId"])
    old = account.iam.get_user(UserName=name)["User"]["UserId"]
    account.iam.delete_user(UserName=name)
    account.iam.create_user(UserName=name)
    key = dict(account.iam.create_access_key(UserName=name)["AccessKey"])
    refused(
        lambda: account.stack.client("secretsmanager", key).get_secret_value(SecretId=mine), "AccessDeniedException"
    )
    refused(lambda: account.assume(key, role))
    told = json.loads(account.secrets.get_resource_policy(SecretId=mine)["ResourcePolicy"])
    assert told["Statement"][0]["Principal"] == {"AWS": old}
    trust = account.iam.get_role(RoleName=role.rpartition("/")[2])["Role"]["AssumeRolePolicyDocument"]
    assert trust["Statement"][0]["Principal"] == {"AWS": old}

    account.secrets.put_resource_policy(SecretId=mine, ResourcePolicy=grant)
    assert account.stack.client("secretsmanager", key).get_secret_value(SecretId=mine)["SecretString"] == "mine"


def test_a_key_that_is_switched_off_or_gone(account: Account) -> None:
    """Neither calls nor logs in while it is inactive; both again when it is active; neither when it is deleted."""
    name, key = account.user(policy("*", "*"))
    which = {"UserName": name, "AccessKeyId": key["AccessKeyId"]}
    rds = account.stack.client("rds", key)
    assert account.login(key) == "app"
    account.iam.update_access_key(**which, Status="Inactive")
    refused(lambda: rds.describe_db_proxies(), "InvalidClientTokenId")
    account.no_login(key)
    account.iam.update_access_key(**which, Status="Active")
    assert rds.describe_db_proxies()["DBProxies"]
    assert account.login(key) == "app"
    account.iam.delete_access_key(**which)
    refused(lambda: rds.describe_db_proxies(), "InvalidClientTokenId")
    account.no_login(key)


def test_a_token_is_for_one_user_host_and_key(account: Account) -> None:
    """Tokens that are not what they say: another user's, another host's, another region's, and one that was changed."""
    _, key = account.user(policy("rds-db:connect", account.database_user))
    rds = account.stack.client("rds", key)
    good = rds.generate_db_auth_token(account.endpoint, 5432, "app")
    bad = [
        rds.generate_db_auth_token(account.endpoint, 5432, "postgres"),
        rds.generate_db_auth_token("127.0.0.1", 5432, "app"),
        rds.generate_db_auth_token(account.endpoint, 5433, "app"),
        rds.generate_db_auth_token(account.endpoint, 5432, "app", Region="eu-west-1"),
        good[:-1] + ("0" if good[-1] != "0" else "1"),
        "app",
        "",
    ]
    for token in bad:
        with pytest.raises(psycopg.OperationalError):
            account.stack.connect(account.endpoint, "app", token)
    with account.stack.connect(account.endpoint, "app", good) as client:
        assert client.execute("SELECT 1").fetchone() == (1,)
    elsewhere = policy("rds-db:connect", account.database_user.replace("/app", "/other"))
    _, other = account.user(elsewhere)
    account.no_login(other)


def test_sessions_without_a_role(account: Account) -> None:
    """GetSessionToken: the user's own rights, in calls and tokens, but no calls of IAM."""
    name, key = account.user(policy("*", "*"))
    session = dict(account.stack.client("sts", key).get_session_token()["Credentials"])
    arn = account.stack.client("sts", session).get_caller_identity()["Arn"]
    assert arn == f"arn:aws:iam::{account.number}:user/{name}"
    assert account.stack.client("rds", session).describe_db_proxies()["DBProxies"]
    assert account.login(session) == "app"
    refused(lambda: account.stack.client("iam", session).list_users(), "InvalidClientTokenId")
    account.iam.delete_user_policy(UserName=name, PolicyName="p0")
    refused(lambda: account.stack.client("rds", session).describe_db_proxies())
    account.no_login(session)


def test_a_session_ends(account: Account) -> None:
    """The shortest lasts 15 minutes: so the time of its end is put back in the store, between two processes."""
    role = account.role_for(account.number, policy("*", "*"))
    _, key = account.user(policy("sts:AssumeRole", role))
    refused(lambda: account.assume(key, role, DurationSeconds=899), "ValidationError")
    ending, lasting = account.assume(key, role, DurationSeconds=900), account.assume(key, role)
    assert account.login(ending) == "app"
    assert account.stack.stop() == 0
    store = Store(account.stack.data / STATE)
    with store.transaction() as transaction:
        sessions = transaction.table(Session)
        found = sessions.get(ending["AccessKeyId"])
        assert found is not None
        sessions.put(found.model_copy(update={"expires": time.time() - 1}))
    store.close()
    account.stack.start()
    account.connect()
    wait_until(lambda: account.stack.serves("main"), "it serves again", 30)
    refused(lambda: account.stack.client("rds", ending).describe_db_proxies(), "ExpiredToken")
    refused(lambda: account.stack.client("secretsmanager", ending).list_secrets(), "ExpiredTokenException")
    account.no_login(ending)
    assert account.stack.client("rds", lasting).describe_db_proxies()["DBProxies"]
    assert account.login(lasting) == "app"


def test_an_address_takes_leave_of_its_own(account: Account, postgres: Postgres) -> None:
    """RotateSecret and CreateDBInstance: the services' own permissions do not do."""
    name, key = account.user(policy("rds:*", "*"))
    iam = account.stack.client("iam")
    iam.put_user_policy(UserName=name, PolicyName="secrets", PolicyDocument=policy("secretsmanager:*", "*"))
    rds, secrets = account.stack.client("rds", key), account.stack.client("secretsmanager", key)
    fields = {"engine": "postgres", "host": "127.0.0.9", "port": 9, "username": "nobody", "password": "nothing"}
    arn = secrets.create_secret(Name=account.name(), SecretString=json.dumps(fields))["ARN"]
    instance = {
        "DBInstanceIdentifier": account.name(),
        "Engine": "postgres",
        "DBInstanceClass": "db.t3.micro",
        "MasterUsername": "nobody",
        "MasterUserPassword": "nothing",
        "Tags": [{"Key": "tidegate:address", "Value": "127.0.0.9:9"}],
    }
    for service, call in (
        (rds, lambda: rds.create_db_instance(**instance)),
        (secrets, lambda: secrets.rotate_secret(SecretId=arn, RotateImmediately=False)),
    ):
        with pytest.raises(ClientError) as caught:
            call()
        assert caught.value.response["Error"]["Code"].startswith("AccessDenied"), service
        assert "tidegate:UseAddress" in caught.value.response["Error"]["Message"]
    assert "RotationEnabled" not in secrets.describe_secret(SecretId=arn)
    leave = policy("tidegate:UseAddress", account.arn("tidegate", "address/127.0.0.9:9"))
    iam.put_user_policy(UserName=name, PolicyName="address", PolicyDocument=leave)
    secrets.rotate_secret(SecretId=arn, RotateImmediately=False)
    secrets.cancel_rotate_secret(SecretId=arn)
    rds.create_db_instance(**instance)


def test_a_token_is_no_password_and_a_password_no_token(account: Account) -> None:
    """IAMAuth DISABLED and REQUIRED: each takes the one and refuses the other."""
    _, key = account.user(policy("rds-db:connect", "*"))
    rds = account.stack.client("rds", key)
    endpoint = account.stack.proxy("disabled", account.role, account.secret)["Endpoint"]
    with pytest.raises(psycopg.OperationalError, match='password authentication failed for user "app"'):
        account.stack.connect(endpoint, "app", rds.generate_db_auth_token(endpoint, 5432, "app"))
    account.stack.connect(endpoint, "app", "app").close()
    with pytest.raises(psycopg.OperationalError, match=IAM_REFUSED):
        account.stack.connect(account.endpoint, "app", "app")
    assert account.login(key) == "app"


def test_a_token_is_for_one_proxy(account: Account) -> None:
    """Its key may connect at both: the host that it was made for decides."""
    _, key = account.user(policy("rds-db:connect", "*"))
    rds = account.stack.client("rds", key)
    other = str(account.stack.proxy("required", account.role, account.secret, iam=True)["Endpoint"])
    ends = (account.endpoint, other)
    tokens = {end: rds.generate_db_auth_token(end, 5432, "app") for end in ends}
    for end in ends:
        for made_for, token in tokens.items():
            if made_for == end:
                account.stack.connect(end, "app", token).close()
                continue
            with pytest.raises(psycopg.OperationalError, match=IAM_REFUSED):
                account.stack.connect(end, "app", token)
