"""The desired state as a configuration: what each part of it becomes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tidegate.auth.rds_token import SigningKeys
from tidegate.config.model import ANY_USER, AuthMethod, Config, SslMode
from tidegate.control.ports import Desired, DesiredEndpoint, DesiredProxy, DesiredTarget, DesiredUser
from tidegate.launch.certificates import LocalCertificates
from tidegate.launch.settings import NOWHERE, configuration, endpoint_of
from tidegate.proxy.poolkeys import pool_key

BASE = Config(proxies=(), targets=(), workers=3, control_socket="/run/t.sock")
KEYS = SigningKeys(region="us-east-1", access_key="ASIA1", secret_key="canary-key", session_token="canary-token")
TARGET = DesiredTarget(name="db-1", host="db.example", port=5433, user="master", password="m", database="shop")
USER = DesiredUser(name="app", passwords=("now", "next", "before"), iam=False)
PROXY = DesiredProxy(
    resource_id="prx-1",
    name="orders",
    endpoints=(
        DesiredEndpoint(resource_id="e-1", name="orders", host="127.1.2.3", port=5432, names=("127.1.2.3",)),
        DesiredEndpoint(resource_id="e-2", name="second", host="::1", port=5433, names=("::1",)),
    ),
    target=TARGET,
    users=(USER,),
    require_tls=True,
    idle_client_timeout=60,
    connection_borrow_timeout=7,
    max_connections_percent=40,
    max_idle_connections_percent=20,
    init_query="SET x.y = 1",
)
READER = DesiredEndpoint(
    resource_id="e-3", name="ro", host="127.1.2.4", port=5432, names=("127.1.2.4",), read_only=True
)
WITH_READERS = replace(PROXY, endpoints=(READER, *PROXY.endpoints))


@pytest.fixture
def certificates(tmp_path: Path) -> LocalCertificates:
    return LocalCertificates(tmp_path)


def translated(certificates: LocalCertificates, *proxies: DesiredProxy) -> Config:
    return configuration(Desired(proxies=proxies), BASE, certificates)


def test_nothing_is_the_base(certificates: LocalCertificates) -> None:
    assert translated(certificates) == BASE


def test_a_proxy(certificates: LocalCertificates) -> None:
    made = translated(certificates, PROXY)
    proxy, _ = made.proxies
    assert proxy.target == "prx-1"
    assert (proxy.tls_certificate, proxy.tls_key) == (certificates.certificate, certificates.key)
    assert (proxy.require_tls, proxy.idle_client_timeout, proxy.connection_borrow_timeout) == (True, 60.0, 7.0)
    assert (proxy.init_query, proxy.pass_through) == ("SET x.y = 1", False)
    assert (made.workers, made.control_socket, made.log_level) == (3, "/run/t.sock", BASE.log_level)


def test_its_endpoints_are_proxies_before_one_target(certificates: LocalCertificates) -> None:
    """So that it is known which endpoint a client came by."""
    made = translated(certificates, PROXY)
    first, second = made.proxies
    assert (first.listen, second.listen) == (("127.1.2.3:5432",), ("[::1]:5433",))
    assert second == replace(first, name=second.name, listen=second.listen)
    assert [endpoint_of(proxy.name) for proxy in made.proxies] == [("prx-1", "e-1"), ("prx-1", "e-2")]
    assert len(made.targets) == 1


def test_they_share_servers_whichever_comes_or_goes(certificates: LocalCertificates) -> None:
    made = translated(certificates, PROXY).proxies
    alone = translated(certificates, replace(PROXY, endpoints=PROXY.endpoints[1:])).proxies
    pools = {pool_key(made, proxy, "shop", "app") for proxy in made} | {pool_key(alone, alone[0], "shop", "app")}
    assert len(pools) == 1


def test_a_reader_has_servers_of_its_own(certificates: LocalCertificates) -> None:
    made = translated(certificates, WITH_READERS)
    reader, writer, _ = made.proxies
    assert made.targets == translated(certificates, PROXY).targets
    assert writer == translated(certificates, PROXY).proxies[0]
    assert reader == replace(writer, name=reader.name, listen=("127.1.2.4:5432",), init_query=reader.init_query)
    assert pool_key(made.proxies, reader, "shop", "app") != pool_key(made.proxies, writer, "shop", "app")


@pytest.mark.parametrize(
    ("own", "readers"),
    [
        ("", "SET default_transaction_read_only = on"),
        ("SET a = 1", "SET a = 1\n;SET default_transaction_read_only = on"),
        ("SET a = 1; -- one", "SET a = 1; -- one\n;SET default_transaction_read_only = on"),
    ],
)
def test_what_readers_sessions_begin_with(certificates: LocalCertificates, own: str, readers: str) -> None:
    """InitQuery acts on both, and can't undo what makes a reader."""
    made = translated(certificates, replace(WITH_READERS, init_query=own))
    assert [proxy.init_query for proxy in made.proxies] == [readers, own, own]


def test_its_target(certificates: LocalCertificates) -> None:
    (target,) = translated(certificates, PROXY).targets
    assert (target.name, target.host, target.port, target.database) == ("prx-1", "db.example", 5433, "shop")
    assert (target.user, target.password) == ("master", "m")
    assert (target.max_connections_percent, target.max_idle_connections_percent) == (40, 20)


