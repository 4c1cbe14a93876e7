"""Rotation for real: against a PostgreSQL, cut off after every step, with databases that do not take part."""

from __future__ import annotations

import datetime
import json
import logging
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import psycopg
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from tests.support.postgres import Postgres
from tests.unit.control.services.secretsmanager.desk import NOON, Context, Desk
from tidegate.control.rotation import databases, handlers, steps
from tidegate.control.rotation.handlers import RotationError
from tidegate.control.services.secretsmanager import works
from tidegate.control.services.secretsmanager.credentials import SecretCredentials, credentials_of
from tidegate.demo.postgres import UNPRIVILEGED

TOKEN, FIRST = "2" * 32, "1" * 32
DAY = 86_400
CUTS = [(step, when) for step in steps.STEPS for when in ("before", "after")]


class Cut(BaseException):
    """The process dies here."""


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    made.store.close()


@pytest.fixture
def user(postgres: Postgres, request: pytest.FixtureRequest) -> str:
    """A role of this test's own, with its name as the password, that may read one table."""
    name = f"rot_{abs(hash(request.node.nodeid)) % 10**9}"
    postgres.add_role(name)
    postgres.sql("CREATE TABLE IF NOT EXISTS rotation_probe AS SELECT 42 AS answer")
    postgres.sql(f"GRANT SELECT ON rotation_probe TO {name}")
    return name


def secret(desk: Desk, postgres: Postgres, user: str, password: str = "", name: str = "app", **more: Any) -> str:
    fields = {
        "engine": "postgres",
        "host": postgres.host,
        "port": postgres.port,
        "username": user,
        "password": password or user,
        **more,
    }
    return desk.create(name, json.dumps(fields), ClientRequestToken=FIRST if name == "app" else "3" * 32)


def master(desk: Desk, postgres: Postgres) -> str:
    """The secret of a superuser with a password."""
    if not postgres.sql("SELECT 1 FROM pg_roles WHERE rolname = 'rot_master'"):
        postgres.add_role("rot_master", "SUPERUSER")
    return secret(desk, postgres, "rot_master", name="master")


def run(desk: Desk, work: str = works.ROTATE, published: Callable[[str], None] = lambda _: None) -> None:
    """What the runner does with a task that is due: done and removed, or raised and kept."""
    task = desk.tasks()[work]
    handlers.handlers(desk.sealer, published)[work](Context(desk, task))
    if desk.tasks().get(work) == task:
        desk.run(lambda transaction: transaction.table(type(task)).delete(task.key))


def told(desk: Desk, arn: str) -> SecretCredentials:
    return desk.run(lambda transaction: credentials_of(transaction, desk.sealer, arn))


def fields(desk: Desk, label: str = "AWSCURRENT") -> dict[str, Any]:
    found: dict[str, Any] = json.loads(desk("get_secret_value", SecretId="app", VersionStage=label)["SecretString"])
    return found


def answer(postgres: Postgres, user: str, password: str) -> int | None:
    """What the probe says to that user; None if the login is refused."""
    try:
        connection = psycopg.connect(postgres.dsn(user, password=password))
    except psycopg.OperationalError as error:
        if "password authentication failed" not in str(error):
            raise
        return None
    with connection:
        row = connection.execute("SELECT answer FROM rotation_probe").fetchone()
    assert row is not None
    return int(row[0])


