"""Lists: ListSecrets and ListSecretVersionIds.

Owns their order and pages. Refuses to read a value for a list.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tidegate.control.call import Call
from tidegate.control.services.secretsmanager import answers
from tidegate.control.services.secretsmanager.access import Operations
from tidegate.control.services.secretsmanager.filters import matching
from tidegate.control.services.secretsmanager.paging import Page, paged
from tidegate.control.services.secretsmanager.records import Secret

PAGE = 100

_SORTED_BY: Mapping[str, Callable[[Secret], float | str]] = {
    "created-date": lambda secret: secret.created,
    "last-accessed-date": lambda secret: secret.accessed or 0.0,
    "last-changed-date": lambda secret: secret.changed,
    "name": lambda secret: secret.name,
}


class Listing(Operations):
    """Operations that answer pages."""

    def list_secrets(self, call: Call) -> dict[str, Any]:
        """The secrets of the region, by creation unless another order is wanted."""
        given = call.parameters
        call.require("secretsmanager:ListSecrets", "*")
        with_deleted = given.get("IncludePlannedDeletion", False)
        filters = given.get("Filters", ())
        secrets = [
            secret
            for secret in self._vault(call).all(call.region)
            if (with_deleted or secret.purge_at is None) and matching(secret, filters)
        ]
        order = given.get("SortBy", "created-date")
        page = Page(given.get("NextToken"), given.get("MaxResults", PAGE), order, given.get("SortOrder") == "desc")
        shown, token = paged(secrets, _SORTED_BY[order], lambda secret: secret.arn, page)
        entries = [answers.description(secret, "SecretVersionsToStages") for secret in shown]
        return {"SecretList": entries, **({} if token is None else {"NextToken": token})}

    def list_secret_version_ids(self, call: Call) -> dict[str, Any]:
        """Versions that hold something, the oldest first; without labels only if that is asked for."""
        given = call.parameters
        _, secret = self._found(call)
        deprecated = given.get("IncludeDeprecated", False)
        versions = [
            (version_id, version)
            for version_id, version in secret.versions.items()
            if version.content is not None and (deprecated or version.labels)
        ]
        page = Page(given.get("NextToken"), given.get("MaxResults", PAGE))
        shown, token = paged(versions, lambda entry: entry[1].created, lambda entry: entry[0], page)
        entries = [answers.version_entry(version_id, version) for version_id, version in shown]
        answer = {**answers.identity(secret), "Versions": entries}
        return answer if token is None else {**answer, "NextToken": token}
