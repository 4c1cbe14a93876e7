"""The pin reasons are named once, with a sentence each."""

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
