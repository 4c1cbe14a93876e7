"""The AWS credentials that sign IAM tokens for databases.

Owns reading them from botocore, which renews them before they expire. Refuses to sign (`auth.rds_token`).
"""

from __future__ import annotations

from botocore.exceptions import BotoCoreError, ClientError

from tidegate.auth.providers.sessions import AwsSession, AwsUnavailable
from tidegate.auth.rds_token import SigningKeys


def signing_keys(session: AwsSession) -> SigningKeys:
    """Those in force now; blocking. AwsUnavailable if there are none."""
    try:
        found = session.session.get_credentials()
        frozen = None if found is None else found.get_frozen_credentials()
    except (BotoCoreError, ClientError, RuntimeError) as error:  # RuntimeError: fresh ones that are old
        raise AwsUnavailable(f"AWS credentials: {error}") from None
    if frozen is None:
        raise AwsUnavailable("no AWS credentials are to be found; see aws_profile")
    return SigningKeys(
        region=session.region,
        access_key=frozen.access_key,
        secret_key=frozen.secret_key,
        session_token=frozen.token or "",
    )
