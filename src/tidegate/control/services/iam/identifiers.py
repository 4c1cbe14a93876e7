"""Unique ids, names and paths of IAM's things.

Owns how ids are made. Refuses access keys and secrets (`tidegate.control.account`).
"""

from __future__ import annotations

import secrets

from tidegate.control.account import BASE32
from tidegate.control.services.iam.records import Entity

ID_LETTERS = 17


def new_id(record: type[Entity]) -> str:
    """AIDA..., AROA..., and so on: never given twice, so that a new user of an old name is somebody else."""
    return record.id_prefix + "".join(secrets.choice(BASE32) for _ in range(ID_LETTERS))
