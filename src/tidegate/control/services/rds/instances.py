"""CreateDBInstance, ModifyDBInstance, DeleteDBInstance, DescribeDBInstances.

Owns these operations for databases that run elsewhere: the tag `tidegate:address` says where, MasterUsername and
MasterUserPassword how a proxy logs in. Nothing is started, stopped or changed there: a new MasterUserPassword is what
the proxy uses from then on. A name or password that AWS would refuse for its form is taken: the database has it
already. Refuses instances without that tag. The password is sealed, and is in no answer.
"""

from __future__ import annotations

from typing import Any

from tidegate.control.call import Call
from tidegate.control.services.rds import errors, events
from tidegate.control.services.rds.addresses import TAG
from tidegate.control.services.rds.base import Base, with_group
from tidegate.control.services.rds.echoes import echoed
from tidegate.control.services.rds.instance_rules import (
    DEFAULT_VERSION,
    ENGINE,
    PASSWORD_LIMIT,
    address_of,
    bounded,
    check_available,
    check_engine,
    check_snapshot,
    check_storage,
    class_of,
    condition_keys,
    filter_of,
    filtered,
    identifier_of,
    password_context,
    unmanaged,
    zone_of,
)
from tidegate.control.services.rds.networks import security_groups_of
from tidegate.control.services.rds.parameters import check_name, flag, name_of, page, text, texts
from tidegate.control.services.rds.permission import arn_of, permit, permit_address, permit_tagging
from tidegate.control.services.rds.records import Instance, Proxy, SubnetGroup, new_id
from tidegate.control.services.rds.shapes import instance_shape, subnet_group_shape
from tidegate.control.services.rds.tags import tags_of


