"""Calls of the AWS API that change things, each with a model of what it was told, and what a killed process has left.

Owns the plays, the records' invariants and the comparison. Refuses to start or kill anything (`test_api_kill`).
"""

from __future__ import annotations

import json
import random
import shutil
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError, EndpointConnectionError, HTTPClientError
from botocore.parsers import ResponseParserError

from tests.support.stack import RDS_TRUST, policy
from tidegate.control.services.iam.records import Role
from tidegate.control.services.rds.records import Event, EventLog, Instance, Proxy, ProxyEndpoint, Status
from tidegate.control.services.secretsmanager import works
from tidegate.control.services.secretsmanager.records import CURRENT, PREVIOUS, Secret, SecretValue
from tidegate.control.services.secretsmanager.vault import Vault
from tidegate.control.store.sealed import STATE_FILE as STATE
from tidegate.control.store.sealed import Sealer, open_sealer
from tidegate.control.store.store import Store, Transaction
from tidegate.control.tasks import Task

MOST = 3
"""Of a kind that a play has at a time."""
BUSY = {"InvalidDBProxyStateFault", "InvalidDBProxyEndpointStateFault", "InvalidDBInstanceState"}
"""Codes of refusals that a play meets, as it does not wait until a change is through."""
AUTH = {"AuthScheme": "SECRETS", "IAMAuth": "DISABLED"}

State = dict[str, Any]
"""What there is, by "kind/name"; what is on its way out is not there."""

Clients = Callable[[str], Any]
"""boto3's client of a service, for the calling thread."""


# What is in the state file


def state_of(data: Path, scratch: Path) -> State:
    """What a killed process has left, read from a copy: the next process must find the file as that one left it."""
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    for path in data.glob(f"{STATE}*"):
        if not path.name.endswith("-shm"):
            shutil.copy(path, scratch)
    store = Store(scratch / STATE)
    try:
        with store.transaction() as transaction:
            assert transaction.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            check_records(transaction)
            return flat(transaction, open_sealer(data))
    finally:
        store.close()


def check_records(transaction: Transaction) -> None:
    """AssertionError for what is half made: each thing has what it can't be without."""
    proxies = {one.resource_id: one for one in transaction.table(Proxy).all()}
    endpoints = transaction.table(ProxyEndpoint).all()
    instances = {one.resource_id for one in transaction.table(Instance).all()}
    assert {end.proxy_id for end in endpoints} == set(proxies), "an endpoint without a proxy, or a proxy without one"
    assert Counter(end.proxy_id for end in endpoints if end.is_default) == Counter(list(proxies))
    assert len({(end.host, end.port) for end in endpoints}) == len(endpoints), "two endpoints at one address"
    assert all(proxy.group.target in {None, *instances} for proxy in proxies.values()), "a target without an instance"
    for end in endpoints:
        if proxies[end.proxy_id].status is Status.DELETING:
            assert end.status is Status.DELETING, "a proxy goes, and an endpoint stays"
    secrets = {one.arn: one for one in transaction.table(Secret).all()}
    for secret in secrets.values():
        labels = [label for version in secret.versions.values() for label in version.labels]
        assert labels.count(CURRENT) == 1 and len(set(labels)) == len(labels), labels
    values = {(one.arn, one.version_id) for one in transaction.table(SecretValue).all()}
    assert values == {(one.arn, version) for one in secrets.values() for version in one.versions}
    tasks = {(task.work, task.subject) for task in transaction.table(Task).all()}
    assert {subject for _, subject in tasks} <= set(secrets), "work for a secret that is gone"
    purged = {arn for arn, secret in secrets.items() if secret.purge_at is not None}
    assert {subject for work, subject in tasks if work == works.PURGE} == purged
    events = transaction.table(Event).all()
    (log,) = transaction.table(EventLog).all() or [EventLog()]
    assert [event.number for event in events] == list(range(log.count - len(events) + 1, log.count + 1))
    told = Counter((event.arn, event.event_id) for event in events if event.message.startswith("RDS created DB proxy "))
    assert set(told.values()) <= {1}, "a proxy was created twice"


