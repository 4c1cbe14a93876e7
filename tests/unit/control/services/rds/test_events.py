"""Events: which are written, which are told, and that they do not grow."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from tests.unit.control.services.rds.stage import NOW, Stage
from tidegate.control.services.rds.records import Event
from tidegate.control.services.rds.settings import Settings


def test_a_proxys_life(stage: Stage) -> None:
    stage.create_proxy(settled=False)
    assert stage.events() == []
    stage.settle()
    stage.create_endpoint("reader")
    stage.settle()
    stage.create_instance()
    stage.call("RegisterDBProxyTargets", DBProxyName="main", DBInstanceIdentifiers=["db1"])
    stage.call("ModifyDBProxyEndpoint", DBProxyEndpointName="reader", NewDBProxyEndpointName="readers")
    stage.settle()
    stage.call("ModifyDBProxy", DBProxyName="main", RequireTLS=True)
    stage.settle()
    stage.call("DeleteDBInstance", DBInstanceIdentifier="db1", SkipFinalSnapshot=True)
    stage.call("DeleteDBProxyEndpoint", DBProxyEndpointName="readers")
    stage.settle()
    stage.call("DeleteDBProxy", DBProxyName="main")
    stage.settle()
    stage.settle()
    with stage.transaction() as transaction:
        written = [(event.event_id, event.source, event.category) for event in transaction.table(Event).all()]
    assert written == [
        ("RDS-EVENT-0203", "main", "creation"),
        ("RDS-EVENT-0206", "main", "creation"),
        ("RDS-EVENT-0005", "db1", "creation"),
        ("RDS-EVENT-0213", "main", "configuration change"),
        ("RDS-EVENT-0207", "main", "configuration change"),
        ("RDS-EVENT-0204", "main", "configuration change"),
        ("RDS-EVENT-0214", "main", "configuration change"),
        ("RDS-EVENT-0208", "main", "deletion"),
        ("RDS-EVENT-0003", "db1", "deletion"),
        ("RDS-EVENT-0205", "main", "deletion"),
    ]


def test_an_event_is_told_as_aws_tells_it(stage: Stage) -> None:
    proxy = stage.create_proxy()
    assert stage.call("DescribeEvents", SourceType="db-proxy")["Events"] == [
        {
            "SourceIdentifier": "main",
            "SourceType": "db-proxy",
            "Message": "RDS created DB proxy main.",
            "EventCategories": ["creation"],
            "Date": datetime.fromtimestamp(NOW, UTC),
            "SourceArn": proxy["DBProxyArn"],
        }
    ]


def test_events_are_found_by_source_category_and_time(stage: Stage) -> None:
    stage.create_proxy()
    stage.now += 600
    stage.create_instance()
    assert stage.events(SourceType="db-proxy") == ["RDS created DB proxy main."]
    assert stage.events(SourceType="db-instance", SourceIdentifier="DB1") == ["DB instance created"]
    assert stage.events(EventCategories=["deletion"]) == []
    assert stage.events(Duration=5) == ["DB instance created"]
    assert stage.events(StartTime=NOW - 1, EndTime=NOW + 1) == ["RDS created DB proxy main."]
    assert stage.events(StartTime=NOW - 1, Duration=1) == ["RDS created DB proxy main."]
    assert stage.events(EndTime=NOW + 1) == ["RDS created DB proxy main."]
    stage.now += 3001
    assert stage.events() == ["DB instance created"]
    assert len(stage.events(Duration=20160)) == 2
    stage.now += 14 * 24 * 3600
    assert stage.events(StartTime=NOW - 1) == []


def test_questions_that_can_not_be(stage: Stage) -> None:
    stage.refused("DescribeEvents", "InvalidParameterCombination", SourceIdentifier="main")
    stage.refused("DescribeEvents", "InvalidParameterValue", SourceType="db-proxies")
    stage.refused("DescribeEvents", "InvalidParameterValue", Duration=20161)
    stage.refused("DescribeEvents", "InvalidParameterValue", Duration=0)
    stage.refused("DescribeEvents", "InvalidParameterCombination", StartTime=NOW, EndTime=NOW - 1)


def test_the_oldest_events_go_first(tmp_path: Path) -> None:
    stage = Stage(tmp_path, Settings(events=25, instances=100))
    for number in range(30):
        stage.create_instance(f"db{number:02}", f"127.0.0.1:{5000 + number}")
    answer = stage.call("DescribeEvents", MaxRecords=20)
    rest = stage.call("DescribeEvents", MaxRecords=20, Marker=answer["Marker"])
    sources = [event["SourceIdentifier"] for event in answer["Events"] + rest["Events"]]
    assert sources == [f"db{number:02}" for number in range(5, 30)]
    assert "Marker" not in rest


def test_the_categories_are_told(stage: Stage) -> None:
    told = stage.call("DescribeEventCategories", SourceType="db-proxy")["EventCategoriesMapList"]
    assert told == [
        {
            "SourceType": "db-proxy",
            "EventCategories": ["configuration change", "creation", "deletion", "failure"],
        }
    ]
    assert len(stage.call("DescribeEventCategories")["EventCategoriesMapList"]) == 2
