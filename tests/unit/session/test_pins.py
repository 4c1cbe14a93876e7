"""The pin reasons are named once, with a sentence each."""

import re
from pathlib import Path

from tidegate.session.pins import PinReason


def test_value_is_the_name_in_lower_case() -> None:
    assert all(reason.value == reason.name.lower() for reason in PinReason)


def test_every_reason_has_a_sentence_of_its_own() -> None:
    sentences = [reason.explanation for reason in PinReason]
    assert len(set(sentences)) == len(sentences)
    assert all(sentence[0].isupper() or sentence.startswith("setseed") for sentence in sentences)
    assert all(sentence.endswith(".") and "  " not in sentence for sentence in sentences)


def test_a_reason_is_a_string() -> None:
    assert {reason.value: reason for reason in PinReason}["temp_object"] is PinReason.TEMP_OBJECT
    assert f"{PinReason.LISTEN}" == "listen"


def test_every_reason_is_documented() -> None:
    """In the table of docs/transparency.md, and nothing else is."""
    page = (Path(__file__).parents[3] / "docs" / "transparency.md").read_text()
    table = page.split("## What pins a session")[1].split("\n## ")[0]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    assert sorted(name for row in rows for name in re.findall("`([a-z_]+)`", row)) == sorted(PinReason)
