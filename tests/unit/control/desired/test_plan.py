"""The desired state of records, and how targets' health tells of credentials that could not be had."""

from __future__ import annotations

import pytest

from tests.unit.control.services.rds.stage import KEYS, ROLE, SECRET, Stage
from tidegate.control.desired.board import HealthBoard
from tidegate.control.desired.credentials import Login, NoCredentialsError
from tidegate.control.ports import DesiredUser, Health, HealthReason, TargetHealth
from tidegate.control.store.sealed import Sealer

OTHER = f"{SECRET}2"


def test_a_proxy_is_planned_from_its_creation_on(stage: Stage) -> None:
    made = stage.create_proxy(settled=False, RequireTLS=True, IdleClientTimeout=60, DebugLogging=True)
    (proxy,) = stage.plan().desired.proxies
    assert proxy.resource_id == made["DBProxyArn"].rpartition(":")[2]
    assert (proxy.require_tls, proxy.idle_client_timeout, proxy.debug_logging) == (True, 60, True)
    assert (proxy.target, proxy.iam_for_all, proxy.role_arn) == (None, False, ROLE)
    assert [(end.name, end.host, end.port) for end in proxy.endpoints] == [("main", made["Endpoint"], 5432)]
    assert proxy.users == (DesiredUser(name="app", passwords=("one", "two"), iam=True),)


def test_what_is_deleted_is_not_planned(stage: Stage) -> None:
    stage.create_proxy()
    stage.call("DeleteDBProxy", DBProxyName="main")
    assert stage.plan().desired.proxies == ()


def test_a_secret_may_have_two_users_and_clients_their_own_proof(stage: Stage) -> None:
    stage.secrets.logins[SECRET] = [Login("app", ("one",)), Login("app_clone", ("two",))]
    stage.create_proxy(Auth=[{"SecretArn": SECRET, "ClientPasswordAuthType": "POSTGRES_MD5"}])
    assert stage.desired().users == (
        DesiredUser(name="app", passwords=("one",), iam=False, auth_method="md5"),
        DesiredUser(name="app_clone", passwords=("two",), iam=False, auth_method="md5"),
    )


def test_a_secret_that_is_refused_fails_only_its_own_user(stage: Stage) -> None:
    stage.create_proxy(Auth=[{"SecretArn": OTHER}, {"SecretArn": SECRET}])
    plan = stage.plan()
    (proxy,) = plan.desired.proxies
    assert [user.name for user in proxy.users] == ["app"]
    assert plan.refused == {proxy.resource_id: (f"{OTHER}: not allowed to {ROLE}",)}
    assert plan.locked == frozenset()


def test_the_first_of_two_secrets_of_a_user_counts(stage: Stage) -> None:
    stage.secrets.logins[OTHER] = [Login("app", ("three",))]
    stage.create_proxy(Auth=[{"SecretArn": OTHER}, {"SecretArn": SECRET}])
    plan = stage.plan()
    assert [user.passwords for user in plan.desired.proxies[0].users] == [("three",)]
    assert list(plan.refused.values()) == [(f"{SECRET}: the user app has another secret already",)]


def test_a_secret_of_another_user_than_the_entry_says(stage: Stage) -> None:
    stage.create_proxy(Auth=[{"SecretArn": SECRET, "UserName": "somebody"}])
    plan = stage.plan()
    assert plan.desired.proxies[0].users == ()
    assert list(plan.refused.values()) == [(f"{SECRET} is not of the user somebody, as the Auth entry says",)]
    assert plan.locked == {plan.desired.proxies[0].resource_id}


def test_a_password_that_does_not_open_costs_its_own_proxy_only(stage: Stage) -> None:
    stage.create_proxy()
    stage.create_proxy("other")
    stage.create_instance()
    stage.call("RegisterDBProxyTargets", DBProxyName="main", DBInstanceIdentifiers=["db1"])
    stage.sealer = Sealer(bytes(31) + b"x")
    plan = stage.plan()
    assert [proxy.target for proxy in plan.desired.proxies] == [None, None]
    assert list(plan.refused.values()) == [("the master password of db1 can't be decrypted",)]