def flat(transaction: Transaction, sealer: Sealer) -> State:
    """The state as the models have it."""
    vault = Vault(transaction, sealer)
    found: State = {}
    for secret in transaction.table(Secret).all():
        values = [secret.labelled(label) for label in (CURRENT, PREVIOUS)]
        found[f"secret/{secret.name}"] = {
            "values": [value.text for id_ in values if id_ and (value := vault.value(secret, id_))],
            "tags": secret.tags,
            "deleted": secret.purge_at is not None,
        }
    for role in transaction.table(Role).all():
        found[f"role/{role.name}"] = {"inline": sorted(role.inline), "tags": role.tags}
    names = {one.resource_id: one.identifier for one in transaction.table(Instance).all() if one.status != "deleting"}
    endpoints = transaction.table(ProxyEndpoint).all()
    for proxy in transaction.table(Proxy).all():
        if proxy.status is not Status.DELETING:
            own = [end for end in endpoints if end.proxy_id == proxy.resource_id and end.status is not Status.DELETING]
            found[f"proxy/{proxy.name}"] = {
                "idle": proxy.idle_client_timeout,
                "percent": proxy.group.pool.max_connections_percent,
                "target": names.get(proxy.group.target or ""),
                "tags": proxy.tags,
                "ends": sorted(end.name for end in own if end.name),
            }
    for name in names.values():
        found[f"instance/{name}"] = {}
    return found


# What changes it


