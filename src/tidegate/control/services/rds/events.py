"""Events: what happened to proxies and instances, in RDS's words; DescribeEvents, DescribeEventCategories.

Owns the texts (RDS User Guide, "RDS Proxy events", "DB instance events"), the log's bound, and the reading of it.
Refuses to notify anybody. As with AWS, nothing older than 14 days is told. RDS-EVENT-0215 (a cluster's end) and 0275
(throttled clients) do not occur: there are no clusters, and the data plane tells of no throttling.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from tidegate.control.call import Call
from tidegate.control.services.rds import errors
from tidegate.control.services.rds.base import Base
from tidegate.control.services.rds.parameters import no_filters, number, page, texts
from tidegate.control.services.rds.permission import arn_of, permit
from tidegate.control.services.rds.records import Event, EventLog, Instance, Proxy
from tidegate.control.store.store import Transaction

OLDEST = 14 * 24 * 3600
"""Seconds."""
CATEGORIES = {
    "db-proxy": ("configuration change", "creation", "deletion", "failure"),
    "db-instance": ("configuration change", "creation", "deletion"),
}
"""Those that occur, by type of source."""
SOURCE_TYPES = (
    "db-instance", "db-parameter-group", "db-security-group", "db-snapshot", "db-cluster", "db-cluster-snapshot",
    "custom-engine-version", "db-proxy", "blue-green-deployment", "db-shard-group", "zero-etl",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Kind:
    """An event's number, category and text."""

    event_id: str
    category: str
    text: str


PROXY_CREATED = Kind("RDS-EVENT-0203", "creation", "RDS created DB proxy {name}.")
PROXY_MODIFIED = Kind("RDS-EVENT-0204", "configuration change", "RDS modified DB proxy {name}.")
PROXY_DELETED = Kind("RDS-EVENT-0205", "deletion", "RDS deleted DB proxy {name}.")
ENDPOINT_CREATED = Kind("RDS-EVENT-0206", "creation", "RDS created endpoint {endpoint} for DB proxy {name}.")
ENDPOINT_MODIFIED = Kind(
    "RDS-EVENT-0207", "configuration change", "RDS modified endpoint {endpoint} of DB proxy {name}."
)
ENDPOINT_DELETED = Kind("RDS-EVENT-0208", "deletion", "RDS deleted endpoint {endpoint} for DB proxy {name}.")
TARGET_ADDED = Kind(
    "RDS-EVENT-0213",
    "configuration change",
    "RDS detected the addition of DB instance {target} and automatically added it to target group default of DB proxy "
    "{name}.",
)
TARGET_REMOVED = Kind(
    "RDS-EVENT-0214",
    "configuration change",
    "RDS detected the deletion of DB instance {target} and automatically removed it from target group default of DB "
    "proxy {name}.",
)
PROVISIONING_FAILED = Kind(
    "RDS-EVENT-0243", "failure", "RDS failed to provision capacity for DB proxy {name}: {reason}"
)
INSTANCE_CREATED = Kind("RDS-EVENT-0005", "creation", "DB instance created")
INSTANCE_DELETED = Kind("RDS-EVENT-0003", "deletion", "DB instance deleted")
INSTANCE_RENAMED = Kind("RDS-EVENT-0019", "configuration change", "DB instance renamed from {old} to {new}")
PASSWORD_RESET = Kind("RDS-EVENT-0016", "configuration change", "Reset master credentials")


def proxy_event(
    transaction: Transaction, at: float, arn: str, proxy: Proxy, kind: Kind, most: int, **words: str
) -> None:
    """Write down what happened to a proxy or a part of it. at: seconds since 1970; most: how many events are kept."""
    _write(transaction, at, arn, "db-proxy", proxy.name, kind, most, name=proxy.name, **words)


def target_event(call: Call, proxy: Proxy, target: Instance, kind: Kind, most: int) -> None:
    """Write down what a call has done to a proxy's target."""
    arn = arn_of(call, "db-proxy", proxy.resource_id)
    proxy_event(call.transaction, call.at, arn, proxy, kind, most, target=target.identifier)


def instance_event(
    transaction: Transaction, at: float, arn: str, instance: Instance, kind: Kind, most: int, **words: str
) -> None:
    """Write down what happened to an instance."""
    _write(transaction, at, arn, "db-instance", instance.identifier, kind, most, **words)


def _write(
    transaction: Transaction, at: float, arn: str, source_type: str, source: str, kind: Kind, most: int, **words: str
) -> None:
    logs = transaction.table(EventLog)
    number = (logs.get("log") or EventLog()).count + 1
    logs.put(EventLog(count=number))
    events = transaction.table(Event)
    events.put(
        Event(
            number=number,
            at=at,
            source_type=source_type,
            source=source,
            arn=arn,
            event_id=kind.event_id,
            category=kind.category,
            message=kind.text.format(**words),
        )
    )
    events.delete(f"{number - most:016d}")


class Events(Base):
    """The operations on events."""

    def describe_events(self, call: Call) -> dict[str, Any]:
        """DescribeEvents: of the last hour unless told otherwise."""
        permit(call, "DescribeEvents", "es")
        given = call.parameters
        no_filters(given)
        begin, end = _interval(given, call.at)
        source_type = _source_type(given)
        source = given.get("SourceIdentifier")
        if source and source_type is None:
            raise errors.invalid_combination("SourceType is required when SourceIdentifier is specified.")
        categories = set(texts(given, "EventCategories"))
        found = [
            event
            for event in call.transaction.table(Event).all()
            if begin <= event.at <= end
            and source_type in (None, event.source_type)
            and (not source or event.source.lower() == str(source).lower())
            and (not categories or event.category in categories)
        ]
        events, marker = page(given, found, lambda event: event.key)
        return {"Events": [_shape(event) for event in events], **marker}

    def describe_event_categories(self, call: Call) -> dict[str, Any]:
        """DescribeEventCategories."""
        permit(call, "DescribeEventCategories", "es")
        no_filters(call.parameters)
        wanted = _source_type(call.parameters)
        return {
            "EventCategoriesMapList": [
                {"SourceType": source, "EventCategories": list(categories)}
                for source, categories in CATEGORIES.items()
                if wanted in (None, source)
            ]
        }


def _source_type(given: Mapping[str, Any]) -> str | None:
    value = given.get("SourceType")
    if value is not None and value not in SOURCE_TYPES:
        raise errors.invalid_value(f"Invalid value {value!s:.80} for SourceType. Valid: {', '.join(SOURCE_TYPES)}.")
    return value


def _interval(given: Mapping[str, Any], now: float) -> tuple[float, float]:
    duration = number(given, "Duration", 1, OLDEST // 60, 60) * 60.0
    start, end = given.get("StartTime"), given.get("EndTime")  # seconds since 1970
    if start is not None and end is not None and start > end:
        raise errors.invalid_combination("StartTime must not be later than EndTime.")
    if end is None:
        end = now if start is None or "Duration" not in given else start + duration
    if start is None:
        start = end - duration
    return max(start, now - OLDEST), end


def _shape(event: Event) -> dict[str, Any]:
    return {
        "SourceIdentifier": event.source,
        "SourceType": event.source_type,
        "Message": event.message,
        "EventCategories": [event.category],
        "Date": datetime.fromtimestamp(event.at, UTC),
        "SourceArn": event.arn,
    }
