"""What the parameters of an instance must be, one by one.

Owns the rules that CreateDBInstance, ModifyDBInstance, DeleteDBInstance and DescribeDBInstances have. Refuses the
records (`instances`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from tidegate.control.services.rds import errors
from tidegate.control.services.rds.addresses import TAG, tagged_address
from tidegate.control.services.rds.parameters import flag, text
from tidegate.control.services.rds.records import Instance

ENGINE = "postgres"
DEFAULT_VERSION = "17"
PASSWORD_LIMIT = 1024
"""Characters; AWS has 128, for passwords that it sets itself."""
FILTERS = ("db-instance-id", "dbi-resource-id", "engine", "db-cluster-id", "domain")
FILTER_VALUES = 200
_CLASS = re.compile(r"db\.[a-z0-9][a-z0-9.-]{1,60}")


def password_context(resource_id: str) -> bytes:
    """What an instance's password is sealed for."""
    return f"rds-instance/{resource_id}".encode()


def identifier_of(parameters: Mapping[str, Any]) -> str:
    """The identifier, in lower case as RDS keeps it; empty if there is none."""
    return str(parameters.get("DBInstanceIdentifier") or "").lower()


def condition_keys(given: Mapping[str, Any]) -> dict[str, Any]:
    """RDS's condition keys of CreateDBInstance."""
    names = {
        "rds:DatabaseEngine": "Engine",
        "rds:DatabaseName": "DBName",
        "rds:DatabaseClass": "DBInstanceClass",
        "rds:StorageSize": "AllocatedStorage",
        "rds:MultiAz": "MultiAZ",
        "rds:ManageMasterUserPassword": "ManageMasterUserPassword",
    }
    return {key: given[name] for key, name in names.items() if given.get(name) is not None}


def check_engine(given: Mapping[str, Any]) -> None:
    """InvalidParameterValue, InvalidParameterCombination for engines and set-ups that are not served."""
    engine = text(given, "Engine")
    if engine != ENGINE:
        raise errors.invalid_value(f"The Engine {engine:.80} is not supported yet by Tidegate. Supported: {ENGINE}.")
    if given.get("DBClusterIdentifier"):
        raise errors.cluster_not_found(str(given["DBClusterIdentifier"]))
    if given.get("ManageMasterUserPassword"):
        raise unmanaged()


def unmanaged() -> Exception:
    """What ManageMasterUserPassword is answered with."""
    return errors.invalid_combination(
        "ManageMasterUserPassword is not supported for a database that runs elsewhere: give its MasterUserPassword."
    )


def address_of(given: Mapping[str, Any], tags: Mapping[str, str]) -> tuple[str, int]:
    """Where the database runs. InvalidParameterCombination without the tag."""
    address = tagged_address(tags)
    if address is None:
        raise errors.invalid_combination(
            "Tidegate does not run database instances itself yet. Register one that runs elsewhere: give the tag "
            f"{TAG} with the value host:port."
        )
    if given.get("Port") not in (None, address[1]):
        raise errors.invalid_combination(f"Port is {given['Port']}, and the tag {TAG} says {address[1]}.")
    return address


def zone_of(wanted: object, zones: list[str]) -> str:
    """The zone to tell. InvalidParameterValue if the wanted one is not among the zones."""
    if wanted and wanted not in zones:
        raise errors.invalid_value(f"Invalid value {wanted!s:.80} for AvailabilityZone. Valid: {', '.join(zones)}.")
    return str(wanted or zones[0])


def class_of(given: Mapping[str, Any]) -> str:
    """DBInstanceClass. InvalidParameterValue."""
    value = text(given, "DBInstanceClass")
    if not _CLASS.fullmatch(value):
        raise errors.invalid_value(f"Invalid DB Instance class: {value:.80}")
    return value


def bounded(value: str, name: str, most: int) -> str:
    """A text of 1 to `most` characters. InvalidParameterValue."""
    if not 1 <= len(value) <= most or "\0" in value:
        raise errors.invalid_value(f"{name} must have 1 to {most} characters, NUL not among them.")
    return value


def check_available(instance: Instance) -> None:
    """InvalidDBInstanceState unless it is available."""
    if instance.status != "available":
        raise errors.instance_state(instance.identifier, instance.status, "AVAILABLE")


def check_storage(given: Mapping[str, Any], instance: Instance) -> None:
    """InvalidParameterCombination if AllocatedStorage would shrink."""
    wanted, has = given.get("AllocatedStorage"), instance.echoed["AllocatedStorage"]
    if isinstance(wanted, int) and wanted < has:
        raise errors.invalid_combination(
            f"Requested storage size ({wanted}) cannot be less than the current storage size ({has})."
        )


def check_snapshot(given: Mapping[str, Any]) -> None:
    """InvalidParameterCombination unless SkipFinalSnapshot is given alone."""
    skip, snapshot = flag(given, "SkipFinalSnapshot", False), given.get("FinalDBSnapshotIdentifier")
    if skip and snapshot:
        raise errors.invalid_combination(
            "FinalDBSnapshotIdentifier cannot be specified when SkipFinalSnapshot is enabled."
        )
    if not skip and not snapshot:
        raise errors.invalid_combination("FinalDBSnapshotIdentifier is required unless SkipFinalSnapshot is specified.")
    if snapshot:
        raise errors.invalid_combination(
            "No snapshot can be made of a database that runs elsewhere: specify SkipFinalSnapshot."
        )


def filter_of(given: Mapping[str, Any]) -> tuple[str, set[str]]:
    """A filter's name and values, in lower case. InvalidParameterValue."""
    name, values = str(given.get("Name")), [str(value).lower() for value in given.get("Values") or []]
    if name not in FILTERS:
        raise errors.invalid_value(f"Unrecognized filter name: {name:.80}")
    if len(values) > FILTER_VALUES:
        raise errors.invalid_value(f"The filter {name} can have at most {FILTER_VALUES} values, not {len(values)}.")
    return name, set(values)


def filtered(instance: Instance, arn: str, name: str) -> set[str]:
    """The values of an instance that a filter of that name looks at."""
    values = {
        "db-instance-id": {instance.identifier, arn.lower()},
        "dbi-resource-id": {instance.resource_id.lower()},
        "engine": {instance.engine},
    }
    return values.get(name, set())
