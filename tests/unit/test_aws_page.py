"""docs/aws.md names every operation that a service of the AWS API serves, once, and no other; likewise its events."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from botocore import xform_name
from botocore.session import Session

from tests.support.pages import table
from tidegate.cli import PASSPHRASE_VARIABLE
from tidegate.control.ports import Health, HealthReason
from tidegate.control.profile import FOLDER
from tidegate.control.rotation.strategies import Strategy
from tidegate.control.services.ec2.service import Ec2Service
from tidegate.control.services.iam.service import IamService
from tidegate.control.services.rds import events
from tidegate.control.services.rds.addresses import TAG
from tidegate.control.services.rds.service import RdsService
from tidegate.control.services.secretsmanager.functions import PREFIX
from tidegate.control.services.secretsmanager.service import SecretsManager
from tidegate.control.services.service import Service
from tidegate.control.services.sts.service import StsService
from tidegate.control.store.sealed import CHECK_FILE, KEY_FILE

PAGE = Path(__file__).parents[2] / "docs" / "aws.md"
TEXT = PAGE.read_text(encoding="utf-8")
SERVICES: dict[str, type[Service]] = {
    one.name: one for one in (RdsService, SecretsManager, IamService, StsService, Ec2Service)
}
UNHEALTHY = {
    HealthReason.UNREACHABLE,
    HealthReason.AUTH_FAILURE,
    HealthReason.PENDING_PROXY_CAPACITY,
    HealthReason.CONNECTION_FAILED,
}
"""Reasons that occur: there are no replicas, so INVALID_REPLICATION_STATE does not."""


def served(service: type[Service]) -> list[str]:
    """AWS's names of the operations that a class has methods for."""
    names = Session().get_service_model(service.name).operation_names
    return [name for name in names if hasattr(service, xform_name(name))]


def named(head: str) -> list[str]:
    """All names in the first columns of the page's tables with this heading."""
    return [name for names, *_ in table(PAGE, head) for name in names]


def slug(heading: str) -> str:
    """What a heading is linked to by."""
    return re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES)
def test_page_and_service_have_the_same_operations(service: type[Service]) -> None:
    on_page = named(f"{service.name} operation")
    assert sorted(on_page) == sorted(served(service))


def test_there_is_a_table_for_each_service_and_for_no_other() -> None:
    assert re.findall(r"^\| (\w+) operation \|", TEXT, re.MULTILINE) == list(SERVICES)


def test_page_has_every_event_once() -> None:
    kinds = [one for one in vars(events).values() if isinstance(one, events.Kind)]
    assert sorted(named("event")) == sorted(kind.event_id for kind in kinds)


def test_page_has_every_state_of_a_target_and_every_reason() -> None:
    states, reasons = {state.value for state in Health}, {reason.value for reason in UNHEALTHY}
    assert set(named("TargetHealth")) == states | reasons


def test_page_names_our_extensions_as_the_code_does() -> None:
    """The tag, the functions, the variable, the profile: who copies them from the page gets what is there."""
    functions = {f"arn:aws:lambda:REGION:ACCOUNT:{PREFIX}{Strategy.SINGLE_USER}", f"...-{Strategy.MULTI_USER}"}
    assert functions | {TAG, PASSPHRASE_VARIABLE, f"{FOLDER}/config"} <= {
        name.removeprefix("DIR/") for name in named("ours")
    }


def test_page_names_the_files_of_the_data_folder() -> None:
    assert {"state.db", KEY_FILE, CHECK_FILE, f"{FOLDER}/", "tls/", "lock"} <= set(named("file"))


def test_links_within_the_page_lead_somewhere() -> None:
    headings = {slug(heading) for heading in re.findall(r"^##+ (.+)$", TEXT, re.MULTILINE)}
    links = set(re.findall(r"\]\(#([^)]+)\)", TEXT))
    assert links
    assert links <= headings