def test_one_user(desk: Desk, postgres: Postgres, user: str, caplog: pytest.LogCaptureFixture) -> None:
    arn = secret(desk, postgres, user, comment="kept")
    desk("rotate_secret", SecretId="app", ClientRequestToken=TOKEN, RotationRules={"AutomaticallyAfterDays": 2})
    desk.at += 3
    published: list[SecretCredentials] = []
    with caplog.at_level(logging.DEBUG):
        run(desk, published=lambda secret: published.append(told(desk, secret)))
    now = fields(desk)
    assert now == {**fields(desk, "AWSPREVIOUS"), "password": now["password"]} and now["comment"] == "kept"
    assert len(now["password"]) == 32 and not set(now["password"]) & set(steps.EXCLUDED)
    assert answer(postgres, user, now["password"]) == 42 and answer(postgres, user, user) is None
    assert published[0].passwords == (user, now["password"])
    assert told(desk, arn).passwords == (now["password"], user)
    assert desk.labels(arn) == {FIRST: ["AWSPREVIOUS"], TOKEN: ["AWSCURRENT"]}
    described = desk("describe_secret", SecretId="app")
    assert described["LastRotatedDate"].timestamp() == NOON + 3
    assert described["NextRotationDate"].timestamp() == NOON + 2.5 * DAY
    assert set(desk.tasks()) == {works.END_GRACE, works.SCHEDULED_ROTATION}
    assert f"rotation of {arn} is done: version {TOKEN} is AWSCURRENT" in caplog.messages
    assert now["password"] not in caplog.text + postgres.log_tail(10_000)


def test_no_password_and_no_clear_statement_reaches_the_databases_log(desk: Desk, user: str) -> None:
    with Postgres(settings={"log_statement": "all", "log_connections": "on"}) as server:
        server.start()
        server.add_role(user)
        secret(desk, server, user)
        desk("rotate_secret", SecretId="app")
        run(desk)
        log = server.log_tail(10_000)
        assert fields(desk)["password"] not in log
        assert f'ALTER ROLE "{user}" PASSWORD \'SCRAM-SHA-256$4096:' in log


def test_two_users_take_turns(desk: Desk, postgres: Postgres, user: str) -> None:
    arn = secret(desk, postgres, user, masterarn=master(desk, postgres))
    used = []
    for _ in range(3):
        before = fields(desk)
        desk("rotate_secret", SecretId="app")
        run(desk)
        now = fields(desk)
        used.append(now["username"])
        assert answer(postgres, now["username"], now["password"]) == 42
        assert answer(postgres, before["username"], before["password"]) == 42, "the previous user stays valid"
        alternate = told(desk, arn).alternate
        assert alternate is not None and alternate.passwords[0] == before["password"]
    assert used == [f"{user}_clone", user, f"{user}_clone"]


def test_a_scheduled_rotation(desk: Desk, postgres: Postgres, user: str) -> None:
    arn = secret(desk, postgres, user)
    rules = {"ScheduleExpression": "rate(4 hours)"}
    desk("rotate_secret", SecretId="app", RotationRules=rules, RotateImmediately=False)
    desk.at = desk.tasks()[works.SCHEDULED_ROTATION].due - 1
    run(desk, works.SCHEDULED_ROTATION)
    assert works.ROTATE not in desk.tasks()
    desk("rotate_secret", SecretId="app", RotationRules=rules, RotateImmediately=False)
    for _ in range(2):
        desk.at = desk.tasks()[works.SCHEDULED_ROTATION].due
        before = fields(desk)["password"]
        run(desk, works.SCHEDULED_ROTATION)
        run(desk)
        assert answer(postgres, user, fields(desk)["password"]) == 42 and fields(desk)["password"] != before
        assert desk.tasks()[works.SCHEDULED_ROTATION].due == desk.at + 4 * 3600
    rotation = desk.secret(arn).rotation
    assert rotation is not None and rotation.rotated == desk.at


