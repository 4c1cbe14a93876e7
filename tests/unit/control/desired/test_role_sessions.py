"""Which session of its role a proxy has, and whether tokens that it signs are believed by this account."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.control.services.iam.world import ACCOUNT, REGION, World
from tidegate.auth.rds_token import SigningKeys, TokenRefused, make_token
from tidegate.control.desired.role_sessions import DURATION, RENEW_BEFORE, RoleSessions
from tidegate.control.services.iam.database_tokens import TokenVerifier
from tidegate.control.services.iam.records import Session
from tidegate.control.services.iam.roles import find_role

ROLE = f"arn:aws:iam::{ACCOUNT}:role/proxy"
PROXY = f"arn:aws:rds:{REGION}:{ACCOUNT}:db-proxy:prx-1"
CONNECT = (
    '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"rds-db:connect",'
    f'"Resource":"arn:aws:rds-db:{REGION}:{ACCOUNT}:dbuser:prx-inner/app"}}]}}'
)


class Account:
    """IAM and STS, with a role."""

    def __init__(self, folder: Path) -> None:
        self.world = World(folder)
        self.sessions = RoleSessions(account=ACCOUNT, region=REGION)
        self.world.role("proxy", CONNECT)

    def keys(self, proxy: str = PROXY) -> SigningKeys:
        with self.world.transaction() as transaction:
            role = find_role(transaction, ACCOUNT, ROLE)
            assert role is not None
            return self.sessions.keys(transaction, role, proxy_arn=proxy, at=self.world.now)

    def kept(self) -> int:
        """Sessions that STS has."""
        with self.world.transaction() as transaction:
            return len(transaction.table(Session).all())

    def refusal(self, keys: SigningKeys, user: str = "app") -> str:
        """Of a token for the database behind prx-inner; "" if it is let in."""
        with self.world.transaction() as transaction:
            try:
                TokenVerifier().verify(
                    transaction,
                    make_token("127.64.0.9", 5432, user, keys, self.world.now),
                    user=user,
                    hosts=("127.64.0.9",),
                    port=5432,
                    region=REGION,
                    account=ACCOUNT,
                    resource_id="prx-inner",
                    now=self.world.now,
                    source_ip="127.0.0.1",
                )
            except TokenRefused as refusal:
                return str(refusal)
        return ""


@pytest.fixture
def account(tmp_path: Path) -> Iterator[Account]:
    made = Account(tmp_path)
    yield made
    made.world.store.close()


def test_a_token_of_a_session_is_believed(account: Account) -> None:
    keys = account.keys()
    assert keys.access_key.startswith("ASIA") and keys.region == REGION
    assert account.refusal(keys) == ""
    assert account.refusal(keys, "other").startswith(
        f"arn:aws:sts::{ACCOUNT}:assumed-role/proxy/tidegate is not authorized to perform: rds-db:connect"
    )
    account.world.call("DeleteRolePolicy", RoleName="proxy", PolicyName="p0")
    assert "is not authorized to perform: rds-db:connect" in account.refusal(keys)


def test_the_session_stays_until_a_token_could_outlive_it(account: Account) -> None:
    keys = account.keys()
    for _ in range(80):  # a plan every half a minute
        assert account.keys() == keys
        account.world.now += 30
    assert account.kept() == 1
    account.world.now += DURATION - RENEW_BEFORE - 80 * 30 + 1
    fresh = account.keys()
    assert fresh != keys
    assert account.keys() == fresh
    assert (account.refusal(keys), account.refusal(fresh)) == ("", ""), "what is on its way is still good"
    account.world.now += RENEW_BEFORE
    assert "has expired" in account.refusal(keys)


def test_each_proxy_has_its_own(account: Account) -> None:
    assert account.keys() != account.keys(f"{PROXY}2")
    assert account.kept() == 2


def test_a_role_of_the_same_name_is_another_one(account: Account) -> None:
    keys = account.keys()
    account.world.call("DeleteRolePolicy", RoleName="proxy", PolicyName="p0")
    account.world.call("DeleteRole", RoleName="proxy")
    account.world.role("proxy", CONNECT)
    fresh = account.keys()
    assert fresh != keys
    assert account.refusal(fresh) == ""
    assert account.refusal(keys)


def test_what_was_not_committed_is_made_again(account: Account) -> None:
    with pytest.raises(OSError), account.world.transaction() as transaction:  # noqa: PT012
        role = find_role(transaction, ACCOUNT, ROLE)
        assert role is not None
        lost = account.sessions.keys(transaction, role, proxy_arn=PROXY, at=account.world.now)
        raise OSError("the disk is full")
    keys = account.keys()
    assert keys != lost
    assert account.refusal(keys) == ""


def test_no_key_is_printed(account: Account) -> None:
    keys = account.keys()
    assert keys.secret_key not in repr(keys) and keys.session_token not in repr(keys)
    assert keys.secret_key not in repr(account.sessions.__dict__)
