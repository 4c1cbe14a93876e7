"""A proxy of a configuration file whose passwords are in Secrets Manager: logins, rotation, and what fails alone."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import psycopg
import pytest

from tests.support.load import Load
from tests.support.postgres import Postgres
from tests.support.stack import Stack
from tests.support.tidegate import Proxy, wait_until
from tests.support.wire import RawClient, ServerError
from tidegate.auth.scram_keys import ScramKeys
from tidegate.control.profile import environment
from tidegate.demo.postgres import PASSWORD, SUPERUSER
from tidegate.demo.processes import python_environment

CANARY = "canary-5up3rs3cr3t"
LOOKALIKES = ("SCRAM-SHA-256$no verifier", "md5" + "0" * 32)


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with Stack() as made:
        yield made


@pytest.fixture
def roles(postgres: Postgres) -> Iterator[Callable[[str, str], str]]:
    """Makes a role with a password, for the test alone."""
    made: list[str] = []

    def make(name: str, password: str) -> str:
        postgres.sql(f"CREATE ROLE {name} LOGIN PASSWORD '{password}'")
        made.append(name)
        return name

    yield make
    for name in made:
        postgres.sql(f"DROP ROLE {name}")


@pytest.fixture(autouse=True)
def no_secrets(stack: Stack) -> Iterator[None]:
    """Each test has its own."""
    yield
    secrets = stack.client("secretsmanager")
    for secret in secrets.list_secrets(IncludePlannedDeletion=True)["SecretList"]:
        secrets.delete_secret(SecretId=secret["ARN"], ForceDeleteWithoutRecovery=True)


def before(postgres: Postgres, stack: Stack, *users: Mapping[str, Any], **settings: Any) -> Proxy:
    """A proxy that asks this Secrets Manager."""
    variables = environment(stack.data)
    keys = {name: variables[name] for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}
    top = {"aws_endpoint_url": stack.url, "aws_region": variables["AWS_REGION"], **settings.pop("top", {})}
    return Proxy(postgres, users=users, top=top, environment=keys, **settings)


def connect(proxy: Proxy, user: str, password: str) -> psycopg.Connection[tuple[object, ...]]:
    return psycopg.connect(proxy.dsn(user, "postgres", password), autocommit=True)


def refused(proxy: Proxy, user: str, password: str) -> str:
    """What the client is told."""
    with pytest.raises(psycopg.OperationalError) as caught:
        connect(proxy, user, password)
    return str(caught.value)


def asked_for(stack: Stack, secret: str) -> str:
    """The current password."""
    value = stack.client("secretsmanager").get_secret_value(SecretId=secret)["SecretString"]
    return str(json.loads(value)["password"])


def tidegate(*arguments: str) -> str:
    """What a command of the program prints, on both streams."""
    command = [sys.executable, "-m", "tidegate", *arguments]
    done = subprocess.run(command, env=python_environment(), capture_output=True, text=True, timeout=60, check=True)
    return done.stdout + done.stderr


def new_servers(postgres: Postgres, user: str) -> None:
    """End those that are there, and have the next client log in at the database."""
    postgres.sql("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = %s", [user])


@pytest.mark.parametrize("method", ["scram-sha-256", "md5", "password"])
def test_logins(postgres: Postgres, stack: Stack, roles: Callable[[str, str], str], method: str) -> None:
    user = roles("sm_login", "first")
    arn = stack.secret(postgres, user, "first")
    with before(postgres, stack, {"name": user, "secret_arn": arn}, proxy={"auth_method": method}) as proxy:
        with connect(proxy, user, "first") as client:
            assert client.execute("SELECT current_user").fetchone() == (user,)
        assert 'password authentication failed for user "sm_login"' in refused(proxy, user, "wrong")
        assert 'password authentication failed for user "stranger"' in refused(proxy, "stranger", "first")


@pytest.mark.parametrize("password", LOOKALIKES)
def test_a_password_that_looks_like_a_verifier(
    postgres: Postgres, stack: Stack, roles: Callable[[str, str], str], password: str
) -> None:
    """The database is given a verifier made of it, since it would take it for one, too."""
    user = roles("sm_lookalike", ScramKeys.from_password(password).text())
    arn = stack.secret(postgres, user, password)
    with before(postgres, stack, {"name": user, "secret_arn": arn}) as proxy:
        with connect(proxy, user, password) as client:
            assert client.execute("SELECT current_user").fetchone() == (user,)
        assert 'password authentication failed for user "sm_lookalike"' in refused(proxy, user, "wrong")


def test_a_rotation_that_the_proxy_learns_of_by_a_refusal(
    postgres: Postgres, stack: Stack, roles: Callable[[str, str], str]
) -> None:
    """Clients keep the password that they had; every server is new, with a password that the proxy was never told."""
    user = roles("sm_rotated", "first")
    arn = stack.secret(postgres, user, "first")
    top, target = {"workers": 2}, {"max_connections": 4, "server_lifetime": 1}
    with before(postgres, stack, {"name": user, "secret_arn": arn}, top=top, target=target) as proxy:
        with Load(lambda _: connect(proxy, user, "first"), user) as load:
            load.more()
            stack.rotate(arn)
            assert asked_for(stack, arn) != "first"
            ((rotated,),) = postgres.sql("SELECT now()")
            older = "SELECT 1 FROM pg_stat_activity WHERE usename = %s AND backend_start < %s"
            wait_until(lambda: not postgres.sql(older, [user, rotated]), "all servers of before have come to their end")
            load.more(60)
        assert load.failures == []
        with connect(proxy, user, asked_for(stack, arn)) as client:
            assert client.execute("SELECT 1").fetchone() == (1,)
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(postgres.dsn(user, "postgres", "first"))


def test_a_rotation_while_no_server_is_there(
    postgres: Postgres, stack: Stack, roles: Callable[[str, str], str]
) -> None:
    user = roles("sm_idle", "first")
    arn = stack.secret(postgres, user, "first")
    with before(postgres, stack, {"name": user, "secret_arn": arn}) as proxy:
        for _ in range(3):
            old = asked_for(stack, arn)
            stack.rotate(arn)
            new_servers(postgres, user)
            with connect(proxy, user, old) as client:
                assert client.execute("SELECT 1").fetchone() == (1,)


def test_clients_with_the_new_password_after_a_rotation(
    postgres: Postgres, stack: Stack, roles: Callable[[str, str], str]
) -> None:
    """Clients read the secret themselves, and may have the new password before any server was refused the old one."""
    user = roles("sm_ahead", "first")
    arn = stack.secret(postgres, user, "first")
    with before(postgres, stack, {"name": user, "secret_arn": arn}) as proxy:
        connect(proxy, user, "first").close()
        stack.rotate(arn)
        with connect(proxy, user, asked_for(stack, arn)) as client:
            assert client.execute("SELECT 1").fetchone() == (1,)


NO_CREDENTIALS = "this proxy has no credentials for the role"


@pytest.mark.parametrize("text", [CANARY, f'{{"username": "{CANARY}"}}', '{"username": "sm_bad", "password": 5}'])
def test_what_is_no_secret_fails_its_own_user_only(
    postgres: Postgres, stack: Stack, roles: Callable[[str, str], str], text: str
) -> None:
    bad, good = roles("sm_bad", "bad"), roles("sm_good", "good")
    wrong = stack.client("secretsmanager").create_secret(Name="wrong", SecretString=text)["ARN"]
    right = stack.secret(postgres, good, "good")
    users = [{"name": bad, "secret_arn": wrong}, {"name": good, "secret_arn": right}]
    with before(postgres, stack, *users) as proxy:
        assert f'{NO_CREDENTIALS} "{bad}"' in refused(proxy, bad, "bad")
        with connect(proxy, good, "good") as client:
            assert client.execute("SELECT 1").fetchone() == (1,)
        assert f"secret {wrong}" in proxy.stderr()
        assert CANARY not in proxy.stderr()


def test_a_secret_that_is_not_there(postgres: Postgres, stack: Stack, roles: Callable[[str, str], str]) -> None:
    """Deleted before the start: no credentials, and its own SQLSTATE; mended, a reload brings them."""
    gone, good = roles("sm_gone", "gone"), roles("sm_good", "good")
    secrets = stack.client("secretsmanager")
    lost, right = stack.secret(postgres, gone, "gone"), stack.secret(postgres, good, "good")
    secrets.delete_secret(SecretId=lost)
    users = [{"name": gone, "secret_arn": lost}, {"name": good, "secret_arn": right}]
    with before(postgres, stack, *users) as proxy:
        with RawClient(proxy.host, proxy.port) as client, pytest.raises(ServerError) as caught:
            client.login(gone, "gone", "postgres")
        assert caught.value.sqlstate == "28000"
        assert f'{NO_CREDENTIALS} "{gone}"' in str(caught.value)
        connect(proxy, good, "good").close()
        secrets.restore_secret(SecretId=lost)
        assert proxy.reload()["ok"]
        with connect(proxy, gone, "gone") as found:
            assert found.execute("SELECT 1").fetchone() == (1,)


def test_one_that_is_deleted_under_way(postgres: Postgres, stack: Stack, roles: Callable[[str, str], str]) -> None:
    """What it said last stays in use, as long as the database takes it; then its user is refused, and nobody else."""
    user, good = roles("sm_leaving", "first"), roles("sm_good", "good")
    arn, right = stack.secret(postgres, user, "first"), stack.secret(postgres, good, "good")
    users = [{"name": user, "secret_arn": arn}, {"name": good, "secret_arn": right}]
    with before(postgres, stack, *users) as proxy:
        stack.client("secretsmanager").delete_secret(SecretId=arn, ForceDeleteWithoutRecovery=True)
        new_servers(postgres, user)
        connect(proxy, user, "first").close()
        postgres.sql(f"ALTER ROLE {user} PASSWORD 'changed'")
        new_servers(postgres, user)

        refusal = f'password authentication failed for user "{user}"'
        with pytest.raises(psycopg.Error, match=refusal), connect(proxy, user, "first") as client:
            client.execute("SELECT 1")
        with connect(proxy, good, "good") as client:
            assert client.execute("SELECT 1").fetchone() == (1,)
        assert f"credentials stay as they are: secret {arn}" in proxy.stderr()


def test_refused_credentials_are_counted(postgres: Postgres, stack: Stack, roles: Callable[[str, str], str]) -> None:
    """Neither clients' mistakes nor a rotation: the number rises where a secret no longer fits the database."""
    user = roles("sm_counted", "first")
    arn = stack.secret(postgres, user, "first")

    def counted() -> int:
        return int(proxy.stats()["credentials_refused"])

    with before(postgres, stack, {"name": user, "secret_arn": arn}) as proxy:
        connect(proxy, user, "first").close()
        refused(proxy, user, "wrong")
        refused(proxy, "stranger", "first")
        stack.rotate(arn)
        new_servers(postgres, user)
        with connect(proxy, user, "first") as client:
            client.execute("SELECT 1")
        assert counted() == 0
        postgres.sql(f"ALTER ROLE {user} PASSWORD 'changed'")
        new_servers(postgres, user)
        refusal = "password authentication failed"
        with pytest.raises(psycopg.Error, match=refusal), connect(proxy, user, "first") as client:
            client.execute("SELECT 1")
        assert counted() == 1


