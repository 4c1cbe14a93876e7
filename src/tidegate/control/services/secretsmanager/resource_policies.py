"""Policies that hang on secrets: PutResourcePolicy, GetResourcePolicy, DeleteResourcePolicy, ListResourcePolicies,
ValidateResourcePolicy.

Owns these operations. Refuses IAM's grammar (`policies.rules`) and what a policy permits (`policies.decision`).
"""

from __future__ import annotations

from typing import Any

from tidegate.control.call import Call
from tidegate.control.errors import AwsError
from tidegate.control.policies.rules import PolicyKind, check
from tidegate.control.policies.syntax import PolicyProblem
from tidegate.control.services.iam.principals import as_shown, invalid_principal, unique_ids
from tidegate.control.services.secretsmanager import answers, errors
from tidegate.control.services.secretsmanager.access import Operations, keys_of
from tidegate.control.services.secretsmanager.exposure import is_public
from tidegate.control.services.secretsmanager.records import MAX_POLICY_BYTES, Secret

DEFAULT = "default"
"""The one policy that a secret's owner can change."""


class ResourcePolicies(Operations):
    """Operations on the policy of a secret."""

    def put_resource_policy(self, call: Call) -> dict[str, Any]:
        """Hang a policy on a secret, in place of the one that it has."""
        given = call.parameters
        block = given.get("BlockPublicPolicy", False)
        vault, secret = self._live(call, {"secretsmanager:BlockPublicPolicy": "true" if block else "false"})
        _only_default(given)
        document = _read(call, given["ResourcePolicy"])
        if block and is_public(document):
            raise errors.public_policy()
        ids = unique_ids(call.transaction, call.account, document)
        changes = {"policy": given["ResourcePolicy"], "policy_ids": ids, "changed": call.at}
        vault.save(secret.model_copy(update=changes))
        return {**answers.identity(secret), "PolicyName": DEFAULT}

    def get_resource_policy(self, call: Call) -> dict[str, Any]:
        """The policy's text, as it was put but for principals that are gone; without one, no ResourcePolicy."""
        _, secret = self._live(call)
        name = call.parameters.get("PolicyName", DEFAULT)
        if name != DEFAULT:
            raise errors.no_policy(name)
        text = as_shown(call.transaction, call.account, secret.policy, secret.policy_ids)
        answer = {**answers.identity(secret), "ResourcePolicy": text, "PolicyName": DEFAULT}
        return answers.without_nothing(answer)

    def delete_resource_policy(self, call: Call) -> dict[str, Any]:
        """Take the policy off; no error where there is none."""
        vault, secret = self._live(call)
        _only_default(call.parameters)
        if secret.policy:
            vault.save(secret.model_copy(update={"policy": "", "policy_ids": {}, "changed": call.at}))
        return {**answers.identity(secret), "PolicyName": DEFAULT}

    def list_resource_policies(self, call: Call) -> dict[str, Any]:
        """The names of the policies: "default", or nothing."""
        _, secret = self._live(call)
        if "NextToken" in call.parameters:
            raise errors.invalid_next_token()
        return {"ResourcePolicies": [{"PolicyName": DEFAULT}] if secret.policy else []}

    def validate_resource_policy(self, call: Call) -> dict[str, Any]:
        """Whether a policy could be put: its form, whom it lets in, and whether it would lock the caller out."""
        given = call.parameters
        if "SecretId" in given:
            _, secret = self._live(call)
            self._live(call, action="secretsmanager:PutResourcePolicy")
        else:
            call.require("secretsmanager:ValidateResourcePolicy", "*")
            secret = None
        document = _read(call, given["ResourcePolicy"])
        problems = []
        if is_public(document):
            problems.append(("PublicPolicy", errors.public_policy().message))
        if secret is not None and _locks_out(call, secret, given["ResourcePolicy"]):
            problems.append(("CallerLockout", "The resource policy would lock out the caller of this operation."))
        found = [{"CheckName": name, "ErrorMessage": message} for name, message in problems]
        return {"PolicyValidationPassed": not found, "ValidationErrors": found}


def _only_default(given: dict[str, Any]) -> None:
    if given.get("PolicyName", DEFAULT) != DEFAULT:
        raise errors.invalid_parameter(f"You can only modify the resource policy named {DEFAULT}.")


def _read(call: Call, text: str) -> dict[str, Any]:
    if len(text.encode("utf-8", "surrogatepass")) > MAX_POLICY_BYTES:
        raise errors.invalid_parameter(f"A resource policy can have at most {MAX_POLICY_BYTES} bytes.")
    try:
        document: dict[str, Any] = check(text, PolicyKind.RESOURCE)
    except PolicyProblem as problem:
        raise errors.malformed_policy(str(problem)) from None
    if invalid_principal(call.transaction, call.account, document) is not None:
        raise errors.malformed_policy("This resource policy contains an unsupported principal.")
    return document


def _locks_out(call: Call, secret: Secret, policy: str) -> bool:
    """Whether the caller could not replace the policy any more."""
    try:
        call.require("secretsmanager:PutResourcePolicy", secret.arn, keys_of(secret), policy)
    except AwsError:
        return True
    return False