@pytest.mark.parametrize("two_users", [False, True], ids=["one user", "two users"])
@pytest.mark.parametrize(("step", "when"), CUTS)
def test_a_rotation_that_is_cut_off_goes_on(
    desk: Desk, postgres: Postgres, user: str, monkeypatch: pytest.MonkeyPatch, step: str, when: str, two_users: bool
) -> None:
    more = {"masterarn": master(desk, postgres)} if two_users else {}
    arn = secret(desk, postgres, user, **more)
    desk("rotate_secret", SecretId="app", ClientRequestToken=TOKEN)

    def dying(job: steps.Job, do: Callable[[steps.Job], None] = steps.STEPS[step]) -> None:
        if when == "after":
            do(job)
        raise Cut

    with monkeypatch.context() as patch:
        patch.setattr(steps, "STEPS", {**steps.STEPS, step: dying})
        with pytest.raises(Cut):
            run(desk)
    assert login_works(desk, postgres, arn), "somebody who knows the secret must get in at any moment"
    run(desk)
    now = fields(desk)
    assert now["username"] == (f"{user}_clone" if two_users else user)
    assert answer(postgres, now["username"], now["password"]) == 42
    assert desk.labels(arn) == {FIRST: ["AWSPREVIOUS"], TOKEN: ["AWSCURRENT"]}
    assert works.ROTATE not in desk.tasks()


def login_works(desk: Desk, postgres: Postgres, arn: str) -> bool:
    known = told(desk, arn)
    return any(answer(postgres, known.username, password) == 42 for password in known.passwords)


def test_it_is_cut_off_within_a_step(
    desk: Desk, postgres: Postgres, user: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The password has changed in the database, and nobody has noted that."""
    arn = secret(desk, postgres, user)
    desk("rotate_secret", SecretId="app")

    def change_and_die(*given: Any, change: Callable[..., None] = databases.change_password) -> None:
        change(*given)
        raise Cut

    with monkeypatch.context() as patch:
        patch.setattr(databases, "change_password", change_and_die)
        with pytest.raises(Cut):
            run(desk)
    assert answer(postgres, user, user) is None and login_works(desk, postgres, arn)
    run(desk)
    assert answer(postgres, user, fields(desk)["password"]) == 42


def test_the_previous_password_is_tried(desk: Desk, postgres: Postgres, user: str) -> None:
    """A backup was restored: the database is back at the password before."""
    secret(desk, postgres, user)
    wrong = json.dumps({**fields(desk), "password": "not in the database"})
    desk("put_secret_value", SecretId="app", SecretString=wrong)
    desk("rotate_secret", SecretId="app")
    run(desk)
    assert answer(postgres, user, fields(desk)["password"]) == 42


def failing(desk: Desk, arn: str, caplog: pytest.LogCaptureFixture) -> str:
    """Why an attempt fails; it must be told, kept with the secret and leave the task."""
    caplog.clear()
    with caplog.at_level(logging.WARNING), pytest.raises(RotationError) as caught:
        run(desk)
    rotation = desk.secret(arn).rotation
    assert rotation is not None and rotation.failure == str(caught.value)
    assert caplog.messages == [f"rotation of {arn} failed, attempt 1: {caught.value}"]
    assert works.ROTATE in desk.tasks()
    return str(caught.value)


def test_a_failure_is_told_and_the_next_attempt_goes_on(
    desk: Desk, postgres: Postgres, user: str, caplog: pytest.LogCaptureFixture
) -> None:
    arn = secret(desk, postgres, user, "canary-password")
    desk("rotate_secret", SecretId="app", ClientRequestToken=TOKEN)
    for _ in range(2):
        why = failing(desk, arn, caplog)
        assert why.startswith("setSecret: connection failed") and "canary" not in why
        assert f'password authentication failed for user "{user}"' in why
    pending = fields(desk, "AWSPENDING")["password"]
    assert desk.labels(arn) == {FIRST: ["AWSCURRENT"], TOKEN: ["AWSPENDING"]}
    postgres.sql(f"ALTER ROLE {user} PASSWORD 'canary-password'")
    run(desk)
    assert fields(desk)["password"] == pending and answer(postgres, user, pending) == 42
    rotation = desk.secret(arn).rotation
    assert rotation is not None and rotation.failure == ""


def test_a_database_that_is_not_there(
    desk: Desk, postgres: Postgres, user: str, caplog: pytest.LogCaptureFixture
) -> None:
    arn = secret(desk, postgres, user, port=1)
    desk("rotate_secret", SecretId="app")
    assert "Connection refused" in failing(desk, arn, caplog)


def test_a_server_that_asks_for_no_password_proves_nothing(
    desk: Desk, user: str, caplog: pytest.LogCaptureFixture
) -> None:
    with Postgres(hba=("local all all trust", "host all all 127.0.0.1/32 trust")) as server:
        server.start()
        server.add_role(user)
        arn = secret(desk, server, user, "wrong")
        desk("rotate_secret", SecretId="app")
        assert "authentication method requirement" in failing(desk, arn, caplog)


def certificate(folder: Path) -> dict[str, str]:
    """Settings for TLS with a certificate of the server's own making."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    begin = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + datetime.timedelta(days=36_500))
        .sign(key, hashes.SHA256())
    )
    form = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    parts = {"server.crt": made.public_bytes(Encoding.PEM), "server.key": key.private_bytes(*form)}
    for file_name, content in parts.items():
        (folder / file_name).write_bytes(content)
        (folder / file_name).chmod(0o600)
        if os.geteuid() == 0:
            shutil.chown(folder / file_name, UNPRIVILEGED)
    return {"ssl": "on", "ssl_cert_file": str(folder / "server.crt"), "ssl_key_file": str(folder / "server.key")}


