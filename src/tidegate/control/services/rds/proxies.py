"""CreateDBProxy, ModifyDBProxy, DeleteDBProxy, DescribeDBProxies.

Owns these operations. A call writes what is wanted and a state ("creating", "modifying", "deleting"); what has made it
so writes the next (`settling`). Refuses endpoints beside the default one (`endpoints`) and targets (`targets`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tidegate.control.call import Call
from tidegate.control.services.rds import errors
from tidegate.control.services.rds.addresses import Address, check_reachable, own_address, tagged_address
from tidegate.control.services.rds.auth import IAM_AUTH, NONE, check_scheme, entries_of
from tidegate.control.services.rds.base import (
    FIT,
    PRESENT,
    Base,
    allowed_proxy,
    check_status,
    default_endpoint,
    endpoints_of,
)
from tidegate.control.services.rds.networks import security_groups_of, subnets_of
from tidegate.control.services.rds.parameters import (
    check_name,
    choice,
    flag,
    name_of,
    no_filters,
    number,
    page,
    role_arn,
    text,
    texts,
)
from tidegate.control.services.rds.permission import arn_of, permit, permit_address, permit_tagging
from tidegate.control.services.rds.records import Proxy, ProxyEndpoint, Status, TargetGroup, new_id
from tidegate.control.services.rds.shapes import proxy_shape
from tidegate.control.services.rds.tags import tags_of

ENGINE_FAMILIES = ("MYSQL", "POSTGRESQL", "SQLSERVER")
SERVED = "POSTGRESQL"
SERVICE = "rds.amazonaws.com"
"""Whom the proxy's role is passed to."""