def test_end_to_end_iam_has_the_roles_keys(stage: Stage) -> None:
    """Only with IAM_AUTH; and the database is shown tokens over TLS only."""
    stage.create_instance()
    stage.create_proxy()
    stage.call("RegisterDBProxyTargets", DBProxyName="main", DBInstanceIdentifiers=["db1"])
    before = stage.desired()
    assert before.target is not None
    assert (before.database_keys, before.target.require_tls) == (None, False)
    stage.settle()
    stage.call("ModifyDBProxy", DBProxyName="main", DefaultAuthScheme="IAM_AUTH", Auth=[])
    plan = stage.plan()
    (proxy,) = plan.desired.proxies
    assert proxy.target is not None
    assert (proxy.iam_for_all, proxy.database_keys, proxy.target.require_tls, proxy.users) == (True, KEYS, True, ())
    assert (plan.refused, plan.locked) == ({}, frozenset())
    assert "canary" not in repr(plan)


def test_a_role_that_may_not_be_assumed_locks_out_all_but_those_with_a_secret(stage: Stage) -> None:
    stage.secrets.trusted = False
    stage.create_proxy(DefaultAuthScheme="IAM_AUTH", Auth=[])
    plan = stage.plan()
    (proxy,) = plan.desired.proxies
    assert (proxy.iam_for_all, proxy.database_keys) == (True, None)
    assert plan.refused == {proxy.resource_id: (f"{ROLE} does not trust",)}
    assert plan.locked == {proxy.resource_id}
    stage.settle()
    stage.call("ModifyDBProxy", DBProxyName="main", Auth=[{"SecretArn": SECRET}])
    plan = stage.plan()
    assert [user.name for user in plan.desired.proxies[0].users] == ["app"]
    assert (len(plan.refused), plan.locked) == (1, frozenset())


def test_a_reason_is_told_once(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a role that trusts nobody, say, for each secret that it is to read."""

    def untrusted(*_: object, **__: object) -> list[Login]:
        raise NoCredentialsError(f"{ROLE} does not trust")

    stage.secrets.trusted = False
    monkeypatch.setattr(stage.secrets, "of_secret", untrusted)
    stage.create_proxy(DefaultAuthScheme="IAM_AUTH", Auth=[{"SecretArn": SECRET}, {"SecretArn": OTHER}])
    assert list(stage.plan().refused.values()) == [(f"{ROLE} does not trust",)]


def test_no_secret_is_in_what_is_printed(stage: Stage) -> None:
    stage.create_proxy()
    assert "one" not in repr(stage.plan().desired.proxies[0].users)
    assert "'one'" not in repr(stage.secrets)


def test_health_tells_of_missing_credentials(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    board = HealthBoard()
    stage.create_proxy(Auth=[{"SecretArn": OTHER}, {"SecretArn": SECRET}])
    plan = stage.plan()
    (proxy,) = plan.desired.proxies
    board.planned(plan)
    assert board.of(proxy.resource_id) is None
    board.saw({proxy.resource_id: TargetHealth(state=Health.AVAILABLE)})
    reason = f"{OTHER}: not allowed to {ROLE}"
    assert board.of(proxy.resource_id) == TargetHealth(
        state=Health.AVAILABLE, reason=HealthReason.AUTH_FAILURE, description=reason
    )
    unreachable = TargetHealth(state=Health.UNAVAILABLE, reason=HealthReason.UNREACHABLE)
    board.saw({proxy.resource_id: unreachable})
    assert board.of(proxy.resource_id) == unreachable
    stage.secrets.logins.clear()
    board.planned(stage.plan())
    health = board.of(proxy.resource_id)
    assert health is not None and (health.state, health.reason) == (Health.UNAVAILABLE, HealthReason.AUTH_FAILURE)
    assert health.description.startswith("Proxy does not have any registered credentials: ")
    assert [record.getMessage() for record in caplog.records] == [
        f"proxy {proxy.resource_id}: no credentials: {reason}",
        f"proxy {proxy.resource_id}: no credentials: {SECRET}: not allowed to {ROLE}",
    ]


def test_a_username_that_stands_for_everybody(stage: Stage) -> None:
    """To the data plane it would be the password of all users that have no entry."""
    stage.secrets.logins[OTHER] = [Login("*", ("three",))]
    stage.create_proxy(Auth=[{"SecretArn": OTHER}, {"SecretArn": SECRET}])
    plan = stage.plan()
    assert [user.name for user in plan.desired.proxies[0].users] == ["app"]
    assert list(plan.refused.values()) == [(f'{OTHER}: the username "*" would stand for every user, and is refused',)]
