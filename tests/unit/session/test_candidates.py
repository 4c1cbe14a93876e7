"""What may be the name of a custom setting."""

import pytest

from tidegate.session.candidates import MOST, custom_names


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (b"set_config('app.tenant', 'a', false)", {"app.tenant"}),
        (b"SET App.Tenant=1; RESET a$.b_1.c", {"app.tenant", "a$.b_1.c"}),
        (b"SELECT 1.5, a. b, .c, 'x'", set()),
        (b"\x00\x00\x00\x0aapp.tenant\x00", {"app.tenant"}),
        ("größe.x é.b".encode(), set()),
    ],
)
def test_names(text: bytes, names: set[str]) -> None:
    assert custom_names(text) == names


def test_not_more_than_can_be_asked_for() -> None:
    assert len(custom_names(b" ".join(b"a.b%d" % n for n in range(2 * MOST)))) == MOST
