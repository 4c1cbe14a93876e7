"""Parameters of an instance that are checked, kept and told again, and change nothing here.

Owns the table of them: what CDK, CloudFormation and Terraform set and read back. A database that runs elsewhere has its
storage, backups and monitoring from whoever runs it. Refuses parameters that do change something (`instances`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tidegate.control.services.rds import errors
from tidegate.control.services.rds.parameters import choice, flag, number

TEXT_LIMIT = 255


@dataclass(frozen=True, slots=True)
class Echo:
    """One parameter. default None: the answer lacks it unless it was given."""

    parameter: str
    default: bool | int | str | None
    member: str = ""
    """Its name in the answer, where that is another."""
    least: int = 0
    most: int = 2**31 - 1
    valid: tuple[str, ...] = ()
    whole: bool = False
    """Whether it is a number even though it has no default."""

    def value(self, given: Mapping[str, Any], old: object) -> object:
        """The parameter, or what stood before. InvalidParameterValue."""
        if given.get(self.parameter) is None:
            return old
        if isinstance(self.default, bool):
            return flag(given, self.parameter, self.default)
        if self.whole or isinstance(self.default, int):
            return number(given, self.parameter, self.least, self.most, 0)
        if self.valid:
            return choice(given, self.parameter, self.valid, "")
        text = str(given[self.parameter])
        if len(text) > TEXT_LIMIT:
            raise errors.invalid_value(f"{self.parameter} has more than {TEXT_LIMIT} characters.")
        return text


ECHOES = (
    Echo("AllocatedStorage", 20, least=5, most=65536),
    Echo("MaxAllocatedStorage", None, least=5, most=65536, whole=True),
    Echo("StorageType", "gp2", valid=("standard", "gp2", "gp3", "io1", "io2")),
    Echo("Iops", None, least=0, most=256000, whole=True),
    Echo("StorageThroughput", None, least=0, most=16000, whole=True),
    Echo("StorageEncrypted", False),
    Echo("KmsKeyId", None),
    Echo("BackupRetentionPeriod", 1, least=0, most=35),
    Echo("PreferredBackupWindow", "03:00-03:30"),
    Echo("PreferredMaintenanceWindow", "sun:04:00-sun:04:30"),
    Echo("MultiAZ", False),
    Echo("AutoMinorVersionUpgrade", True),
    Echo("PubliclyAccessible", False),
    Echo("CopyTagsToSnapshot", False),
    Echo("MonitoringInterval", 0, most=60),
    Echo("MonitoringRoleArn", None),
    Echo("PromotionTier", None, most=15, whole=True),
    Echo("LicenseModel", "postgresql-license"),
    Echo("Timezone", None),
    Echo("CharacterSetName", None),
    Echo("CACertificateIdentifier", "rds-ca-rsa2048-g1"),
    Echo("NetworkType", "IPV4", valid=("IPV4", "DUAL")),
    Echo("BackupTarget", "region", valid=("region", "outposts")),
    Echo("DedicatedLogVolume", False),
    Echo("EngineLifecycleSupport", "open-source-rds-extended-support"),
    Echo("DatabaseInsightsMode", None, valid=("standard", "advanced")),
    Echo("EnableIAMDatabaseAuthentication", False, member="IAMDatabaseAuthenticationEnabled"),
    Echo("EnablePerformanceInsights", False, member="PerformanceInsightsEnabled"),
    Echo("PerformanceInsightsKMSKeyId", None),
    Echo("PerformanceInsightsRetentionPeriod", None, least=7, most=731, whole=True),
    Echo("EnableCustomerOwnedIp", False, member="CustomerOwnedIpEnabled"),
)


def echoed(given: Mapping[str, Any], old: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Members of the answer by name: as given, else as before, else their defaults. InvalidParameterValue."""
    members: dict[str, Any] = {}
    for echo in ECHOES:
        name = echo.member or echo.parameter
        value = echo.value(given, echo.default if old is None else old.get(name))
        if value is not None:
            members[name] = value
    members |= _groups(given, old)
    logs = given.get("EnableCloudwatchLogsExports")
    members["EnabledCloudwatchLogsExports"] = _texts(logs) if logs is not None else _kept(old)
    return members


def _kept(old: Mapping[str, Any] | None) -> list[str]:
    return [] if old is None else list(old.get("EnabledCloudwatchLogsExports", ()))


def _texts(values: list[object]) -> list[str]:
    if len(values) > 10:
        raise errors.invalid_value("EnableCloudwatchLogsExports can have at most 10 members.")
    return [str(value)[:TEXT_LIMIT] for value in values]


def _groups(given: Mapping[str, Any], old: Mapping[str, Any] | None) -> dict[str, Any]:
    members: dict[str, Any] = {}
    parameter_group, option_group = given.get("DBParameterGroupName"), given.get("OptionGroupName")
    major = str(given.get("EngineVersion") or "17").split(".")[0][:10]
    if parameter_group is None and old is not None:
        members["DBParameterGroups"] = old["DBParameterGroups"]
    else:
        name = str(parameter_group or f"default.postgres{major}")[:TEXT_LIMIT]
        members["DBParameterGroups"] = [{"DBParameterGroupName": name, "ParameterApplyStatus": "in-sync"}]
    if option_group is None and old is not None:
        members["OptionGroupMemberships"] = old["OptionGroupMemberships"]
    else:
        name = str(option_group or f"default:postgres-{major}")[:TEXT_LIMIT]
        members["OptionGroupMemberships"] = [{"OptionGroupName": name, "Status": "in-sync"}]
    return members
