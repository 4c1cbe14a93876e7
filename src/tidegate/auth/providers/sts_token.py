"""What a client sends as its password to a proxy that lets STS vouch for it.

Owns making such a token, of botocore's credentials; it calls nobody. `sts` verifies it.
"""

from __future__ import annotations

import base64

from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tidegate.auth.providers.aws_keys import signing_keys
from tidegate.auth.providers.sessions import AwsSession
from tidegate.auth.providers.sts import LONGEST_LIFE, PREFIX, SERVER_ID_HEADER

QUERY = "Action=GetCallerIdentity&Version=2011-06-15"


def make_sts_token(session: AwsSession, server_id: str, endpoint_url: str = "") -> str:
    """A token for the proxy with this `iam_server_id`, good for 15 minutes.

    endpoint_url: of an STS that is not AWS's own. AwsUnavailable if there are no credentials, or no region.
    """
    keys = signing_keys(session)
    address = endpoint_url.rstrip("/") or f"https://sts.{keys.region}.{_domain(keys.region)}"
    request = AWSRequest(method="GET", url=f"{address}/?{QUERY}", headers={SERVER_ID_HEADER: server_id})
    credentials = Credentials(keys.access_key, keys.secret_key, keys.session_token or None)
    SigV4QueryAuth(credentials, "sts", keys.region, expires=LONGEST_LIFE).add_auth(request)
    return PREFIX + base64.urlsafe_b64encode(str(request.url).encode()).decode().rstrip("=")


def _domain(region: str) -> str:
    """Where AWS's hosts of a region are."""
    return "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