def test_a_secret_of_another_user(postgres: Postgres, stack: Stack, roles: Callable[[str, str], str]) -> None:
    user = roles("sm_mine", "mine")
    arn = stack.secret(postgres, "somebody", "mine", "theirs")
    with before(postgres, stack, {"name": user, "secret_arn": arn}) as proxy:
        assert f'{NO_CREDENTIALS} "{user}"' in refused(proxy, user, "mine")
        assert f"secret {arn} is user somebody's, not {user}'s; it is not used" in proxy.stderr()


def test_the_proxys_own_login(stack: Stack) -> None:
    """By a secret, which changes: it reads roles for clients that pass through."""
    with Postgres() as own:
        own.start()
        own.add_role("app")
        own.add_role("late")
        arn = stack.secret(own, SUPERUSER, PASSWORD, "own")
        target = {"password": "", "secret_arn": arn}
        with before(own, stack, target=target) as proxy:
            with psycopg.connect(proxy.dsn("app", "postgres")) as client:
                assert client.execute("SELECT current_user").fetchone() == ("app",)
            own.sql(f"ALTER ROLE {SUPERUSER} PASSWORD 'changed'")
            value = json.dumps({"username": SUPERUSER, "password": "changed"})
            stack.client("secretsmanager").put_secret_value(SecretId=arn, SecretString=value)
            ended = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
            with psycopg.connect(own.dsn(SUPERUSER, "postgres", "changed"), autocommit=True) as root:
                root.execute(ended + " AND backend_type = 'client backend'")
            with psycopg.connect(proxy.dsn("late", "postgres")) as client:
                assert client.execute("SELECT current_user").fetchone() == ("late",)


