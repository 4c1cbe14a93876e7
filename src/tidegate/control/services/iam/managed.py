"""Managed policies by their ARNs: the customer's own, and AWS's.

Owns AWS's texts, which moto carries: read once, when the first of them is asked for. Refuses to change any policy.
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from tidegate.control.policies.documents import NOTHING, Policy, load
from tidegate.control.services.iam.keys import account
from tidegate.control.services.iam.records import PARTITION, ManagedPolicy
from tidegate.control.store.store import Transaction

AWS_PREFIX = f"arn:{PARTITION}:iam::aws:policy/"


@dataclass(frozen=True, slots=True, kw_only=True)
class AwsPolicy:
    """A policy that AWS has written. Times are seconds since 1970."""

    name: str
    path: str
    id: str
    created: float
    updated: float
    default: int
    document: str

    @property
    def arn(self) -> str:
        """arn:aws:iam::aws:policy/PATH/NAME."""
        return _arn(self.path, self.name)


@lru_cache(maxsize=1)
def aws_policies() -> dict[str, AwsPolicy]:
    """All of AWS's policies, by their ARNs, in the order of their names."""
    from moto.iam.aws_managed_policies import aws_managed_policies_data  # 5 MB of text, for those who need it

    found = (_policy(name, raw) for name, raw in sorted(json.loads(aws_managed_policies_data).items()))
    return {policy.arn: policy for policy in found}


def find_policy(transaction: Transaction, arn: str) -> ManagedPolicy | AwsPolicy | None:
    """The policy of an ARN."""
    if arn.startswith(AWS_PREFIX):
        return aws_policies().get(arn)
    found = transaction.table(ManagedPolicy).get(arn.rpartition("/")[2].lower())
    # The ARN names the path and the account, too.
    return found if found is not None and found.arn(account(transaction).number) == arn else None


def policy_in_force(transaction: Transaction, arn: str) -> Policy:
    """What the policy's default version says; a policy that is gone says nothing."""
    found = find_policy(transaction, arn)
    return NOTHING if found is None else load(found.document)


def _arn(path: str, name: str) -> str:
    return f"{AWS_PREFIX[:-1]}{path}{name}"


def _policy(name: str, raw: dict[str, object]) -> AwsPolicy:
    path = str(raw["Path"])
    digest = base64.b32encode(hashlib.sha256(_arn(path, name).encode()).digest()).decode()
    return AwsPolicy(
        name=name,
        path=path,
        id=f"ANPA{digest[:17]}",
        created=datetime.fromisoformat(str(raw["CreateDate"])).timestamp(),
        updated=datetime.fromisoformat(str(raw["UpdateDate"])).timestamp(),
        default=int(str(raw["DefaultVersionId"]).removeprefix("v")),
        document=json.dumps(raw["Document"], separators=(",", ":")),
    )