class Instances(Base):
    """The operations on instances."""

    def create_db_instance(self, call: Call) -> dict[str, Any]:
        """CreateDBInstance.

        DBInstanceAlreadyExists, InstanceQuotaExceeded, DBSubnetGroupNotFoundFault, DBClusterNotFoundFault.
        """
        given = call.parameters
        tags = tags_of(given, self.settings.tags)
        identifier = identifier_of(given)
        permit(call, "CreateDBInstance", "db", identifier or "*", requested=tags, more=condition_keys(given))
        permit_tagging(call, "db", tags)
        name_of(given, "DBInstanceIdentifier")
        instance = self._new_instance(call, identifier, tags)
        instances = call.transaction.table(Instance)
        if instances.get(identifier):
            raise errors.instance_exists(identifier)
        if len(instances.all()) >= self.settings.instances:
            raise errors.instance_quota()
        instances.put(instance)
        self._note(call, instance, events.INSTANCE_CREATED)
        return {"DBInstance": self._instance_shape(call, instance)}

    def _new_instance(self, call: Call, identifier: str, tags: dict[str, str]) -> Instance:
        given = call.parameters
        check_engine(given)
        host, port = address = address_of(given, tags)
        permit_address(call, address)
        group, vpc, zone = self._place(call)
        resource_id = f"db-{new_id('x')[2:].upper()}"
        return Instance(
            identifier=identifier,
            resource_id=resource_id,
            status="available",
            engine=ENGINE,
            engine_version=str(given.get("EngineVersion") or DEFAULT_VERSION)[:32],
            instance_class=class_of(given),
            master_username=bounded(text(given, "MasterUsername"), "MasterUsername", 63),
            sealed_password=self._sealed(resource_id, text(given, "MasterUserPassword")),
            db_name=bounded(str(given["DBName"]), "DBName", 63) if given.get("DBName") else None,
            host=host,
            port=port,
            subnet_group=group,
            vpc_id=vpc,
            availability_zone=zone,
            security_group_ids=self._groups(call, vpc),
            deletion_protection=flag(given, "DeletionProtection", False),
            echoed=echoed(given),
            created=call.at,
            tags=tags,
        )

    def _place(self, call: Call) -> tuple[str | None, str | None, str]:
        """Subnet group, VPC and zone: those given, else as in the default VPC."""
        given = call.parameters
        zone = given.get("AvailabilityZone")
        if zone and flag(given, "MultiAZ", False):
            raise errors.invalid_combination(
                "The AvailabilityZone parameter can't be specified if the DB instance is a Multi-AZ deployment."
            )
        if given.get("DBSubnetGroupName"):
            group = self._subnet_group(call, str(given["DBSubnetGroupName"]))
            return group.name, group.vpc_id, zone_of(zone, sorted(group.subnets.values()))
        subnets = self.network.default_subnets(call.transaction)
        zones = sorted(subnet.zone for subnet in subnets) or [f"{call.region}a"]
        return None, subnets[0].vpc_id if subnets else None, zone_of(zone, zones)

    def _subnet_group(self, call: Call, name: str) -> SubnetGroup:
        found = call.transaction.table(SubnetGroup).get(name.lower())
        if found is None:
            raise errors.subnet_group_not_found(name)
        return found

    def _groups(self, call: Call, vpc: str | None) -> tuple[str, ...]:
        ids = texts(call.parameters, "VpcSecurityGroupIds")
        return () if vpc is None else security_groups_of(self.network, call.transaction, vpc, ids)

    def _sealed(self, resource_id: str, password: str) -> str:
        bounded(password, "MasterUserPassword", PASSWORD_LIMIT)
        return self.sealer.seal(password.encode(), password_context(resource_id))

    def modify_db_instance(self, call: Call) -> dict[str, Any]:
        """ModifyDBInstance, at once whatever ApplyImmediately says.

        DBInstanceNotFound, DBInstanceAlreadyExists, InvalidDBInstanceState, DBSubnetGroupNotFoundFault.
        """
        instance = self._allowed_instance(call)
        check_available(instance)
        changed = self._modified_instance(call, instance)
        instances = call.transaction.table(Instance)
        if changed.key != instance.key:
            if instances.get(changed.key):
                raise errors.instance_exists(changed.identifier)
            instances.delete(instance.key)
            self._note(call, changed, events.INSTANCE_RENAMED, old=instance.identifier, new=changed.identifier)
        if changed.sealed_password != instance.sealed_password:
            self._note(call, changed, events.PASSWORD_RESET)
        instances.put(changed)
        return {"DBInstance": self._instance_shape(call, changed)}

    def _modified_instance(self, call: Call, instance: Instance) -> Instance:
        given = call.parameters
        update: dict[str, Any] = {
            "echoed": echoed(given, instance.echoed),
            "deletion_protection": flag(given, "DeletionProtection", instance.deletion_protection),
            "revision": instance.revision + 1,
        }
        check_storage(given, instance)
        if given.get("DBPortNumber") not in (None, instance.port):
            raise errors.invalid_combination(f"The port of this DB instance is {instance.port}, as the tag {TAG} says.")
        if given.get("ManageMasterUserPassword"):
            raise unmanaged()
        if given.get("NewDBInstanceIdentifier") is not None:
            name = str(given["NewDBInstanceIdentifier"])
            check_name("NewDBInstanceIdentifier", name)
            update["identifier"] = name.lower()
        if given.get("MasterUserPassword") is not None:
            update["sealed_password"] = self._sealed(instance.resource_id, text(given, "MasterUserPassword"))
        if given.get("DBInstanceClass") is not None:
            update["instance_class"] = class_of(given)
        if given.get("EngineVersion") is not None:
            update["engine_version"] = str(given["EngineVersion"])[:32]
        vpc = instance.vpc_id
        if given.get("DBSubnetGroupName") is not None:
            group = self._subnet_group(call, str(given["DBSubnetGroupName"]))
            vpc = group.vpc_id
            update |= {"subnet_group": group.name, "vpc_id": vpc}
        if given.get("VpcSecurityGroupIds") or vpc != instance.vpc_id:
            update["security_group_ids"] = self._groups(call, vpc)
        return instance.model_copy(update=update)

    def delete_db_instance(self, call: Call) -> dict[str, Any]:
        """DeleteDBInstance: forget it; the database stays as it is. DBInstanceNotFound, InvalidDBInstanceState.

        Proxies lose it as their target at once. Its record goes when no proxy uses it any more (`settling`).
        """
        instance = self._allowed_instance(call)
        if instance.status == "deleting":
            raise errors.instance_state(instance.identifier, instance.status, "AVAILABLE")
        if instance.deletion_protection:
            raise errors.instance_protected(instance.identifier)
        check_snapshot(call.parameters)
        gone = instance.model_copy(update={"status": "deleting", "revision": instance.revision + 1})
        call.transaction.table(Instance).put(gone)
        for proxy in call.transaction.table(Proxy).all():
            if proxy.group.target == instance.resource_id:
                with_group(call, proxy, target=None)
                events.target_event(call, proxy, instance, events.TARGET_REMOVED, self.settings.events)
        return {"DBInstance": self._instance_shape(call, gone)}

    def describe_db_instances(self, call: Call) -> dict[str, Any]:
        """DescribeDBInstances, with Filters. DBInstanceNotFound if one was named."""
        if call.parameters.get("DBInstanceIdentifier"):
            found = [self._allowed_instance(call)]
        else:
            permit(call, "DescribeDBInstances", "db")
            found = call.transaction.table(Instance).all()
        for each in call.parameters.get("Filters") or []:
            wanted = filter_of(each)
            found = [one for one in found if wanted[1] & filtered(one, arn_of(call, "db", one.identifier), wanted[0])]
        instances, marker = page(call.parameters, found, lambda one: one.key)
        return {"DBInstances": [self._instance_shape(call, one) for one in instances], **marker}

    def _allowed_instance(self, call: Call) -> Instance:
        identifier = identifier_of(call.parameters)
        prefix = arn_of(call, "db", "")
        identifier = identifier.removeprefix(prefix)
        found = call.transaction.table(Instance).get(identifier)
        permit(call, call.operation, "db", identifier or "*", tags=found.tags if found else None)
        if found is None:
            raise errors.instance_not_found(text(call.parameters, "DBInstanceIdentifier"))
        return found

    def _instance_shape(self, call: Call, instance: Instance) -> dict[str, Any]:
        group = None
        if instance.subnet_group is not None:
            record = call.transaction.table(SubnetGroup).get(instance.subnet_group)
            group = record and subnet_group_shape(record, arn_of(call, "subgrp", record.name))
        return instance_shape(instance, arn_of(call, "db", instance.identifier), group or None)

    def _note(self, call: Call, instance: Instance, kind: events.Kind, **words: str) -> None:
        arn = arn_of(call, "db", instance.identifier)
        events.instance_event(call.transaction, call.at, arn, instance, kind, self.settings.events, **words)