def test_its_users(certificates: LocalCertificates) -> None:
    (user,) = translated(certificates, PROXY).users
    assert (user.name, user.password, user.other_passwords) == ("app", "now", ("next", "before"))
    assert user.via == ("prx-1/e-1", "prx-1/e-2")
    assert user.plain_passwords, "the API has no verifiers, whatever a password looks like"
    assert (user.auth_method, user.database_iam) == (AuthMethod.SCRAM_SHA_256, False)


@pytest.mark.parametrize(
    ("change", "method"),
    [
        ({"iam": True}, AuthMethod.IAM),
        ({"iam": True, "auth_method": "md5"}, AuthMethod.IAM),
        ({"auth_method": "md5"}, AuthMethod.MD5),
    ],
)
def test_how_clients_prove_themselves(
    certificates: LocalCertificates, change: dict[str, Any], method: AuthMethod
) -> None:
    (user,) = translated(certificates, replace(PROXY, users=(replace(USER, **change),))).users
    assert user.auth_method is method
    assert user.password == "now"


def test_a_user_of_iam_at_both_sides_has_no_password(certificates: LocalCertificates) -> None:
    """DesiredUser.database_iam: tokens take the place of passwords, so there may be none."""
    user = DesiredUser(name="app", passwords=(), iam=True, database_iam=True)
    (made,) = translated(certificates, replace(PROXY, users=(user,))).users
    assert (made.auth_method, made.database_iam, made.other_passwords) == (AuthMethod.IAM, True, ())
    assert not made.password


def test_iam_for_all(certificates: LocalCertificates) -> None:
    """Whoever is not listed logs in by a token, and so does the proxy; who is listed stays as listed."""
    made = translated(certificates, replace(PROXY, iam_for_all=True, database_keys=KEYS))
    listed, anybody = made.users
    assert (anybody.name, anybody.auth_method, anybody.database_iam) == (ANY_USER, AuthMethod.IAM, True)
    assert made.user("somebody", "prx-1/e-1") is anybody
    assert made.user("app", "prx-1/e-2") is listed
    assert made.user("somebody", "prx-2/e-1") is None


def test_without_keys_nobody_else_is_let_in(certificates: LocalCertificates) -> None:
    """As with a secret that can't be had: they are told so at their login, and not by the database."""
    assert translated(certificates, replace(PROXY, iam_for_all=True)) == translated(certificates, PROXY)


def test_tokens_travel_over_tls_only(certificates: LocalCertificates) -> None:
    before, after = (replace(TARGET, require_tls=required) for required in (False, True))
    modes = [translated(certificates, replace(PROXY, target=target)).targets[0].sslmode for target in (before, after)]
    assert modes == [SslMode.PREFER, SslMode.REQUIRE]


def test_keys_are_no_settings(certificates: LocalCertificates) -> None:
    """Settings are written down in more places."""
    made = translated(certificates, replace(PROXY, iam_for_all=True, database_keys=KEYS))
    assert "canary" not in json.dumps(made.to_dict())


def test_users_may_come_by_all_endpoints(certificates: LocalCertificates) -> None:
    made = translated(certificates, replace(WITH_READERS, iam_for_all=True, database_keys=KEYS))
    listed, anybody = made.users
    assert [made.user("app", proxy.name) for proxy in made.proxies] == [listed] * 3
    assert [made.user("somebody", proxy.name) for proxy in made.proxies] == [anybody] * 3
    assert made.user("app", "prx-2/e-1") is None


def test_users_of_one_proxy_are_nobody_at_another(certificates: LocalCertificates) -> None:
    second = replace(PROXY, resource_id="prx-2", users=(replace(USER, passwords=("other",)),))
    made = translated(certificates, PROXY, second)
    for proxy, password in (("prx-1/e-1", "now"), ("prx-2/e-1", "other")):
        user = made.user("app", proxy)
        assert user is not None and user.password == password
    assert made.user("app", "prx-3/e-1") is None


def test_without_a_target_clients_wait(certificates: LocalCertificates) -> None:
    (target,) = translated(certificates, replace(PROXY, target=None)).targets
    assert (target.host, target.password) == (NOWHERE, "")
    assert not Path(NOWHERE).exists()
    assert target.max_connections_percent == 40


def test_a_new_name_changes_nothing(certificates: LocalCertificates) -> None:
    """So that no client is touched."""
    assert translated(certificates, replace(PROXY, name="renamed")) == translated(certificates, PROXY)


def test_debug_logging(certificates: LocalCertificates) -> None:
    second = replace(PROXY, resource_id="prx-2", debug_logging=True)
    made = translated(certificates, PROXY, second)
    assert made.log_level is BASE.log_level
    assert made.debugged == {
        ("target", "prx-2"),
        *(("proxy", one.name) for one in made.proxies if one.target == "prx-2"),
    }
    assert translated(certificates, PROXY).debugged == set()


def test_debug_logging_is_for_all_endpoints(certificates: LocalCertificates) -> None:
    made = translated(certificates, replace(WITH_READERS, debug_logging=True))
    assert made.debugged == {("target", "prx-1"), *(("proxy", proxy.name) for proxy in made.proxies)}


def test_it_reaches_workers_whole(certificates: LocalCertificates) -> None:
    made = translated(certificates, replace(PROXY, iam_for_all=True, database_keys=KEYS))
    assert Config.from_dict(json.loads(json.dumps(made.to_dict()))) == made
