"""botocore's service models: what operations a service has, and in which protocol it speaks.

Owns finding and keeping them. Refuses to read requests by them (`parsing`) and to write answers (`answers`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from botocore.loaders import Loader
from moto.core.model import OperationModel, ServiceModel


@dataclass(frozen=True, slots=True)
class Api:
    """One AWS service's interface."""

    name: str
    """As botocore names it: "rds"."""
    model: ServiceModel

    @property
    def protocol(self) -> str:
        """query, ec2 or json."""
        return str(self.model.protocol)

    @property
    def signing_name(self) -> str:
        """What stands for the service in a signature's scope."""
        return str(self.model.signing_name)

    @property
    def version(self) -> str:
        """The API's version: "2014-10-31"."""
        return str(self.model.api_version)

    @property
    def target_prefix(self) -> str:
        """What X-Amz-Target begins with, before a dot; empty in protocols without it."""
        return str(self.model.metadata.get("targetPrefix", ""))

    @property
    def is_global(self) -> bool:
        """Whether clients may sign for us-east-1, wherever they are."""
        return "globalEndpoint" in self.model.metadata

    def operation(self, name: str) -> OperationModel | None:
        """The operation "CreateDBProxy"; None if the service has none of this name."""
        return self.model.operation_model(name) if name in self._names() else None

    def _names(self) -> frozenset[str]:
        return _operation_names(self.name)


@lru_cache(maxsize=32)
def load_api(name: str) -> Api:
    """The model of a service in its newest version. botocore.exceptions.UnknownServiceError if there is none."""
    return Api(name, ServiceModel(Loader().load_service_model(name, "service-2"), name))


@lru_cache(maxsize=32)
def _operation_names(name: str) -> frozenset[str]:
    return frozenset(load_api(name).model.operation_names)
