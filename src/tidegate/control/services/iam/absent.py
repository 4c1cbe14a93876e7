"""What a user could have in AWS, and cannot have here: passwords, MFA devices, SSH keys, certificates.

Owns the truth about them, which tools ask for before they delete a user: there are none. Refuses to make any.
"""

from __future__ import annotations

from typing import Any

from tidegate.control.call import Call
from tidegate.control.services.iam.entities import named, require_on
from tidegate.control.services.iam.errors import no_such_entity
from tidegate.control.services.iam.records import User
from tidegate.control.services.iam.users import caller_user_name


def _none(call: Call, member: str) -> dict[str, Any]:
    require_on(call, call.operation, User, call.parameters.get("UserName") or caller_user_name(call))
    return {member: [], "IsTruncated": False}


class AbsentOperations:
    """Lists that are empty."""

    def list_mfa_devices(self, call: Call) -> dict[str, Any]:
        """ListMFADevices."""
        return _none(call, "MFADevices")

    def list_ssh_public_keys(self, call: Call) -> dict[str, Any]:
        """ListSSHPublicKeys."""
        return _none(call, "SSHPublicKeys")

    def list_signing_certificates(self, call: Call) -> dict[str, Any]:
        """ListSigningCertificates."""
        return _none(call, "Certificates")

    def list_service_specific_credentials(self, call: Call) -> dict[str, Any]:
        """ListServiceSpecificCredentials."""
        return _none(call, "ServiceSpecificCredentials")

    def get_login_profile(self, call: Call) -> dict[str, Any]:
        """GetLoginProfile."""
        return self._no_login(call)

    def delete_login_profile(self, call: Call) -> dict[str, Any]:
        """DeleteLoginProfile."""
        return self._no_login(call)

    @staticmethod
    def _no_login(call: Call) -> dict[str, Any]:
        user = named(call, call.operation, User)
        raise no_such_entity(f"Login Profile for User {user.name} cannot be found.")