@dataclass
class Play:
    """One thread's calls, all on things whose names begin with its own, and the model of what it was told."""

    prefix: str
    chance: random.Random
    subnets: list[str] = field(default_factory=list)
    secret: str = ""
    """ARN of the secret that proxies have; `role` likewise."""
    role: str = ""
    model: State = field(default_factory=dict)
    doubt: State | None = None
    """What a call that got no answer would have changed: by key, what is there then; None: nothing."""
    answered: int = 0
    _made: int = 0

    def settle(self, state: State) -> None:
        """Take over what is there. AssertionError if that is neither what it was told nor that with the doubt."""
        there = {key: value for key, value in state.items() if key.partition("/")[2].startswith(self.prefix)}
        possible = [self.model] if self.doubt is None else [self.model, changed(self.model, self.doubt)]
        assert there in possible, f"{self.prefix}: {there}\nis none of {possible}"
        self.model, self.doubt = there, None

    def go_on(self, client: Clients, over: threading.Event) -> None:
        """Calls at random until it is over, or one gets no answer."""
        while not over.is_set() and self.doubt is None:
            service, method, given, change = self._next()
            self.doubt = change
            try:
                getattr(client(service), method)(**given)
                self.model = changed(self.model, change)
                self.answered += 1
            except EndpointConnectionError:  # it was not sent: nobody listens yet, or any more
                over.wait(0.002)
            except (HTTPClientError, ResponseParserError):  # no answer, or its head without its body
                return
            except ClientError as error:
                if error.response["Error"]["Code"] not in BUSY:
                    raise
            self.doubt = None

    def _next(self) -> tuple[str, str, dict[str, Any], State]:
        kind = self.chance.choice(["secret", "secret", "role", "proxy", "proxy", "proxy", "instance"])
        own = [key for key in self.model if key.startswith(kind)]
        make, change, end = self._choices()[kind]
        if not own:
            return make()
        key = self.chance.choice(own)
        if len(own) < MOST and self.chance.random() < 0.4:
            return make()
        return (end if self.chance.random() < 0.2 else change)(key, self.model[key])

    def _choices(self) -> dict[str, tuple[Callable[[], Any], Callable[[str, State], Any], Callable[[str, State], Any]]]:
        return {
            "secret": (self._new_secret, self._change_secret, self._end_secret),
            "role": (self._new_role, self._change_role, self._end_role),
            "proxy": (self._new_proxy, self._change_proxy, self._end_proxy),
            "instance": (self._new_instance, self._change_instance, self._change_instance),
        }

    def _name(self) -> str:
        self._made += 1
        return f"{self.prefix}{self._made}"

    def _new_secret(self) -> Any:
        name, value = self._name(), str(self.chance.random())
        tags = {"n": name}
        given = {"Name": name, "SecretString": value, "Tags": [{"Key": "n", "Value": name}]}
        change = {f"secret/{name}": {"values": [value], "tags": tags, "deleted": False}}
        return "secretsmanager", "create_secret", given, change

    def _change_secret(self, key: str, old: State) -> Any:
        on, value = {"SecretId": key.partition("/")[2]}, str(self.chance.random())
        if old["deleted"]:
            return "secretsmanager", "restore_secret", on, {key: {**old, "deleted": False}}
        if self.chance.random() < 0.3:
            new = {**old, "tags": {**old["tags"], "v": value}}
            return "secretsmanager", "tag_resource", {**on, "Tags": [{"Key": "v", "Value": value}]}, {key: new}
        new = {**old, "values": [value, old["values"][0]]}
        return "secretsmanager", "put_secret_value", {**on, "SecretString": value}, {key: new}

    def _end_secret(self, key: str, old: State) -> Any:
        on = {"SecretId": key.partition("/")[2]}
        if old["deleted"] or self.chance.random() < 0.5:
            return "secretsmanager", "delete_secret", {**on, "ForceDeleteWithoutRecovery": True}, {key: None}
        return "secretsmanager", "delete_secret", on, {key: {**old, "deleted": True}}

    def _new_role(self) -> Any:
        name = self._name()
        given = {"RoleName": name, "AssumeRolePolicyDocument": json.dumps(RDS_TRUST)}
        return "iam", "create_role", given, {f"role/{name}": {"inline": [], "tags": {}}}

    def _change_role(self, key: str, old: State) -> Any:
        on, word = {"RoleName": key.partition("/")[2]}, self.chance.choice("abc")
        if self.chance.random() < 0.3:
            new = {**old, "tags": {**old["tags"], word: word}}
            return "iam", "tag_role", {**on, "Tags": [{"Key": word, "Value": word}]}, {key: new}
        if word in old["inline"]:
            new = {**old, "inline": [one for one in old["inline"] if one != word]}
            return "iam", "delete_role_policy", {**on, "PolicyName": word}, {key: new}
        new = {**old, "inline": sorted([*old["inline"], word])}
        return "iam", "put_role_policy", {**on, "PolicyName": word, "PolicyDocument": policy("*", "*")}, {key: new}

    def _end_role(self, key: str, old: State) -> Any:
        if old["inline"]:
            return self._change_role(key, old)
        return "iam", "delete_role", {"RoleName": key.partition("/")[2]}, {key: None}

    def _new_proxy(self) -> Any:
        name = self._name()
        given = {
            "DBProxyName": name,
            "EngineFamily": "POSTGRESQL",
            "RoleArn": self.role,
            "VpcSubnetIds": self.subnets,
            "Auth": [{**AUTH, "SecretArn": self.secret}],
            "Tags": [{"Key": "n", "Value": name}],
        }
        new = {"idle": 1800, "percent": 100, "target": None, "tags": {"n": name}, "ends": []}
        return "rds", "create_db_proxy", given, {f"proxy/{name}": new}

    def _change_proxy(self, key: str, old: State) -> Any:
        name, number = key.partition("/")[2], self.chance.randint(1, 100)
        on = {"DBProxyName": name}
        what = self.chance.choice(["idle", "rename", "pool", "target", "end"])
        if what == "idle":
            return "rds", "modify_db_proxy", {**on, "IdleClientTimeout": number}, {key: {**old, "idle": number}}
        if what == "rename":
            new = self._name()
            return "rds", "modify_db_proxy", {**on, "NewDBProxyName": new}, {key: None, f"proxy/{new}": old}
        if what == "pool":
            given = {**on, "TargetGroupName": "default", "ConnectionPoolConfig": {"MaxConnectionsPercent": number}}
            return "rds", "modify_db_proxy_target_group", given, {key: {**old, "percent": number}}
        if what == "target":
            given = {**on, "DBInstanceIdentifiers": [old["target"] or "base"]}
            if old["target"]:
                return "rds", "deregister_db_proxy_targets", given, {key: {**old, "target": None}}
            return "rds", "register_db_proxy_targets", given, {key: {**old, "target": "base"}}
        if old["ends"]:
            end = self.chance.choice(old["ends"])
            new = {**old, "ends": [one for one in old["ends"] if one != end]}
            return "rds", "delete_db_proxy_endpoint", {"DBProxyEndpointName": end}, {key: new}
        end = self._name()
        given = {**on, "DBProxyEndpointName": end, "VpcSubnetIds": self.subnets}
        return "rds", "create_db_proxy_endpoint", given, {key: {**old, "ends": [end]}}

    def _end_proxy(self, key: str, old: State) -> Any:
        return "rds", "delete_db_proxy", {"DBProxyName": key.partition("/")[2]}, {key: None}

    def _new_instance(self) -> Any:
        name = self._name()
        return "rds", "create_db_instance", instance(name, "127.0.0.1:1"), {f"instance/{name}": {}}

    def _change_instance(self, key: str, old: State) -> Any:
        on = {"DBInstanceIdentifier": key.partition("/")[2]}
        if self.chance.random() < 0.5:
            return "rds", "delete_db_instance", {**on, "SkipFinalSnapshot": True}, {key: None}
        new = self._name()
        given = {**on, "NewDBInstanceIdentifier": new, "MasterUserPassword": new}
        return "rds", "modify_db_instance", given, {key: None, f"instance/{new}": old}


def changed(state: State, change: State) -> State:
    """The state after a change; None there: gone."""
    return {key: value for key, value in {**state, **change}.items() if value is not None}


def instance(name: str, address: str) -> dict[str, Any]:
    """Parameters of CreateDBInstance."""
    return {
        "DBInstanceIdentifier": name,
        "Engine": "postgres",
        "DBInstanceClass": "db.t3.micro",
        "MasterUsername": "postgres",
        "MasterUserPassword": "postgres",
        "Tags": [{"Key": "tidegate:address", "Value": address}],
    }
