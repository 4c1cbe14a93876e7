"""CreateDBProxyEndpoint, ModifyDBProxyEndpoint, DeleteDBProxyEndpoint, DescribeDBProxyEndpoints.

Owns these operations. The default endpoint comes and goes with its proxy (`proxies`): it can't be renamed or deleted.
"""

from __future__ import annotations

from typing import Any

from tidegate.control.call import Call
from tidegate.control.services.rds import errors
from tidegate.control.services.rds.base import (
    FIT,
    PRESENT,
    allowed_proxy,
    check_status,
    default_endpoint,
    endpoints_of,
    proxy_by_id,
)
from tidegate.control.services.rds.networks import security_groups_of, subnets_of
from tidegate.control.services.rds.parameters import check_name, choice, name_of, no_filters, page, text, texts
from tidegate.control.services.rds.permission import arn_of, permit, permit_found, permit_tagging
from tidegate.control.services.rds.proxies import Proxies
from tidegate.control.services.rds.records import Proxy, ProxyEndpoint, Status, new_id
from tidegate.control.services.rds.shapes import endpoint_shape
from tidegate.control.services.rds.tags import tags_of

KIND = "db-proxy-endpoint"


class Endpoints(Proxies):
    """The operations on endpoints."""

    def create_db_proxy_endpoint(self, call: Call) -> dict[str, Any]:
        """CreateDBProxyEndpoint.

        DBProxyNotFoundFault, DBProxyEndpointAlreadyExistsFault, DBProxyEndpointQuotaExceededFault,
        InvalidDBProxyStateFault, InvalidSubnet.
        """
        given = call.parameters
        tags = tags_of(given, self.settings.tags)
        permit(call, "CreateDBProxyEndpoint", KIND, requested=tags)
        permit_tagging(call, KIND, tags)
        proxy = allowed_proxy(call, requested=tags)
        check_status(proxy, (*FIT, Status.MODIFYING))
        name = name_of(given, "DBProxyEndpointName")
        self._check_free(call, name)
        own = [end for end in endpoints_of(call.transaction, proxy) if not end.is_default]
        if len(own) >= self.settings.endpoints:
            raise errors.endpoint_quota()
        endpoint = self._new_endpoint(call, proxy, name, tags)
        call.transaction.table(ProxyEndpoint).put(endpoint)
        return {"DBProxyEndpoint": _shape(call, endpoint, proxy)}

    def _new_endpoint(self, call: Call, proxy: Proxy, name: str, tags: dict[str, str]) -> ProxyEndpoint:
        given = call.parameters
        network_type = choice(given, "EndpointNetworkType", ("IPV4", "IPV6", "DUAL"), "IPV4")
        subnets = subnets_of(self.network, call.transaction, texts(given, "VpcSubnetIds"), ipv6=network_type != "IPV4")
        vpc = subnets[0].vpc_id
        endpoint_id = new_id("prx-endpoint")
        host, port = self.listen_address(call, endpoint_id, tags)
        return ProxyEndpoint(
            name=name,
            endpoint_id=endpoint_id,
            proxy_id=proxy.resource_id,
            status=Status.CREATING,
            vpc_id=vpc,
            subnet_ids=tuple(subnet.subnet_id for subnet in subnets),
            security_group_ids=security_groups_of(
                self.network, call.transaction, vpc, texts(given, "VpcSecurityGroupIds")
            ),
            read_only=choice(given, "TargetRole", ("READ_WRITE", "READ_ONLY"), "READ_WRITE") == "READ_ONLY",
            network_type=network_type,
            host=host,
            port=port,
            created=call.at,
            tags=tags,
        )

    def _check_free(self, call: Call, name: str) -> None:
        key = name.lower()
        if call.transaction.table(ProxyEndpoint).get(key) or call.transaction.table(Proxy).get(key):
            raise errors.endpoint_exists(name)

    def modify_db_proxy_endpoint(self, call: Call) -> dict[str, Any]:
        """ModifyDBProxyEndpoint.

        DBProxyEndpointNotFoundFault, DBProxyEndpointAlreadyExistsFault, InvalidDBProxyEndpointStateFault,
        InvalidDBProxyStateFault.
        """
        endpoint, proxy = self._allowed_endpoint(call)
        check_status(proxy, PRESENT)
        if endpoint.status not in FIT:
            raise errors.endpoint_state(endpoint.name or proxy.name, f"is in the state {endpoint.status}")
        name = self._new_name(call, endpoint, proxy)
        groups = endpoint.security_group_ids
        if call.parameters.get("VpcSecurityGroupIds"):
            groups = security_groups_of(
                self.network, call.transaction, endpoint.vpc_id, texts(call.parameters, "VpcSecurityGroupIds")
            )
        changed = endpoint.model_copy(
            update={
                "name": name,
                "security_group_ids": groups,
                "status": Status.MODIFYING,
                "revision": endpoint.revision + 1,
            }
        )
        endpoints = call.transaction.table(ProxyEndpoint)
        endpoints.delete(endpoint.key)
        endpoints.put(changed)
        if endpoint.is_default and groups != proxy.security_group_ids:
            call.transaction.table(Proxy).put(proxy.model_copy(update={"security_group_ids": groups}))
        return {"DBProxyEndpoint": _shape(call, changed, proxy)}

    def _new_name(self, call: Call, endpoint: ProxyEndpoint, proxy: Proxy) -> str:
        if call.parameters.get("NewDBProxyEndpointName") is None:
            return endpoint.name
        name = str(call.parameters["NewDBProxyEndpointName"])
        check_name("NewDBProxyEndpointName", name)
        if endpoint.is_default:
            raise errors.endpoint_state(proxy.name, "is the default endpoint, which can't be renamed")
        if name.lower() != endpoint.key:
            self._check_free(call, name)
        return name

    def delete_db_proxy_endpoint(self, call: Call) -> dict[str, Any]:
        """DeleteDBProxyEndpoint. DBProxyEndpointNotFoundFault, InvalidDBProxyEndpointStateFault."""
        endpoint, proxy = self._allowed_endpoint(call)
        if endpoint.is_default:
            raise errors.endpoint_state(proxy.name, "is the default endpoint, which goes with its proxy only")
        if endpoint.status is Status.DELETING:
            raise errors.endpoint_state(endpoint.name, f"is in the state {endpoint.status}")
        gone = endpoint.model_copy(update={"status": Status.DELETING, "revision": endpoint.revision + 1})
        call.transaction.table(ProxyEndpoint).put(gone)
        return {"DBProxyEndpoint": _shape(call, gone, proxy)}

    def describe_db_proxy_endpoints(self, call: Call) -> dict[str, Any]:
        """DescribeDBProxyEndpoints. DBProxyNotFoundFault, DBProxyEndpointNotFoundFault for what was named."""
        given = call.parameters
        if given.get("DBProxyName"):
            proxy = allowed_proxy(call)
            found = endpoints_of(call.transaction, proxy)
            if given.get("DBProxyEndpointName"):
                found = [end for end in found if (end.name or proxy.name).lower() == _wanted(call)]
                if not found:
                    raise errors.endpoint_not_found(str(given["DBProxyEndpointName"]))
        elif given.get("DBProxyEndpointName"):
            found = [self._allowed_endpoint(call)[0]]
        else:
            permit(call, "DescribeDBProxyEndpoints", KIND)
            found = call.transaction.table(ProxyEndpoint).all()
        no_filters(given)
        endpoints, marker = page(given, sorted(found, key=lambda end: end.key), lambda end: end.key)
        proxies = {proxy.resource_id: proxy for proxy in call.transaction.table(Proxy).all()}
        return {"DBProxyEndpoints": [_shape(call, end, proxies[end.proxy_id]) for end in endpoints], **marker}

    def _allowed_endpoint(self, call: Call) -> tuple[ProxyEndpoint, Proxy]:
        """The endpoint that DBProxyEndpointName names; a proxy's name is that of its default endpoint."""
        wanted = _wanted(call)
        found = call.transaction.table(ProxyEndpoint).get(wanted) if "/" not in wanted else None
        if found is None:
            proxy = call.transaction.table(Proxy).get(wanted)
            found = default_endpoint(call.transaction, proxy) if proxy else None
        if found is None:
            permit_found(call, call.operation, KIND, None)
            check_name("DBProxyEndpointName", text(call.parameters, "DBProxyEndpointName"))
            raise errors.endpoint_not_found(str(call.parameters["DBProxyEndpointName"]))
        permit_found(call, call.operation, KIND, found.endpoint_id, found.tags)
        return found, proxy_by_id(call.transaction, found.proxy_id)


def _wanted(call: Call) -> str:
    return str(call.parameters.get("DBProxyEndpointName") or "").lower()


def _shape(call: Call, endpoint: ProxyEndpoint, proxy: Proxy) -> dict[str, Any]:
    return endpoint_shape(endpoint, proxy, arn_of(call, KIND, endpoint.endpoint_id))