@pytest.mark.parametrize(("said", "works_there"), [({}, True), ({"ssl": True}, True), ({"ssl": "false"}, False)])
def test_a_server_that_wants_tls(
    desk: Desk, user: str, caplog: pytest.LogCaptureFixture, said: dict[str, Any], works_there: bool
) -> None:
    hba = ("local all all trust", f"hostssl all {user} 127.0.0.1/32 scram-sha-256", "hostnossl all postgres all trust")
    with Postgres(hba=hba) as server:
        server.settings.update(certificate(server.folder))
        server.start()
        server.psql(f"CREATE ROLE {user} LOGIN PASSWORD '{user}'")
        arn = secret(desk, server, user, **said)
        desk("rotate_secret", SecretId="app")
        if works_there:
            run(desk)
            assert fields(desk)["password"] != user
        else:
            assert "no encryption" in failing(desk, arn, caplog)


def test_a_server_without_tls_where_the_secret_wants_it(
    desk: Desk, postgres: Postgres, user: str, caplog: pytest.LogCaptureFixture
) -> None:
    arn = secret(desk, postgres, user, ssl=True)
    desk("rotate_secret", SecretId="app")
    assert "server does not support SSL, but SSL was required" in failing(desk, arn, caplog)


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"username": "postgres"}, "the pending secret names another user than the current one"),
        ({"host": "localhost"}, "the pending secret names another server than the current one"),
        ({"port": "five"}, 'the secret\'s "port" is not a port'),
        ({"host": "/tmp"}, "the secret's value has no key \"host\" with a host's name or address"),
        ({"password": ""}, 'the secret\'s value has no key "password" with text in it'),
    ],
)
def test_a_pending_version_made_by_hand_is_not_trusted(
    desk: Desk,
    postgres: Postgres,
    user: str,
    caplog: pytest.LogCaptureFixture,
    changed: Mapping[str, Any],
    why: str,
) -> None:
    arn = secret(desk, postgres, user)
    desk("rotate_secret", SecretId="app", ClientRequestToken=TOKEN)
    filled = json.dumps({**fields(desk), "password": "another", **changed})
    desk(
        "put_secret_value",
        SecretId="app",
        SecretString=filled,
        ClientRequestToken=TOKEN,
        VersionStages=["AWSPENDING"],
    )
    assert failing(desk, arn, caplog) == f"setSecret: {why}"
    assert answer(postgres, user, user) == 42


