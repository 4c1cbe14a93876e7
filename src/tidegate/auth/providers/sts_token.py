"""What a client sends as its password to a proxy that lets STS vouch for it.

Owns making such a token, of botocore's credentials; it calls nobody. `sts` verifies it.
"""

from __future__ import annotations

import base64

from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import BotoCoreError

from tidegate.auth.providers.sessions import AwsSession, AwsUnavailable
from tidegate.auth.providers.sts import LONGEST_LIFE, PREFIX, SERVER_ID_HEADER

QUERY = "Action=GetCallerIdentity&Version=2011-06-15"


def make_sts_token(session: AwsSession, server_id: str, endpoint_url: str = "") -> str:
    """A token for the proxy with this `iam_server_id`, good for 15 minutes.

    endpoint_url: of an STS that is not AWS's own. AwsUnavailable if there are no credentials, or no region.
    """
    try:
        found = session.session.get_credentials()
        keys = None if found is None else found.get_frozen_credentials()
    except BotoCoreError as error:
        raise AwsUnavailable(f"AWS credentials: {error}") from None
    if keys is None:
        raise AwsUnavailable("no AWS credentials are to be found")
    address = endpoint_url.rstrip("/") or f"https://sts.{session.region}.amazonaws.com"
    request = AWSRequest(method="GET", url=f"{address}/?{QUERY}", headers={SERVER_ID_HEADER: server_id})
    SigV4QueryAuth(keys, "sts", session.region, expires=LONGEST_LIFE).add_auth(request)
    return PREFIX + base64.urlsafe_b64encode(str(request.url).encode()).decode().rstrip("=")
