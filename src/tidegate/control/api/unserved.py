"""Calls of services that are not served: in which protocol they are to be told so, and which operation they mean.

Owns reading that from the request's head, its Action, and botocore's models of REST services. Refuses to read more of
them, and to find them authentic: nothing is done for them, and nothing told but what they have said themselves.

Sources: AWS JSON 1.0 and 1.1, AWS REST-JSON and REST-XML, Smithy RPC v2 CBOR (smithy.io, "Protocols").
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import parse_qsl

from botocore.loaders import Loader

from tidegate.control.api.arrival import Arrival

TARGET = "x-amz-target"
LOOK = 4096
"""Characters of a request that are worth looking at when nobody has signed it."""
ACTION = re.compile(r"(?:^|&)Action=([A-Za-z0-9]{1,128})(?=&|$)", re.ASCII)
NAME = re.compile(r"[A-Za-z0-9_.]{1,128}", re.ASCII)
RPC_PATH = re.compile(r"/service/[A-Za-z0-9_.]+/operation/([A-Za-z0-9_]{1,128})", re.ASCII)
CBOR = "smithy-rpc-v2-cbor"
REST = ("rest-json", "rest-xml")


@dataclass(frozen=True, slots=True)
class UnservedCall:
    """What is known of one."""

    name: str
    """The service, as the signature has it."""
    protocol: str
    """json, query, rest-json, rest-xml or smithy-rpc-v2-cbor."""
    operation: str = ""
    """Empty if it can't be told."""
    json_version: str = ""


def unserved_call(arrival: Arrival, service: str) -> UnservedCall:
    """The call that a request signed for this service makes."""
    signed = arrival.signed
    if rpc := RPC_PATH.fullmatch(signed.path):
        return UnservedCall(service, CBOR, rpc[1])
    if target := arrival.header(TARGET):
        name = target.rpartition(".")[2]
        version = "1.0" if arrival.header("content-type").endswith("json-1.0") else "1.1"
        return UnservedCall(service, "json", name if NAME.fullmatch(name) else "", version)
    rest = _rest_service(service)
    for text in (signed.query[:LOOK], signed.body[:LOOK].decode("latin-1")):
        if rest is None and (action := ACTION.search(text)):
            return UnservedCall(service, "query", action[1])
    if rest is None:
        return UnservedCall(service, "query" if signed.path == "/" else "rest-json")
    return UnservedCall(service, rest.protocol, rest.operation_at(signed.method, signed.path, signed.query))


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a REST service has an operation."""

    operation: str
    method: str
    parts: tuple[str, ...]
    """Of the path: as they are, or with a "{" where anything may stand; "{...+}" is the rest of the path."""
    marks: frozenset[str]
    """Names in the query that tell it from others of the same path."""

    @property
    def exactness(self) -> tuple[int, int]:
        """Of several that fit, the one that says most is meant."""
        return sum("{" not in part for part in self.parts), len(self.marks)

    def fits(self, method: str, parts: list[str], marks: set[str]) -> bool:
        """Whether a request may mean it."""
        if method != self.method or not self.marks <= marks:
            return False
        for at, part in enumerate(self.parts):
            if at >= len(parts):
                return False
            if part.endswith("+}"):
                return True
            if "{" not in part and part != parts[at]:
                return False
        return len(parts) == len(self.parts)


@dataclass(frozen=True, slots=True)
class _RestService:
    protocol: str
    places: tuple[_Place, ...]

    def operation_at(self, method: str, path: str, query: str) -> str:
        """The operation that has this place; "" if none has, or several."""
        parts = _parts(path)
        marks = {name for name, _ in parse_qsl(query[:LOOK], keep_blank_values=True)}
        fitting = [place for place in self.places if place.fits(method, parts, marks)]
        most = max((place.exactness for place in fitting), default=(0, 0))
        meant = [place.operation for place in fitting if place.exactness == most]
        return meant[0] if len(meant) == 1 else ""  # only headers tell CopyObject from PutObject


def _parts(path: str) -> list[str]:
    return path.strip("/").split("/")


@lru_cache(maxsize=1024)
def _rest_service(name: str) -> _RestService | None:
    """What botocore knows of it; None if it speaks no REST, or is nobody's. Each is read once: it takes a while."""
    loader = Loader()
    if name not in _known():
        return None
    model = loader.load_service_model(name, "service-2")
    protocol = str(model["metadata"]["protocol"])
    if protocol not in REST:
        return None
    places = []
    for operation, described in model["operations"].items():
        path, _, query = described["http"]["requestUri"].partition("?")
        marks = frozenset(key for key, _ in parse_qsl(query, keep_blank_values=True))
        places.append(_Place(str(operation), str(described["http"]["method"]), tuple(_parts(path)), marks))
    return _RestService(protocol, tuple(places))


@lru_cache(maxsize=1)
def _known() -> frozenset[str]:
    return frozenset(Loader().list_available_services("service-2"))
