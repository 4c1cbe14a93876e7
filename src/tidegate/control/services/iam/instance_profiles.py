"""Instance profiles: a role each, for tools that make them.

Owns CreateInstanceProfile and its kin. Refuses instances: there are none here.
"""

from __future__ import annotations

from typing import Any

from tidegate.control.call import Call
from tidegate.control.services.iam import shapes, tagging
from tidegate.control.services.iam.entities import find, missing, named, require_free
from tidegate.control.services.iam.errors import delete_conflict, not_found, quota
from tidegate.control.services.iam.identifiers import new_id
from tidegate.control.services.iam.paging import page
from tidegate.control.services.iam.principals import role_as_shown
from tidegate.control.services.iam.records import PARTITION, InstanceProfile, Role, entity_arn

MAX_PROFILES = 1000
MAX_ROLES = 1


class InstanceProfileOperations:
    """What is done to instance profiles."""

    def create_instance_profile(self, call: Call) -> dict[str, Any]:
        """CreateInstanceProfile."""
        name, path = call.parameters["InstanceProfileName"], call.parameters.get("Path", "/")
        arn = entity_arn(call.account, InstanceProfile, name, path)
        call.require("iam:CreateInstanceProfile", arn, tagging.context_of(call))
        require_free(call.transaction, InstanceProfile, name)
        table = call.transaction.table(InstanceProfile)
        if len(table.all()) >= MAX_PROFILES:
            raise quota("InstanceProfilesPerAccount", MAX_PROFILES)
        profile = InstanceProfile(
            name=name, path=path, id=new_id(InstanceProfile), created=call.at, tags=tagging.from_call(call)
        )
        table.put(profile)
        return {"InstanceProfile": _shape(call, profile)}

    def get_instance_profile(self, call: Call) -> dict[str, Any]:
        """GetInstanceProfile."""
        return {"InstanceProfile": _shape(call, named(call, "GetInstanceProfile", InstanceProfile))}

    def delete_instance_profile(self, call: Call) -> dict[str, Any]:
        """DeleteInstanceProfile: of one without a role."""
        profile = named(call, "DeleteInstanceProfile", InstanceProfile)
        if profile.role is not None:
            raise delete_conflict("Cannot delete entity, must remove roles from instance profile first.")
        call.transaction.table(InstanceProfile).delete(profile.key)
        return {}

    def list_instance_profiles(self, call: Call) -> dict[str, Any]:
        """ListInstanceProfiles."""
        prefix = call.parameters.get("PathPrefix", "/")
        call.require("iam:ListInstanceProfiles", f"arn:{PARTITION}:iam::{call.account}:instance-profile{prefix}")
        profiles = call.transaction.table(InstanceProfile).all()
        return _listed(call, [profile for profile in profiles if profile.path.startswith(prefix)])

    def list_instance_profiles_for_role(self, call: Call) -> dict[str, Any]:
        """ListInstanceProfilesForRole."""
        role = named(call, "ListInstanceProfilesForRole", Role)
        profiles = call.transaction.table(InstanceProfile).all()
        return _listed(call, [profile for profile in profiles if profile.role == role.name])

    def add_role_to_instance_profile(self, call: Call) -> dict[str, Any]:
        """AddRoleToInstanceProfile: passes the role to EC2."""
        profile = named(call, "AddRoleToInstanceProfile", InstanceProfile)
        name = call.parameters["RoleName"]
        role = find(call.transaction, Role, name)
        arn = role.arn(call.account) if role else entity_arn(call.account, Role, name)
        call.require("iam:PassRole", arn, {"iam:PassedToService": "ec2.amazonaws.com"})
        if role is None:
            raise missing(Role, name)
        if profile.role is not None:
            raise quota("InstanceSessionsPerInstanceProfile", MAX_ROLES)
        call.transaction.table(InstanceProfile).put(profile.model_copy(update={"role": role.name}))
        return {}

    def remove_role_from_instance_profile(self, call: Call) -> dict[str, Any]:
        """RemoveRoleFromInstanceProfile."""
        profile = named(call, "RemoveRoleFromInstanceProfile", InstanceProfile)
        if profile.role != call.parameters["RoleName"]:
            raise not_found("role", call.parameters["RoleName"])
        call.transaction.table(InstanceProfile).put(profile.model_copy(update={"role": None}))
        return {}


def _shape(call: Call, profile: InstanceProfile) -> dict[str, Any]:
    role = find(call.transaction, Role, profile.role) if profile.role else None
    shown = role_as_shown(call.transaction, call.account, role) if role else None
    return shapes.instance_profile(profile, call.account, shown)


def _listed(call: Call, profiles: list[InstanceProfile]) -> dict[str, Any]:
    found, paging = page(call, profiles, lambda profile: profile.key)
    return {"InstanceProfiles": [_shape(call, profile) for profile in found], **paging}