def test_no_secret_is_said(postgres: Postgres, stack: Stack, roles: Callable[[str, str], str]) -> None:
    """At the most talkative level, through a login, refusals, a rotation, and all that the program can be asked."""
    user = roles("sm_quiet", CANARY)
    arn = stack.secret(postgres, user, CANARY)
    top = {"log_level": "debug"}
    with before(postgres, stack, {"name": user, "secret_arn": arn}, top=top) as proxy:
        connect(proxy, user, CANARY).close()
        assert CANARY not in refused(proxy, user, CANARY + "x")
        stack.rotate(arn)
        new = asked_for(stack, arn)
        new_servers(postgres, user)
        connect(proxy, user, CANARY).close()
        said = proxy.stderr() + json.dumps(proxy.stats()) + proxy.config_file.read_text()
        with connect(proxy, user, CANARY) as client:
            client.execute("CREATE TEMP TABLE pinned AS SELECT 1")
            wait_until(lambda: proxy.command("pins")["sessions"], "there is a session to tell of")
            asked = {name: proxy.command(name) for name in ("ping", "pins", "reload", "no such command")}
            said += json.dumps(asked)
            said += tidegate("pins", "--config", str(proxy.config_file))
            said += tidegate("validate", "--config", str(proxy.config_file))
        for pid in (proxy.pid, *proxy.workers()):
            for name in ("cmdline", "environ"):
                with open(f"/proc/{pid}/{name}", "rb") as file:
                    said += file.read().decode(errors="replace")
        assert proxy.stop() == 0
        said += proxy.stderr()
    assert CANARY not in said
    assert new not in said


def test_aws_that_cant_be_reached(postgres: Postgres, stack: Stack, roles: Callable[[str, str], str]) -> None:
    """The proxy starts all the same, and serves those whose passwords it has."""
    user, good = roles("sm_lost", "lost"), roles("sm_good", "good")
    arn = stack.secret(postgres, user, "lost")
    users = [{"name": user, "secret_arn": arn}, {"name": good, "password": "good"}]
    with before(postgres, stack, *users, top={"aws_endpoint_url": "http://127.0.0.1:1"}) as proxy:
        assert f'{NO_CREDENTIALS} "{user}"' in refused(proxy, user, "lost")
        connect(proxy, good, "good").close()
        assert "Could not connect to the endpoint URL" in proxy.stderr()
