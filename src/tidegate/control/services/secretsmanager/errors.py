"""The errors of Secrets Manager, named once: codes as on the wire, words as AWS has them.

Owns codes and texts. Refuses to decide when one is due. All are 400 but the server's own (botocore's model
"secretsmanager"; texts as recorded from AWS where that was to be had).
"""

from __future__ import annotations

from tidegate.control.errors import AwsError

DELETED = "You can't perform this operation on the secret because it was marked for deletion."
INVALID_NAME = (
    "Invalid name. Must be a valid name containing alphanumeric characters, or any of the following: -/_+=.@!"
)
NO_TOKEN = "You must provide a ClientRequestToken value. We recommend a UUID-type value."


def not_found() -> AwsError:
    """No secret of that name or ARN."""
    return AwsError("ResourceNotFoundException", "Secrets Manager can't find the specified secret.")


def no_value(what: str) -> AwsError:
    """what: "staging label: AWSCURRENT" or "VersionId: ..."."""
    return AwsError("ResourceNotFoundException", f"Secrets Manager can't find the specified secret value for {what}")


def no_version() -> AwsError:
    """A version that labels were to be moved to or from."""
    return AwsError("ResourceNotFoundException", "Secrets Manager can't find the specified secret version.")


def no_function() -> AwsError:
    """A rotation function that does not exist."""
    return AwsError("ResourceNotFoundException", "Lambda does not exist or could not be accessed")


def no_policy(name: str) -> AwsError:
    """A resource policy of another name than "default"."""
    return AwsError("ResourceNotFoundException", f"Secrets Manager can't find the resource policy {name}.")


def invalid_name() -> AwsError:
    """A name, or what stands for one, with characters that no secret's name has."""
    return AwsError("ValidationException", INVALID_NAME)


def invalid_parameter(message: str) -> AwsError:
    """A value that is wrong by itself."""
    return AwsError("InvalidParameterException", message)


def invalid_request(message: str) -> AwsError:
    """A value that is wrong for the state that the secret is in."""
    return AwsError("InvalidRequestException", message)


def marked_deleted() -> AwsError:
    """The secret is scheduled for deletion."""
    return invalid_request(DELETED)


def exists(name: str) -> AwsError:
    """A secret of that name is there."""
    return AwsError("ResourceExistsException", f"The operation failed because the secret {name} already exists.")


def token_in_use(token: str, arn: str) -> AwsError:
    """The token is a version's id, and that version holds something else."""
    return AwsError(
        "ResourceExistsException",
        f"You can't use ClientRequestToken {token} because that value is already in use for a version of secret {arn}.",
    )


def limit_exceeded(message: str) -> AwsError:
    """A quota (Secrets Manager User Guide, "Quotas")."""
    return AwsError("LimitExceededException", message)


def invalid_next_token() -> AwsError:
    """A NextToken that no answer has given."""
    return AwsError("InvalidNextTokenException", "The NextToken value is invalid.")


def malformed_policy(message: str) -> AwsError:
    """A resource policy that is not one."""
    return AwsError("MalformedPolicyDocumentException", message)


def public_policy() -> AwsError:
    """A resource policy that lets anybody in, where BlockPublicPolicy asks to refuse that."""
    return AwsError("PublicPolicyException", "The resource policy did not prevent broad access to the secret.")


def decryption_failure() -> AwsError:
    """A kept value that the data key does not open."""
    return AwsError("DecryptionFailure", "Secrets Manager can't decrypt the protected secret text.")
