"""Secrets Manager from boto3, over HTTP, with its tasks running: a secret's life, and a real rotation."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from botocore.exceptions import ClientError

from tests.support.postgres import Postgres
from tests.support.served import Served
from tests.support.tidegate import wait_until
from tidegate.control.rotation.handlers import handlers as rotations
from tidegate.control.services.secretsmanager.chores import handlers as chores
from tidegate.control.services.secretsmanager.service import SecretsManager
from tidegate.control.store.sealed import open_sealer
from tidegate.control.tasks import TaskRunner

ROLE = "rotated_by_api"


class Running(Served):
    """The service over a data folder, and its tasks."""

    def __init__(self, folder: Path) -> None:
        sealer = open_sealer(folder)
        super().__init__(folder, (SecretsManager(sealer),))
        self._runner = TaskRunner(self._store, time.time, {**chores(sealer), **rotations(sealer)})

    async def _start(self) -> None:
        self._end_listening = self._store.listen(self._runner.committed)
        self._runner.start()
        await super()._start()

    async def _stop(self) -> None:
        await super()._stop()
        await self._runner.stop()
        self._end_listening()


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    with Running(tmp_path) as made:
        yield made


@pytest.fixture
def role(postgres: Postgres) -> Iterator[str]:
    postgres.add_role(ROLE)
    yield ROLE
    postgres.sql(f"DROP ROLE {ROLE}")


def code_of(caught: pytest.ExceptionInfo[ClientError]) -> tuple[str, str, int]:
    answer = caught.value.response
    return answer["Error"]["Code"], answer["Error"]["Message"], answer["ResponseMetadata"]["HTTPStatusCode"]


def test_a_secrets_life(running: Running) -> None:
    client = running.client("secretsmanager")
    arn = client.create_secret(Name="web/key", SecretString="é", Tags=[{"Key": "a", "Value": "b"}])["ARN"]
    assert client.get_secret_value(SecretId="web/key")["SecretString"] == "é"
    client.put_secret_value(SecretId=arn, SecretBinary=b"\0\xff")
    read = client.get_secret_value(SecretId=arn)
    assert (read["SecretBinary"], read["VersionStages"]) == (b"\0\xff", ["AWSCURRENT"])
    assert abs(read["CreatedDate"].timestamp() - time.time()) < 60
    assert [entry["Name"] for entry in client.list_secrets()["SecretList"]] == ["web/key"]
    assert len(client.list_secret_version_ids(SecretId=arn)["Versions"]) == 2
    batch = client.batch_get_secret_value(SecretIdList=["web/key", "none"])
    assert [error["ErrorCode"] for error in batch["Errors"]] == ["ResourceNotFoundException"]
    assert len(client.get_random_password(PasswordLength=20)["RandomPassword"]) == 20
    client.delete_secret(SecretId=arn)
    with pytest.raises(client.exceptions.InvalidRequestException) as caught:
        client.get_secret_value(SecretId=arn)
    deleted = "You can't perform this operation on the secret because it was marked for deletion."
    assert code_of(caught) == ("InvalidRequestException", deleted, 400)
    client.restore_secret(SecretId=arn)
    client.delete_secret(SecretId=arn, ForceDeleteWithoutRecovery=True)
    with pytest.raises(client.exceptions.ResourceNotFoundException) as gone:
        client.describe_secret(SecretId=arn)
    not_found = "Secrets Manager can't find the specified secret."
    assert code_of(gone) == ("ResourceNotFoundException", not_found, 400)


def test_what_is_refused_and_what_is_not_there(running: Running) -> None:
    client = running.client("secretsmanager")
    running.guard.denied.add("secretsmanager:GetSecretValue")
    with pytest.raises(ClientError) as denied:
        client.get_secret_value(SecretId="x")
    assert code_of(denied)[::2] == ("AccessDeniedException", 400)
    with pytest.raises(ClientError) as absent:
        client.replicate_secret_to_regions(SecretId="x", AddReplicaRegions=[{"Region": "us-east-1"}])
    assert code_of(absent)[2] == 501


def test_a_rotation_that_fails_at_first_and_a_restart_in_between(tmp_path: Path, postgres: Postgres, role: str) -> None:
    value = {"engine": "postgres", "host": postgres.host, "port": postgres.port, "username": role, "password": "wrong"}
    with Running(tmp_path) as running:
        client = running.client("secretsmanager")
        arn = client.create_secret(Name="db", SecretString=json.dumps(value))["ARN"]
        client.rotate_secret(SecretId=arn, RotationRules={"ScheduleExpression": "cron(0 3 ? * SUN *)"})
        pending = "AWSPENDING"

        def is_pending() -> bool:
            try:
                return bool(client.get_secret_value(SecretId=arn, VersionStage=pending))
            except client.exceptions.ResourceNotFoundException:
                return False

        wait_until(is_pending, "the new password is made")
        made = json.loads(client.get_secret_value(SecretId=arn, VersionStage=pending)["SecretString"])["password"]
    postgres.sql(f"ALTER ROLE {role} PASSWORD 'wrong'")
    with Running(tmp_path) as running:
        client = running.client("secretsmanager")
        wait_until(lambda: "LastRotatedDate" in client.describe_secret(SecretId=arn), "the rotation is done", 30)
        described = client.describe_secret(SecretId=arn)
        assert described["NextRotationDate"].strftime("%a") in ("Sun", "Mon")
        now = json.loads(client.get_secret_value(SecretId=arn)["SecretString"])["password"]
    assert now == made
    with psycopg.connect(postgres.dsn(role, password=now)) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    assert made.encode() not in b"".join(path.read_bytes() for path in tmp_path.iterdir() if path.is_file())