def test_a_master_that_was_swapped_is_not_used(
    desk: Desk, postgres: Postgres, user: str, caplog: pytest.LogCaptureFixture
) -> None:
    arn = secret(desk, postgres, user, masterarn=master(desk, postgres))
    other = desk.create("other", json.dumps(fields(desk)))
    desk("rotate_secret", SecretId="app", RotationRules={"AutomaticallyAfterDays": 1}, RotateImmediately=False)
    swapped = json.dumps({**fields(desk), "masterarn": other})
    desk("put_secret_value", SecretId="app", SecretString=swapped)
    desk.at = desk.tasks()[works.SCHEDULED_ROTATION].due
    run(desk, works.SCHEDULED_ROTATION)
    assert failing(desk, arn, caplog) == "setSecret: the secret names no master secret that may be used"


def test_a_master_may_only_change_whose_password_is_right(
    desk: Desk, postgres: Postgres, user: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Else whoever may write one secret could have the master change anybody's password."""
    arn = secret(desk, postgres, user, "guess", masterarn=master(desk, postgres))
    desk("rotate_secret", SecretId="app")
    assert "password authentication failed" in failing(desk, arn, caplog)
    assert not postgres.sql("SELECT 1 FROM pg_roles WHERE rolname = %s", [f"{user}_clone"])


def test_a_master_that_may_not_create_roles(
    desk: Desk, postgres: Postgres, user: str, caplog: pytest.LogCaptureFixture
) -> None:
    postgres.add_role(f"{user}_m")
    weak = secret(desk, postgres, f"{user}_m", name="weak")
    arn = secret(desk, postgres, user, masterarn=weak)
    desk("rotate_secret", SecretId="app")
    assert failing(desk, arn, caplog) == "setSecret: permission denied to create role"


def test_what_is_cancelled_is_not_carried_on(desk: Desk, postgres: Postgres, user: str) -> None:
    secret(desk, postgres, user)
    desk("rotate_secret", SecretId="app", ClientRequestToken=TOKEN)
    task = desk.tasks()[works.ROTATE]
    for end in ("cancel_rotate_secret", "delete_secret"):
        desk(end, SecretId="app")
        handlers.handlers(desk.sealer)[works.ROTATE](Context(desk, task))
        assert answer(postgres, user, user) == 42


def test_the_set_up_is_tested(desk: Desk, postgres: Postgres, user: str, caplog: pytest.LogCaptureFixture) -> None:
    arn = secret(desk, postgres, user, "wrong")
    rules = {"AutomaticallyAfterDays": 7}
    desk("rotate_secret", SecretId="app", RotationRules=rules, RotateImmediately=False)
    run(desk, works.TEST_ROTATION)
    rotation = desk.secret(arn).rotation
    assert rotation is not None and rotation.failure.startswith("testSecret: connection failed")
    assert "would fail" in caplog.text
    postgres.sql(f"ALTER ROLE {user} PASSWORD 'wrong'")
    desk("rotate_secret", SecretId="app", RotateImmediately=False)
    run(desk, works.TEST_ROTATION)
    rotation = desk.secret(arn).rotation
    assert rotation is not None and rotation.failure == ""
    assert answer(postgres, user, "wrong") == 42


def test_names_that_need_quoting(desk: Desk, postgres: Postgres) -> None:
    name = 'o"Neill; DROP ROLE app --é'
    quoted = '"' + name.replace('"', '""') + '"'
    postgres.sql(f"CREATE ROLE {quoted} LOGIN PASSWORD 'pä$$''w'")
    postgres.sql(f"GRANT pg_read_all_data TO {quoted}")
    secret(desk, postgres, name, "pä$$'w", masterarn=master(desk, postgres))
    for _ in range(2):
        desk("rotate_secret", SecretId="app")
        run(desk)
    assert fields(desk)["username"] == name
    assert postgres.sql("SELECT 1 FROM pg_roles WHERE rolname = 'app'")
