"""The iam service: all its operations in one class.

Owns nothing but the list of what is served. Refuses everything else: each operation is in the module of its kind.
"""

from __future__ import annotations

from typing import ClassVar

from tidegate.control.services.iam.absent import AbsentOperations
from tidegate.control.services.iam.access_keys import AccessKeyOperations
from tidegate.control.services.iam.account_details import AccountOperations
from tidegate.control.services.iam.attachments import AttachmentOperations
from tidegate.control.services.iam.groups import GroupOperations
from tidegate.control.services.iam.inline import InlineOperations
from tidegate.control.services.iam.instance_profiles import InstanceProfileOperations
from tidegate.control.services.iam.managed_policies import PolicyOperations
from tidegate.control.services.iam.role_operations import RoleOperations
from tidegate.control.services.iam.simulation import SimulationOperations
from tidegate.control.services.iam.tagging import TagOperations
from tidegate.control.services.iam.users import UserOperations
from tidegate.control.services.service import Service


class IamService(
    UserOperations,
    GroupOperations,
    RoleOperations,
    PolicyOperations,
    InlineOperations,
    AttachmentOperations,
    AccessKeyOperations,
    TagOperations,
    InstanceProfileOperations,
    AccountOperations,
    SimulationOperations,
    AbsentOperations,
    Service,
):
    """AWS Identity and Access Management."""

    name: ClassVar[str] = "iam"
