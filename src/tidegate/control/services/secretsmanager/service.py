"""The service as the dispatcher sees it: one class with all operations.

Owns which operations there are. Refuses those of replication (ReplicateSecretToRegions and its kin), which are not
there: one program is one region's service.
"""

from __future__ import annotations

from tidegate.control.services.secretsmanager.creating import Creating
from tidegate.control.services.secretsmanager.deleting import Deleting
from tidegate.control.services.secretsmanager.listing import Listing
from tidegate.control.services.secretsmanager.passwords import Passwords
from tidegate.control.services.secretsmanager.reading import Reading
from tidegate.control.services.secretsmanager.resource_policies import ResourcePolicies
from tidegate.control.services.secretsmanager.rotating import Rotating
from tidegate.control.services.secretsmanager.staging import Staging
from tidegate.control.services.secretsmanager.tags import Tagging


class SecretsManager(Creating, Deleting, Listing, Passwords, Reading, ResourcePolicies, Rotating, Staging, Tagging):
    """AWS Secrets Manager, API version 2017-10-17."""