class Proxies(Base):
    """The operations on proxies."""

    def create_db_proxy(self, call: Call) -> dict[str, Any]:
        """CreateDBProxy. DBProxyAlreadyExistsFault, DBProxyQuotaExceededFault, InvalidSubnet; InvalidParameter..."""
        given = call.parameters
        tags = tags_of(given, self.settings.tags)
        permit(call, "CreateDBProxy", "db-proxy", requested=tags)
        permit_tagging(call, "db-proxy", tags)
        name = name_of(given, "DBProxyName")
        require_pass_role(call, text(given, "RoleArn"))
        proxy = self._new_proxy(call, name, tags)
        proxies = call.transaction.table(Proxy)
        check_free(call, proxy)
        if len(proxies.all()) >= self.settings.proxies:
            raise errors.proxy_quota()
        call.transaction.table(ProxyEndpoint).put(self._default_endpoint(call, proxy))
        proxies.put(proxy)
        return {"DBProxy": _shape(call, proxy)}

    def _new_proxy(self, call: Call, name: str, tags: dict[str, str]) -> Proxy:
        given = call.parameters
        family = choice({"EngineFamily": text(given, "EngineFamily")}, "EngineFamily", ENGINE_FAMILIES, "")
        if family != SERVED:
            raise errors.invalid_value(
                f"The EngineFamily {family} is not supported yet by Tidegate. Supported: {SERVED}."
            )
        scheme = choice(given, "DefaultAuthScheme", (IAM_AUTH, NONE), NONE)
        entries = entries_of(given.get("Auth") or [], self.settings.secrets)
        check_scheme(scheme, entries)
        network_type = choice(given, "EndpointNetworkType", ("IPV4", "IPV6", "DUAL"), "IPV4")
        subnets = subnets_of(self.network, call.transaction, texts(given, "VpcSubnetIds"), ipv6=network_type != "IPV4")
        vpc = subnets[0].vpc_id
        groups = security_groups_of(self.network, call.transaction, vpc, texts(given, "VpcSecurityGroupIds"))
        return Proxy(
            name=name,
            resource_id=new_id("prx"),
            status=Status.CREATING,
            engine_family=family,
            vpc_id=vpc,
            subnet_ids=tuple(subnet.subnet_id for subnet in subnets),
            security_group_ids=groups,
            default_auth_scheme=scheme,
            auth=entries,
            role_arn=role_arn(given, "RoleArn", call.account),
            require_tls=flag(given, "RequireTLS", False),
            idle_client_timeout=number(given, "IdleClientTimeout", 1, 28800, 1800),
            debug_logging=flag(given, "DebugLogging", False),
            endpoint_network_type=network_type,
            target_connection_network_type=choice(given, "TargetConnectionNetworkType", ("IPV4", "IPV6"), "IPV4"),
            created=call.at,
            updated=call.at,
            group=TargetGroup(group_id=new_id("prx-tg"), created=call.at, updated=call.at),
            tags=tags,
        )

    def _default_endpoint(self, call: Call, proxy: Proxy) -> ProxyEndpoint:
        endpoint_id = new_id("prx-endpoint")
        host, port = self.listen_address(call, endpoint_id, proxy.tags)
        return ProxyEndpoint(
            name="",
            endpoint_id=endpoint_id,
            proxy_id=proxy.resource_id,
            status=Status.CREATING,
            vpc_id=proxy.vpc_id,
            subnet_ids=proxy.subnet_ids,
            security_group_ids=proxy.security_group_ids,
            network_type=proxy.endpoint_network_type,
            host=host,
            port=port,
            created=proxy.created,
        )

    def listen_address(self, call: Call, endpoint_id: str, tags: Mapping[str, str]) -> Address:
        """The tag's address, else one of the endpoint's own. InvalidParameterValue if it is of no use, or another's."""
        taken = {(end.host, end.port) for end in call.transaction.table(ProxyEndpoint).all()}
        wanted = tagged_address(tags)
        permit_address(call, wanted)
        if wanted is None:
            return own_address(self.settings.listen_network, self.settings.listen_port, endpoint_id, taken)
        check_reachable(wanted)
        if wanted in taken:
            raise errors.invalid_value(f"Another DB proxy endpoint has the address {wanted[0]}:{wanted[1]}.")
        return wanted

    def modify_db_proxy(self, call: Call) -> dict[str, Any]:
        """ModifyDBProxy. DBProxyNotFoundFault, DBProxyAlreadyExistsFault, InvalidDBProxyStateFault.

        A new name leaves id, ARN, addresses and clients' connections as they are.
        """
        proxy = allowed_proxy(call)
        given = call.parameters
        if given.get("RoleArn") is not None:
            require_pass_role(call, str(given["RoleArn"]))
        check_status(proxy, FIT)
        changed = self._modified_proxy(call, proxy)
        proxies = call.transaction.table(Proxy)
        if changed.key != proxy.key:
            check_free(call, changed)
            proxies.delete(proxy.key)
        proxies.put(changed)
        endpoint = default_endpoint(call.transaction, proxy)
        if endpoint.security_group_ids != changed.security_group_ids:
            moved = endpoint.model_copy(update={"security_group_ids": changed.security_group_ids})
            call.transaction.table(ProxyEndpoint).put(moved)
        return {"DBProxy": _shape(call, changed)}

    def _modified_proxy(self, call: Call, proxy: Proxy) -> Proxy:
        given = call.parameters
        scheme = choice(given, "DefaultAuthScheme", (IAM_AUTH, NONE), proxy.default_auth_scheme)
        auth = proxy.auth if given.get("Auth") is None else entries_of(given["Auth"], self.settings.secrets)
        check_scheme(scheme, auth)
        role = proxy.role_arn if given.get("RoleArn") is None else role_arn(given, "RoleArn", call.account)
        groups = proxy.security_group_ids
        if given.get("SecurityGroups"):
            groups = security_groups_of(self.network, call.transaction, proxy.vpc_id, texts(given, "SecurityGroups"))
        name = proxy.name
        if given.get("NewDBProxyName") is not None:
            name = str(given["NewDBProxyName"])
            check_name("NewDBProxyName", name)
        update = {
            "name": name,
            "default_auth_scheme": scheme,
            "auth": auth,
            "role_arn": role,
            "security_group_ids": groups,
            "require_tls": flag(given, "RequireTLS", proxy.require_tls),
            "idle_client_timeout": number(given, "IdleClientTimeout", 1, 28800, proxy.idle_client_timeout),
            "debug_logging": flag(given, "DebugLogging", proxy.debug_logging),
            "status": Status.MODIFYING,
            "updated": call.at,
            "revision": proxy.revision + 1,
        }
        return proxy.model_copy(update=update)

    def delete_db_proxy(self, call: Call) -> dict[str, Any]:
        """DeleteDBProxy, with all its endpoints. DBProxyNotFoundFault, InvalidDBProxyStateFault."""
        proxy = allowed_proxy(call)
        check_status(proxy, PRESENT)
        gone = proxy.model_copy(update={"status": Status.DELETING, "updated": call.at, "revision": proxy.revision + 1})
        call.transaction.table(Proxy).put(gone)
        endpoints = call.transaction.table(ProxyEndpoint)
        for endpoint in endpoints_of(call.transaction, proxy):
            endpoints.put(endpoint.model_copy(update={"status": Status.DELETING, "revision": endpoint.revision + 1}))
        return {"DBProxy": _shape(call, gone)}

    def describe_db_proxies(self, call: Call) -> dict[str, Any]:
        """DescribeDBProxies. DBProxyNotFoundFault if one was named."""
        if call.parameters.get("DBProxyName"):
            found = [allowed_proxy(call)]
        else:
            permit(call, "DescribeDBProxies", "db-proxy")
            found = call.transaction.table(Proxy).all()
        no_filters(call.parameters)
        proxies, marker = page(call.parameters, found, lambda proxy: proxy.key)
        return {"DBProxies": [_shape(call, proxy) for proxy in proxies], **marker}


def _shape(call: Call, proxy: Proxy) -> dict[str, Any]:
    arn = arn_of(call, "db-proxy", proxy.resource_id)
    return proxy_shape(proxy, arn, default_endpoint(call.transaction, proxy))


def check_free(call: Call, proxy: Proxy) -> None:
    """DBProxyAlreadyExistsFault if a proxy or an endpoint has its name, which its default endpoint has, too."""
    if call.transaction.table(Proxy).get(proxy.key) or call.transaction.table(ProxyEndpoint).get(proxy.key):
        raise errors.already_exists(proxy.name)


def require_pass_role(call: Call, role: str) -> None:
    """Who makes a proxy act as a role must be allowed to pass it on to RDS (IAM User Guide, "PassRole")."""
    call.require("iam:PassRole", role, {"iam:PassedToService": SERVICE})
